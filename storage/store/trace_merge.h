// Merging the trace index: the entries of neighbouring blocks become a run of level 1, neighbouring
// runs of a level become one of the next level, so that a look-up asks few runs. A merge goes in
// steps of bounded size inside transactions of the caller's. All that it knows stands in the store:
// a step goes on where the last committed one ended, also after a crash. Readers use the sources
// until the new run is ready. Not for the bytes of a run: trace_run.h.
#ifndef UT_STORAGE_STORE_TRACE_MERGE_H
#define UT_STORAGE_STORE_TRACE_MERGE_H

#include "storage/store/trace_find.h"

enum {
    // A run of level 1 is made of so many blocks, ...
    UT_MERGE_BLOCKS_MAX = UT_RUN_SOURCES_MAX,
    // ... or of as many as have these bytes in the first pieces of their entries.
    UT_MERGE_ENTRY_BYTES_MIN = 64 * 1024,
    UT_MERGE_RUNS = 12,           // runs of a level that become one of the next
    UT_MERGE_POSTING_BYTES = 48,  // what one posting is reckoned with
    UT_MERGES_IN_STEP = 3,        // merges that one step goes on with
    UT_MERGE_SOURCE_TOUCHES = 12, // touches of a merge beside those of its slices
    UT_MERGE_PAGE_BYTES = 4096,   // bytes of slices that count as one touch
};

typedef struct {
    ut_buf runs;     // ut_run each
    ut_buf gathered; // postings of one step
    ut_buf prints;   // their fingerprints
    ut_buf value;
    ut_run_writer writer;
    uint64_t next_run; // the number of the next one
    uint32_t turn;     // counts steps: which run is looked at
} ut_trace_merger;     // memory kept between steps

void ut_trace_merger_init(ut_trace_merger *merger);
void ut_trace_merger_free(ut_trace_merger *merger);

typedef struct {
    ut_txn *txn; // writes
    uint32_t org;
    ut_siphash_key filter_key;
    uint32_t postings_max;  // of one step
    uint64_t run_bytes_max; // no larger run is made of others
    uint64_t oldest_seq;    // blocks before it have left
} ut_merge_job;

// One step: deletes slices of dropped runs, drops runs whose blocks have all left, and goes on with
// the merge of the lowest level, or begins one. *touched counts touches (demand.h). *more: there is
// work left. UT_ENOMEM, errors of the engine.
ut_err ut_trace_merge_step(ut_trace_merger *merger, const ut_merge_job *job, uint32_t *touched,
                           bool *more);

// The bytes and touches that one step may take.
static inline uint64_t ut_trace_merge_bytes(uint32_t postings_max)
{
    return ((uint64_t)postings_max + UT_BLOCK_SPANS_MAX) * UT_MERGE_POSTING_BYTES;
}

static inline uint64_t ut_trace_merge_touches(uint32_t postings_max)
{
    return UT_MERGES_IN_STEP * UT_MERGE_SOURCE_TOUCHES +
           ut_trace_merge_bytes(postings_max) / UT_MERGE_PAGE_BYTES;
}

#endif
