// The demand of a transaction: the room that it may take of its engine. It is guessed before the
// transaction begins, rather too high than too low, and retention makes room for it. Not for the
// room that is free: ut_engine_room.
#ifndef UT_STORAGE_STORE_DEMAND_H
#define UT_STORAGE_STORE_DEMAND_H

#include "storage/engine.h"

typedef struct {
    uint64_t data_bytes; // of the values and keys that are written
    // Touches: places in the order of keys at which the transaction puts or deletes. A tree that
    // copies before it writes copies the pages on the way to each of them; neighbouring keys share
    // a touch.
    uint64_t touches;
} ut_demand;

// The records of blocks, counted.
typedef struct {
    uint64_t sealed_bytes; // of the blocks themselves
    uint64_t blocks;
    uint64_t spans;
    uint64_t entries;    // of traces in blocks
    uint64_t deliveries; // ledger entries, and marks
} ut_demand_records;

// The bytes that the records take, roughly. page_bytes: of the engine; 0: not known yet.
static inline uint64_t ut_demand_data_bytes(const ut_demand_records *records, uint32_t page_bytes)
{
    enum {
        BYTES_PER_SPAN = 10, // its digest and its ordinal in an entry
        BYTES_PER_ENTRY = 48,
        // Summary, expiry entry and keys; the last page of the block comes on top.
        BYTES_PER_BLOCK = 340,
        BYTES_PER_DELIVERY = 60,
        PAGE_USUAL = 4096, // a page while the engine has not said
    };
    const uint64_t page = page_bytes > 0 ? page_bytes : PAGE_USUAL;
    return records->sealed_bytes + records->blocks * (page + BYTES_PER_BLOCK) +
           records->spans * BYTES_PER_SPAN + records->entries * BYTES_PER_ENTRY +
           records->deliveries * BYTES_PER_DELIVERY;
}

#endif
