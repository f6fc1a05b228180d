// The way out of a call into LMDB; see engine_lmdb_guard.h.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_guard.h"

#include "port/base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

// A signal handler and LMDB's assertion are told nothing of the call that they interrupt, so it
// stands here: one pointer for each thread, and what the process did with these signals before.
static _Thread_local jmp_buf *volatile current;
static pthread_mutex_t setting_up = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before_segv;
static struct sigaction before_bus;

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
    if (sent && (before->sa_flags & SA_SIGINFO) == 0 && before->sa_handler == SIG_IGN)
        return;
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
