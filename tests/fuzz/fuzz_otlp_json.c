// Fuzzes the OTLP JSON decoder: what one pass over the text accepts, the document accepts with
// equal records. With the requests that it accepts also both encoders: what goes out must come in
// equal.
#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_json_stream.h"
#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

enum { BYTES_MAX = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void comes_back(const ut_batch *before, const ut_otlp_encoder *encoder)
{
    ut_buf bytes;
    ut_batch after;
    uint32_t index;
    ut_buf_init(&bytes, BYTES_MAX);
    ut_batch_init(&after, BYTES_MAX);
    ut_encode_batch(before, encoder, &bytes);
    ut_err err = encoder == &ut_otlp_json_encoder
                     ? ut_otlp_json_decode(ut_buf_bytes(&bytes), &after, NULL)
                     : ut_otlp_protobuf_decode(ut_buf_bytes(&bytes), &after, NULL);
    UT_ASSERT(err == UT_OK);
    UT_ASSERT(after.rejected_count == 0);
    UT_ASSERT(ut_batch_difference(before, &after, &index) == NULL);
    ut_batch_free(&after);
    ut_buf_free(&bytes);
}

static void both_ways_agree(ut_bytes body)
{
    ut_batch stream;
    ut_batch document;
    uint32_t index;
    ut_batch_init(&stream, BYTES_MAX);
    ut_batch_init(&document, BYTES_MAX);
    if (body.len > 0 && ut_otlp_json_stream(body, SIZE_MAX, &stream)) {
        UT_ASSERT(ut_otlp_json_document(body, SIZE_MAX, &document, NULL) == UT_OK);
        UT_ASSERT(document.rejected_count == 0);
        UT_ASSERT(ut_batch_difference(&stream, &document, &index) == NULL);
        UT_ASSERT(
            ut_bytes_equal(ut_buf_bytes(&stream.span_bytes), ut_buf_bytes(&document.span_bytes)));
    }
    ut_batch_free(&stream);
    ut_batch_free(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ut_batch batch;
    ut_fault fault;
    ut_batch_init(&batch, BYTES_MAX);
    both_ways_agree(ut_bytes_of(data, size));
    ut_err err = ut_otlp_json_decode(ut_bytes_of(data, size), &batch, &fault);
    UT_ASSERT(err == UT_OK || err == UT_EFORMAT || err == UT_ELIMIT);
    UT_ASSERT(err == UT_OK || (fault.code == err && fault.text_z[0] != '\0'));
    if (err == UT_OK && batch.span_count > 0) {
        comes_back(&batch, &ut_otlp_json_encoder);
        comes_back(&batch, &ut_otlp_protobuf_encoder);
    }
    ut_batch_free(&batch);
    return 0;
}
