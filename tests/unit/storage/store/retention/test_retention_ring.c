// Tests of storage/store/retention: a ring keeps the newest spans.
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

static uint64_t spans_in(const ut_rig *f)
{
    const ut_store_counts counts = ut_rig_counts_of(f);
    return counts.spans_stored - counts.spans_expired - counts.spans_evicted;
}

static void a_ring_of_spans_keeps_the_newest_and_no_more(void **state)
{
    enum { RING = 100, BLOCK = RING / 16, COMMITS = 200 };
    ut_rig *f = *state;
    ut_rig_open_limited(f, UT_RIG_BUDGET, RING, false);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_random random = {7};
    uint32_t trace = 1;
    for (unsigned i = 0; i < COMMITS; i++) {
        const uint32_t count = 1 + ut_random_below(&random, 40);
        ut_rig_store_trace(f, trace++, 1, count, 1);
        assert_true(spans_in(f) <= RING);
        // What was delivered does not leave before what is older.
        const ut_delivery mark = {.org = UT_ORG_DEFAULT,
                                  .dest = dest,
                                  .seq = ut_store_last_seq(f->store),
                                  .state = UT_DELIVERY_DELIVERED};
        if (i % 3 == 0)
            assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1), UT_OK);
        if (ut_rig_counts_of(f).spans_evicted > 0)
            assert_true(spans_in(f) > RING - BLOCK);
        if (i % 20 == 0)
            assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
    }
    const uint64_t last = ut_store_last_seq(f->store);
    const uint64_t blocks = ut_rig_counts_of(f).blocks_stored - ut_rig_counts_of(f).blocks_removed;
    for (uint64_t seq = 1; seq <= last; seq++)
        assert_int_equal(ut_rig_has_block(f->engine, seq), seq > last - blocks);
    // A commit that is larger than the ring leaves its newest spans.
    ut_rig_store_trace(f, trace, 1, 500, 1);
    ut_rig_sweep_all(f, now_ns);
    assert_in_range(spans_in(f), RING - BLOCK + 1, RING);
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

static void a_ring_that_was_made_smaller_is_reached_by_sweeping(void **state)
{
    ut_rig *f = *state;
    ut_rig_open_lmdb(f, 16 * UT_RIG_MIB);
    for (uint32_t trace = 1; trace <= 30; trace++)
        ut_rig_store_trace(f, trace, 1, 400, 1);
    ut_store_close(f->store);
    f->store = NULL;
    ut_engine_config engine = {.dir_z = f->dir_z, .bytes_max = 16 * UT_RIG_MIB};
    ut_fault fault = {0};
    assert_int_equal(ut_engine_lmdb_open(&engine, &f->engine, &fault), UT_OK);
    const ut_store_config config = {.bytes_max = 16 * UT_RIG_MIB, .spans_max = 1000};
    assert_int_equal(ut_store_open(f->engine, &config, &f->store, &fault), UT_OK);
    ut_rig_sweep_all(f, now_ns);
    assert_in_range(spans_in(f), 500, 1000);
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

// Spans that each are a trace of their own: removing one costs the most.
static void commit_traces(ut_rig *f, uint32_t *next, uint32_t count)
{
    ut_test_span *spans = calloc(count, sizeof *spans);
    for (uint32_t i = 0; i < count; i++)
        spans[i] = (ut_test_span){.trace = (*next)++, .span = 1, .start_ns = now_ns};
    assert_int_equal(ut_rig_commit_at(f, now_ns, spans, count), UT_OK);
    free(spans);
}

static void reopen_as_ring(ut_rig *f, uint64_t spans_max)
{
    ut_store_close(f->store);
    f->store = NULL;
    ut_engine_config engine = {.dir_z = f->dir_z, .bytes_max = 64 * UT_RIG_MIB};
    ut_fault fault = {0};
    assert_int_equal(ut_engine_lmdb_open(&engine, &f->engine, &fault), UT_OK);
    const ut_store_config config = {.bytes_max = 64 * UT_RIG_MIB, .spans_max = spans_max};
    assert_int_equal(ut_store_open(f->engine, &config, &f->store, &fault), UT_OK);
}

static void no_commit_waits_for_a_ring_that_was_made_smaller(void **state)
{
    enum { RING = 1000, BEFORE = 20000, AT_ONCE = 5120, LATER = 40 };
    ut_rig *f = *state;
    uint32_t next = 1;
    ut_rig_open_lmdb(f, 64 * UT_RIG_MIB);
    while (next <= BEFORE)
        commit_traces(f, &next, 500);
    reopen_as_ring(f, RING);
    for (unsigned i = 0; spans_in(f) > RING; i++) {
        assert_true(i < LATER);
        const uint64_t before = ut_rig_counts_of(f).spans_evicted;
        commit_traces(f, &next, 1);
        assert_in_range(ut_rig_counts_of(f).spans_evicted - before, 1, AT_ONCE);
    }
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

static void a_ring_keeps_up_with_commits_larger_than_itself(void **state)
{
    enum { RING = 1000, COMMITS = 20 };
    ut_rig *f = *state;
    uint32_t next = 1;
    reopen_as_ring(f, RING);
    for (unsigned i = 0; i < COMMITS; i++) {
        commit_traces(f, &next, i % 2 == 0 ? 3000 : 10);
        assert_in_range(spans_in(f), RING * 15 / 16, RING);
    }
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
#define WITH_DIR(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up_dir, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ring_of_spans_keeps_the_newest_and_no_more),
        WITH_DIR(a_ring_that_was_made_smaller_is_reached_by_sweeping),
        WITH_DIR(no_commit_waits_for_a_ring_that_was_made_smaller),
        WITH_DIR(a_ring_keeps_up_with_commits_larger_than_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
