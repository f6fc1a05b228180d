// The blocks whose state has to be told to the store, in order. A block stands in the queue once,
// however much happens to it meanwhile: the state handed over is that of the hand-over.
#ifndef UT_TRANSPORT_DELIVER_MARK_QUEUE_H
#define UT_TRANSPORT_DELIVER_MARK_QUEUE_H

#include "transport/deliver/delivery_batch.h"
#include "transport/deliver/dispatcher_config.h"

// The time before the next offer to a store that takes no marks; it doubles up to the second.
enum { UT_MARK_AGAIN_MS = 10, UT_MARK_AGAIN_MAX_MS = 1000 };

typedef struct {
    ut_delivery_blocks blocks;
    uint64_t not_before_ms;
    uint32_t again_ms; // 0: the last mark was taken
} ut_mark_queue;

// The facts that all marks of a destination share.
typedef struct {
    const ut_dispatcher_config *dispatcher;
    uint32_t org;
    uint32_t dest;
    uint16_t http_status; // of the last failure, for blocks that are still pending
    const char *reason_z; // of the last failure
    uint64_t wall_ns;
} ut_mark_facts;

void ut_mark_queue_add(ut_mark_queue *queue, ut_delivery_block *block);

// Hands over what the store takes. Blocks that are done with go to the pool.
void ut_mark_queue_hand_over(ut_mark_queue *queue, const ut_mark_facts *facts,
                             ut_delivery_pool *pool, uint64_t now_ms);

// Blocks without an open span go to the pool, the others to whoever holds their batches.
void ut_mark_queue_clear(ut_mark_queue *queue, ut_delivery_pool *pool);

static inline bool ut_mark_queue_empty(const ut_mark_queue *queue)
{
    return ut_delivery_blocks_empty(&queue->blocks);
}

#endif
