// What the subcommands share: how a fault and a wrong option are told.
#include "agent/cli/cli.h"

#include "agent/commands/commands.h"
#include "port/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int ut_cli_fail(const ut_fault *fault)
{
    (void)fprintf(stderr, "untrace: %s\n", fault->text_z);
    return ut_exit_code(fault->code);
}

int ut_cli_usage(const char *command_z, const char *format_z, ...)
{
    va_list args;
    va_start(args, format_z);
    (void)fprintf(stderr, "untrace %s: ", command_z);
    (void)vfprintf(stderr, format_z, args);
    (void)fprintf(stderr, "; `untrace %s --help` shows what it takes\n", command_z);
    va_end(args);
    return EX_USAGE;
}

// Whether the command has an option that getopt_long gives as value.
static bool has_option(const char *command_z, int value)
{
    const ut_command *command = ut_command_find(command_z);
    if (command == NULL)
        return false;
    for (const struct option *at = command->options; at->name != NULL; at++) {
        if (at->val == value)
            return true;
    }
    return false;
}

int ut_cli_bad_option(const char *command_z, int option, char *const *argv)
{
    // The word behind which getopt_long stands. While it is inside a word of several letters, that is
    // the one before, and where the last letter has no value, NULL; optopt is the letter then, and 0 for
    // a long name that is not known.
    const char *word_z = argv[optind - 1] != NULL ? argv[optind - 1] : "-";
    const bool is_long = strncmp(word_z, "--", 2) == 0;
    const bool is_letter = optopt > ' ' && optopt <= '~';
    if (option == ':') {
        if (is_long || !is_letter)
            return ut_cli_usage(command_z, "%s needs a value", word_z);
        return ut_cli_usage(command_z, "-%c needs a value", optopt);
    }
    if (optopt != 0 && is_long && has_option(command_z, optopt))
        return ut_cli_usage(command_z, "%.*s takes no value", (int)strcspn(word_z, "="), word_z);
    if (!is_letter)
        return ut_cli_usage(command_z, "%s is not an option", word_z);
    return ut_cli_usage(command_z, "-%c is not an option", optopt);
}

bool ut_cli_number(const char *text_z, uint64_t max, uint64_t *value)
{
    return ut_text_parse_uint(ut_bytes_of_z(text_z), value) == UT_OK && *value <= max;
}
