// LMDB: opening, by the one that writes, by others beside it, and on a copy.
#include "tests/support/temp_dir.h"
#include "tests/support/engine_calls.h"
#include "tests/unit/storage/lmdb/engine/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_store_survives_closing_and_opening(void **state)
{
    ut_engine_fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
        ut_txn *txn = ut_test_begin(engine, false);
        if (i > 0)
            ut_test_assert_get(txn, "a", i == 1 ? "first" : "second");
        ut_txn_abort(txn);
        ut_test_store_z(engine, "a", i == 0 ? "first" : "second");
        ut_engine_close(engine);
    }
}

// LMDB leaves it the pages that it had.
static void a_value_that_became_shorter_in_its_transaction_is_no_damage(void **state)
{
    ut_engine_fixture *f = *state;
    static const uint8_t value[40000] = {1};
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_txn *txn = ut_test_begin(engine, true);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("a"), (ut_bytes){value, sizeof(value)}), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("a"), (ut_bytes){value, sizeof(value) / 2}),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_engine_close(engine);
    engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(engine, "b", "1");
    txn = ut_test_begin(engine, true);
    ut_bytes found;
    assert_int_equal(ut_txn_get(txn, ut_bytes_of_z("a"), &found), UT_OK);
    assert_int_equal(found.len, sizeof(value) / 2);
    assert_int_equal(ut_txn_del(txn, ut_bytes_of_z("a")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_engine_close(engine);
}

static void send_a_fault(void *context)
{
    ut_fault fault;
    ut_engine *engine;
    const int *number = context;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    if (ut_test_try_lmdb(dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault) != UT_OK)
        _exit(1);
    ut_temp_dir_remove(dir_z); // the files stay open
    (void)kill(getpid(), *number);
    _exit(2);
}

static void a_fault_that_somebody_sent_is_not_swallowed(void **state)
{
    (void)state;
    int numbers[] = {SIGSEGV, SIGBUS};
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ut_test_in_child(send_a_fault, &numbers[i]), -numbers[i]);
}

static void try_to_write(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    ut_err err = ut_test_try_lmdb(context, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault);
    _exit(err == UT_EBUSY && strstr(fault.text_z, context) != NULL &&
                  strstr(fault.text_z, "process") != NULL
              ? 7
              : 1);
}

static void a_second_writer_is_refused(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    assert_int_equal(ut_test_in_child(try_to_write, f->dir_z), 7);
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EBUSY);
    ut_engine_close(f->engine);
    f->engine = NULL;
    // A reader without a lock file keeps it out, too, and is not taken for a writer.
    char lock_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.lock", lock_z);
    int reader = open(lock_z, O_RDONLY | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(flock(reader, LOCK_SH | LOCK_NB), 0);
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EBUSY);
    assert_non_null(strstr(fault.text_z, "being read"));
    (void)close(reader);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
}

static void read_beside_a_writer(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    if (ut_test_try_lmdb(context, UT_ENGINE_FIXTURE_BYTES, true, &engine, &fault) != UT_OK)
        _exit(1);
    ut_txn *txn;
    ut_bytes value;
    if (ut_engine_begin(engine, true, &txn) != UT_EPERM)
        _exit(2);
    if (ut_engine_begin(engine, false, &txn) != UT_OK)
        _exit(3);
    if (ut_txn_get(txn, ut_bytes_of_z("a"), &value) != UT_OK || value.len != 1 ||
        value.data[0] != '1')
        _exit(4);
    ut_txn_abort(txn);
    ut_engine_close(engine);
    _exit(7);
}

static void a_reader_opens_beside_a_writer(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(f->engine, "a", "1");
    assert_int_equal(ut_test_in_child(read_beside_a_writer, f->dir_z), 7);
    ut_test_store_z(f->engine, "a", "2");
}

static void opening_for_reading_makes_nothing(void **state)
{
    ut_engine_fixture *f = *state;
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, true, &engine, &fault),
                     UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, f->dir_z));
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_not_equal(access(path_z, F_OK), 0);
    ut_temp_path(f->dir_z, "missing", path_z);
    assert_int_equal(ut_test_try_lmdb(path_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, path_z));
}

static void impossible_budgets_are_refused(void **state)
{
    ut_engine_fixture *f = *state;
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = 1000};
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_EINVAL);
    config.bytes_max = UINT64_MAX / 2;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_EINVAL);
}

static void become_nobody(void)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(9);
}

static void read_as_nobody(void *context)
{
    become_nobody();
    ut_engine *engine;
    ut_fault fault;
    ut_err err = ut_test_try_lmdb(context, UT_ENGINE_FIXTURE_BYTES, true, &engine, &fault);
    if (err == UT_EPERM)
        _exit(8);
    if (err != UT_OK)
        _exit(1);
    ut_txn *txn;
    ut_bytes value;
    if (ut_engine_begin(engine, false, &txn) != UT_OK ||
        ut_txn_get(txn, ut_bytes_of_z("a"), &value) != UT_OK)
        _exit(2);
    ut_txn_abort(txn);
    ut_engine_close(engine);
    _exit(7);
}

static void a_copy_opens_where_nothing_may_be_written(void **state)
{
    ut_engine_fixture *f = *state;
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(engine, "a", "1");
    ut_engine_close(engine);
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_equal(chmod(path_z, 0444), 0);
    assert_int_equal(chmod(f->dir_z, 0555), 0);
    // With a lock file that may not be written, and store.lock that does not tell, somebody else
    // may be writing: refused.
    ut_temp_path(f->dir_z, "store.mdb-lock", path_z);
    assert_int_equal(chmod(path_z, 0444), 0);
    assert_int_equal(ut_test_in_child(read_as_nobody, f->dir_z), 8);
    char writer_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.lock", writer_z);
    assert_int_equal(chmod(writer_z, 0444), 0);
    assert_int_equal(ut_test_in_child(read_as_nobody, f->dir_z), 7);
    int writer = open(writer_z, O_RDONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0); // the reader has let go of it
    assert_int_equal(ut_test_in_child(read_as_nobody, f->dir_z), 8);
    (void)close(writer);
    assert_int_equal(chmod(f->dir_z, 0755), 0);
    assert_int_equal(unlink(path_z), 0);
    assert_int_equal(chmod(f->dir_z, 0555), 0);
    assert_int_equal(ut_test_in_child(read_as_nobody, f->dir_z), 7);
}

// ---- what stands under the names ----

static const char *const names_z[] = {"store.mdb", "store.mdb-lock", "store.lock", "store.steady"};
enum { NAMES = sizeof(names_z) / sizeof(names_z[0]) };

// Opens the directory to write and to read; names the file in both faults. store.lock does not
// matter to a reader.
static void assert_refused(const ut_engine_fixture *f, const char *name_z)
{
    for (unsigned read_only = 0; read_only < 2; read_only++) {
        ut_engine *engine;
        ut_fault fault = {0};
        if (read_only == 1 && strcmp(name_z, "store.lock") == 0)
            continue;
        assert_int_equal(
            ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, read_only == 1, &engine, &fault),
            UT_EPERM);
        assert_non_null(strstr(fault.text_z, name_z));
    }
}

static void make_store(const ut_engine_fixture *f)
{
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(engine, "a", "1");
    ut_engine_close(engine);
}

// A disk that is not there, for one: the store must not be made anew beside it.
static void links_are_neither_followed_nor_replaced(void **state)
{
    ut_engine_fixture *f = *state;
    char target_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    char kept_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "elsewhere", target_z);
    ut_temp_path(f->dir_z, "kept", kept_z);
    make_store(f);
    for (unsigned i = 0; i < NAMES; i++) {
        ut_temp_path(f->dir_z, names_z[i], path_z);
        const bool was_there = rename(path_z, kept_z) == 0;
        assert_int_equal(symlink(target_z, path_z), 0);
        assert_refused(f, names_z[i]);
        assert_int_not_equal(lstat(target_z, &status), 0);
        ut_test_write_whole(target_z, (const uint8_t *)"precious", 8);
        assert_refused(f, names_z[i]);
        size_t len;
        uint8_t *bytes = ut_test_read_whole(target_z, &len);
        assert_int_equal(len, 8);
        assert_memory_equal(bytes, "precious", 8);
        free(bytes);
        assert_int_equal(lstat(path_z, &status), 0);
        assert_true(S_ISLNK(status.st_mode));
        assert_int_equal(unlink(target_z), 0);
        assert_int_equal(unlink(path_z), 0);
        if (was_there)
            assert_int_equal(rename(kept_z, path_z), 0);
    }
}

static void pipes_and_directories_are_no_stores(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    char kept_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "kept", kept_z);
    make_store(f);
    for (unsigned i = 0; i < NAMES; i++) {
        ut_temp_path(f->dir_z, names_z[i], path_z);
        const bool was_there = rename(path_z, kept_z) == 0;
        assert_int_equal(mkfifo(path_z, 0600), 0);
        assert_refused(f, names_z[i]);
        assert_int_equal(unlink(path_z), 0);
        if (strcmp(names_z[i], "store.lock") != 0) {
            assert_int_equal(mkdir(path_z, 0700), 0);
            assert_refused(f, names_z[i]);
            assert_int_equal(rmdir(path_z), 0);
        }
        if (was_there)
            assert_int_equal(rename(kept_z, path_z), 0);
    }
}

static void a_lock_file_with_two_names_is_not_written(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    char second_z[UT_TEMP_PATH_MAX];
    make_store(f);
    ut_temp_path(f->dir_z, "store.mdb-lock", path_z);
    ut_temp_path(f->dir_z, "second", second_z);
    assert_int_equal(link(path_z, second_z), 0);
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EPERM);
    assert_non_null(strstr(fault.text_z, path_z));
}

static void a_strangers_file_is_refused_where_every_user_may_write(void **state)
{
    ut_engine_fixture *f = *state;
    if (geteuid() != 0)
        skip();
    make_store(f);
    for (unsigned i = 0; i < 2; i++) {
        char path_z[UT_TEMP_PATH_MAX];
        ut_temp_path(f->dir_z, names_z[i], path_z);
        ut_engine *engine;
        ut_fault fault;
        assert_int_equal(chown(path_z, 65534, 65534), 0);
        assert_int_equal(chmod(f->dir_z, 01777), 0);
        assert_int_equal(
            ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault), UT_EPERM);
        assert_non_null(strstr(fault.text_z, path_z));
        assert_int_equal(chmod(f->dir_z, 0770), 0);
        ut_engine_close(ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES));
        assert_int_equal(chown(path_z, 0, 0), 0);
    }
}

static void a_directory_may_be_a_link(void **state)
{
    ut_engine_fixture *f = *state;
    char link_z[UT_TEMP_PATH_MAX + 8];
    make_store(f);
    (void)snprintf(link_z, sizeof(link_z), "%s.link", f->dir_z);
    assert_int_equal(symlink(f->dir_z, link_z), 0);
    ut_engine_close(ut_test_open_lmdb(link_z, UT_ENGINE_FIXTURE_BYTES));
    assert_int_equal(unlink(link_z), 0);
}

// ---- a full disk ----

// No file takes a byte more, as on a full disk.
static void open_without_room(void *context)
{
    const struct rlimit none = {0, 0};
    ut_engine *engine;
    ut_fault fault;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &none) != 0)
        _exit(9);
    if (ut_test_try_lmdb(context, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault) != UT_OK)
        _exit(1);
    ut_txn *txn;
    ut_bytes value;
    if (ut_engine_begin(engine, false, &txn) != UT_OK ||
        ut_txn_get(txn, ut_bytes_of_z("a"), &value) != UT_OK)
        _exit(2);
    ut_txn_abort(txn);
    if (ut_engine_begin(engine, true, &txn) != UT_OK ||
        ut_txn_put(txn, ut_bytes_of_z("b"), ut_bytes_of_z("2")) != UT_OK ||
        ut_txn_commit(txn) == UT_OK)
        _exit(3);
    ut_engine_close(engine);
    _exit(7);
}

static void a_full_disk_is_no_reason_not_to_start(void **state)
{
    ut_engine_fixture *f = *state;
    make_store(f);
    assert_int_equal(ut_test_in_child(open_without_room, f->dir_z), 7);
    // The number of the process is not in the lock, which holds all the same.
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.lock", path_z);
    const int lock = open(path_z, O_RDWR | O_CLOEXEC);
    assert_true(lock >= 0);
    assert_int_equal(ftruncate(lock, 0), 0);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EBUSY);
    assert_null(strstr(fault.text_z, "process 0"));
    (void)close(lock);
}

#define CLAIM(test) \
    cmocka_unit_test_setup_teardown(test, ut_engine_fixture_dir, ut_engine_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_store_survives_closing_and_opening),
        CLAIM(a_value_that_became_shorter_in_its_transaction_is_no_damage),
        CLAIM(a_fault_that_somebody_sent_is_not_swallowed),
        CLAIM(a_second_writer_is_refused),
        CLAIM(a_reader_opens_beside_a_writer),
        CLAIM(opening_for_reading_makes_nothing),
        CLAIM(impossible_budgets_are_refused),
        CLAIM(a_copy_opens_where_nothing_may_be_written),
        CLAIM(links_are_neither_followed_nor_replaced),
        CLAIM(pipes_and_directories_are_no_stores),
        CLAIM(a_lock_file_with_two_names_is_not_written),
        CLAIM(a_strangers_file_is_refused_where_every_user_may_write),
        CLAIM(a_directory_may_be_a_link),
        CLAIM(a_full_disk_is_no_reason_not_to_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
