// The common part of the OTLP decoders; see otlp_span.h.
#include "adapters/otlp/otlp_span.h"

void ut_otlp_part_end(const ut_otlp_part *part, ut_buf *bytes)
{
    if (part->index == UINT32_MAX && bytes->err == UT_OK)
        bytes->len = part->begin;
}

void ut_otlp_part_end_late(const ut_otlp_part *part, ut_buf *bytes, ut_buf *parts)
{
    ut_otlp_part_end(part, bytes);
    if (part->index == UINT32_MAX || bytes->err != UT_OK || parts->err != UT_OK)
        return;
    ut_batch_part *entry = (ut_batch_part *)(void *)parts->data + part->index;
    entry->len = (uint32_t)(bytes->len - part->begin);
}

ut_otlp_ids ut_otlp_span_check_ids(ut_span *span)
{
    static const uint8_t none[UT_TRACE_ID_LEN];
    ut_otlp_ids ids = UT_OTLP_IDS_FIT;
    if (span->trace_id.len != UT_TRACE_ID_LEN || ut_bytes_all_zero(span->trace_id))
        ids = UT_OTLP_BAD_TRACE_ID;
    else if (span->span_id.len != UT_SPAN_ID_LEN || ut_bytes_all_zero(span->span_id))
        ids = UT_OTLP_BAD_SPAN_ID;
    else if (span->parent_span_id.len != 0 && span->parent_span_id.len != UT_SPAN_ID_LEN)
        ids = UT_OTLP_BAD_PARENT_SPAN_ID;
    if (ids != UT_OTLP_IDS_FIT) {
        span->trace_id = (ut_bytes){none, UT_TRACE_ID_LEN};
        span->span_id = (ut_bytes){none, UT_SPAN_ID_LEN};
        span->parent_span_id = UT_BYTES_NONE;
    }
    return ids;
}

static uint32_t scope_index(ut_batch *batch, ut_otlp_part *resource, ut_otlp_part *scope)
{
    if (resource->index == UINT32_MAX)
        resource->index = ut_batch_end_resource(batch, resource->begin);
    if (scope->index == UINT32_MAX && resource->index != UINT32_MAX)
        scope->index = ut_batch_end_scope(batch, scope->begin, resource->index);
    return scope->index;
}

void ut_otlp_span_end(ut_batch *batch, size_t begin, bool fits, ut_otlp_part *resource,
                      ut_otlp_part *scope, const ut_span *span)
{
    if (batch->span_bytes.err != UT_OK) // its length means nothing then
        return;
    if (fits)
        ut_batch_end_span(batch, begin, scope_index(batch, resource, scope), span);
    else
        batch->span_bytes.len = begin;
}

ut_err ut_otlp_batch_fault(const ut_batch *batch, size_t body_bytes, ut_err err, ut_fault *fault)
{
    if (err == UT_ELIMIT)
        return ut_fault_set(fault, err,
                            "the request holds more than the limits of one batch allow (%d "
                            "spans, %d scopes, %zu bytes)",
                            UT_BATCH_SPANS_MAX, UT_BATCH_SCOPES_MAX, batch->span_bytes.max);
    return ut_fault_set(fault, err, "%s while decoding a request of %zu bytes", ut_err_text(err),
                        body_bytes);
}
