// How long questions to a large store take: one trace by id, errors of a service in the last hour,
// statistics by name over a tenth of it. Not a test of answers, but the numbers of spans found are
// checked. The store is built first and removed at the end.
// usage: bench_query [SPANS]   10 million unless told otherwise
#include "storage/query/query.h"
#include "storage/query/stats.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SERVICES = 50,
    BATCHES = 4, // of a commit, each of one service
    BATCH_SPANS = 100,
    COMMIT_SPANS = BATCHES * BATCH_SPANS,
    BATCH_BYTES_MAX = 16 * 1024 * 1024,
    TRACES = 1000, // that are asked for
    ROUNDS = 11,
    HOURS = 24,
};

static const uint64_t begin_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);
static const uint64_t budget = UINT64_C(8) << 30;

typedef struct {
    uint64_t spans;
    uint64_t late_errors[SERVICES]; // in the last hour
    uint64_t tenth;                 // spans of the last tenth of the time
    uint8_t traces[TRACES][UT_TRACE_ID_LEN];
    uint32_t trace_count;
    uint64_t last_ns;  // where the last hour begins
    uint64_t tenth_ns; // where the last tenth begins
} truth;

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    (void)fprintf(stderr, "bench_query: %s: %s\n", what_z, ut_err_text(err));
    exit(1);
}

static void expect(uint64_t got, uint64_t wanted, const char *what_z)
{
    if (got == wanted)
        return;
    (void)fprintf(stderr, "bench_query: %s: %llu instead of %llu\n", what_z,
                  (unsigned long long)got, (unsigned long long)wanted);
    exit(1);
}

static double milliseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail with this clock
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// ---- the store ----

// Gives the one resource of a batch another service.
static void set_service(ut_batch *batch, uint32_t service)
{
    char name_z[32];
    char host_z[32];
    int name_len = snprintf(name_z, sizeof name_z, "service-%02u", service);
    int host_len = snprintf(host_z, sizeof host_z, "node-%u.example.com", service % 7);
    ut_buf *out = &batch->resource_bytes;
    ut_buf_reset(out, SIZE_MAX);
    ut_resource_write_head(out);
    ut_mp_put_map(out, 3);
    ut_mp_put_str(out, UT_BYTES_LIT("service.name"));
    ut_mp_put_str(out, ut_bytes_of(name_z, (size_t)name_len));
    ut_mp_put_str(out, UT_BYTES_LIT("host.name"));
    ut_mp_put_str(out, ut_bytes_of(host_z, (size_t)host_len));
    ut_mp_put_str(out, UT_BYTES_LIT("deployment.environment.name"));
    ut_mp_put_str(out, UT_BYTES_LIT("production"));
    ut_resource resource = {.dropped_attributes = 0};
    ut_resource_write_tail(out, &resource);
    ut_batch_part *part = (ut_batch_part *)(void *)batch->resource_parts.data;
    part->len = (uint32_t)out->len;
    check(ut_batch_error(batch), "resource");
}

static void note(truth *t, const ut_batch *batch, uint32_t service, bool keep_trace)
{
    const ut_batch_span *spans = ut_batch_spans(batch);
    for (uint32_t i = 0; i < batch->span_count; i++) {
        t->tenth += spans[i].start_ns >= t->tenth_ns;
        t->late_errors[service] +=
            spans[i].start_ns >= t->last_ns && spans[i].status == UT_STATUS_ERROR;
    }
    if (keep_trace && t->trace_count < TRACES)
        memcpy(t->traces[t->trace_count++], spans[0].trace_id, UT_TRACE_ID_LEN);
}

static void fill(ut_store *store, uint64_t total, truth *t)
{
    ut_batch batches[BATCHES];
    ut_random random = {4};
    uint64_t commits = total / COMMIT_SPANS;
    uint64_t step_ns = HOURS * hour_ns / commits;
    t->last_ns = begin_ns + (HOURS - 1) * hour_ns;
    t->tenth_ns = begin_ns + HOURS * hour_ns / 10 * 9;
    for (unsigned i = 0; i < BATCHES; i++)
        ut_batch_init(&batches[i], BATCH_BYTES_MAX);
    for (uint64_t commit = 0; commit < commits; commit++) {
        uint64_t now_ns = begin_ns + commit * step_ns;
        ut_store_append appends[BATCHES];
        for (unsigned i = 0; i < BATCHES; i++) {
            uint32_t service = ut_random_below(&random, SERVICES);
            ut_batch_reset(&batches[i], SIZE_MAX);
            ut_realistic_batch(commit * BATCHES + i + 1, BATCH_SPANS, now_ns, &batches[i]);
            set_service(&batches[i], service);
            note(t, &batches[i], service, i == 0 && commit % (commits / TRACES + 1) == 0);
            appends[i] = (ut_store_append){.org = UT_ORG_DEFAULT, .batch = &batches[i]};
        }
        check(ut_store_commit(store, now_ns, appends, BATCHES, NULL, 0), "commit");
        for (unsigned i = 0; i < BATCHES; i++)
            t->spans += appends[i].stored;
    }
    for (unsigned i = 0; i < BATCHES; i++)
        ut_batch_free(&batches[i]);
    expect(t->spans, commits * COMMIT_SPANS, "spans stored");
}

// ---- the questions ----

static ut_err count_span(void *context, const ut_trace_span *span)
{
    (void)span;
    *(uint64_t *)context += 1;
    return UT_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *what_z, double *ms, size_t count, double goal_ms)
{
    qsort(ms, count, sizeof *ms, by_value);
    printf("%-52s%10.2f%10.2f%10.0f\n", what_z, ms[count / 2], ms[count - 1], goal_ms);
}

static void ask_traces(ut_store_view *view, const truth *t)
{
    static double ms[TRACES];
    for (unsigned warm = 0; warm < 2; warm++) {
        for (uint32_t i = 0; i < t->trace_count; i++) {
            uint64_t found = 0;
            uint32_t damaged;
            double began = milliseconds();
            check(ut_store_view_begin(view), "view");
            check(ut_query_trace(view, UT_ORG_DEFAULT, t->traces[i], &damaged, count_span, &found),
                  "trace");
            ut_store_view_end(view);
            ms[i] = milliseconds() - began;
            if (found == 0)
                check(UT_ENOTFOUND, "trace");
        }
    }
    report("one trace by its id, 1000 of them", ms, t->trace_count, 5);
}

// Asks to the end, view by view.
static void ask(ut_store_view *view, const ut_search *search, ut_search_work *work,
                ut_trace_span_visit visit, void *context)
{
    ut_query_cursor cursor = {0};
    bool more = true;
    while (more) {
        check(ut_store_view_begin(view), "view");
        check(ut_query_spans(view, search, &cursor, work, &more,
                             (ut_trace_span_visitor){visit, context}),
              "search");
        ut_store_view_end(view);
    }
}

static void ask_errors(ut_store_view *view, const truth *t)
{
    double ms[ROUNDS];
    ut_search_work work = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        char name_z[32];
        uint32_t service = round * 4;
        int len = snprintf(name_z, sizeof name_z, "service-%02u", service);
        ut_filter filter = ut_filter_all();
        filter.service = ut_bytes_of(name_z, (size_t)len);
        filter.statuses = 1 << UT_STATUS_ERROR;
        filter.start_ns = t->last_ns;
        ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter};
        uint64_t found = 0;
        work = (ut_search_work){0};
        double began = milliseconds();
        ask(view, &search, &work, count_span, &found);
        ms[round] = milliseconds() - began;
        expect(found, t->late_errors[service], "errors of a service");
    }
    report("errors of one service in the last hour", ms, ROUNDS, 50);
    printf("  the last one: %llu spans from %llu blocks, %llu blocks passed\n",
           (unsigned long long)work.spans_visited, (unsigned long long)work.blocks_read,
           (unsigned long long)work.blocks_pruned);
}

static void ask_stats(ut_store_view *view, const truth *t)
{
    double ms[5];
    for (unsigned round = 0; round < 5; round++) {
        ut_filter filter = ut_filter_all();
        filter.start_ns = t->tenth_ns;
        ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = true};
        ut_search_work work = {0};
        ut_stats *stats;
        ut_stats_row total;
        uint32_t groups;
        double began = milliseconds();
        check(ut_stats_new(UT_STATS_BY_NAME, UT_BYTES_NONE, &stats), "statistics");
        ask(view, &search, &work, ut_stats_add, stats);
        (void)ut_stats_rows(stats, UT_STATS_SORT_USUAL, &groups, &total);
        ms[round] = milliseconds() - began;
        expect(total.count, t->tenth, "spans of the statistics");
        ut_stats_free(stats);
    }
    char what_z[80];
    (void)snprintf(what_z, sizeof what_z, "statistics by name over %llu spans",
                   (unsigned long long)t->tenth);
    report(what_z, ms, 5, (double)t->tenth / 1e6 * 1000);
}

int main(int argc, char **argv)
{
    uint64_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    if (total < COMMIT_SPANS * HOURS) {
        (void)fprintf(stderr, "bench_query: at least %d spans\n", COMMIT_SPANS * HOURS);
        return 64;
    }
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = budget};
    ut_store_config store_config = {.bytes_max = budget, .ttl_ms = 30 * UINT64_C(86400000)};
    ut_engine *engine;
    ut_store *store;
    ut_store_view *view;
    ut_fault fault = {0};
    check(ut_engine_lmdb_open(&config, &engine, &fault), "open");
    check(ut_store_open(engine, &store_config, &store, &fault), "open");
    static truth t;
    double began = milliseconds();
    fill(store, total, &t);
    ut_engine_room room;
    check(ut_engine_get_room(engine, &room), "room");
    printf("%llu spans of %d services over %d hours: %.0f MiB, built in %.0f s\n",
           (unsigned long long)t.spans, SERVICES, HOURS, (double)room.bytes_used / 1048576,
           (milliseconds() - began) / 1e3);
    printf("%-52s%10s%10s%10s\n", "question, ms", "median", "longest", "goal");
    check(ut_store_view_open(engine, &view), "view");
    ask_traces(view, &t);
    ask_errors(view, &t);
    ask_stats(view, &t);
    ut_store_view_close(view);
    ut_store_close(store);
    ut_temp_dir_remove(dir_z);
    return 0;
}
