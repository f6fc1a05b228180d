// Blocking and taking signals; see signals.h.
#include "agent/process/signals.h"

#include "port/port.h"

#include <time.h>

void ut_signals_block(ut_signals *signals)
{
    signals->waiter = pthread_self();
    (void)sigemptyset(&signals->stops);
    (void)sigaddset(&signals->stops, SIGTERM);
    (void)sigaddset(&signals->stops, SIGINT);
    signals->taken = signals->stops;
    (void)sigaddset(&signals->taken, SIGHUP);
    (void)sigaddset(&signals->taken, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &signals->taken, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

int ut_signals_wait(const ut_signals *signals, uint64_t deadline_ms)
{
    int got;
    if (deadline_ms == UINT64_MAX) {
        got = sigwaitinfo(&signals->taken, NULL);
    } else {
        const uint64_t now_ms = ut_clock_mono_ms();
        const uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        const struct timespec left = {.tv_sec = (time_t)(left_ms / 1000),
                                      .tv_nsec = (long)(left_ms % 1000) * 1000000};
        got = sigtimedwait(&signals->taken, NULL, &left);
    }
    return got > 0 && got != SIGUSR1 ? got : 0;
}

void ut_signals_wake(const ut_signals *signals)
{
    (void)pthread_kill(signals->waiter, SIGUSR1);
}

void ut_signals_unblock_stops(const ut_signals *signals)
{
    (void)pthread_sigmask(SIG_UNBLOCK, &signals->stops, NULL);
}
