// A store thread over a store in memory; see rig.h.
#include "tests/unit/agent/threads/store_thread/rig.h"

#include "tests/support/engine_memory.h"
#include "tests/support/otlp_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>

static void on_done(ut_store_job *job)
{
    ut_rig_job *t = (ut_rig_job *)(void *)job;
    (*t->done)++;
}

static void on_committed(void *context, uint64_t seq)
{
    ut_rig *rig = context;
    atomic_store(&rig->seq, seq);
}

static void on_marks_taken(void *context)
{
    ut_rig *rig = context;
    atomic_fetch_add(&rig->marks_taken, 1);
}

static void on_log(void *context, ut_log_level level, const char *line, size_t len)
{
    ut_rig *rig = context;
    (void)level;
    (void)line;
    (void)len;
    if (!atomic_load(&rig->log_held))
        return;
    const uint64_t until_ms = ut_clock_mono_ms() + UT_RIG_LOG_HOLD_MS;
    atomic_store(&rig->log_reached, true);
    while (!atomic_load(&rig->log_passed)) {
        if (ut_clock_mono_ms() > until_ms) {
            atomic_store(&rig->log_late, true);
            return;
        }
        (void)sched_yield();
    }
}

void ut_rig_start(ut_rig *rig, uint64_t budget, uint32_t commit_delay_ms)
{
    ut_fault fault = {UT_OK, ""};
    rig->engine = ut_engine_memory_open(budget);
    rig->gate = ut_engine_gate_put(rig->engine);
    const ut_store_config store = {.bytes_max = budget, .ttl_ms = 0};
    if (ut_store_open(rig->engine, &store, &rig->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_store_add_destination(rig->store, UT_ORG_DEFAULT, "central", &rig->dest),
                     UT_OK);
    rig->log = (ut_log){.level = UT_LOG_INFO, .write = on_log, .context = rig};
    const ut_store_thread_config config = {
        .store = rig->store,
        .log = &rig->log,
        .commit_delay_ms = commit_delay_ms,
        .mark_delay_ms = rig->mark_delay_ms,
        .done_poller = rig->poller,
        .committed = on_committed,
        .marks_taken = on_marks_taken,
        .context = rig,
    };
    assert_int_equal(ut_store_thread_start(&config, &rig->thread), UT_OK);
}

int ut_rig_set_up_bare(void **state)
{
    ut_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    assert_int_equal(ut_poller_open(&rig->poller), UT_OK);
    ut_batch_init(&rig->batch, UT_RIG_BATCH_BYTES_MAX);
    ut_batch_init(&rig->batch2, UT_RIG_BATCH_BYTES_MAX);
    ut_make_spans(1, 10, &rig->batch);
    ut_make_spans(2, 10, &rig->batch2);
    *state = rig;
    return 0;
}

int ut_rig_set_up(void **state)
{
    (void)ut_rig_set_up_bare(state);
    ut_rig_start(*state, UT_RIG_BUDGET, 0);
    return 0;
}

void ut_rig_join(ut_rig *rig)
{
    ut_engine_gate_hold(rig->gate, false);
    ut_store_thread_join(rig->thread);
    ut_store_thread_deliver(rig->thread);
    rig->joined = true;
}

int ut_rig_tear_down(void **state)
{
    ut_rig *rig = *state;
    if (!rig->joined)
        ut_rig_join(rig);
    ut_store_thread_free(rig->thread);
    ut_store_close(rig->store);
    ut_engine_gate_free(rig->gate);
    ut_poller_close(rig->poller);
    ut_batch_free(&rig->batch);
    ut_batch_free(&rig->batch2);
    free(rig);
    return 0;
}

ut_err ut_rig_submit_bytes(ut_rig *rig, size_t i, const ut_batch *batch, size_t bytes)
{
    rig->jobs[i] = (ut_rig_job){
        .job = {.append = {.org = UT_ORG_DEFAULT, .batch = batch}, .bytes = bytes, .done = on_done},
        .done = &rig->done};
    return ut_store_thread_submit(rig->thread, &rig->jobs[i].job);
}

ut_err ut_rig_submit(ut_rig *rig, size_t i, const ut_batch *batch)
{
    return ut_rig_submit_bytes(rig, i, batch, ut_batch_memory(batch));
}

void ut_rig_give_up_after(uint64_t begin_ms, const char *what_z)
{
    if (ut_clock_mono_ms() - begin_ms > UT_RIG_PATIENCE_MS)
        fail_msg("%s never happened", what_z);
    (void)sched_yield();
}

void ut_rig_wait_for_done(ut_rig *rig, size_t count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (rig->done < count) {
        ut_poll_event event;
        size_t events = 0;
        assert_int_equal(ut_poller_wait(rig->poller, UT_RIG_PATIENCE_MS, &event, 1, &events),
                         UT_OK);
        ut_store_thread_deliver(rig->thread);
        ut_rig_give_up_after(begin_ms, "the end of the requests");
    }
    assert_int_equal(rig->done, count);
}

void ut_rig_wait_at_gate(ut_rig *rig)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(rig->gate) == 0)
        ut_rig_give_up_after(begin_ms, "a commit");
}

ut_store_destination ut_rig_destination_of(ut_rig *rig)
{
    ut_store_destination out[4];
    assert_int_equal(ut_store_get_destinations(rig->store, out, 4), 1);
    return out[0];
}

ut_delivery ut_rig_mark_of(const ut_rig *rig, uint64_t seq, ut_delivery_state state)
{
    return (ut_delivery){.org = UT_ORG_DEFAULT,
                         .dest = rig->dest,
                         .seq = seq,
                         .state = state,
                         .attempts = 1,
                         .updated_ns = 1,
                         .spans = 10};
}
