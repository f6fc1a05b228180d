// The data directory: made, locked by one process at a time, and its store opened with its budget.
#include "agent/process/data_dir.h"

#include "agent/process/exit_code.h"
#include "tests/support/otlp_body.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BUDGET = 8 * 1024 * 1024,
    OTHER_USER = 65534, // nobody
};

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char lock_z[UT_TEMP_PATH_MAX];
    ut_config config;
    ut_fault fault;
    int lock_fd;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "untrace.lock", f->lock_z);
    f->config.data_dir_z = f->dir_z;
    f->config.storage.bytes_max = BUDGET;
    f->lock_fd = -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (f->lock_fd >= 0)
        (void)close(f->lock_fd);
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

static void assert_says(const fixture *f, const char *text_z)
{
    if (strstr(f->fault.text_z, text_z) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text_z, f->fault.text_z);
}

static int lock(fixture *f)
{
    return ut_data_dir_lock(f->dir_z, NULL, &f->lock_fd, &f->fault);
}

// ---- trying ----

static void a_try_leaves_what_was_there_and_nothing_else(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"", "/", "/a", "/a/", "/a/b/c", "//a//b/", "/./a"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path_z[2 * UT_TEMP_PATH_MAX];
        char a_z[UT_TEMP_PATH_MAX];
        (void)snprintf(path_z, sizeof(path_z), "%s%s", f->dir_z, names[i]);
        assert_int_equal(ut_data_dir_try(path_z, NULL, &f->fault), EX_OK);
        ut_temp_path(f->dir_z, "a", a_z);
        assert_int_equal(access(a_z, F_OK), -1);
        assert_int_equal(access(f->lock_z, F_OK), -1);
        assert_int_equal(access(f->dir_z, F_OK), 0);
    }
}

static void a_try_finds_what_a_start_would_find(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "file", path_z);
    const int fd = open(path_z, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(ut_data_dir_try(path_z, NULL, &f->fault), EX_CANTCREAT);
    assert_int_equal(unlink(path_z), 0);
    // Another start holds the lock; then nobody does, but its file is there.
    assert_int_equal(lock(f), EX_OK);
    assert_int_equal(ut_data_dir_try(f->dir_z, NULL, &f->fault), EX_TEMPFAIL);
    assert_says(f, "another agent or command (process ");
    assert_int_equal(close(f->lock_fd), 0);
    f->lock_fd = -1;
    assert_int_equal(ut_data_dir_try(f->dir_z, NULL, &f->fault), EX_OK);
    assert_int_equal(unlink(f->lock_z), 0);
    assert_int_equal(symlink("/dev/null", f->lock_z), 0);
    assert_int_equal(ut_data_dir_try(f->dir_z, NULL, &f->fault), EX_NOPERM);
    assert_says(f, "it is a link");
}

// ---- reading ----

static void what_cannot_be_read_says_what_to_do(void **state)
{
    fixture *f = *state;
    char file_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "file", file_z);
    const int fd = open(file_z, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(ut_data_dir_find_store(file_z, &f->fault), EX_NOINPUT);
    assert_says(f, "file is no directory, expected the data directory");
    assert_int_equal(unlink(file_z), 0);
    assert_int_equal(ut_data_dir_find_store(file_z, &f->fault), EX_NOINPUT);
    assert_says(f, "(no such directory)");
    (void)ut_fault_set(&f->fault, UT_ENOTFOUND, "x");
    ut_data_dir_explain(f->dir_z, &f->fault);
    assert_says(f, "(no store.mdb): has an agent run");
    // Our own directory needs no other user; other faults are left alone.
    (void)ut_fault_set(&f->fault, UT_EPERM, "may not");
    ut_data_dir_explain(f->dir_z, &f->fault);
    assert_string_equal(f->fault.text_z, "may not");
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(f->dir_z, OTHER_USER, OTHER_USER), 0);
    ut_data_dir_explain(f->dir_z, &f->fault);
    assert_says(f, "may not; the data directory belongs to the user ");
    assert_says(f, ": sudo -u ");
}

// ---- making ----

static void what_is_missing_is_made_for_this_user_only(void **state)
{
    fixture *f = *state;
    char above_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "a", above_z);
    ut_temp_path(above_z, "b", path_z);
    const mode_t before = umask(0);
    assert_int_equal(ut_data_dir_make(path_z, &f->fault), EX_OK);
    (void)umask(before);
    assert_int_equal(stat(above_z, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(stat(path_z, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(ut_data_dir_make(path_z, &f->fault), EX_OK); // it is there already
    assert_int_equal(rmdir(path_z), 0);
    assert_int_equal(rmdir(above_z), 0);
}

static void a_file_in_its_place_is_told(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "file", path_z);
    assert_int_equal(close(open(path_z, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(ut_data_dir_make(path_z, &f->fault), EX_CANTCREAT);
    assert_says(f, path_z);
    char below_z[UT_TEMP_PATH_MAX];
    ut_temp_path(path_z, "below", below_z);
    assert_int_equal(ut_data_dir_make(below_z, &f->fault), EX_CANTCREAT);
    assert_int_equal(ut_data_dir_make("", &f->fault), EX_CANTCREAT);
    static char long_z[8192];
    memset(long_z, 'x', sizeof(long_z) - 1);
    assert_int_equal(ut_data_dir_make(long_z, &f->fault), EX_CANTCREAT);
}

// ---- the lock ----

// A child that holds the lock until it is killed. Returns when it has it.
static pid_t start_holder(const fixture *f)
{
    int ends[2];
    char ready = 0;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int lock_fd = -1;
        if (ut_data_dir_lock(f->dir_z, NULL, &lock_fd, NULL) != EX_OK)
            _exit(1);
        if (write(ends[1], "x", 1) != 1)
            _exit(2);
        for (;;)
            (void)pause();
    }
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(read(ends[0], &ready, 1), 1);
    assert_int_equal(close(ends[0]), 0);
    return child;
}

static void count_line(void *context, ut_log_level level, const char *line, size_t len)
{
    unsigned *count = context;
    if (level == UT_LOG_WARN && memmem(line, len, "chmod o-w", 9) != NULL)
        *count += 1;
}

static void a_directory_that_every_user_may_write_is_warned_of(void **state)
{
    fixture *f = *state;
    unsigned warned = 0;
    const ut_log log = {.level = UT_LOG_DEBUG, .write = count_line, .context = &warned};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(chmod(f->dir_z, i == 0 ? 0770 : 0777), 0);
        assert_int_equal(ut_data_dir_lock(f->dir_z, &log, &f->lock_fd, &f->fault), EX_OK);
        assert_int_equal(warned, i);
        (void)close(f->lock_fd);
        f->lock_fd = -1;
    }
}

static void kill_holder(pid_t child)
{
    int status = 0;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void a_lock_held_by_another_is_told_with_its_process(void **state)
{
    fixture *f = *state;
    const pid_t child = start_holder(f);
    char process_z[64];
    (void)snprintf(process_z, sizeof(process_z), "(process %ld)", (long)child);
    const int as_agent = lock(f);
    const ut_fault first = f->fault;
    if (f->lock_fd >= 0)
        (void)close(f->lock_fd);
    const int as_command = ut_data_dir_lock_own(f->dir_z, NULL, &f->lock_fd, &f->fault);
    const ut_fault second = f->fault;
    kill_holder(child);
    assert_int_equal(as_agent, EX_TEMPFAIL);
    assert_int_equal(as_command, EX_TEMPFAIL);
    assert_int_equal(first.code, UT_EBUSY);
    assert_non_null(strstr(first.text_z, process_z));
    assert_non_null(strstr(second.text_z, process_z));
    assert_non_null(strstr(second.text_z, f->dir_z));
}

static void a_killed_holder_leaves_no_lock_behind(void **state)
{
    fixture *f = *state;
    kill_holder(start_holder(f));
    assert_int_equal(lock(f), EX_OK);
    // The file names the process that holds it now.
    char pid_z[32];
    char expected_z[32];
    const ssize_t got = pread(f->lock_fd, pid_z, sizeof(pid_z) - 1, 0);
    assert_true(got > 0);
    pid_z[got] = '\0';
    (void)snprintf(expected_z, sizeof(expected_z), "%ld\n", (long)getpid());
    assert_string_equal(pid_z, expected_z);
}

// Asserts that the file at path_z still holds "precious".
static void assert_untouched(const char *path_z)
{
    char text[16];
    const int fd = open(path_z, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof(text)), 8);
    assert_memory_equal(text, "precious", 8);
    assert_int_equal(close(fd), 0);
}

static void a_link_under_its_name_is_left_alone(void **state)
{
    fixture *f = *state;
    char other_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "other", other_z);
    const int fd = open(other_z, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    assert_int_equal(close(fd), 0);

    assert_int_equal(symlink(other_z, f->lock_z), 0);
    assert_int_equal(lock(f), EX_NOPERM);
    assert_int_equal(f->fault.code, UT_EPERM);
    assert_says(f, f->lock_z);
    assert_says(f, "it is a link");
    assert_true(f->lock_fd < 0);
    assert_untouched(other_z);
    assert_int_equal(unlink(f->lock_z), 0);

    assert_int_equal(link(other_z, f->lock_z), 0); // a second name of the file
    assert_int_equal(lock(f), EX_NOPERM);
    assert_says(f, "not a plain file with one name");
    assert_true(f->lock_fd < 0);
    assert_untouched(other_z);
    assert_int_equal(unlink(f->lock_z), 0);
}

static void what_is_no_file_under_its_name_is_refused(void **state)
{
    fixture *f = *state;
    assert_int_equal(mkfifo(f->lock_z, 0600), 0);
    assert_int_equal(lock(f), EX_NOPERM); // and does not wait for a reader of the pipe
    assert_says(f, "not a plain file");
    assert_true(f->lock_fd < 0);
    assert_int_equal(unlink(f->lock_z), 0);
    assert_int_equal(lock(f), EX_OK);
}

// ---- a directory of another user ----

static void give_away(const fixture *f)
{
    if (geteuid() != 0)
        skip(); // only root can give a directory away
    assert_int_equal(chown(f->dir_z, OTHER_USER, OTHER_USER), 0);
}

static void a_command_makes_nothing_in_a_foreign_directory(void **state)
{
    fixture *f = *state;
    give_away(f);
    assert_int_equal(ut_data_dir_lock_own(f->dir_z, NULL, &f->lock_fd, &f->fault), EX_NOPERM);
    assert_int_equal(f->fault.code, UT_EPERM);
    assert_says(f, f->dir_z);
    assert_says(f, "belongs to the user ");
    assert_says(f, "sudo -u ");
    assert_true(f->lock_fd < 0);
    assert_int_equal(access(f->lock_z, F_OK), -1);
    // Neither does it write into a lock that is there.
    assert_int_equal(close(open(f->lock_z, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(ut_data_dir_lock_own(f->dir_z, NULL, &f->lock_fd, &f->fault), EX_NOPERM);
    struct stat status;
    assert_int_equal(stat(f->lock_z, &status), 0);
    assert_int_equal(status.st_size, 0);
    assert_true(f->lock_fd < 0);
}

static void an_agent_in_a_foreign_directory_can_be_asked(void **state)
{
    fixture *f = *state;
    give_away(f);
    const pid_t child = start_holder(f);
    const int code = ut_data_dir_lock_own(f->dir_z, NULL, &f->lock_fd, &f->fault);
    kill_holder(child);
    assert_int_equal(code, EX_TEMPFAIL);
}

// ---- the store ----

static void a_missing_store_is_told_and_not_made(void **state)
{
    fixture *f = *state;
    ut_store *store = NULL;
    assert_int_equal(ut_data_dir_find_store(f->dir_z, &f->fault), EX_NOINPUT);
    assert_int_equal(f->fault.code, UT_ENOTFOUND);
    assert_says(f, f->dir_z);
    assert_int_equal(ut_data_dir_open_existing(&f->config, NULL, &store, &f->fault), EX_NOINPUT);
    assert_null(store);
    assert_int_equal(ut_data_dir_find_store(f->dir_z, &f->fault), EX_NOINPUT);
    assert_int_equal(ut_data_dir_open_store(&f->config, NULL, &store, &f->fault), EX_OK);
    ut_store_close(store);
    assert_int_equal(ut_data_dir_find_store(f->dir_z, &f->fault), EX_OK);
}

// The disk behind it is not there yet: a new store in its place would hide the old one.
static void a_link_to_nothing_is_no_missing_store(void **state)
{
    fixture *f = *state;
    ut_store *store = NULL;
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_equal(symlink("/no/such/disk/store.mdb", path_z), 0);
    assert_int_equal(ut_data_dir_find_store(f->dir_z, &f->fault), EX_OK);
    assert_int_equal(ut_data_dir_open_store(&f->config, NULL, &store, &f->fault), EX_NOPERM);
    assert_says(f, path_z);
    assert_says(f, "/no/such/disk/store.mdb");
    assert_int_equal(ut_data_dir_open_existing(&f->config, NULL, &store, &f->fault), EX_NOPERM);
    assert_int_equal(lstat(path_z, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
}

static bool is_active(const ut_store *store, const char *name_z)
{
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name_z, name_z) == 0)
            return all[i].active;
    }
    fail_msg("there is no destination %s", name_z);
    return false;
}

// A destination is kept from the first commit on.
static void commit_a_span(ut_store *store)
{
    ut_batch batch;
    ut_batch_init(&batch, 1024 * 1024);
    ut_make_spans(1, 1, &batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(store, ut_clock_wall_ns(), &append, 1, NULL, 0), UT_OK);
    ut_batch_free(&batch);
}

static void a_command_keeps_the_budget_and_the_destinations(void **state)
{
    fixture *f = *state;
    ut_store *store = NULL;
    uint32_t dest = 0;
    assert_int_equal(ut_data_dir_open_store(&f->config, NULL, &store, &f->fault), EX_OK);
    assert_int_equal(ut_store_add_destination(store, UT_ORG_DEFAULT, "one", &dest), UT_OK);
    commit_a_span(store);
    ut_store_close(store);

    const uint64_t others[] = {BUDGET / 2, BUDGET * 4};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        f->config.storage.bytes_max = others[i];
        assert_int_equal(ut_data_dir_open_existing(&f->config, NULL, &store, &f->fault), EX_OK);
        assert_int_equal(f->config.storage.bytes_max, BUDGET);
        assert_true(is_active(store, "one"));
        ut_store_close(store);
    }
    // An agent starts with the destinations of its configuration.
    assert_int_equal(ut_data_dir_open_store(&f->config, NULL, &store, &f->fault), EX_OK);
    assert_false(is_active(store, "one"));
    ut_store_close(store);
}

static void what_is_no_store_is_named_and_left(void **state)
{
    fixture *f = *state;
    ut_store *store = NULL;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    const int fd = open(path_z, O_CREAT | O_WRONLY, 0600);
    static const char junk[3 * 4096] = "this is no store";
    assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
    assert_int_equal(close(fd), 0);
    assert_int_equal(ut_data_dir_open_store(&f->config, NULL, &store, &f->fault), EX_DATAERR);
    assert_says(f, path_z);
    assert_says(f, "move it away");
    assert_int_equal(ut_data_dir_open_existing(&f->config, NULL, &store, &f->fault), EX_DATAERR);
    assert_says(f, path_z);
    assert_null(store);
}

static void a_fault_of_the_store_gets_its_place_and_the_remedy_for_damage(void **state)
{
    fixture *f = *state;
    f->fault = (ut_fault){UT_ECORRUPT, "the ledger is damaged"};
    ut_data_dir_name_fault("/data", &f->fault);
    assert_int_equal(f->fault.code, UT_ECORRUPT);
    assert_string_equal(f->fault.text_z, "/data: the ledger is damaged. Restore it from a copy, or "
                                         "move it away to start with an empty store");
    f->fault = (ut_fault){UT_EVERSION, "format 9 is newer than 1"};
    ut_data_dir_name_fault("/data", &f->fault);
    assert_string_equal(f->fault.text_z, "/data: format 9 is newer than 1");
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_try_leaves_what_was_there_and_nothing_else),
        CLAIM(a_try_finds_what_a_start_would_find),
        CLAIM(what_cannot_be_read_says_what_to_do),
        CLAIM(what_is_missing_is_made_for_this_user_only),
        CLAIM(a_file_in_its_place_is_told),
        CLAIM(a_directory_that_every_user_may_write_is_warned_of),
        CLAIM(a_lock_held_by_another_is_told_with_its_process),
        CLAIM(a_killed_holder_leaves_no_lock_behind),
        CLAIM(a_link_under_its_name_is_left_alone),
        CLAIM(what_is_no_file_under_its_name_is_refused),
        CLAIM(a_command_makes_nothing_in_a_foreign_directory),
        CLAIM(an_agent_in_a_foreign_directory_can_be_asked),
        CLAIM(a_missing_store_is_told_and_not_made),
        CLAIM(a_link_to_nothing_is_no_missing_store),
        CLAIM(a_command_keeps_the_budget_and_the_destinations),
        CLAIM(what_is_no_store_is_named_and_left),
        CLAIM(a_fault_of_the_store_gets_its_place_and_the_remedy_for_damage),
    };
    return cmocka_run_group_tests_name("data_dir", tests, NULL, NULL);
}
