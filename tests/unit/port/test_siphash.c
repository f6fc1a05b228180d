// Tests of port/base/siphash. The expected values come from an implementation of another hand,
// which was itself held against the vectors of SipHash-2-4 in the paper.
#include "port/base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES_MAX = 64 };

// The key of the paper's vectors: bytes 0 to 15; the message: bytes 0, 1, 2, ...
static ut_siphash_key vector_key(void)
{
    uint8_t bytes[UT_SIPHASH_KEY_LEN];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    return ut_siphash_key_of(bytes);
}

static void make_message(uint8_t message[BYTES_MAX])
{
    for (size_t i = 0; i < BYTES_MAX; i++)
        message[i] = (uint8_t)i;
}

static void the_key_is_little_endian(void **state)
{
    (void)state;
    const ut_siphash_key key = vector_key();
    assert_int_equal(key.k0, UINT64_C(0x0706050403020100));
    assert_int_equal(key.k1, UINT64_C(0x0f0e0d0c0b0a0908));
}

static void known_messages_have_known_hashes(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } known[] = {
        {0, UINT64_C(0xabac0158050fc4dc)},  {1, UINT64_C(0xc9f49bf37d57ca93)},
        {7, UINT64_C(0xd3927d989bb11140)},  {8, UINT64_C(0x369095118d299a8e)},
        {15, UINT64_C(0xd320d86d2a519956)}, {16, UINT64_C(0xcc4fdd1a7d908b66)},
        {24, UINT64_C(0xf464aeb267349c8c)}, {63, UINT64_C(0x9d199062b7bbb3a8)},
    };
    uint8_t message[BYTES_MAX];
    (void)state;
    make_message(message);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(ut_siphash(vector_key(), (ut_bytes){message, known[i].len}),
                         known[i].hash);
}

static void a_tail_counts_as_eight_bytes_more(void **state)
{
    uint8_t message[BYTES_MAX];
    (void)state;
    make_message(message);
    for (size_t len = 0; len + 8 <= BYTES_MAX; len++) {
        const uint64_t tail = ut_get_le64(message + len);
        assert_int_equal(ut_siphash_with(vector_key(), (ut_bytes){message, len}, tail),
                         ut_siphash(vector_key(), (ut_bytes){message, len + 8}));
    }
}

static void every_bit_of_key_and_message_counts(void **state)
{
    uint8_t message[BYTES_MAX];
    (void)state;
    make_message(message);
    const uint64_t hash = ut_siphash(vector_key(), (ut_bytes){message, 20});
    for (unsigned bit = 0; bit < 20 * 8; bit++) {
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(ut_siphash(vector_key(), (ut_bytes){message, 20}) != hash);
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        ut_siphash_key key = vector_key();
        key.k0 ^= UINT64_C(1) << bit;
        assert_true(ut_siphash(key, (ut_bytes){message, 20}) != hash);
        key = vector_key();
        key.k1 ^= UINT64_C(1) << bit;
        assert_true(ut_siphash(key, (ut_bytes){message, 20}) != hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_little_endian),
        cmocka_unit_test(known_messages_have_known_hashes),
        cmocka_unit_test(a_tail_counts_as_eight_bytes_more),
        cmocka_unit_test(every_bit_of_key_and_message_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
