// Tests of adapters/encoding/json_scan: what a scan accepts json.h accepts with the same strings,
// and everything frequent is accepted.
#include "adapters/encoding/json_scan.h"

#include "adapters/encoding/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

// A copy of exactly this size, so that a sanitizer sees a read past the end.
static ut_bytes exact_copy(ut_bytes text)
{
    uint8_t *copy = malloc(text.len);
    assert_non_null(copy);
    memcpy(copy, text.data, text.len);
    return ut_bytes_of(copy, text.len);
}

// Whether a scan passes the whole text as one value; json.h must read it then.
static bool passes(ut_bytes text)
{
    ut_bytes copy = exact_copy(text);
    ut_json_scan scan = ut_json_scan_of(copy);
    const uint8_t *end = ut_json_space(&scan, ut_json_skip(&scan, copy.data));
    const bool passed = !scan.failed && end == scan.end;
    ut_json json;
    if (passed) {
        assert_int_equal(ut_json_read(&json, copy, NULL), UT_OK);
        ut_json_free(&json);
    }
    ut_json_scan_free(&scan);
    free((void *)(uintptr_t)copy.data);
    return passed;
}

static bool passes_z(const char *text_z)
{
    return passes(ut_bytes_of_z(text_z));
}

static void values_of_every_kind_are_passed(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        "true",
        "false",
        "null",
        "0",
        "-0",
        "10",
        "-1.5",
        "1e9",
        "0.5E-3",
        "2E+7",
        "\"\"",
        "\"a\"",
        "[1,2]",
        "[ 1 , \"a\" ]",
        "{\"a\":1,\"b\":[{}]}",
        "{ \"a\" : null }\n\t\r ",
        "[[],[[]],{\"a\":{}}]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u00e9\\uD83D\\ude00\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "\"\x7f\"",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!passes_z(good[i]))
            fail_msg("not passed: %s", good[i]);
    }
}

static void malformed_text_is_given_up(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{",
        "}",
        "[",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\":1,}",
        "{\"a\"1}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "tru",
        "trux",
        "nul",
        "{\"a\":nul}",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\x1f\"",
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc3\"",
        "1 2",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (passes_z(bad[i]))
            fail_msg("passed: %s", bad[i]);
    }
}

static void every_byte_in_a_string_is_found_at_every_place(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t len = 3; len <= sizeof text; len++) {
        for (size_t at = 1; at < len - 1; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, 'a', len);
                text[0] = text[len - 1] = '"';
                text[at] = (uint8_t)byte;
                // A backslash before the last quote leaves the string open; before an a, unknown.
                const bool good = byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\';
                assert_int_equal(passes(ut_bytes_of(text, len)), good);
            }
        }
    }
}

static void strings_are_those_of_the_document(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"plain\"",
        "\"a\\u0000b\"",
        "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\"",
        "\"\\ud83d\"",
        "\"\\ude00\\ud83d\\ud83d\\ude00\"",
        "\"\\ud83d\\u0041\\\\ud83d\"",
        "\"tab\\tquote\\\"slash\\/back\\\\\"",
        "\"12345678\\n12345678\xc3\xa9 12345678\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ut_json json;
        ut_json_scan scan = ut_json_scan_of(ut_bytes_of_z(texts[i]));
        ut_bytes text;
        assert_ptr_equal(ut_json_string(&scan, scan.begin + 1, &text), scan.end);
        assert_int_equal(ut_json_read(&json, ut_bytes_of_z(texts[i]), NULL), UT_OK);
        yyjson_val *root = yyjson_doc_get_root(json.doc);
        assert_true(ut_bytes_equal(text, ut_bytes_of(yyjson_get_str(root), yyjson_get_len(root))));
        ut_json_free(&json);
        ut_json_scan_free(&scan);
    }
}

// Strings of more than a chunk in all, and one of more than a chunk by itself.
static void changed_strings_live_until_the_scan_is_freed(void **state)
{
    (void)state;
    enum { COUNT = 40, LEN = 300, LONG = 6000 };
    ut_buf text;
    ut_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < COUNT; i++) {
        ut_buf_add_z(&text, "\"\\n");
        for (size_t n = 0; n < (i == COUNT / 2 ? LONG : LEN); n++)
            ut_buf_add_byte(&text, (uint8_t)('A' + i % 26));
        ut_buf_add_z(&text, "\"");
    }
    ut_json_scan scan = ut_json_scan_of(ut_buf_bytes(&text));
    ut_bytes strings[COUNT];
    const uint8_t *at = scan.begin;
    for (size_t i = 0; i < COUNT; i++)
        at = ut_json_string(&scan, at + 1, &strings[i]);
    assert_false(scan.failed);
    assert_ptr_equal(at, scan.end);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(strings[i].len, 1 + (i == COUNT / 2 ? LONG : LEN));
        assert_int_equal(strings[i].data[0], '\n');
        for (size_t n = 1; n < strings[i].len; n++)
            assert_int_equal(strings[i].data[n], 'A' + i % 26);
    }
    ut_json_scan_free(&scan);
    ut_buf_free(&text);
}

static void digits_end_where_they_end(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        size_t len;
        uint64_t value;
    } cases[] = {
        {"x", 0, 0},
        {"7,", 1, 7},
        {"12345678", 8, 12345678},
        {"1234567:", 7, 1234567},
        {"1234567/12345678", 7, 1234567},
        {"1760000000000000123\"", 19, 1760000000000000123},
        {"9999999999999999999", 19, 9999999999999999999u},
        {"18446744073709551615", 19, 1844674407370955161},
        {"00000000000000000001", 19, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_bytes text = exact_copy(ut_bytes_of_z(cases[i].text_z));
        uint64_t value;
        const uint8_t *end = ut_json_digits(text.data, text.data + text.len, &value);
        assert_int_equal(end - text.data, cases[i].len);
        assert_int_equal(value, cases[i].value);
        free((void *)(uintptr_t)text.data);
    }
}

static void members_come_one_by_one_without_null(void **state)
{
    (void)state;
    ut_json_scan scan = ut_json_scan_of(
        UT_BYTES_LIT("{\"a\" : 1, \"b\":null , \"\\u0063\":[null, 2 ],\"d\":null}"));
    bool more;
    const uint8_t *at = ut_json_member(&scan, ut_json_open(&scan, scan.begin, '{'));
    assert_true(ut_bytes_equal(scan.name, UT_BYTES_LIT("a")));
    at = ut_json_member(&scan, ut_json_skip(&scan, at));
    assert_true(ut_bytes_equal(scan.name, UT_BYTES_LIT("c")));
    at = ut_json_element(&scan, ut_json_open(&scan, at, '['), &more);
    assert_true(more && *at == 'n');
    at = ut_json_element(&scan, ut_json_skip(&scan, at), &more);
    assert_true(more && *at == '2');
    at = ut_json_element(&scan, ut_json_skip(&scan, at), &more);
    assert_false(more);
    at = ut_json_member(&scan, at);
    assert_null(scan.name.data);
    assert_false(scan.failed);
    assert_ptr_equal(at, scan.end);
    assert_int_equal(scan.values, 4 * 2 + 2);
    ut_json_scan_free(&scan);
}

static void giving_up_is_sticky(void **state)
{
    (void)state;
    ut_json_scan scan = ut_json_scan_of(UT_BYTES_LIT("[1,{\"a\":2}]"));
    bool more = true;
    const uint8_t *at = ut_json_open(&scan, scan.begin, '{');
    assert_true(scan.failed);
    assert_ptr_equal(at, scan.end);
    assert_ptr_equal(ut_json_member(&scan, at), scan.end);
    assert_null(scan.name.data);
    assert_ptr_equal(ut_json_element(&scan, at, &more), scan.end);
    assert_false(more);
    assert_ptr_equal(ut_json_skip(&scan, at), scan.end);
}

static void skip_follows_nesting_up_to_its_limit(void **state)
{
    (void)state;
    char text_z[2 * (UT_JSON_SKIP_DEPTH_MAX + 1) + 1] = {0};
    for (size_t depth = UT_JSON_SKIP_DEPTH_MAX; depth <= UT_JSON_SKIP_DEPTH_MAX + 1; depth++) {
        memset(text_z, '[', depth);
        memset(text_z + depth, ']', depth);
        assert_int_equal(passes_z(text_z), depth == UT_JSON_SKIP_DEPTH_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind_are_passed),
        cmocka_unit_test(malformed_text_is_given_up),
        cmocka_unit_test(every_byte_in_a_string_is_found_at_every_place),
        cmocka_unit_test(strings_are_those_of_the_document),
        cmocka_unit_test(changed_strings_live_until_the_scan_is_freed),
        cmocka_unit_test(digits_end_where_they_end),
        cmocka_unit_test(members_come_one_by_one_without_null),
        cmocka_unit_test(giving_up_is_sticky),
        cmocka_unit_test(skip_follows_nesting_up_to_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
