// See pb_body.h.
#include "tests/support/pb_body.h"

#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

const uint8_t ut_pb_body_trace_id[UT_TRACE_ID_LEN] = {1, 2,  3,  4,  5,  6,  7,  8,
                                                      9, 10, 11, 12, 13, 14, 15, 16};
const uint8_t ut_pb_body_span_id[UT_SPAN_ID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8};

ut_pb_body ut_pb_body_new(void)
{
    ut_pb_body b = {.depth = 0};
    ut_buf_init(&b.out, UT_PB_BODY_BYTES_MAX);
    return b;
}

void ut_pb_body_open(ut_pb_body *b, uint32_t number)
{
    b->open[b->depth++] = ut_pb_open(&b->out, number, 100);
}

void ut_pb_body_close(ut_pb_body *b)
{
    ut_pb_close(&b->out, b->open[--b->depth]);
}

void ut_pb_body_close_all(ut_pb_body *b)
{
    while (b->depth > 0)
        ut_pb_body_close(b);
}

void ut_pb_body_open_scope_spans(ut_pb_body *b)
{
    ut_pb_body_open(b, UT_REQUEST_RESOURCE_SPANS);
    ut_pb_body_open(b, UT_RESOURCE_SPANS_SCOPE_SPANS);
}

void ut_pb_body_put_ids(ut_pb_body *b)
{
    ut_pb_put_bytes(&b->out, UT_SPAN_TRACE_ID, ut_bytes_of(ut_pb_body_trace_id, UT_TRACE_ID_LEN));
    ut_pb_put_bytes(&b->out, UT_SPAN_SPAN_ID, ut_bytes_of(ut_pb_body_span_id, UT_SPAN_ID_LEN));
}

void ut_pb_body_open_span(ut_pb_body *b)
{
    ut_pb_body_open(b, UT_SCOPE_SPANS_SPANS);
    ut_pb_body_put_ids(b);
}

void ut_pb_body_put_text(ut_pb_body *b, uint32_t number, const char *text_z)
{
    ut_pb_put_bytes(&b->out, number, ut_bytes_of_z(text_z));
}

void ut_pb_body_put_attribute(ut_pb_body *b, uint32_t number, const char *key_z, ut_bytes any)
{
    ut_pb_body_open(b, number);
    ut_pb_body_put_text(b, UT_KEY_VALUE_KEY, key_z);
    ut_pb_put_bytes(&b->out, UT_KEY_VALUE_VALUE, any);
    ut_pb_body_close(b);
}

ut_err ut_pb_body_decode_bytes(ut_bytes bytes, ut_batch *batch, ut_fault *fault)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    ut_batch_init(batch, UT_PB_BODY_BYTES_MAX);
    ut_err err = ut_otlp_protobuf_decode(ut_bytes_of(copy, bytes.len), batch, fault);
    free(copy);
    return err;
}

void ut_pb_body_decode(ut_pb_body *b, ut_batch *batch)
{
    ut_fault fault = {0};
    ut_pb_body_close_all(b);
    if (ut_pb_body_decode_bytes(ut_buf_bytes(&b->out), batch, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    ut_buf_free(&b->out);
}

ut_span ut_pb_body_span(const ut_batch *batch, uint32_t index)
{
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    assert_true(index < batch->span_count);
    ut_batch_read(batch, index, &span, &scope, &resource);
    return span;
}
