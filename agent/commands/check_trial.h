// Whether `untrace run` would start: what it does at its start, tried and taken back.
#ifndef UT_AGENT_COMMANDS_CHECK_TRIAL_H
#define UT_AGENT_COMMANDS_CHECK_TRIAL_H

#include "agent/config/config.h"

typedef struct {
    uint64_t agent_pid; // of the agent that runs with this data directory; 0: none
    bool port_held;     // by that agent, which a restart would end first
} ut_check_trial;

// Tries certificates, key, data directory, store and port of a configuration that was read for
// UT_CONFIG_RUN, and warns in log of what a start would warn of. Returns the exit code with which
// `untrace run` would end; EX_OK: it would start, and fault is not set. Where an agent runs with
// the data directory, what it holds counts as free.
int ut_check_try(const ut_config *config, const ut_log *log, ut_check_trial *trial,
                 ut_fault *fault);

#endif
