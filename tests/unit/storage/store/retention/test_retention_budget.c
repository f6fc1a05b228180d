// Tests of storage/store/retention: the order in which blocks leave for the budget, and what is
// told of it.
#include "storage/store/block_traces.h"
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

static void delivered_blocks_leave_before_the_others(void **state)
{
    ut_rig *f = *state;
    ut_store_close(f->store);
    ut_rig_open_memory(f, 300 * 1024);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_test_span span = {.span = 1, .filler = 10000};
    for (span.trace = 1; span.trace <= 10; span.trace++)
        assert_int_equal(ut_rig_commit_at(f, now_ns, &span, 1), UT_OK);
    ut_delivery marks[3];
    static const uint64_t seqs[3] = {3, 5, 8};
    for (unsigned i = 0; i < 3; i++)
        marks[i] = (ut_delivery){
            .org = UT_ORG_DEFAULT, .dest = dest, .seq = seqs[i], .state = UT_DELIVERY_DELIVERED};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, marks, 3), UT_OK);
    unsigned steps = 0;
    while (ut_rig_counts_of(f).blocks_removed < 3) {
        assert_int_equal(ut_rig_commit_at(f, now_ns, &span, 1), UT_OK);
        span.trace += 1;
        assert_true(steps++ < 100);
    }
    assert_int_equal(ut_rig_counts_of(f).blocks_removed, 3);
    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_int_equal(ut_rig_has_block(f->engine, seq), seq != 3 && seq != 5 && seq != 8);
    ut_store_destination row;
    (void)ut_store_get_destinations(f->store, &row, 1);
    assert_int_equal(row.counts.evicted, 0);
    // None is left that was delivered: the oldest goes.
    while (ut_rig_counts_of(f).blocks_removed < 4) {
        assert_int_equal(ut_rig_commit_at(f, now_ns, &span, 1), UT_OK);
        span.trace += 1;
    }
    assert_false(ut_rig_has_block(f->engine, 1));
    assert_true(ut_rig_has_block(f->engine, 2));
    (void)ut_store_get_destinations(f->store, &row, 1);
    assert_int_equal(row.counts.evicted, 1);
    (void)ut_store_check(f->engine);
}

static void told_so_the_oldest_leaves_delivered_or_not(void **state)
{
    ut_rig *f = *state;
    ut_rig_open_limited(f, 300 * 1024, 0, true);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_test_span span = {.span = 1, .filler = 10000};
    for (span.trace = 1; span.trace <= 10; span.trace++)
        assert_int_equal(ut_rig_commit_at(f, now_ns, &span, 1), UT_OK);
    const ut_delivery mark = {
        .org = UT_ORG_DEFAULT, .dest = dest, .seq = 3, .state = UT_DELIVERY_DELIVERED};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1), UT_OK);
    for (unsigned steps = 0; ut_rig_counts_of(f).blocks_removed < 2; steps++) {
        assert_int_equal(ut_rig_commit_at(f, now_ns, &span, 1), UT_OK);
        span.trace += 1;
        assert_true(steps < 100);
    }
    const uint64_t removed = ut_rig_counts_of(f).blocks_removed;
    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_int_equal(ut_rig_has_block(f->engine, seq), seq > removed);
    (void)ut_store_check(f->engine);
}

static void what_is_lost_to_the_budget_is_told_now_and_then(void **state)
{
    ut_rig *f = *state;
    ut_rig_log_lines lines = {0};
    ut_log log = {.level = UT_LOG_DEBUG, .write = ut_rig_take_line, .context = &lines};
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(300 * 1024);
    f->store = ut_rig_open_store(ut_engine_faulty_wrap(f->engine, &f->faults), 300 * 1024, &log);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_test_span span = {.trace = 1, .span = 1, .filler = 10000};
    for (; span.trace < 200; span.trace++)
        assert_int_equal(ut_rig_commit_at(f, now_ns + span.trace * UINT64_C(1000000000), &span, 1),
                         UT_OK);
    assert_true(ut_rig_counts_of(f).spans_evicted > 150);
    assert_true(lines.lines >= 3 && lines.lines <= 5); // 200 s, at most one a minute
    assert_non_null(strstr(lines.last_z, "before they were delivered"));
}

static void what_can_never_fit_is_refused_and_evicts_nothing(void **state)
{
    ut_rig *f = *state;
    ut_store_close(f->store);
    ut_rig_open_memory(f, 300 * 1024);
    ut_rig_store_trace(f, 1, 1, 10, 1);
    ut_test_span large = {.trace = 2, .span = 1, .filler = 400000};
    assert_int_equal(ut_rig_commit_at(f, now_ns, &large, 1), UT_ELIMIT);
    assert_int_equal(ut_rig_counts_of(f).spans_evicted, 0);
    assert_int_equal(ut_store_check(f->engine).spans, 10);
    ut_rig_store_trace(f, 3, 1, 10, 1);
}

static void damaged_blocks_are_removed_all_the_same(void **state)
{
    ut_rig *f = *state;
    f->ttl_ms = 3600000;
    ut_rig_store_trace(f, 1, 1, 10, 1);
    ut_rig_store_trace(f, 2, 1, 10, 1);
    ut_rig_store_trace(f, 3, 1, 10, 1);
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    ut_key key = ut_key_piece(UT_ORG_DEFAULT, 1, UT_BLOCK_STORE_SEALED_FROM);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("junk")), UT_OK);
    key = ut_key_piece(UT_ORG_DEFAULT, 2, UT_BLOCK_TRACES_FROM);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("junk")), UT_OK);
    key = ut_key_summary(UT_ORG_DEFAULT, 3);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("junk")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_rig_sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(ut_rig_count_records(f->engine), 0);
    assert_int_equal(ut_rig_counts_of(f).blocks_removed, 3);
    assert_int_equal(ut_rig_counts_of(f).spans_expired, 20);
}

static void a_budget_that_was_lowered_is_reached_by_sweeping(void **state)
{
    ut_rig *f = *state;
    ut_rig_open_lmdb(f, 16 * UT_RIG_MIB);
    uint64_t seed = 1;
    for (unsigned i = 0; i < 250; i++) {
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(seed++, 400, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    }
    ut_store_close(f->store);
    ut_rig_open_lmdb(f, 5 * UT_RIG_MIB);
    ut_rig_sweep_all(f, now_ns);
    ut_engine_room room;
    assert_int_equal(ut_engine_get_room(f->engine, &room), UT_OK);
    assert_true(room.bytes_used < 5 * UT_RIG_MIB);
    assert_true(ut_store_check(f->engine).spans > 5000);
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(seed++, 400, now_ns, &f->batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
#define WITH_DIR(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up_dir, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delivered_blocks_leave_before_the_others),
        TEST(told_so_the_oldest_leaves_delivered_or_not),
        TEST(what_is_lost_to_the_budget_is_told_now_and_then),
        TEST(what_can_never_fit_is_refused_and_evicts_nothing),
        TEST(damaged_blocks_are_removed_all_the_same),
        WITH_DIR(a_budget_that_was_lowered_is_reached_by_sweeping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
