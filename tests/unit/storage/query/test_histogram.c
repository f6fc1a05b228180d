// Percentiles against a sorted array, on kind and on nasty distributions.
#include "storage/query/histogram.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { VALUES = 20000 };

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void check(uint64_t *values, uint32_t count, const char *what_z)
{
    static const uint32_t parts[] = {1, 10, 25, 50, 75, 90, 95, 99, 100};
    ut_histogram histogram = {0};
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(ut_histogram_add(&histogram, values[i]), UT_OK);
    qsort(values, count, sizeof(*values), compare);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const uint32_t rank = (uint32_t)(((uint64_t)count * parts[i] + 99) / 100);
        const uint64_t expected = values[rank - 1];
        const uint64_t found = ut_histogram_quantile(&histogram, parts[i], 100);
        const uint64_t off = found > expected ? found - expected : expected - found;
        if (off > expected / 128 + (expected % 128 != 0))
            fail_msg("%s, %u of 100: %llu, expected %llu", what_z, parts[i],
                     (unsigned long long)found, (unsigned long long)expected);
        if (expected < 128)
            assert_true(found == expected);
    }
    ut_histogram_free(&histogram);
}

static void percentiles_are_within_one_percent_of_a_sorted_array(void **state)
{
    (void)state;
    uint64_t *values = calloc(VALUES, sizeof(*values));
    assert_non_null(values);
    ut_random random = {42};
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = ut_random_next(&random);
    check(values, VALUES, "uniform");
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = ut_random_next(&random) >> ut_random_below(&random, 64);
    check(values, VALUES, "all magnitudes");
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = 1000000 + ut_random_below(&random, 1000);
    check(values, VALUES, "narrow");
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = i % 100 == 0 ? UINT64_MAX : 0;
    check(values, VALUES, "zeros and the largest");
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = 0;
    check(values, VALUES, "zeros");
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = UINT64_MAX;
    check(values, VALUES, "the largest");
    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = i < VALUES / 2 ? 63 : 64;
    check(values, VALUES, "at the edge of the exact ones");
    for (uint32_t i = 0; i < 128; i++)
        values[i] = i < 64 ? UINT64_C(1) << i : (UINT64_C(1) << (i - 64)) - 1;
    check(values, 128, "powers of two");
    values[0] = 123456789;
    check(values, 1, "one value");
    values[0] = 5;
    values[1] = UINT64_MAX;
    check(values, 2, "two values");
    free(values);
}

static void an_empty_histogram_answers_zero_and_takes_no_memory(void **state)
{
    (void)state;
    ut_histogram histogram = {0};
    assert_true(ut_histogram_quantile(&histogram, 50, 100) == 0);
    assert_int_equal(ut_histogram_add(&histogram, 100), UT_OK);
    uint32_t pages = 0;
    for (uint32_t i = 0; i < UT_HISTOGRAM_PAGES; i++)
        pages += histogram.pages[i] != NULL;
    assert_int_equal(pages, 1);
    ut_histogram_free(&histogram);
    assert_true(ut_histogram_quantile(&histogram, 50, 100) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_one_percent_of_a_sorted_array),
        cmocka_unit_test(an_empty_histogram_answers_zero_and_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
