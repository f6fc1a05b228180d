// A store from which blocks leave: commits at any time, sweeps, and what is left. Only for the
// tests of this folder; what fails ends the test.
#ifndef UT_TESTS_RETENTION_RIG_H
#define UT_TESTS_RETENTION_RIG_H

#include "storage/query/query.h"
#include "storage/store/block_store.h"
#include "storage/store/key.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

enum { UT_RIG_BUDGET = 64 * 1024 * 1024, UT_RIG_MIB = 1024 * 1024 };

// The time of the commits, unless a test says otherwise.
static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

typedef struct {
    ut_faults faults;
    ut_engine *engine; // inside of the wrapper
    ut_store *store;
    ut_batch batch;
    uint64_t ttl_ms;
    char dir_z[UT_TEMP_PATH_MAX];
} ut_rig;

ut_store *ut_rig_open_store(ut_engine *engine, uint64_t budget, const ut_log *log);
void ut_rig_open_memory(ut_rig *rig, uint64_t budget);
void ut_rig_open_lmdb(ut_rig *rig, uint64_t budget);
int ut_rig_set_up(void **state);     // a store in memory
int ut_rig_set_up_dir(void **state); // a directory, and no store yet
int ut_rig_tear_down(void **state);

ut_err ut_rig_commit_at(ut_rig *rig, uint64_t at_ns, const ut_test_span *spans, size_t count);
void ut_rig_store_trace(ut_rig *rig, uint32_t trace, uint32_t first, uint32_t count,
                        uint32_t parent);
void ut_rig_sweep_all(ut_rig *rig, uint64_t at_ns);
ut_store_counts ut_rig_counts_of(const ut_rig *rig);

// Records that are not of the store as a whole.
unsigned ut_rig_count_records(ut_engine *engine);
bool ut_rig_has_block(ut_engine *engine, uint64_t seq);

// The lines that a log was given: how many, and the last of them.
typedef struct {
    unsigned lines;
    char last_z[UT_LOG_LINE_MAX];
} ut_rig_log_lines;

void ut_rig_take_line(void *context, ut_log_level level, const char *line, size_t len);
void ut_rig_open_limited(ut_rig *rig, uint64_t budget, uint64_t spans_max, bool evict_oldest);

#endif
