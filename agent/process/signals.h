// The signals of a process that ends cleanly. They are blocked in every thread and taken where the
// main thread waits for them, so that no code ever runs inside a handler.
#ifndef UT_AGENT_PROCESS_SIGNALS_H
#define UT_AGENT_PROCESS_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

typedef struct {
    sigset_t taken; // SIGTERM, SIGINT, SIGHUP, and SIGUSR1 for ut_signals_wake
    sigset_t stops; // SIGTERM, SIGINT
    pthread_t waiter;
} ut_signals;

// Blocks the signals for this thread and for the threads that it starts from now on, and ignores
// SIGPIPE. Main thread, before other threads exist.
void ut_signals_block(ut_signals *signals);

// Waits for a signal until deadline_ms (monotonic; UINT64_MAX: no end). Returns its number, or 0
// after ut_signals_wake and at the deadline. The thread that called ut_signals_block.
int ut_signals_wait(const ut_signals *signals, uint64_t deadline_ms);

// Ends the wait under way, else the next one. Any thread.
void ut_signals_wake(const ut_signals *signals);

// Lets SIGTERM and SIGINT end the process by themselves again.
void ut_signals_unblock_stops(const ut_signals *signals);

#endif
