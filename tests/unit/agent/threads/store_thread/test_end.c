// The end of the store thread: what waits is committed first, as far as commits work.
#include "tests/unit/agent/threads/store_thread/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

static void the_end_commits_what_waits(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_join(rig);
    assert_int_equal(rig->done, 2);
    assert_int_equal(rig->jobs[1].job.result, UT_OK);
    assert_int_equal(ut_rig_destination_of(rig).counts.accepted, 20);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
    assert_int_equal(ut_rig_submit(rig, 2, &rig->batch2), UT_EAGAIN);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_EAGAIN);
}

static void the_end_commits_marks_that_wait_alone(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

static void the_end_comes_although_commits_fail(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    ut_engine_gate_fail(rig->gate, UT_EIO);
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    ut_rig_wait_at_gate(rig);
    assert_int_equal(ut_rig_submit(rig, 2, &rig->batch2), UT_OK);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_join(rig);
    assert_int_equal(rig->done, 3);
    assert_int_equal(rig->jobs[1].job.result, UT_EIO);
    assert_int_equal(rig->jobs[2].job.result, UT_EIO);
}

static void *join_elsewhere(void *thread)
{
    ut_store_thread_join(thread);
    return NULL;
}

// The end is asked for while a commit of marks is under way, and that commit fails.
static void the_end_tries_once_more_what_failed_before_it(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    ut_engine_gate_hold(rig->gate, true);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_wait_at_gate(rig);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, join_elsewhere, rig->thread), 0);
    const uint64_t begin_ms = ut_clock_mono_ms();
    const ut_delivery other_mark = ut_rig_mark_of(rig, 2, UT_DELIVERY_DELIVERED); // of no block
    while (ut_store_thread_mark(rig->thread, &other_mark) == UT_OK) // until it knows of the end
        ut_rig_give_up_after(begin_ms, "the wish to end");
    ut_engine_gate_fail_once(rig->gate, UT_ENOSPC);
    ut_engine_gate_hold(rig->gate, false);
    assert_int_equal(pthread_join(other, NULL), 0);
    rig->joined = true;
    ut_store_thread_deliver(rig->thread);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_end_commits_what_waits),
        CLAIM(the_end_commits_marks_that_wait_alone),
        CLAIM(the_end_comes_although_commits_fail),
        CLAIM(the_end_tries_once_more_what_failed_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
