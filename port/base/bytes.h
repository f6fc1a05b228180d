// A borrowed run of bytes, and small helpers over it.
#ifndef UT_PORT_BASE_BYTES_H
#define UT_PORT_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Not owned, not NUL-terminated. data may be NULL only when len is 0.
typedef struct {
    const uint8_t *data;
    size_t len;
} ut_bytes;

#define UT_BYTES_NONE     ((ut_bytes){NULL, 0})
#define UT_BYTES_LIT(lit) ((ut_bytes){(const uint8_t *)(lit), sizeof(lit) - 1})

static inline ut_bytes ut_bytes_of(const void *data, size_t len)
{
    return (ut_bytes){(const uint8_t *)data, len};
}

static inline ut_bytes ut_bytes_of_z(const char *text_z)
{
    return (ut_bytes){(const uint8_t *)text_z, strlen(text_z)};
}

static inline bool ut_bytes_equal(ut_bytes a, ut_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

// In the order of memcmp; of two that begin alike the shorter one is first. Less than, equal to or
// greater than 0.
static inline int ut_bytes_compare(ut_bytes a, ut_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int by_bytes = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return by_bytes != 0 ? by_bytes : (a.len > b.len) - (a.len < b.len);
}

// The small letter of an ASCII capital; every other byte as it is.
static inline uint8_t ut_byte_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

// Equal but for the case of ASCII letters, as names of header fields and schemes of URLs are.
static inline bool ut_bytes_equal_fold(ut_bytes a, ut_bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ut_byte_lower(a.data[i]) != ut_byte_lower(b.data[i]))
            return false;
    }
    return true;
}

// True when text begins with prefix but for the case of ASCII letters.
static inline bool ut_bytes_begins_fold(ut_bytes text, ut_bytes prefix)
{
    return text.len >= prefix.len &&
           ut_bytes_equal_fold(ut_bytes_of(text.data, prefix.len), prefix);
}

// True of no bytes, too. Meant for ids.
static inline bool ut_bytes_all_zero(ut_bytes bytes)
{
    uint8_t any = 0;
    for (size_t i = 0; i < bytes.len; i++)
        any |= bytes.data[i];
    return any == 0;
}

enum { UT_COPY_STEP = 32 };

// Copies len bytes as memcpy does, for the many short texts of a span: in steps of UT_COPY_STEP
// bytes, which cost a few moves instead of a call, where from_end leaves that much to read.
// to: room for len + UT_COPY_STEP bytes; bytes behind len may be overwritten. The areas do not
// overlap.
static inline void ut_copy_steps(uint8_t *to, const uint8_t *from, size_t len,
                                 const uint8_t *from_end)
{
    size_t rounded = (len + UT_COPY_STEP - 1) & ~(size_t)(UT_COPY_STEP - 1);
    if (rounded > (size_t)(from_end - from)) {
        memcpy(to, from, len);
        return;
    }
    for (size_t done = 0; done < len; done += UT_COPY_STEP)
        memcpy(to + done, from + done, UT_COPY_STEP);
}

// Big-endian integers, as keys hold them.
static inline void ut_put_be32(uint8_t out[4], uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

static inline void ut_put_be64(uint8_t out[8], uint64_t v)
{
    ut_put_be32(out, (uint32_t)(v >> 32));
    ut_put_be32(out + 4, (uint32_t)v);
}

static inline uint32_t ut_get_be32(const uint8_t in[4])
{
    return ((uint32_t)in[0] << 24) | ((uint32_t)in[1] << 16) | ((uint32_t)in[2] << 8) | in[3];
}

static inline uint64_t ut_get_be64(const uint8_t in[8])
{
    return ((uint64_t)ut_get_be32(in) << 32) | ut_get_be32(in + 4);
}

// Little-endian integers, as protobuf's fixed fields and our block header hold them.
static inline uint32_t ut_get_le32(const uint8_t in[4])
{
    return ((uint32_t)in[3] << 24) | ((uint32_t)in[2] << 16) | ((uint32_t)in[1] << 8) | in[0];
}

static inline uint64_t ut_get_le64(const uint8_t in[8])
{
    return ((uint64_t)ut_get_le32(in + 4) << 32) | ut_get_le32(in);
}

static inline void ut_put_le32(uint8_t out[4], uint32_t v)
{
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)(v >> 16);
    out[3] = (uint8_t)(v >> 24);
}

static inline void ut_put_le64(uint8_t out[8], uint64_t v)
{
    ut_put_le32(out, (uint32_t)v);
    ut_put_le32(out + 4, (uint32_t)(v >> 32));
}

// Lower-case hex of in into out_z (2 * len + 1 bytes with the NUL).
void ut_hex_encode(ut_bytes in, char *out_z);

// Reads hex of either case; text.len must be even. out: text.len / 2 bytes. False on another
// character.
bool ut_hex_decode(ut_bytes text, uint8_t *out);

#endif
