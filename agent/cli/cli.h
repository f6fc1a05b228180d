// The command line: what the subcommands share. commands.c holds their table; each has a file of its own, cmd_NAME.c.
#ifndef UT_AGENT_CLI_H
#define UT_AGENT_CLI_H

#include "agent/config/config.h"
#include "storage/query/query.h"

#include <getopt.h>
#include <sysexits.h>

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

// The exit code that fits an error.
int ut_cli_exit_code(ut_err err);

// Prints "untrace: TEXT" to standard error and returns the exit code that fits.
int ut_cli_fail(const ut_fault *fault);

// Puts the place and the remedy to a fault of ut_store_open, which knows neither.
void ut_cli_name_store(const char *data_dir_z, ut_fault *fault);

// A usage error: prints it with the way to the help, returns EX_USAGE.
int ut_cli_usage(const char *command_z, const char *format_z, ...)
    __attribute__((format(printf, 2, 3)));

// The usage error for what getopt_long gave as '?' or ':' (option) just now: names the option, also one
// letter of several in a word.
int ut_cli_bad_option(const char *command_z, int option, char *const *argv);

// Reads path_z. NULL: the file that UNTRACE_CONFIG names, else /etc/untrace/untrace.yaml when it exists, else the defaults.
ut_err ut_cli_config(const char *path_z, ut_config *config, ut_fault *fault);

// Takes a whole number from an option's argument; false when it is none or above max.
bool ut_cli_number(const char *text_z, uint64_t max, uint64_t *value);

// A data directory opened for reading, whether or not an agent is running on it.
typedef struct {
    ut_store *store;
    ut_store_view *view; // begun
} ut_cli_reader;

// data_dir_z: from the option, or NULL: from the configuration (config_z as for ut_cli_config). The key of an encrypted store
// comes from the file that UNTRACE_KEY_FILE names, else from where the configuration says.
ut_err ut_cli_reader_open(const char *data_dir_z, const char *config_z, ut_cli_reader *reader,
                          ut_fault *fault);
void ut_cli_reader_close(ut_cli_reader *reader);

#endif
