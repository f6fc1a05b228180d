// Span records to OTLP JSON: 64-bit integers as strings, ids as hex, bytes as base64, enumerations
// as integers, defaults left out. Protobuf fields that are not known to us have no JSON and are
// left out too, except entityRefs. Not for protobuf (otlp_protobuf_encode.c).
#include "adapters/otlp/otlp.h"

#include "adapters/encoding/json_write.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/otlp/otlp_walk.h"
#include "adapters/encoding/protobuf.h"

// ---- objects: a member begins with a comma unless its object was just opened ----
//
// Not through ut_json_writer: begin, add and end share nothing but the buffer, and keys through the
// writer made a span take a fifth longer (bench_otlp).

static void put_name(ut_buf *out, const char *name_z)
{
    size_t len = strlen(name_z);
    uint8_t *at = ut_buf_reserve(out, len + 4);
    if (at == NULL)
        return;
    uint8_t *begin = at;
    if (out->len > 0 && at[-1] != '{')
        *at++ = ',';
    *at++ = '"';
    memcpy(at, name_z, len);
    at += len;
    *at++ = '"';
    *at++ = ':';
    out->len += (size_t)(at - begin);
}

// Begins an element of an array: a comma unless the array was just opened.
static void put_separator(ut_buf *out)
{
    if (out->err == UT_OK && out->len > 0 && out->data[out->len - 1] != '[')
        ut_buf_add_byte(out, ',');
}

static void put_raw(ut_buf *out, const char *text_z)
{
    ut_buf_add_z(out, text_z);
}

static void put_optional_text(ut_buf *out, const char *name_z, ut_bytes text)
{
    if (text.len == 0)
        return;
    put_name(out, name_z);
    ut_json_put_string(out, text);
}

static void put_optional_id(ut_buf *out, const char *name_z, ut_bytes id)
{
    if (id.len == 0)
        return;
    put_name(out, name_z);
    ut_json_put_hex(out, id);
}

static void put_optional_number(ut_buf *out, const char *name_z, int64_t value)
{
    if (value == 0)
        return;
    put_name(out, name_z);
    ut_json_put_int(out, value);
}

static void put_quoted_uint(ut_buf *out, uint64_t value)
{
    ut_buf_add_byte(out, '"');
    ut_json_put_uint(out, value);
    ut_buf_add_byte(out, '"');
}

static void put_optional_time(ut_buf *out, const char *name_z, uint64_t ns)
{
    if (ns == 0)
        return;
    put_name(out, name_z);
    put_quoted_uint(out, ns);
}

// ---- attribute values ----

static bool put_value(ut_buf *out, ut_mp_reader *reader, unsigned depth);

static bool put_key_value(ut_buf *out, ut_mp_reader *reader, unsigned depth)
{
    put_raw(out, "{\"key\":");
    ut_json_put_string(out, ut_mp_get_str(reader));
    put_raw(out, ",\"value\":");
    if (!put_value(out, reader, depth))
        return false;
    ut_buf_add_byte(out, '}');
    return true;
}

static bool put_pairs(ut_buf *out, ut_mp_reader *reader, unsigned depth)
{
    ut_buf_add_byte(out, '[');
    for (uint32_t left = ut_mp_get_map(reader); left > 0; left--) {
        put_separator(out);
        if (!put_key_value(out, reader, depth))
            return false;
    }
    ut_buf_add_byte(out, ']');
    return reader->err == UT_OK;
}

static bool put_list(ut_buf *out, ut_mp_reader *reader, bool pairs, unsigned depth)
{
    if (depth == UT_OTLP_DEPTH_MAX)
        return false;
    put_raw(out, pairs ? "{\"kvlistValue\":{\"values\":" : "{\"arrayValue\":{\"values\":");
    if (pairs) {
        if (!put_pairs(out, reader, depth + 1))
            return false;
    } else {
        ut_buf_add_byte(out, '[');
        for (uint32_t left = ut_mp_get_array(reader); left > 0; left--) {
            put_separator(out);
            if (!put_value(out, reader, depth + 1))
                return false;
        }
        ut_buf_add_byte(out, ']');
    }
    put_raw(out, "}}");
    return true;
}

// Writes the next value of reader. False when it is not one of a span record.
static bool put_value(ut_buf *out, ut_mp_reader *reader, unsigned depth)
{
    ut_mp_type type = ut_mp_peek(reader);
    switch (type) {
    case UT_MP_NIL:
        ut_mp_get_nil(reader);
        put_raw(out, "{}");
        return true;
    case UT_MP_BOOL:
        put_raw(out, ut_mp_get_bool(reader) ? "{\"boolValue\":true}" : "{\"boolValue\":false}");
        return true;
    case UT_MP_UINT:
    case UT_MP_INT:
        put_raw(out, "{\"intValue\":\"");
        ut_json_put_int(out, ut_mp_get_int(reader));
        put_raw(out, "\"}");
        return reader->err == UT_OK;
    case UT_MP_DOUBLE:
        put_raw(out, "{\"doubleValue\":");
        ut_json_put_double(out, ut_mp_get_double(reader));
        ut_buf_add_byte(out, '}');
        return reader->err == UT_OK;
    case UT_MP_STR:
        put_raw(out, "{\"stringValue\":");
        ut_json_put_string(out, ut_mp_get_str(reader));
        ut_buf_add_byte(out, '}');
        return reader->err == UT_OK;
    case UT_MP_BIN:
        put_raw(out, "{\"bytesValue\":");
        ut_json_put_base64(out, ut_mp_get_bin(reader));
        ut_buf_add_byte(out, '}');
        return reader->err == UT_OK;
    case UT_MP_ARRAY:
    case UT_MP_MAP:
        return put_list(out, reader, type == UT_MP_MAP, depth);
    case UT_MP_INVALID:
        break;
    }
    return false;
}

// attributes: a raw map.
static bool put_attributes(ut_buf *out, ut_bytes attributes)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    if (attributes.len == 1 && attributes.data[0] == 0x80)
        return true; // an empty map
    put_name(out, "attributes");
    return put_pairs(out, &reader, 0);
}

// ---- span ----

static bool put_event(ut_buf *out, const ut_event *event)
{
    ut_buf_add_byte(out, '{');
    put_optional_time(out, "timeUnixNano", event->time_ns);
    put_optional_text(out, "name", event->name);
    if (!put_attributes(out, event->attributes))
        return false;
    put_optional_number(out, "droppedAttributesCount", event->dropped_attributes);
    ut_buf_add_byte(out, '}');
    return true;
}

static bool put_events(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    uint32_t left = ut_mp_get_array(&reader);
    if (left == 0)
        return reader.err == UT_OK;
    put_name(out, "events");
    ut_buf_add_byte(out, '[');
    for (; left > 0; left--) {
        ut_event event;
        put_separator(out);
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK || !put_event(out, &event))
            return false;
    }
    ut_buf_add_byte(out, ']');
    return true;
}

static bool put_link(ut_buf *out, const ut_link *link)
{
    ut_buf_add_byte(out, '{');
    put_optional_id(out, "traceId", link->trace_id);
    put_optional_id(out, "spanId", link->span_id);
    put_optional_text(out, "traceState", link->trace_state);
    if (!put_attributes(out, link->attributes))
        return false;
    put_optional_number(out, "droppedAttributesCount", link->dropped_attributes);
    put_optional_number(out, "flags", link->flags);
    ut_buf_add_byte(out, '}');
    return true;
}

static bool put_links(ut_buf *out, const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->links);
    uint32_t left = ut_mp_get_array(&reader);
    if (left == 0)
        return reader.err == UT_OK;
    put_name(out, "links");
    ut_buf_add_byte(out, '[');
    for (; left > 0; left--) {
        ut_link link;
        put_separator(out);
        if (ut_link_read(&reader, &link) != UT_OK || !put_link(out, &link))
            return false;
    }
    ut_buf_add_byte(out, ']');
    return true;
}

static bool put_span(ut_buf *out, const ut_span *span)
{
    ut_buf_add_byte(out, '{');
    put_optional_id(out, "traceId", span->trace_id);
    put_optional_id(out, "spanId", span->span_id);
    put_optional_text(out, "traceState", span->trace_state);
    put_optional_id(out, "parentSpanId", span->parent_span_id);
    put_optional_text(out, "name", span->name);
    put_optional_number(out, "kind", span->kind);
    put_optional_time(out, "startTimeUnixNano", span->start_ns);
    put_optional_time(out, "endTimeUnixNano", span->end_ns);
    if (!put_attributes(out, span->attributes))
        return false;
    put_optional_number(out, "droppedAttributesCount", span->dropped_attributes);
    if (!put_events(out, span))
        return false;
    put_optional_number(out, "droppedEventsCount", span->dropped_events);
    if (!put_links(out, span))
        return false;
    put_optional_number(out, "droppedLinksCount", span->dropped_links);
    // Always there, as every SDK writes it: readers rely on it.
    put_name(out, "status");
    ut_buf_add_byte(out, '{');
    put_optional_text(out, "message", span->status_message);
    put_optional_number(out, "code", span->status_code);
    ut_buf_add_byte(out, '}');
    put_optional_number(out, "flags", span->flags);
    ut_buf_add_byte(out, '}');
    return true;
}

// ---- resource ----

// Reads the known fields of one kind of an EntityRef, of which an unknown number may be wanted.
static void put_entity_keys(ut_buf *out, const char *name_z, uint32_t number, ut_bytes message)
{
    bool open = false;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next_of(&walk, UT_PB_TAG(number, UT_PB_LEN), &field)) {
        if (!open) {
            put_name(out, name_z);
            ut_buf_add_byte(out, '[');
            open = true;
        }
        put_separator(out);
        ut_json_put_string(out, field.bytes);
    }
    if (open)
        ut_buf_add_byte(out, ']');
}

static void put_entity_ref(ut_buf *out, ut_bytes message)
{
    ut_bytes schema_url = UT_BYTES_NONE;
    ut_bytes type = UT_BYTES_NONE;
    // Bytes that do not decode end the message: nothing promised that they would.
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(message);
    while (ut_pb_next(&walk, &field)) {
        if (field.tag == UT_PB_TAG(UT_ENTITY_REF_SCHEMA_URL, UT_PB_LEN))
            schema_url = field.bytes;
        else if (field.tag == UT_PB_TAG(UT_ENTITY_REF_TYPE, UT_PB_LEN))
            type = field.bytes;
    }
    ut_buf_add_byte(out, '{');
    put_optional_text(out, "schemaUrl", schema_url);
    put_optional_text(out, "type", type);
    put_entity_keys(out, "idKeys", UT_ENTITY_REF_ID_KEYS, message);
    put_entity_keys(out, "descriptionKeys", UT_ENTITY_REF_DESCRIPTION_KEYS, message);
    ut_buf_add_byte(out, '}');
}

// The entity references among the fields that a resource record keeps as they came.
static void put_entity_refs(ut_buf *out, ut_bytes unknown)
{
    bool open = false;
    if (unknown.len == 0)
        return;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(unknown);
    while (ut_pb_next_of(&walk, UT_PB_TAG(UT_RESOURCE_ENTITY_REFS, UT_PB_LEN), &field)) {
        if (!open) {
            put_name(out, "entityRefs");
            ut_buf_add_byte(out, '[');
            open = true;
        }
        put_separator(out);
        put_entity_ref(out, field.bytes);
    }
    if (open)
        ut_buf_add_byte(out, ']');
}

// ---- request ----

static bool open_resource_spans(ut_buf *out, const ut_resource *resource)
{
    put_separator(out);
    put_raw(out, "{\"resource\":{");
    if (!put_attributes(out, resource->attributes))
        return false;
    put_optional_number(out, "droppedAttributesCount", resource->dropped_attributes);
    put_entity_refs(out, resource->unknown);
    put_raw(out, "},\"scopeSpans\":[");
    return true;
}

static void close_resource_spans(ut_buf *out, const ut_resource *resource)
{
    ut_buf_add_byte(out, ']');
    put_optional_text(out, "schemaUrl", resource->schema_url);
    ut_buf_add_byte(out, '}');
}

static ut_err put_scope_spans(ut_buf *out, ut_otlp_walk *walk, const ut_scope *scope)
{
    put_separator(out);
    put_raw(out, "{\"scope\":{");
    put_optional_text(out, "name", scope->name);
    put_optional_text(out, "version", scope->version);
    if (!put_attributes(out, scope->attributes))
        return UT_ECORRUPT;
    put_optional_number(out, "droppedAttributesCount", scope->dropped_attributes);
    put_raw(out, "},\"spans\":[");
    for (;;) {
        ut_span span;
        bool more;
        ut_err err = ut_otlp_walk_span(walk, &span, &more);
        if (err != UT_OK)
            return err;
        if (!more)
            break;
        put_separator(out);
        if (!put_span(out, &span))
            return UT_ECORRUPT;
        if (out->err != UT_OK)
            return out->err;
    }
    ut_buf_add_byte(out, ']');
    put_optional_text(out, "schemaUrl", scope->schema_url);
    ut_buf_add_byte(out, '}');
    return UT_OK;
}

static ut_err add(ut_buf *out, const ut_block *block, uint32_t from, uint32_t to)
{
    ut_otlp_walk walk;
    ut_otlp_group group;
    ut_resource resource = {0}; // of the ResourceSpans that is open
    bool open = false;
    uint32_t open_index = 0;
    ut_err err = ut_otlp_walk_begin(&walk, block, from, to);
    if (err != UT_OK)
        return err;
    for (;;) {
        bool more;
        err = ut_otlp_walk_group(&walk, &group, &more);
        if (err != UT_OK)
            return err;
        if (!more)
            break;
        if (open && open_index != group.resource_index) {
            close_resource_spans(out, &resource);
            open = false;
        }
        if (!open) {
            resource = group.resource;
            open_index = group.resource_index;
            open = true;
            if (!open_resource_spans(out, &resource))
                return UT_ECORRUPT;
        }
        err = put_scope_spans(out, &walk, &group.scope);
        if (err != UT_OK)
            return err;
    }
    if (open)
        close_resource_spans(out, &resource);
    return out->err;
}

static void begin(ut_buf *out)
{
    put_raw(out, "{\"resourceSpans\":[");
}

static void end(ut_buf *out)
{
    put_raw(out, "]}");
}

const ut_otlp_encoder ut_otlp_json_encoder = {
    .name_z = "json",
    .content_type_z = "application/json",
    .begin = begin,
    .add = add,
    .end = end,
};
