// CPU time and disk bytes per span of the store's commit, without receivers and delivery. Not a
// test: it checks only that the work was done.
// usage: bench_store [SPANS_PER_COMMIT [SPANS [BUDGET_MIB [DESTINATIONS]]]]
//        bench_store long SPANS   one trace, spans in commits of 10
//        bench_store reopen SPANS   the first commits to a store of SPANS that was just opened: the
//                                   engine looks at each page before it changes it
// Each commit is synced: with TMPDIR=/dev/shm the figures are those of the program alone.
#include "storage/query/query.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH_BYTES_MAX = 256 * 1024 * 1024, REPORTS = 10, LONG_STEP = 10 };

static const uint64_t start_ns = UINT64_C(1700000000000000000);

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    (void)fprintf(stderr, "bench_store: %s: %s\n", what_z, ut_err_text(err));
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now); // cannot fail with these clocks
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static ut_store *open_store(const char *dir_z, uint64_t budget, unsigned destinations)
{
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = budget};
    ut_store_config store_config = {.bytes_max = budget, .ttl_ms = 30 * UINT64_C(86400000)};
    ut_engine *engine;
    ut_store *store;
    ut_fault fault = {0};
    ut_err err = ut_engine_lmdb_open(&config, &engine, &fault);
    if (err == UT_OK)
        err = ut_store_open(engine, &store_config, &store, &fault);
    if (err != UT_OK)
        (void)fprintf(stderr, "%s\n", fault.text_z);
    check(err, "open");
    for (unsigned i = 0; i < destinations; i++) {
        char name_z[16];
        uint32_t dest;
        (void)snprintf(name_z, sizeof name_z, "dest%u", i);
        check(ut_store_add_destination(store, UT_ORG_DEFAULT, name_z, &dest), "destination");
    }
    return store;
}

static void commit_fresh(const char *dir_z, uint32_t per_commit, uint64_t total, uint64_t budget,
                         unsigned destinations)
{
    ut_store *store = open_store(dir_z, budget, destinations);
    ut_batch batch;
    ut_batch_init(&batch, BATCH_BYTES_MAX);
    uint64_t done = 0;
    uint64_t seed = 1;
    printf("%10s %9s %9s %9s %8s %8s %9s\n", "spans", "cpu us", "wall us", "max ms", "used MiB",
           "file MiB", "B/span");
    for (unsigned report = 0; report < REPORTS; report++) {
        double cpu = 0;
        double wall = 0;
        double longest = 0;
        uint64_t before = done;
        while (done < total * (report + 1) / REPORTS) {
            ut_batch_reset(&batch, SIZE_MAX);
            uint64_t now_ns = start_ns + seed * 10000000;
            ut_realistic_batch(seed++, per_commit, now_ns, &batch);
            ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
            double cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);
            double wall_start = seconds(CLOCK_MONOTONIC);
            check(ut_store_commit(store, now_ns, &append, 1, NULL, 0), "commit");
            double took = seconds(CLOCK_MONOTONIC) - wall_start;
            cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
            wall += took;
            longest = took > longest ? took : longest;
            check(append.stored == per_commit ? UT_OK : UT_EINVAL, "all spans are new");
            done += per_commit;
        }
        ut_engine_room room;
        ut_store_counts counts;
        ut_engine *engine = ut_store_engine(store);
        check(ut_engine_get_room(engine, &room), "room");
        ut_store_get_counts(store, &counts);
        uint64_t held = counts.spans_stored - counts.spans_evicted - counts.spans_expired;
        printf("%10llu %9.3f %9.3f %9.2f %8.1f %8.1f %9.1f\n", (unsigned long long)done,
               cpu * 1e6 / (double)(done - before), wall * 1e6 / (double)(done - before),
               longest * 1e3, (double)room.bytes_used / 1048576, (double)room.bytes_file / 1048576,
               (double)room.bytes_used / (double)held);
    }
    ut_batch_free(&batch);
    ut_store_close(store);
}

static void commit_long(const char *dir_z, uint64_t total)
{
    ut_store *store = open_store(dir_z, UINT64_C(1) << 30, 1);
    ut_batch batch;
    ut_batch_init(&batch, BATCH_BYTES_MAX);
    uint64_t done = 0;
    printf("%10s %9s\n", "spans", "cpu us");
    for (unsigned report = 0; report < REPORTS; report++) {
        double cpu = 0;
        uint64_t before = done;
        while (done < total * (report + 1) / REPORTS) {
            ut_batch_reset(&batch, SIZE_MAX);
            ut_realistic_batch(done + 1, LONG_STEP, start_ns, &batch);
            // All of one trace.
            ut_batch_span *spans = (ut_batch_span *)(void *)batch.span_index.data;
            for (uint32_t i = 0; i < batch.span_count; i++)
                memset(spans[i].trace_id, 7, UT_TRACE_ID_LEN);
            ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
            double cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);
            check(ut_store_commit(store, start_ns, &append, 1, NULL, 0), "commit");
            cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
            check(append.stored == LONG_STEP ? UT_OK : UT_EINVAL, "all spans are new");
            done += LONG_STEP;
        }
        printf("%10llu %9.3f\n", (unsigned long long)done, cpu * 1e6 / (double)(done - before));
    }
    ut_batch_free(&batch);
    ut_store_close(store);
}

static void commit_some(ut_store *store, ut_batch *batch, uint64_t *seed, uint32_t spans)
{
    ut_batch_reset(batch, SIZE_MAX);
    const uint64_t now_ns = start_ns + *seed * 10000000;
    ut_realistic_batch((*seed)++, spans, now_ns, batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = batch};
    check(ut_store_commit(store, now_ns, &append, 1, NULL, 0), "commit");
}

static void commit_reopened(const char *dir_z, uint64_t total)
{
    enum { FILL_SPANS = 10000, COMMITS = 100 };
    const uint64_t budget = UINT64_C(4) << 30;
    ut_store *store = open_store(dir_z, budget, 1);
    ut_batch batch;
    ut_batch_init(&batch, BATCH_BYTES_MAX);
    uint64_t seed = 1;
    for (uint64_t done = 0; done < total; done += FILL_SPANS)
        commit_some(store, &batch, &seed, FILL_SPANS);
    ut_store_close(store);
    store = open_store(dir_z, budget, 1);
    printf("%10s %12s\n", "commits", "cpu us each");
    for (unsigned report = 0; report < REPORTS; report++) {
        const double cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (unsigned i = 0; i < COMMITS; i++)
            commit_some(store, &batch, &seed, 400);
        printf("%10u %12.1f\n", (report + 1) * COMMITS,
               (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start) * 1e6 / COMMITS);
    }
    ut_batch_free(&batch);
    ut_store_close(store);
}

static uint64_t argument(int count, char **values, int index, uint64_t otherwise)
{
    return index < count ? strtoull(values[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        commit_long(dir_z, argument(argc, argv, 2, 100000));
    else if (argc > 1 && strcmp(argv[1], "reopen") == 0)
        commit_reopened(dir_z, argument(argc, argv, 2, 1000000));
    else
        commit_fresh(dir_z, (uint32_t)argument(argc, argv, 1, 400),
                     argument(argc, argv, 2, 1000000), argument(argc, argv, 3, 1024) << 20,
                     (unsigned)argument(argc, argv, 4, 1));
    ut_temp_dir_remove(dir_z);
    return 0;
}
