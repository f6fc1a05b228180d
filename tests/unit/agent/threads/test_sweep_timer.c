// The times of sweeps: none while the store rests, soon after a change, with each hour, and
// although the wall clock jumps.
#include "agent/threads/sweep_timer.h"
#include "port/base/time_units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BEGIN_MS = 5000 };

// 07:20 of some day.
static const uint64_t begin_ns = 400000 * UT_NS_PER_HOUR + 20 * UT_NS_PER_MIN;

// A timer whose sweep at BEGIN_MS found nothing more.
static ut_sweep_timer at_rest(void)
{
    ut_sweep_timer timer;
    ut_sweep_timer_init(&timer, BEGIN_MS - UT_SWEEP_TIMER_PAUSE_MS, begin_ns);
    ut_sweep_timer_swept(&timer, BEGIN_MS, begin_ns, false, false);
    return timer;
}

static void the_first_sweep_comes_after_a_pause(void **state)
{
    (void)state;
    ut_sweep_timer timer;
    ut_sweep_timer_init(&timer, BEGIN_MS, begin_ns);
    assert_int_equal(ut_sweep_timer_due_ms(&timer, BEGIN_MS, begin_ns),
                     BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS);
}

// A day at rest, as the store thread spends it: it sleeps until the answer, and asks again.
static void a_store_at_rest_is_swept_once_an_hour(void **state)
{
    (void)state;
    enum { HOURS = 24 };
    ut_sweep_timer timer = at_rest();
    uint64_t now_ms = BEGIN_MS;
    unsigned sweeps = 0;
    unsigned wakes = 0;
    while (now_ms < BEGIN_MS + HOURS * UINT64_C(3600000)) {
        const uint64_t wall_ns = begin_ns + (now_ms - BEGIN_MS) * UT_NS_PER_MS;
        const uint64_t due_ms = ut_sweep_timer_due_ms(&timer, now_ms, wall_ns);
        if (due_ms <= now_ms) {
            assert_true(wall_ns % UT_NS_PER_HOUR < UT_NS_PER_MIN); // the hour has just begun
            ut_sweep_timer_swept(&timer, now_ms, wall_ns, false, false);
            sweeps++;
        } else {
            now_ms = due_ms;
            wakes++;
        }
    }
    assert_int_equal(sweeps, HOURS);
    assert_true(wakes <= HOURS * (UT_NS_PER_HOUR / UT_NS_PER_MS / UT_SWEEP_TIMER_LOOK_MS + 1));
}

static void the_hour_of_a_sweep_has_begun(void **state)
{
    (void)state;
    const ut_sweep_timer timer = at_rest();
    const uint64_t now_ms = BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS;
    for (uint64_t left_ns = 1; left_ns < UT_NS_PER_S; left_ns = 3 * left_ns + 1) {
        const uint64_t wall_ns = begin_ns - begin_ns % UT_NS_PER_HOUR + UT_NS_PER_HOUR - left_ns;
        const uint64_t due_ms = ut_sweep_timer_due_ms(&timer, now_ms, wall_ns);
        assert_true(due_ms > now_ms);
        const uint64_t then_ns = wall_ns + (due_ms - now_ms) * UT_NS_PER_MS;
        assert_true(ut_sweep_timer_due_ms(&timer, due_ms, then_ns) <= due_ms);
    }
}

static void a_clock_that_jumps_is_noticed_within_minutes(void **state)
{
    (void)state;
    const ut_sweep_timer timer = at_rest();
    const uint64_t look_ms = ut_sweep_timer_due_ms(&timer, BEGIN_MS, begin_ns);
    assert_true(look_ms <= BEGIN_MS + UT_SWEEP_TIMER_LOOK_MS);
    // Far ahead, as after a start without the time, and back.
    assert_true(ut_sweep_timer_due_ms(&timer, look_ms, 2 * begin_ns) <= look_ms);
    assert_true(ut_sweep_timer_due_ms(&timer, look_ms, 0) <= look_ms);
    // Within its hour it changes nothing.
    assert_true(ut_sweep_timer_due_ms(&timer, look_ms, begin_ns - UT_NS_PER_MIN) > look_ms);
}

static void a_change_is_swept_after_a_pause(void **state)
{
    (void)state;
    ut_sweep_timer timer = at_rest();
    ut_sweep_timer_changed(&timer);
    assert_int_equal(ut_sweep_timer_due_ms(&timer, BEGIN_MS + 1, begin_ns),
                     BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS);
    ut_sweep_timer_swept(&timer, BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS, begin_ns, false, false);
    assert_true(ut_sweep_timer_due_ms(&timer, 2 * BEGIN_MS, begin_ns) > 2 * BEGIN_MS);
}

static void commits_put_a_sweep_off_but_not_for_ever(void **state)
{
    (void)state;
    ut_sweep_timer timer = at_rest();
    uint64_t now_ms = BEGIN_MS;
    for (;;) {
        ut_sweep_timer_committed(&timer, now_ms);
        const uint64_t due_ms = ut_sweep_timer_due_ms(&timer, now_ms, begin_ns);
        if (due_ms <= now_ms)
            break;
        assert_true(due_ms >= BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS);
        assert_true(due_ms <= BEGIN_MS + UT_SWEEP_TIMER_QUIET_MAX_MS);
        if (now_ms >= BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS &&
            now_ms + UT_SWEEP_TIMER_QUIET_MS <= BEGIN_MS + UT_SWEEP_TIMER_QUIET_MAX_MS)
            assert_int_equal(due_ms, now_ms + UT_SWEEP_TIMER_QUIET_MS);
        now_ms += UT_SWEEP_TIMER_QUIET_MS / 2;
    }
    assert_true(now_ms >= BEGIN_MS + UT_SWEEP_TIMER_QUIET_MAX_MS);
}

static void what_is_left_is_swept_at_once_and_a_failure_tried_again(void **state)
{
    (void)state;
    ut_sweep_timer timer = at_rest();
    ut_sweep_timer_swept(&timer, BEGIN_MS, begin_ns, true, false);
    assert_true(ut_sweep_timer_due_ms(&timer, BEGIN_MS, begin_ns) <= BEGIN_MS);
    ut_sweep_timer_swept(&timer, BEGIN_MS, begin_ns, true, true);
    assert_int_equal(ut_sweep_timer_due_ms(&timer, BEGIN_MS, begin_ns),
                     BEGIN_MS + UT_SWEEP_TIMER_PAUSE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_sweep_comes_after_a_pause),
        cmocka_unit_test(a_store_at_rest_is_swept_once_an_hour),
        cmocka_unit_test(the_hour_of_a_sweep_has_begun),
        cmocka_unit_test(a_clock_that_jumps_is_noticed_within_minutes),
        cmocka_unit_test(a_change_is_swept_after_a_pause),
        cmocka_unit_test(commits_put_a_sweep_off_but_not_for_ever),
        cmocka_unit_test(what_is_left_is_swept_at_once_and_a_failure_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
