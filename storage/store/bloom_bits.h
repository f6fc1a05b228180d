// The bits of a Bloom filter, the hashes that set them, and its limits: what making and asking have
// in common.
#ifndef UT_STORAGE_STORE_BLOOM_BITS_H
#define UT_STORAGE_STORE_BLOOM_BITS_H

#include "port/base/bytes.h"

#include <xxhash.h>

enum {
    UT_BLOOM_BYTES_MAX = 1024,    // the longest filter, without its head
    UT_BLOOM_BYTES_A_SPAN = 3,    // a filter takes no more for each span of its block
    UT_BLOOM_BYTES_MIN = 32,      // a filter may take that much, however few spans there are
    UT_BLOOM_VALUES_MAX = 24,     // values of one key in a block; more are not told apart
    UT_BLOOM_VALUE_LEN_MAX = 128, // bytes; longer texts are not told apart
};

enum {
    UT_BLOOM_HEAD = 1, // flags; the bits follow
    UT_BLOOM_HASHES = 5,
    // Flags. A filter with another one is of a later version and is not asked.
    UT_BLOOM_HAS_KEYS = 1,  // all keys of attributes are in
    UT_BLOOM_HAS_PAIRS = 2, // and all values of those keys that are not marked as wide
    UT_BLOOM_SEEDED = 4,    // the seed is not 0
    UT_BLOOM_FLAGS = 7,
};

// The subject of a hash, which is added to the seed.
enum {
    UT_BLOOM_SERVICE = 1,
    UT_BLOOM_FAILED = 2, // a service with an error
    UT_BLOOM_NAME = 3,
    UT_BLOOM_KEY = 4,
    UT_BLOOM_WIDE = 5, // with the hash of a key: its values are not in
    UT_BLOOM_TEXT = 6,
    UT_BLOOM_NUMBER = 7,
};

static inline uint64_t ut_bloom_hash(ut_bytes text, uint64_t seed, uint64_t about)
{
    static const uint8_t none[1] = {0};
    return XXH64(text.len > 0 ? text.data : none, text.len, seed + about);
}

// The token of a number as the value of a key: all spellings of the number are one.
static inline uint64_t ut_bloom_hash_number(double number, uint64_t key_hash)
{
    uint64_t bits;
    uint8_t bytes[8];
    number += 0.0; // -0 is 0
    memcpy(&bits, &number, sizeof(bits));
    ut_put_be64(bytes, bits);
    return XXH64(bytes, sizeof(bytes), key_hash + UT_BLOOM_NUMBER);
}

static inline uint64_t ut_bloom_hash_wide(uint64_t key_hash)
{
    uint8_t bytes[8];
    ut_put_be64(bytes, key_hash);
    return XXH64(bytes, sizeof(bytes), key_hash + UT_BLOOM_WIDE);
}

// The nth bit of a token in a filter of bit_count bits (less than 2^32).
static inline uint32_t ut_bloom_bit(uint64_t token, unsigned n, uint32_t bit_count)
{
    uint32_t step = (uint32_t)(token >> 32) | 1;
    uint32_t at = (uint32_t)token + n * step;
    return (uint32_t)((uint64_t)at * bit_count >> 32);
}

#endif
