// Writes a block anew without some of its spans: the others get a new number, and keep the time
// they came at, their hour, and what every destination knows of them. Inside storage/ only.
#ifndef UT_STORAGE_REWRITE_H
#define UT_STORAGE_REWRITE_H

#include "storage/span/block_tables.h"
#include "storage/store/retention.h"

typedef struct ut_rewrite ut_rewrite; // memory kept between blocks

ut_rewrite *ut_rewrite_new(void); // NULL without memory
void ut_rewrite_free(ut_rewrite *rewrite);

// One transaction. block, with tables: opened in a view that has ended meanwhile; its payload is
// borrowed. keep: for each ordinal, true for what stays; at least one does and at least one does
// not. The spans that leave count as expired. done: what left is added to blocks (none), spans,
// pending and sealed. UT_ENOTFOUND: the block has gone meanwhile; nothing is done. UT_EAGAIN: there
// is no room now. UT_ECORRUPT, UT_EIO, UT_ENOSPC, UT_ENOMEM: nothing has happened.
ut_err ut_rewrite_block(ut_rewrite *rewrite, ut_store *store, uint32_t org, uint64_t seq,
                        const ut_block *block, const ut_block_tables *tables, const bool *keep,
                        ut_removal_progress *done);

#endif
