// Calls of an engine that have to work, for tests; what fails ends the test.
#ifndef UT_TESTS_SUPPORT_ENGINE_CALLS_H
#define UT_TESTS_SUPPORT_ENGINE_CALLS_H

#include "storage/engine.h"
#include "tests/support/random_span.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ---- opening ----

// Opens or creates the LMDB engine in dir_z.
ut_engine *ut_test_open_lmdb(const char *dir_z, uint64_t bytes_max);
// Opens it as far as it can be opened; *fault is empty on UT_OK.
ut_err ut_test_try_lmdb(const char *dir_z, uint64_t bytes_max, bool read_only, ut_engine **engine,
                        ut_fault *fault);

// ---- transactions ----

ut_txn *ut_test_begin(ut_engine *engine, bool write);
void ut_test_commit(ut_txn *txn);
void ut_test_put_z(ut_txn *txn, const char *key_z, const char *value_z);
void ut_test_store_z(ut_engine *engine, const char *key_z, const char *value_z); // and commits
void ut_test_assert_get(ut_txn *txn, const char *key_z, const char *expected_z);
void ut_test_assert_absent(ut_txn *txn, const char *key_z);
ut_engine_room ut_test_room(ut_engine *engine);
// Commits puts and deletes of about a thousand keys; some of the transactions may be too large.
void ut_test_churn(ut_engine *engine, ut_random *random, unsigned commits);
// All records are those of a dump of ut_engine_dump.
void ut_test_assert_same_dump(ut_engine *engine, const uint8_t *data, size_t len);

// ---- files and processes ----

uint8_t *ut_test_read_whole(const char *path_z, size_t *len); // with free
void ut_test_write_whole(const char *path_z, const uint8_t *data, size_t len);
// fork(); a child that writes or waits for ever ends with the test, also when that fails.
pid_t ut_test_fork(void);
// Runs job in a process of its own, which does not outlive the test. Its exit code, or minus the
// number of the signal that ended it.
int ut_test_in_child(void (*job)(void *context), void *context);

#endif
