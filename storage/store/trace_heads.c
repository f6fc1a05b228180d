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

static int compare_by_trace(const void *a, const void *b)
{
    const place *left = a;
    const place *right = b;
    if (left->trace != right->trace)
        return left->trace < right->trace ? -1 : 1;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

// Looks at the blocks of one trace, oldest first, for the one whose entry becomes its head. *seq:
// 0: none is left, or one has a head.
static ut_err choose_heir(ut_cursor *cursor, uint32_t org, const uint8_t *id, const place *first,
                          const place *end, uint64_t *seq)
{
    unsigned looked = 0;
    bool of_root = false;
    *seq = 0;
    for (const place *at = first; at != end && looked < PASS_BLOCKS_MAX; at++) {
        bool there = false;
        ut_err err = ut_trace_block_is_there(cursor->txn, org, at->seq, &there);
        if (err != UT_OK)
            return err;
        if (!there)
            continue;
        looked += 1;
        ut_trace_part part;
        err = ut_trace_part_read(cursor, org, at->seq, id, &part);
        if (err == UT_ENOTFOUND || err == UT_ECORRUPT)
            continue;
        if (err != UT_OK)
            return err;
        if (part.head) {
            *seq = 0;
            return UT_OK;
        }
        if (*seq == 0 || (part.has_root && !of_root))
            *seq = at->seq;
        of_root = of_root || part.has_root;
    }
    return UT_OK;
}

// Makes the entry of the trace in block seq a head: the one with a root span, if there are several.
static ut_err make_head(ut_cursor *cursor, uint32_t org, const uint8_t *id, uint64_t seq,
                        ut_buf *value)
{
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    for (unsigned any = 0; any < 2; any++) {
        ut_block_traces_walk_begin(&walk, cursor, org, seq);
        ut_err err = ut_block_traces_find(&walk, id, &entry);
        while (err == UT_OK && any == 0 && !entry.has_root)
            err = ut_block_traces_find(&walk, id, &entry);
        if (err == UT_OK)
            return ut_block_traces_make_head(&walk, value);
        if (err != UT_ENOTFOUND && err != UT_ECORRUPT)
            return err;
    }
    return UT_OK; // an entry of an earlier version: its traces keep their root records
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
    };
    ut_buf_reset(&index->finds, UT_TRACE_MEMORY_KEEP);
    ut_err err = ut_trace_find_all(&index->finder, &wanted, &visitor);
    if (err == UT_OK)
        err = index->finds.err;
    place *places = (place *)(void *)index->finds.data;
    const size_t found = index->finds.len / sizeof(place);
    if (found > 0)
        qsort(places, found, sizeof(place), compare_by_trace);
    for (size_t from = 0; from < found && err == UT_OK;) {
        const uint8_t *id = ids + (size_t)places[from].trace * UT_TRACE_ID_LEN;
        size_t end = from + 1;
        while (end < found && places[end].trace == places[from].trace)
            end += 1;
        uint64_t seq;
        err = choose_heir(cursor, org, id, places + from, places + end, &seq);
        if (err == UT_OK && seq != 0) {
            err = make_head(cursor, org, id, seq, &index->value);
            *touched += 2; // its page, and the one that names it
        }
        from = end;
    }
    return err;
}
