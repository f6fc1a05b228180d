// The one operation: its slices between commits, its end, and how it is cancelled.
#include "tests/unit/agent/threads/store_thread/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

// Counts to `total`, one a slice.
typedef struct {
    ut_operation base; // first member
    uint64_t total;
    uint64_t fail_at; // the slice with this number fails with err; 0: none
    ut_err err;
    atomic_uint allowed; // slices that may end
    atomic_uint begun;   // slices
    atomic_uint freed;   // times
    atomic_uint commits; // of the gate, when the slice began
    ut_rig *rig;
} counting;

static ut_err counting_step(ut_operation *base, ut_store *store, uint64_t now_ns, bool *more,
                            ut_fault *fault)
{
    counting *c = (counting *)(void *)base;
    assert_ptr_equal(store, c->rig->store);
    assert_true(now_ns > 0);
    atomic_store(&c->commits, ut_engine_gate_commits(c->rig->gate));
    const unsigned number = atomic_fetch_add(&c->begun, 1) + 1;
    while (number > atomic_load(&c->allowed))
        (void)sched_yield();
    if (number == c->fail_at)
        return ut_fault_set(fault, c->err, "slice %u failed", number);
    base->progress.done += 1;
    base->progress.total = c->total;
    *more = base->progress.done < c->total;
    return UT_OK;
}

static void counting_free(ut_operation *base)
{
    counting *c = (counting *)(void *)base;
    atomic_fetch_add(&c->freed, 1);
}

static const ut_operation_class counting_class = {
    .name_z = "counting", .step = counting_step, .free = counting_free};

static void counting_init(counting *c, ut_rig *rig, uint64_t total)
{
    memset(c, 0, sizeof(*c));
    c->base.class = &counting_class;
    c->total = total;
    c->rig = rig;
    atomic_init(&c->allowed, UINT_MAX);
    atomic_init(&c->begun, 0);
    atomic_init(&c->freed, 0);
    atomic_init(&c->commits, 0);
}

static void begin(ut_rig *rig, counting *c, uint64_t expected_number)
{
    uint64_t number = 0;
    assert_int_equal(ut_store_thread_begin(rig->thread, &c->base, &number), UT_OK);
    assert_int_equal(number, expected_number);
}

static ut_store_operation_status wait_for_operation(ut_rig *rig)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_store_operation_status status;
    for (;;) {
        ut_store_thread_operation(rig->thread, &status);
        if (status.state != UT_STORE_OPERATION_RUNNING)
            return status;
        ut_rig_give_up_after(begin_ms, "the end of the operation");
    }
}

static void wait_for_slices(counting *c, unsigned count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (atomic_load(&c->begun) < count)
        ut_rig_give_up_after(begin_ms, "a slice");
}

static void an_operation_runs_in_slices_to_its_end(void **state)
{
    ut_rig *rig = *state;
    counting c;
    ut_store_operation_status status;
    ut_store_thread_operation(rig->thread, &status);
    assert_int_equal(status.state, UT_STORE_OPERATION_NONE);
    for (uint64_t i = 1; i <= 3; i++) {
        counting_init(&c, rig, 5);
        begin(rig, &c, i);
        status = wait_for_operation(rig);
        assert_int_equal(status.state, UT_STORE_OPERATION_DONE);
        assert_int_equal(status.number, i);
        assert_string_equal(status.name_z, "counting");
        assert_int_equal(status.progress.done, 5);
        assert_int_equal(status.progress.total, 5);
        assert_int_equal(atomic_load(&c.begun), 5);
        assert_int_equal(atomic_load(&c.freed), 1);
    }
}

static void one_operation_at_a_time_is_under_way(void **state)
{
    ut_rig *rig = *state;
    counting first;
    counting second;
    uint64_t number = 77;
    counting_init(&first, rig, 2);
    counting_init(&second, rig, 2);
    atomic_store(&first.allowed, 0);
    begin(rig, &first, 1);
    wait_for_slices(&first, 1);
    assert_int_equal(ut_store_thread_begin(rig->thread, &second.base, &number), UT_EBUSY);
    assert_int_equal(number, 77);
    atomic_store(&first.allowed, UINT_MAX);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    assert_int_equal(atomic_load(&second.begun), 0);
    assert_int_equal(atomic_load(&second.freed), 0);
    begin(rig, &second, 2);
    assert_int_equal(wait_for_operation(rig).number, 2);
}

static void a_commit_waits_for_one_slice_at_most(void **state)
{
    ut_rig *rig = *state;
    counting c;
    counting_init(&c, rig, UINT64_MAX);
    atomic_store(&c.allowed, 0);
    begin(rig, &c, 1);
    for (unsigned i = 1; i <= 20; i++) {
        wait_for_slices(&c, i); // it is held
        const unsigned commits = ut_engine_gate_commits(rig->gate);
        assert_int_equal(ut_rig_submit(rig, i, i % 2 == 0 ? &rig->batch : &rig->batch2), UT_OK);
        atomic_store(&c.allowed, i);
        wait_for_slices(&c, i + 1);
        assert_true(atomic_load(&c.commits) > commits); // it came before the slice
        ut_rig_wait_for_done(rig, i);
    }
    assert_true(ut_store_thread_cancel(rig->thread, 0));
    atomic_store(&c.allowed, UINT_MAX);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_CANCELED);
}

static void an_operation_is_cancelled_between_slices(void **state)
{
    ut_rig *rig = *state;
    counting c;
    assert_false(ut_store_thread_cancel(rig->thread, 0));
    counting_init(&c, rig, UINT64_MAX);
    begin(rig, &c, 1);
    wait_for_slices(&c, 3);
    assert_true(ut_store_thread_cancel(rig->thread, 0));
    const ut_store_operation_status status = wait_for_operation(rig);
    assert_int_equal(status.state, UT_STORE_OPERATION_CANCELED);
    assert_true(status.progress.done >= 3);
    assert_int_equal(atomic_load(&c.freed), 1);
    assert_false(ut_store_thread_cancel(rig->thread, 0));
}

static void only_the_operation_that_is_meant_is_cancelled(void **state)
{
    ut_rig *rig = *state;
    counting first;
    counting second;
    counting_init(&first, rig, 1);
    begin(rig, &first, 1);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    counting_init(&second, rig, UINT64_MAX);
    begin(rig, &second, 2);
    wait_for_slices(&second, 1);
    assert_false(ut_store_thread_cancel(rig->thread, 1));
    assert_false(ut_store_thread_cancel(rig->thread, 3));
    const unsigned slices = atomic_load(&second.begun);
    wait_for_slices(&second, slices + 3); // it goes on
    assert_true(ut_store_thread_cancel(rig->thread, 2));
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_CANCELED);
}

static void the_end_of_an_operation_is_logged_without_the_lock(void **state)
{
    ut_rig *rig = *state;
    counting c;
    const uint64_t begin_ms = ut_clock_mono_ms();
    counting_init(&c, rig, 1);
    atomic_store(&rig->log_held, true);
    begin(rig, &c, 1);
    while (!atomic_load(&rig->log_reached))
        ut_rig_give_up_after(begin_ms, "a line in the log");
    assert_int_equal(ut_store_thread_waiting(rig->thread), 0); // others get through meanwhile
    atomic_store(&rig->log_passed, true);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    atomic_store(&rig->log_held, false);
    assert_false(atomic_load(&rig->log_late));
}

static void an_operation_that_fails_says_why(void **state)
{
    ut_rig *rig = *state;
    counting c;
    counting_init(&c, rig, 10);
    c.fail_at = 4;
    c.err = UT_ENOSPC;
    begin(rig, &c, 1);
    const ut_store_operation_status status = wait_for_operation(rig);
    assert_int_equal(status.state, UT_STORE_OPERATION_FAILED);
    assert_int_equal(status.fault.code, UT_ENOSPC);
    assert_string_equal(status.fault.text_z, "slice 4 failed");
    assert_int_equal(status.progress.done, 3);
    assert_int_equal(atomic_load(&c.freed), 1);
    counting_init(&c, rig, 10);
    begin(rig, &c, 2);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
}

static void an_operation_that_must_wait_is_tried_again(void **state)
{
    ut_rig *rig = *state;
    counting c;
    counting_init(&c, rig, 10);
    c.fail_at = 4;
    c.err = UT_EAGAIN;
    begin(rig, &c, 1);
    const ut_store_operation_status status = wait_for_operation(rig);
    assert_int_equal(status.state, UT_STORE_OPERATION_DONE);
    assert_int_equal(status.progress.done, 10);
    assert_int_equal(atomic_load(&c.begun), 11);
}

static void the_end_cancels_an_operation(void **state)
{
    ut_rig *rig = *state;
    counting c;
    uint64_t number;
    counting_init(&c, rig, UINT64_MAX);
    begin(rig, &c, 1);
    wait_for_slices(&c, 3);
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_join(rig);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->jobs[0].job.result, UT_OK);
    assert_int_equal(atomic_load(&c.freed), 1);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_CANCELED);
    assert_int_equal(ut_store_thread_begin(rig->thread, &c.base, &number), UT_ECANCELED);
}

// An operation may count, or remove, what is not delivered: it sees what was.
static void marks_that_wait_are_committed_before_its_first_slice(void **state)
{
    ut_rig *rig = *state;
    counting c;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    counting_init(&c, rig, 1);
    begin(rig, &c, 1);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    assert_int_equal(atomic_load(&c.commits) - before, 1);
}

// Also when both came during a commit, behind which a slice would be next.
static void marks_that_wait_for_a_commit_are_committed_before_its_first_slice(void **state)
{
    ut_rig *rig = *state;
    counting c;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    ut_engine_gate_hold(rig->gate, true);
    assert_int_equal(ut_rig_submit(rig, 1, &rig->batch2), UT_OK);
    ut_rig_wait_at_gate(rig);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    counting_init(&c, rig, 1);
    begin(rig, &c, 1);
    ut_engine_gate_hold(rig->gate, false);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    assert_int_equal(atomic_load(&c.commits) - before, 2);
}

// A mark that comes during a slice is committed before the next one.
static void marks_do_not_wait_during_an_operation(void **state)
{
    ut_rig *rig = *state;
    counting c;
    assert_int_equal(ut_rig_submit(rig, 0, &rig->batch), UT_OK);
    ut_rig_wait_for_done(rig, 1);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    counting_init(&c, rig, 2);
    atomic_store(&c.allowed, 0);
    begin(rig, &c, 1);
    wait_for_slices(&c, 1);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    atomic_store(&c.allowed, UINT_MAX);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    assert_int_equal(atomic_load(&c.commits) - before, 1);
}

// Stores a block that has expired, and holds up the sweep that will remove it.
typedef struct {
    ut_store_call call; // first member
    ut_rig *rig;
    ut_err err;
} expired_block;

static void store_expired(ut_store_call *call, ut_store *store)
{
    expired_block *block = (expired_block *)(void *)call;
    ut_store_append append = {
        .org = UT_ORG_DEFAULT, .ttl_ms = 3600000, .batch = &block->rig->batch};
    block->err = ut_store_commit(store, UINT64_C(1700000000000000000), &append, 1, NULL, 0);
    ut_engine_gate_hold(block->rig->gate, true);
}

static void no_matter(ut_store_call *call)
{
    (void)call;
}

// The round had found no commit due when the operation came: its first slice waits all the same.
static void marks_are_committed_before_an_operation_that_comes_during_a_sweep(void **state)
{
    ut_rig *rig = *state;
    expired_block block = {.call = {.run = store_expired, .done = no_matter}, .rig = rig};
    counting c;
    assert_int_equal(ut_store_thread_call(rig->thread, &block.call), UT_OK);
    ut_rig_wait_at_gate(rig);
    assert_int_equal(block.err, UT_OK);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    const ut_delivery mark = ut_rig_mark_of(rig, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(rig->thread, &mark), UT_OK);
    counting_init(&c, rig, 1);
    begin(rig, &c, 1);
    ut_engine_gate_hold(rig->gate, false);
    assert_int_equal(wait_for_operation(rig).state, UT_STORE_OPERATION_DONE);
    assert_int_equal(atomic_load(&c.commits) - before, 2); // the sweep's, and that of the mark
    ut_rig_join(rig); // hands out the call, which must not outlive this function
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(an_operation_runs_in_slices_to_its_end),
        CLAIM(one_operation_at_a_time_is_under_way),
        CLAIM(a_commit_waits_for_one_slice_at_most),
        CLAIM(an_operation_is_cancelled_between_slices),
        CLAIM(only_the_operation_that_is_meant_is_cancelled),
        CLAIM(the_end_of_an_operation_is_logged_without_the_lock),
        CLAIM(an_operation_that_fails_says_why),
        CLAIM(an_operation_that_must_wait_is_tried_again),
        CLAIM(the_end_cancels_an_operation),
        CLAIM(marks_that_wait_are_committed_before_its_first_slice),
        CLAIM(marks_that_wait_for_a_commit_are_committed_before_its_first_slice),
        CLAIM(marks_do_not_wait_during_an_operation),
        CLAIM(marks_are_committed_before_an_operation_that_comes_during_a_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
