// Tests of port/base/order and port/base/time_units.
#include "port/base/order.h"
#include "port/base/time_units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void the_smaller_and_the_larger_of_two_are_found_on_either_side(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    enum { COUNT = sizeof(numbers) / sizeof(numbers[0]) };
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            const uint64_t least = numbers[i < k ? i : k];
            const uint64_t most = numbers[i < k ? k : i];
            assert_true(ut_min_u64(numbers[i], numbers[k]) == least);
            assert_true(ut_max_u64(numbers[i], numbers[k]) == most);
            assert_true(ut_left_u64(numbers[i], numbers[k]) == (i < k ? 0 : most - least));
        }
    }
    assert_true(ut_min_u32(UINT32_MAX, 7) == 7 && ut_min_u32(7, UINT32_MAX) == 7);
    assert_true(ut_max_u32(UINT32_MAX, 7) == UINT32_MAX && ut_max_u32(7, UINT32_MAX) == UINT32_MAX);
    assert_true(ut_min_size(SIZE_MAX, 7) == 7 && ut_min_size(7, SIZE_MAX) == 7);
}

static void a_number_outside_of_bounds_moves_to_the_nearest_bound(void **state)
{
    (void)state;
    assert_true(ut_clamp_u64(0, 3, 9) == 3);
    assert_true(ut_clamp_u64(3, 3, 9) == 3);
    assert_true(ut_clamp_u64(5, 3, 9) == 5);
    assert_true(ut_clamp_u64(9, 3, 9) == 9);
    assert_true(ut_clamp_u64(UINT64_MAX, 3, 9) == 9);
}

static void units_of_time_are_as_long_as_the_clock_says(void **state)
{
    (void)state;
    assert_true(UT_NS_PER_S == UINT64_C(1000000000));
    assert_true(UT_NS_PER_S == 1000 * UT_NS_PER_MS);
    assert_true(UT_NS_PER_HOUR == UINT64_C(3600) * 1000000000);
    assert_true(UT_NS_PER_HOUR == 60 * UT_NS_PER_MIN);
    assert_true(UT_NS_PER_DAY == UINT64_C(86400) * 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smaller_and_the_larger_of_two_are_found_on_either_side),
        cmocka_unit_test(a_number_outside_of_bounds_moves_to_the_nearest_bound),
        cmocka_unit_test(units_of_time_are_as_long_as_the_clock_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
