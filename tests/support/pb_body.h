// Bodies of OTLP protobuf requests that a test makes by hand, field by field, and their decoding.
// Functions without a result fail the test when something goes wrong.
#ifndef UT_TESTS_SUPPORT_PB_BODY_H
#define UT_TESTS_SUPPORT_PB_BODY_H

#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_fields.h"

enum { UT_PB_BODY_BYTES_MAX = 1 << 28 };

// The ids of every span that ut_pb_body_open_span begins.
extern const uint8_t ut_pb_body_trace_id[UT_TRACE_ID_LEN];
extern const uint8_t ut_pb_body_span_id[UT_SPAN_ID_LEN];

// A body under construction: fields go into out, inside of the messages that are open.
typedef struct {
    ut_buf out;
    ut_pb_slot open[8];
    size_t depth;
} ut_pb_body;

ut_pb_body ut_pb_body_new(void);

void ut_pb_body_open(ut_pb_body *b, uint32_t number);
void ut_pb_body_close(ut_pb_body *b);
void ut_pb_body_close_all(ut_pb_body *b);
void ut_pb_body_open_scope_spans(ut_pb_body *b); // with its ResourceSpans
void ut_pb_body_open_span(ut_pb_body *b);        // with its ids

void ut_pb_body_put_ids(ut_pb_body *b);
void ut_pb_body_put_text(ut_pb_body *b, uint32_t number, const char *text_z);
// An attribute whose AnyValue has these bytes.
void ut_pb_body_put_attribute(ut_pb_body *b, uint32_t number, const char *key_z, ut_bytes any);

// Decodes bytes of exactly this size, so that a sanitizer sees a read past the end. Begins batch,
// which the caller frees.
ut_err ut_pb_body_decode_bytes(ut_bytes bytes, ut_batch *batch, ut_fault *fault);

// Closes and decodes the body, which must be fine, and frees it. Begins batch, which the caller
// frees.
void ut_pb_body_decode(ut_pb_body *b, ut_batch *batch);

// A span of a batch; it must be there.
ut_span ut_pb_body_span(const ut_batch *batch, uint32_t index);

#endif
