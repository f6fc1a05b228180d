// Log lines: levels, cutting, control bytes.
#include "port/base/log.h"

#include <stdint.h>
#include <string.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    size_t count;
    ut_log_level level;
    size_t len;
    char line_z[4 * UT_LOG_LINE_MAX];
} sink;

static void keep(void *context, ut_log_level level, const char *line, size_t len)
{
    sink *s = context;
    assert_true(len < sizeof(s->line_z));
    s->count++;
    s->level = level;
    s->len = len;
    memcpy(s->line_z, line, len);
    s->line_z[len] = '\0';
}

static void a_line_names_its_area(void **state)
{
    (void)state;
    sink s = {0};
    ut_log log = {.level = UT_LOG_INFO, .write = keep, .context = &s};
    ut_log_write(&log, UT_LOG_WARN, "store", "%d blocks, %s", 3, "slow disk");
    assert_int_equal(s.count, 1);
    assert_int_equal(s.level, UT_LOG_WARN);
    assert_string_equal(s.line_z, "store: 3 blocks, slow disk");
    assert_int_equal(s.len, strlen(s.line_z));
}

static void lines_above_the_level_are_not_written(void **state)
{
    (void)state;
    static const ut_log_level levels[] = {UT_LOG_ERROR, UT_LOG_WARN, UT_LOG_INFO, UT_LOG_DEBUG};
    for (size_t limit = 0; limit < 4; limit++) {
        sink s = {0};
        ut_log log = {.level = levels[limit], .write = keep, .context = &s};
        for (size_t i = 0; i < 4; i++)
            ut_log_write(&log, levels[i], "net", "x");
        assert_int_equal(s.count, limit + 1);
    }
}

// Standard output and standard error go into a pipe meanwhile.
static void without_a_log_nothing_is_written(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    (void)fflush(NULL);
    const int out = dup(STDOUT_FILENO);
    const int error = dup(STDERR_FILENO);
    assert_true(out >= 0 && error >= 0);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    ut_log_write(NULL, UT_LOG_ERROR, "net", "%s", "x");
    (void)fflush(NULL);
    assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
    assert_int_equal(dup2(error, STDERR_FILENO), STDERR_FILENO);
    char got[64];
    errno = 0;
    assert_int_equal(read(ends[0], got, sizeof(got)), -1);
    assert_int_equal(errno, EAGAIN);
    const int used[] = {out, error, ends[0], ends[1]};
    for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
        assert_int_equal(close(used[i]), 0);
}

static void bytes_from_outside_cannot_begin_a_line(void **state)
{
    (void)state;
    sink s = {0};
    ut_log log = {.level = UT_LOG_INFO, .write = keep, .context = &s};
    ut_log_write(&log, UT_LOG_INFO, "net", "peer said \"%s\"",
                 "a\nstore: all lost\r\t\x1b[31m\x01\x1f \xc3\xa9~ \xe2\x80\xaetxt.\xff");
    assert_string_equal(s.line_z, "net: peer said \"a?store: all lost???[31m?? \xc3\xa9~ ?txt.?\"");
}

static void only_lines_over_the_limit_are_cut_and_say_so(void **state)
{
    (void)state;
    static const char area_z[] = "net";
    char text_z[3 * UT_LOG_LINE_MAX + 1];
    for (size_t len = UT_LOG_LINE_MAX - 20; len < sizeof(text_z); len++) {
        memset(text_z, 'm', len);
        text_z[len] = '\0';
        sink s = {0};
        ut_log log = {.level = UT_LOG_INFO, .write = keep, .context = &s};
        ut_log_write(&log, UT_LOG_INFO, area_z, "%s", text_z);
        size_t whole = len + strlen("net: ");
        if (whole <= UT_LOG_LINE_MAX) {
            assert_int_equal(s.len, whole);
            assert_string_equal(s.line_z + 5, text_z);
        } else {
            assert_int_equal(s.len, UT_LOG_LINE_MAX);
            assert_string_equal(s.line_z + UT_LOG_LINE_MAX - 4, "m...");
        }
    }
}

static void an_area_longer_than_a_line_is_cut_too(void **state)
{
    (void)state;
    char area_z[2 * UT_LOG_LINE_MAX];
    memset(area_z, 'a', sizeof(area_z) - 1);
    area_z[sizeof(area_z) - 1] = '\0';
    sink s = {0};
    ut_log log = {.level = UT_LOG_INFO, .write = keep, .context = &s};
    ut_log_write(&log, UT_LOG_INFO, area_z, "%s", "message");
    assert_int_equal(s.len, UT_LOG_LINE_MAX);
    assert_string_equal(s.line_z + UT_LOG_LINE_MAX - 4, "a...");
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(ut_log_level_name(UT_LOG_ERROR), "error");
    assert_string_equal(ut_log_level_name(UT_LOG_WARN), "warn");
    assert_string_equal(ut_log_level_name(UT_LOG_INFO), "info");
    assert_string_equal(ut_log_level_name(UT_LOG_DEBUG), "debug");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_its_area),
        cmocka_unit_test(lines_above_the_level_are_not_written),
        cmocka_unit_test(without_a_log_nothing_is_written),
        cmocka_unit_test(bytes_from_outside_cannot_begin_a_line),
        cmocka_unit_test(only_lines_over_the_limit_are_cut_and_say_so),
        cmocka_unit_test(an_area_longer_than_a_line_is_cut_too),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
