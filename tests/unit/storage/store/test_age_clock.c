// The clock by which spans grow old, against simulated clocks.
#include "storage/store/age_clock.h"

#include "port/base/time_units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

// Clocks of a machine: its wall clock moves as a test says.
typedef struct {
    ut_age_clock clock;
    uint64_t wall_ns;
    uint64_t up_ms;
    uint64_t boot;
} machine;

static const uint64_t begin_ns = UINT64_C(1700000000000000000);

static machine begin_at(uint64_t wall_ns)
{
    machine m = {.wall_ns = wall_ns, .up_ms = 5000, .boot = 1};
    assert_int_equal(ut_age_clock_look(&m.clock, m.wall_ns, m.up_ms, m.boot, 1), 0);
    return m;
}

static int64_t run(machine *m, uint64_t passed_ms, int64_t wall_step_ns)
{
    m->up_ms += passed_ms;
    m->wall_ns = m->wall_ns + passed_ms * UT_NS_PER_MS + (uint64_t)wall_step_ns;
    return ut_age_clock_look(&m->clock, m->wall_ns, m->up_ms, m->boot, 7);
}

static int64_t restart(machine *m, uint64_t up_ms, uint64_t wall_ns)
{
    m->boot += 1;
    m->up_ms = up_ms;
    m->wall_ns = wall_ns;
    return ut_age_clock_look(&m->clock, m->wall_ns, m->up_ms, m->boot, 7);
}

static uint64_t age(const machine *m)
{
    return ut_age_clock_now(&m->clock, m->wall_ns);
}

static void assert_close(uint64_t age_ns, uint64_t expected_ns)
{
    const uint64_t apart = age_ns > expected_ns ? age_ns - expected_ns : expected_ns - age_ns;
    assert_true(apart <= (uint64_t)UT_AGE_CLOCK_JUMP_S * UT_NS_PER_S);
}

static void a_clock_that_was_never_looked_at_is_the_wall_clock(void **state)
{
    (void)state;
    const ut_age_clock clock = {0};
    assert_int_equal(ut_age_clock_now(&clock, begin_ns), begin_ns);
    assert_int_equal(ut_age_clock_received(&clock, 1, begin_ns), begin_ns);
}

static void ages_follow_a_clock_that_runs_and_is_corrected(void **state)
{
    (void)state;
    machine m = begin_at(begin_ns);
    for (unsigned i = 0; i < 1000; i++) {
        const int64_t off = i % 3 == 0 ? (int64_t)UT_NS_PER_MS * 40 : -(int64_t)UT_NS_PER_MS * 30;
        assert_int_equal(run(&m, 60 * 1000, off), 0);
        assert_int_equal(age(&m), m.wall_ns);
    }
}

static void jumps_of_any_kind_do_not_count(void **state)
{
    static const int64_t day = (int64_t)UT_NS_PER_DAY;
    const int64_t jumps[] = {400 * day, -400 * day, 3000 * day, -3001 * day, 3600000000000, -day};
    (void)state;
    machine m = begin_at(begin_ns);
    uint64_t passed_ms = 0;
    for (unsigned i = 0; i < 60; i++) {
        const int64_t jump = jumps[i % 6];
        assert_true(run(&m, 1000, jump) != 0);
        assert_int_equal(run(&m, 59 * 1000, 0), 0);
        passed_ms += 60 * 1000;
        assert_close(age(&m), begin_ns + passed_ms * UT_NS_PER_MS);
    }
    assert_int_equal(age(&m), begin_ns + passed_ms * UT_NS_PER_MS); // no jump leaves an error
}

static void small_steps_that_add_up_are_a_jump(void **state)
{
    (void)state;
    machine m = begin_at(begin_ns);
    int64_t told = 0;
    for (unsigned i = 1; i <= 3600; i++) {
        told += run(&m, 1000, 10 * (int64_t)UT_NS_PER_S);
        // What a crystal may be off by is never told from a step.
        const uint64_t passed_ns = (uint64_t)i * UT_NS_PER_S;
        assert_true(age(&m) >= begin_ns + passed_ns);
        assert_close(age(&m) - passed_ns / UT_AGE_CLOCK_DRIFT_PART, begin_ns + passed_ns);
    }
    assert_true(told > 35000 * (int64_t)UT_NS_PER_S);
}

static void a_restart_counts_the_time_that_the_machine_ran(void **state)
{
    (void)state;
    machine m = begin_at(begin_ns);
    (void)run(&m, 3600 * 1000, 0);
    const uint64_t before = age(&m);
    // The agent alone: its absence counts.
    assert_int_equal(run(&m, 86400 * 1000, 0), 0);
    assert_int_equal(age(&m), before + UT_NS_PER_DAY);
    // The machine without a battery: its clock begins at some date, and is set right later.
    assert_true(restart(&m, 20 * 1000, begin_ns - 900 * UT_NS_PER_DAY) < 0);
    assert_int_equal(age(&m), before + UT_NS_PER_DAY + 20 * UT_NS_PER_S);
    assert_true(run(&m, 1000, 910 * (int64_t)UT_NS_PER_DAY) > 0);
    assert_int_equal(age(&m), before + UT_NS_PER_DAY + 21 * UT_NS_PER_S);
    // Off for a month, with a clock that is right: it cannot be told from a jump.
    assert_true(restart(&m, 1000, m.wall_ns + 30 * UT_NS_PER_DAY) > 0);
    assert_int_equal(age(&m), before + UT_NS_PER_DAY + 22 * UT_NS_PER_S);
    // A start of the machine that is not known, which ran less long.
    m.clock.boot = m.boot = 0;
    m.up_ms = 500;
    (void)ut_age_clock_look(&m.clock, m.wall_ns, m.up_ms, 0, 7);
    assert_close(age(&m), before + UT_NS_PER_DAY + 22 * UT_NS_PER_S);
}

static void the_first_time_that_is_known_counts(void **state)
{
    (void)state;
    machine m = begin_at(5 * UT_NS_PER_S); // 1970
    (void)run(&m, 1000, 0);
    assert_true(run(&m, 1000, (int64_t)begin_ns) > 0);
    assert_int_equal(age(&m), m.wall_ns);
    const uint64_t before = age(&m);
    assert_true(restart(&m, 2000, 5 * UT_NS_PER_S) < 0); // 1970 again
    assert_int_equal(age(&m), before + 2 * UT_NS_PER_S);
}

static void a_block_from_before_a_jump_is_no_older_than_the_jump(void **state)
{
    (void)state;
    machine m = begin_at(begin_ns);
    const uint64_t received_ns = m.wall_ns;
    (void)run(&m, 1000, 400 * (int64_t)UT_NS_PER_DAY);
    assert_int_equal(ut_age_clock_received(&m.clock, 6, received_ns), begin_ns + UT_NS_PER_S);
    assert_int_equal(ut_age_clock_received(&m.clock, 7, m.wall_ns), begin_ns + UT_NS_PER_S);
}

static void impossible_times_do_no_harm(void **state)
{
    static const uint64_t times[] = {0, 1, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
    (void)state;
    for (unsigned i = 0; i < 625; i++) {
        ut_age_clock clock = {0};
        (void)ut_age_clock_look(&clock, times[i % 5], times[i / 5 % 5], 1, 1);
        (void)ut_age_clock_look(&clock, times[i / 25 % 5], times[i / 125], i % 2, 1);
        (void)ut_age_clock_look(&clock, times[i % 5], times[i / 5 % 5], 1, 1);
        (void)ut_age_clock_now(&clock, times[i % 5]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_was_never_looked_at_is_the_wall_clock),
        cmocka_unit_test(ages_follow_a_clock_that_runs_and_is_corrected),
        cmocka_unit_test(jumps_of_any_kind_do_not_count),
        cmocka_unit_test(small_steps_that_add_up_are_a_jump),
        cmocka_unit_test(a_restart_counts_the_time_that_the_machine_ran),
        cmocka_unit_test(the_first_time_that_is_known_counts),
        cmocka_unit_test(a_block_from_before_a_jump_is_no_older_than_the_jump),
        cmocka_unit_test(impossible_times_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
