// Lives of a store: a process opens it, works with it for some steps, and closes it. Everything
// follows from a seed. Not for power cuts: powercut.c.
#ifndef UT_TESTS_POWERCUT_WORKLOAD_H
#define UT_TESTS_POWERCUT_WORKLOAD_H

#include "tests/powercut/book.h"
#include "tests/support/random_span.h"

typedef enum {
    UT_STEP_OPEN,
    UT_STEP_COMMIT,
    UT_STEP_DELIVER, // destinations answer; the marks ride with a later commit
    UT_STEP_MARK,    // or have a commit of their own
    UT_STEP_TIME,    // hours pass, and a sweep
    UT_STEP_SWEEP,   // a pause: sweeps until there is nothing to do
    UT_STEP_NOTE,    // a reader's place
    UT_STEP_CLEAN_SERVICE,
    UT_STEP_CLEAN_AGE,
    UT_STEP_COMPACT,
    UT_STEP_REKEY,
    UT_STEP_RESTART,
    UT_STEPS
} ut_step;

// What a life is made of.
typedef struct {
    const char *name_z;
    uint32_t steps;
    uint64_t bytes_max; // budget
    uint32_t requests;  // of one commit, at most; likewise the next four
    uint32_t traces;    // of one request
    uint32_t spans;     // of one trace
    uint32_t filler;    // bytes of a span that do not compress
    uint32_t ttl_hours; // 0: spans stay
    bool encrypted;
    bool evicts_in_order;
    uint16_t weights[UT_STEPS]; // how often each step is taken
} ut_scenario;

enum { UT_SCENARIOS = 10 };
extern const ut_scenario ut_scenarios[UT_SCENARIOS];

typedef struct {
    const ut_scenario *scenario;
    const char *dir_z; // the data directory, which the life makes where it is missing
    ut_book book;
    ut_random random;
    ut_step step; // under way
    uint32_t steps_begun;
    uint32_t key;      // number of the master key
    bool rekeying;     // key + 1 may be it, too
    uint32_t key_open; // that the store was opened with
} ut_workload;

const char *ut_step_name(ut_step step);

// Opens the store, which inspects it, does the steps, and closes it; then opens it once more to
// inspect it.
void ut_workload_live(ut_workload *workload, uint32_t steps);

#endif
