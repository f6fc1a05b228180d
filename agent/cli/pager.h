// The pager behind a long output on a terminal, as git has one: the program of UNTRACE_PAGER, else
// of PAGER, else less with the options FRX, where it is installed. Not for output to pipes and
// files, which never meets a pager.
#ifndef UT_AGENT_CLI_PAGER_H
#define UT_AGENT_CLI_PAGER_H

#include "agent/cli/options.h"

#include <sys/types.h>

// All zero at first: none has been started.
typedef struct {
    pid_t process; // of the pager; 0: none
    int saved_out; // the standard output and error of before; -1: not replaced
    int saved_err;
} ut_pager;

// Starts the pager, and makes it the standard output, and the standard error where that is a
// terminal too. Does nothing when it runs already, for --no-pager, where standard output is no
// terminal, where UNTRACE_PAGER (or PAGER, if that is not set) is empty or "cat", and where there
// is no less. From then on Ctrl-C is the pager's, and writes behind its end fail with EPIPE. Is
// called when the first output is ready, so that Ctrl-C ends a long search.
void ut_pager_begin(ut_pager *pager, const ut_options *options);

// Hands the output over and waits until the pager is left. Does nothing without one.
void ut_pager_end(ut_pager *pager);

#endif
