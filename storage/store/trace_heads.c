// Heads of traces; see trace_heads.h.
#include "storage/store/trace_heads.h"

#include <stdlib.h>

// Blocks of a trace that are looked at for a head when another one has left.
enum { PASS_BLOCKS_MAX = 8 };

// A block that may have spans of a trace.
typedef struct {
    uint64_t seq;
    uint32_t trace; // its place among those that lose a head
} place;

static void note_posting(void *context, uint32_t number, const ut_posting *posting)
{
    const place found = {.seq = posting->seq, .trace = number};
    ut_buf_add((ut_buf *)context, &found, sizeof(found));
}

static void note_entry(void *context, uint32_t number, uint64_t seq, const ut_trace_entry *entry)
{
    (void)entry;
    const place found = {.seq = seq, .trace = number};
    ut_buf_add((ut_buf *)context, &found, sizeof(found));
}

static int compare_by_block(const void *a, const void *b)
{
    const place *left = a;
    const place *right = b;
    if (left->seq != right->seq)
        return left->seq < right->seq ? -1 : 1;
    return (left->trace > right->trace) - (left->trace < right->trace);
}

// What is known so far of the block whose entry becomes the head of a trace.
typedef struct {
    uint64_t seq; // 0: none
    bool of_root;
    bool has_head; // another block has one: none is made
    uint8_t looked;
} heir;

// Reads what the entries of one trace say, from where the walk is on.
static ut_err look_at_trace(ut_block_traces_walk *walk, const uint8_t *id, heir *known)
{
    ut_trace_entry entry;
    bool any = false;
    bool root = false;
    ut_err err = ut_block_traces_find(walk, id, &entry);
    for (; err == UT_OK; err = ut_block_traces_find(walk, id, &entry)) {
        any = true;
        root = root || entry.has_root;
        known->has_head = known->has_head || entry.head;
    }
    if (any && (known->seq == 0 || (root && !known->of_root)))
        known->seq = walk->seq;
    known->of_root = known->of_root || root;
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Looks at one block for the traces of places first..end - 1.
static ut_err look_at_block(ut_cursor *cursor, uint32_t org, const uint8_t *ids, const place *first,
                            const place *end, heir *heirs)
{
    bool there = false;
    ut_err err = ut_trace_block_is_there(cursor->txn, org, first->seq, &there);
    if (err != UT_OK || !there)
        return err;
    ut_block_traces_walk walk;
    ut_block_traces_walk_begin(&walk, cursor, org, first->seq);
    for (const place *at = first; at != end && err == UT_OK; at++) {
        heir *known = &heirs[at->trace];
        const bool again = at != first && at->trace == at[-1].trace;
        if (again || known->has_head || known->looked == PASS_BLOCKS_MAX)
            continue;
        known->looked += 1;
        err = look_at_trace(&walk, ids + (size_t)at->trace * UT_TRACE_ID_LEN, known);
    }
    return err == UT_ECORRUPT ? UT_OK : err; // the rest of its entries is passed
}

// Looks at the places block by block, oldest first, for those that become heads.
static ut_err choose_heirs(ut_buf *places, ut_cursor *cursor, uint32_t org, const uint8_t *ids,
                           heir *heirs)
{
    place *all = (place *)(void *)places->data;
    const size_t found = places->len / sizeof(place);
    ut_err err = UT_OK;
    if (found > 0)
        qsort(all, found, sizeof(place), compare_by_block);
    for (size_t from = 0; from < found && err == UT_OK;) {
        size_t end = from + 1;
        while (end < found && all[end].seq == all[from].seq)
            end += 1;
        err = look_at_block(cursor, org, ids, all + from, all + end, heirs);
        from = end;
    }
    return err;
}

// Makes the entry of the trace in block seq a head: the one with a root span, if there are several.
// *piece: of the block, the one that was written; UINT32_MAX: none.
static ut_err make_head(ut_cursor *cursor, uint32_t org, const uint8_t *id, uint64_t seq,
                        ut_buf *value, uint32_t *piece)
{
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    *piece = UINT32_MAX;
    for (unsigned any = 0; any < 2; any++) {
        ut_block_traces_walk_begin(&walk, cursor, org, seq);
        ut_err err = ut_block_traces_find(&walk, id, &entry);
        while (err == UT_OK && any == 0 && !entry.has_root)
            err = ut_block_traces_find(&walk, id, &entry);
        if (err == UT_OK) {
            *piece = walk.piece;
            return ut_block_traces_make_head(&walk, value);
        }
        if (err != UT_ENOTFOUND && err != UT_ECORRUPT)
            return err;
    }
    return UT_OK; // an entry of an earlier version: its traces keep their root records
}

// Makes heads of what was chosen, block by block: what stands together is touched once.
static ut_err make_heads(ut_buf *places, ut_cursor *cursor, uint32_t org, const uint8_t *ids,
                         const heir *heirs, uint32_t count, ut_buf *value, uint32_t *touched)
{
    ut_buf_reset(places, UT_TRACE_MEMORY_KEEP);
    for (uint32_t i = 0; i < count; i++) {
        const place chosen = {.seq = heirs[i].seq, .trace = i};
        if (chosen.seq != 0 && !heirs[i].has_head)
            ut_buf_add(places, &chosen, sizeof(chosen));
    }
    place *all = (place *)(void *)places->data;
    const size_t chosen = places->len / sizeof(place);
    uint64_t last_seq = 0;
    uint32_t last_piece = UINT32_MAX;
    ut_err err = places->err;
    if (chosen > 0)
        qsort(all, chosen, sizeof(place), compare_by_block);
    for (size_t i = 0; i < chosen && err == UT_OK; i++) {
        uint32_t piece;
        err = make_head(cursor, org, ids + (size_t)all[i].trace * UT_TRACE_ID_LEN, all[i].seq,
                        value, &piece);
        if (all[i].seq != last_seq)
            *touched += 1; // the page that names the pieces
        if (all[i].seq != last_seq || piece != last_piece)
            *touched += 1;
        last_seq = all[i].seq;
        last_piece = piece;
    }
    return err;
}

ut_err ut_trace_heads_pass(ut_trace_index *index, ut_cursor *cursor, uint32_t org,
                           const uint8_t *ids, uint32_t count, uint32_t *touched)
{
    const ut_trace_visitor visitor = {
        .context = &index->finds, .posting = note_posting, .entry = note_entry};
    const ut_trace_wanted wanted = {
        .txn = cursor->txn,
        .org = org,
        .filter_key = index->filter_key,
        .ids = ids,
        .count = count,
        .recent = &index->recent,
    };
    heir heirs[UT_TRACE_HEADS_MAX] = {{0}};
    UT_ASSERT(count <= UT_TRACE_HEADS_MAX);
    ut_buf_reset(&index->finds, UT_TRACE_MEMORY_KEEP);
    ut_err err = ut_trace_find_all(&index->finder, &wanted, &visitor);
    if (err == UT_OK)
        err = index->finds.err;
    if (err == UT_OK)
        err = choose_heirs(&index->finds, cursor, org, ids, heirs);
    if (err == UT_OK)
        err = make_heads(&index->finds, cursor, org, ids, heirs, count, &index->value, touched);
    return err;
}
