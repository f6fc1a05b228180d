// The spans of a commit by trace: finds out which of them the store has already, writes the entries
// of each block (block_traces.h), and keeps a head for every trace. Works inside a transaction of
// the caller's; knows nothing of the ledger or of budgets. Not for looking a trace up:
// trace_find.h. One thread, the store's.
#ifndef UT_STORAGE_STORE_TRACE_INDEX_H
#define UT_STORAGE_STORE_TRACE_INDEX_H

#include "storage/store/record.h"
#include "storage/store/trace_find.h"

enum {
    UT_TRACE_SPANS_MAX = 1 << 24,      // spans in one commit
    UT_TRACE_MEMORY_KEEP = 256 * 1024, // of each buffer, kept between commits
    UT_FINGERPRINTS = 1 << 8 * UT_FINGERPRINT_LEN,
};

// One span of a commit.
typedef struct {
    const ut_batch_span *span;
    uint64_t digest;
    uint32_t trace : 31; // index of its trace in the plan
    uint32_t duplicate : 1;
    uint32_t next; // the next span of the trace; UINT32_MAX at the end
} ut_plan_span;

// One trace of a commit.
typedef struct {
    uint8_t id[UT_TRACE_ID_LEN];
    uint32_t org;
    uint32_t hash;
    uint32_t first; // its spans, a chain
    uint32_t last;
    uint32_t rank;        // its place in the order of organisations and ids
    uint32_t source;      // a root span that will make a head; UINT32_MAX: none
    uint32_t block;       // the block being written has spans of it: number of that block
    uint16_t block_first; // ordinals of them, a chain
    uint16_t block_last;
    bool head_known;    // the store has a head of it, or this commit has written one
    bool head_has_root; // that head tells of a root span
} ut_plan_trace;

typedef struct {
    ut_index_secret secret;
    ut_siphash_key filter_key;
    uint64_t digest_seed; // of the digests in the plan
    ut_siphash_key digest_key;
    const ut_store_append *appends; // of the plan; borrowed
    bool has_legacy;                // the store has entries of format version 1 or 2
    ut_buf spans;                   // ut_plan_span each
    ut_buf traces;                  // ut_plan_trace each
    ut_buf ranks;                   // traces in order: uint32_t each
    ut_buf ids;                     // their ids
    ut_buf parts;                   // digests of the scopes of one batch: uint64_t each
    ut_buf span_slots;              // hash tables: uint32_t each, an index and one
    ut_buf trace_slots;
    uint32_t span_count;
    uint32_t trace_count;
    uint32_t span_mask;
    uint32_t trace_mask;
    // Looking up.
    ut_trace_finder finder;
    ut_trace_recent recent;
    ut_buf finds;           // what is still to be looked at: see trace_index.c
    uint32_t find_base;     // rank of the first trace that is asked for
    uint32_t marked;        // trace whose spans are in fingerprints; UINT32_MAX: none
    uint64_t *fingerprints; // one bit for each, UT_FINGERPRINTS of them
    const struct ut_keyring *keyring;
    bool mixed_seeds; // the oldest blocks may have digests with another key
    // Writing.
    uint32_t block;                       // number of the block being written; 0 between commits
    uint16_t next[UT_BLOCK_SPANS_MAX];    // chains of ordinals in the block being written
    uint32_t numbers[UT_BLOCK_SPANS_MAX]; // plan numbers of its spans
    uint32_t members[UT_BLOCK_SPANS_MAX]; // its traces
    uint32_t member_count;
    ut_block_traces_writer writer;
    ut_buf ordinals;
    ut_buf digests;
    ut_buf value;
} ut_trace_index;

// UT_ENOMEM. To be freed in either case.
ut_err ut_trace_index_init(ut_trace_index *index);
void ut_trace_index_free(ut_trace_index *index);
// Gives back what a large plan took; the plan is gone then.
void ut_trace_index_trim(ut_trace_index *index);

// Reads the secret of the store, or makes one, in a write transaction.
ut_err ut_trace_index_open(ut_trace_index *index, ut_txn *txn);

// After a write transaction that was taken back: a removal of the last block of an earlier version
// may have been in it, so the next look-up asks again whether there is one.
void ut_trace_index_taken_back(ut_trace_index *index);

static inline ut_plan_span *ut_trace_index_spans(const ut_trace_index *index)
{
    return (ut_plan_span *)(void *)index->spans.data;
}
static inline ut_plan_trace *ut_trace_index_traces(const ut_trace_index *index)
{
    return (ut_plan_trace *)(void *)index->traces.data;
}

// The trace of the plan at a rank.
static inline uint32_t ut_trace_index_at(const ut_trace_index *index, uint32_t rank)
{
    return ((const uint32_t *)(const void *)index->ranks.data)[rank];
}

// Plans a commit: all spans of the appends in order, grouped by trace, those that stand there twice
// marked. digest_seed: the filter seed of the blocks to come. The batches are borrowed until the
// next plan. UT_ENOMEM, UT_ELIMIT.
ut_err ut_trace_index_plan(ut_trace_index *index, uint64_t digest_seed,
                           const ut_store_append *appends, size_t count);

// Looks every trace of the plan up: marks the spans that are stored already, and finds out which
// traces have a head. May be repeated in a later transaction. Errors of the engine; UT_ENOMEM.
ut_err ut_trace_index_look_up(ut_trace_index *index, ut_txn *txn);

// Begins a block; then every span that went into it, in the order of ordinals, which begin at 0.
void ut_trace_index_begin_block(ut_trace_index *index);
void ut_trace_index_add(ut_trace_index *index, uint32_t span, uint32_t ordinal);

// Writes the entries of the block. Errors of the engine; UT_ENOMEM, UT_ELIMIT.
ut_err ut_trace_index_write_block(ut_trace_index *index, ut_txn *txn, uint32_t org,
                                  const ut_block_builder *builder, uint64_t seq);

#endif
