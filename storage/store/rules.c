// Rules for times to live; see rules.h.
// Not for parsing them: agent/config/config_rules.c reads the file.
#include "storage/store/rules.h"

#include "storage/span/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_TEXT_MAX = 32 };

static const char status_key_z[] = "status";

static bool equals_z(ut_bytes text, const char *text_z)
{
    return text.len == strlen(text_z) && memcmp(text.data, text_z, text.len) == 0;
}

ut_err ut_rule_condition_set(ut_rule_condition *condition, ut_bytes key, ut_bytes value)
{
    static const char *const statuses_z[] = {"unset", "ok", "error"};
    if (key.len > UT_RULE_TEXT_MAX || value.len > UT_RULE_TEXT_MAX)
        return UT_ELIMIT;
    if (key.len == 0 || value.len == 0)
        return UT_EINVAL;
    *condition = (ut_rule_condition){.key = key, .value = value};
    if (!equals_z(key, status_key_z))
        return UT_OK;
    condition->by_status = true;
    for (int status = UT_STATUS_UNSET; status <= UT_STATUS_ERROR; status++) {
        if (equals_z(value, statuses_z[status])) {
            condition->status = (uint8_t)status;
            return UT_OK;
        }
    }
    return UT_EINVAL;
}

// The first value of key in a map of attributes. False: it has none.
static bool find_value(ut_bytes attributes, ut_bytes key, ut_mp_reader *value)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = ut_mp_get_map(&reader); left > 0 && reader.err == UT_OK; left--) {
        ut_bytes found = ut_mp_get_str(&reader);
        if (ut_bytes_equal(found, key) && reader.err == UT_OK) {
            *value = reader;
            return true;
        }
        (void)ut_mp_skip(&reader); // the error stays in the reader
    }
    return false;
}

static bool number_fits(double number, ut_bytes wanted)
{
    // The number is written as JSON would: 0.1, not 0.10000000000000001, where both are the same.
    char text_z[NUMBER_TEXT_MAX];
    int len = snprintf(text_z, sizeof(text_z), "%.15g", number);
    if (strtod(text_z, NULL) != number)
        len = snprintf(text_z, sizeof(text_z), "%.17g", number);
    return len > 0 && ut_filter_glob(wanted, (ut_bytes){(const uint8_t *)text_z, (size_t)len});
}

// A text without * and ? is a pattern for itself.
static bool value_fits(ut_mp_reader *value, ut_bytes wanted)
{
    char text_z[NUMBER_TEXT_MAX];
    switch (ut_mp_peek(value)) {
    case UT_MP_STR:
        return ut_filter_glob(wanted, ut_mp_get_str(value));
    case UT_MP_BOOL:
        return equals_z(wanted, ut_mp_get_bool(value) ? "true" : "false");
    case UT_MP_UINT:
        (void)snprintf(text_z, sizeof(text_z), "%" PRIu64, ut_mp_get_uint(value)); // 20 digits
        return ut_filter_glob(wanted, ut_bytes_of_z(text_z));
    case UT_MP_INT:
        (void)snprintf(text_z, sizeof(text_z), "%" PRId64, ut_mp_get_int(value));
        return ut_filter_glob(wanted, ut_bytes_of_z(text_z));
    case UT_MP_DOUBLE:
        return number_fits(ut_mp_get_double(value), wanted);
    default: // no text stands for the others
        return false;
    }
}

// Of a span, what rules ask for.
typedef struct {
    int64_t status;
    ut_bytes attributes;
    ut_bytes resource_attributes;
} subject;

static bool fits(const ut_rule_condition *condition, const subject *of)
{
    if (condition->by_status) {
        bool known = of->status >= UT_STATUS_UNSET && of->status <= UT_STATUS_ERROR;
        return (known ? of->status : UT_STATUS_UNSET) == condition->status;
    }
    ut_mp_reader value;
    if (!find_value(of->attributes, condition->key, &value) &&
        !find_value(of->resource_attributes, condition->key, &value))
        return false;
    return value_fits(&value, condition->value);
}

const ut_rule *ut_rules_find(const ut_rules *rules, ut_bytes span, ut_bytes resource)
{
    enum { BEFORE_STATUS = 7 }; // elements of a span record
    subject of;
    ut_mp_reader reader = ut_mp_reader_of(span);
    (void)ut_mp_get_array(&reader);
    for (unsigned i = 0; i < BEFORE_STATUS; i++)
        (void)ut_mp_skip(&reader);
    of.status = ut_mp_get_int(&reader);
    of.attributes = ut_mp_skip(&reader);
    if (reader.err != UT_OK)
        return NULL;
    reader = ut_mp_reader_of(resource);
    (void)ut_mp_get_array(&reader);
    of.resource_attributes = ut_mp_skip(&reader);
    for (uint32_t i = 0; i < rules->count; i++) {
        const ut_rule *rule = &rules->items[i];
        uint32_t k = 0;
        while (k < rule->condition_count && fits(&rule->conditions[k], &of))
            k++;
        if (k == rule->condition_count)
            return rule;
    }
    return NULL;
}
