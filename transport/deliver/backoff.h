// How long to wait before the next attempt: exponential back-off with full jitter, so that agents
// that failed together do not come back together.
#ifndef UT_TRANSPORT_DELIVER_BACKOFF_H
#define UT_TRANSPORT_DELIVER_BACKOFF_H

#include <stdint.h>

typedef struct {
    uint32_t initial_ms;
    uint32_t max_ms;
    double multiplier; // >= 1
} ut_backoff;

// The longest wait after `failures` (>= 1) failures in a row: initial * multiplier^(failures - 1),
// at most max.
uint64_t ut_backoff_ceiling_ms(const ut_backoff *backoff, uint32_t failures);

// A wait between 0 and that ceiling, evenly spread. random: any 64 random bits.
uint64_t ut_backoff_delay_ms(const ut_backoff *backoff, uint32_t failures, uint64_t random);

#endif
