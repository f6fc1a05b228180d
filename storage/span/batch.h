// The spans of one request after decoding and before they are in a block: span records, the
// resources and scopes they refer to, and an index that lets the store work without reading the
// records again. Not durable and not for several threads: one owner at a time.
#ifndef UT_STORAGE_SPAN_BATCH_H
#define UT_STORAGE_SPAN_BATCH_H

#include "storage/span/span.h"

enum {
    UT_BATCH_SPANS_MAX = 1 << 20,  // spans in one request; more is UT_ELIMIT
    UT_BATCH_SCOPES_MAX = 1 << 16, // resources, and scopes, in one request; more is UT_ELIMIT
    UT_BATCH_REASON_MAX = 160,
};

// The id for which a span is refused, the first in this order.
typedef enum {
    UT_REJECT_TRACE_ID,
    UT_REJECT_SPAN_ID,
    UT_REJECT_PARENT_SPAN_ID,
    UT_REJECT_LINK_ID,
    UT_REJECT_COUNT,
} ut_reject;

// One span of a batch; 56 bytes.
typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint64_t start_ns;
    uint64_t end_ns;
    uint32_t offset; // of the record in spans
    uint32_t len;
    uint32_t scope; // index into scopes
    uint8_t status; // ut_status_code, anything else counts as unset
    bool root;      // has no parent (absent or all zero)
} ut_batch_span;

// One scope or resource of a batch: where its record stands in the buffer of its kind.
typedef struct {
    uint32_t offset;
    uint32_t len;
    uint32_t resource; // scopes: index of the resource; resources: unused
} ut_batch_part;

typedef struct {
    ut_buf resource_bytes; // records, one after the other
    ut_buf scope_bytes;
    ut_buf span_bytes;
    ut_buf resource_parts; // ut_batch_part each
    ut_buf scope_parts;
    ut_buf span_index; // ut_batch_span each
    uint32_t resource_count;
    uint32_t scope_count;
    uint32_t span_count;
    uint32_t rejected_count;            // spans refused one by one (invalid ids)
    uint32_t rejected[UT_REJECT_COUNT]; // the same by id
    // Of the first refused span; where none is, what the sender should know of a request without
    // spans; else empty.
    char reject_reason_z[UT_BATCH_REASON_MAX];
} ut_batch;

// bytes_max: ceiling of each buffer. Owns no memory until used.
void ut_batch_init(ut_batch *batch, size_t bytes_max);
void ut_batch_free(ut_batch *batch);
// Empties it and keeps at most keep_bytes_max of memory in each buffer.
void ut_batch_reset(ut_batch *batch, size_t keep_bytes_max);
// The first sticky error of its buffers.
ut_err ut_batch_error(const ut_batch *batch);
// Memory that it holds, in bytes.
size_t ut_batch_memory(const ut_batch *batch);

static inline const ut_batch_span *ut_batch_spans(const ut_batch *batch)
{
    return (const ut_batch_span *)(const void *)batch->span_index.data;
}
static inline const ut_batch_part *ut_batch_scopes(const ut_batch *batch)
{
    return (const ut_batch_part *)(const void *)batch->scope_parts.data;
}
static inline const ut_batch_part *ut_batch_resources(const ut_batch *batch)
{
    return (const ut_batch_part *)(const void *)batch->resource_parts.data;
}

// Decoders: write a resource record into resource_bytes beginning at offset `begin` (its length
// before), then call this. Returns its index, or UINT32_MAX when a limit is reached (the error is
// then sticky in resource_bytes).
uint32_t ut_batch_end_resource(ut_batch *batch, size_t begin);
uint32_t ut_batch_end_scope(ut_batch *batch, size_t begin, uint32_t resource);
// Ends a span record that begins at `begin` in span_bytes, as above; span gives ids, times, status
// and parent.
void ut_batch_end_span(ut_batch *batch, size_t begin, uint32_t scope, const ut_span *span);
// Counts a refused span and keeps the first reason.
void ut_batch_reject(ut_batch *batch, ut_reject id, const char *reason_format_z, ...)
    __attribute__((format(printf, 3, 4)));
// Keeps a reason without a refused span.
void ut_batch_remark(ut_batch *batch, const char *reason_format_z, ...)
    __attribute__((format(printf, 2, 3)));

#endif
