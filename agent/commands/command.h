// A subcommand, as the table of them (commands.h) holds it. Each is defined in its file cmd_NAME.c.
#ifndef UT_AGENT_COMMANDS_COMMAND_H
#define UT_AGENT_COMMANDS_COMMAND_H

#include <getopt.h>

typedef struct {
    const char *name_z;
    int (*run)(int argc, char **argv); // argv[0] is the name; returns the exit code, by sysexits
    const char *summary_z;             // one line, lower case, no full stop
    const char *help_z;                // the text of --help, with the parts of help_text.h
    const struct option *options;      // as getopt_long takes them
    const char *const *words;          // first arguments that completion offers, or NULL
} ut_command;

extern const ut_command ut_command_run;
extern const ut_command ut_command_check;
extern const ut_command ut_command_init;
extern const ut_command ut_command_send;
extern const ut_command ut_command_traces;
extern const ut_command ut_command_trace;
extern const ut_command ut_command_export;
extern const ut_command ut_command_import;
extern const ut_command ut_command_spans;
extern const ut_command ut_command_stats;
extern const ut_command ut_command_failures;
extern const ut_command ut_command_completion;
extern const ut_command ut_command_status;
extern const ut_command ut_command_top;
extern const ut_command ut_command_version;

#endif
