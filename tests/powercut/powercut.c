// Cuts the power under a store, again and again, and looks at what is left.
//
// A run is a life of a store (workload.h) that follows from a seed. Every call that changes its
// files is an event. The run is rehearsed once, which tells how many events it has; then it is done
// again, and at some of the events a child process is split off. The child cuts the power: it loses
// and tears what no sync had made safe (disk.h), writes the files that are left to a directory of
// their own, opens the store there, holds it against the book (book.h), and works on with it.
// In some children the process is killed first, which loses nothing, and the power is cut under the
// process that follows; or the power is cut twice.
//
// usage: powercut [-n IMAGES] [-m MINUTES] [-s SEED] [-t SCENARIO] [-l STEPS]
//        powercut -r SCENARIO:SEED:STEPS:EVENT:IMAGE   one image of a run that failed; it is kept
#include "tests/powercut/recorder.h"
#include "tests/powercut/workload.h"
#include "tests/support/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    IMAGES_DEFAULT = 200,
    IMAGES_A_RUN = 10,
    LIVES_MAX = 3, // of one image
    STEPS_AFTER_MAX = 6,
    EVENTS_AFTER_BITS = 10, // the next cut comes within 2^10 events
    NEAR_EVENTS = 4,        // around an operation on names
    JOBS_MAX = 16,
    CHILD_SECONDS_MAX = 600, // longer than any machine takes: it hangs
    ROOT_MAX = UT_TEMP_PATH_MAX,
};

static const char *const kind_names_z[UT_RECORDED_KINDS] = {"write", "sync", "directory sync",
                                                            "name", "length"};

// What children tell their parent.
typedef struct {
    atomic_uint cuts;
    atomic_uint kills;
    atomic_uint cuts_torn;       // that kept sectors of unsynced writes, and lost others
    atomic_uint cuts_with_names; // that met names which were not safe
    atomic_ullong sectors_lost;
    atomic_ullong sectors_kept;
    atomic_uint names_lost;
} tally;

typedef struct {
    uint8_t kind;
    uint32_t step; // the number of the step in the run
} event;

// A child to come.
typedef struct {
    uint32_t event;
    uint32_t image; // the seed of what the child does
} stop;

typedef struct {
    char base_z[UT_TEMP_PATH_MAX]; // all directories stand in it
    char root_z[ROOT_MAX];         // of the life under way; the data directory is "data" in it
    char data_z[ROOT_MAX];
    const ut_scenario *scenario;
    uint32_t steps;
    uint64_t seed;
    ut_disk *disk;
    ut_workload workload;
    event *events; // of the rehearsal
    uint32_t event_count;
    uint32_t event_cap;
    bool rehearsing;
    uint32_t now; // events so far
    const stop *stops;
    size_t stop_count;
    size_t stop_at;
    uint32_t children; // that were begun in the run
    uint32_t running;
    uint32_t jobs;
    uint32_t failed;
    bool keep;
    tally *tally;
    // Of a child:
    stop here;
    uint32_t life; // 0: the run itself
    ut_random random;
    uint32_t events_left; // until the next cut, 0: none comes
    ut_recorded cut_after;
} job;

static void print_problem(void *context, const char *text_z)
{
    const job *j = context;
    (void)fprintf(stderr, "powercut: -r %s:%llu:%u:%u:%u (life %u, cut after a %s, in %s): %s\n",
                  j->scenario->name_z, (unsigned long long)j->seed, j->steps, j->here.event,
                  j->here.image, j->life, kind_names_z[j->cut_after],
                  ut_step_name(j->workload.step), text_z);
}

// ---- directories ----

static void make_root(job *j, uint32_t child, uint32_t life)
{
    char name_z[32];
    (void)snprintf(name_z, sizeof(name_z), "%u-%u", child, life); // fits
    ut_temp_path(j->base_z, name_z, j->root_z);
    ut_temp_path(j->root_z, "data", j->data_z);
    UT_ASSERT(mkdir(j->root_z, 0700) == 0);
}

static void remove_roots(const job *j, uint32_t child)
{
    for (uint32_t life = 0; life <= LIVES_MAX; life++) {
        char name_z[32];
        char root_z[UT_TEMP_PATH_MAX];
        char data_z[UT_TEMP_PATH_MAX];
        (void)snprintf(name_z, sizeof(name_z), "%u-%u", child, life); // fits
        ut_temp_path(j->base_z, name_z, root_z);
        ut_temp_path(root_z, "data", data_z);
        ut_temp_dir_remove(data_z);
        ut_temp_dir_remove(root_z);
    }
}

// ---- a child ----

static void hear(void *context, ut_recorded kind);

// Leaves a copy of the image, as it is before the store is opened.
static void keep_image(const job *j)
{
    char copy_z[UT_TEMP_PATH_MAX];
    if (!j->keep)
        return;
    ut_temp_dir_make(copy_z);
    ut_disk_write_out(j->disk, copy_z);
    (void)printf("powercut: life %u begins with %s/data\n", j->life, copy_z);
}

static void cut(job *j)
{
    const ut_disk_loss loss = ut_disk_cut(j->disk, &j->random);
    atomic_fetch_add(&j->tally->cuts, 1);
    atomic_fetch_add(&j->tally->cuts_torn, loss.sectors_lost > 0 && loss.sectors_kept > 0);
    atomic_fetch_add(&j->tally->cuts_with_names, loss.names_open > 0);
    atomic_fetch_add(&j->tally->sectors_lost, loss.sectors_lost);
    atomic_fetch_add(&j->tally->sectors_kept, loss.sectors_kept);
    atomic_fetch_add(&j->tally->names_lost, loss.names_lost);
}

// Kills the process, or cuts the power, and writes out what the next life begins with.
static void break_off(job *j)
{
    const uint32_t kills_in_8 = j->cut_after == UT_RECORDED_NAME ? 4 : 2;
    const bool killed = j->life == 0 && ut_random_below(&j->random, 8) < kills_in_8;
    j->life += 1;
    ut_recorder_end();
    j->workload.book.unsafe = killed;
    if (killed)
        atomic_fetch_add(&j->tally->kills, 1);
    else
        cut(j);
    make_root(j, j->children, j->life);
    ut_disk_write_out(j->disk, j->root_z);
    keep_image(j);
    j->events_left = 0;
    if (killed || (j->life < LIVES_MAX && ut_random_below(&j->random, 5) == 0))
        j->events_left =
            1 + ut_random_below(&j->random, 1U << ut_random_below(&j->random, EVENTS_AFTER_BITS));
}

// Ends a life, and leads the next ones. It may be called in the midst of a call of the store, which
// then never returns.
static _Noreturn void end_life(job *j)
{
    bool another = true;
    while (another && j->workload.book.problems == 0) {
        break_off(j);
        another = j->events_left > 0; // at the latest when the life has ended
        ut_recorder_begin(j->disk, j->root_z, ut_random_next(&j->random), hear, j);
        j->workload.dir_z = j->data_z;
        j->workload.random.state = ut_random_next(&j->random);
        ut_workload_live(&j->workload, 1 + ut_random_below(&j->random, STEPS_AFTER_MAX));
    }
    (void)fflush(NULL);
    _exit(j->workload.book.problems == 0 ? 0 : 1);
}

static void wait_for_child(job *j)
{
    int status = 0;
    pid_t child;
    while ((child = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
        continue;
    UT_ASSERT(child > 0);
    j->running -= 1;
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "powercut: process %ld ended by signal %d\n", (long)child,
                      WTERMSIG(status));
    j->failed += status != 0;
}

static void split_off(job *j, stop here, ut_recorded kind)
{
    while (j->running >= j->jobs)
        wait_for_child(j);
    j->children += 1;
    j->here = here;
    j->cut_after = kind;
    // The locks of the store stay held as long as the child has its descriptors.
    int dropped[2];
    char none;
    UT_ASSERT(pipe2(dropped, O_CLOEXEC) == 0);
    (void)fflush(NULL);
    const pid_t child = fork();
    UT_ASSERT(child >= 0);
    (void)close(dropped[child != 0 ? 1 : 0]); // the other's end
    if (child != 0) {
        UT_ASSERT(read(dropped[0], &none, 1) == 0);
        (void)close(dropped[0]); // read only
        j->running += 1;
        return;
    }
    ut_recorder_detach();
    (void)close(dropped[1]); // nothing was written
    (void)alarm(CHILD_SECONDS_MAX);
    j->random.state = (uint64_t)here.event << 32 | here.image;
    (void)ut_random_next(&j->random);
    end_life(j);
}

// ---- a run ----

static void note_event(job *j, ut_recorded kind)
{
    if (j->event_count == j->event_cap) {
        j->event_cap = j->event_cap * 2 + 1024;
        j->events = realloc(j->events, j->event_cap * sizeof(*j->events));
        UT_ASSERT(j->events != NULL);
    }
    j->events[j->event_count++] = (event){(uint8_t)kind, j->workload.steps_begun};
}

static void hear(void *context, ut_recorded kind)
{
    job *j = context;
    if (j->life > 0) {
        if (j->events_left > 0 && --j->events_left == 0) {
            j->cut_after = kind;
            end_life(j);
        }
        return;
    }
    if (j->rehearsing)
        note_event(j, kind);
    while (j->stop_at < j->stop_count && j->stops[j->stop_at].event == j->now)
        split_off(j, j->stops[j->stop_at++], kind);
    j->now += 1;
}

// Does the run once. Returns the sum of what was heard.
static uint64_t do_run(job *j)
{
    j->children = 0;
    j->now = 0;
    j->stop_at = 0;
    j->disk = ut_disk_new();
    make_root(j, 0, 0);
    j->workload = (ut_workload){.scenario = j->scenario, .dir_z = j->data_z, .random = {j->seed}};
    ut_book_init(&j->workload.book, print_problem, j);
    ut_recorder_begin(j->disk, j->root_z, j->seed, hear, j);
    ut_workload_live(&j->workload, j->steps);
    const uint64_t sum = ut_recorder_sum();
    ut_recorder_end();
    const char *found_z = ut_disk_difference(j->disk, j->root_z);
    if (found_z != NULL)
        ut_book_problem(&j->workload.book, "not every call was heard: %s", found_z);
    while (j->running > 0)
        wait_for_child(j);
    j->failed += j->workload.book.problems > 0;
    ut_book_free(&j->workload.book);
    ut_disk_free(j->disk);
    for (uint32_t i = 0; i <= j->children; i++)
        remove_roots(j, i);
    return sum;
}

// ---- where to cut ----

// An event of a step, each step as likely as another.
static uint32_t choose_in_step(const job *j, ut_random *random)
{
    const uint32_t step = ut_random_below(random, j->events[j->event_count - 1].step + 1);
    uint32_t from = 0;
    while (j->events[from].step < step) // a step without an event gives way to the next
        from += 1;
    uint32_t to = from;
    while (to < j->event_count && j->events[to].step == j->events[from].step)
        to += 1;
    return from + ut_random_below(random, to - from);
}

// An event at or behind one that is rare: names are made, moved or synced.
static uint32_t choose_near_names(const job *j, ut_random *random)
{
    uint32_t chosen = 0;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < j->event_count; i++) {
        const uint8_t kind = j->events[i].kind;
        if (kind != UT_RECORDED_NAME && kind != UT_RECORDED_SYNC_NAMES)
            continue;
        seen += 1;
        if (ut_random_below(random, seen) == 0) // each of them as likely as another
            chosen = i;
    }
    chosen += ut_random_below(random, 2) * ut_random_below(random, NEAR_EVENTS);
    return chosen < j->event_count ? chosen : j->event_count - 1;
}

static uint32_t choose_event(const job *j, ut_random *random)
{
    const unsigned dice = ut_random_below(random, 8);
    if (dice == 0)
        return ut_random_below(random, j->event_count);
    if (dice <= 2)
        return choose_near_names(j, random);
    const uint32_t chosen = choose_in_step(j, random);
    // Most is open between a write and its sync.
    const bool synced = j->events[chosen].kind == UT_RECORDED_SYNC;
    return synced && chosen > 0 && dice > 4 ? chosen - 1 : chosen;
}

static int compare_stops(const void *a, const void *b)
{
    const stop *one = a;
    const stop *other = b;
    return (one->event > other->event) - (one->event < other->event);
}

// Rehearses a run, and cuts it `images` times. Returns its events.
static uint32_t do_scenario(job *j, uint32_t images)
{
    stop stops[IMAGES_A_RUN];
    ut_random random = {j->seed ^ UINT64_C(0x5bd1e995)};
    UT_ASSERT(images <= IMAGES_A_RUN);
    j->event_count = 0;
    j->rehearsing = true;
    j->stop_count = 0;
    const uint64_t sum = do_run(j);
    j->rehearsing = false;
    if (j->failed > 0)
        return j->event_count;
    for (uint32_t i = 0; i < images; i++)
        stops[i] = (stop){choose_event(j, &random), (uint32_t)ut_random_next(&random)};
    qsort(stops, images, sizeof(stops[0]), compare_stops);
    j->stops = stops;
    j->stop_count = images;
    if (do_run(j) != sum) {
        (void)fprintf(stderr, "powercut: %s:%llu is not the same twice\n", j->scenario->name_z,
                      (unsigned long long)j->seed);
        j->failed += 1;
    }
    return j->event_count;
}

// ---- all runs ----

typedef struct {
    uint32_t images;
    uint32_t minutes; // 0: as many as images says
    uint64_t seed;
    const char *scenario_z; // NULL: all in turn
    uint32_t steps;         // of a run, 0: as the scenario says
    const char *replay_z;
} options;

static const ut_scenario *find_scenario(const char *name_z, size_t len)
{
    for (unsigned i = 0; i < UT_SCENARIOS; i++) {
        if (strlen(ut_scenarios[i].name_z) == len &&
            strncmp(ut_scenarios[i].name_z, name_z, len) == 0)
            return &ut_scenarios[i];
    }
    (void)fprintf(stderr, "powercut: there is no scenario %.*s\n", (int)len, name_z);
    exit(2);
}

static void replay(job *j, const char *text_z)
{
    unsigned long long seed = 0;
    stop one = {0};
    const size_t len = strcspn(text_z, ":");
    j->scenario = find_scenario(text_z, len);
    if (sscanf(text_z + len, ":%llu:%u:%u:%u", &seed, &j->steps, &one.event, &one.image) != 4) {
        (void)fprintf(stderr, "powercut: -r SCENARIO:SEED:STEPS:EVENT:IMAGE\n");
        exit(2);
    }
    j->seed = seed;
    j->stops = &one;
    j->stop_count = 1;
    j->keep = true;
    (void)do_run(j);
    (void)printf("powercut: %s\n", j->failed > 0 ? "failed" : "no problem");
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void run_all(job *j, const options *o)
{
    uint32_t images[UT_SCENARIOS] = {0};
    uint64_t events[UT_SCENARIOS] = {0};
    uint32_t failed[UT_SCENARIOS] = {0};
    struct timespec begin;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin); // cannot fail
    uint32_t done = 0;
    uint32_t all_failed = 0;
    ut_random random = {o->seed};
    (void)printf("powercut: seed %llu\n", (unsigned long long)o->seed);
    for (unsigned i = 0;
         o->minutes > 0 ? seconds_since(&begin) < 60.0 * o->minutes : done < o->images; i++) {
        const unsigned number = o->scenario_z != NULL ? 0 : i % UT_SCENARIOS;
        j->scenario = o->scenario_z != NULL ? find_scenario(o->scenario_z, strlen(o->scenario_z))
                                            : &ut_scenarios[number];
        j->seed = ut_random_next(&random) >> 32;
        j->steps = o->steps != 0 ? o->steps : j->scenario->steps;
        j->failed = 0;
        events[number] += do_scenario(j, IMAGES_A_RUN);
        images[number] += IMAGES_A_RUN;
        failed[number] += j->failed;
        all_failed += j->failed;
        done += IMAGES_A_RUN;
    }
    for (unsigned i = 0; i < UT_SCENARIOS; i++) {
        if (images[i] > 0)
            (void)printf("powercut: %-12s %5u images of %8llu calls, %u failed\n",
                         o->scenario_z != NULL ? o->scenario_z : ut_scenarios[i].name_z, images[i],
                         (unsigned long long)events[i], failed[i]);
    }
    const tally *t = j->tally;
    (void)printf("powercut: %u cuts (%u torn, %u among unsynced names), %u kills; of what was not "
                 "synced %llu sectors were lost and %llu kept, %u changes of names lost\n",
                 t->cuts, t->cuts_torn, t->cuts_with_names, t->kills,
                 (unsigned long long)t->sectors_lost, (unsigned long long)t->sectors_kept,
                 t->names_lost);
    (void)printf("powercut: %u images, %u failed\n", done, all_failed);
    j->failed = all_failed;
}

static options read_options(int argc, char **argv)
{
    options o = {.images = IMAGES_DEFAULT,
                 .seed = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid()};
    int option;
    while ((option = getopt(argc, argv, "n:m:s:t:l:r:")) != -1) {
        switch (option) {
        case 'n':
            o.images = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            o.minutes = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            o.seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            o.scenario_z = optarg;
            break;
        case 'l':
            o.steps = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            o.replay_z = optarg;
            break;
        default:
            exit(2);
        }
    }
    return o;
}

int main(int argc, char **argv)
{
    const options o = read_options(argc, argv);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    job *j = calloc(1, sizeof(*j));
    UT_ASSERT(j != NULL);
    j->tally =
        mmap(NULL, sizeof(*j->tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    UT_ASSERT(j->tally != MAP_FAILED);
    j->jobs = processors > JOBS_MAX ? JOBS_MAX : processors > 1 ? (uint32_t)processors : 1;
    ut_temp_dir_make(j->base_z);
    if (o.replay_z != NULL)
        replay(j, o.replay_z);
    else
        run_all(j, &o);
    ut_temp_dir_remove(j->base_z);
    const bool failed = j->failed > 0;
    free(j->events);
    free(j);
    return failed ? 1 : 0;
}
