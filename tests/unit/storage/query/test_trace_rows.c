// Tests of storage/query/trace_rows: what a listing says of a trace, however its spans came.
#include "storage/query/query.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

// What the row says: "span of service, N spans, from start for duration", and "no root" or not.
typedef struct {
    char text_z[4096];
} said;

static ut_err say(void *context, const ut_trace_row *row)
{
    said *to = context;
    const long long start_ns = (long long)(row->start_ns - now_ns);
    (void)snprintf(to->text_z, sizeof(to->text_z), "%.*s of %.*s, %u spans, from %lld for %llu%s",
                   (int)row->name.len, (const char *)row->name.data, (int)row->service.len,
                   (const char *)row->service.data, (unsigned)row->span_count, start_ns,
                   (unsigned long long)row->duration_ns, row->has_root ? "" : ", no root");
    return UT_OK;
}

static void commit(ut_store *store, const ut_test_span *spans, size_t count)
{
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_test_batch(&batch, spans, count);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(store, now_ns, &append, 1, NULL, 0), UT_OK);
    ut_batch_free(&batch);
}

// Stores the spans, which are of trace 1, in one commit and in one each, and compares the row as
// the listing and as a question by id have it. alone_z: what is said when each came alone; NULL:
// the same.
static void expect(const ut_test_span *spans, size_t count, const char *together_z,
                   const char *alone_z)
{
    for (unsigned alone = 0; alone < 2; alone++) {
        const char *expected_z = alone && alone_z != NULL ? alone_z : together_z;
        ut_engine *engine = ut_engine_memory_open(BUDGET);
        const ut_store_config config = {.bytes_max = BUDGET};
        ut_store *store = NULL;
        ut_store_view *view;
        ut_fault fault = {UT_OK, ""};
        assert_int_equal(ut_store_open(engine, &config, &store, &fault), UT_OK);
        for (size_t i = 0; alone && i < count; i++)
            commit(store, &spans[i], 1);
        if (!alone)
            commit(store, spans, count);
        static said listed;
        static said asked;
        uint8_t ids[2][UT_TRACE_ID_LEN];
        ut_test_trace_id(2, ids[0]); // not there
        ut_test_trace_id(1, ids[1]);
        assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
        assert_int_equal(ut_store_view_begin(view), UT_OK);
        assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, 9, say, &listed), UT_OK);
        assert_int_equal(
            ut_query_trace_rows(view, UT_ORG_DEFAULT, (const uint8_t(*)[16])ids, 2, say, &asked),
            UT_OK);
        ut_store_view_end(view);
        ut_store_view_close(view);
        ut_store_close(store);
        assert_string_equal(listed.text_z, expected_z);
        assert_string_equal(asked.text_z, expected_z);
    }
}

#define EXPECT(spans, together_z, alone_z) \
    expect(spans, sizeof(spans) / sizeof((spans)[0]), together_z, alone_z)
#define AT(from, to) .start_ns = now_ns + (from), .end_ns = now_ns + (to)

static void of_several_roots_the_first_that_was_stored_names_the_trace(void **state)
{
    (void)state;
    const ut_test_span spans[] = {
        {.trace = 1, .span = 9, .parent = 8, AT(0, 10), .name_z = "child"},
        {.trace = 1, .span = 1, AT(500, 600), .name_z = "later"},
        {.trace = 1, .span = 2, AT(100, 200), .name_z = "earlier"},
    };
    EXPECT(spans, "earlier of shop, 3 spans, from 0 for 600",
           "later of shop, 3 spans, from 0 for 600");
}

static void without_a_root_the_earliest_span_names_the_trace(void **state)
{
    (void)state;
    const ut_test_span spans[] = {
        {.trace = 1, .span = 1, .parent = 8, AT(500, 600), .name_z = "later"},
        {.trace = 1, .span = 2, .parent = 8, AT(100, 200), .name_z = "earlier"},
        {.trace = 1, .span = 3, .parent = 8, AT(300, 900), .name_z = "between"},
    };
    EXPECT(spans, "earlier of shop, 3 spans, from 100 for 800, no root", NULL);
}

static void a_span_that_ends_before_it_begins_ends_when_it_begins(void **state)
{
    (void)state;
    const ut_test_span spans[] = {
        {.trace = 1, .span = 1, AT(0, 1000), .name_z = "root"},
        {.trace = 1, .span = 2, .parent = 1, AT(5000, 4000)},
    };
    EXPECT(spans, "root of shop, 2 spans, from 0 for 5000", NULL);
}

static void a_span_without_a_clock_makes_no_trace_of_half_a_century(void **state)
{
    (void)state;
    const ut_test_span mixed[] = {
        {.trace = 1, .span = 3, .parent = 9, .start_ns = 0, .end_ns = now_ns + 70, .name_z = "x"},
        {.trace = 1, .span = 1, .parent = 9, AT(20, 50), .name_z = "y"},
        {.trace = 1, .span = 2, .parent = 9, .start_ns = 5, .end_ns = 99, .name_z = "z"},
        {.trace = 1, .span = 4, .parent = 9, AT(30, 60), .name_z = "w"},
    };
    EXPECT(mixed, "y of shop, 4 spans, from 20 for 40, no root", NULL);
    const ut_test_span alone[] = {
        {.trace = 1, .span = 1, .start_ns = 7, .end_ns = 10, .name_z = "boot"},
        {.trace = 1, .span = 2, .parent = 1, .start_ns = 8, .end_ns = 19, .name_z = "z"},
    };
    EXPECT(alone, "boot of shop, 2 spans, from -1699999999999999993 for 12", NULL);
}

static void a_long_name_is_whole(void **state)
{
    (void)state;
    char name_z[1001];
    char expected_z[2200];
    memset(name_z, 'n', sizeof(name_z) - 1);
    name_z[sizeof(name_z) - 1] = '\0';
    const ut_test_span spans[] = {
        {.trace = 1, .span = 1, AT(0, 10), .name_z = name_z, .service_z = name_z}};
    (void)snprintf(expected_z, sizeof(expected_z), "%s of %s, 1 spans, from 0 for 10", name_z,
                   name_z);
    EXPECT(spans, expected_z, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_several_roots_the_first_that_was_stored_names_the_trace),
        cmocka_unit_test(without_a_root_the_earliest_span_names_the_trace),
        cmocka_unit_test(a_span_that_ends_before_it_begins_ends_when_it_begins),
        cmocka_unit_test(a_span_without_a_clock_makes_no_trace_of_half_a_century),
        cmocka_unit_test(a_long_name_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
