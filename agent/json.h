// JSON output of the command line: strings, and MessagePack values as plain JSON. OTLP's own JSON form is in adapters/.
#ifndef UT_AGENT_JSON_H
#define UT_AGENT_JSON_H

#include "storage/span.h"

// Appends a quoted string: control characters escaped, bytes that are not UTF-8 as U+FFFD.
void ut_json_string(ut_buf *out, ut_bytes text);

// Appends the hex of bytes, quoted.
void ut_json_hex(ut_buf *out, ut_bytes bytes);

// Appends a raw MessagePack value: maps as objects, bytes as hex strings, an empty value and doubles that JSON cannot hold as null. 64-bit integers
// are written as numbers. Bytes that are not a value, or nest deeper than UT_VALUE_DEPTH_MAX, give null.
void ut_json_value(ut_buf *out, ut_bytes value);

#endif
