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

ut_reject ut_otlp_span_check_ids(ut_span *span)
{
    static const uint8_t none[UT_TRACE_ID_LEN];
    ut_reject id = UT_REJECT_COUNT;
    if (span->trace_id.len != UT_TRACE_ID_LEN || ut_bytes_all_zero(span->trace_id))
        id = UT_REJECT_TRACE_ID;
    else if (span->span_id.len != UT_SPAN_ID_LEN || ut_bytes_all_zero(span->span_id))
        id = UT_REJECT_SPAN_ID;
    else if (span->parent_span_id.len != 0 && span->parent_span_id.len != UT_SPAN_ID_LEN)
        id = UT_REJECT_PARENT_SPAN_ID;
    if (id != UT_REJECT_COUNT) {
        span->trace_id = (ut_bytes){none, UT_TRACE_ID_LEN};
        span->span_id = (ut_bytes){none, UT_SPAN_ID_LEN};
        span->parent_span_id = UT_BYTES_NONE;
    }
    return id;
}

void ut_otlp_span_reject(ut_batch *batch, ut_reject id, const char *place_z, const char *field_z,
                         size_t len, size_t expected, const char *units_z)
{
    static const char *const before_z[UT_REJECT_COUNT] = {
        [UT_REJECT_TRACE_ID] = "",
        [UT_REJECT_SPAN_ID] = "",
        [UT_REJECT_PARENT_SPAN_ID] = "none or ",
        [UT_REJECT_LINK_ID] = "whole bytes and at most ",
    };
    if (len == 0)
        ut_batch_reject(batch, id, "%.80s.%s is missing", place_z, field_z);
    else if (len == expected)
        ut_batch_reject(batch, id, "%.80s.%s is all zeros", place_z, field_z);
    else
        ut_batch_reject(batch, id, "%.80s.%s has %zu %s, expected %s%zu", place_z, field_z, len,
                        units_z, before_z[id], expected);
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
