// The gathering of pending blocks into batches.
#include "transport/deliver/pending_reader.h"

// How many spans a batch may hold, so that it hardly ever passes batch_bytes_max.
static uint32_t spans_max_of(const ut_pending_reader *reader)
{
    uint32_t spans_max = reader->destination->batch_spans_max;
    if (reader->span_bytes > 0) {
        uint64_t by_bytes =
            (uint64_t)reader->destination->batch_bytes_max * 15 / 16 / reader->span_bytes;
        if (by_bytes < spans_max)
            spans_max = by_bytes > 0 ? (uint32_t)by_bytes : 1;
    }
    return spans_max;
}

// Takes one pending entry of the ledger into the batch that grows. Where it does not fit, that
// batch is complete and the entry begins the next one. UT_ENOMEM: nothing changed.
static ut_err take_entry(ut_pending_reader *reader, const ut_delivery *entry, uint64_t now_ms)
{
    UT_ASSERT(reader->full == NULL);
    ut_delivery_batch *growing = reader->growing;
    // An entry that cannot be true is found out by the batcher, where the block is read.
    uint32_t spans = entry->spans >= 1 && entry->spans <= UT_BLOCK_SPANS_MAX ? entry->spans : 1;
    bool fits = growing != NULL && growing->part_count < UT_DELIVERY_PARTS_MAX &&
                growing->spans + spans <= spans_max_of(reader);
    ut_delivery_batch *into = fits ? growing : ut_delivery_batch_new();
    ut_delivery_block *block = ut_delivery_pool_take(reader->pool);
    if (into == NULL || block == NULL)
        goto no_memory;
    block->seq = entry->seq;
    block->spans = spans;
    block->spans_open = spans;
    block->attempts = entry->attempts;
    block->attempts_before = entry->attempts;
    if (ut_delivery_batch_add(into, block, 0, spans) != UT_OK)
        goto no_memory;
    if (into != growing) {
        into->since_ms = now_ms;
        reader->full = growing; // NULL when nothing grew
        reader->growing = into;
    }
    return UT_OK;

no_memory:
    if (block != NULL)
        ut_delivery_pool_give(reader->pool, block);
    if (into != growing)
        ut_delivery_batch_free(into);
    return UT_ENOMEM;
}

// Moves a complete batch out of the one that grows. A block larger than a batch is cut here.
static ut_err complete(ut_pending_reader *reader, uint64_t now_ms)
{
    uint32_t spans_max = spans_max_of(reader);
    if (reader->full != NULL || reader->growing == NULL || reader->growing->spans < spans_max)
        return UT_OK;
    ut_delivery_batch *rest = NULL;
    if (reader->growing->spans > spans_max) {
        ut_err err = ut_delivery_batch_split(reader->growing, spans_max, &rest);
        if (err != UT_OK)
            return err;
        rest->since_ms = now_ms;
    }
    reader->full = reader->growing;
    reader->growing = rest;
    return UT_OK;
}

static ut_err read_ledger(ut_pending_reader *reader, ut_store_view *view, uint64_t now_ms)
{
    const ut_destination_config *d = reader->destination;
    uint64_t last_seq = reader->last_seq;
    ut_err err = ut_store_view_begin(view);
    if (err != UT_OK)
        return err;
    for (int entries = 0; entries < UT_PENDING_READER_SCAN_MAX && reader->full == NULL; entries++) {
        ut_delivery entry;
        err = ut_store_next_pending(view, d->org, d->dest, reader->cursor,
                                    UT_PENDING_READER_SCAN_MAX, &entry);
        if (err == UT_ENOTFOUND) {
            // All blocks that the store told us of were visible to this view.
            reader->scanned_seq = last_seq;
            if (reader->cursor < last_seq)
                reader->cursor = last_seq;
            err = UT_OK;
            break;
        }
        if (err == UT_OK)
            err = take_entry(reader, &entry, now_ms);
        if (err != UT_OK && err != UT_EAGAIN)
            break;
        reader->cursor = entry.seq;
        if (err == UT_EAGAIN) {
            err = UT_OK;
            break; // a long stretch without pending entries: on with it in the next step
        }
        err = complete(reader, now_ms);
        if (err != UT_OK)
            break;
    }
    ut_store_view_end(view);
    return err;
}

bool ut_pending_reader_more(const ut_pending_reader *reader)
{
    return reader->full == NULL && reader->last_seq > reader->scanned_seq;
}

ut_err ut_pending_reader_read(ut_pending_reader *reader, ut_store_view *view, uint64_t now_ms)
{
    ut_err err = complete(reader, now_ms);
    if (err == UT_OK && ut_pending_reader_more(reader))
        err = read_ledger(reader, view, now_ms);
    return err;
}

uint64_t ut_pending_reader_due_ms(const ut_pending_reader *reader)
{
    if (reader->full != NULL)
        return 0;
    if (reader->growing == NULL)
        return UINT64_MAX;
    return reader->growing->since_ms + reader->destination->batch_delay_ms_max;
}

ut_delivery_batch *ut_pending_reader_take(ut_pending_reader *reader, uint64_t now_ms)
{
    if (ut_pending_reader_due_ms(reader) > now_ms)
        return NULL;
    ut_delivery_batch **from = reader->full != NULL ? &reader->full : &reader->growing;
    ut_delivery_batch *batch = *from;
    *from = NULL;
    return batch;
}

void ut_pending_reader_learn(ut_pending_reader *reader, size_t bytes, uint32_t spans)
{
    uint64_t mean = bytes / spans + 1;
    if (mean > UINT32_MAX / 8)
        mean = UINT32_MAX / 8;
    reader->span_bytes = reader->span_bytes == 0
                             ? (uint32_t)mean
                             : (uint32_t)(((uint64_t)reader->span_bytes * 7 + mean) / 8);
}
