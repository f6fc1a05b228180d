// Local time by the C library; see local_time.h.
#include "agent/cli/local_time.h"

#include "port/base/time_units.h"

#include <stdio.h>
#include <time.h>

// Seconds that local clocks are ahead of UTC.
static int64_t east_of_utc(uint64_t unix_ns)
{
    const time_t seconds = (time_t)(unix_ns / UT_NS_PER_S);
    struct tm local;
    tzset();
    return localtime_r(&seconds, &local) == NULL ? 0 : (int64_t)local.tm_gmtoff;
}

bool ut_local_is_utc(void)
{
    // Half a year apart, for zones that are UTC in winter.
    const uint64_t january_ns = UINT64_C(1767225600) * UT_NS_PER_S; // 2026-01-01
    return east_of_utc(january_ns) == 0 && east_of_utc(january_ns + 182 * UT_NS_PER_DAY) == 0;
}

const char *ut_local_zone_z(void)
{
    return ut_local_is_utc() ? "UTC" : "local";
}

uint64_t ut_local_of_unix(uint64_t unix_ns)
{
    const int64_t east_s = east_of_utc(unix_ns);
    const uint64_t shift_ns = (uint64_t)(east_s < 0 ? -east_s : east_s) * UT_NS_PER_S;
    if (east_s < 0)
        return shift_ns < unix_ns ? unix_ns - shift_ns : 0;
    return unix_ns > UINT64_MAX - shift_ns ? UINT64_MAX : unix_ns + shift_ns;
}

uint64_t ut_local_to_unix(uint64_t local_ns)
{
    const time_t seconds = (time_t)(local_ns / UT_NS_PER_S);
    struct tm shown;
    tzset();
    if (gmtime_r(&seconds, &shown) == NULL)
        return local_ns;
    shown.tm_isdst = -1; // not known
    const time_t unix_s = mktime(&shown);
    return unix_s < 0 ? 0 : (uint64_t)unix_s * UT_NS_PER_S + local_ns % UT_NS_PER_S;
}

void ut_local_time(uint64_t unix_ns, char *out_z)
{
    enum { TIME_LEN = 23 }; // "2026-11-20T18:40:00.123"
    if (ut_local_is_utc()) {
        ut_text_time(unix_ns, out_z);
        return;
    }
    const int64_t east_s = east_of_utc(unix_ns);
    const unsigned minutes = (unsigned)((east_s < 0 ? -east_s : east_s) / 60);
    ut_text_time(ut_local_of_unix(unix_ns), out_z);
    out_z[10] = ' ';
    (void)snprintf(out_z + TIME_LEN, UT_TEXT_SHORT_MAX - TIME_LEN, " %c%02u:%02u",
                   east_s < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
}
