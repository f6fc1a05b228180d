// The clock by which spans grow old: it runs while the machine runs, across restarts, and does not
// jump with the wall clock, which a device without a battery for it begins anywhere. Ages are
// written as a wall clock would say them, so that hours of expiry stay hours since the epoch: the
// wall clock less the sum of its jumps. Pure: the caller brings the times. Not for the times in
// spans, and not for what waits.
#ifndef UT_STORAGE_STORE_AGE_CLOCK_H
#define UT_STORAGE_STORE_AGE_CLOCK_H

#include "port/base/time_units.h"

#include <stdint.h>

// A clock that says less has not been set: 2020-01-01 UTC.
#define UT_AGE_CLOCK_SET_NS (UINT64_C(1577836800) * UT_NS_PER_S)

enum {
    // Differences from the time that the machine ran that add up to no more than this are a clock
    // being corrected: ages follow it.
    UT_AGE_CLOCK_JUMP_S = 30,
    // ... and so are those of one part in this many: a crystal is off by less.
    UT_AGE_CLOCK_DRIFT_PART = 500,
};

// All zeros: no time is known yet, and ages are those of the wall clock.
typedef struct {
    uint64_t wall_ns;  // the wall clock at the last look; 0: there was none
    uint64_t up_ms;    // how long the machine had run then
    uint64_t boot;     // which start of the machine that was; 0: not known
    int64_t ahead_ns;  // the wall clock less the age
    int64_t drift_ns;  // what the two have grown apart since, by too little for a jump
    uint64_t jump_seq; // blocks with lower numbers came before the last jump
    uint64_t jump_ns;  // the age at that jump
} ut_age_clock;

// The age of what comes while the wall clock says wall_ns.
uint64_t ut_age_clock_now(const ut_age_clock *clock, uint64_t wall_ns);

// The age at which a block came whose clock said received_ns. Of one from before the last jump the
// age at that jump: it may live longer than it should, and never less.
uint64_t ut_age_clock_received(const ut_age_clock *clock, uint64_t seq, uint64_t received_ns);

// Looks at the clocks. up_ms: how long the machine has run, sleep included. boot: differs after
// each start of the machine; 0: not known. next_seq: of the block that comes next. Returns by how
// much the wall clock has jumped since the last look; 0: it has not. After another start of the
// machine the time that it was off cannot be told from a jump, and counts as one.
int64_t ut_age_clock_look(ut_age_clock *clock, uint64_t wall_ns, uint64_t up_ms, uint64_t boot,
                          uint64_t next_seq);

#endif
