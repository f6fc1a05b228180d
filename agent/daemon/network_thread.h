// The network thread: a loop around the poller of the servers. Requests and answers are the
// servers' own.
#ifndef UT_AGENT_DAEMON_NETWORK_THREAD_H
#define UT_AGENT_DAEMON_NETWORK_THREAD_H

#include "agent/daemon/servers.h"

typedef struct ut_network_thread ut_network_thread;

typedef struct {
    ut_poller *poller;      // also woken by store; outlives the thread
    ut_servers servers;     // this thread's alone from start to join
    ut_store_thread *store; // its requests are delivered on this thread
    const ut_log *log;
    // Called once on the network thread as its last act.
    void (*ended)(void *context);
    void *ended_context;
} ut_network_thread_config;

// Faults say what the system refused. UT_ENOMEM, UT_ELIMIT.
ut_err ut_network_thread_start(const ut_network_thread_config *config, ut_network_thread **thread,
                               ut_fault *fault);

// Stops the servers; the thread ends when they are idle. Any thread.
void ut_network_thread_drain(ut_network_thread *thread);

// Whether the thread has ended: after drain, or because it failed, which the log tells. Any thread.
bool ut_network_thread_ended(const ut_network_thread *thread);

// Ends the thread as it is, waits for it and frees it. NULL is ignored.
void ut_network_thread_join(ut_network_thread *thread);

#endif
