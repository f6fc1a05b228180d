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
    check_text("line\nend\177", 20, false, "line end?");
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

static void check_columns(const char *text_z, uint32_t columns)
{
    assert_int_equal(ut_term_columns(ut_bytes_of_z(text_z)), columns);
}

static void wide_characters_take_two_columns_and_marks_none(void **state)
{
    (void)state;
    check_columns("日本語サービス", 14);
    check_columns("한국어", 6);
    check_columns("ﾊﾝｶｸ", 4); // half-width
    check_columns("Ｆｕｌｌ", 8);
    check_columns("😀 root", 7);
    check_columns("we\xcc\x81ird", 5); // e and an acute accent
    check_columns("नमस्ते", 4);          // two of the six stand on others
    check_columns("ไทย", 3);
    check_columns("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", 2); // 한 as three letters
    check_columns("𠀀", 2);
    check_columns("█─│…", 4);
    check_columns("🇩🇪", 2);
    check_text("日本語サービス", 8, true, "日本語… ");
    check_text("日本語", 6, true, "日本語");
    check_text("日本語", 5, true, "日本…");
    check_text("a日本語", 5, true, "a日… ");
    check_text("日", 1, true, "…");
}

static void what_terminals_disagree_about_is_left_out(void **state)
{
    (void)state;
    check_text("👩\xe2\x80\x8d👩\xe2\x80\x8d👧!", 20, false, "👩👩👧!");
    check_columns("👩\xe2\x80\x8d👩\xe2\x80\x8d👧!", 7);
    check_text("👍🏽 \xe2\x9d\xa4\xef\xb8\x8f", 20, false, "👍 \xe2\x9d\xa4");
    check_text("\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7", 20, true,
               "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7                  ");
}

static void bidi_controls_and_invisible_characters_become_question_marks(void **state)
{
    (void)state;
    check_text("a\xe2\x80\xae"
               "b\xe2\x81\xa6"
               "c\xe2\x80\x8b"
               "d\xe2\x80\xa8"
               "e\xef\xbb\xbf"
               "f\xf3\xa0\x81\x81",
               20, false, "a?b?c?d?e?f?");
}

static void marks_need_a_character_and_are_limited(void **state)
{
    (void)state;
    check_text("\xcc\x81x", 20, false, "?x");
    ut_buf zalgo;
    ut_buf_init(&zalgo, 4096);
    ut_buf_add_byte(&zalgo, 'x');
    for (int i = 0; i < 1000; i++)
        ut_buf_add_z(&zalgo, "\xcc\x81");
    ut_buf out;
    ut_buf_init(&out, 4096);
    assert_int_equal(ut_term_text(&out, ut_buf_bytes(&zalgo), 5, true), 5);
    assert_int_equal(out.len, 1 + 8 * 2 + 4);
    ut_buf_free(&out);
    ut_buf_free(&zalgo);
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

static bool colour_of(const char *name_z, const char *value_z)
{
    static const char *const names[] = {"NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unsetenv(names[i]);
    if (name_z != NULL)
        (void)setenv(name_z, value_z, 1);
    return ut_term_stdout().colour;
}

static void colour_can_be_asked_for_and_forbidden(void **state)
{
    (void)state;
    if (!ut_term_stdout().terminal)
        assert_false(colour_of(NULL, NULL));
    assert_true(colour_of("CLICOLOR_FORCE", "1"));
    (void)setenv("TERM", "dumb", 1);
    assert_true(colour_of("FORCE_COLOR", "1"));
    assert_true(colour_of("FORCE_COLOR", "3"));
    assert_false(colour_of("FORCE_COLOR", "0"));
    assert_false(colour_of("CLICOLOR_FORCE", "0"));
    assert_false(colour_of("CLICOLOR_FORCE", ""));
    (void)colour_of("CLICOLOR_FORCE", "1");
    (void)setenv("NO_COLOR", "1", 1);
    assert_false(ut_term_stdout().colour);
    (void)unsetenv("NO_COLOR");
}

static void a_pager_is_as_wide_as_its_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *columns_z;
        uint32_t width;
    } cases[] = {{"120", 120}, {"20", 60}, {"9999", 240}, {"x", 60}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)setenv(UT_TERM_PAGED, cases[i].columns_z, 1);
        const ut_term term = ut_term_stdout();
        assert_true(term.terminal);
        assert_int_equal(term.width, cases[i].width);
    }
    (void)unsetenv(UT_TERM_PAGED);
}

static void expect_lines(const char *text_z, uint32_t columns, const char *expected_z)
{
    ut_bytes text = ut_bytes_of_z(text_z);
    char got_z[256] = "";
    while (text.len > 0) {
        const ut_bytes line = ut_term_take_line(&text, columns);
        assert_true(line.len > 0);
        (void)strncat(got_z, (const char *)line.data, line.len);
        (void)strcat(got_z, "|");
    }
    assert_string_equal(got_z, expected_z);
}

static void a_text_is_broken_between_words(void **state)
{
    (void)state;
    expect_lines("one two three", 40, "one two three|");
    expect_lines("one two three", 7, "one two|three|");
    expect_lines("one two   three", 8, "one two|three|");
    expect_lines("one two three", 6, "one|two|three|");
    expect_lines("abcdefgh ij", 4, "abcd|efgh|ij|");
    expect_lines("\xe6\x97\xa5\xe6\x97\xa5", 2, "\xe6\x97\xa5|\xe6\x97\xa5|");
    expect_lines("\xe6\x97\xa5\xe6\x97\xa5", 1, "\xe6\x97\xa5\xe6\x97\xa5|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(text_is_cut_with_an_ellipsis_and_padded),
        cmocka_unit_test(wide_characters_take_two_columns_and_marks_none),
        cmocka_unit_test(what_terminals_disagree_about_is_left_out),
        cmocka_unit_test(bidi_controls_and_invisible_characters_become_question_marks),
        cmocka_unit_test(marks_need_a_character_and_are_limited),
        cmocka_unit_test(colour_is_silent_without_a_terminal),
        cmocka_unit_test(colour_can_be_asked_for_and_forbidden),
        cmocka_unit_test(a_pager_is_as_wide_as_its_terminal),
        cmocka_unit_test(a_text_is_broken_between_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
