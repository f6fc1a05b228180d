// The trace index of format versions 1 and 2: an entry of its own in the table for each trace of
// each block (T), and one root record for each trace (R). Nothing writes new ones; those of blocks
// that an earlier version wrote are looked up until their blocks have left. Not for the index as it
// is written: trace_run.h, block_traces.h.
#ifndef UT_STORAGE_STORE_TRACE_LEGACY_H
#define UT_STORAGE_STORE_TRACE_LEGACY_H

#include "storage/store/record.h"
#include "storage/store/trace_part.h"

// True when the store has entries of this kind.
ut_err ut_trace_legacy_is_there(ut_txn *txn, bool *there);

// Appends the blocks that hold spans of the trace to seqs: uint64_t each. Errors of the engine.
ut_err ut_trace_legacy_find(ut_txn *txn, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                            ut_buf *seqs);

// As ut_trace_part_read (trace_find.h).
ut_err ut_trace_legacy_part(ut_cursor *cursor, uint32_t org, uint64_t seq,
                            const uint8_t trace_id[UT_TRACE_ID_LEN], ut_trace_part *part);

// Visits all entries of a trace; damaged ones are passed. The visitor may not use the transaction.
typedef void (*ut_trace_legacy_visit)(void *context, const ut_record_trace *entry);
ut_err ut_trace_legacy_walk(ut_cursor *cursor, uint32_t org,
                            const uint8_t trace_id[UT_TRACE_ID_LEN], ut_trace_legacy_visit visit,
                            void *context);

// Takes the spans of block seq off a trace in the write transaction of the cursor. Its root record
// goes on to the next of its entries; *last: there was none, and the root record is gone. One whose
// names stand in the block tells of the first entry from then on. *touched counts touches
// (demand.h). value: memory for records. Nothing found is no error.
ut_err ut_trace_legacy_remove(ut_cursor *cursor, uint32_t org,
                              const uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t seq, ut_buf *value,
                              uint32_t *touched, bool *last);

#endif
