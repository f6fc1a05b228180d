// Compaction as an operation: the engine does the work, slice by slice. Not for how: see
// engine_lmdb_compact.c.
#include "storage/upkeep/operation.h"

#include "port/base/order.h"

#include <stdlib.h>

typedef struct {
    ut_operation base;
    ut_engine *engine; // that has begun; NULL: none has
} compaction;

static ut_err compaction_step(ut_operation *base, ut_store *store, uint64_t now_ns, bool *more,
                              ut_fault *fault)
{
    compaction *own = (compaction *)base;
    ut_engine *engine = ut_store_engine(store);
    (void)now_ns; // there is no time in it
    *more = false;
    if (engine->class->compact == NULL)
        return ut_fault_set(fault, UT_EINVAL, "this store is in an engine that cannot compact");
    ut_engine_compaction progress = {0};
    ut_err err = ut_engine_compact(engine, &progress, fault);
    own->engine = err == UT_OK && progress.more ? engine : NULL;
    if (err != UT_OK)
        return err;
    base->progress.done = progress.done;
    base->progress.total = ut_max_u64(progress.total, progress.done);
    if (!progress.more && progress.bytes_before > progress.bytes_after)
        base->progress.bytes = progress.bytes_before - progress.bytes_after;
    *more = progress.more;
    return UT_OK;
}

static void compaction_free(ut_operation *base)
{
    compaction *own = (compaction *)base;
    if (own->engine != NULL)
        ut_engine_compact_stop(own->engine);
    free(own);
}

static const ut_operation_class compaction_class = {
    .name_z = "compact",
    .step = compaction_step,
    .free = compaction_free,
};

ut_err ut_compaction_new(ut_operation **operation)
{
    compaction *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return UT_ENOMEM;
    own->base.class = &compaction_class;
    *operation = &own->base;
    return UT_OK;
}
