// One destination at work: its place in the ledger, the batches it forms, has in flight and will
// try again, its connections and its back-off. Knows nothing of other destinations; the dispatcher
// holds one for each. A step machine on the dispatch thread.
#ifndef UT_TRANSPORT_DELIVER_EXPORTER_H
#define UT_TRANSPORT_DELIVER_EXPORTER_H

#include "transport/deliver/batcher.h"
#include "transport/deliver/dispatcher_config.h"

enum {
    UT_EXPORTER_TROUBLE_AGAIN_MS = 1000, // when this machine is in trouble: memory, the store
};

typedef struct ut_exporter ut_exporter;

// The parts that all exporters of a dispatcher share; they outlive the exporters.
typedef struct {
    const ut_dispatcher_config *config;
    ut_batcher *batcher;
} ut_exporter_shared;

// destination is borrowed for the life of the exporter. Faults name the destination. UT_EINVAL,
// UT_ETLS, UT_ENOMEM.
ut_err ut_exporter_new(const ut_exporter_shared *shared, const ut_destination_config *destination,
                       ut_exporter **exporter, ut_fault *fault);
void ut_exporter_free(ut_exporter *exporter);

void ut_exporter_advance(ut_exporter *exporter, uint64_t last_seq);
void ut_exporter_step(ut_exporter *exporter, uint64_t now_ms, uint64_t wall_ns, uint64_t *next_ms);
void ut_exporter_drain(ut_exporter *exporter);

// True when it has nothing in flight and no mark to hand over.
bool ut_exporter_idle(const ut_exporter *exporter);
// True when it needs none of the shared working memory now.
bool ut_exporter_resting(const ut_exporter *exporter);
void ut_exporter_get_status(const ut_exporter *exporter, ut_dispatcher_status *status);

// A poll event has come for one of its connections; link is the event's tag.
typedef struct ut_exporter_link ut_exporter_link;
void ut_exporter_link_ready(ut_exporter_link *link);

#endif
