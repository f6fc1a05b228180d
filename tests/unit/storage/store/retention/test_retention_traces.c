// Tests of storage/store/retention: what becomes of the entries and the root record of a trace
// whose blocks leave.
#include "tests/unit/storage/store/retention/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    unsigned rows;
    bool has_root;
    char name_z[64];
    uint32_t span_count;
} listing;

static ut_err list_row(void *context, const ut_trace_row *row)
{
    listing *l = context;
    l->rows += 1;
    l->has_root = row->has_root;
    l->span_count = row->span_count;
    (void)snprintf(l->name_z, sizeof l->name_z, "%.*s", (int)row->name.len,
                   (const char *)row->name.data);
    return UT_OK;
}

static listing list(ut_engine *engine)
{
    listing l = {0};
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, 100, list_row, &l), UT_OK);
    ut_store_view_close(view);
    return l;
}

static void a_trace_stays_listed_until_its_last_block_leaves(void **state)
{
    ut_rig *f = *state;
    // The block of the root leaves first, then the one in the middle, then the last.
    static const uint64_t ttl_hours[3] = {1, 2, 3};
    for (uint32_t i = 0; i < 3; i++) {
        f->ttl_ms = ttl_hours[i] * 3600000;
        ut_rig_store_trace(f, 7, i * 10 + 1, 10, 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        listing l = list(f->engine);
        assert_int_equal(l.rows, 1);
        assert_int_equal(l.has_root, i == 0); // while the root span is there
        assert_int_equal(l.span_count, 30 - i * 10);
        ut_rig_sweep_all(f, now_ns + (ttl_hours[i] + 1) * hour_ns);
        (void)ut_store_check(f->engine);
    }
    assert_int_equal(list(f->engine).rows, 0);
    assert_int_equal(ut_rig_count_records(f->engine), 0);
}

static void the_last_block_may_leave_first(void **state)
{
    ut_rig *f = *state;
    for (uint32_t i = 0; i < 3; i++) {
        f->ttl_ms = (3 - i) * 3600000;
        ut_rig_store_trace(f, 7, i * 10 + 2, 10, 1); // no root: a stand-in
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(list(f->engine).rows, 1);
        ut_rig_sweep_all(f, now_ns + (i + 2) * hour_ns);
        (void)ut_store_check(f->engine);
    }
    assert_int_equal(ut_rig_count_records(f->engine), 0);
}

static void a_root_that_comes_after_the_first_block_left_is_taken(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_rig_store_trace(f, 7, 2, 5, 1);
    f->ttl_ms = 9 * 3600000;
    ut_rig_store_trace(f, 7, 20, 5, 1);
    ut_rig_sweep_all(f, now_ns + 2 * hour_ns);
    ut_rig_store_trace(f, 7, 1, 1, 1);
    listing l = list(f->engine);
    assert_int_equal(l.rows, 1);
    assert_true(l.has_root);
    (void)ut_store_check(f->engine);
}

// Ids of 64 bits have zeros in front, so that all traces begin alike.
static void ids_that_begin_alike_are_removed_one_by_one(void **state)
{
    ut_rig *f = *state;
    for (uint32_t i = 0; i < 6; i++) {
        ut_test_span spans[3] = {{.trace = i, .span = 1},
                                 {.trace = i, .span = 2, .parent = 1},
                                 {.trace = 100, .span = i + 1}};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, spans, 3);
        ut_batch_span *index = (ut_batch_span *)(void *)f->batch.span_index.data;
        for (uint32_t k = 0; k < 2; k++) {
            memset(index[k].trace_id, 0xab, UT_TRACE_ID_LEN);
            index[k].trace_id[UT_TRACE_ID_LEN - 1] = (uint8_t)(i / 2); // two blocks each
        }
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = ((i + 2) % 3 + 1) * 3600000, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, 3);
    }
    assert_int_equal(list(f->engine).rows, 4);
    static const uint64_t blocks[4] = {6, 4, 2, 0};
    for (uint64_t hours = 0; hours < 4; hours++) {
        ut_rig_sweep_all(f, now_ns + (hours == 0 ? 0 : hours + 1) * hour_ns);
        // The ids in the blocks are not those in the index, so that the recount does not do here.
        assert_int_equal(ut_rig_counts_of(f).blocks_removed, 6 - blocks[hours]);
    }
    assert_int_equal(ut_rig_count_records(f->engine), 0);
}

static void removing_a_trace_costs_the_same_beside_many_that_begin_alike(void **state)
{
    enum { TRACES = 500, CALLS_A_TRACE_MAX = 12 };
    ut_rig *f = *state;
    for (uint32_t b = 0; b < 3; b++) {
        ut_test_span spans[TRACES];
        for (uint32_t i = 0; i < TRACES; i++)
            spans[i] = (ut_test_span){.trace = b * TRACES + i, .span = 1};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, spans, TRACES);
        ut_batch_span *index = (ut_batch_span *)(void *)f->batch.span_index.data;
        for (uint32_t i = 0; i < TRACES; i++) {
            memset(index[i].trace_id, 0, UT_TRACE_ID_LEN);
            ut_put_be32(index[i].trace_id + UT_TRACE_ID_LEN - 4, b * TRACES + i + 1);
        }
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = b == 2 ? 3600000 : 0, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, TRACES);
    }
    f->faults.calls = 0;
    ut_rig_sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, TRACES);
    assert_true(f->faults.calls <= TRACES * CALLS_A_TRACE_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trace_stays_listed_until_its_last_block_leaves),
        TEST(the_last_block_may_leave_first),
        TEST(a_root_that_comes_after_the_first_block_left_is_taken),
        TEST(ids_that_begin_alike_are_removed_one_by_one),
        TEST(removing_a_trace_costs_the_same_beside_many_that_begin_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
