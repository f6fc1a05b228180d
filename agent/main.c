// The program's entry: finds the subcommand (commands.c) and runs it.
#include "agent/commands.h"

static int run_command(const ut_command *command, int argc, char **argv)
{
    int code = command->run(argc, argv);
    // A full disk or a closed pipe behind standard output is a failure of the command, not a detail.
    if (fflush(stdout) != 0 && code == EX_OK)
        code = EX_IOERR;
    return code;
}

static int unknown_command(const char *name_z)
{
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

// `untrace help [COMMAND [SUBCOMMAND]]`
static int run_help(int argc, char **argv)
{
    if (argc < 2) {
        ut_command_help(stdout);
        return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    }
    char name_z[NAME_BYTES_MAX];
    (void)snprintf(name_z, sizeof(name_z), argc > 2 ? "%s %s" : "%s", argv[1],
                   argc > 2 ? argv[2] : "");
    const ut_command *command = ut_command_find(name_z);
    if (command == NULL)
        return unknown_command(name_z);
    (void)fputs(command->help_z, stdout);
    return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        ut_command_help(stderr);
        return EX_USAGE;
    }
    const char *name_z = argv[1];
    if (strcmp(name_z, "--help") == 0 || strcmp(name_z, "-h") == 0 || strcmp(name_z, "help") == 0)
        return run_help(argc - 1, argv + 1);
    if (strcmp(name_z, "--version") == 0 || strcmp(name_z, "-V") == 0)
        name_z = "version";
    const ut_command *command = ut_command_find(name_z);
    return command != NULL ? run_command(command, argc - 1, argv + 1) : unknown_command(name_z);
}
