// The loop over a command's options: the common ones are taken, the others handed out, and what is
// wrong ends it.
#include "agent/cli/options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

enum { OPTION_DEEP = UT_OPTION_OWN };

static const struct option rows[] = {UT_OPTION_ROWS_WHERE,
                                     UT_OPTION_ROW_JSON,
                                     {"age", required_argument, NULL, 'o'},
                                     {"quiet", no_argument, NULL, 'q'},
                                     {"deep", no_argument, NULL, OPTION_DEEP},
                                     UT_OPTION_ROWS_END};

// What a command line came to: the common options, and its own in the order in which they came.
typedef struct {
    ut_options options;
    int own[8];
    char age_z[32];
} line;

static line read_line(int words_max, const char *const *words)
{
    enum { WORDS_MAX = 16, WORD_MAX = 64 };
    static char texts[WORDS_MAX][WORD_MAX] = {"test"}; // getopt takes no const
    char *argv[WORDS_MAX] = {texts[0]};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc < WORDS_MAX - 1 && strlen(words[argc - 1]) < WORD_MAX);
        memcpy(texts[argc], words[argc - 1], strlen(words[argc - 1]) + 1);
        argv[argc] = texts[argc];
    }
    line read = {
        .options = {.command_z = "test", .help_z = "help\n", .rows = rows, .words_max = words_max}};
    size_t count = 0;
    optind = 0; // begin anew
    for (int option; (option = ut_options_next(&read.options, argc, argv)) != -1;) {
        assert_true(count < sizeof(read.own) / sizeof(read.own[0]));
        read.own[count++] = option;
        if (option == 'o')
            memcpy(read.age_z, optarg, strlen(optarg) + 1);
    }
    return read;
}

#define READ(words_max, ...) read_line((words_max), (const char *const[]){__VA_ARGS__, NULL})

static void the_common_options_are_taken(void **state)
{
    (void)state;
    const line read = READ(0, "-d", "dir", "--config=file", "--json");
    assert_false(read.options.ended);
    assert_string_equal(read.options.data_dir_z, "dir");
    assert_string_equal(read.options.config_z, "file");
    assert_true(read.options.json);
    assert_int_equal(read.own[0], 0);
}

static void own_options_are_handed_out_with_their_values(void **state)
{
    (void)state;
    const line read = READ(0, "-qo", "7d", "--json", "--deep", "--quiet");
    const int expected[8] = {'q', 'o', OPTION_DEEP, 'q'};
    assert_false(read.options.ended);
    assert_memory_equal(read.own, expected, sizeof(expected));
    assert_string_equal(read.age_z, "7d");
    assert_null(read.options.data_dir_z);
}

static void words_stand_behind_the_options_up_to_a_number(void **state)
{
    (void)state;
    assert_false(READ(2, "one", "--json", "two").options.ended);
    assert_int_equal(READ(1, "one", "two").options.code, EX_USAGE);
    assert_int_equal(READ(0, "one").options.code, EX_USAGE);
    assert_false(READ(UT_OPTIONS_WORDS_ANY, "one", "two", "three").options.ended);
}

static void help_ends_the_line_well(void **state)
{
    (void)state;
    const line read = READ(0, "--json", "--help", "--no-such-option");
    assert_true(read.options.ended);
    assert_int_equal(read.options.code, EX_OK);
}

static void what_is_no_option_ends_the_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "--no-such-option", "-x", "-qx", "--json=yes", "--age", "-o", "-qo", "--data-dir"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const line read = READ(UT_OPTIONS_WORDS_ANY, wrong[i]);
        if (!read.options.ended || read.options.code != EX_USAGE)
            fail_msg("%s was taken", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_common_options_are_taken),
        cmocka_unit_test(own_options_are_handed_out_with_their_values),
        cmocka_unit_test(words_stand_behind_the_options_up_to_a_number),
        cmocka_unit_test(help_ends_the_line_well),
        cmocka_unit_test(what_is_no_option_ends_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
