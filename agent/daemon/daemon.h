// The agent as it runs: data directory, threads, signals, stop. Each thread has a file of its own.
#ifndef UT_AGENT_DAEMON_DAEMON_H
#define UT_AGENT_DAEMON_DAEMON_H

#include "agent/config/config.h"

// Runs the agent until SIGTERM or SIGINT, then stops cleanly within config->stop_timeout_ms; a
// second such signal ends the process at once, with exit code 128 + signal. Returns the exit code
// of the process (sysexits). When that is not 0, fault holds what a person needs to know.
//
// config is borrowed; the numbers of its destinations are set. Log lines go to standard error. Call
// it on the main thread, before any other thread exists: it blocks the signals that it waits for.
//
// Exit codes:
//   0   stopped by a signal
//   65  damaged store, or one of another version
//   69  the address to listen on is in use, or not of this machine
//   70  a thread of the agent has failed
//   71  out of memory or threads
//   73  the data directory cannot be made
//   74  disk
//   75  another agent or command holds the data directory
//   77  permission
//   78  configuration
int ut_daemon_run(ut_config *config, ut_fault *fault);

#endif
