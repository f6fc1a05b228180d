// Text for people: nothing from outside steers the terminal, columns line up, JSON stays JSON.
#include "adapters/plain/json_value.h"
#include "agent/cli/term.h"

#include "adapters/encoding/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static void expect(ut_buf *buf, const char *expected_z)
{
    ut_buf_add_byte(buf, 0);
    assert_int_equal(buf->err, UT_OK);
    assert_string_equal((const char *)buf->data, expected_z);
    ut_buf_free(buf);
}

static void check_text(const char *text_z, uint32_t columns, bool pad, const char *expected_z)
{
    ut_buf buf;
    ut_buf_init(&buf, 1024);
    (void)ut_term_text(&buf, ut_bytes_of_z(text_z), columns, pad);
    expect(&buf, expected_z);
}

static void control_characters_become_question_marks(void **state)
{
    (void)state;
    check_text("a\033[31mb", 20, false, "a?[31mb");
    check_text("line\nend\177", 20, false, "line?end?");
    check_text("c1\xc2\x9b"
               "31m",
               20, false, "c1?31m"); // CSI as one C1 character
    check_text("bad\xff\xfeutf8", 20, false, "bad??utf8");
}

static void text_is_cut_with_an_ellipsis_and_padded(void **state)
{
    (void)state;
    check_text("abcdef", 6, true, "abcdef");
    check_text("abcdef", 4, true, "abc\xe2\x80\xa6");
    check_text("ab", 4, true, "ab  ");
    check_text("\xc3\xa4\xc3\xb6\xc3\xbc", 4, true, "\xc3\xa4\xc3\xb6\xc3\xbc ");
    check_text("abc", 1, false, "\xe2\x80\xa6");
    check_text("abc", 0, false, "");
}

static void colour_is_silent_without_a_terminal(void **state)
{
    (void)state;
    const ut_term plain = {.colour = false, .width = 80};
    ut_buf buf;
    ut_buf_init(&buf, 64);
    ut_term_colour(&plain, &buf, UT_COLOUR_RED);
    expect(&buf, "");
}

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 256);
    ut_json_put_string(&buf, UT_BYTES_LIT("q\" b\\ n\n z\0 u\xc3\xa4 x\xff \xc2\x9b"));
    expect(&buf, "\"q\\\" b\\\\ n\\n z\\u0000 u\xc3\xa4 x\xef\xbf\xbd \\u009b\"");
}

static void json_values_cover_every_type(void **state)
{
    (void)state;
    ut_buf value;
    ut_buf json;
    ut_buf_init(&value, 1024);
    ut_buf_init(&json, 1024);
    ut_mp_put_map(&value, 3);
    ut_mp_put_str(&value, UT_BYTES_LIT("list"));
    ut_mp_put_array(&value, 7);
    ut_mp_put_nil(&value);
    ut_mp_put_bool(&value, true);
    ut_mp_put_uint(&value, UINT64_MAX);
    ut_mp_put_int(&value, INT64_MIN);
    ut_mp_put_double(&value, 0.1);
    ut_mp_put_double(&value, (double)NAN);
    ut_mp_put_bin(&value, UT_BYTES_LIT("\x00\xff"));
    ut_mp_put_str(&value, UT_BYTES_LIT("empty"));
    ut_mp_put_map(&value, 0);
    ut_mp_put_str(&value, UT_BYTES_LIT("text"));
    ut_mp_put_str(&value, UT_BYTES_LIT("x"));
    ut_json_value(&json, ut_buf_bytes(&value));
    ut_buf_free(&value);
    expect(&json,
           "{\"list\":[null,true,18446744073709551615,-9223372036854775808,0.1,null,\"00ff\"],"
           "\"empty\":{},\"text\":\"x\"}");
}

static void json_of_damaged_values_ends(void **state)
{
    (void)state;
    static const uint8_t cut[] = {0x92, 0x01}; // an array of two with one value
    ut_buf json;
    ut_buf_init(&json, 1024);
    ut_json_value(&json, ut_bytes_of(cut, sizeof(cut)));
    assert_int_equal(json.err, UT_OK);
    ut_buf_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(text_is_cut_with_an_ellipsis_and_padded),
        cmocka_unit_test(colour_is_silent_without_a_terminal),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(json_values_cover_every_type),
        cmocka_unit_test(json_of_damaged_values_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
