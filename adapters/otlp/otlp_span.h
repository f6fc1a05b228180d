// The part of decoding an OTLP request that protobuf and JSON have in common: which ids a span may
// have, and when its resource and its scope enter the batch. Not for reading either encoding.
//
// Source: opentelemetry-proto v1, trace/v1/trace.proto, message Span: trace_id and span_id are
// required, of 16 and 8 bytes, and not all zero; parent_span_id is empty for a root.
#ifndef UT_ADAPTERS_OTLP_OTLP_SPAN_H
#define UT_ADAPTERS_OTLP_OTLP_SPAN_H

#include "storage/span/batch.h"

// The record of a resource or scope, which enters the batch with the first span that needs it.
typedef struct {
    size_t begin;   // offset of the record in resource_bytes or scope_bytes of the batch
    uint32_t index; // in the batch; UINT32_MAX: not in it yet
} ut_otlp_part;

// The next record of bytes, which are batch->resource_bytes or batch->scope_bytes.
static inline ut_otlp_part ut_otlp_part_begin(const ut_buf *bytes)
{
    return (ut_otlp_part){bytes->len, UINT32_MAX};
}

// Takes the record back when no span needed it. Call it behind the last span, with the same bytes.
void ut_otlp_part_end(const ut_otlp_part *part, ut_buf *bytes);

// The same for a record whose end was written behind its spans. parts: of the same kind, in the
// batch.
void ut_otlp_part_end_late(const ut_otlp_part *part, ut_buf *bytes, ut_buf *parts);

// Returns the id for which a span is rejected, UT_REJECT_COUNT: none. A trace id is 16 bytes and a
// span id 8, not all zero; a parent span id is empty or 8 bytes, also zeros. Their bytes are read
// only when their length is right. Unless they fit, the ids are replaced by ones that a record can
// hold: a rejected span is written all the same and taken back by ut_otlp_span_end, so that a fault
// further on still refuses the whole body.
ut_reject ut_otlp_span_check_ids(ut_span *span);

// Counts a rejected span, with a reason such as "<place>.traceId has 30 digits, expected 32".
// len: of the id in units, which are digits or bytes; expected: its right length, or for
// UT_REJECT_LINK_ID the greatest.
void ut_otlp_span_reject(ut_batch *batch, ut_reject id, const char *place_z, const char *field_z,
                         size_t len, size_t expected, const char *units_z);

// Ends a span whose record was written into batch->span_bytes from offset `begin` on. fits: it
// enters the batch, and before it the parts that are not there yet; else its record is taken back.
// Errors, also those of writing the record, stay in the buffers of batch (ut_batch_error).
void ut_otlp_span_end(ut_batch *batch, size_t begin, bool fits, ut_otlp_part *resource,
                      ut_otlp_part *scope, const ut_span *span);

// Makes the sentence for a request that the batch could not take. err: UT_ELIMIT, or what a buffer
// says. body_bytes: the length of the request. Returns err.
ut_err ut_otlp_batch_fault(const ut_batch *batch, size_t body_bytes, ut_err err, ut_fault *fault);

#endif
