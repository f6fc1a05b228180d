// Encodes batches. Not for choosing what is in one (exporter.c).
#include "transport/deliver/batcher.h"

enum { KEEP_BYTES_MAX = 1024 * 1024 }; // of working memory, while there is work

ut_err ut_batcher_init(ut_batcher *batcher, ut_engine *engine)
{
    memset(batcher, 0, sizeof(*batcher));
    ut_buf_init(&batcher->payload, UT_BLOCK_PAYLOAD_MAX);
    ut_buf_init(&batcher->plain, UT_BATCHER_BODY_BYTES_MAX);
    return ut_store_view_open(engine, &batcher->view);
}

void ut_batcher_free(ut_batcher *batcher)
{
    if (batcher->view != NULL)
        ut_store_view_close(batcher->view);
    batcher->view = NULL;
    ut_batcher_rest(batcher);
}

void ut_batcher_rest(ut_batcher *batcher)
{
    ut_gzip_free(batcher->gzip);
    batcher->gzip = NULL;
    ut_buf_free(&batcher->payload);
    ut_buf_free(&batcher->plain);
}

// Takes a failed or unwanted addition back.
static void truncate_to(ut_buf *out, size_t len)
{
    out->len = len;
    out->err = UT_OK;
}

// How many of `spans` spans fit, when all of them took `bytes` of the `bytes_max` that they may: a
// little less than in proportion, at least one, and fewer than all.
static uint32_t fitting(uint32_t spans, size_t bytes, size_t bytes_max)
{
    uint64_t fit = (uint64_t)spans * bytes_max / bytes * 7 / 8;
    if (fit >= spans)
        fit = spans - 1;
    return fit > 0 ? (uint32_t)fit : 1;
}

typedef struct {
    const ut_destination_config *destination;
    ut_delivery_batch *batch;
    ut_delivery_batch **rest;
    ut_buf *out;
    uint32_t spans; // in out
    bool full;      // nothing more goes in; *rest holds the others, if there are any
} encoding;

// Adds one part, whose block is open, or as much of it as fits. What is wrong with the part becomes
// its state. UT_ENOMEM only.
static ut_err add_part(encoding *e, size_t index, const ut_block *block)
{
    ut_delivery_part *part = &e->batch->parts[index];
    size_t bytes_max = e->destination->batch_bytes_max;
    size_t before = e->out->len;
    uint32_t spans = (uint32_t)(part->to - part->from);
    for (;;) {
        ut_err err = e->destination->encoder->add(e->out, block, part->from, part->from + spans);
        size_t bytes = e->out->len;
        if (err == UT_OK && (bytes <= bytes_max || (spans == 1 && e->spans == 0)))
            break; // a span that is alone in its batch may be larger
        truncate_to(e->out, before);
        if (err == UT_ENOMEM)
            return UT_ENOMEM;
        if (err != UT_OK && err != UT_ELIMIT) {
            part->state = UT_DELIVERY_PART_DAMAGED;
            return UT_OK;
        }
        if (e->spans > 0) {
            e->full = true;
            return ut_delivery_batch_cut(e->batch, index, 0, e->rest);
        }
        if (spans == 1) {
            part->state = UT_DELIVERY_PART_TOO_LARGE;
            return UT_OK;
        }
        spans = err == UT_ELIMIT ? spans / 2 : fitting(spans, bytes, bytes_max);
    }
    e->spans += spans;
    if (spans < (uint32_t)(part->to - part->from)) {
        e->full = true;
        return ut_delivery_batch_cut(e->batch, index, spans, e->rest);
    }
    return UT_OK;
}

// Encodes the parts of a batch into e->out. The view is open.
static ut_err encode(ut_batcher *batcher, encoding *e)
{
    for (size_t i = 0; i < e->batch->part_count && !e->full; i++) {
        ut_delivery_part *part = &e->batch->parts[i];
        ut_block block;
        ut_err err = ut_store_read_block(batcher->view, e->destination->org, part->block->seq,
                                         &batcher->payload, &block);
        switch (err) {
        case UT_OK:
            if (block.info.span_count == part->block->spans)
                err = add_part(e, i, &block);
            else
                part->state = UT_DELIVERY_PART_DAMAGED; // the ledger knows another block
            break;
        case UT_ENOTFOUND:
            part->state = UT_DELIVERY_PART_GONE;
            err = UT_OK;
            break;
        case UT_ECORRUPT:
        case UT_EVERSION:
        case UT_EFORMAT:
        case UT_ELIMIT:
            part->state = UT_DELIVERY_PART_DAMAGED;
            err = UT_OK;
            break;
        default:
            break;
        }
        if (err != UT_OK)
            return err;
    }
    return UT_OK;
}

static ut_err compress(ut_batcher *batcher, int level, ut_buf *body)
{
    if (batcher->gzip == NULL)
        batcher->gzip = ut_gzip_new();
    if (batcher->gzip == NULL)
        return UT_ENOMEM;
    return ut_gzip_compress(batcher->gzip, ut_buf_bytes(&batcher->plain), level, body);
}

ut_err ut_batcher_build(ut_batcher *batcher, const ut_destination_config *destination,
                        ut_delivery_batch *batch, ut_buf *body, size_t *plain_bytes,
                        ut_delivery_batch **rest)
{
    *rest = NULL;
    *plain_bytes = 0;
    ut_buf_reset(body, destination->batch_bytes_max);
    ut_buf_reset(&batcher->plain, KEEP_BYTES_MAX);
    ut_buf_reset(&batcher->payload, KEEP_BYTES_MAX);
    encoding e = {
        .destination = destination,
        .batch = batch,
        .rest = rest,
        .out = destination->gzip ? &batcher->plain : body,
    };
    destination->encoder->begin(e.out);
    ut_err err = ut_store_view_begin(batcher->view);
    if (err == UT_OK) {
        err = encode(batcher, &e);
        ut_store_view_end(batcher->view);
    }
    destination->encoder->end(e.out);
    if (err == UT_OK)
        err = e.out->err;
    if (err == UT_OK && e.spans > 0) {
        *plain_bytes = e.out->len;
        if (destination->gzip)
            err = compress(batcher, destination->gzip_level, body);
    } else {
        ut_buf_reset(body, destination->batch_bytes_max);
    }
    return err;
}
