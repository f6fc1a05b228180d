// An engine for a test, or a directory for one. Only for the tests of this folder.
#ifndef UT_TESTS_ENGINE_FIXTURE_H
#define UT_TESTS_ENGINE_FIXTURE_H

#include "tests/support/engine_memory.h"
#include "tests/support/temp_dir.h"

enum { UT_ENGINE_FIXTURE_BYTES = 4 * 1024 * 1024 }; // the budget of its engines

typedef struct {
    ut_engine *engine; // NULL: none is open
    ut_faults faults;  // of the wrapped engine
    char dir_z[UT_TEMP_PATH_MAX];
} ut_engine_fixture;

int ut_engine_fixture_memory(void **state);
int ut_engine_fixture_wrapped(void **state);
int ut_engine_fixture_lmdb(void **state);
int ut_engine_fixture_dir(void **state); // a directory without an open engine
int ut_engine_fixture_tear_down(void **state);

#endif
