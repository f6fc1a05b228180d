// Retry-After in all its forms, and in forms that it does not have.
#include "transport/http/retry_after.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW_NS (UINT64_C(784111777) * 1000000000) // Sun, 06 Nov 1994 08:49:37 GMT

static uint64_t wait_of(const char *text_z)
{
    return ut_retry_after_ms(ut_bytes_of_z(text_z), UT_BYTES_NONE, NOW_NS);
}

static void seconds_are_taken(void **state)
{
    (void)state;
    assert_int_equal(wait_of("0"), 0);
    assert_int_equal(wait_of("1"), 1000);
    assert_int_equal(wait_of("120"), 120000);
    assert_int_equal(wait_of("86400"), UT_RETRY_AFTER_MS_MAX);
}

static void a_long_wait_is_cut_to_a_day(void **state)
{
    (void)state;
    assert_int_equal(wait_of("86401"), UT_RETRY_AFTER_MS_MAX);
    assert_int_equal(wait_of("18446744073709551617"), UT_RETRY_AFTER_MS_MAX);
    assert_int_equal(wait_of("99999999999999999999999999999999999999999999999"),
                     UT_RETRY_AFTER_MS_MAX);
    assert_int_equal(wait_of("Fri, 31 Dec 9999 23:59:59 GMT"), UT_RETRY_AFTER_MS_MAX);
}

static void dates_are_taken_in_all_three_forms(void **state)
{
    (void)state;
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:50:37 GMT"), 60000);
    assert_int_equal(wait_of("Sunday, 06-Nov-94 08:50:37 GMT"), 60000);
    assert_int_equal(wait_of("Sun Nov  6 08:50:37 1994"), 60000);
    assert_int_equal(wait_of("Mon, 07 Nov 1994 00:00:00 GMT"), 54623000);
}

static void dates_around_a_leap_day_are_right(void **state)
{
    (void)state;
    uint64_t leap_ns = UINT64_C(951782400) * 1000000000; // 2000-02-29 00:00:00
    assert_int_equal(
        ut_retry_after_ms(UT_BYTES_LIT("Tue, 29 Feb 2000 00:00:01 GMT"), UT_BYTES_NONE, leap_ns),
        1000);
    uint64_t march_ns = UINT64_C(1709251199) * 1000000000; // 2024-02-29 23:59:59
    assert_int_equal(
        ut_retry_after_ms(UT_BYTES_LIT("Fri, 01 Mar 2024 00:00:00 GMT"), UT_BYTES_NONE, march_ns),
        1000);
    uint64_t year_ns = UINT64_C(1767225599) * 1000000000; // 2025-12-31 23:59:59
    assert_int_equal(
        ut_retry_after_ms(UT_BYTES_LIT("Thu, 01 Jan 2026 00:00:00 GMT"), UT_BYTES_NONE, year_ns),
        1000);
    assert_int_equal(
        ut_retry_after_ms(UT_BYTES_LIT("Thu, 01 Jan 1970 00:00:05 GMT"), UT_BYTES_NONE, 0), 5000);
}

static void a_date_that_has_passed_asks_for_no_wait(void **state)
{
    (void)state;
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(wait_of("Sun, 06 Nov 1994 08:49:36 GMT"), 0);
    assert_int_equal(wait_of("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
}

static void what_is_neither_asks_for_no_wait(void **state)
{
    (void)state;
    static const char *const texts_z[] = {
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1 ",
        "12x",
        "soon",
        ",",
        "Sun",
        "Sun,",
        "Sun, ",
        "Sun, 06",
        "Sun, 06 Now 1994 08:50:37 GMT",
        "Sun, 06 Nov 1994 08:50:37",
        "Sun, 06 Nov 1994 08:50:37 CET",
        "Sun, 06 Nov 1994 08:50:37 GMTx",
        "Sun, 32 Nov 1994 08:50:37 GMT",
        "Sun, 00 Nov 1994 08:50:37 GMT",
        "Sun, 06 Nov 1994 24:50:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:50:61 GMT",
        "Sun, 06 Nov 1869 08:50:37 GMT",
        "Sun, 06-Nov 1994 08:50:37 GMT",
        "Sun Nov  6 08:50:37",
        "Sun Nov 08:50:37 1994",
        "Sun, 06 Nov 1994 08 50 37 GMT",
    };
    for (size_t i = 0; i < sizeof texts_z / sizeof texts_z[0]; i++) {
        if (wait_of(texts_z[i]) != 0)
            fail_msg("'%s' asks for %lu ms", texts_z[i], (unsigned long)wait_of(texts_z[i]));
    }
}

static void every_beginning_of_a_date_is_no_date(void **state)
{
    (void)state;
    static const char *const dates_z[] = {"Sun, 06 Nov 1994 08:50:37 GMT",
                                          "Sunday, 06-Nov-94 08:50:37 GMT",
                                          "Sun Nov  6 08:50:37 1994"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(dates_z[i]);
        // The last form ends in a year of up to four digits: its shorter ends are years before
        // 1970.
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy =
                malloc(cut + 1); // of its own size, so that a sanitizer sees a byte too far
            memcpy(copy, dates_z[i], cut);
            assert_int_equal(ut_retry_after_ms(ut_bytes_of(copy, cut), UT_BYTES_NONE, NOW_NS), 0);
            free(copy);
        }
    }
}

static void a_date_is_measured_against_the_date_of_the_answer(void **state)
{
    (void)state;
    const ut_bytes later = UT_BYTES_LIT("Sun, 06 Nov 1994 08:50:07 GMT");
    const ut_bytes date = UT_BYTES_LIT("Sun, 06 Nov 1994 08:50:00 GMT");
    const uint64_t year_ns = UINT64_C(31536000) * 1000000000;
    assert_int_equal(ut_retry_after_ms(later, date, NOW_NS), 7000);
    assert_int_equal(ut_retry_after_ms(later, date, NOW_NS + year_ns), 7000);
    assert_int_equal(ut_retry_after_ms(later, date, NOW_NS - year_ns), 7000);
    assert_int_equal(ut_retry_after_ms(date, later, NOW_NS), 0);
    assert_int_equal(ut_retry_after_ms(later, UT_BYTES_LIT("yesterday"), NOW_NS), 30000);
    assert_int_equal(ut_retry_after_ms(UT_BYTES_LIT("5"), later, NOW_NS), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_measured_against_the_date_of_the_answer),
        cmocka_unit_test(seconds_are_taken),
        cmocka_unit_test(a_long_wait_is_cut_to_a_day),
        cmocka_unit_test(dates_are_taken_in_all_three_forms),
        cmocka_unit_test(dates_around_a_leap_day_are_right),
        cmocka_unit_test(a_date_that_has_passed_asks_for_no_wait),
        cmocka_unit_test(what_is_neither_asks_for_no_wait),
        cmocka_unit_test(every_beginning_of_a_date_is_no_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
