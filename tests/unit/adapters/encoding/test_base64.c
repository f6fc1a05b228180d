// Tests of adapters/encoding/base64.
#include "adapters/encoding/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_decodes(const char *text_z, const char *wanted, size_t wanted_len)
{
    uint8_t out[64];
    size_t len = 99;
    assert_true(ut_base64_decode(ut_bytes_of_z(text_z), out, &len));
    assert_int_equal(len, wanted_len);
    assert_memory_equal(out, wanted, len);
}

static void the_vectors_of_the_standard_hold(void **state)
{
    (void)state;
    static const char *const pairs_z[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof pairs_z / sizeof *pairs_z; i++) {
        ut_buf out;
        ut_buf_init(&out, 64);
        ut_base64_encode(ut_bytes_of_z(pairs_z[i][0]), &out);
        assert_true(ut_bytes_equal(ut_buf_bytes(&out), ut_bytes_of_z(pairs_z[i][1])));
        assert_decodes(pairs_z[i][1], pairs_z[i][0], strlen(pairs_z[i][0]));
        ut_buf_free(&out);
    }
}

static void both_alphabets_are_read_with_and_without_padding(void **state)
{
    (void)state;
    assert_decodes("+/+/", "\xfb\xff\xbf", 3);
    assert_decodes("-_-_", "\xfb\xff\xbf", 3);
    assert_decodes("Zg", "f", 1);
    assert_decodes("Zm8", "fo", 2);
}

static void other_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts_z[] = {
        "Z",     "Zm9vY", "Zg=",      "Z===",  "====", "=",
        "Zm 9v", "Zm9\n", "Zg==Zg==", "Zm9v=", "Z@==", "Zm\xc3\xa4"};
    for (size_t i = 0; i < sizeof texts_z / sizeof *texts_z; i++) {
        uint8_t out[64];
        size_t len;
        if (ut_base64_decode(ut_bytes_of_z(texts_z[i]), out, &len))
            fail_msg("%s was accepted", texts_z[i]);
    }
}

static void every_length_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 89 + 3);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        ut_buf text;
        ut_buf_init(&text, 1000);
        ut_base64_encode(ut_bytes_of(bytes, len), &text);
        uint8_t out[400];
        size_t out_len;
        assert_true(ut_base64_decode(ut_buf_bytes(&text), out, &out_len));
        assert_true(out_len <= ut_base64_decoded_max(text.len));
        assert_int_equal(out_len, len);
        assert_memory_equal(out, bytes, len);
        ut_buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_standard_hold),
        cmocka_unit_test(both_alphabets_are_read_with_and_without_padding),
        cmocka_unit_test(other_text_is_refused),
        cmocka_unit_test(every_length_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
