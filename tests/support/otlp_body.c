// Requests of realistic spans; see otlp_body.h.
#include "tests/support/otlp_body.h"

#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

enum { BATCH_BYTES_MAX = 256 * 1024 * 1024 };

void ut_make_spans(uint64_t seed, uint32_t spans, ut_batch *batch)
{
    ut_realistic_batch(seed, spans, 1700000000000000000u + seed, batch);
    UT_ASSERT(ut_batch_error(batch) == UT_OK && batch->span_count == spans);
}

void ut_make_big_spans(uint64_t seed, uint32_t spans, ut_batch *batch)
{
    ut_random_batch(seed, spans, UT_RANDOM_WIRE, batch);
    UT_ASSERT(ut_batch_error(batch) == UT_OK && batch->span_count == spans);
}

void ut_make_body(uint64_t seed, uint32_t spans, const ut_otlp_encoder *encoder, ut_buf *out)
{
    ut_batch batch;
    ut_batch_init(&batch, BATCH_BYTES_MAX);
    ut_make_spans(seed, spans, &batch);
    ut_encode_batch(&batch, encoder, out);
    ut_batch_free(&batch);
}
