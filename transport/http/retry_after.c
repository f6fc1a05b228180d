// Reads Retry-After. The date forms are those of RFC 9110 section 5.6.7:
//   Sun, 06 Nov 1994 08:49:37 GMT    Sunday, 06-Nov-94 08:49:37 GMT    Sun Nov  6 08:49:37 1994
#include "transport/http/retry_after.h"

#include "port/base/time_units.h"

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} scanner;

static void skip_char(scanner *in, char c)
{
    if (in->failed || in->at == in->end || *in->at != (uint8_t)c)
        in->failed = true;
    else
        in->at++;
}

static void skip_spaces(scanner *in)
{
    while (in->at < in->end && *in->at == ' ')
        in->at++;
}

static void skip_word(scanner *in)
{
    const uint8_t *begin = in->at;
    while (in->at < in->end && ((*in->at | 0x20) >= 'a' && (*in->at | 0x20) <= 'z'))
        in->at++;
    if (in->at == begin)
        in->failed = true;
}

// Takes 1 to digits_max digits; nothing it is used for is larger than 9999.
static uint32_t take_number(scanner *in, size_t digits_max)
{
    uint32_t value = 0;
    size_t digits = 0;
    for (; in->at < in->end && digits < digits_max && *in->at >= '0' && *in->at <= '9'; digits++)
        value = value * 10 + (uint32_t)(*in->at++ - '0');
    if (digits == 0)
        in->failed = true;
    return value;
}

static uint32_t take_month(scanner *in)
{
    static const char names_z[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (!in->failed && in->end - in->at >= 3) {
        for (uint32_t month = 0; month < 12; month++) {
            if (memcmp(in->at, names_z + (size_t)month * 3, 3) == 0) {
                in->at += 3;
                return month + 1;
            }
        }
    }
    in->failed = true;
    return 1;
}

// Days from 1970-01-01 to a day of the proleptic Gregorian calendar; year >= 1970. Years are
// counted from March, so that the leap day is the last of its year.
static uint64_t days_since_epoch(uint32_t year, uint32_t month, uint32_t day)
{
    uint64_t y = month <= 2 ? year - 1 : year;
    uint64_t month_from_march = (month + 9) % 12;
    uint64_t days_before_1970 = 719468;
    return y * 365 + y / 4 - y / 100 + y / 400 + (month_from_march * 153 + 2) / 5 + day - 1 -
           days_before_1970;
}

// False when the text is no date.
static bool parse_date(ut_bytes text, uint64_t *unix_s)
{
    scanner in = {text.data, text.data + text.len, false};
    uint32_t year = 0;
    uint32_t month = 0;
    uint32_t day = 0;
    skip_word(&in);
    bool asctime = in.at < in.end && *in.at == ' ';
    if (asctime) {
        skip_spaces(&in);
        month = take_month(&in);
        skip_spaces(&in);
        day = take_number(&in, 2);
    } else {
        skip_char(&in, ',');
        skip_char(&in, ' ');
        day = take_number(&in, 2);
        char between = in.at < in.end && *in.at == '-' ? '-' : ' ';
        skip_char(&in, between);
        month = take_month(&in);
        skip_char(&in, between);
        year = take_number(&in, 4);
        if (between == '-' && year < 100)
            year += year < 70 ? 2000 : 1900; // RFC 9110: two digits lie at most 50 years ahead
    }
    skip_char(&in, ' ');
    uint32_t hour = take_number(&in, 2);
    skip_char(&in, ':');
    uint32_t minute = take_number(&in, 2);
    skip_char(&in, ':');
    uint32_t second = take_number(&in, 2);
    skip_char(&in, ' ');
    if (asctime) {
        year = take_number(&in, 4);
    } else {
        skip_char(&in, 'G');
        skip_char(&in, 'M');
        skip_char(&in, 'T');
    }
    if (in.failed || in.at != in.end || year < 1970 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *unix_s = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

uint64_t ut_retry_after_ms(ut_bytes text, ut_bytes date, uint64_t wall_ns)
{
    uint64_t ms = 0;
    uint64_t unix_s = 0;
    if (text.len > 0 && text.data[0] >= '0' && text.data[0] <= '9') {
        for (size_t i = 0; i < text.len; i++) {
            if (text.data[i] < '0' || text.data[i] > '9')
                return 0;
            if (ms < UT_RETRY_AFTER_MS_MAX) // past it, only the form is still checked
                ms = ms * 10 + (uint64_t)(text.data[i] - '0') * 1000;
        }
    } else if (parse_date(text, &unix_s)) {
        uint64_t now_s = 0;
        const uint64_t now_ms = parse_date(date, &now_s) ? now_s * 1000 : wall_ns / UT_NS_PER_MS;
        ms = unix_s * 1000 > now_ms ? unix_s * 1000 - now_ms : 0;
    }
    return ms < UT_RETRY_AFTER_MS_MAX ? ms : UT_RETRY_AFTER_MS_MAX;
}
