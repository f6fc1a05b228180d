// What each shell is told: a few lines that ask `untrace completion words` at every press of Tab,
// so that all shells complete the same.
#ifndef UT_AGENT_COMMANDS_COMPLETION_SCRIPTS_H
#define UT_AGENT_COMMANDS_COMPLETION_SCRIPTS_H

typedef struct {
    const char *shell_z;
    const char *script_z;
} ut_completion_script;

// bash, zsh, fish; ended by a shell that is NULL.
extern const ut_completion_script ut_completion_scripts[];

#endif
