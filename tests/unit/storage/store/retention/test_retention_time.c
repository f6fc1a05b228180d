// Tests of storage/store/retention: blocks whose hour has come, and how commits and sweeps remove
// them.
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

static void blocks_leave_when_their_hour_has_come(void **state)
{
    ut_rig *f = *state;
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    f->ttl_ms = 2 * 3600000;
    ut_rig_store_trace(f, 1, 1, 10, 1);
    ut_rig_store_trace(f, 2, 1, 10, 1);
    f->ttl_ms = 5 * 3600000;
    ut_rig_store_trace(f, 2, 11, 10, 1); // the same trace, kept for longer
    uint64_t due_ns = (now_ns + 2 * hour_ns + hour_ns - 1) / hour_ns * hour_ns;
    ut_rig_sweep_all(f, due_ns - 1);
    assert_int_equal(ut_store_check(f->engine).blocks, 3);
    ut_rig_sweep_all(f, due_ns);
    ut_verify_report report = ut_store_check(f->engine);
    assert_int_equal(report.blocks, 1);
    assert_int_equal(report.traces, 1);
    assert_int_equal(report.spans, 10);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, 20);
    assert_int_equal(ut_rig_counts_of(f).blocks_removed, 2);
    ut_store_destination row;
    assert_int_equal(ut_store_get_destinations(f->store, &row, 1), 1);
    assert_int_equal(row.counts.expired, 20);
    ut_rig_sweep_all(f, due_ns + 3 * hour_ns);
    (void)ut_store_check(f->engine);
    assert_int_equal(ut_rig_count_records(f->engine), 0);
}

static void without_a_time_to_live_nothing_expires(void **state)
{
    ut_rig *f = *state;
    ut_rig_store_trace(f, 1, 1, 10, 1);
    ut_rig_sweep_all(f, UINT64_MAX / 2);
    assert_int_equal(ut_store_check(f->engine).spans, 10);
}

// A machine without a battery begins in 1970, until the network tells the time.
static void what_came_before_the_clock_was_set_does_not_expire(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span span = {.trace = 1, .span = 1};
    assert_int_equal(ut_rig_commit_at(f, 60 * UINT64_C(1000000000), &span, 1), UT_OK);
    span.trace = 2;
    assert_int_equal(ut_rig_commit_at(f, now_ns, &span, 1), UT_OK);
    ut_rig_sweep_all(f, now_ns);
    assert_int_equal(ut_store_check(f->engine).spans, 2);
    ut_rig_sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(ut_store_check(f->engine).spans, 1);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, 1);
}

static void a_sweep_with_nothing_to_do_writes_nothing(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_rig_store_trace(f, 1, 1, 10, 1);
    bool more = true;
    // Of the calls that may fail none is a put or a commit.
    f->faults.calls = 0;
    assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
    assert_false(more);
    assert_true(f->faults.calls <= 20);
}

// While requests come, no sweep is needed; and no commit does much of it.
static void commits_remove_what_has_expired_bit_by_bit(void **state)
{
    enum { BLOCKS = 40, SPANS = 100, CALLS_MAX = 4000 };
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span spans[SPANS];
    for (uint32_t b = 0; b < BLOCKS; b++) {
        for (uint32_t i = 0; i < SPANS; i++)
            spans[i] = (ut_test_span){.trace = b * SPANS + i, .span = 1};
        assert_int_equal(ut_rig_commit_at(f, now_ns, spans, SPANS), UT_OK);
    }
    assert_int_equal(ut_rig_counts_of(f).spans_expired, 0);
    f->ttl_ms = 0;
    spans[0] = (ut_test_span){.trace = BLOCKS * SPANS, .span = 1};
    unsigned commits = 0;
    for (; ut_rig_counts_of(f).spans_expired < BLOCKS * SPANS; commits++) {
        assert_true(commits < 10 * BLOCKS);
        spans[0].span += 1;
        f->faults.calls = 0;
        assert_int_equal(ut_rig_commit_at(f, now_ns + 3 * hour_ns, spans, 1), UT_OK);
        assert_true(f->faults.calls < CALLS_MAX);
        (void)ut_store_check(f->engine);
    }
    assert_true(commits > BLOCKS / 2); // in many steps
    assert_int_equal(ut_rig_counts_of(f).spans_evicted, 0);
}

// Within its first hour what is due leaves with few commits: the others are not slower for it.
static void what_has_just_become_due_leaves_with_few_commits(void **state)
{
    enum { BLOCKS = 20, SPANS = 100, COMMITS = 700, PERCENT_MAX = 1 };
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span spans[SPANS];
    for (uint32_t b = 0; b < BLOCKS; b++) {
        for (uint32_t i = 0; i < SPANS; i++)
            spans[i] = (ut_test_span){.trace = b * SPANS + i, .span = 1};
        assert_int_equal(ut_rig_commit_at(f, now_ns, spans, SPANS), UT_OK);
    }
    f->ttl_ms = 0;
    spans[0] = (ut_test_span){.trace = BLOCKS * SPANS, .span = 1};
    const uint64_t due_ns = (now_ns / hour_ns + 2) * hour_ns; // rounded up
    unsigned riding = 0;
    for (unsigned i = 0; i < COMMITS; i++) {
        const uint64_t before = ut_rig_counts_of(f).spans_expired;
        spans[0].span += 1;
        assert_int_equal(ut_rig_commit_at(f, due_ns, spans, 1), UT_OK);
        riding += ut_rig_counts_of(f).spans_expired > before;
    }
    assert_in_range(riding, 2, COMMITS * PERCENT_MAX / 100);
    (void)ut_store_check(f->engine);
    // An hour later it is in a hurry.
    for (unsigned i = 0; i < 10 * BLOCKS; i++) {
        spans[0].span += 1;
        assert_int_equal(ut_rig_commit_at(f, due_ns + hour_ns, spans, 1), UT_OK);
    }
    assert_int_equal(ut_rig_counts_of(f).spans_expired, BLOCKS * SPANS);
}

static void a_sweep_is_bounded_and_says_when_there_is_more(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    enum { BLOCKS = 12 };
    for (uint32_t b = 0; b < BLOCKS; b++) {
        ut_test_span spans[500];
        for (uint32_t i = 0; i < 500; i++)
            spans[i] = (ut_test_span){.trace = b * 500 + i, .span = 1, .start_ns = now_ns + i};
        assert_int_equal(ut_rig_commit_at(f, now_ns, spans, 500), UT_OK);
    }
    unsigned calls = 0;
    bool more = true;
    while (more) {
        assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_OK);
        (void)ut_store_check(f->engine); // whole in between, with a block on its way out
        calls += 1;
    }
    assert_true(calls >= 5);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, BLOCKS * 500);
    assert_int_equal(ut_rig_counts_of(f).blocks_removed, BLOCKS);
    assert_int_equal(ut_rig_count_records(f->engine), 0);
}

static void reopen(ut_rig *f, uint64_t budget)
{
    ut_engine *copy = ut_engine_memory_clone(f->engine);
    ut_store_close(f->store);
    f->engine = copy;
    f->store = ut_rig_open_store(ut_engine_faulty_wrap(copy, &f->faults), budget, NULL);
}

static void a_removal_goes_on_after_a_restart(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    for (uint32_t b = 0; b < 6; b++) {
        ut_test_span spans[500];
        for (uint32_t i = 0; i < 500; i++)
            spans[i] = (ut_test_span){.trace = b * 500 + i, .span = 1};
        assert_int_equal(ut_rig_commit_at(f, now_ns, spans, 500), UT_OK);
    }
    unsigned leaving = 0;
    for (unsigned i = 0; ut_rig_count_records(f->engine) > 0; i++) {
        bool more;
        assert_true(i < 100);
        assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_OK);
        leaving += (unsigned)ut_store_check(f->engine).leaving;
        reopen(f, UT_RIG_BUDGET);
    }
    assert_true(leaving > 0);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, 3000);
    assert_int_equal(ut_rig_counts_of(f).blocks_removed, 6);
}

static void an_expiry_that_failed_is_not_an_eviction(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span spans[500];
    for (uint32_t i = 0; i < 500; i++)
        spans[i] = (ut_test_span){.trace = i, .span = 1};
    for (uint32_t b = 0; b < 5; b++) { // more than one sweep removes
        assert_int_equal(ut_rig_commit_at(f, now_ns, spans, 500), UT_OK);
        for (uint32_t i = 0; i < 500; i++)
            spans[i].trace += 500;
    }
    // The last call of a sweep that may fail is its commit.
    bool more;
    f->faults = (ut_faults){0};
    ut_engine *copy = ut_engine_memory_clone(f->engine);
    assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_OK);
    assert_true(more);
    uint64_t calls = f->faults.calls;
    ut_store_close(f->store);
    f->engine = copy;
    f->faults = (ut_faults){0};
    f->store = ut_rig_open_store(ut_engine_faulty_wrap(copy, &f->faults), UT_RIG_BUDGET, NULL);
    f->faults = (ut_faults){.fail_at = calls, .err = UT_EIO};
    assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_EIO);
    f->faults.fail_at = 0;
    ut_rig_sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, 2500);
    assert_int_equal(ut_rig_counts_of(f).spans_evicted, 0);
}

static void entries_of_many_parts_leave_whole(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_rig_store_trace(f, 1, 1, 500, 1); // in values of 1000 bytes
    f->ttl_ms = 3 * 3600000;
    ut_rig_store_trace(f, 1, 501, 500, 1);
    ut_rig_sweep_all(f, now_ns + 2 * hour_ns);
    assert_int_equal(ut_store_check(f->engine).spans, 500);
    ut_rig_sweep_all(f, now_ns + 4 * hour_ns);
    assert_int_equal(ut_rig_count_records(f->engine), 0);
}

// A store with rules for two statuses: one hour for errors, for ever for what is ok; two hours for
// the rest.
static void open_ruled(ut_rig *f, ut_rules *rules)
{
    static const char *const values_z[] = {"error", "ok"};
    *rules = (ut_rules){.count = 2};
    rules->items[0].ttl_ms = 3600000;
    for (uint32_t i = 0; i < 2; i++) {
        rules->items[i].condition_count = 1;
        assert_int_equal(ut_rule_condition_set(&rules->items[i].conditions[0],
                                               UT_BYTES_LIT("status"), ut_bytes_of_z(values_z[i])),
                         UT_OK);
    }
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(UT_RIG_BUDGET);
    const ut_store_config config = {
        .bytes_max = UT_RIG_BUDGET, .ttl_ms = 2 * 3600000, .rules = rules};
    ut_fault fault = {0};
    assert_int_equal(ut_store_open(f->engine, &config, &f->store, &fault), UT_OK);
}

static void spans_of_one_commit_leave_each_at_the_hour_of_its_rule(void **state)
{
    ut_rig *f = *state;
    ut_rules *rules = malloc(sizeof *rules);
    assert_non_null(rules);
    open_ruled(f, rules);
    ut_test_span spans[12];
    for (uint32_t i = 0; i < 12; i++)
        spans[i] = (ut_test_span){.trace = i % 2, .span = i + 1, .status = (int32_t)(i % 3)};
    spans[11] = spans[0]; // a duplicate within the request counts once
    ut_test_batch(&f->batch, spans, 12);
    ut_batch second;
    ut_batch third;
    ut_batch_init(&second, UT_RIG_BUDGET);
    ut_batch_init(&third, UT_RIG_BUDGET);
    ut_test_span one = {.trace = 9, .span = 1, .status = UT_STATUS_ERROR};
    ut_test_batch(&second, &one, 1);
    one.trace = 8;
    ut_test_batch(&third, &one, 1);
    ut_store_append appends[3] = {
        {.org = UT_ORG_DEFAULT, .batch = &f->batch},
        {.org = UT_ORG_DEFAULT, .ttl_ms = UT_STORE_TTL_NONE, .batch = &second},
        {.org = UT_ORG_DEFAULT, .ttl_ms = 2 * 3600000, .batch = &third},
    };
    const uint64_t at_ns = now_ns / hour_ns * hour_ns;
    assert_int_equal(ut_store_commit(f->store, at_ns, appends, 3, NULL, 0), UT_OK);
    assert_int_equal(appends[0].stored, 11);
    assert_int_equal(appends[0].duplicates, 1);
    assert_int_equal(ut_rig_counts_of(f).blocks_stored, 3); // one for each hour, and one for none
    (void)ut_store_check(f->engine);
    // 4 unset, 4 ok and 3 errors; one of each request with a time of its own.
    static const uint64_t gone[4] = {0, 3, 3 + 4 + 1, 3 + 4 + 1};
    for (uint64_t hours = 0; hours < 4; hours++) {
        ut_rig_sweep_all(f, at_ns + hours * hour_ns);
        assert_int_equal(ut_rig_counts_of(f).spans_expired, gone[hours]);
        (void)ut_store_check(f->engine);
    }
    ut_batch_free(&second);
    ut_batch_free(&third);
    ut_store_close(f->store);
    f->store = NULL;
    free(rules);
}

static void every_failing_call_of_a_sweep_leaves_the_store_as_it_was(void **state)
{
    ut_rig *f = *state;
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    f->ttl_ms = 3600000;
    ut_rig_store_trace(f, 1, 1, 40, 1);
    f->ttl_ms = 9 * 3600000;
    ut_rig_store_trace(f, 1, 50, 5, 1);
    uint8_t *before;
    size_t before_len;
    ut_engine_dump(f->engine, &before, &before_len);
    ut_err err = UT_EIO;
    uint64_t n;
    for (n = 1; err != UT_OK; n++) {
        bool more;
        ut_store_counts counts = ut_rig_counts_of(f);
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        err = ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more);
        f->faults.fail_at = 0;
        if (err == UT_OK)
            break;
        assert_false(more);
        uint8_t *after;
        size_t after_len;
        ut_engine_dump(f->engine, &after, &after_len);
        assert_int_equal(after_len, before_len);
        assert_memory_equal(after, before, before_len);
        free(after);
        ut_store_counts now = ut_rig_counts_of(f);
        assert_memory_equal(&now, &counts, sizeof now);
        assert_true(n < 1000);
    }
    assert_true(n > 20);
    free(before);
    assert_int_equal(ut_store_check(f->engine).spans, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_leave_when_their_hour_has_come),
        TEST(without_a_time_to_live_nothing_expires),
        TEST(what_came_before_the_clock_was_set_does_not_expire),
        TEST(a_sweep_with_nothing_to_do_writes_nothing),
        TEST(commits_remove_what_has_expired_bit_by_bit),
        TEST(what_has_just_become_due_leaves_with_few_commits),
        TEST(a_sweep_is_bounded_and_says_when_there_is_more),
        TEST(a_removal_goes_on_after_a_restart),
        TEST(an_expiry_that_failed_is_not_an_eviction),
        TEST(entries_of_many_parts_leave_whole),
        TEST(spans_of_one_commit_leave_each_at_the_hour_of_its_rule),
        TEST(every_failing_call_of_a_sweep_leaves_the_store_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
