// The surroundings of the dispatcher, and the status of a destination: the ground that the
// dispatcher, its exporters and their queues of marks share.
#ifndef UT_TRANSPORT_DELIVER_DISPATCHER_CONFIG_H
#define UT_TRANSPORT_DELIVER_DISPATCHER_CONFIG_H

#include "port/base/log.h"
#include "port/port.h"
#include "storage/store/store.h"

// Everything is borrowed and outlives the dispatcher.
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

// Of one destination.
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

#endif
