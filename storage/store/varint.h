// Numbers of variable length, as the records of the trace index hold them: seven bits a byte, the
// lowest first, the top bit set on all but the last. Readers never pass the end they are given.
#ifndef UT_STORAGE_STORE_VARINT_H
#define UT_STORAGE_STORE_VARINT_H

#include "port/base/buf.h"

enum { UT_VARINT_LEN_MAX = 10 };

static inline void ut_varint_put(ut_buf *out, uint64_t value)
{
    uint8_t bytes[UT_VARINT_LEN_MAX];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    ut_buf_add(out, bytes, len);
}

// Takes a number off *rest. False, with *rest as it was or shorter: it is cut, or has more than 64
// bits.
static inline bool ut_varint_get(ut_bytes *rest, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; rest->len > 0 && shift < 64; shift += 7) {
        const uint8_t byte = *rest->data++;
        rest->len -= 1;
        if (shift == 63 && byte > 1)
            return false;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *value = sum;
            return true;
        }
    }
    return false;
}

#endif
