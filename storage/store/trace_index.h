// Spans by trace: finds out which spans of a commit are new, writes a trace entry for every trace
// of a block and keeps exactly one root record for every trace. Works inside a transaction of the
// caller's; knows nothing of the ledger or of budgets. One thread, the store's.
#ifndef UT_STORAGE_STORE_TRACE_INDEX_H
#define UT_STORAGE_STORE_TRACE_INDEX_H

#include "storage/store/record.h"

enum {
    UT_TRACE_NONE = -1,
    UT_TRACE_SPANS_MAX = 1 << 24,      // spans in one commit
    UT_TRACE_MEMORY_KEEP = 256 * 1024, // of each buffer, kept between commits
    // Filters of long traces. A commit has to find out which of its spans the store has, and would
    // read all entries of their traces for it: with `bench_store long 30000` (one trace, ten spans
    // a commit) a span costs 6 us of CPU with filters from its first to its last thousand; without
    // them 9 us at the start and 70 to 88 us at the end, growing with the trace. An index that
    // finds a span without reading its trace makes them unneeded.
    UT_TRACE_FILTERS_MAX = 16,            // long traces whose span ids are remembered
    UT_TRACE_FILTER_BYTES_MAX = 1 << 20,  // of one filter
    UT_TRACE_FILTERS_BYTES_MAX = 2 << 20, // of all filters
    UT_TRACE_LONG_FROM = 24,              // entries from which a trace counts as long
};

// One span of a commit.
typedef struct {
    const ut_batch_span *span;
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
    uint32_t
        source; // the span that its root record will tell of; UINT32_MAX: no root record to write
    uint64_t first_seq;        // known: block of the entry that stands first
    uint64_t root_seen_ns;     // in the key of its root record: when that record came
    uint64_t old_root_seen_ns; // of the stand-in that a real root replaces
    uint32_t block;            // the block being written has spans of it: number of that block
    uint16_t block_first;      // ordinals of them, a chain
    uint16_t block_last;
    bool known;           // the store has spans of it
    bool root_known;      // after this commit, the root record tells of a real root span
    bool replaces;        // a stand-in is to go
    bool root_key_stored; // its first entry is in the store, or was written by this commit
} ut_plan_trace;

// Remembers which span ids a long trace may have: a no is certain.
typedef struct {
    uint8_t *bits;  // NULL: unused
    uint32_t bytes; // a power of two
    uint32_t count;
    uint32_t count_max;
    uint32_t org;
    uint64_t used; // when it was last asked
    uint8_t id[UT_TRACE_ID_LEN];
} ut_trace_filter;

typedef struct {
    uint64_t seed[2];  // not known to those who choose the ids
    bool hide_names;   // root records do not tell service and name
    ut_buf spans;      // ut_plan_span each
    ut_buf traces;     // ut_plan_trace each
    ut_buf span_slots; // hash tables: uint32_t each, an index and one
    ut_buf trace_slots;
    uint32_t span_count;
    uint32_t trace_count;
    uint32_t span_mask;
    uint32_t trace_mask;
    uint64_t now_ns;
    uint32_t block;                       // number of the block being written; 0 between commits
    uint16_t next[UT_BLOCK_SPANS_MAX];    // chains of ordinals in the block being written
    uint32_t members[UT_BLOCK_SPANS_MAX]; // its traces
    uint32_t member_count;
    ut_buf ordinals;
    ut_buf span_ids;
    ut_buf value;
    ut_trace_filter filters[UT_TRACE_FILTERS_MAX];
    uint32_t filter_bytes;
    uint64_t filter_clock;
} ut_trace_index;

// seed: 16 random bytes.
void ut_trace_index_init(ut_trace_index *index, const uint8_t seed[16]);
void ut_trace_index_free(ut_trace_index *index);

static inline ut_plan_span *ut_trace_index_spans(const ut_trace_index *index)
{
    return (ut_plan_span *)(void *)index->spans.data;
}
static inline ut_plan_trace *ut_trace_index_traces(const ut_trace_index *index)
{
    return (ut_plan_trace *)(void *)index->traces.data;
}

// Plans a commit: all spans of the appends in order, grouped by trace, those that stand there twice
// marked. The batches are borrowed until the next plan. UT_ENOMEM, UT_ELIMIT.
ut_err ut_trace_index_plan(ut_trace_index *index, const ut_store_append *appends, size_t count);

// Looks every trace of the plan up: marks the spans that are stored already and decides what
// becomes of the root records. May be repeated in a later transaction. now_ns: wall clock of the
// commit. Errors of the engine; UT_ENOMEM.
ut_err ut_trace_index_look_up(ut_trace_index *index, ut_txn *txn, uint64_t now_ns);

// Forgets which spans long traces may have: after a transaction that looked traces up behind a
// removal of its own and did not end well, the spans that were to leave are still there.
void ut_trace_index_forget(ut_trace_index *index);

// Begins a block; then every span that went into it, in the order of ordinals, which begin at 0.
void ut_trace_index_begin_block(ut_trace_index *index);
void ut_trace_index_add(ut_trace_index *index, uint32_t span, uint32_t ordinal);

// Writes trace entries and root records of the block. The traces in it are then index->members.
ut_err ut_trace_index_write_block(ut_trace_index *index, ut_txn *txn,
                                  const ut_block_builder *builder, uint64_t seq);

// Takes the spans of block seq off a trace in the transaction of the cursor; the root record goes
// with the last of its entries. *touched counts touches (demand.h). Nothing found is no error.
ut_err ut_trace_index_remove(ut_trace_index *index, ut_cursor *cursor, uint32_t org,
                             const uint8_t id[UT_TRACE_ID_LEN], uint64_t seq, uint32_t *touched);

#endif
