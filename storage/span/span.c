// Span records and their companions to and from MessagePack; see span.h and docs/FORMAT.md.
// Not for attribute values: a ut_mp_reader walks the raw map.
#include "storage/span/span.h"

// Keys of the map `rare`. A number once given is never given another meaning.
enum {
    RARE_STATUS_MESSAGE = 1,
    RARE_TRACE_STATE = 2,
    RARE_FLAGS = 3,
    RARE_DROPPED_ATTRIBUTES = 4,
    RARE_DROPPED_EVENTS = 5,
    RARE_DROPPED_LINKS = 6,
    RARE_UNKNOWN = 7,
};

// Elements of each record in this version. A longer one comes from a newer program: what is behind
// them is passed.
enum {
    SPAN_FIELDS = 12,
    EVENT_FIELDS = 5,
    LINK_FIELDS = 7,
    RESOURCE_FIELDS = 5,
    SCOPE_FIELDS = 7,
};

static ut_err fail(ut_mp_reader *reader)
{
    reader->err = UT_EFORMAT;
    reader->at = reader->end;
    return UT_EFORMAT;
}

// Begins a record of at least `fields` elements; *extra is how many more it has.
static bool open_record(ut_mp_reader *reader, uint32_t fields, uint32_t *extra)
{
    uint32_t count = ut_mp_get_array(reader);
    if (count < fields) {
        (void)fail(reader);
        *extra = 0;
        return false;
    }
    *extra = count - fields;
    return true;
}

static ut_err close_record(ut_mp_reader *reader, uint32_t extra)
{
    for (; extra > 0 && reader->err == UT_OK; extra--)
        (void)ut_mp_skip(reader); // the error stays in the reader
    return reader->err;
}

static ut_bytes get_raw(ut_mp_reader *reader, ut_mp_type type)
{
    if (ut_mp_peek(reader) != type) {
        (void)fail(reader);
        return UT_BYTES_NONE;
    }
    return ut_mp_skip(reader);
}

static uint32_t get_u32(ut_mp_reader *reader)
{
    uint64_t value = ut_mp_get_uint(reader);
    if (value > UINT32_MAX) {
        (void)fail(reader);
        return 0;
    }
    return (uint32_t)value;
}

static int32_t get_i32(ut_mp_reader *reader)
{
    int64_t value = ut_mp_get_int(reader);
    if (value < INT32_MIN || value > INT32_MAX) {
        (void)fail(reader);
        return 0;
    }
    return (int32_t)value;
}

// ---- span ----

static void read_rare(ut_mp_reader *reader, ut_span *span)
{
    uint32_t pairs = ut_mp_get_map(reader);
    for (; pairs > 0 && reader->err == UT_OK; pairs--) {
        switch (ut_mp_get_uint(reader)) {
        case RARE_STATUS_MESSAGE:
            span->status_message = ut_mp_get_str(reader);
            break;
        case RARE_TRACE_STATE:
            span->trace_state = ut_mp_get_str(reader);
            break;
        case RARE_FLAGS:
            span->flags = get_u32(reader);
            break;
        case RARE_DROPPED_ATTRIBUTES:
            span->dropped_attributes = get_u32(reader);
            break;
        case RARE_DROPPED_EVENTS:
            span->dropped_events = get_u32(reader);
            break;
        case RARE_DROPPED_LINKS:
            span->dropped_links = get_u32(reader);
            break;
        case RARE_UNKNOWN:
            span->unknown = ut_mp_get_bin(reader);
            break;
        default:
            (void)ut_mp_skip(reader); // of a newer program
            break;
        }
    }
}

ut_err ut_span_read(ut_mp_reader *reader, ut_span *span)
{
    memset(span, 0, sizeof(*span));
    uint32_t extra;
    if (!open_record(reader, SPAN_FIELDS, &extra))
        return reader->err;
    span->trace_id = ut_mp_get_bin(reader);
    span->span_id = ut_mp_get_bin(reader);
    span->parent_span_id = ut_mp_get_bin(reader);
    if (span->trace_id.len != UT_TRACE_ID_LEN || span->span_id.len != UT_SPAN_ID_LEN ||
        (span->parent_span_id.len != 0 && span->parent_span_id.len != UT_SPAN_ID_LEN))
        return fail(reader);
    span->name = ut_mp_get_str(reader);
    span->kind = get_i32(reader);
    span->start_ns = ut_mp_get_uint(reader);
    span->end_ns = span->start_ns + (uint64_t)ut_mp_get_int(reader);
    span->status_code = get_i32(reader);
    span->attributes = get_raw(reader, UT_MP_MAP);
    span->events = get_raw(reader, UT_MP_ARRAY);
    span->links = get_raw(reader, UT_MP_ARRAY);
    read_rare(reader, span);
    return close_record(reader, extra);
}

void ut_span_write_head(ut_buf *buf, const ut_span *span)
{
    UT_ASSERT(span->trace_id.len == UT_TRACE_ID_LEN && span->span_id.len == UT_SPAN_ID_LEN);
    UT_ASSERT(span->parent_span_id.len == 0 || span->parent_span_id.len == UT_SPAN_ID_LEN);
    ut_mp_put_array(buf, SPAN_FIELDS);
    ut_mp_put_bin(buf, span->trace_id);
    ut_mp_put_bin(buf, span->span_id);
    ut_mp_put_bin(buf, span->parent_span_id);
    ut_mp_put_str(buf, span->name);
    ut_mp_put_int(buf, span->kind);
    ut_mp_put_uint(buf, span->start_ns);
    ut_mp_put_int(buf, (int64_t)(span->end_ns - span->start_ns));
    ut_mp_put_int(buf, span->status_code);
}

static void put_rare_count(ut_buf *buf, uint32_t key, uint32_t value)
{
    if (value == 0)
        return;
    ut_mp_put_uint(buf, key);
    ut_mp_put_uint(buf, value);
}

void ut_span_write_rare(ut_buf *buf, const ut_span *span)
{
    uint32_t pairs = (uint32_t)(span->status_message.len != 0) +
                     (uint32_t)(span->trace_state.len != 0) + (uint32_t)(span->flags != 0) +
                     (uint32_t)(span->dropped_attributes != 0) +
                     (uint32_t)(span->dropped_events != 0) + (uint32_t)(span->dropped_links != 0) +
                     (uint32_t)(span->unknown.len != 0);
    ut_mp_put_map(buf, pairs);
    if (pairs == 0)
        return;
    if (span->status_message.len != 0) {
        ut_mp_put_uint(buf, RARE_STATUS_MESSAGE);
        ut_mp_put_str(buf, span->status_message);
    }
    if (span->trace_state.len != 0) {
        ut_mp_put_uint(buf, RARE_TRACE_STATE);
        ut_mp_put_str(buf, span->trace_state);
    }
    put_rare_count(buf, RARE_FLAGS, span->flags);
    put_rare_count(buf, RARE_DROPPED_ATTRIBUTES, span->dropped_attributes);
    put_rare_count(buf, RARE_DROPPED_EVENTS, span->dropped_events);
    put_rare_count(buf, RARE_DROPPED_LINKS, span->dropped_links);
    if (span->unknown.len != 0) {
        ut_mp_put_uint(buf, RARE_UNKNOWN);
        ut_mp_put_bin(buf, span->unknown);
    }
}

// ---- event ----

ut_err ut_event_read(ut_mp_reader *reader, uint64_t start_ns, ut_event *event)
{
    memset(event, 0, sizeof(*event));
    uint32_t extra;
    if (!open_record(reader, EVENT_FIELDS, &extra))
        return reader->err;
    event->time_ns = start_ns + (uint64_t)ut_mp_get_int(reader);
    event->name = ut_mp_get_str(reader);
    event->attributes = get_raw(reader, UT_MP_MAP);
    event->dropped_attributes = get_u32(reader);
    event->unknown = ut_mp_get_bin(reader);
    return close_record(reader, extra);
}

void ut_event_write_head(ut_buf *buf, uint64_t start_ns, const ut_event *event)
{
    ut_mp_put_array(buf, EVENT_FIELDS);
    ut_mp_put_int(buf, (int64_t)(event->time_ns - start_ns));
    ut_mp_put_str(buf, event->name);
}

void ut_event_write_tail(ut_buf *buf, const ut_event *event)
{
    ut_mp_put_uint(buf, event->dropped_attributes);
    ut_mp_put_bin(buf, event->unknown);
}

// ---- link ----

ut_err ut_link_read(ut_mp_reader *reader, ut_link *link)
{
    memset(link, 0, sizeof(*link));
    uint32_t extra;
    if (!open_record(reader, LINK_FIELDS, &extra))
        return reader->err;
    link->trace_id = ut_mp_get_bin(reader);
    link->span_id = ut_mp_get_bin(reader);
    if (link->trace_id.len > UT_LINK_ID_LEN_MAX || link->span_id.len > UT_LINK_ID_LEN_MAX)
        return fail(reader);
    link->trace_state = ut_mp_get_str(reader);
    link->attributes = get_raw(reader, UT_MP_MAP);
    link->dropped_attributes = get_u32(reader);
    link->flags = get_u32(reader);
    link->unknown = ut_mp_get_bin(reader);
    return close_record(reader, extra);
}

void ut_link_write_head(ut_buf *buf, const ut_link *link)
{
    UT_ASSERT(link->trace_id.len <= UT_LINK_ID_LEN_MAX && link->span_id.len <= UT_LINK_ID_LEN_MAX);
    ut_mp_put_array(buf, LINK_FIELDS);
    ut_mp_put_bin(buf, link->trace_id);
    ut_mp_put_bin(buf, link->span_id);
    ut_mp_put_str(buf, link->trace_state);
}

void ut_link_write_tail(ut_buf *buf, const ut_link *link)
{
    ut_mp_put_uint(buf, link->dropped_attributes);
    ut_mp_put_uint(buf, link->flags);
    ut_mp_put_bin(buf, link->unknown);
}

// ---- resource ----

ut_err ut_resource_read(ut_mp_reader *reader, ut_resource *resource)
{
    memset(resource, 0, sizeof(*resource));
    uint32_t extra;
    if (!open_record(reader, RESOURCE_FIELDS, &extra))
        return reader->err;
    resource->attributes = get_raw(reader, UT_MP_MAP);
    resource->dropped_attributes = get_u32(reader);
    resource->schema_url = ut_mp_get_str(reader);
    resource->unknown = ut_mp_get_bin(reader);
    resource->unknown_envelope = ut_mp_get_bin(reader);
    return close_record(reader, extra);
}

void ut_resource_write_head(ut_buf *buf)
{
    ut_mp_put_array(buf, RESOURCE_FIELDS);
}

void ut_resource_write_tail(ut_buf *buf, const ut_resource *resource)
{
    ut_mp_put_uint(buf, resource->dropped_attributes);
    ut_mp_put_str(buf, resource->schema_url);
    ut_mp_put_bin(buf, resource->unknown);
    ut_mp_put_bin(buf, resource->unknown_envelope);
}

// ---- scope ----

ut_err ut_scope_read(ut_mp_reader *reader, ut_scope *scope)
{
    memset(scope, 0, sizeof(*scope));
    uint32_t extra;
    if (!open_record(reader, SCOPE_FIELDS, &extra))
        return reader->err;
    scope->name = ut_mp_get_str(reader);
    scope->version = ut_mp_get_str(reader);
    scope->attributes = get_raw(reader, UT_MP_MAP);
    scope->dropped_attributes = get_u32(reader);
    scope->schema_url = ut_mp_get_str(reader);
    scope->unknown = ut_mp_get_bin(reader);
    scope->unknown_envelope = ut_mp_get_bin(reader);
    return close_record(reader, extra);
}

void ut_scope_write_head(ut_buf *buf, const ut_scope *scope)
{
    ut_mp_put_array(buf, SCOPE_FIELDS);
    ut_mp_put_str(buf, scope->name);
    ut_mp_put_str(buf, scope->version);
}

void ut_scope_write_tail(ut_buf *buf, const ut_scope *scope)
{
    ut_mp_put_uint(buf, scope->dropped_attributes);
    ut_mp_put_str(buf, scope->schema_url);
    ut_mp_put_bin(buf, scope->unknown);
    ut_mp_put_bin(buf, scope->unknown_envelope);
}

// ---- attributes ----

bool ut_attributes_find_str(ut_bytes attributes, ut_bytes key, ut_bytes *value)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    uint32_t pairs = ut_mp_get_map(&reader);
    for (; pairs > 0 && reader.err == UT_OK; pairs--) {
        bool same = ut_bytes_equal(ut_mp_get_str(&reader), key) && reader.err == UT_OK;
        if (same && ut_mp_peek(&reader) == UT_MP_STR) {
            *value = ut_mp_get_str(&reader);
            return reader.err == UT_OK;
        }
        if (same)
            break; // the first of repeated keys decides
        (void)ut_mp_skip(&reader);
    }
    *value = UT_BYTES_NONE;
    return false;
}

// ---- what questions ask of a span ----

uint64_t ut_span_duration_ns(uint64_t start_ns, uint64_t end_ns)
{
    return end_ns > start_ns ? end_ns - start_ns : 0;
}

ut_bytes ut_span_service(ut_bytes resource_attributes)
{
    ut_bytes service = UT_BYTES_NONE;
    (void)ut_attributes_find_str(resource_attributes, UT_BYTES_LIT("service.name"), &service);
    return service;
}

// The text of the first of these attributes that is there; empty without any.
static ut_bytes find_either(ut_bytes attributes, ut_bytes key, ut_bytes other_key)
{
    ut_bytes value = UT_BYTES_NONE;
    if (!ut_attributes_find_str(attributes, key, &value) || value.len == 0)
        (void)ut_attributes_find_str(attributes, other_key, &value); // stays empty without
    return value;
}

ut_bytes ut_span_error_type(const ut_span *span)
{
    const ut_bytes of_span = UT_BYTES_LIT("error.type");
    const ut_bytes of_event = UT_BYTES_LIT("exception.type");
    ut_bytes type = find_either(span->attributes, of_span, of_event);
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    for (uint32_t left = span->events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && type.len == 0 && reader.err == UT_OK; left--) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            break;
        type = find_either(event.attributes, of_event, of_span);
    }
    return type;
}
