// Looking traces up; see trace_find.h.
#include "storage/store/ordinal_list.h"
#include "storage/store/trace_find.h"

#include "port/base/order.h"
#include "storage/span/trace_time.h"
#include "storage/store/key.h"
#include "storage/store/trace_legacy.h"

#include <stdlib.h>

enum {
    MEMORY_KEEP = 64 * 1024,
    MEMORY_MAX = 1 << 30,
};

// ---- many traces ----

ut_err ut_index_covered(ut_txn *txn, const ut_buf *runs, uint64_t *covered)
{
    ut_index_secret secret;
    const ut_err err = ut_index_secret_read(txn, &secret);
    *covered = UINT64_MAX - 1; // without an index no block has entries
    if (err == UT_OK)
        *covered = ut_max_u64(ut_runs_covered(runs), secret.from_seq - 1);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

void ut_trace_finder_init(ut_trace_finder *finder)
{
    *finder = (ut_trace_finder){.damaged = false};
    ut_buf_init(&finder->runs, UT_RUNS_MAX * sizeof(ut_run));
    ut_buf_init(&finder->hashes, MEMORY_MAX);
    ut_buf_init(&finder->candidates, MEMORY_MAX);
}

void ut_trace_finder_free(ut_trace_finder *finder)
{
    ut_buf_free(&finder->runs);
    ut_buf_free(&finder->hashes);
    ut_buf_free(&finder->candidates);
}

static const uint8_t *id_of(const ut_trace_wanted *wanted, uint32_t index)
{
    return wanted->ids + (size_t)index * UT_TRACE_ID_LEN;
}

// Hashes the ids, which are held against many filters.
static ut_err hash_ids(ut_trace_finder *finder, const ut_trace_wanted *wanted)
{
    ut_buf_reset(&finder->hashes, MEMORY_KEEP);
    for (uint32_t i = 0; i < wanted->count; i++) {
        const uint64_t hash = ut_trace_hash(wanted->filter_key, id_of(wanted, i));
        ut_buf_add(&finder->hashes, &hash, sizeof(hash));
    }
    return finder->hashes.err;
}

static uint64_t hash_of(const ut_trace_finder *finder, uint32_t index)
{
    return ((const uint64_t *)(const void *)finder->hashes.data)[index];
}

// Asks the filter of a run which of the traces it may have.
static ut_err choose_candidates(ut_trace_finder *finder, const ut_trace_wanted *wanted,
                                ut_cursor *cursor, uint64_t run)
{
    ut_run_filter filter;
    ut_buf_reset(&finder->candidates, MEMORY_KEEP);
    ut_run_filter_begin(&filter, cursor, wanted->org, run);
    for (uint32_t i = 0; i < wanted->count; i++) {
        bool maybe = false;
        const ut_err err = ut_run_filter_ask(&filter, id_of(wanted, i), hash_of(finder, i), &maybe);
        if (err != UT_OK)
            return err;
        if (maybe)
            ut_buf_add(&finder->candidates, &i, sizeof(i));
    }
    return finder->candidates.err;
}

// Chooses the traces that the blocks of the set of recent ones may have.
static ut_err choose_recent(ut_trace_finder *finder, const ut_trace_wanted *wanted)
{
    ut_buf_reset(&finder->candidates, MEMORY_KEEP);
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (ut_trace_recent_has(wanted->recent, hash_of(finder, i)))
            ut_buf_add(&finder->candidates, &i, sizeof(i));
    }
    return finder->candidates.err;
}

// Visits the postings that a run has of one trace.
static ut_err visit_postings(ut_run_walk *walk, const ut_trace_wanted *wanted, uint32_t index,
                             const ut_trace_visitor *visitor)
{
    const uint8_t *id = id_of(wanted, index);
    ut_posting posting;
    ut_err err = ut_run_walk_find(walk, id);
    while (err == UT_OK && memcmp(walk->head.trace_id, id, UT_TRACE_ID_LEN) == 0) {
        const bool pass =
            visitor->pass != NULL && visitor->pass(visitor->context, index, &walk->head);
        while (!pass && ut_run_walk_in_group(walk, &posting))
            visitor->posting(visitor->context, index, &posting);
        // Groups of one trace that follow each other stand in neighbouring slices.
        if (walk->slice.len > 0)
            break;
        err = ut_run_walk_next_group(walk);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err ask_run(ut_trace_finder *finder, const ut_trace_wanted *wanted, ut_cursor *cursor,
                      uint64_t run, const ut_trace_visitor *visitor)
{
    ut_err err = choose_candidates(finder, wanted, cursor, run);
    const uint32_t *candidates = (const uint32_t *)(const void *)finder->candidates.data;
    const size_t count = finder->candidates.len / sizeof(uint32_t);
    ut_run_walk walk;
    ut_run_walk_begin(&walk, cursor, wanted->org, run);
    for (size_t i = 0; i < count && err == UT_OK; i++)
        err = visit_postings(&walk, wanted, candidates[i], visitor);
    return err;
}

// Visits the entries that a block has of some of the traces: count of them, all where chosen is
// NULL.
static ut_err ask_block(const ut_trace_wanted *wanted, const uint32_t *chosen, uint32_t count,
                        ut_cursor *cursor, uint64_t seq, const ut_trace_visitor *visitor)
{
    ut_block_traces_walk walk;
    ut_block_traces_walk_begin(&walk, cursor, wanted->org, seq);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = chosen != NULL ? chosen[i] : i;
        const uint8_t *id = id_of(wanted, index);
        ut_trace_entry entry;
        ut_err err = ut_block_traces_find(&walk, id, &entry);
        for (; err == UT_OK; err = ut_block_traces_find(&walk, id, &entry))
            visitor->entry(visitor->context, index, seq, &entry);
        if (err == UT_ECORRUPT)
            return UT_OK;
        if (err != UT_ENOTFOUND)
            return err;
    }
    return UT_OK;
}

// The blocks that no run covers, oldest first.
typedef struct {
    ut_cursor *cursor;
    uint32_t org;
    bool begun;
} uncovered;

// The next of them, behind `covered` at first. UT_ENOTFOUND: there is none.
static ut_err next_uncovered(uncovered *blocks, uint64_t covered, uint64_t *seq)
{
    const ut_key from = ut_key_summary(blocks->org, covered + 1);
    ut_bytes key;
    ut_bytes value;
    uint32_t org;
    const ut_err err = blocks->begun
                           ? ut_cursor_next(blocks->cursor, &key, &value)
                           : ut_cursor_seek(blocks->cursor, ut_key_bytes(&from), &key, &value);
    blocks->begun = true;
    if (err == UT_OK && (!ut_key_read_summary(key, &org, seq) || org != blocks->org))
        return UT_ENOTFOUND;
    return err;
}

// Asks the blocks behind `covered`, one by one.
static ut_err ask_blocks(ut_trace_finder *finder, const ut_trace_wanted *wanted, ut_cursor *blocks,
                         ut_cursor *cursor, uint64_t covered, const ut_trace_visitor *visitor)
{
    uncovered walk = {.cursor = blocks, .org = wanted->org};
    const uint64_t recent_from = wanted->recent != NULL && wanted->recent->from_seq != 0
                                     ? wanted->recent->from_seq
                                     : UINT64_MAX;
    uint64_t seq;
    ut_err err = UT_OK;
    if (recent_from != UINT64_MAX)
        err = choose_recent(finder, wanted);
    if (err != UT_OK)
        return err;
    const uint32_t *chosen = (const uint32_t *)(const void *)finder->candidates.data;
    const uint32_t chosen_count = (uint32_t)(finder->candidates.len / sizeof(uint32_t));
    if (recent_from <= covered + 1 && chosen_count == 0)
        return UT_OK;
    while (err == UT_OK) {
        err = next_uncovered(&walk, covered, &seq);
        if (err != UT_OK || (seq >= recent_from && chosen_count == 0))
            break;
        err = seq < recent_from ? ask_block(wanted, NULL, wanted->count, cursor, seq, visitor)
                                : ask_block(wanted, chosen, chosen_count, cursor, seq, visitor);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// The rest of a run, or of the blocks, behind a damaged page is not asked, and nothing where the
// list of runs is damaged. A transaction that reads fails at its next call.
static ut_err pass_damage(ut_trace_finder *finder, ut_err err)
{
    finder->damaged = finder->damaged || err == UT_ECORRUPT;
    return err == UT_ECORRUPT ? UT_OK : err;
}

ut_err ut_trace_find_all(ut_trace_finder *finder, const ut_trace_wanted *wanted,
                         const ut_trace_visitor *visitor)
{
    ut_cursor *blocks;
    ut_cursor *cursor;
    if (wanted->count == 0)
        return UT_OK;
    ut_err err = hash_ids(finder, wanted);
    if (err == UT_OK)
        err = ut_runs_read(wanted->txn, wanted->org, &finder->runs, NULL);
    if (err == UT_OK)
        err = ut_txn_cursor(wanted->txn, &blocks);
    if (err != UT_OK)
        return pass_damage(finder, err);
    err = ut_txn_cursor(wanted->txn, &cursor);
    if (err != UT_OK) {
        ut_cursor_close(blocks);
        return err;
    }
    for (size_t i = 0; i < ut_runs_count(&finder->runs) && err == UT_OK; i++) {
        const ut_run *run = &ut_runs_of(&finder->runs)[i];
        if (run->state == UT_RUN_READY)
            err = pass_damage(finder, ask_run(finder, wanted, cursor, run->run, visitor));
    }
    uint64_t covered = 0;
    if (err == UT_OK)
        err = ut_index_covered(wanted->txn, &finder->runs, &covered);
    if (err == UT_OK)
        err = pass_damage(finder, ask_blocks(finder, wanted, blocks, cursor, covered, visitor));
    ut_cursor_close(cursor);
    ut_cursor_close(blocks);
    return err;
}

// ---- one trace ----

ut_err ut_trace_block_is_there(ut_txn *txn, uint32_t org, uint64_t seq, bool *there)
{
    const ut_key key = ut_key_summary(org, seq);
    ut_bytes value;
    const ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    *there = err == UT_OK;
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static void note_posting(void *context, uint32_t index, const ut_posting *posting)
{
    (void)index;
    ut_buf_add((ut_buf *)context, &posting->seq, sizeof(posting->seq));
}

static void note_entry(void *context, uint32_t index, uint64_t seq, const ut_trace_entry *entry)
{
    (void)index;
    (void)entry;
    ut_buf_add((ut_buf *)context, &seq, sizeof(seq));
}

static int compare_seqs(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

// Sorts the numbers, and keeps each once, and only those of blocks that are there.
static ut_err tidy(ut_txn *txn, uint32_t org, ut_buf *seqs)
{
    uint64_t *all = (uint64_t *)(void *)seqs->data;
    const size_t count = seqs->len / sizeof(uint64_t);
    size_t kept = 0;
    if (count > 0)
        qsort(all, count, sizeof(uint64_t), compare_seqs);
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        if (kept > 0 && all[kept - 1] == all[i])
            continue;
        const ut_err err = ut_trace_block_is_there(txn, org, all[i], &there);
        if (err != UT_OK)
            return err;
        if (there)
            all[kept++] = all[i];
    }
    seqs->len = kept * sizeof(uint64_t);
    return UT_OK;
}

ut_err ut_trace_find(ut_txn *txn, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                     ut_buf *seqs)
{
    ut_index_secret secret = {.from_seq = 0};
    ut_trace_finder finder;
    const ut_trace_visitor visitor = {
        .context = seqs, .posting = note_posting, .entry = note_entry};
    ut_buf_reset(seqs, MEMORY_KEEP);
    ut_err err = ut_index_secret_read(txn, &secret);
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    ut_trace_finder_init(&finder);
    const ut_trace_wanted wanted = {
        .txn = txn,
        .org = org,
        .filter_key = ut_index_filter_key(&secret),
        .ids = trace_id,
        .count = 1,
    };
    err = ut_trace_find_all(&finder, &wanted, &visitor);
    if (err == UT_OK)
        err = ut_trace_legacy_find(txn, org, trace_id, seqs);
    ut_trace_finder_free(&finder);
    if (err == UT_OK)
        err = seqs->err;
    return err == UT_OK ? tidy(txn, org, seqs) : err;
}

// The first block of a trace in one run that is still there.
static ut_err first_in_run(ut_txn *txn, ut_cursor *cursor, uint32_t org, uint64_t run,
                           const uint8_t *id, uint64_t *seq)
{
    ut_run_walk walk;
    ut_posting posting;
    ut_run_walk_begin(&walk, cursor, org, run);
    ut_err err = ut_run_walk_seek(&walk, id, 0, &posting);
    while (err == UT_ECORRUPT ||
           (err == UT_OK && memcmp(posting.trace_id, id, UT_TRACE_ID_LEN) == 0)) {
        bool there = false;
        if (err == UT_OK)
            err = ut_trace_block_is_there(txn, org, posting.seq, &there);
        if (err != UT_OK && err != UT_ECORRUPT)
            return err;
        if (there && posting.seq < *seq)
            *seq = posting.seq;
        if (there)
            return UT_OK;
        err = ut_run_walk_next(&walk, &posting);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// The first block of a trace behind `covered`.
static ut_err first_in_blocks(ut_cursor *blocks, ut_cursor *cursor, uint32_t org, uint64_t covered,
                              const uint8_t *id, uint64_t *seq)
{
    uncovered walk = {.cursor = blocks, .org = org};
    uint64_t at;
    ut_err err;
    while ((err = next_uncovered(&walk, covered, &at)) == UT_OK) {
        ut_block_traces_walk entries;
        ut_trace_entry entry;
        ut_block_traces_walk_begin(&entries, cursor, org, at);
        err = ut_block_traces_find(&entries, id, &entry);
        if (err == UT_OK)
            *seq = at;
        if (err != UT_ENOTFOUND && err != UT_ECORRUPT)
            return err;
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// The first block of a trace that an earlier version wrote, and that is still there.
static ut_err first_in_legacy(ut_txn *txn, uint32_t org, const uint8_t *id, uint64_t *seq)
{
    ut_buf seqs;
    ut_buf_init(&seqs, MEMORY_MAX);
    ut_err err = ut_trace_legacy_find(txn, org, id, &seqs);
    if (err == UT_OK)
        err = seqs.err;
    if (err == UT_OK)
        err = tidy(txn, org, &seqs);
    if (err == UT_OK && seqs.len > 0)
        memcpy(seq, seqs.data, sizeof(*seq));
    ut_buf_free(&seqs);
    return err;
}

// The first block of a trace that this version wrote.
static ut_err first_in_index(ut_txn *txn, uint32_t org, const uint8_t *id, uint64_t *seq)
{
    ut_cursor *blocks = NULL;
    ut_cursor *cursor = NULL;
    uint64_t covered = 0;
    ut_buf runs;
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    ut_err err = ut_runs_read(txn, org, &runs, NULL);
    if (err == UT_OK)
        err = ut_index_covered(txn, &runs, &covered);
    if (err == UT_OK)
        err = ut_txn_cursor(txn, &blocks);
    if (err == UT_OK)
        err = ut_txn_cursor(txn, &cursor);
    for (size_t i = 0; i < ut_runs_count(&runs) && err == UT_OK; i++) {
        if (ut_runs_of(&runs)[i].state == UT_RUN_READY)
            err = first_in_run(txn, cursor, org, ut_runs_of(&runs)[i].run, id, seq);
    }
    if (err == UT_OK && *seq == UINT64_MAX)
        err = first_in_blocks(blocks, cursor, org, covered, id, seq);
    if (cursor != NULL)
        ut_cursor_close(cursor);
    if (blocks != NULL)
        ut_cursor_close(blocks);
    ut_buf_free(&runs);
    return err;
}

ut_err ut_trace_find_first(ut_txn *txn, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           uint64_t *seq)
{
    *seq = UINT64_MAX;
    // Blocks of earlier versions are older than all others.
    ut_err err = first_in_legacy(txn, org, trace_id, seq);
    if (err == UT_OK && *seq == UINT64_MAX)
        err = first_in_index(txn, org, trace_id, seq);
    return err == UT_OK && *seq == UINT64_MAX ? UT_ENOTFOUND : err;
}

// ---- the next trace ----

// The lowest id that was found so far.
typedef struct {
    bool any;
    uint8_t id[UT_TRACE_ID_LEN];
} lowest;

static bool is_lower(const lowest *found, const uint8_t *id)
{
    return !found->any || memcmp(id, found->id, UT_TRACE_ID_LEN) < 0;
}

static void set_lowest(lowest *found, const uint8_t *id)
{
    found->any = true;
    memcpy(found->id, id, UT_TRACE_ID_LEN);
}

// The next trace of a run whose block is still there.
static ut_err next_in_run(ut_txn *txn, ut_cursor *cursor, uint32_t org, uint64_t run,
                          const uint8_t *from, lowest *found)
{
    ut_run_walk walk;
    ut_posting posting;
    ut_run_walk_begin(&walk, cursor, org, run);
    ut_err err = ut_run_walk_seek(&walk, from, 0, &posting);
    while (err == UT_OK || err == UT_ECORRUPT) {
        bool there = false;
        if (err == UT_OK && !is_lower(found, posting.trace_id))
            return UT_OK;
        if (err == UT_OK)
            err = ut_trace_block_is_there(txn, org, posting.seq, &there);
        if (err != UT_OK && err != UT_ECORRUPT)
            return err;
        if (there) {
            set_lowest(found, posting.trace_id);
            return UT_OK;
        }
        err = ut_run_walk_next(&walk, &posting);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// The next trace of the blocks behind `covered`.
static ut_err next_in_blocks(ut_cursor *blocks, ut_cursor *cursor, uint32_t org, uint64_t covered,
                             const uint8_t *from, lowest *found)
{
    uncovered walk = {.cursor = blocks, .org = org};
    uint64_t seq;
    ut_err err;
    while ((err = next_uncovered(&walk, covered, &seq)) == UT_OK) {
        ut_block_traces_walk entries;
        ut_trace_entry entry;
        ut_block_traces_walk_begin(&entries, cursor, org, seq);
        do {
            err = ut_block_traces_next(&entries, &entry);
        } while (err == UT_OK && memcmp(entry.trace_id, from, UT_TRACE_ID_LEN) < 0);
        if (err == UT_OK && is_lower(found, entry.trace_id)) // the others of the block are higher
            set_lowest(found, entry.trace_id);
        if (err != UT_OK && err != UT_ENOTFOUND && err != UT_ECORRUPT)
            return err;
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err next_in_legacy(ut_cursor *cursor, uint32_t org, const uint8_t *from, lowest *found)
{
    const ut_key first = ut_key_trace(org, from, 0);
    ut_bytes key;
    ut_bytes value;
    uint32_t found_org;
    uint8_t id[UT_TRACE_ID_LEN];
    uint64_t seq;
    const ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&first), &key, &value);
    if (err == UT_OK && ut_key_read_entry(key, &found_org, id, &seq) && found_org == org &&
        is_lower(found, id))
        set_lowest(found, id);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

ut_err ut_trace_find_next(ut_txn *txn, uint32_t org, const uint8_t from[UT_TRACE_ID_LEN],
                          uint8_t found[UT_TRACE_ID_LEN])
{
    lowest low = {.any = false};
    ut_cursor *blocks = NULL;
    ut_cursor *cursor = NULL;
    ut_buf runs;
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    ut_err err = ut_runs_read(txn, org, &runs, NULL);
    if (err == UT_OK)
        err = ut_txn_cursor(txn, &blocks);
    if (err == UT_OK)
        err = ut_txn_cursor(txn, &cursor);
    for (size_t i = 0; i < ut_runs_count(&runs) && err == UT_OK; i++) {
        if (ut_runs_of(&runs)[i].state == UT_RUN_READY)
            err = next_in_run(txn, cursor, org, ut_runs_of(&runs)[i].run, from, &low);
    }
    uint64_t covered = 0;
    if (err == UT_OK)
        err = ut_index_covered(txn, &runs, &covered);
    if (err == UT_OK)
        err = next_in_blocks(blocks, cursor, org, covered, from, &low);
    if (err == UT_OK)
        err = next_in_legacy(cursor, org, from, &low);
    if (cursor != NULL)
        ut_cursor_close(cursor);
    if (blocks != NULL)
        ut_cursor_close(blocks);
    ut_buf_free(&runs);
    if (err == UT_OK && low.any)
        memcpy(found, low.id, UT_TRACE_ID_LEN);
    return err == UT_OK && !low.any ? UT_ENOTFOUND : err;
}

// ---- one trace in one block ----

static void add_entry(ut_trace_part *part, ut_trace_entry *entry)
{
    ut_trace_time time = {part->count > 0, part->start_ns, part->end_ns};
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    if (part->count == 0 || (entry->has_root && !part->has_root) ||
        (entry->has_root == part->has_root &&
         ut_trace_time_earlier(entry->start_ns, part->start_ns)))
        part->root_ordinal = entry->root_ordinal;
    ut_trace_time_add(&time, entry->start_ns, entry->start_ns + entry->length_ns);
    part->start_ns = time.start_ns;
    part->end_ns = time.end_ns;
    if (entry->status > part->status)
        part->status = entry->status;
    part->has_root = part->has_root || entry->has_root;
    part->head = part->head || entry->head;
    part->count += entry->count;
    while (ut_ordinal_list_next(&entry->ordinals, &last, &ordinal))
        part->ordinals[ordinal / 8] |= (uint8_t)(1U << ordinal % 8);
}

ut_err ut_trace_part_read(ut_cursor *cursor, uint32_t org, uint64_t seq,
                          const uint8_t trace_id[UT_TRACE_ID_LEN], ut_trace_part *part)
{
    *part = (ut_trace_part){.seq = seq};
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_block_traces_walk_begin(&walk, cursor, org, seq);
    ut_err err = ut_block_traces_find(&walk, trace_id, &entry);
    if (err == UT_ENOTFOUND)
        return ut_trace_legacy_part(cursor, org, seq, trace_id, part);
    for (; err == UT_OK; err = ut_block_traces_find(&walk, trace_id, &entry))
        add_entry(part, &entry);
    return err == UT_ENOTFOUND ? UT_OK : err;
}
