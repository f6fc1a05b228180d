// Calls: each runs on the store thread, soon, and without holding up requests.
#include "agent/threads/sweep_timer.h"
#include "tests/unit/agent/threads/store_thread/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum {
    CALL_ROUNDS = 8,
    CALL_ROUNDS_MS = CALL_ROUNDS * UT_SWEEP_TIMER_PAUSE_MS / 2,
};

typedef struct {
    ut_store_call call; // first member
    pthread_t ran_on;
    ut_store *store;
    uint64_t spans;
    unsigned done;
} test_call;

static void call_run(ut_store_call *call, ut_store *store)
{
    test_call *t = (test_call *)(void *)call;
    ut_store_counts counts;
    ut_store_get_counts(store, &counts);
    t->ran_on = pthread_self();
    t->store = store;
    t->spans = counts.spans_stored;
}

static void call_done(ut_store_call *call)
{
    test_call *t = (test_call *)(void *)call;
    t->done++;
}

static void a_call_runs_on_the_store_thread(void **state)
{
    ut_rig *rig = *state;
    test_call calls[UT_STORE_THREAD_CALLS_MAX + 1];
    memset(calls, 0, sizeof(calls));
    for (size_t i = 0; i <= UT_STORE_THREAD_CALLS_MAX; i++)
        calls[i].call = (ut_store_call){.run = call_run, .done = call_done};
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);

    // As many as may wait, behind a commit that is held up.
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    ut_rig_wait_at_gate(rig);
    for (size_t i = 0; i < UT_STORE_THREAD_CALLS_MAX; i++)
        assert_int_equal(ut_store_thread_call(rig->thread, &calls[i].call), UT_OK);
    assert_int_equal(ut_store_thread_call(rig->thread, &calls[UT_STORE_THREAD_CALLS_MAX].call),
                     UT_EAGAIN);
    ut_engine_gate_hold(rig->gate, false);
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (size_t i = 0; i < UT_STORE_THREAD_CALLS_MAX; i++) {
        while (calls[i].done == 0) {
            ut_store_thread_deliver(rig->thread);
            ut_rig_give_up_after(begin_ms, "a call");
        }
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].spans, 20);
        assert_ptr_equal(calls[i].store, rig->store);
        assert_false(pthread_equal(calls[i].ran_on, pthread_self()));
    }
    // The last ones are run at the end, and none after it.
    test_call *late = &calls[UT_STORE_THREAD_CALLS_MAX];
    assert_int_equal(ut_store_thread_call(rig->thread, &late->call), UT_OK);
    ut_rig_join(rig);
    assert_int_equal(late->done, 1);
    assert_int_equal(ut_store_thread_call(rig->thread, &late->call), UT_EAGAIN);
}

typedef struct {
    ut_store_call call; // first member
    ut_rig *rig;
    atomic_bool held;
    atomic_bool begun;
    atomic_bool done;
    unsigned commits; // before it
} held_call;

static void held_run(ut_store_call *call, ut_store *store)
{
    held_call *h = (held_call *)(void *)call;
    (void)store;
    h->commits = ut_engine_gate_commits(h->rig->gate);
    atomic_store(&h->begun, true);
    while (atomic_load(&h->held))
        (void)sched_yield();
}

static void held_done(ut_store_call *call)
{
    held_call *h = (held_call *)(void *)call;
    atomic_store(&h->done, true);
}

static void held_make(ut_rig *rig, held_call *h, bool held)
{
    memset(h, 0, sizeof(*h));
    h->call = (ut_store_call){.run = held_run, .done = held_done};
    h->rig = rig;
    atomic_init(&h->held, held);
    assert_int_equal(ut_store_thread_call(rig->thread, &h->call), UT_OK);
}

static void wait_for_call(ut_rig *rig, atomic_bool *what)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (!atomic_load(what)) {
        ut_store_thread_deliver(rig->thread);
        ut_rig_give_up_after(begin_ms, "a call");
    }
}

static void a_call_that_comes_during_another_runs_at_once(void **state)
{
    ut_rig *rig = *state;
    held_call first;
    held_call second;
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (int i = 0; i < CALL_ROUNDS; i++) {
        held_make(rig, &first, true);
        wait_for_call(rig, &first.begun);
        held_make(rig, &second, false);
        atomic_store(&first.held, false);
        wait_for_call(rig, &second.done);
        wait_for_call(rig, &first.done);
    }
    // Not only when the next sweep wakes the thread.
    assert_true(ut_clock_mono_ms() - begin_ms < CALL_ROUNDS_MS);
}

static void a_request_waits_for_one_call_at_most(void **state)
{
    ut_rig *rig = *state;
    held_call first;
    held_call later[3];
    held_make(rig, &first, true);
    wait_for_call(rig, &first.begun);
    for (size_t i = 0; i < 3; i++)
        held_make(rig, &later[i], false);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    atomic_store(&first.held, false);
    for (size_t i = 0; i < 3; i++)
        wait_for_call(rig, &later[i].done);
    for (size_t i = 0; i < 3; i++)
        assert_true(later[i].commits > first.commits);
    ut_rig_wait_for_done(rig, 1);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_call_runs_on_the_store_thread),
        CLAIM(a_call_that_comes_during_another_runs_at_once),
        CLAIM(a_request_waits_for_one_call_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
