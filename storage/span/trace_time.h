// When a trace began and ended, from the times of its spans, of which some may come from a machine
// whose clock had not been set. Pure functions.
#ifndef UT_STORAGE_SPAN_TRACE_TIME_H
#define UT_STORAGE_SPAN_TRACE_TIME_H

#include <stdbool.h>
#include <stdint.h>

// From the earliest start to the latest end; a span that ends before it begins ends when it begins.
// Spans that began within a year of 1970 count only where all of a trace did: a machine without a
// clock that runs on begins there, and one such span would make a trace of half a century.
typedef struct {
    bool any; // false: nothing was added
    uint64_t start_ns;
    uint64_t end_ns;
} ut_trace_time;

// Adds a span, or a part of the trace with times of its own.
void ut_trace_time_add(ut_trace_time *time, uint64_t start_ns, uint64_t end_ns);

// True when a span that began at a is the earlier one; without a clock it is the later one.
bool ut_trace_time_earlier(uint64_t a_ns, uint64_t b_ns);

#endif
