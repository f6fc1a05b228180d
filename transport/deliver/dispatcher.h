// The dispatcher: reads the ledger, merges pending blocks into batches, sends them to their
// destinations, and reports what became of each block. Destinations are independent: one that is
// dead, slow or hostile neither delays nor loses what others get. A step machine on one thread (the
// dispatch thread).
#ifndef UT_TRANSPORT_DISPATCHER_H
#define UT_TRANSPORT_DISPATCHER_H

#include "port/base/log.h"
#include "storage/store/store.h"
#include "transport/deliver/destination.h"

typedef struct ut_dispatcher ut_dispatcher;

typedef struct {
    ut_poller *poller;
    ut_resolver *resolver;
    ut_engine *engine; // for a view of its own
    const ut_log *log;
    // Takes one mark to be written by the store thread; delivery is copied before it returns,
    // dead_ordinals too. UT_EAGAIN: the queue is full, the dispatcher keeps the mark and offers it
    // again.
    ut_err (*mark)(void *context, const ut_delivery *delivery);
    void *mark_context;
    const char *user_agent_z;
} ut_dispatcher_config;

ut_err ut_dispatcher_new(const ut_dispatcher_config *config, ut_dispatcher **dispatcher);
// Closes all connections; what was in flight stays pending in the ledger.
void ut_dispatcher_free(ut_dispatcher *dispatcher);

// Before the first step. destination is borrowed for the life of the dispatcher. Faults name the
// destination. UT_ETLS, UT_EINVAL, UT_ENOMEM.
ut_err ut_dispatcher_add(ut_dispatcher *dispatcher, const ut_destination_config *destination,
                         ut_fault *fault);

// New blocks up to seq are in the store. Dispatch thread (another thread wakes the poller and hands
// seq over itself).
void ut_dispatcher_advance(ut_dispatcher *dispatcher, uint64_t last_seq);

// The owner gives every poll event of the dispatcher's clients to this, then calls step.
void ut_dispatcher_event(ut_dispatcher *dispatcher, const ut_poll_event *event);

// Does what can be done now; *next_ms: when to call again at the latest (monotonic; UINT64_MAX:
// only on an event or advance).
void ut_dispatcher_step(ut_dispatcher *dispatcher, uint64_t now_ms, uint64_t wall_ns,
                        uint64_t *next_ms);

// Stops taking new blocks. Idle once the batches in flight have ended and all marks are handed
// over.
void ut_dispatcher_drain(ut_dispatcher *dispatcher);
bool ut_dispatcher_idle(const ut_dispatcher *dispatcher);

typedef struct {
    const char *name_z;
    uint64_t spans_delivered; // since start
    uint64_t spans_dead;
    uint64_t requests;
    uint64_t failures;  // requests that were not a success
    uint32_t in_flight; // requests under way
    bool failing;       // the last attempt failed
    char last_error_z[UT_STORE_REASON_MAX];
} ut_dispatcher_status;
size_t ut_dispatcher_get_status(const ut_dispatcher *dispatcher, ut_dispatcher_status *out,
                                size_t cap);

#endif
