// Whether the store stays as fast as it was: the whole budget turned over ten times, and ingest
// while a million spans expire. Checks that the file keeps its budget and that the work was done;
// the figures are for people.
// usage: bench_retention [MIB...]   budgets to turn over (4 64), 0: only the expiry
#include "storage/store/store.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
    TURNS = 10,
    BATCH_BYTES_MAX = 64 * 1024 * 1024,
    SAMPLES_MAX = 1 << 20,
    SPANS_A_COMMIT = 400, // of a small store a quarter, of a large one four times as many
    SMALL_MIB = 16,
    EXPIRING = 1000000,
    IDLE_EXPIRING = 200000,
    EXPIRY_BUDGET_MIB = 2048,
    EXPIRY_COMMITS = 1000, // of each round
    PAUSE_US = 3000,       // between two requests while spans expire
};

static const uint64_t start_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    (void)fprintf(stderr, "bench_retention: %s: %s\n", what_z, ut_err_text(err));
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now); // cannot fail with these clocks
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    ut_engine *engine;
    ut_store *store;
    ut_batch batch;
    uint64_t seed;
    uint64_t budget;
    double *samples; // seconds
    uint32_t sample_count;
    double cpu; // of commits
} bench;

static void open_bench(bench *b, uint64_t mib)
{
    *b = (bench){.seed = 1, .budget = mib * 1024 * 1024};
    ut_temp_dir_make(b->dir_z);
    const ut_engine_config engine = {.dir_z = b->dir_z, .bytes_max = b->budget};
    const ut_store_config config = {.bytes_max = b->budget, .ttl_ms = 30 * UINT64_C(86400000)};
    ut_fault fault = {0};
    ut_err err = ut_engine_lmdb_open(&engine, &b->engine, &fault);
    if (err == UT_OK)
        err = ut_store_open(b->engine, &config, &b->store, &fault);
    if (err != UT_OK)
        (void)fprintf(stderr, "%s\n", fault.text_z);
    check(err, "open");
    ut_batch_init(&b->batch, BATCH_BYTES_MAX);
    b->samples = calloc(SAMPLES_MAX, sizeof *b->samples);
    if (b->samples == NULL)
        check(UT_ENOMEM, "samples");
}

static void close_bench(bench *b)
{
    ut_store_close(b->store);
    ut_batch_free(&b->batch);
    free(b->samples);
    ut_temp_dir_remove(b->dir_z);
}

static void make_batch(bench *b, uint32_t spans)
{
    ut_batch_reset(&b->batch, SIZE_MAX);
    ut_realistic_batch(b->seed++, spans, start_ns, &b->batch);
}

// Commits the batch at hand; returns seconds.
static double commit(bench *b, uint64_t now_ns, uint64_t ttl_ms)
{
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = ttl_ms, .batch = &b->batch};
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    const double begin = seconds(CLOCK_MONOTONIC);
    check(ut_store_commit(b->store, now_ns, &append, 1, NULL, 0), "commit");
    const double took = seconds(CLOCK_MONOTONIC) - begin;
    b->cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (append.stored != b->batch.span_count)
        check(UT_EINVAL, "a commit did not store all spans");
    return took;
}

static void add_sample(bench *b, double took)
{
    if (b->sample_count < SAMPLES_MAX)
        b->samples[b->sample_count++] = took;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile_ms(bench *b, double part)
{
    qsort(b->samples, b->sample_count, sizeof *b->samples, compare);
    return b->samples[(uint32_t)(part * (b->sample_count - 1))] * 1e3;
}

static uint64_t file_bytes(const bench *b)
{
    char path_z[UT_TEMP_PATH_MAX + 16];
    struct stat info;
    (void)snprintf(path_z, sizeof path_z, "%s/store.mdb", b->dir_z);
    if (stat(path_z, &info) != 0)
        check(UT_EIO, path_z);
    return (uint64_t)info.st_size;
}

static ut_store_counts counts_of(const bench *b)
{
    ut_store_counts counts;
    ut_store_get_counts(b->store, &counts);
    return counts;
}

// A turn is as many spans as were there when the first block had to leave.
static void turn_over(uint64_t mib)
{
    bench b;
    open_bench(&b, mib);
    const uint32_t spans = mib <= SMALL_MIB ? SPANS_A_COMMIT / 4 : 4 * SPANS_A_COMMIT;
    uint64_t turn_spans = UINT64_MAX;
    uint64_t stored = 0;
    for (unsigned turn = 1; turn <= TURNS; turn++) {
        double wall = 0;
        const uint64_t begin = stored;
        b.sample_count = 0;
        b.cpu = 0;
        while (stored - begin < turn_spans) {
            make_batch(&b, spans);
            const double took = commit(&b, start_ns, 0);
            wall += took;
            add_sample(&b, took);
            stored += spans;
            if (turn == 1 && counts_of(&b).blocks_removed > 0)
                turn_spans = stored;
            if (file_bytes(&b) > b.budget)
                check(UT_EFULL, "the file is larger than its budget");
        }
        if (turn <= 2 || turn == TURNS / 2 || turn == TURNS)
            printf("%5llu MiB %5u %9llu %10.0f %11.3f %8.2f %8.2f %8.2f %9.1f\n",
                   (unsigned long long)mib, turn, (unsigned long long)(stored - begin),
                   b.sample_count / wall, b.cpu / b.sample_count * 1e3, percentile_ms(&b, 0.5),
                   percentile_ms(&b, 0.99), percentile_ms(&b, 1), (double)file_bytes(&b) / 1048576);
        (void)fflush(stdout);
    }
    close_bench(&b);
}

static void sleep_until(double at)
{
    const double left = at - seconds(CLOCK_MONOTONIC);
    if (left <= 0)
        return;
    struct timespec time = {.tv_sec = (time_t)left};
    time.tv_nsec = (long)((left - (double)time.tv_sec) * 1e9);
    (void)nanosleep(&time, NULL); // an early end does no harm
}

static void print_expiry(bench *b, const char *what_z, double expired_a_second)
{
    printf("%-32s %8u %8.3f %8.2f %8.2f %8.2f %10.0f\n", what_z, b->sample_count,
           b->cpu / b->sample_count * 1e3, percentile_ms(b, 0.5), percentile_ms(b, 0.99),
           percentile_ms(b, 1), expired_a_second);
    (void)fflush(stdout);
}

// One request after the other; paced: for as many commits, whatever is left then. Commits remove
// what has expired as they go, and the sweeper waits for a longer pause, as in the store thread.
static void ingest(bench *b, uint64_t now_ns, uint64_t expiring, bool paced, const char *what_z)
{
    b->sample_count = 0;
    b->cpu = 0;
    const uint64_t before = counts_of(b).spans_expired;
    uint64_t gone = 0;
    const double begin = seconds(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < EXPIRY_COMMITS || (gone < expiring && !paced); i++) {
        make_batch(b, SPANS_A_COMMIT / 4);
        sleep_until(seconds(CLOCK_MONOTONIC) + PAUSE_US * 1e-6);
        add_sample(b, commit(b, now_ns, 0));
        gone = counts_of(b).spans_expired - before;
    }
    print_expiry(b, what_z, (double)gone / (seconds(CLOCK_MONOTONIC) - begin));
}

static void sweep_idle(bench *b, uint64_t now_ns)
{
    b->sample_count = 0;
    b->cpu = 0;
    const uint64_t before = counts_of(b).spans_expired;
    const double begin = seconds(CLOCK_MONOTONIC);
    for (bool more = true; more;) {
        const double at = seconds(CLOCK_MONOTONIC);
        const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        check(ut_store_sweep(b->store, now_ns, &more), "sweep");
        b->cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        add_sample(b, seconds(CLOCK_MONOTONIC) - at);
    }
    if (counts_of(b).spans_expired - before != IDLE_EXPIRING)
        check(UT_EINVAL, "not all spans expired");
    print_expiry(b, "slices of a sweep, no requests",
                 IDLE_EXPIRING / (seconds(CLOCK_MONOTONIC) - begin));
}

static void store_expiring(bench *b, uint64_t spans, uint64_t ttl_ms)
{
    for (uint64_t done = 0; done < spans; done += SPANS_A_COMMIT) {
        make_batch(b, SPANS_A_COMMIT);
        (void)commit(b, start_ns, ttl_ms);
    }
}

static void expire(void)
{
    bench b;
    open_bench(&b, EXPIRY_BUDGET_MIB);
    store_expiring(&b, EXPIRING, 3600000);
    store_expiring(&b, IDLE_EXPIRING, 4 * 3600000);
    printf("\nexpiry: requests of 100 spans, %d ms apart\n%-32s %8s %8s %8s %8s %8s %10s\n",
           PAUSE_US / 1000, "", "times", "CPU ms", "p50 ms", "p99 ms", "max ms", "expired/s");
    ingest(&b, start_ns, 0, false, "commits before");
    ingest(&b, start_ns + 2 * hour_ns, EXPIRING, true, "commits while a million expire");
    const uint64_t gone = counts_of(&b).spans_expired;
    ingest(&b, start_ns + 3 * hour_ns, EXPIRING - gone, false, "commits an hour behind with it");
    ingest(&b, start_ns + 3 * hour_ns, 0, false, "commits after");
    sweep_idle(&b, start_ns + 5 * hour_ns);
    close_bench(&b);
}

int main(int argc, char **argv)
{
    static const uint64_t usual[] = {4, 64};
    printf(
        "retention: the budget turned over %d times, each commit synced; CPU is that of a commit\n"
        "%9s %5s %9s %10s %11s %8s %8s %8s %9s\n",
        TURNS, "budget", "turn", "spans", "commits/s", "CPU ms", "p50 ms", "p99 ms", "max ms",
        "file MiB");
    for (size_t i = 0; argc == 1 && i < sizeof usual / sizeof *usual; i++)
        turn_over(usual[i]);
    for (int i = 1; i < argc; i++) {
        const uint64_t mib = strtoull(argv[i], NULL, 10);
        if (mib > 0)
            turn_over(mib);
    }
    expire();
    return 0;
}
