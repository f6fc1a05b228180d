// Kills a process that writes to a store at random instants, many times, and holds what is left
// against what it had acknowledged: nothing that was to stay may be missing, nothing may be there
// twice, and every record and counter must fit the others.
// usage: kill_store [ROUNDS [SEED]]
#include "storage/store/key.h"
#include "storage/upkeep/operation.h"
#include "storage/query/query.h"
#include "storage/upkeep/verify.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS_DEFAULT = 100,
    ROUNDS_A_STORE = 20, // then a new one is begun, of the other mode
    ACKS_MAX = 200 * 1000,
    SPANS_MAX = 24, // of one append
    APPENDS_MAX = 4,
    FILLER_MAX = 3000,
    LIFE_US_MAX = 120 * 1000,
    DESTINATIONS = 2,
    SMALL_BYTES = 4 * 1024 * 1024,
    LARGE_BYTES = 256 * 1024 * 1024,
    NEWEST_KEPT = 8, // appends that no eviction may have reached
    BATCH_BYTES_MAX = 4 * 1024 * 1024,
};

static const uint64_t start_ns = UINT64_C(1800000000) * 1000000000;
static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
static const uint64_t minute_ns = UINT64_C(60) * 1000000000;

typedef enum { OPENING, COMMITTING, SWEEPING, CLEANING, COMPACTING, NOTING, DOINGS } doing;
static const char *const doing_names[DOINGS] = {"opening", "commit",     "sweep",
                                                "cleanup", "compaction", "cursor"};

// One append that was answered.
typedef struct {
    uint32_t trace;
    uint32_t spans;
    uint32_t expiry_hour; // 0: never
    uint64_t received_ns;
} ack;

// What outlives the process that is killed.
typedef struct {
    volatile doing doing;
    volatile uint32_t ack_count;
    volatile uint32_t next_trace;
    volatile uint64_t clock_ns;   // moved on before it is used
    volatile uint64_t cleaned_ns; // what was received before may be gone; likewise
    volatile uint64_t noted;      // the cursor of the reader "poller" as last acknowledged,
                                  // as one number
    volatile uint64_t noting;     // and as being written
    volatile uint64_t compactions;
    volatile uint64_t swept;
    ack acks[ACKS_MAX];
} shared_state;

typedef struct {
    const char *dir_z;
    bool small; // a budget that is always full
    shared_state *shared;
    ut_random random;
} job;

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    (void)fprintf(stderr, "kill_store: %s: %s\n", what_z, ut_err_text(err));
    _exit(2);
}

static ut_store *open_store(const job *j)
{
    const uint64_t budget = j->small ? SMALL_BYTES : LARGE_BYTES;
    const ut_engine_config config = {.dir_z = j->dir_z, .bytes_max = budget};
    const ut_store_config store_config = {.bytes_max = budget, .ttl_ms = 5 * UINT64_C(3600000)};
    ut_engine *engine = NULL;
    ut_store *store = NULL;
    ut_fault fault = {0};
    ut_err err = ut_engine_lmdb_open(&config, &engine, &fault);
    if (err == UT_OK)
        err = ut_store_open(engine, &store_config, &store, &fault);
    if (err != UT_OK) {
        (void)fprintf(stderr, "kill_store: %s\n", fault.text_z);
        _exit(2);
    }
    return store;
}

// ---- the process that is killed ----

static uint64_t pass_time(job *j)
{
    j->shared->clock_ns += ut_random_below(&j->random, 12) * minute_ns;
    return j->shared->clock_ns;
}

static void make_append(ut_batch *batch, uint32_t trace, uint32_t spans)
{
    ut_test_span rows[SPANS_MAX];
    ut_random random = {trace};
    for (uint32_t i = 0; i < spans; i++)
        rows[i] = (ut_test_span){.trace = trace,
                                 .span = i + 1,
                                 .parent = i,
                                 .start_ns = start_ns + trace,
                                 .end_ns = start_ns + trace + 1000,
                                 .status = (int32_t)ut_random_below(&random, 3),
                                 .filler = ut_random_below(&random, FILLER_MAX)};
    ut_batch_reset(batch, SIZE_MAX);
    ut_test_batch(batch, rows, spans);
}

static void commit_some(job *j, ut_store *store, ut_batch *batches)
{
    shared_state *s = j->shared;
    const uint64_t now_ns = s->clock_ns;
    ut_store_append appends[APPENDS_MAX];
    ack fresh[APPENDS_MAX];
    const uint32_t count = 1 + ut_random_below(&j->random, APPENDS_MAX);
    uint32_t fresh_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t ttl_ms = ut_random_below(&j->random, 4) * UINT64_C(3600000);
        uint32_t trace = s->next_trace;
        uint32_t spans = 1 + ut_random_below(&j->random, SPANS_MAX);
        if (s->ack_count > 0 && ut_random_below(&j->random, 5) == 0) { // sent a second time
            const ack *old = &s->acks[ut_random_below(&j->random, s->ack_count)];
            const bool there = old->expiry_hour > now_ns / hour_ns + 1 && !j->small &&
                               old->received_ns >= s->cleaned_ns;
            if (there) {
                trace = old->trace;
                spans = old->spans;
            }
        }
        if (trace == s->next_trace) {
            s->next_trace += 1;
            const uint64_t life_ms = ttl_ms != 0 ? ttl_ms : 5 * UINT64_C(3600000);
            const uint64_t end_ms = now_ns / 1000000 + life_ms;
            fresh[fresh_count++] = (ack){
                .trace = trace,
                .spans = spans,
                .expiry_hour = (uint32_t)((end_ms + 3599999) / 3600000),
                .received_ns = now_ns,
            };
        }
        make_append(&batches[i], trace, spans);
        appends[i] =
            (ut_store_append){.org = UT_ORG_DEFAULT, .ttl_ms = ttl_ms, .batch = &batches[i]};
    }
    const uint64_t last = ut_store_last_seq(store);
    ut_delivery mark = {
        .org = UT_ORG_DEFAULT,
        .dest = 1 + ut_random_below(&j->random, DESTINATIONS),
        .seq = last > 40 ? last - ut_random_below(&j->random, 40) : last,
        .state = ut_random_below(&j->random, 4) == 0 ? UT_DELIVERY_DEAD : UT_DELIVERY_DELIVERED,
        .attempts = 1,
        .updated_ns = now_ns,
    };
    s->doing = COMMITTING;
    check(ut_store_commit(store, now_ns, appends, count, &mark, last > 0 ? 1 : 0), "commit");
    for (uint32_t i = 0; i < fresh_count; i++) {
        UT_ASSERT(s->ack_count < ACKS_MAX);
        s->acks[s->ack_count] = fresh[i];
        s->ack_count += 1;
    }
}

static void note_cursor(job *j, ut_store *store)
{
    shared_state *s = j->shared;
    const uint64_t last = ut_store_last_seq(store);
    if (last == 0)
        return;
    const uint32_t ordinal = ut_random_below(&j->random, UT_BLOCK_SPANS_MAX);
    s->doing = NOTING;
    s->noting = last * UT_BLOCK_SPANS_MAX + ordinal;
    check(ut_store_set_consumer(store, UT_ORG_DEFAULT, "poller", last, ordinal), "cursor");
    s->noted = s->noting;
}

static ut_operation *begin_cleanup(job *j)
{
    ut_operation *operation = NULL;
    const uint64_t now_ns = j->shared->clock_ns;
    ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT,
        .older_than_ns = now_ns - (1 + ut_random_below(&j->random, 180)) * minute_ns,
        .dry_run = ut_random_below(&j->random, 6) == 0,
    };
    if (!options.dry_run && options.older_than_ns > j->shared->cleaned_ns)
        j->shared->cleaned_ns = options.older_than_ns;
    check(ut_cleanup_new(&options, &operation), "cleanup");
    return operation;
}

// Never returns.
static void live(job *j)
{
    shared_state *s = j->shared;
    ut_batch batches[APPENDS_MAX];
    ut_operation *operation = NULL;
    doing operation_doing = CLEANING;
    s->doing = OPENING;
    ut_store *store = open_store(j);
    for (unsigned i = 0; i < APPENDS_MAX; i++)
        ut_batch_init(&batches[i], BATCH_BYTES_MAX);
    for (unsigned i = 0; i < DESTINATIONS; i++) {
        uint32_t dest = 0;
        const char name_z[2] = {(char)('a' + i), '\0'};
        check(ut_store_add_destination(store, UT_ORG_DEFAULT, name_z, &dest), "destination");
    }
    for (;;) {
        const unsigned dice = ut_random_below(&j->random, 100);
        if (dice < 40) {
            commit_some(j, store, batches);
        } else if (dice < 50) {
            bool more = false;
            const uint64_t now_ns = pass_time(j);
            s->doing = SWEEPING;
            check(ut_store_sweep(store, now_ns, &more), "sweep");
            s->swept += 1;
        } else if (dice < 53) {
            note_cursor(j, store);
        } else if (operation == NULL && dice < 76) {
            operation_doing = COMPACTING;
            check(ut_compaction_new(&operation), "compaction");
        } else if (operation == NULL) {
            operation_doing = CLEANING;
            operation = begin_cleanup(j);
        } else {
            bool more = false;
            ut_fault fault = {0};
            s->doing = operation_doing;
            const ut_err err = ut_operation_step(operation, store, s->clock_ns, &more, &fault);
            if (err != UT_OK && err != UT_EAGAIN) {
                (void)fprintf(stderr, "kill_store: %s: %s\n", doing_names[operation_doing],
                              fault.text_z);
                _exit(2);
            }
            if (!more && err == UT_OK) {
                operation->class->free(operation);
                operation = NULL;
                if (operation_doing == COMPACTING)
                    s->compactions += 1;
            }
        }
    }
}

// ---- the one who looks at what is left ----

static ut_err count_span(void *context, const ut_trace_span *span)
{
    (void)span;
    *(uint32_t *)context += 1;
    return UT_OK;
}

typedef struct {
    unsigned round;
    doing killed_during;
} occasion;

static void tell(void *context, const char *text_z)
{
    const occasion *o = context;
    (void)fprintf(stderr, "kill_store: round %u, killed during %s: %s\n", o->round,
                  doing_names[o->killed_during], text_z);
}

static uint64_t verify(const job *j, unsigned round)
{
    shared_state *s = j->shared;
    ut_store *store = open_store(j);
    ut_store_view *view = NULL;
    occasion now = {.round = round, .killed_during = s->doing};
    ut_verify_report report = {0};
    check(ut_store_view_open(ut_store_engine(store), &view), "view");
    check(ut_store_view_begin(view), "view");
    check(ut_store_verify(view, &report, tell, &now), "verify");
    check(ut_store_view_begin(view), "view");
    uint64_t problems = report.problems;
    const uint32_t hour = (uint32_t)(s->clock_ns / hour_ns);
    for (uint32_t i = 0; i < s->ack_count; i++) {
        const ack *a = &s->acks[i];
        uint8_t id[UT_TRACE_ID_LEN];
        uint32_t found = 0;
        uint32_t damaged = 0;
        ut_test_trace_id(a->trace, id);
        const ut_err err = ut_query_trace(view, UT_ORG_DEFAULT, id, &damaged, count_span, &found);
        if (err != UT_ENOTFOUND)
            check(err, "query");
        const bool stays = a->expiry_hour > hour && a->received_ns >= s->cleaned_ns &&
                           (!j->small || i + NEWEST_KEPT >= s->ack_count);
        if (damaged > 0 || found > a->spans || (stays && found != a->spans)) {
            (void)fprintf(stderr,
                          "kill_store: round %u: trace %u has %u of %u spans, %u damaged blocks\n",
                          round, a->trace, found, a->spans, damaged);
            problems += 1;
        }
    }
    ut_query_cursor cursor = {0};
    const ut_err err = ut_query_consumer(view, UT_ORG_DEFAULT, "poller", &cursor);
    if (err != UT_ENOTFOUND)
        check(err, "cursor");
    const uint64_t found = cursor.seq * UT_BLOCK_SPANS_MAX + cursor.ordinal;
    if (found != s->noted && found != s->noting) {
        (void)fprintf(stderr, "kill_store: round %u: the cursor is %llu, %llu was acknowledged\n",
                      round, (unsigned long long)found, (unsigned long long)s->noted);
        problems += 1;
    }
    s->noted = found; // also when the kill came between the commit and the answer
    ut_store_view_close(view);
    ut_store_close(store);
    return problems;
}

static void wait_us(uint32_t us)
{
    const struct timespec time = {.tv_nsec = (long)us * 1000};
    (void)nanosleep(&time, NULL); // a signal that cuts it short does no harm
}

// One life and its end. Returns what was being done; the child must not have ended by itself.
static doing kill_one(job *j)
{
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0)
        check(UT_EIO, "fork");
    if (child == 0)
        live(j);
    wait_us(ut_random_below(&j->random, LIFE_US_MAX));
    int status = 0;
    (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        (void)fprintf(stderr, "kill_store: the writer ended by itself, status %d\n", status);
        exit(1);
    }
    return j->shared->doing;
}

int main(int argc, char **argv)
{
    const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    const uint64_t seed =
        argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
    shared_state *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char dir_z[UT_TEMP_PATH_MAX] = "";
    unsigned hits[DOINGS] = {0};
    uint64_t spans = 0;
    uint64_t appends = 0;
    uint64_t compactions = 0;
    uint64_t problems = 0;
    if (shared == MAP_FAILED)
        check(UT_ENOMEM, "memory");
    job j = {.dir_z = dir_z, .shared = shared, .random = {seed}};
    (void)printf("kill_store: %u rounds, seed %llu\n", rounds, (unsigned long long)seed);
    for (unsigned round = 0; round < rounds; round++) {
        if (round % ROUNDS_A_STORE == 0) {
            ut_temp_dir_make(dir_z);
            shared->ack_count = 0;
            shared->next_trace = 1;
            shared->clock_ns = start_ns;
            shared->cleaned_ns = 0;
            shared->noted = 0;
            shared->noting = 0;
            shared->compactions = 0;
            j.small = !j.small;
        }
        (void)ut_random_next(&j.random); // the child draws from a copy
        hits[kill_one(&j)] += 1;
        problems += verify(&j, round);
        if ((round + 1) % ROUNDS_A_STORE == 0 || round + 1 == rounds) {
            for (uint32_t i = 0; i < shared->ack_count; i++)
                spans += shared->acks[i].spans;
            appends += shared->ack_count;
            compactions += shared->compactions;
            ut_temp_dir_remove(dir_z);
        }
    }
    (void)printf("kill_store: killed during");
    for (unsigned i = 0; i < DOINGS; i++)
        (void)printf("%s %s %u", i == 0 ? "" : ",", doing_names[i], hits[i]);
    (void)printf("; %llu compactions ended\n"
                 "kill_store: %llu spans in %llu requests acknowledged, %llu problems\n",
                 (unsigned long long)compactions, (unsigned long long)spans,
                 (unsigned long long)appends, (unsigned long long)problems);
    return problems == 0 ? 0 : 1;
}
