// The contract suite of engines, run against the engine in memory, the same with a wrapper around
// it, and LMDB.
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/engine_calls.h"
#include "tests/unit/storage/lmdb/engine/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_bytes(ut_bytes bytes, const char *expected_z)
{
    assert_int_equal(bytes.len, strlen(expected_z));
    assert_memory_equal(bytes.data, expected_z, bytes.len);
}

static void records_are_found_replaced_and_deleted(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_txn *txn = ut_test_begin(engine, true);
    ut_test_assert_absent(txn, "a");
    ut_test_put_z(txn, "a", "1");
    ut_test_put_z(txn, "b", "");
    ut_test_assert_get(txn, "a", "1");
    ut_test_assert_get(txn, "b", "");
    ut_test_put_z(txn, "a", "a longer one");
    ut_test_commit(txn);

    txn = ut_test_begin(engine, true);
    ut_test_assert_get(txn, "a", "a longer one");
    assert_int_equal(ut_txn_del(txn, ut_bytes_of_z("a")), UT_OK);
    assert_int_equal(ut_txn_del(txn, ut_bytes_of_z("a")), UT_ENOTFOUND);
    ut_test_assert_absent(txn, "a");
    ut_test_put_z(txn, "c", "3"); // the transaction goes on after a key that was not found
    ut_test_commit(txn);

    txn = ut_test_begin(engine, false);
    ut_test_assert_absent(txn, "a");
    ut_test_assert_get(txn, "b", "");
    ut_test_assert_get(txn, "c", "3");
    ut_txn_abort(txn);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_test_store_z(engine, "a", "1");
    ut_txn *txn = ut_test_begin(engine, true);
    ut_test_put_z(txn, "a", "2");
    ut_test_put_z(txn, "b", "2");
    ut_txn_abort(txn);
    txn = ut_test_begin(engine, false);
    ut_test_assert_get(txn, "a", "1");
    ut_test_assert_absent(txn, "b");
    ut_txn_abort(txn);
}

static void a_reader_sees_the_state_in_which_it_began(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_test_store_z(engine, "a", "1");
    ut_txn *reader = ut_test_begin(engine, false);
    ut_test_store_z(engine, "a", "2");
    ut_txn *later = ut_test_begin(engine, false);
    ut_test_store_z(engine, "a", "3");
    ut_test_assert_get(reader, "a", "1");
    ut_test_assert_get(later, "a", "2");
    ut_txn_abort(reader);
    ut_txn_abort(later);
}

static void seek_and_step_follow_the_order_of_bytes(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_txn *txn = ut_test_begin(engine, true);
    ut_test_put_z(txn, "b", "1");
    ut_test_put_z(txn, "ba", "2"); // a key stands before those that it begins
    ut_test_put_z(txn, "b\xff", "3");
    ut_test_put_z(txn, "c", "4");
    ut_test_commit(txn);

    txn = ut_test_begin(engine, false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    static const char *const keys[] = {"b", "ba", "b\xff", "c"};
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("a"), &key, &value), UT_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_bytes(key, keys[i]);
        assert_int_equal(value.data[0], '1' + i);
        assert_int_equal(ut_cursor_next(cursor, &key, &value), i < 3 ? UT_OK : UT_ENOTFOUND);
    }
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("b\x01"), &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("ba"), &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("d"), &key, &value), UT_ENOTFOUND);

    const ut_engine_class *class = engine->class;
    assert_int_equal(class->seek(cursor, ut_bytes_of_z("z"), true, &key, &value), UT_OK);
    for (size_t i = 4; i-- > 0;) {
        assert_bytes(key, keys[i]);
        assert_int_equal(class->step(cursor, true, &key, &value), i > 0 ? UT_OK : UT_ENOTFOUND);
    }
    assert_int_equal(class->seek(cursor, ut_bytes_of_z("ba"), true, &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(class->seek(cursor, ut_bytes_of_z("bz"), true, &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(class->seek(cursor, ut_bytes_of_z("a"), true, &key, &value), UT_ENOTFOUND);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void a_cursor_in_an_empty_store_finds_nothing(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_txn *txn = ut_test_begin(engine, false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("a"), &key, &value), UT_ENOTFOUND);
    assert_int_equal(engine->class->seek(cursor, ut_bytes_of_z("a"), true, &key, &value),
                     UT_ENOTFOUND);
    ut_txn_abort(txn); // closes the cursor
}

static void a_cursor_sees_what_its_transaction_wrote(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_txn *txn = ut_test_begin(engine, true);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    for (unsigned i = 0; i < 500; i++) {
        char key_z[16];
        (void)snprintf(key_z, sizeof(key_z), "k%03u", i * 7 % 500);
        ut_test_put_z(txn, key_z, "v");
        assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z(key_z), &key, &value), UT_OK);
        assert_bytes(key, key_z);
    }
    for (unsigned i = 0; i < 500; i += 2) {
        char deleted_z[16];
        char key_z[16];
        (void)snprintf(deleted_z, sizeof(deleted_z), "k%03u", i);
        (void)snprintf(key_z, sizeof(key_z), "k%03u", i + 1);
        assert_int_equal(ut_txn_del(txn, ut_bytes_of_z(deleted_z)), UT_OK);
        assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z(deleted_z), &key, &value), UT_OK);
        assert_bytes(key, key_z);
    }
    ut_test_commit(txn); // closes the cursor
}

static void values_of_every_length_come_back(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    static uint8_t bytes[100000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    size_t best = engine->value_bytes_best;
    size_t lengths[] = {0,    1,    100,      1000, 2000,     2013, 2014,  2015,         2016,
                        2030, 2048, best - 1, best, best + 1, 8192, 65536, sizeof(bytes)};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        uint8_t key[15] = {'k', (uint8_t)i};
        ut_txn *txn = ut_test_begin(engine, true);
        ut_bytes value;
        assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 15}, (ut_bytes){bytes, lengths[i]}),
                         UT_OK);
        assert_int_equal(ut_txn_get(txn, (ut_bytes){key, 15}, &value), UT_OK);
        assert_int_equal(value.len, lengths[i]);
        assert_memory_equal(value.data, bytes, value.len);
        ut_test_commit(txn);
        txn = ut_test_begin(engine, false);
        assert_int_equal(ut_txn_get(txn, (ut_bytes){key, 15}, &value), UT_OK);
        assert_int_equal(value.len, lengths[i]);
        assert_memory_equal(value.data, bytes, value.len);
        ut_txn_abort(txn);
    }
}

static void keys_up_to_the_limit_are_taken(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    uint8_t key[UT_ENGINE_KEY_MAX];
    memset(key, 0xff, sizeof(key));
    ut_txn *txn = ut_test_begin(engine, true);
    for (size_t len = 1; len <= sizeof(key); len++)
        assert_int_equal(ut_txn_put(txn, (ut_bytes){key, len}, ut_bytes_of_z("v")), UT_OK);
    ut_cursor *cursor;
    ut_bytes found;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_cursor_seek(cursor, (ut_bytes){key, 1}, &found, &value), UT_OK);
    for (size_t len = 1; len < sizeof(key); len++) {
        assert_int_equal(found.len, len);
        assert_int_equal(ut_cursor_next(cursor, &found, &value), UT_OK);
    }
    ut_test_commit(txn);
}

static void a_full_store_refuses_and_goes_on(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    static uint8_t bytes[3000];
    ut_test_store_z(engine, "a", "1");
    uint8_t *before;
    uint8_t *after;
    size_t before_len;
    size_t after_len;
    ut_engine_dump(engine, &before, &before_len);

    ut_txn *txn = ut_test_begin(engine, true);
    ut_err err = UT_OK;
    for (unsigned i = 0; err == UT_OK; i++) {
        uint8_t key[5] = {'x'};
        assert_true(i < 1u << 20);
        ut_put_be32(key + 1, i);
        err = ut_txn_put(txn, (ut_bytes){key, 5}, (ut_bytes){bytes, sizeof(bytes)});
    }
    assert_int_equal(err, UT_EFULL);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("b"), ut_bytes_of_z("2")), UT_EFULL);
    assert_int_equal(ut_txn_commit(txn), UT_EFULL);

    ut_engine_dump(engine, &after, &after_len);
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, after_len);
    free(before);
    free(after);
    ut_test_store_z(engine, "b", "2");
    txn = ut_test_begin(engine, false);
    ut_test_assert_get(txn, "b", "2");
    ut_txn_abort(txn);
}

static void room_follows_what_is_stored(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_engine_room empty = ut_test_room(engine);
    assert_int_equal(empty.bytes_max, UT_ENGINE_FIXTURE_BYTES);
    assert_true(empty.bytes_used + empty.bytes_ready <= UT_ENGINE_FIXTURE_BYTES);
    assert_true(empty.bytes_ready > UT_ENGINE_FIXTURE_BYTES - 64 * 1024);
    static uint8_t bytes[1000];
    for (unsigned round = 0; round < 10; round++) {
        ut_txn *txn = ut_test_begin(engine, true);
        for (unsigned i = 0; i < 100; i++) {
            uint8_t key[3] = {'k', (uint8_t)round, (uint8_t)i};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 3}, (ut_bytes){bytes, sizeof(bytes)}),
                             UT_OK);
        }
        ut_test_commit(txn);
    }
    ut_engine_room full = ut_test_room(engine);
    assert_true(full.bytes_used > empty.bytes_used + 1000 * sizeof(bytes));
    assert_true(full.bytes_used < empty.bytes_used + 2000 * sizeof(bytes));
    assert_true(full.bytes_ready < empty.bytes_ready - 1000 * sizeof(bytes));
    assert_true(full.bytes_ready > UT_ENGINE_FIXTURE_BYTES / 4);
    for (unsigned round = 0; round < 10; round++) {
        ut_txn *txn = ut_test_begin(engine, true);
        for (unsigned i = 0; i < 100; i++) {
            uint8_t key[3] = {'k', (uint8_t)round, (uint8_t)i};
            assert_int_equal(ut_txn_del(txn, (ut_bytes){key, 3}), UT_OK);
        }
        ut_test_commit(txn);
    }
    // What the last one freed is ready for the one after the next.
    ut_test_store_z(engine, "a", "1");
    ut_test_store_z(engine, "a", "2");
    ut_test_store_z(engine, "a", "3");
    ut_engine_room emptied = ut_test_room(engine);
    assert_true(emptied.bytes_used <= empty.bytes_used + 64 * 1024);
    assert_true(emptied.bytes_ready > UT_ENGINE_FIXTURE_BYTES - 128 * 1024);
}

// The same random calls on the engine and on a second one in memory, which is the model.
static void random_calls_match_a_model(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    ut_engine *model = ut_engine_memory_open(UT_ENGINE_FIXTURE_BYTES);
    ut_random random = {42};
    static uint8_t bytes[9000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)ut_random_next(&random);
    for (unsigned round = 0; round < 120; round++) {
        ut_txn *txn = ut_test_begin(engine, true);
        ut_txn *twin = ut_test_begin(model, true);
        for (unsigned i = 0; i < 60; i++) {
            uint8_t key[8];
            size_t key_len = 1 + ut_random_below(&random, 4);
            for (size_t k = 0; k < sizeof(key); k++)
                key[k] = (uint8_t)ut_random_below(&random, 6);
            ut_bytes k = {key, key_len};
            ut_bytes v = {bytes + ut_random_below(&random, 100),
                          ut_random_below(&random, 10) == 0 ? ut_random_below(&random, 8000)
                                                            : ut_random_below(&random, 100)};
            ut_bytes got;
            ut_bytes expected;
            switch (ut_random_below(&random, 4)) {
            case 0:
                assert_int_equal(ut_txn_del(txn, k), ut_txn_del(twin, k));
                break;
            case 1: {
                ut_err err = ut_txn_get(txn, k, &got);
                assert_int_equal(err, ut_txn_get(twin, k, &expected));
                if (err == UT_OK)
                    assert_true(ut_bytes_equal(got, expected));
                break;
            }
            default:
                assert_int_equal(ut_txn_put(txn, k, v), UT_OK);
                assert_int_equal(ut_txn_put(twin, k, v), UT_OK);
                break;
            }
        }
        if (ut_random_below(&random, 4) == 0) {
            ut_txn_abort(txn);
            ut_txn_abort(twin);
        } else {
            ut_test_commit(txn);
            ut_test_commit(twin);
        }
        uint8_t *data[2];
        size_t len[2];
        ut_engine_dump(engine, &data[0], &len[0]);
        ut_engine_dump(model, &data[1], &len[1]);
        assert_int_equal(len[0], len[1]);
        assert_memory_equal(data[0], data[1], len[0]);
        free(data[0]);
        free(data[1]);
    }
    ut_engine_close(model);
}

typedef struct {
    ut_engine *engine;
    volatile bool stop;
    unsigned rounds;
} reader_job;

// Both records were written in one transaction: a reader must never see them apart.
static void *read_pairs(void *context)
{
    reader_job *job = context;
    while (!__atomic_load_n(&job->stop, __ATOMIC_ACQUIRE)) {
        ut_txn *txn;
        UT_ASSERT(ut_engine_begin(job->engine, false, &txn) == UT_OK);
        ut_bytes value;
        uint8_t first[64] = {0};
        size_t first_len = 0;
        ut_err err = ut_txn_get(txn, ut_bytes_of_z("first"), &value);
        if (err == UT_OK) {
            first_len = value.len;
            memcpy(first, value.data, value.len);
            UT_ASSERT(ut_txn_get(txn, ut_bytes_of_z("second"), &value) == UT_OK);
            UT_ASSERT(value.len == first_len && memcmp(first, value.data, first_len) == 0);
        }
        ut_txn_abort(txn);
        job->rounds += 1;
    }
    return NULL;
}

static void readers_on_other_threads_see_whole_transactions(void **state)
{
    ut_engine *engine = ((ut_engine_fixture *)*state)->engine;
    reader_job jobs[3] = {{engine, false, 0}, {engine, false, 0}, {engine, false, 0}};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &jobs[i]), 0);
    for (unsigned i = 0; i < 300; i++) {
        char value_z[32];
        (void)snprintf(value_z, sizeof(value_z), "%u", i * 7919);
        ut_txn *txn = ut_test_begin(engine, true);
        ut_test_put_z(txn, "first", value_z);
        ut_test_put_z(txn, "second", value_z);
        ut_test_commit(txn);
    }
    for (size_t i = 0; i < 3; i++)
        __atomic_store_n(&jobs[i].stop, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void a_chosen_call_fails_and_the_next_works(void **state)
{
    ut_engine_fixture *f = *state;
    f->faults = (ut_faults){.fail_at = 2, .err = UT_EIO};
    ut_txn *txn = ut_test_begin(f->engine, true);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("a"), ut_bytes_of_z("1")), UT_EIO);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("a"), ut_bytes_of_z("1")), UT_EIO);
    assert_int_equal(ut_txn_commit(txn), UT_EIO);
    f->faults.fail_at = 0;
    ut_test_store_z(f->engine, "a", "2");
}

#define CLAIM(test, set_up) \
    cmocka_unit_test_setup_teardown(test, set_up, ut_engine_fixture_tear_down)
#define CONTRACT(set_up)                                                                       \
    CLAIM(records_are_found_replaced_and_deleted, set_up),                                     \
        CLAIM(an_aborted_transaction_leaves_nothing, set_up),                                  \
        CLAIM(a_reader_sees_the_state_in_which_it_began, set_up),                              \
        CLAIM(seek_and_step_follow_the_order_of_bytes, set_up),                                \
        CLAIM(a_cursor_in_an_empty_store_finds_nothing, set_up),                               \
        CLAIM(a_cursor_sees_what_its_transaction_wrote, set_up),                               \
        CLAIM(values_of_every_length_come_back, set_up),                                       \
        CLAIM(keys_up_to_the_limit_are_taken, set_up),                                         \
        CLAIM(a_full_store_refuses_and_goes_on, set_up),                                       \
        CLAIM(room_follows_what_is_stored, set_up), CLAIM(random_calls_match_a_model, set_up), \
        CLAIM(readers_on_other_threads_see_whole_transactions, set_up)

int main(void)
{
    const struct CMUnitTest memory[] = {CONTRACT(ut_engine_fixture_memory)};
    const struct CMUnitTest wrapped[] = {
        CONTRACT(ut_engine_fixture_wrapped),
        CLAIM(a_chosen_call_fails_and_the_next_works, ut_engine_fixture_wrapped),
    };
    const struct CMUnitTest lmdb[] = {CONTRACT(ut_engine_fixture_lmdb)};
    int failed = cmocka_run_group_tests_name("engine in memory", memory, NULL, NULL);
    failed += cmocka_run_group_tests_name("wrapped engine", wrapped, NULL, NULL);
    failed += cmocka_run_group_tests_name("engine over LMDB", lmdb, NULL, NULL);
    return failed;
}
