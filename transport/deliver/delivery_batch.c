// Lists of parts of blocks: added to, cut, ended.
#include "transport/deliver/delivery_batch.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARTS_CAP_MIN = 4 };

ut_delivery_batch *ut_delivery_batch_new(void)
{
    return calloc(1, sizeof(ut_delivery_batch));
}

void ut_delivery_batch_free(ut_delivery_batch *batch)
{
    if (batch == NULL)
        return;
    free(batch->parts);
    free(batch);
}

static ut_err reserve(ut_delivery_batch *batch, size_t count)
{
    if (count > UT_DELIVERY_PARTS_MAX)
        return UT_ELIMIT;
    if (count <= batch->part_cap)
        return UT_OK;
    size_t cap = batch->part_cap < PARTS_CAP_MIN ? PARTS_CAP_MIN : batch->part_cap;
    while (cap < count)
        cap *= 2;
    ut_delivery_part *parts = realloc(batch->parts, cap * sizeof(*parts));
    if (parts == NULL)
        return UT_ENOMEM;
    batch->parts = parts;
    batch->part_cap = cap;
    return UT_OK;
}

ut_err ut_delivery_batch_add(ut_delivery_batch *batch, ut_delivery_block *block, uint32_t from,
                             uint32_t to)
{
    UT_ASSERT(from < to && to <= block->spans && block->spans <= UT_BLOCK_SPANS_MAX);
    ut_err err = reserve(batch, batch->part_count + 1);
    if (err != UT_OK)
        return err;
    batch->parts[batch->part_count++] = (ut_delivery_part){
        .block = block,
        .from = (uint16_t)from,
        .to = (uint16_t)to,
        .state = UT_DELIVERY_PART_GOOD,
    };
    batch->spans += to - from;
    return UT_OK;
}

ut_err ut_delivery_batch_cut(ut_delivery_batch *batch, size_t index, uint32_t offset,
                             ut_delivery_batch **rest)
{
    UT_ASSERT(index < batch->part_count && index + offset > 0);
    ut_delivery_part *part = &batch->parts[index];
    UT_ASSERT(offset < (uint32_t)(part->to - part->from));
    ut_delivery_batch *made = ut_delivery_batch_new();
    if (made == NULL || reserve(made, batch->part_count - index) != UT_OK) {
        ut_delivery_batch_free(made);
        return UT_ENOMEM;
    }
    made->since_ms = batch->since_ms;
    made->attempts = batch->attempts;
    made->failures_alone = batch->failures_alone;
    made->successes_seen = batch->successes_seen;
    made->not_before_ms = batch->not_before_ms;
    for (size_t i = index; i < batch->part_count; i++) {
        ut_delivery_part moved = batch->parts[i];
        if (i == index)
            moved.from = (uint16_t)(moved.from + offset);
        made->parts[made->part_count++] = moved;
        made->spans += (uint32_t)(moved.to - moved.from);
    }
    part->to = (uint16_t)(part->from + offset);
    batch->part_count = offset > 0 ? index + 1 : index;
    batch->spans -= made->spans;
    *rest = made;
    return UT_OK;
}

ut_err ut_delivery_batch_split(ut_delivery_batch *batch, uint32_t spans, ut_delivery_batch **rest)
{
    UT_ASSERT(spans >= 1 && spans < batch->spans);
    size_t index = 0;
    for (;; index++) {
        uint32_t in_part = (uint32_t)(batch->parts[index].to - batch->parts[index].from);
        if (spans < in_part)
            return ut_delivery_batch_cut(batch, index, spans, rest);
        spans -= in_part;
    }
}

bool ut_delivery_batch_take_bad(ut_delivery_batch *batch, ut_delivery_part *part)
{
    for (size_t i = 0; i < batch->part_count; i++) {
        if (batch->parts[i].state == UT_DELIVERY_PART_GOOD)
            continue;
        *part = batch->parts[i];
        batch->spans -= (uint32_t)(part->to - part->from);
        memmove(&batch->parts[i], &batch->parts[i + 1],
                (batch->part_count - i - 1) * sizeof(*batch->parts));
        batch->part_count--;
        return true;
    }
    return false;
}

// The place for what is told of refused spans; NULL without memory.
static ut_delivery_fate *fate_of(ut_delivery_block *block, uint16_t http_status,
                                 const char *reason_z)
{
    if (block->fate == NULL)
        block->fate = calloc(1, sizeof(*block->fate));
    if (block->fate != NULL) {
        block->fate->http_status = http_status;
        (void)snprintf(block->fate->reason_z, sizeof(block->fate->reason_z), "%.*s",
                       UT_STORE_REASON_MAX - 1, reason_z); // cut is fine
    }
    return block->fate;
}

bool ut_delivery_block_end(ut_delivery_block *block, uint32_t from, uint32_t to,
                           ut_delivery_end end, uint16_t http_status, const char *reason_z)
{
    UT_ASSERT(from < to && to <= block->spans && to - from <= block->spans_open);
    block->spans_open -= to - from;
    switch (end) {
    case UT_DELIVERY_END_DELIVERED:
        break;
    case UT_DELIVERY_END_DEAD: {
        block->spans_dead += to - from;
        ut_delivery_fate *fate = fate_of(block, http_status, reason_z);
        for (uint32_t n = from; fate != NULL && n < to; n++)
            fate->dead[n / 8] = (uint8_t)(fate->dead[n / 8] | 1u << n % 8);
        break;
    }
    case UT_DELIVERY_END_GONE:
        block->gone = true;
        break;
    case UT_DELIVERY_END_ABANDONED:
        block->abandoned = true;
        break;
    }
    return block->spans_open == 0;
}

void ut_delivery_block_reject(ut_delivery_block *block, uint32_t spans, uint16_t http_status,
                              const char *reason_z)
{
    UT_ASSERT(spans <= block->spans - block->spans_dead);
    if (spans == 0)
        return;
    block->spans_dead += spans;
    (void)fate_of(block, http_status,
                  reason_z); // without memory the number stands without its reason
}

ut_delivery_batch *ut_delivery_batches_take_due(ut_delivery_batches *list, uint64_t now_ms)
{
    ut_delivery_batch *before = NULL;
    for (ut_delivery_batch *batch = list->first; batch != NULL;
         before = batch, batch = batch->next) {
        if (batch->not_before_ms <= now_ms)
            return ut_delivery_batches_pop_behind(list, before);
    }
    return NULL;
}

ut_delivery_block *ut_delivery_pool_take(ut_delivery_pool *pool)
{
    ut_delivery_block *block = ut_delivery_blocks_pop(&pool->spare);
    if (block == NULL)
        return calloc(1, sizeof(*block));
    memset(block, 0, sizeof(*block));
    return block;
}

void ut_delivery_pool_give(ut_delivery_pool *pool, ut_delivery_block *block)
{
    free(block->fate);
    block->fate = NULL;
    ut_delivery_blocks_push_front(&pool->spare, block);
}

void ut_delivery_pool_free(ut_delivery_pool *pool)
{
    for (ut_delivery_block *block; (block = ut_delivery_blocks_pop(&pool->spare)) != NULL;)
        free(block);
}
