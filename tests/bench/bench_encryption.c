// What encryption at rest costs: CPU time per span of committing and of reading blocks back, and
// bytes on disk, plain and encrypted in turn. Not a test: it checks only that the work was done.
// usage: bench_encryption [SPANS [ROUNDS]]
#include "storage/store/store.h"
#include "tests/support/random_span.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PER_COMMIT = 400, BYTES_MAX = 1 << 30 };

static const uint64_t start_ns = UINT64_C(1700000000000000000);
static const uint8_t master_key[UT_CIPHER_KEY_LEN] = {1, 2, 3};

typedef struct {
    double commit_us; // a span; the least of all rounds
    double read_us;
    double bytes;
} cost;

static void check(ut_err err, const char *what_z)
{
    if (err == UT_OK)
        return;
    (void)fprintf(stderr, "bench_encryption: %s: %s\n", what_z, ut_err_text(err));
    exit(1);
}

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); // cannot fail with this clock
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double commit_all(ut_store *store, uint64_t spans)
{
    double cpu = 0;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    for (uint64_t done = 0, seed = 1; done < spans; done += PER_COMMIT, seed++) {
        ut_batch_reset(&batch, SIZE_MAX);
        ut_realistic_batch(seed, PER_COMMIT, start_ns + seed * 10000000, &batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        double begin = cpu_seconds();
        check(ut_store_commit(store, start_ns, &append, 1, NULL, 0), "commit");
        cpu += cpu_seconds() - begin;
        check(append.stored == PER_COMMIT ? UT_OK : UT_EINVAL, "all spans are new");
    }
    ut_batch_free(&batch);
    return cpu;
}

static double read_all(ut_store *store, bool encrypted)
{
    ut_store_view *view;
    ut_buf payload;
    ut_buf_init(&payload, BYTES_MAX);
    check(ut_store_view_open(ut_store_engine(store), &view), "view");
    check(ut_store_view_begin(view), "view");
    double begin = cpu_seconds();
    for (uint64_t seq = 1; seq <= ut_store_last_seq(store); seq++) {
        ut_block block;
        check(ut_store_read_block(view, UT_ORG_DEFAULT, seq, &payload, &block), "read");
        check((block.info.key_id != 0) == encrypted ? UT_OK : UT_EINVAL, "encryption");
    }
    double cpu = cpu_seconds() - begin;
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return cpu;
}

static void measure(uint64_t spans, bool encrypted, cost *least)
{
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    ut_engine_config engine_config = {.dir_z = dir_z, .bytes_max = BYTES_MAX};
    ut_store_config config = {.bytes_max = BYTES_MAX,
                              .master_key = encrypted ? master_key : NULL,
                              .master_key_name_z = "bench"};
    ut_engine *engine;
    ut_engine_room room;
    ut_store *store = NULL;
    ut_fault fault = {0};
    ut_err err = ut_engine_lmdb_open(&engine_config, &engine, &fault);
    if (err == UT_OK)
        err = ut_store_open(engine, &config, &store, &fault);
    check(err, fault.text_z);
    double commit_us = commit_all(store, spans) * 1e6 / (double)spans;
    double read_us = read_all(store, encrypted) * 1e6 / (double)spans;
    check(ut_engine_get_room(engine, &room), "room");
    if (least->commit_us == 0 || commit_us < least->commit_us)
        least->commit_us = commit_us;
    if (least->read_us == 0 || read_us < least->read_us)
        least->read_us = read_us;
    least->bytes = (double)room.bytes_used / (double)spans;
    ut_store_close(store);
    ut_temp_dir_remove(dir_z);
}

int main(int argc, char **argv)
{
    uint64_t spans = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 3;
    cost costs[2] = {{0}};
    for (uint64_t round = 0; round < rounds; round++) {
        for (int encrypted = 0; encrypted < 2; encrypted++)
            measure(spans, encrypted == 1, &costs[encrypted]);
    }
    printf("%-12s %14s %12s %8s\n", "store", "commit us/span", "read us/span", "B/span");
    for (int encrypted = 0; encrypted < 2; encrypted++)
        printf("%-12s %14.3f %12.3f %8.1f\n", encrypted == 1 ? "encrypted" : "plain",
               costs[encrypted].commit_us, costs[encrypted].read_us, costs[encrypted].bytes);
    return 0;
}
