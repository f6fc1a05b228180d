// Calls of an engine that have to work; see engine_calls.h.
#include "tests/support/engine_calls.h"

#include "tests/support/engine_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- opening ----

ut_engine *ut_test_open_lmdb(const char *dir_z, uint64_t bytes_max)
{
    ut_engine *engine = NULL;
    ut_fault fault;
    if (ut_test_try_lmdb(dir_z, bytes_max, false, &engine, &fault) != UT_OK)
        (void)fprintf(stderr, "%s\n", fault.text_z);
    UT_ASSERT(engine != NULL);
    return engine;
}

ut_err ut_test_try_lmdb(const char *dir_z, uint64_t bytes_max, bool read_only, ut_engine **engine,
                        ut_fault *fault)
{
    const ut_engine_config config = {
        .dir_z = dir_z, .bytes_max = read_only ? 0 : bytes_max, .read_only = read_only};
    memset(fault, 0, sizeof(*fault));
    return ut_engine_lmdb_open(&config, engine, fault);
}

// ---- transactions ----

ut_txn *ut_test_begin(ut_engine *engine, bool write)
{
    ut_txn *txn = NULL;
    UT_ASSERT(ut_engine_begin(engine, write, &txn) == UT_OK);
    return txn;
}

void ut_test_commit(ut_txn *txn)
{
    UT_ASSERT(ut_txn_commit(txn) == UT_OK);
}

void ut_test_put_z(ut_txn *txn, const char *key_z, const char *value_z)
{
    UT_ASSERT(ut_txn_put(txn, ut_bytes_of_z(key_z), ut_bytes_of_z(value_z)) == UT_OK);
}

void ut_test_store_z(ut_engine *engine, const char *key_z, const char *value_z)
{
    ut_txn *txn = ut_test_begin(engine, true);
    ut_test_put_z(txn, key_z, value_z);
    ut_test_commit(txn);
}

void ut_test_assert_get(ut_txn *txn, const char *key_z, const char *expected_z)
{
    ut_bytes value;
    UT_ASSERT(ut_txn_get(txn, ut_bytes_of_z(key_z), &value) == UT_OK);
    UT_ASSERT(ut_bytes_equal(value, ut_bytes_of_z(expected_z)));
}

void ut_test_assert_absent(ut_txn *txn, const char *key_z)
{
    ut_bytes value;
    UT_ASSERT(ut_txn_get(txn, ut_bytes_of_z(key_z), &value) == UT_ENOTFOUND);
}

ut_engine_room ut_test_room(ut_engine *engine)
{
    ut_engine_room room;
    UT_ASSERT(ut_engine_get_room(engine, &room) == UT_OK);
    return room;
}

void ut_test_churn(ut_engine *engine, ut_random *random, unsigned commits)
{
    uint8_t bytes[6000] = {0};
    for (unsigned i = 0; i < commits; i++) {
        ut_txn *txn = ut_test_begin(engine, true);
        for (unsigned k = 0; k < 12; k++) {
            const uint8_t key[3] = {'k', (uint8_t)ut_random_below(random, 4),
                                    (uint8_t)ut_random_next(random)};
            bytes[0] = (uint8_t)ut_random_next(random);
            if (ut_random_below(random, 3) == 0)
                (void)ut_txn_del(txn, (ut_bytes){key, 3}); // may not be there
            else
                (void)ut_txn_put(
                    txn, (ut_bytes){key, 3}, // may be full
                    (ut_bytes){bytes, ut_random_below(random, 10) == 0 ? sizeof(bytes) : 300});
        }
        const ut_err err = ut_txn_commit(txn);
        UT_ASSERT(err == UT_OK || err == UT_EFULL);
    }
}

void ut_test_assert_same_dump(ut_engine *engine, const uint8_t *data, size_t len)
{
    uint8_t *now;
    size_t now_len;
    ut_engine_dump(engine, &now, &now_len);
    UT_ASSERT(ut_bytes_equal((ut_bytes){now, now_len}, (ut_bytes){data, len}));
    free(now);
}

// ---- files and processes ----

uint8_t *ut_test_read_whole(const char *path_z, size_t *len)
{
    FILE *file = fopen(path_z, "rb");
    UT_ASSERT(file != NULL);
    UT_ASSERT(fseek(file, 0, SEEK_END) == 0);
    *len = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*len + 1);
    UT_ASSERT(data != NULL && fread(data, 1, *len, file) == *len);
    (void)fclose(file); // read only
    return data;
}

void ut_test_write_whole(const char *path_z, const uint8_t *data, size_t len)
{
    FILE *file = fopen(path_z, "wb");
    UT_ASSERT(file != NULL);
    UT_ASSERT(fwrite(data, 1, len, file) == len);
    UT_ASSERT(fclose(file) == 0);
}

pid_t ut_test_fork(void)
{
    const pid_t child = fork();
    UT_ASSERT(child >= 0);
    if (child == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // emulators that do not know it need not
    return child;
}

int ut_test_in_child(void (*job)(void *context), void *context)
{
    const pid_t child = ut_test_fork();
    if (child == 0) {
        // A crash is what some of these tests look for: no core file, no report of a sanitizer.
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        job(context);
        _exit(0);
    }
    int status;
    UT_ASSERT(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
