// The log of the agent: lines with time and level on standard error. Where else it could go is the
// business of what starts the agent.
#ifndef UT_AGENT_PROCESS_STDERR_LOG_H
#define UT_AGENT_PROCESS_STDERR_LOG_H

#include "port/base/log.h"

// A log that writes lines of this level and of more serious ones. It owns nothing. Any thread.
ut_log ut_stderr_log(ut_log_level level);

// Writes one line as UT_LOG_INFO whatever the level of the log is, for programs that wait for it.
void ut_stderr_log_always(const char *line_z);

#endif
