// The log of the agent: lines with time and level on standard error, as text or as JSON. Where
// standard error is the journal, each line begins with its priority as sd-daemon(3) has it: "<4>".
// Where else it could go is the business of what starts the agent.
#ifndef UT_AGENT_PROCESS_STDERR_LOG_H
#define UT_AGENT_PROCESS_STDERR_LOG_H

#include "port/base/log.h"

#include <stdbool.h>

// A log that writes lines of this level and of more serious ones. It owns nothing. Any thread.
ut_log ut_stderr_log(ut_log_level level, ut_log_format format);

// Writes one line as UT_LOG_INFO whatever the level of the log is, for programs that wait for it.
void ut_stderr_log_always(const ut_log *log, const char *line_z);

// Whether standard error is the stream of the journal that JOURNAL_STREAM names.
bool ut_stderr_is_journal(void);

#endif
