// A store over an engine whose calls can be made to fail, and commits to it. Only for the tests of
// this folder; what fails ends the test.
#ifndef UT_TESTS_STORE_RIG_H
#define UT_TESTS_STORE_RIG_H

#include "storage/query/query.h"
#include "storage/store/key.h"
#include "storage/store/record.h"
#include "storage/store/store_view.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

enum { UT_RIG_BUDGET = 64 * 1024 * 1024 };

// The time of the commits, unless a test says otherwise.
static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_faults faults;
    ut_engine *memory; // inside of the wrapper
    ut_store *store;
    ut_batch batch;
    char dir_z[UT_TEMP_PATH_MAX];
} ut_rig;

// The engine is the store's.
ut_store *ut_rig_open_with(ut_engine *engine, uint64_t ttl_ms);

int ut_rig_set_up(void **state); // a store in memory
int ut_rig_tear_down(void **state);

ut_store_append ut_rig_commit_batch(ut_store *store, const ut_batch *batch);
ut_store_append ut_rig_commit_spans(ut_rig *rig, const ut_test_span *spans, size_t count);
ut_store_counts ut_rig_counts_of(const ut_store *store);

typedef struct {
    uint32_t rows;
    ut_trace_row last;
    char name_z[200];
} ut_rig_listing;

// The traces of the store, as a query lists them.
ut_rig_listing ut_rig_list(ut_engine *engine);

#endif
