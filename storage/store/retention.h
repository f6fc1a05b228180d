// Retention: blocks leave when their time is over, or when the budget or the ring needs their room.
// A block is removed in steps of bounded size: one transaction begins a removal, a later one goes
// on with it. The sweep between commits is ut_store_sweep in store.h.
#ifndef UT_STORAGE_STORE_RETENTION_H
#define UT_STORAGE_STORE_RETENTION_H

#include "storage/store/demand.h"
#include "storage/store/store_core.h"

// The hour of the expiry entry of a block whose removal has begun: it is always due.
enum { UT_RETENTION_UNFINISHED_HOUR = 1 };

// Why a block is removed.
typedef enum {
    UT_REMOVAL_EXPIRED, // the caller deletes the expiry entry that named the block, after the block
    UT_REMOVAL_EVICTED,
    UT_REMOVAL_CLEANED, // counts as expired
} ut_removal_why;

// The removals of one transaction so far, and their limit.
typedef struct {
    uint64_t touches_max; // touches it may spend on removals; see ut_demand
    uint64_t touches;     // touches it has spent
    uint64_t pieces;      // pieces of blocks deleted
    uint64_t bytes;       // bytes that have become free, roughly
    uint64_t sealed;      // of these bytes, blocks as sealed
    uint64_t blocks;      // blocks that left the counters
    uint64_t spans;       // spans of these blocks
    uint64_t pending;     // of these spans, those that some destination had not got
    bool all;             // the block that was removed last is gone
} ut_removal_progress;

// Removes old blocks in transactions of their own until the demand can be met. UT_EFULL: it cannot,
// because readers pin what was freed. UT_ELIMIT: an empty store could not meet it. UT_EIO,
// UT_ENOSPC, UT_ENOMEM. Outside of a transaction.
ut_err ut_retention_make_room(ut_store *store, const ut_demand *demand);

// After UT_ENOSPC: true when the engine knows now how much the disk has given, so that room can be
// made within that.
bool ut_retention_met_full_disk(ut_store *store);

// Removes blocks inside the commit under way: some of those that have expired, and as many old ones
// as keep the budget and the ring, as far as the room allows that was made for the commit.
ut_err ut_retention_remove_in_commit(ut_store *store, uint64_t now_ns);

// Begins a transaction of its own that removes blocks, of at most touches_max; done: out, empty.
// UT_EIO, UT_ENOSPC, UT_ENOMEM.
ut_err ut_retention_begin(ut_store *store, uint64_t touches_max, ut_removal_progress *done);

// True when the transaction must not begin another removal.
bool ut_retention_is_spent(const ut_store *store, const ut_removal_progress *done);

// Removes a block, or begins to: done->all tells. A later transaction goes on: this function again,
// or a sweep.
ut_err ut_retention_remove(ut_store *store, ut_cursor *cursor, uint32_t org, uint64_t seq,
                           ut_removal_why why, ut_removal_progress *done);

#endif
