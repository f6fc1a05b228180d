// The command line: what the subcommands share. commands.c holds their table; each has a file of its own, cmd_NAME.c.
#ifndef UT_AGENT_CLI_H
#define UT_AGENT_CLI_H

#include "agent/process/exit_code.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

// A subcommand, as its file cmd_NAME.c describes it: what the help lists, what completion offers.
typedef struct {
    const char *name_z;
    int (*run)(int argc, char **argv); // argv[0] is the name; returns the exit code, by sysexits
    const char *summary_z;             // one line, lower case, no full stop
    const char *help_z;                // what --help prints
    const struct option *options;      // as getopt_long takes them
    const char *const *words;          // first arguments that completion offers, or NULL
} ut_command;

extern const ut_command ut_command_run;
extern const ut_command ut_command_check;
extern const ut_command ut_command_send;
extern const ut_command ut_command_traces;
extern const ut_command ut_command_trace;
extern const ut_command ut_command_export;
extern const ut_command ut_command_import;
extern const ut_command ut_command_spans;
extern const ut_command ut_command_stats;
extern const ut_command ut_command_failures;
extern const ut_command ut_command_completion;
extern const ut_command ut_command_top;
extern const ut_command ut_command_version;

// Prints "untrace: TEXT" to standard error and returns the exit code that fits.
int ut_cli_fail(const ut_fault *fault);

// A usage error: prints it with the way to the help, returns EX_USAGE.
int ut_cli_usage(const char *command_z, const char *format_z, ...)
    __attribute__((format(printf, 2, 3)));

// The usage error for what getopt_long gave as '?' or ':' (option) just now: names the option, also one
// letter of several in a word.
int ut_cli_bad_option(const char *command_z, int option, char *const *argv);

// Takes a whole number from an option's argument; false when it is none or above max.
bool ut_cli_number(const char *text_z, uint64_t max, uint64_t *value);

#endif
