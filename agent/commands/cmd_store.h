// The subcommands of `untrace store`, each in a file cmd_store_NAME.c of its own. Their names are
// two words, "store info", as messages show them; the table of cmd_store.c runs them.
#ifndef UT_AGENT_COMMANDS_CMD_STORE_H
#define UT_AGENT_COMMANDS_CMD_STORE_H

#include "agent/cli/options.h"
#include "agent/commands/command.h"

// Options without a letter.
enum { UT_STORE_OPTION_DRY_RUN = UT_OPTION_OWN, UT_STORE_OPTION_DELIVERED };

extern const ut_command ut_command_store;
extern const ut_command ut_command_store_info;
extern const ut_command ut_command_store_verify;
extern const ut_command ut_command_store_cleanup;
extern const ut_command ut_command_store_ttl;
extern const ut_command ut_command_store_compact;
extern const ut_command ut_command_store_rekey;

// The subcommands in the order of the help, NULL behind the last: for completion.
extern const ut_command *const ut_command_store_all[];

#endif
