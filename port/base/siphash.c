// SipHash-1-3; see siphash.h.
#include "port/base/siphash.h"

typedef struct {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
} state;

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void mix(state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void take(state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s);
    s->v0 ^= word;
}

static uint64_t hash(ut_siphash_key key, ut_bytes bytes, bool with_tail, uint64_t tail)
{
    enum { WORD = 8 };
    state s = {
        .v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key.k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; at + WORD <= bytes.len; at += WORD)
        take(&s, ut_get_le64(bytes.data + at));
    uint64_t last = 0; // the bytes that are left, the first one lowest
    for (size_t i = at; i < bytes.len; i++)
        last |= (uint64_t)bytes.data[i] << (WORD * (i - at));
    size_t len = bytes.len;
    if (with_tail) {
        // The tail begins inside the last word and ends in the next one.
        const unsigned shift = (unsigned)(WORD * (bytes.len - at));
        take(&s, last | tail << shift);
        last = shift == 0 ? 0 : tail >> (64 - shift);
        len += WORD;
    }
    take(&s, last | (uint64_t)len << 56);
    s.v2 ^= 0xff;
    for (unsigned round = 0; round < 3; round++)
        mix(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t ut_siphash(ut_siphash_key key, ut_bytes bytes)
{
    return hash(key, bytes, false, 0);
}

uint64_t ut_siphash_with(ut_siphash_key key, ut_bytes bytes, uint64_t tail)
{
    return hash(key, bytes, true, tail);
}
