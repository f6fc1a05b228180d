// Retention: blocks leave when their time is over, or when the budget needs their room. A budget is
// kept in what the engine says it has ready, not in sums of lengths, and there is always room left
// for the next removal: so a full store never wedges. A block is removed in steps of bounded size;
// what a transaction leaves undone, a later one goes on with. Not for damaged blocks alone: one
// that cannot be read is removed all the same, because its members stand beside it.
#include "storage/store/retention.h"

#include "port/base/order.h"
#include "port/base/time_units.h"
#include "storage/store/block_store.h"
#include "storage/store/key.h"
#include "storage/store/ledger.h"
#include "storage/store/merge_schedule.h"
#include "storage/store/retention_log.h"
#include "storage/store/store_txn.h"
#include "storage/store/trace_heads.h"
#include "storage/store/trace_legacy.h"

// docs/RETENTION.md has a table of what a larger value does, for the constants that can be tuned.
// demand.h says what a touch is.
enum {
    // ---- one removal ----

    // Touches that one step of a removal may need: a piece of members, or the records of the block
    // as a whole. A transaction begins another step only while it has as many left.
    STEP_TOUCHES = 48,
    // Touches of the records of a block as a whole beside its ledger entries.
    BLOCK_TOUCHES = 4,
    // Pieces that count as one touch when they are deleted, because neighbours share a page.
    PIECES_PER_TOUCH = 32,
    // Pieces that one transaction may delete, however few touches they take.
    PIECES_PER_TXN_MAX = 1024,
    // Bytes of index records that leave with each span of a block, roughly.
    INDEX_BYTES_PER_SPAN = 24,
    // Heads of traces that one step passes on: each may touch another block.
    HEADS_PER_STEP = UT_TRACE_HEADS_MAX,
    // Traces that are looked up for that in the time that one touch takes.
    LOOKUPS_PER_TOUCH = 8,
    // Bytes of the largest piece of members.
    MEMBERS_LEN_MAX = UT_BLOCK_STORE_MEMBERS_MAX * UT_TRACE_ID_LEN,

    // ---- evictions ----

    // Touches of one transaction of its own that removes blocks, and of the evictions that one
    // commit makes for the budget.
    EVICT_TOUCHES_MAX = 512,
    // Touches of a commit beside its traces, as removals reckon with it.
    OWN_TOUCHES = 16,
    // A commit over the ring may spend on it this many times the touches of its own records, which
    // is faster than spans come, ...
    RING_PER_COMMIT_FACTOR = 4,
    // ... but no more than these touches.
    RING_TOUCHES_MAX = 4 * 1024,
    // With `delivered_first`, a delivered block is looked for among this many of the oldest blocks.
    DELIVERED_WINDOW_BLOCKS = 64,
    // Transactions that make room for one commit, before the store counts as full.
    MAKE_ROOM_TXNS_MAX = 1000,
    // Empty transactions for one commit: each lets pages that earlier ones freed become ready.
    EMPTY_TXNS_MAX = 2,
    // Pages that the engine holds back from the last transaction, whatever it did.
    HELD_BACK_PAGES = 16,

    // ---- room kept free ahead of commits ----

    // Pages pinned by readers are made up for by at most this part of the budget.
    PINNED_BUDGET_PART = 8,
    // The most that readers have pinned decays by this part with each commit.
    PINNED_DECAY_COMMITS = 256,
    // The most that a commit has demanded decays by this part with each commit.
    DEMAND_DECAY_COMMITS = 16,

    // ---- blocks whose hour has come ----

    // Touches of one call of ut_store_sweep: about a millisecond.
    SWEEP_TOUCHES_MAX = 128,
    // Blocks that have just become due leave with one of this many commits, so that the 99th
    // percentile of commits takes no longer than without; ...
    EXPIRE_EVERY_COMMITS = 128,
    // ... that commit may spend these touches on them.
    EXPIRE_PACED_TOUCHES = 128,
    // When blocks are due for longer than an hour, each commit may spend on them at least these
    // touches, ...
    EXPIRE_TOUCHES_MIN = 64,
    // ... or this many times the touches of its own records, if that is more.
    EXPIRE_PER_COMMIT_FACTOR = 2,

    // A store at rest is written to as often as this, so that it knows how long the machine ran.
    CLOCK_STORED_EVERY_MS = 60 * 60 * 1000,
};

// ---- removing one block ----

// The touches of one step; a step more is begun only when there is room for it.
static uint64_t step_touches(const ut_store *store)
{
    return STEP_TOUCHES + 2 * (uint64_t)store->ledger.count;
}

bool ut_retention_is_spent(const ut_store *store, const ut_removal_progress *done)
{
    return done->touches + step_touches(store) > done->touches_max ||
           done->pieces >= PIECES_PER_TXN_MAX;
}

// The part that counts: the block leaves the ledger and the counters. A block without a summary has
// left them before.
static ut_err leave_ledger(ut_store *store, uint32_t org, uint64_t seq, ut_removal_why why,
                           ut_removal_progress *done, bool *had_left)
{
    ut_key key = ut_key_summary(org, seq);
    ut_bytes value;
    ut_err err = ut_txn_get(store->txn, ut_key_bytes(&key), &value);
    *had_left = err == UT_ENOTFOUND;
    if (err == UT_ENOTFOUND)
        return UT_OK;
    if (err != UT_OK)
        return err;
    ut_record_summary summary = {0};
    if (ut_record_read_summary(value, &summary) != UT_OK)
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the summary of block %llu is damaged; the block is removed",
                     (unsigned long long)seq);
    uint32_t pending;
    bool expired = why != UT_REMOVAL_EVICTED;
    err = ut_txn_del(store->txn, ut_key_bytes(&key));
    if (err == UT_OK)
        err = ut_ledger_remove(store, org, seq, expired, &pending);
    if (err != UT_OK)
        return err;
    if (summary.expiry_hour != 0) {
        key = ut_key_expiry(summary.expiry_hour, org, seq);
        err = ut_txn_del(store->txn, ut_key_bytes(&key));
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
    }
    if (expired)
        store->next_state.counts.spans_expired += summary.span_count;
    else
        store->next_state.counts.spans_evicted += summary.span_count;
    store->next_state.counts.blocks_removed += 1;
    if (!expired)
        store->retention.lost_spans += pending;
    else if (why == UT_REMOVAL_EXPIRED)
        store->retention.late_spans += pending;
    done->touches += BLOCK_TOUCHES + 2 * (uint64_t)store->next_ledger.count;
    done->bytes += summary.sealed_len + INDEX_BYTES_PER_SPAN * (uint64_t)summary.span_count;
    done->sealed += summary.sealed_len;
    done->blocks += 1;
    done->spans += summary.span_count;
    done->pending += pending;
    return UT_OK;
}

// Takes the traces that a piece of members names out of the entries of an earlier version.
static ut_err remove_members(ut_store *store, ut_cursor *cursor, uint32_t org, uint64_t seq,
                             ut_bytes value, ut_removal_progress *done)
{
    uint8_t members[MEMBERS_LEN_MAX];
    if (value.len > sizeof(members) || value.len % UT_TRACE_ID_LEN != 0) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the members of block %llu are damaged; some of its index entries stay behind",
                     (unsigned long long)seq);
        return UT_OK;
    }
    const size_t len = value.len;
    if (len > 0)
        memcpy(members, value.data, len); // the value is borrowed until the next write
    ut_err err = UT_OK;
    for (size_t at = 0; at < len && err == UT_OK; at += UT_TRACE_ID_LEN) {
        uint32_t touched = 0;
        bool last;
        err =
            ut_trace_legacy_remove(cursor, org, members + at, seq, &store->value, &touched, &last);
        if (err == UT_OK && last)
            err = ut_trace_heads_pass(&store->index, cursor, org, members + at, 1, &touched);
        done->touches += touched;
    }
    return err;
}

// Passes on the heads that stand in a piece of entries, as many as one step may.
// store->value: out, the rest of the piece, with further heads; empty: there is none.
static ut_err remove_entries(ut_store *store, ut_cursor *cursor, uint32_t org, uint64_t seq,
                             ut_bytes value, ut_removal_progress *done)
{
    uint8_t ids[HEADS_PER_STEP * UT_TRACE_ID_LEN];
    uint32_t count = 0;
    uint64_t base_ns;
    ut_bytes rest;
    ut_err err = ut_block_traces_open_piece(value, &base_ns, &rest);
    while (err == UT_OK && rest.len > 0 && count < HEADS_PER_STEP) {
        ut_trace_entry entry;
        err = ut_block_traces_take(&rest, base_ns, &entry);
        if (err == UT_OK && entry.head)
            memcpy(ids + (size_t)count++ * UT_TRACE_ID_LEN, entry.trace_id, UT_TRACE_ID_LEN);
    }
    if (err == UT_ECORRUPT) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the traces of block %llu are damaged; some may be missing in listings",
                     (unsigned long long)seq);
        rest.len = 0;
    }
    if (rest.len > 0)
        ut_block_traces_cut_piece(&store->value, value, rest);
    uint32_t touched = 0;
    err = store->value.err;
    if (err == UT_OK)
        err = ut_trace_heads_pass(&store->index, cursor, org, ids, count, &touched);
    done->touches += touched + count / LOOKUPS_PER_TOUCH;
    return err;
}

// Removes one piece, or the first part of it: store->value then has the rest.
static ut_err remove_piece(ut_store *store, ut_cursor *cursor, const ut_key *own, uint32_t piece,
                           ut_bytes value, ut_removal_progress *done)
{
    uint32_t org;
    uint64_t seq;
    ut_err err = UT_OK;
    (void)ut_key_read_piece(ut_key_bytes(own), &org, &seq, &piece); // it was read before
    ut_buf_reset(&store->value, SIZE_MAX);
    if (piece < UT_BLOCK_STORE_SEALED_FROM)
        err = remove_members(store, cursor, org, seq, value, done);
    else if (piece >= UT_BLOCK_TRACES_FROM)
        err = remove_entries(store, cursor, org, seq, value, done);
    if (err != UT_OK)
        return err;
    if (piece >= UT_BLOCK_TRACES_FROM && store->value.len > 0)
        return ut_txn_put(store->txn, ut_key_bytes(own), ut_buf_bytes(&store->value));
    return ut_txn_del(store->txn, ut_key_bytes(own));
}

// A half-removed block has no summary any more, so no index leads to it. Until its last piece is
// gone, an expiry entry for UT_RETENTION_UNFINISHED_HOUR does, which every sweep visits.
static ut_err note_unfinished(ut_store *store, uint32_t org, uint64_t seq)
{
    ut_key key = ut_key_expiry(UT_RETENTION_UNFINISHED_HOUR, org, seq);
    return ut_txn_put(store->txn, ut_key_bytes(&key), UT_BYTES_NONE);
}

static ut_err forget_unfinished(ut_store *store, uint32_t org, uint64_t seq)
{
    ut_key key = ut_key_expiry(UT_RETENTION_UNFINISHED_HOUR, org, seq);
    ut_err err = ut_txn_del(store->txn, ut_key_bytes(&key));
    return err == UT_ENOTFOUND ? UT_OK : err;
}

ut_err ut_retention_remove(ut_store *store, ut_cursor *cursor, uint32_t org, uint64_t seq,
                           ut_removal_why why, ut_removal_progress *done)
{
    bool had_left = false; // in a transaction before
    done->all = false;
    ut_err err = leave_ledger(store, org, seq, why, done, &had_left);
    while (err == UT_OK) {
        ut_key first = ut_key_piece(org, seq, 0);
        ut_bytes key;
        ut_bytes value;
        uint32_t found_org;
        uint64_t found_seq;
        uint32_t piece;
        err = ut_cursor_seek(cursor, ut_key_bytes(&first), &key, &value);
        if (err == UT_ENOTFOUND ||
            (err == UT_OK && (!ut_key_read_piece(key, &found_org, &found_seq, &piece) ||
                              found_org != org || found_seq != seq))) {
            done->all = true;
            err = UT_OK;
            break;
        }
        if (err != UT_OK)
            break;
        if (ut_retention_is_spent(store, done))
            break; // the next transaction goes on here
        const ut_key own = ut_key_piece(org, seq, piece);
        err = remove_piece(store, cursor, &own, piece, value, done);
        done->pieces += 1;
        if (done->pieces % PIECES_PER_TOUCH == 0)
            done->touches += 1;
    }
    if (err == UT_OK && !had_left && !done->all)
        err = note_unfinished(store, org, seq);
    if (err == UT_OK && had_left && done->all)
        err = forget_unfinished(store, org, seq);
    if (err == UT_OK)
        store->retention.removal = (ut_removal){.open = !done->all, .org = org, .seq = seq};
    return err;
}

// ---- choosing ----

// The block that goes next: one whose removal was begun, else the oldest that no destination waits
// for, if one stands among the oldest, else the oldest of all; with oldest, that one at once.
// UT_ENOTFOUND: the store is empty.
static ut_err find_victim(ut_store *store, ut_cursor *cursor, bool oldest, uint32_t *org,
                          uint64_t *seq)
{
    if (store->retention.removal.open) {
        *org = store->retention.removal.org;
        *seq = store->retention.removal.seq;
        return UT_OK;
    }
    ut_err err = ut_block_store_find_oldest(cursor, org, seq);
    if (err != UT_OK || oldest || store->next_ledger.count == 0)
        return err;
    ut_key from = ut_key_summary(*org, 0);
    for (unsigned i = 0; i < DELIVERED_WINDOW_BLOCKS; i++) {
        ut_bytes key;
        ut_bytes value;
        uint32_t found_org;
        uint64_t found_seq;
        uint32_t pending;
        err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        if (err == UT_ENOTFOUND || !ut_key_read_summary(key, &found_org, &found_seq) ||
            found_org != *org)
            return UT_OK;
        if (found_seq > *seq && i == 0)
            return UT_OK; // the oldest has no summary: its removal was begun before a restart
        err = ut_ledger_pending(&store->next_ledger, store->txn, *org, found_seq, &pending);
        if (err != UT_OK)
            return err;
        if (pending == 0) {
            *seq = found_seq;
            return UT_OK;
        }
        from = ut_key_summary(*org, found_seq + 1);
    }
    return UT_OK;
}

// Spans that the ring has too many.
static uint64_t ring_excess(const ut_store *store, const ut_record_state *state)
{
    const ut_store_counts *counts = &state->counts;
    uint64_t gone = counts->spans_expired + counts->spans_evicted;
    uint64_t spans = ut_left_u64(counts->spans_stored, gone);
    return store->retention.ring_spans > 0 ? ut_left_u64(spans, store->retention.ring_spans) : 0;
}

// Removes blocks for the budget until `bytes` are freed and the ring is kept, or the touches are
// used up. *empty: there was none left.
static ut_err evict(ut_store *store, ut_cursor *cursor, uint64_t bytes, ut_removal_progress *done,
                    bool *empty)
{
    *empty = false;
    done->all = true;
    while (done->all && !ut_retention_is_spent(store, done)) {
        bool of_ring = ring_excess(store, &store->next_state) > 0;
        if (done->bytes >= bytes && !of_ring)
            return UT_OK;
        uint32_t org = 0;
        uint64_t seq = 0;
        ut_err err =
            find_victim(store, cursor, of_ring || store->retention.evict_oldest, &org, &seq);
        if (err == UT_ENOTFOUND) {
            *empty = true;
            return UT_OK;
        }
        if (err == UT_OK)
            err = ut_retention_remove(store, cursor, org, seq, UT_REMOVAL_EVICTED, done);
        if (err != UT_OK)
            return err;
    }
    return UT_OK;
}

// ---- the budget ----

static uint64_t touches_bytes(const ut_engine_room *room, uint64_t touches)
{
    // No more than all there is can be copied.
    return ut_min_u64(touches * room->touch_bytes, room->bytes_used);
}

// The bytes that two steps of a removal may take: the first one frees room only for the third.
static uint64_t removal_bytes(const ut_store *store, const ut_engine_room *room)
{
    return 2 * (room->write_reserve + touches_bytes(room, step_touches(store)));
}

static uint64_t demand_bytes(const ut_engine_room *room, const ut_demand *demand)
{
    return room->write_reserve + touches_bytes(room, demand->touches) + demand->data_bytes;
}

static uint64_t free_bytes(const ut_engine_room *room)
{
    return ut_left_u64(room->bytes_max, room->bytes_used);
}

// Touches that a transaction of its own may make to remove blocks: half of what is ready, the other
// half is for the next.
static uint64_t touches_alone(const ut_store *store, const ut_engine_room *room)
{
    uint64_t bytes = room->bytes_ready / 2;
    uint64_t touches = ut_left_u64(bytes, room->write_reserve) / room->touch_bytes;
    return ut_min_u64(EVICT_TOUCHES_MAX, ut_max_u64(step_touches(store), touches));
}

static ut_err get_room(ut_store *store, ut_engine_room *room)
{
    ut_err err = ut_engine_get_room(store->engine, room);
    if (err == UT_OK) {
        store->retention.disk_full = room->disk_full;
        store->retention.disk_bytes = room->bytes_max;
    }
    return err;
}

bool ut_retention_met_full_disk(ut_store *store)
{
    return get_room(store, &store->retention.room) == UT_OK && store->retention.disk_full;
}

// One transaction that removes blocks, or with bytes 0 does nothing: what the ones before it freed
// becomes ready.
static ut_err evict_once(ut_store *store, const ut_engine_room *room, uint64_t bytes, bool *empty)
{
    *empty = false;
    ut_err err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    if (bytes > 0) {
        ut_removal_progress done = {.touches_max = touches_alone(store, room)};
        ut_cursor *cursor;
        err = ut_txn_cursor(store->txn, &cursor);
        if (err == UT_OK) {
            err = evict(store, cursor, bytes, &done, empty);
            ut_cursor_close(cursor);
        }
    }
    if (err == UT_OK)
        return ut_store_end_write(store);
    ut_store_abort_write(store);
    return err;
}

static void note_pinned(ut_store *store, const ut_engine_room *room)
{
    // The bound keeps a reader that stays from taking the whole store.
    uint64_t pinned = ut_min_u64(room->bytes_pinned, room->bytes_max / PINNED_BUDGET_PART);
    store->retention.pinned_bytes =
        ut_max_u64(pinned, store->retention.pinned_bytes -
                               store->retention.pinned_bytes / PINNED_DECAY_COMMITS);
}

// Says in the log which process pins the pages that would be room: once for each process.
static ut_err is_full(ut_store *store)
{
    const ut_engine_room *room = &store->retention.room;
    if (room->pinned_by != 0 && room->bytes_pinned > 0 &&
        room->pinned_by != store->retention.pinned_told) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the store is full: process %ld is in the middle of reading it and holds %llu "
                     "KiB that were freed since; let it go on, or end it",
                     room->pinned_by, (unsigned long long)(room->bytes_pinned / 1024));
        store->retention.pinned_told = room->pinned_by;
    }
    return UT_EFULL;
}

ut_err ut_retention_make_room(ut_store *store, const ut_demand *demand)
{
    unsigned empty_txns = 0;
    for (unsigned i = 0; i < MAKE_ROOM_TXNS_MAX; i++) {
        ut_err err = get_room(store, &store->retention.room);
        if (err != UT_OK)
            return err;
        const ut_engine_room *room = &store->retention.room;
        if (i == 0)
            note_pinned(store, room);
        uint64_t reserve = removal_bytes(store, room);
        uint64_t wanted = demand_bytes(room, demand) + reserve;
        store->retention.demand_bytes = demand_bytes(room, demand);
        if (room->bytes_ready >= wanted)
            return UT_OK;
        if (demand->data_bytes + reserve > room->bytes_max)
            return room->disk_full ? UT_ENOSPC : UT_ELIMIT; // not even in an empty store
        // The last transaction always holds a few pages back, an empty one too.
        uint64_t enough = wanted + (uint64_t)HELD_BACK_PAGES * room->page_bytes;
        bool empty = free_bytes(room) >= enough;
        if (!empty) {
            err = evict_once(store, room, ut_left_u64(enough, free_bytes(room)), &empty);
            if (err != UT_OK)
                return err;
        }
        if (empty) {
            // Enough is free, or nothing is left to remove, and yet not ready: readers hold it, or
            // the last transactions freed it.
            if (empty_txns == EMPTY_TXNS_MAX)
                return is_full(store);
            empty_txns += 1;
            err = evict_once(store, room, 0, &empty);
            if (err != UT_OK)
                return err;
        }
    }
    return is_full(store);
}

// The bytes that should stay free, so that commits of the usual size need no transaction before
// them that makes room, also while readers pin as much as they did lately.
static uint64_t margin_bytes(const ut_store *store, const ut_engine_room *room)
{
    return ut_min_u64(removal_bytes(store, room) + 2 * store->retention.usual_demand_bytes +
                          store->retention.pinned_bytes,
                      room->bytes_max / 2);
}

// ---- time ----

// Removes blocks whose hour has come. *due: there are more.
static ut_err expire(ut_store *store, ut_cursor *cursor, uint64_t now_ns, ut_removal_progress *done,
                     bool *due)
{
    *due = false;
    const uint64_t hour_now = ut_store_age_ns(store, now_ns) / UT_NS_PER_HOUR;
    static const uint8_t from[1] = {UT_KEY_EXPIRY};
    for (;;) {
        ut_bytes key;
        ut_bytes value;
        uint32_t hour;
        uint32_t org;
        uint64_t seq;
        ut_err err = ut_cursor_seek(cursor, (ut_bytes){from, sizeof(from)}, &key, &value);
        if (err == UT_ENOTFOUND || (err == UT_OK && !ut_key_read_expiry(key, &hour, &org, &seq)))
            return UT_OK;
        if (err != UT_OK || hour > hour_now)
            return err;
        *due = true;
        if (ut_retention_is_spent(store, done))
            return UT_OK;
        err = ut_retention_remove(store, cursor, org, seq, UT_REMOVAL_EXPIRED, done);
        if (err != UT_OK || !done->all)
            return err;
        ut_key own = ut_key_expiry(hour, org, seq);
        err = ut_txn_del(store->txn, ut_key_bytes(&own)); // gone with its block, or of none
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        done->touches += 1;
        *due = false;
    }
}

// Goes on with a removal that is under way.
static ut_err resume(ut_store *store, ut_cursor *cursor, ut_removal_progress *done)
{
    if (!store->retention.removal.open)
        return UT_OK;
    return ut_retention_remove(store, cursor, store->retention.removal.org,
                               store->retention.removal.seq, UT_REMOVAL_EVICTED, done);
}

// The first hour from `from_hour` on in which blocks expire; UINT32_MAX: none.
static ut_err find_hour(ut_cursor *cursor, uint32_t from_hour, uint32_t *hour)
{
    const ut_key from = ut_key_expiry(from_hour, 0, 0);
    ut_bytes key = UT_BYTES_NONE;
    ut_bytes value = UT_BYTES_NONE;
    uint32_t org = 0;
    uint64_t seq = 0;
    const ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    if (err == UT_OK && ut_key_read_expiry(key, hour, &org, &seq))
        return UT_OK;
    *hour = UINT32_MAX;
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Whether something is due, and whether for more than the rest of its hour.
static ut_err look_for_due(ut_cursor *cursor, uint64_t age_ns, bool *due, bool *behind)
{
    const uint64_t hour_now = age_ns / UT_NS_PER_HOUR;
    uint32_t hour = UINT32_MAX;
    ut_err err = find_hour(cursor, 0, &hour);
    *due = hour <= hour_now;
    if (err == UT_OK && hour == UT_RETENTION_UNFINISHED_HOUR)
        err = find_hour(cursor, UT_RETENTION_UNFINISHED_HOUR + 1, &hour);
    *behind = hour < hour_now;
    return err;
}

// ---- removing with the commits ----

// The touches that one commit may spend on removals, for each purpose.
typedef struct {
    uint64_t expire_paced; // blocks that have just become due, with one of EXPIRE_EVERY_COMMITS
    uint64_t expire;       // blocks that are due for longer than an hour
    uint64_t evict;        // all removals together, when the budget asks for evictions
    uint64_t evict_ring;   // all removals together, when the ring asks for them
} commit_budget;

// touches_ready: what the room that was made for the commit allows beside its own records.
static commit_budget budget_of(const ut_store *store, uint64_t touches_ready)
{
    // A removal looks up its traces, and may touch a block for each.
    const uint64_t own = OWN_TOUCHES + store->index.trace_count;
    const uint64_t evict = ut_min_u64(EVICT_TOUCHES_MAX, touches_ready);
    const uint64_t expire = ut_max_u64(EXPIRE_TOUCHES_MIN, EXPIRE_PER_COMMIT_FACTOR * own);
    const uint64_t ring =
        ut_max_u64(EVICT_TOUCHES_MAX, ut_min_u64(RING_TOUCHES_MAX, RING_PER_COMMIT_FACTOR * own));
    return (commit_budget){
        .expire_paced = ut_min_u64(evict, EXPIRE_PACED_TOUCHES),
        .expire = ut_min_u64(evict, expire),
        .evict = evict,
        .evict_ring = ut_min_u64(touches_ready, ring),
    };
}

// Removes blocks whose hour has come inside a commit, so that no request waits for a sync of
// theirs: with one commit of many in their first hour, and after it with each, at least twice as
// fast as spans come. The pauses between commits have ut_store_sweep.
static ut_err expire_in_commit(ut_store *store, ut_cursor *cursor, uint64_t now_ns,
                               const commit_budget *budget, ut_removal_progress *done)
{
    bool due = false;
    bool behind = false;
    ut_err err = look_for_due(cursor, ut_store_age_ns(store, now_ns), &due, &behind);
    if (err != UT_OK || (!due && !store->retention.removal.open))
        return err;
    store->retention.commits_since_expiry += 1;
    if (!behind && store->retention.commits_since_expiry < EXPIRE_EVERY_COMMITS)
        return UT_OK;
    store->retention.commits_since_expiry = 0;
    done->touches_max = behind ? budget->expire : budget->expire_paced;
    if (ut_retention_is_spent(store, done))
        return UT_OK;
    err = resume(store, cursor, done);
    if (err == UT_OK && !store->retention.removal.open)
        err = expire(store, cursor, now_ns, done, &due);
    return err;
}

// Evicts blocks inside a commit until `bytes` are freed and the ring is kept, as far as the budget
// of the commit allows. done: what expiry has removed before counts.
static ut_err evict_in_commit(ut_store *store, ut_cursor *cursor, uint64_t bytes,
                              const commit_budget *budget, ut_removal_progress *done)
{
    const bool of_ring = ring_excess(store, &store->next_state) > 0;
    bool empty;
    done->touches_max = of_ring ? budget->evict_ring : budget->evict;
    return evict(store, cursor, bytes, done, &empty);
}

static void note_demand(ut_store *store)
{
    const uint64_t usual = store->retention.usual_demand_bytes;
    store->retention.usual_demand_bytes =
        ut_max_u64(store->retention.demand_bytes, usual - usual / DEMAND_DECAY_COMMITS);
}

ut_err ut_retention_remove_in_commit(ut_store *store, uint64_t now_ns)
{
    const ut_engine_room *room = &store->retention.room;
    note_demand(store);
    if (store->upkeep_damaged)
        return UT_OK; // a removal, or a merge, has met it
    const uint64_t spent = store->retention.demand_bytes + removal_bytes(store, room);
    if (room->bytes_ready <= spent)
        return UT_OK;
    const commit_budget budget = budget_of(store, (room->bytes_ready - spent) / room->touch_bytes);
    const uint64_t left = ut_left_u64(free_bytes(room), store->retention.demand_bytes);
    ut_removal_progress done = {.touches_max = 0};
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(store->txn, &cursor);
    if (err != UT_OK)
        return err;
    err = expire_in_commit(store, cursor, now_ns, &budget, &done);
    if (err == UT_OK)
        err = evict_in_commit(store, cursor, ut_left_u64(margin_bytes(store, room), left), &budget,
                              &done);
    ut_cursor_close(cursor);
    return err;
}

// ---- merging between commits ----

// True when the room allows a step between commits and a removal after it.
static bool can_merge(const ut_store *store, const ut_engine_room *room)
{
    const uint32_t postings_max = ut_merge_schedule_pause_postings(store);
    const ut_demand demand = {
        .data_bytes = ut_trace_merge_bytes(postings_max),
        .touches = ut_trace_merge_touches(postings_max),
    };
    return room->bytes_ready > demand_bytes(room, &demand) + removal_bytes(store, room);
}

// ---- removing between commits ----

ut_err ut_retention_begin(ut_store *store, uint64_t touches_max, ut_removal_progress *done)
{
    ut_engine_room room;
    *done = (ut_removal_progress){0};
    ut_err err = get_room(store, &room);
    if (err == UT_OK)
        err = ut_store_begin_write(store);
    if (err == UT_OK)
        done->touches_max =
            ut_max_u64(step_touches(store), ut_min_u64(touches_max, touches_alone(store, &room)));
    return err;
}

// True when what the store remembers of the time is so old that after a power cut it would be wrong
// by hours.
static bool clock_is_stale(const ut_store *store)
{
    const ut_age_clock *clock = &store->state.clock;
    return clock->wall_ns != 0 && clock->up_ms - store->clock_stored_ms >= CLOCK_STORED_EVERY_MS;
}

ut_err ut_store_sweep(ut_store *store, uint64_t now_ns, bool *more)
{
    *more = false;
    ut_engine_room room;
    ut_err err = get_room(store, &room);
    if (err == UT_OK)
        err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    ut_removal_progress done = {
        .touches_max = ut_max_u64(step_touches(store),
                                  ut_min_u64(SWEEP_TOUCHES_MAX, touches_alone(store, &room)))};
    bool due = false;
    bool empty = false;
    uint32_t merged = 0;
    bool unmerged = false;
    uint64_t left = free_bytes(&room);
    uint64_t margin = margin_bytes(store, &room);
    ut_cursor *cursor;
    err = ut_txn_cursor(store->txn, &cursor);
    if (err == UT_OK) {
        err = resume(store, cursor, &done);
        if (err == UT_OK && !store->retention.removal.open)
            err = expire(store, cursor, now_ns, &done, &due);
        bool of_ring = ring_excess(store, &store->next_state) > 0;
        if (err == UT_OK && !store->retention.removal.open &&
            (of_ring || left + done.bytes < margin))
            err = evict(store, cursor, ut_left_u64(margin, left), &done, &empty);
        // What is to leave comes first.
        if (err == UT_OK && done.touches == 0 && done.pieces == 0 && can_merge(store, &room))
            err = ut_merge_schedule_in_pause(store, cursor, &merged, &unmerged);
        ut_cursor_close(cursor);
    }
    // Blocks that have left may have been the last ones of runs, which the next call drops.
    const bool removed = done.touches > 0 || done.pieces > 0;
    *more = due || store->retention.removal.open || unmerged || removed ||
            (!empty && (left + done.bytes < margin || ring_excess(store, &store->next_state) > 0));
    if (err == UT_OK && (removed || merged > 0)) {
        err = ut_store_end_write(store);
    } else if (err == UT_OK && clock_is_stale(store)) {
        (void)ut_store_end_write(store); // where it fails, a later sweep does it
    } else {
        ut_store_abort_write(store);
    }
    if (err != UT_OK)
        *more = false;
    ut_retention_tell(store, now_ns);
    return err;
}
