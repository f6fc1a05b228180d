// Tests of storage/store/store_commit: what a commit stores, what it leaves out, and in which
// blocks.
#include "tests/unit/storage/store/store/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

// Reads all blocks of an organisation in order and holds their spans against a batch.
static void ut_rig_assert_stored(ut_store *store, uint32_t org, const ut_batch *batch)
{
    ut_store_view *view;
    ut_buf payload;
    uint32_t at = 0;
    ut_buf_init(&payload, UT_RIG_BUDGET);
    assert_int_equal(ut_store_view_open(ut_store_engine(store), &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    for (uint64_t seq = 1; seq <= ut_store_last_seq(store); seq++) {
        ut_block block;
        ut_err err = ut_store_read_block(view, org, seq, &payload, &block);
        if (err == UT_ENOTFOUND)
            continue;
        assert_int_equal(err, UT_OK);
        ut_block_cursor cursor;
        bool more = true;
        ut_block_walk(&block, &cursor);
        for (;;) {
            assert_int_equal(ut_block_next_group(&cursor, &more), UT_OK);
            if (!more)
                break;
            ut_scope scope;
            ut_resource resource;
            uint32_t resource_index;
            assert_int_equal(ut_block_scope(&block, cursor.scope_index, &scope, &resource_index),
                             UT_OK);
            assert_int_equal(ut_block_resource(&block, resource_index, &resource), UT_OK);
            for (;;) {
                ut_span span;
                ut_span expected;
                ut_scope expected_scope;
                ut_resource expected_resource;
                assert_int_equal(ut_block_next_span(&cursor, &span, &more), UT_OK);
                if (!more)
                    break;
                assert_true(at < batch->span_count);
                ut_batch_read(batch, at++, &expected, &expected_scope, &expected_resource);
                assert_null(ut_span_difference(&span, &expected));
                assert_null(ut_scope_difference(&scope, &expected_scope));
                assert_null(ut_resource_difference(&resource, &expected_resource));
            }
        }
    }
    assert_int_equal(at, batch->span_count);
    ut_store_view_close(view);
    ut_buf_free(&payload);
}

static void spans_come_back_as_they_went_in(void **state)
{
    ut_rig *f = *state;
    ut_random_batch(1, 700, UT_RANDOM_ALL, &f->batch);
    ut_store_append append = ut_rig_commit_batch(f->store, &f->batch);
    assert_int_equal(append.stored, 700);
    assert_int_equal(append.duplicates, 0);
    ut_rig_assert_stored(f->store, UT_ORG_DEFAULT, &f->batch);
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.spans, 700);
    ut_store_counts counts = ut_rig_counts_of(f->store);
    assert_int_equal(counts.spans_stored, 700);
    assert_int_equal(counts.blocks_stored, report.blocks);
    assert_int_equal(ut_store_last_seq(f->store), report.blocks);
}

static void a_span_is_stored_once(void **state)
{
    ut_rig *f = *state;
    ut_realistic_batch(5, 300, now_ns, &f->batch);
    assert_int_equal(ut_rig_commit_batch(f->store, &f->batch).stored, 300);
    ut_store_append again = ut_rig_commit_batch(f->store, &f->batch);
    assert_int_equal(again.stored, 0);
    assert_int_equal(again.duplicates, 300);
    ut_rig_assert_stored(f->store, UT_ORG_DEFAULT, &f->batch);
    assert_int_equal(ut_rig_counts_of(f->store).spans_duplicate, 300);

    // Another organisation has spans of its own.
    ut_store_append other = {.org = 7, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &other, 1, NULL, 0), UT_OK);
    assert_int_equal(other.stored, 300);
    ut_rig_assert_stored(f->store, 7, &f->batch);
    assert_int_equal(ut_store_check(f->memory).spans, 600);
}

static void repeats_within_one_group_are_left_out(void **state)
{
    ut_rig *f = *state;
    static const ut_test_span spans[] = {{.trace = 1, .span = 1}, {.trace = 1, .span = 2},
                                         {.trace = 1, .span = 1}, {.trace = 2, .span = 1},
                                         {.trace = 1, .span = 2}, {.trace = 2, .span = 3}};
    ut_batch second;
    ut_batch_init(&second, UT_RIG_BUDGET);
    ut_test_batch(&f->batch, spans, 6);
    ut_test_batch(&second, spans + 3, 3);
    ut_store_append appends[3] = {{.org = UT_ORG_DEFAULT, .batch = &f->batch},
                                  {.org = UT_ORG_DEFAULT, .batch = &second},
                                  {.org = UT_ORG_DEFAULT, .ttl_ms = 1000, .batch = &second}};
    assert_int_equal(ut_store_commit(f->store, now_ns, appends, 3, NULL, 0), UT_OK);
    assert_int_equal(appends[0].stored, 4);
    assert_int_equal(appends[0].duplicates, 2);
    assert_int_equal(appends[1].stored, 0);
    assert_int_equal(appends[1].duplicates, 3);
    assert_int_equal(appends[2].stored, 0);
    assert_int_equal(ut_store_check(f->memory).spans, 4);
    ut_batch_free(&second);
}

static void a_new_span_beside_stored_ones_is_kept(void **state)
{
    ut_rig *f = *state;
    ut_test_span spans[40];
    for (uint32_t i = 0; i < 40; i++)
        spans[i] = (ut_test_span){.trace = i % 4, .span = i + 1, .parent = 1};
    assert_int_equal(ut_rig_commit_spans(f, spans, 20).stored, 20);
    ut_store_append append = ut_rig_commit_spans(f, spans + 10, 30);
    assert_int_equal(append.stored, 20);
    assert_int_equal(append.duplicates, 10);
    assert_int_equal(ut_store_check(f->memory).spans, 40);
}

static void the_ids_of_a_long_trace_are_remembered(void **state)
{
    ut_rig *f = *state;
    ut_random random = {11};
    bool seen[2000] = {0};
    uint32_t distinct = 0;
    for (unsigned round = 0; round < 120; round++) {
        ut_test_span spans[10];
        uint32_t fresh = 0;
        for (unsigned i = 0; i < 10; i++) {
            uint32_t span = ut_random_below(&random, 2000);
            spans[i] = (ut_test_span){.trace = 5, .span = span + 1, .parent = 1};
            fresh += !seen[span];
            seen[span] = true;
        }
        distinct += fresh;
        assert_int_equal(ut_rig_commit_spans(f, spans, 10).stored, fresh);
        if (round == 60) {
            // What is remembered in memory is found again after a restart.
            ut_engine *copy = ut_engine_memory_clone(f->memory);
            ut_store_close(f->store);
            f->memory = copy;
            f->store = ut_rig_open_with(ut_engine_faulty_wrap(copy, &f->faults), 0);
        }
    }
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.spans, distinct);
    assert_int_equal(report.traces, 1);
}

static void a_long_trace_that_left_and_comes_again_is_stored_once(void **state)
{
    ut_rig *f = *state;
    ut_test_span spans[20];
    for (uint32_t i = 0; i < 40; i++) {
        ut_test_span span = {.trace = 5, .span = i + 1, .parent = 1};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, &span, 1);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = 3600000, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    }
    bool more = true;
    while (more)
        assert_int_equal(ut_store_sweep(f->store, now_ns + 5 * UINT64_C(3600000000000), &more),
                         UT_OK);
    assert_int_equal(ut_store_check(f->memory).spans, 0);
    // Ids that were not seen before, and come three times.
    for (uint32_t i = 0; i < 20; i++)
        spans[i] = (ut_test_span){.trace = 5, .span = 100 + i, .parent = 1};
    for (unsigned round = 0; round < 3; round++) {
        ut_store_append append = ut_rig_commit_spans(f, spans, 20);
        assert_int_equal(append.stored, round == 0 ? 20 : 0);
        assert_int_equal(append.duplicates, round == 0 ? 0 : 20);
    }
    assert_int_equal(ut_store_check(f->memory).spans, 20);
}

static void many_long_traces_share_a_bounded_memory(void **state)
{
    ut_rig *f = *state;
    // More long traces than filters, each seen again and again.
    for (uint32_t round = 0; round < 60; round++) {
        ut_test_span spans[60];
        for (uint32_t i = 0; i < 60; i++)
            spans[i] = (ut_test_span){.trace = i % 20, .span = round * 3 + i / 20 + 1, .parent = 1};
        assert_int_equal(ut_rig_commit_spans(f, spans, 60).stored, 60);
        assert_int_equal(ut_rig_commit_spans(f, spans, 60).duplicates, 60);
    }
    assert_int_equal(ut_store_check(f->memory).traces, 20);
}

static void appends_of_one_class_share_a_block(void **state)
{
    ut_rig *f = *state;
    ut_batch batches[6];
    ut_store_append appends[6];
    for (uint32_t i = 0; i < 6; i++) {
        ut_test_span span = {.trace = i, .span = 1};
        ut_batch_init(&batches[i], UT_RIG_BUDGET);
        ut_test_batch(&batches[i], &span, 1);
        appends[i] = (ut_store_append){.org = i == 5 ? 2 : UT_ORG_DEFAULT,
                                       .ttl_ms = i % 2 == 0 ? 0 : 7200000,
                                       .batch = &batches[i]};
    }
    assert_int_equal(ut_store_commit(f->store, now_ns, appends, 6, NULL, 0), UT_OK);
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.blocks, 3);
    assert_int_equal(report.spans, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(appends[i].stored, 1);
        ut_batch_free(&batches[i]);
    }
}

static void a_block_keeps_its_limits(void **state)
{
    ut_rig *f = *state;
    enum { SPANS = 1300 };
    ut_test_span *spans = calloc(SPANS, sizeof *spans);
    for (uint32_t i = 0; i < SPANS; i++) // all of one trace, so that its entries have several parts
        spans[i] =
            (ut_test_span){.trace = 3, .span = i + 1, .start_ns = now_ns + i, .end_ns = now_ns + i};
    assert_int_equal(ut_rig_commit_spans(f, spans, SPANS).stored, SPANS);
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.blocks, 3);
    assert_int_equal(report.traces, 1);
    ut_rig_assert_stored(f->store, UT_ORG_DEFAULT, &f->batch);

    // A span that is larger than a block has one of its own.
    ut_test_span large[3] = {{.trace = 4, .span = 1},
                             {.trace = 4, .span = 2, .filler = 700000},
                             {.trace = 4, .span = 3}};
    assert_int_equal(ut_rig_commit_spans(f, large, 3).stored, 3);
    report = ut_store_check(f->memory);
    assert_int_equal(report.blocks, 6);
    assert_int_equal(report.spans, SPANS + 3);
    free(spans);
}

static void every_span_may_be_of_a_trace_of_its_own(void **state)
{
    ut_rig *f = *state;
    ut_test_span spans[600];
    for (uint32_t i = 0; i < 600; i++)
        spans[i] = (ut_test_span){.trace = i, .span = 1, .start_ns = now_ns + i};
    assert_int_equal(ut_rig_commit_spans(f, spans, 600).stored, 600);
    assert_int_equal(ut_store_check(f->memory).traces, 600);
    assert_int_equal(ut_rig_commit_spans(f, spans, 600).duplicates, 600);
}

static void an_empty_group_changes_nothing(void **state)
{
    ut_rig *f = *state;
    uint64_t calls = f->faults.calls;
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, NULL, 0), UT_OK);
    assert_int_equal(f->faults.calls, calls); // the engine was not asked
    assert_int_equal(ut_store_last_seq(f->store), 0);
}

static void expiry_hours_are_rounded_up(void **state)
{
    ut_rig *f = *state;
    static const struct {
        uint64_t now_ns;
        uint64_t ttl_ms;
        uint32_t hour;
    } cases[] = {{500000 * UINT64_C(3600000000000), 3600000, 500001},
                 {500000 * UINT64_C(3600000000000) + 1000000, 3600000, 500002},
                 {500000 * UINT64_C(3600000000000), 1, 500001},
                 {500000 * UINT64_C(3600000000000), 0, 0},
                 {500000 * UINT64_C(3600000000000), UINT64_MAX - 1, UINT32_MAX},
                 {500000 * UINT64_C(3600000000000), UT_STORE_TTL_NONE, 0},
                 // A clock that was not set yet; 2020 begins in hour 438288.
                 {438288 * UINT64_C(3600000000000) - 1, 3600000, 0},
                 {438288 * UINT64_C(3600000000000), 3600000, 438289}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_test_span span = {.trace = i, .span = 1};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, &span, 1);
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = cases[i].ttl_ms, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, cases[i].now_ns, &append, 1, NULL, 0), UT_OK);
        ut_store_view *view;
        ut_buf payload;
        ut_block block;
        ut_buf_init(&payload, UT_RIG_BUDGET);
        assert_int_equal(ut_store_view_open(f->memory, &view), UT_OK);
        assert_int_equal(ut_store_view_begin(view), UT_OK);
        assert_int_equal(ut_store_read_block(view, UT_ORG_DEFAULT, ut_store_last_seq(f->store),
                                             &payload, &block),
                         UT_OK);
        assert_int_equal(block.info.expiry_hour, cases[i].hour);
        assert_int_equal(block.info.received_ns, cases[i].now_ns);
        ut_store_view_close(view);
        ut_buf_free(&payload);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spans_come_back_as_they_went_in),
        TEST(a_span_is_stored_once),
        TEST(repeats_within_one_group_are_left_out),
        TEST(a_new_span_beside_stored_ones_is_kept),
        TEST(the_ids_of_a_long_trace_are_remembered),
        TEST(a_long_trace_that_left_and_comes_again_is_stored_once),
        TEST(many_long_traces_share_a_bounded_memory),
        TEST(appends_of_one_class_share_a_block),
        TEST(a_block_keeps_its_limits),
        TEST(every_span_may_be_of_a_trace_of_its_own),
        TEST(an_empty_group_changes_nothing),
        TEST(expiry_hours_are_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
