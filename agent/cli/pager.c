// Starts a pager and waits for it; see pager.h.
#include "agent/cli/pager.h"

#include "agent/cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, COLUMNS_TEXT_MAX = 16 };

static const char shell_z[] = "/bin/sh";
static const char less_z[] = "less";

// A program of that name stands in one of the folders of PATH.
static bool is_installed(const char *name_z)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != 0) {
        char path_z[PATH_BYTES_MAX];
        const int len = (int)strcspn(at, ":");
        const int written = snprintf(path_z, sizeof(path_z), "%.*s/%s", len, at, name_z);
        if (written > 0 && (size_t)written < sizeof(path_z) && access(path_z, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

// The command line of the pager, or NULL.
static const char *choose(void)
{
    const char *wanted_z = getenv("UNTRACE_PAGER");
    if (wanted_z == NULL)
        wanted_z = getenv("PAGER");
    if (wanted_z == NULL)
        return is_installed(less_z) ? less_z : NULL;
    if (wanted_z[0] == 0 || strcmp(wanted_z, "cat") == 0 || access(shell_z, X_OK) != 0)
        return NULL;
    return wanted_z;
}

static _Noreturn void become_pager(const char *command_z, int input)
{
    (void)dup2(input, STDIN_FILENO);
    // One screen is shown and left at once, colours pass, the screen is not cleared behind it. An
    // environment that has the options for less already keeps them.
    (void)setenv("LESS", "FRX", 0);
    (void)setenv("LV", "-c", 0);
    if (strcmp(command_z, less_z) == 0)
        (void)execlp(less_z, less_z, (char *)NULL);
    else
        (void)execl(shell_z, "sh", "-c", command_z, (char *)NULL);
    _exit(EX_UNAVAILABLE);
}

// Puts `with` in the place of a descriptor. Returns what stood there before, or -1.
static int replace(int descriptor, int with)
{
    const int saved = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (saved >= 0)
        (void)dup2(with, descriptor);
    return saved;
}

static void put_back(int descriptor, int *saved)
{
    if (*saved < 0)
        return;
    (void)dup2(*saved, descriptor);
    (void)close(*saved);
    *saved = -1;
}

void ut_pager_begin(ut_pager *pager, const ut_options *options)
{
    int ends[2];
    char columns_z[COLUMNS_TEXT_MAX];
    if (pager->process > 0 || options->no_pager || !isatty(STDOUT_FILENO))
        return;
    const char *command_z = choose();
    if (command_z == NULL || pipe2(ends, O_CLOEXEC) != 0)
        return;
    (void)snprintf(columns_z, sizeof(columns_z), "%u", ut_term_stdout().width);
    (void)fflush(stdout);
    const pid_t process = fork();
    if (process == 0)
        become_pager(command_z, ends[0]);
    if (process > 0) {
        *pager = (ut_pager){.process = process, .saved_out = -1, .saved_err = -1};
        pager->saved_out = replace(STDOUT_FILENO, ends[1]);
        if (isatty(STDERR_FILENO))
            pager->saved_err = replace(STDERR_FILENO, ends[1]);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)setenv(UT_TERM_PAGED, columns_z, 1); // for ut_term_stdout
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

void ut_pager_end(ut_pager *pager)
{
    if (pager->process <= 0)
        return;
    (void)fflush(stdout);
    put_back(STDOUT_FILENO, &pager->saved_out);
    put_back(STDERR_FILENO, &pager->saved_err);
    clearerr(stdout); // a pager that was left early is no failure
    while (waitpid(pager->process, NULL, 0) < 0 && errno == EINTR)
        ;
    pager->process = 0;
    (void)unsetenv(UT_TERM_PAGED);
    (void)signal(SIGINT, SIG_DFL);
}
