// The table of subcommands: what the help lists, main runs and completion offers. What a subcommand
// does is in cmd_NAME.c.
#ifndef UT_AGENT_COMMANDS_COMMANDS_H
#define UT_AGENT_COMMANDS_COMMANDS_H

#include "agent/commands/command.h"

#include <stdio.h>

enum { UT_COMMAND_GROUP_MAX = 12, UT_COMMANDS_MAX = 64 };

// Subcommands that belong together.
typedef struct {
    const char *title_z;
    const ut_command *commands[UT_COMMAND_GROUP_MAX + 1]; // NULL behind the last
} ut_command_group;

// The groups in the order of the help; *count: out.
const ut_command_group *ut_command_groups(size_t *count);

// All of them in that order, `store` followed by its own ("store info"). Returns how many.
size_t ut_command_all(const ut_command *commands[UT_COMMANDS_MAX]);

// NULL when there is none of that name; "store info" is found too.
const ut_command *ut_command_find(const char *name_z);

// The one whose name is nearest to a name that is none, or NULL when none is near.
const ut_command *ut_command_nearest(const char *name_z);

// The text of `untrace help NAME` for a name that is no command: "config". NULL when it is none.
const char *ut_command_topic(const char *name_z);

// Prints the text of `untrace help`.
void ut_command_help(FILE *out);

#endif
