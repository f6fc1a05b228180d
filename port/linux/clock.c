// The two clocks of the seam, from clock_gettime. Not for timers: code that waits holds
// its own deadline.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include "port/base/time_units.h"

#include <time.h>

uint64_t ut_clock_mono_ms(void)
{
    struct timespec now;
    UT_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / UT_NS_PER_MS;
}

uint64_t ut_clock_wall_ns(void)
{
    struct timespec now;
    UT_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    // A device without a clock battery may start before 1970; span times know no such thing.
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * UT_NS_PER_S + (uint64_t)now.tv_nsec;
}
