// The smaller, the larger, and the nearest of numbers. Not for runs of bytes, which bytes.h
// compares.
#ifndef UT_PORT_BASE_ORDER_H
#define UT_PORT_BASE_ORDER_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t ut_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t ut_max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline uint64_t ut_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t ut_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline size_t ut_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

// The number within low..high that is nearest to value. Where low is above high: low or high.
static inline uint64_t ut_clamp_u64(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

// a - b, and 0 where b is the larger, as of a budget a of which b is spent.
static inline uint64_t ut_left_u64(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

#endif
