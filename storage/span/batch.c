// The buffers of one decoded request; see batch.h.
// Not for the bytes of records: span.c writes them.
#include "storage/span/batch.h"

#include <stdarg.h>
#include <stdio.h>

enum { BUFS = 6 };

// All buffers of a batch, to treat them alike.
static void bufs_of(ut_batch *batch, ut_buf *bufs[BUFS])
{
    bufs[0] = &batch->resource_bytes;
    bufs[1] = &batch->scope_bytes;
    bufs[2] = &batch->span_bytes;
    bufs[3] = &batch->resource_parts;
    bufs[4] = &batch->scope_parts;
    bufs[5] = &batch->span_index;
}

static void clear_counts(ut_batch *batch)
{
    batch->resource_count = 0;
    batch->scope_count = 0;
    batch->span_count = 0;
    batch->rejected_count = 0;
    memset(batch->rejected, 0, sizeof(batch->rejected));
    batch->reject_reason_z[0] = '\0';
}

void ut_batch_init(ut_batch *batch, size_t bytes_max)
{
    // Offsets in a batch have 32 bits.
    if ((uint64_t)bytes_max >> 32 != 0)
        bytes_max = UINT32_MAX;
    ut_buf *bufs[BUFS];
    bufs_of(batch, bufs);
    for (size_t i = 0; i < BUFS; i++)
        ut_buf_init(bufs[i], bytes_max);
    clear_counts(batch);
}

void ut_batch_free(ut_batch *batch)
{
    ut_buf *bufs[BUFS];
    bufs_of(batch, bufs);
    for (size_t i = 0; i < BUFS; i++)
        ut_buf_free(bufs[i]);
    clear_counts(batch);
}

void ut_batch_reset(ut_batch *batch, size_t keep_bytes_max)
{
    ut_buf *bufs[BUFS];
    bufs_of(batch, bufs);
    for (size_t i = 0; i < BUFS; i++)
        ut_buf_reset(bufs[i], keep_bytes_max);
    clear_counts(batch);
}

ut_err ut_batch_error(const ut_batch *batch)
{
    const ut_buf *bufs[BUFS] = {&batch->resource_bytes, &batch->scope_bytes, &batch->span_bytes,
                                &batch->resource_parts, &batch->scope_parts, &batch->span_index};
    for (size_t i = 0; i < BUFS; i++) {
        if (bufs[i]->err != UT_OK)
            return bufs[i]->err;
    }
    return UT_OK;
}

size_t ut_batch_memory(const ut_batch *batch)
{
    return batch->resource_bytes.cap + batch->scope_bytes.cap + batch->span_bytes.cap +
           batch->resource_parts.cap + batch->scope_parts.cap + batch->span_index.cap;
}

// Adds a part for the record that begins at `begin` in bytes. Errors end up in bytes, where the
// header promises them.
static uint32_t end_part(ut_buf *bytes, ut_buf *parts, uint32_t *count, size_t begin,
                         uint32_t resource)
{
    if (bytes->err != UT_OK)
        return UINT32_MAX;
    UT_ASSERT(begin < bytes->len);
    if (*count == UT_BATCH_SCOPES_MAX) {
        bytes->err = UT_ELIMIT;
        return UINT32_MAX;
    }
    ut_batch_part part = {(uint32_t)begin, (uint32_t)(bytes->len - begin), resource};
    ut_buf_add(parts, &part, sizeof(part));
    if (parts->err != UT_OK) {
        bytes->err = parts->err;
        return UINT32_MAX;
    }
    return (*count)++;
}

uint32_t ut_batch_end_resource(ut_batch *batch, size_t begin)
{
    return end_part(&batch->resource_bytes, &batch->resource_parts, &batch->resource_count, begin,
                    0);
}

uint32_t ut_batch_end_scope(ut_batch *batch, size_t begin, uint32_t resource)
{
    UT_ASSERT(resource < batch->resource_count || ut_batch_error(batch) != UT_OK);
    return end_part(&batch->scope_bytes, &batch->scope_parts, &batch->scope_count, begin, resource);
}

void ut_batch_end_span(ut_batch *batch, size_t begin, uint32_t scope, const ut_span *span)
{
    if (batch->span_bytes.err != UT_OK)
        return;
    UT_ASSERT(begin < batch->span_bytes.len);
    UT_ASSERT(scope < batch->scope_count || ut_batch_error(batch) != UT_OK);
    UT_ASSERT(span->trace_id.len == UT_TRACE_ID_LEN && span->span_id.len == UT_SPAN_ID_LEN);
    if (batch->span_count == UT_BATCH_SPANS_MAX) {
        batch->span_bytes.err = UT_ELIMIT;
        return;
    }
    uint8_t *at = ut_buf_reserve(&batch->span_index, sizeof(ut_batch_span));
    if (at == NULL)
        return;
    ut_batch_span entry = {
        .start_ns = span->start_ns,
        .end_ns = span->end_ns,
        .offset = (uint32_t)begin,
        .len = (uint32_t)(batch->span_bytes.len - begin),
        .scope = scope,
        .status = span->status_code >= UT_STATUS_UNSET && span->status_code <= UT_STATUS_ERROR
                      ? (uint8_t)span->status_code
                      : (uint8_t)UT_STATUS_UNSET,
        .root = ut_bytes_all_zero(span->parent_span_id),
    };
    memcpy(entry.trace_id, span->trace_id.data, UT_TRACE_ID_LEN);
    memcpy(entry.span_id, span->span_id.data, UT_SPAN_ID_LEN);
    memcpy(at, &entry, sizeof(entry));
    batch->span_index.len += sizeof(entry);
    batch->span_count += 1;
}

// A reason that is too long is cut; a format that cannot be written leaves it empty.
static void set_reason(ut_batch *batch, const char *format_z, va_list args)
{
    if (vsnprintf(batch->reject_reason_z, sizeof(batch->reject_reason_z), format_z, args) < 0)
        batch->reject_reason_z[0] = '\0';
}

void ut_batch_reject(ut_batch *batch, ut_reject id, const char *reason_format_z, ...)
{
    batch->rejected[id] += 1;
    batch->rejected_count += 1;
    if (batch->rejected_count > 1)
        return;
    va_list args;
    va_start(args, reason_format_z);
    set_reason(batch, reason_format_z, args);
    va_end(args);
}

void ut_batch_remark(ut_batch *batch, const char *reason_format_z, ...)
{
    va_list args;
    va_start(args, reason_format_z);
    set_reason(batch, reason_format_z, args);
    va_end(args);
}
