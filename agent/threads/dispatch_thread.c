// The loop of the dispatch thread.
#include "agent/threads/dispatch_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { STACK_BYTES = 512 * 1024, EVENTS_MAX = 64 };

typedef enum { RUNNING, DRAINING, CUT } wish;

struct ut_dispatch_thread {
    ut_dispatch_thread_config config;
    ut_poller *poller;
    ut_resolver *resolver;
    ut_dispatcher *dispatcher;
    pthread_t handle;
    bool started;
    _Atomic uint64_t last_seq;
    atomic_bool woken; // a wake is under way; saves a system call for each commit
    atomic_int wish;
    atomic_bool ended;
    pthread_mutex_t status_lock;
    ut_dispatcher_status *status; // under the lock; room for all destinations
    size_t status_count;
};

// Adds the destinations that trust the system's certificates, or the others.
static ut_err add_destinations(ut_dispatch_thread *t, bool ca_system, ut_fault *fault)
{
    ut_err err = UT_OK;
    for (size_t i = 0; err == UT_OK && i < t->config.destination_count; i++) {
        if (t->config.destinations[i].ca_system == ca_system)
            err = ut_dispatcher_add(t->dispatcher, &t->config.destinations[i], fault);
    }
    return err;
}

ut_err ut_dispatch_thread_new(const ut_dispatch_thread_config *config, ut_dispatch_thread **out,
                              ut_fault *fault)
{
    ut_dispatch_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    t->config = *config;
    (void)pthread_mutex_init(&t->status_lock, NULL); // does not fail on Linux
    t->status = calloc(config->destination_count, sizeof *t->status);
    atomic_init(&t->last_seq, 0);
    atomic_init(&t->woken, false);
    atomic_init(&t->wish, RUNNING);
    atomic_init(&t->ended, false);
    ut_err err = t->status == NULL ? UT_ENOMEM : ut_poller_open(&t->poller);
    if (err == UT_OK)
        err = ut_resolver_open(t->poller, &t->resolver);
    if (err == UT_OK) {
        const ut_dispatcher_config dispatcher = {
            .poller = t->poller,
            .resolver = t->resolver,
            .engine = config->engine,
            .log = config->log,
            .mark = config->mark,
            .mark_context = config->mark_context,
            .user_agent_z = "untrace/" UT_VERSION,
        };
        err = ut_dispatcher_new(&dispatcher, &t->dispatcher);
    }
    if (err != UT_OK)
        (void)ut_fault_set(fault, err, "cannot make the dispatcher: %s", ut_err_text(err));
    if (err == UT_OK)
        err = add_destinations(t, false, fault);
    if (err != UT_OK) {
        ut_dispatch_thread_free(t);
        return err;
    }
    *out = t;
    return UT_OK;
}

static void publish_status(ut_dispatch_thread *t)
{
    (void)pthread_mutex_lock(&t->status_lock);
    t->status_count =
        ut_dispatcher_get_status(t->dispatcher, t->status, t->config.destination_count);
    (void)pthread_mutex_unlock(&t->status_lock);
}

size_t ut_dispatch_thread_get_status(ut_dispatch_thread *t, ut_dispatcher_status *out, size_t cap)
{
    (void)pthread_mutex_lock(&t->status_lock);
    const size_t count = t->status_count < cap ? t->status_count : cap;
    memcpy(out, t->status, count * sizeof *out);
    (void)pthread_mutex_unlock(&t->status_lock);
    return count;
}

static void loop(ut_dispatch_thread *t)
{
    ut_poll_event events[EVENTS_MAX];
    bool draining = false;
    for (;;) {
        const int want = atomic_load(&t->wish);
        if (want != RUNNING && !draining) {
            draining = true;
            ut_dispatcher_drain(t->dispatcher);
        }
        atomic_store(&t->woken, false); // before the number is read: a later one wakes again
        ut_dispatcher_advance(t->dispatcher, atomic_load(&t->last_seq));
        const uint64_t now_ms = ut_clock_mono_ms();
        uint64_t next_ms = UINT64_MAX;
        ut_dispatcher_step(t->dispatcher, now_ms, ut_clock_wall_ns(), &next_ms);
        publish_status(t);
        if (want == CUT || (draining && ut_dispatcher_idle(t->dispatcher)))
            return;
        const uint64_t after_ms = ut_clock_mono_ms();
        const uint64_t wait_ms = next_ms == UINT64_MAX ? UT_POLL_FOREVER
                                 : next_ms > after_ms  ? next_ms - after_ms
                                                       : 0;
        size_t count = 0;
        const ut_err err = ut_poller_wait(t->poller, wait_ms, events, EVENTS_MAX, &count);
        if (err != UT_OK) {
            ut_log_write(t->config.log, UT_LOG_ERROR, "dispatch", "cannot wait for events: %s",
                         ut_err_text(err));
            return;
        }
        for (size_t i = 0; i < count; i++)
            ut_dispatcher_event(t->dispatcher, &events[i]);
    }
}

static void *run(void *context)
{
    ut_dispatch_thread *t = context;
    ut_fault fault = {UT_OK, ""};
    // The system's list has well over a hundred certificates, for each destination anew: ten
    // milliseconds that the start of the agent does not have to wait for.
    if (add_destinations(t, true, &fault) == UT_OK)
        loop(t);
    else
        ut_log_write(t->config.log, UT_LOG_ERROR, "dispatch", "%s", fault.text_z);
    atomic_store(&t->ended, true);
    if (t->config.ended != NULL)
        t->config.ended(t->config.ended_context);
    return NULL;
}

ut_err ut_dispatch_thread_start(ut_dispatch_thread *t)
{
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    const int failure = pthread_create(&t->handle, &attr, run, t);
    (void)pthread_attr_destroy(&attr);
    t->started = failure == 0;
    return failure == 0 ? UT_OK : UT_EIO;
}

void ut_dispatch_thread_wake(ut_dispatch_thread *t)
{
    if (!atomic_exchange(&t->woken, true))
        ut_poller_wake(t->poller);
}

void ut_dispatch_thread_advance(ut_dispatch_thread *t, uint64_t seq)
{
    uint64_t before = atomic_load(&t->last_seq);
    while (before < seq && !atomic_compare_exchange_weak(&t->last_seq, &before, seq))
        continue;
    if (before < seq) // a commit of marks alone has nothing to deliver
        ut_dispatch_thread_wake(t);
}

void ut_dispatch_thread_drain(ut_dispatch_thread *t)
{
    atomic_store(&t->wish, DRAINING);
    ut_poller_wake(t->poller);
}

bool ut_dispatch_thread_ended(const ut_dispatch_thread *t)
{
    return atomic_load(&t->ended);
}

void ut_dispatch_thread_join(ut_dispatch_thread *t)
{
    if (t->started) {
        atomic_store(&t->wish, CUT);
        ut_poller_wake(t->poller);
        (void)pthread_join(t->handle, NULL);
        t->started = false;
    }
    if (t->dispatcher != NULL)
        ut_dispatcher_free(t->dispatcher);
    t->dispatcher = NULL;
}

void ut_dispatch_thread_free(ut_dispatch_thread *t)
{
    if (t == NULL)
        return;
    ut_dispatch_thread_join(t);
    ut_resolver_close(t->resolver);
    ut_poller_close(t->poller);
    (void)pthread_mutex_destroy(&t->status_lock);
    free(t->status);
    free(t);
}
