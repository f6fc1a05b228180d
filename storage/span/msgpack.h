// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md): a writer over ut_buf and a
// reader that never passes its end. Ours, because span records are read from disk bytes that may be
// damaged: every read is bounds-checked, and errors are sticky, so that many calls need one check.
#ifndef UT_STORAGE_SPAN_MSGPACK_H
#define UT_STORAGE_SPAN_MSGPACK_H

#include "port/base/buf.h"

enum { UT_MP_DEPTH_MAX = 64 }; // nesting that ut_mp_skip follows; deeper is UT_EFORMAT

typedef enum {
    UT_MP_NIL,
    UT_MP_BOOL,
    UT_MP_UINT, // non-negative integer
    UT_MP_INT,  // negative integer
    UT_MP_DOUBLE,
    UT_MP_STR,
    UT_MP_BIN,
    UT_MP_ARRAY,
    UT_MP_MAP,
    UT_MP_INVALID, // at the end, after an error, or an extension type
} ut_mp_type;

// ---- writer: errors stay in buf->err ----
void ut_mp_put_nil(ut_buf *buf);
void ut_mp_put_bool(ut_buf *buf, bool value);
void ut_mp_put_uint(ut_buf *buf, uint64_t value); // shortest form
void ut_mp_put_int(ut_buf *buf, int64_t value);   // shortest form; non-negative as unsigned
void ut_mp_put_double(ut_buf *buf, double value); // float 64, every bit kept
void ut_mp_put_str(ut_buf *buf, ut_bytes text);   // bytes are kept as they are, valid UTF-8 or not
void ut_mp_put_bin(ut_buf *buf, ut_bytes bytes);
void ut_mp_put_array(ut_buf *buf, uint32_t count); // count values follow
void ut_mp_put_map(ut_buf *buf, uint32_t count);   // count pairs of key and value follow

// Writes an array header of fixed width (5 bytes) whose count is set later; returns its offset in
// buf.
size_t ut_mp_put_array_open(ut_buf *buf);
void ut_mp_set_array_count(ut_buf *buf, size_t offset, uint32_t count);

// Sets the count of a map or array that was put with 0 at this offset, and whose content has been
// written behind it: what ut_mp_put_map or ut_mp_put_array would have written for count. From 16 on
// the content moves.
void ut_mp_set_count(ut_buf *buf, size_t offset, uint32_t count);

enum { UT_MP_SHORT_STR_MAX = 255 };

// Writes text of at most UT_MP_SHORT_STR_MAX bytes as ut_mp_put_str does, without asking for room:
// at has 2 + len + UT_COPY_STEP bytes. text_end: of what may be read from text on, at least len
// bytes. Returns the end of what it wrote.
static inline uint8_t *ut_mp_write_short_str(uint8_t *at, const uint8_t *text, size_t len,
                                             const uint8_t *text_end)
{
    if (len < 32) {
        *at++ = (uint8_t)(0xa0 | len);
    } else {
        *at++ = 0xd9;
        *at++ = (uint8_t)len;
    }
    ut_copy_steps(at, text, len, text_end);
    return at + len;
}

// ---- reader ----
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    ut_err err; // UT_OK or UT_EFORMAT; once set, reads return zero values
} ut_mp_reader;

static inline ut_mp_reader ut_mp_reader_of(ut_bytes bytes)
{
    // No arithmetic on the NULL of empty bytes.
    return (ut_mp_reader){bytes.data, bytes.len == 0 ? bytes.data : bytes.data + bytes.len, UT_OK};
}

ut_mp_type ut_mp_peek(const ut_mp_reader *reader);

// Each takes the next value, or sets err when it has another type, is cut, or does not fit.
void ut_mp_get_nil(ut_mp_reader *reader);
bool ut_mp_get_bool(ut_mp_reader *reader);
uint64_t ut_mp_get_uint(ut_mp_reader *reader);
int64_t ut_mp_get_int(ut_mp_reader *reader); // either sign
double ut_mp_get_double(ut_mp_reader *reader);
ut_bytes ut_mp_get_str(ut_mp_reader *reader); // borrowed from the input
ut_bytes ut_mp_get_bin(ut_mp_reader *reader);
uint32_t ut_mp_get_array(ut_mp_reader *reader); // count; never more than the bytes that are left
uint32_t ut_mp_get_map(ut_mp_reader *reader); // pairs; never more than half the bytes that are left

// Passes one value with all that it holds, without recursion. Returns its bytes.
ut_bytes ut_mp_skip(ut_mp_reader *reader);

#endif
