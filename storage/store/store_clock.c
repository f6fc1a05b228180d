// What the store does with a look at the clocks: the log tells of jumps; see store.h.
// Not for reckoning with them: age_clock.c.
#include "port/base/text.h"
#include "storage/store/store_core.h"

enum { TELL_EVERY_MS = 60 * 1000 }; // between two lines about jumps

void ut_store_look_at_clock(ut_store *store, uint64_t wall_ns, uint64_t up_ms, uint64_t boot)
{
    ut_age_clock *clock = &store->state.clock;
    const bool other_boot = clock->wall_ns != 0 && clock->boot != boot;
    const int64_t jump = ut_age_clock_look(clock, wall_ns, up_ms, boot, store->state.next_seq);
    if (other_boot) // the time of the last line and commit were those of another start
        store->jump_told_ms = store->clock_stored_ms = 0;
    if (jump == 0 || (store->jump_told_ms != 0 && up_ms - store->jump_told_ms < TELL_EVERY_MS))
        return;
    char by_z[UT_TEXT_SHORT_MAX];
    ut_text_duration(jump < 0 ? 0 - (uint64_t)jump : (uint64_t)jump, by_z);
    ut_log_write(store->log, other_boot && jump > 0 ? UT_LOG_INFO : UT_LOG_WARN, "storage",
                 "the clock %s by %s%s: that does not count for how long spans are kept",
                 jump < 0 ? "was set back" : "went forward", by_z,
                 other_boot ? " since this machine ran last" : "");
    store->jump_told_ms = up_ms;
}

uint64_t ut_store_age_ns(const ut_store *store, uint64_t wall_ns)
{
    return ut_age_clock_now(&store->state.clock, wall_ns);
}
