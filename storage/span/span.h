// The span record and its companions (resource, scope, event, link) as MessagePack. docs/FORMAT.md
// states the bytes. Not for the wire formats of the outside world: those are in adapters/.
//
//   span       := [trace_id bin16, span_id bin8, parent_span_id bin0|8, name str, kind int,
//                  start_ns uint, duration int, status_code int, attributes, events, links,
//                  rare map{uint: value}]
//   event      := [time_offset int, name str, attributes, dropped_attributes uint, unknown bin]
//   link       := [trace_id bin, span_id bin, trace_state str, attributes, dropped_attributes uint,
//                  flags uint, unknown bin]
//   resource   := [attributes, dropped_attributes uint, schema_url str, unknown bin,
//                  unknown_envelope bin]
//   scope      := [name str, version str, attributes, dropped_attributes uint, schema_url str,
//                  unknown bin, unknown_envelope bin]
//   attributes := map of str to value, in the order of arrival, repeated keys kept
//   value      := str | bool | int | float64 | bin | [value ...] | {str: value ...}
//                 | nil (an empty value)
//
// duration is end - start and time_offset is event time - span start, both modulo 2^64 as signed
// numbers, so that every pair of times comes back exactly. "unknown" holds protobuf fields we do
// not know, tag and all, as they arrived; "unknown_envelope" those of ResourceSpans or ScopeSpans
// around it.
#ifndef UT_STORAGE_SPAN_SPAN_H
#define UT_STORAGE_SPAN_SPAN_H

#include "storage/span/msgpack.h"

enum {
    UT_TRACE_ID_LEN = 16,
    UT_SPAN_ID_LEN = 8,
    UT_LINK_ID_LEN_MAX = 64, // of the ids of a link, which are kept as they came
    // Nesting of arrays and key-value lists in one attribute value; deeper is refused on entry.
    UT_VALUE_DEPTH_MAX = 32,
};

typedef enum { UT_STATUS_UNSET = 0, UT_STATUS_OK = 1, UT_STATUS_ERROR = 2 } ut_status_code;

// A view of one span record; all bytes are borrowed from the record or from the caller that fills
// it for writing. attributes, events and links are raw MessagePack (a whole map or array value).
typedef struct {
    ut_bytes trace_id;       // 16 bytes
    ut_bytes span_id;        // 8 bytes
    ut_bytes parent_span_id; // 0 or 8 bytes
    ut_bytes name;
    int32_t kind;
    uint64_t start_ns;
    uint64_t end_ns;
    int32_t status_code;
    ut_bytes status_message;
    ut_bytes trace_state;
    uint32_t flags;
    uint32_t dropped_attributes;
    uint32_t dropped_events;
    uint32_t dropped_links;
    ut_bytes unknown;
    ut_bytes attributes;
    ut_bytes events;
    ut_bytes links;
} ut_span;

// Reads one span record. UT_EFORMAT (also in reader->err) when it is not one.
ut_err ut_span_read(ut_mp_reader *reader, ut_span *span);

// A decoder writes a span in this order: ut_span_write_head (ids to status_code), then the
// attributes map, the events array and the links array by itself, then ut_span_write_rare. Errors
// stay in buf->err.
void ut_span_write_head(ut_buf *buf, const ut_span *span);
void ut_span_write_rare(ut_buf *buf, const ut_span *span);

typedef struct {
    uint64_t time_ns;
    ut_bytes name;
    ut_bytes attributes; // raw map
    uint32_t dropped_attributes;
    ut_bytes unknown;
} ut_event;

// start_ns: of the span that holds the event.
ut_err ut_event_read(ut_mp_reader *reader, uint64_t start_ns, ut_event *event);
// Head, then the attributes map by the caller, then tail.
void ut_event_write_head(ut_buf *buf, uint64_t start_ns, const ut_event *event);
void ut_event_write_tail(ut_buf *buf, const ut_event *event);

typedef struct {
    ut_bytes trace_id; // 0 to UT_LINK_ID_LEN_MAX bytes
    ut_bytes span_id;  // 0 to UT_LINK_ID_LEN_MAX bytes
    ut_bytes trace_state;
    ut_bytes attributes; // raw map
    uint32_t dropped_attributes;
    uint32_t flags;
    ut_bytes unknown;
} ut_link;

ut_err ut_link_read(ut_mp_reader *reader, ut_link *link);
void ut_link_write_head(ut_buf *buf, const ut_link *link);
void ut_link_write_tail(ut_buf *buf, const ut_link *link);

typedef struct {
    ut_bytes attributes; // raw map
    uint32_t dropped_attributes;
    ut_bytes schema_url;
    ut_bytes unknown;
    ut_bytes unknown_envelope;
} ut_resource;

ut_err ut_resource_read(ut_mp_reader *reader, ut_resource *resource);
void ut_resource_write_head(ut_buf *buf); // then the attributes map by the caller
void ut_resource_write_tail(ut_buf *buf, const ut_resource *resource); // the rest

typedef struct {
    ut_bytes name;
    ut_bytes version;
    ut_bytes attributes; // raw map
    uint32_t dropped_attributes;
    ut_bytes schema_url;
    ut_bytes unknown;
    ut_bytes unknown_envelope;
} ut_scope;

ut_err ut_scope_read(ut_mp_reader *reader, ut_scope *scope);
// Name and version; then the attributes map by the caller, then the tail.
void ut_scope_write_head(ut_buf *buf, const ut_scope *scope);
void ut_scope_write_tail(ut_buf *buf, const ut_scope *scope);

// Looks one key up in a raw attributes map and returns its string value. False when absent or not a
// string.
bool ut_attributes_find_str(ut_bytes attributes, ut_bytes key, ut_bytes *value);

// ---- what questions ask of a span ----

// How long it took; 0 when it ends before it begins.
uint64_t ut_span_duration_ns(uint64_t start_ns, uint64_t end_ns);

// The service.name of a resource; empty when it has none.
ut_bytes ut_span_service(ut_bytes resource_attributes);

// The kind of error: error.type of the span, else exception.type of its first event that has one;
// empty when neither is there. Borrowed from the span.
ut_bytes ut_span_error_type(const ut_span *span);

#endif
