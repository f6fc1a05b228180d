// A block written anew; see span_removal.h. Old and new change places in one transaction, so that
// nobody sees both or none. Not for choosing the spans: cleanup.c.
#include "storage/upkeep/span_removal.h"

#include "storage/store/key.h"
#include "storage/store/ledger.h"
#include "storage/store/store_commit.h"
#include "storage/store/store_keys.h"
#include "storage/store/store_txn.h"

#include <stdlib.h>

enum {
    BATCH_BYTES_MAX = UT_BLOCK_PAYLOAD_MAX,
    BATCH_KEEP = 512 * 1024,
    TOUCHES_FIXED = 24, // the last page of each family of keys, and those of the old block
};

struct ut_span_removal {
    ut_batch batch;                        // the spans that stay
    uint16_t ordinals[UT_BLOCK_SPANS_MAX]; // of the spans of batch, in the old block
    uint16_t written[UT_BLOCK_SPANS_MAX];  // of the spans in the builder
    uint32_t written_count;
    ut_ledger_taken taken;
};

ut_span_removal *ut_span_removal_new(void)
{
    ut_span_removal *removal = calloc(1, sizeof(*removal));
    if (removal == NULL)
        return NULL;
    ut_batch_init(&removal->batch, BATCH_BYTES_MAX);
    return removal;
}

void ut_span_removal_free(ut_span_removal *removal)
{
    if (removal == NULL)
        return;
    ut_batch_free(&removal->batch);
    free(removal);
}

// ---- what stays ----

static ut_err add_span(ut_span_removal *removal, uint32_t ordinal, uint32_t scope, ut_bytes raw)
{
    ut_span span;
    ut_mp_reader reader = ut_mp_reader_of(raw);
    if (ut_span_read(&reader, &span) != UT_OK)
        return UT_ECORRUPT;
    ut_batch *batch = &removal->batch;
    size_t begin = batch->span_bytes.len;
    removal->ordinals[batch->span_count] = (uint16_t)ordinal;
    ut_buf_add_bytes(&batch->span_bytes, raw);
    ut_batch_end_span(batch, begin, scope, &span);
    return ut_batch_error(batch);
}

static ut_err collect(ut_span_removal *removal, const ut_block *block,
                      const ut_block_tables *tables, const bool *keep)
{
    ut_batch *batch = &removal->batch;
    ut_batch_reset(batch, BATCH_KEEP);
    // All of them, so that the indexes stay; the builder writes only those that are needed.
    for (uint32_t i = 0; i < tables->resource_count; i++) {
        size_t begin = batch->resource_bytes.len;
        ut_buf_add_bytes(&batch->resource_bytes, tables->resources[i]);
        (void)ut_batch_end_resource(batch, begin); // the error is sticky
    }
    for (uint32_t i = 0; i < tables->scope_count && ut_batch_error(batch) == UT_OK; i++) {
        size_t begin = batch->scope_bytes.len;
        ut_buf_add_bytes(&batch->scope_bytes, tables->scopes[i]);
        (void)ut_batch_end_scope(batch, begin, tables->resource_of[i]);
    }
    ut_err err = ut_batch_error(batch);
    ut_block_cursor cursor;
    bool more = true;
    ut_block_walk(block, &cursor);
    if (err == UT_OK)
        err = ut_block_next_group(&cursor, &more);
    while (err == UT_OK && more) {
        ut_bytes raw;
        bool left;
        uint32_t ordinal = cursor.ordinal;
        err = ut_block_skip_span(&cursor, &raw, &left);
        if (err == UT_OK && !left)
            err = ut_block_next_group(&cursor, &more);
        else if (err == UT_OK && ordinal < UT_BLOCK_SPANS_MAX && keep[ordinal])
            err = cursor.scope_index < tables->scope_count
                      ? add_span(removal, ordinal, cursor.scope_index, raw)
                      : UT_ECORRUPT;
    }
    return err;
}

// ---- the old block ----

static ut_err remove_old(ut_span_removal *removal, ut_store *store, uint32_t org, uint64_t seq,
                         const ut_record_summary *summary)
{
    ut_key key = ut_key_summary(org, seq);
    ut_err err = ut_txn_del(store->txn, ut_key_bytes(&key));
    if (err == UT_OK)
        err = ut_ledger_take(store, org, seq, &removal->taken);
    if (err == UT_OK && summary->expiry_hour != 0) {
        key = ut_key_expiry(summary->expiry_hour, org, seq);
        err = ut_txn_del(store->txn, ut_key_bytes(&key));
        if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    if (err != UT_OK)
        return err;
    // Without a summary the rest counts for nothing.
    ut_cursor *cursor;
    ut_removal before = store->retention.removal;
    ut_removal_progress rest = {.touches_max = UINT64_MAX};
    err = ut_txn_cursor(store->txn, &cursor);
    if (err != UT_OK)
        return err;
    err = ut_retention_remove(store, cursor, org, seq, UT_REMOVAL_EVICTED, &rest);
    ut_cursor_close(cursor);
    store->retention.removal = before;
    return err == UT_OK && !rest.all ? UT_ECORRUPT : err; // no block of several spans is so long
}

// ---- the new ones ----

static ut_err write_new(ut_span_removal *removal, ut_store *store, uint32_t org,
                        const ut_record_summary *summary)
{
    uint64_t seq;
    ut_err err = ut_store_write_block(store, org, summary->expiry_hour, summary->received_ns, &seq);
    if (err != UT_OK || seq == 0)
        return err;
    err =
        ut_ledger_give(store, &removal->taken, org, seq, removal->written, removal->written_count);
    removal->written_count = 0;
    return err;
}

static ut_err write_all(ut_span_removal *removal, ut_store *store, uint32_t org,
                        const ut_record_summary *summary, uint32_t *count)
{
    const ut_batch_span *spans = ut_batch_spans(&removal->batch);
    ut_err err = ut_trace_index_look_up(&store->index, store->txn);
    ut_block_builder_reset(store->builder);
    ut_trace_index_begin_block(&store->index);
    removal->written_count = 0;
    for (uint32_t i = 0; i < removal->batch.span_count && err == UT_OK; i++) {
        if (ut_trace_index_spans(&store->index)[i].duplicate != 0)
            continue; // stands in another block; nothing of ours would write that
        if (!ut_block_builder_fits(store->builder, &removal->batch, &spans[i]))
            err = write_new(removal, store, org, summary);
        uint32_t ordinal = ut_block_builder_count(store->builder);
        if (err == UT_OK)
            err = ut_block_builder_add(store->builder, &removal->batch, &spans[i]);
        if (err != UT_OK)
            break;
        ut_trace_index_add(&store->index, i, ordinal);
        removal->written[removal->written_count++] = removal->ordinals[i];
        *count += 1;
    }
    return err == UT_OK ? write_new(removal, store, org, summary) : err;
}

static ut_err change_places(ut_span_removal *removal, ut_store *store, uint32_t org, uint64_t seq,
                            ut_record_summary *summary, uint32_t *count)
{
    ut_key key = ut_key_summary(org, seq);
    ut_bytes value;
    ut_err err = ut_txn_get(store->txn, ut_key_bytes(&key), &value);
    if (err == UT_OK)
        err = ut_record_read_summary(value, summary);
    if (err == UT_OK)
        err = remove_old(removal, store, org, seq, summary);
    if (err == UT_OK)
        err = write_all(removal, store, org, summary, count);
    if (err != UT_OK)
        return err;
    store->next_state.counts.blocks_removed += 1;
    return UT_OK;
}

static ut_demand demand_of(const ut_store *store, const ut_block *block)
{
    uint64_t traces = store->index.trace_count;
    uint64_t dests = store->ledger.count;
    uint64_t blocks = 1 + block->info.span_count / store->spans_max +
                      block->info.payload_len / store->payload_target;
    const ut_demand_records records = {
        .sealed_bytes = block->info.payload_len,
        .blocks = blocks,
        .spans = block->info.span_count,
        .entries = traces,
        .deliveries = blocks * dests,
    };
    // A head of a trace may go to another block, and an old entry of format version 1 or 2 stands
    // at a place of its own.
    return (ut_demand){
        .data_bytes = ut_demand_data_bytes(&records, store->retention.room.page_bytes),
        .touches = 2 * traces + 2 * (block->info.span_count - store->index.span_count) + 4 * dests +
                   TOUCHES_FIXED,
    };
}

ut_err ut_span_removal_run(ut_span_removal *removal, ut_store *store,
                           const ut_span_removal_job *job, ut_removal_progress *done)
{
    const uint32_t span_count = job->block->info.span_count;
    ut_err err = collect(removal, job->block, job->tables, job->keep);
    if (err != UT_OK)
        return err;
    const ut_store_append append = {.org = job->org, .batch = &removal->batch};
    err = ut_trace_index_plan(&store->index,
                              ut_keyring_filter_seed(store->engine->keyring, store->state.next_seq),
                              &append, 1);
    if (err != UT_OK)
        return err;
    err = ut_store_keys_keep_fresh(store);
    if (err != UT_OK)
        return err;
    const ut_demand demand = demand_of(store, job->block);
    err = ut_retention_make_room(store, &demand);
    if (err != UT_OK)
        return err == UT_EFULL || err == UT_ELIMIT ? UT_EAGAIN : err;
    err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    ut_record_summary summary = {0};
    uint32_t count = 0;
    uint64_t sealed_before = store->sealed_bytes;
    err = change_places(removal, store, job->org, job->seq, &summary, &count);
    // The count in the block is taken, because the one in the summary may be damaged.
    const uint32_t left = span_count > count ? span_count - count : 0;
    store->next_state.counts.spans_expired += left;
    uint64_t sealed = store->sealed_bytes - sealed_before;
    if (err == UT_OK)
        err = ut_store_end_write(store);
    else
        ut_store_abort_write(store);
    if (err != UT_OK)
        return err == UT_EFULL ? UT_EAGAIN : err;
    bool pending = false;
    for (uint32_t i = 0; i < removal->taken.count; i++)
        pending = pending || removal->taken.entries[i].delivery.state == UT_DELIVERY_PENDING;
    done->spans += left;
    done->pending += pending ? left : 0;
    done->sealed += summary.sealed_len > sealed ? summary.sealed_len - sealed : 0;
    return UT_OK;
}
