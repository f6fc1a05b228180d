// The program's entry: finds the subcommand and runs it. What a subcommand does is in cmd_NAME.c.
#include "agent/cli.h"

#include <stdio.h>

static const ut_command *const commands[] = {
    &ut_command_run,    &ut_command_check, &ut_command_send,
    &ut_command_traces, &ut_command_trace, &ut_command_version,
};

static void print_help(FILE *out)
{
    (void)fprintf(out,
                  "untrace %s: keeps traces safe on the device and carries them on.\n"
                  "\n"
                  "usage: untrace COMMAND [options]\n"
                  "\n",
                  UT_VERSION);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        (void)fprintf(out, "  %-8s %s\n", commands[i]->name_z, commands[i]->summary_z);
    (void)fprintf(
        out,
        "\n"
        "`untrace COMMAND --help` says more. To begin: `untrace run`, and in a second terminal\n"
        "`untrace send`, then `untrace traces`.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EX_USAGE;
    }
    const char *name_z = argv[1];
    if (strcmp(name_z, "--help") == 0 || strcmp(name_z, "-h") == 0 || strcmp(name_z, "help") == 0) {
        print_help(stdout);
        return EX_OK;
    }
    if (strcmp(name_z, "--version") == 0 || strcmp(name_z, "-V") == 0)
        name_z = "version";
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i]->name_z, name_z) == 0) {
            int code = commands[i]->run(argc - 1, argv + 1);
            // A full disk or a closed pipe behind standard output is a failure of the command, not a detail.
            if (fflush(stdout) != 0 && code == EX_OK)
                code = EX_IOERR;
            return code;
        }
    }
    (void)fprintf(stderr, "untrace: there is no command \"%s\"; `untrace help` lists them\n",
                  name_z);
    return EX_USAGE;
}
