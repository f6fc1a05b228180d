// OTLP JSON to span records. Most bodies are left to otlp_json_stream.c. Of one that it gives up
// yyjson makes a document within bounded memory, and each object is then read once for its members,
// whose order is free, before the record is written. Not for protobuf (otlp_protobuf_decode.c).
//
// Of a repeated member the last one that is not null counts; null is absent; members that are not
// known are ignored. An element of arrayValue that is null is an empty value. Of several variants
// in one value the last one counts.
#include "adapters/otlp/otlp.h"

#include "adapters/encoding/base64.h"
#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_json_member.h"
#include "adapters/otlp/otlp_json_stream.h"
#include "adapters/otlp/otlp_span.h"

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
    switch (ut_otlp_double(text, yyjson_is_str(value), &number)) {
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
    ut_otlp_members of = ut_otlp_members_of(pair, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_KEY)
            key = of.value;
        else if (of.name == UT_NAME_VALUE)
            value = of.value;
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
    ut_otlp_members of = ut_otlp_members_of(list, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_VALUES)
            values = of.value;
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

static bool is_variant(ut_otlp_name name)
{
    return name == UT_NAME_STRING_VALUE || name == UT_NAME_INT_VALUE ||
           name == UT_NAME_BOOL_VALUE || name == UT_NAME_DOUBLE_VALUE ||
           name == UT_NAME_ARRAY_VALUE || name == UT_NAME_KVLIST_VALUE ||
           name == UT_NAME_BYTES_VALUE;
}

// value: NULL for an empty one.
static bool put_value(decoder *d, ut_buf *out, yyjson_val *value, const ut_otlp_place *at,
                      unsigned depth)
{
    ut_otlp_name kind = UT_NAME_UNKNOWN;
    yyjson_val *inside = NULL;
    if (!ut_otlp_is_object(d->fault, value, at))
        return false;
    ut_otlp_members of = ut_otlp_members_of(value, at);
    while (ut_otlp_next_member(&of)) {
        if (is_variant(of.name)) {
            kind = of.name;
            inside = of.value;
        }
    }
    ut_bytes text = UT_BYTES_NONE;
    const ut_otlp_place *here = UT_OTLP_MEMBER(at, ut_otlp_name_texts[kind].text_z);
    switch (kind) {
    case UT_NAME_STRING_VALUE:
        if (!ut_otlp_get_text(d->fault, inside, here, &text))
            return false;
        ut_mp_put_str(out, text);
        return true;
    case UT_NAME_BOOL_VALUE:
        if (!yyjson_is_bool(inside))
            return ut_otlp_bad_type(d->fault, here, "true or false", inside);
        ut_mp_put_bool(out, yyjson_get_bool(inside));
        return true;
    case UT_NAME_INT_VALUE:
        return put_int(d, out, inside, here);
    case UT_NAME_DOUBLE_VALUE:
        return put_double(d, out, inside, here);
    case UT_NAME_ARRAY_VALUE:
    case UT_NAME_KVLIST_VALUE:
        return put_list(d, out, inside, here, kind == UT_NAME_KVLIST_VALUE, depth);
    case UT_NAME_BYTES_VALUE:
        return put_bytes(d, out, inside, here);
    default:
        ut_mp_put_nil(out);
        return true;
    }
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_TIME) {
            if (!ut_otlp_get_time(d->fault, of.value, &of.place, &event.time_ns))
                return false;
        } else if (of.name == UT_NAME_NAME) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &event.name))
                return false;
        } else if (of.name == UT_NAME_ATTRIBUTES) {
            attributes = of.value;
        } else if (of.name == UT_NAME_DROPPED_ATTRIBUTES) {
            if (!ut_otlp_get_count(d->fault, of.value, &of.place, &event.dropped_attributes))
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_TRACE_ID) {
            if (!ut_otlp_get_id(d->fault, of.value, &of.place, trace_id, sizeof trace_id,
                                &trace_id_digits))
                return false;
        } else if (of.name == UT_NAME_SPAN_ID) {
            if (!ut_otlp_get_id(d->fault, of.value, &of.place, span_id, sizeof span_id,
                                &span_id_digits))
                return false;
        } else if (of.name == UT_NAME_TRACE_STATE) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &link.trace_state))
                return false;
        } else if (of.name == UT_NAME_ATTRIBUTES) {
            attributes = of.value;
        } else if (of.name == UT_NAME_DROPPED_ATTRIBUTES) {
            if (!ut_otlp_get_count(d->fault, of.value, &of.place, &link.dropped_attributes))
                return false;
        } else if (of.name == UT_NAME_FLAGS) {
            if (!ut_otlp_get_flags(d->fault, of.value, &of.place, &link.flags))
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_CODE) {
            if (!ut_otlp_get_enum(d->fault, of.value, &of.place, &ut_otlp_status_codes,
                                  &span->status_code))
                return false;
        } else if (of.name == UT_NAME_MESSAGE) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &span->status_message))
                return false;
        }
    }
    return true;
}

static void reject(decoder *d, const ut_otlp_place *at, ut_reject id, size_t digits)
{
    static const struct {
        const char *field_z;
        size_t digits;
    } ids[UT_REJECT_COUNT] = {
        [UT_REJECT_TRACE_ID] = {"traceId", 2 * (size_t)UT_TRACE_ID_LEN},
        [UT_REJECT_SPAN_ID] = {"spanId", 2 * (size_t)UT_SPAN_ID_LEN},
        [UT_REJECT_PARENT_SPAN_ID] = {"parentSpanId", 2 * (size_t)UT_SPAN_ID_LEN},
        [UT_REJECT_LINK_ID] = {"links: an id", 2 * (size_t)UT_LINK_ID_LEN_MAX},
    };
    ut_otlp_path_text path;
    ut_otlp_place_path(at, &path);
    ut_otlp_span_reject(d->batch, id, path.text_z, ids[id].field_z, digits, ids[id].digits,
                        "digits");
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
    const size_t digits[UT_REJECT_COUNT] = {
        [UT_REJECT_TRACE_ID] = ids->trace_id_digits,
        [UT_REJECT_SPAN_ID] = ids->span_id_digits,
        [UT_REJECT_PARENT_SPAN_ID] = ids->parent_span_id_digits,
    };
    span->trace_id = id_bytes(ids->trace_id, ids->trace_id_digits);
    span->span_id = id_bytes(ids->span_id, ids->span_id_digits);
    span->parent_span_id = id_bytes(ids->parent_span_id, ids->parent_span_id_digits);
    const ut_reject found = ut_otlp_span_check_ids(span);
    if (found != UT_REJECT_COUNT)
        reject(d, at, found, digits[found]);
    return found == UT_REJECT_COUNT;
}

// The members of a span that are single values.
static bool get_span_member(decoder *d, const ut_otlp_members *of, span_ids *ids, ut_span *span)
{
    switch (of->name) {
    case UT_NAME_TRACE_ID:
        return ut_otlp_get_id(d->fault, of->value, &of->place, ids->trace_id, UT_TRACE_ID_LEN,
                              &ids->trace_id_digits);
    case UT_NAME_SPAN_ID:
        return ut_otlp_get_id(d->fault, of->value, &of->place, ids->span_id, UT_SPAN_ID_LEN,
                              &ids->span_id_digits);
    case UT_NAME_PARENT_SPAN_ID:
        return ut_otlp_get_id(d->fault, of->value, &of->place, ids->parent_span_id, UT_SPAN_ID_LEN,
                              &ids->parent_span_id_digits);
    case UT_NAME_NAME:
        return ut_otlp_get_text(d->fault, of->value, &of->place, &span->name);
    case UT_NAME_KIND:
        return ut_otlp_get_enum(d->fault, of->value, &of->place, &ut_otlp_span_kinds, &span->kind);
    case UT_NAME_START_TIME:
        return ut_otlp_get_time(d->fault, of->value, &of->place, &span->start_ns);
    case UT_NAME_END_TIME:
        return ut_otlp_get_time(d->fault, of->value, &of->place, &span->end_ns);
    case UT_NAME_STATUS:
        return get_status(d, of->value, &of->place, span);
    case UT_NAME_FLAGS:
        return ut_otlp_get_flags(d->fault, of->value, &of->place, &span->flags);
    case UT_NAME_TRACE_STATE:
        return ut_otlp_get_text(d->fault, of->value, &of->place, &span->trace_state);
    case UT_NAME_DROPPED_ATTRIBUTES:
        return ut_otlp_get_count(d->fault, of->value, &of->place, &span->dropped_attributes);
    case UT_NAME_DROPPED_EVENTS:
        return ut_otlp_get_count(d->fault, of->value, &of->place, &span->dropped_events);
    case UT_NAME_DROPPED_LINKS:
        return ut_otlp_get_count(d->fault, of->value, &of->place, &span->dropped_links);
    default:
        return true; // not known
    }
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_ATTRIBUTES)
            attributes = of.value;
        else if (of.name == UT_NAME_EVENTS)
            events = of.value;
        else if (of.name == UT_NAME_LINKS)
            links = of.value;
        else if (!get_span_member(d, &of, &ids, &span))
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
        reject(d, at, UT_REJECT_LINK_ID, bad_link_digits);
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_NAME) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &scope.name))
                return false;
        } else if (of.name == UT_NAME_VERSION) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &scope.version))
                return false;
        } else if (of.name == UT_NAME_ATTRIBUTES) {
            attributes = of.value;
        } else if (of.name == UT_NAME_DROPPED_ATTRIBUTES) {
            if (!ut_otlp_get_count(d->fault, of.value, &of.place, &scope.dropped_attributes))
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_SCHEMA_URL) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &schema_url))
                return false;
        } else if (of.name == UT_NAME_TYPE) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &type))
                return false;
        } else if (of.name == UT_NAME_ID_KEYS) {
            id_keys = of.value;
        } else if (of.name == UT_NAME_DESCRIPTION_KEYS) {
            description_keys = of.value;
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_ATTRIBUTES) {
            attributes = of.value;
        } else if (of.name == UT_NAME_DROPPED_ATTRIBUTES) {
            if (!ut_otlp_get_count(d->fault, of.value, &of.place, &resource.dropped_attributes))
                return false;
        } else if (of.name == UT_NAME_ENTITY_REFS) {
            entity_refs = of.value;
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_SCOPE) {
            scope = of.value;
        } else if (of.name == UT_NAME_SPANS) {
            spans = of.value;
        } else if (of.name == UT_NAME_SCHEMA_URL) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &schema_url))
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
    ut_otlp_members of = ut_otlp_members_of(object, at);
    while (ut_otlp_next_member(&of)) {
        if (of.name == UT_NAME_RESOURCE) {
            resource = of.value;
        } else if (of.name == UT_NAME_SCOPE_SPANS) {
            scope_spans = of.value;
        } else if (of.name == UT_NAME_SCHEMA_URL) {
            if (!ut_otlp_get_text(d->fault, of.value, &of.place, &schema_url))
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

// Tells the sender of an object without resourceSpans what it holds instead. The request is a
// success all the same, as unknown members are ignored.
static void remark_no_spans(decoder *d, yyjson_val *root)
{
    static const struct {
        const char *name_z;
        const char *what_z;
    } known[] = {
        {"resourceLogs", "; those are logs, and only traces are taken here"},
        {"resourceMetrics", "; those are metrics, and only traces are taken here"},
        {"resourceProfiles", "; those are profiles, and only traces are taken here"},
        {"resource_spans", "; names are written in lowerCamelCase"},
        {"batches", "; that is a trace as a backend shows it"},
    };
    enum { SHOWN_MAX = 40 };
    yyjson_obj_iter members = yyjson_obj_iter_with(root);
    yyjson_val *name = yyjson_obj_iter_next(&members);
    if (name == NULL)
        return; // an empty request
    const char *what_z = "";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (yyjson_equals_str(name, known[i].name_z))
            what_z = known[i].what_z;
    }
    char shown_z[SHOWN_MAX + 1];
    const ut_bytes text = ut_otlp_text_of(name);
    const size_t len = text.len < SHOWN_MAX ? text.len : SHOWN_MAX;
    for (size_t i = 0; i < len; i++)
        shown_z[i] = text.data[i] < 0x20 || text.data[i] > 0x7e ? '?' : (char)text.data[i];
    shown_z[len] = '\0';
    ut_batch_remark(d->batch, "found no resourceSpans, but \"%s\"%s", shown_z, what_z);
}

static bool decode_request(decoder *d, yyjson_val *root)
{
    if (!yyjson_is_obj(root))
        return ut_otlp_bad_type(d->fault, NULL, "an object with resourceSpans", root);
    bool found = false;
    yyjson_val *resource_spans = NULL;
    yyjson_obj_iter names = yyjson_obj_iter_with(root);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&names)) != NULL;) {
        if (ut_otlp_name_of(ut_otlp_text_of(name)) != UT_NAME_RESOURCE_SPANS)
            continue;
        found = true;
        if (!yyjson_is_null(yyjson_obj_iter_get_val(name)))
            resource_spans = yyjson_obj_iter_get_val(name);
    }
    if (!found)
        remark_no_spans(d, root);
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

ut_err ut_otlp_json_document(ut_bytes body, size_t memory_max, ut_batch *batch, ut_fault *fault)
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

ut_err ut_otlp_json_decode(ut_bytes body, ut_batch *batch, ut_fault *fault)
{
    return ut_otlp_json_decode_within(body, SIZE_MAX, batch, fault);
}

ut_err ut_otlp_json_decode_within(ut_bytes body, size_t memory_max, ut_batch *batch,
                                  ut_fault *fault)
{
    // A byte order mark may be passed (RFC 8259, section 8.1).
    if (body.len >= 3 && memcmp(body.data, "\xef\xbb\xbf", 3) == 0)
        body = ut_bytes_of(body.data + 3, body.len - 3);
    if (ut_otlp_json_stream(body, memory_max, batch))
        return UT_OK;
    ut_batch_reset(batch, SIZE_MAX);
    return ut_otlp_json_document(body, memory_max, batch, fault);
}
