// LMDB: damaged and foreign files are clear faults, and never end the program.
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

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A store with records of all sizes, small, so that every page of it can be damaged in turn.
static uint8_t *sample_file(ut_engine_fixture *f, char path_z[UT_TEMP_PATH_MAX], size_t *len)
{
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    ut_random random = {7};
    static uint8_t bytes[20000];
    for (unsigned round = 0; round < 12; round++) {
        ut_txn *txn = ut_test_begin(engine, true);
        for (unsigned i = 0; i < 40; i++) {
            uint8_t key[9] = {'k'};
            ut_put_be64(key + 1, ut_random_next(&random));
            size_t value_len = i == 0 ? 20000 : i % 8 == 0 ? 3000 : ut_random_below(&random, 200);
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 9}, (ut_bytes){bytes, value_len}),
                             UT_OK);
        }
        ut_test_commit(txn);
    }
    ut_engine_close(engine);
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    return ut_test_read_whole(path_z, len);
}

// Opens for writing, reads everything, writes a little. Ends with 0 when all went well, and with 7
// when an error came back.
static void use_all(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    ut_err err = ut_test_try_lmdb(context, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault);
    if (err != UT_OK)
        _exit(fault.text_z[0] != '\0' ? 7 : 1);
    for (unsigned round = 0; round < 2 && err == UT_OK; round++) {
        ut_txn *txn;
        err = ut_engine_begin(engine, round == 1, &txn);
        if (err != UT_OK)
            break;
        ut_cursor *cursor;
        ut_bytes key;
        ut_bytes value;
        unsigned sum = 0;
        if (ut_txn_cursor(txn, &cursor) != UT_OK)
            _exit(1);
        for (err = ut_cursor_seek(cursor, ut_bytes_of_z("a"), &key, &value); err == UT_OK;
             err = ut_cursor_next(cursor, &key, &value)) {
            for (size_t i = 0; i < value.len; i++)
                sum += value.data[i];
        }
        if (err == UT_ENOTFOUND)
            err = UT_OK;
        for (unsigned i = 0; round == 1 && i < 50 && err == UT_OK; i++) {
            uint8_t new_key[2] = {'l', (uint8_t)i};
            err = ut_txn_put(txn, (ut_bytes){new_key, 2}, (ut_bytes){(const uint8_t *)context, 3});
        }
        if (round == 1 && err == UT_OK)
            err = ut_txn_commit(txn);
        else
            ut_txn_abort(txn);
        __asm__ volatile("" : : "r"(sum)); // the bytes are to be read
    }
    ut_engine_close(engine);
    _exit(err == UT_OK ? 0 : 7);
}

static void a_cut_file_is_a_clear_fault(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    ut_engine *engine;
    ut_fault fault;
    assert_true(len > 100000);
    for (size_t left = len; left > 0;) {
        left -= left > 20000 ? 3001 : left > 500 ? 499 : 1;
        ut_test_write_whole(path_z, data, left);
        ut_err err = ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault);
        assert_true(err == UT_ECORRUPT);
        assert_non_null(strstr(fault.text_z, path_z));
        err = ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, true, &engine, &fault);
        assert_true(err == UT_ECORRUPT);
    }
    ut_test_write_whole(path_z, data, len);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    free(data);
}

static void a_foreign_file_is_a_clear_fault(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    static uint8_t bytes[20000];
    ut_engine *engine;
    ut_fault fault;
    ut_test_write_whole(path_z, bytes, sizeof(bytes)); // zeros
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_ECORRUPT);
    memset(bytes, 'x', sizeof(bytes));
    ut_test_write_whole(path_z, bytes, sizeof(bytes));
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_ECORRUPT);
    assert_non_null(strstr(fault.text_z, "not a store"));
    ut_test_write_whole(path_z, bytes, 10);
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_ECORRUPT);
    // A store of a machine whose words have the other size, and one of the other byte order.
    static const uint8_t little[4] = {0xde, 0xc0, 0xef, 0xbe};
    static const uint8_t big[4] = {0xbe, 0xef, 0xc0, 0xde};
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes + (sizeof(size_t) == 8 ? 12 : 16), little, 4);
    ut_test_write_whole(path_z, bytes, sizeof(bytes));
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EVERSION);
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes + 16, big, 4);
    ut_test_write_whole(path_z, bytes, sizeof(bytes));
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EVERSION);
    assert_int_equal(unlink(path_z), 0);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
}

static void another_lmdb_version_is_a_clear_fault(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    data[UT_LMDB_PAGE_HEADER_LEN + 4] = 2;
    ut_test_write_whole(path_z, data, len);
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                     UT_EVERSION);
    free(data);
}

// Zeros are what a lost write leaves. Bits that flip are in test_damage.c.
static void an_overwritten_page_never_ends_the_program(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    uint8_t *damaged = malloc(len);
    unsigned noticed = 0;
    static const int fills[] = {0x00, 0xff};
    for (size_t fill = 0; fill < 2; fill++) {
        for (size_t at = 0; at < len; at += 4096) {
            memcpy(damaged, data, len);
            memset(damaged + at, fills[fill], len - at < 4096 ? len - at : 4096);
            ut_test_write_whole(path_z, damaged, len);
            int code = ut_test_in_child(use_all, f->dir_z);
            if (code != 0 && code != 7)
                fail_msg("page at %zu filled with %#x: exit %d", at, fills[fill], code);
            noticed += code == 7;
        }
    }
    assert_true(noticed > 20);
    ut_test_write_whole(path_z, data, len);
    free(data);
    free(damaged);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
}

// LMDB does not write pages that one transaction took from the end of the file and gave back.
static void a_healthy_file_that_ends_early_opens(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    static uint8_t bytes[30000];
    unsigned seen = 0;
    ut_engine *engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    for (unsigned round = 1; round < 40; round++) {
        ut_txn *txn = ut_test_begin(engine, true);
        for (unsigned i = 0; i < round * 8; i++) {
            uint8_t key[3] = {'k', (uint8_t)(i >> 8), (uint8_t)i};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 3}, (ut_bytes){bytes, 1500}), UT_OK);
        }
        for (unsigned i = round * 8; i-- > round % 3;) {
            uint8_t key[3] = {'k', (uint8_t)(i >> 8), (uint8_t)i};
            assert_int_equal(ut_txn_del(txn, (ut_bytes){key, 3}), UT_OK);
        }
        ut_test_commit(txn);
        ut_engine_room room = ut_test_room(engine);
        ut_engine_close(engine);
        struct stat status;
        assert_int_equal(stat(path_z, &status), 0);
        seen += (uint64_t)status.st_size < room.bytes_file;
        if ((uint64_t)status.st_size < room.bytes_file) {
            // Without the pages of its trees it is not healthy any more.
            size_t len;
            uint8_t *data = ut_test_read_whole(path_z, &len);
            ut_fault fault;
            ut_test_write_whole(path_z, data, 8192);
            assert_int_equal(
                ut_test_try_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault),
                UT_ECORRUPT);
            ut_test_write_whole(path_z, data, len);
            free(data);
        }
        engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
    }
    ut_engine_close(engine);
    assert_true(seen > 3);
}

static void meet_contradiction(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    if (ut_test_try_lmdb(context, UT_ENGINE_FIXTURE_BYTES, false, &engine, &fault) != UT_OK)
        _exit(1);
    for (unsigned write = 0; write < 2; write++) {
        ut_txn *txn;
        ut_bytes value;
        ut_err err = ut_engine_begin(engine, write == 1, &txn);
        if (err == UT_OK) {
            ut_cursor *cursor;
            if (ut_txn_cursor(txn, &cursor) != UT_OK)
                _exit(2);
            err = ut_txn_get(txn, ut_bytes_of_z("k"), &value);
            if (err != UT_ECORRUPT ||
                ut_txn_put(txn, ut_bytes_of_z("k"), ut_bytes_of_z("v")) != UT_ECORRUPT)
                _exit(3);
            ut_txn_abort(txn);
        } else {
            _exit(4);
        }
    }
    ut_engine_close(engine);
    _exit(7);
}

// LMDB would abort the program.
static void a_contradiction_in_the_tree_is_an_error(void **state)
{
    ut_engine_fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    unsigned met = 0;
    for (size_t at = 8192; at < len; at += 4096) {
        uint16_t flags;
        memcpy(&flags, data + at + sizeof(size_t) + 2, sizeof(flags));
        if (flags != 0x01)
            continue;
        uint8_t *lower = data + at + sizeof(size_t) + 4;
        uint8_t kept[2] = {lower[0], lower[1]};
        lower[0] = UT_LMDB_PAGE_HEADER_LEN + 2; // a branch page with a single child
        lower[1] = 0;
        ut_test_write_whole(path_z, data, len);
        met += ut_test_in_child(meet_contradiction, f->dir_z) == 7;
        memcpy(lower, kept, 2);
    }
    assert_true(met >= 1);
    ut_test_write_whole(path_z, data, len);
    free(data);
    f->engine = ut_test_open_lmdb(f->dir_z, UT_ENGINE_FIXTURE_BYTES);
}

#define CLAIM(test) \
    cmocka_unit_test_setup_teardown(test, ut_engine_fixture_dir, ut_engine_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_cut_file_is_a_clear_fault),
        CLAIM(a_foreign_file_is_a_clear_fault),
        CLAIM(another_lmdb_version_is_a_clear_fault),
        CLAIM(an_overwritten_page_never_ends_the_program),
        CLAIM(a_healthy_file_that_ends_early_opens),
        CLAIM(a_contradiction_in_the_tree_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
