// OTLP JSON to span records in one pass; see otlp_json_stream.h.
//
// A record begins with single values (its head), and its lists stand behind them. A list whose head
// is complete is written where it is met; another one is passed, and read again at the end of its
// object. So members may come in the order of protobuf as well as in that of the alphabet.
#include "adapters/otlp/otlp_json_stream.h"

#include "adapters/encoding/json.h"
#include "adapters/otlp/otlp_json_stream_value.h"
#include "adapters/otlp/otlp_span.h"

// ---- events and links ----

static const uint8_t *put_event(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                uint64_t start_ns)
{
    const uint64_t head = UT_NAME_BIT(UT_NAME_TIME) | UT_NAME_BIT(UT_NAME_NAME);
    ut_event event = {0};
    bool written = false;
    const uint8_t *attributes = NULL;
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_EVENT};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        switch (of.found) {
        case UT_NAME_TIME:
            at = ut_otlp_stream_time(stream, at, &event.time_ns);
            break;
        case UT_NAME_NAME:
            at = ut_otlp_stream_text(stream, at, &event.name);
            break;
        case UT_NAME_ATTRIBUTES:
            if ((of.seen & head) == head) {
                ut_event_write_head(out, start_ns, &event);
                at = ut_otlp_stream_put_pairs(stream, out, at, 0);
                written = true;
            } else {
                attributes = at;
                at = ut_json_skip(&stream->scan, at);
            }
            break;
        case UT_NAME_DROPPED_ATTRIBUTES:
            at = ut_otlp_stream_u32(stream, at, &event.dropped_attributes);
            break;
        default:
            at = ut_json_skip(&stream->scan, at);
            break;
        }
    }
    if (!written) {
        ut_event_write_head(out, start_ns, &event);
        ut_otlp_stream_put_attributes(stream, out, attributes);
    }
    ut_event_write_tail(out, &event);
    return at;
}

// A trace state is rare, so it is not waited for.
static const uint8_t *put_link(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at)
{
    const uint64_t head = UT_NAME_BIT(UT_NAME_TRACE_ID) | UT_NAME_BIT(UT_NAME_SPAN_ID);
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t span_id[UT_SPAN_ID_LEN];
    ut_link link = {0};
    bool written = false;
    const uint8_t *attributes = NULL;
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_LINK};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        switch (of.found) {
        case UT_NAME_TRACE_ID:
            at = ut_otlp_stream_id(stream, at, trace_id, sizeof(trace_id), &link.trace_id);
            break;
        case UT_NAME_SPAN_ID:
            at = ut_otlp_stream_id(stream, at, span_id, sizeof(span_id), &link.span_id);
            break;
        case UT_NAME_TRACE_STATE:
            at = written ? ut_json_give_up(&stream->scan)
                         : ut_otlp_stream_text(stream, at, &link.trace_state);
            break;
        case UT_NAME_ATTRIBUTES:
            if ((of.seen & head) == head) {
                ut_link_write_head(out, &link);
                at = ut_otlp_stream_put_pairs(stream, out, at, 0);
                written = true;
            } else {
                attributes = at;
                at = ut_json_skip(&stream->scan, at);
            }
            break;
        case UT_NAME_DROPPED_ATTRIBUTES:
            at = ut_otlp_stream_u32(stream, at, &link.dropped_attributes);
            break;
        case UT_NAME_FLAGS:
            at = ut_otlp_stream_u32(stream, at, &link.flags);
            break;
        default:
            at = ut_json_skip(&stream->scan, at);
            break;
        }
    }
    if (!written) {
        ut_link_write_head(out, &link);
        ut_otlp_stream_put_attributes(stream, out, attributes);
    }
    ut_link_write_tail(out, &link);
    return at;
}

// ---- span ----

// The parts of the record of a span, in its order.
typedef enum { HEAD, ATTRIBUTES, EVENTS, LINKS, LISTS_END } part;

typedef struct {
    ut_span span;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint8_t parent_span_id[UT_SPAN_ID_LEN];
    size_t status_at; // where the record has its status code, once the head is written
    part to_write;    // the first that is not written yet
    bool put_off;     // a list was passed, to be read at the end
    const uint8_t *lists[LISTS_END]; // those; NULL: there is none
} open_span;

// A list of a span, or an empty one when at is NULL.
static const uint8_t *put_list_of_span(ut_otlp_stream *stream, ut_buf *out, part list,
                                       const uint8_t *at, uint64_t start_ns)
{
    const size_t head = out->len;
    uint32_t count = 0;
    bool more;
    if (list == ATTRIBUTES && at != NULL)
        return ut_otlp_stream_put_pairs(stream, out, at, 0);
    if (list == ATTRIBUTES)
        ut_mp_put_map(out, 0);
    else
        ut_mp_put_array(out, 0);
    if (at == NULL)
        return at;
    at = ut_json_open(&stream->scan, at, '[');
    for (;;) {
        at = ut_json_element(&stream->scan, at, &more);
        if (!more)
            break;
        at = list == EVENTS ? put_event(stream, out, at, start_ns) : put_link(stream, out, at);
        count++;
    }
    ut_mp_set_count(out, head, count);
    return at;
}

// Writes the parts of a span before `until` that are not written.
static void write_until(ut_otlp_stream *stream, open_span *open, part until)
{
    ut_buf *out = &stream->batch->span_bytes;
    if (open->to_write == HEAD) {
        if (ut_otlp_span_check_ids(&open->span) != UT_REJECT_COUNT)
            (void)ut_json_give_up(&stream->scan); // sticky
        ut_span_write_head(out, &open->span);
        open->status_at = out->len - 1;
        open->to_write = ATTRIBUTES;
    }
    for (; open->to_write < until; open->to_write++)
        (void)put_list_of_span(stream, out, open->to_write, open->lists[open->to_write],
                               open->span.start_ns); // where it ends is known
}

// Kind and parent may be absent: they are not waited for.
static const uint8_t *read_list(ut_otlp_stream *stream, open_span *open, const uint8_t *at,
                                uint64_t seen, part list)
{
    const uint64_t head = UT_NAME_BIT(UT_NAME_TRACE_ID) | UT_NAME_BIT(UT_NAME_SPAN_ID) |
                          UT_NAME_BIT(UT_NAME_NAME) | UT_NAME_BIT(UT_NAME_START_TIME) |
                          UT_NAME_BIT(UT_NAME_END_TIME);
    if (list < open->to_write)
        return ut_json_give_up(&stream->scan);
    if ((seen & head) != head || open->put_off) {
        open->put_off = true;
        open->lists[list] = at;
        return ut_json_skip(&stream->scan, at);
    }
    write_until(stream, open, list);
    open->to_write = list + 1;
    return put_list_of_span(stream, &stream->batch->span_bytes, list, at, open->span.start_ns);
}

static const uint8_t *get_status(ut_otlp_stream *stream, open_span *open, const uint8_t *at)
{
    ut_buf *out = &stream->batch->span_bytes;
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_STATUS};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found == UT_NAME_CODE)
            at = ut_otlp_stream_enum(stream, at, &open->span.status_code);
        else if (of.found == UT_NAME_MESSAGE)
            at = ut_otlp_stream_text(stream, at, &open->span.status_message);
        else
            at = ut_json_skip(&stream->scan, at);
    }
    if (open->to_write > 0 && out->err == UT_OK) {
        if (open->span.status_code < 0 || open->span.status_code > 127)
            return ut_json_give_up(&stream->scan); // more than the one byte that is there
        out->data[open->status_at] = (uint8_t)open->span.status_code;
    }
    return at;
}

static const uint8_t *get_span_member(ut_otlp_stream *stream, open_span *open, const uint8_t *at,
                                      const ut_otlp_stream_members *of)
{
    ut_span *span = &open->span;
    switch (of->found) {
    case UT_NAME_TRACE_ID:
        return ut_otlp_stream_id(stream, at, open->trace_id, sizeof(open->trace_id),
                                 &span->trace_id);
    case UT_NAME_SPAN_ID:
        return ut_otlp_stream_id(stream, at, open->span_id, sizeof(open->span_id), &span->span_id);
    case UT_NAME_PARENT_SPAN_ID:
        if (open->to_write > 0)
            return ut_json_give_up(&stream->scan);
        return ut_otlp_stream_id(stream, at, open->parent_span_id, sizeof(open->parent_span_id),
                                 &span->parent_span_id);
    case UT_NAME_NAME:
        return ut_otlp_stream_text(stream, at, &span->name);
    case UT_NAME_KIND:
        return open->to_write > 0 ? ut_json_give_up(&stream->scan)
                                  : ut_otlp_stream_enum(stream, at, &span->kind);
    case UT_NAME_START_TIME:
        return ut_otlp_stream_time(stream, at, &span->start_ns);
    case UT_NAME_END_TIME:
        return ut_otlp_stream_time(stream, at, &span->end_ns);
    case UT_NAME_ATTRIBUTES:
        return read_list(stream, open, at, of->seen, ATTRIBUTES);
    case UT_NAME_EVENTS:
        return read_list(stream, open, at, of->seen, EVENTS);
    case UT_NAME_LINKS:
        return read_list(stream, open, at, of->seen, LINKS);
    case UT_NAME_STATUS:
        return get_status(stream, open, at);
    case UT_NAME_FLAGS:
        return ut_otlp_stream_u32(stream, at, &span->flags);
    case UT_NAME_TRACE_STATE:
        return ut_otlp_stream_text(stream, at, &span->trace_state);
    case UT_NAME_DROPPED_ATTRIBUTES:
        return ut_otlp_stream_u32(stream, at, &span->dropped_attributes);
    case UT_NAME_DROPPED_EVENTS:
        return ut_otlp_stream_u32(stream, at, &span->dropped_events);
    case UT_NAME_DROPPED_LINKS:
        return ut_otlp_stream_u32(stream, at, &span->dropped_links);
    default:
        return ut_json_skip(&stream->scan, at);
    }
}

static const uint8_t *decode_span(ut_otlp_stream *stream, const uint8_t *at, ut_otlp_part *resource,
                                  ut_otlp_part *scope)
{
    ut_buf *out = &stream->batch->span_bytes;
    const size_t begin = out->len;
    open_span open = {.to_write = HEAD};
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_SPAN};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of))
        at = get_span_member(stream, &open, at, &of);
    write_until(stream, &open, LISTS_END);
    ut_span_write_rare(out, &open.span);
    if (stream->scan.failed || out->err != UT_OK)
        return ut_json_give_up(&stream->scan);
    ut_otlp_span_end(stream->batch, begin, true, resource, scope, &open.span);
    return at;
}

// ---- scope and resource ----

// Writes the beginning of the record of a scope. What ends it is in *scope, but for the schema URL,
// which producers write behind the spans.
static const uint8_t *put_scope(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                ut_scope *scope)
{
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_OTHER};
    const uint8_t *attributes = NULL;
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        switch (of.found) {
        case UT_NAME_NAME:
            at = ut_otlp_stream_text(stream, at, &scope->name);
            break;
        case UT_NAME_VERSION:
            at = ut_otlp_stream_text(stream, at, &scope->version);
            break;
        case UT_NAME_ATTRIBUTES:
            attributes = at;
            at = ut_json_skip(&stream->scan, at);
            break;
        case UT_NAME_DROPPED_ATTRIBUTES:
            at = ut_otlp_stream_u32(stream, at, &scope->dropped_attributes);
            break;
        default:
            at = ut_json_skip(&stream->scan, at);
            break;
        }
    }
    ut_scope_write_head(out, scope);
    ut_otlp_stream_put_attributes(stream, out, attributes);
    return at;
}

// The same for a resource.
static const uint8_t *put_resource(ut_otlp_stream *stream, ut_buf *out, const uint8_t *at,
                                   ut_resource *resource)
{
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_OTHER};
    ut_resource_write_head(out);
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found == UT_NAME_ATTRIBUTES)
            at = ut_otlp_stream_put_pairs(stream, out, at, 0);
        else if (of.found == UT_NAME_DROPPED_ATTRIBUTES)
            at = ut_otlp_stream_u32(stream, at, &resource->dropped_attributes);
        else if (of.found == UT_NAME_ENTITY_REFS)
            at = ut_json_give_up(&stream->scan);
        else
            at = ut_json_skip(&stream->scan, at);
    }
    if ((of.seen & UT_NAME_BIT(UT_NAME_ATTRIBUTES)) == 0)
        ut_mp_put_map(out, 0);
    return at;
}

static const uint8_t *decode_spans(ut_otlp_stream *stream, const uint8_t *at,
                                   ut_otlp_part *resource, ut_otlp_part *scope)
{
    bool more;
    at = ut_json_open(&stream->scan, at, '[');
    for (;;) {
        at = ut_json_element(&stream->scan, at, &more);
        if (!more)
            return at;
        at = decode_span(stream, at, resource, scope);
    }
}

static const uint8_t *decode_scope_spans(ut_otlp_stream *stream, const uint8_t *at,
                                         ut_otlp_part *resource)
{
    ut_buf *out = &stream->batch->scope_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    ut_scope scope = {0};
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_OTHER};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found == UT_NAME_SCOPE) {
            at = (of.seen & UT_NAME_BIT(UT_NAME_SPANS)) != 0 ? ut_json_give_up(&stream->scan)
                                                             : put_scope(stream, out, at, &scope);
        } else if (of.found == UT_NAME_SPANS) {
            if ((of.seen & UT_NAME_BIT(UT_NAME_SCOPE)) == 0) {
                ut_scope_write_head(out, &scope);
                ut_mp_put_map(out, 0);
            }
            at = decode_spans(stream, at, resource, &here);
        } else if (of.found == UT_NAME_SCHEMA_URL) {
            at = ut_otlp_stream_text(stream, at, &scope.schema_url);
        } else {
            at = ut_json_skip(&stream->scan, at);
        }
    }
    ut_scope_write_tail(out, &scope);
    ut_otlp_part_end_late(&here, out, &stream->batch->scope_parts);
    return at;
}

static const uint8_t *decode_scopes(ut_otlp_stream *stream, const uint8_t *at,
                                    ut_otlp_part *resource)
{
    bool more;
    at = ut_json_open(&stream->scan, at, '[');
    for (;;) {
        at = ut_json_element(&stream->scan, at, &more);
        if (!more)
            return at;
        at = decode_scope_spans(stream, at, resource);
    }
}

static const uint8_t *decode_resource_spans(ut_otlp_stream *stream, const uint8_t *at)
{
    ut_buf *out = &stream->batch->resource_bytes;
    ut_otlp_part here = ut_otlp_part_begin(out);
    ut_resource resource = {0};
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_OTHER};
    at = ut_json_open(&stream->scan, at, '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found == UT_NAME_RESOURCE) {
            at = (of.seen & UT_NAME_BIT(UT_NAME_SCOPE_SPANS)) != 0
                     ? ut_json_give_up(&stream->scan)
                     : put_resource(stream, out, at, &resource);
        } else if (of.found == UT_NAME_SCOPE_SPANS) {
            if ((of.seen & UT_NAME_BIT(UT_NAME_RESOURCE)) == 0) {
                ut_resource_write_head(out);
                ut_mp_put_map(out, 0);
            }
            at = decode_scopes(stream, at, &here);
        } else if (of.found == UT_NAME_SCHEMA_URL) {
            at = ut_otlp_stream_text(stream, at, &resource.schema_url);
        } else {
            at = ut_json_skip(&stream->scan, at);
        }
    }
    ut_resource_write_tail(out, &resource);
    ut_otlp_part_end_late(&here, out, &stream->batch->resource_parts);
    return at;
}

// ---- request ----

static const uint8_t *decode_request(ut_otlp_stream *stream, const uint8_t *at)
{
    ut_otlp_stream_members of = {.found = UT_NAME_BEGIN_OTHER};
    bool more;
    at = ut_json_open(&stream->scan, ut_json_space(&stream->scan, at), '{');
    while (ut_otlp_stream_next(stream, &at, &of)) {
        if (of.found != UT_NAME_RESOURCE_SPANS) {
            at = ut_json_skip(&stream->scan, at);
            continue;
        }
        at = ut_json_open(&stream->scan, at, '[');
        for (;;) {
            at = ut_json_element(&stream->scan, at, &more);
            if (!more)
                break;
            at = decode_resource_spans(stream, at);
        }
    }
    if ((of.seen & ~UT_NAME_BIT(UT_NAME_RESOURCE_SPANS)) == of.seen && of.seen != 0)
        return ut_json_give_up(&stream->scan); // the sender is to be told
    return ut_json_space(&stream->scan, at);
}

bool ut_otlp_json_stream(ut_bytes body, size_t memory_max, ut_batch *batch)
{
    // What a document and its scratch bytes could be refused for is not accepted here.
    const size_t scratch = body.len + 64;
    if (body.len == 0 || memory_max < scratch ||
        !ut_json_surely_fits(body.len, 0, memory_max - scratch))
        return false;
    ut_otlp_stream stream = {.scan = ut_json_scan_of(body), .batch = batch};
    const uint8_t *end = decode_request(&stream, body.data);
    const bool done = !stream.scan.failed && end == stream.scan.end &&
                      ut_batch_error(batch) == UT_OK &&
                      ut_json_surely_fits(body.len, stream.scan.values, memory_max - scratch);
    ut_json_scan_free(&stream.scan);
    return done;
}
