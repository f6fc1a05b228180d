// The time zone of whoever reads: TZ, else /etc/localtime, else UTC. `--utc` sets TZ. Not for JSON,
// whose times are UTC.
#ifndef UT_AGENT_CLI_LOCAL_TIME_H
#define UT_AGENT_CLI_LOCAL_TIME_H

#include "port/base/text.h"

// The local zone is UTC, all year.
bool ut_local_is_utc(void);

// "UTC" or "local", for the head of a column of times.
const char *ut_local_zone_z(void);

// "2026-11-20 19:40:00.123 +01:00"; in UTC "2026-11-20T18:40:00.123Z". out_z holds
// UT_TEXT_SHORT_MAX bytes.
void ut_local_time(uint64_t unix_ns, char *out_z);

// The time that local clocks show at unix_ns, as if their zone were UTC.
uint64_t ut_local_of_unix(uint64_t unix_ns);

// The reverse. A time that local clocks show twice is one of the two; one that they leave out is
// moved by as much as they are.
uint64_t ut_local_to_unix(uint64_t local_ns);

#endif
