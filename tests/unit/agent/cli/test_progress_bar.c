// The line of a progress bar: what it says, and that it never passes the width of the terminal.
#include "agent/cli/progress_bar.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void check_line(uint32_t columns, uint64_t done, uint64_t total, const char *unit_z,
                       const char *expected_z)
{
    ut_buf buf;
    ut_buf_init(&buf, 1024);
    ut_progress_bar_line(&buf, columns, done, total, unit_z);
    ut_buf_add_byte(&buf, 0);
    assert_int_equal(buf.err, UT_OK);
    assert_string_equal((const char *)buf.data, expected_z);
    ut_buf_free(&buf);
}

static void a_line_tells_share_and_count(void **state)
{
    (void)state;
    check_line(80, 250, 1000, "spans", "[#####---------------]  25%  250 of 1 000 spans");
    check_line(80, 1000, 1000, "spans", "[####################] 100%  1 000 of 1 000 spans");
    check_line(80, 999, 1000, "spans", "[###################-]  99%  999 of 1 000 spans");
    check_line(80, 2, 1, "spans", "[####################] 100%  2 of 1 spans");
}

static void without_a_total_it_is_a_count(void **state)
{
    (void)state;
    check_line(80, 1234567, 0, "spans", "1 234 567 spans");
    check_line(80, 0, 0, "spans", "0 spans");
    check_line(6, 0, 0, "spans", "");
}

static void bytes_are_sizes(void **state)
{
    (void)state;
    check_line(60, 1024, 2048, "bytes", "[##########----------]  50%  1.0 KiB of 2.0 KiB");
}

static void a_narrow_terminal_gets_less(void **state)
{
    (void)state;
    check_line(47, 250, 1000, "spans", "[#####---------------]  25%  250 of 1 000 spans");
    check_line(46, 250, 1000, "spans", " 25%  250 of 1 000 spans");
    check_line(24, 250, 1000, "spans", " 25%  250 of 1 000 spans");
    check_line(23, 250, 1000, "spans", " 25%");
    check_line(3, 250, 1000, "spans", "");
    check_line(0, 250, 0, "spans", "");
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    const uint64_t numbers[] = {0, 1, 999, 123456789, UINT64_MAX};
    for (uint32_t columns = 0; columns < 130; columns++) {
        for (size_t i = 0; i < 25; i++) {
            ut_buf buf;
            ut_buf_init(&buf, 1024);
            ut_progress_bar_line(&buf, columns, numbers[i / 5], numbers[i % 5], "spans");
            assert_int_equal(buf.err, UT_OK);
            assert_true(buf.len <= columns);
            ut_buf_free(&buf);
        }
    }
}

static void nothing_is_drawn_where_there_is_no_terminal(void **state)
{
    (void)state;
    ut_progress_bar bar = {0};
    ut_progress_bar_draw(&bar, 1, 2, "spans");
    bar.drawn_ms = 0;
    bar.silent = true;
    ut_progress_bar_draw(&bar, 1, 2, "spans");
    assert_false(bar.drawn);
    ut_progress_bar_end(&bar);
    assert_false(bar.begun);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_tells_share_and_count),
        cmocka_unit_test(without_a_total_it_is_a_count),
        cmocka_unit_test(bytes_are_sizes),
        cmocka_unit_test(a_narrow_terminal_gets_less),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(nothing_is_drawn_where_there_is_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
