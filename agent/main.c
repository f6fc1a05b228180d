// The program's entry: finds the subcommand (commands.c) and runs it.
#include "agent/commands/commands.h"
#include "agent/cli/options.h"

#include <string.h>

// The exit code of a command that ended with code: a full disk or a closed pipe behind standard
// output is a failure, not a detail. A flush that failed before is told by ferror only.
static int finish_output(int code)
{
    const bool flushed = fflush(stdout) == 0;
    if ((flushed && ferror(stdout) == 0) || code == EX_IOERR) // that has been told
        return code;
    (void)fprintf(stderr, "untrace: the output is not complete: standard output cannot be written; "
                          "is the disk full, or the pipe closed?\n");
    return code == EX_OK ? EX_IOERR : code;
}

static int unknown_command(const char *name_z)
{
    if (name_z[0] == '-') {
        (void)fprintf(stderr,
                      "untrace: %s is no command: options other than --config and --data-dir stand "
                      "behind the command; `untrace help` lists the commands\n",
                      name_z);
        return EX_USAGE;
    }
    const ut_command *nearest = ut_command_nearest(name_z);
    if (nearest != NULL)
        (void)fprintf(stderr, "untrace: there is no command \"%s\"; did you mean `untrace %s`?\n",
                      name_z, nearest->name_z);
    else
        (void)fprintf(stderr, "untrace: there is no command \"%s\"; `untrace help` lists them\n",
                      name_z);
    return EX_USAGE;
}

enum { NAME_BYTES_MAX = 64 };

// `untrace help [COMMAND [SUBCOMMAND] | config]`
static int run_help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        ut_command_help(stdout);
        return EX_OK;
    }
    const char *const topic_z = argc == 2 ? ut_command_topic(argv[1]) : NULL;
    if (topic_z != NULL) {
        (void)fputs(topic_z, stdout);
        return EX_OK;
    }
    char name_z[NAME_BYTES_MAX];
    (void)snprintf(name_z, sizeof(name_z), argc > 2 ? "%s %s" : "%s", argv[1],
                   argc > 2 ? argv[2] : "");
    const ut_command *command = ut_command_find(name_z);
    if (command == NULL)
        return unknown_command(name_z);
    ut_help_print(command->help_z);
    return EX_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        ut_command_help(stderr);
        return EX_USAGE;
    }
    ut_options_behind_command(argc, argv);
    const char *name_z = argv[1];
    if (strcmp(name_z, "--help") == 0 || strcmp(name_z, "-h") == 0 || strcmp(name_z, "help") == 0)
        return finish_output(run_help(argc - 1, argv + 1));
    if (strcmp(name_z, "--version") == 0 || strcmp(name_z, "-V") == 0)
        name_z = "version";
    const ut_command *command = ut_command_find(name_z);
    return command != NULL ? finish_output(command->run(argc - 1, argv + 1))
                           : unknown_command(name_z);
}
