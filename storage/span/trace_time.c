// When a trace began and ended; see trace_time.h.
#include "storage/span/trace_time.h"

#include "port/base/order.h"
#include "port/base/time_units.h"

static bool has_clock(uint64_t start_ns)
{
    return start_ns >= 365 * UT_NS_PER_DAY;
}

void ut_trace_time_add(ut_trace_time *time, uint64_t start_ns, uint64_t end_ns)
{
    const bool clock = has_clock(start_ns);
    const bool clock_before = has_clock(time->start_ns);
    end_ns = ut_max_u64(start_ns, end_ns);
    if (!time->any || (clock && !clock_before)) {
        *time = (ut_trace_time){.any = true, .start_ns = start_ns, .end_ns = end_ns};
    } else if (clock == clock_before) {
        time->start_ns = ut_min_u64(time->start_ns, start_ns);
        time->end_ns = ut_max_u64(time->end_ns, end_ns);
    }
}

bool ut_trace_time_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return has_clock(a_ns) != has_clock(b_ns) ? has_clock(a_ns) : a_ns < b_ns;
}
