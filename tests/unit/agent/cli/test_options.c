// The loop over a command's options: the common ones are taken, the others handed out, and what is
// wrong ends it.
#include "agent/cli/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

enum { OPTION_DEEP = UT_OPTION_OWN, OPTION_LINES };

static const struct option rows[] = {UT_OPTION_ROWS_WHERE,
                                     UT_OPTION_ROW_JSON,
                                     {"jsonl", no_argument, NULL, OPTION_LINES},
                                     {"lines", no_argument, NULL, OPTION_LINES},
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

static void options_that_contradict_each_other_end_the_line(void **state)
{
    (void)state;
    assert_int_equal(READ(0, "--json", "--jsonl").options.code, EX_USAGE);
    assert_int_equal(READ(0, "--jsonl", "-q", "--json").options.code, EX_USAGE);
    assert_int_equal(READ(0, "--json", "--lines").options.code, EX_USAGE);
    assert_false(READ(0, "--json", "--json").options.ended);
    assert_false(READ(0, "--lines", "--jsonl").options.ended);
}

// Lets words be moved, and holds what comes of them against expected_z.
static void check_moved(const char *line_z, const char *expected_z)
{
    char text_z[128];
    char *argv[16] = {text_z};
    int argc = 0;
    assert_true(strlen(line_z) < sizeof(text_z));
    memcpy(text_z, line_z, strlen(line_z) + 1);
    for (char *word_z = strtok(text_z, " "); word_z != NULL; word_z = strtok(NULL, " "))
        argv[argc++] = word_z;
    ut_options_behind_command(argc, argv);
    char moved_z[128] = "";
    size_t used = 0;
    for (int i = 0; i < argc; i++)
        used += (size_t)snprintf(moved_z + used, sizeof(moved_z) - used, "%s%s", i > 0 ? " " : "",
                                 argv[i]);
    assert_string_equal(moved_z, expected_z);
}

static void options_in_front_of_the_command_move_behind_it(void **state)
{
    (void)state;
    check_moved("untrace -c f traces -n 1", "untrace traces -c f -n 1");
    check_moved("untrace --config=f -d dir store info", "untrace store --config=f -d dir info");
    check_moved("store --config=f -d dir info --json", "store info --config=f -d dir --json");
    check_moved("untrace traces -d dir", "untrace traces -d dir");
    check_moved("untrace --data-dir dir", "untrace --data-dir dir");
    check_moved("untrace -c", "untrace -c");
    check_moved("untrace", "untrace");
    check_moved("untrace --json traces", "untrace --json traces");
    check_moved("untrace --configure traces", "untrace --configure traces");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_common_options_are_taken),
        cmocka_unit_test(own_options_are_handed_out_with_their_values),
        cmocka_unit_test(words_stand_behind_the_options_up_to_a_number),
        cmocka_unit_test(help_ends_the_line_well),
        cmocka_unit_test(what_is_no_option_ends_the_line),
        cmocka_unit_test(options_that_contradict_each_other_end_the_line),
        cmocka_unit_test(options_in_front_of_the_command_move_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
