// A time in this project's own JSON: for people and for programs, side by side.
#ifndef UT_ADAPTERS_PLAIN_JSON_TIME_H
#define UT_ADAPTERS_PLAIN_JSON_TIME_H

#include "adapters/encoding/json_write.h"

// Writes two members: NAME as "2026-11-29T22:30:57.423Z", and NAME_ns as nanoseconds since the
// epoch. name_z: at most 32 bytes.
void ut_json_time(ut_json_writer *json, const char *name_z, uint64_t unix_ns);

#endif
