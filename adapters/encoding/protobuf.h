// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/): reading and writing
// of single fields, bounded. Not for messages: otlp_protobuf_decode.c and otlp_protobuf_encode.c
// know what the fields mean.
#ifndef UT_ADAPTERS_ENCODING_PROTOBUF_H
#define UT_ADAPTERS_ENCODING_PROTOBUF_H

#include "port/base/buf.h"

typedef enum {
    UT_PB_VARINT = 0,
    UT_PB_I64 = 1,
    UT_PB_LEN = 2,
    UT_PB_GROUP = 3, // deprecated, but a parser must pass them
    UT_PB_GROUP_END = 4,
    UT_PB_I32 = 5,
} ut_pb_wire;

enum {
    UT_PB_VARINT_LEN_MAX = 10,
    UT_PB_TAG_LEN_MAX = 5,
    UT_PB_GROUP_DEPTH_MAX = 32, // nesting of groups that is followed; deeper does not decode
};

// A tag as it stands on the wire, and its parts.
#define UT_PB_TAG(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))
#define UT_PB_NUMBER(tag)       ((tag) >> 3)
#define UT_PB_WIRE(tag)         ((ut_pb_wire)((tag)&7u))

// ---- reading ----

// The reading functions return a pointer behind the bytes they read, or NULL when those do not
// decode.

typedef struct {
    uint32_t tag;
    uint64_t value; // VARINT, I64, I32; 0 for others
    // LEN: the content. A group: all of it behind its tag. Empty for others. Borrowed from the
    // input.
    ut_bytes bytes;
} ut_pb_field;

const uint8_t *ut_pb_read_long_varint(const uint8_t *at, const uint8_t *end, uint64_t *value);

static inline const uint8_t *ut_pb_read_varint(const uint8_t *at, const uint8_t *end,
                                               uint64_t *value)
{
    if (at < end && *at < 0x80) {
        *value = *at;
        return at + 1;
    }
    return ut_pb_read_long_varint(at, end, value);
}

// Reads any field. ut_pb_read_field does the same, with a short way for the most frequent ones.
const uint8_t *ut_pb_read_any_field(const uint8_t *at, const uint8_t *end, ut_pb_field *field);

static inline const uint8_t *ut_pb_read_field(const uint8_t *at, const uint8_t *end,
                                              ut_pb_field *field)
{
    // One byte of tag (fields 1 to 15), one or two bytes of length.
    if (end - at >= 3 && (at[0] & 0x87) == UT_PB_LEN && at[0] >= 8) {
        size_t len = at[1];
        size_t head = 2;
        if (len >= 0x80 && at[2] < 0x80) {
            len = (len & 0x7f) | (size_t)at[2] << 7;
            head = 3;
        }
        if (len < 0x4000 && (head == 3 || len < 0x80) && len <= (size_t)(end - at) - head) {
            field->tag = at[0];
            field->value = 0;
            field->bytes = (ut_bytes){at + head, len};
            return at + head + len;
        }
    }
    return ut_pb_read_any_field(at, end, field);
}

// A walk over the fields of a message, in their order:
//
//     ut_pb_walk walk = ut_pb_walk_of(message);
//     while (ut_pb_next(&walk, &field))
//         ...
//     if (ut_pb_failed(&walk))
//         the field at walk.at does not decode
typedef struct {
    const uint8_t *at;   // the field that was read last: its tag. Before the first one: the message
    const uint8_t *next; // behind it; NULL: it does not decode
    const uint8_t *end;  // of the message
} ut_pb_walk;

// message: borrowed for the walk.
static inline ut_pb_walk ut_pb_walk_of(ut_bytes message)
{
    return (ut_pb_walk){message.data, message.data, message.data + message.len};
}

// False at the end of the message, and when the next field does not decode; not to be called again
// then.
static inline bool ut_pb_next(ut_pb_walk *walk, ut_pb_field *field)
{
    if (walk->next >= walk->end)
        return false;
    walk->at = walk->next;
    walk->next = ut_pb_read_field(walk->at, walk->end, field);
    return walk->next != NULL;
}

// The same for the fields with one tag; the others are passed.
static inline bool ut_pb_next_of(ut_pb_walk *walk, uint32_t tag, ut_pb_field *field)
{
    while (ut_pb_next(walk, field)) {
        if (field->tag == tag)
            return true;
    }
    return false;
}

static inline bool ut_pb_failed(const ut_pb_walk *walk)
{
    return walk->next == NULL && walk->end != NULL; // an empty message may have no bytes at all
}

enum { UT_PB_REASON_MAX = 80 };

// Says why the field at `at` does not decode ("length 900 runs past the end").
void ut_pb_explain(const uint8_t *at, const uint8_t *end, char reason_z[UT_PB_REASON_MAX]);

// ---- writing ----

static inline size_t ut_pb_varint_len(uint64_t value)
{
    size_t len = 1;
    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}

// at: room for ut_pb_varint_len(value) bytes. Returns the place behind.
static inline uint8_t *ut_pb_write_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

// Each of these appends one field; errors stay in buf->err.
void ut_pb_put_varint(ut_buf *buf, uint32_t number, uint64_t value);
void ut_pb_put_i64(ut_buf *buf, uint32_t number, uint64_t value);
void ut_pb_put_i32(ut_buf *buf, uint32_t number, uint32_t value);
void ut_pb_put_bytes(ut_buf *buf, uint32_t number, ut_bytes bytes);
// A string: receivers refuse a whole message for one that is not UTF-8, so each byte that is not
// becomes U+FFFD.
void ut_pb_put_text(ut_buf *buf, uint32_t number, ut_bytes text);

// A nested message whose length is known when it ends: open it, write its fields, close it. A wrong
// guess of its length costs a move of the content, a right one costs nothing.
typedef struct {
    size_t content; // offset in the buffer
    size_t width;   // bytes kept for the length
} ut_pb_slot;

ut_pb_slot ut_pb_open(ut_buf *buf, uint32_t number, size_t len_guess);
void ut_pb_close(ut_buf *buf, ut_pb_slot slot);

#endif
