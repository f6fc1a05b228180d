// Tests of storage/store/retention: a full store goes on working, also beside readers.
#include "tests/support/engine_gate.h"
#include "tests/unit/storage/store/retention/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Fills a store over and over with requests of all sizes, delivers some of it, and looks that it
// never stops.
static void turn_over(ut_rig *f, uint64_t budget, uint32_t request_spans_max)
{
    ut_rig_open_lmdb(f, budget);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_random random = {budget};
    uint64_t bytes = 0;
    uint64_t seed = 1;
    double first_turn = 0;
    double last_turn = 0;
    double turn_start = cpu_seconds();
    for (unsigned turn = 0; turn < 10;) {
        uint32_t spans =
            1 + ut_random_below(&random, ut_random_below(&random, 4) == 0 ? request_spans_max : 60);
        ut_batch_reset(&f->batch, SIZE_MAX);
        seed += 1;
        ut_realistic_batch(seed, spans, now_ns + seed * 1000000, &f->batch);
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = UINT64_C(86400000), .batch = &f->batch};
        ut_delivery marks[4];
        uint64_t last = ut_store_last_seq(f->store);
        size_t mark_count = last > 20 ? 4 : 0;
        for (size_t i = 0; i < mark_count; i++)
            marks[i] = (ut_delivery){.org = UT_ORG_DEFAULT,
                                     .dest = dest,
                                     .seq = last - ut_random_below(&random, 20),
                                     .state = UT_DELIVERY_DELIVERED,
                                     .updated_ns = now_ns};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, marks, mark_count), UT_OK);
        assert_int_equal(append.stored, spans);
        bytes += 110 * (uint64_t)spans;
        if (ut_random_below(&random, 50) == 0) {
            bool more;
            assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
        }
        if (bytes > budget) {
            bytes = 0;
            double took = cpu_seconds() - turn_start;
            if (turn == 2) // full since the first
                first_turn = took;
            last_turn = took;
            turn += 1;
            ut_verify_report report = ut_store_check(f->engine);
            assert_true(report.spans * 110 > budget / 6);
            turn_start = cpu_seconds();
        }
    }
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_equal(stat(path_z, &status), 0);
    assert_true((uint64_t)status.st_size <= budget);
    assert_true(last_turn < 4 * first_turn + 0.5); // does not collapse
    assert_true(ut_rig_counts_of(f).blocks_removed > 0);
}

static void a_store_of_4_mib_turns_over_ten_times(void **state)
{
    turn_over(*state, 4 * UT_RIG_MIB, 1000);
}

// The blocks of a large commit are written in pieces of many pages, and the pages of an old, full
// store lie apart.
static void large_commits_find_room(ut_rig *f)
{
    enum { SPANS = 30000 };
    for (uint64_t seed = 1; seed <= 3; seed++) {
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(UINT64_C(1) << 40 | seed, SPANS, now_ns, &f->batch);
        assert_true(f->batch.span_bytes.len >= 8 * UT_RIG_MIB);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, SPANS);
        assert_true(ut_store_check(f->engine).spans >= SPANS);
    }
}

static void a_store_of_16_mib_turns_over_ten_times(void **state)
{
    turn_over(*state, 16 * UT_RIG_MIB, 4000);
    large_commits_find_room(*state);
}

// Spans of many traces, which stand in every block of their commit: the head of each has to pass on
// whenever one of these blocks leaves.
static void scattered_batch(ut_batch *batch, uint64_t seed, uint32_t spans, uint32_t traces)
{
    ut_batch_reset(batch, SIZE_MAX);
    ut_realistic_batch(seed, spans, now_ns + seed * 1000000, batch);
    ut_batch_span *index = (ut_batch_span *)(void *)batch->span_index.data;
    for (uint32_t i = 0; i < spans; i++)
        ut_test_trace_id((uint32_t)seed * traces + i % traces, index[i].trace_id);
}

// The commits of a full store remove what they need inside themselves: a transaction more would be
// a sync more.
static void a_full_store_removes_with_its_commits(void **state)
{
    enum { SPANS = 1600, TRACES = 80, COMMITS = 60 };
    ut_rig *f = *state;
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = UT_RIG_BUDGET};
    ut_fault fault;
    if (ut_engine_lmdb_open(&config, &f->engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    ut_engine_gate *gate = ut_engine_gate_put(f->engine);
    f->store = ut_rig_open_store(f->engine, UT_RIG_BUDGET, NULL);
    unsigned before = 0;
    unsigned full = 0;
    for (uint64_t seed = 1; full < 2 * COMMITS; seed++) {
        scattered_batch(&f->batch, seed, SPANS, TRACES);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        full += ut_rig_counts_of(f).blocks_removed > 0;
        if (full == COMMITS && before == 0)
            before = ut_engine_gate_commits(gate);
    }
    const unsigned commits = ut_engine_gate_commits(gate) - before;
    ut_store_close(f->store);
    f->store = NULL;
    ut_engine_gate_free(gate);
    assert_in_range(commits, COMMITS, COMMITS + COMMITS / 2);
}

static void a_reader_that_stays_fills_the_store_and_its_end_frees_it(void **state)
{
    ut_rig *f = *state;
    ut_rig_open_lmdb(f, 4 * UT_RIG_MIB);
    uint64_t seed = 1;
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 3000 && err == UT_OK; i++) {
        if (i == 200)
            assert_int_equal(ut_store_view_begin(view), UT_OK);
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(seed++, 100, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
    }
    assert_int_equal(err, UT_EFULL);
    uint64_t held = ut_store_check(f->engine).spans;
    assert_true(held > 1000); // it was not emptied in vain
    ut_store_view_close(view);
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(seed++, 100, now_ns, &f->batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    (void)ut_store_check(f->engine);
}

// Another process that begins to read and then stands still. *end: closing it ends the process.
static pid_t read_elsewhere(const ut_rig *f, int *end)
{
    int ready[2];
    int ends[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ut_engine_config config = {.dir_z = f->dir_z, .read_only = true};
        ut_engine *engine = NULL;
        ut_txn *txn = NULL;
        ut_fault fault;
        char byte = 0;
        (void)close(ends[1]);
        if (ut_engine_lmdb_open(&config, &engine, &fault) != UT_OK ||
            ut_engine_begin(engine, false, &txn) != UT_OK || write(ready[1], &byte, 1) != 1)
            _exit(1);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    char byte;
    (void)close(ready[1]);
    (void)close(ends[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    *end = ends[1];
    return pid;
}

static void a_process_that_holds_a_full_store_is_named(void **state)
{
    ut_rig *f = *state;
    ut_rig_log_lines lines = {0};
    ut_log log = {.level = UT_LOG_WARN, .write = ut_rig_take_line, .context = &lines};
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = 4 * UT_RIG_MIB};
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &f->engine, &fault), UT_OK);
    f->store = ut_rig_open_store(f->engine, 4 * UT_RIG_MIB, &log);
    uint64_t seed = 1;
    pid_t pid = 0;
    int end = -1;
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 3000 && err == UT_OK; i++) {
        if (i == 200)
            pid = read_elsewhere(f, &end);
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(seed++, 100, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
    }
    assert_int_equal(err, UT_EFULL);
    char name_z[40];
    (void)snprintf(name_z, sizeof name_z, "process %ld ", (long)pid);
    assert_non_null(strstr(lines.last_z, name_z));
    unsigned told = lines.lines;
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_EFULL);
    assert_int_equal(lines.lines, told); // once
    (void)close(end);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// There is always a reader, as old as a few commits: after a while the store keeps room for what it
// holds.
static void readers_that_come_and_go_do_not_fill_the_store(void **state)
{
    ut_rig *f = *state;
    ut_rig_open_lmdb(f, 8 * UT_RIG_MIB);
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    unsigned refused = 0;
    for (unsigned i = 0; i < 1500; i++) {
        if (i % 3 == 0)
            assert_int_equal(ut_store_view_begin(view), UT_OK);
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(i + 1, 200, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        ut_err err = ut_store_commit(f->store, now_ns + i, &append, 1, NULL, 0);
        assert_true(err == UT_OK || err == UT_EFULL);
        refused += err == UT_EFULL;
        if (i == 500) // full, and used to it
            refused = 0;
    }
    assert_int_equal(refused, 0);
    ut_store_view_close(view);
    assert_true(ut_rig_counts_of(f).blocks_removed > 300);
}

#define WITH_DIR(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up_dir, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(a_store_of_4_mib_turns_over_ten_times),
        WITH_DIR(a_store_of_16_mib_turns_over_ten_times),
        WITH_DIR(a_full_store_removes_with_its_commits),
        WITH_DIR(a_reader_that_stays_fills_the_store_and_its_end_frees_it),
        WITH_DIR(a_process_that_holds_a_full_store_is_named),
        WITH_DIR(readers_that_come_and_go_do_not_fill_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
