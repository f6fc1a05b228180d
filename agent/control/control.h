// The control socket of a running agent: commands ask for its status, and for the work on the store
// that only it may do. HTTP with JSON on untrace.sock in the data directory, which only the same
// user (and root) may connect to; docs/ARCHITECTURE.md lists the requests. Network thread. Not an
// API for other programs.
#ifndef UT_AGENT_CONTROL_CONTROL_H
#define UT_AGENT_CONTROL_CONTROL_H

#include "agent/process/tally.h"
#include "agent/threads/dispatch_thread.h"
#include "agent/threads/store_thread.h"
#include "transport/http/http_server.h"

typedef struct ut_control ut_control;

typedef struct {
    ut_poller *poller;              // the network thread's; also woken by store
    ut_store_thread *store;         // outlives the socket
    ut_dispatch_thread *dispatch;   // outlives the socket; NULL without destinations
    const ut_http_server *receiver; // on the same thread; NULL without one
    const ut_tally *refusals; // of the receiver, with groups "refused" and "rejected"; or NULL
    const char *data_dir_z;   // borrowed
    const char *config_z;     // the file of the configuration, borrowed; NULL: none
    const ut_log *log;
} ut_control_config;

// Replaces the socket of an agent that was killed; the lock of the data directory must be held.
// UT_EBUSY, UT_EPERM, UT_EIO, UT_ENOMEM.
ut_err ut_control_open(const ut_control_config *config, ut_control **control, ut_fault *fault);

// Removes the socket. Every request handed to the store thread must have been delivered. NULL is
// ignored.
void ut_control_close(ut_control *control);

// The server of the socket, for step, stop and idle.
ut_http_server *ut_control_server(ut_control *control);

#endif
