// The exit code of a process that ends with an error, by sysexits.h.
#ifndef UT_AGENT_PROCESS_EXIT_CODE_H
#define UT_AGENT_PROCESS_EXIT_CODE_H

#include "port/base/err.h"

#include <sysexits.h>

// The exit code that fits an error.
int ut_exit_code(ut_err err);

#endif
