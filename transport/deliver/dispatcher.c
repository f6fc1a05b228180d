// Holds one exporter for each destination and what they share. All that is about one destination is
// in exporter.c.
#include "transport/deliver/dispatcher.h"

#include "transport/deliver/exporter.h"

#include <stdlib.h>

struct ut_dispatcher {
    ut_dispatcher_config config;
    ut_batcher batcher;
    ut_exporter_shared shared;
    ut_exporter *exporters[UT_STORE_DESTINATIONS_MAX];
    size_t exporter_count;
};

ut_err ut_dispatcher_new(const ut_dispatcher_config *config, ut_dispatcher **dispatcher)
{
    ut_dispatcher *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return UT_ENOMEM;
    made->config = *config;
    made->shared = (ut_exporter_shared){.config = &made->config, .batcher = &made->batcher};
    ut_err err = ut_batcher_init(&made->batcher, config->engine);
    if (err != UT_OK) {
        ut_dispatcher_free(made);
        return err;
    }
    *dispatcher = made;
    return UT_OK;
}

void ut_dispatcher_free(ut_dispatcher *dispatcher)
{
    if (dispatcher == NULL)
        return;
    for (size_t i = 0; i < dispatcher->exporter_count; i++)
        ut_exporter_free(dispatcher->exporters[i]);
    ut_batcher_free(&dispatcher->batcher);
    free(dispatcher);
}

ut_err ut_dispatcher_add(ut_dispatcher *dispatcher, const ut_destination_config *destination,
                         ut_fault *fault)
{
    if (dispatcher->exporter_count == UT_STORE_DESTINATIONS_MAX)
        return ut_fault_set(fault, UT_EINVAL,
                            "destination %s: there are %d already, which is the "
                            "most that the store keeps account of",
                            destination->name_z, UT_STORE_DESTINATIONS_MAX);
    ut_err err = ut_exporter_new(&dispatcher->shared, destination,
                                 &dispatcher->exporters[dispatcher->exporter_count], fault);
    if (err == UT_OK)
        dispatcher->exporter_count++;
    return err;
}

void ut_dispatcher_advance(ut_dispatcher *dispatcher, uint64_t last_seq)
{
    for (size_t i = 0; i < dispatcher->exporter_count; i++)
        ut_exporter_advance(dispatcher->exporters[i], last_seq);
}

void ut_dispatcher_event(ut_dispatcher *dispatcher, const ut_poll_event *event)
{
    (void)dispatcher;
    ut_exporter_link_ready(event->tag);
}

void ut_dispatcher_step(ut_dispatcher *dispatcher, uint64_t now_ms, uint64_t wall_ns,
                        uint64_t *next_ms)
{
    *next_ms = UINT64_MAX;
    bool resting = true;
    for (size_t i = 0; i < dispatcher->exporter_count; i++) {
        ut_exporter_step(dispatcher->exporters[i], now_ms, wall_ns, next_ms);
        resting = resting && ut_exporter_resting(dispatcher->exporters[i]);
    }
    if (resting)
        ut_batcher_rest(&dispatcher->batcher);
}

void ut_dispatcher_drain(ut_dispatcher *dispatcher)
{
    for (size_t i = 0; i < dispatcher->exporter_count; i++)
        ut_exporter_drain(dispatcher->exporters[i]);
}

bool ut_dispatcher_idle(const ut_dispatcher *dispatcher)
{
    for (size_t i = 0; i < dispatcher->exporter_count; i++) {
        if (!ut_exporter_idle(dispatcher->exporters[i]))
            return false;
    }
    return true;
}

size_t ut_dispatcher_get_status(const ut_dispatcher *dispatcher, ut_dispatcher_status *out,
                                size_t cap)
{
    size_t count = dispatcher->exporter_count < cap ? dispatcher->exporter_count : cap;
    for (size_t i = 0; i < count; i++)
        ut_exporter_get_status(dispatcher->exporters[i], &out[i]);
    return count;
}
