// The rows by which listings tell of traces: when each began and ended, how many spans, which of
// them gives it its name. Made from the index and one block, without the other spans. Not for which
// traces are listed, and in which order: query_traces.c.
#ifndef UT_STORAGE_QUERY_TRACE_ROWS_H
#define UT_STORAGE_QUERY_TRACE_ROWS_H

#include "storage/query/query.h"
#include "storage/span/trace_time.h"
#include "storage/store/root_names.h"

typedef struct {
    ut_store_view *view;
    uint32_t org;
    ut_cursor *entries;
    ut_buf seqs; // of the blocks of a trace: uint64_t each
    ut_root_names names;
    ut_buf text; // names of a trace of an earlier version
} ut_trace_rows;

// What the blocks have of a trace.
typedef struct {
    uint32_t span_count;
    uint8_t status;
    ut_trace_time time;
    bool any_legacy;         // a block of an earlier version has some of it
    bool has_root;           // and the first root span is shown; else the earliest span
    uint64_t shown_seq;      // its block
    uint32_t shown_ordinal;  // its place there
    uint64_t shown_start_ns; // earliest start in that block
    // The head that counts (block_traces.h), which gives the trace its place in a listing.
    bool any_head;
    bool head_of_root;
    bool head_legacy;  // it is a root record
    uint64_t head_seq; // else the block with it
} ut_trace_sum;

ut_err ut_trace_rows_open(ut_trace_rows *rows, ut_store_view *view, uint32_t org);
void ut_trace_rows_close(ut_trace_rows *rows);

// Sums a trace up; span_count is 0 where there is nothing of it. UT_ENOMEM, errors of the engine.
ut_err ut_trace_rows_sum(ut_trace_rows *rows, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         ut_trace_sum *sum);

// Makes the row of a trace that was summed up; its service and name are borrowed until the next
// call, and empty where the block with them is damaged. UT_ENOMEM, errors of the engine.
ut_err ut_trace_rows_fill(ut_trace_rows *rows, const uint8_t trace_id[UT_TRACE_ID_LEN],
                          const ut_trace_sum *sum, ut_trace_row *row);

#endif
