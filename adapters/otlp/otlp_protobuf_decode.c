// OTLP protobuf to span records. Each message is read twice at its own level: once to find its
// fields, whose order is free on the wire, and once to write them in the order of the record;
// nothing is copied or allocated between. Not for JSON (otlp_json_decode.c), and not for what
// makes a block (storage/).
//
// Of a singular field that is repeated the last one wins. Messages that occur twice are merged, as
// protobuf says, except a value (AnyValue), whose last set variant replaces the ones before.
// Fields that are not known are kept, tag and all, at the levels that have a place for them
// (ResourceSpans, ScopeSpans, Resource, Scope, Span, Event, Link) and passed elsewhere; a known
// number with another wire type is not known.
#include "adapters/otlp/otlp.h"

#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_path.h"
#include "adapters/otlp/otlp_span.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct {
    ut_bytes body;
    ut_batch *batch;
    ut_buf scratch; // unknown fields of one message that do not stand together, joined

    // The first fault: where, and why; why is NULL when the field there does not decode at all.
    const uint8_t *bad_at;
    const uint8_t *bad_end; // of the message around it
    const char *bad_why_z;

    // Of the message that is being read, for the reason of a rejected span.
    uint32_t resource_spans_index;
    uint32_t scope_spans_index;
    uint32_t span_index;
} decoder;

// The occurrences of a repeated field, or of a message that should be there once.
typedef struct {
    const uint8_t *first; // tag of the first
    const uint8_t *end;   // behind the last
    uint32_t count;
} occurrences;

// Fields that are not known: in the body while they stand together, else in the scratch buffer.
typedef struct {
    const uint8_t *at;
    size_t len;
    size_t offset; // in scratch
    bool joined;
} unknown;

// The end of a walk. False, with the fault noted, when it ended at a field that does not decode.
static inline bool passed(decoder *d, const ut_pb_walk *walk)
{
    if (!ut_pb_failed(walk))
        return true;
    d->bad_at = walk->at;
    d->bad_end = walk->end;
    d->bad_why_z = NULL;
    return false;
}

static bool bad_value(decoder *d, const uint8_t *at, const char *why_z)
{
    d->bad_at = at;
    d->bad_end = at;
    d->bad_why_z = why_z;
    return false;
}

// Notes the field that walk has just read.
static inline void note(occurrences *seen, const ut_pb_walk *walk)
{
    if (seen->count++ == 0)
        seen->first = walk->at;
    seen->end = walk->next;
}

// Begins a second walk over fields that were noted. All of them decode, because they have been read
// before; among them stand others, which ut_pb_next_of passes.
static inline ut_pb_walk again(occurrences seen)
{
    return (ut_pb_walk){seen.first, seen.first, seen.end};
}

// Keeps the field that walk has just read.
static void keep(decoder *d, unknown *kept, const ut_pb_walk *walk)
{
    const uint8_t *at = walk->at;
    size_t len = (size_t)(walk->next - at);
    if (kept->len == 0) {
        kept->at = at;
    } else if (!kept->joined && kept->at + kept->len != at) {
        kept->offset = d->scratch.len;
        kept->joined = true;
        ut_buf_add(&d->scratch, kept->at, kept->len);
    }
    if (kept->joined)
        ut_buf_add(&d->scratch, at, len);
    kept->len += len;
}

// Valid until the next call of keep.
static ut_bytes kept_bytes(const decoder *d, const unknown *kept)
{
    if (kept->len == 0 || (kept->joined && d->scratch.err != UT_OK))
        return UT_BYTES_NONE;
    return (ut_bytes){kept->joined ? d->scratch.data + kept->offset : kept->at, kept->len};
}

// ---- attribute values ----

static bool put_key_value(decoder *d, ut_buf *out, ut_bytes pair, unsigned depth);
static bool put_value(decoder *d, ut_buf *out, ut_bytes value, unsigned depth);

// The last variant of an AnyValue that is set; tag 0: none. False on a fault.
static bool find_variant(decoder *d, ut_bytes value, ut_pb_field *variant)
{
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(value);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_ANY_STRING, UT_PB_LEN):
        case UT_PB_TAG(UT_ANY_BOOL, UT_PB_VARINT):
        case UT_PB_TAG(UT_ANY_INT, UT_PB_VARINT):
        case UT_PB_TAG(UT_ANY_DOUBLE, UT_PB_I64):
        case UT_PB_TAG(UT_ANY_ARRAY, UT_PB_LEN):
        case UT_PB_TAG(UT_ANY_KVLIST, UT_PB_LEN):
        case UT_PB_TAG(UT_ANY_BYTES, UT_PB_LEN):
            *variant = field;
            break;
        default:
            break;
        }
    }
    return passed(d, &walk);
}

// An ArrayValue or KeyValueList: both hold their elements in field 1.
static bool put_list(decoder *d, ut_buf *out, ut_bytes list, bool pairs, unsigned depth)
{
    const uint32_t values = UT_PB_TAG(UT_ARRAY_VALUES, UT_PB_LEN);
    if (depth == UT_OTLP_DEPTH_MAX)
        return bad_value(d, list.data, "values are nested deeper than 32 levels");
    ut_pb_field field;
    occurrences seen = {0};
    ut_pb_walk walk = ut_pb_walk_of(list);
    while (ut_pb_next(&walk, &field)) {
        if (field.tag == values)
            note(&seen, &walk);
    }
    if (!passed(d, &walk))
        return false;
    if (pairs)
        ut_mp_put_map(out, seen.count);
    else
        ut_mp_put_array(out, seen.count);
    walk = again(seen);
    while (ut_pb_next_of(&walk, values, &field)) {
        if (pairs ? !put_key_value(d, out, field.bytes, depth + 1)
                  : !put_value(d, out, field.bytes, depth + 1))
            return false;
    }
    return true;
}

static bool put_variant(decoder *d, ut_buf *out, const ut_pb_field *variant, unsigned depth)
{
    double number;
    switch (UT_PB_NUMBER(variant->tag)) {
    case UT_ANY_STRING:
        ut_mp_put_str(out, variant->bytes);
        return true;
    case UT_ANY_BOOL:
        ut_mp_put_bool(out, variant->value != 0);
        return true;
    case UT_ANY_INT:
        ut_mp_put_int(out, (int64_t)variant->value);
        return true;
    case UT_ANY_DOUBLE:
        memcpy(&number, &variant->value, sizeof number);
        ut_mp_put_double(out, number);
        return true;
    case UT_ANY_ARRAY:
        return put_list(d, out, variant->bytes, false, depth);
    case UT_ANY_KVLIST:
        return put_list(d, out, variant->bytes, true, depth);
    case UT_ANY_BYTES:
        ut_mp_put_bin(out, variant->bytes);
        return true;
    default:
        ut_mp_put_nil(out);
        return true;
    }
}

static bool put_value(decoder *d, ut_buf *out, ut_bytes value, unsigned depth)
{
    ut_pb_field variant = {.tag = 0};
    return find_variant(d, value, &variant) && put_variant(d, out, &variant, depth);
}

// Any KeyValue. Of several values the last variant that is set counts.
static bool put_any_key_value(decoder *d, ut_buf *out, ut_bytes pair, unsigned depth)
{
    ut_bytes key = UT_BYTES_NONE;
    ut_pb_field variant = {.tag = 0};
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(pair);
    while (ut_pb_next(&walk, &field)) {
        if (field.tag == UT_PB_TAG(UT_KEY_VALUE_KEY, UT_PB_LEN))
            key = field.bytes;
        else if (field.tag == UT_PB_TAG(UT_KEY_VALUE_VALUE, UT_PB_LEN) &&
                 !find_variant(d, field.bytes, &variant))
            return false;
    }
    if (!passed(d, &walk))
        return false;
    ut_mp_put_str(out, key);
    return put_variant(d, out, &variant, depth);
}

// Writes a KeyValue of the frequent form at once: a short key, then a value that is one short text
// or one integer, and nothing else. False when it is another; nothing has been written then.
static inline bool put_short_pair(const decoder *d, ut_buf *out, ut_bytes pair)
{
    const uint8_t *end = pair.data + pair.len;
    const uint8_t *body_end = d->body.data + d->body.len;
    const uint8_t *key = pair.data + 2;
    if (pair.len < 6 || pair.data[0] != UT_PB_TAG(UT_KEY_VALUE_KEY, UT_PB_LEN) ||
        pair.data[1] > pair.len - 6)
        return false;
    size_t key_len =
        pair.data[1]; // one byte: above 0x7f it would be longer than the pair, or fail below
    const uint8_t *at = key + key_len;
    // The value's tag and length, of one or two bytes; it ends where the pair ends.
    if (key_len >= 0x80 || *at++ != UT_PB_TAG(UT_KEY_VALUE_VALUE, UT_PB_LEN))
        return false;
    size_t len = *at++;
    if (len >= 0x80) {
        len = (len & 0x7f) | (size_t)*at << 7;
        if (*at++ >= 0x80)
            return false;
    }
    if (len < 2 || len != (size_t)(end - at))
        return false;
    uint8_t *to = ut_buf_reserve(out, pair.len + 2 * UT_COPY_STEP);
    if (to == NULL)
        return false;
    uint8_t tag = *at++;
    if (tag == UT_PB_TAG(UT_ANY_STRING, UT_PB_LEN)) {
        len = *at++;
        if (len >= 0x80) {
            if (at == end || *at > 1) // a text of 256 bytes or more, or a length that is cut
                return false;
            len = (len & 0x7f) | (size_t)*at++ << 7;
        }
        if (len != (size_t)(end - at))
            return false;
        uint8_t *behind = ut_mp_write_short_str(to, key, key_len, body_end);
        behind = ut_mp_write_short_str(behind, at, len, body_end);
        out->len += (size_t)(behind - to);
        return true;
    }
    if (tag == UT_PB_TAG(UT_ANY_INT, UT_PB_VARINT)) {
        uint64_t value;
        if (ut_pb_read_varint(at, end, &value) != end)
            return false;
        out->len += (size_t)(ut_mp_write_short_str(to, key, key_len, body_end) - to);
        ut_mp_put_int(out, (int64_t)value);
        return true;
    }
    return false;
}

static bool put_key_value(decoder *d, ut_buf *out, ut_bytes pair, unsigned depth)
{
    return put_short_pair(d, out, pair) || put_any_key_value(d, out, pair, depth);
}

// Writes the attributes among the fields of a second walk, behind the header of their map.
static bool put_pairs(decoder *d, ut_buf *out, uint32_t tag, ut_pb_walk walk)
{
    ut_pb_field field;
    while (ut_pb_next_of(&walk, tag, &field)) {
        if (!put_key_value(d, out, field.bytes, 0))
            return false;
    }
    return true;
}

static bool put_attributes(decoder *d, ut_buf *out, uint32_t tag, occurrences seen)
{
    ut_mp_put_map(out, seen.count);
    return put_pairs(d, out, tag, again(seen));
}

// ---- events and links ----

static bool put_event(decoder *d, ut_buf *out, ut_bytes message, uint64_t start_ns)
{
    const uint32_t attributes_tag = UT_PB_TAG(UT_EVENT_ATTRIBUTES, UT_PB_LEN);
    ut_event event = {0};
    occurrences attributes = {0};
    unknown kept = {0};
    size_t scratch_begin = d->scratch.len;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_EVENT_TIME, UT_PB_I64):
            event.time_ns = field.value;
            break;
        case UT_PB_TAG(UT_EVENT_NAME, UT_PB_LEN):
            event.name = field.bytes;
            break;
        case UT_PB_TAG(UT_EVENT_ATTRIBUTES, UT_PB_LEN):
            note(&attributes, &walk);
            break;
        case UT_PB_TAG(UT_EVENT_DROPPED_ATTRIBUTES, UT_PB_VARINT):
            event.dropped_attributes = (uint32_t)field.value;
            break;
        default:
            keep(d, &kept, &walk);
            break;
        }
    }
    if (!passed(d, &walk))
        return false;
    ut_event_write_head(out, start_ns, &event);
    if (!put_attributes(d, out, attributes_tag, attributes))
        return false;
    event.unknown = kept_bytes(d, &kept);
    ut_event_write_tail(out, &event);
    d->scratch.len = scratch_begin;
    return true;
}

// Writes one link. *id_len: set when an id is longer than a record holds; the span must then be
// rejected.
static bool put_link(decoder *d, ut_buf *out, ut_bytes message, size_t *id_len)
{
    const uint32_t attributes_tag = UT_PB_TAG(UT_LINK_ATTRIBUTES, UT_PB_LEN);
    ut_link link = {0};
    occurrences attributes = {0};
    unknown kept = {0};
    size_t scratch_begin = d->scratch.len;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_LINK_TRACE_ID, UT_PB_LEN):
            link.trace_id = field.bytes;
            break;
        case UT_PB_TAG(UT_LINK_SPAN_ID, UT_PB_LEN):
            link.span_id = field.bytes;
            break;
        case UT_PB_TAG(UT_LINK_TRACE_STATE, UT_PB_LEN):
            link.trace_state = field.bytes;
            break;
        case UT_PB_TAG(UT_LINK_ATTRIBUTES, UT_PB_LEN):
            note(&attributes, &walk);
            break;
        case UT_PB_TAG(UT_LINK_DROPPED_ATTRIBUTES, UT_PB_VARINT):
            link.dropped_attributes = (uint32_t)field.value;
            break;
        case UT_PB_TAG(UT_LINK_FLAGS, UT_PB_I32):
            link.flags = (uint32_t)field.value;
            break;
        default:
            keep(d, &kept, &walk);
            break;
        }
    }
    if (!passed(d, &walk))
        return false;
    if (link.trace_id.len > UT_LINK_ID_LEN_MAX || link.span_id.len > UT_LINK_ID_LEN_MAX) {
        *id_len = link.trace_id.len > link.span_id.len ? link.trace_id.len : link.span_id.len;
        link.trace_id = UT_BYTES_NONE;
        link.span_id = UT_BYTES_NONE;
    }
    ut_link_write_head(out, &link);
    if (!put_attributes(d, out, attributes_tag, attributes))
        return false;
    link.unknown = kept_bytes(d, &kept);
    ut_link_write_tail(out, &link);
    d->scratch.len = scratch_begin;
    return true;
}

static bool put_events(decoder *d, ut_buf *out, occurrences seen, uint64_t start_ns)
{
    ut_mp_put_array(out, seen.count);
    ut_pb_field field;
    ut_pb_walk walk = again(seen);
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_SPAN_EVENTS, UT_PB_LEN), &field)) {
        if (!put_event(d, out, field.bytes, start_ns))
            return false;
    }
    return true;
}

static bool put_links(decoder *d, ut_buf *out, occurrences seen, size_t *id_len)
{
    ut_mp_put_array(out, seen.count);
    ut_pb_field field;
    ut_pb_walk walk = again(seen);
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_SPAN_LINKS, UT_PB_LEN), &field)) {
        if (!put_link(d, out, field.bytes, id_len))
            return false;
    }
    return true;
}

// ---- span ----

static bool read_status(decoder *d, ut_bytes message, ut_span *span)
{
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        if (field.tag == UT_PB_TAG(UT_STATUS_CODE, UT_PB_VARINT))
            span->status_code = (int32_t)(uint32_t)field.value;
        else if (field.tag == UT_PB_TAG(UT_STATUS_MESSAGE, UT_PB_LEN))
            span->status_message = field.bytes;
    }
    return passed(d, &walk);
}

static void reject(decoder *d, ut_reject id, size_t len)
{
    static const struct {
        const char *field_z;
        size_t len;
    } ids[UT_REJECT_COUNT] = {
        [UT_REJECT_TRACE_ID] = {"trace_id", UT_TRACE_ID_LEN},
        [UT_REJECT_SPAN_ID] = {"span_id", UT_SPAN_ID_LEN},
        [UT_REJECT_PARENT_SPAN_ID] = {"parent_span_id", UT_SPAN_ID_LEN},
        [UT_REJECT_LINK_ID] = {"links: an id", UT_LINK_ID_LEN_MAX},
    };
    char place_z[96];
    (void)snprintf(place_z, sizeof place_z, // three numbers fit
                   "resource_spans[%" PRIu32 "].scope_spans[%" PRIu32 "].spans[%" PRIu32 "]",
                   d->resource_spans_index, d->scope_spans_index, d->span_index);
    ut_otlp_span_reject(d->batch, id, place_z, ids[id].field_z, len, ids[id].len, "bytes");
}

static bool ids_fit(decoder *d, ut_span *span)
{
    const size_t lens[UT_REJECT_COUNT] = {
        [UT_REJECT_TRACE_ID] = span->trace_id.len,
        [UT_REJECT_SPAN_ID] = span->span_id.len,
        [UT_REJECT_PARENT_SPAN_ID] = span->parent_span_id.len,
    };
    const ut_reject id = ut_otlp_span_check_ids(span);
    if (id != UT_REJECT_COUNT)
        reject(d, id, lens[id]);
    return id == UT_REJECT_COUNT;
}

static bool decode_span(decoder *d, ut_bytes message, ut_otlp_part *resource, ut_otlp_part *scope)
{
    ut_buf *out = &d->batch->span_bytes;
    ut_span span = {0};
    occurrences attributes = {0};
    occurrences events = {0};
    occurrences links = {0};
    unknown kept = {0};
    size_t scratch_begin = d->scratch.len;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_SPAN_TRACE_ID, UT_PB_LEN):
            span.trace_id = field.bytes;
            break;
        case UT_PB_TAG(UT_SPAN_SPAN_ID, UT_PB_LEN):
            span.span_id = field.bytes;
            break;
        case UT_PB_TAG(UT_SPAN_TRACE_STATE, UT_PB_LEN):
            span.trace_state = field.bytes;
            break;
        case UT_PB_TAG(UT_SPAN_PARENT_SPAN_ID, UT_PB_LEN):
            span.parent_span_id = field.bytes;
            break;
        case UT_PB_TAG(UT_SPAN_NAME, UT_PB_LEN):
            span.name = field.bytes;
            break;
        case UT_PB_TAG(UT_SPAN_KIND, UT_PB_VARINT):
            span.kind = (int32_t)(uint32_t)field.value;
            break;
        case UT_PB_TAG(UT_SPAN_START_TIME, UT_PB_I64):
            span.start_ns = field.value;
            break;
        case UT_PB_TAG(UT_SPAN_END_TIME, UT_PB_I64):
            span.end_ns = field.value;
            break;
        case UT_PB_TAG(UT_SPAN_ATTRIBUTES, UT_PB_LEN):
            note(&attributes, &walk);
            break;
        case UT_PB_TAG(UT_SPAN_DROPPED_ATTRIBUTES, UT_PB_VARINT):
            span.dropped_attributes = (uint32_t)field.value;
            break;
        case UT_PB_TAG(UT_SPAN_EVENTS, UT_PB_LEN):
            note(&events, &walk);
            break;
        case UT_PB_TAG(UT_SPAN_DROPPED_EVENTS, UT_PB_VARINT):
            span.dropped_events = (uint32_t)field.value;
            break;
        case UT_PB_TAG(UT_SPAN_LINKS, UT_PB_LEN):
            note(&links, &walk);
            break;
        case UT_PB_TAG(UT_SPAN_DROPPED_LINKS, UT_PB_VARINT):
            span.dropped_links = (uint32_t)field.value;
            break;
        case UT_PB_TAG(UT_SPAN_STATUS, UT_PB_LEN):
            if (!read_status(d, field.bytes, &span))
                return false;
            break;
        case UT_PB_TAG(UT_SPAN_FLAGS, UT_PB_I32):
            span.flags = (uint32_t)field.value;
            break;
        default:
            keep(d, &kept, &walk);
            break;
        }
    }
    if (!passed(d, &walk))
        return false;

    bool fit = ids_fit(d, &span);
    size_t link_id_len = 0;
    size_t begin = out->len;
    ut_span_write_head(out, &span);
    if (!put_attributes(d, out, UT_PB_TAG(UT_SPAN_ATTRIBUTES, UT_PB_LEN), attributes) ||
        !put_events(d, out, events, span.start_ns) || !put_links(d, out, links, &link_id_len))
        return false;
    span.unknown = kept_bytes(d, &kept);
    ut_span_write_rare(out, &span);
    d->scratch.len = scratch_begin;
    if (fit && link_id_len != 0) {
        reject(d, UT_REJECT_LINK_ID, link_id_len);
        fit = false;
    }
    ut_otlp_span_end(d->batch, begin, fit, resource, scope, &span);
    return true;
}

// ---- scope and resource ----

// Adds the fields of one InstrumentationScope to scope; a later one wins.
static bool read_scope(decoder *d, ut_bytes message, ut_scope *scope, uint32_t *attribute_count,
                       unknown *kept)
{
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_SCOPE_NAME, UT_PB_LEN):
            scope->name = field.bytes;
            break;
        case UT_PB_TAG(UT_SCOPE_VERSION, UT_PB_LEN):
            scope->version = field.bytes;
            break;
        case UT_PB_TAG(UT_SCOPE_ATTRIBUTES, UT_PB_LEN):
            *attribute_count += 1;
            break;
        case UT_PB_TAG(UT_SCOPE_DROPPED_ATTRIBUTES, UT_PB_VARINT):
            scope->dropped_attributes = (uint32_t)field.value;
            break;
        default:
            keep(d, kept, &walk);
            break;
        }
    }
    return passed(d, &walk);
}

static bool read_resource(decoder *d, ut_bytes message, ut_resource *resource,
                          uint32_t *attribute_count, unknown *kept)
{
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_RESOURCE_ATTRIBUTES, UT_PB_LEN):
            *attribute_count += 1;
            break;
        case UT_PB_TAG(UT_RESOURCE_DROPPED_ATTRIBUTES, UT_PB_VARINT):
            resource->dropped_attributes = (uint32_t)field.value;
            break;
        default: // entity_refs too
            keep(d, kept, &walk);
            break;
        }
    }
    return passed(d, &walk);
}

// Writes the attributes of a scope or resource that may occur several times: in each occurrence,
// the fields with the tag.
static bool put_merged_attributes(decoder *d, ut_buf *out, uint32_t message_tag,
                                  occurrences messages, uint32_t attributes_tag,
                                  uint32_t attribute_count)
{
    ut_mp_put_map(out, attribute_count);
    ut_pb_field field;
    ut_pb_walk walk = again(messages);
    while (ut_pb_next_of(&walk, message_tag, &field)) {
        if (!put_pairs(d, out, attributes_tag, ut_pb_walk_of(field.bytes)))
            return false;
    }
    return true;
}

static bool decode_scope_spans(decoder *d, ut_bytes message, ut_otlp_part *resource)
{
    const uint32_t scope_tag = UT_PB_TAG(UT_SCOPE_SPANS_SCOPE, UT_PB_LEN);
    ut_scope scope = {0};
    occurrences scopes = {0};
    occurrences spans = {0};
    unknown kept_around = {0};
    unknown kept = {0};
    size_t scratch_begin = d->scratch.len;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_SCOPE_SPANS_SCOPE, UT_PB_LEN):
            note(&scopes, &walk);
            break;
        case UT_PB_TAG(UT_SCOPE_SPANS_SPANS, UT_PB_LEN):
            note(&spans, &walk);
            break;
        case UT_PB_TAG(UT_SCOPE_SPANS_SCHEMA_URL, UT_PB_LEN):
            scope.schema_url = field.bytes;
            break;
        default:
            keep(d, &kept_around, &walk);
            break;
        }
    }
    if (!passed(d, &walk))
        return false;
    uint32_t attribute_count = 0;
    walk = again(scopes);
    while (ut_pb_next_of(&walk, scope_tag, &field)) {
        if (!read_scope(d, field.bytes, &scope, &attribute_count, &kept))
            return false;
    }

    ut_buf *out = &d->batch->scope_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    ut_scope_write_head(out, &scope);
    if (!put_merged_attributes(d, out, scope_tag, scopes, UT_PB_TAG(UT_SCOPE_ATTRIBUTES, UT_PB_LEN),
                               attribute_count))
        return false;
    scope.unknown = kept_bytes(d, &kept);
    scope.unknown_envelope = kept_bytes(d, &kept_around);
    ut_scope_write_tail(out, &scope);
    d->scratch.len = scratch_begin;

    d->span_index = 0;
    walk = again(spans);
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_SCOPE_SPANS_SPANS, UT_PB_LEN), &field)) {
        if (!decode_span(d, field.bytes, resource, &here))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
        d->span_index += 1;
    }
    ut_otlp_part_end(&here, out);
    return true;
}

static bool decode_resource_spans(decoder *d, ut_bytes message)
{
    const uint32_t resource_tag = UT_PB_TAG(UT_RESOURCE_SPANS_RESOURCE, UT_PB_LEN);
    ut_resource resource = {0};
    occurrences resources = {0};
    occurrences scope_spans = {0};
    unknown kept_around = {0};
    unknown kept = {0};
    size_t scratch_begin = d->scratch.len;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        switch (field.tag) {
        case UT_PB_TAG(UT_RESOURCE_SPANS_RESOURCE, UT_PB_LEN):
            note(&resources, &walk);
            break;
        case UT_PB_TAG(UT_RESOURCE_SPANS_SCOPE_SPANS, UT_PB_LEN):
            note(&scope_spans, &walk);
            break;
        case UT_PB_TAG(UT_RESOURCE_SPANS_SCHEMA_URL, UT_PB_LEN):
            resource.schema_url = field.bytes;
            break;
        default:
            keep(d, &kept_around, &walk);
            break;
        }
    }
    if (!passed(d, &walk))
        return false;
    uint32_t attribute_count = 0;
    walk = again(resources);
    while (ut_pb_next_of(&walk, resource_tag, &field)) {
        if (!read_resource(d, field.bytes, &resource, &attribute_count, &kept))
            return false;
    }

    ut_buf *out = &d->batch->resource_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    ut_resource_write_head(out);
    if (!put_merged_attributes(d, out, resource_tag, resources,
                               UT_PB_TAG(UT_RESOURCE_ATTRIBUTES, UT_PB_LEN), attribute_count))
        return false;
    resource.unknown = kept_bytes(d, &kept);
    resource.unknown_envelope = kept_bytes(d, &kept_around);
    ut_resource_write_tail(out, &resource);
    d->scratch.len = scratch_begin;

    d->scope_spans_index = 0;
    walk = again(scope_spans);
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_RESOURCE_SPANS_SCOPE_SPANS, UT_PB_LEN), &field)) {
        if (!decode_scope_spans(d, field.bytes, &here))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
        d->scope_spans_index += 1;
    }
    ut_otlp_part_end(&here, out);
    return true;
}

// ---- request ----

static bool decode_request(decoder *d)
{
    if (d->body.len == 0)
        return true; // there may be no pointer to count from
    ut_pb_walk walk = ut_pb_walk_of(d->body);
    ut_pb_field field;
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_REQUEST_RESOURCE_SPANS, UT_PB_LEN), &field)) {
        if (!decode_resource_spans(d, field.bytes))
            return false;
        if (ut_batch_error(d->batch) != UT_OK)
            return true;
        d->resource_spans_index += 1;
    }
    if (!passed(d, &walk))
        return false;
    if (d->resource_spans_index == 0)
        ut_batch_remark(d->batch, "found no resource_spans in %zu bytes", d->body.len);
    return true;
}

static ut_err report(const decoder *d, ut_fault *fault)
{
    char path_z[UT_OTLP_PATH_MAX];
    char reason_z[UT_PB_REASON_MAX];
    size_t offset = (size_t)(d->bad_at - d->body.data);
    ut_otlp_path(d->body, offset, path_z);
    if (d->bad_why_z != NULL)
        (void)snprintf(reason_z, sizeof reason_z, "%s", d->bad_why_z);
    else
        ut_pb_explain(d->bad_at, d->bad_end, reason_z);
    return ut_fault_set(fault, UT_EFORMAT, "%s%s%s at byte %zu", path_z,
                        path_z[0] != '\0' ? ": " : "", reason_z, offset);
}

ut_err ut_otlp_protobuf_decode(ut_bytes body, ut_batch *batch, ut_fault *fault)
{
    decoder d = {.body = body, .batch = batch};
    ut_buf_init(&d.scratch, body.len + 1); // every byte of the body stands in it at most once
    bool decoded = decode_request(&d);
    ut_err err = ut_batch_error(batch);
    if (err == UT_OK)
        err = d.scratch.err;
    if (!decoded)
        err = report(&d, fault);
    else if (err != UT_OK)
        (void)ut_otlp_batch_fault(batch, body.len, err, fault); // returns err
    ut_buf_free(&d.scratch);
    return err;
}
