// A search over spans that may take long: in slices, between which the view of the store is begun
// anew, so that an agent beside it can reuse old pages. Not for what the spans are good for.
#ifndef UT_AGENT_SPAN_SEARCH_H
#define UT_AGENT_SPAN_SEARCH_H

#include "agent/query/reader.h"

// How much left the store while it was read, view after view.
typedef struct {
    bool begun;
    uint64_t gone_first; // expired or evicted in all time, as the first view saw it
    uint64_t spans;      // and since then
} ut_leavers;

// Looks at what a view that has been begun sees. Errors of ut_store_view_counts.
ut_err ut_leavers_look(ut_leavers *leavers, ut_store_view *view);

// Prints to standard error how many have left, if any have.
void ut_leavers_warn(const ut_leavers *leavers);

typedef struct {
    ut_search search;
    ut_query_cursor cursor; // where the next search goes on
    ut_search_work work;
    ut_leavers leavers;
    bool more; // the limit was reached and something that matches may follow
} ut_span_search;

// Prepares a search for spans that the filter, which has been checked and stays as long as the search,
// lets through. cursor_z: NULL, or where an earlier search ended, as a person hands it back.
// UT_EFORMAT, UT_EINVAL with a fault: it is no cursor, or of another question.
ut_err ut_span_search_begin(ut_span_search *search, const ut_filter *filter, bool oldest_first,
                            const char *cursor_z, ut_fault *fault);

// Visits at most limit spans (0: all). What the visitor returns: UT_OK; UT_EAGAIN: enough for now, go
// on after a pause; UT_ECANCELED: enough (the search ends with UT_OK); another error ends it.
// pause, unless NULL, is called after every slice, when no view is held: the place to write to
// somebody who may be slow to read. The reader's view is ended on return. Errors of ut_query_spans.
typedef ut_err (*ut_span_search_pause)(void *context);
ut_err ut_span_search_run(ut_span_search *search, ut_reader *reader, uint64_t limit,
                          ut_trace_span_visit visit, ut_span_search_pause pause, void *context);

// Prints to standard error that blocks were damaged or have left meanwhile, if any were or have.
void ut_span_search_warn(const ut_span_search *search);

#endif
