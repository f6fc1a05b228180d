// Writing JSON into a buffer: the texts of single values, and a writer that sets the commas between
// them. It allocates nothing; errors stay in the buffer. Not for reading (json.h), and not for
// values of spans (adapters/plain/json_value.h).
#ifndef UT_ADAPTERS_ENCODING_JSON_WRITE_H
#define UT_ADAPTERS_ENCODING_JSON_WRITE_H

#include "port/base/buf.h"

// ---- single values ----

// Appends text in quotes: control characters (C0 and C1) are escaped, bytes that are not UTF-8
// become U+FFFD.
void ut_json_put_string(ut_buf *out, ut_bytes text);
void ut_json_put_hex(ut_buf *out, ut_bytes bytes);    // in quotes, lower case
void ut_json_put_base64(ut_buf *out, ut_bytes bytes); // in quotes
void ut_json_put_uint(ut_buf *out, uint64_t value);
void ut_json_put_int(ut_buf *out, int64_t value);
// Appends the shortest form that reads back the same; "NaN", "Infinity" and "-Infinity" in quotes.
void ut_json_put_double(ut_buf *out, double value);

// ---- a writer of objects and arrays ----

enum {
    // Objects and arrays that may be open at once, as many as ut_json_read takes. Opening one more
    // is our mistake (an assertion): a caller whose values come from outside bounds their nesting.
    UT_JSON_WRITE_DEPTH_MAX = 192,
    UT_JSON_WRITE_WORDS = UT_JSON_WRITE_DEPTH_MAX / 64,
};

// The writer keeps nothing of what it wrote, so that a caller may empty the buffer between two
// calls (ut_term_write). All fields are the writer's.
typedef struct {
    ut_buf *out;
    uint32_t depth;                        // objects and arrays that are open
    bool named;                            // a key is written, its value is not
    uint64_t objects[UT_JSON_WRITE_WORDS]; // a bit per level: 1 for an object, 0 for an array
    uint64_t filled[UT_JSON_WRITE_WORDS];  // a bit per level: something is in it
} ut_json_writer;

// A writer at the root. out: borrowed for as long as the writer is used.
ut_json_writer ut_json_writer_of(ut_buf *out);

// Each of these writes one value. name_z: the key where an object is innermost; NULL in an array,
// at the root, and behind ut_json_write_key.
void ut_json_write_object(ut_json_writer *json, const char *name_z); // opens it
void ut_json_write_array(ut_json_writer *json, const char *name_z);  // opens it
void ut_json_write_text(ut_json_writer *json, const char *name_z, ut_bytes text);
void ut_json_write_text_z(ut_json_writer *json, const char *name_z, const char *text_z);
void ut_json_write_hex(ut_json_writer *json, const char *name_z, ut_bytes bytes);
void ut_json_write_uint(ut_json_writer *json, const char *name_z, uint64_t value);
void ut_json_write_int(ut_json_writer *json, const char *name_z, int64_t value);
void ut_json_write_double(ut_json_writer *json, const char *name_z, double value);
void ut_json_write_bool(ut_json_writer *json, const char *name_z, bool value);
void ut_json_write_null(ut_json_writer *json, const char *name_z);

// Writes what stands before a value and returns the buffer: the caller appends one value of JSON.
ut_buf *ut_json_write_raw(ut_json_writer *json, const char *name_z);

// Writes a key that is not known when the program is compiled; the value follows with the next
// call.
void ut_json_write_key(ut_json_writer *json, ut_bytes name);

// Closes the innermost object or array.
void ut_json_write_close(ut_json_writer *json);

// Ends the line behind a value at the root.
void ut_json_write_line(ut_json_writer *json);

#endif
