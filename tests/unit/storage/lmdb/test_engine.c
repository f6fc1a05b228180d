// The contract suite of engines, run against the engine in memory, the same with a wrapper around
// it, and LMDB; then what only LMDB promises: durability, damaged and foreign files, budgets,
// readers beside a writer.
#include "storage/engine.h"
#include "storage/lmdb/lmdb_file.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xxhash.h>

enum { BUDGET = 4 * 1024 * 1024 };

typedef struct {
    ut_engine *engine;
    ut_faults faults;
    char dir_z[UT_TEMP_PATH_MAX];
} fixture;

static ut_engine *open_lmdb(const char *dir_z, uint64_t bytes_max)
{
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = bytes_max};
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    if (ut_engine_lmdb_open(&config, &engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return engine;
}

static ut_err try_lmdb(const char *dir_z, bool read_only, ut_engine **engine, ut_fault *fault)
{
    ut_engine_config config = {
        .dir_z = dir_z, .bytes_max = read_only ? 0 : BUDGET, .read_only = read_only};
    memset(fault, 0, sizeof *fault);
    return ut_engine_lmdb_open(&config, engine, fault);
}

static int set_up_memory(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->engine = ut_engine_memory_open(BUDGET);
    *state = f;
    return 0;
}

static int set_up_wrapped(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->engine = ut_engine_faulty_wrap(ut_engine_memory_open(BUDGET), &f->faults);
    *state = f;
    return 0;
}

static int set_up_lmdb(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    f->engine = open_lmdb(f->dir_z, BUDGET);
    *state = f;
    return 0;
}

// A directory without an open engine.
static int set_up_dir(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (f->engine != NULL)
        ut_engine_close(f->engine);
    if (f->dir_z[0] != '\0')
        ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

// ---- helpers ----

static ut_bytes text(const char *text_z)
{
    return ut_bytes_of_z(text_z);
}

static ut_txn *begin(ut_engine *engine, bool write)
{
    ut_txn *txn = NULL;
    assert_int_equal(ut_engine_begin(engine, write, &txn), UT_OK);
    return txn;
}

static void put_z(ut_txn *txn, const char *key_z, const char *value_z)
{
    assert_int_equal(ut_txn_put(txn, text(key_z), text(value_z)), UT_OK);
}

static void assert_bytes(ut_bytes bytes, const char *expected_z)
{
    assert_int_equal(bytes.len, strlen(expected_z));
    assert_memory_equal(bytes.data, expected_z, bytes.len);
}

static void assert_get(ut_txn *txn, const char *key_z, const char *expected_z)
{
    ut_bytes value;
    assert_int_equal(ut_txn_get(txn, text(key_z), &value), UT_OK);
    assert_bytes(value, expected_z);
}

static void assert_absent(ut_txn *txn, const char *key_z)
{
    ut_bytes value;
    assert_int_equal(ut_txn_get(txn, text(key_z), &value), UT_ENOTFOUND);
}

static void commit(ut_txn *txn)
{
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static void store_z(ut_engine *engine, const char *key_z, const char *value_z)
{
    ut_txn *txn = begin(engine, true);
    put_z(txn, key_z, value_z);
    commit(txn);
}

static ut_engine_room room_of(ut_engine *engine)
{
    ut_engine_room room;
    assert_int_equal(ut_engine_get_room(engine, &room), UT_OK);
    return room;
}

// ---- the contract ----

static void records_are_found_replaced_and_deleted(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    ut_txn *txn = begin(engine, true);
    assert_absent(txn, "a");
    put_z(txn, "a", "1");
    put_z(txn, "b", "");
    assert_get(txn, "a", "1");
    assert_get(txn, "b", "");
    put_z(txn, "a", "a longer one");
    commit(txn);

    txn = begin(engine, true);
    assert_get(txn, "a", "a longer one");
    assert_int_equal(ut_txn_del(txn, text("a")), UT_OK);
    assert_int_equal(ut_txn_del(txn, text("a")), UT_ENOTFOUND);
    assert_absent(txn, "a");
    put_z(txn, "c", "3"); // the transaction goes on after a key that was not found
    commit(txn);

    txn = begin(engine, false);
    assert_absent(txn, "a");
    assert_get(txn, "b", "");
    assert_get(txn, "c", "3");
    ut_txn_abort(txn);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    store_z(engine, "a", "1");
    ut_txn *txn = begin(engine, true);
    put_z(txn, "a", "2");
    put_z(txn, "b", "2");
    ut_txn_abort(txn);
    txn = begin(engine, false);
    assert_get(txn, "a", "1");
    assert_absent(txn, "b");
    ut_txn_abort(txn);
}

static void a_reader_sees_the_state_in_which_it_began(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    store_z(engine, "a", "1");
    ut_txn *reader = begin(engine, false);
    store_z(engine, "a", "2");
    ut_txn *later = begin(engine, false);
    store_z(engine, "a", "3");
    assert_get(reader, "a", "1");
    assert_get(later, "a", "2");
    ut_txn_abort(reader);
    ut_txn_abort(later);
}

static void seek_and_step_follow_the_order_of_bytes(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    ut_txn *txn = begin(engine, true);
    put_z(txn, "b", "1");
    put_z(txn, "ba", "2"); // a key stands before those that it begins
    put_z(txn, "b\xff", "3");
    put_z(txn, "c", "4");
    commit(txn);

    txn = begin(engine, false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    static const char *const keys[] = {"b", "ba", "b\xff", "c"};
    assert_int_equal(ut_cursor_seek(cursor, text("a"), &key, &value), UT_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_bytes(key, keys[i]);
        assert_int_equal(value.data[0], '1' + i);
        assert_int_equal(ut_cursor_next(cursor, &key, &value), i < 3 ? UT_OK : UT_ENOTFOUND);
    }
    assert_int_equal(ut_cursor_seek(cursor, text("b\x01"), &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(ut_cursor_seek(cursor, text("ba"), &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(ut_cursor_seek(cursor, text("d"), &key, &value), UT_ENOTFOUND);

    const ut_engine_class *class = engine->class;
    assert_int_equal(class->seek(cursor, text("z"), true, &key, &value), UT_OK);
    for (size_t i = 4; i-- > 0;) {
        assert_bytes(key, keys[i]);
        assert_int_equal(class->step(cursor, true, &key, &value), i > 0 ? UT_OK : UT_ENOTFOUND);
    }
    assert_int_equal(class->seek(cursor, text("ba"), true, &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(class->seek(cursor, text("bz"), true, &key, &value), UT_OK);
    assert_bytes(key, "ba");
    assert_int_equal(class->seek(cursor, text("a"), true, &key, &value), UT_ENOTFOUND);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void a_cursor_in_an_empty_store_finds_nothing(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    ut_txn *txn = begin(engine, false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_cursor_seek(cursor, text("a"), &key, &value), UT_ENOTFOUND);
    assert_int_equal(engine->class->seek(cursor, text("a"), true, &key, &value), UT_ENOTFOUND);
    ut_txn_abort(txn); // closes the cursor
}

static void a_cursor_sees_what_its_transaction_wrote(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    ut_txn *txn = begin(engine, true);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    for (unsigned i = 0; i < 500; i++) {
        char key_z[16];
        (void)snprintf(key_z, sizeof key_z, "k%03u", i * 7 % 500);
        put_z(txn, key_z, "v");
        assert_int_equal(ut_cursor_seek(cursor, text(key_z), &key, &value), UT_OK);
        assert_bytes(key, key_z);
    }
    for (unsigned i = 0; i < 500; i += 2) {
        char deleted_z[16];
        char key_z[16];
        (void)snprintf(deleted_z, sizeof deleted_z, "k%03u", i);
        (void)snprintf(key_z, sizeof key_z, "k%03u", i + 1);
        assert_int_equal(ut_txn_del(txn, text(deleted_z)), UT_OK);
        assert_int_equal(ut_cursor_seek(cursor, text(deleted_z), &key, &value), UT_OK);
        assert_bytes(key, key_z);
    }
    commit(txn); // closes the cursor
}

static void values_of_every_length_come_back(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    static uint8_t bytes[100000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    size_t best = engine->value_bytes_best;
    size_t lengths[] = {0,    1,    100,      1000, 2000,     2013, 2014,  2015,        2016,
                        2030, 2048, best - 1, best, best + 1, 8192, 65536, sizeof bytes};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t key[15] = {'k', (uint8_t)i};
        ut_txn *txn = begin(engine, true);
        ut_bytes value;
        assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 15}, (ut_bytes){bytes, lengths[i]}),
                         UT_OK);
        assert_int_equal(ut_txn_get(txn, (ut_bytes){key, 15}, &value), UT_OK);
        assert_int_equal(value.len, lengths[i]);
        assert_memory_equal(value.data, bytes, value.len);
        commit(txn);
        txn = begin(engine, false);
        assert_int_equal(ut_txn_get(txn, (ut_bytes){key, 15}, &value), UT_OK);
        assert_int_equal(value.len, lengths[i]);
        assert_memory_equal(value.data, bytes, value.len);
        ut_txn_abort(txn);
    }
}

static void keys_up_to_the_limit_are_taken(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    uint8_t key[UT_ENGINE_KEY_MAX];
    memset(key, 0xff, sizeof key);
    ut_txn *txn = begin(engine, true);
    for (size_t len = 1; len <= sizeof key; len++)
        assert_int_equal(ut_txn_put(txn, (ut_bytes){key, len}, text("v")), UT_OK);
    ut_cursor *cursor;
    ut_bytes found;
    ut_bytes value;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_cursor_seek(cursor, (ut_bytes){key, 1}, &found, &value), UT_OK);
    for (size_t len = 1; len < sizeof key; len++) {
        assert_int_equal(found.len, len);
        assert_int_equal(ut_cursor_next(cursor, &found, &value), UT_OK);
    }
    commit(txn);
}

static void a_full_store_refuses_and_goes_on(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    static uint8_t bytes[3000];
    store_z(engine, "a", "1");
    uint8_t *before;
    uint8_t *after;
    size_t before_len;
    size_t after_len;
    ut_engine_dump(engine, &before, &before_len);

    ut_txn *txn = begin(engine, true);
    ut_err err = UT_OK;
    for (unsigned i = 0; err == UT_OK; i++) {
        uint8_t key[5] = {'x'};
        assert_true(i < 1u << 20);
        ut_put_be32(key + 1, i);
        err = ut_txn_put(txn, (ut_bytes){key, 5}, (ut_bytes){bytes, sizeof bytes});
    }
    assert_int_equal(err, UT_EFULL);
    assert_int_equal(ut_txn_put(txn, text("b"), text("2")), UT_EFULL);
    assert_int_equal(ut_txn_commit(txn), UT_EFULL);

    ut_engine_dump(engine, &after, &after_len);
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, after_len);
    free(before);
    free(after);
    store_z(engine, "b", "2");
    txn = begin(engine, false);
    assert_get(txn, "b", "2");
    ut_txn_abort(txn);
}

static void room_follows_what_is_stored(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    ut_engine_room empty = room_of(engine);
    assert_int_equal(empty.bytes_max, BUDGET);
    assert_true(empty.bytes_used + empty.bytes_ready <= BUDGET);
    assert_true(empty.bytes_ready > BUDGET - 64 * 1024);
    static uint8_t bytes[1000];
    for (unsigned round = 0; round < 10; round++) {
        ut_txn *txn = begin(engine, true);
        for (unsigned i = 0; i < 100; i++) {
            uint8_t key[3] = {'k', (uint8_t)round, (uint8_t)i};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 3}, (ut_bytes){bytes, sizeof bytes}),
                             UT_OK);
        }
        commit(txn);
    }
    ut_engine_room full = room_of(engine);
    assert_true(full.bytes_used > empty.bytes_used + 1000 * sizeof bytes);
    assert_true(full.bytes_used < empty.bytes_used + 2000 * sizeof bytes);
    assert_true(full.bytes_ready < empty.bytes_ready - 1000 * sizeof bytes);
    assert_true(full.bytes_ready > BUDGET / 4);
    for (unsigned round = 0; round < 10; round++) {
        ut_txn *txn = begin(engine, true);
        for (unsigned i = 0; i < 100; i++) {
            uint8_t key[3] = {'k', (uint8_t)round, (uint8_t)i};
            assert_int_equal(ut_txn_del(txn, (ut_bytes){key, 3}), UT_OK);
        }
        commit(txn);
    }
    // What the last one freed is ready for the one after the next.
    store_z(engine, "a", "1");
    store_z(engine, "a", "2");
    store_z(engine, "a", "3");
    ut_engine_room emptied = room_of(engine);
    assert_true(emptied.bytes_used <= empty.bytes_used + 64 * 1024);
    assert_true(emptied.bytes_ready > BUDGET - 128 * 1024);
}

// The same random calls on the engine and on a second one in memory, which is the model.
static void random_calls_match_a_model(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    ut_engine *model = ut_engine_memory_open(BUDGET);
    ut_random random = {42};
    static uint8_t bytes[9000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)ut_random_next(&random);
    for (unsigned round = 0; round < 120; round++) {
        ut_txn *txn = begin(engine, true);
        ut_txn *twin = begin(model, true);
        for (unsigned i = 0; i < 60; i++) {
            uint8_t key[8];
            size_t key_len = 1 + ut_random_below(&random, 4);
            for (size_t k = 0; k < sizeof key; k++)
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
            commit(txn);
            commit(twin);
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
        ut_err err = ut_txn_get(txn, text("first"), &value);
        if (err == UT_OK) {
            first_len = value.len;
            memcpy(first, value.data, value.len);
            UT_ASSERT(ut_txn_get(txn, text("second"), &value) == UT_OK);
            UT_ASSERT(value.len == first_len && memcmp(first, value.data, first_len) == 0);
        }
        ut_txn_abort(txn);
        job->rounds += 1;
    }
    return NULL;
}

static void readers_on_other_threads_see_whole_transactions(void **state)
{
    ut_engine *engine = ((fixture *)*state)->engine;
    reader_job jobs[3] = {{engine, false, 0}, {engine, false, 0}, {engine, false, 0}};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &jobs[i]), 0);
    for (unsigned i = 0; i < 300; i++) {
        char value_z[32];
        (void)snprintf(value_z, sizeof value_z, "%u", i * 7919);
        ut_txn *txn = begin(engine, true);
        put_z(txn, "first", value_z);
        put_z(txn, "second", value_z);
        commit(txn);
    }
    for (size_t i = 0; i < 3; i++)
        __atomic_store_n(&jobs[i].stop, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void a_chosen_call_fails_and_the_next_works(void **state)
{
    fixture *f = *state;
    f->faults = (ut_faults){.fail_at = 2, .err = UT_EIO};
    ut_txn *txn = begin(f->engine, true);
    assert_int_equal(ut_txn_put(txn, text("a"), text("1")), UT_EIO);
    assert_int_equal(ut_txn_put(txn, text("a"), text("1")), UT_EIO);
    assert_int_equal(ut_txn_commit(txn), UT_EIO);
    f->faults.fail_at = 0;
    store_z(f->engine, "a", "2");
}

// ---- LMDB: opening ----

static void a_store_survives_closing_and_opening(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
        ut_txn *txn = begin(engine, false);
        if (i > 0)
            assert_get(txn, "a", i == 1 ? "first" : "second");
        ut_txn_abort(txn);
        store_z(engine, "a", i == 0 ? "first" : "second");
        ut_engine_close(engine);
    }
}

// LMDB leaves it the pages that it had.
static void a_value_that_became_shorter_in_its_transaction_is_no_damage(void **state)
{
    fixture *f = *state;
    static const uint8_t value[40000] = {1};
    ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
    ut_txn *txn = begin(engine, true);
    assert_int_equal(ut_txn_put(txn, text("a"), (ut_bytes){value, sizeof value}), UT_OK);
    assert_int_equal(ut_txn_put(txn, text("a"), (ut_bytes){value, sizeof value / 2}), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_engine_close(engine);
    engine = open_lmdb(f->dir_z, BUDGET);
    store_z(engine, "b", "1");
    txn = begin(engine, true);
    ut_bytes found;
    assert_int_equal(ut_txn_get(txn, text("a"), &found), UT_OK);
    assert_int_equal(found.len, sizeof value / 2);
    assert_int_equal(ut_txn_del(txn, text("a")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_engine_close(engine);
}

// A child that writes or waits for ever ends with the test, also when that fails.
static pid_t fork_child(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // what emulators do not know they need not do
    return child;
}

// Runs job in a process of its own. Returns its exit code, or minus the signal that ended it.
static int in_child(void (*job)(void *context), void *context)
{
    pid_t child = fork_child();
    if (child == 0) {
        // A crash is what some of these tests look for: no core file, no report of a sanitizer.
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        job(context);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void send_a_fault(void *context)
{
    ut_fault fault;
    ut_engine *engine;
    const int *number = context;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    if (try_lmdb(dir_z, false, &engine, &fault) != UT_OK)
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
        assert_int_equal(in_child(send_a_fault, &numbers[i]), -numbers[i]);
}

static void try_to_write(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    ut_err err = try_lmdb(context, false, &engine, &fault);
    _exit(err == UT_EBUSY && strstr(fault.text_z, context) != NULL &&
                  strstr(fault.text_z, "process") != NULL
              ? 7
              : 1);
}

static void a_second_writer_is_refused(void **state)
{
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    assert_int_equal(in_child(try_to_write, f->dir_z), 7);
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_EBUSY);
    ut_engine_close(f->engine);
    f->engine = NULL;
    // A reader without a lock file keeps it out, too, and is not taken for a writer.
    char lock_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.lock", lock_z);
    int reader = open(lock_z, O_RDONLY | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(flock(reader, LOCK_SH | LOCK_NB), 0);
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_EBUSY);
    assert_non_null(strstr(fault.text_z, "being read"));
    (void)close(reader);
    f->engine = open_lmdb(f->dir_z, BUDGET);
}

static void read_beside_a_writer(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    if (try_lmdb(context, true, &engine, &fault) != UT_OK)
        _exit(1);
    ut_txn *txn;
    ut_bytes value;
    if (ut_engine_begin(engine, true, &txn) != UT_EPERM)
        _exit(2);
    if (ut_engine_begin(engine, false, &txn) != UT_OK)
        _exit(3);
    if (ut_txn_get(txn, text("a"), &value) != UT_OK || value.len != 1 || value.data[0] != '1')
        _exit(4);
    ut_txn_abort(txn);
    ut_engine_close(engine);
    _exit(7);
}

static void a_reader_opens_beside_a_writer(void **state)
{
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    store_z(f->engine, "a", "1");
    assert_int_equal(in_child(read_beside_a_writer, f->dir_z), 7);
    store_z(f->engine, "a", "2");
}

static void opening_for_reading_makes_nothing(void **state)
{
    fixture *f = *state;
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(try_lmdb(f->dir_z, true, &engine, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, f->dir_z));
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_not_equal(access(path_z, F_OK), 0);
    ut_temp_path(f->dir_z, "missing", path_z);
    assert_int_equal(try_lmdb(path_z, false, &engine, &fault), UT_ENOTFOUND);
    assert_non_null(strstr(fault.text_z, path_z));
}

static void impossible_budgets_are_refused(void **state)
{
    fixture *f = *state;
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
    ut_err err = try_lmdb(context, true, &engine, &fault);
    if (err == UT_EPERM)
        _exit(8);
    if (err != UT_OK)
        _exit(1);
    ut_txn *txn;
    ut_bytes value;
    if (ut_engine_begin(engine, false, &txn) != UT_OK ||
        ut_txn_get(txn, text("a"), &value) != UT_OK)
        _exit(2);
    ut_txn_abort(txn);
    ut_engine_close(engine);
    _exit(7);
}

static void a_copy_opens_where_nothing_may_be_written(void **state)
{
    fixture *f = *state;
    ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
    store_z(engine, "a", "1");
    ut_engine_close(engine);
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_equal(chmod(path_z, 0444), 0);
    assert_int_equal(chmod(f->dir_z, 0555), 0);
    // With a lock file that may not be written, and store.lock that does not tell, somebody else may
    // be writing: refused.
    ut_temp_path(f->dir_z, "store.mdb-lock", path_z);
    assert_int_equal(chmod(path_z, 0444), 0);
    assert_int_equal(in_child(read_as_nobody, f->dir_z), 8);
    char writer_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.lock", writer_z);
    assert_int_equal(chmod(writer_z, 0444), 0);
    assert_int_equal(in_child(read_as_nobody, f->dir_z), 7);
    int writer = open(writer_z, O_RDONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0); // the reader has let go of it
    assert_int_equal(in_child(read_as_nobody, f->dir_z), 8);
    (void)close(writer);
    assert_int_equal(chmod(f->dir_z, 0755), 0);
    assert_int_equal(unlink(path_z), 0);
    assert_int_equal(chmod(f->dir_z, 0555), 0);
    assert_int_equal(in_child(read_as_nobody, f->dir_z), 7);
}

// ---- LMDB: damaged files ----

static uint8_t *read_whole(const char *path_z, size_t *len)
{
    FILE *file = fopen(path_z, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *len = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*len + 1);
    assert_int_equal(fread(data, 1, *len, file), *len);
    (void)fclose(file);
    return data;
}

static void write_whole(const char *path_z, const uint8_t *data, size_t len)
{
    FILE *file = fopen(path_z, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

// A store with records of all sizes, small, so that every page of it can be damaged in turn.
static uint8_t *sample_file(fixture *f, char path_z[UT_TEMP_PATH_MAX], size_t *len)
{
    ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
    ut_random random = {7};
    static uint8_t bytes[20000];
    for (unsigned round = 0; round < 12; round++) {
        ut_txn *txn = begin(engine, true);
        for (unsigned i = 0; i < 40; i++) {
            uint8_t key[9] = {'k'};
            ut_put_be64(key + 1, ut_random_next(&random));
            size_t value_len = i == 0 ? 20000 : i % 8 == 0 ? 3000 : ut_random_below(&random, 200);
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 9}, (ut_bytes){bytes, value_len}),
                             UT_OK);
        }
        commit(txn);
    }
    ut_engine_close(engine);
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    return read_whole(path_z, len);
}

// Opens for writing, reads everything, writes a little. Ends with 0 when all went well, and with 7
// when an error came back.
static void use_all(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    ut_err err = try_lmdb(context, false, &engine, &fault);
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
        for (err = ut_cursor_seek(cursor, text("a"), &key, &value); err == UT_OK;
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
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    ut_engine *engine;
    ut_fault fault;
    assert_true(len > 100000);
    for (size_t left = len; left > 0;) {
        left -= left > 20000 ? 3001 : left > 500 ? 499 : 1;
        write_whole(path_z, data, left);
        ut_err err = try_lmdb(f->dir_z, false, &engine, &fault);
        assert_true(err == UT_ECORRUPT);
        assert_non_null(strstr(fault.text_z, path_z));
        err = try_lmdb(f->dir_z, true, &engine, &fault);
        assert_true(err == UT_ECORRUPT);
    }
    write_whole(path_z, data, len);
    f->engine = open_lmdb(f->dir_z, BUDGET);
    free(data);
}

static void a_foreign_file_is_a_clear_fault(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    static uint8_t bytes[20000];
    ut_engine *engine;
    ut_fault fault;
    write_whole(path_z, bytes, sizeof bytes); // zeros
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_ECORRUPT);
    memset(bytes, 'x', sizeof bytes);
    write_whole(path_z, bytes, sizeof bytes);
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_ECORRUPT);
    assert_non_null(strstr(fault.text_z, "not a store"));
    write_whole(path_z, bytes, 10);
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_ECORRUPT);
    // A store of a machine whose words have the other size, and one of the other byte order.
    static const uint8_t little[4] = {0xde, 0xc0, 0xef, 0xbe};
    static const uint8_t big[4] = {0xbe, 0xef, 0xc0, 0xde};
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes + (sizeof(size_t) == 8 ? 12 : 16), little, 4);
    write_whole(path_z, bytes, sizeof bytes);
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_EVERSION);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes + 16, big, 4);
    write_whole(path_z, bytes, sizeof bytes);
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_EVERSION);
    assert_int_equal(unlink(path_z), 0);
    f->engine = open_lmdb(f->dir_z, BUDGET);
}

static void another_lmdb_version_is_a_clear_fault(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    data[UT_LMDB_PAGE_HEADER_LEN + 4] = 2;
    write_whole(path_z, data, len);
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_EVERSION);
    free(data);
}

// Zeros are what a lost write leaves. Bits that flip are in test_damage.c.
static void an_overwritten_page_never_ends_the_program(void **state)
{
    fixture *f = *state;
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
            write_whole(path_z, damaged, len);
            int code = in_child(use_all, f->dir_z);
            if (code != 0 && code != 7)
                fail_msg("page at %zu filled with %#x: exit %d", at, fills[fill], code);
            noticed += code == 7;
        }
    }
    assert_true(noticed > 20);
    write_whole(path_z, data, len);
    free(data);
    free(damaged);
    f->engine = open_lmdb(f->dir_z, BUDGET);
}

// LMDB does not write pages that one transaction took from the end of the file and gave back.
static void a_healthy_file_that_ends_early_opens(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    static uint8_t bytes[30000];
    unsigned seen = 0;
    ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
    for (unsigned round = 1; round < 40; round++) {
        ut_txn *txn = begin(engine, true);
        for (unsigned i = 0; i < round * 8; i++) {
            uint8_t key[3] = {'k', (uint8_t)(i >> 8), (uint8_t)i};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 3}, (ut_bytes){bytes, 1500}), UT_OK);
        }
        for (unsigned i = round * 8; i-- > round % 3;) {
            uint8_t key[3] = {'k', (uint8_t)(i >> 8), (uint8_t)i};
            assert_int_equal(ut_txn_del(txn, (ut_bytes){key, 3}), UT_OK);
        }
        commit(txn);
        ut_engine_room room = room_of(engine);
        ut_engine_close(engine);
        struct stat status;
        assert_int_equal(stat(path_z, &status), 0);
        seen += (uint64_t)status.st_size < room.bytes_file;
        if ((uint64_t)status.st_size < room.bytes_file) {
            // Without the pages of its trees it is not healthy any more.
            size_t len;
            uint8_t *data = read_whole(path_z, &len);
            ut_fault fault;
            write_whole(path_z, data, 8192);
            assert_int_equal(try_lmdb(f->dir_z, false, &engine, &fault), UT_ECORRUPT);
            write_whole(path_z, data, len);
            free(data);
        }
        engine = open_lmdb(f->dir_z, BUDGET);
    }
    ut_engine_close(engine);
    assert_true(seen > 3);
}

static void meet_contradiction(void *context)
{
    ut_engine *engine;
    ut_fault fault;
    if (try_lmdb(context, false, &engine, &fault) != UT_OK)
        _exit(1);
    for (unsigned write = 0; write < 2; write++) {
        ut_txn *txn;
        ut_bytes value;
        ut_err err = ut_engine_begin(engine, write == 1, &txn);
        if (err == UT_OK) {
            ut_cursor *cursor;
            if (ut_txn_cursor(txn, &cursor) != UT_OK)
                _exit(2);
            err = ut_txn_get(txn, text("k"), &value);
            if (err != UT_ECORRUPT || ut_txn_put(txn, text("k"), text("v")) != UT_ECORRUPT)
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
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    size_t len;
    uint8_t *data = sample_file(f, path_z, &len);
    unsigned met = 0;
    for (size_t at = 8192; at < len; at += 4096) {
        uint16_t flags;
        memcpy(&flags, data + at + sizeof(size_t) + 2, sizeof flags);
        if (flags != 0x01)
            continue;
        uint8_t *lower = data + at + sizeof(size_t) + 4;
        uint8_t kept[2] = {lower[0], lower[1]};
        lower[0] = UT_LMDB_PAGE_HEADER_LEN + 2; // a branch page with a single child
        lower[1] = 0;
        write_whole(path_z, data, len);
        met += in_child(meet_contradiction, f->dir_z) == 7;
        memcpy(lower, kept, 2);
    }
    assert_true(met >= 1);
    write_whole(path_z, data, len);
    free(data);
    f->engine = open_lmdb(f->dir_z, BUDGET);
}

// ---- LMDB: kills, full disks, broken writes ----

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
    ut_engine *engine = open_lmdb(dir_z, BUDGET);
    uint64_t count = 0;
    ut_txn *txn = begin(engine, false);
    ut_bytes value;
    if (ut_txn_get(txn, text("a"), &value) == UT_OK)
        count = ut_get_be64(value.data);
    ut_txn_abort(txn);
    for (;;) {
        uint8_t bytes[3000] = {0};
        count += 1;
        ut_put_be64(bytes, count);
        txn = begin(engine, true);
        UT_ASSERT(ut_txn_put(txn, text("a"), (ut_bytes){bytes, 8}) == UT_OK);
        uint8_t key[2] = {'b', (uint8_t)(count % 200)};
        UT_ASSERT(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof bytes}) == UT_OK);
        UT_ASSERT(ut_txn_commit(txn) == UT_OK);
        UT_ASSERT(write(pipe_out, &count, sizeof count) == (ssize_t)sizeof count);
    }
}

static void what_was_committed_survives_a_kill(void **state)
{
    fixture *f = *state;
    if (!locks_survive_a_kill())
        skip();
    ut_random random = {3};
    for (unsigned round = 0; round < 15; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork_child();
        if (child == 0) {
            (void)close(ends[0]);
            write_until_killed(f->dir_z, ends[1]);
        }
        (void)close(ends[1]);
        uint64_t last = 0;
        uint64_t count;
        unsigned wanted = 1 + ut_random_below(&random, 30);
        while (wanted-- > 0 && read(ends[0], &count, sizeof count) == (ssize_t)sizeof count)
            last = count;
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(ends[0], &count, sizeof count) == (ssize_t)sizeof count)
            last = count;
        (void)close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(last > 0);
        ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
        ut_txn *txn = begin(engine, false);
        ut_bytes value;
        assert_int_equal(ut_txn_get(txn, text("a"), &value), UT_OK);
        uint64_t stored = ut_get_be64(value.data);
        assert_true(stored == last || stored == last + 1);
        ut_txn_abort(txn);
        ut_engine_close(engine);
    }
}

static void a_full_disk_is_an_error_and_passes(void **state)
{
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    store_z(f->engine, "a", "1");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 256 * 1024, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    static uint8_t bytes[60000];
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 20 && err == UT_OK; i++) {
        uint8_t key[2] = {'k', (uint8_t)i};
        ut_txn *txn = begin(f->engine, true);
        assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof bytes}),
                         UT_OK);
        err = ut_txn_commit(txn);
    }
    assert_true(err == UT_ENOSPC || err == UT_EIO);
    ut_txn *txn = begin(f->engine, false);
    assert_get(txn, "a", "1");
    ut_txn_abort(txn);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old);
    store_z(f->engine, "a", "2");
    txn = begin(f->engine, false);
    assert_get(txn, "a", "2");
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
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    store_z(f->engine, "a", "1");
    int meta = meta_descriptor();
    assert_true(meta >= 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(dup2(full, meta), meta);
    (void)close(full);
    ut_txn *txn = begin(f->engine, true);
    put_z(txn, "a", "2");
    ut_err err = ut_txn_commit(txn);
    assert_true(err == UT_ENOSPC || err == UT_EIO);
    // LMDB takes its environment for lost; the engine opens it again.
    txn = begin(f->engine, false);
    assert_get(txn, "a", "1");
    ut_txn_abort(txn);
    store_z(f->engine, "a", "3");
    txn = begin(f->engine, false);
    assert_get(txn, "a", "3");
    ut_txn_abort(txn);
}

static void commits_go_on_after_writing_failed(void **state)
{
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    store_z(f->engine, "a", "1");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ut_txn *txn = begin(f->engine, true);
    put_z(txn, "a", "2");
    assert_int_not_equal(ut_txn_commit(txn), UT_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old);
    store_z(f->engine, "b", "3");
    txn = begin(f->engine, false);
    assert_get(txn, "a", "1");
    assert_get(txn, "b", "3");
    ut_txn_abort(txn);
}

// ---- LMDB: budget and readers ----

static void the_file_stays_within_the_budget(void **state)
{
    fixture *f = *state;
    static const uint64_t budgets[] = {1024 * 1024, 3 * 1024 * 1024 + 12345};
    static uint8_t bytes[5000];
    for (size_t b = 0; b < 2; b++) {
        ut_engine *engine = open_lmdb(f->dir_z, budgets[b]);
        ut_random random = {b};
        unsigned refused = 0;
        for (unsigned i = 0; i < 3000; i++) {
            ut_txn *txn = begin(engine, true);
            ut_err err = UT_OK;
            for (unsigned k = 0; k < 4 && err == UT_OK; k++) {
                uint8_t key[3] = {'k', (uint8_t)ut_random_next(&random), (uint8_t)(i % 4)};
                err = ut_txn_put(txn, (ut_bytes){key, 3},
                                 (ut_bytes){bytes, ut_random_below(&random, sizeof bytes)});
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
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    ut_random random = {5};
    static uint8_t bytes[4080];
    for (unsigned round = 0; round < 400; round++) {
        ut_engine_room room = room_of(f->engine);
        uint64_t page = room.page_bytes;
        assert_true(room.bytes_used + room.bytes_ready <= BUDGET + page);
        uint64_t pages = room.bytes_ready > room.write_reserve
                             ? (room.bytes_ready - room.write_reserve) / (page + room.touch_bytes)
                             : 0;
        ut_txn *txn = begin(f->engine, true);
        if (pages > 50) {
            pages = ut_random_below(&random, 2) == 0 ? pages : 50;
            for (uint64_t i = 0; i < pages; i++) {
                uint8_t key[9] = {'k'};
                ut_put_be64(key + 1, ut_random_next(&random));
                assert_int_equal(
                    ut_txn_put(txn, (ut_bytes){key, 9}, (ut_bytes){bytes, sizeof bytes}), UT_OK);
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
    fixture *f = *state;
    f->engine = open_lmdb(f->dir_z, BUDGET);
    static uint8_t bytes[4000];
    for (unsigned i = 0; i < 3; i++) {
        ut_txn *txn = begin(f->engine, true);
        for (unsigned k = 0; k < 200; k++) {
            uint8_t key[2] = {'k', (uint8_t)k};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof bytes}),
                             UT_OK);
        }
        commit(txn);
    }
    uint64_t before = room_of(f->engine).bytes_ready;
    ut_txn *reader = begin(f->engine, false);
    ut_txn *txn = begin(f->engine, true);
    for (unsigned k = 0; k < 200; k++) {
        uint8_t key[2] = {'k', (uint8_t)k};
        assert_int_equal(ut_txn_del(txn, (ut_bytes){key, 2}), UT_OK);
    }
    commit(txn);
    for (unsigned i = 0; i < 5; i++)
        store_z(f->engine, "a", "1");
    assert_true(room_of(f->engine).bytes_ready <= before);
    ut_txn_abort(reader);
    assert_true(room_of(f->engine).bytes_ready > before + 200 * sizeof bytes);
}

static void read_and_stay(const char *dir_z, int pipe_out)
{
    ut_engine *engine;
    ut_fault fault;
    UT_ASSERT(try_lmdb(dir_z, true, &engine, &fault) == UT_OK);
    ut_txn *txn = begin(engine, false);
    assert_get(txn, "a", "1");
    UT_ASSERT(write(pipe_out, "r", 1) == 1);
    for (;;)
        (void)pause();
}

static void a_killed_reader_pins_nothing(void **state)
{
    fixture *f = *state;
    int ends[2];
    static uint8_t bytes[4000];
    ut_engine *engine = open_lmdb(f->dir_z, BUDGET);
    store_z(engine, "a", "1");
    ut_engine_close(engine);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork_child();
    if (child == 0)
        read_and_stay(f->dir_z, ends[1]);
    char ready;
    assert_int_equal(read(ends[0], &ready, 1), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    f->engine = open_lmdb(f->dir_z, BUDGET);
    for (unsigned i = 0; i < 2; i++) {
        ut_txn *txn = begin(f->engine, true);
        for (unsigned k = 0; k < 200; k++) {
            uint8_t key[2] = {'k', (uint8_t)k};
            assert_int_equal(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof bytes}),
                             UT_OK);
        }
        commit(txn);
    }
    for (unsigned i = 0; i < 3; i++)
        store_z(f->engine, "b", "1");
    uint64_t pinned = room_of(f->engine).bytes_ready;
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    uint64_t freed = pinned;
    for (unsigned i = 0; i < 200 && freed <= pinned; i++)
        freed = room_of(f->engine).bytes_ready;
    assert_true(freed > pinned + 100 * sizeof bytes);
}

static void a_larger_budget_reaches_a_reader_that_is_open(void **state)
{
    fixture *f = *state;
    int down[2];
    int up[2];
    ut_engine *engine = open_lmdb(f->dir_z, 1024 * 1024);
    store_z(engine, "a", "1");
    ut_engine_close(engine);
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t child = fork_child();
    char byte = 0;
    if (child == 0) {
        ut_fault fault;
        UT_ASSERT(try_lmdb(f->dir_z, true, &engine, &fault) == UT_OK);
        ut_txn *txn = begin(engine, false);
        assert_get(txn, "a", "1");
        ut_txn_abort(txn);
        UT_ASSERT(write(up[1], "r", 1) == 1);
        UT_ASSERT(read(down[0], &byte, 1) == 1);
        txn = begin(engine, false);
        ut_bytes value;
        _exit(ut_txn_get(txn, text("big"), &value) == UT_OK && value.len == 2000000 ? 7 : 1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    f->engine = open_lmdb(f->dir_z, BUDGET);
    static uint8_t bytes[2000000];
    ut_txn *txn = begin(f->engine, true);
    assert_int_equal(ut_txn_put(txn, text("big"), (ut_bytes){bytes, sizeof bytes}), UT_OK);
    commit(txn);
    assert_int_equal(write(down[1], "g", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    for (int i = 0; i < 2; i++) {
        (void)close(down[i]);
        (void)close(up[i]);
    }
}

#define CONTRACT(set_up)                                                                           \
    cmocka_unit_test_setup_teardown(records_are_found_replaced_and_deleted, set_up, tear_down),    \
        cmocka_unit_test_setup_teardown(an_aborted_transaction_leaves_nothing, set_up, tear_down), \
        cmocka_unit_test_setup_teardown(a_reader_sees_the_state_in_which_it_began, set_up,         \
                                        tear_down),                                                \
        cmocka_unit_test_setup_teardown(seek_and_step_follow_the_order_of_bytes, set_up,           \
                                        tear_down),                                                \
        cmocka_unit_test_setup_teardown(a_cursor_in_an_empty_store_finds_nothing, set_up,          \
                                        tear_down),                                                \
        cmocka_unit_test_setup_teardown(a_cursor_sees_what_its_transaction_wrote, set_up,          \
                                        tear_down),                                                \
        cmocka_unit_test_setup_teardown(values_of_every_length_come_back, set_up, tear_down),      \
        cmocka_unit_test_setup_teardown(keys_up_to_the_limit_are_taken, set_up, tear_down),        \
        cmocka_unit_test_setup_teardown(a_full_store_refuses_and_goes_on, set_up, tear_down),      \
        cmocka_unit_test_setup_teardown(room_follows_what_is_stored, set_up, tear_down),           \
        cmocka_unit_test_setup_teardown(random_calls_match_a_model, set_up, tear_down),            \
        cmocka_unit_test_setup_teardown(readers_on_other_threads_see_whole_transactions, set_up,   \
                                        tear_down)

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up_dir, tear_down)

int main(void)
{
    const struct CMUnitTest memory[] = {CONTRACT(set_up_memory)};
    const struct CMUnitTest wrapped[] = {
        CONTRACT(set_up_wrapped),
        cmocka_unit_test_setup_teardown(a_chosen_call_fails_and_the_next_works, set_up_wrapped,
                                        tear_down),
    };
    const struct CMUnitTest lmdb[] = {
        CONTRACT(set_up_lmdb),
        WITH_DIR(a_store_survives_closing_and_opening),
        WITH_DIR(a_value_that_became_shorter_in_its_transaction_is_no_damage),
        WITH_DIR(a_fault_that_somebody_sent_is_not_swallowed),
        WITH_DIR(a_second_writer_is_refused),
        WITH_DIR(a_reader_opens_beside_a_writer),
        WITH_DIR(opening_for_reading_makes_nothing),
        WITH_DIR(impossible_budgets_are_refused),
        WITH_DIR(a_copy_opens_where_nothing_may_be_written),
        WITH_DIR(a_cut_file_is_a_clear_fault),
        WITH_DIR(a_foreign_file_is_a_clear_fault),
        WITH_DIR(another_lmdb_version_is_a_clear_fault),
        WITH_DIR(an_overwritten_page_never_ends_the_program),
        WITH_DIR(a_healthy_file_that_ends_early_opens),
        WITH_DIR(a_contradiction_in_the_tree_is_an_error),
        WITH_DIR(what_was_committed_survives_a_kill),
        WITH_DIR(a_full_disk_is_an_error_and_passes),
        WITH_DIR(a_meta_page_that_cannot_be_written_is_survived),
        WITH_DIR(commits_go_on_after_writing_failed),
        WITH_DIR(the_file_stays_within_the_budget),
        WITH_DIR(what_is_ready_can_be_written),
        WITH_DIR(a_reader_pins_pages_until_it_ends),
        WITH_DIR(a_killed_reader_pins_nothing),
        WITH_DIR(a_larger_budget_reaches_a_reader_that_is_open),
    };
    int failed = cmocka_run_group_tests_name("engine in memory", memory, NULL, NULL);
    failed += cmocka_run_group_tests_name("wrapped engine", wrapped, NULL, NULL);
    failed += cmocka_run_group_tests_name("engine over LMDB", lmdb, NULL, NULL);
    return failed;
}
