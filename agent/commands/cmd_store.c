// `untrace store`: finds the subcommand. What they do is in cmd_store_NAME.c.
#include "agent/commands/cmd_store.h"
#include "agent/cli/options.h"
#include "port/base/nearest.h"

#include <stdio.h>
#include <string.h>

const ut_command *const ut_command_store_all[] = {
    &ut_command_store_info,
    &ut_command_store_verify,
    &ut_command_store_cleanup,
    &ut_command_store_ttl,
    &ut_command_store_compact,
    &ut_command_store_rekey,
    NULL,
};

static const char *const words[] = {"info", "verify", "cleanup", "ttl", "compact", "rekey", NULL};

// clang-format off
static const char help[] =
    "usage: untrace store SUBCOMMAND [options]\n"
    "\n"
    "Looks after the store of a data directory, with or without a running agent. What\n"
    "only reads works beside an agent, after it was killed, and on a copy; what\n"
    "changes the store asks the running agent, and does it itself where none runs.\n"
    "\n"
    "  info      what is in it: sizes, spans, oldest and newest, organisations,\n"
    "            destinations\n"
    "  verify    holds every record against those it belongs with; exit code 1 when\n"
    "            one does not fit\n"
    "  cleanup   removes what is older than an age\n"
    "  ttl       gives what is there the times to live that are configured now\n"
    "  compact   rewrites the file without its free space, while the agent goes on\n"
    "  rekey     gives an encrypted store another master key\n"
    "\n"
    "`untrace store SUBCOMMAND --help` says more.\n";
// clang-format on

static const struct option option_rows[] = {UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    if (argc < 2) {
        (void)fputs(help, stderr);
        return EX_USAGE;
    }
    ut_options_behind_command(argc, argv);
    const char *name_z = argv[1];
    if (strcmp(name_z, "--help") == 0 || strcmp(name_z, "-h") == 0 || strcmp(name_z, "help") == 0) {
        (void)fputs(help, stdout);
        return EX_OK;
    }
    for (const ut_command *const *at = ut_command_store_all; *at != NULL; at++) {
        if (strcmp((*at)->name_z + sizeof "store", name_z) == 0)
            return (*at)->run(argc - 1, argv + 1);
    }
    ut_nearest near = ut_nearest_of(name_z, strlen(name_z));
    for (const ut_command *const *at = ut_command_store_all; *at != NULL; at++)
        ut_nearest_try(&near, (*at)->name_z + sizeof "store");
    if (near.found_z == NULL)
        return ut_cli_usage("store", "there is no subcommand \"%s\"", name_z);
    return ut_cli_usage("store", "there is no subcommand \"%s\" (did you mean `untrace store %s`?)",
                        name_z, near.found_z);
}

const ut_command ut_command_store = {
    .name_z = "store",
    .run = run,
    .summary_z = "what the store holds; check it, clean it up, make it smaller",
    .help_z = help,
    .options = option_rows,
    .words = words,
};
