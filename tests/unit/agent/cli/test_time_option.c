// Times as people write them, in several time zones.
#include "agent/cli/time_option.h"

#include "agent/cli/local_time.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static const uint64_t now_ns = UINT64_C(1795200000000000000); // 2026-11-20T18:40:00Z
#define HOUR_NS UINT64_C(3600000000000)

// Rules instead of names, so that no zone files are needed.
#define BERLIN_Z   "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK_Z "EST5EDT,M3.2.0,M11.1.0"
#define KOLKATA_Z  "IST-5:30"

static void set_zone(const char *zone_z)
{
    assert_int_equal(setenv("TZ", zone_z, 1), 0);
}

static void check(const char *text_z, uint64_t expected_ns)
{
    uint64_t ns = 1;
    if (!ut_time_option(text_z, now_ns, &ns))
        fail_msg("%s was refused", text_z);
    if (ns != expected_ns)
        fail_msg("%s is %llu, not %llu", text_z, (unsigned long long)ns,
                 (unsigned long long)expected_ns);
}

static void so_long_ago_is_the_same_in_every_zone(void **state)
{
    (void)state;
    set_zone(NEW_YORK_Z);
    check("2h", now_ns - 2 * HOUR_NS);
    check("-2h", now_ns - 2 * HOUR_NS);
    check("1w", now_ns - 168 * HOUR_NS);
    check("5min", now_ns - HOUR_NS / 12);
    check("1h30min", now_ns - HOUR_NS * 3 / 2);
    check("now", now_ns);
    check("90000d", 0);
}

static void numbers_are_of_the_unit_that_their_size_says(void **state)
{
    (void)state;
    check("0", 0);
    check("1795200000", now_ns);
    check("1795200000000", now_ns);
    check("1795200000000000", now_ns);
    check("1795200000000000000", now_ns);
    check("1795200000000000001", now_ns + 1);
    check("100000000", UINT64_C(100000000000000000)); // 1973
    check("99999999999", UINT64_MAX);                 // 5138: beyond what nanoseconds hold
    check("18446744073709551615", UINT64_MAX);
}

static void days_and_times_of_the_day_are_local(void **state)
{
    (void)state;
    set_zone("UTC0");
    check("today", UINT64_C(1795132800000000000));
    check("yesterday", UINT64_C(1795046400000000000));
    check("18:00", now_ns - 2 * HOUR_NS / 3);
    check("2026-11-20", UINT64_C(1795132800000000000));
    set_zone(BERLIN_Z); // 19:40 there
    check("today", UINT64_C(1795132800000000000) - HOUR_NS);
    check("19:40", now_ns);
    check("2026-11-20 19:40", now_ns);
    check("2026-07-20 19:40", UINT64_C(1784569200000000000)); // summer: 17:40Z
    set_zone(KOLKATA_Z);                                      // 00:10 of the next day there
    check("today", now_ns - HOUR_NS / 6);
    check("yesterday", now_ns - HOUR_NS / 6 - 24 * HOUR_NS);
    check("00:10", now_ns);
    set_zone(NEW_YORK_Z);
    check("13:40", now_ns);
}

static void a_zone_that_is_said_counts(void **state)
{
    (void)state;
    set_zone(NEW_YORK_Z);
    check("2026-11-20T18:40Z", now_ns);
    check("2026-11-20T19:40+01:00", now_ns);
    check("2026-11-20T19:40:00.000+0100", now_ns);
    check("2026-11-20 10:40-08", now_ns);
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",      "soon", "2 h",      "--2h",     "25:00",
                                        "12:60", "2026", "20261120", "-",        "-now",
                                        "1.5",   "+1h",  "5mins",    "99999999", "12:00Z"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t ns = 0;
        if (ut_time_option(wrong[i], now_ns, &ns))
            fail_msg("%s was taken", wrong[i]);
    }
}

static void times_are_shown_in_the_zone_of_the_reader(void **state)
{
    (void)state;
    char text_z[UT_TEXT_SHORT_MAX];
    set_zone("UTC0");
    ut_local_time(now_ns, text_z);
    assert_string_equal(text_z, "2026-11-20T18:40:00.000Z");
    assert_string_equal(ut_local_zone_z(), "UTC");
    set_zone(BERLIN_Z);
    ut_local_time(now_ns, text_z);
    assert_string_equal(text_z, "2026-11-20 19:40:00.000 +01:00");
    assert_string_equal(ut_local_zone_z(), "local");
    ut_local_time(UINT64_C(1784569200123000000), text_z);
    assert_string_equal(text_z, "2026-07-20 19:40:00.123 +02:00");
    set_zone(NEW_YORK_Z);
    ut_local_time(0, text_z); // local clocks showed 1969
    assert_string_equal(text_z, "1970-01-01 00:00:00.000 -05:00");
    ut_local_time(UINT64_MAX, text_z);
    assert_string_equal(text_z, "2554-07-21 19:34:33.709 -04:00");
    set_zone("GMT0BST,M3.5.0/1,M10.5.0"); // UTC in winter only
    assert_false(ut_local_is_utc());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_long_ago_is_the_same_in_every_zone),
        cmocka_unit_test(numbers_are_of_the_unit_that_their_size_says),
        cmocka_unit_test(days_and_times_of_the_day_are_local),
        cmocka_unit_test(a_zone_that_is_said_counts),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(times_are_shown_in_the_zone_of_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
