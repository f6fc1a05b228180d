// Borrowed bytes, integers in both byte orders, hex.
#include "port/base/bytes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static void equality_looks_at_length_and_content(void **state)
{
    (void)state;
    assert_true(ut_bytes_equal(UT_BYTES_NONE, UT_BYTES_NONE));
    assert_true(ut_bytes_equal(UT_BYTES_NONE, ut_bytes_of_z("")));
    assert_true(ut_bytes_equal(UT_BYTES_LIT("abc"), ut_bytes_of_z("abc")));
    assert_false(ut_bytes_equal(UT_BYTES_LIT("abc"), UT_BYTES_LIT("abd")));
    assert_false(ut_bytes_equal(UT_BYTES_LIT("abc"), UT_BYTES_LIT("ab")));
    assert_false(ut_bytes_equal(UT_BYTES_LIT("ab"), UT_BYTES_LIT("abc")));
    assert_true(ut_bytes_equal(ut_bytes_of("a\0b", 3), UT_BYTES_LIT("a\0b")));
}

static void case_is_passed_over_in_ascii_letters_alone(void **state)
{
    (void)state;
    assert_true(ut_bytes_equal_fold(UT_BYTES_LIT("Content-Type"), UT_BYTES_LIT("cONTENT-tYPE")));
    assert_false(ut_bytes_equal_fold(UT_BYTES_LIT("Content-Type"), UT_BYTES_LIT("Content-Typ")));
    assert_true(ut_bytes_equal_fold(UT_BYTES_NONE, UT_BYTES_LIT("")));
    assert_false(ut_bytes_equal_fold(UT_BYTES_LIT("@["), UT_BYTES_LIT("`{"))); // around A to Z
    assert_false(ut_bytes_equal_fold(UT_BYTES_LIT("\xc9"), UT_BYTES_LIT("\xe9")));
    assert_true(ut_bytes_begins_fold(UT_BYTES_LIT("HTTP://x"), UT_BYTES_LIT("http://")));
    assert_true(ut_bytes_begins_fold(UT_BYTES_LIT("x"), UT_BYTES_NONE));
    assert_false(ut_bytes_begins_fold(UT_BYTES_LIT("http:/"), UT_BYTES_LIT("http://")));
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void the_order_is_that_of_unsigned_bytes_and_then_of_length(void **state)
{
    (void)state;
    static const ut_bytes rising[] = {
        {NULL, 0},
        {(const uint8_t *)"", 1},
        {(const uint8_t *)"a", 1},
        {(const uint8_t *)"ab", 2},
        {(const uint8_t *)"b", 1},
        {(const uint8_t *)"\xff", 1},
    };
    enum { COUNT = sizeof(rising) / sizeof(*rising) };
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < COUNT; k++)
            assert_int_equal(sign(ut_bytes_compare(rising[i], rising[k])), sign(i - k));
    }
}

static void one_bit_anywhere_is_not_all_zero(void **state)
{
    (void)state;
    uint8_t id[16] = {0};
    assert_true(ut_bytes_all_zero(UT_BYTES_NONE));
    assert_true(ut_bytes_all_zero(ut_bytes_of(id, sizeof(id))));
    for (size_t i = 0; i < sizeof(id); i++) {
        id[i] = 0x80;
        assert_false(ut_bytes_all_zero(ut_bytes_of(id, sizeof(id))));
        id[i] = 0;
    }
}

static void integers_stand_in_the_byte_order_that_their_name_says(void **state)
{
    (void)state;
    uint8_t out[8];
    ut_put_be32(out, 0x80010203);
    assert_memory_equal(out, "\x80\x01\x02\x03", 4);
    assert_true(ut_get_be32(out) == 0x80010203);
    ut_put_le32(out, 0x80010203);
    assert_memory_equal(out, "\x03\x02\x01\x80", 4);
    assert_true(ut_get_le32(out) == 0x80010203);
    ut_put_be64(out, UINT64_C(0xF0E1D2C3B4A59687));
    assert_memory_equal(out, "\xF0\xE1\xD2\xC3\xB4\xA5\x96\x87", 8);
    assert_true(ut_get_be64(out) == UINT64_C(0xF0E1D2C3B4A59687));
    ut_put_le64(out, UINT64_C(0xF0E1D2C3B4A59687));
    assert_memory_equal(out, "\x87\x96\xA5\xB4\xC3\xD2\xE1\xF0", 8);
    assert_true(ut_get_le64(out) == UINT64_C(0xF0E1D2C3B4A59687));
}

static void hex_writes_lower_case_and_reads_both(void **state)
{
    (void)state;
    char text_z[33];
    uint8_t back[16];
    ut_bytes id = UT_BYTES_LIT("\x00\x01\x9a\xbc\xde\xf0\xff\x10");
    ut_hex_encode(id, text_z);
    assert_string_equal(text_z, "00019abcdef0ff10");
    assert_true(ut_hex_decode(ut_bytes_of_z(text_z), back));
    assert_memory_equal(back, id.data, id.len);
    assert_true(ut_hex_decode(UT_BYTES_LIT("00019ABCdeF0fF10"), back));
    assert_memory_equal(back, id.data, id.len);
    ut_hex_encode(UT_BYTES_NONE, text_z);
    assert_string_equal(text_z, "");
    assert_true(ut_hex_decode(UT_BYTES_NONE, back));
}

static void hex_reads_every_byte_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        char text_z[3];
        uint8_t back = (uint8_t)~byte;
        ut_hex_encode(ut_bytes_of(&byte, 1), text_z);
        assert_true(ut_hex_decode(ut_bytes_of_z(text_z), &back));
        assert_int_equal(back, byte);
    }
}

static void hex_refuses_other_characters_and_odd_lengths(void **state)
{
    (void)state;
    static const char *const bad[] = {"0",  "000", "0g", "g0", "0 ",      "0x",
                                      "0:", "0/",  "0@", "0`", "\xc3\xa9"};
    uint8_t out[4];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (ut_hex_decode(ut_bytes_of_z(bad[i]), out))
            fail_msg("took \"%s\"", bad[i]);
    }
    assert_false(ut_hex_decode(UT_BYTES_LIT("0\0"), out));
    assert_false(ut_hex_decode(ut_bytes_of("0000", 3), out)); // whatever stands behind
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_looks_at_length_and_content),
        cmocka_unit_test(case_is_passed_over_in_ascii_letters_alone),
        cmocka_unit_test(the_order_is_that_of_unsigned_bytes_and_then_of_length),
        cmocka_unit_test(one_bit_anywhere_is_not_all_zero),
        cmocka_unit_test(integers_stand_in_the_byte_order_that_their_name_says),
        cmocka_unit_test(hex_writes_lower_case_and_reads_both),
        cmocka_unit_test(hex_reads_every_byte_back),
        cmocka_unit_test(hex_refuses_other_characters_and_odd_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
