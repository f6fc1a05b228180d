// Counters by kind, and their lines: one a kind and minute.
#include "agent/process/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const ut_tally_kind kinds[] = {
    {"path", "requests", "asks for ", ", which is not here", "refused"},
    {"id", "spans", "sends bad spans: ", "", "rejected"},
    {"body", "requests", "sends a bad body", "", "refused"},
    {"empty", "requests", "sends nothing", "", NULL},
};

typedef struct {
    ut_tally tally;
    ut_log log;
    char lines_z[4096];
} fixture;

static fixture f;

static void keep_line(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    assert_int_equal(level, UT_LOG_WARN);
    assert_true(strlen(f.lines_z) + len + 2 < sizeof(f.lines_z));
    strncat(f.lines_z, line, len);
    strcat(f.lines_z, "\n");
}

static int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    f.log = (ut_log){.level = UT_LOG_WARN, .write = keep_line};
    ut_tally_init(&f.tally, kinds, 4, &f.log, "in");
    return 0;
}

// The lines since the last call.
static void expect_lines(const char *wanted_z)
{
    assert_string_equal(f.lines_z, wanted_z);
    f.lines_z[0] = '\0';
}

static void the_first_of_a_kind_is_logged_at_once(void **state)
{
    (void)state;
    ut_tally_add(&f.tally, 0, 1, "10.0.0.1", "/x", 5000);
    expect_lines("in: 10.0.0.1 asks for /x, which is not here\n");
    ut_tally_add(&f.tally, 1, 7, "10.0.0.2", "traceId is missing", 5000);
    expect_lines("in: 10.0.0.2 sends bad spans: traceId is missing (7 spans in the last minute)\n");
}

static void a_kind_has_one_line_a_minute(void **state)
{
    (void)state;
    uint64_t next_ms = UINT64_MAX;
    ut_tally_add(&f.tally, 0, 1, "a", "/1", 5000);
    ut_tally_step(&f.tally, 5000, &next_ms);
    assert_true(next_ms == UINT64_MAX); // nothing waits, so nobody is woken
    expect_lines("in: a asks for /1, which is not here\n");
    for (uint64_t i = 0; i < 1000; i++)
        ut_tally_add(&f.tally, 0, 1, "b", "/2", 5000 + i * 50);
    ut_tally_step(&f.tally, 60000, &next_ms);
    assert_int_equal(next_ms, 5000 + UT_TALLY_PAUSE_MS);
    expect_lines("");
    next_ms = UINT64_MAX;
    ut_tally_step(&f.tally, 5000 + UT_TALLY_PAUSE_MS, &next_ms);
    assert_true(next_ms == UINT64_MAX);
    expect_lines("in: b asks for /2, which is not here (1000 requests in the last minute)\n");
    ut_tally_add(&f.tally, 0, 1, "b", "/3", 5000 + UT_TALLY_PAUSE_MS);
    expect_lines("");
    ut_tally_add(&f.tally, 0, 1, "b", "/4", 5000 + (uint64_t)2 * UT_TALLY_PAUSE_MS);
    expect_lines("in: b asks for /4, which is not here (2 requests in the last minute)\n");
}

static void what_a_sender_wrote_cannot_forge_a_line(void **state)
{
    (void)state;
    char long_z[1000];
    memset(long_z, 'x', sizeof(long_z) - 1);
    long_z[sizeof(long_z) - 1] = '\0';
    ut_tally_add(&f.tally, 0, 1, "a", "/\n\x1b[31m\xe2\x80\xae%s", 0);
    expect_lines("in: a asks for /??[31m???%s, which is not here\n");
    ut_tally_add(&f.tally, 1, 1, long_z, long_z, 0);
    assert_true(strlen(f.lines_z) < 400);
}

static void groups_are_summed_and_walked(void **state)
{
    (void)state;
    ut_tally_add(&f.tally, 2, 3, "a", "", 0);
    ut_tally_add(&f.tally, 1, 5, "a", "", 0);
    ut_tally_add(&f.tally, 3, 9, "a", "", 0);
    assert_int_equal(ut_tally_sum(&f.tally, "refused"), 3);
    assert_int_equal(ut_tally_sum(&f.tally, "rejected"), 5);
    assert_int_equal(ut_tally_next(&f.tally, "refused", 0), 2);
    assert_int_equal(ut_tally_next(&f.tally, "refused", 3), 4);
    ut_tally_add(&f.tally, 0, 1, "a", "", 0);
    assert_int_equal(ut_tally_next(&f.tally, "refused", 0), 0);
    assert_int_equal(ut_tally_sum(&f.tally, "refused"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_of_a_kind_is_logged_at_once, set_up),
        cmocka_unit_test_setup(a_kind_has_one_line_a_minute, set_up),
        cmocka_unit_test_setup(what_a_sender_wrote_cannot_forge_a_line, set_up),
        cmocka_unit_test_setup(groups_are_summed_and_walked, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
