// The spans of one request to a destination: a list of parts of blocks, and the blocks they
// belong to. A block is on its way until each of its spans has ended, in whatever number of
// requests that took. Not for encoding (batcher.h) and not for deciding (exporter.c).
#ifndef UT_TRANSPORT_DELIVER_DELIVERY_BATCH_H
#define UT_TRANSPORT_DELIVER_DELIVERY_BATCH_H

#include "port/base/list.h"
#include "storage/store/store.h"

// The spans of a block that were refused one by one; most blocks never need it.
typedef struct {
    uint16_t http_status; // of the answer that refused them, 0: none
    char reason_z[UT_STORE_REASON_MAX];
    uint8_t dead[UT_BLOCK_SPANS_MAX / 8]; // a bit for each ordinal
} ut_delivery_fate;

// A block on its way.
typedef struct ut_delivery_block {
    struct ut_delivery_block *next; // in a list of its owner's
    uint64_t seq;
    uint32_t spans;           // in the block, 1..UT_BLOCK_SPANS_MAX
    uint32_t spans_open;      // of them, not ended
    uint32_t spans_dead;      // of them, refused for good
    uint32_t attempts;        // that failed, and the last one: of the span that has most
    uint32_t attempts_before; // of them, those before the block was taken from the ledger
    uint64_t next_try_ns;     // wall clock
    ut_delivery_fate *fate;   // owned; NULL: no span was refused by its ordinal
    bool gone;                // it has expired: there is nothing left to mark
    bool abandoned;           // some of its spans are left pending for another run of the program
    bool mark_due;            // waits to be handed to the store
} ut_delivery_block;

UT_LIST_DEFINE(ut_delivery_blocks, ut_delivery_block, next);

// How a part of a block ends.
typedef enum {
    UT_DELIVERY_END_DELIVERED,
    UT_DELIVERY_END_DEAD,
    UT_DELIVERY_END_GONE,
    UT_DELIVERY_END_ABANDONED
} ut_delivery_end;

typedef enum {
    UT_DELIVERY_PART_GOOD,
    UT_DELIVERY_PART_GONE,      // the block has expired
    UT_DELIVERY_PART_DAMAGED,   // the block does not read
    UT_DELIVERY_PART_TOO_LARGE, // one span, over what a request may hold
    UT_DELIVERY_PART_SPENT,     // the block has used up its attempts
} ut_delivery_part_state;

typedef struct {
    ut_delivery_block *block;
    uint16_t from; // ordinals from <= n < to
    uint16_t to;
    ut_delivery_part_state state;
} ut_delivery_part;

enum { UT_DELIVERY_PARTS_MAX = 4096 }; // blocks in one batch

typedef struct ut_delivery_batch {
    struct ut_delivery_batch *next; // in a list of its owner's
    ut_delivery_part *parts;        // owned; a block has at most one part in a batch
    size_t part_count;
    size_t part_cap;
    uint32_t spans;
    uint64_t since_ms;       // when its first part came
    uint32_t attempts;       // that failed in a way that allows another
    uint32_t failures_alone; // of them, while the destination took other batches
    uint64_t successes_seen; // of the destination, at the last failure
    uint64_t not_before_ms;
} ut_delivery_batch;

ut_delivery_batch *ut_delivery_batch_new(void); // empty; NULL without memory
// Releases the batch, not its blocks.
void ut_delivery_batch_free(ut_delivery_batch *batch);

// Adds ordinals from <= n < to of block. UT_ELIMIT (parts), UT_ENOMEM: nothing changed.
ut_err ut_delivery_batch_add(ut_delivery_batch *batch, ut_delivery_block *block, uint32_t from,
                             uint32_t to);

// Cuts a batch before span `offset` of part `index`; *rest: a new batch with all that stood behind,
// and the history of the old one. Neither half may be empty. UT_ENOMEM: nothing changed.
ut_err ut_delivery_batch_cut(ut_delivery_batch *batch, size_t index, uint32_t offset,
                             ut_delivery_batch **rest);

// Cuts after the first `spans` spans (1 <= spans < batch->spans).
ut_err ut_delivery_batch_split(ut_delivery_batch *batch, uint32_t spans, ut_delivery_batch **rest);

// Takes the parts that are not UT_DELIVERY_PART_GOOD out, one at a time; false when none is left.
bool ut_delivery_batch_take_bad(ut_delivery_batch *batch, ut_delivery_part *part);

// Ends ordinals from <= n < to of a block. For UT_DELIVERY_END_DEAD, http_status and reason_z are
// kept (the last ones win); without memory only the number of dead spans is. True when the block
// has no open span left.
bool ut_delivery_block_end(ut_delivery_block *block, uint32_t from, uint32_t to,
                           ut_delivery_end end, uint16_t http_status, const char *reason_z);

// Counts `spans` more of a block as refused, without saying which, and keeps the reason. They are
// spans that were ended as delivered.
void ut_delivery_block_reject(ut_delivery_block *block, uint32_t spans, uint16_t http_status,
                              const char *reason_z);

// ---- lists of batches ----

UT_LIST_DEFINE(ut_delivery_batches, ut_delivery_batch, next);

// Takes out the first batch whose not_before_ms has come; NULL when there is none.
ut_delivery_batch *ut_delivery_batches_take_due(ut_delivery_batches *list, uint64_t now_ms);

// ---- memory of blocks ----

// Blocks that are done with, kept for the next ones: as many as were on their way at once.
typedef struct {
    ut_delivery_blocks spare;
} ut_delivery_pool;

ut_delivery_block *ut_delivery_pool_take(ut_delivery_pool *pool); // zeroed; NULL without memory
void ut_delivery_pool_give(ut_delivery_pool *pool, ut_delivery_block *block);
void ut_delivery_pool_free(ut_delivery_pool *pool);

#endif
