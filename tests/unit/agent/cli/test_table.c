// Tables: columns as wide as their contents, cut where the terminal is narrow, uncut in a pipe.
#include "agent/cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

// Standard output goes into a file while a table is printed.
typedef struct {
    FILE *file;
    int kept;
} captured;

static captured capture(void)
{
    captured to = {tmpfile(), dup(STDOUT_FILENO)};
    assert_non_null(to.file);
    (void)fflush(stdout);
    assert_int_equal(dup2(fileno(to.file), STDOUT_FILENO), STDOUT_FILENO);
    return to;
}

static void expect(captured *from, const char *expected_z)
{
    static char text_z[64 * 1024];
    (void)fflush(stdout);
    assert_int_equal(dup2(from->kept, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(from->kept);
    rewind(from->file);
    const size_t len = fread(text_z, 1, sizeof(text_z) - 1, from->file);
    text_z[len] = 0;
    (void)fclose(from->file);
    assert_string_equal(text_z, expected_z);
}

static const ut_table_column columns[] = {
    {"name", .cut = true},
    {"count", .right = true},
    {"wide", .from_width = 100},
    {"message", .cut = true},
};

static void begin(ut_table *table, const ut_term *term)
{
    ut_table_init(table, columns, sizeof(columns) / sizeof(columns[0]));
    table->term = *term;
}

static void add(ut_table *table, const char *name_z, uint64_t count, const char *message_z)
{
    ut_table_cell_z(table, name_z, UT_COLOUR_NONE);
    ut_table_number(table, count, UT_COLOUR_NONE);
    ut_table_cell_z(table, "w", UT_COLOUR_NONE);
    ut_table_cell_z(table, message_z, UT_COLOUR_RED);
    assert_int_equal(ut_table_end_row(table), UT_OK);
}

static void a_pipe_gets_everything_in_line(void **state)
{
    (void)state;
    const ut_term pipe_term = {.width = 20};
    ut_table table;
    captured out = capture();
    begin(&table, &pipe_term);
    add(&table, "a name that is long", 7, "");
    add(&table, "b", 12345678, "a message that is longer still");
    assert_int_equal(ut_table_flush(&table), UT_OK);
    ut_table_free(&table);
    expect(&out, "name                    count  wide  message\n"
                 "a name that is long         7  w\n"
                 "b                    12345678  w     a message that is longer still\n");
}

static void a_narrow_terminal_cuts_what_may_be_cut_and_leaves_out_what_may_be_left_out(void **state)
{
    (void)state;
    const ut_term narrow = {.terminal = true, .width = 36};
    ut_table table;
    captured out = capture();
    begin(&table, &narrow);
    add(&table, "a name that is long", 7, "a message that is longer still");
    assert_int_equal(ut_table_flush(&table), UT_OK);
    ut_table_free(&table);
    expect(&out, "name           count  message\n"
                 "a name that \xe2\x80\xa6      7  a message tha\xe2\x80\xa6\n");
}

static void text_from_outside_cannot_steer_the_terminal(void **state)
{
    (void)state;
    const ut_term coloured = {.terminal = true, .colour = true, .width = 80};
    ut_table table;
    captured out = capture();
    begin(&table, &coloured);
    add(&table, "a\033[2J", 1, "b\nc");
    assert_int_equal(ut_table_flush(&table), UT_OK);
    ut_table_free(&table);
    expect(&out, "\033[1mname\033[0m   \033[1mcount\033[0m  \033[1mmessage\033[0m\n"
                 "a?[2J      1  \033[31mb c\033[0m\n");
}

static void rows_wait_until_they_are_asked_for(void **state)
{
    (void)state;
    const ut_term pipe_term = {.width = 80};
    ut_table table;
    captured out = capture();
    begin(&table, &pipe_term);
    for (uint32_t i = 0; i < 3 * UT_TABLE_ROWS_MAX; i++)
        add(&table, "n", i, "m");
    (void)fflush(stdout);
    const off_t before = lseek(fileno(out.file), 0, SEEK_END);
    assert_int_equal(ut_table_flush(&table), UT_OK);
    (void)fflush(stdout);
    const off_t after = lseek(fileno(out.file), 0, SEEK_END);
    ut_table_free(&table);
    assert_int_equal(ftruncate(fileno(out.file), 0), 0);
    expect(&out, "");
    assert_int_equal(before, 0);
    assert_true(after > 3 * UT_TABLE_ROWS_MAX);
}

static void a_table_without_rows_prints_nothing(void **state)
{
    (void)state;
    const ut_term pipe_term = {.width = 80};
    ut_table table;
    captured out = capture();
    begin(&table, &pipe_term);
    assert_int_equal(ut_table_flush(&table), UT_OK);
    ut_table_free(&table);
    expect(&out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_gets_everything_in_line),
        cmocka_unit_test(
            a_narrow_terminal_cuts_what_may_be_cut_and_leaves_out_what_may_be_left_out),
        cmocka_unit_test(text_from_outside_cannot_steer_the_terminal),
        cmocka_unit_test(rows_wait_until_they_are_asked_for),
        cmocka_unit_test(a_table_without_rows_prints_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
