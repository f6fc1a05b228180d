// Span records to OTLP protobuf, canonical: fields in ascending order, shortest varints, defaults
// left out, fields that are not known to us behind the rest. Not for JSON (otlp_json_encode.c).
#include "adapters/otlp/otlp.h"

#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_walk.h"
#include "adapters/encoding/protobuf.h"
#include "port/base/utf8.h"

// Bytes by which the messages around a name or a list are longer than it; only a guess, for slots.
enum { AROUND = 64 };

// ---- attribute values ----

static bool put_any_fields(ut_buf *out, ut_mp_reader *reader, unsigned depth);

static void put_optional_bytes(ut_buf *out, uint32_t number, ut_bytes bytes)
{
    if (bytes.len > 0)
        ut_pb_put_bytes(out, number, bytes);
}

static void put_optional_text(ut_buf *out, uint32_t number, ut_bytes text)
{
    if (text.len > 0)
        ut_pb_put_text(out, number, text);
}

static void put_optional_varint(ut_buf *out, uint32_t number, uint64_t value)
{
    if (value != 0)
        ut_pb_put_varint(out, number, value);
}

static void put_optional_i64(ut_buf *out, uint32_t number, uint64_t value)
{
    if (value != 0)
        ut_pb_put_i64(out, number, value);
}

static void put_optional_i32(ut_buf *out, uint32_t number, uint32_t value)
{
    if (value != 0)
        ut_pb_put_i32(out, number, value);
}

// An AnyValue of one text or number in one of the frequent, short forms.
typedef struct {
    uint8_t tag; // of its one field
    uint64_t number;
    ut_bytes text; // empty for a number
    size_t len;    // of its fields
} short_value;

// Takes the value that comes next. False when it has another form; the reader is then where it was.
static inline bool take_short_value(ut_mp_reader *reader, short_value *value)
{
    const uint8_t *at = reader->at;
    size_t left = (size_t)(reader->end - at);
    if (left < 5) // the longest head below
        return false;
    size_t head = 1;
    if ((*at & 0xe0) == 0xa0 || *at == 0xd9) {
        size_t len = *at & 0x1fu;
        if (*at == 0xd9) {
            head = 2;
            len = at[1];
        }
        if (left < head + len)
            return false;
        value->tag = UT_PB_TAG(UT_ANY_STRING, UT_PB_LEN);
        value->number = 0;
        value->text = (ut_bytes){at + head, len};
        value->len = 1 + ut_pb_varint_len(len) + len;
        reader->at = at + head + len;
        return true;
    }
    switch (*at) {
    case 0xcc:
        value->number = at[1];
        head = 2;
        break;
    case 0xcd:
        value->number = (uint64_t)at[1] << 8 | at[2];
        head = 3;
        break;
    case 0xce:
        value->number = ut_get_be32(at + 1);
        head = 5;
        break;
    default:
        if (*at >= 0x80)
            return false;
        value->number = *at;
        break;
    }
    value->tag = UT_PB_TAG(UT_ANY_INT, UT_PB_VARINT);
    value->text = UT_BYTES_NONE;
    value->len = 1 + ut_pb_varint_len(value->number);
    reader->at = at + head;
    return true;
}

// Whether the text is UTF-8. Nearly all is ASCII, which is seen at a glance.
static inline bool is_text(const uint8_t *at, size_t len)
{
    uint64_t all = 0;
    uint64_t eight = 0;
    size_t done = 0;
    for (; done + 8 <= len; done += 8) {
        memcpy(&eight, at + done, 8);
        all |= eight;
    }
    if (done > 0 && done < len) {
        memcpy(&eight, at + len - 8, 8);
        all |= eight;
        done = len;
    }
    for (; done < len; done++)
        all |= at[done];
    return (all & UINT64_C(0x8080808080808080)) == 0 || ut_utf8_valid(ut_bytes_of(at, len));
}

// Writes a KeyValue of a short key and a short value at once, without slots. number: below 16, so
// that its tag is one byte. False when it is another, or not all of its text is UTF-8; nothing has
// been written then.
static inline bool put_short_pair(ut_buf *out, uint32_t number, ut_mp_reader *reader)
{
    ut_mp_reader ahead = *reader;
    size_t left = (size_t)(ahead.end - ahead.at);
    short_value value;
    if (left < 2 || (*ahead.at & 0xe0) != 0xa0)
        return false;
    size_t key_len = *ahead.at & 0x1fu;
    const uint8_t *key = ahead.at + 1;
    if (key_len == 0 || left < 1 + key_len)
        return false;
    ahead.at += 1 + key_len;
    if (!take_short_value(&ahead, &value) || !is_text(key, key_len) ||
        !is_text(value.text.data, value.text.len))
        return false;
    size_t len = 2 + key_len + 1 + ut_pb_varint_len(value.len) + value.len;
    uint8_t *at = ut_buf_reserve(out, len + 2 * UT_PB_VARINT_LEN_MAX + UT_COPY_STEP);
    if (at == NULL)
        return false;
    uint8_t *begin = at;
    *at++ = (uint8_t)UT_PB_TAG(number, UT_PB_LEN);
    at = ut_pb_write_varint(at, len);
    *at++ = UT_PB_TAG(UT_KEY_VALUE_KEY, UT_PB_LEN);
    *at++ = (uint8_t)key_len;
    ut_copy_steps(at, key, key_len, ahead.end);
    at += key_len;
    *at++ = UT_PB_TAG(UT_KEY_VALUE_VALUE, UT_PB_LEN);
    at = ut_pb_write_varint(at, value.len);
    *at++ = value.tag;
    if (value.tag == UT_PB_TAG(UT_ANY_STRING, UT_PB_LEN)) {
        at = ut_pb_write_varint(at, value.text.len);
        ut_copy_steps(at, value.text.data, value.text.len, ahead.end);
        at += value.text.len;
    } else {
        at = ut_pb_write_varint(at, value.number);
    }
    out->len += (size_t)(at - begin);
    *reader = ahead;
    return true;
}

// A KeyValue, whose key and value come next.
static bool put_key_value(ut_buf *out, uint32_t number, ut_mp_reader *reader, unsigned depth)
{
    if (put_short_pair(out, number, reader))
        return true;
    ut_bytes key = ut_mp_get_str(reader);
    ut_pb_slot pair = ut_pb_open(out, number, key.len + AROUND);
    put_optional_text(out, UT_KEY_VALUE_KEY, key);
    ut_pb_slot any = ut_pb_open(out, UT_KEY_VALUE_VALUE, 0);
    bool fine = put_any_fields(out, reader, depth);
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
    return fine;
}

// The fields of an ArrayValue or KeyValueList.
static bool put_list(ut_buf *out, ut_mp_reader *reader, bool pairs, unsigned depth)
{
    if (depth == UT_OTLP_DEPTH_MAX)
        return false;
    uint32_t count = pairs ? ut_mp_get_map(reader) : ut_mp_get_array(reader);
    for (; count > 0 && reader->err == UT_OK; count--) {
        if (pairs) {
            if (!put_key_value(out, UT_KVLIST_VALUES, reader, depth + 1))
                return false;
        } else {
            ut_pb_slot element = ut_pb_open(out, UT_ARRAY_VALUES, 0);
            if (!put_any_fields(out, reader, depth + 1))
                return false;
            ut_pb_close(out, element);
        }
    }
    return true;
}

// Writes the fields of an AnyValue: none for nil. False when the next value of reader is not one
// of a span record.
static bool put_any_fields(ut_buf *out, ut_mp_reader *reader, unsigned depth)
{
    double number;
    uint64_t bits;
    ut_pb_slot list;
    bool fine;
    ut_mp_type type = ut_mp_peek(reader);
    switch (type) {
    case UT_MP_NIL:
        ut_mp_get_nil(reader);
        return true;
    case UT_MP_BOOL:
        ut_pb_put_varint(out, UT_ANY_BOOL, ut_mp_get_bool(reader));
        return true;
    case UT_MP_UINT:
        ut_pb_put_varint(out, UT_ANY_INT, ut_mp_get_uint(reader));
        return true;
    case UT_MP_INT:
        ut_pb_put_varint(out, UT_ANY_INT, (uint64_t)ut_mp_get_int(reader));
        return true;
    case UT_MP_DOUBLE:
        number = ut_mp_get_double(reader);
        memcpy(&bits, &number, sizeof bits);
        ut_pb_put_i64(out, UT_ANY_DOUBLE, bits);
        return true;
    case UT_MP_STR:
        ut_pb_put_text(out, UT_ANY_STRING, ut_mp_get_str(reader));
        return true;
    case UT_MP_BIN:
        ut_pb_put_bytes(out, UT_ANY_BYTES, ut_mp_get_bin(reader));
        return true;
    case UT_MP_ARRAY:
    case UT_MP_MAP:
        list = ut_pb_open(out, type == UT_MP_MAP ? UT_ANY_KVLIST : UT_ANY_ARRAY, AROUND);
        fine = put_list(out, reader, type == UT_MP_MAP, depth);
        ut_pb_close(out, list);
        return fine;
    case UT_MP_INVALID:
        break;
    }
    return false;
}

// attributes: a raw map.
static bool put_attributes(ut_buf *out, uint32_t number, ut_bytes attributes)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = ut_mp_get_map(&reader); left > 0; left--) {
        if (!put_key_value(out, number, &reader, 0))
            return false;
    }
    return reader.err == UT_OK;
}

// ---- span ----

static bool put_events(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            return false;
        ut_pb_slot slot =
            ut_pb_open(out, UT_SPAN_EVENTS, event.name.len + event.attributes.len + AROUND);
        put_optional_i64(out, UT_EVENT_TIME, event.time_ns);
        put_optional_text(out, UT_EVENT_NAME, event.name);
        if (!put_attributes(out, UT_EVENT_ATTRIBUTES, event.attributes))
            return false;
        put_optional_varint(out, UT_EVENT_DROPPED_ATTRIBUTES, event.dropped_attributes);
        ut_buf_add_bytes(out, event.unknown);
        ut_pb_close(out, slot);
    }
    return reader.err == UT_OK;
}

static bool put_links(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->links);
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        ut_link link;
        if (ut_link_read(&reader, &link) != UT_OK)
            return false;
        ut_pb_slot slot = ut_pb_open(out, UT_SPAN_LINKS, link.attributes.len + AROUND);
        put_optional_bytes(out, UT_LINK_TRACE_ID, link.trace_id);
        put_optional_bytes(out, UT_LINK_SPAN_ID, link.span_id);
        put_optional_text(out, UT_LINK_TRACE_STATE, link.trace_state);
        if (!put_attributes(out, UT_LINK_ATTRIBUTES, link.attributes))
            return false;
        put_optional_varint(out, UT_LINK_DROPPED_ATTRIBUTES, link.dropped_attributes);
        put_optional_i32(out, UT_LINK_FLAGS, link.flags);
        ut_buf_add_bytes(out, link.unknown);
        ut_pb_close(out, slot);
    }
    return reader.err == UT_OK;
}

// An enum or int32 that is negative takes ten bytes, as 64 bits.
static uint64_t sign_extended(int32_t value)
{
    return (uint64_t)(int64_t)value;
}

static bool put_span(ut_buf *out, const ut_span *span)
{
    ut_pb_slot slot = ut_pb_open(out, UT_SCOPE_SPANS_SPANS,
                                 span->attributes.len + span->events.len + span->links.len +
                                     span->name.len + AROUND);
    ut_pb_put_bytes(out, UT_SPAN_TRACE_ID, span->trace_id);
    ut_pb_put_bytes(out, UT_SPAN_SPAN_ID, span->span_id);
    put_optional_text(out, UT_SPAN_TRACE_STATE, span->trace_state);
    put_optional_bytes(out, UT_SPAN_PARENT_SPAN_ID, span->parent_span_id);
    put_optional_text(out, UT_SPAN_NAME, span->name);
    put_optional_varint(out, UT_SPAN_KIND, sign_extended(span->kind));
    put_optional_i64(out, UT_SPAN_START_TIME, span->start_ns);
    put_optional_i64(out, UT_SPAN_END_TIME, span->end_ns);
    if (!put_attributes(out, UT_SPAN_ATTRIBUTES, span->attributes))
        return false;
    put_optional_varint(out, UT_SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
    if (!put_events(out, span))
        return false;
    put_optional_varint(out, UT_SPAN_DROPPED_EVENTS, span->dropped_events);
    if (!put_links(out, span))
        return false;
    put_optional_varint(out, UT_SPAN_DROPPED_LINKS, span->dropped_links);
    if (span->status_code != 0 || span->status_message.len > 0) {
        ut_pb_slot status = ut_pb_open(out, UT_SPAN_STATUS, span->status_message.len);
        put_optional_text(out, UT_STATUS_MESSAGE, span->status_message);
        put_optional_varint(out, UT_STATUS_CODE, sign_extended(span->status_code));
        ut_pb_close(out, status);
    }
    put_optional_i32(out, UT_SPAN_FLAGS, span->flags);
    ut_buf_add_bytes(out, span->unknown);
    ut_pb_close(out, slot);
    return true;
}

// ---- resource, scope, request ----

static bool put_resource(ut_buf *out, const ut_resource *resource)
{
    ut_pb_slot slot =
        ut_pb_open(out, UT_RESOURCE_SPANS_RESOURCE, resource->attributes.len + AROUND);
    if (!put_attributes(out, UT_RESOURCE_ATTRIBUTES, resource->attributes))
        return false;
    put_optional_varint(out, UT_RESOURCE_DROPPED_ATTRIBUTES, resource->dropped_attributes);
    ut_buf_add_bytes(out, resource->unknown);
    ut_pb_close(out, slot);
    return true;
}

static bool put_scope(ut_buf *out, const ut_scope *scope)
{
    ut_pb_slot slot = ut_pb_open(out, UT_SCOPE_SPANS_SCOPE, scope->name.len + scope->version.len);
    put_optional_text(out, UT_SCOPE_NAME, scope->name);
    put_optional_text(out, UT_SCOPE_VERSION, scope->version);
    if (!put_attributes(out, UT_SCOPE_ATTRIBUTES, scope->attributes))
        return false;
    put_optional_varint(out, UT_SCOPE_DROPPED_ATTRIBUTES, scope->dropped_attributes);
    ut_buf_add_bytes(out, scope->unknown);
    ut_pb_close(out, slot);
    return true;
}

static void close_resource_spans(ut_buf *out, ut_pb_slot slot, const ut_resource *resource)
{
    put_optional_text(out, UT_RESOURCE_SPANS_SCHEMA_URL, resource->schema_url);
    ut_buf_add_bytes(out, resource->unknown_envelope);
    ut_pb_close(out, slot);
}

// One ScopeSpans with the spans of the group that the walk is in.
static ut_err put_scope_spans(ut_buf *out, ut_otlp_walk *walk, const ut_scope *scope,
                              size_t len_guess)
{
    ut_pb_slot slot = ut_pb_open(out, UT_RESOURCE_SPANS_SCOPE_SPANS, len_guess);
    if (!put_scope(out, scope))
        return UT_ECORRUPT;
    for (;;) {
        ut_span span;
        bool more;
        ut_err err = ut_otlp_walk_span(walk, &span, &more);
        if (err != UT_OK)
            return err;
        if (!more)
            break;
        if (!put_span(out, &span))
            return UT_ECORRUPT;
        if (out->err != UT_OK)
            return out->err;
    }
    put_optional_text(out, UT_SCOPE_SPANS_SCHEMA_URL, scope->schema_url);
    ut_buf_add_bytes(out, scope->unknown_envelope);
    ut_pb_close(out, slot);
    return UT_OK;
}

static ut_err add(ut_buf *out, const ut_block *block, uint32_t from, uint32_t to)
{
    ut_otlp_walk walk;
    ut_otlp_group group;
    ut_resource resource = {0}; // of the ResourceSpans that is open
    ut_pb_slot slot = {0};
    bool open = false;
    uint32_t open_index = 0;
    ut_err err = ut_otlp_walk_begin(&walk, block, from, to);
    if (err != UT_OK)
        return err;
    // A wrong guess costs one move of the content.
    size_t span_len = block->payload.len / block->info.span_count;
    for (;;) {
        bool more;
        err = ut_otlp_walk_group(&walk, &group, &more);
        if (err != UT_OK)
            return err;
        if (!more)
            break;
        size_t len_guess = span_len * walk.cursor.spans_left;
        if (open && open_index != group.resource_index) {
            close_resource_spans(out, slot, &resource);
            open = false;
        }
        if (!open) {
            resource = group.resource;
            open_index = group.resource_index;
            slot = ut_pb_open(out, UT_REQUEST_RESOURCE_SPANS, len_guess);
            open = true;
            if (!put_resource(out, &resource))
                return UT_ECORRUPT;
        }
        err = put_scope_spans(out, &walk, &group.scope, len_guess);
        if (err != UT_OK)
            return err;
    }
    if (open)
        close_resource_spans(out, slot, &resource);
    return out->err;
}

// A request is nothing but its ResourceSpans, one after the other.
static void no_envelope(ut_buf *out)
{
    (void)out;
}

const ut_otlp_encoder ut_otlp_protobuf_encoder = {
    .name_z = "protobuf",
    .content_type_z = "application/x-protobuf",
    .begin = no_envelope,
    .add = add,
    .end = no_envelope,
};
