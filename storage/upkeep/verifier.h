// The verifier's own state, shared by its files; see verify.h.
#ifndef UT_STORAGE_UPKEEP_VERIFIER_H
#define UT_STORAGE_UPKEEP_VERIFIER_H

#include "storage/store/ledger.h"
#include "storage/store/store_view.h"
#include "storage/store/trace_find.h"
#include "storage/upkeep/verify.h"

typedef unsigned long long ut_verify_number; // for messages

// Spans of the entries of one destination, by state.
typedef struct {
    uint64_t pending;
    uint64_t dead;
    uint64_t delivered;
} ut_verify_ledger_sums;

struct ut_verifier {
    ut_store_view *view; // of the step under way, as all up to `context`
    ut_txn *txn;
    ut_cursor *walk;   // over the family that is checked
    ut_cursor *lookup; // for what belongs with it
    ut_verify_tell tell;
    void *context;
    ut_verify_report report;
    ut_buf payload;
    ut_buf members; // of the block of an earlier version that is checked
    ut_buf runs;    // of the organisation that is checked: ut_run each
    ut_buf seqs;    // of the blocks of a trace: uint64_t each
    ut_ledger ledger;
    ut_verify_ledger_sums sums[UT_STORE_DESTINATIONS_MAX]; // by row of the ledger
    uint64_t last_seq;                                     // newest block when the recount began
    size_t phase;
    bool begun;   // of the phase: `at` is the last key that was checked
    bool resumed; // the next record is the first of a step
    uint8_t at[UT_ENGINE_KEY_MAX];
    size_t at_len;
    uint64_t last_leaving;
    uint8_t last_trace[UT_TRACE_ID_LEN + 5]; // of the old entry that was checked last
    uint64_t work;
};

// Counts a contradiction and tells of it.
void ut_verify_problem(ut_verifier *v, const char *format_z, ...)
    __attribute__((format(printf, 2, 3)));

// UT_ENOTFOUND: nothing of the block is left.
ut_err ut_verify_find_pieces(ut_verifier *v, uint32_t org, uint64_t seq);

// ---- verify_traces.c ----

// Holds the spans of a block against the entries of its traces, and those against the index.
ut_err ut_verify_block_traces(ut_verifier *v, uint32_t org, uint64_t seq, const ut_block *block);
// One record of a run.
ut_err ut_verify_run_record(ut_verifier *v, ut_bytes key, ut_bytes value);

// ---- verify_legacy.c: blocks of format version 1 and 2 ----

ut_err ut_verify_legacy_block(ut_verifier *v, uint32_t org, uint64_t seq, const ut_block *block);
ut_err ut_verify_legacy_entry(ut_verifier *v, ut_bytes key, ut_bytes value); // T
ut_err ut_verify_legacy_root(ut_verifier *v, ut_bytes key, ut_bytes value);  // R

#endif
