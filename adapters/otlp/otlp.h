// What OTLP's two encodings (protobuf, JSON) have in common: limits of decoding and the encoder interface.
// Source: opentelemetry-proto v1, docs/specification.md of that repository; field numbers in adapters/otlp/otlp_fields.h.
#ifndef UT_ADAPTERS_OTLP_H
#define UT_ADAPTERS_OTLP_H

#include "storage/span/block.h"

enum { UT_OTLP_DEPTH_MAX = UT_VALUE_DEPTH_MAX }; // nesting of attribute values

typedef enum { UT_OTLP_PROTOBUF, UT_OTLP_JSON } ut_otlp_encoding;

// An encoder of trace requests. Encoding goes into one growing buffer: begin, add (any number of times), end.
// Stateless: what it needs between calls it reads from out.
typedef struct {
    const char *name_z;         // "protobuf", "json"
    const char *content_type_z; // "application/x-protobuf", "application/json"
    void (*begin)(ut_buf *out);
    // Appends the spans with ordinals from <= n < to of block. UT_ECORRUPT (block damaged; out is then to be reset), UT_ELIMIT,
    // UT_ENOMEM.
    ut_err (*add)(ut_buf *out, const ut_block *block, uint32_t from, uint32_t to);
    void (*end)(ut_buf *out);
} ut_otlp_encoder;

extern const ut_otlp_encoder ut_otlp_protobuf_encoder;
extern const ut_otlp_encoder ut_otlp_json_encoder;

// Decodes an ExportTraceServiceRequest into batch (which is empty), in one pass from wire bytes to span records, without an
// allocation per span. Spans with invalid ids (wrong length, all zero; parent of a wrong length) are rejected one by one
// (batch->rejected_count); anything that does not decode refuses the whole body: UT_EFORMAT with a fault that says where
// ("resource_spans[2].scope_spans[0].spans[14].attributes: length 900 runs past the end at byte 1204"). UT_ELIMIT (too many
// spans or scopes, batch ceiling, JSON that takes more memory to read than adapters/encoding/json.h allows; nesting beyond UT_OTLP_DEPTH_MAX is
// UT_EFORMAT), UT_ENOMEM. batch is to be reset after an error. Resources and scopes without a span leave nothing in the batch.
// What each encoding does with repeated and unknown fields stands at the head of its file.
ut_err ut_otlp_protobuf_decode(ut_bytes body, ut_batch *batch, ut_fault *fault);
ut_err ut_otlp_json_decode(ut_bytes body, ut_batch *batch, ut_fault *fault);
// The same, taking at most memory_max bytes besides the body and the batch until it returns. UT_ELIMIT beyond.
ut_err ut_otlp_json_decode_within(ut_bytes body, size_t memory_max, ut_batch *batch,
                                  ut_fault *fault);

// ---- answers ----

// Appends an ExportTraceServiceResponse. rejected 0 and reason_z empty: full success (no bytes; "{}").
void ut_otlp_response_write(ut_otlp_encoding encoding, int64_t rejected, const char *reason_z,
                            ut_buf *out);

// Appends a google.rpc.Status. code: gRPC code (3 invalid argument, 8 resource exhausted, 14 unavailable, ...).
void ut_otlp_status_write(ut_otlp_encoding encoding, int32_t code, const char *message_z,
                          ut_buf *out);

// Reads what a destination answered to a success: partial success. Bytes that do not parse count as full success (providers
// answer JSON to protobuf, or nothing). message is cut to cap - 1 bytes, control characters replaced.
void ut_otlp_response_read(ut_otlp_encoding encoding, ut_bytes body, int64_t *rejected,
                           char *message_z, size_t cap);

// The message of a google.rpc.Status in an error body of either encoding, else the beginning of a text body; cut and cleaned likewise.
void ut_otlp_status_read(ut_bytes body, char *message_z, size_t cap);

#endif
