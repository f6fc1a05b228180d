// A run of the trace index: which blocks of a range have spans of which trace, in the order of
// trace ids, so that many commits' entries stand in few pages. A run is made once by a merge
// (trace_merge.h), never changed, and dropped as a whole. It has a head, postings in slices of a
// page, and a Bloom filter over its trace ids in slices too, so that look-ups pass runs without the
// trace. Not for the entries themselves, which stand with their block: block_traces.h.
#ifndef UT_STORAGE_STORE_TRACE_RUN_H
#define UT_STORAGE_STORE_TRACE_RUN_H

#include "port/base/buf.h"
#include "port/base/siphash.h"
#include "storage/engine.h"
#include "storage/span/span.h"

enum {
    UT_RUN_LEVELS_MAX = 12,
    UT_RUNS_MAX = 1 << 16, // of one organisation; there are some dozens
    UT_FINGERPRINT_LEN = 2,
    UT_RUN_SOURCES_MAX = 32, // of one merge
};

typedef enum {
    UT_RUN_READY,    // look-ups use it
    UT_RUN_BUILDING, // a merge writes it; its sources are still in use
    UT_RUN_DROPPED,  // its slices are being deleted
} ut_run_state;

// The head of a run.
typedef struct {
    uint64_t run; // its number
    ut_run_state state;
    uint32_t level;     // 1: merged from blocks; n + 1: from runs of level n
    uint64_t first_seq; // the range of blocks that it covers
    uint64_t last_seq;
    uint64_t traces;
    uint64_t postings;
    uint64_t spans;
    uint64_t bytes; // of its slices
} ut_run;

// What a block has of a trace.
typedef struct {
    const uint8_t *trace_id;
    uint64_t seq;
    bool head;     // as of ut_trace_entry, when the posting was written
    bool has_root; // likewise
    uint32_t count;
    // count numbers of UT_FINGERPRINT_LEN bytes: the low bits of the digests of its spans.
    ut_bytes fingerprints;
} ut_posting;

// ---- heads ----

// Reads the heads of all runs of an organisation, in the order of their numbers. runs: replaced by
// ut_run each. Heads that cannot be read are passed; *damaged counts them, may be NULL. UT_ENOMEM,
// errors of the engine.
ut_err ut_runs_read(ut_txn *txn, uint32_t org, ut_buf *runs, uint32_t *damaged);
ut_err ut_run_put(ut_txn *txn, uint32_t org, const ut_run *run, ut_buf *value);
static inline ut_run *ut_runs_of(const ut_buf *runs)
{
    return (ut_run *)(void *)runs->data;
}
static inline size_t ut_runs_count(const ut_buf *runs)
{
    return runs->len / sizeof(ut_run);
}
// The last block that runs which are ready cover; 0: none does. Blocks behind it are looked up one
// by one.
uint64_t ut_runs_covered(const ut_buf *runs);

// ---- postings ----

// The postings that a slice has of one trace.
typedef struct {
    const uint8_t *trace_id;
    bool any_head;   // one of them is a head
    ut_bytes filter; // over their fingerprints; empty: there are few
} ut_posting_group;

// True when the fingerprint may be in the group; false is certain.
bool ut_posting_group_may_have(const ut_posting_group *group, uint32_t fingerprint);

// A walk over postings in order.
typedef struct {
    ut_cursor *cursor; // NULL: over one slice
    uint32_t org;
    uint64_t run;
    bool open;             // slice is read
    ut_bytes slice;        // rest of it, borrowed until the cursor or its transaction is used
    ut_posting_group head; // of the group that is open
    ut_bytes group;        // rest of it
    uint64_t seq;          // of the last posting of the group
} ut_run_walk;

// Moves before the first posting of a trace from seq on, or where it would be. UT_ENOTFOUND:
// nothing of the run stands there or behind.
void ut_run_walk_begin(ut_run_walk *walk, ut_cursor *cursor, uint32_t org, uint64_t run);
ut_err ut_run_walk_seek(ut_run_walk *walk, const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq,
                        ut_posting *posting);
// Moves to the postings of a trace, or those behind it, and opens the first group of them: its head
// is walk->head. Ids that rise from call to call are cheaper. UT_ENOTFOUND: nothing of the run
// stands there or behind.
ut_err ut_run_walk_find(ut_run_walk *walk, const uint8_t trace_id[UT_TRACE_ID_LEN]);
// Passes the rest of the group and opens the next one. UT_ENOTFOUND: the end.
ut_err ut_run_walk_next_group(ut_run_walk *walk);
// The next posting of the group that is open. False: there is none, or the rest is damaged.
bool ut_run_walk_in_group(ut_run_walk *walk, ut_posting *posting);
// Walks over the postings in the value of one slice alone.
void ut_run_walk_slice(ut_run_walk *walk, ut_bytes value);
// Opens the last slice of the run. UT_ENOTFOUND: it has none.
ut_err ut_run_walk_last(ut_run_walk *walk);
// The next posting; borrowed until the cursor or its transaction is used for anything else.
// UT_ENOTFOUND: the end. UT_ECORRUPT: the rest of the slice cannot be read; the next call goes on
// with the next slice.
ut_err ut_run_walk_next(ut_run_walk *walk, ut_posting *posting);

// ---- writing ----

// Collects postings, which come in order, and writes them as slices.
typedef struct {
    ut_txn *txn;
    uint32_t org;
    uint64_t run;
    ut_siphash_key key;
    ut_buf slice;    // of postings, being filled
    ut_buf hashes;   // of the traces for the next slice of the filter: uint64_t each
    ut_buf filter;   // that slice
    ut_buf group;    // postings of the last trace that are not in slice yet
    ut_buf prints;   // their fingerprints
    bool group_head; // one of them is a head
    uint8_t slice_first[UT_TRACE_ID_LEN];
    uint64_t slice_first_seq;
    uint8_t filter_first[UT_TRACE_ID_LEN];
    uint64_t filter_first_seq;
    uint8_t last[UT_TRACE_ID_LEN];
    uint64_t last_seq;
    bool any;       // a posting came since the writer began
    uint64_t bytes; // written
    uint64_t traces;
    uint64_t postings;
    uint64_t spans;
} ut_run_writer;

void ut_run_writer_init(ut_run_writer *writer);
void ut_run_writer_free(ut_run_writer *writer);
// continued: the trace whose postings were written last, by an earlier writer of this run; NULL:
// none. It is not counted again.
void ut_run_writer_begin(ut_run_writer *writer, ut_txn *txn, ut_siphash_key key, uint32_t org,
                         uint64_t run, const uint8_t *continued);
ut_err ut_run_writer_add(ut_run_writer *writer, const ut_posting *posting);
// Writes what is left. UT_ENOMEM, errors of the engine.
ut_err ut_run_writer_end(ut_run_writer *writer);

// Deletes up to records_max slices of a run. *left: false: they are all gone. *deleted counts.
ut_err ut_run_delete(ut_txn *txn, uint32_t org, uint64_t run, uint32_t records_max,
                     uint32_t *deleted, bool *left);

#endif
