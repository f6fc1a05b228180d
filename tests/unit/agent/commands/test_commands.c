// The table of subcommands: each is complete, and a slip of the fingers finds the right one.
#include "agent/commands/commands.h"
#include "agent/cli/help_text.h"
#include "agent/cli/cli.h"

#include <ctype.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static void each_command(void (*check)(const ut_command *command))
{
    const ut_command *commands[UT_COMMANDS_MAX];
    const size_t count = ut_command_all(commands);
    for (size_t i = 0; i < count; i++)
        check(commands[i]);
}

static void check_complete(const ut_command *command)
{
    char usage_z[64];
    (void)snprintf(usage_z, sizeof(usage_z), "usage: untrace %s", command->name_z);
    assert_memory_equal(command->help_z, usage_z, strlen(usage_z));
    assert_true(islower((unsigned char)command->summary_z[0]));
    assert_int_not_equal(command->summary_z[strlen(command->summary_z) - 1], '.');
    assert_ptr_equal(ut_command_find(command->name_z), command);
}

static void every_command_is_found_and_has_a_usage_and_a_summary(void **state)
{
    (void)state;
    each_command(check_complete);
}

// The help text with its shared parts, until the next call.
static const char *help_of(const ut_command *command)
{
    static char help_z[16 * 1024];
    ut_buf text;
    ut_buf_init(&text, sizeof(help_z));
    ut_help_expand(command->help_z, &text);
    assert_int_equal(text.err, UT_OK);
    memcpy(help_z, text.data, text.len);
    ut_buf_free(&text);
    return help_z;
}

static void check_options(const ut_command *command)
{
    const char *const help_z = help_of(command);
    for (const struct option *option = command->options; option != NULL && option->name != NULL;
         option++) {
        char name_z[64];
        (void)snprintf(name_z, sizeof(name_z), "--%s", option->name);
        if (strcmp(name_z, "--help") != 0 && strstr(help_z, name_z) == NULL)
            fail_msg("the help of %s does not tell of %s", command->name_z, name_z);
        if (option->val <= ' ' || option->val > '~' || option->val == 'h')
            continue;
        (void)snprintf(name_z, sizeof(name_z), "\n  -%c, --%s", option->val, option->name);
        if (strstr(help_z, name_z) == NULL)
            fail_msg("the help of %s does not tell of%s", command->name_z, name_z + 2);
    }
}

static void every_option_stands_in_the_help_of_its_command(void **state)
{
    (void)state;
    each_command(check_options);
}

static void check_width(const char *name_z, const char *help_z)
{
    enum { COLUMNS_MAX = 80 }; // of a terminal that nobody has made wider
    for (const char *line_z = help_z; *line_z != '\0';) {
        const size_t len = strcspn(line_z, "\n");
        if (len > COLUMNS_MAX)
            fail_msg("the help of %s has a line of %zu columns: %.*s", name_z, len, (int)len,
                     line_z);
        line_z += line_z[len] == '\n' ? len + 1 : len;
    }
}

static void check_help_width(const ut_command *command)
{
    check_width(command->name_z, help_of(command));
}

static void no_line_of_a_help_is_wider_than_a_terminal(void **state)
{
    (void)state;
    char text_z[8192] = "";
    FILE *out = fmemopen(text_z, sizeof(text_z), "w");
    assert_non_null(out);
    ut_command_help(out);
    assert_int_equal(fclose(out), 0);
    assert_true(strlen(text_z) > 0 && strlen(text_z) < sizeof(text_z) - 1);
    check_width("untrace", text_z);
    each_command(check_help_width);
}

static void check_nearest(const char *typed_z, const char *expected_z)
{
    const ut_command *nearest = ut_command_nearest(typed_z);
    if (expected_z == NULL) {
        assert_null(nearest);
        return;
    }
    assert_non_null(nearest);
    assert_string_equal(nearest->name_z, expected_z);
}

static void a_slip_finds_the_nearest_command(void **state)
{
    (void)state;
    check_nearest("trcaes", "traces");
    check_nearest("Trace", "trace");
    check_nearest("sned", "send");
    check_nearest("vers", "version");
    check_nearest("chekc", "check");
    check_nearest("runn", "run");
}

static void what_is_far_from_all_commands_finds_none(void **state)
{
    (void)state;
    check_nearest("", NULL);
    check_nearest("x", NULL);
    check_nearest("xyz", NULL);
    check_nearest("abracadabra", NULL);
    check_nearest("a name that is longer than any name of a command may ever be", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_found_and_has_a_usage_and_a_summary),
        cmocka_unit_test(every_option_stands_in_the_help_of_its_command),
        cmocka_unit_test(no_line_of_a_help_is_wider_than_a_terminal),
        cmocka_unit_test(a_slip_finds_the_nearest_command),
        cmocka_unit_test(what_is_far_from_all_commands_finds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
