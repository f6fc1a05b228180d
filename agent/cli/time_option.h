// A time as a person writes it on the command line. Not for times in files: port/base/text.h.
#ifndef UT_AGENT_CLI_TIME_OPTION_H
#define UT_AGENT_CLI_TIME_OPTION_H

#include "port/base/text.h"

// Takes so long ago ("2h", "-2h", "1w", "5min"), a word ("now", "today", "yesterday"), a time of
// this day ("18:00"), a date with or without a time of day, local unless it names its zone
// ("2026-11-20T18:00", "2026-11-20T18:00Z", "2026-11-20T19:00+01:00"), or a number since 1970,
// which is of seconds, milliseconds, microseconds or nanoseconds by its size. Numbers below 10^8,
// which are no such time of these decades, are refused, but for 0. False: none of these.
bool ut_time_option(const char *text_z, uint64_t now_ns, uint64_t *ns);

#endif
