// Tests of storage/span/block: an encrypted block opens with its key in its place, and nowhere
// else.
#include "tests/unit/storage/span/block/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <xxhash.h>

static const uint8_t some_key[UT_CIPHER_KEY_LEN] = {7, 1, 2};

static ut_block_lock lock_at(ut_cipher *cipher, uint64_t seq)
{
    return (ut_block_lock){
        .cipher = cipher, .key_id = 3, .org = 1, .seq = seq, .nonce = {9, 8, 7, 6}};
}

// Opens a copy, because opening decrypts in place.
static ut_err open_copy(ut_bytes sealed, const ut_block_lock *lock, ut_buf *payload,
                        ut_block *block)
{
    ut_buf copy;
    ut_buf_init(&copy, UT_RIG_BYTES_MAX);
    ut_buf_add_bytes(&copy, sealed);
    ut_err err = ut_block_open_encrypted(&copy, lock, payload, block);
    ut_buf_free(&copy);
    return err;
}

static void an_encrypted_block_opens_with_its_key_in_its_place(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        ut_rig f;
        ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
        if (stored == 0) {
            ut_realistic_batch(2, 40, 1000, &f.batch);
        } else {
            static uint8_t noise[30000];
            ut_random random = {8};
            for (size_t i = 0; i < sizeof noise; i++)
                noise[i] = (uint8_t)ut_random_next(&random);
            ut_rig_add_span(&f.batch,
                            ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, NULL), "s"),
                            (ut_bytes){noise, sizeof noise});
        }
        ut_rig_add_all(f.builder, &f.batch);
        ut_rig_seal_and_open(&f);
        ut_buf plain;
        ut_buf_init(&plain, UT_RIG_BYTES_MAX);
        ut_buf_add_bytes(&plain, f.block.payload);
        size_t plain_len = f.sealed.len;

        ut_cipher *cipher, *other;
        uint8_t other_key[UT_CIPHER_KEY_LEN] = {7, 1, 3};
        ut_rig_check(ut_cipher_new(some_key, &cipher));
        ut_rig_check(ut_cipher_new(other_key, &other));
        ut_block_lock lock = lock_at(cipher, 5);
        ut_rig_check(
            ut_block_seal_encrypted(f.builder, received_ns, UT_RIG_HOUR, &lock, &f.sealed));
        assert_int_equal(f.sealed.len, plain_len + UT_BLOCK_ENCRYPTION_LEN);
        assert_int_equal(f.sealed.data[5], stored == 1 ? 0 : 1);
        ut_bytes sealed = ut_buf_bytes(&f.sealed);

        ut_block_info info;
        ut_rig_check(ut_block_peek(sealed, &info));
        assert_int_equal(info.key_id, 3);
        assert_int_equal(info.received_ns, received_ns);
        assert_int_equal(ut_block_open(sealed, &f.payload, &f.block), UT_EPERM);
        ut_block_lock elsewhere = lock_at(cipher, 6);
        assert_int_equal(open_copy(sealed, &elsewhere, &f.payload, &f.block), UT_ECORRUPT);
        elsewhere = lock_at(cipher, 5);
        elsewhere.org = 2;
        assert_int_equal(open_copy(sealed, &elsewhere, &f.payload, &f.block), UT_ECORRUPT);
        elsewhere = lock_at(other, 5);
        assert_int_equal(open_copy(sealed, &elsewhere, &f.payload, &f.block), UT_ECORRUPT);

        ut_rig_check(open_copy(sealed, &lock, &f.payload, &f.block));
        assert_true(ut_bytes_equal(f.block.payload, ut_buf_bytes(&plain)));
        ut_cipher_free(cipher);
        ut_cipher_free(other);
        ut_buf_free(&plain);
        ut_rig_free(&f);
    }
}

static void
any_flipped_byte_of_an_encrypted_block_is_noticed_even_with_a_right_checksum(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_small_block(&f, true);
    ut_cipher *cipher;
    ut_rig_check(ut_cipher_new(some_key, &cipher));
    ut_block_lock lock = lock_at(cipher, 5);
    ut_rig_check(ut_block_seal_encrypted(f.builder, received_ns, UT_RIG_HOUR, &lock, &f.sealed));
    for (size_t i = 0; i < f.sealed.len; i++) {
        if (i >= 24 && i < 32)
            continue; // the hour of expiry, which the tag does not cover, and the checksum
        for (unsigned bit = 0; bit < 8; bit++) {
            f.sealed.data[i] ^= (uint8_t)(1 << bit);
            ut_rig_fix_checksum(f.sealed.data, f.sealed.len);
            ut_err err = open_copy(ut_buf_bytes(&f.sealed), &lock, &f.payload, &f.block);
            bool key_id = i >= UT_BLOCK_HEADER_LEN && i < UT_BLOCK_HEADER_LEN + 4;
            if (err != UT_ECORRUPT && !(i == 4 && err == UT_EVERSION) &&
                !(key_id && err == UT_EINVAL))
                fail_msg("bit %u of byte %u flipped gives %s", bit, (unsigned)i, ut_err_name(err));
            f.sealed.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    ut_rig_fix_checksum(f.sealed.data, f.sealed.len);
    for (size_t len = 0; len < f.sealed.len; len++) {
        ut_bytes cut = {f.sealed.data, len};
        uint8_t *bytes = ut_rig_move_to_exact(&cut);
        ut_block_info info;
        assert_int_equal(ut_block_open(cut, &f.payload, &f.block), UT_ECORRUPT);
        (void)ut_block_peek(cut, &info);
        free(bytes);
    }
    ut_rig_check(open_copy(ut_buf_bytes(&f.sealed), &lock, &f.payload, &f.block));
    ut_cipher_free(cipher);
    ut_rig_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encrypted_block_opens_with_its_key_in_its_place),
        cmocka_unit_test(
            any_flipped_byte_of_an_encrypted_block_is_noticed_even_with_a_right_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
