// The clocks and the random source of the machine.
#include "port/port.h"

#include <time.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static void the_monotonic_clock_goes_on_and_never_back(void **state)
{
    (void)state;
    uint64_t begin = ut_clock_mono_ms();
    uint64_t last = begin;
    while (last <
           begin + 3) { // a clock that stands still ends this test by the runner's time limit
        uint64_t now = ut_clock_mono_ms();
        assert_true(now >= last);
        last = now;
    }
}

static void the_wall_clock_is_the_systems_in_nanoseconds(void **state)
{
    (void)state;
    struct timespec before;
    struct timespec after;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &before), 0);
    uint64_t now = ut_clock_wall_ns();
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &after), 0);
    assert_true(now >= (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
    assert_true(now <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
}

static void random_fills_every_size_and_differs(void **state)
{
    (void)state;
    uint8_t a[32];
    uint8_t b[32];
    assert_int_equal(ut_random(a, sizeof a), UT_OK);
    assert_int_equal(ut_random(b, sizeof b), UT_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(ut_random(a, 0), UT_OK);

    enum { MUCH = 100000 };
    uint8_t *much = calloc(1, MUCH + 1);
    assert_non_null(much);
    assert_int_equal(ut_random(much, MUCH), UT_OK);
    size_t ones = 0;
    for (size_t i = 0; i < MUCH; i++)
        ones += (size_t)__builtin_popcount(much[i]);
    // Half of 800 000 bits; 5000 is eleven standard deviations.
    assert_in_range(ones, 400000 - 5000, 400000 + 5000);
    assert_int_equal(much[MUCH], 0);
    uint8_t last[16] = {0};
    assert_memory_not_equal(much + MUCH - 16, last, 16);
    free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_goes_on_and_never_back),
        cmocka_unit_test(the_wall_clock_is_the_systems_in_nanoseconds),
        cmocka_unit_test(random_fills_every_size_and_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
