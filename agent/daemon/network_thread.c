// The loop of the network thread; see network_thread.h.
#include "agent/daemon/network_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { STACK_BYTES = 512 * 1024, EVENTS_MAX = 128 };

typedef enum { SERVE, DRAIN, CUT } phase;

struct ut_network_thread {
    ut_network_thread_config config;
    pthread_t thread;
    atomic_int phase;
    atomic_bool ended;
};

// One round: step the servers, wait, pass on what happened. False: the thread is to end.
static bool go_round(ut_network_thread *network, bool *draining)
{
    const ut_network_thread_config *const config = &network->config;
    const int wanted = atomic_load(&network->phase);
    const uint64_t now_ms = ut_clock_mono_ms();
    if (wanted != SERVE && !*draining) {
        *draining = true;
        ut_servers_stop(&config->servers, now_ms);
    }
    uint64_t next_ms = UINT64_MAX;
    ut_servers_step(&config->servers, now_ms, &next_ms);
    if (wanted == CUT || (*draining && ut_servers_idle(&config->servers)))
        return false;

    ut_poll_event events[EVENTS_MAX];
    size_t count = 0;
    const uint64_t wait_ms = next_ms == UINT64_MAX ? UT_POLL_FOREVER
                             : next_ms > now_ms    ? next_ms - now_ms
                                                   : 0;
    const ut_err err = ut_poller_wait(config->poller, wait_ms, events, EVENTS_MAX, &count);
    if (err != UT_OK) {
        ut_log_write(config->log, UT_LOG_ERROR, "agent", "cannot wait for connections: %s",
                     ut_err_text(err));
        return false;
    }
    const uint64_t after_ms = ut_clock_mono_ms();
    for (size_t i = 0; i < count; i++)
        ut_http_server_event(&events[i], after_ms);
    ut_store_thread_deliver(config->store);
    return true;
}

static void *network_run(void *context)
{
    ut_network_thread *const network = context;
    bool draining = false;
    while (go_round(network, &draining)) {
    }
    atomic_store(&network->ended, true);
    network->config.ended(network->config.ended_context);
    return NULL;
}

ut_err ut_network_thread_start(const ut_network_thread_config *config, ut_network_thread **thread,
                               ut_fault *fault)
{
    ut_network_thread *const network = calloc(1, sizeof(*network));
    if (network == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "cannot start the network thread: out of memory");
    network->config = *config;
    atomic_init(&network->phase, SERVE);
    atomic_init(&network->ended, false);
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    const int failure = pthread_create(&network->thread, &attr, network_run, network);
    (void)pthread_attr_destroy(&attr);
    if (failure != 0) {
        free(network);
        return ut_fault_set(fault, UT_ELIMIT, "cannot start the network thread: %s",
                            strerror(failure));
    }
    *thread = network;
    return UT_OK;
}

static void set_phase(ut_network_thread *network, phase wanted)
{
    atomic_store(&network->phase, wanted);
    ut_poller_wake(network->config.poller);
}

void ut_network_thread_drain(ut_network_thread *network)
{
    set_phase(network, DRAIN);
}

bool ut_network_thread_ended(const ut_network_thread *network)
{
    return atomic_load(&network->ended);
}

void ut_network_thread_join(ut_network_thread *network)
{
    if (network == NULL)
        return;
    set_phase(network, CUT);
    (void)pthread_join(network->thread, NULL);
    free(network);
}
