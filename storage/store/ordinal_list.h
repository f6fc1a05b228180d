// Rising ordinals of spans as the records of traces list them: each as its distance from the one
// before less 1, the first as itself, in numbers of variable length.
#ifndef UT_STORAGE_STORE_ORDINAL_LIST_H
#define UT_STORAGE_STORE_ORDINAL_LIST_H

#include "storage/span/block.h"
#include "storage/store/varint.h"

// Appends an ordinal. *last: the one before, UINT32_MAX at the start.
static inline void ut_ordinal_list_put(ut_buf *list, uint32_t *last, uint32_t ordinal)
{
    ut_varint_put(list, ordinal - *last - 1);
    *last = ordinal;
}

// Takes the next one off the list. False at its end, and where it is damaged.
static inline bool ut_ordinal_list_next(ut_bytes *list, uint32_t *last, uint32_t *ordinal)
{
    uint64_t step;
    if (!ut_varint_get(list, &step) || step >= UT_BLOCK_SPANS_MAX)
        return false;
    *ordinal = *last + 1 + (uint32_t)step;
    *last = *ordinal;
    return *ordinal < UT_BLOCK_SPANS_MAX;
}

#endif
