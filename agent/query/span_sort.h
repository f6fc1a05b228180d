// The spans that meet a filter, the greatest first by one of their properties.
#ifndef UT_AGENT_QUERY_SPAN_SORT_H
#define UT_AGENT_QUERY_SPAN_SORT_H

#include "agent/query/span_search.h"
#include "agent/query/top_list.h"

typedef enum {
    UT_SPAN_SORT_NONE, // in the order of arrival
    UT_SPAN_SORT_TIME, // of the start
    UT_SPAN_SORT_DURATION,
    UT_SPAN_SORT_TOKENS, // of a call of a language model
    UT_SPAN_SORT_COST,
} ut_span_sort;

// False: no sort has this name. "time", "duration", "tokens", "cost".
bool ut_span_sort_of(const char *name_z, ut_span_sort *sort);

// How great a span is; 0 where it has nothing of it.
uint64_t ut_span_rank(const ut_span *span, ut_span_sort sort);

// Reads all spans that meet the filter of the search, and then visits the limit (1 to
// UT_TOP_LIST_MAX) greatest, or with `least` the least; those that have left meanwhile are passed.
// The visitor and pause are as for ut_span_search_run. search->more: out, there were more. Errors
// of ut_span_search_run, UT_ENOMEM.
ut_err ut_span_sort_run(ut_span_search *search, ut_reader *reader, ut_span_sort sort, bool least,
                        uint32_t limit, ut_trace_span_visit visit, ut_span_search_pause pause,
                        void *context);

#endif
