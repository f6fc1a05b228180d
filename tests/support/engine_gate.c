// The gate stands in the engine's own table of functions; see engine_gate.h.
#include "tests/support/engine_gate.h"

#include <pthread.h>
#include <stdlib.h>

struct ut_engine_gate {
    ut_engine_class class; // first member: the engine's class pointer leads here
    const ut_engine_class *inner;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool held;
    unsigned waiting;
    ut_err fail;
    const ut_err *next; // what the next commits fail with
    size_t next_count;
    ut_err once;         // what next points to for one
    uint8_t bad_key[64]; // puts there fail with bad_err
    size_t bad_key_len;
    ut_err bad_err;
    unsigned commits;
    ut_txn *writer; // the write transaction that is open
};

static ut_engine_gate *gate_of(const ut_engine *engine)
{
    return (ut_engine_gate *)(uintptr_t)engine->class;
}

static ut_err gate_begin(ut_engine *engine, bool write, ut_txn **txn)
{
    ut_engine_gate *gate = gate_of(engine);
    const ut_err err = gate->inner->begin(engine, write, txn);
    if (err == UT_OK && write) {
        (void)pthread_mutex_lock(&gate->lock);
        gate->writer = *txn;
        (void)pthread_mutex_unlock(&gate->lock);
    }
    return err;
}

static ut_err gate_commit(ut_txn *txn)
{
    ut_engine_gate *gate = gate_of(txn->engine);
    (void)pthread_mutex_lock(&gate->lock);
    ut_err err = UT_OK;
    if (txn == gate->writer) {
        gate->waiting++;
        while (gate->held)
            (void)pthread_cond_wait(&gate->opened, &gate->lock);
        gate->waiting--;
        gate->commits++;
        gate->writer = NULL;
        err = gate->next_count > 0 ? *gate->next++ : gate->fail;
        gate->next_count -= gate->next_count > 0 ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&gate->lock);
    if (err == UT_OK)
        return gate->inner->commit(txn);
    gate->inner->abort(txn);
    return err;
}

static ut_err gate_store(ut_txn *txn, ut_bytes key, ut_bytes value)
{
    ut_engine_gate *gate = gate_of(txn->engine);
    (void)pthread_mutex_lock(&gate->lock);
    const ut_bytes bad = {gate->bad_key, gate->bad_key_len};
    const ut_err err = bad.len > 0 && ut_bytes_equal(key, bad) ? gate->bad_err : UT_OK;
    (void)pthread_mutex_unlock(&gate->lock);
    return err == UT_OK ? gate->inner->put(txn, key, value) : err;
}

ut_engine_gate *ut_engine_gate_put(ut_engine *engine)
{
    ut_engine_gate *gate = calloc(1, sizeof *gate);
    UT_ASSERT(gate != NULL);
    gate->inner = engine->class;
    gate->class = *engine->class;
    gate->class.begin = gate_begin;
    gate->class.put = gate_store;
    gate->class.commit = gate_commit;
    UT_ASSERT(pthread_mutex_init(&gate->lock, NULL) == 0);
    UT_ASSERT(pthread_cond_init(&gate->opened, NULL) == 0);
    engine->class = &gate->class;
    return gate;
}

void ut_engine_gate_free(ut_engine_gate *gate)
{
    (void)pthread_cond_destroy(&gate->opened);
    (void)pthread_mutex_destroy(&gate->lock);
    free(gate);
}

void ut_engine_gate_hold(ut_engine_gate *gate, bool held)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->held = held;
    (void)pthread_cond_broadcast(&gate->opened);
    (void)pthread_mutex_unlock(&gate->lock);
}

void ut_engine_gate_fail(ut_engine_gate *gate, ut_err err)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->fail = err;
    (void)pthread_mutex_unlock(&gate->lock);
}

void ut_engine_gate_fail_once(ut_engine_gate *gate, ut_err err)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->once = err;
    gate->next = &gate->once;
    gate->next_count = 1;
    (void)pthread_mutex_unlock(&gate->lock);
}

void ut_engine_gate_fail_next(ut_engine_gate *gate, const ut_err *errs, size_t count)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->next = errs;
    gate->next_count = count;
    (void)pthread_mutex_unlock(&gate->lock);
}

void ut_engine_gate_fail_key(ut_engine_gate *gate, ut_bytes key, ut_err err)
{
    UT_ASSERT(key.len <= sizeof gate->bad_key);
    (void)pthread_mutex_lock(&gate->lock);
    memcpy(gate->bad_key, key.data, key.len);
    gate->bad_key_len = key.len;
    gate->bad_err = err;
    (void)pthread_mutex_unlock(&gate->lock);
}

static unsigned read_count(ut_engine_gate *gate, const unsigned *count)
{
    (void)pthread_mutex_lock(&gate->lock);
    const unsigned value = *count;
    (void)pthread_mutex_unlock(&gate->lock);
    return value;
}

unsigned ut_engine_gate_waiting(ut_engine_gate *gate)
{
    return read_count(gate, &gate->waiting);
}

unsigned ut_engine_gate_commits(ut_engine_gate *gate)
{
    return read_count(gate, &gate->commits);
}
