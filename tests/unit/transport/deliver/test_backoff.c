// The back-off: its ceilings, and that the waits below them are spread evenly.
#include "transport/deliver/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void ceilings_grow_by_the_multiplier_up_to_the_maximum(void **state)
{
    (void)state;
    const ut_backoff backoff = {.initial_ms = 1000, .max_ms = 60000, .multiplier = 2};
    static const uint64_t expected[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (uint32_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(ut_backoff_ceiling_ms(&backoff, i + 1), expected[i]);
    assert_int_equal(ut_backoff_ceiling_ms(&backoff, UINT32_MAX), 60000);
}

static void odd_settings_stay_within_the_maximum(void **state)
{
    (void)state;
    const ut_backoff flat = {.initial_ms = 500, .max_ms = 60000, .multiplier = 1};
    assert_int_equal(ut_backoff_ceiling_ms(&flat, UINT32_MAX), 500);
    const ut_backoff none = {.initial_ms = 0, .max_ms = 0, .multiplier = 2};
    assert_int_equal(ut_backoff_delay_ms(&none, 9, UINT64_MAX), 0);
    const ut_backoff steep = {.initial_ms = UINT32_MAX, .max_ms = UINT32_MAX, .multiplier = 1e300};
    assert_int_equal(ut_backoff_ceiling_ms(&steep, 50), UINT32_MAX);
    const ut_backoff capped = {.initial_ms = 5000, .max_ms = 2000, .multiplier = 2};
    assert_int_equal(ut_backoff_ceiling_ms(&capped, 1), 2000);
}

static void waits_are_spread_over_the_whole_range(void **state)
{
    (void)state;
    enum { DRAWS = 20000, TENTHS = 10 };
    const ut_backoff backoff = {.initial_ms = 999, .max_ms = 60000, .multiplier = 2};
    int tenths[TENTHS] = {0};
    uint64_t random = 88172645463325252u; // xorshift64
    for (int i = 0; i < DRAWS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t wait_ms = ut_backoff_delay_ms(&backoff, 1, random);
        assert_in_range(wait_ms, 0, 999);
        tenths[wait_ms * TENTHS / 1000]++;
    }
    for (int i = 0; i < TENTHS; i++)
        assert_in_range(tenths[i], DRAWS / TENTHS * 9 / 10, DRAWS / TENTHS * 11 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceilings_grow_by_the_multiplier_up_to_the_maximum),
        cmocka_unit_test(odd_settings_stay_within_the_maximum),
        cmocka_unit_test(waits_are_spread_over_the_whole_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
