// Tests of storage/store/keyring.
#include "storage/store/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { RECORD_MAX = 4096 };

static const uint8_t master[UT_CIPHER_KEY_LEN] = {1, 2, 3};
static const uint8_t other[UT_CIPHER_KEY_LEN] = {1, 2, 4};

static ut_keyring *new_keyring(uint64_t from_seq)
{
    ut_keyring *keyring = NULL;
    assert_int_equal(ut_keyring_new(master, from_seq, &keyring), UT_OK);
    return keyring;
}

static ut_keyring *renewed(const ut_keyring *keyring, const uint8_t *key, uint64_t oldest,
                           uint64_t next)
{
    ut_keyring *out = NULL;
    assert_int_equal(ut_keyring_renew(keyring, key, oldest, next, &out), UT_OK);
    return out;
}

static ut_buf record_of(const ut_keyring *keyring)
{
    ut_buf record;
    ut_buf_init(&record, RECORD_MAX);
    assert_int_equal(ut_keyring_write(keyring, &record), UT_OK);
    return record;
}

// What the data key makes of a fixed text, to tell keys apart.
static void mark_of(ut_keyring *keyring, uint32_t id, uint8_t tag[UT_CIPHER_TAG_LEN])
{
    ut_keyring_slot slot = {0};
    static const uint8_t nonce[UT_CIPHER_NONCE_LEN] = {0};
    assert_int_equal(ut_keyring_get(keyring, id, &slot), UT_OK);
    assert_int_equal(slot.key_id, id);
    assert_int_equal(ut_cipher_seal(slot.cipher, nonce, UT_BYTES_LIT("x"), NULL, 0, tag), UT_OK);
    ut_keyring_slot_free(&slot);
}

static void assert_same_key(ut_keyring *a, ut_keyring *b, uint32_t id)
{
    uint8_t mark_a[UT_CIPHER_TAG_LEN], mark_b[UT_CIPHER_TAG_LEN];
    mark_of(a, id, mark_a);
    mark_of(b, id, mark_b);
    assert_memory_equal(mark_a, mark_b, sizeof mark_a);
}

static bool has(ut_keyring *keyring, uint32_t id)
{
    ut_keyring_slot slot = {0};
    ut_err err = ut_keyring_get(keyring, id, &slot);
    ut_keyring_slot_free(&slot);
    assert_true(err == UT_OK || err == UT_ENOTFOUND);
    return err == UT_OK;
}

static void a_record_gives_its_keys_to_its_master_only(void **state)
{
    (void)state;
    ut_keyring *keyring = new_keyring(1);
    ut_keyring *two = renewed(keyring, NULL, 1, 100);
    ut_buf record = record_of(two);
    ut_keyring *again = NULL;
    assert_int_equal(ut_keyring_read(ut_buf_bytes(&record), other, &again), UT_EPERM);
    assert_int_equal(ut_keyring_read(ut_buf_bytes(&record), master, &again), UT_OK);
    assert_int_equal(ut_keyring_count(again), 2);
    assert_same_key(two, again, 1);
    assert_same_key(two, again, 2);
    assert_true(ut_keyring_filter_seed(again, 1) != 0);
    assert_true(ut_keyring_filter_seed(again, 1) == ut_keyring_filter_seed(keyring, 1));
    // Nonce and so the bytes differ each time.
    ut_buf twice = record_of(two);
    assert_false(ut_bytes_equal(ut_buf_bytes(&record), ut_buf_bytes(&twice)));
    ut_buf_free(&twice);
    ut_buf_free(&record);
    ut_keyring_free(again);
    ut_keyring_free(two);
    ut_keyring_free(keyring);
}

static void damage_is_told_from_another_key(void **state)
{
    (void)state;
    ut_keyring *keyring = new_keyring(1);
    ut_buf record = record_of(keyring);
    // Byte 0 may say that there is more behind, which a reader passes.
    for (size_t i = 1; i < record.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            ut_keyring *again = NULL;
            record.data[i] ^= (uint8_t)(1 << bit);
            ut_err err = ut_keyring_read(ut_buf_bytes(&record), master, &again);
            // The nonce stands outside of the checksum.
            if (err != UT_ECORRUPT && err != UT_EVERSION && !(err == UT_EPERM && i >= 4 && i < 16))
                fail_msg("bit %u of byte %u gives %s", bit, (unsigned)i, ut_err_name(err));
            record.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    for (size_t len = 0; len < record.len; len++) {
        ut_keyring *again = NULL;
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, record.data, len);
        assert_int_equal(ut_keyring_read((ut_bytes){copy, len}, master, &again), UT_ECORRUPT);
        free(copy);
    }
    ut_buf_free(&record);
    ut_keyring_free(keyring);
}

static void a_key_without_blocks_leaves(void **state)
{
    (void)state;
    ut_keyring *first = new_keyring(1);               // key 1: blocks 1..9
    ut_keyring *second = renewed(first, NULL, 1, 10); // key 2: blocks 10..19
    ut_keyring *third = renewed(second, other, 9, 20);
    assert_true(has(third, 1) && has(third, 2) && has(third, 3));
    ut_keyring *fourth = renewed(third, NULL, 10, 30);
    assert_true(!has(fourth, 1) && has(fourth, 2) && has(fourth, 3) && has(fourth, 4));
    // Key 4 has had no block yet.
    ut_keyring *unused = renewed(fourth, NULL, 10, 30);
    assert_true(has(unused, 3) && !has(unused, 4) && has(unused, 5));
    ut_keyring_free(unused);
    ut_keyring *empty = renewed(fourth, NULL, 40, 40); // no blocks at all
    assert_int_equal(ut_keyring_count(empty), 1);
    assert_true(has(empty, 5));
    ut_keyring_free(first);
    ut_keyring_free(second);
    ut_keyring_free(third);
    ut_keyring_free(fourth);
    ut_keyring_free(empty);
}

static void the_record_of_the_most_keys_fits_in_a_page(void **state)
{
    (void)state;
    ut_keyring *keyring = new_keyring(UINT64_C(1) << 60);
    ut_keyring *next = NULL;
    uint64_t seq = UINT64_C(1) << 60;
    while (ut_keyring_count(keyring) < UT_KEYRING_KEYS_MAX)
        ut_keyring_replace(keyring, renewed(keyring, NULL, 1, ++seq));
    assert_int_equal(ut_keyring_renew(keyring, NULL, 1, seq + 1, &next), UT_ELIMIT);
    ut_buf record = record_of(keyring);
    assert_true(record.len <= 4080);
    ut_buf_free(&record);
    ut_keyring_free(keyring);
}

static void a_data_key_is_due_after_its_blocks(void **state)
{
    (void)state;
    ut_keyring *keyring = new_keyring(100);
    ut_keyring_slot slot = {0};
    uint8_t nonce[UT_CIPHER_NONCE_LEN], before[UT_CIPHER_NONCE_LEN] = {0};
    assert_false(ut_keyring_is_due(keyring, 103, 4));
    assert_true(ut_keyring_is_due(keyring, 104, 4)); // blocks of earlier processes
    for (unsigned i = 0; i < 4; i++) {
        assert_false(ut_keyring_is_due(keyring, 100, 4));
        assert_int_equal(ut_keyring_get_newest(keyring, &slot, nonce), UT_OK);
        assert_memory_not_equal(nonce, before, sizeof nonce);
        memcpy(before, nonce, sizeof nonce);
    }
    assert_true(ut_keyring_is_due(keyring, 100, 4)); // blocks that were not committed
    ut_keyring_replace(keyring, renewed(keyring, NULL, 1, 104));
    assert_false(ut_keyring_is_due(keyring, 104, 4));
    assert_int_equal(ut_keyring_get_newest(keyring, &slot, nonce), UT_OK);
    assert_int_equal(slot.key_id, 2);
    ut_keyring_slot_free(&slot);
    ut_keyring_free(keyring);
}

static void only_a_reader_learns_new_keys(void **state)
{
    (void)state;
    ut_keyring *writer = new_keyring(1);
    ut_buf record = record_of(writer);
    ut_keyring *reader = NULL;
    assert_int_equal(ut_keyring_read(ut_buf_bytes(&record), master, &reader), UT_OK);
    ut_keyring_replace(writer, renewed(writer, NULL, 1, 50));
    ut_buf newer = record_of(writer);
    assert_int_equal(ut_keyring_learn(reader, ut_buf_bytes(&newer)), UT_ENOTFOUND);
    ut_keyring_follow(reader);
    assert_false(has(reader, 2));
    assert_int_equal(ut_keyring_learn(reader, ut_buf_bytes(&newer)), UT_OK);
    assert_same_key(reader, writer, 2);
    ut_keyring_replace(writer, renewed(writer, other, 1, 60));
    ut_buf foreign = record_of(writer);
    assert_int_equal(ut_keyring_learn(reader, ut_buf_bytes(&foreign)), UT_EPERM);
    assert_true(has(reader, 1) && has(reader, 2));
    ut_buf_free(&record);
    ut_buf_free(&newer);
    ut_buf_free(&foreign);
    ut_keyring_free(reader);
    ut_keyring_free(writer);
}

static void blocks_from_before_have_no_seed(void **state)
{
    (void)state;
    ut_keyring *keyring = new_keyring(10);
    assert_true(ut_keyring_filter_seed(keyring, 9) == 0);
    assert_true(ut_keyring_filter_seed(keyring, 10) != 0);
    assert_true(ut_keyring_filter_seed(NULL, 10) == 0);
    ut_keyring_free(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_gives_its_keys_to_its_master_only),
        cmocka_unit_test(damage_is_told_from_another_key),
        cmocka_unit_test(a_key_without_blocks_leaves),
        cmocka_unit_test(the_record_of_the_most_keys_fits_in_a_page),
        cmocka_unit_test(a_data_key_is_due_after_its_blocks),
        cmocka_unit_test(only_a_reader_learns_new_keys),
        cmocka_unit_test(blocks_from_before_have_no_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
