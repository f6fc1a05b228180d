// When the store is to be swept: soon after it has changed, and otherwise when an hour of its age
// begins (ut_store_age_ns), because blocks expire by the hour. A store that rests is left alone in
// between.
// Pure: the caller brings the times. Not for what a sweep removes: storage/store/retention.
#ifndef UT_AGENT_THREADS_SWEEP_TIMER_H
#define UT_AGENT_THREADS_SWEEP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    UT_SWEEP_TIMER_PAUSE_MS = 1000, // between two sweeps of a store that changes
    // A sweep waits for a pause of QUIET_MS after a commit, so that no request waits for the sync
    // of a sweep (commits remove expired blocks as well), but for QUIET_MAX_MS at most.
    UT_SWEEP_TIMER_QUIET_MS = 100,
    UT_SWEEP_TIMER_QUIET_MAX_MS = 5000,
    // The longest time between two looks at the clocks: a jump is told soon, and an age follows a
    // wall clock that is being corrected.
    UT_SWEEP_TIMER_LOOK_MS = 5 * 60 * 1000,
};

typedef struct {
    uint64_t swept_ms;   // monotonic: when the last sweep began
    uint64_t swept_hour; // hours since the epoch at that time
    uint64_t quiet_ms;   // monotonic: a sweep before it is in the way of requests
    bool changed;        // the store has changed since, or the sweep failed
    bool more;           // the sweep left something that is due
} ut_sweep_timer;

// The first sweep is due after PAUSE_MS.
void ut_sweep_timer_init(ut_sweep_timer *timer, uint64_t now_ms, uint64_t age_ns);

// The store has been changed by something other than a commit or a sweep.
void ut_sweep_timer_changed(ut_sweep_timer *timer);
void ut_sweep_timer_committed(ut_sweep_timer *timer, uint64_t now_ms);

// A sweep that began at now_ms has ended. more: what it said. failed: it is tried again.
void ut_sweep_timer_swept(ut_sweep_timer *timer, uint64_t now_ms, uint64_t age_ns, bool more,
                          bool failed);

// When the next sweep is due, or when to ask again: it is due where the answer is no later than
// now_ms.
uint64_t ut_sweep_timer_due_ms(const ut_sweep_timer *timer, uint64_t now_ms, uint64_t age_ns);

#endif
