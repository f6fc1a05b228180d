// Rules for times to live; see rules.h.
// Not for parsing them: agent/config.c reads the file.
#include "storage/rules.h"

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
    for (uint8_t status = UT_STATUS_UNSET; status <= UT_STATUS_ERROR; status++) {
        if (equals_z(value, statuses_z[status])) {
            condition->status = status;
            return UT_OK;
        }
    }
    return UT_EINVAL;
}
