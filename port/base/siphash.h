// SipHash-1-3 (Aumasson and Bernstein, https://www.aumasson.jp/siphash/siphash.pdf): a short hash
// of bytes whose results nobody can choose who does not know the key. For what is stored or looked
// up under bytes from outside; not a signature, and not for passwords.
#ifndef UT_PORT_BASE_SIPHASH_H
#define UT_PORT_BASE_SIPHASH_H

#include "port/base/bytes.h"

typedef struct {
    uint64_t k0;
    uint64_t k1;
} ut_siphash_key;

enum { UT_SIPHASH_KEY_LEN = 16 };

// The key from its bytes, little-endian as in the paper.
static inline ut_siphash_key ut_siphash_key_of(const uint8_t bytes[UT_SIPHASH_KEY_LEN])
{
    return (ut_siphash_key){.k0 = ut_get_le64(bytes), .k1 = ut_get_le64(bytes + 8)};
}

// The same on every machine.
uint64_t ut_siphash(ut_siphash_key key, ut_bytes bytes);

// The hash of `bytes` with the number `tail` behind them, 8 bytes little-endian.
uint64_t ut_siphash_with(ut_siphash_key key, ut_bytes bytes, uint64_t tail);

#endif
