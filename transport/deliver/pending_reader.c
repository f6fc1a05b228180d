// The gathering of pending blocks into batches.
#include "transport/deliver/pending_reader.h"

// How many spans a batch may hold, so that it hardly ever passes batch_bytes_max.
static uint32_t spans_max_of(const ut_gatherer *gatherer)
{
    uint32_t spans_max = gatherer->destination->batch_spans_max;
    if (gatherer->span_bytes > 0) {
        uint64_t by_bytes =
            (uint64_t)gatherer->destination->batch_bytes_max * 15 / 16 / gatherer->span_bytes;
        if (by_bytes < spans_max)
            spans_max = by_bytes > 0 ? (uint32_t)by_bytes : 1;
    }
    return spans_max;
}

// Takes one pending entry of the ledger into the batch that grows. Where it does not fit, that
// batch is complete and the entry begins the next one. UT_ENOMEM: nothing changed.
static ut_err take_entry(ut_gatherer *gatherer, const ut_delivery *entry, uint64_t now_ms)
{
    UT_ASSERT(gatherer->full == NULL);
    ut_out_batch *growing = gatherer->growing;
    // An entry that cannot be true is found out by the batcher, where the block is read.
    uint32_t spans = entry->spans >= 1 && entry->spans <= UT_BLOCK_SPANS_MAX ? entry->spans : 1;
    bool fits = growing != NULL && growing->part_count < UT_OUT_PARTS_MAX &&
                growing->spans + spans <= spans_max_of(gatherer);
    ut_out_batch *into = fits ? growing : ut_out_batch_new();
    ut_out_block *block = ut_out_pool_take(gatherer->pool);
    if (into == NULL || block == NULL)
        goto no_memory;
    block->seq = entry->seq;
    block->spans = spans;
    block->spans_open = spans;
    block->attempts = entry->attempts;
    block->attempts_before = entry->attempts;
    if (ut_out_batch_add(into, block, 0, spans) != UT_OK)
        goto no_memory;
    if (into != growing) {
        into->since_ms = now_ms;
        gatherer->full = growing; // NULL when nothing grew
        gatherer->growing = into;
    }
    return UT_OK;

no_memory:
    if (block != NULL)
        ut_out_pool_give(gatherer->pool, block);
    if (into != growing)
        ut_out_batch_free(into);
    return UT_ENOMEM;
}

// Moves a complete batch out of the one that grows. A block larger than a batch is cut here.
static ut_err complete(ut_gatherer *gatherer, uint64_t now_ms)
{
    uint32_t spans_max = spans_max_of(gatherer);
    if (gatherer->full != NULL || gatherer->growing == NULL || gatherer->growing->spans < spans_max)
        return UT_OK;
    ut_out_batch *rest = NULL;
    if (gatherer->growing->spans > spans_max) {
        ut_err err = ut_out_batch_split(gatherer->growing, spans_max, &rest);
        if (err != UT_OK)
            return err;
        rest->since_ms = now_ms;
    }
    gatherer->full = gatherer->growing;
    gatherer->growing = rest;
    return UT_OK;
}

static ut_err read_ledger(ut_gatherer *gatherer, ut_store_view *view, uint64_t now_ms)
{
    const ut_destination_config *d = gatherer->destination;
    uint64_t last_seq = gatherer->last_seq;
    ut_err err = ut_store_view_begin(view);
    if (err != UT_OK)
        return err;
    for (int entries = 0; entries < UT_GATHERER_SCAN_MAX && gatherer->full == NULL; entries++) {
        ut_delivery entry;
        err = ut_store_next_pending(view, d->org, d->dest, gatherer->cursor, UT_GATHERER_SCAN_MAX,
                                    &entry);
        if (err == UT_ENOTFOUND) {
            // Whatever the store told us of was visible to this view.
            gatherer->scanned_seq = last_seq;
            if (gatherer->cursor < last_seq)
                gatherer->cursor = last_seq;
            err = UT_OK;
            break;
        }
        if (err == UT_OK)
            err = take_entry(gatherer, &entry, now_ms);
        if (err != UT_OK && err != UT_EAGAIN)
            break;
        gatherer->cursor = entry.seq;
        if (err == UT_EAGAIN) {
            err = UT_OK;
            break; // a long stretch without pending entries: on with it in the next step
        }
        err = complete(gatherer, now_ms);
        if (err != UT_OK)
            break;
    }
    ut_store_view_end(view);
    return err;
}

bool ut_gatherer_more(const ut_gatherer *gatherer)
{
    return gatherer->full == NULL && gatherer->last_seq > gatherer->scanned_seq;
}

ut_err ut_gatherer_read(ut_gatherer *gatherer, ut_store_view *view, uint64_t now_ms)
{
    ut_err err = complete(gatherer, now_ms);
    if (err == UT_OK && ut_gatherer_more(gatherer))
        err = read_ledger(gatherer, view, now_ms);
    return err;
}

uint64_t ut_gatherer_due_ms(const ut_gatherer *gatherer)
{
    if (gatherer->full != NULL)
        return 0;
    if (gatherer->growing == NULL)
        return UINT64_MAX;
    return gatherer->growing->since_ms + gatherer->destination->batch_delay_ms_max;
}

ut_out_batch *ut_gatherer_take(ut_gatherer *gatherer, uint64_t now_ms)
{
    if (ut_gatherer_due_ms(gatherer) > now_ms)
        return NULL;
    ut_out_batch **from = gatherer->full != NULL ? &gatherer->full : &gatherer->growing;
    ut_out_batch *batch = *from;
    *from = NULL;
    return batch;
}

void ut_gatherer_learn(ut_gatherer *gatherer, size_t bytes, uint32_t spans)
{
    uint64_t mean = bytes / spans + 1;
    if (mean > UINT32_MAX / 8)
        mean = UINT32_MAX / 8;
    gatherer->span_bytes = gatherer->span_bytes == 0
                               ? (uint32_t)mean
                               : (uint32_t)(((uint64_t)gatherer->span_bytes * 7 + mean) / 8);
}
