// The list `storage.rules`; see config_rules.h.
#include "agent/config/config_rules.h"

#include "agent/config/config_yaml.h"

// The two texts of a condition last as long as the configuration.
static ut_err read_condition(ut_yaml *yaml, yaml_node_t *key, yaml_node_t *value, ut_rule *rule)
{
    char *key_z = NULL;
    char *value_z = NULL;
    ut_err err = ut_yaml_scalar(yaml, key, "the key of an attribute, or status", &key_z);
    if (err == UT_OK)
        err = ut_yaml_scalar(yaml, value, "the value of an attribute", &value_z);
    if (err != UT_OK)
        return err;
    if (rule->condition_count == UT_RULE_CONDITIONS_MAX)
        return ut_yaml_fail_at(yaml, key, UT_EINVAL, "found more than %d conditions in a rule",
                               UT_RULE_CONDITIONS_MAX);
    for (uint32_t i = 0; i < rule->condition_count; i++) {
        if (ut_bytes_equal(rule->conditions[i].key, ut_bytes_of_z(key_z)))
            return ut_yaml_fail(yaml, key, UT_EFORMAT, "each key at most once in a rule");
    }
    err = ut_rule_condition_set(&rule->conditions[rule->condition_count], ut_bytes_of_z(key_z),
                                ut_bytes_of_z(value_z));
    if (err == UT_ELIMIT)
        return ut_yaml_fail_at(yaml, key, UT_EINVAL,
                               "found a condition of more than %d bytes, expected a shorter one",
                               UT_RULE_TEXT_MAX);
    if (err != UT_OK && key_z[0] == 0)
        return ut_yaml_fail(yaml, key, UT_EFORMAT, "the key of an attribute, or status");
    if (err != UT_OK && strcmp(key_z, "status") == 0)
        return ut_yaml_fail(yaml, value, UT_EFORMAT, "a status: unset, ok or error");
    if (err != UT_OK)
        return ut_yaml_fail(yaml, value, UT_EFORMAT, "a value, or a pattern such as \"/pay*\"");
    rule->condition_count++;
    return UT_OK;
}

static ut_err read_match(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "a mapping of attributes to values such as { service.name: a }";
    if (node->type != YAML_MAPPING_NODE ||
        node->data.mapping.pairs.start == node->data.mapping.pairs.top)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    bool unknown = false;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const ut_err err =
            read_condition(yaml, yaml_document_get_node(&yaml->document, pair->key),
                           yaml_document_get_node(&yaml->document, pair->value), target);
        if (err != UT_OK && err != UT_YAML_UNKNOWN)
            return err;
        unknown = unknown || err == UT_YAML_UNKNOWN;
    }
    return unknown ? UT_YAML_UNKNOWN : UT_OK;
}

// A rule while it is read: a ttl of 0 is not the same as none.
typedef struct {
    ut_rule out;
    bool has_ttl;
} rule_draft;

static ut_err read_rule_ttl(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    rule_draft *draft = target;
    draft->has_ttl = true;
    return ut_yaml_read_duration(yaml, node, &draft->out.ttl_ms);
}

ut_err ut_config_rules_read(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"match", read_match, offsetof(rule_draft, out)},
        {"ttl", read_rule_ttl, 0},
        {NULL, NULL, 0},
    };
    ut_rules *rules = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return ut_yaml_fail(yaml, node, UT_EFORMAT,
                            "a list of rules, each { match: { KEY: VALUE }, ttl: 7d }");
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_document_get_node(&yaml->document, *item);
        if (rules->count == UT_RULES_MAX)
            return ut_yaml_fail_at(yaml, entry, UT_EINVAL, "found more than %d rules",
                                   UT_RULES_MAX);
        rule_draft draft = {0};
        const ut_err err = ut_yaml_read_map(yaml, entry, fields, &draft, "a rule");
        if (err == UT_YAML_UNKNOWN)
            continue;
        if (err != UT_OK)
            return err;
        if (draft.out.condition_count == 0 || !draft.has_ttl)
            return ut_yaml_fail_at(yaml, entry, UT_EINVAL, "found a rule without %s, expected %s",
                                   draft.has_ttl ? "match" : "ttl",
                                   draft.has_ttl ? "match: { KEY: VALUE }" : "ttl: 7d");
        rules->items[rules->count++] = draft.out;
    }
    return UT_OK;
}
