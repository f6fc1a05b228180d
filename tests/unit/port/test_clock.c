// The clocks and the random source of the machine.
#include "port/port.h"

#include <signal.h>
#include <sys/time.h>
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

static uint64_t system_mono_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void the_monotonic_clock_is_the_systems_in_milliseconds(void **state)
{
    (void)state;
    uint64_t before = system_mono_ms();
    uint64_t now = ut_clock_mono_ms();
    assert_true(now >= before);
    assert_true(now <= system_mono_ms());
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
    assert_int_equal(ut_random(a, sizeof(a)), UT_OK);
    assert_int_equal(ut_random(b, sizeof(b)), UT_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(ut_random(a, 0), UT_OK);
}

static void on_alarm(int number)
{
    (void)number;
}

static void random_is_whole_although_signals_cut_it_short(void **state)
{
    (void)state;
    enum { MUCH = 4 << 20, CHUNK = 4096 };
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction before;
    struct itimerval often = {.it_interval.tv_usec = 100, .it_value.tv_usec = 100};
    struct itimerval never = {0};
    uint8_t *much = calloc(1, MUCH + 1);
    assert_non_null(much);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    ut_err err = ut_random(much, MUCH);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(err, UT_OK);
    for (size_t at = 0; at < MUCH; at += CHUNK) {
        size_t ones = 0;
        for (size_t i = at; i < at + CHUNK; i++)
            ones += (size_t)__builtin_popcount(much[i]);
        // Half of 32768 bits; 1000 is eleven standard deviations.
        assert_in_range(ones, 16384 - 1000, 16384 + 1000);
    }
    assert_int_equal(much[MUCH], 0);
    free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_goes_on_and_never_back),
        cmocka_unit_test(the_monotonic_clock_is_the_systems_in_milliseconds),
        cmocka_unit_test(the_wall_clock_is_the_systems_in_nanoseconds),
        cmocka_unit_test(random_fills_every_size_and_differs),
        cmocka_unit_test(random_is_whole_although_signals_cut_it_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
