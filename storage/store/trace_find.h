// Which blocks hold spans of a trace: the runs of the trace index are asked, and the blocks behind
// the last run one by one. Not for the spans themselves: query_trace.h.
#ifndef UT_STORAGE_STORE_TRACE_FIND_H
#define UT_STORAGE_STORE_TRACE_FIND_H

#include "storage/store/block_traces.h"
#include "storage/store/index_secret.h"
#include "storage/store/run_filter.h"
#include "storage/store/trace_part.h"
#include "storage/store/trace_recent.h"
#include "storage/store/trace_run.h"

// The last block that is not asked for its traces by itself: runs cover it, or it is of an earlier
// version. Errors of ut_index_secret_read but UT_ENOTFOUND.
ut_err ut_index_covered(ut_txn *txn, const ut_buf *runs, uint64_t *covered);

// ---- many traces ----

// What is found. The visitors may not use the transaction; what they are given is borrowed for the
// call. index: of the trace in ids.
typedef struct {
    void *context;
    // Of a block that a run covers, and that may have left since.
    void (*posting)(void *context, uint32_t index, const ut_posting *posting);
    // True: none of the postings in the group is worth a visit. NULL: all are.
    bool (*pass)(void *context, uint32_t index, const ut_posting_group *group);
    // Of a block that no run covers.
    void (*entry)(void *context, uint32_t index, uint64_t seq, const ut_trace_entry *entry);
} ut_trace_visitor;

typedef struct {
    ut_buf runs;       // ut_run each
    ut_buf hashes;     // of the ids: uint64_t each
    ut_buf candidates; // uint32_t each
    bool damaged;      // pages of the index were passed, in any call
} ut_trace_finder;     // memory kept between calls

void ut_trace_finder_init(ut_trace_finder *finder);
void ut_trace_finder_free(ut_trace_finder *finder);

typedef struct {
    ut_txn *txn;
    uint32_t org;
    ut_siphash_key filter_key;
    const uint8_t *ids; // count ids of UT_TRACE_ID_LEN bytes, rising, none twice
    uint32_t count;
    const ut_trace_recent *recent; // NULL: not known
} ut_trace_wanted;

// Visits everything that the index has of these traces, the blocks of a trace in no order. Damaged
// parts are passed. UT_ENOMEM, errors of the engine.
ut_err ut_trace_find_all(ut_trace_finder *finder, const ut_trace_wanted *wanted,
                         const ut_trace_visitor *visitor);

// ---- one trace ----

// Finds the blocks of the store that hold spans of a trace. seqs: replaced by uint64_t each,
// rising; they are there in the transaction. UT_ENOMEM, errors of the engine.
ut_err ut_trace_find(ut_txn *txn, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                     ut_buf *seqs);

// Finds the first block of a trace. UT_ENOTFOUND: there is none; UT_ENOMEM, errors of the engine.
ut_err ut_trace_find_first(ut_txn *txn, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           uint64_t *seq);

// Finds the trace with the lowest id from `from` on of which the store has spans. UT_ENOTFOUND;
// UT_ENOMEM, errors of the engine.
ut_err ut_trace_find_next(ut_txn *txn, uint32_t org, const uint8_t from[UT_TRACE_ID_LEN],
                          uint8_t found[UT_TRACE_ID_LEN]);

// Reads what a block has of a trace. UT_ENOTFOUND: it has no span of the trace, or has left.
// UT_ECORRUPT: the entry is damaged; part has what could be read.
ut_err ut_trace_part_read(ut_cursor *cursor, uint32_t org, uint64_t seq,
                          const uint8_t trace_id[UT_TRACE_ID_LEN], ut_trace_part *part);

// True when the store has the block: its removal has not begun.
ut_err ut_trace_block_is_there(ut_txn *txn, uint32_t org, uint64_t seq, bool *there);

#endif
