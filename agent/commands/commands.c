// The table of subcommands, and finding one in it.
#include "agent/commands/commands.h"

#include "agent/cli/cli.h"
#include "agent/commands/cmd_store.h"
#include "agent/config/config_reference.h"
#include "port/base/nearest.h"

#include <string.h>

static const ut_command_group groups[] = {
    {"Run it", {&ut_command_run, &ut_command_check, &ut_command_init, &ut_command_send}},
    {"Look",
     {&ut_command_status, &ut_command_top, &ut_command_traces, &ut_command_trace, &ut_command_spans,
      &ut_command_stats, &ut_command_failures}},
    {"Move data", {&ut_command_export, &ut_command_import}},
    {"Look after the store", {&ut_command_store}},
    {"About this program", {&ut_command_completion, &ut_command_version}},
};

const ut_command_group *ut_command_groups(size_t *count)
{
    *count = sizeof(groups) / sizeof(groups[0]);
    return groups;
}

size_t ut_command_all(const ut_command *commands[UT_COMMANDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (const ut_command *const *at = groups[i].commands; *at != NULL; at++) {
            UT_ASSERT(count < UT_COMMANDS_MAX);
            commands[count++] = *at;
            if (*at != &ut_command_store)
                continue;
            for (const ut_command *const *sub = ut_command_store_all; *sub != NULL; sub++) {
                UT_ASSERT(count < UT_COMMANDS_MAX);
                commands[count++] = *sub;
            }
        }
    }
    return count;
}

const ut_command *ut_command_find(const char *name_z)
{
    const ut_command *commands[UT_COMMANDS_MAX];
    const size_t count = ut_command_all(commands);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i]->name_z, name_z) == 0)
            return commands[i];
    }
    return NULL;
}

const ut_command *ut_command_nearest(const char *name_z)
{
    const ut_command *commands[UT_COMMANDS_MAX];
    const size_t count = ut_command_all(commands);
    ut_nearest search = ut_nearest_of(name_z, strlen(name_z));
    for (size_t i = 0; i < count; i++)
        ut_nearest_try(&search, commands[i]->name_z);
    return search.found_z != NULL ? ut_command_find(search.found_z) : NULL;
}

const char *ut_command_topic(const char *name_z)
{
    return strcmp(name_z, "config") == 0 ? ut_config_reference_z : NULL;
}

void ut_command_help(FILE *out)
{
    (void)fprintf(out,
                  "untrace %s: keeps traces safe on the device and carries them on.\n"
                  "\n"
                  "usage: untrace COMMAND [options]\n",
                  UT_VERSION);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        (void)fprintf(out, "\n%s:\n", groups[i].title_z);
        for (const ut_command *const *at = groups[i].commands; *at != NULL; at++)
            (void)fprintf(out, "  %-10s  %s\n", (*at)->name_z, (*at)->summary_z);
    }
    // clang-format off
    (void)fputs(
        "\n"
        "`untrace help COMMAND` says more, `untrace help config` has every key of the\n"
        "configuration. --config and --data-dir may stand in front of the command.\n"
        "To begin: `untrace run`, and in a second terminal `untrace send`, then\n"
        "`untrace traces`.\n"
        "\n"
        "Exit codes: 0 done; 64 usage; 65 damaged data; 66 not found; 69 not reachable;\n"
        "71 out of memory; 73 cannot be made; 74 disk or output; 75 busy, try again;\n"
        "76 refused; 77 permission; 78 configuration (sysexits.h).\n",
        out);
    // clang-format on
}
