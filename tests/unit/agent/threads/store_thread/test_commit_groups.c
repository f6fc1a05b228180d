// Groups of requests: what shares a commit, what a group ends at, and what a commit that fails
// means for its requests.
#include "tests/support/otlp_body.h"
#include "tests/unit/agent/threads/store_thread/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_request_is_handed_back_when_it_is_committed(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    ut_store_thread_deliver(rig->thread);
    assert_int_equal(rig->done, 0);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 1);
    assert_int_equal(rig->jobs[0].job.result, UT_OK);
    assert_int_equal(rig->jobs[0].job.append.stored, 10);
    assert_int_equal(rig->jobs[0].job.append.duplicates, 0);
    assert_true(atomic_load(&rig->seq) >= 1);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 2);
    assert_int_equal(rig->jobs[1].job.result, UT_OK);
    assert_int_equal(rig->jobs[1].job.append.stored, 0);
    assert_int_equal(rig->jobs[1].job.append.duplicates, 10);
}

static void requests_that_arrive_during_a_commit_share_the_next(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    for (size_t i = 1; i <= 100; i++)
        assert_int_equal(ut_rig_submit(rig, i, &rig->batch2), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 101);
    assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 2);
    assert_int_equal(rig->jobs[1].job.append.stored, 10);
    assert_int_equal(rig->jobs[100].job.append.duplicates, 10);
}

static void a_group_ends_at_its_limits(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    for (size_t i = 1; i <= UT_STORE_THREAD_GROUP_MAX + 1; i++)
        assert_int_equal(ut_rig_submit(rig, i, &rig->batch2), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_GROUP_MAX + 2);
    assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 3);

    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    const size_t bytes = UT_STORE_THREAD_GROUP_BYTES_MAX + 1;
    for (size_t i = 1; i <= 3; i++)
        assert_int_equal(ut_rig_submit_bytes(rig, i, &rig->batch2, bytes), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_GROUP_MAX + 6);
    assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 7);
}

static void a_full_queue_refuses(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    for (size_t i = 1; i <= UT_STORE_THREAD_QUEUE_MAX; i++)
        assert_int_equal(ut_rig_submit(rig, i, &rig->batch2), UT_OK);
    assert_int_equal(ut_rig_submit(rig, UT_STORE_THREAD_QUEUE_MAX + 1, &rig->batch2), UT_EAGAIN);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_QUEUE_MAX + 1);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch2), UT_OK);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_QUEUE_MAX + 2);
}

static void a_failed_commit_fails_its_requests_and_later_ones_work(void **state)
{
    ut_rig *rig = *state;
    const ut_err errs[] = {UT_ENOSPC, UT_EIO, UT_EFULL};
    size_t done = 0;
    for (size_t k = 0; k < 3; k++) {
        ut_engine_gate_fail(rig->gate, errs[k]);
        ut_engine_gate_hold(rig->gate, true);
        assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
        ut_rig_wait_at_gate(rig);
        for (size_t i = 1; i < 10; i++)
            assert_int_equal(ut_rig_submit(rig, i, &rig->batch2), UT_OK);
        ut_engine_gate_hold(rig->gate, false);
        done += 10;
        ut_rig_wait_for_done(rig, done);
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(rig->jobs[i].job.result, errs[k]);
        ut_engine_gate_fail(rig->gate, UT_OK);
        assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
        done++;
        ut_rig_wait_for_done(rig, done);
        assert_int_equal(rig->jobs[0].job.result, UT_OK);
        assert_int_equal(rig->jobs[0].job.append.stored, k == 0 ? 10 : 0);
    }
}

static void a_request_that_does_not_fit_fails_alone(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_STORE_BYTES_MIN, 0);
    ut_batch big;
    ut_batch_init(&big, UT_RIG_BATCH_BYTES_MAX);
    ut_make_big_spans(3, 20000, &big);
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    assert_int_equal(ut_rig_submit(rig, 2, &big), UT_OK);
    rig->jobs[2].job.bytes = 1;
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 3);
    assert_int_equal(rig->jobs[0].job.result, UT_OK);
    assert_int_equal(rig->jobs[1].job.result, UT_OK);
    assert_int_equal(rig->jobs[1].job.append.stored, 10);
    assert_int_equal(rig->jobs[2].job.result, UT_ELIMIT);
    ut_batch_free(&big);
}

#define CLAIM(name)      cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
#define CLAIM_BARE(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up_bare, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_request_is_handed_back_when_it_is_committed),
        CLAIM(requests_that_arrive_during_a_commit_share_the_next),
        CLAIM(a_group_ends_at_its_limits),
        CLAIM(a_full_queue_refuses),
        CLAIM(a_failed_commit_fails_its_requests_and_later_ones_work),
        CLAIM_BARE(a_request_that_does_not_fit_fails_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
