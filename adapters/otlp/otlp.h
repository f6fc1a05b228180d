// Requests and answers of OTLP in both encodings, protobuf and JSON: decoders of requests, encoders
// of blocks, and the bodies of answers. All functions keep nothing between calls and may run on any
// thread. Not for HTTP, status codes and retries: receivers and transport/ decide those.
//
// Source: opentelemetry-proto v1, docs/specification.md: "OTLP/HTTP", with "Binary Protobuf
// Encoding" and "JSON Protobuf Encoding". Field numbers: otlp_fields.h.
#ifndef UT_ADAPTERS_OTLP_OTLP_H
#define UT_ADAPTERS_OTLP_OTLP_H

#include "storage/span/block.h"

enum { UT_OTLP_DEPTH_MAX = UT_VALUE_DEPTH_MAX }; // nesting of attribute values

typedef enum { UT_OTLP_PROTOBUF, UT_OTLP_JSON } ut_otlp_encoding;

// An encoder of trace requests (ExportTraceServiceRequest). A request goes into one growing
// buffer: begin, add any number of times, end. An encoder has no state: what it needs between
// calls it reads from out, so out must not change meanwhile.
typedef struct {
    const char *name_z;         // "protobuf", "json"
    const char *content_type_z; // "application/x-protobuf", "application/json"
    void (*begin)(ut_buf *out); // errors stay in out->err
    // Appends the spans of block with from <= ordinal < to. block: borrowed for the call.
    // Errors, after which out must be reset: UT_ECORRUPT (the block is damaged), UT_ELIMIT (the
    // ceiling of out), UT_ENOMEM.
    ut_err (*add)(ut_buf *out, const ut_block *block, uint32_t from, uint32_t to);
    void (*end)(ut_buf *out); // errors stay in out->err
} ut_otlp_encoder;

extern const ut_otlp_encoder ut_otlp_protobuf_encoder;
extern const ut_otlp_encoder ut_otlp_json_encoder;

// Decodes an ExportTraceServiceRequest into batch, in one pass from wire bytes to span records and
// without an allocation per span.
//
// body:  borrowed for the call; nothing in batch points into it afterwards.
// batch: empty; must be reset after an error. Resources and scopes without a span leave nothing in
//        it. Spans with invalid ids (otlp_span.h) are rejected one by one and counted in
//        batch->rejected_count, with the reason of the first.
// fault: out, set with every error; may be NULL.
// Errors: UT_EFORMAT (the body does not decode, or values nest deeper than UT_OTLP_DEPTH_MAX; the
// fault says where, as in "resource_spans[2].scope_spans[0].spans[14].attributes: length 900 runs
// past the end at byte 1204"), UT_ELIMIT (too many spans or scopes, the ceiling of batch, or more
// memory for reading JSON than adapters/encoding/json.h allows), UT_ENOMEM.
//
// The head of each decoder's file says how it takes repeated and unknown fields.
ut_err ut_otlp_protobuf_decode(ut_bytes body, ut_batch *batch, ut_fault *fault);
ut_err ut_otlp_json_decode(ut_bytes body, ut_batch *batch, ut_fault *fault);
// The same with at most memory_max bytes of memory, besides the body and the batch, until it
// returns; UT_ELIMIT beyond.
ut_err ut_otlp_json_decode_within(ut_bytes body, size_t memory_max, ut_batch *batch,
                                  ut_fault *fault);

// ---- answers ----

// Errors of writing stay in out->err. Source: docs/specification.md, "OTLP/HTTP Response", "Full
// Success", "Partial Success" and "Failures"; google/rpc/status.proto.

// Appends an ExportTraceServiceResponse. Full success, with rejected 0 and reason_z empty, is no
// bytes at all in protobuf and "{}" in JSON.
void ut_otlp_response_write(ut_otlp_encoding encoding, int64_t rejected, const char *reason_z,
                            ut_buf *out);

// Appends a google.rpc.Status. code: of gRPC (3 invalid argument, 8 resource exhausted,
// 14 unavailable).
void ut_otlp_status_write(ut_otlp_encoding encoding, int32_t code, const char *message_z,
                          ut_buf *out);

// Reads the answer of a destination that took a request: how many spans it rejected, and why. Bytes
// that do not parse count as full success, because providers answer JSON to protobuf, or nothing.
// message_z: cap bytes; cut to fit, with white space and control characters replaced by one space,
// and bytes that are not UTF-8, and characters that may not be shown, by a question mark; empty
// when there is no message.
void ut_otlp_response_read(ut_otlp_encoding encoding, ut_bytes body, int64_t *rejected,
                           char *message_z, size_t cap);

// Reads the message of a google.rpc.Status from an error body of either encoding; of any other
// body, its beginning as text. message_z: as above.
void ut_otlp_status_read(ut_bytes body, char *message_z, size_t cap);
// True when body may be a google.rpc.Status of either encoding; one of no bytes is.
bool ut_otlp_is_status(ut_bytes body);

#endif
