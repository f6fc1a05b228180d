// The clock by which spans grow old; see age_clock.h.
#include "storage/store/age_clock.h"

#include "port/base/order.h"

#include <stdbool.h>

// A difference of two times. A clock is at most some centuries off, which fits.
static int64_t difference(uint64_t later_ns, uint64_t earlier_ns)
{
    const bool back = later_ns < earlier_ns;
    const uint64_t apart = back ? earlier_ns - later_ns : later_ns - earlier_ns;
    const int64_t most = INT64_MAX / 4; // so that sums of several fit
    const int64_t bounded = apart > (uint64_t)most ? most : (int64_t)apart;
    return back ? -bounded : bounded;
}

static uint64_t moved(uint64_t time_ns, int64_t by_ns)
{
    if (by_ns >= 0)
        return time_ns > UINT64_MAX - (uint64_t)by_ns ? UINT64_MAX : time_ns + (uint64_t)by_ns;
    return ut_left_u64(time_ns, 0 - (uint64_t)by_ns);
}

uint64_t ut_age_clock_now(const ut_age_clock *clock, uint64_t wall_ns)
{
    return moved(wall_ns, -clock->ahead_ns);
}

uint64_t ut_age_clock_received(const ut_age_clock *clock, uint64_t seq, uint64_t received_ns)
{
    return seq < clock->jump_seq ? clock->jump_ns : ut_age_clock_now(clock, received_ns);
}

// Lets what has grown apart shrink by what the drift of a crystal explains.
static int64_t less_drift(int64_t apart_ns, uint64_t passed_ns)
{
    const uint64_t explained = ut_min_u64(passed_ns / UT_AGE_CLOCK_DRIFT_PART, INT64_MAX / 4);
    const int64_t less = (int64_t)explained;
    if (apart_ns > 0)
        return apart_ns > less ? apart_ns - less : 0;
    return apart_ns < -less ? apart_ns + less : 0;
}

static void note_jump(ut_age_clock *clock, uint64_t age_ns, uint64_t next_seq)
{
    clock->drift_ns = 0;
    clock->ahead_ns = difference(clock->wall_ns, age_ns);
    clock->jump_seq = next_seq;
    clock->jump_ns = age_ns;
}

int64_t ut_age_clock_look(ut_age_clock *clock, uint64_t wall_ns, uint64_t up_ms, uint64_t boot,
                          uint64_t next_seq)
{
    const ut_age_clock before = *clock;
    clock->wall_ns = wall_ns;
    clock->up_ms = up_ms;
    clock->boot = boot;
    if (before.wall_ns == 0)
        return 0;
    const bool same_boot = boot == before.boot && up_ms >= before.up_ms;
    const uint64_t passed_ms = same_boot ? up_ms - before.up_ms : up_ms;
    const uint64_t passed_ns = ut_min_u64(passed_ms, INT64_MAX / 4 / UT_NS_PER_MS) * UT_NS_PER_MS;
    const int64_t apart = difference(wall_ns, before.wall_ns) - (int64_t)passed_ns;
    const int64_t most = (int64_t)(UT_AGE_CLOCK_JUMP_S * UT_NS_PER_S);
    clock->drift_ns = less_drift(before.drift_ns + apart, passed_ns);
    if (clock->drift_ns <= most && clock->drift_ns >= -most)
        return 0;
    const int64_t jump = clock->drift_ns;
    uint64_t age_ns =
        moved(ut_age_clock_now(&before, before.wall_ns), (int64_t)passed_ns - before.drift_ns);
    // The first time that is known counts: what came before it has no time to live.
    if (age_ns < UT_AGE_CLOCK_SET_NS && wall_ns >= UT_AGE_CLOCK_SET_NS)
        age_ns = wall_ns;
    note_jump(clock, age_ns, next_seq);
    return jump;
}
