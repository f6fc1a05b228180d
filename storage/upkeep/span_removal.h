// Writes a block anew without some of its spans: the others get a new number, and keep the time
// they came at, their hour, and what every destination knows of them. Inside storage/ only.
#ifndef UT_STORAGE_SPAN_REMOVAL_H
#define UT_STORAGE_SPAN_REMOVAL_H

#include "storage/span/block_tables.h"
#include "storage/store/retention.h"

typedef struct ut_rewrite ut_rewrite; // memory kept between blocks

ut_rewrite *ut_rewrite_new(void); // NULL without memory
void ut_rewrite_free(ut_rewrite *rewrite);

typedef struct {
    uint32_t org;
    uint64_t seq;
    // The block, opened in a view that has ended meanwhile; its payload is borrowed.
    const ut_block *block;
    const ut_block_tables *tables;
    const bool *keep; // for each ordinal; true for at least one span, false for at least one
} ut_rewrite_job;

// One transaction. The spans that leave count as expired. done: they are added to spans, pending
// and sealed, not to blocks. UT_ENOTFOUND: the block has gone meanwhile; nothing is done.
// UT_EAGAIN: there is no room now. UT_ECORRUPT, UT_EIO, UT_ENOSPC, UT_ENOMEM: nothing has happened.
ut_err ut_rewrite_block(ut_rewrite *rewrite, ut_store *store, const ut_rewrite_job *job,
                        ut_removal_progress *done);

#endif
