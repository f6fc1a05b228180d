// Sizes, durations and times as tables of text and value.
#include "port/base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { UNTOUCHED = 77 };

typedef struct {
    const char *text_z;
    uint64_t value;
} good;

typedef ut_err parse(ut_bytes text, uint64_t *value);

static void check_good(parse *parse_one, const good *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        if (parse_one(ut_bytes_of_z(table[i].text_z), &value) != UT_OK || value != table[i].value)
            fail_msg("\"%s\" gave %llu", table[i].text_z, (unsigned long long)value);
    }
}

static void check_bad(parse *parse_one, const char *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        if (parse_one(ut_bytes_of_z(table[i]), &value) != UT_EFORMAT || value != UNTOUCHED)
            fail_msg("took \"%s\"", table[i]);
    }
}

#define CHECK_GOOD(parse_one, table) \
    check_good((parse_one), (table), sizeof(table) / sizeof((table)[0]))
#define CHECK_BAD(parse_one, table) \
    check_bad((parse_one), (table), sizeof(table) / sizeof((table)[0]))

static void numbers_are_decimal_and_fit_64_bits(void **state)
{
    (void)state;
    static const good table[] = {
        {"0", 0}, {"7", 7}, {"007", 7}, {"4318", 4318}, {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",
        " ",
        "-1",
        "+1",
        "1 ",
        " 1",
        "0x10",
        "1e3",
        "1.0",
        "1_000",
        "18446744073709551616",
        "99999999999999999999",
        "184467440737095516150",
    };
    CHECK_GOOD(ut_text_parse_uint, table);
    CHECK_BAD(ut_text_parse_uint, bad);
    uint64_t value = UNTOUCHED;
    assert_int_equal(ut_text_parse_uint(UT_BYTES_NONE, &value), UT_EFORMAT);
    assert_int_equal(ut_text_parse_uint(UT_BYTES_LIT("1\0"), &value), UT_EFORMAT);
}

static void sizes_are_read_with_their_units(void **state)
{
    (void)state;
    static const good table[] = {
        {"0", 0},
        {"4096", 4096},
        {"512B", 512},
        {"64KiB", 65536},
        {"256MiB", UINT64_C(268435456)},
        {"1GiB", UINT64_C(1073741824)},
        {"2TiB", UINT64_C(2199023255552)},
        {"10kB", 10000},
        {"10KB", 10000},
        {"10MB", 10000000},
        {"3GB", UINT64_C(3000000000)},
        {"3TB", UINT64_C(3000000000000)},
        {"18446744073709551615B", UINT64_MAX},
        {"18014398509481983KiB", UINT64_C(18446744073709550592)},
        {"16777215TiB", UINT64_C(18446742974197923840)},
    };
    static const char *const bad[] = {
        "",
        "MiB",
        "-1MiB",
        "1.5GiB",
        "1 MiB",
        "1MiB ",
        " 1MiB",
        "1mib",
        "1MIB",
        "1M",
        "1Mi",
        "1K",
        "1MiBB",
        "1bytes",
        "1GiB1MiB",
        "18014398509481984KiB",
        "16777216TiB",
        "18446744073709551616",
        "18446744073709552kB",
    };
    CHECK_GOOD(ut_text_parse_size, table);
    CHECK_BAD(ut_text_parse_size, bad);
    uint64_t value = UNTOUCHED;
    assert_int_equal(ut_text_parse_size(UT_BYTES_NONE, &value), UT_EFORMAT);
    assert_int_equal(ut_text_parse_size(UT_BYTES_LIT("1\0"), &value), UT_EFORMAT);
}

static void durations_are_read_with_their_units(void **state)
{
    (void)state;
    static const good table[] = {
        {"0", 0},
        {"0s", 0},
        {"30d", UINT64_C(2592000000)},
        {"12h", 43200000},
        {"5m", 300000},
        {"1.5s", 1500},
        {"250ms", 250},
        {"1h30m", 5400000},
        {"1d2h3m4s5ms", 93784005},
        {"1m30s", 90000},
        {"1m5ms", 60005},
        {"0.5d", 43200000},
        {"1.5h30m", 7200000},
        {"0.001s", 1},
        {"1.000000000s", 1000},
        {"2.0ms", 2},
        {"18446744073709551615ms", UINT64_MAX},
        {"213503982334d14h25m51s615ms", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",
        "1",
        "00",
        "30",
        "s",
        "-1s",
        "+1s",
        "1 s",
        "1s ",
        " 1s",
        "1w",
        "1us",
        "1ns",
        "1S",
        "1sec",
        "1.s",
        ".5s",
        "1..5s",
        "1.5",
        "1s1",
        "30m1h",
        "1s1s",
        "1ms1s",
        "0.4ms",
        "0.0005s",
        "1.0000000000s",
        "1,5s",
        "1h 30m",
        "1mh",
        "18446744073709551616ms",
        "18446744073709551615ms0.5",
        "18446744073709552s",
        "213503982335d",
        "213503982334d14h25m51s616ms",
        "99999999999999999999d",
    };
    CHECK_GOOD(ut_text_parse_duration, table);
    CHECK_BAD(ut_text_parse_duration, bad);
    uint64_t value = UNTOUCHED;
    assert_int_equal(ut_text_parse_duration(UT_BYTES_NONE, &value), UT_EFORMAT);
    assert_int_equal(ut_text_parse_duration(UT_BYTES_LIT("1s\0"), &value), UT_EFORMAT);
}

static void short_durations_are_read_in_nanoseconds(void **state)
{
    (void)state;
    static const good table[] = {
        {"0", 0},
        {"1ns", 1},
        {"250us", 250000},
        {"1.5ms", 1500000},
        {"0.001us", 1},
        {"1s500ns", UINT64_C(1000000500)},
        {"1w", UINT64_C(604800000000000)},
        {"1w2d5min", UINT64_C(777900000000000)},
        {"1.123456789s", UINT64_C(1123456789)},
        {"0.000000001d", 86400},
        {"213503d", UINT64_C(18446659200000000000)},
    };
    static const char *const bad[] = {"",       "1",    "1.5ns", "0.0001us", "213504d",
                                      "1ns1us", "1w1w", "1d1w",  "1mins"};
    CHECK_GOOD(ut_text_parse_duration_ns, table);
    CHECK_BAD(ut_text_parse_duration_ns, bad);
}

static ut_err parse_time(ut_bytes text, uint64_t *ns)
{
    bool zoned = false;
    return ut_text_parse_time(text, ns, &zoned);
}

static void times_of_the_day_are_read(void **state)
{
    (void)state;
    static const good table[] = {
        {"00:00", 0},
        {"18:40", UINT64_C(67200000000000)},
        {"18:40:09", UINT64_C(67209000000000)},
        {"23:59:59.25", UINT64_C(86399250000000)},
    };
    static const char *const bad[] = {"",      "18",     "1:00", "24:00",
                                      "18:60", "18:40Z", "18:4", "180:00"};
    CHECK_GOOD(ut_text_parse_clock, table);
    CHECK_BAD(ut_text_parse_clock, bad);
}

static void times_are_read_as_exactly_as_they_are_written(void **state)
{
    (void)state;
    static const good table[] = {
        {"1970-01-01", 0},
        {"2000-02-29", UINT64_C(951782400000000000)},
        {"2000-03-01T00", UINT64_C(951868800000000000)},
        {"2026-11-20T18:40", UINT64_C(1795200000000000000)},
        {"2026-11-20 18:40:09Z", UINT64_C(1795200009000000000)},
        {"2026-11-20T18:40:09.25", UINT64_C(1795200009250000000)},
        {"2026-11-20T18:40:09.123456789Z", UINT64_C(1795200009123456789)},
        {"2026-11-20T19:40+01:00", UINT64_C(1795200000000000000)},
        {"2026-11-20T13:10:00-0530", UINT64_C(1795200000000000000)},
        {"2026-11-20 20:40+02", UINT64_C(1795200000000000000)},
        {"1970-01-01T00:00-01:00", UINT64_C(3600000000000)},
    };
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11",
                                      "2026-13-01",
                                      "2026-00-01",
                                      "2026-11-20T18:40+",
                                      "2026-11-20T18:40+24:00",
                                      "2026-11-20T18:40+01:60",
                                      "2026-11-20T18:40+1:00",
                                      "2026-11-20T18:40Zx",
                                      "1970-01-01T00:00+01:00",
                                      "2026-11-20Z",
                                      "2026-02-29",
                                      "2026-11-31",
                                      "2026-11-20T",
                                      "2026-11-20T24",
                                      "2026-11-20T18:60",
                                      "1969-12-31",
                                      "2026-11-20T1",
                                      "2026-11-20x",
                                      "2026-11-20T18:4",
                                      "2600-01-01",
                                      "2026-1-2",
                                      "26-11-20T18:1",
                                      " 2026-11-20",
                                      "2026-11-20T18:40:9"};
    CHECK_GOOD(parse_time, table);
    CHECK_BAD(parse_time, bad);
    bool zoned = true;
    uint64_t ns = 0;
    assert_int_equal(ut_text_parse_time(UT_BYTES_LIT("2026-11-20T18:40"), &ns, &zoned), UT_OK);
    assert_false(zoned);
    assert_int_equal(ut_text_parse_time(UT_BYTES_LIT("2026-11-20T18:40Z"), &ns, &zoned), UT_OK);
    assert_true(zoned);
    // What is shown reads back.
    for (ns = 0; ns < UINT64_C(15000000000000000000); ns += UINT64_C(86399123000000) * 7) {
        char text_z[UT_TEXT_SHORT_MAX];
        uint64_t read_ns = 0;
        ut_text_time(ns, text_z);
        assert_int_equal(parse_time(ut_bytes_of_z(text_z), &read_ns), UT_OK);
        assert_true(read_ns == ns);
    }
}

typedef struct {
    uint64_t value;
    const char *text_z;
} shown;

static void check_shown(void (*show)(uint64_t value, char *out_z), const shown *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text_z[UT_TEXT_SHORT_MAX];
        show(table[i].value, text_z);
        assert_string_equal(text_z, table[i].text_z);
    }
}

#define CHECK_SHOWN(show, table) check_shown((show), (table), sizeof(table) / sizeof((table)[0]))

static void sizes_are_shown_rounded_in_the_unit_that_fits(void **state)
{
    (void)state;
    static const shown table[] = {
        {0, "0 B"},
        {1, "1 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1048524, "1023.9 KiB"},
        {1048525, "1.0 MiB"}, // not 1024.0 KiB
        {1363149, "1.3 MiB"},
        {UINT64_C(268435456), "256.0 MiB"},
        {UINT64_C(1099511627776), "1.0 TiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    CHECK_SHOWN(ut_text_size, table);
}

static void ages_are_shown_in_whole_seconds(void **state)
{
    (void)state;
    static const shown table[] = {
        {0, "0 s"},
        {999999999, "0 s"},
        {UINT64_C(3999999999), "3 s"},
        {UINT64_C(59999999999), "59 s"},
        {UINT64_C(60999999999), "1m00s"},
        {UINT64_C(3660000000000), "1h01m"},
        {UINT64_MAX, "213503d23h"},
    };
    CHECK_SHOWN(ut_text_age, table);
}

static void durations_are_shown_with_three_digits(void **state)
{
    (void)state;
    static const shown table[] = {
        {0, "0 ns"},
        {999, "999 ns"},
        {1000, "1.00 us"},
        {9994, "9.99 us"},
        {9996, "10.0 us"},
        {99949, "99.9 us"},
        {99950, "100 us"},
        {830000, "830 us"},
        {999499, "999 us"},
        {999500, "1.00 ms"}, // not 1000 us
        {12345678, "12.3 ms"},
        {999500000, "1.00 s"},
        {1240000000, "1.24 s"},
        {UINT64_C(59949999999), "59.9 s"},
        {UINT64_C(59950000000), "1m00s"}, // not 60.0 s
        {UINT64_C(90000000000), "1m30s"},
        {UINT64_C(3599499999999), "59m59s"},
        {UINT64_C(3599500000000), "1h00m"},
        {UINT64_C(86400000000000), "1d00h"},
        {UINT64_C(2595600000000000), "30d01h"},
        {UINT64_MAX, "213503d23h"},
    };
    CHECK_SHOWN(ut_text_duration, table);
}

static void times_are_shown_in_utc(void **state)
{
    (void)state;
    static const shown table[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {UINT64_C(951782399999999999), "2000-02-28T23:59:59.999Z"},
        {UINT64_C(951782400000000000), "2000-02-29T00:00:00.000Z"},
        {UINT64_C(951868800000000000), "2000-03-01T00:00:00.000Z"},
        {UINT64_C(1704067199000000000), "2023-12-31T23:59:59.000Z"},
        {UINT64_C(1704067200000000000), "2024-01-01T00:00:00.000Z"},
        {UINT64_C(1795200000123999999), "2026-11-20T18:40:00.123Z"},
        {UINT64_C(4107542400000000000), "2100-03-01T00:00:00.000Z"}, // 2100 has no leap day
        {UINT64_C(4107456000000000000), "2100-02-28T00:00:00.000Z"},
        {UINT64_MAX, "2554-07-21T23:34:33.709Z"},
    };
    CHECK_SHOWN(ut_text_time, table);
}

static void every_day_of_five_centuries_follows_the_one_before(void **state)
{
    (void)state;
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = 1970;
    unsigned month = 1;
    unsigned day = 1;
    for (uint64_t n = 0; n < 213000; n++) {
        char text_z[UT_TEXT_SHORT_MAX];
        ut_text_time(n * 86400 * UINT64_C(1000000000), text_z);
        assert_int_equal(strtoul(text_z, NULL, 10), year);
        assert_int_equal(strtoul(text_z + 5, NULL, 10), month);
        assert_int_equal(strtoul(text_z + 8, NULL, 10), day);
        unsigned leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 1 : 0;
        if (++day > lengths[month - 1] + leap) {
            day = 1;
            month++;
        }
        if (month > 12) {
            month = 1;
            year++;
        }
    }
}

static void whole_numbers_are_shown_in_groups_of_three_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *text_z;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1 000"},
                 {12345678, "12 345 678"},
                 {UINT64_MAX, "18 446 744 073 709 551 615"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text_z[UT_TEXT_SHORT_MAX];
        ut_text_grouped(cases[i].number, text_z);
        assert_string_equal(text_z, cases[i].text_z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal_and_fit_64_bits),
        cmocka_unit_test(sizes_are_read_with_their_units),
        cmocka_unit_test(durations_are_read_with_their_units),
        cmocka_unit_test(short_durations_are_read_in_nanoseconds),
        cmocka_unit_test(times_are_read_as_exactly_as_they_are_written),
        cmocka_unit_test(times_of_the_day_are_read),
        cmocka_unit_test(sizes_are_shown_rounded_in_the_unit_that_fits),
        cmocka_unit_test(ages_are_shown_in_whole_seconds),
        cmocka_unit_test(durations_are_shown_with_three_digits),
        cmocka_unit_test(times_are_shown_in_utc),
        cmocka_unit_test(whole_numbers_are_shown_in_groups_of_three_digits),
        cmocka_unit_test(every_day_of_five_centuries_follows_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
