// The section `llm`; see config_llm.h.
#include "agent/config/config_llm.h"

#include "agent/config/config_yaml.h"

#include <stdlib.h>

static ut_err read_model(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *text_z = NULL;
    const ut_err err = ut_yaml_read_string(yaml, node, &text_z);
    if (text_z == NULL)
        return err;
    const size_t len = strlen(text_z);
    if (len > UT_LLM_PRICE_MODEL_MAX)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a model, or a pattern, of at most 63 bytes");
    memcpy(target, text_z, len + 1);
    return UT_OK;
}

static ut_err read_price(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "dollars for a million tokens, such as 2.50";
    char *text_z = NULL;
    char *end_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (text_z == NULL)
        return err;
    const double usd = strtod(text_z, &end_z);
    if (text_z[strspn(text_z, "0123456789.")] != '\0' || end_z == text_z || *end_z != '\0' ||
        !(usd <= 1e9))
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    *(double *)target = usd;
    return UT_OK;
}

static ut_err read_prices(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"model", read_model, offsetof(ut_llm_price, model_z)},
        {"input", read_price, offsetof(ut_llm_price, input_usd)},
        {"output", read_price, offsetof(ut_llm_price, output_usd)},
        {"cached", read_price, offsetof(ut_llm_price, cached_usd)},
        {NULL, NULL, 0},
    };
    ut_llm_prices *prices = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return ut_yaml_fail(yaml, node, UT_EFORMAT,
                            "a list of prices, each { model: NAME, input: 2.50, output: 10 }");
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_document_get_node(&yaml->document, *item);
        ut_llm_price price = {.input_usd = -1, .output_usd = -1, .cached_usd = -1};
        if (prices->count == UT_LLM_PRICES_MAX)
            return ut_yaml_fail_at(yaml, entry, UT_EINVAL, "found more than %d prices",
                                   UT_LLM_PRICES_MAX);
        const ut_err err = ut_yaml_read_map(yaml, entry, fields, &price, "a price");
        if (err == UT_YAML_UNKNOWN)
            continue;
        if (err != UT_OK)
            return err;
        if (price.model_z[0] == '\0' || price.input_usd < 0 || price.output_usd < 0)
            return ut_yaml_fail_at(yaml, entry, UT_EINVAL,
                                   "found a price without %s, expected model, input and output",
                                   price.model_z[0] == '\0' ? "model"
                                   : price.input_usd < 0    ? "input"
                                                            : "output");
        if (price.cached_usd < 0)
            price.cached_usd = price.input_usd;
        prices->items[prices->count++] = price;
    }
    return UT_OK;
}

ut_err ut_config_llm_read(ut_yaml *yaml, yaml_node_t *node, void *prices)
{
    static const ut_yaml_field fields[] = {{"prices", read_prices, 0}, {NULL, NULL, 0}};
    return ut_yaml_read_map(yaml, node, fields, prices, "llm");
}
