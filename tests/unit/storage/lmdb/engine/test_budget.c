// LMDB: the budget of the file, and what readers hold of it.
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"
#include "tests/support/engine_calls.h"
#include "tests/unit/storage/lmdb/engine/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void the_file_stays_within_the_budget(void **state)
{
    ut_engine_fixture *f = *state;
    static const uint64_t budgets[] = {1024 * 1024, 3 * 1024 * 1024 + 12345};
    static uint8_t bytes[5000];
    for (size_t b = 0; b < 2; b++) {
        ut_engine *engine = ut_test_open_lmdb(f->dir_z, budgets[b]);
        ut_random random = {b};
        unsigned refused = 0;
        for (unsigned i = 0; i < 3000; i++) {
            ut_txn *txn = ut_test_begin(engine, true);
            ut_err err = UT_OK;
            for (unsigned k = 0; k < 4 && err == UT_OK; k++) {
                uint8_t key[3] = {'k', (uint8_t)ut_random_next(&random), (uint8_t)(i % 4)};
                err = ut_txn_put(txn, (ut_bytes){key, 3},
                                 (ut_bytes){bytes, ut_random_below(&random, sizeof(bytes))});
            }
            ut_err committed = ut_txn_commit(txn);
            assert_true(committed == UT_OK || committed == UT_EFULL);
            refused += committed == UT_EFULL;
        }
        assert_true(refused > 0);
        ut_engine_close(engine);
        char path_z[UT_TEMP_PATH_MAX];
        struct stat status;
        ut_temp_path(f->dir_z, "store.mdb", path_z);
        assert_int_equal(stat(path_z, &status), 0);
        assert_true((uint64_t)status.st_size <= budgets[b]);
    }
}

// ready is a promise: a transaction that takes no more goes through.
static void what_is_ready_can_be_written(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_random random = {5};
    static uint8_t bytes[4080];
    for (unsigned round = 0; round < 400; round++) {
        ut_engine_room room = ut_test_room(f->engine);
        uint64_t page = room.page_bytes;
        assert_true(room.bytes_used + room.bytes_ready <= UT_ENGINE_FIXTURE_BYTES + page);
        uint64_t pages = room.bytes_ready > room.write_reserve
                             ? (room.bytes_ready - room.write_reserve) / (page + room.touch_bytes)
                             : 0;
        ut_txn *txn = ut_test_begin(f->engine, true);
        if (pages > 50) {
            pages = ut_random_below(&random, 2) == 0 ? pages : 50;
            for (uint64_t i = 0; i < pages; i++) {
                uint8_t key[9] = {'k'};
                ut_put_be64(key + 1, ut_random_next(&random));
                assert_int_equal(
                    ut_txn_put(txn, (ut_bytes){key, 9}, (ut_bytes){bytes, sizeof(bytes)}), UT_OK);
            }
        } else {
            // Deletes at random places while the reserve and half of what is left pay for the
            // copies.
            uint64_t deletes = room.bytes_ready / 2 / room.touch_bytes;
            for (uint64_t i = 0; i < deletes; i++) {
                ut_cursor *cursor;
                ut_bytes key;
                ut_bytes value;
                uint8_t wanted[9] = {'k'};
                uint8_t found[9];
                ut_put_be64(wanted + 1, ut_random_next(&random));
                assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
                if (ut_cursor_seek(cursor, (ut_bytes){wanted, 9}, &key, &value) == UT_OK) {
                    memcpy(found, key.data, 9);
                    ut_cursor_close(cursor);
                    assert_int_equal(ut_txn_del(txn, (ut_bytes){found, 9}), UT_OK);
                } else {
                    ut_cursor_close(cursor);
                }
            }
        }
        assert_int_equal(ut_txn_commit(txn), UT_OK);
    }
}

static void a_reader_pins_pages_until_it_ends(void **state)
{
    ut_engine_fixture *f = *state;
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    static uint8_t bytes[4000];
    for (unsigned i = 0; i < 3; i++) {
        ut_txn *txn = ut_test_begin(f->engine, true);
        for (unsigned k = 0; k < 200; k++) {
            uint8_t key[2] = {'k', (uint8_t)k};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof(bytes)}),
                             UT_OK);
        }
        ut_test_commit(txn);
    }
    uint64_t before = ut_test_room(f->engine).bytes_ready;
    ut_txn *reader = ut_test_begin(f->engine, false);
    ut_txn *txn = ut_test_begin(f->engine, true);
    for (unsigned k = 0; k < 200; k++) {
        uint8_t key[2] = {'k', (uint8_t)k};
        assert_int_equal(ut_txn_del(txn, (ut_bytes){key, 2}), UT_OK);
    }
    ut_test_commit(txn);
    for (unsigned i = 0; i < 5; i++)
        ut_test_store_z(f->engine, "a", "1");
    assert_true(ut_test_room(f->engine).bytes_ready <= before);
    ut_txn_abort(reader);
    assert_true(ut_test_room(f->engine).bytes_ready > before + 200 * sizeof(bytes));
}

static void read_and_stay(const char *dir_z, int pipe_out)
{
    ut_engine *engine;
    ut_fault fault;
    UT_ASSERT(ut_test_try_lmdb(dir_z, UT_ENGINE_FIXTURE_BYTES, true, &engine, &fault) == UT_OK);
    ut_txn *txn = ut_test_begin(engine, false);
    ut_test_assert_get(txn, "a", "1");
    UT_ASSERT(write(pipe_out, "r", 1) == 1);
    for (;;)
        (void)pause();
}

static void a_killed_reader_pins_nothing(void **state)
{
    ut_engine_fixture *f = *state;
    int ends[2];
    static uint8_t bytes[4000];
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_test_store_z(engine, "a", "1");
    ut_engine_close(engine);
    assert_int_equal(pipe(ends), 0);
    pid_t child = ut_test_fork();
    if (child == 0)
        read_and_stay(f->dir_z, ends[1]);
    char ready;
    assert_int_equal(read(ends[0], &ready, 1), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        ut_txn *txn = ut_test_begin(f->engine, true);
        for (unsigned k = 0; k < 200; k++) {
            uint8_t key[2] = {'k', (uint8_t)k};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof(bytes)}),
                             UT_OK);
        }
        ut_test_commit(txn);
    }
    for (unsigned i = 0; i < 3; i++)
        ut_test_store_z(f->engine, "b", "1");
    uint64_t pinned = ut_test_room(f->engine).bytes_ready;
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    uint64_t freed = pinned;
    for (unsigned i = 0; i < 200 && freed <= pinned; i++)
        freed = ut_test_room(f->engine).bytes_ready;
    assert_true(freed > pinned + 100 * sizeof(bytes));
}

static void a_larger_budget_reaches_a_reader_that_is_open(void **state)
{
    ut_engine_fixture *f = *state;
    int down[2];
    int up[2];
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, 1024 * 1024);
    ut_test_store_z(engine, "a", "1");
    ut_engine_close(engine);
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t child = ut_test_fork();
    char byte = 0;
    if (child == 0) {
        ut_fault fault;
        UT_ASSERT(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, true, &engine, &fault) ==
                  UT_OK);
        ut_txn *txn = ut_test_begin(engine, false);
        ut_test_assert_get(txn, "a", "1");
        ut_txn_abort(txn);
        UT_ASSERT(write(up[1], "r", 1) == 1);
        UT_ASSERT(read(down[0], &byte, 1) == 1);
        txn = ut_test_begin(engine, false);
        ut_bytes value;
        _exit(ut_txn_get(txn, ut_bytes_of_z("big"), &value) == UT_OK && value.len == 2000000 ? 7
                                                                                             : 1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    static uint8_t bytes[2000000];
    ut_txn *txn = ut_test_begin(f->engine, true);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("big"), (ut_bytes){bytes, sizeof(bytes)}),
                     UT_OK);
    ut_test_commit(txn);
    assert_int_equal(write(down[1], "g", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    for (int i = 0; i < 2; i++) {
        (void)close(down[i]);
        (void)close(up[i]);
    }
}

#define CLAIM(test) \
    cmocka_unit_test_setup_teardown(test, ut_engine_fixture_dir, ut_engine_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_file_stays_within_the_budget),
        CLAIM(what_is_ready_can_be_written),
        CLAIM(a_reader_pins_pages_until_it_ends),
        CLAIM(a_killed_reader_pins_nothing),
        CLAIM(a_larger_budget_reaches_a_reader_that_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
