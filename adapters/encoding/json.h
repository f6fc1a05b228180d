// Reading JSON with yyjson within a bounded amount of memory. Not for writing (json_write.h), and
// not for what the values mean.
#ifndef UT_ADAPTERS_ENCODING_JSON_H
#define UT_ADAPTERS_ENCODING_JSON_H

#include "port/base/buf.h"

#include <yyjson.h>

enum {
    // Bytes of memory that reading may take: UT_JSON_MEMORY_FACTOR times the length of the text,
    // and UT_JSON_MEMORY_BASE. A copy of the text and 16 bytes a value are needed: 3 to 4 times the
    // length for a list of trace spans.
    UT_JSON_MEMORY_FACTOR = 6,
    UT_JSON_MEMORY_BASE = 64 * 1024,
    UT_JSON_DEPTH_MAX = 192, // nesting of arrays and objects, also in members that are not read
};

typedef struct {
    yyjson_doc *doc;
    char *text; // the copy that holds the strings
    yyjson_alc allocator;
    size_t used; // by the document, in bytes
    size_t max;
    bool refused; // the ceiling was reached
} ut_json;

// Parses a whole text (RFC 8259, UTF-8 checked). Half a surrogate pair in an escape is U+FFFD:
// producers cut texts within a character. Numbers stay text (yyjson's raw type), so that none is
// rounded. The values live until ut_json_free; text is copied. json is not to be moved
// meanwhile. Nothing is to be freed after an error. UT_EFORMAT (with the byte where it went wrong;
// also when nested deeper than UT_JSON_DEPTH_MAX), UT_ELIMIT (memory), UT_ENOMEM.
ut_err ut_json_read(ut_json *json, ut_bytes text, ut_fault *fault);
// Does the same within memory_max bytes, where that is less.
ut_err ut_json_read_within(ut_json *json, ut_bytes text, size_t memory_max, ut_fault *fault);
void ut_json_free(ut_json *json);
// Whether a text with so many values, names of members among them, is certain to be read within
// memory_max bytes. text_len: at least 1.
bool ut_json_surely_fits(size_t text_len, size_t values, size_t memory_max);

// "an object", "a string", ... for faults.
const char *ut_json_type_text(yyjson_val *value);

typedef enum { UT_JSON_NUMBER_OK, UT_JSON_NUMBER_MALFORMED, UT_JSON_NUMBER_RANGE } ut_json_number;

// Reads the integer that a number, or a string of one, stands for, exactly. "1e3" and "5.0" are
// integers, "0.5" is not (MALFORMED). magnitude: 64 bits; a larger one is RANGE.
ut_json_number ut_json_integer(ut_bytes text, bool *negative, uint64_t *magnitude);

// Reads a number (not a string) that is an integer of 0 to 2^64 - 1. False: value is another one,
// another kind, or NULL.
bool ut_json_uint(yyjson_val *value, uint64_t *number);

// Reads the double nearest to the text of a number. RANGE: it would be infinite.
ut_json_number ut_json_double(ut_bytes text, double *value);

#endif
