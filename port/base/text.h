// Text to values and back, as configuration, command line and tables write them: sizes, durations,
// times.
#ifndef UT_PORT_BASE_TEXT_H
#define UT_PORT_BASE_TEXT_H

#include "port/base/bytes.h"
#include "port/base/err.h"

// "256MiB", "1GiB", "64KiB", "10MB" (decimal), "4096", "512B". UT_EFORMAT otherwise, or on
// overflow.
ut_err ut_text_parse_size(ut_bytes text, uint64_t *bytes);

// "30d", "12h", "5m", "1.5s", "250ms", "1h30m", "0". A bare number other than 0 is refused: the
// unit must be said.
ut_err ut_text_parse_duration(ut_bytes text, uint64_t *ms);
// The same in nanoseconds; "us", "ns", "w" and "min" are units too: "1.5ms", "250us", "1w".
ut_err ut_text_parse_duration_ns(ut_bytes text, uint64_t *ns);

// A time, as much of it as matters: "2026-11-20", "2026-11-20T18", "2026-11-20T18:40",
// "2026-11-20T18:40:00.123Z", "2026-11-20T19:40+01:00". A space may stand for the T. *zoned: out,
// the text names its zone; where it does not, *unix_ns is the time as if its zone were UTC.
ut_err ut_text_parse_time(ut_bytes text, uint64_t *unix_ns, bool *zoned);

// A time of the day in nanoseconds: "18:40", "18:40:09", "18:40:09.25".
ut_err ut_text_parse_clock(ut_bytes text, uint64_t *day_ns);

// Decimal, no sign, no spaces, fits 64 bits.
ut_err ut_text_parse_uint(ut_bytes text, uint64_t *value);

enum { UT_TEXT_SHORT_MAX = 40 };

// "1.3 MiB"; "1.24 s", "830 us"; "2026-11-20T18:40:00.123Z" (UTC); "12 345 678". out_z holds
// UT_TEXT_SHORT_MAX bytes.
void ut_text_size(uint64_t bytes, char *out_z);
void ut_text_duration(uint64_t ns, char *out_z);
void ut_text_time(uint64_t unix_ns, char *out_z);
void ut_text_age(uint64_t ns, char *out_z); // in whole seconds: "3 s", "14m19s", "2d4h"
void ut_text_grouped(uint64_t number, char *out_z);

#endif
