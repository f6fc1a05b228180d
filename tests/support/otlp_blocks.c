// From a batch to blocks to the bytes of a request; see otlp_blocks.h.
#include "tests/support/otlp_blocks.h"

enum { BYTES_MAX = 1 << 28 };

uint32_t ut_make_block(const ut_batch *batch, uint32_t from, uint32_t to, ut_buf *payload,
                       ut_block *block)
{
    ut_block_builder *builder = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    UT_ASSERT(builder != NULL);
    while (from < to && ut_block_builder_fits(builder, batch, &ut_batch_spans(batch)[from])) {
        ut_err err = ut_block_builder_add(builder, batch, &ut_batch_spans(batch)[from++]);
        UT_ASSERT(err == UT_OK);
    }
    ut_buf sealed;
    ut_buf_init(&sealed, BYTES_MAX);
    ut_err err = ut_block_seal(builder, 0, 0, &sealed);
    UT_ASSERT(err == UT_OK);
    err = ut_block_open(ut_buf_bytes(&sealed), payload, block);
    UT_ASSERT(err == UT_OK);
    ut_buf_free(&sealed);
    ut_block_builder_free(builder);
    return from;
}

void ut_encode_batch(const ut_batch *batch, const ut_otlp_encoder *encoder, ut_buf *out)
{
    ut_buf payload;
    ut_buf_init(&payload, BYTES_MAX);
    encoder->begin(out);
    for (uint32_t next = 0; next < batch->span_count;) {
        ut_block block;
        next = ut_make_block(batch, next, batch->span_count, &payload, &block);
        ut_err err = encoder->add(out, &block, 0, block.info.span_count);
        UT_ASSERT(err == UT_OK);
    }
    encoder->end(out);
    UT_ASSERT(out->err == UT_OK);
    ut_buf_free(&payload);
}
