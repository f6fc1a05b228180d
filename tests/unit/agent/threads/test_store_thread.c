// The store thread over a real store: groups, failures, marks, the end.
#include "agent/threads/store_thread.h"
#include "storage/store/key.h"
#include "tests/support/engine_gate.h"
#include "tests/support/engine_memory.h"
#include "tests/support/otlp_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    PATIENCE_MS = 20000, // before a test says that something never happens
    BUDGET = 16 * 1024 * 1024,
    JOBS_MAX = UT_STORE_THREAD_QUEUE_MAX + 16,
    BATCH_BYTES_MAX = 64 * 1024 * 1024,
    LOG_HOLD_MS = 3000,
    CALL_ROUNDS = 8,
    CALL_ROUNDS_MS = CALL_ROUNDS * UT_STORE_THREAD_SWEEP_MS / 2,
};

typedef struct {
    ut_store_job job; // first member
    size_t *done;
} test_job;

typedef struct {
    ut_poller *poller;
    ut_engine *engine;
    ut_engine_gate *gate;
    ut_store *store;
    ut_store_thread *thread;
    bool joined;
    uint32_t dest;
    test_job jobs[JOBS_MAX];
    size_t done;
    _Atomic uint64_t seq;
    atomic_uint marks_taken;
    ut_batch batch;  // ten spans
    ut_batch batch2; // ten others
    ut_log log;
    atomic_bool log_held; // a line is not written before log_passed, within LOG_HOLD_MS
    atomic_bool log_reached;
    atomic_bool log_passed;
    atomic_bool log_late;
} fixture;

static void on_done(ut_store_job *job)
{
    test_job *t = (test_job *)(void *)job;
    (*t->done)++;
}

static void on_committed(void *context, uint64_t seq)
{
    fixture *f = context;
    atomic_store(&f->seq, seq);
}

static void on_marks_taken(void *context)
{
    fixture *f = context;
    atomic_fetch_add(&f->marks_taken, 1);
}

static void on_log(void *context, ut_log_level level, const char *line, size_t len)
{
    fixture *f = context;
    (void)level;
    (void)line;
    (void)len;
    if (!atomic_load(&f->log_held))
        return;
    const uint64_t until_ms = ut_clock_mono_ms() + LOG_HOLD_MS;
    atomic_store(&f->log_reached, true);
    while (!atomic_load(&f->log_passed)) {
        if (ut_clock_mono_ms() > until_ms) {
            atomic_store(&f->log_late, true);
            return;
        }
        (void)sched_yield();
    }
}

static void start(fixture *f, uint64_t budget)
{
    ut_fault fault = {UT_OK, ""};
    f->engine = ut_engine_memory_open(budget);
    f->gate = ut_engine_gate_put(f->engine);
    const ut_store_config store = {.bytes_max = budget, .ttl_ms = 0};
    if (ut_store_open(f->engine, &store, &f->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &f->dest),
                     UT_OK);
    f->log = (ut_log){.level = UT_LOG_INFO, .write = on_log, .context = f};
    const ut_store_thread_config config = {
        .store = f->store,
        .log = &f->log,
        .done_poller = f->poller,
        .committed = on_committed,
        .marks_taken = on_marks_taken,
        .context = f,
    };
    assert_int_equal(ut_store_thread_start(&config, &f->thread), UT_OK);
}

static int set_up_bare(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(ut_poller_open(&f->poller), UT_OK);
    ut_batch_init(&f->batch, BATCH_BYTES_MAX);
    ut_batch_init(&f->batch2, BATCH_BYTES_MAX);
    ut_make_spans(1, 10, &f->batch);
    ut_make_spans(2, 10, &f->batch2);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    (void)set_up_bare(state);
    start(*state, BUDGET);
    return 0;
}

static void join(fixture *f)
{
    ut_engine_gate_hold(f->gate, false);
    ut_store_thread_join(f->thread);
    ut_store_thread_deliver(f->thread);
    f->joined = true;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (!f->joined)
        join(f);
    ut_store_thread_free(f->thread);
    ut_store_close(f->store);
    ut_engine_gate_free(f->gate);
    ut_poller_close(f->poller);
    ut_batch_free(&f->batch);
    ut_batch_free(&f->batch2);
    free(f);
    return 0;
}

static ut_err submit(fixture *f, size_t i, const ut_batch *batch)
{
    f->jobs[i] = (test_job){.job = {.append = {.org = UT_ORG_DEFAULT, .batch = batch},
                                    .bytes = ut_batch_memory(batch),
                                    .done = on_done},
                            .done = &f->done};
    return ut_store_thread_submit(f->thread, &f->jobs[i].job);
}

static void give_up_after(uint64_t begin_ms, const char *what_z)
{
    if (ut_clock_mono_ms() - begin_ms > PATIENCE_MS)
        fail_msg("%s never happened", what_z);
    (void)sched_yield();
}

// Waits for wakes until so many are done.
static void wait_for_done(fixture *f, size_t count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (f->done < count) {
        ut_poll_event event;
        size_t events = 0;
        assert_int_equal(ut_poller_wait(f->poller, PATIENCE_MS, &event, 1, &events), UT_OK);
        ut_store_thread_deliver(f->thread);
        give_up_after(begin_ms, "the end of the requests");
    }
    assert_int_equal(f->done, count);
}

static void wait_at_gate(fixture *f)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(f->gate) == 0)
        give_up_after(begin_ms, "a commit");
}

static ut_store_destination destination_of(fixture *f)
{
    ut_store_destination out[4];
    assert_int_equal(ut_store_get_destinations(f->store, out, 4), 1);
    return out[0];
}

static ut_delivery mark_of(const fixture *f, uint64_t seq, ut_delivery_state state)
{
    return (ut_delivery){.org = UT_ORG_DEFAULT,
                         .dest = f->dest,
                         .seq = seq,
                         .state = state,
                         .attempts = 1,
                         .updated_ns = 1,
                         .spans = 10};
}

// ---- claims

static void a_request_is_handed_back_when_it_is_committed(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    ut_store_thread_deliver(f->thread);
    assert_int_equal(f->done, 0);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, 1);
    assert_int_equal(f->jobs[0].job.result, UT_OK);
    assert_int_equal(f->jobs[0].job.append.stored, 10);
    assert_int_equal(f->jobs[0].job.append.duplicates, 0);
    assert_true(atomic_load(&f->seq) >= 1);
    assert_int_equal(submit(f, 1, &f->batch), UT_OK);
    wait_for_done(f, 2);
    assert_int_equal(f->jobs[1].job.result, UT_OK);
    assert_int_equal(f->jobs[1].job.append.stored, 0);
    assert_int_equal(f->jobs[1].job.append.duplicates, 10);
}

static void requests_that_arrive_during_a_commit_share_the_next(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    const unsigned before = ut_engine_gate_commits(f->gate);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    for (size_t i = 1; i <= 100; i++)
        assert_int_equal(submit(f, i, &f->batch2), UT_OK);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, 101);
    assert_int_equal(ut_engine_gate_commits(f->gate) - before, 2);
    assert_int_equal(f->jobs[1].job.append.stored, 10);
    assert_int_equal(f->jobs[100].job.append.duplicates, 10);
}

static void a_group_ends_at_its_limits(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    const unsigned before = ut_engine_gate_commits(f->gate);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    for (size_t i = 1; i <= UT_STORE_THREAD_GROUP_MAX + 1; i++)
        assert_int_equal(submit(f, i, &f->batch2), UT_OK);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, UT_STORE_THREAD_GROUP_MAX + 2);
    assert_int_equal(ut_engine_gate_commits(f->gate) - before, 3);

    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    for (size_t i = 1; i <= 3; i++) {
        f->jobs[i] = (test_job){.job = {.append = {.org = UT_ORG_DEFAULT, .batch = &f->batch2},
                                        .bytes = UT_STORE_THREAD_GROUP_BYTES_MAX + 1,
                                        .done = on_done},
                                .done = &f->done};
        assert_int_equal(ut_store_thread_submit(f->thread, &f->jobs[i].job), UT_OK);
    }
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, UT_STORE_THREAD_GROUP_MAX + 6);
    assert_int_equal(ut_engine_gate_commits(f->gate) - before, 7);
}

static void a_full_queue_refuses(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    for (size_t i = 1; i <= UT_STORE_THREAD_QUEUE_MAX; i++)
        assert_int_equal(submit(f, i, &f->batch2), UT_OK);
    assert_int_equal(submit(f, UT_STORE_THREAD_QUEUE_MAX + 1, &f->batch2), UT_EAGAIN);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, UT_STORE_THREAD_QUEUE_MAX + 1);
    assert_int_equal(submit(f, 0, &f->batch2), UT_OK);
    wait_for_done(f, UT_STORE_THREAD_QUEUE_MAX + 2);
}

static void a_failed_commit_fails_its_requests_and_later_ones_work(void **state)
{
    fixture *f = *state;
    const ut_err errs[] = {UT_ENOSPC, UT_EIO, UT_EFULL};
    size_t done = 0;
    for (size_t k = 0; k < 3; k++) {
        ut_engine_gate_fail(f->gate, errs[k]);
        ut_engine_gate_hold(f->gate, true);
        assert_int_equal(submit(f, 0, &f->batch), UT_OK);
        wait_at_gate(f);
        for (size_t i = 1; i < 10; i++)
            assert_int_equal(submit(f, i, &f->batch2), UT_OK);
        ut_engine_gate_hold(f->gate, false);
        done += 10;
        wait_for_done(f, done);
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(f->jobs[i].job.result, errs[k]);
        ut_engine_gate_fail(f->gate, UT_OK);
        assert_int_equal(submit(f, 0, &f->batch), UT_OK);
        done++;
        wait_for_done(f, done);
        assert_int_equal(f->jobs[0].job.result, UT_OK);
        assert_int_equal(f->jobs[0].job.append.stored, k == 0 ? 10 : 0);
    }
}

static void a_request_that_does_not_fit_fails_alone(void **state)
{
    fixture *f = *state;
    start(f, UT_STORE_BYTES_MIN);
    ut_batch big;
    ut_batch_init(&big, BATCH_BYTES_MAX);
    ut_make_big_spans(3, 20000, &big);
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    assert_int_equal(submit(f, 1, &f->batch2), UT_OK);
    assert_int_equal(submit(f, 2, &big), UT_OK);
    f->jobs[2].job.bytes = 1;
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, 3);
    assert_int_equal(f->jobs[0].job.result, UT_OK);
    assert_int_equal(f->jobs[1].job.result, UT_OK);
    assert_int_equal(f->jobs[1].job.append.stored, 10);
    assert_int_equal(f->jobs[2].job.result, UT_ELIMIT);
    ut_batch_free(&big);
}

static void marks_are_committed_by_themselves_after_a_moment(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    const unsigned before = ut_engine_gate_commits(f->gate);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_commits(f->gate) == before)
        give_up_after(begin_ms, "a commit of marks");
    join(f);
    assert_int_equal(destination_of(f).counts.delivered, 10);
}

static void marks_ride_along_with_requests(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    const unsigned before = ut_engine_gate_commits(f->gate);
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 1, &f->batch), UT_OK);
    wait_at_gate(f);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    assert_int_equal(submit(f, 2, &f->batch2), UT_OK);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, 3);
    join(f);
    assert_int_equal(ut_engine_gate_commits(f->gate) - before, 2);
    assert_int_equal(destination_of(f).counts.delivered, 10);
}

static void marks_are_kept_while_commits_fail(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    const unsigned before = ut_engine_gate_commits(f->gate);
    ut_engine_gate_fail(f->gate, UT_ENOSPC);
    uint16_t ordinals[] = {3, 4};
    ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    mark.spans_dead = 2;
    mark.dead_ordinals = ordinals;
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    memset(ordinals, 0xff, sizeof ordinals); // they were borrowed for the call only
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_commits(f->gate) < before + 2)
        give_up_after(begin_ms, "a second try");
    ut_engine_gate_fail(f->gate, UT_OK);
    join(f);
    assert_int_equal(destination_of(f).counts.delivered, 8);
    assert_int_equal(destination_of(f).counts.dead, 2);

    // The dead letter says which: its fourth field.
    ut_txn *txn = NULL;
    ut_bytes value = UT_BYTES_NONE;
    const ut_key key = ut_key_dead(UT_ORG_DEFAULT, f->dest, 1);
    assert_int_equal(f->engine->class->begin(f->engine, false, &txn), UT_OK);
    assert_int_equal(f->engine->class->get(txn, ut_key_bytes(&key), &value), UT_OK);
    ut_mp_reader reader = ut_mp_reader_of(value);
    (void)ut_mp_get_array(&reader);
    for (int i = 0; i < 3; i++)
        (void)ut_mp_skip(&reader);
    assert_int_equal(ut_mp_get_array(&reader), 2);
    assert_int_equal(ut_mp_get_uint(&reader), 3);
    assert_int_equal(ut_mp_get_uint(&reader), 4);
    assert_int_equal(reader.err, UT_OK);
    f->engine->class->abort(txn);
}

// A mark that says more spans are dead than its block has is cut to what there is.
static void a_mark_that_cannot_be_true_fails_no_request(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    ut_delivery bad = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    bad.spans_dead = 11;
    const ut_delivery good = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    const ut_delivery good2 = mark_of(f, 2, UT_DELIVERY_DEAD);
    assert_int_equal(ut_store_thread_mark(f->thread, &bad), UT_OK);
    assert_int_equal(ut_store_thread_mark(f->thread, &good), UT_OK);
    assert_int_equal(ut_store_thread_mark(f->thread, &bad), UT_OK);
    assert_int_equal(ut_store_thread_mark(f->thread, &good2), UT_OK);
    assert_int_equal(submit(f, 1, &f->batch2), UT_OK);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, 2);
    assert_int_equal(f->jobs[1].job.result, UT_OK);
    assert_int_equal(f->jobs[1].job.append.stored, 10);
    assert_int_equal(submit(f, 2, &f->batch2), UT_OK);
    wait_for_done(f, 3);
    assert_int_equal(f->jobs[2].job.result, UT_OK);
    join(f);
    assert_int_equal(destination_of(f).counts.delivered, 0);
    assert_int_equal(destination_of(f).counts.dead, 20);
}

static void a_mark_that_cannot_be_written_fails_no_request(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    const ut_key key = ut_key_delivery(UT_ORG_DEFAULT, f->dest, 1);
    ut_engine_gate_fail_key(f->gate, ut_key_bytes(&key), UT_EINVAL);
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 1, &f->batch), UT_OK);
    wait_at_gate(f);
    const ut_delivery bad = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    const ut_delivery good = mark_of(f, 2, UT_DELIVERY_DEAD);
    assert_int_equal(ut_store_thread_mark(f->thread, &bad), UT_OK);
    assert_int_equal(ut_store_thread_mark(f->thread, &good), UT_OK);
    assert_int_equal(ut_store_thread_mark(f->thread, &bad), UT_OK);
    assert_int_equal(submit(f, 2, &f->batch2), UT_OK);
    ut_engine_gate_hold(f->gate, false);
    wait_for_done(f, 3);
    assert_int_equal(f->jobs[2].job.result, UT_OK);
    assert_int_equal(f->jobs[2].job.append.stored, 10);
    join(f);
    assert_int_equal(destination_of(f).counts.delivered, 0);
    assert_int_equal(destination_of(f).counts.dead, 10);
}

static void marks_over_the_limit_are_refused_until_there_is_room(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_PENDING);
    for (size_t i = 0; i < UT_STORE_THREAD_MARKS_MAX; i++)
        assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_EAGAIN);
    assert_int_equal(atomic_load(&f->marks_taken), 0);
    ut_engine_gate_hold(f->gate, false);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (atomic_load(&f->marks_taken) == 0)
        give_up_after(begin_ms, "room for marks");
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    wait_for_done(f, 1);
}

static void the_end_commits_what_waits(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_at_gate(f);
    assert_int_equal(submit(f, 1, &f->batch2), UT_OK);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    join(f);
    assert_int_equal(f->done, 2);
    assert_int_equal(f->jobs[1].job.result, UT_OK);
    assert_int_equal(destination_of(f).counts.accepted, 20);
    assert_int_equal(destination_of(f).counts.delivered, 10);
    assert_int_equal(submit(f, 2, &f->batch2), UT_EAGAIN);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_EAGAIN);
}

static void the_end_commits_marks_that_wait_alone(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    join(f);
    assert_int_equal(destination_of(f).counts.delivered, 10);
}

static void the_end_comes_although_commits_fail(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    ut_engine_gate_fail(f->gate, UT_EIO);
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 1, &f->batch2), UT_OK);
    wait_at_gate(f);
    assert_int_equal(submit(f, 2, &f->batch2), UT_OK);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    join(f);
    assert_int_equal(f->done, 3);
    assert_int_equal(f->jobs[1].job.result, UT_EIO);
    assert_int_equal(f->jobs[2].job.result, UT_EIO);
}

static void *join_elsewhere(void *thread)
{
    ut_store_thread_join(thread);
    return NULL;
}

// The end is asked for while a commit of marks is under way, and that commit fails.
static void the_end_tries_once_more_what_failed_before_it(void **state)
{
    fixture *f = *state;
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);
    ut_engine_gate_hold(f->gate, true);
    const ut_delivery mark = mark_of(f, 1, UT_DELIVERY_DELIVERED);
    assert_int_equal(ut_store_thread_mark(f->thread, &mark), UT_OK);
    wait_at_gate(f);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, join_elsewhere, f->thread), 0);
    const uint64_t begin_ms = ut_clock_mono_ms();
    const ut_delivery other_mark = mark_of(f, 2, UT_DELIVERY_DELIVERED); // of no block
    while (ut_store_thread_mark(f->thread, &other_mark) == UT_OK) // until it knows of the end
        give_up_after(begin_ms, "the wish to end");
    ut_engine_gate_fail_once(f->gate, UT_ENOSPC);
    ut_engine_gate_hold(f->gate, false);
    assert_int_equal(pthread_join(other, NULL), 0);
    f->joined = true;
    ut_store_thread_deliver(f->thread);
    assert_int_equal(destination_of(f).counts.delivered, 10);
}

// ---- operations and calls

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
    fixture *fixture;
} counting;

static ut_err counting_step(ut_operation *base, ut_store *store, uint64_t now_ns, bool *more,
                            ut_fault *fault)
{
    counting *c = (counting *)(void *)base;
    assert_ptr_equal(store, c->fixture->store);
    assert_true(now_ns > 0);
    atomic_store(&c->commits, ut_engine_gate_commits(c->fixture->gate));
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

static void counting_init(counting *c, fixture *f, uint64_t total)
{
    memset(c, 0, sizeof *c);
    c->base.class = &counting_class;
    c->total = total;
    c->fixture = f;
    atomic_init(&c->allowed, UINT_MAX);
    atomic_init(&c->begun, 0);
    atomic_init(&c->freed, 0);
    atomic_init(&c->commits, 0);
}

static void begin(fixture *f, counting *c, uint64_t expected_number)
{
    uint64_t number = 0;
    assert_int_equal(ut_store_thread_begin(f->thread, &c->base, &number), UT_OK);
    assert_int_equal(number, expected_number);
}

static ut_store_operation_status wait_for_operation(fixture *f)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_store_operation_status status;
    for (;;) {
        ut_store_thread_operation(f->thread, &status);
        if (status.state != UT_STORE_OPERATION_RUNNING)
            return status;
        give_up_after(begin_ms, "the end of the operation");
    }
}

static void wait_for_slices(counting *c, unsigned count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (atomic_load(&c->begun) < count)
        give_up_after(begin_ms, "a slice");
}

static void an_operation_runs_in_slices_to_its_end(void **state)
{
    fixture *f = *state;
    counting c;
    ut_store_operation_status status;
    ut_store_thread_operation(f->thread, &status);
    assert_int_equal(status.state, UT_STORE_OPERATION_NONE);
    for (uint64_t i = 1; i <= 3; i++) {
        counting_init(&c, f, 5);
        begin(f, &c, i);
        status = wait_for_operation(f);
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
    fixture *f = *state;
    counting first;
    counting second;
    uint64_t number = 77;
    counting_init(&first, f, 2);
    counting_init(&second, f, 2);
    atomic_store(&first.allowed, 0);
    begin(f, &first, 1);
    wait_for_slices(&first, 1);
    assert_int_equal(ut_store_thread_begin(f->thread, &second.base, &number), UT_EBUSY);
    assert_int_equal(number, 77);
    atomic_store(&first.allowed, UINT_MAX);
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_DONE);
    assert_int_equal(atomic_load(&second.begun), 0);
    assert_int_equal(atomic_load(&second.freed), 0);
    begin(f, &second, 2);
    assert_int_equal(wait_for_operation(f).number, 2);
}

static void a_commit_waits_for_one_slice_at_most(void **state)
{
    fixture *f = *state;
    counting c;
    counting_init(&c, f, UINT64_MAX);
    atomic_store(&c.allowed, 0);
    begin(f, &c, 1);
    for (unsigned i = 1; i <= 20; i++) {
        wait_for_slices(&c, i); // it is held
        const unsigned commits = ut_engine_gate_commits(f->gate);
        assert_int_equal(submit(f, i, i % 2 == 0 ? &f->batch : &f->batch2), UT_OK);
        atomic_store(&c.allowed, i);
        wait_for_slices(&c, i + 1);
        assert_true(atomic_load(&c.commits) > commits); // it came before the slice
        wait_for_done(f, i);
    }
    assert_true(ut_store_thread_cancel(f->thread, 0));
    atomic_store(&c.allowed, UINT_MAX);
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_CANCELED);
}

static void an_operation_is_cancelled_between_slices(void **state)
{
    fixture *f = *state;
    counting c;
    assert_false(ut_store_thread_cancel(f->thread, 0));
    counting_init(&c, f, UINT64_MAX);
    begin(f, &c, 1);
    wait_for_slices(&c, 3);
    assert_true(ut_store_thread_cancel(f->thread, 0));
    const ut_store_operation_status status = wait_for_operation(f);
    assert_int_equal(status.state, UT_STORE_OPERATION_CANCELED);
    assert_true(status.progress.done >= 3);
    assert_int_equal(atomic_load(&c.freed), 1);
    assert_false(ut_store_thread_cancel(f->thread, 0));
}

static void only_the_operation_that_is_meant_is_cancelled(void **state)
{
    fixture *f = *state;
    counting first;
    counting second;
    counting_init(&first, f, 1);
    begin(f, &first, 1);
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_DONE);
    counting_init(&second, f, UINT64_MAX);
    begin(f, &second, 2);
    wait_for_slices(&second, 1);
    assert_false(ut_store_thread_cancel(f->thread, 1));
    assert_false(ut_store_thread_cancel(f->thread, 3));
    const unsigned slices = atomic_load(&second.begun);
    wait_for_slices(&second, slices + 3); // it goes on
    assert_true(ut_store_thread_cancel(f->thread, 2));
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_CANCELED);
}

static void the_end_of_an_operation_is_logged_without_the_lock(void **state)
{
    fixture *f = *state;
    counting c;
    const uint64_t begin_ms = ut_clock_mono_ms();
    counting_init(&c, f, 1);
    atomic_store(&f->log_held, true);
    begin(f, &c, 1);
    while (!atomic_load(&f->log_reached))
        give_up_after(begin_ms, "a line in the log");
    assert_int_equal(ut_store_thread_waiting(f->thread), 0); // others get through meanwhile
    atomic_store(&f->log_passed, true);
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_DONE);
    atomic_store(&f->log_held, false);
    assert_false(atomic_load(&f->log_late));
}

static void an_operation_that_fails_says_why(void **state)
{
    fixture *f = *state;
    counting c;
    counting_init(&c, f, 10);
    c.fail_at = 4;
    c.err = UT_ENOSPC;
    begin(f, &c, 1);
    const ut_store_operation_status status = wait_for_operation(f);
    assert_int_equal(status.state, UT_STORE_OPERATION_FAILED);
    assert_int_equal(status.fault.code, UT_ENOSPC);
    assert_string_equal(status.fault.text_z, "slice 4 failed");
    assert_int_equal(status.progress.done, 3);
    assert_int_equal(atomic_load(&c.freed), 1);
    counting_init(&c, f, 10);
    begin(f, &c, 2);
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_DONE);
}

static void an_operation_that_must_wait_is_tried_again(void **state)
{
    fixture *f = *state;
    counting c;
    counting_init(&c, f, 10);
    c.fail_at = 4;
    c.err = UT_EAGAIN;
    begin(f, &c, 1);
    const ut_store_operation_status status = wait_for_operation(f);
    assert_int_equal(status.state, UT_STORE_OPERATION_DONE);
    assert_int_equal(status.progress.done, 10);
    assert_int_equal(atomic_load(&c.begun), 11);
}

static void the_end_cancels_an_operation(void **state)
{
    fixture *f = *state;
    counting c;
    uint64_t number;
    counting_init(&c, f, UINT64_MAX);
    begin(f, &c, 1);
    wait_for_slices(&c, 3);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    join(f);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->jobs[0].job.result, UT_OK);
    assert_int_equal(atomic_load(&c.freed), 1);
    assert_int_equal(wait_for_operation(f).state, UT_STORE_OPERATION_CANCELED);
    assert_int_equal(ut_store_thread_begin(f->thread, &c.base, &number), UT_ECANCELED);
}

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
    fixture *f = *state;
    test_call calls[UT_STORE_THREAD_CALLS_MAX + 1];
    memset(calls, 0, sizeof calls);
    for (size_t i = 0; i <= UT_STORE_THREAD_CALLS_MAX; i++)
        calls[i].call = (ut_store_call){.run = call_run, .done = call_done};
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    wait_for_done(f, 1);

    // As many as may wait, behind a commit that is held up.
    ut_engine_gate_hold(f->gate, true);
    assert_int_equal(submit(f, 1, &f->batch2), UT_OK);
    wait_at_gate(f);
    for (size_t i = 0; i < UT_STORE_THREAD_CALLS_MAX; i++)
        assert_int_equal(ut_store_thread_call(f->thread, &calls[i].call), UT_OK);
    assert_int_equal(ut_store_thread_call(f->thread, &calls[UT_STORE_THREAD_CALLS_MAX].call),
                     UT_EAGAIN);
    ut_engine_gate_hold(f->gate, false);
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (size_t i = 0; i < UT_STORE_THREAD_CALLS_MAX; i++) {
        while (calls[i].done == 0) {
            ut_store_thread_deliver(f->thread);
            give_up_after(begin_ms, "a call");
        }
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].spans, 20);
        assert_ptr_equal(calls[i].store, f->store);
        assert_false(pthread_equal(calls[i].ran_on, pthread_self()));
    }
    // The last ones are run at the end, and none after it.
    test_call *late = &calls[UT_STORE_THREAD_CALLS_MAX];
    assert_int_equal(ut_store_thread_call(f->thread, &late->call), UT_OK);
    join(f);
    assert_int_equal(late->done, 1);
    assert_int_equal(ut_store_thread_call(f->thread, &late->call), UT_EAGAIN);
}

typedef struct {
    ut_store_call call; // first member
    fixture *fixture;
    atomic_bool held;
    atomic_bool begun;
    atomic_bool done;
    unsigned commits; // before it
} held_call;

static void held_run(ut_store_call *call, ut_store *store)
{
    held_call *h = (held_call *)(void *)call;
    (void)store;
    h->commits = ut_engine_gate_commits(h->fixture->gate);
    atomic_store(&h->begun, true);
    while (atomic_load(&h->held))
        (void)sched_yield();
}

static void held_done(ut_store_call *call)
{
    held_call *h = (held_call *)(void *)call;
    atomic_store(&h->done, true);
}

static void held_make(fixture *f, held_call *h, bool held)
{
    memset(h, 0, sizeof *h);
    h->call = (ut_store_call){.run = held_run, .done = held_done};
    h->fixture = f;
    atomic_init(&h->held, held);
    assert_int_equal(ut_store_thread_call(f->thread, &h->call), UT_OK);
}

static void wait_for_call(fixture *f, atomic_bool *what)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (!atomic_load(what)) {
        ut_store_thread_deliver(f->thread);
        give_up_after(begin_ms, "a call");
    }
}

static void a_call_that_comes_during_another_runs_at_once(void **state)
{
    fixture *f = *state;
    held_call first;
    held_call second;
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (int i = 0; i < CALL_ROUNDS; i++) {
        held_make(f, &first, true);
        wait_for_call(f, &first.begun);
        held_make(f, &second, false);
        atomic_store(&first.held, false);
        wait_for_call(f, &second.done);
        wait_for_call(f, &first.done);
    }
    // Not only when the next sweep wakes the thread.
    assert_true(ut_clock_mono_ms() - begin_ms < CALL_ROUNDS_MS);
}

static void a_request_waits_for_one_call_at_most(void **state)
{
    fixture *f = *state;
    held_call first;
    held_call later[3];
    held_make(f, &first, true);
    wait_for_call(f, &first.begun);
    for (size_t i = 0; i < 3; i++)
        held_make(f, &later[i], false);
    assert_int_equal(submit(f, 0, &f->batch), UT_OK);
    atomic_store(&first.held, false);
    for (size_t i = 0; i < 3; i++)
        wait_for_call(f, &later[i].done);
    for (size_t i = 0; i < 3; i++)
        assert_true(later[i].commits > first.commits);
    wait_for_done(f, 1);
}

int main(void)
{
#define CLAIM(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CLAIM_BARE(name) cmocka_unit_test_setup_teardown(name, set_up_bare, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_request_is_handed_back_when_it_is_committed),
        CLAIM(requests_that_arrive_during_a_commit_share_the_next),
        CLAIM(a_group_ends_at_its_limits),
        CLAIM(a_full_queue_refuses),
        CLAIM(a_failed_commit_fails_its_requests_and_later_ones_work),
        CLAIM_BARE(a_request_that_does_not_fit_fails_alone),
        CLAIM(marks_are_committed_by_themselves_after_a_moment),
        CLAIM(marks_ride_along_with_requests),
        CLAIM(marks_are_kept_while_commits_fail),
        CLAIM(a_mark_that_cannot_be_true_fails_no_request),
        CLAIM(a_mark_that_cannot_be_written_fails_no_request),
        CLAIM(marks_over_the_limit_are_refused_until_there_is_room),
        CLAIM(the_end_commits_what_waits),
        CLAIM(the_end_commits_marks_that_wait_alone),
        CLAIM(the_end_comes_although_commits_fail),
        CLAIM(the_end_tries_once_more_what_failed_before_it),
        CLAIM(an_operation_runs_in_slices_to_its_end),
        CLAIM(one_operation_at_a_time_is_under_way),
        CLAIM(a_commit_waits_for_one_slice_at_most),
        CLAIM(an_operation_is_cancelled_between_slices),
        CLAIM(only_the_operation_that_is_meant_is_cancelled),
        CLAIM(the_end_of_an_operation_is_logged_without_the_lock),
        CLAIM(an_operation_that_fails_says_why),
        CLAIM(an_operation_that_must_wait_is_tried_again),
        CLAIM(the_end_cancels_an_operation),
        CLAIM(a_call_runs_on_the_store_thread),
        CLAIM(a_call_that_comes_during_another_runs_at_once),
        CLAIM(a_request_waits_for_one_call_at_most),
    };
    return cmocka_run_group_tests_name("store_thread", tests, NULL, NULL);
}
