// Times on the command line; see time_option.h.
#include "agent/cli/time_option.h"

#include "agent/cli/local_time.h"
#include "port/base/time_units.h"

static bool take_number(uint64_t number, uint64_t *ns)
{
    // Each unit covers the years 1973 to 5138; nanoseconds end in 2554.
    static const struct {
        uint64_t below;
        uint64_t unit_ns;
    } units[] = {
        {UINT64_C(100000000000), UT_NS_PER_S},
        {UINT64_C(100000000000000), UT_NS_PER_MS},
        {UINT64_C(100000000000000000), 1000},
        {UINT64_MAX, 1},
    };
    enum { NUMBER_MIN = 100 * 1000 * 1000 };
    size_t i = 0;
    if (number > 0 && number < NUMBER_MIN)
        return false;
    while (number >= units[i].below && units[i].unit_ns > 1)
        i++;
    *ns = number > UINT64_MAX / units[i].unit_ns ? UINT64_MAX : number * units[i].unit_ns;
    return true;
}

// Midnight of the local day that now_ns is in, as local clocks show it.
static uint64_t local_midnight(uint64_t now_ns)
{
    const uint64_t local_ns = ut_local_of_unix(now_ns);
    return local_ns - local_ns % UT_NS_PER_DAY;
}

static bool take_word(ut_bytes text, uint64_t now_ns, uint64_t *ns)
{
    uint64_t day_ns = 0;
    const uint64_t midnight_ns = local_midnight(now_ns);
    if (ut_bytes_equal(text, UT_BYTES_LIT("now")))
        *ns = now_ns;
    else if (ut_bytes_equal(text, UT_BYTES_LIT("today")))
        *ns = ut_local_to_unix(midnight_ns);
    else if (ut_bytes_equal(text, UT_BYTES_LIT("yesterday")))
        *ns = ut_local_to_unix(midnight_ns < UT_NS_PER_DAY ? 0 : midnight_ns - UT_NS_PER_DAY);
    else if (ut_text_parse_clock(text, &day_ns) == UT_OK)
        *ns = ut_local_to_unix(midnight_ns + day_ns);
    else
        return false;
    return true;
}

bool ut_time_option(const char *text_z, uint64_t now_ns, uint64_t *ns)
{
    const ut_bytes text = ut_bytes_of_z(text_z);
    uint64_t value = 0;
    bool zoned = false;
    if (ut_text_parse_time(text, &value, &zoned) == UT_OK) {
        *ns = zoned ? value : ut_local_to_unix(value);
        return true;
    }
    if (ut_text_parse_uint(text, &value) == UT_OK)
        return take_number(value, ns);
    if (take_word(text, now_ns, ns))
        return true;
    if (ut_text_parse_duration_ns(ut_bytes_of_z(text_z + (text_z[0] == '-')), &value) != UT_OK)
        return false;
    *ns = value < now_ns ? now_ns - value : 0;
    return true;
}
