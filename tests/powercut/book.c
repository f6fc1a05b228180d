// The book and the inspection of a store; see book.h.
#include "tests/powercut/book.h"

#include "storage/query/query.h"
#include "storage/upkeep/verify.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 300,
    SCAN_MAX = 4096,
    PULL_SPANS = 4096,
    NEWEST_KEPT = 8, // traces that no eviction may have reached
    SAMPLES = 8,     // traces that are asked for by their id
    PROBLEMS_TOLD = 10,
};

static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
static const char *const services_z[UT_BOOK_SERVICES] = {"shop", "bank"};

void ut_book_init(ut_book *book, ut_book_tell tell, void *context)
{
    *book = (ut_book){.tell = tell, .tell_context = context};
}

void ut_book_free(ut_book *book)
{
    free(book->traces);
    free(book->slots);
    free(book->marks);
    *book = (ut_book){0};
}

void ut_book_problem(ut_book *book, const char *format_z, ...)
{
    char text_z[TEXT_MAX];
    va_list values;
    va_start(values, format_z);
    (void)vsnprintf(text_z, sizeof(text_z), format_z, values); // cut at worst
    va_end(values);
    book->problems += 1;
    if (book->problems <= PROBLEMS_TOLD)
        book->tell(book->tell_context, text_z);
}

// ---- traces ----

static uint32_t slot_of(const ut_book *book, ut_bytes trace_id)
{
    uint32_t slot = ut_get_be32(trace_id.data) & (book->slot_count - 1);
    while (book->slots[slot] != 0) {
        uint8_t id[UT_TRACE_ID_LEN];
        ut_test_trace_id(book->slots[slot], id);
        if (memcmp(id, trace_id.data, sizeof(id)) == 0)
            break;
        slot = (slot + 1) & (book->slot_count - 1);
    }
    return slot;
}

static void put_in_slot(ut_book *book, uint32_t number)
{
    uint8_t id[UT_TRACE_ID_LEN];
    ut_test_trace_id(number, id);
    book->slots[slot_of(book, (ut_bytes){id, sizeof(id)})] = number;
}

static void grow(ut_book *book)
{
    book->cap = book->cap * 2 + 64;
    book->traces = realloc(book->traces, book->cap * sizeof(*book->traces));
    free(book->slots);
    book->slot_count = 256;
    while (book->slot_count < book->cap * 2)
        book->slot_count *= 2;
    book->slots = calloc(book->slot_count, sizeof(*book->slots));
    UT_ASSERT(book->traces != NULL && book->slots != NULL);
    for (uint32_t i = 0; i < book->count; i++)
        put_in_slot(book, i + 1);
}

uint32_t ut_book_add(ut_book *book, const ut_book_trace *trace)
{
    UT_ASSERT(trace->spans >= 1 && trace->spans <= UT_BOOK_SPANS_MAX);
    if (book->count == book->cap)
        grow(book);
    book->traces[book->count++] = *trace;
    put_in_slot(book, book->count);
    return book->count;
}

void ut_book_make(const ut_book *book, uint32_t number, ut_batch *batch)
{
    const ut_book_trace *trace = &book->traces[number - 1];
    ut_test_span rows[UT_BOOK_SPANS_MAX];
    ut_random random = {number};
    for (uint32_t i = 0; i < trace->spans; i++)
        rows[i] = (ut_test_span){.trace = number,
                                 .span = i + 1,
                                 .parent = i,
                                 .start_ns = hour_ns + number,
                                 .end_ns = hour_ns + number + 1000,
                                 .status = (int32_t)ut_random_below(&random, 3),
                                 .service_z = services_z[trace->service],
                                 .filler = ut_random_below(&random, trace->filler_max + 1)};
    ut_test_batch(batch, rows, trace->spans);
}

uint32_t ut_book_find(const ut_book *book, ut_bytes trace_id)
{
    if (book->slot_count == 0 || trace_id.len != UT_TRACE_ID_LEN)
        return 0;
    return book->slots[slot_of(book, trace_id)];
}

uint32_t ut_book_span_bit(const ut_book *book, uint32_t number, ut_bytes span_id)
{
    for (uint32_t i = 0; i < book->traces[number - 1].spans; i++) {
        uint8_t id[UT_SPAN_ID_LEN];
        ut_test_span_id(number, i + 1, id);
        if (ut_bytes_equal(span_id, (ut_bytes){id, sizeof(id)}))
            return 1U << i;
    }
    return 0;
}

static uint32_t all_bits(const ut_book_trace *trace)
{
    return (1U << trace->spans) - 1;
}

// ---- changes ----

void ut_book_add_mark(ut_book *book, ut_book_mark mark)
{
    if (book->mark_count == book->mark_cap) {
        book->mark_cap = book->mark_cap * 2 + 64;
        book->marks = realloc(book->marks, book->mark_cap * sizeof(*book->marks));
        UT_ASSERT(book->marks != NULL);
    }
    book->marks[book->mark_count++] = mark;
}

void ut_book_begin(ut_book *book)
{
    book->changing = true;
}

void ut_book_end(ut_book *book, const ut_store *store, bool with_marks)
{
    for (size_t i = 0; with_marks && i < book->mark_count; i++) {
        const ut_book_mark *m = &book->marks[i];
        book->traces[m->trace - 1].marked[m->dest] |= m->spans;
    }
    if (with_marks)
        book->mark_count = 0;
    for (uint32_t i = 0; i < book->count; i++) {
        ut_book_trace *trace = &book->traces[i];
        if (trace->under_way) {
            book->stored += trace->spans;
            trace->acknowledged = true;
            trace->under_way = false;
            trace->shown = false;
        }
    }
    ut_store_get_counts(store, &book->counts);
    book->changing = false;
    book->unsafe = false;
}

// ---- inspection ----

// The blocks that a destination waits for.
typedef struct {
    uint64_t *seqs; // rising
    size_t count;
    size_t cap;
    size_t at; // the first that is not before the block which is looked at
    uint64_t spans;
} waiting;

typedef struct {
    ut_book *book;
    waiting waiting[UT_BOOK_DESTINATIONS];
    ut_batch expected; // the spans of one trace
    uint32_t expected_trace;
    uint64_t spans;
} inspection;

static void note_waiting(waiting *w, const ut_delivery *delivery)
{
    if (w->count == w->cap) {
        w->cap = w->cap * 2 + 256;
        w->seqs = realloc(w->seqs, w->cap * sizeof(*w->seqs));
        UT_ASSERT(w->seqs != NULL);
    }
    w->seqs[w->count++] = delivery->seq;
    w->spans += delivery->spans;
}

static void read_waiting(inspection *in, ut_store_view *view)
{
    for (uint32_t d = 0; d < UT_BOOK_DESTINATIONS; d++) {
        ut_delivery delivery = {0};
        uint64_t after = 0;
        ut_err err = UT_OK;
        while (err == UT_OK || err == UT_EAGAIN) {
            err = ut_store_next_pending(view, UT_ORG_DEFAULT, d + 1, after, SCAN_MAX, &delivery);
            if (err == UT_OK)
                note_waiting(&in->waiting[d], &delivery);
            after = delivery.seq;
        }
        if (err != UT_ENOTFOUND)
            ut_book_problem(in->book, "the ledger cannot be read: %s", ut_err_text(err));
    }
}

static bool waits_for(waiting *w, uint64_t seq)
{
    while (w->at < w->count && w->seqs[w->at] < seq)
        w->at += 1;
    return w->at < w->count && w->seqs[w->at] == seq;
}

static void check_delivery(inspection *in, uint32_t number, uint32_t bit, uint64_t seq)
{
    ut_book_trace *trace = &in->book->traces[number - 1];
    for (uint32_t d = 0; d < UT_BOOK_DESTINATIONS; d++) {
        if (waits_for(&in->waiting[d], seq)) {
            if ((trace->marked[d] & bit) != 0)
                ut_book_problem(in->book, "block %llu with trace %u: a mark is lost",
                                (unsigned long long)seq, number);
        } else if ((trace->answered[d] & bit) == 0) {
            ut_book_problem(in->book,
                            "block %llu with trace %u is marked, destination %u never answered",
                            (unsigned long long)seq, number, d + 1);
        } else if (!in->book->unsafe) {
            trace->marked[d] |= bit;
        }
    }
}

static const char *difference(inspection *in, uint32_t number, const ut_trace_span *span,
                              uint32_t bit)
{
    if (in->expected_trace != number) {
        ut_batch_reset(&in->expected, SIZE_MAX);
        ut_book_make(in->book, number, &in->expected);
        in->expected_trace = number;
    }
    uint32_t index = 0;
    while ((bit & 1U << index) == 0)
        index += 1;
    ut_span wanted;
    ut_scope scope;
    ut_resource resource;
    ut_batch_read(&in->expected, index, &wanted, &scope, &resource);
    const char *field_z = ut_span_difference(&wanted, &span->span);
    if (field_z == NULL)
        field_z = ut_scope_difference(&scope, &span->scope);
    if (field_z == NULL)
        field_z = ut_resource_difference(&resource, &span->resource);
    return field_z;
}

static ut_err check_span(void *context, const ut_trace_span *span)
{
    inspection *in = context;
    const uint32_t number = ut_book_find(in->book, span->span.trace_id);
    const uint32_t bit = number != 0 ? ut_book_span_bit(in->book, number, span->span.span_id) : 0;
    in->spans += 1;
    if (bit == 0) {
        ut_book_problem(in->book, "block %llu has a span that was never sent",
                        (unsigned long long)span->seq);
        return UT_OK;
    }
    ut_book_trace *trace = &in->book->traces[number - 1];
    if ((trace->found & bit) != 0)
        ut_book_problem(in->book, "a span of trace %u is stored twice", number);
    trace->found |= bit;
    const char *field_z = difference(in, number, span, bit);
    if (field_z != NULL)
        ut_book_problem(in->book, "a span of trace %u has another %s", number, field_z);
    check_delivery(in, number, bit, span->seq);
    return UT_OK;
}

static void read_spans(inspection *in, ut_store_view *view)
{
    const ut_trace_span_visitor visitor = {check_span, in};
    ut_query_cursor cursor = {0};
    for (uint64_t before = UINT64_MAX; before != in->spans;) {
        uint32_t damaged = 0;
        before = in->spans;
        const ut_err err =
            ut_query_pull(view, UT_ORG_DEFAULT, &cursor, PULL_SPANS, &damaged, visitor);
        if (err != UT_OK || damaged > 0) {
            ut_book_problem(in->book, "spans cannot be read: %s, %u damaged blocks",
                            ut_err_text(err), damaged);
            return;
        }
    }
}

static bool may_be_gone(const ut_book *book, uint32_t index)
{
    const ut_book_trace *trace = &book->traces[index];
    return trace->expiry_hour <= book->clock_ns / hour_ns ||
           trace->received_ns < book->cleaned_ns[trace->service] ||
           (book->evicts && index + NEWEST_KEPT < book->count);
}

static void check_acknowledged(ut_book *book)
{
    bool present = false;
    for (uint32_t i = 0; i < book->count; i++) {
        const ut_book_trace *trace = &book->traces[i];
        if (!trace->acknowledged)
            continue;
        if (trace->found != all_bits(trace) && !may_be_gone(book, i))
            ut_book_problem(book, "trace %u was acknowledged with %u spans, bits %x are there",
                            i + 1, trace->spans, trace->found);
        else if (trace->found == 0 && present && book->evicts_in_order)
            ut_book_problem(book, "trace %u is gone, and an older one is not", i + 1);
        present = present || trace->found != 0;
    }
}

// The commit that was under way is there as a whole, or not at all. What is there counts as
// acknowledged from here on; the rest may be sent again. Returns the spans that are there.
static uint64_t settle(ut_book *book)
{
    uint32_t whole[2] = {0}; // of the commit under way, and of the one before that was shown
    uint32_t none[2] = {0};
    uint64_t spans = 0;
    for (uint32_t i = 0; i < book->count; i++) {
        ut_book_trace *trace = &book->traces[i];
        if (!trace->under_way)
            continue;
        whole[trace->shown] += trace->found == all_bits(trace);
        none[trace->shown] += trace->found == 0;
        if (trace->found != 0 && trace->found != all_bits(trace))
            ut_book_problem(book, "trace %u was not acknowledged, and is there in part", i + 1);
        trace->under_way = book->unsafe && trace->found != 0;
        trace->shown = trace->under_way;
        trace->acknowledged = !book->unsafe && trace->found != 0;
        spans += trace->found != 0 ? trace->spans : 0;
    }
    if (!book->unsafe)
        book->stored += spans;
    for (unsigned i = 0; i < 2; i++) {
        if (whole[i] > 0 && none[i] > 0)
            ut_book_problem(book, "of one commit %u traces are there, %u are not", whole[i],
                            none[i]);
    }
    if (whole[0] > 0 && none[1] > 0)
        ut_book_problem(book, "a commit is there, and the one before is not");
    book->mark_count = 0;
    return book->unsafe ? spans : 0;
}

// under_way: spans that are there and not acknowledged.
static void check_counts(inspection *in, ut_store *store, uint64_t under_way)
{
    ut_book *book = in->book;
    ut_store_counts counts;
    ut_store_get_counts(store, &counts);
    if (counts.spans_stored != book->stored + under_way)
        ut_book_problem(book, "%llu spans count as stored, %llu were",
                        (unsigned long long)counts.spans_stored,
                        (unsigned long long)(book->stored + under_way));
    if (in->spans + counts.spans_expired + counts.spans_evicted != counts.spans_stored)
        ut_book_problem(book, "%llu spans are there, and the counters say otherwise",
                        (unsigned long long)in->spans);
    const bool went_back = counts.blocks_stored < book->counts.blocks_stored ||
                           counts.blocks_removed < book->counts.blocks_removed ||
                           counts.spans_expired < book->counts.spans_expired ||
                           counts.spans_evicted < book->counts.spans_evicted ||
                           counts.spans_duplicate < book->counts.spans_duplicate;
    if (went_back)
        ut_book_problem(book, "a counter is lower than when it was acknowledged");
    if (!book->changing && memcmp(&counts, &book->counts, sizeof(counts)) != 0)
        ut_book_problem(book, "nothing was under way, and the counters have changed");
    if (!book->unsafe) {
        book->counts = counts;
        book->changing = false;
    }
    ut_store_destination rows[UT_BOOK_DESTINATIONS];
    const size_t count = ut_store_get_destinations(store, rows, UT_BOOK_DESTINATIONS);
    for (size_t i = 0; i < count; i++) {
        const ut_store_destination_counts *c = &rows[i].counts;
        if (c->accepted != counts.spans_stored)
            ut_book_problem(book, "destination %s has accepted %llu of %llu spans", rows[i].name_z,
                            (unsigned long long)c->accepted,
                            (unsigned long long)counts.spans_stored);
        if (ut_store_pending(c) != in->waiting[rows[i].dest - 1].spans)
            ut_book_problem(book, "destination %s waits for %llu spans, its counters say %llu",
                            rows[i].name_z, (unsigned long long)in->waiting[rows[i].dest - 1].spans,
                            (unsigned long long)ut_store_pending(c));
    }
}

static ut_err count_span(void *context, const ut_trace_span *span)
{
    (void)span;
    *(uint32_t *)context += 1;
    return UT_OK;
}

// The index of traces leads to what is there.
static void ask_for_traces(ut_book *book, ut_store_view *view)
{
    ut_random random = {book->count};
    for (unsigned i = 0; i < SAMPLES && book->count > 0; i++) {
        const uint32_t number = 1 + ut_random_below(&random, book->count);
        const ut_book_trace *trace = &book->traces[number - 1];
        uint8_t id[UT_TRACE_ID_LEN];
        uint32_t damaged = 0;
        uint32_t spans = 0;
        ut_test_trace_id(number, id);
        const ut_err err = ut_query_trace(view, UT_ORG_DEFAULT, id, &damaged, count_span, &spans);
        // A block that leaves may be found by its traces longer than by its number.
        const uint32_t least = (uint32_t)__builtin_popcount(trace->found);
        const uint32_t most = may_be_gone(book, number - 1) ? trace->spans : least;
        if ((err != UT_OK && err != UT_ENOTFOUND) || damaged > 0 || spans < least || spans > most)
            ut_book_problem(book, "trace %u, asked for by its id, has %u spans: %s", number, spans,
                            ut_err_text(err));
    }
}

static void check_cursor(ut_book *book, ut_store_view *view)
{
    ut_query_cursor cursor = {0};
    const ut_err err = ut_query_consumer(view, UT_ORG_DEFAULT, "poller", &cursor);
    const uint64_t found = cursor.seq * UT_BLOCK_SPANS_MAX + cursor.ordinal;
    if ((err != UT_OK && err != UT_ENOTFOUND) || (found != book->noted && found != book->noting))
        ut_book_problem(book, "the cursor is %llu, %llu was acknowledged: %s",
                        (unsigned long long)found, (unsigned long long)book->noted,
                        ut_err_text(err));
    if (!book->unsafe) {
        book->noted = found;
        book->noting = found;
    }
}

static void tell_of_verify(void *context, const char *text_z)
{
    ut_book_problem(context, "verify: %s", text_z);
}

void ut_book_inspect(ut_book *book, ut_store *store)
{
    inspection in = {.book = book};
    ut_store_view *view = NULL;
    ut_verify_report report = {0};
    ut_batch_init(&in.expected, SIZE_MAX);
    for (uint32_t i = 0; i < book->count; i++)
        book->traces[i].found = 0;
    UT_ASSERT(ut_store_view_open(ut_store_engine(store), &view) == UT_OK);
    UT_ASSERT(ut_store_view_begin(view) == UT_OK);
    if (ut_store_verify(view, &report, tell_of_verify, book) != UT_OK || report.problems > 0)
        ut_book_problem(book, "verify finds %llu problems", (unsigned long long)report.problems);
    UT_ASSERT(ut_store_view_begin(view) == UT_OK);
    read_waiting(&in, view);
    read_spans(&in, view);
    check_acknowledged(book);
    const uint64_t under_way = settle(book);
    check_counts(&in, store, under_way);
    ask_for_traces(book, view);
    check_cursor(book, view);
    ut_store_view_close(view);
    ut_batch_free(&in.expected);
    for (unsigned i = 0; i < UT_BOOK_DESTINATIONS; i++)
        free(in.waiting[i].seqs);
}
