// One process writes to a small, full store while four others read it and a fifth stands still with
// a view open until it is killed. Whoever reads sees whole traces, in the order of their commits,
// and nothing of the past comes back; the file stays within its budget; what the one that stands
// still holds is given back when it is dead.
// usage: readers [SECONDS [SEED]]
#include "storage/query/query.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SECONDS_DEFAULT = 60,
    READERS = 4,
    BUDGET = 8 * 1024 * 1024,
    SPANS_MAX = 24,
    FILLER = 700,
    ROWS = 20, // newest traces that a reader looks at
    REOPEN_EVERY = 25,
    SEARCH_CALLS = 30,
    BATCH_BYTES_MAX = 4 * 1024 * 1024,
    STILL_MS_MAX = 400,  // that one process stands still
    MOVING_MS_MAX = 800, // between two of them
    RECOVERY_MS_MAX = 10000,
    WRITER_PAUSE_US = 300, // else readers on two cores hardly get a turn
};

typedef struct {
    volatile bool stop;
    volatile uint64_t commits;
    volatile uint64_t full; // commits that found no room
    volatile uint64_t file_bytes_max;
    volatile uint64_t views[READERS];
    volatile uint64_t spans_seen[READERS];
} shared_state;

typedef struct {
    const char *dir_z;
    shared_state *shared;
} job;

static void die(const char *who_z, const char *what_z, ut_err err)
{
    (void)fprintf(stderr, "readers: %s: %s: %s\n", who_z, what_z, ut_err_text(err));
    _exit(2);
}

static uint64_t mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail with this clock
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void wait_us(uint32_t us)
{
    const struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    (void)nanosleep(&time, NULL); // a signal that cuts it short does no harm
}

static ut_store *open_store(const job *j, bool read_only)
{
    const ut_engine_config config = {
        .dir_z = j->dir_z, .bytes_max = BUDGET, .read_only = read_only};
    const ut_store_config store_config = {.bytes_max = BUDGET};
    ut_engine *engine = NULL;
    ut_store *store = NULL;
    ut_fault fault = {0};
    ut_err err = ut_engine_lmdb_open(&config, &engine, &fault);
    if (err == UT_OK)
        err = ut_store_open(engine, &store_config, &store, &fault);
    if (err != UT_OK)
        die(read_only ? "reader" : "writer", fault.text_z, err);
    return store;
}

static uint32_t spans_of(uint32_t trace)
{
    return 1 + trace % SPANS_MAX;
}

// ---- the writer ----

static void make_trace(ut_batch *batch, uint32_t trace, char name_z[16])
{
    ut_test_span rows[SPANS_MAX];
    (void)snprintf(name_z, 16, "%u", trace);
    for (uint32_t i = 0; i < spans_of(trace); i++)
        rows[i] = (ut_test_span){.trace = trace,
                                 .span = i + 1,
                                 .parent = i,
                                 .start_ns = 1 + trace,
                                 .end_ns = 1000 + trace,
                                 .name_z = name_z,
                                 .filler = FILLER};
    ut_batch_reset(batch, SIZE_MAX);
    ut_test_batch(batch, rows, spans_of(trace));
}

static void note_size(const job *j)
{
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(j->dir_z, "store.mdb", path_z);
    if (stat(path_z, &status) == 0 && (uint64_t)status.st_size > j->shared->file_bytes_max)
        j->shared->file_bytes_max = (uint64_t)status.st_size;
}

// Never returns.
static void write_on(const job *j)
{
    ut_store *store = open_store(j, false);
    ut_batch batch;
    char name_z[16];
    uint64_t full_since_ms = 0;
    uint32_t trace = 1;
    ut_batch_init(&batch, BATCH_BYTES_MAX);
    while (!j->shared->stop) {
        make_trace(&batch, trace, name_z);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        bool more = false;
        const ut_err err = ut_store_commit(store, 1 + trace, &append, 1, NULL, 0);
        if (err == UT_EFULL) {
            j->shared->full += 1;
            if (full_since_ms == 0)
                full_since_ms = mono_ms();
            if (mono_ms() - full_since_ms > RECOVERY_MS_MAX)
                die("writer", "there is no room, although nobody stands still so long", err);
            wait_us(1000);
            continue;
        }
        if (err != UT_OK)
            die("writer", "commit", err);
        full_since_ms = 0;
        trace += 1;
        j->shared->commits += 1;
        if (trace % 64 == 0) {
            note_size(j);
            const ut_err swept = ut_store_sweep(store, 1 + trace, &more);
            if (swept != UT_OK)
                die("writer", "sweep", swept);
        }
        wait_us(WRITER_PAUSE_US);
    }
    (void)ut_store_check(ut_store_engine(store));
    ut_store_close(store);
    ut_batch_free(&batch);
    _exit(0);
}

// ---- readers ----

typedef struct {
    uint32_t rows;
    uint32_t first; // number of the newest trace
    uint32_t last;
    uint8_t first_id[UT_TRACE_ID_LEN];
} listing;

static ut_err see_row(void *context, const ut_trace_row *row)
{
    listing *list = context;
    char name_z[16] = "";
    if (row->name.len >= sizeof name_z)
        return UT_ECORRUPT;
    memcpy(name_z, row->name.data, row->name.len);
    const uint32_t trace = (uint32_t)strtoul(name_z, NULL, 10);
    const bool next = list->rows == 0 || trace + 1 == list->last;
    if (!next || row->span_count != spans_of(trace)) {
        (void)fprintf(stderr, "readers: behind trace %u comes %u with %u of %u spans\n", list->last,
                      trace, row->span_count, spans_of(trace));
        return UT_ECORRUPT;
    }
    if (list->rows == 0) {
        list->first = trace;
        memcpy(list->first_id, row->trace_id, UT_TRACE_ID_LEN);
    }
    list->last = trace;
    list->rows += 1;
    return UT_OK;
}

typedef struct {
    uint64_t count;
    bool begun;
    uint64_t seq; // of the span before
    uint32_t ordinal;
} walk;

static ut_err see_span(void *context, const ut_trace_span *span)
{
    walk *w = context;
    if (w->begun && (span->seq > w->seq || (span->seq == w->seq && span->ordinal >= w->ordinal))) {
        (void)fprintf(stderr, "readers: a search for the newest first goes back in time\n");
        return UT_ECORRUPT;
    }
    *w = (walk){w->count + 1, true, span->seq, span->ordinal};
    return UT_OK;
}

static ut_err count_span(void *context, const ut_trace_span *span)
{
    (void)span;
    *(uint32_t *)context += 1;
    return UT_OK;
}

// Lists the newest traces and reads the first of them, in one view. *newest: never goes back.
static ut_err look_at_traces(ut_store_view *view, uint32_t *newest)
{
    listing list = {0};
    ut_err err = ut_query_traces(view, UT_ORG_DEFAULT, ROWS, see_row, &list);
    if (err != UT_OK || list.rows == 0)
        return err;
    if (list.first < *newest) {
        (void)fprintf(stderr, "readers: trace %u was there, now %u is the newest\n", *newest,
                      list.first);
        return UT_ECORRUPT;
    }
    *newest = list.first;
    uint32_t found = 0;
    uint32_t damaged = 0;
    err = ut_query_trace(view, UT_ORG_DEFAULT, list.first_id, &damaged, count_span, &found);
    if (err == UT_OK && (damaged > 0 || found != spans_of(list.first)))
        err = UT_ECORRUPT;
    return err;
}

// Searches through the store, in many short views.
static ut_err look_at_spans(ut_store_view *view, uint64_t *seen)
{
    const ut_filter filter = ut_filter_all();
    const ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter, .blocks_max = 4};
    ut_query_cursor cursor = {0};
    walk w = {0};
    bool more = true;
    ut_err err = UT_OK;
    for (unsigned i = 0; i < SEARCH_CALLS && more && err == UT_OK; i++) {
        ut_search_work work = {0};
        err = ut_store_view_begin(view);
        if (err == UT_OK)
            err = ut_query_spans(view, &search, &cursor, &work, &more,
                                 (ut_trace_span_visitor){see_span, &w});
        if (err == UT_OK && work.blocks_damaged > 0)
            err = UT_ECORRUPT;
    }
    *seen += w.count;
    return err;
}

// Never returns.
static void read_on(const job *j, unsigned number)
{
    uint32_t newest = 0;
    uint64_t seen = 0;
    while (!j->shared->stop) {
        ut_store *store = open_store(j, true);
        ut_store_view *view = NULL;
        ut_err err = ut_store_view_open(ut_store_engine(store), &view);
        for (unsigned i = 0; i < REOPEN_EVERY && err == UT_OK && !j->shared->stop; i++) {
            err = ut_store_view_begin(view);
            if (err == UT_OK)
                err = look_at_traces(view, &newest);
            if (err == UT_OK && i % 8 == number)
                err = look_at_spans(view, &seen);
            ut_store_view_end(view);
            j->shared->views[number] += 1;
            j->shared->spans_seen[number] = seen;
        }
        if (err != UT_OK)
            die("reader", "what it sees is not consistent", err);
        ut_store_view_close(view);
        ut_store_close(store);
    }
    _exit(0);
}

// Begins a view and stands still. Never returns.
static void stand_still(const job *j)
{
    ut_store *store = open_store(j, true);
    ut_store_view *view = NULL;
    ut_err err = ut_store_view_open(ut_store_engine(store), &view);
    if (err == UT_OK)
        err = ut_store_view_begin(view);
    if (err != UT_OK)
        die("the one that stands still", "view", err);
    for (;;)
        (void)pause();
}

// ---- all of them ----

static pid_t start(void (*run)(const job *), const job *j)
{
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0)
        die("fork", "process", UT_ENOMEM);
    if (child == 0) {
        run(j);
        _exit(2);
    }
    return child;
}

static pid_t start_reader(const job *j, unsigned number)
{
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0)
        die("fork", "process", UT_ENOMEM);
    if (child == 0)
        read_on(j, number);
    return child;
}

static int end_of(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

int main(int argc, char **argv)
{
    const uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : SECONDS_DEFAULT;
    const uint64_t seed =
        argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
    shared_state *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char dir_z[UT_TEMP_PATH_MAX];
    pid_t readers[READERS];
    ut_random random = {seed};
    unsigned still = 0;
    bool good = true;
    if (shared == MAP_FAILED)
        die("memory", "mmap", UT_ENOMEM);
    ut_temp_dir_make(dir_z);
    const job j = {.dir_z = dir_z, .shared = shared};
    ut_store_close(open_store(&j, false)); // so that readers find one
    const uint64_t begin_ms = mono_ms();
    const pid_t writer = start(write_on, &j);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = start_reader(&j, i);
    while (good && mono_ms() - begin_ms < seconds * 1000) {
        const pid_t one = start(stand_still, &j);
        wait_us(1000 * (1 + ut_random_below(&random, STILL_MS_MAX)));
        (void)kill(one, SIGKILL);
        good = WIFSIGNALED(end_of(one));
        still += 1;
        wait_us(1000 * (1 + ut_random_below(&random, MOVING_MS_MAX)));
        int status = 0;
        if (waitpid(writer, &status, WNOHANG) != 0) {
            (void)fprintf(stderr, "readers: the writer has ended\n");
            good = false;
        }
    }
    const uint64_t before = shared->commits;
    const uint64_t killed_ms = mono_ms();
    while (good && shared->commits < before + 100) {
        if (mono_ms() - killed_ms > RECOVERY_MS_MAX) {
            (void)fprintf(stderr, "readers: commits do not go on\n");
            good = false;
        }
        wait_us(1000);
    }
    shared->stop = true;
    uint64_t views = 0;
    uint64_t spans = 0;
    for (unsigned i = 0; i < READERS; i++) {
        good = end_of(readers[i]) == 0 && good;
        good = shared->views[i] > 0 && good;
        views += shared->views[i];
        spans += shared->spans_seen[i];
    }
    if (good)
        good = end_of(writer) == 0;
    else
        (void)kill(writer, SIGKILL);
    (void)printf(
        "readers: %llu s, seed %llu: %llu commits, %llu without room meanwhile; %llu views "
        "of %d readers, %llu spans searched; %u stood still and were killed; "
        "the file had up to %llu of %d bytes: %s\n",
        (unsigned long long)seconds, (unsigned long long)seed, (unsigned long long)shared->commits,
        (unsigned long long)shared->full, (unsigned long long)views, READERS,
        (unsigned long long)spans, still, (unsigned long long)shared->file_bytes_max, BUDGET,
        good && shared->file_bytes_max <= BUDGET ? "consistent" : "NOT consistent");
    ut_temp_dir_remove(dir_z);
    return good && shared->file_bytes_max <= BUDGET ? 0 : 1;
}
