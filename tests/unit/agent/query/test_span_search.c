// Tests of agent/query/span_search, and of agent/query/reader on a data directory.
#include "agent/query/span_search.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum {
    BUDGET = 16 * 1024 * 1024,
    BLOCKS = 5,
    SPANS_PER_BLOCK = 4,
    SPANS = 20,
    MATCHES = 2,
    TTL_MS = 1000
};

static const uint64_t now_ns = UINT64_C(1700000000000000000);
#define HOUR_NS (UINT64_C(3600) * 1000000000)

// The spans 1 to SPANS of one trace, block by block; only the first MATCHES are root spans.
static void fill(ut_store *store)
{
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    for (uint32_t block = 0; block < BLOCKS; block++) {
        ut_test_span spans[SPANS_PER_BLOCK];
        for (uint32_t i = 0; i < SPANS_PER_BLOCK; i++)
            spans[i] = (ut_test_span){.trace = 1,
                                      .span = block * SPANS_PER_BLOCK + i + 1,
                                      .start_ns = now_ns,
                                      .end_ns = now_ns + 1,
                                      .parent = block == 0 && i < MATCHES ? 0 : 1};
        ut_batch_reset(&batch, SIZE_MAX);
        ut_test_batch(&batch, spans, SPANS_PER_BLOCK);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = TTL_MS, .batch = &batch};
        assert_int_equal(ut_store_commit(store, now_ns + block, &append, 1, NULL, 0), UT_OK);
    }
    ut_batch_free(&batch);
}

typedef struct {
    ut_reader reader;
    ut_filter filter;
    ut_span_search search;
    uint32_t seen;  // spans
    uint32_t order; // number of the span seen last
    ut_err answer;  // of the visitor, once stop_at spans were seen
    uint32_t stop_at;
    uint32_t pauses;
} fixture;

static void open_store(fixture *f, ut_engine *engine)
{
    const ut_store_config config = {.bytes_max = BUDGET};
    ut_fault fault = {UT_OK, ""};
    if (ut_store_open(engine, &config, &f->reader.store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    f->filter = ut_filter_all();
    open_store(f, engine);
    fill(f->reader.store);
    assert_int_equal(ut_store_view_open(engine, &f->reader.view), UT_OK);
    assert_int_equal(ut_store_view_begin(f->reader.view), UT_OK);
    ut_span_search_begin(&f->search, &f->filter, true);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_reader_close(&f->reader);
    free(f);
    return 0;
}

// Each span is to come once, in the order of arrival.
static ut_err visit(void *context, const ut_trace_span *span)
{
    fixture *f = context;
    uint8_t wanted[UT_SPAN_ID_LEN];
    ut_test_span_id(1, f->order + 1, wanted);
    assert_int_equal(span->span.span_id.len, sizeof(wanted));
    assert_memory_equal(span->span.span_id.data, wanted, sizeof(wanted));
    f->order++;
    f->seen++;
    return f->seen == f->stop_at ? f->answer : UT_OK;
}

static ut_err run(fixture *f, uint64_t limit, ut_span_search_pause pause)
{
    f->seen = 0;
    return ut_span_search_run(&f->search, &f->reader, limit, visit, pause, f);
}

static void a_limit_leaves_a_cursor_that_goes_on_where_it_ended(void **state)
{
    fixture *f = *state;
    ut_fault fault = {UT_OK, ""};
    char cursor_z[UT_QUERY_CURSOR_TEXT_MAX];
    assert_int_equal(run(f, 7, NULL), UT_OK);
    assert_int_equal(f->seen, 7);
    assert_true(f->search.more);
    ut_query_cursor_write(&f->search.cursor, &f->search.search, cursor_z);
    ut_span_search_begin(&f->search, &f->filter, true);
    assert_int_equal(ut_span_search_resume(&f->search, &f->filter, cursor_z, &fault), UT_OK);
    assert_int_equal(run(f, 0, NULL), UT_OK);
    assert_int_equal(f->order, SPANS);
    assert_false(f->search.more);
}

static void a_limit_that_meets_the_last_span_promises_no_more(void **state)
{
    fixture *f = *state;
    assert_int_equal(run(f, SPANS, NULL), UT_OK);
    assert_int_equal(f->seen, SPANS);
    assert_false(f->search.more);
}

// The blocks behind the limit are looked at, and nothing in them matches.
static void a_limit_that_meets_the_last_match_promises_no_more(void **state)
{
    fixture *f = *state;
    f->filter.roots_only = true;
    f->search.search.blocks_max = 1; // so that a slice ends at the limit, with blocks unread
    assert_int_equal(run(f, MATCHES, NULL), UT_OK);
    assert_int_equal(f->seen, MATCHES);
    assert_false(f->search.more);
    f->order = 0;
    ut_span_search_begin(&f->search, &f->filter, true);
    assert_int_equal(run(f, MATCHES - 1, NULL), UT_OK);
    assert_true(f->search.more);
}

static ut_err count_pause(void *context)
{
    fixture *f = context;
    f->pauses++;
    return UT_OK;
}

static void a_visitor_that_has_enough_for_now_gets_the_rest_after_a_pause(void **state)
{
    fixture *f = *state;
    f->answer = UT_EAGAIN;
    f->stop_at = 3;
    assert_int_equal(run(f, 0, count_pause), UT_OK);
    assert_int_equal(f->seen, SPANS);
    assert_int_equal(f->pauses, 2);
}

static void a_visitor_ends_the_search_early_or_with_its_error(void **state)
{
    fixture *f = *state;
    f->answer = UT_ECANCELED;
    f->stop_at = 3;
    assert_int_equal(run(f, 0, NULL), UT_OK);
    assert_int_equal(f->seen, 3);
    assert_true(f->search.more);
    f->answer = UT_EIO;
    assert_int_equal(run(f, 0, NULL), UT_EIO);
}

static ut_err find_it_closed(void *context)
{
    (void)context;
    return UT_ECLOSED;
}

static void an_error_of_the_pause_ends_the_search(void **state)
{
    fixture *f = *state;
    f->answer = UT_EAGAIN;
    f->stop_at = 3;
    assert_int_equal(run(f, 0, find_it_closed), UT_ECLOSED);
    assert_int_equal(f->seen, 3);
}

static ut_err expire_all(void *context)
{
    fixture *f = context;
    bool more = true;
    while (more)
        assert_int_equal(ut_store_sweep(f->reader.store, now_ns + HOUR_NS, &more), UT_OK);
    return UT_OK;
}

// What the search told of its progress.
typedef struct {
    uint32_t calls;
    uint64_t done;
    uint64_t total;
} told;

static void take_progress(void *context, uint64_t done, uint64_t total)
{
    told *t = context;
    assert_true(done >= t->done);
    *t = (told){t->calls + 1, done, total};
}

static void a_search_tells_after_each_slice_how_far_it_is(void **state)
{
    fixture *f = *state;
    told t = {0};
    f->search.progress = take_progress;
    f->search.progress_context = &t;
    f->search.search.blocks_max = 2;
    assert_int_equal(run(f, 0, NULL), UT_OK);
    assert_int_equal(t.calls, 3);
    assert_int_equal(t.done, BLOCKS);
    assert_int_equal(t.total, BLOCKS);
}

static void spans_that_leave_meanwhile_are_counted(void **state)
{
    fixture *f = *state;
    f->answer = UT_EAGAIN;
    f->stop_at = SPANS_PER_BLOCK;
    assert_int_equal(run(f, 0, expire_all), UT_OK);
    assert_int_equal(f->seen, SPANS_PER_BLOCK);
    assert_int_equal(f->search.leavers.spans, SPANS);
}

static void a_cursor_of_something_else_is_refused(void **state)
{
    fixture *f = *state;
    ut_fault fault = {UT_OK, ""};
    char cursor_z[UT_QUERY_CURSOR_TEXT_MAX];
    assert_int_equal(ut_span_search_resume(&f->search, &f->filter, "what", &fault), UT_EFORMAT);
    assert_non_null(strstr(fault.text_z, "--cursor what is not a cursor"));
    ut_span_search_begin(&f->search, &f->filter, true);
    assert_int_equal(run(f, 3, NULL), UT_OK);
    ut_query_cursor_write(&f->search.cursor, &f->search.search, cursor_z);
    ut_span_search_begin(&f->search, &f->filter, false);
    assert_int_equal(ut_span_search_resume(&f->search, &f->filter, cursor_z, &fault), UT_EINVAL);
    assert_non_null(strstr(fault.text_z, "another question"));
    // As the version before this one wrote it.
    static const char earlier_z[] = "0000000000000b25000000074a59d12402eff349";
    assert_int_equal(ut_span_search_resume(&f->search, &f->filter, earlier_z, &fault), UT_EVERSION);
    assert_non_null(strstr(fault.text_z, "of an earlier version of untrace"));
}

// ---- the reader ----

static void a_data_directory_is_searched_once_there_is_a_store_in_it(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    fixture f = {.filter = ut_filter_all()};
    ut_fault fault = {UT_OK, ""};
    ut_engine *engine = NULL;
    ut_temp_dir_make(dir_z);
    assert_int_equal(ut_reader_open(dir_z, NULL, &f.reader, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, "there is no store in "));
    assert_null(f.reader.store);
    const ut_engine_config config = {.dir_z = dir_z, .bytes_max = BUDGET};
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    open_store(&f, engine);
    fill(f.reader.store);
    ut_store_close(f.reader.store);
    assert_int_equal(ut_reader_open(dir_z, NULL, &f.reader, &fault), UT_OK);
    ut_span_search_begin(&f.search, &f.filter, true);
    assert_int_equal(run(&f, 0, NULL), UT_OK);
    assert_int_equal(f.seen, SPANS);
    assert_int_equal(f.search.leavers.spans, 0);
    ut_reader_close(&f.reader);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
#define SEARCH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SEARCH(a_limit_leaves_a_cursor_that_goes_on_where_it_ended),
        SEARCH(a_limit_that_meets_the_last_span_promises_no_more),
        SEARCH(a_limit_that_meets_the_last_match_promises_no_more),
        SEARCH(a_visitor_that_has_enough_for_now_gets_the_rest_after_a_pause),
        SEARCH(a_visitor_ends_the_search_early_or_with_its_error),
        SEARCH(an_error_of_the_pause_ends_the_search),
        SEARCH(a_search_tells_after_each_slice_how_far_it_is),
        SEARCH(spans_that_leave_meanwhile_are_counted),
        SEARCH(a_cursor_of_something_else_is_refused),
        cmocka_unit_test(a_data_directory_is_searched_once_there_is_a_store_in_it),
    };
#undef SEARCH
    return cmocka_run_group_tests(tests, NULL, NULL);
}
