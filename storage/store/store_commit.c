// The group commit, and the writing of a block with its records; see store.h and store_commit.h.
#include "storage/store/store_commit.h"

#include "port/base/order.h"
#include "storage/store/block_store.h"
#include "storage/store/block_summary.h"
#include "storage/store/expiry.h"
#include "storage/store/key.h"
#include "storage/store/ledger.h"
#include "storage/store/merge_schedule.h"
#include "storage/store/retention.h"
#include "storage/store/retention_log.h"
#include "storage/store/store_keys.h"
#include "storage/store/store_txn.h"

enum {
    ATTEMPTS_MAX = 4,           // of one commit, each with a higher guess of what it takes
    SEALED_PERMILLE_MAX = 1050, // a block that cannot be compressed is stored as it is, and a head
    SEALED_PERMILLE_AGES = 8,   // commits over which the compression is averaged
    TOUCHES_FIXED = 16,         // the last page of each family of keys
    LARGE_SPANS = 16 * 1024,    // in one commit, from which the memory of its plan is given back
    PLAN_BYTES = 160,           // of the plan of a commit, for each span
    SEALED_KEEP = 512 * 1024,   // bytes that are kept for the next block
    LARGE_BYTES = 8 * 1024 * 1024, // of spans in one commit, from which its memory is given back
};

size_t ut_store_commit_memory(const ut_batch *batch)
{
    uint64_t largest = 0;
    if (batch->span_bytes.len < LARGE_BYTES && batch->span_count < LARGE_SPANS)
        return 0;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        if (ut_batch_spans(batch)[i].len > largest)
            largest = ut_batch_spans(batch)[i].len;
    }
    // The span stands in the payload of its block and in the sealed block at once.
    const uint64_t bytes = 2 * largest + (uint64_t)batch->span_count * PLAN_BYTES;
    return bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

// ---- one block ----

ut_err ut_store_write_block(ut_store *store, uint32_t org, uint32_t hour, uint64_t received_ns,
                            uint64_t *out)
{
    *out = 0;
    if (ut_block_builder_count(store->builder) == 0)
        return UT_OK;
    const ut_engine *engine = store->engine;
    uint64_t seq = store->next_state.next_seq;
    ut_err err = ut_store_keys_seal(store, org, seq, received_ns, hour);
    if (err == UT_OK)
        err = ut_trace_index_write_block(&store->index, store->txn, org, store->builder, seq);
    if (err == UT_OK)
        err = ut_block_store_put(store->txn, org, seq, ut_buf_bytes(&store->sealed),
                                 store->long_pieces ? engine->value_bytes_long
                                                    : engine->value_bytes_best);
    if (err == UT_OK)
        err = ut_block_summary_put(store, org, seq, received_ns, hour);
    if (err == UT_OK && hour != 0) {
        ut_key key = ut_key_expiry(hour, org, seq);
        err = ut_txn_put(store->txn, ut_key_bytes(&key), UT_BYTES_NONE);
    }
    if (err != UT_OK)
        return err;
    store->next_state.next_seq += 1;
    store->next_state.counts.blocks_stored += 1;
    store->sealed_bytes += store->sealed.len;
    // What one large span took is given back.
    ut_buf_reset(&store->sealed, SEALED_KEEP);
    ut_block_builder_reset(store->builder);
    ut_trace_index_begin_block(&store->index);
    *out = seq;
    return UT_OK;
}

// Writes the spans in the builder as a new block, for every destination.
static ut_err write_block(ut_store *store, uint32_t org, uint32_t hour, uint64_t now_ns)
{
    uint32_t spans = ut_block_builder_count(store->builder);
    uint64_t seq;
    ut_err err = ut_store_write_block(store, org, hour, now_ns, &seq);
    if (err != UT_OK || spans == 0)
        return err;
    store->next_state.counts.spans_stored += spans;
    return ut_ledger_accept(store, org, seq, spans);
}

// ---- the spans of a commit ----

// Adds the new spans of one append that expire in this hour to the blocks of their class. first:
// its first span in the plan.
static ut_err add_append(ut_store *store, ut_store_append *append, uint32_t first, uint32_t hour,
                         uint64_t now_ns)
{
    const uint32_t *hours;
    if (!ut_expiry_is_of(store, append, now_ns, hour, &hours))
        return UT_OK;
    const ut_batch_span *spans = ut_batch_spans(append->batch);
    const ut_plan_span *planned = ut_trace_index_spans(&store->index) + first;
    for (uint32_t i = 0; i < append->batch->span_count; i++) {
        if (hours != NULL && hours[first + i] != hour)
            continue;
        if (planned[i].duplicate != 0) {
            append->duplicates += 1;
            continue;
        }
        ut_err err = UT_OK;
        if (!ut_block_builder_fits(store->builder, append->batch, &spans[i]))
            err = write_block(store, append->org, hour, now_ns);
        uint32_t ordinal = ut_block_builder_count(store->builder);
        if (err == UT_OK)
            err = ut_block_builder_add(store->builder, append->batch, &spans[i]);
        if (err != UT_OK)
            return err;
        ut_trace_index_add(&store->index, first + i, ordinal);
        append->stored += 1;
    }
    return UT_OK;
}

static void clear_results(ut_store_append *appends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        appends[i].stored = 0;
        appends[i].duplicates = 0;
    }
}

static bool is_large(const ut_store_append *appends, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += appends[i].batch->span_bytes.len;
    return bytes >= LARGE_BYTES;
}

// Appends of one organisation that expire in the same hour share blocks.
static ut_err write_appends(ut_store *store, uint64_t now_ns, ut_store_append *appends,
                            size_t count)
{
    ut_err err = ut_trace_index_look_up(&store->index, store->txn);
    ut_block_builder_reset(store->builder);
    ut_trace_index_begin_block(&store->index);
    clear_results(appends, count);
    for (uint32_t c = 0; c < store->class_count && err == UT_OK; c++) {
        const ut_expiry_class class = ut_expiry_classes(store)[c];
        uint32_t first = 0;
        for (size_t i = 0; i < count && err == UT_OK; i++) {
            if (appends[i].org == class.org)
                err = add_append(store, &appends[i], first, class.hour, now_ns);
            first += appends[i].batch->span_count;
        }
        if (err == UT_OK)
            err = write_block(store, class.org, class.hour, now_ns);
    }
    for (size_t i = 0; i < count && err == UT_OK; i++)
        store->next_state.counts.spans_duplicate += appends[i].duplicates;
    return err;
}

// ---- what a commit takes ----

static uint64_t raw_bytes(const ut_store_append *appends, size_t count)
{
    uint64_t raw = 0;
    for (size_t i = 0; i < count; i++) {
        const ut_batch *batch = appends[i].batch;
        raw += batch->span_bytes.len + batch->scope_bytes.len + batch->resource_bytes.len;
    }
    return raw;
}

// Guesses what a commit will take, rather too high; each further attempt guesses higher.
static ut_demand guess_demand(const ut_store *store, const ut_store_append *appends, size_t count,
                              size_t marks, unsigned attempt)
{
    uint64_t raw = raw_bytes(appends, count);
    uint64_t spans = store->index.span_count;
    uint64_t traces = store->index.trace_count;
    uint64_t blocks = spans == 0 ? 0
                                 : spans / store->spans_max + raw / store->payload_target + count +
                                       store->class_count;
    uint64_t permille = store->sealed_permille + store->sealed_permille / 4;
    permille = attempt == 0 ? ut_clamp_u64(permille, 0, SEALED_PERMILLE_MAX) : SEALED_PERMILLE_MAX;
    // A trace has an entry in each block that has spans of it.
    uint64_t entries = attempt < 2 ? traces + blocks : spans;
    const uint32_t postings = ut_merge_schedule_postings(store);
    uint64_t dests = store->ledger.count;
    const ut_demand_records records = {
        .sealed_bytes = raw * permille / 1000,
        .blocks = blocks,
        .spans = spans,
        .entries = entries,
        .deliveries = blocks * dests + marks,
    };
    ut_demand demand = {
        .data_bytes = ut_demand_data_bytes(&records, store->retention.room.page_bytes) +
                      (traces > 0 ? ut_trace_merge_bytes(postings) : 0),
        .touches = (traces > 0 ? ut_trace_merge_touches(postings) : 0) + 2 * marks + 2 * dests +
                   TOUCHES_FIXED,
    };
    for (unsigned i = 1; i < attempt; i++) {
        demand.data_bytes *= 2;
        demand.touches *= 2;
    }
    return demand;
}

// ---- the commit ----

// Notes how well the blocks of the commit were compressed, for the next guesses.
static void note_compression(ut_store *store)
{
    if (store->payload_bytes == 0)
        return;
    const uint64_t permille = store->sealed_bytes * 1000 / store->payload_bytes;
    store->sealed_permille =
        (uint32_t)(((SEALED_PERMILLE_AGES - 1) * (uint64_t)store->sealed_permille + permille) /
                   SEALED_PERMILLE_AGES);
}

// Damage does not keep spans out: what it hides is passed over.
static void tell_damage(ut_store *store)
{
    if (store->damage_told || (!store->upkeep_damaged && !store->index.finder.damaged))
        return;
    store->damage_told = true;
    ut_log_write(store->log, UT_LOG_ERROR, "storage",
                 "pages of the store are damaged, and are passed over: %s; `untrace store verify` "
                 "says more",
                 store->upkeep_damaged
                     ? "spans are stored, but the index is merged no further, and what is due "
                       "leaves between commits only"
                     : "a span that is sent again may be stored again");
}

// Removes and merges with a commit. Where damage is met neither is tried again: the spans may go in
// all the same.
static ut_err keep_up(ut_store *store, uint64_t now_ns)
{
    ut_err err = ut_retention_remove_in_commit(store, now_ns);
    if (err == UT_OK && !store->upkeep_damaged)
        err = ut_merge_schedule_in_commit(store);
    store->upkeep_damaged = store->upkeep_damaged || err == UT_ECORRUPT;
    return err;
}

// The transaction of a commit: steps 5 to 11 of the list at ut_store_commit.
static ut_err try_commit(ut_store *store, uint64_t now_ns, ut_store_append *appends, size_t count,
                         const ut_delivery *marks, size_t mark_count)
{
    ut_err err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    store->sealed_bytes = 0;
    store->payload_bytes = 0;
    if (store->index.span_count > 0)
        err = write_appends(store, now_ns, appends, count);
    for (size_t i = 0; i < mark_count && err == UT_OK; i++)
        err = ut_ledger_mark(store, &marks[i]);
    if (err == UT_OK)
        err = keep_up(store, now_ns);
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    err = ut_store_end_write(store);
    if (err == UT_OK) {
        note_compression(store);
        tell_damage(store);
        ut_retention_tell(store, now_ns);
    }
    return err;
}

// The order of a commit:
//
//  1. plan         ut_trace_index_plan            the spans of all appends, grouped by trace
//  2. expiry plan  ut_expiry_plan                 the hour of each span: which spans share blocks
//  3. keys         ut_store_keys_keep_fresh       a new data key when the newest served long enough
//  4. room         ut_retention_make_room         old blocks leave, in transactions of their own
//     -- the transaction begins (try_commit); too low a guess at 4 takes it back to 4 --
//  5. look up      ut_trace_index_look_up         which spans the store has already
//  6. blocks       ut_store_write_block           for each class of expiry: sealed and stored, with
//     index        ut_trace_index_write_block     with an entry for each trace,
//     summary      ut_block_summary_put           the summary and the expiry entry
//  7. ledger       ut_ledger_accept               one entry a block for each active destination
//  8. marks        ut_ledger_mark                 what the dispatcher has learned
//  9. keep up      ut_retention_remove_in_commit  some of what has expired, or is too much
// 10. merge        ut_merge_schedule_in_commit   one step of a merge of the index, if one is due
// 11. end          ut_store_end_write             counters and destinations; one sync
//
// Steps 1 to 3 change nothing that an error would have to take back; an error in 5 to 11 takes the
// whole transaction back.
ut_err ut_store_commit(ut_store *store, uint64_t now_ns, ut_store_append *appends,
                       size_t append_count, const ut_delivery *marks, size_t mark_count)
{
    clear_results(appends, append_count);
    ut_err err = ut_trace_index_plan(
        &store->index, ut_keyring_filter_seed(store->engine->keyring, store->state.next_seq),
        appends, append_count);
    if (err == UT_OK)
        err = ut_expiry_plan(store, appends, append_count, now_ns);
    if (err == UT_OK && store->index.span_count == 0 && mark_count == 0)
        return UT_OK;
    if (err == UT_OK)
        err = ut_store_keys_keep_fresh(store);
    store->long_pieces = is_large(appends, append_count);
    bool committed = false;
    for (unsigned attempt = 0; attempt < ATTEMPTS_MAX && err == UT_OK; attempt++) {
        ut_demand demand = guess_demand(store, appends, append_count, mark_count, attempt);
        err = ut_retention_make_room(store, &demand);
        if (err == UT_ELIMIT && attempt > 1)
            err = UT_EFULL; // these guesses are too high to be sure
        if (err == UT_ENOSPC && attempt == 0 && ut_retention_met_full_disk(store)) {
            err = UT_OK;
            continue;
        }
        if (err != UT_OK)
            break;
        const bool upkeep_damaged = store->upkeep_damaged;
        err = try_commit(store, now_ns, appends, append_count, marks, mark_count);
        committed = err == UT_OK;
        if (committed)
            break;
        // Long pieces need neighbouring free pages, of which an old, full store has none.
        if ((err == UT_EFULL || err == UT_ENOSPC) && store->long_pieces) {
            store->long_pieces = false;
            attempt--;
            err = UT_OK;
            continue;
        }
        if (err == UT_ENOSPC && ut_retention_met_full_disk(store))
            err = UT_EFULL;
        if (err == UT_ECORRUPT && store->upkeep_damaged && !upkeep_damaged) {
            attempt--; // without upkeep: once at most
            err = UT_OK;
            continue;
        }
        if (err == UT_EFULL && attempt + 1 < ATTEMPTS_MAX)
            err = UT_OK; // the guess was too low
    }
    if (err == UT_OK && !committed)
        err = UT_EFULL; // whatever the tries ended with
    store->long_pieces = false;
    if (store->index.span_count > LARGE_SPANS) {
        ut_trace_index_trim(&store->index);
        ut_buf_reset(&store->span_hours, UT_TRACE_MEMORY_KEEP);
    }
    if (err != UT_OK) {
        ut_buf_reset(&store->sealed, SEALED_KEEP);
        ut_block_builder_reset(store->builder);
        clear_results(appends, append_count);
    }
    return err;
}
