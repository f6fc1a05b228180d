// How long the usual units of time are, in nanoseconds. Not for reading and printing durations:
// text.h.
#ifndef UT_PORT_BASE_TIME_UNITS_H
#define UT_PORT_BASE_TIME_UNITS_H

#include <stdint.h>

// Macros, because an enum holds no number above INT_MAX and because initializers use them.
#define UT_NS_PER_MS   UINT64_C(1000000)
#define UT_NS_PER_S    (1000 * UT_NS_PER_MS)
#define UT_NS_PER_MIN  (60 * UT_NS_PER_S)
#define UT_NS_PER_HOUR (60 * UT_NS_PER_MIN)
#define UT_NS_PER_DAY  (24 * UT_NS_PER_HOUR)

#endif
