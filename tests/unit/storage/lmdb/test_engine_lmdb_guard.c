// Faults of memory outside of guarded calls: the note is written, and the process ends as promised.
#include "storage/engine.h"
#include "tests/support/engine_calls.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUS_EXIT = 65, BUDGET = 4 * 1024 * 1024 };

static const char note_z[] = "the last words\n";

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char words_z[UT_TEMP_PATH_MAX]; // what the child writes to standard error
    bool opened;                    // a store, before the fault
    bool bus;
    bool sent;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "words", f->words_z);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

// Touches a page that is not there: of a file that was cut (SIGBUS), or of nothing (SIGSEGV).
static void touch_nothing(const fixture *f, int file)
{
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    UT_ASSERT(ftruncate(file, f->bus ? 0 : (off_t)page_bytes) == 0);
    volatile uint8_t *page =
        mmap(NULL, page_bytes, f->bus ? PROT_READ : PROT_NONE, MAP_SHARED, file, 0);
    UT_ASSERT(page != MAP_FAILED);
    (void)page[0];
}

static void meet_fault(void *context)
{
    const fixture *f = context;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "file", path_z);
    const int words = open(f->words_z, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int file = open(path_z, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    UT_ASSERT(words >= 0 && file >= 0 && dup2(words, STDERR_FILENO) == STDERR_FILENO);
    ut_engine_lmdb_note_faults(note_z, BUS_EXIT);
    if (f->opened)
        (void)ut_test_open_lmdb(f->dir_z, BUDGET);
    if (f->sent)
        (void)raise(f->bus ? SIGBUS : SIGSEGV);
    else
        touch_nothing(f, file);
}

static void a_fault_writes_the_note_and_ends_the_process(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 8; i++) {
        f->opened = (i & 1) != 0;
        f->bus = (i & 2) != 0;
        f->sent = (i & 4) != 0;
        assert_int_equal(ut_test_in_child(meet_fault, f), f->bus ? BUS_EXIT : -SIGSEGV);
        size_t len;
        uint8_t *words = ut_test_read_whole(f->words_z, &len);
        // An emulator of another processor adds its own line when a signal ends the process.
        assert_true(len == strlen(note_z) || (!f->bus && len > strlen(note_z)));
        assert_memory_equal(words, note_z, strlen(note_z));
        free(words);
    }
}

static void handle(int number)
{
    (void)number;
    _exit(9);
}

static void meet_fault_with_a_handler(void *context)
{
    (void)signal(SIGSEGV, handle);
    (void)signal(SIGBUS, handle);
    meet_fault(context);
}

static void a_handler_that_was_there_gets_the_fault(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 4; i++) {
        f->bus = (i & 1) != 0;
        f->sent = (i & 2) != 0;
        assert_int_equal(ut_test_in_child(meet_fault_with_a_handler, f), 9);
        size_t len;
        free(ut_test_read_whole(f->words_z, &len));
        assert_int_equal(len, 0);
    }
}

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_fault_writes_the_note_and_ends_the_process),
        CLAIM(a_handler_that_was_there_gets_the_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
