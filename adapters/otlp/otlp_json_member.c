// Members of the objects of an OTLP JSON request; see otlp_json_member.h.
#include "adapters/otlp/otlp_json_member.h"

#include "adapters/otlp/otlp.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    PATH_DEPTH_MAX = 24 + 4 * UT_OTLP_DEPTH_MAX, // places from the body down to the deepest value
};

// ---- faults ----

void ut_otlp_place_path(const ut_otlp_place *at, ut_otlp_path_text *path)
{
    const ut_otlp_place *steps[PATH_DEPTH_MAX];
    size_t count = 0;
    for (; at != NULL && count < PATH_DEPTH_MAX; at = at->around)
        steps[count++] = at;
    *path = (ut_otlp_path_text){.len = 0};
    while (count > 0) {
        at = steps[--count];
        if (at->name_z != NULL)
            ut_otlp_path_name(path, at->name_z);
        else
            ut_otlp_path_index(path, (uint32_t)at->index);
    }
}

bool ut_otlp_bad(ut_fault *fault, const ut_otlp_place *at, const char *why_z)
{
    ut_otlp_path_text path;
    ut_otlp_place_path(at, &path);
    ut_fault_set(fault, UT_EFORMAT, "%s%s%s", path.text_z, path.len > 0 ? ": " : "", why_z);
    return false;
}

bool ut_otlp_bad_type(ut_fault *fault, const ut_otlp_place *at, const char *expected_z,
                      yyjson_val *found)
{
    char why_z[80];
    (void)snprintf(why_z, sizeof why_z, "expected %s, found %s", expected_z,
                   ut_json_type_text(found));
    return ut_otlp_bad(fault, at, why_z);
}

// ---- members ----

bool ut_otlp_next_member(ut_otlp_members *of)
{
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&of->iter)) != NULL) {
        of->value = yyjson_obj_iter_get_val(key);
        if (yyjson_is_null(of->value))
            continue;
        of->name = ut_otlp_name_of(ut_otlp_text_of(key));
        of->place.name_z = ut_otlp_name_texts[of->name].text_z;
        return true;
    }
    return false;
}

bool ut_otlp_get_text(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, ut_bytes *text)
{
    if (value == NULL)
        return true;
    if (!yyjson_is_str(value))
        return ut_otlp_bad_type(fault, at, "a string", value);
    *text = ut_otlp_text_of(value);
    return true;
}

bool ut_otlp_get_integer(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, int64_t min,
                         uint64_t max, bool text_too, uint64_t *bits)
{
    if (value == NULL)
        return true;
    ut_bytes text;
    if (yyjson_is_raw(value))
        text = ut_bytes_of(yyjson_get_raw(value), yyjson_get_len(value));
    else if (text_too && yyjson_is_str(value))
        text = ut_otlp_text_of(value);
    else
        return ut_otlp_bad_type(fault, at,
                                text_too ? "an integer, or a string of one" : "an integer", value);
    bool negative;
    uint64_t magnitude;
    ut_json_number result = ut_json_integer(text, &negative, &magnitude);
    if (result == UT_JSON_NUMBER_MALFORMED)
        return ut_otlp_bad(fault, at, "expected an integer, found other text or a fraction");
    if (result == UT_JSON_NUMBER_RANGE || (!negative && magnitude > max) ||
        (negative && magnitude > 0 - (uint64_t)min)) {
        char why_z[100];
        (void)snprintf(why_z, sizeof why_z,
                       "expected an integer from %" PRId64 " to %" PRIu64 ", found another", min,
                       max);
        return ut_otlp_bad(fault, at, why_z);
    }
    *bits = negative ? 0 - magnitude : magnitude;
    return true;
}

bool ut_otlp_get_time(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, uint64_t *ns)
{
    return ut_otlp_get_integer(fault, value, at, 0, UINT64_MAX, true, ns);
}

bool ut_otlp_get_count(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at,
                       uint32_t *number)
{
    uint64_t bits = *number;
    if (!ut_otlp_get_integer(fault, value, at, INT64_MIN, UINT64_MAX, true, &bits))
        return false;
    const int64_t count = (int64_t)bits;
    *number = count < 0 ? 0 : count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    return true;
}

bool ut_otlp_get_flags(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, uint32_t *flags)
{
    uint64_t bits = *flags;
    if (!ut_otlp_get_integer(fault, value, at, INT64_MIN, UINT64_MAX, true, &bits))
        return false;
    *flags = (uint32_t)(bits & UINT32_MAX);
    return true;
}

const ut_otlp_enum_names ut_otlp_span_kinds = {
    "SPAN_KIND_", {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"}};
const ut_otlp_enum_names ut_otlp_status_codes = {"STATUS_CODE_", {"UNSET", "OK", "ERROR"}};

bool ut_otlp_get_enum(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at,
                      const ut_otlp_enum_names *names, int32_t *number)
{
    uint64_t bits = (uint64_t)(int64_t)*number;
    if (yyjson_is_str(value)) {
        ut_bytes text = ut_otlp_text_of(value);
        const ut_bytes prefix = ut_bytes_of_z(names->prefix_z);
        if (ut_bytes_begins_fold(text, prefix))
            text = ut_bytes_of(text.data + prefix.len, text.len - prefix.len);
        for (int32_t i = 0; i < 6 && names->names_z[i] != NULL; i++) {
            if (ut_bytes_equal_fold(text, ut_bytes_of_z(names->names_z[i]))) {
                *number = i;
                return true;
            }
        }
        if (text.len == 0 || text.data[0] > '9') {
            char why_z[80];
            (void)snprintf(why_z, sizeof why_z, "expected an integer, or a name such as %s%s",
                           names->prefix_z, names->names_z[2]);
            return ut_otlp_bad(fault, at, why_z);
        }
    }
    if (!ut_otlp_get_integer(fault, value, at, INT32_MIN, INT32_MAX, true, &bits))
        return false;
    *number = (int32_t)(uint32_t)bits;
    return true;
}

ut_json_number ut_otlp_double(ut_bytes text, bool quoted, double *number)
{
    if (quoted && ut_bytes_equal(text, UT_BYTES_LIT("NaN")))
        *number = (double)NAN;
    else if (quoted && ut_bytes_equal(text, UT_BYTES_LIT("Infinity")))
        *number = (double)INFINITY;
    else if (quoted && ut_bytes_equal(text, UT_BYTES_LIT("-Infinity")))
        *number = (double)-INFINITY;
    else
        return ut_json_double(text, number);
    return UT_JSON_NUMBER_OK;
}

bool ut_otlp_get_id(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at, uint8_t *id,
                    size_t room, size_t *digits)
{
    ut_bytes text = UT_BYTES_NONE;
    if (!ut_otlp_get_text(fault, value, at, &text))
        return false;
    *digits = text.len;
    bool hex = true;
    if (text.len % 2 == 0 && text.len / 2 <= room) {
        hex = text.len == 0 || ut_hex_decode(text, id);
    } else {
        for (size_t i = 0; i < text.len && hex; i++) {
            const uint8_t pair[2] = {'0', text.data[i]};
            uint8_t byte;
            hex = ut_hex_decode(ut_bytes_of(pair, 2), &byte);
        }
    }
    return hex || ut_otlp_bad(fault, at, "expected hexadecimal digits, found another character");
}

bool ut_otlp_get_objects(ut_fault *fault, yyjson_val *array, const ut_otlp_place *at,
                         uint32_t *count)
{
    *count = 0;
    if (array == NULL)
        return true;
    if (!yyjson_is_arr(array))
        return ut_otlp_bad_type(fault, at, "an array", array);
    yyjson_arr_iter elements = yyjson_arr_iter_with(array);
    yyjson_val *element;
    while ((element = yyjson_arr_iter_next(&elements)) != NULL) {
        if (!yyjson_is_obj(element))
            return ut_otlp_bad_type(fault, UT_OTLP_ELEMENT(at, *count), "an object", element);
        *count += 1;
    }
    return true;
}

bool ut_otlp_is_object(ut_fault *fault, yyjson_val *value, const ut_otlp_place *at)
{
    return value == NULL || yyjson_is_obj(value) || ut_otlp_bad_type(fault, at, "an object", value);
}
