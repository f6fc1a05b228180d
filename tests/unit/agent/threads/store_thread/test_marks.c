// Marks: when they are committed, and what one that cannot be written means for the others.
#include "agent/threads/sweep_timer.h"
#include "storage/store/key.h"
#include "tests/unit/agent/threads/store_thread/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <string.h>

enum {
    SHORT_MS = 50,
    LONG_MS = 10 * UT_RIG_PATIENCE_MS, // what happens in a test did not wait for it
    ASLEEP_MS = 20,                    // in which a thread falls asleep that has nothing to do
    ROUNDS = 8,
    ROUNDS_MS = ROUNDS * UT_SWEEP_TIMER_PAUSE_MS / 2,
};

static int set_up(void **state, uint32_t mark_delay_ms)
{
    (void)ut_rig_set_up_bare(state);
    ut_rig *rig = *state;
    rig->mark_delay_ms = mark_delay_ms;
    ut_rig_start(rig, UT_RIG_BUDGET, 0);
    return 0;
}

static int set_up_short(void **state)
{
    return set_up(state, SHORT_MS);
}

static int set_up_long(void **state)
{
    return set_up(state, LONG_MS);
}

static void wait_for_commit(ut_rig *rig, unsigned before)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_commits(rig->gate) == before)
        ut_rig_give_up_after(begin_ms, "a commit of marks");
}

static void marks_are_committed_by_themselves_after_their_delay(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    const uint64_t begin_ms = ut_clock_mono_ms();
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    wait_for_commit(rig, before);
    assert_true(ut_clock_mono_ms() - begin_ms >= SHORT_MS);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

// A thread that would sleep longer is woken to set its alarm.
static void a_mark_does_not_wait_for_the_next_sweep(void **state)
{
    uint64_t took_ms = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        (void)set_up_short(state);
        ut_rig *rig = *state;
        const uint64_t begin_ms = ut_clock_mono_ms();
        while (ut_clock_mono_ms() - begin_ms < ASLEEP_MS)
            (void)sched_yield();
        const unsigned before = ut_engine_gate_commits(rig->gate);
        const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
        assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
        wait_for_commit(rig, before);
        took_ms += ut_clock_mono_ms() - begin_ms;
        (void)ut_rig_tear_down(state);
    }
    assert_true(took_ms < ROUNDS_MS);
}

static void marks_wait_for_the_next_request(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    ut_rig_wait_for_done(rig, 2);
    ut_rig_join(rig); // a mark that is left would be committed here
    assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 1);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

static void many_marks_do_not_wait(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    for (size_t i = 0; i < UT_STORE_THREAD_MARKS_EARLY; i++)
        assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    wait_for_commit(rig, before);
    assert_int_equal(atomic_load(&rig->marks_taken), 0); // none was refused
}

// A destination that is away: each try fails, and nothing else happens.
static void failed_tries_cost_no_commit_of_their_own(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_PENDING);
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (mark.attempts = 1; mark.attempts <= 3 * UT_STORE_THREAD_MARKS_MAX; mark.attempts++)
        assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    while (ut_clock_mono_ms() - begin_ms < 4 * SHORT_MS)
        (void)sched_yield();
    // Unless this machine took so long that they were due.
    if (ut_clock_mono_ms() - begin_ms < (uint64_t)SHORT_MS * UT_STORE_THREAD_TRY_DELAYS)
        assert_int_equal(ut_engine_gate_commits(rig->gate), before);
    // One that must not wait takes them along.
    mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    wait_for_commit(rig, before);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

static void failed_tries_are_committed_at_the_end(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_PENDING);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_join(rig);
    assert_int_equal(ut_engine_gate_commits(rig->gate), before + 1);
}

static void marks_ride_along_with_requests(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    assert_int_equal(ut_rig_submit(rig, 2, &rig->batch2), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 3);
    ut_rig_join(rig);
    assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 2);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

static void marks_are_kept_while_commits_fail(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    ut_engine_gate_fail(rig->gate, UT_ENOSPC);
    uint16_t ordinals[] = {3, 4};
    ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    mark.spans_dead = 2;
    mark.dead_ordinals = ordinals;
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    memset(ordinals, 0xff, sizeof(ordinals)); // they were borrowed for the call only
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_commits(rig->gate) < before + 2)
        ut_rig_give_up_after(begin_ms, "a second try");
    ut_engine_gate_fail(rig->gate, UT_OK);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 8);
    assert_int_equal(ut_rig_destination_of(rig).counts.dead, 2);

    // The dead letter says which: its fourth field.
    ut_txn *txn = NULL;
    ut_bytes value = UT_BYTES_NONE;
    const ut_key key = ut_key_dead(UT_ORG_DEFAULT, rig->dest, 1);
    assert_int_equal(rig->engine->class->begin(rig->engine, false, &txn), UT_OK);
    assert_int_equal(rig->engine->class->get(txn, ut_key_bytes(&key), &value), UT_OK);
    ut_mp_reader reader = ut_mp_reader_of(value);
    (void)ut_mp_get_array(&reader);
    for (int i = 0; i < 3; i++)
        (void)ut_mp_skip(&reader);
    assert_int_equal(ut_mp_get_array(&reader), 2);
    assert_int_equal(ut_mp_get_uint(&reader), 3);
    assert_int_equal(ut_mp_get_uint(&reader), 4);
    assert_int_equal(reader.err, UT_OK);
    rig->engine->class->abort(txn);
}

// A commit of marks alone has no request that could be too large: it is tried again after a pause.
static void marks_that_meet_a_limit_are_tried_again_after_a_pause(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    ut_engine_gate_fail(rig->gate, UT_ELIMIT);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    const uint64_t begin_ms = ut_clock_mono_ms();
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    while (ut_engine_gate_commits(rig->gate) < before + 6)
        ut_rig_give_up_after(begin_ms, "a sixth try");
    assert_true(ut_clock_mono_ms() - begin_ms >= SHORT_MS + UT_STORE_THREAD_BACKOFF_MS);
    ut_engine_gate_fail(rig->gate, UT_OK);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 10);
}

// A mark that says more spans are dead than its block has is cut to what there is.
static void a_mark_that_cannot_be_true_fails_no_request(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    ut_delivery bad = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    bad.spans_dead = 11;
    const ut_delivery good = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    const ut_delivery good2 = ut_rig_mark_of(rig, 2, UT_DELIVERY_DEAD);
    assert_int_equal(ut_store_thread_mark(rig->thread, &bad), UT_OK);
    assert_int_equal(ut_store_thread_mark(rig->thread, &good), UT_OK);
    assert_int_equal(ut_store_thread_mark(rig->thread, &bad), UT_OK);
    assert_int_equal(ut_store_thread_mark(rig->thread, &good2), UT_OK);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 2);
    assert_int_equal(rig->jobs[1].job.result, UT_OK);
    assert_int_equal(rig->jobs[1].job.append.stored, 10);
    assert_int_equal(ut_rig_submit(rig, 2, &rig->batch2), UT_OK);
    ut_rig_wait_for_done(rig, 3);
    assert_int_equal(rig->jobs[2].job.result, UT_OK);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 0);
    assert_int_equal(ut_rig_destination_of(rig).counts.dead, 20);
}

static void a_mark_that_cannot_be_written_fails_no_request(void **state)
{
    ut_rig *rig = *state;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const ut_key key = ut_key_delivery(UT_ORG_DEFAULT, rig->dest, 1);
    ut_engine_gate_fail_key(rig->gate, ut_key_bytes(&key), UT_EINVAL);
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    const ut_delivery bad = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    const ut_delivery good = ut_rig_mark_of(rig, 2, UT_DELIVERY_DEAD);
    assert_int_equal(ut_store_thread_mark(rig->thread, &bad), UT_OK);
    assert_int_equal(ut_store_thread_mark(rig->thread, &good), UT_OK);
    assert_int_equal(ut_store_thread_mark(rig->thread, &bad), UT_OK);
    assert_int_equal(ut_rig_submit(rig, 2, &rig->batch2), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 3);
    assert_int_equal(rig->jobs[2].job.result, UT_OK);
    assert_int_equal(rig->jobs[2].job.append.stored, 10);
    ut_rig_join(rig);
    assert_int_equal(ut_rig_destination_of(rig).counts.delivered, 0);
    assert_int_equal(ut_rig_destination_of(rig).counts.dead, 10);
}

static void marks_over_the_limit_are_refused_until_there_is_room(void **state)
{
    ut_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_at_gate(rig);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    for (size_t i = 0; i < UT_STORE_THREAD_MARKS_MAX; i++)
        assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_EAGAIN);
    assert_int_equal(atomic_load(&rig->marks_taken), 0);
    ut_engine_gate_hold(rig->gate, false);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (atomic_load(&rig->marks_taken) == 0)
        ut_rig_give_up_after(begin_ms, "room for marks");
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_wait_for_done(rig, 1);
}

#define CLAIM(name, length) cmocka_unit_test_setup_teardown(name, set_up_##length, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(marks_are_committed_by_themselves_after_their_delay, short),
        cmocka_unit_test(a_mark_does_not_wait_for_the_next_sweep),
        CLAIM(marks_wait_for_the_next_request, long),
        CLAIM(many_marks_do_not_wait, long),
        CLAIM(failed_tries_cost_no_commit_of_their_own, short),
        CLAIM(failed_tries_are_committed_at_the_end, long),
        CLAIM(marks_ride_along_with_requests, long),
        CLAIM(marks_are_kept_while_commits_fail, short),
        CLAIM(marks_that_meet_a_limit_are_tried_again_after_a_pause, short),
        CLAIM(a_mark_that_cannot_be_true_fails_no_request, long),
        CLAIM(a_mark_that_cannot_be_written_fails_no_request, long),
        CLAIM(marks_over_the_limit_are_refused_until_there_is_room, long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
