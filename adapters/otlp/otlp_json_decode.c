// OTLP JSON to span records: yyjson makes a document within bounded memory, and each object is then read once for its
// members, whose order is free, before the record is written. Not for protobuf (otlp_protobuf_decode.c).
//
// Of a repeated member the last one that is not null counts; null is absent; members that are not known are ignored. An
// element of arrayValue that is null is an empty value. Several variants in one value: the last one counts.
#include "adapters/otlp/otlp.h"

#include "adapters/encoding/base64.h"
#include "adapters/encoding/json.h"
#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_path.h"
#include "adapters/otlp/otlp_span.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    PATH_DEPTH_MAX = 24 + 4 * UT_OTLP_DEPTH_MAX, // places from the body down to the deepest value
};

typedef struct {
    ut_batch *batch;
    ut_fault *fault;
    ut_buf scratch; // entityRefs as protobuf; behind them, the bytes of one bytesValue
} decoder;

// Where we are, from the inside out: on the stack of whoever reads, and only looked at after a fault.
typedef struct place {
    const struct place *around;
    const char *name_z; // a member; NULL: an element of the array around
    size_t index;
} place;

#define MEMBER(around_, name_z_) (&(const place){(around_), (name_z_), 0})
#define ELEMENT(around_, index_) (&(const place){(around_), NULL, (index_)})

// ---- faults ----

static void path_text(const place *at, ut_otlp_path_text *path)
{
    const place *steps[PATH_DEPTH_MAX];
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

static bool bad(decoder *d, const place *at, const char *why_z)
{
    ut_otlp_path_text path;
    path_text(at, &path);
    ut_fault_set(d->fault, UT_EFORMAT, "%s%s%s", path.text_z, path.len > 0 ? ": " : "", why_z);
    return false;
}

static bool bad_type(decoder *d, const place *at, const char *expected_z, yyjson_val *found)
{
    char why_z[80];
    (void)snprintf(why_z, sizeof why_z, "expected %s, found %s", expected_z,
                   ut_json_type_text(found));
    return bad(d, at, why_z);
}

// ---- members ----

static ut_bytes text_of(yyjson_val *value)
{
    return ut_bytes_of(yyjson_get_str(value), yyjson_get_len(value));
}

#define IS(key, name)                           \
    (yyjson_get_len(key) == sizeof(name) - 1 && \
     memcmp(yyjson_get_str(key), name, sizeof(name) - 1) == 0)

// Begins a walk over the members that are not null.
static bool next_member(yyjson_obj_iter *members, yyjson_val **key, yyjson_val **value)
{
    while ((*key = yyjson_obj_iter_next(members)) != NULL) {
        *value = yyjson_obj_iter_get_val(*key);
        if (!yyjson_is_null(*value))
            return true;
    }
    return false;
}

// The getters take NULL for an absent member and leave the default.
static bool get_text(decoder *d, yyjson_val *value, const place *at, ut_bytes *text)
{
    if (value == NULL)
        return true;
    if (!yyjson_is_str(value))
        return bad_type(d, at, "a string", value);
    *text = text_of(value);
    return true;
}

// An integer from min to max; strings allowed where `text_too`. The value's two's complement.
static bool get_integer(decoder *d, yyjson_val *value, const place *at, int64_t min, uint64_t max,
                        bool text_too, uint64_t *bits)
{
    if (value == NULL)
        return true;
    ut_bytes text;
    if (yyjson_is_raw(value))
        text = ut_bytes_of(yyjson_get_raw(value), yyjson_get_len(value));
    else if (text_too && yyjson_is_str(value))
        text = text_of(value);
    else
        return bad_type(d, at, text_too ? "an integer, or a string of one" : "an integer", value);
    bool negative;
    uint64_t magnitude;
    ut_json_number result = ut_json_integer(text, &negative, &magnitude);
    if (result == UT_JSON_NUMBER_MALFORMED)
        return bad(d, at, "expected an integer, found other text or a fraction");
    if (result == UT_JSON_NUMBER_RANGE || (!negative && magnitude > max) ||
        (negative && magnitude > 0 - (uint64_t)min)) {
        char why_z[100];
        (void)snprintf(why_z, sizeof why_z,
                       "expected an integer from %" PRId64 " to %" PRIu64 ", found another", min,
                       max);
        return bad(d, at, why_z);
    }
    *bits = negative ? 0 - magnitude : magnitude;
    return true;
}

static bool get_time(decoder *d, yyjson_val *value, const place *at, uint64_t *ns)
{
    return get_integer(d, value, at, 0, UINT64_MAX, true, ns);
}

static bool get_u32(decoder *d, yyjson_val *value, const place *at, uint32_t *number)
{
    uint64_t bits = *number;
    if (!get_integer(d, value, at, 0, UINT32_MAX, true, &bits))
        return false;
    *number = (uint32_t)bits;
    return true;
}

static bool get_enum(decoder *d, yyjson_val *value, const place *at, int32_t *number)
{
    uint64_t bits = (uint64_t)(int64_t)*number;
    if (value != NULL && !yyjson_is_raw(value))
        return bad_type(d, at, "an integer (names of enumerations are not allowed)", value);
    if (!get_integer(d, value, at, INT32_MIN, INT32_MAX, false, &bits))
        return false;
    *number = (int32_t)(uint32_t)bits;
    return true;
}

// Hex of either case into id, which has room for `room` bytes. *digits: how many there are; when they are odd or too many, only
// that they are hex has been checked.
static bool get_id(decoder *d, yyjson_val *value, const place *at, uint8_t *id, size_t room,
                   size_t *digits)
{
    ut_bytes text = UT_BYTES_NONE;
    if (!get_text(d, value, at, &text))
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
    return hex || bad(d, at, "expected hexadecimal digits, found another character");
}

// Counts the elements; each must be an object. Absent: none.
static bool get_objects(decoder *d, yyjson_val *array, const place *at, uint32_t *count)
{
    *count = 0;
    if (array == NULL)
        return true;
    if (!yyjson_is_arr(array))
        return bad_type(d, at, "an array", array);
    yyjson_arr_iter elements = yyjson_arr_iter_with(array);
    yyjson_val *element;
    while ((element = yyjson_arr_iter_next(&elements)) != NULL) {
        if (!yyjson_is_obj(element))
            return bad_type(d, ELEMENT(at, *count), "an object", element);
        *count += 1;
    }
    return true;
}

static bool is_object(decoder *d, yyjson_val *value, const place *at)
{
    return value == NULL || yyjson_is_obj(value) || bad_type(d, at, "an object", value);
}

// ---- attribute values ----

static bool put_value(decoder *d, ut_buf *out, yyjson_val *value, const place *at, unsigned depth);

static bool put_bytes(decoder *d, ut_buf *out, yyjson_val *value, const place *at)
{
    ut_bytes text = UT_BYTES_NONE;
    if (!get_text(d, value, at, &text))
        return false;
    uint8_t *bytes = ut_buf_reserve(&d->scratch, ut_base64_decoded_max(text.len));
    if (bytes == NULL)
        return true; // the error is sticky
    size_t len;
    if (!ut_base64_decode(text, bytes, &len))
        return bad(d, at, "expected base64");
    ut_mp_put_bin(out, ut_bytes_of(bytes, len));
    return true;
}

static bool put_int(decoder *d, ut_buf *out, yyjson_val *value, const place *at)
{
    uint64_t bits = 0;
    if (!get_integer(d, value, at, INT64_MIN, INT64_MAX, true, &bits))
        return false;
    ut_mp_put_int(out, (int64_t)bits);
    return true;
}

static bool put_double(decoder *d, ut_buf *out, yyjson_val *value, const place *at)
{
    double number;
    ut_bytes text;
    if (yyjson_is_raw(value))
        text = ut_bytes_of(yyjson_get_raw(value), yyjson_get_len(value));
    else if (yyjson_is_str(value))
        text = text_of(value);
    else
        return bad_type(d, at, "a number, or a string of one", value);
    if (yyjson_is_str(value) && ut_bytes_equal(text, UT_BYTES_LIT("NaN")))
        number = (double)NAN;
    else if (yyjson_is_str(value) && ut_bytes_equal(text, UT_BYTES_LIT("Infinity")))
        number = (double)INFINITY;
    else if (yyjson_is_str(value) && ut_bytes_equal(text, UT_BYTES_LIT("-Infinity")))
        number = (double)-INFINITY;
    else
        switch (ut_json_double(text, &number)) {
        case UT_JSON_NUMBER_OK:
            break;
        case UT_JSON_NUMBER_RANGE:
            return bad(d, at, "expected a number that fits 64-bit floating point");
        case UT_JSON_NUMBER_MALFORMED:
            return bad(d, at, "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
        }
    ut_mp_put_double(out, number);
    return true;
}

// A KeyValue, which is an object.
static bool put_key_value(decoder *d, ut_buf *out, yyjson_val *pair, const place *at,
                          unsigned depth)
{
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(pair);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "key"))
            key = member;
        else if (IS(name, "value"))
            value = member;
    }
    ut_bytes text = UT_BYTES_NONE;
    if (!get_text(d, key, MEMBER(at, "key"), &text))
        return false;
    ut_mp_put_str(out, text);
    return put_value(d, out, value, MEMBER(at, "value"), depth);
}

// {"values": [...]} of an array or a list of pairs.
static bool put_list(decoder *d, ut_buf *out, yyjson_val *list, const place *at, bool pairs,
                     unsigned depth)
{
    if (depth == UT_OTLP_DEPTH_MAX)
        return bad(d, at, "values are nested deeper than 32 levels");
    if (!is_object(d, list, at))
        return false;
    yyjson_val *values = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(list);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "values"))
            values = member;
    }
    const place *inside = MEMBER(at, "values");
    uint32_t count = 0;
    if (pairs
            ? !get_objects(d, values, inside, &count)
            : values != NULL && !yyjson_is_arr(values) && !bad_type(d, inside, "an array", values))
        return false;
    if (pairs)
        ut_mp_put_map(out, count);
    else
        ut_mp_put_array(out, (uint32_t)yyjson_arr_size(values));
    yyjson_arr_iter elements = yyjson_arr_iter_with(values);
    yyjson_val *element;
    for (size_t i = 0; (element = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (pairs ? !put_key_value(d, out, element, ELEMENT(inside, i), depth + 1)
                  : !put_value(d, out, yyjson_is_null(element) ? NULL : element, ELEMENT(inside, i),
                               depth + 1))
            return false;
    }
    return true;
}

typedef enum { NO_VARIANT, STRING, BOOL, INT, DOUBLE, ARRAY, KVLIST, BYTES } variant;

static const char *const variant_names_z[] = {
    "",           "stringValue", "boolValue",  "intValue", "doubleValue",
    "arrayValue", "kvlistValue", "bytesValue",
};

static variant variant_of(yyjson_val *name)
{
    if (IS(name, "stringValue"))
        return STRING;
    if (IS(name, "intValue"))
        return INT;
    if (IS(name, "boolValue"))
        return BOOL;
    if (IS(name, "doubleValue"))
        return DOUBLE;
    if (IS(name, "arrayValue"))
        return ARRAY;
    if (IS(name, "kvlistValue"))
        return KVLIST;
    if (IS(name, "bytesValue"))
        return BYTES;
    return NO_VARIANT;
}

// value: NULL for an empty one.
static bool put_value(decoder *d, ut_buf *out, yyjson_val *value, const place *at, unsigned depth)
{
    variant kind = NO_VARIANT;
    yyjson_val *inside = NULL;
    if (!is_object(d, value, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(value);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        variant found = variant_of(name);
        if (found != NO_VARIANT) {
            kind = found;
            inside = member;
        }
    }
    ut_bytes text = UT_BYTES_NONE;
    const place *here = MEMBER(at, variant_names_z[kind]);
    switch (kind) {
    case NO_VARIANT:
        ut_mp_put_nil(out);
        return true;
    case STRING:
        if (!get_text(d, inside, here, &text))
            return false;
        ut_mp_put_str(out, text);
        return true;
    case BOOL:
        if (!yyjson_is_bool(inside))
            return bad_type(d, here, "true or false", inside);
        ut_mp_put_bool(out, yyjson_get_bool(inside));
        return true;
    case INT:
        return put_int(d, out, inside, here);
    case DOUBLE:
        return put_double(d, out, inside, here);
    case ARRAY:
        return put_list(d, out, inside, here, false, depth);
    case KVLIST:
        return put_list(d, out, inside, here, true, depth);
    case BYTES:
        return put_bytes(d, out, inside, here);
    }
    return true;
}

static bool put_attributes(decoder *d, ut_buf *out, yyjson_val *array, const place *around)
{
    const place *at = MEMBER(around, "attributes");
    uint32_t count;
    if (!get_objects(d, array, at, &count))
        return false;
    ut_mp_put_map(out, count);
    yyjson_arr_iter pairs = yyjson_arr_iter_with(array);
    yyjson_val *pair;
    for (size_t i = 0; (pair = yyjson_arr_iter_next(&pairs)) != NULL; i++) {
        if (!put_key_value(d, out, pair, ELEMENT(at, i), 0))
            return false;
    }
    return true;
}

// ---- events and links ----

static bool put_event(decoder *d, ut_buf *out, yyjson_val *object, const place *at,
                      uint64_t start_ns)
{
    ut_event event = {0};
    yyjson_val *attributes = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "timeUnixNano")) {
            if (!get_time(d, member, MEMBER(at, "timeUnixNano"), &event.time_ns))
                return false;
        } else if (IS(name, "name")) {
            if (!get_text(d, member, MEMBER(at, "name"), &event.name))
                return false;
        } else if (IS(name, "attributes")) {
            attributes = member;
        } else if (IS(name, "droppedAttributesCount")) {
            if (!get_u32(d, member, MEMBER(at, "droppedAttributesCount"),
                         &event.dropped_attributes))
                return false;
        }
    }
    ut_event_write_head(out, start_ns, &event);
    if (!put_attributes(d, out, attributes, at))
        return false;
    ut_event_write_tail(out, &event);
    return true;
}

static bool link_id_fits(size_t digits)
{
    return digits % 2 == 0 && digits / 2 <= UT_LINK_ID_LEN_MAX;
}

// *bad_digits: set when a record cannot hold an id of the link; the span is then to be rejected.
static bool put_link(decoder *d, ut_buf *out, yyjson_val *object, const place *at,
                     size_t *bad_digits)
{
    ut_link link = {0};
    uint8_t trace_id[UT_LINK_ID_LEN_MAX];
    uint8_t span_id[UT_LINK_ID_LEN_MAX];
    size_t trace_id_digits = 0;
    size_t span_id_digits = 0;
    yyjson_val *attributes = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "traceId")) {
            if (!get_id(d, member, MEMBER(at, "traceId"), trace_id, sizeof trace_id,
                        &trace_id_digits))
                return false;
        } else if (IS(name, "spanId")) {
            if (!get_id(d, member, MEMBER(at, "spanId"), span_id, sizeof span_id, &span_id_digits))
                return false;
        } else if (IS(name, "traceState")) {
            if (!get_text(d, member, MEMBER(at, "traceState"), &link.trace_state))
                return false;
        } else if (IS(name, "attributes")) {
            attributes = member;
        } else if (IS(name, "droppedAttributesCount")) {
            if (!get_u32(d, member, MEMBER(at, "droppedAttributesCount"), &link.dropped_attributes))
                return false;
        } else if (IS(name, "flags")) {
            if (!get_u32(d, member, MEMBER(at, "flags"), &link.flags))
                return false;
        }
    }
    if (!link_id_fits(trace_id_digits)) {
        *bad_digits = trace_id_digits;
    } else if (!link_id_fits(span_id_digits)) {
        *bad_digits = span_id_digits;
    } else {
        link.trace_id = ut_bytes_of(trace_id, trace_id_digits / 2);
        link.span_id = ut_bytes_of(span_id, span_id_digits / 2);
    }
    ut_link_write_head(out, &link);
    if (!put_attributes(d, out, attributes, at))
        return false;
    ut_link_write_tail(out, &link);
    return true;
}

static bool put_events(decoder *d, ut_buf *out, yyjson_val *array, const place *around,
                       uint64_t start_ns)
{
    const place *at = MEMBER(around, "events");
    uint32_t count;
    if (!get_objects(d, array, at, &count))
        return false;
    ut_mp_put_array(out, count);
    yyjson_arr_iter events = yyjson_arr_iter_with(array);
    yyjson_val *event;
    for (size_t i = 0; (event = yyjson_arr_iter_next(&events)) != NULL; i++) {
        if (!put_event(d, out, event, ELEMENT(at, i), start_ns))
            return false;
    }
    return true;
}

static bool put_links(decoder *d, ut_buf *out, yyjson_val *array, const place *around,
                      size_t *bad_digits)
{
    const place *at = MEMBER(around, "links");
    uint32_t count;
    if (!get_objects(d, array, at, &count))
        return false;
    ut_mp_put_array(out, count);
    yyjson_arr_iter links = yyjson_arr_iter_with(array);
    yyjson_val *link;
    for (size_t i = 0; (link = yyjson_arr_iter_next(&links)) != NULL; i++) {
        if (!put_link(d, out, link, ELEMENT(at, i), bad_digits))
            return false;
    }
    return true;
}

// ---- span ----

static bool get_status(decoder *d, yyjson_val *object, const place *at, ut_span *span)
{
    if (!is_object(d, object, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "code")) {
            if (!get_enum(d, member, MEMBER(at, "code"), &span->status_code))
                return false;
        } else if (IS(name, "message")) {
            if (!get_text(d, member, MEMBER(at, "message"), &span->status_message))
                return false;
        }
    }
    return true;
}

static void reject(decoder *d, const place *at, const char *field_z, const char *what_z,
                   size_t digits)
{
    ut_otlp_path_text path;
    path_text(at, &path);
    ut_batch_reject(d->batch, "%.80s.%s %s (%zu digits)", path.text_z, field_z, what_z, digits);
}

// The ids of a span as they came; bytes are set where the number of digits is right.
typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint8_t parent_span_id[UT_SPAN_ID_LEN];
    size_t trace_id_digits;
    size_t span_id_digits;
    size_t parent_span_id_digits;
} span_ids;

// An id of `digits` digits as bytes. Of digits that are odd or too many none were stored; the length
// is then one that no id has.
static ut_bytes id_bytes(const uint8_t *id, size_t digits)
{
    return digits % 2 == 0 ? ut_bytes_of(id, digits / 2) : ut_bytes_of(id, SIZE_MAX);
}

static bool ids_fit(decoder *d, const span_ids *ids, const place *at, ut_span *span)
{
    static const struct {
        const char *field_z;
        const char *what_z;
    } faults[UT_OTLP_BAD_IDS] = {
        [UT_OTLP_BAD_TRACE_ID] = {"traceId", "is not 32 digits other than zero"},
        [UT_OTLP_BAD_SPAN_ID] = {"spanId", "is not 16 digits other than zero"},
        [UT_OTLP_BAD_PARENT_SPAN_ID] = {"parentSpanId", "is neither empty nor 16 digits"},
    };
    const size_t digits[UT_OTLP_BAD_IDS] = {
        [UT_OTLP_BAD_TRACE_ID] = ids->trace_id_digits,
        [UT_OTLP_BAD_SPAN_ID] = ids->span_id_digits,
        [UT_OTLP_BAD_PARENT_SPAN_ID] = ids->parent_span_id_digits,
    };
    span->trace_id = id_bytes(ids->trace_id, ids->trace_id_digits);
    span->span_id = id_bytes(ids->span_id, ids->span_id_digits);
    span->parent_span_id = id_bytes(ids->parent_span_id, ids->parent_span_id_digits);
    const ut_otlp_ids found = ut_otlp_span_check_ids(span);
    if (found != UT_OTLP_IDS_FIT)
        reject(d, at, faults[found].field_z, faults[found].what_z, digits[found]);
    return found == UT_OTLP_IDS_FIT;
}

// The members of a span that are single values.
static bool get_span_member(decoder *d, yyjson_val *name, yyjson_val *member, const place *at,
                            span_ids *ids, ut_span *span)
{
    if (IS(name, "traceId"))
        return get_id(d, member, MEMBER(at, "traceId"), ids->trace_id, UT_TRACE_ID_LEN,
                      &ids->trace_id_digits);
    if (IS(name, "spanId"))
        return get_id(d, member, MEMBER(at, "spanId"), ids->span_id, UT_SPAN_ID_LEN,
                      &ids->span_id_digits);
    if (IS(name, "parentSpanId"))
        return get_id(d, member, MEMBER(at, "parentSpanId"), ids->parent_span_id, UT_SPAN_ID_LEN,
                      &ids->parent_span_id_digits);
    if (IS(name, "name"))
        return get_text(d, member, MEMBER(at, "name"), &span->name);
    if (IS(name, "kind"))
        return get_enum(d, member, MEMBER(at, "kind"), &span->kind);
    if (IS(name, "startTimeUnixNano"))
        return get_time(d, member, MEMBER(at, "startTimeUnixNano"), &span->start_ns);
    if (IS(name, "endTimeUnixNano"))
        return get_time(d, member, MEMBER(at, "endTimeUnixNano"), &span->end_ns);
    if (IS(name, "status"))
        return get_status(d, member, MEMBER(at, "status"), span);
    if (IS(name, "flags"))
        return get_u32(d, member, MEMBER(at, "flags"), &span->flags);
    if (IS(name, "traceState"))
        return get_text(d, member, MEMBER(at, "traceState"), &span->trace_state);
    if (IS(name, "droppedAttributesCount"))
        return get_u32(d, member, MEMBER(at, "droppedAttributesCount"), &span->dropped_attributes);
    if (IS(name, "droppedEventsCount"))
        return get_u32(d, member, MEMBER(at, "droppedEventsCount"), &span->dropped_events);
    if (IS(name, "droppedLinksCount"))
        return get_u32(d, member, MEMBER(at, "droppedLinksCount"), &span->dropped_links);
    return true; // not known
}

static bool decode_span(decoder *d, yyjson_val *object, const place *at, ut_otlp_part *resource,
                        ut_otlp_part *scope)
{
    ut_buf *out = &d->batch->span_bytes;
    ut_span span = {0};
    span_ids ids = {.trace_id_digits = 0};
    yyjson_val *attributes = NULL;
    yyjson_val *events = NULL;
    yyjson_val *links = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "attributes"))
            attributes = member;
        else if (IS(name, "events"))
            events = member;
        else if (IS(name, "links"))
            links = member;
        else if (!get_span_member(d, name, member, at, &ids, &span))
            return false;
    }
    bool fit = ids_fit(d, &ids, at, &span);
    size_t bad_link_digits = 0;
    size_t begin = out->len;
    ut_span_write_head(out, &span);
    if (!put_attributes(d, out, attributes, at) || !put_events(d, out, events, at, span.start_ns) ||
        !put_links(d, out, links, at, &bad_link_digits))
        return false;
    ut_span_write_rare(out, &span);
    if (fit && bad_link_digits != 0) {
        reject(d, at, "links", "have an id that does not fit", bad_link_digits);
        fit = false;
    }
    ut_otlp_span_end(d->batch, begin, fit, resource, scope, &span);
    return true;
}

// ---- scope and resource ----

static bool put_scope(decoder *d, ut_buf *out, yyjson_val *object, const place *at,
                      ut_bytes schema_url)
{
    ut_scope scope = {.schema_url = schema_url};
    yyjson_val *attributes = NULL;
    if (!is_object(d, object, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "name")) {
            if (!get_text(d, member, MEMBER(at, "name"), &scope.name))
                return false;
        } else if (IS(name, "version")) {
            if (!get_text(d, member, MEMBER(at, "version"), &scope.version))
                return false;
        } else if (IS(name, "attributes")) {
            attributes = member;
        } else if (IS(name, "droppedAttributesCount")) {
            if (!get_u32(d, member, MEMBER(at, "droppedAttributesCount"),
                         &scope.dropped_attributes))
                return false;
        }
    }
    ut_scope_write_head(out, &scope);
    if (!put_attributes(d, out, attributes, at))
        return false;
    ut_scope_write_tail(out, &scope);
    return true;
}

static bool put_texts(decoder *d, ut_buf *out, uint32_t number, yyjson_val *array, const place *at)
{
    if (!yyjson_is_arr(array))
        return bad_type(d, at, "an array", array);
    yyjson_arr_iter texts = yyjson_arr_iter_with(array);
    yyjson_val *text;
    for (size_t i = 0; (text = yyjson_arr_iter_next(&texts)) != NULL; i++) {
        if (!yyjson_is_str(text))
            return bad_type(d, ELEMENT(at, i), "a string", text);
        ut_pb_put_bytes(out, number, text_of(text));
    }
    return true;
}

// An EntityRef as the protobuf field of Resource that it is; the record keeps it as it keeps what is not known.
static bool put_entity_ref(decoder *d, ut_buf *out, yyjson_val *object, const place *at)
{
    yyjson_val *id_keys = NULL;
    yyjson_val *description_keys = NULL;
    ut_bytes schema_url = UT_BYTES_NONE;
    ut_bytes type = UT_BYTES_NONE;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "schemaUrl")) {
            if (!get_text(d, member, MEMBER(at, "schemaUrl"), &schema_url))
                return false;
        } else if (IS(name, "type")) {
            if (!get_text(d, member, MEMBER(at, "type"), &type))
                return false;
        } else if (IS(name, "idKeys")) {
            id_keys = member;
        } else if (IS(name, "descriptionKeys")) {
            description_keys = member;
        }
    }
    ut_pb_slot slot = ut_pb_open(out, UT_RESOURCE_ENTITY_REFS, type.len + schema_url.len);
    if (schema_url.len > 0)
        ut_pb_put_bytes(out, UT_ENTITY_REF_SCHEMA_URL, schema_url);
    if (type.len > 0)
        ut_pb_put_bytes(out, UT_ENTITY_REF_TYPE, type);
    if (id_keys != NULL && !put_texts(d, out, UT_ENTITY_REF_ID_KEYS, id_keys, MEMBER(at, "idKeys")))
        return false;
    if (description_keys != NULL && !put_texts(d, out, UT_ENTITY_REF_DESCRIPTION_KEYS,
                                               description_keys, MEMBER(at, "descriptionKeys")))
        return false;
    ut_pb_close(out, slot);
    return true;
}

static bool put_entity_refs(decoder *d, ut_buf *out, yyjson_val *array, const place *at)
{
    uint32_t count;
    if (!get_objects(d, array, at, &count))
        return false;
    yyjson_arr_iter refs = yyjson_arr_iter_with(array);
    yyjson_val *ref;
    for (size_t i = 0; (ref = yyjson_arr_iter_next(&refs)) != NULL; i++) {
        if (!put_entity_ref(d, out, ref, ELEMENT(at, i)))
            return false;
    }
    return true;
}

static bool put_resource(decoder *d, ut_buf *out, yyjson_val *object, const place *at,
                         ut_bytes schema_url)
{
    ut_resource resource = {.schema_url = schema_url};
    yyjson_val *attributes = NULL;
    yyjson_val *entity_refs = NULL;
    if (!is_object(d, object, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "attributes")) {
            attributes = member;
        } else if (IS(name, "droppedAttributesCount")) {
            if (!get_u32(d, member, MEMBER(at, "droppedAttributesCount"),
                         &resource.dropped_attributes))
                return false;
        } else if (IS(name, "entityRefs")) {
            entity_refs = member;
        }
    }
    ut_buf_reset(&d->scratch, SIZE_MAX);
    if (!put_entity_refs(d, &d->scratch, entity_refs, MEMBER(at, "entityRefs")))
        return false;
    ut_resource_write_head(out);
    if (!put_attributes(d, out, attributes, at))
        return false;
    if (d->scratch.err == UT_OK)
        resource.unknown = ut_buf_bytes(&d->scratch);
    ut_resource_write_tail(out, &resource);
    return true;
}

static bool decode_scope_spans(decoder *d, yyjson_val *object, const place *at,
                               ut_otlp_part *resource)
{
    yyjson_val *scope = NULL;
    yyjson_val *spans = NULL;
    ut_bytes schema_url = UT_BYTES_NONE;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "scope")) {
            scope = member;
        } else if (IS(name, "spans")) {
            spans = member;
        } else if (IS(name, "schemaUrl")) {
            if (!get_text(d, member, MEMBER(at, "schemaUrl"), &schema_url))
                return false;
        }
    }
    ut_buf *out = &d->batch->scope_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    if (!put_scope(d, out, scope, MEMBER(at, "scope"), schema_url))
        return false;
    const place *inside = MEMBER(at, "spans");
    uint32_t count;
    if (!get_objects(d, spans, inside, &count))
        return false;
    yyjson_arr_iter elements = yyjson_arr_iter_with(spans);
    yyjson_val *span;
    for (size_t i = 0; (span = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (!decode_span(d, span, ELEMENT(inside, i), resource, &here))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
    }
    ut_otlp_part_end(&here, out);
    return true;
}

static bool decode_resource_spans(decoder *d, yyjson_val *object, const place *at)
{
    yyjson_val *resource = NULL;
    yyjson_val *scope_spans = NULL;
    ut_bytes schema_url = UT_BYTES_NONE;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "resource")) {
            resource = member;
        } else if (IS(name, "scopeSpans")) {
            scope_spans = member;
        } else if (IS(name, "schemaUrl")) {
            if (!get_text(d, member, MEMBER(at, "schemaUrl"), &schema_url))
                return false;
        }
    }
    ut_buf *out = &d->batch->resource_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    if (!put_resource(d, out, resource, MEMBER(at, "resource"), schema_url))
        return false;
    const place *inside = MEMBER(at, "scopeSpans");
    uint32_t count;
    if (!get_objects(d, scope_spans, inside, &count))
        return false;
    yyjson_arr_iter elements = yyjson_arr_iter_with(scope_spans);
    yyjson_val *element;
    for (size_t i = 0; (element = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (!decode_scope_spans(d, element, ELEMENT(inside, i), &here))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
    }
    ut_otlp_part_end(&here, out);
    return true;
}

// ---- request ----

static bool decode_request(decoder *d, yyjson_val *root)
{
    if (!yyjson_is_obj(root))
        return bad_type(d, NULL, "an object with resourceSpans", root);
    yyjson_val *resource_spans = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(root);
    yyjson_val *name;
    yyjson_val *member;
    while (next_member(&members, &name, &member)) {
        if (IS(name, "resourceSpans"))
            resource_spans = member;
    }
    const place *at = MEMBER(NULL, "resourceSpans");
    uint32_t count;
    if (!get_objects(d, resource_spans, at, &count))
        return false;
    yyjson_arr_iter elements = yyjson_arr_iter_with(resource_spans);
    yyjson_val *element;
    for (size_t i = 0; (element = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (!decode_resource_spans(d, element, ELEMENT(at, i)))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
    }
    return true;
}

ut_err ut_otlp_json_decode(ut_bytes body, ut_batch *batch, ut_fault *fault)
{
    return ut_otlp_json_decode_within(body, SIZE_MAX, batch, fault);
}

ut_err ut_otlp_json_decode_within(ut_bytes body, size_t memory_max, ut_batch *batch,
                                  ut_fault *fault)
{
    ut_json json;
    ut_err err = ut_json_read_within(&json, body, memory_max, fault);
    if (err != UT_OK)
        return err;
    decoder d = {.batch = batch, .fault = fault};
    // Protobuf and bytes are shorter than their JSON.
    const size_t left = memory_max > json.used ? memory_max - json.used : 1;
    ut_buf_init(&d.scratch, body.len + 64 < left ? body.len + 64 : left);
    if (!decode_request(&d, yyjson_doc_get_root(json.doc)))
        err = UT_EFORMAT;
    else
        err = ut_batch_error(batch) != UT_OK ? ut_batch_error(batch) : d.scratch.err;
    if (err != UT_OK && err != UT_EFORMAT) // bad() has made the sentence of UT_EFORMAT
        (void)ut_otlp_batch_fault(batch, body.len, err, fault); // returns err
    ut_buf_free(&d.scratch);
    ut_json_free(&json);
    return err;
}
