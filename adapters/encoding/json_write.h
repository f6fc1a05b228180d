// Writing JSON: texts and numbers into a buffer. Errors stay in the buffer. Not for reading (json.h).
#ifndef UT_ADAPTERS_ENCODING_JSON_WRITE_H
#define UT_ADAPTERS_ENCODING_JSON_WRITE_H

#include "port/base/buf.h"

// A quoted string: control characters (C0 and C1) escaped, what is not UTF-8 replaced by U+FFFD.
void ut_json_put_string(ut_buf *out, ut_bytes text);
void ut_json_put_hex(ut_buf *out, ut_bytes bytes);    // quoted, lower case
void ut_json_put_base64(ut_buf *out, ut_bytes bytes); // quoted
void ut_json_put_uint(ut_buf *out, uint64_t value);
void ut_json_put_int(ut_buf *out, int64_t value);
// Shortest form that reads back the same; "NaN", "Infinity" and "-Infinity" in quotes.
void ut_json_put_double(ut_buf *out, double value);

#endif
