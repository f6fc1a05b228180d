// Exponential back-off with full jitter. Pure: the caller brings the random bits.
#include "transport/deliver/backoff.h"

uint64_t ut_backoff_ceiling_ms(const ut_backoff *backoff, uint32_t failures)
{
    double ceiling = backoff->initial_ms;
    // A multiplier of 1 never reaches the maximum; the others do within this many turns.
    enum { TURNS_MAX = 64 };
    for (uint32_t i = 1; i < failures && i < TURNS_MAX && ceiling < backoff->max_ms; i++)
        ceiling *= backoff->multiplier;
    return ceiling < backoff->max_ms ? (uint64_t)ceiling : backoff->max_ms;
}

uint64_t ut_backoff_delay_ms(const ut_backoff *backoff, uint32_t failures, uint64_t random)
{
    // The ceiling is far below 2^64, so that the bias of the remainder does not matter.
    return random % (ut_backoff_ceiling_ms(backoff, failures) + 1);
}
