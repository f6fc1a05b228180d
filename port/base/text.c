// Parses and prints sizes, durations and times. Without locale and without the local time zone.
#include "port/base/text.h"

#include "port/base/time_units.h"

#include <stdio.h>

// Numbers are printed as unsigned, which all of them fit: newlib in strict C11 has no PRIu64.

// Takes the digits at *at and moves *at behind them. False without a digit, or on overflow.
static bool take_uint(ut_bytes text, size_t *at, uint64_t *value)
{
    size_t begin = *at;
    uint64_t sum = 0;
    for (; *at < text.len && text.data[*at] >= '0' && text.data[*at] <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(text.data[*at] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return *at > begin;
}

ut_err ut_text_parse_uint(ut_bytes text, uint64_t *value)
{
    size_t at = 0;
    uint64_t sum = 0;
    if (!take_uint(text, &at, &sum) || at != text.len)
        return UT_EFORMAT;
    *value = sum;
    return UT_OK;
}

ut_err ut_text_parse_size(ut_bytes text, uint64_t *bytes)
{
    static const struct {
        char name_z[4];
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"kB", UINT64_C(1000)},
        {"KB", UINT64_C(1000)},
        {"MB", UINT64_C(1000000)},
        {"GB", UINT64_C(1000000000)},
        {"TB", UINT64_C(1000000000000)},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    size_t at = 0;
    uint64_t count = 0;
    if (!take_uint(text, &at, &count))
        return UT_EFORMAT;
    ut_bytes name = {text.data + at, text.len - at};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!ut_bytes_equal(name, ut_bytes_of_z(units[i].name_z)))
            continue;
        if (count > UINT64_MAX / units[i].bytes)
            return UT_EFORMAT;
        *bytes = count * units[i].bytes;
        return UT_OK;
    }
    return UT_EFORMAT;
}

// Takes ".5" at *at, if there is a point, as 5 / 10. False without digits or with more than nine.
static bool take_fraction(ut_bytes text, size_t *at, uint64_t *numerator, uint64_t *denominator)
{
    *numerator = 0;
    *denominator = 1;
    if (*at == text.len || text.data[*at] != '.')
        return true;
    ++*at;
    size_t begin = *at;
    if (!take_uint(text, at, numerator) || *at - begin > 9)
        return false;
    for (size_t i = begin; i < *at; i++)
        *denominator *= 10;
    return true;
}

typedef struct {
    char name_z[4];
    uint64_t size; // milliseconds, or nanoseconds
} duration_unit;

// Sums "1h30m": numbers with a unit each. Units stand from large to small, each at most once.
static ut_err parse_units(ut_bytes text, const duration_unit *units, size_t unit_count,
                          uint64_t *result)
{
    if (ut_bytes_equal(text, UT_BYTES_LIT("0"))) {
        *result = 0;
        return UT_OK;
    }
    uint64_t sum = 0;
    size_t unit_next = 0;
    size_t at = 0;
    do {
        uint64_t count = 0;
        uint64_t numerator = 0;
        uint64_t denominator = 1;
        if (!take_uint(text, &at, &count) || !take_fraction(text, &at, &numerator, &denominator))
            return UT_EFORMAT;
        size_t begin = at;
        while (at < text.len && text.data[at] >= 'a' && text.data[at] <= 'z')
            at++;
        ut_bytes name = {text.data + begin, at - begin};
        size_t found = unit_next;
        while (found < unit_count && !ut_bytes_equal(name, ut_bytes_of_z(units[found].name_z)))
            found++;
        if (found == unit_count)
            return UT_EFORMAT;
        unit_next = found + 1;

        // Refused, not rounded: 0.4ms that becomes 0 would switch a time limit off without a word.
        // The denominator is at most 1e9: either it divides the size, or the product fits.
        const uint64_t size = units[found].size;
        uint64_t fraction = 0;
        if (size % denominator == 0) {
            fraction = numerator * (size / denominator);
        } else {
            if (size > UINT64_MAX / UT_NS_PER_S || numerator * size % denominator != 0)
                return UT_EFORMAT;
            fraction = numerator * size / denominator;
        }
        if (count > (UINT64_MAX - fraction) / size)
            return UT_EFORMAT;
        const uint64_t part = count * size + fraction;
        if (part > UINT64_MAX - sum)
            return UT_EFORMAT;
        sum += part;
    } while (at < text.len);
    *result = sum;
    return UT_OK;
}

ut_err ut_text_parse_duration(ut_bytes text, uint64_t *ms)
{
    static const duration_unit units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    return parse_units(text, units, sizeof(units) / sizeof(units[0]), ms);
}

ut_err ut_text_parse_duration_ns(ut_bytes text, uint64_t *ns)
{
    static const duration_unit units[] = {
        {"w", 7 * UT_NS_PER_DAY}, {"d", UT_NS_PER_DAY}, {"h", UT_NS_PER_HOUR},
        {"min", UT_NS_PER_MIN},   {"m", UT_NS_PER_MIN}, {"s", UT_NS_PER_S},
        {"ms", UT_NS_PER_MS},     {"us", 1000},         {"ns", 1}};
    return parse_units(text, units, sizeof(units) / sizeof(units[0]), ns);
}

// Takes exactly `digits` digits at *at; false without them.
static bool take_digits(ut_bytes text, size_t *at, size_t digits, uint32_t *value)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < digits; i++, ++*at) {
        if (*at == text.len || text.data[*at] < '0' || text.data[*at] > '9')
            return false;
        sum = sum * 10 + (uint32_t)(text.data[*at] - '0');
    }
    *value = sum;
    return true;
}

static bool take_byte(ut_bytes text, size_t *at, char byte)
{
    if (*at == text.len || text.data[*at] != (uint8_t)byte)
        return false;
    ++*at;
    return true;
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

// The zone of a time, where there is one: "Z", "+01:00", "-0530", "+01". *east_s: out.
static bool take_zone(ut_bytes text, size_t *at, int64_t *east_s, bool *zoned)
{
    uint32_t hour = 0;
    uint32_t minute = 0;
    *east_s = 0;
    *zoned = *at < text.len;
    if (!*zoned || take_byte(text, at, 'Z'))
        return true;
    const bool west = take_byte(text, at, '-');
    if ((!west && !take_byte(text, at, '+')) || !take_digits(text, at, 2, &hour) || hour > 23)
        return false;
    (void)take_byte(text, at, ':'); // may be left out
    if (*at < text.len && (!take_digits(text, at, 2, &minute) || minute > 59))
        return false;
    *east_s = (int64_t)(hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

// The time of a day, as much of it as is there: "T18", "T18:05", "T18:05:09", "T18:05:09.25".
static bool take_clock(ut_bytes text, size_t *at, uint64_t *ns)
{
    uint32_t hour = 0;
    uint32_t minute = 0;
    uint32_t second = 0;
    uint64_t numerator = 0;
    uint64_t denominator = 1;
    *ns = 0;
    if (!take_digits(text, at, 2, &hour) || hour > 23)
        return false;
    if (take_byte(text, at, ':')) {
        if (!take_digits(text, at, 2, &minute) || minute > 59)
            return false;
        if (take_byte(text, at, ':') && (!take_digits(text, at, 2, &second) || second > 59 ||
                                         !take_fraction(text, at, &numerator, &denominator)))
            return false;
    }
    *ns = (hour * 3600 + minute * 60 + second) * UT_NS_PER_S +
          numerator * (UT_NS_PER_S / denominator);
    return true;
}

ut_err ut_text_parse_clock(ut_bytes text, uint64_t *day_ns)
{
    size_t at = 0;
    uint64_t ns = 0;
    const bool minutes = text.len > 2 && text.data[2] == ':';
    if (!minutes || !take_clock(text, &at, &ns) || at != text.len)
        return UT_EFORMAT;
    *day_ns = ns;
    return UT_OK;
}

ut_err ut_text_parse_time(ut_bytes text, uint64_t *unix_ns, bool *zoned)
{
    enum { YEAR_MIN = 1970, YEAR_MAX = 2500 }; // 64 bits of nanoseconds end in 2554
    size_t at = 0;
    uint32_t year = 0;
    uint32_t month = 0;
    uint32_t day = 0;
    uint64_t clock_ns = 0;
    int64_t east_s = 0;
    bool has_zone = false;
    if (!take_digits(text, &at, 4, &year) || !take_byte(text, &at, '-') ||
        !take_digits(text, &at, 2, &month) || !take_byte(text, &at, '-') ||
        !take_digits(text, &at, 2, &day))
        return UT_EFORMAT;
    if ((take_byte(text, &at, 'T') || take_byte(text, &at, ' ')) &&
        (!take_clock(text, &at, &clock_ns) || !take_zone(text, &at, &east_s, &has_zone)))
        return UT_EFORMAT;
    if (at != text.len)
        return UT_EFORMAT;
    if (year < YEAR_MIN || year > YEAR_MAX || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month))
        return UT_EFORMAT;
    uint64_t days = day - 1;
    for (uint32_t m = 1; m < month; m++)
        days += days_in_month(year, m);
    const uint64_t before = year - 1; // whole years
    days += 365 * before + before / 4 - before / 100 + before / 400 - 719162;
    const uint64_t ns = days * UT_NS_PER_DAY + clock_ns;
    const uint64_t shift_ns = (uint64_t)(east_s < 0 ? -east_s : east_s) * UT_NS_PER_S;
    if (east_s > 0 && shift_ns > ns)
        return UT_EFORMAT; // before 1970
    *unix_ns = east_s > 0 ? ns - shift_ns : ns + shift_ns;
    *zoned = has_zone;
    return UT_OK;
}

void ut_text_size(uint64_t bytes, char *out_z)
{
    static const char names_z[][4] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u B", (unsigned)bytes);
        return;
    }
    size_t i = 0;
    uint64_t tenths = 0;
    for (;; i++) {
        uint64_t unit = UINT64_C(1) << (10 * (i + 1));
        tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
        if (tenths < 10240) // at the latest with EiB
            break;
    }
    (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u.%u %s", (unsigned)(tenths / 10),
                   (unsigned)(tenths % 10), names_z[i]);
}

// ns in a unit, with three digits: "1.24 s", "12.4 s", "124 ms". False when it rounds up to 1000 of
// the unit.
static bool print_three_digits(uint64_t ns, uint64_t unit_ns, const char *name_z, char *out_z)
{
    uint64_t hundredths = (ns * 100 + unit_ns / 2) / unit_ns;
    uint64_t tenths = (ns * 10 + unit_ns / 2) / unit_ns;
    uint64_t whole = (ns + unit_ns / 2) / unit_ns;
    if (hundredths < 1000)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u.%02u %s", (unsigned)(hundredths / 100),
                       (unsigned)(hundredths % 100), name_z);
    else if (tenths < 1000)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u.%u %s", (unsigned)(tenths / 10),
                       (unsigned)(tenths % 10), name_z);
    else if (whole < 1000)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u %s", (unsigned)whole, name_z);
    else
        return false;
    return true;
}

void ut_text_grouped(uint64_t number, char *out_z)
{
    char digits[24];
    const int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out_z[at++] = ' ';
        out_z[at++] = digits[i];
    }
    out_z[at] = 0;
}

void ut_text_duration(uint64_t ns, char *out_z)
{
    if (ns < 1000) {
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u ns", (unsigned)ns);
        return;
    }
    if (ns < UT_NS_PER_MS && print_three_digits(ns, 1000, "us", out_z))
        return;
    if (ns < UT_NS_PER_S && print_three_digits(ns, UT_NS_PER_MS, "ms", out_z))
        return;
    if (ns < UT_NS_PER_MIN - UT_NS_PER_S / 20 && print_three_digits(ns, UT_NS_PER_S, "s", out_z))
        return;
    uint64_t s = ns / UT_NS_PER_S + (ns % UT_NS_PER_S >= UT_NS_PER_S / 2 ? 1 : 0);
    if (s < 3600)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%um%02us", (unsigned)(s / 60),
                       (unsigned)(s % 60));
    else if (s < 86400)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%uh%02um", (unsigned)(s / 3600),
                       (unsigned)(s % 3600 / 60));
    else
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%ud%02uh", (unsigned)(s / 86400),
                       (unsigned)(s % 86400 / 3600));
}

void ut_text_age(uint64_t ns, char *out_z)
{
    const uint64_t s = ns / UT_NS_PER_S;
    if (s < 60)
        (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%u s", (unsigned)s);
    else
        ut_text_duration(s * UT_NS_PER_S, out_z);
}

void ut_text_time(uint64_t unix_ns, char *out_z)
{
    uint64_t s = unix_ns / UT_NS_PER_S;
    uint64_t day_s = s % 86400;
    // Days counted from 1 March of the year 0, so that the leap day ends a year and every 400 years
    // are alike.
    uint64_t days = s / 86400 + 719468;
    uint64_t era = days / 146097;
    uint64_t era_day = days % 146097;
    uint64_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    uint64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    uint64_t march_month = (5 * year_day + 2) / 153;
    uint64_t day = year_day - (153 * march_month + 2) / 5 + 1;
    uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    uint64_t year = era * 400 + era_year + (month <= 2 ? 1 : 0);
    (void)snprintf(out_z, UT_TEXT_SHORT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (uint16_t)year,
                   (uint8_t)month, (uint8_t)day, (uint8_t)(day_s / 3600),
                   (uint8_t)(day_s % 3600 / 60), (uint8_t)(day_s % 60),
                   (uint16_t)(unix_ns % UT_NS_PER_S / UT_NS_PER_MS));
}
