// The times of sweeps; see sweep_timer.h.
#include "agent/threads/sweep_timer.h"

#include "port/base/order.h"
#include "port/base/time_units.h"

void ut_sweep_timer_init(ut_sweep_timer *timer, uint64_t now_ms, uint64_t age_ns)
{
    *timer = (ut_sweep_timer){
        .swept_ms = now_ms, .swept_hour = age_ns / UT_NS_PER_HOUR, .changed = true};
}

void ut_sweep_timer_changed(ut_sweep_timer *timer)
{
    timer->changed = true;
}

void ut_sweep_timer_committed(ut_sweep_timer *timer, uint64_t now_ms)
{
    timer->changed = true;
    timer->quiet_ms = now_ms + UT_SWEEP_TIMER_QUIET_MS;
}

void ut_sweep_timer_swept(ut_sweep_timer *timer, uint64_t now_ms, uint64_t age_ns, bool more,
                          bool failed)
{
    timer->swept_ms = now_ms;
    timer->swept_hour = age_ns / UT_NS_PER_HOUR;
    timer->more = more && !failed;
    timer->changed = failed;
}

// The time until the next hour of the age, rounded up: at its end the hour has begun.
static uint64_t next_hour_ms(uint64_t age_ns)
{
    return (UT_NS_PER_HOUR - age_ns % UT_NS_PER_HOUR) / UT_NS_PER_MS + 1;
}

uint64_t ut_sweep_timer_due_ms(const ut_sweep_timer *timer, uint64_t now_ms, uint64_t age_ns)
{
    // A clock that was set back makes a sweep that finds nothing.
    const bool other_hour = age_ns / UT_NS_PER_HOUR != timer->swept_hour;
    if (!timer->changed && !timer->more && !other_hour)
        return now_ms + ut_min_u64(next_hour_ms(age_ns), UT_SWEEP_TIMER_LOOK_MS);
    const uint64_t due_ms = timer->swept_ms + (timer->more ? 0 : UT_SWEEP_TIMER_PAUSE_MS);
    const uint64_t quiet_ms =
        ut_min_u64(timer->quiet_ms, timer->swept_ms + UT_SWEEP_TIMER_QUIET_MAX_MS);
    return ut_max_u64(due_ms, quiet_ms);
}
