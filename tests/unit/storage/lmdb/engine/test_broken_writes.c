// LMDB: kills, full disks and writes that fail.
#include "storage/lmdb/lmdb_file.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"
#include "tests/support/engine_calls.h"
#include "tests/unit/storage/lmdb/engine/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool locks_survive_a_kill(void)
{
    pthread_mutexattr_t attribute;
    int robust = 0;
    (void)pthread_mutexattr_init(&attribute);
    (void)pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutexattr_getrobust(&attribute, &robust);
    return robust == PTHREAD_MUTEX_ROBUST; // not so under an emulator
}

// Commits counters until it is killed, and says on a pipe what it committed.
static void write_until_killed(const char *dir_z, int pipe_out)
{
    ut_engine *engine = ut_test_open_lmdb(dir_z, UT_ENGINE_FIXTURE_BYTES);
    uint64_t count = 0;
    ut_txn *txn = ut_test_begin(engine, false);
    ut_bytes value;
    if (ut_txn_get(txn, ut_bytes_of_z("a"), &value) == UT_OK)
        count = ut_get_be64(value.data);
    ut_txn_abort(txn);
    for (;;) {
        uint8_t bytes[3000] = {0};
        count += 1;
        ut_put_be64(bytes, count);
        txn = ut_test_begin(engine, true);
        UT_ASSERT(ut_txn_put(txn, ut_bytes_of_z("a"), (ut_bytes){bytes, 8}) == UT_OK);
        uint8_t key[2] = {'b', (uint8_t)(count % 200)};
        UT_ASSERT(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof(bytes)}) == UT_OK);
        UT_ASSERT(ut_txn_commit(txn) == UT_OK);
        UT_ASSERT(write(pipe_out, &count, sizeof(count)) == (ssize_t)sizeof(count));
    }
}

static void what_was_committed_survives_a_kill(void **state)
{
    ut_engine_fixture *f = *state;
    if (!locks_survive_a_kill())
        skip();
    ut_random random = {3};
    for (unsigned round = 0; round < 15; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = ut_test_fork();
        if (child == 0) {
            (void)close(ends[0]);
            write_until_killed(f->dir_z, ends[1]);
        }
        (void)close(ends[1]);
        uint64_t last = 0;
        uint64_t count;
        unsigned wanted = 1 + ut_random_below(&random, 30);
        while (wanted-- > 0 && read(ends[0], &count, sizeof(count)) == (ssize_t)sizeof(count))
            last = count;
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(ends[0], &count, sizeof(count)) == (ssize_t)sizeof(count))
            last = count;
        (void)close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(last > 0);
        ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
        ut_txn *txn = ut_test_begin(engine, false);
        ut_bytes value;
        assert_int_equal(ut_txn_get(txn, ut_bytes_of_z("a"), &value), UT_OK);
        uint64_t stored = ut_get_be64(value.data);
        assert_true(stored == last || stored == last + 1);
        ut_txn_abort(txn);
        ut_engine_close(engine);
    }
}

static void a_full_disk_is_an_error_and_passes(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(f->engine, "a", "1");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 256 * 1024, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    static uint8_t bytes[60000];
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 20 && err == UT_OK; i++) {
        uint8_t key[2] = {'k', (uint8_t)i};
        ut_txn *txn = ut_test_begin(f->engine, true);
        assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof(bytes)}),
                         UT_OK);
        err = ut_txn_commit(txn);
    }
    assert_true(err == UT_ENOSPC || err == UT_EIO);
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_test_assert_get(txn, "a", "1");
    ut_txn_abort(txn);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old);
    ut_test_store_z(f->engine, "a", "2");
    txn = ut_test_begin(f->engine, false);
    ut_test_assert_get(txn, "a", "2");
    ut_txn_abort(txn);
}

// The descriptor through which LMDB writes meta pages: the one on the file that was opened for
// writing only.
static int meta_descriptor(void)
{
    for (int fd = 3; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFL);
        struct stat status;
        if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && (flags & O_DSYNC) != 0 &&
            fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
            return fd;
    }
    return -1;
}

static void a_meta_page_that_cannot_be_written_is_survived(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(f->engine, "a", "1");
    int meta = meta_descriptor();
    assert_true(meta >= 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(dup2(full, meta), meta);
    (void)close(full);
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_test_put_z(txn, "a", "2");
    ut_err err = ut_txn_commit(txn);
    assert_true(err == UT_ENOSPC || err == UT_EIO);
    // LMDB takes its environment for lost; the engine opens it again.
    txn = ut_test_begin(f->engine, false);
    ut_test_assert_get(txn, "a", "1");
    ut_txn_abort(txn);
    ut_test_store_z(f->engine, "a", "3");
    txn = ut_test_begin(f->engine, false);
    ut_test_assert_get(txn, "a", "3");
    ut_txn_abort(txn);
}

static void commits_go_on_after_writing_failed(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(f->engine, "a", "1");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_test_put_z(txn, "a", "2");
    assert_int_not_equal(ut_txn_commit(txn), UT_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old);
    ut_test_store_z(f->engine, "b", "3");
    txn = ut_test_begin(f->engine, false);
    ut_test_assert_get(txn, "a", "1");
    ut_test_assert_get(txn, "b", "3");
    ut_txn_abort(txn);
}

#define CLAIM(test) \
    cmocka_unit_test_setup_teardown(test, ut_engine_fixture_dir, ut_engine_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(what_was_committed_survives_a_kill),
        CLAIM(a_full_disk_is_an_error_and_passes),
        CLAIM(a_meta_page_that_cannot_be_written_is_survived),
        CLAIM(commits_go_on_after_writing_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
