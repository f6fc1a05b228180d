// Names of members; see otlp_json_name.h.
#include "adapters/otlp/otlp_json_name.h"

#define NAME_TEXT(name, text) [UT_NAME_##name] = {text, sizeof(text) - 1},
const ut_otlp_name_text ut_otlp_name_texts[UT_NAME_COUNT] = {UT_OTLP_NAMES(NAME_TEXT)};

// The first name of each length.
static const uint8_t first_of_len[UT_OTLP_NAME_ROOM] = {
    [3] = UT_NAME_KEY,
    [4] = UT_NAME_KIND,
    [5] = UT_NAME_VALUE,
    [6] = UT_NAME_SPAN_ID,
    [7] = UT_NAME_TRACE_ID,
    [8] = UT_NAME_RESOURCE,
    [9] = UT_NAME_BOOL_VALUE,
    [10] = UT_NAME_ATTRIBUTES,
    [11] = UT_NAME_STRING_VALUE,
    [12] = UT_NAME_TIME,
    [13] = UT_NAME_RESOURCE_SPANS,
    [15] = UT_NAME_DESCRIPTION_KEYS,
    [17] = UT_NAME_START_TIME,
    [18] = UT_NAME_DROPPED_EVENTS,
    [22] = UT_NAME_DROPPED_ATTRIBUTES,
};

ut_otlp_name ut_otlp_name_of(ut_bytes text)
{
    size_t i = text.len < UT_OTLP_NAME_ROOM ? first_of_len[text.len] : UT_NAME_UNKNOWN;
    if (i == UT_NAME_UNKNOWN)
        return UT_NAME_UNKNOWN;
    for (; i < UT_NAME_COUNT && ut_otlp_name_texts[i].len == text.len; i++) {
        if (memcmp(text.data, ut_otlp_name_texts[i].text_z, text.len) == 0)
            return (ut_otlp_name)i;
    }
    return UT_NAME_UNKNOWN;
}
