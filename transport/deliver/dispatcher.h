// The dispatcher: reads the ledger, merges pending blocks into batches, sends them to their
// destinations, and reports what became of each block. Destinations are independent: one that is
// dead, slow or hostile neither delays nor loses what others get. A step machine on one thread (the
// dispatch thread).
#ifndef UT_TRANSPORT_DELIVER_DISPATCHER_H
#define UT_TRANSPORT_DELIVER_DISPATCHER_H

#include "transport/deliver/destination.h"
#include "transport/deliver/dispatcher_config.h"

typedef struct ut_dispatcher ut_dispatcher;

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

// Writes the status of at most cap destinations to out, and returns how many it wrote.
size_t ut_dispatcher_get_status(const ut_dispatcher *dispatcher, ut_dispatcher_status *out,
                                size_t cap);

#endif
