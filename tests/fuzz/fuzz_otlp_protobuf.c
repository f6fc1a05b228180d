// Fuzzes the OTLP protobuf decoder, and with the requests that it accepts both encoders: what goes
// out must come in equal.
#include "adapters/encoding/json.h"
#include "adapters/otlp/otlp.h"
#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

enum { BYTES_MAX = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void protobuf_comes_back(const ut_batch *before)
{
    ut_buf bytes;
    ut_batch clean;
    ut_batch after;
    uint32_t index;
    ut_buf_init(&bytes, BYTES_MAX);
    ut_batch_init(&clean, BYTES_MAX);
    ut_batch_init(&after, BYTES_MAX);
    ut_encode_batch(before, &ut_otlp_protobuf_encoder, &bytes);
    UT_ASSERT(ut_otlp_protobuf_decode(ut_buf_bytes(&bytes), &clean, NULL) == UT_OK);
    UT_ASSERT(clean.rejected_count == 0);
    UT_ASSERT(clean.span_count == before->span_count);
    ut_buf_reset(&bytes, BYTES_MAX);
    ut_encode_batch(&clean, &ut_otlp_protobuf_encoder, &bytes);
    UT_ASSERT(ut_otlp_protobuf_decode(ut_buf_bytes(&bytes), &after, NULL) == UT_OK);
    UT_ASSERT(ut_batch_difference(&clean, &after, &index) == NULL);
    ut_batch_free(&after);
    ut_batch_free(&clean);
    ut_buf_free(&bytes);
}

// Bytes that are not UTF-8 are replaced, so that only the number of spans is sure to be the same.
static void json_is_json(const ut_batch *before)
{
    ut_buf bytes;
    ut_batch after;
    ut_buf_init(&bytes, BYTES_MAX);
    ut_batch_init(&after, BYTES_MAX);
    ut_encode_batch(before, &ut_otlp_json_encoder, &bytes);
    UT_ASSERT(ut_otlp_json_decode(ut_buf_bytes(&bytes), &after, NULL) == UT_OK);
    UT_ASSERT(after.span_count == before->span_count);
    ut_batch_free(&after);
    ut_buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ut_batch batch;
    ut_fault fault;
    ut_batch_init(&batch, BYTES_MAX);
    ut_err err = ut_otlp_protobuf_decode(ut_bytes_of(data, size), &batch, &fault);
    UT_ASSERT(err == UT_OK || err == UT_EFORMAT || err == UT_ELIMIT);
    UT_ASSERT(err == UT_OK || (fault.code == err && fault.text_z[0] != '\0'));
    UT_ASSERT(batch.rejected_count == 0 || batch.reject_reason_z[0] != '\0');
    if (err == UT_OK && batch.span_count > 0) {
        protobuf_comes_back(&batch);
        json_is_json(&batch);
    }
    ut_batch_free(&batch);
    return 0;
}
