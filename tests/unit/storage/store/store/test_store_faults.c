// Tests of storage/store/store_txn and store_commit: what a failed or doubtful commit leaves.
#include "tests/support/engine_gate.h"
#include "tests/unit/storage/store/store/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

static int ut_rig_set_up_lmdb(void **state)
{
    ut_rig *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = UT_RIG_BUDGET};
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &f->memory, &fault), UT_OK);
    f->store = ut_rig_open_with(ut_engine_faulty_wrap(f->memory, &f->faults), 0);
    ut_batch_init(&f->batch, UT_RIG_BUDGET);
    *state = f;
    return 0;
}

static void assert_same_records(ut_engine *engine, const uint8_t *data, size_t len)
{
    uint8_t *now;
    size_t now_len;
    ut_engine_dump(engine, &now, &now_len);
    assert_int_equal(now_len, len);
    assert_memory_equal(now, data, len);
    free(now);
}

// A store with something of everything, and a group that touches all of it.
static void fill(ut_rig *f, uint32_t dests[2])
{
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dests[0]), UT_OK);
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "b", &dests[1]), UT_OK);
    ut_test_span spans[30];
    for (uint32_t i = 0; i < 30; i++)
        spans[i] =
            (ut_test_span){.trace = i % 6, .span = i + 10, .parent = 1, .start_ns = now_ns + i};
    (void)ut_rig_commit_spans(f, spans, 30);
    for (uint32_t i = 0; i < 30; i++)
        spans[i].span += 30;
    (void)ut_rig_commit_spans(f, spans, 30);
}

static void every_failing_call_leaves_the_store_as_it_was(void **state)
{
    ut_rig *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    ut_test_span spans[25];
    for (uint32_t i = 0; i < 25; i++) // roots for stand-ins, repeats, new traces
        spans[i] = (ut_test_span){.trace = i % 8,
                                  .span = i < 8 ? 1 : i + 20,
                                  .parent = i < 8 ? 0 : 1,
                                  .start_ns = now_ns + 100 + i};
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, 25);
    static const uint16_t dead[2] = {0, 3};
    ut_delivery marks[3] = {{.org = 1,
                             .dest = dests[0],
                             .seq = 1,
                             .state = UT_DELIVERY_DELIVERED,
                             .updated_ns = now_ns},
                            {.org = 1,
                             .dest = dests[1],
                             .seq = 1,
                             .state = UT_DELIVERY_DELIVERED,
                             .spans_dead = 2,
                             .dead_ordinals = dead,
                             .http_status = 400,
                             .reason_z = "no"},
                            {.org = 1,
                             .dest = dests[1],
                             .seq = 2,
                             .state = UT_DELIVERY_PENDING,
                             .attempts = 3,
                             .next_try_ns = now_ns + 5,
                             .reason_z = "refused"}};
    static const ut_err errors[] = {UT_EIO, UT_ENOSPC, UT_ENOMEM, UT_EFULL};
    uint8_t *before;
    size_t before_len;
    ut_engine_dump(f->memory, &before, &before_len);
    ut_store_counts counts = ut_rig_counts_of(f->store);
    ut_err err = UT_EIO;
    uint64_t n = 0;
    // UT_EFULL is tried again with more room, so that the last round goes on for longer.
    for (size_t e = 0; e < 4; e++) {
        for (n = 1; n < 2000; n++) {
            ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
            f->faults = (ut_faults){.fail_at = n, .fail_after = true, .err = errors[e]};
            err = ut_store_commit(f->store, now_ns, &append, 1, marks, 3);
            f->faults.fail_at = 0;
            if (err == UT_OK)
                break;
            assert_int_equal(err, errors[e]);
            assert_int_equal(append.stored, 0);
            assert_int_equal(append.duplicates, 0);
            ut_store_counts now = ut_rig_counts_of(f->store);
            assert_memory_equal(&now, &counts, sizeof now);
            assert_same_records(f->memory, before, before_len);
        }
        assert_int_equal(err, UT_OK);
        assert_true(n > 30);
        ut_verify_report report = ut_store_check(f->memory);
        assert_true(report.spans >= 70);
        // Back to where it was.
        ut_engine *other = ut_engine_memory_open(UT_RIG_BUDGET);
        ut_store_close(f->store);
        f->memory = other;
        f->store = ut_rig_open_with(ut_engine_faulty_wrap(other, &f->faults), 0);
        ut_batch keep = f->batch;
        ut_batch_init(&f->batch, UT_RIG_BUDGET);
        fill(f, dests);
        ut_batch_free(&f->batch);
        f->batch = keep;
        free(before); // but for the secret of its index
        ut_engine_dump(f->memory, &before, &before_len);
    }
    free(before);
}

// A commit that turned out larger than guessed is tried again after more room was made, and the
// blocks that held its duplicates may be gone by then.
static void spans_whose_twins_were_evicted_meanwhile_are_stored(void **state)
{
    ut_rig *f = *state;
    enum { SMALL = 300 * 1024, OLD = 10, NEW = 60 };
    ut_store_config config = {.bytes_max = SMALL};
    ut_fault fault;
    ut_store_close(f->store);
    f->memory = ut_engine_memory_open(SMALL);
    assert_int_equal(
        ut_store_open(ut_engine_faulty_wrap(f->memory, &f->faults), &config, &f->store, &fault),
        UT_OK);
    ut_test_span spans[OLD + NEW];
    for (uint32_t i = 0; i < OLD + NEW; i++)
        spans[i] = (ut_test_span){
            .trace = i < OLD ? 1 : 2, .span = i + 1, .parent = 1, .filler = i < OLD ? 0 : 2000};
    assert_int_equal(ut_rig_commit_spans(f, spans, OLD).stored, OLD);
    // What came before compresses well, so that the guess for what comes now is too low.
    ut_engine_room room = {0};
    for (uint32_t trace = 10; room.bytes_used < 190 * 1024; trace++) {
        ut_test_span old[50];
        for (uint32_t i = 0; i < 50; i++)
            old[i] = (ut_test_span){.trace = trace, .span = i + 1, .parent = 1};
        assert_int_equal(ut_rig_commit_spans(f, old, 50).stored, 50);
        assert_int_equal(ut_engine_get_room(f->memory, &room), UT_OK);
    }
    assert_int_equal(ut_rig_counts_of(f->store).spans_evicted, 0);
    ut_store_append append = ut_rig_commit_spans(f, spans, OLD + NEW);
    assert_true(ut_rig_counts_of(f->store).spans_evicted > 0);
    assert_int_equal(append.stored, OLD + NEW);
    (void)ut_store_check(f->memory);
}

static void lmdb_survives_every_failing_call(void **state)
{
    ut_rig *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    uint8_t *before;
    size_t before_len;
    ut_engine_dump(f->memory, &before, &before_len);
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(9, 60, now_ns, &f->batch);
    ut_err err = UT_EIO;
    uint64_t n;
    for (n = 1; err != UT_OK; n++) {
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
        f->faults.fail_at = 0;
        if (err != UT_OK)
            assert_same_records(f->memory, before, before_len);
        assert_true(n < 5000);
    }
    assert_true(n > 30);
    (void)ut_store_check(f->memory);
    free(before);
}

static void a_commit_in_doubt_does_not_lead_astray(void **state)
{
    ut_rig *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    // The commit is the last call that may fail: find its number, then report a failure though it
    // stored everything.
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(9, 60, now_ns, &f->batch);
    uint64_t seq = ut_store_last_seq(f->store);
    ut_err err = UT_OK;
    for (uint64_t n = 1; err != UT_OK || n == 1; n++) {
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO, .in_doubt = true};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
        f->faults.fail_at = 0;
        if (err == UT_OK) // all its spans were stored by the one before
            assert_int_equal(append.duplicates, 60);
        assert_true(n < 5000);
    }
    assert_int_equal(ut_store_last_seq(f->store), seq + 1);
    ut_test_span span = {.trace = 77, .span = 1};
    (void)ut_rig_commit_spans(f, &span, 1);
    assert_int_equal(ut_store_last_seq(f->store), seq + 2);
    assert_int_equal(ut_rig_counts_of(f->store).spans_stored, 121);
    (void)ut_store_check(f->memory);
}

// A commit of nothing but marks leaves the counters of the store as they are.
static void marks_in_doubt_are_counted_once(void **state)
{
    ut_rig *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    ut_delivery mark = {
        .org = UT_ORG_DEFAULT, .dest = dests[1], .seq = 1, .state = UT_DELIVERY_DELIVERED};
    ut_err err = UT_OK;
    for (uint64_t n = 1; err != UT_OK || n == 1; n++) {
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO, .in_doubt = true};
        err = ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1);
        assert_true(n < 5000);
    }
    f->faults.fail_at = 0;
    ut_verify_report report = ut_store_check(f->memory);
    ut_store_destination rows[2];
    assert_int_equal(ut_store_get_destinations(f->store, rows, 2), 2);
    uint64_t settled = 0;
    uint64_t accepted = 0;
    for (uint32_t i = 0; i < 2; i++) {
        settled += rows[i].counts.delivered + rows[i].counts.dead;
        accepted += rows[i].counts.accepted;
    }
    assert_int_equal(accepted, settled + report.pending);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

// Whatever tries of a commit fail with, what is not stored is not said to be.
static void a_commit_that_failed_at_each_try_is_an_error(void **state)
{
    static const ut_err errs[][4] = {{UT_EFULL, UT_EFULL, UT_EFULL, UT_ECORRUPT},
                                     {UT_ECORRUPT, UT_EFULL, UT_EFULL, UT_EFULL},
                                     {UT_EFULL, UT_ENOSPC, UT_EFULL, UT_EFULL}};
    (void)state;
    for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        ut_engine *memory = ut_engine_memory_open(UT_RIG_BUDGET);
        ut_store *store = ut_rig_open_with(memory, 0);
        ut_engine_gate *gate = ut_engine_gate_put(memory);
        const ut_test_span span = {.trace = 1, .span = 1};
        ut_batch batch;
        ut_batch_init(&batch, UT_RIG_BUDGET);
        ut_test_batch(&batch, &span, 1);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        ut_engine_gate_fail_next(gate, errs[i], 4);
        const ut_err err = ut_store_commit(store, now_ns, &append, 1, NULL, 0);
        assert_int_equal(err == UT_OK, append.stored == 1);
        assert_int_equal(ut_rig_counts_of(store).spans_stored, append.stored);
        ut_store_close(store);
        ut_engine_gate_free(gate);
        ut_batch_free(&batch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_failing_call_leaves_the_store_as_it_was),
        TEST(spans_whose_twins_were_evicted_meanwhile_are_stored),
        cmocka_unit_test_setup_teardown(lmdb_survives_every_failing_call, ut_rig_set_up_lmdb,
                                        ut_rig_tear_down),
        TEST(a_commit_in_doubt_does_not_lead_astray),
        TEST(marks_in_doubt_are_counted_once),
        cmocka_unit_test(a_commit_that_failed_at_each_try_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
