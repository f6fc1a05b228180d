// How the subcommands tell a fault or a wrong use; see cli.h.
#include "agent/cli/cli.h"

#include "port/base/text.h"
#include "port/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int ut_cli_fail(const ut_fault *fault)
{
    // The sentence may name what a peer or a file said.
    ut_fault shown = *fault;
    shown.text_z[ut_utf8_make_safe(shown.text_z, strlen(shown.text_z))] = '\0';
    (void)fprintf(stderr, "untrace: %s\n", shown.text_z);
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

bool ut_cli_number(const char *text_z, uint64_t max, uint64_t *value)
{
    return ut_text_parse_uint(ut_bytes_of_z(text_z), value) == UT_OK && *value <= max;
}
