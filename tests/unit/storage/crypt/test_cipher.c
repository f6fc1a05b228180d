// Tests of storage/crypt/cipher, against the vectors of the GCM specification (McGrew and Viega,
// "The Galois/Counter Mode of Operation", appendix B, test cases 13 to 16).
#include "storage/crypt/cipher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TEXT_MAX = 64 };

typedef struct {
    const char *key_z;
    const char *nonce_z;
    const char *associated_z;
    const char *plain_z;
    const char *sealed_z;
    const char *tag_z;
} vector;

#define ZEROS_16 "00000000000000000000000000000000"
#define KEY      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define PLAIN_60                                                                                   \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6" \
    "b525b16aedf5aa0de657ba637b39"
#define SEALED_60                                                                                  \
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682" \
    "8838c5f61e6393ba7a0abcc9f662"

static const vector vectors[] = {
    {ZEROS_16 ZEROS_16, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {ZEROS_16 ZEROS_16, "000000000000000000000000", "", ZEROS_16,
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {KEY, "cafebabefacedbaddecaf888", "", PLAIN_60 "1aafd255", SEALED_60 "898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {KEY, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", PLAIN_60,
     SEALED_60, "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static size_t hex(const char *text_z, uint8_t *out)
{
    assert_true(ut_hex_decode(ut_bytes_of_z(text_z), out));
    return strlen(text_z) / 2;
}

static ut_cipher *cipher_of(const char *key_z)
{
    uint8_t key[UT_CIPHER_KEY_LEN];
    ut_cipher *cipher = NULL;
    assert_int_equal(hex(key_z, key), sizeof key);
    assert_int_equal(ut_cipher_new(key, &cipher), UT_OK);
    return cipher;
}

static void the_published_vectors_come_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t nonce[UT_CIPHER_NONCE_LEN], associated[32], data[TEXT_MAX], plain[TEXT_MAX],
            sealed[TEXT_MAX], tag[UT_CIPHER_TAG_LEN], wanted[UT_CIPHER_TAG_LEN];
        ut_cipher *cipher = cipher_of(vectors[i].key_z);
        (void)hex(vectors[i].nonce_z, nonce);
        size_t associated_len = hex(vectors[i].associated_z, associated);
        size_t len = hex(vectors[i].plain_z, plain);
        (void)hex(vectors[i].sealed_z, sealed);
        (void)hex(vectors[i].tag_z, wanted);
        memcpy(data, plain, sizeof data);
        ut_bytes bound = {associated, associated_len};
        assert_int_equal(ut_cipher_seal(cipher, nonce, bound, data, len, tag), UT_OK);
        assert_memory_equal(data, sealed, len);
        assert_memory_equal(tag, wanted, sizeof tag);
        assert_int_equal(ut_cipher_open(cipher, nonce, bound, data, len, tag), UT_OK);
        assert_memory_equal(data, plain, len);
        ut_cipher_free(cipher);
    }
}

static void any_other_bit_is_refused(void **state)
{
    (void)state;
    uint8_t nonce[UT_CIPHER_NONCE_LEN] = {1, 2, 3};
    uint8_t associated[20] = {4, 5};
    uint8_t text[37] = "what is to be kept from other people";
    uint8_t tag[UT_CIPHER_TAG_LEN];
    ut_cipher *cipher = cipher_of(KEY);
    ut_bytes bound = {associated, sizeof associated};
    assert_int_equal(ut_cipher_seal(cipher, nonce, bound, text, sizeof text, tag), UT_OK);
    struct {
        uint8_t *data;
        size_t len;
    } parts[] = {{nonce, sizeof nonce},
                 {associated, sizeof associated},
                 {text, sizeof text},
                 {tag, sizeof tag}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (size_t bit = 0; bit < 8 * parts[i].len; bit++) {
            uint8_t copy[sizeof text];
            parts[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            memcpy(copy, text, sizeof copy);
            assert_int_equal(ut_cipher_open(cipher, nonce, bound, copy, sizeof copy, tag),
                             UT_ECORRUPT);
            parts[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    assert_int_equal(ut_cipher_open(cipher, nonce, bound, text, sizeof text, tag), UT_OK);
    ut_cipher_free(cipher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(any_other_bit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
