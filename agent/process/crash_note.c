// The last words of a process that a damaged store file ends.
#include "agent/process/crash_note.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

// A signal handler is told nothing but the signal, so the text stands here: the one piece of global
// state, written once before any thread exists.
static char note[4608];

static void on_fault(int number)
{
    const ssize_t written = write(STDERR_FILENO, note, strlen(note));
    (void)written; // there is nobody left to tell
    if (number == SIGBUS)
        _exit(EX_DATAERR);
    (void)raise(number); // the default action is back (SA_RESETHAND)
}

void ut_crash_note(const char *data_dir_z)
{
    if (data_dir_z == NULL)
        return;
    (void)snprintf(
        note, sizeof(note),
        "untrace: stopped by a fault of memory while %s/store.mdb was open. If its disk is failing "
        "or the file was damaged, restore it from a copy, or move it away to start with an empty "
        "store; otherwise this is a mistake in the program, please report it\n",
        data_dir_z);
    const int numbers[] = {SIGBUS, SIGSEGV};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        if (sigaction(numbers[i], NULL, &before) != 0 || before.sa_handler != SIG_DFL)
            continue;
        struct sigaction action = {.sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND};
        (void)sigemptyset(&action.sa_mask);
        (void)sigaction(numbers[i], &action, NULL); // without it only the words are missing
    }
}
