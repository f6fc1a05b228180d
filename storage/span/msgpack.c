// MessagePack writer and bounds-checked reader; see msgpack.h.
// Not for what the bytes mean: span.c knows records, block.c knows blocks.
#include "storage/span/msgpack.h"

static void fail(ut_mp_reader *reader)
{
    // Nothing is left to read after an error, so that a loop over a count ends at once.
    reader->err = UT_EFORMAT;
    reader->at = reader->end;
}

static size_t left_in(const ut_mp_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static void put_be16(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

static uint32_t get_be16(const uint8_t *in)
{
    return ((uint32_t)in[0] << 8) | in[1];
}

// Most strings are short, and a call of memcpy costs more than the copy (musl's on x86-64 starts
// slowly). Two fixed moves that overlap cover every length from 4 to 32.
static void copy_text(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len > 32) {
        memcpy(to, from, len);
    } else if (len >= 16) {
        memcpy(to, from, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(to, from, 4);
        memcpy(to + len - 4, from + len - 4, 4);
    } else if (len > 0) {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
}

// ---- writer ----

void ut_mp_put_nil(ut_buf *buf)
{
    ut_buf_add_byte(buf, 0xc0);
}

void ut_mp_put_bool(ut_buf *buf, bool value)
{
    ut_buf_add_byte(buf, value ? 0xc3 : 0xc2);
}

void ut_mp_put_uint(ut_buf *buf, uint64_t value)
{
    uint8_t *at = ut_buf_reserve(buf, 9);
    if (at == NULL)
        return;
    if (value < 0x80) {
        at[0] = (uint8_t)value;
        buf->len += 1;
    } else if (value <= UINT8_MAX) {
        at[0] = 0xcc;
        at[1] = (uint8_t)value;
        buf->len += 2;
    } else if (value <= UINT16_MAX) {
        at[0] = 0xcd;
        put_be16(at + 1, (uint32_t)value);
        buf->len += 3;
    } else if (value <= UINT32_MAX) {
        at[0] = 0xce;
        ut_put_be32(at + 1, (uint32_t)value);
        buf->len += 5;
    } else {
        at[0] = 0xcf;
        ut_put_be64(at + 1, value);
        buf->len += 9;
    }
}

void ut_mp_put_int(ut_buf *buf, int64_t value)
{
    if (value >= 0) {
        ut_mp_put_uint(buf, (uint64_t)value);
        return;
    }
    uint8_t *at = ut_buf_reserve(buf, 9);
    if (at == NULL)
        return;
    uint64_t bits = (uint64_t)value;
    if (value >= -32) {
        at[0] = (uint8_t)bits;
        buf->len += 1;
    } else if (value >= INT8_MIN) {
        at[0] = 0xd0;
        at[1] = (uint8_t)bits;
        buf->len += 2;
    } else if (value >= INT16_MIN) {
        at[0] = 0xd1;
        put_be16(at + 1, (uint32_t)bits);
        buf->len += 3;
    } else if (value >= INT32_MIN) {
        at[0] = 0xd2;
        ut_put_be32(at + 1, (uint32_t)bits);
        buf->len += 5;
    } else {
        at[0] = 0xd3;
        ut_put_be64(at + 1, bits);
        buf->len += 9;
    }
}

void ut_mp_put_double(ut_buf *buf, double value)
{
    uint8_t *at = ut_buf_reserve(buf, 9);
    if (at == NULL)
        return;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    at[0] = 0xcb;
    ut_put_be64(at + 1, bits);
    buf->len += 9;
}

// False when a length does not fit MessagePack's 32 bits.
static bool length_fits(ut_buf *buf, size_t len)
{
    if ((uint64_t)len >> 32 == 0)
        return true;
    if (buf->err == UT_OK)
        buf->err = UT_ELIMIT;
    return false;
}

void ut_mp_put_str(ut_buf *buf, ut_bytes text)
{
    if (!length_fits(buf, text.len))
        return;
    uint8_t *at = ut_buf_reserve(buf, text.len + 5);
    if (at == NULL)
        return;
    size_t head;
    if (text.len < 32) {
        at[0] = (uint8_t)(0xa0 | text.len);
        head = 1;
    } else if (text.len <= UINT8_MAX) {
        at[0] = 0xd9;
        at[1] = (uint8_t)text.len;
        head = 2;
    } else if (text.len <= UINT16_MAX) {
        at[0] = 0xda;
        put_be16(at + 1, (uint32_t)text.len);
        head = 3;
    } else {
        at[0] = 0xdb;
        ut_put_be32(at + 1, (uint32_t)text.len);
        head = 5;
    }
    copy_text(at + head, text.data, text.len);
    buf->len += head + text.len;
}

void ut_mp_put_bin(ut_buf *buf, ut_bytes bytes)
{
    if (!length_fits(buf, bytes.len))
        return;
    uint8_t *at = ut_buf_reserve(buf, bytes.len + 5);
    if (at == NULL)
        return;
    size_t head;
    if (bytes.len <= UINT8_MAX) {
        at[0] = 0xc4;
        at[1] = (uint8_t)bytes.len;
        head = 2;
    } else if (bytes.len <= UINT16_MAX) {
        at[0] = 0xc5;
        put_be16(at + 1, (uint32_t)bytes.len);
        head = 3;
    } else {
        at[0] = 0xc6;
        ut_put_be32(at + 1, (uint32_t)bytes.len);
        head = 5;
    }
    copy_text(at + head, bytes.data, bytes.len);
    buf->len += head + bytes.len;
}

// fix: the tag of up to 15 elements; wide: the tag of a 16-bit count, wide + 1 that of a 32-bit
// count.
static void put_count(ut_buf *buf, uint8_t fix, uint8_t wide, uint32_t count)
{
    uint8_t *at = ut_buf_reserve(buf, 5);
    if (at == NULL)
        return;
    if (count < 16) {
        at[0] = (uint8_t)(fix | count);
        buf->len += 1;
    } else if (count <= UINT16_MAX) {
        at[0] = wide;
        put_be16(at + 1, count);
        buf->len += 3;
    } else {
        at[0] = (uint8_t)(wide + 1);
        ut_put_be32(at + 1, count);
        buf->len += 5;
    }
}

void ut_mp_put_array(ut_buf *buf, uint32_t count)
{
    put_count(buf, 0x90, 0xdc, count);
}

void ut_mp_put_map(ut_buf *buf, uint32_t count)
{
    put_count(buf, 0x80, 0xde, count);
}

size_t ut_mp_put_array_open(ut_buf *buf)
{
    size_t offset = buf->len;
    uint8_t *at = ut_buf_reserve(buf, 5);
    if (at != NULL) {
        at[0] = 0xdd;
        ut_put_be32(at + 1, 0);
        buf->len += 5;
    }
    return offset;
}

void ut_mp_set_array_count(ut_buf *buf, size_t offset, uint32_t count)
{
    if (buf->err != UT_OK)
        return; // the header may not have been written
    UT_ASSERT(offset + 5 <= buf->len && buf->data[offset] == 0xdd);
    ut_put_be32(buf->data + offset + 1, count);
}

void ut_mp_set_count(ut_buf *buf, size_t offset, uint32_t count)
{
    if (buf->err != UT_OK)
        return; // the header may not have been written
    UT_ASSERT(offset < buf->len && (buf->data[offset] == 0x80 || buf->data[offset] == 0x90));
    if (count < 16) {
        buf->data[offset] |= (uint8_t)count;
        return;
    }
    const bool wide = count > UINT16_MAX;
    const size_t more = wide ? 4 : 2;
    if (ut_buf_reserve(buf, more) == NULL)
        return;
    uint8_t *at = buf->data + offset;
    memmove(at + 1 + more, at + 1, buf->len - offset - 1);
    buf->len += more;
    const uint8_t tag = at[0] == 0x80 ? 0xde : 0xdc; // of 16 bits; the next one of 32
    at[0] = (uint8_t)(tag + wide);
    if (wide)
        ut_put_be32(at + 1, count);
    else
        put_be16(at + 1, count);
}

// ---- reader ----

// The content behind a tag from 0xc0 to 0xdf: its class in the high half, a number of bytes in the
// low half.
enum {
    FIXED = 0x00,  // that many bytes of value
    LENGTH = 0x10, // a length of that many bytes, then the content
    ARRAY = 0x20,  // a count of that many bytes
    MAP = 0x40,
    BAD = 0xff, // reserved and extension types: nothing of ours holds them
};

static const uint8_t tag_shape[32] = {
    FIXED,     BAD,        FIXED,      FIXED,      LENGTH | 1, LENGTH | 2, LENGTH | 4, BAD,
    BAD,       BAD,        FIXED | 4,  FIXED | 8,  FIXED | 1,  FIXED | 2,  FIXED | 4,  FIXED | 8,
    FIXED | 1, FIXED | 2,  FIXED | 4,  FIXED | 8,  BAD,        BAD,        BAD,        BAD,
    BAD,       LENGTH | 1, LENGTH | 2, LENGTH | 4, ARRAY | 2,  ARRAY | 4,  MAP | 2,    MAP | 4,
};

ut_mp_type ut_mp_peek(const ut_mp_reader *reader)
{
    if (reader->at == reader->end)
        return UT_MP_INVALID;
    uint8_t tag = *reader->at;
    if (tag < 0x80)
        return UT_MP_UINT;
    if (tag < 0x90)
        return UT_MP_MAP;
    if (tag < 0xa0)
        return UT_MP_ARRAY;
    if (tag < 0xc0)
        return UT_MP_STR;
    if (tag >= 0xe0)
        return UT_MP_INT;
    switch (tag) {
    case 0xc0:
        return UT_MP_NIL;
    case 0xc2:
    case 0xc3:
        return UT_MP_BOOL;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return UT_MP_BIN;
    case 0xca:
    case 0xcb:
        return UT_MP_DOUBLE;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return UT_MP_UINT;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        // Other writers use the signed forms for small positive numbers too; the sign is the first
        // bit that follows.
        if (left_in(reader) < 2)
            return UT_MP_INVALID;
        return (reader->at[1] & 0x80) != 0 ? UT_MP_INT : UT_MP_UINT;
    case 0xd9:
    case 0xda:
    case 0xdb:
        return UT_MP_STR;
    case 0xdc:
    case 0xdd:
        return UT_MP_ARRAY;
    case 0xde:
    case 0xdf:
        return UT_MP_MAP;
    default:
        return UT_MP_INVALID;
    }
}

void ut_mp_get_nil(ut_mp_reader *reader)
{
    if (reader->at == reader->end || *reader->at != 0xc0)
        fail(reader);
    else
        reader->at += 1;
}

bool ut_mp_get_bool(ut_mp_reader *reader)
{
    if (reader->at == reader->end || (*reader->at & 0xfe) != 0xc2) {
        fail(reader);
        return false;
    }
    return *reader->at++ == 0xc3;
}

// Takes an integer of any width. Its two's complement stands in *bits; *negative says how to read
// them.
static bool get_integer(ut_mp_reader *reader, uint64_t *bits, bool *negative)
{
    *bits = 0;
    *negative = false;
    if (reader->at == reader->end) {
        fail(reader);
        return false;
    }
    uint8_t tag = *reader->at;
    if (tag < 0x80) {
        *bits = tag;
        reader->at += 1;
        return true;
    }
    if (tag >= 0xe0) {
        *bits = (uint64_t)(int64_t)(int8_t)tag;
        *negative = true;
        reader->at += 1;
        return true;
    }
    if (tag < 0xcc || tag > 0xd3) {
        fail(reader);
        return false;
    }
    unsigned width = 1u << (tag & 3u);
    if (left_in(reader) < 1 + (size_t)width) {
        fail(reader);
        return false;
    }
    const uint8_t *at = reader->at + 1;
    bool is_signed = tag >= 0xd0;
    switch (width) {
    case 1:
        *bits = is_signed ? (uint64_t)(int64_t)(int8_t)at[0] : at[0];
        break;
    case 2:
        *bits = is_signed ? (uint64_t)(int64_t)(int16_t)get_be16(at) : get_be16(at);
        break;
    case 4:
        *bits = is_signed ? (uint64_t)(int64_t)(int32_t)ut_get_be32(at) : ut_get_be32(at);
        break;
    default:
        *bits = ut_get_be64(at);
        break;
    }
    *negative = is_signed && (*bits >> 63) != 0;
    reader->at = at + width;
    return true;
}

uint64_t ut_mp_get_uint(ut_mp_reader *reader)
{
    uint64_t bits;
    bool negative;
    if (!get_integer(reader, &bits, &negative))
        return 0;
    if (negative) {
        fail(reader);
        return 0;
    }
    return bits;
}

int64_t ut_mp_get_int(ut_mp_reader *reader)
{
    uint64_t bits;
    bool negative;
    if (!get_integer(reader, &bits, &negative))
        return 0;
    if (!negative && bits > (uint64_t)INT64_MAX) {
        fail(reader);
        return 0;
    }
    return (int64_t)bits;
}

double ut_mp_get_double(ut_mp_reader *reader)
{
    size_t left = left_in(reader);
    if (left >= 9 && *reader->at == 0xcb) {
        uint64_t bits = ut_get_be64(reader->at + 1);
        double value;
        memcpy(&value, &bits, sizeof(value));
        reader->at += 9;
        return value;
    }
    if (left >= 5 && *reader->at == 0xca) {
        uint32_t bits = ut_get_be32(reader->at + 1);
        float value;
        memcpy(&value, &bits, sizeof(value));
        reader->at += 5;
        return (double)value;
    }
    fail(reader);
    return 0;
}

// Reads the big-endian length of width bytes that stands behind the tag. False when it is cut.
static bool get_width(const ut_mp_reader *reader, unsigned width, uint32_t *value)
{
    if (left_in(reader) < 1 + (size_t)width)
        return false;
    const uint8_t *at = reader->at + 1;
    *value = width == 1 ? at[0] : width == 2 ? get_be16(at) : ut_get_be32(at);
    return true;
}

// Takes `len` bytes of content that stand `head` bytes from here.
static ut_bytes take(ut_mp_reader *reader, size_t head, uint32_t len)
{
    size_t left = left_in(reader);
    if (head > left || len > left - head) {
        fail(reader);
        return UT_BYTES_NONE;
    }
    ut_bytes out = {reader->at + head, len};
    reader->at += head + len;
    return out;
}

ut_bytes ut_mp_get_str(ut_mp_reader *reader)
{
    if (reader->at == reader->end) {
        fail(reader);
        return UT_BYTES_NONE;
    }
    uint8_t tag = *reader->at;
    if ((tag & 0xe0) == 0xa0)
        return take(reader, 1, tag & 0x1fu);
    uint32_t len;
    if (tag < 0xd9 || tag > 0xdb || !get_width(reader, 1u << (tag - 0xd9), &len)) {
        fail(reader);
        return UT_BYTES_NONE;
    }
    return take(reader, 1 + ((size_t)1 << (tag - 0xd9)), len);
}

ut_bytes ut_mp_get_bin(ut_mp_reader *reader)
{
    if (reader->at == reader->end) {
        fail(reader);
        return UT_BYTES_NONE;
    }
    uint8_t tag = *reader->at;
    uint32_t len;
    if (tag < 0xc4 || tag > 0xc6 || !get_width(reader, 1u << (tag - 0xc4), &len)) {
        fail(reader);
        return UT_BYTES_NONE;
    }
    return take(reader, 1 + ((size_t)1 << (tag - 0xc4)), len);
}

// each: bytes that one element takes at least, so that a count never promises more than the input
// can hold.
static uint32_t get_count(ut_mp_reader *reader, uint8_t fix, uint8_t wide, size_t each)
{
    if (reader->at == reader->end) {
        fail(reader);
        return 0;
    }
    uint8_t tag = *reader->at;
    uint32_t count;
    size_t head = 1;
    if ((tag & 0xf0) == fix) {
        count = tag & 0x0fu;
    } else if (tag == wide && get_width(reader, 2, &count)) {
        head = 3;
    } else if (tag == wide + 1 && get_width(reader, 4, &count)) {
        head = 5;
    } else {
        fail(reader);
        return 0;
    }
    if (count > (left_in(reader) - head) / each) {
        fail(reader);
        return 0;
    }
    reader->at += head;
    return count;
}

uint32_t ut_mp_get_array(ut_mp_reader *reader)
{
    return get_count(reader, 0x90, 0xdc, 1);
}

uint32_t ut_mp_get_map(ut_mp_reader *reader)
{
    return get_count(reader, 0x80, 0xde, 2);
}

ut_bytes ut_mp_skip(ut_mp_reader *reader)
{
    size_t outer[UT_MP_DEPTH_MAX]; // values still to pass in each container around this one
    size_t depth = 0;
    size_t values = 1; // still to pass at this depth
    const uint8_t *begin = reader->at;
    const uint8_t *at = begin;
    const uint8_t *end = reader->end;

    for (;;) {
        while (values == 0) {
            if (depth == 0) {
                reader->at = at;
                return (ut_bytes){begin, (size_t)(at - begin)};
            }
            values = outer[--depth];
        }
        values -= 1;
        if (at == end)
            break;
        uint8_t tag = *at++;
        size_t left = (size_t)(end - at);
        size_t held; // values in a container
        if (tag < 0x80 || tag >= 0xe0)
            continue;
        if (tag >= 0xa0 && tag < 0xc0) {
            size_t len = tag & 0x1fu;
            if (len > left)
                break;
            at += len;
            continue;
        }
        if (tag < 0x90) {
            held = (size_t)(tag & 0x0fu) * 2;
        } else if (tag < 0xa0) {
            held = tag & 0x0fu;
        } else {
            uint8_t shape = tag_shape[tag - 0xc0];
            if (shape == BAD)
                break;
            size_t width = shape & 0x0fu;
            if (width > left)
                break;
            if (shape < LENGTH) {
                at += width;
                continue;
            }
            size_t count = width == 1 ? at[0] : width == 2 ? get_be16(at) : ut_get_be32(at);
            at += width;
            left -= width;
            if (shape < ARRAY) {
                if (count > left)
                    break;
                at += count;
                continue;
            }
            if (count > left)
                break; // also keeps the doubling below from wrapping
            held = (shape & MAP) != 0 ? count * 2 : count;
        }
        if (held > left || depth == UT_MP_DEPTH_MAX)
            break;
        outer[depth++] = values;
        values = held;
    }
    fail(reader);
    return UT_BYTES_NONE;
}
