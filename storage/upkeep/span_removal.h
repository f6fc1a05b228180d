// Removes some spans of a block: the block is written anew without them. The other spans get a new
// number, and keep the time they came at, their hour, and what every destination knows of them.
// Inside storage/ only.
#ifndef UT_STORAGE_UPKEEP_SPAN_REMOVAL_H
#define UT_STORAGE_UPKEEP_SPAN_REMOVAL_H

#include "storage/span/block_tables.h"
#include "storage/store/retention.h"

typedef struct ut_span_removal ut_span_removal; // memory kept between blocks

ut_span_removal *ut_span_removal_new(void); // NULL without memory
void ut_span_removal_free(ut_span_removal *removal);

typedef struct {
    uint32_t org;
    uint64_t seq;
    // The block, opened in a view that has ended meanwhile; its payload is borrowed.
    const ut_block *block;
    const ut_block_tables *tables;
    const bool *keep; // for each ordinal; true for at least one span, false for at least one
} ut_span_removal_job;

// One transaction. The spans that leave count as expired. done: they are added to spans, pending
// and sealed, not to blocks. UT_ENOTFOUND: the block has gone meanwhile; nothing is done.
// UT_EAGAIN: there is no room now. UT_ECORRUPT, UT_EIO, UT_ENOSPC, UT_ENOMEM: nothing has happened.
ut_err ut_span_removal_run(ut_span_removal *removal, ut_store *store,
                           const ut_span_removal_job *job, ut_removal_progress *done);

#endif
