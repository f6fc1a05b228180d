// Questions to the store: spans by a filter, the newest traces, one trace with all its spans. Reads
// only, from any thread with its own view. Statistics over what is found: stats.h; a trace as a
// tree: trace.h.
#ifndef UT_STORAGE_QUERY_QUERY_H
#define UT_STORAGE_QUERY_QUERY_H

#include "storage/span/filter.h"
#include "storage/span/trace_span.h"
#include "storage/store/store.h"

// One row of a listing of traces; bytes are borrowed for the call of the visitor.
typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint64_t start_ns;    // of the earliest span, whatever is the root (trace_time.h)
    uint64_t duration_ns; // from there to the latest end, as for one trace
    uint8_t status;       // worst status of the trace
    uint32_t span_count;
    bool has_root;
    ut_bytes service;
    ut_bytes name; // both of the first root span that was stored, or else of the earliest span
} ut_trace_row;

typedef ut_err (*ut_trace_row_visit)(
    void *context, const ut_trace_row *row); // anything but UT_OK ends the walk and is returned

// Newest first, at most limit rows, each trace once.
ut_err ut_query_traces(ut_store_view *view, uint32_t org, uint32_t limit, ut_trace_row_visit visit,
                       void *context);

// The rows of these traces, in the order of ids; traces that have left are passed.
ut_err ut_query_trace_rows(ut_store_view *view, uint32_t org, const uint8_t (*ids)[UT_TRACE_ID_LEN],
                           uint32_t count, ut_trace_row_visit visit, void *context);

// All spans of one trace, in order of arrival. UT_ENOTFOUND when there is none. UT_ECORRUPT names
// no block that others need: damaged blocks are passed over and counted in *damaged.
ut_err ut_query_trace(ut_store_view *view, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                      uint32_t *damaged, ut_trace_span_visit visit, void *context);

// ---- spans by a filter ----

// Where a search goes on: behind the last span that was seen. It stays valid while data is written
// and expires; spans that come in between are seen by a search for the oldest first only. So are
// spans that a cleanup by service writes anew in between (ut_cleanup_new): newest first they can be
// missed, oldest first they can be seen a second time, and a sum then counts them twice.
typedef struct {
    bool begun; // false: from the start
    uint64_t seq;
    uint32_t ordinal;
} ut_query_cursor;

enum {
    UT_QUERY_CURSOR_TEXT_MAX = 80,
    UT_QUERY_WORK_BLOCKS = 64,           // blocks read in one call unless told otherwise
    UT_QUERY_PULL_BLOCKS = 4096,         // blocks that a reader that polls gets past in one call
    UT_QUERY_WORK_SUMMARIES = 64 * 1024, // summaries or trace entries looked at in one call
};

typedef struct {
    uint32_t org;
    const ut_filter *filter;
    bool oldest_first;   // by the order of arrival; else newest first
    uint32_t spans_max;  // spans that one call visits at most; 0: no limit
    uint32_t blocks_max; // blocks that one call opens at most; 0: UT_QUERY_WORK_BLOCKS
} ut_search;

// The work of a call, which is added to the counts that are there.
typedef struct {
    uint64_t spans_visited;
    uint64_t blocks_read;
    uint64_t blocks_pruned;  // their summaries said that nothing in them matches
    uint64_t blocks_damaged; // passed over
} ut_search_work;

// Visits the spans that match, in order of arrival (the order of blocks; within a block by ordinal;
// newest first: both backwards), until a limit is reached or there are no more. *cursor: where to
// begin, and out: where to go on. *more: false at the end, and only then. An error of the visitor
// ends the call; the cursor then stands behind the span that it was given. A block that left since
// the view began is passed. The filter has been checked (ut_filter_check). Errors of the engine,
// UT_ENOMEM.
//
// A call does a bounded amount of work (some 20 ms), also when nothing matches. A view holds old
// pages of the store as long as it lasts, so a long search is chopped:
//
//     do {
//         err = ut_store_view_begin(view);
//         if (err == UT_OK)
//             err = ut_query_spans(view, &search, &cursor, &work, &more, visitor);
//         ut_store_view_end(view);
//     } while (err == UT_OK && more && (a limit of the caller's is not reached));
//
// To add numbers up, oldest first is cheaper: newest first reads each span that matches twice.
ut_err ut_query_spans(ut_store_view *view, const ut_search *search, ut_query_cursor *cursor,
                      ut_search_work *work, bool *more, ut_trace_span_visitor visitor);

// A cursor as text for people to hand back: letters, digits, - and _. It holds the times of the
// filter, because "an hour ago" is another time when the question is asked again, and a check sum
// over the rest of the filter, the order, and the times as they were asked for, so that it does not
// go on with another question. *start_ns, *end_ns: out, those of the filter that it was written
// with; to be set in the filter. UT_EFORMAT: not a cursor; UT_EVERSION: one of an earlier version;
// UT_EINVAL: of another question.
void ut_query_cursor_write(const ut_query_cursor *cursor, const ut_search *search,
                           char text_z[UT_QUERY_CURSOR_TEXT_MAX]);
ut_err ut_query_cursor_read(ut_bytes text, const ut_search *search, ut_query_cursor *cursor,
                            uint64_t *start_ns, uint64_t *end_ns);

// ---- spans in the order of their commits, for readers that poll ----

// Visits at most spans_max spans behind *cursor in the order of commits, and sets it behind the
// last of them. A reader that stores the cursor after it has dealt with the spans sees each once,
// and those it had not dealt with again; spans that a cleanup by service writes anew it sees once
// more. Blocks that have left in between are passed; *damaged: out, those that could not be read.
// Nothing visited and *damaged 0: there is no more for now.
ut_err ut_query_pull(ut_store_view *view, uint32_t org, ut_query_cursor *cursor, uint32_t spans_max,
                     uint32_t *damaged, ut_trace_span_visitor visitor);
// The stored cursor of a named reader (1 to UT_STORE_CONSUMER_NAME_MAX bytes). UT_ENOTFOUND,
// UT_ECORRUPT.
// ut_store_set_consumer (store.h) stores it.
ut_err ut_query_consumer(ut_store_view *view, uint32_t org, const char *name_z,
                         ut_query_cursor *cursor);

// Finds the one trace whose id begins with `digits` hex characters (1..32) of prefix_z.
// UT_ENOTFOUND, UT_EEXIST when several do, UT_EFORMAT.
ut_err ut_query_resolve_trace(ut_store_view *view, uint32_t org, const char *prefix_z,
                              uint8_t trace_id[UT_TRACE_ID_LEN]);

#endif
