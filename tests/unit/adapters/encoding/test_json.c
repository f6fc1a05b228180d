// Tests of adapters/encoding/json.
#include "adapters/encoding/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

static void assert_refused(const char *text_z, ut_err wanted, const char *part_z)
{
    ut_json json;
    ut_fault fault;
    assert_int_equal(ut_json_read(&json, ut_bytes_of_z(text_z), &fault), wanted);
    assert_int_equal(fault.code, wanted);
    if (strstr(fault.text_z, part_z) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fault.text_z, part_z);
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("", UT_EFORMAT, "empty");
    assert_refused("{\"a\":1,}", UT_EFORMAT, "at byte 6");
    assert_refused("[1, 2", UT_EFORMAT, "at byte 5");
    assert_refused("{\"a\": NaN}", UT_EFORMAT, "at byte 6");
    assert_refused("{} x", UT_EFORMAT, "at byte 3");
    assert_refused("[\"\xff\"]", UT_EFORMAT, "at byte");
    assert_refused("[\"\\ud80\"]", UT_EFORMAT, "at byte");
    assert_refused("[\\ud800]", UT_EFORMAT, "at byte");
    assert_refused("[01]", UT_EFORMAT, "at byte");
}

static void half_a_surrogate_pair_is_a_replacement_character(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"cut \\ud83d\"", "cut \xef\xbf\xbd"},
        {"\"\\uDE00 alone\"", "\xef\xbf\xbd alone"},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n"},
        {"\"\\\\ud83d\"", "\\ud83d"}, // a backslash, and no escape behind it
        {"\"\\\\\\ud83d\"", "\\\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_json json;
        assert_int_equal(ut_json_read(&json, ut_bytes_of_z(cases[i][0]), NULL), UT_OK);
        assert_string_equal(yyjson_get_str(yyjson_doc_get_root(json.doc)), cases[i][1]);
        ut_json_free(&json);
    }
}

static void numbers_stay_as_they_were_written(void **state)
{
    (void)state;
    ut_json json;
    ut_fault fault;
    ut_bytes text = UT_BYTES_LIT("[9007199254740993, 1.10, -0, 1e400, 5]");
    static const char *const wanted_z[] = {"9007199254740993", "1.10", "-0", "1e400", "5"};
    assert_int_equal(ut_json_read(&json, text, &fault), UT_OK);
    for (size_t i = 0; i < 5; i++) {
        yyjson_val *value = yyjson_arr_get(yyjson_doc_get_root(json.doc), i);
        assert_true(yyjson_is_raw(value));
        assert_string_equal(yyjson_get_raw(value), wanted_z[i]);
    }
    ut_json_free(&json);
}

// depth arrays, whole or cut in the middle.
static ut_buf nested(size_t depth, bool whole)
{
    ut_buf text;
    ut_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < depth; i++)
        ut_buf_add_byte(&text, '[');
    for (size_t i = 0; whole && i < depth; i++)
        ut_buf_add_byte(&text, ']');
    return text;
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    ut_json json;
    ut_fault fault;
    ut_buf text = nested(UT_JSON_DEPTH_MAX, true);
    assert_int_equal(ut_json_read(&json, ut_buf_bytes(&text), &fault), UT_OK);
    ut_json_free(&json);
    ut_buf_free(&text);
    static const size_t depths[] = {UT_JSON_DEPTH_MAX + 1, 1000, 50000, 200000};
    for (size_t i = 0; i < 4; i++) {
        for (int whole = 0; whole < 2; whole++) {
            text = nested(depths[i], whole == 1);
            assert_int_equal(ut_json_read(&json, ut_buf_bytes(&text), &fault), UT_EFORMAT);
            assert_non_null(strstr(fault.text_z, "deeper than 192 levels at byte 192"));
            ut_buf_free(&text);
        }
    }
}

static void siblings_do_not_count_as_nesting(void **state)
{
    (void)state;
    ut_buf text;
    ut_buf_init(&text, 1 << 20);
    ut_buf_add_byte(&text, '[');
    for (int i = 0; i < 1000; i++)
        ut_buf_add_z(&text, i == 0 ? "[[],{\"a\":[]}]" : ",[[],{\"a\":[]}]");
    ut_buf_add_byte(&text, ']');
    ut_json json;
    assert_int_equal(ut_json_read(&json, ut_buf_bytes(&text), NULL), UT_OK);
    ut_json_free(&json);
    ut_buf_free(&text);
}

static void memory_has_a_ceiling_in_proportion_to_the_text(void **state)
{
    (void)state;
    // Two bytes a value of 16 bytes: more than a list of spans ever takes.
    ut_buf text;
    ut_buf_init(&text, 4 << 20);
    ut_buf_add_byte(&text, '[');
    for (int i = 0; i < 500000; i++)
        ut_buf_add_z(&text, "1,");
    ut_buf_add_z(&text, "1]");
    ut_json json;
    ut_fault fault;
    assert_int_equal(ut_json_read(&json, ut_buf_bytes(&text), &fault), UT_ELIMIT);
    assert_non_null(strstr(fault.text_z, "more than"));
    assert_int_equal(json.used, 0);
    ut_buf_free(&text);
}

static void integers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        ut_json_number wanted;
        bool negative;
        uint64_t magnitude;
    } cases[] = {
        {"0", UT_JSON_NUMBER_OK, false, 0},
        {"-0", UT_JSON_NUMBER_OK, true, 0},
        {"9007199254740993", UT_JSON_NUMBER_OK, false, 9007199254740993u},
        {"9007199254740993.0", UT_JSON_NUMBER_OK, false, 9007199254740993u},
        {"18446744073709551615", UT_JSON_NUMBER_OK, false, UINT64_MAX},
        {"18446744073709551616", UT_JSON_NUMBER_RANGE, false, 0},
        {"-9223372036854775808", UT_JSON_NUMBER_OK, true, (uint64_t)1 << 63},
        {"99999999999999999999999999", UT_JSON_NUMBER_RANGE, false, 0},
        {"1e3", UT_JSON_NUMBER_OK, false, 1000},
        {"1.25E2", UT_JSON_NUMBER_OK, false, 125},
        {"12500e-2", UT_JSON_NUMBER_OK, false, 125},
        {"1.844674407370955161500e19", UT_JSON_NUMBER_OK, false, UINT64_MAX},
        {"1e19", UT_JSON_NUMBER_OK, false, 10000000000000000000u},
        {"1e20", UT_JSON_NUMBER_RANGE, false, 0},
        {"1e999999999999999999999", UT_JSON_NUMBER_RANGE, false, 0},
        {"0e999999999999999999999", UT_JSON_NUMBER_OK, false, 0},
        {"0.5", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"1e-999999999999999999", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"-", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"+1", UT_JSON_NUMBER_MALFORMED, false, 0},
        {" 1", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"1 ", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"1.", UT_JSON_NUMBER_MALFORMED, false, 0},
        {".5", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"1e", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"0x10", UT_JSON_NUMBER_MALFORMED, false, 0},
        {"ten", UT_JSON_NUMBER_MALFORMED, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool negative = false;
        uint64_t magnitude = 0;
        ut_json_number got = ut_json_integer(ut_bytes_of_z(cases[i].text_z), &negative, &magnitude);
        if (got != cases[i].wanted)
            fail_msg("%s gave %d", cases[i].text_z, (int)got);
        if (got != UT_JSON_NUMBER_OK)
            continue;
        assert_int_equal(negative, cases[i].negative);
        assert_true(magnitude == cases[i].magnitude);
    }
}

static void a_number_is_read_from_a_value_where_it_fits(void **state)
{
    (void)state;
    ut_json json;
    ut_bytes text =
        UT_BYTES_LIT("[18446744073709551615, 1e3, -1, 0.5, \"7\", 18446744073709551616]");
    assert_int_equal(ut_json_read(&json, text, NULL), UT_OK);
    yyjson_val *root = yyjson_doc_get_root(json.doc);
    uint64_t number = 0;
    assert_true(ut_json_uint(yyjson_arr_get(root, 0), &number));
    assert_true(number == UINT64_MAX);
    assert_true(ut_json_uint(yyjson_arr_get(root, 1), &number));
    assert_true(number == 1000);
    for (size_t i = 2; i <= 6; i++) // the last is none at all
        assert_false(ut_json_uint(yyjson_arr_get(root, i), &number));
    ut_json_free(&json);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void doubles_are_read_exactly(void **state)
{
    (void)state;
    static const char *const texts_z[] = {
        "0", "-0", "-0.0", "0.1", "1e308", "5e-324", "2.5e-5", "1e-999", "123456789012345678"};
    for (size_t i = 0; i < sizeof texts_z / sizeof *texts_z; i++) {
        double value = 7;
        assert_int_equal(ut_json_double(ut_bytes_of_z(texts_z[i]), &value), UT_JSON_NUMBER_OK);
        assert_true(bits_of(value) == bits_of(strtod(texts_z[i], NULL)));
    }
    double value;
    assert_int_equal(ut_json_double(UT_BYTES_LIT("1e309"), &value), UT_JSON_NUMBER_RANGE);
    static const char *const bad_z[] = {"",   "-",   "nan", "Infinity", "1.", "1 ",
                                        " 1", "0x1", "+1",  "1e",       "--1"};
    for (size_t i = 0; i < sizeof bad_z / sizeof *bad_z; i++)
        assert_int_equal(ut_json_double(ut_bytes_of_z(bad_z[i]), &value), UT_JSON_NUMBER_MALFORMED);
}

static void a_number_of_many_digits_is_read(void **state)
{
    (void)state;
    char text_z[701] = "0.";
    memset(text_z + 2, '1', sizeof text_z - 3);
    double value;
    assert_int_equal(ut_json_double(ut_bytes_of_z(text_z), &value), UT_JSON_NUMBER_OK);
    assert_true(value == 1.0 / 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(half_a_surrogate_pair_is_a_replacement_character),
        cmocka_unit_test(numbers_stay_as_they_were_written),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(siblings_do_not_count_as_nesting),
        cmocka_unit_test(memory_has_a_ceiling_in_proportion_to_the_text),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(a_number_is_read_from_a_value_where_it_fits),
        cmocka_unit_test(doubles_are_read_exactly),
        cmocka_unit_test(a_number_of_many_digits_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
