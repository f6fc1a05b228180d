// A store thread over a store in memory, with a gate before its commits. Only for the tests of this
// folder; what fails ends the test.
#ifndef UT_TESTS_STORE_THREAD_RIG_H
#define UT_TESTS_STORE_THREAD_RIG_H

#include "agent/threads/store_thread.h"
#include "tests/support/engine_gate.h"

#include <stdatomic.h>

enum {
    UT_RIG_PATIENCE_MS = 20000, // before a test says that something never happens
    UT_RIG_BUDGET = 16 * 1024 * 1024,
    UT_RIG_JOBS_MAX = UT_STORE_THREAD_QUEUE_MAX + 16,
    UT_RIG_BATCH_BYTES_MAX = 64 * 1024 * 1024,
    UT_RIG_LOG_HOLD_MS = 3000,
};

typedef struct {
    ut_store_job job; // first member
    size_t *done;
} ut_rig_job;

typedef struct {
    ut_poller *poller;
    ut_engine *engine;
    ut_engine_gate *gate;
    ut_store *store;
    ut_store_thread *thread;
    bool joined;
    uint32_t dest;
    uint32_t mark_delay_ms; // set before the start; 0: that of an agent
    ut_rig_job jobs[UT_RIG_JOBS_MAX];
    size_t done;
    _Atomic uint64_t seq;
    atomic_uint marks_taken;
    ut_batch batch;  // ten spans
    ut_batch batch2; // ten others
    ut_log log;
    atomic_bool log_held; // a line is not written before log_passed, within UT_RIG_LOG_HOLD_MS
    atomic_bool log_reached;
    atomic_bool log_passed;
    atomic_bool log_late;
} ut_rig;

// Everything but the thread.
int ut_rig_set_up_bare(void **state);
void ut_rig_start(ut_rig *rig, uint64_t budget, uint32_t commit_delay_ms);
// Everything, without a delay of commits.
int ut_rig_set_up(void **state);
// Opens the gate, ends the thread and hands back what it left.
void ut_rig_join(ut_rig *rig);
int ut_rig_tear_down(void **state); // joins first where the test did not

// Hands over jobs[i]; rig->done counts those that came back.
ut_err ut_rig_submit(ut_rig *rig, size_t i, const ut_batch *batch);
// The same, and says that the batch takes bytes of memory.
ut_err ut_rig_submit_bytes(ut_rig *rig, size_t i, const ut_batch *batch, size_t bytes);
// Fails the test where PATIENCE_MS are over; otherwise lets others run.
void ut_rig_give_up_after(uint64_t begin_ms, const char *what_z);
void ut_rig_wait_for_done(ut_rig *rig, size_t count);
void ut_rig_wait_at_gate(ut_rig *rig); // until a commit stands there
ut_store_destination ut_rig_destination_of(ut_rig *rig);
ut_delivery ut_rig_mark_of(const ut_rig *rig, uint64_t seq, ut_delivery_state state);

#endif
