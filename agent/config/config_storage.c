// The section `storage`; see config_storage.h. The parts with most syntax are config_rules.c and
// config_encryption.c.
#include "agent/config/config_storage.h"

#include "agent/config/config_rules.h"
#include "agent/config/config_yaml.h"
#include "storage/store/store.h"

ut_err ut_config_store_size_read(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t bytes = 0;
    const ut_err err = ut_yaml_read_size(yaml, node, &bytes);
    if (err != UT_OK)
        return err;
    if (bytes < UT_STORE_BYTES_MIN)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a size of at least 4MiB");
    if (bytes > SIZE_MAX / 2)
        return ut_yaml_fail(yaml, node, UT_EINVAL,
                            "a size that this machine can address (at most 2GiB on 32 bits)");
    *(uint64_t *)target = bytes;
    return UT_OK;
}

static ut_err read_spans_max(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint32_t count = 0;
    const ut_err err = ut_yaml_read_count32(yaml, node, &count);
    if (err == UT_OK)
        *(uint64_t *)target = count;
    return err;
}

static ut_err read_evict(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "delivered_first or oldest";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    if (strcmp(text_z, "delivered_first") == 0)
        *(bool *)target = false;
    else if (strcmp(text_z, "oldest") == 0)
        *(bool *)target = true;
    else
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    return UT_OK;
}

static ut_err read_commit_delay(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t ms = 0;
    const ut_err err = ut_yaml_read_duration(yaml, node, &ms);
    if (err != UT_OK)
        return err;
    if (ms > UT_CONFIG_COMMIT_DELAY_MS_MAX)
        return ut_yaml_fail(yaml, node, UT_EINVAL,
                            "a duration of 0 to 1s: each request waits that much longer for its "
                            "answer");
    *(uint32_t *)target = (uint32_t)ms;
    return UT_OK;
}

// durability and sync_interval were keys of earlier versions. Each gets a sentence that says what
// to do instead; a list of the keys there are would not.
static ut_err refuse_old_durability(ut_yaml *yaml, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE)
        return UT_OK; // ut_yaml_read_map says so
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&yaml->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&yaml->document, pair->value);
        if (ut_yaml_is_text(key, "sync_interval"))
            return ut_yaml_fail_at(yaml, key, UT_EFORMAT,
                                   "found \"sync_interval\", which is no key any more: each commit "
                                   "is synced before it is answered. For fewer syncs set "
                                   "storage.commit_delay");
        if (!ut_yaml_is_text(key, "durability"))
            continue;
        if (ut_yaml_is_text(value, "commit"))
            return ut_yaml_fail_at(
                yaml, key, UT_EFORMAT,
                "found \"durability\", which is no key any more: each commit is "
                "synced before it is answered, as \"commit\" said. Leave it out");
        return ut_yaml_fail_at(
            yaml, key, UT_EFORMAT,
            "found \"durability\", which is no key any more: each commit is "
            "synced before it is answered. Leave it out, and for fewer syncs set "
            "storage.commit_delay");
    }
    return UT_OK;
}

ut_err ut_config_storage_read(ut_yaml *yaml, yaml_node_t *node, void *storage)
{
    static const ut_yaml_field fields[] = {
        {"max_size", ut_config_store_size_read, offsetof(ut_config_storage, bytes_max)},
        {"max_spans", read_spans_max, offsetof(ut_config_storage, spans_max)},
        {"evict", read_evict, offsetof(ut_config_storage, evict_oldest)},
        {"ttl", ut_yaml_read_duration, offsetof(ut_config_storage, ttl_ms)},
        {"rules", ut_config_rules_read, offsetof(ut_config_storage, rules)},
        {"encryption", ut_config_encryption_read, offsetof(ut_config_storage, encryption)},
        {"commit_delay", read_commit_delay, offsetof(ut_config_storage, commit_delay_ms)},
        {NULL, NULL, 0},
    };
    ut_err err = refuse_old_durability(yaml, node);
    if (err != UT_OK)
        return err;
    const bool closed = ut_yaml_need(yaml, UT_CONFIG_STORE);
    err = ut_yaml_read_map(yaml, node, fields, storage, "storage");
    yaml->closed = closed;
    return err;
}

void ut_config_storage_default(void *target)
{
    ut_config_storage *storage = target;
    storage->bytes_max = 256 * 1024 * 1024;
    storage->ttl_ms = 30ULL * 24 * 3600 * 1000;
}
