// Text for people: nothing from outside steers the terminal, columns line up.
#include "agent/cli/term.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(text_is_cut_with_an_ellipsis_and_padded),
        cmocka_unit_test(colour_is_silent_without_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
