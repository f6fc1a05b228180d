// The command line: what the subcommands share. commands.c holds their table; each has a file of
// its own, cmd_NAME.c.
#ifndef UT_AGENT_CLI_CLI_H
#define UT_AGENT_CLI_CLI_H

#include "agent/process/exit_code.h"

#include <stdbool.h>
#include <stdint.h>

// Prints "untrace: TEXT" to standard error and returns the exit code that fits.
int ut_cli_fail(const ut_fault *fault);

// A usage error: prints it with the way to the help, returns EX_USAGE.
int ut_cli_usage(const char *command_z, const char *format_z, ...)
    __attribute__((format(printf, 2, 3)));

// Takes a whole number from an option's argument; false when it is none or above max.
bool ut_cli_number(const char *text_z, uint64_t max, uint64_t *value);

#endif
