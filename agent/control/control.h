// The control socket of a running agent: commands ask it how it is, and to do what only it may do
// with its store. HTTP with JSON on untrace.sock in the data directory, which only the same user
// (and root) may connect to; docs/ARCHITECTURE.md lists the requests. On the network thread. Not
// the API for programs of others.
#ifndef UT_AGENT_CONTROL_H
#define UT_AGENT_CONTROL_H

#include "agent/threads/dispatch_thread.h"
#include "transport/http/http_server.h"
#include "agent/threads/store_thread.h"

enum {
    UT_CONTROL_CONNECTIONS_MAX = 16,
    UT_CONTROL_BODY_BYTES_MAX = 68 * 1024 * 1024, // of a request: one OTLP request of 64 MiB
    // POST /spans: OTLP requests one after the other, each behind its encoding (1 byte, 0 protobuf, 1
    // JSON) and its length (4 bytes, big-endian). Where not all can be stored, a 503 (later) or a 413
    // (never) tells what was: stored, duplicates, and in taken bit 0 for the first frame, and so on.
    UT_CONTROL_FRAME_HEAD = 5,
    UT_CONTROL_FRAMES_MAX = 64,
    UT_CONTROL_MEMORY_MAX = 3 * UT_CONTROL_BODY_BYTES_MAX, // of bodies and what is made of them
    UT_CONTROL_HEADER_BYTES_MAX = 8 * 1024,
    UT_CONTROL_TIMEOUT_MS = 10000,     // for a head, and for a body that makes no progress
    UT_CONTROL_IDLE_MS = 60000,        // between requests
    UT_CONTROL_ANSWER_MAX = 256 * 1024 // of an answer
};

typedef struct ut_control ut_control;

typedef struct {
    ut_poller *poller;              // the network thread's; also woken by store
    ut_store_thread *store;         // outlives the socket
    ut_dispatch_thread *dispatch;   // likewise; NULL without destinations
    const ut_http_server *receiver; // on the same thread; NULL without one
    const char *data_dir_z;         // borrowed
    const ut_log *log;
} ut_control_config;

// Replaces the socket of an agent that was killed; the lock of the data directory must be held.
// UT_EBUSY, UT_EPERM, UT_EIO, UT_ENOMEM.
ut_err ut_control_open(const ut_control_config *config, ut_control **control, ut_fault *fault);

// Removes the socket. Every request handed to the store thread must have been delivered. NULL is
// ignored.
void ut_control_close(ut_control *control);

// Its server, for step, stop and idle.
ut_http_server *ut_control_server(ut_control *control);

#endif
