// commit_delay: a commit waits for company, counted from its first request, and what ends the wait.
// LONG_MS is longer than a test may take: what happens before it did not wait for it.
#include "tests/support/otlp_body.h"
#include "tests/unit/agent/threads/store_thread/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SHORT_MS = 150, LONG_MS = 10 * UT_RIG_PATIENCE_MS };

static void requests_within_the_delay_share_one_commit(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_RIG_BUDGET, SHORT_MS);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const uint64_t begin_ms = ut_clock_mono_ms();
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    const bool together = ut_clock_mono_ms() - begin_ms < SHORT_MS;
    ut_rig_wait_for_done(rig, 2);
    assert_true(ut_clock_mono_ms() - begin_ms >= SHORT_MS); // none is answered before
    if (together)
        assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 1);
    assert_int_equal(rig->jobs[0].job.append.stored, 10);
    assert_int_equal(rig->jobs[1].job.append.stored, 10);
}

// A request that came during a commit has waited already when that ends. Here it is said to have
// waited the whole of a delay that is longer than the test may take.
static void the_delay_is_counted_from_the_first_request(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_RIG_BUDGET, LONG_MS);
    ut_engine_gate_hold(rig->gate, true);
    const size_t bytes = UT_STORE_THREAD_GROUP_BYTES_MAX;
    assert_int_equal(ut_rig_submit_bytes(rig, 0, &rig->batch, bytes), UT_OK); // full: no delay
    ut_rig_wait_at_gate(rig);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    rig->jobs[1].job.since_ms -= LONG_MS; // the thread is held, and reads it after the commit
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, 2);
    assert_int_equal(rig->jobs[1].job.result, UT_OK);
}

static void a_full_group_ends_the_wait(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_RIG_BUDGET, LONG_MS);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    for (size_t i = 0; i < UT_STORE_THREAD_GROUP_MAX; i++)
        assert_int_equal(ut_rig_submit(rig, i, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_GROUP_MAX);
    assert_int_equal(ut_engine_gate_commits(rig->gate) - before, 1);

    // And one that is full by its bytes.
    const size_t bytes = UT_STORE_THREAD_GROUP_BYTES_MAX;
    assert_int_equal(ut_rig_submit_bytes(rig, 0, &rig->batch2, bytes), UT_OK);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_GROUP_MAX + 1);
}

static void a_full_queue_ends_the_wait_too(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_RIG_BUDGET, LONG_MS);
    ut_engine_gate_hold(rig->gate, true);
    const size_t bytes = UT_STORE_THREAD_GROUP_BYTES_MAX;
    assert_int_equal(ut_rig_submit_bytes(rig, 0, &rig->batch, bytes), UT_OK);
    ut_rig_wait_at_gate(rig);
    for (size_t i = 1; i <= UT_STORE_THREAD_QUEUE_MAX; i++)
        assert_int_equal(ut_rig_submit(rig, i, &rig->batch2), UT_OK);
    ut_engine_gate_hold(rig->gate, false);
    ut_rig_wait_for_done(rig, UT_STORE_THREAD_QUEUE_MAX + 1);
}

static void the_end_ends_the_wait(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_RIG_BUDGET, LONG_MS);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_rig_join(rig);
    assert_true(ut_clock_mono_ms() - begin_ms < LONG_MS);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->jobs[0].job.result, UT_OK);
}

static void many_marks_end_the_wait(void **state)
{
    ut_rig *rig = *state;
    rig->mark_delay_ms = LONG_MS;
    ut_rig_start(rig, UT_RIG_BUDGET, LONG_MS);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    for (size_t i = 0; i < UT_STORE_THREAD_MARKS_EARLY; i++)
        assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    ut_rig_wait_for_done(rig, 1);
}

typedef struct {
    ut_store_call call; // first member
    unsigned commits;   // before it
    ut_rig *rig;
    bool done;
} test_call;

static void on_call(ut_store_call *call, ut_store *store)
{
    test_call *t = (test_call *)(void *)call;
    (void)store;
    t->commits = ut_engine_gate_commits(t->rig->gate);
}

static void on_called(ut_store_call *call)
{
    ((test_call *)(void *)call)->done = true;
}

// A call is not put off by a commit that waits.
static void calls_run_during_the_wait(void **state)
{
    ut_rig *rig = *state;
    ut_rig_start(rig, UT_RIG_BUDGET, LONG_MS);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    test_call call = {.call = {.run = on_call, .done = on_called}, .rig = rig};
    assert_int_equal(ut_store_thread_call(rig->thread, &call.call), UT_OK);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (!call.done) {
        ut_store_thread_deliver(rig->thread);
        ut_rig_give_up_after(begin_ms, "a call");
    }
    assert_int_equal(call.commits, before);
    assert_int_equal(rig->done, 0);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up_bare, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(requests_within_the_delay_share_one_commit),
        CLAIM(the_delay_is_counted_from_the_first_request),
        CLAIM(a_full_group_ends_the_wait),
        CLAIM(a_full_queue_ends_the_wait_too),
        CLAIM(the_end_ends_the_wait),
        CLAIM(many_marks_end_the_wait),
        CLAIM(calls_run_during_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
