// The traces of recent blocks; see trace_recent.h.
#include "storage/store/trace_recent.h"

void ut_trace_recent_init(ut_trace_recent *recent)
{
    *recent = (ut_trace_recent){0};
    ut_buf_init(&recent->slots, UT_TRACE_RECENT_SLOTS * sizeof(uint32_t));
}

void ut_trace_recent_free(ut_trace_recent *recent)
{
    ut_buf_free(&recent->slots);
}

static uint32_t *slots_of(const ut_trace_recent *recent)
{
    return (uint32_t *)(void *)recent->slots.data;
}

// The slot of a hash: taken by an equal one, or free.
static uint32_t find_slot(const ut_trace_recent *recent, uint32_t hash)
{
    uint32_t slot = hash % UT_TRACE_RECENT_SLOTS;
    while (slots_of(recent)[slot] != 0 && slots_of(recent)[slot] != hash)
        slot = (slot + 1) % UT_TRACE_RECENT_SLOTS;
    return slot;
}

// The part of a hash that the set keeps; 0 marks a free slot.
static uint32_t kept(uint64_t hash)
{
    const uint32_t part = (uint32_t)hash;
    return part != 0 ? part : 1;
}

void ut_trace_recent_begin_block(ut_trace_recent *recent, uint64_t seq, uint32_t traces)
{
    if (recent->from_seq != 0 && recent->count + traces <= UT_TRACE_RECENT_MAX)
        return;
    const size_t len = UT_TRACE_RECENT_SLOTS * sizeof(uint32_t);
    ut_buf_reset(&recent->slots, len);
    uint8_t *slots = ut_buf_reserve(&recent->slots, len);
    recent->count = 0;
    recent->from_seq = slots != NULL ? seq : 0; // without memory all blocks are asked
    if (slots == NULL)
        return;
    memset(slots, 0, len);
    recent->slots.len = len;
}

void ut_trace_recent_add(ut_trace_recent *recent, uint64_t hash)
{
    if (recent->from_seq == 0)
        return;
    const uint32_t slot = find_slot(recent, kept(hash));
    if (slots_of(recent)[slot] != 0)
        return;
    slots_of(recent)[slot] = kept(hash);
    recent->count += 1;
}

bool ut_trace_recent_has(const ut_trace_recent *recent, uint64_t hash)
{
    return slots_of(recent)[find_slot(recent, kept(hash))] != 0;
}
