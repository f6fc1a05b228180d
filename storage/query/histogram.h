// How durations are spread, in little memory: counters in steps of at most 1/64 of the value, from
// which percentiles follow within 1 %. Not for exact sums or extremes.
#ifndef UT_STORAGE_QUERY_HISTOGRAM_H
#define UT_STORAGE_QUERY_HISTOGRAM_H

#include "port/base/err.h"

#include <stdint.h>

enum {
    UT_HISTOGRAM_STEPS = 64, // counters to each doubling of the value; below 64 one for each value
    UT_HISTOGRAM_PAGES = 59, // doublings from 64 to 2^64, and what is below
};

// All zero: empty. A page of counters is allocated when a value falls into it: 256 bytes for each
// doubling that occurs, 15 KiB at most. A counter stops at 2^32 - 1.
typedef struct {
    uint32_t *pages[UT_HISTOGRAM_PAGES];
} ut_histogram;

// UT_ENOMEM: the value is not counted.
ut_err ut_histogram_add(ut_histogram *histogram, uint64_t value);
void ut_histogram_free(ut_histogram *histogram); // it is then empty

// The smallest value that at least `parts` of `whole` of all values do not exceed (nearest rank;
// 0 < parts <= whole), no further than 1/128 of it from the true one. 0 for an empty histogram.
uint64_t ut_histogram_quantile(const ut_histogram *histogram, uint32_t parts, uint32_t whole);

#endif
