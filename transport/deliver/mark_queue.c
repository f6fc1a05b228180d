// Turns blocks into the marks of the ledger and hands them over.
#include "transport/deliver/mark_queue.h"

#include "port/base/order.h"

void ut_mark_queue_add(ut_mark_queue *queue, ut_delivery_block *block)
{
    if (block->mark_due)
        return;
    block->mark_due = true;
    ut_delivery_blocks_push(&queue->blocks, block);
}

// Takes the first block out and gives it to the pool if that is the last that is needed of it.
static void drop_first(ut_mark_queue *queue, ut_delivery_pool *pool)
{
    ut_delivery_block *block = ut_delivery_blocks_pop(&queue->blocks);
    block->mark_due = false;
    if (block->spans_open == 0)
        ut_delivery_pool_give(pool, block);
}

static ut_err hand_over(const ut_mark_facts *facts, const ut_delivery_block *block)
{
    ut_delivery mark = {
        .org = facts->org,
        .dest = facts->dest,
        .seq = block->seq,
        .attempts = block->attempts,
        .updated_ns = facts->wall_ns,
        .spans = block->spans,
    };
    uint16_t ordinals[UT_BLOCK_SPANS_MAX];
    const char *reason_z = "";
    if (block->spans_open > 0 || block->abandoned) {
        mark.state = UT_DELIVERY_PENDING;
        mark.next_try_ns = block->next_try_ns;
        mark.http_status = facts->http_status;
        reason_z = facts->reason_z;
    } else {
        mark.state = block->spans_dead == block->spans ? UT_DELIVERY_DEAD : UT_DELIVERY_DELIVERED;
        mark.spans_dead = block->spans_dead;
        if (block->fate != NULL) {
            mark.http_status = block->fate->http_status;
            reason_z = block->fate->reason_z;
            uint32_t count = 0;
            for (uint32_t n = 0; n < block->spans; n++) {
                if ((block->fate->dead[n / 8] & 1u << n % 8) != 0)
                    ordinals[count++] = (uint16_t)n;
            }
            // Where the destination did not say which spans it refused, nobody can.
            if (count == block->spans_dead && count < block->spans)
                mark.dead_ordinals = ordinals;
        }
    }
    memcpy(mark.reason_z, reason_z, strlen(reason_z) + 1); // both are texts of UT_STORE_REASON_MAX
    return facts->dispatcher->mark(facts->dispatcher->mark_context, &mark);
}

void ut_mark_queue_hand_over(ut_mark_queue *queue, const ut_mark_facts *facts,
                             ut_delivery_pool *pool, uint64_t now_ms)
{
    if (now_ms < queue->not_before_ms)
        return;
    while (!ut_mark_queue_empty(queue)) {
        const ut_delivery_block *block = queue->blocks.first;
        if (!block->gone && hand_over(facts, block) != UT_OK) {
            queue->again_ms = queue->again_ms == 0
                                  ? UT_MARK_AGAIN_MS
                                  : ut_min_u32(2 * queue->again_ms, UT_MARK_AGAIN_MAX_MS);
            queue->not_before_ms = now_ms + queue->again_ms;
            return;
        }
        queue->again_ms = 0;
        drop_first(queue, pool);
    }
}

void ut_mark_queue_clear(ut_mark_queue *queue, ut_delivery_pool *pool)
{
    while (!ut_mark_queue_empty(queue))
        drop_first(queue, pool);
}
