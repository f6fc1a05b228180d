// Tests of adapters/encoding/json_write.
#include "adapters/encoding/json_write.h"

#include "adapters/encoding/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void assert_string(ut_bytes text, const char *wanted_z)
{
    ut_buf out;
    ut_buf_init(&out, 1 << 16);
    ut_json_put_string(&out, text);
    assert_int_equal(out.len, strlen(wanted_z));
    assert_memory_equal(out.data, wanted_z, out.len);
    ut_buf_free(&out);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    assert_string(UT_BYTES_LIT(""), "\"\"");
    assert_string(UT_BYTES_LIT("plain text of more than eight bytes"),
                  "\"plain text of more than eight bytes\"");
    assert_string(UT_BYTES_LIT("a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_string(UT_BYTES_LIT("\n\r\t\b\0\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\"");
    assert_string(UT_BYTES_LIT("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x9a\x80"),
                  "\"gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x9a\x80\"");
    assert_string(UT_BYTES_LIT("a\xff"
                               "b\xc3"),
                  "\"a\xef\xbf\xbd"
                  "b\xef\xbf\xbd\"");
    assert_string(UT_BYTES_LIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    assert_string(UT_BYTES_LIT("q\" b\\ n\n z\0 u\xc3\xa4 x\xff \xc2\x9b"),
                  "\"q\\\" b\\\\ n\\n z\\u0000 u\xc3\xa4 x\xef\xbf\xbd \\u009b\"");
}

// Each byte at each place of a word of eight, so that the fast scan is compared with yyjson's reader.
static void every_byte_at_every_place_gives_valid_json(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 20; place++) {
            uint8_t text[20];
            memset(text, 'x', sizeof text);
            text[place] = (uint8_t)byte;
            ut_buf out;
            ut_buf_init(&out, 1 << 10);
            ut_json_put_string(&out, ut_bytes_of(text, sizeof text));
            ut_json json;
            assert_int_equal(ut_json_read(&json, ut_buf_bytes(&out), NULL), UT_OK);
            yyjson_val *root = yyjson_doc_get_root(json.doc);
            if (byte < 0x80) {
                assert_int_equal(yyjson_get_len(root), sizeof text);
                assert_memory_equal(yyjson_get_str(root), text, sizeof text);
            }
            ut_json_free(&json);
            ut_buf_free(&out);
        }
    }
}

static void doubles_are_written_so_that_they_come_back(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double value;
        memcpy(&value, &seed, sizeof value);
        if (!isfinite(value))
            continue;
        ut_buf out;
        ut_buf_init(&out, 100);
        ut_json_put_double(&out, value);
        double back = 0;
        assert_int_equal(ut_json_double(ut_buf_bytes(&out), &back), UT_JSON_NUMBER_OK);
        assert_true(bits_of(back) == bits_of(value));
        ut_buf_free(&out);
    }
}

static void assert_double(double value, const char *wanted_z)
{
    ut_buf out;
    ut_buf_init(&out, 100);
    ut_json_put_double(&out, value);
    assert_true(ut_bytes_equal(ut_buf_bytes(&out), ut_bytes_of_z(wanted_z)));
    ut_buf_free(&out);
}

static void odd_doubles_have_names(void **state)
{
    (void)state;
    assert_double((double)NAN, "\"NaN\"");
    assert_double((double)INFINITY, "\"Infinity\"");
    assert_double((double)-INFINITY, "\"-Infinity\"");
    assert_double(-0.0, "-0.0");
    assert_double(0.1, "0.1");
}

static void integers_are_written_to_the_ends_of_their_range(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 200);
    ut_json_put_int(&out, INT64_MIN);
    ut_buf_add_byte(&out, ' ');
    ut_json_put_int(&out, INT64_MAX);
    ut_buf_add_byte(&out, ' ');
    ut_json_put_uint(&out, UINT64_MAX);
    ut_buf_add_byte(&out, ' ');
    ut_json_put_int(&out, 0);
    assert_true(ut_bytes_equal(
        ut_buf_bytes(&out),
        UT_BYTES_LIT("-9223372036854775808 9223372036854775807 18446744073709551615 0")));
    ut_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(every_byte_at_every_place_gives_valid_json),
        cmocka_unit_test(doubles_are_written_so_that_they_come_back),
        cmocka_unit_test(odd_doubles_have_names),
        cmocka_unit_test(integers_are_written_to_the_ends_of_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
