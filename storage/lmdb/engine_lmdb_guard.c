// The way out of a call into LMDB; see engine_lmdb_guard.h.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_guard.h"

#include "port/base/err.h"
#include "storage/engine.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The mutable global state of the program is all here: a signal handler and LMDB's assertion are
// told nothing of the call that they interrupt. One pointer for each thread, what the process did
// with these signals before, and its last words, which are written before other threads exist.
static _Thread_local jmp_buf *volatile current;
static pthread_mutex_t setting_up = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before_segv;
static struct sigaction before_bus;
static char note[UT_ENGINE_FAULT_NOTE_MAX]; // empty: none
static int bus_exit;

void ut_lmdb_guard_enter(jmp_buf *trap)
{
    current = trap;
}

void ut_lmdb_guard_contradiction(MDB_env *env, const char *message_z)
{
    jmp_buf *trap = current;
    (void)env; // which transaction it was is known where the trap is
    if (trap == NULL)
        ut_panic(__FILE__, __LINE__, message_z);
    current = NULL;
    longjmp(*trap, 1);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    const struct sigaction *before = number == SIGBUS ? &before_bus : &before_segv;
    jmp_buf *trap = current;
    // Somebody sent it (kill, raise): it tells nothing of the call, and does not come again.
    bool sent = info->si_code <= 0;
    if (trap != NULL && !sent) {
        current = NULL;
        longjmp(*trap, 1); // SA_NODEFER: the signal is not blocked, there is no mask to restore
    }
    const bool handled = (before->sa_flags & SA_SIGINFO) != 0;
    if (sent && !handled && before->sa_handler == SIG_IGN)
        return;
    if (!handled && before->sa_handler == SIG_DFL && note[0] != '\0') {
        const ssize_t written = write(STDERR_FILENO, note, strlen(note));
        (void)written; // there is nobody left to tell
        if (number == SIGBUS)
            _exit(bus_exit);
    }
    // Not ours: the instruction is run again, and meets what was there before.
    (void)sigaction(number, before, NULL);
    if (sent)
        (void)raise(number);
}

static void take(int number, struct sigaction *before)
{
    struct sigaction now;
    if (sigaction(number, NULL, &now) != 0 ||
        ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_fault))
        return;
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = (int)(SA_SIGINFO | SA_NODEFER | SA_ONSTACK)};
    (void)sigemptyset(&action.sa_mask);
    *before = now;
    // Without it damage ends the program, as it would without this file.
    (void)sigaction(number, &action, NULL);
}

void ut_lmdb_guard_set_up(void)
{
    (void)pthread_mutex_lock(&setting_up); // cannot fail: not recursive, not held
    take(SIGSEGV, &before_segv);
    take(SIGBUS, &before_bus);
    (void)pthread_mutex_unlock(&setting_up);
}

void ut_engine_lmdb_note_faults(const char *note_z, int bus_exit_code)
{
    (void)snprintf(note, sizeof(note), "%s", note_z); // a longer one is cut
    bus_exit = bus_exit_code;
    ut_lmdb_guard_set_up();
}
