// Spans as they arrive, for as long as somebody reads: what `--follow` does. Works beside an agent,
// across its restarts, and while a compaction replaces the store. Not for how spans are shown.
#ifndef UT_AGENT_QUERY_FOLLOW_H
#define UT_AGENT_QUERY_FOLLOW_H

#include "agent/query/span_search.h"
#include "agent/query/store_watch.h"

typedef struct {
    ut_reader *reader;
    char *dir_z;           // of the data
    const char *config_z;  // or NULL, as for ut_reader_open
    ut_span_search search; // oldest first
    ut_store_watch watch;
    uint64_t blocks_stored; // in all time, as it was last seen
} ut_follow;

enum { UT_FOLLOW_BACKLOG = 10 }; // spans from before, unless told otherwise

// Prepares to see the spans that match the filter: the last `backlog` of those that are there
// (UINT64_MAX: all), in the order of arrival, and then those that come. The reader is opened anew.
// filter, reader and config_z are borrowed until the end. Errors of ut_reader_open and
// ut_query_spans. After an error there is nothing to be ended but the reader. ut_span_search_resume
// on the search lets it go on behind an earlier listing of the oldest first instead.
ut_err ut_follow_begin(ut_follow *follow, ut_reader *reader, const char *data_dir_z,
                       const char *config_z, const ut_filter *filter, uint64_t backlog,
                       ut_fault *fault);
void ut_follow_end(ut_follow *follow);

// Visits what has come since, up to now. Visitor and pause as for ut_span_search_run; UT_OK when
// there is no more for now. Errors of the store only where it stays unreadable when opened anew.
ut_err ut_follow_pull(ut_follow *follow, ut_trace_span_visit visit, ut_span_search_pause pause,
                      void *context);

// Waits until there may be more, at most timeout_ms. UT_ECLOSED: nobody reads standard output.
ut_err ut_follow_wait(ut_follow *follow, uint64_t timeout_ms);

#endif
