// Sorts spans without holding them: the greatest are read a second time. See span_sort.h.
#include "agent/query/span_sort.h"

#include "storage/span/llm.h"

enum { ORDINAL_AT = 8 }; // a place: the block, 8 bytes, and the ordinal, 4

typedef struct {
    ut_top_list list;
    ut_span_sort sort;
    bool least;
} ranking;

bool ut_span_sort_of(const char *name_z, ut_span_sort *sort)
{
    static const char *const names[] = {[UT_SPAN_SORT_NONE] = "",
                                        [UT_SPAN_SORT_TIME] = "time",
                                        [UT_SPAN_SORT_DURATION] = "duration",
                                        [UT_SPAN_SORT_TOKENS] = "tokens",
                                        [UT_SPAN_SORT_COST] = "cost"};
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name_z) == 0) {
            *sort = (ut_span_sort)i;
            return true;
        }
    }
    return false;
}

uint64_t ut_span_rank(const ut_span *span, ut_span_sort sort)
{
    static const double cost_units = 1e9; // of a dollar
    static const double cost_max = 1e9;
    ut_llm_call call;
    switch (sort) {
    case UT_SPAN_SORT_TIME:
        return span->start_ns;
    case UT_SPAN_SORT_DURATION:
        return ut_span_duration_ns(span->start_ns, span->end_ns);
    case UT_SPAN_SORT_TOKENS:
        return ut_llm_read(span->attributes, &call) ? call.total_tokens : 0;
    case UT_SPAN_SORT_COST:
        if (!ut_llm_read(span->attributes, &call) || !(call.cost_usd > 0))
            return 0;
        return (uint64_t)((call.cost_usd < cost_max ? call.cost_usd : cost_max) * cost_units);
    case UT_SPAN_SORT_NONE:
        break;
    }
    return 0;
}

static ut_err rank_span(void *context, const ut_trace_span *found)
{
    ranking *to = context;
    uint8_t place[UT_TOP_PLACE_LEN] = {0};
    const uint64_t rank = ut_span_rank(&found->span, to->sort);
    ut_put_be64(place, found->seq);
    ut_put_be32(place + ORDINAL_AT, found->ordinal);
    ut_top_list_add(&to->list, to->least ? UINT64_MAX - rank : rank, place);
    return UT_OK;
}

typedef struct {
    uint64_t seq;
    uint32_t ordinal;
    ut_trace_span_visit visit;
    void *context;
} wanted_span;

static ut_err visit_wanted(void *context, const ut_trace_span *found)
{
    const wanted_span *wanted = context;
    if (found->seq != wanted->seq || found->ordinal != wanted->ordinal)
        return UT_OK; // the one that was wanted has left
    return wanted->visit(wanted->context, found);
}

// Visits the span at a place, in a view of its own.
static ut_err read_place(const ut_span_search *search, ut_reader *reader,
                         const uint8_t place[UT_TOP_PLACE_LEN], ut_trace_span_visit visit,
                         void *context)
{
    wanted_span wanted = {ut_get_be64(place), ut_get_be32(place + ORDINAL_AT), visit, context};
    ut_search one = search->search;
    ut_search_work unused = {0};
    ut_query_cursor before = {true, wanted.seq, wanted.ordinal - 1};
    bool more;
    if (wanted.ordinal == 0)
        before = (ut_query_cursor){true, wanted.seq - 1, UT_BLOCK_SPANS_MAX - 1};
    one.oldest_first = true;
    one.spans_max = 1;
    one.blocks_max = 1;
    ut_err err = ut_store_view_begin(reader->view);
    if (err == UT_OK)
        err = ut_query_spans(reader->view, &one, &before, &unused, &more,
                             (ut_trace_span_visitor){visit_wanted, &wanted});
    ut_store_view_end(reader->view);
    return err;
}

ut_err ut_span_sort_run(ut_span_search *search, ut_reader *reader, ut_span_sort sort, bool least,
                        uint32_t limit, ut_trace_span_visit visit, ut_span_search_pause pause,
                        void *context)
{
    ranking to = {.sort = sort, .least = least};
    ut_err err = ut_top_list_open(&to.list, limit);
    search->search.oldest_first = true; // the cheaper way
    if (err == UT_OK)
        err = ut_span_search_run(search, reader, 0, rank_span, NULL, &to);
    ut_top_list_sort(&to.list);
    for (uint32_t i = 0; i < to.list.count && err == UT_OK; i++) {
        err = read_place(search, reader, to.list.entries[i].place, visit, context);
        if (err == UT_EAGAIN)
            err = pause == NULL ? UT_OK : pause(context);
    }
    search->more = to.list.seen > to.list.count;
    search->cursor.begun = false; // a sorted listing has no next page
    ut_top_list_close(&to.list);
    return err;
}
