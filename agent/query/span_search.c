// A search over spans that may take long; see span_search.h.
#include "agent/query/span_search.h"

#include <stdio.h>

// Slices in which a search looks for one more match behind the limit. When all of them find none,
// the answer is that there may be more.
enum { PEEK_SLICES = 16 };

ut_err ut_leavers_look(ut_leavers *leavers, ut_store_view *view)
{
    ut_store_counts counts;
    const ut_err err = ut_store_view_counts(view, &counts);
    if (err != UT_OK)
        return err;
    const uint64_t gone = counts.spans_expired + counts.spans_evicted;
    if (!leavers->begun)
        *leavers = (ut_leavers){.begun = true, .gone_first = gone};
    leavers->spans = gone - leavers->gone_first;
    return UT_OK;
}

void ut_leavers_warn(const ut_leavers *leavers)
{
    const unsigned long long spans = leavers->spans;
    if (spans > 0)
        (void)fprintf(stderr,
                      "untrace: %llu span%s left the store while it was read: what had not been "
                      "reached by then is missing here\n",
                      spans, spans == 1 ? "" : "s");
}

void ut_span_search_begin(ut_span_search *search, const ut_filter *filter, bool oldest_first)
{
    *search = (ut_span_search){
        .search = {.org = UT_ORG_DEFAULT, .filter = filter, .oldest_first = oldest_first}};
}

ut_err ut_span_search_resume(ut_span_search *search, ut_filter *filter, const char *cursor_z,
                             ut_fault *fault)
{
    const ut_err err = ut_query_cursor_read(ut_bytes_of_z(cursor_z), &search->search,
                                            &search->cursor, &filter->start_ns, &filter->end_ns);
    if (err == UT_OK)
        return UT_OK;
    return ut_fault_set(
        fault, err,
        err == UT_EINVAL     ? "--cursor %s is of another question: give the same conditions and "
                               "the same order as the listing that printed it"
        : err == UT_EVERSION ? "--cursor %s is of an earlier version of untrace: begin the listing "
                               "anew, without it"
                             : "--cursor %s is not a cursor: give it as a listing printed it",
        cursor_z);
}

typedef struct {
    ut_trace_span_visit visit;
    void *context;
    uint64_t visited;
    ut_err answer; // of the visitor, for the last span
} counted;

static ut_err count_span(void *context, const ut_trace_span *span)
{
    counted *count = context;
    count->visited++;
    count->answer = count->visit(count->context, span);
    return count->answer;
}

static ut_err end_at_once(void *context, const ut_trace_span *span)
{
    (void)context;
    (void)span;
    return UT_ECANCELED;
}

// Clears search->more when no span that matches follows: a listing that ends with the last match
// offers no next page.
static ut_err peek(ut_span_search *search, ut_reader *reader)
{
    ut_query_cursor cursor = search->cursor;
    ut_search_work unused = {0};
    search->search.spans_max = 1;
    for (uint32_t slice = 0; slice < PEEK_SLICES && search->more; slice++) {
        ut_err err = ut_store_view_begin(reader->view);
        if (err != UT_OK)
            return err;
        err = ut_query_spans(reader->view, &search->search, &cursor, &unused, &search->more,
                             (ut_trace_span_visitor){end_at_once, NULL});
        ut_store_view_end(reader->view);
        if (err == UT_ECANCELED) {
            search->more = true;
            return UT_OK;
        }
        if (err != UT_OK)
            return err;
    }
    return UT_OK;
}

// Runs one slice in a view of its own.
static ut_err run_slice(ut_span_search *search, ut_reader *reader, counted *count)
{
    ut_err err = ut_store_view_begin(reader->view);
    if (err != UT_OK)
        return err;
    count->answer = UT_OK;
    err = ut_leavers_look(&search->leavers, reader->view);
    if (err == UT_OK)
        err = ut_query_spans(reader->view, &search->search, &search->cursor, &search->work,
                             &search->more, (ut_trace_span_visitor){count_span, count});
    reader->damaged = reader->damaged || search->work.blocks_damaged > 0;
    if (err == UT_EAGAIN && count->answer == UT_EAGAIN) {
        search->more = true;
        err = UT_OK;
    }
    ut_store_view_end(reader->view);
    return err;
}

static void tell_progress(const ut_span_search *search, const ut_reader *reader)
{
    const ut_search_work *work = &search->work;
    ut_store_counts counts;
    if (search->progress == NULL)
        return;
    ut_store_get_counts(reader->store, &counts);
    search->progress(search->progress_context,
                     work->blocks_read + work->blocks_pruned + work->blocks_damaged,
                     counts.blocks_stored - counts.blocks_removed);
}

ut_err ut_span_search_run(ut_span_search *search, ut_reader *reader, uint64_t limit,
                          ut_trace_span_visit visit, ut_span_search_pause pause, void *context)
{
    counted count = {.visit = visit, .context = context};
    ut_err err = UT_OK;
    ut_store_view_end(reader->view);
    search->more = true;
    while (err == UT_OK && search->more && (limit == 0 || count.visited < limit)) {
        const uint64_t left = limit == 0 ? 0 : limit - count.visited;
        search->search.spans_max = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
        err = run_slice(search, reader, &count);
        tell_progress(search, reader);
        if (err == UT_OK && pause != NULL)
            err = pause(context);
    }
    if (err == UT_ECANCELED && count.answer == UT_ECANCELED) {
        search->more = true;
        return UT_OK;
    }
    return err == UT_OK && search->more ? peek(search, reader) : err;
}

void ut_span_search_warn(const ut_span_search *search)
{
    const unsigned long long damaged = search->work.blocks_damaged;
    if (damaged > 0)
        (void)fprintf(stderr,
                      "untrace: %llu damaged block%s could not be read: spans are missing here; "
                      "`untrace store verify` says more\n",
                      damaged, damaged == 1 ? "" : "s");
    ut_leavers_warn(&search->leavers);
}
