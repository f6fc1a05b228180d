// A search over spans that may take long. It runs in slices, between which the view of the store is
// begun anew, so that an agent beside it can reuse old pages. Not for how the spans are shown.
#ifndef UT_AGENT_QUERY_SPAN_SEARCH_H
#define UT_AGENT_QUERY_SPAN_SEARCH_H

#include "agent/query/reader.h"

// Spans that left the store while it was read, view after view.
typedef struct {
    bool begun;
    uint64_t gone_first; // spans expired or evicted in all time, as the first view saw it
    uint64_t spans;      // spans expired or evicted since then
} ut_leavers;

// Brings leavers up to date with a view that has been begun. Errors of ut_store_view_counts.
ut_err ut_leavers_look(ut_leavers *leavers, ut_store_view *view);

// Prints to standard error how many spans have left, if any have.
void ut_leavers_warn(const ut_leavers *leavers);

typedef struct {
    ut_search search;
    ut_query_cursor cursor; // where the next search goes on
    ut_search_work work;
    ut_leavers leavers;
    bool more; // the limit was reached, and a span that matches may follow
    // Called after every slice, where it is set: how many blocks are done, of how many.
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
} ut_span_search;

// Prepares a search. filter: has been checked; borrowed until the search ends.
void ut_span_search_begin(ut_span_search *search, const ut_filter *filter, bool oldest_first);

// Makes a search that has been prepared, with its times as they were asked for, go on where an
// earlier one of the same question ended. filter: the one that it was prepared with; gets the times
// of the earlier search. cursor_z: as a person hands it back. UT_EFORMAT, UT_EVERSION, UT_EINVAL
// with a fault: it is no cursor, one of an earlier version, or one of another question.
ut_err ut_span_search_resume(ut_span_search *search, ut_filter *filter, const char *cursor_z,
                             ut_fault *fault);

// Called after every slice, when no view is held: the place to write to a reader that may be slow.
// An error ends the search.
typedef ut_err (*ut_span_search_pause)(void *context);

// Visits at most limit spans (0: all). The visitor returns UT_OK to go on, UT_EAGAIN to go on after
// a pause, UT_ECANCELED to end the search with UT_OK, and another error to end it with that error.
// pause: may be NULL. The reader's view is ended on return. Errors of ut_query_spans.
ut_err ut_span_search_run(ut_span_search *search, ut_reader *reader, uint64_t limit,
                          ut_trace_span_visit visit, ut_span_search_pause pause, void *context);

// Prints to standard error how many blocks were damaged and how many spans have left meanwhile,
// where there are any.
void ut_span_search_warn(const ut_span_search *search);

#endif
