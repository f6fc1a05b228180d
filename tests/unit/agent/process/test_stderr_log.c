// Lines on standard error: their form, and which of them are written.
#include "agent/process/stderr_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Puts a pipe in the place of standard error while write_some runs, and copies what came.
static void capture(void (*write_some)(void), char *out_z, size_t cap)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    (void)fflush(stderr);
    const int before = dup(STDERR_FILENO);
    assert_true(before >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    write_some();
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    const ssize_t got = read(ends[0], out_z, cap - 1);
    out_z[got > 0 ? (size_t)got : 0] = '\0';
    (void)close(before);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void write_all_levels(void)
{
    const ut_log log = ut_stderr_log(UT_LOG_WARN, UT_LOG_TEXT);
    ut_log_write(&log, UT_LOG_ERROR, "area", "one %d", 1);
    ut_log_write(&log, UT_LOG_WARN, "area", "two");
    ut_log_write(&log, UT_LOG_INFO, "area", "three");
    ut_log_write(&log, UT_LOG_DEBUG, "area", "four");
}

// "2024-05-06T07:08:09.123Z error area: one 1"
static void a_line_has_time_level_and_text(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_all_levels, got_z, sizeof(got_z));
    char *const end = strchr(got_z, '\n');
    assert_non_null(end);
    *end = '\0';
    const char *const level = strchr(got_z, ' ');
    assert_non_null(level);
    assert_string_equal(level, " error area: one 1");
    assert_int_equal(got_z[4], '-');
    assert_int_equal(got_z[10], 'T');
    assert_int_equal(level[-1], 'Z');
}

static void lines_below_the_level_are_left_out(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_all_levels, got_z, sizeof(got_z));
    assert_non_null(strstr(got_z, " error area: one 1\n"));
    assert_non_null(strstr(got_z, " warn area: two\n"));
    assert_null(strstr(got_z, "three"));
    assert_null(strstr(got_z, "four"));
}

static void write_longest(void)
{
    const ut_log log = ut_stderr_log(UT_LOG_INFO, UT_LOG_TEXT);
    char text_z[2 * UT_LOG_LINE_MAX];
    memset(text_z, 'x', sizeof(text_z) - 1);
    text_z[sizeof(text_z) - 1] = '\0';
    ut_log_write(&log, UT_LOG_INFO, "area", "%s", text_z);
}

static void the_longest_line_still_ends(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_longest, got_z, sizeof(got_z));
    const size_t len = strlen(got_z);
    assert_true(len > UT_LOG_LINE_MAX / 2);
    assert_string_equal(got_z + len - 4, "...\n");
}

static void write_always(void)
{
    const ut_log log = ut_stderr_log(UT_LOG_ERROR, UT_LOG_TEXT);
    ut_stderr_log_always(&log, "agent: ready");
}

static void a_line_for_programs_needs_no_level(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_always, got_z, sizeof(got_z));
    assert_non_null(strstr(got_z, " info agent: ready\n"));
}

static void write_json(void)
{
    const ut_log log = ut_stderr_log(UT_LOG_DEBUG, UT_LOG_JSON);
    ut_log_write(&log, UT_LOG_ERROR, "deliver", "a \"quote\", a \\ and \xff, \xc3\xa9: %d", 1);
    ut_log_write(&log, UT_LOG_DEBUG, "store", "line\nend");
}

static void a_line_of_json_is_an_object_whatever_its_text(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_json, got_z, sizeof(got_z));
    assert_memory_equal(got_z, "{\"time\":\"20", 11);
    assert_non_null(strstr(got_z, "Z\",\"level\":\"error\",\"area\":\"deliver\",\"message\":"
                                  "\"a \\\"quote\\\", a \\\\ and ?, \xc3\xa9: 1\"}\n{"));
    assert_non_null(strstr(got_z, "\"level\":\"debug\",\"area\":\"store\","
                                  "\"message\":\"line?end\"}\n"));
}

static void write_longest_json(void)
{
    const ut_log log = ut_stderr_log(UT_LOG_INFO, UT_LOG_JSON);
    char text_z[2 * UT_LOG_LINE_MAX];
    memset(text_z, '"', sizeof(text_z) - 1);
    text_z[sizeof(text_z) - 1] = '\0';
    ut_log_write(&log, UT_LOG_INFO, "area", "%s", text_z);
}

static void the_longest_line_of_json_still_ends(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_longest_json, got_z, sizeof(got_z));
    assert_true(strlen(got_z) > UT_LOG_LINE_MAX);
    assert_string_equal(got_z + strlen(got_z) - 6, "...\"}\n");
}

// Standard error is the pipe of capture; JOURNAL_STREAM names it, as systemd does it.
static void name_the_stream(void)
{
    struct stat at;
    char stream_z[64];
    assert_int_equal(fstat(STDERR_FILENO, &at), 0);
    (void)snprintf(stream_z, sizeof(stream_z), "%llu:%llu", (unsigned long long)at.st_dev,
                   (unsigned long long)at.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream_z, 1), 0);
}

static void write_to_journal(void)
{
    name_the_stream();
    assert_true(ut_stderr_is_journal());
    const ut_log text = ut_stderr_log(UT_LOG_DEBUG, UT_LOG_TEXT);
    for (ut_log_level level = UT_LOG_ERROR; level <= UT_LOG_DEBUG; level++)
        ut_log_write(&text, level, "area", "%s", ut_log_level_name(level));
    const ut_log json = ut_stderr_log(UT_LOG_INFO, UT_LOG_JSON);
    ut_log_write(&json, UT_LOG_WARN, "area", "text");
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void the_journal_is_told_priorities(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_to_journal, got_z, sizeof(got_z));
    static const char text_z[] =
        "<3>area: error\n<4>area: warn\n<6>area: info\n<7>area: debug\n<4>{\"time\":\"";
    assert_memory_equal(got_z, text_z, strlen(text_z));
}

static void write_beside_journal(void)
{
    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    const ut_log log = ut_stderr_log(UT_LOG_DEBUG, UT_LOG_TEXT);
    ut_log_write(&log, UT_LOG_WARN, "area", "elsewhere");
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

// A child of a service whose standard error was sent elsewhere still has the variable.
static void a_stream_that_is_not_the_journal_gets_no_priorities(void **state)
{
    (void)state;
    char got_z[4096];
    capture(write_beside_journal, got_z, sizeof(got_z));
    assert_int_equal(got_z[0], '2');
    assert_non_null(strstr(got_z, "Z warn area: elsewhere\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_text),
        cmocka_unit_test(lines_below_the_level_are_left_out),
        cmocka_unit_test(the_longest_line_still_ends),
        cmocka_unit_test(a_line_for_programs_needs_no_level),
        cmocka_unit_test(a_line_of_json_is_an_object_whatever_its_text),
        cmocka_unit_test(the_longest_line_of_json_still_ends),
        cmocka_unit_test(the_journal_is_told_priorities),
        cmocka_unit_test(a_stream_that_is_not_the_journal_gets_no_priorities),
    };
    return cmocka_run_group_tests_name("stderr_log", tests, NULL, NULL);
}
