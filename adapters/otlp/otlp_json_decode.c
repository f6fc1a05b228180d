// OTLP JSON to span records: yyjson makes a document within bounded memory, and each object is then
// read once for its members, whose order is free, before the record is written. Not for protobuf
// (otlp_protobuf_decode.c).
//
// Of a repeated member the last one that is not null counts; null is absent; members that are not
// known are ignored. An element of arrayValue that is null is an empty value. Of several variants
// in one value the last one counts.
#include "adapters/otlp/otlp.h"

#include "adapters/encoding/base64.h"
#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_json_member.h"
#include "adapters/otlp/otlp_span.h"

#include <math.h>

typedef struct {
    ut_batch *batch;
    ut_fault *fault;
    ut_buf scratch; // entityRefs as protobuf; behind them, the bytes of one bytesValue
} decoder;

// ---- attribute values ----

static bool put_value(decoder *d, ut_buf *out, yyjson_val *value, const ut_otlp_place *at,
                      unsigned depth);

static bool put_bytes(decoder *d, ut_buf *out, yyjson_val *value, const ut_otlp_place *at)
{
    ut_bytes text = UT_BYTES_NONE;
    if (!ut_otlp_get_text(d->fault, value, at, &text))
        return false;
    uint8_t *bytes = ut_buf_reserve(&d->scratch, ut_base64_decoded_max(text.len));
    if (bytes == NULL)
        return true; // the error is sticky
    size_t len;
    if (!ut_base64_decode(text, bytes, &len))
        return ut_otlp_bad(d->fault, at, "expected base64");
    ut_mp_put_bin(out, ut_bytes_of(bytes, len));
    return true;
}

static bool put_int(decoder *d, ut_buf *out, yyjson_val *value, const ut_otlp_place *at)
{
    uint64_t bits = 0;
    if (!ut_otlp_get_integer(d->fault, value, at, INT64_MIN, INT64_MAX, true, &bits))
        return false;
    ut_mp_put_int(out, (int64_t)bits);
    return true;
}

static bool put_double(decoder *d, ut_buf *out, yyjson_val *value, const ut_otlp_place *at)
{
    double number;
    ut_bytes text;
    if (yyjson_is_raw(value))
        text = ut_bytes_of(yyjson_get_raw(value), yyjson_get_len(value));
    else if (yyjson_is_str(value))
        text = ut_otlp_text_of(value);
    else
        return ut_otlp_bad_type(d->fault, at, "a number, or a string of one", value);
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
            return ut_otlp_bad(d->fault, at, "expected a number that fits 64-bit floating point");
        case UT_JSON_NUMBER_MALFORMED:
            return ut_otlp_bad(d->fault, at,
                               "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
        }
    ut_mp_put_double(out, number);
    return true;
}

// A KeyValue, which is an object.
static bool put_key_value(decoder *d, ut_buf *out, yyjson_val *pair, const ut_otlp_place *at,
                          unsigned depth)
{
    yyjson_val *key = NULL;
    yyjson_val *value = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(pair);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "key"))
            key = member;
        else if (UT_OTLP_IS(name, "value"))
            value = member;
    }
    ut_bytes text = UT_BYTES_NONE;
    if (!ut_otlp_get_text(d->fault, key, UT_OTLP_MEMBER(at, "key"), &text))
        return false;
    ut_mp_put_str(out, text);
    return put_value(d, out, value, UT_OTLP_MEMBER(at, "value"), depth);
}

// {"values": [...]} of an array or a list of pairs.
static bool put_list(decoder *d, ut_buf *out, yyjson_val *list, const ut_otlp_place *at, bool pairs,
                     unsigned depth)
{
    if (depth == UT_OTLP_DEPTH_MAX)
        return ut_otlp_bad(d->fault, at, "values are nested deeper than 32 levels");
    if (!ut_otlp_is_object(d->fault, list, at))
        return false;
    yyjson_val *values = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(list);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "values"))
            values = member;
    }
    const ut_otlp_place *inside = UT_OTLP_MEMBER(at, "values");
    uint32_t count = 0;
    if (pairs ? !ut_otlp_get_objects(d->fault, values, inside, &count)
              : values != NULL && !yyjson_is_arr(values) &&
                    !ut_otlp_bad_type(d->fault, inside, "an array", values))
        return false;
    if (pairs)
        ut_mp_put_map(out, count);
    else
        ut_mp_put_array(out, (uint32_t)yyjson_arr_size(values));
    yyjson_arr_iter elements = yyjson_arr_iter_with(values);
    yyjson_val *element;
    for (size_t i = 0; (element = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (pairs ? !put_key_value(d, out, element, UT_OTLP_ELEMENT(inside, i), depth + 1)
                  : !put_value(d, out, yyjson_is_null(element) ? NULL : element,
                               UT_OTLP_ELEMENT(inside, i), depth + 1))
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
    if (UT_OTLP_IS(name, "stringValue"))
        return STRING;
    if (UT_OTLP_IS(name, "intValue"))
        return INT;
    if (UT_OTLP_IS(name, "boolValue"))
        return BOOL;
    if (UT_OTLP_IS(name, "doubleValue"))
        return DOUBLE;
    if (UT_OTLP_IS(name, "arrayValue"))
        return ARRAY;
    if (UT_OTLP_IS(name, "kvlistValue"))
        return KVLIST;
    if (UT_OTLP_IS(name, "bytesValue"))
        return BYTES;
    return NO_VARIANT;
}

// value: NULL for an empty one.
static bool put_value(decoder *d, ut_buf *out, yyjson_val *value, const ut_otlp_place *at,
                      unsigned depth)
{
    variant kind = NO_VARIANT;
    yyjson_val *inside = NULL;
    if (!ut_otlp_is_object(d->fault, value, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(value);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        variant found = variant_of(name);
        if (found != NO_VARIANT) {
            kind = found;
            inside = member;
        }
    }
    ut_bytes text = UT_BYTES_NONE;
    const ut_otlp_place *here = UT_OTLP_MEMBER(at, variant_names_z[kind]);
    switch (kind) {
    case NO_VARIANT:
        ut_mp_put_nil(out);
        return true;
    case STRING:
        if (!ut_otlp_get_text(d->fault, inside, here, &text))
            return false;
        ut_mp_put_str(out, text);
        return true;
    case BOOL:
        if (!yyjson_is_bool(inside))
            return ut_otlp_bad_type(d->fault, here, "true or false", inside);
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

static bool put_attributes(decoder *d, ut_buf *out, yyjson_val *array, const ut_otlp_place *around)
{
    const ut_otlp_place *at = UT_OTLP_MEMBER(around, "attributes");
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, array, at, &count))
        return false;
    ut_mp_put_map(out, count);
    yyjson_arr_iter pairs = yyjson_arr_iter_with(array);
    yyjson_val *pair;
    for (size_t i = 0; (pair = yyjson_arr_iter_next(&pairs)) != NULL; i++) {
        if (!put_key_value(d, out, pair, UT_OTLP_ELEMENT(at, i), 0))
            return false;
    }
    return true;
}

// ---- events and links ----

static bool put_event(decoder *d, ut_buf *out, yyjson_val *object, const ut_otlp_place *at,
                      uint64_t start_ns)
{
    ut_event event = {0};
    yyjson_val *attributes = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "timeUnixNano")) {
            if (!ut_otlp_get_time(d->fault, member, UT_OTLP_MEMBER(at, "timeUnixNano"),
                                  &event.time_ns))
                return false;
        } else if (UT_OTLP_IS(name, "name")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "name"), &event.name))
                return false;
        } else if (UT_OTLP_IS(name, "attributes")) {
            attributes = member;
        } else if (UT_OTLP_IS(name, "droppedAttributesCount")) {
            if (!ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedAttributesCount"),
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
static bool put_link(decoder *d, ut_buf *out, yyjson_val *object, const ut_otlp_place *at,
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
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "traceId")) {
            if (!ut_otlp_get_id(d->fault, member, UT_OTLP_MEMBER(at, "traceId"), trace_id,
                                sizeof trace_id, &trace_id_digits))
                return false;
        } else if (UT_OTLP_IS(name, "spanId")) {
            if (!ut_otlp_get_id(d->fault, member, UT_OTLP_MEMBER(at, "spanId"), span_id,
                                sizeof span_id, &span_id_digits))
                return false;
        } else if (UT_OTLP_IS(name, "traceState")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "traceState"),
                                  &link.trace_state))
                return false;
        } else if (UT_OTLP_IS(name, "attributes")) {
            attributes = member;
        } else if (UT_OTLP_IS(name, "droppedAttributesCount")) {
            if (!ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedAttributesCount"),
                                 &link.dropped_attributes))
                return false;
        } else if (UT_OTLP_IS(name, "flags")) {
            if (!ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "flags"), &link.flags))
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

static bool put_events(decoder *d, ut_buf *out, yyjson_val *array, const ut_otlp_place *around,
                       uint64_t start_ns)
{
    const ut_otlp_place *at = UT_OTLP_MEMBER(around, "events");
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, array, at, &count))
        return false;
    ut_mp_put_array(out, count);
    yyjson_arr_iter events = yyjson_arr_iter_with(array);
    yyjson_val *event;
    for (size_t i = 0; (event = yyjson_arr_iter_next(&events)) != NULL; i++) {
        if (!put_event(d, out, event, UT_OTLP_ELEMENT(at, i), start_ns))
            return false;
    }
    return true;
}

static bool put_links(decoder *d, ut_buf *out, yyjson_val *array, const ut_otlp_place *around,
                      size_t *bad_digits)
{
    const ut_otlp_place *at = UT_OTLP_MEMBER(around, "links");
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, array, at, &count))
        return false;
    ut_mp_put_array(out, count);
    yyjson_arr_iter links = yyjson_arr_iter_with(array);
    yyjson_val *link;
    for (size_t i = 0; (link = yyjson_arr_iter_next(&links)) != NULL; i++) {
        if (!put_link(d, out, link, UT_OTLP_ELEMENT(at, i), bad_digits))
            return false;
    }
    return true;
}

// ---- span ----

static bool get_status(decoder *d, yyjson_val *object, const ut_otlp_place *at, ut_span *span)
{
    if (!ut_otlp_is_object(d->fault, object, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "code")) {
            if (!ut_otlp_get_enum(d->fault, member, UT_OTLP_MEMBER(at, "code"), &span->status_code))
                return false;
        } else if (UT_OTLP_IS(name, "message")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "message"),
                                  &span->status_message))
                return false;
        }
    }
    return true;
}

static void reject(decoder *d, const ut_otlp_place *at, const char *field_z, const char *what_z,
                   size_t digits)
{
    ut_otlp_path_text path;
    ut_otlp_place_path(at, &path);
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

// An id of `digits` digits as bytes. ut_otlp_get_id has stored nothing of an odd number of digits,
// or of too many; the length is then one that no id has.
static ut_bytes id_bytes(const uint8_t *id, size_t digits)
{
    return digits % 2 == 0 ? ut_bytes_of(id, digits / 2) : ut_bytes_of(id, SIZE_MAX);
}

static bool ids_fit(decoder *d, const span_ids *ids, const ut_otlp_place *at, ut_span *span)
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
static bool get_span_member(decoder *d, yyjson_val *name, yyjson_val *member,
                            const ut_otlp_place *at, span_ids *ids, ut_span *span)
{
    if (UT_OTLP_IS(name, "traceId"))
        return ut_otlp_get_id(d->fault, member, UT_OTLP_MEMBER(at, "traceId"), ids->trace_id,
                              UT_TRACE_ID_LEN, &ids->trace_id_digits);
    if (UT_OTLP_IS(name, "spanId"))
        return ut_otlp_get_id(d->fault, member, UT_OTLP_MEMBER(at, "spanId"), ids->span_id,
                              UT_SPAN_ID_LEN, &ids->span_id_digits);
    if (UT_OTLP_IS(name, "parentSpanId"))
        return ut_otlp_get_id(d->fault, member, UT_OTLP_MEMBER(at, "parentSpanId"),
                              ids->parent_span_id, UT_SPAN_ID_LEN, &ids->parent_span_id_digits);
    if (UT_OTLP_IS(name, "name"))
        return ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "name"), &span->name);
    if (UT_OTLP_IS(name, "kind"))
        return ut_otlp_get_enum(d->fault, member, UT_OTLP_MEMBER(at, "kind"), &span->kind);
    if (UT_OTLP_IS(name, "startTimeUnixNano"))
        return ut_otlp_get_time(d->fault, member, UT_OTLP_MEMBER(at, "startTimeUnixNano"),
                                &span->start_ns);
    if (UT_OTLP_IS(name, "endTimeUnixNano"))
        return ut_otlp_get_time(d->fault, member, UT_OTLP_MEMBER(at, "endTimeUnixNano"),
                                &span->end_ns);
    if (UT_OTLP_IS(name, "status"))
        return get_status(d, member, UT_OTLP_MEMBER(at, "status"), span);
    if (UT_OTLP_IS(name, "flags"))
        return ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "flags"), &span->flags);
    if (UT_OTLP_IS(name, "traceState"))
        return ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "traceState"),
                                &span->trace_state);
    if (UT_OTLP_IS(name, "droppedAttributesCount"))
        return ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedAttributesCount"),
                               &span->dropped_attributes);
    if (UT_OTLP_IS(name, "droppedEventsCount"))
        return ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedEventsCount"),
                               &span->dropped_events);
    if (UT_OTLP_IS(name, "droppedLinksCount"))
        return ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedLinksCount"),
                               &span->dropped_links);
    return true; // not known
}

static bool decode_span(decoder *d, yyjson_val *object, const ut_otlp_place *at,
                        ut_otlp_part *resource, ut_otlp_part *scope)
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
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "attributes"))
            attributes = member;
        else if (UT_OTLP_IS(name, "events"))
            events = member;
        else if (UT_OTLP_IS(name, "links"))
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

static bool put_scope(decoder *d, ut_buf *out, yyjson_val *object, const ut_otlp_place *at,
                      ut_bytes schema_url)
{
    ut_scope scope = {.schema_url = schema_url};
    yyjson_val *attributes = NULL;
    if (!ut_otlp_is_object(d->fault, object, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "name")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "name"), &scope.name))
                return false;
        } else if (UT_OTLP_IS(name, "version")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "version"), &scope.version))
                return false;
        } else if (UT_OTLP_IS(name, "attributes")) {
            attributes = member;
        } else if (UT_OTLP_IS(name, "droppedAttributesCount")) {
            if (!ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedAttributesCount"),
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

static bool put_texts(decoder *d, ut_buf *out, uint32_t number, yyjson_val *array,
                      const ut_otlp_place *at)
{
    if (!yyjson_is_arr(array))
        return ut_otlp_bad_type(d->fault, at, "an array", array);
    yyjson_arr_iter texts = yyjson_arr_iter_with(array);
    yyjson_val *text;
    for (size_t i = 0; (text = yyjson_arr_iter_next(&texts)) != NULL; i++) {
        if (!yyjson_is_str(text))
            return ut_otlp_bad_type(d->fault, UT_OTLP_ELEMENT(at, i), "a string", text);
        ut_pb_put_bytes(out, number, ut_otlp_text_of(text));
    }
    return true;
}

// Writes an EntityRef as the protobuf field of Resource that it is: the record keeps it among the
// fields that are not known.
static bool put_entity_ref(decoder *d, ut_buf *out, yyjson_val *object, const ut_otlp_place *at)
{
    yyjson_val *id_keys = NULL;
    yyjson_val *description_keys = NULL;
    ut_bytes schema_url = UT_BYTES_NONE;
    ut_bytes type = UT_BYTES_NONE;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "schemaUrl")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "schemaUrl"), &schema_url))
                return false;
        } else if (UT_OTLP_IS(name, "type")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "type"), &type))
                return false;
        } else if (UT_OTLP_IS(name, "idKeys")) {
            id_keys = member;
        } else if (UT_OTLP_IS(name, "descriptionKeys")) {
            description_keys = member;
        }
    }
    ut_pb_slot slot = ut_pb_open(out, UT_RESOURCE_ENTITY_REFS, type.len + schema_url.len);
    if (schema_url.len > 0)
        ut_pb_put_bytes(out, UT_ENTITY_REF_SCHEMA_URL, schema_url);
    if (type.len > 0)
        ut_pb_put_bytes(out, UT_ENTITY_REF_TYPE, type);
    if (id_keys != NULL &&
        !put_texts(d, out, UT_ENTITY_REF_ID_KEYS, id_keys, UT_OTLP_MEMBER(at, "idKeys")))
        return false;
    if (description_keys != NULL &&
        !put_texts(d, out, UT_ENTITY_REF_DESCRIPTION_KEYS, description_keys,
                   UT_OTLP_MEMBER(at, "descriptionKeys")))
        return false;
    ut_pb_close(out, slot);
    return true;
}

static bool put_entity_refs(decoder *d, ut_buf *out, yyjson_val *array, const ut_otlp_place *at)
{
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, array, at, &count))
        return false;
    yyjson_arr_iter refs = yyjson_arr_iter_with(array);
    yyjson_val *ref;
    for (size_t i = 0; (ref = yyjson_arr_iter_next(&refs)) != NULL; i++) {
        if (!put_entity_ref(d, out, ref, UT_OTLP_ELEMENT(at, i)))
            return false;
    }
    return true;
}

static bool put_resource(decoder *d, ut_buf *out, yyjson_val *object, const ut_otlp_place *at,
                         ut_bytes schema_url)
{
    ut_resource resource = {.schema_url = schema_url};
    yyjson_val *attributes = NULL;
    yyjson_val *entity_refs = NULL;
    if (!ut_otlp_is_object(d->fault, object, at))
        return false;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "attributes")) {
            attributes = member;
        } else if (UT_OTLP_IS(name, "droppedAttributesCount")) {
            if (!ut_otlp_get_u32(d->fault, member, UT_OTLP_MEMBER(at, "droppedAttributesCount"),
                                 &resource.dropped_attributes))
                return false;
        } else if (UT_OTLP_IS(name, "entityRefs")) {
            entity_refs = member;
        }
    }
    ut_buf_reset(&d->scratch, SIZE_MAX);
    if (!put_entity_refs(d, &d->scratch, entity_refs, UT_OTLP_MEMBER(at, "entityRefs")))
        return false;
    ut_resource_write_head(out);
    if (!put_attributes(d, out, attributes, at))
        return false;
    if (d->scratch.err == UT_OK)
        resource.unknown = ut_buf_bytes(&d->scratch);
    ut_resource_write_tail(out, &resource);
    return true;
}

static bool decode_scope_spans(decoder *d, yyjson_val *object, const ut_otlp_place *at,
                               ut_otlp_part *resource)
{
    yyjson_val *scope = NULL;
    yyjson_val *spans = NULL;
    ut_bytes schema_url = UT_BYTES_NONE;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "scope")) {
            scope = member;
        } else if (UT_OTLP_IS(name, "spans")) {
            spans = member;
        } else if (UT_OTLP_IS(name, "schemaUrl")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "schemaUrl"), &schema_url))
                return false;
        }
    }
    ut_buf *out = &d->batch->scope_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    if (!put_scope(d, out, scope, UT_OTLP_MEMBER(at, "scope"), schema_url))
        return false;
    const ut_otlp_place *inside = UT_OTLP_MEMBER(at, "spans");
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, spans, inside, &count))
        return false;
    yyjson_arr_iter elements = yyjson_arr_iter_with(spans);
    yyjson_val *span;
    for (size_t i = 0; (span = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (!decode_span(d, span, UT_OTLP_ELEMENT(inside, i), resource, &here))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
    }
    ut_otlp_part_end(&here, out);
    return true;
}

static bool decode_resource_spans(decoder *d, yyjson_val *object, const ut_otlp_place *at)
{
    yyjson_val *resource = NULL;
    yyjson_val *scope_spans = NULL;
    ut_bytes schema_url = UT_BYTES_NONE;
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "resource")) {
            resource = member;
        } else if (UT_OTLP_IS(name, "scopeSpans")) {
            scope_spans = member;
        } else if (UT_OTLP_IS(name, "schemaUrl")) {
            if (!ut_otlp_get_text(d->fault, member, UT_OTLP_MEMBER(at, "schemaUrl"), &schema_url))
                return false;
        }
    }
    ut_buf *out = &d->batch->resource_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    if (!put_resource(d, out, resource, UT_OTLP_MEMBER(at, "resource"), schema_url))
        return false;
    const ut_otlp_place *inside = UT_OTLP_MEMBER(at, "scopeSpans");
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, scope_spans, inside, &count))
        return false;
    yyjson_arr_iter elements = yyjson_arr_iter_with(scope_spans);
    yyjson_val *element;
    for (size_t i = 0; (element = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (!decode_scope_spans(d, element, UT_OTLP_ELEMENT(inside, i), &here))
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
        return ut_otlp_bad_type(d->fault, NULL, "an object with resourceSpans", root);
    yyjson_val *resource_spans = NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(root);
    yyjson_val *name;
    yyjson_val *member;
    while (ut_otlp_next_member(&members, &name, &member)) {
        if (UT_OTLP_IS(name, "resourceSpans"))
            resource_spans = member;
    }
    const ut_otlp_place *at = UT_OTLP_MEMBER(NULL, "resourceSpans");
    uint32_t count;
    if (!ut_otlp_get_objects(d->fault, resource_spans, at, &count))
        return false;
    yyjson_arr_iter elements = yyjson_arr_iter_with(resource_spans);
    yyjson_val *element;
    for (size_t i = 0; (element = yyjson_arr_iter_next(&elements)) != NULL; i++) {
        if (!decode_resource_spans(d, element, UT_OTLP_ELEMENT(at, i)))
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
