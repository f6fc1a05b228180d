// What the options of the asking commands become, and what is refused.
#include "agent/cli/filter_options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static const uint64_t now_ns = UINT64_C(1795200000000000000); // 2026-11-20T18:40:00Z

static const struct option rows[] = {UT_OPTION_ROWS_WHERE, UT_FILTER_ROWS, UT_PAGE_ROWS,
                                     UT_OPTION_ROWS_END};

// Reads a command line as a command does; EX_OK or the code of the first option that is refused.
static int read_line(ut_filter_options *options, const char *const *words)
{
    enum { WORDS_MAX = 64, WORD_MAX = 64 };
    static char texts[WORDS_MAX][WORD_MAX] = {"test"}; // getopt takes no const; lent to the filter
    char *argv[WORDS_MAX] = {texts[0]};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc < WORDS_MAX && strlen(words[argc - 1]) < WORD_MAX);
        memcpy(texts[argc], words[argc - 1], strlen(words[argc - 1]) + 1);
        argv[argc] = texts[argc];
    }
    const ut_options line = {.command_z = "test", .help_z = "", .rows = rows};
    ut_filter_options_init(options, &line, 50, now_ns);
    optind = 0; // begin anew
    assert_int_equal(ut_filter_options_next(options, argc, argv), -1);
    assert_int_equal(options->line.ended, options->line.code != EX_OK);
    return options->line.code;
}

#define READ(options, ...) read_line((options), (const char *const[]){__VA_ARGS__, NULL})

static void nothing_given_is_everything(void **state)
{
    (void)state;
    ut_filter_options options;
    assert_int_equal(READ(&options, "--data-dir", "x"), EX_OK);
    assert_false(options.any);
    assert_int_equal(options.limit, 50);
    assert_false(options.oldest_first);
    assert_true(options.filter.start_ns == 0 && options.filter.end_ns == UINT64_MAX);
    assert_true(options.filter.duration_max_ns == UINT64_MAX);
}

static void every_condition_reaches_the_filter(void **state)
{
    (void)state;
    ut_filter_options options;
    assert_int_equal(READ(&options, "--trace", "4bf9", "--service", "check*", "--name", "GET /",
                          "--kind", "server,client", "--status", "error", "--status", "ok",
                          "--min-duration", "1.5ms", "--max-duration", "2s", "-a", "http.code>=500",
                          "--attribute", "resource:host.name=a", "--message", "refused", "--roots",
                          "--llm", "-n", "7", "--oldest", "--cursor", "abc"),
                     EX_OK);
    const ut_filter *filter = &options.filter;
    assert_string_equal(options.trace_z, "4bf9");
    assert_true(ut_bytes_equal(filter->service, UT_BYTES_LIT("check*")));
    assert_true(ut_bytes_equal(filter->name, UT_BYTES_LIT("GET /")));
    assert_int_equal(filter->kinds, 1 << 2 | 1 << 3);
    assert_int_equal(filter->statuses, 1 << UT_STATUS_ERROR | 1 << UT_STATUS_OK);
    assert_int_equal(filter->duration_min_ns, 1500000);
    assert_int_equal(filter->duration_max_ns, 2000000000);
    assert_int_equal(filter->term_count, 2);
    assert_int_equal(filter->terms[0].op, UT_FILTER_GREATER_EQUAL);
    assert_int_equal(filter->terms[1].places, UT_FILTER_IN_RESOURCE);
    assert_true(ut_bytes_equal(filter->message, UT_BYTES_LIT("refused")));
    assert_true(filter->roots_only && filter->llm_only);
    assert_true(options.any && options.oldest_first);
    assert_int_equal(options.limit, 7);
    assert_string_equal(options.cursor_z, "abc");
}

static void a_time_is_so_long_ago_or_a_date_or_nanoseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text_z;
        uint64_t ns;
    } times[] = {
        {"2h", UINT64_C(1795200000000000000) - UINT64_C(7200000000000)},
        {"100us", UINT64_C(1795199999999900000)},
        {"0", 0},
        {"90000d", 0}, // before the epoch
        {"2026-11-20", UINT64_C(1795132800000000000)},
        {"2026-11-20T18:40", UINT64_C(1795200000000000000)},
        {"1795200000000000001", UINT64_C(1795200000000000001)},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        ut_filter_options options;
        assert_int_equal(READ(&options, "--since", times[i].text_z), EX_OK);
        assert_true(options.filter.start_ns == times[i].ns);
        assert_true(options.time_given);
        assert_int_equal(READ(&options, "--until", times[i].text_z), EX_OK);
        assert_true(options.filter.end_ns == times[i].ns);
    }
}

static void conditions_have_short_forms(void **state)
{
    (void)state;
    ut_filter_options options;
    assert_int_equal(READ(&options, "-s", "check*", "-N", "GET /", "-S", "2h", "-U", "1h"), EX_OK);
    assert_true(ut_bytes_equal(options.filter.service, UT_BYTES_LIT("check*")));
    assert_true(ut_bytes_equal(options.filter.name, UT_BYTES_LIT("GET /")));
    assert_true(options.filter.start_ns == UINT64_C(1795192800000000000));
    assert_true(options.filter.end_ns == UINT64_C(1795196400000000000));
    assert_true(options.any && options.time_given);
}

static void a_condition_that_would_be_forgotten_is_refused(void **state)
{
    (void)state;
    static const char *const once[][2] = {
        {"--trace", "4b"}, {"--since", "2h"},  {"--until", "1h"},        {"--service", "a"},
        {"--name", "a"},   {"--message", "a"}, {"--min-duration", "1s"}, {"--max-duration", "1s"},
    };
    ut_filter_options options;
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
        assert_int_equal(READ(&options, once[i][0], once[i][1], once[i][0], once[i][1]), EX_USAGE);
    assert_int_equal(READ(&options, "-s", "a", "--service", "b"), EX_USAGE);
    assert_int_equal(READ(&options, "--kind", "server", "--kind", "client", "-a", "x", "-a", "x",
                          "--llm", "--llm", "-n", "1", "-n", "2"),
                     EX_OK);
}

static void the_conditions_are_repeated_as_a_shell_takes_them(void **state)
{
    (void)state;
    ut_filter_options options;
    ut_buf text;
    ut_buf_init(&text, 4096);
    assert_int_equal(READ(&options, "-s", "check out*", "-a", "k=it's", "--status", "ok,error",
                          "--roots", "-n", "5", "-S", "2h", "-d", "/d"),
                     EX_OK);
    ut_filter_options_repeat(&options, &text);
    ut_buf_add_byte(&text, 0);
    assert_string_equal((const char *)text.data,
                        " --service 'check out*' --attribute 'k=it'\\''s' --status ok,error "
                        "--roots --since 2h --data-dir /d");
    ut_buf_reset(&text, 4096);
    assert_int_equal(ut_filter_options_errors(&options, "failures"), EX_OK);
    assert_int_equal(options.filter.statuses, 1 << UT_STATUS_ERROR);
    ut_filter_options_repeat(&options, &text);
    ut_buf_add_byte(&text, 0);
    assert_non_null(strstr((const char *)text.data, " --since 2h --status error --data-dir /d"));
    assert_int_equal(READ(&options, "--status", "ok,unset"), EX_OK);
    assert_int_equal(ut_filter_options_errors(&options, "failures"), EX_USAGE);
    assert_int_equal(READ(&options, "--roots"), EX_OK);
    assert_int_equal(ut_filter_options_errors(&options, "failures"), EX_OK);
    assert_int_equal(options.filter.statuses, 1 << UT_STATUS_ERROR);
    ut_buf_free(&text);
}

static void what_is_no_condition_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"--since", "tomorrowish"},
        {"--since", "20261120"},
        {"--since", "2026-13-01"},
        {"--until", "2 h"},
        {"--kind", "servant"},
        {"--kind", "server,"},
        {"--kind", ""},
        {"--status", "failed"},
        {"--status", "error,,ok"},
        {"--min-duration", "100"},
        {"--max-duration", "fast"},
        {"--attribute", ""},
        {"--attribute", "=x"},
        {"--attribute", "a<fast"},
        {"--attribute", "a==5"},
        {"--limit", "0"},
        {"--limit", "many"},
        {"--service", ""},
        {"--name", ""},
        {"--message", ""},
        {"--limit", "2000000000"},
        {"--no-such-option", "x"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ut_filter_options options;
        if (READ(&options, wrong[i][0], wrong[i][1]) != EX_USAGE)
            fail_msg("%s %s was taken", wrong[i][0], wrong[i][1]);
    }
    ut_filter_options options;
    assert_int_equal(READ(&options, "--service"), EX_USAGE); // without its value
}

static void more_terms_than_a_filter_holds_are_refused(void **state)
{
    (void)state;
    const char *words[2 * UT_FILTER_TERMS_MAX + 3];
    size_t count = 0;
    for (int i = 0; i < UT_FILTER_TERMS_MAX; i++) {
        words[count++] = "-a";
        words[count++] = "key=value";
    }
    words[count] = NULL;
    ut_filter_options options;
    assert_int_equal(read_line(&options, words), EX_OK);
    assert_int_equal(options.filter.term_count, UT_FILTER_TERMS_MAX);
    words[count++] = "-a";
    words[count++] = "key=value";
    words[count] = NULL;
    assert_int_equal(read_line(&options, words), EX_USAGE);
}

static void what_nothing_can_meet_is_refused_before_the_store_is_opened(void **state)
{
    (void)state;
    ut_filter_options options;
    ut_reader reader;
    bool nothing;
    assert_int_equal(READ(&options, "--since", "1h", "--until", "2h"), EX_OK);
    assert_int_equal(ut_filter_options_open(&options, &reader, &nothing), EX_USAGE);
    assert_int_equal(READ(&options, "--min-duration", "2s", "--max-duration", "1s"), EX_OK);
    assert_int_equal(ut_filter_options_open(&options, &reader, &nothing), EX_USAGE);
}

int main(void)
{
    assert_int_equal(setenv("TZ", "UTC0", 1), 0); // dates without a zone are local
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_everything),
        cmocka_unit_test(every_condition_reaches_the_filter),
        cmocka_unit_test(a_time_is_so_long_ago_or_a_date_or_nanoseconds),
        cmocka_unit_test(conditions_have_short_forms),
        cmocka_unit_test(a_condition_that_would_be_forgotten_is_refused),
        cmocka_unit_test(the_conditions_are_repeated_as_a_shell_takes_them),
        cmocka_unit_test(what_is_no_condition_is_refused),
        cmocka_unit_test(more_terms_than_a_filter_holds_are_refused),
        cmocka_unit_test(what_nothing_can_meet_is_refused_before_the_store_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
