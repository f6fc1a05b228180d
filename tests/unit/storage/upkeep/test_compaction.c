// Compaction: the same records in a smaller file, while others write and read, and through kills.
#include "storage/lmdb/lmdb_page.h"
#include "storage/upkeep/operation.h"
#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xxhash.h>

enum { BUDGET = 16 * 1024 * 1024, KEYS = 3000, SLICES_MAX = 100000 };

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    ut_engine *engine;
} fixture;

static ut_engine *open_engine(const char *dir_z, bool read_only)
{
    ut_engine_config config = {
        .dir_z = dir_z, .bytes_max = read_only ? 0 : BUDGET, .read_only = read_only};
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    if (ut_engine_lmdb_open(&config, &engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return engine;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    f->engine = open_engine(f->dir_z, false);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (f->engine != NULL)
        ut_engine_close(f->engine);
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

// ---- helpers ----

static bool exists(const fixture *f, const char *name_z)
{
    char path_z[UT_TEMP_PATH_MAX + 32];
    (void)snprintf(path_z, sizeof path_z, "%s/%s", f->dir_z, name_z);
    return access(path_z, F_OK) == 0;
}

static ut_err slice(ut_engine *engine, bool *more)
{
    ut_engine_compaction progress = {0};
    ut_fault fault = {0};
    ut_err err = ut_engine_compact(engine, &progress, &fault);
    *more = err == UT_OK && progress.more;
    if (err != UT_OK)
        print_message("%s\n", fault.text_z);
    return err;
}

static unsigned compact(ut_engine *engine)
{
    bool more = true;
    unsigned slices = 0;
    for (; more && slices < SLICES_MAX; slices++)
        assert_int_equal(slice(engine, &more), UT_OK);
    assert_false(more);
    return slices;
}

// One transaction of `count` random writes and removals of records of many lengths.
static void change(ut_engine *engine, ut_random *random, unsigned count)
{
    static const uint8_t filler[9000] = {7};
    ut_txn *txn = NULL;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    for (unsigned i = 0; i < count; i++) {
        uint8_t key[12] = "key";
        ut_put_be32(key + 4, ut_random_below(random, KEYS) * UINT32_C(2654435761));
        size_t key_len = 8 + ut_random_below(random, 2) * 4;
        ut_bytes k = {key, key_len};
        uint32_t kind = ut_random_below(random, 10);
        size_t len = kind == 0 ? ut_random_below(random, sizeof filler)
                               : ut_random_below(random, kind == 1 ? 4080 : 300);
        if (kind >= 7) {
            ut_err err = ut_txn_del(txn, k);
            assert_true(err == UT_OK || err == UT_ENOTFOUND);
        } else {
            assert_int_equal(ut_txn_put(txn, k, (ut_bytes){filler, len}), UT_OK);
        }
    }
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static void assert_same(ut_engine *engine, const uint8_t *data, size_t len)
{
    uint8_t *now;
    size_t now_len;
    ut_engine_dump(engine, &now, &now_len);
    assert_int_equal(now_len, len);
    assert_memory_equal(now, data, len);
    free(now);
}

static uint64_t file_bytes(ut_engine *engine)
{
    ut_engine_room room;
    assert_int_equal(ut_engine_get_room(engine, &room), UT_OK);
    return room.bytes_file;
}

// Leaves most of the file free.
static void fill_and_thin(ut_engine *engine, ut_random *random)
{
    for (unsigned i = 0; i < 40; i++)
        change(engine, random, 200);
    for (unsigned from = 0; from < KEYS; from += 500) {
        ut_txn *txn = NULL;
        assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
        for (unsigned i = from; i < from + 500; i++) {
            for (size_t len = 8; len <= 12 && i % 5 != 0; len += 4) {
                uint8_t key[12] = "key";
                ut_put_be32(key + 4, i * UINT32_C(2654435761));
                (void)ut_txn_del(txn, (ut_bytes){key, len}); // some are not there
            }
        }
        assert_int_equal(ut_txn_commit(txn), UT_OK);
    }
}

// ---- the engine ----

static void the_file_becomes_smaller_and_its_records_stay(void **state)
{
    fixture *f = *state;
    ut_random random = {1};
    fill_and_thin(f->engine, &random);
    uint8_t *data;
    size_t len;
    ut_engine_dump(f->engine, &data, &len);
    uint64_t before = file_bytes(f->engine);
    assert_true(compact(f->engine) >= 2);
    assert_same(f->engine, data, len);
    assert_true(file_bytes(f->engine) < before / 2);
    assert_false(exists(f, "store.mdb.new"));
    assert_false(exists(f, "store.mdb.new-lock"));
    // And it is what is found the next time.
    ut_engine_close(f->engine);
    f->engine = open_engine(f->dir_z, false);
    assert_same(f->engine, data, len);
    assert_true(file_bytes(f->engine) < before / 2);
    change(f->engine, &random, 50);
    free(data);
}

static void assert_owned(const fixture *f, const char *name_z, uid_t user, gid_t group, mode_t mode)
{
    char path_z[UT_TEMP_PATH_MAX];
    struct stat file;
    ut_temp_path(f->dir_z, name_z, path_z);
    assert_int_equal(stat(path_z, &file), 0);
    assert_int_equal(file.st_uid, user);
    assert_int_equal(file.st_gid, group);
    assert_int_equal(file.st_mode & 0777, mode);
}

static void the_new_file_has_the_owner_and_the_mode_of_the_old_one(void **state)
{
    fixture *f = *state;
    char path_z[UT_TEMP_PATH_MAX];
    uid_t user = geteuid() == 0 ? 65534 : geteuid(); // only root can give files away
    gid_t group = geteuid() == 0 ? 65534 : getegid();
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_equal(chown(path_z, user, group), 0);
    assert_int_equal(chmod(path_z, 0640), 0);
    ut_temp_path(f->dir_z, "store.mdb-lock", path_z);
    assert_int_equal(chown(path_z, user, group), 0);
    assert_int_equal(chmod(path_z, 0660), 0);
    compact(f->engine);
    assert_owned(f, "store.mdb", user, group, 0640);
    assert_owned(f, "store.mdb-lock", user, group, 0660);
}

static void an_empty_store_is_compacted(void **state)
{
    fixture *f = *state;
    compact(f->engine);
    ut_random random = {1};
    change(f->engine, &random, 50);
    compact(f->engine);
}

static void what_is_written_meanwhile_is_in_the_new_file(void **state)
{
    fixture *f = *state;
    ut_random random = {2};
    ut_engine *model = ut_engine_memory_open(4 * BUDGET);
    for (unsigned round = 0; round < 6; round++) {
        fill_and_thin(f->engine, &random);
        // The model is made from a copy, then both get the same changes.
        bool more = true;
        unsigned slices = 0;
        ut_random same = {round + 100};
        uint8_t *data;
        size_t len;
        ut_engine_dump(f->engine, &data, &len);
        ut_txn *txn = NULL;
        ut_engine_close(model);
        model = ut_engine_memory_open(4 * BUDGET);
        assert_int_equal(ut_engine_begin(model, true, &txn), UT_OK);
        for (size_t at = 0; at < len;) {
            size_t key_len = ut_get_be32(data + at);
            size_t value_len = ut_get_be32(data + at + 4);
            assert_int_equal(ut_txn_put(txn, (ut_bytes){data + at + 8, key_len},
                                        (ut_bytes){data + at + 8 + key_len, value_len}),
                             UT_OK);
            at += 8 + key_len + value_len;
        }
        assert_int_equal(ut_txn_commit(txn), UT_OK);
        free(data);
        while (more) {
            assert_int_equal(slice(f->engine, &more), UT_OK);
            assert_true(slices++ < SLICES_MAX);
            if (slices < 30) {
                ut_random again = same;
                change(f->engine, &same, 40);
                change(model, &again, 40);
            }
            if (slices % 3 == 0) { // what is given up leaves nothing
                assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
                assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("key"), ut_bytes_of_z("no")), UT_OK);
                ut_txn_abort(txn);
            }
        }
        ut_engine_dump(model, &data, &len);
        assert_same(f->engine, data, len);
        free(data);
    }
    ut_engine_close(model);
}

static void a_transaction_that_was_open_keeps_its_state(void **state)
{
    fixture *f = *state;
    ut_random random = {3};
    fill_and_thin(f->engine, &random);
    ut_txn *txn = NULL;
    ut_cursor *cursor = NULL;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_engine_begin(f->engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("a"), &key, &value), UT_OK);
    unsigned before = 1;
    while (ut_cursor_next(cursor, &key, &value) == UT_OK)
        before += 1;
    compact(f->engine);
    for (unsigned i = 0; i < 10; i++)
        change(f->engine, &random, 100);
    compact(f->engine);
    assert_int_equal(ut_cursor_seek(cursor, ut_bytes_of_z("a"), &key, &value), UT_OK);
    unsigned after = 1;
    while (ut_cursor_next(cursor, &key, &value) == UT_OK)
        after += 1;
    assert_int_equal(before, after);
    ut_txn_abort(txn);
}

static void a_reader_of_another_opening_takes_up_the_new_file(void **state)
{
    fixture *f = *state;
    ut_random random = {4};
    fill_and_thin(f->engine, &random);
    int ends[2];
    int back[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(back), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        ut_engine *reader = open_engine(f->dir_z, true);
        ut_txn *old = NULL;
        UT_ASSERT(ut_engine_begin(reader, false, &old) == UT_OK);
        uint8_t byte = 1;
        UT_ASSERT(write(back[1], &byte, 1) == 1);
        UT_ASSERT(read(ends[0], &byte, 1) == 1);
        ut_bytes value;
        if (ut_txn_get(old, ut_bytes_of_z("late"), &value) != UT_ENOTFOUND)
            _exit(1);
        ut_txn *txn = NULL;
        UT_ASSERT(ut_engine_begin(reader, false, &txn) == UT_OK);
        if (ut_txn_get(txn, ut_bytes_of_z("late"), &value) != UT_OK)
            _exit(2);
        ut_txn_abort(txn);
        ut_txn_abort(old);
        ut_engine_close(reader);
        _exit(0);
    }
    uint8_t byte;
    assert_int_equal(read(back[0], &byte, 1), 1);
    compact(f->engine);
    for (unsigned i = 0; i < 10; i++)
        change(f->engine, &random, 100);
    ut_txn *txn = NULL;
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("late"), ut_bytes_of_z("1")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    assert_int_equal(write(ends[1], &byte, 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (unsigned i = 0; i < 2; i++) {
        (void)close(ends[i]);
        (void)close(back[i]);
    }
}

static void what_is_given_up_leaves_nothing(void **state)
{
    fixture *f = *state;
    ut_random random = {5};
    fill_and_thin(f->engine, &random);
    uint8_t *data;
    size_t len;
    ut_engine_dump(f->engine, &data, &len);
    bool more;
    assert_int_equal(slice(f->engine, &more), UT_OK);
    assert_true(exists(f, "store.mdb.new"));
    ut_engine_compact_stop(f->engine);
    assert_false(exists(f, "store.mdb.new"));
    assert_same(f->engine, data, len);
    assert_int_equal(slice(f->engine, &more), UT_OK);
    ut_engine_close(f->engine); // in the middle
    assert_false(exists(f, "store.mdb.new"));
    f->engine = open_engine(f->dir_z, false);
    assert_same(f->engine, data, len);
    free(data);
}

// Makes an empty store as a machine with pages of 8192 bytes would: there is nothing but meta
// pages.
static void make_store_of_other_pages(const fixture *f)
{
    enum { OLD = 4096, NEW = 8192 };
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    static uint8_t file[2 * NEW];
    int fd = open(path_z, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *page = file + i * NEW;
        assert_int_equal(pread(fd, page, OLD, (off_t)(i * OLD)), OLD);
        ut_lmdb_meta meta;
        memcpy(&meta, page + UT_LMDB_PAGE_HEADER_LEN, sizeof meta);
        assert_int_equal(meta.free_tree.padding, OLD);
        meta.free_tree.padding = NEW;
        memcpy(page + UT_LMDB_PAGE_HEADER_LEN, &meta, sizeof meta);
    }
    assert_int_equal(pwrite(fd, file, sizeof file, 0), sizeof file);
    (void)close(fd);
}

static void a_transaction_keeps_the_page_size_of_its_file(void **state)
{
    fixture *f = *state;
    ut_engine_close(f->engine);
    make_store_of_other_pages(f);
    f->engine = open_engine(f->dir_z, false);
    ut_random random = {11};
    fill_and_thin(f->engine, &random);
    ut_engine_room room;
    assert_int_equal(ut_engine_get_room(f->engine, &room), UT_OK);
    assert_int_equal(room.page_bytes, 8192);
    ut_txn *txn = NULL;
    ut_cursor *cursor = NULL;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_engine_begin(f->engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    uint8_t *data;
    size_t len;
    ut_engine_dump(f->engine, &data, &len);
    compact(f->engine);
    assert_int_equal(ut_engine_get_room(f->engine, &room), UT_OK);
    assert_int_equal(room.page_bytes, 4096);
    assert_same(f->engine, data, len);
    unsigned longer = 0; // than half a page of the new file, and within one of the old
    ut_err err = ut_cursor_seek(cursor, ut_bytes_of_z("a"), &key, &value);
    for (; err == UT_OK; err = ut_cursor_next(cursor, &key, &value))
        longer += value.len > 2100 && value.len < 3900;
    assert_int_equal(err, UT_ENOTFOUND);
    assert_true(longer > 0);
    ut_txn_abort(txn);
    change(f->engine, &random, 50);
    free(data);
}

// A write transaction meets a file that was cut, so that LMDB does not come back from it by itself;
// the file is then made whole again, and could be read. More than a few slices do not fit a round.
static void compact_after_a_trap(const fixture *f, bool under_way)
{
    char path_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    int file = open(path_z, O_RDWR | O_CLOEXEC);
    struct stat before;
    UT_ASSERT(file >= 0 && fstat(file, &before) == 0);
    uint8_t *data = malloc((size_t)before.st_size);
    UT_ASSERT(data != NULL && pread(file, data, (size_t)before.st_size, 0) == before.st_size);
    bool more = true;
    if (under_way && (slice(f->engine, &more) != UT_OK || !exists(f, "store.mdb.new")))
        _exit(2);
    ut_txn *txn = NULL;
    UT_ASSERT(ut_engine_begin(f->engine, true, &txn) == UT_OK);
    UT_ASSERT(ftruncate(file, 8192) == 0);
    if (ut_txn_put(txn, ut_bytes_of_z("key"), ut_bytes_of_z("1")) != UT_ECORRUPT)
        _exit(3);
    ut_txn_abort(txn);
    UT_ASSERT(pwrite(file, data, (size_t)before.st_size, 0) == before.st_size);
    if (slice(f->engine, &more) != UT_ECORRUPT)
        _exit(4);
    if (exists(f, "store.mdb.new") || exists(f, "store.mdb.new-lock"))
        _exit(5);
    _exit(7);
}

static void a_file_that_is_not_trusted_any_more_is_not_compacted(void **state)
{
    fixture *f = *state;
    ut_random random = {9};
    fill_and_thin(f->engine, &random);
    ut_engine_close(f->engine);
    f->engine = NULL;
    for (unsigned under_way = 0; under_way < 2; under_way++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            f->engine = open_engine(f->dir_z, false);
            ut_random same = {10};
            for (unsigned i = 0; i < 400; i++) // until all pages were looked at
                change(f->engine, &same, 1);
            compact_after_a_trap(f, under_way == 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
    }
}

// ---- threads ----

typedef struct {
    ut_engine *engine;
    atomic_bool stop;
    atomic_uint rounds;
} reading;

// Both records of a pair are always written together.
static void *read_pairs(void *context)
{
    reading *r = context;
    while (!atomic_load(&r->stop)) {
        ut_txn *txn = NULL;
        ut_bytes value;
        UT_ASSERT(ut_engine_begin(r->engine, false, &txn) == UT_OK);
        uint64_t seen[2] = {0, 0};
        for (unsigned i = 0; i < 2; i++) {
            if (ut_txn_get(txn, ut_bytes_of_z(i == 0 ? "a" : "z"), &value) == UT_OK)
                seen[i] = ut_get_be64(value.data);
        }
        UT_ASSERT(seen[0] == seen[1]);
        ut_txn_abort(txn);
        atomic_fetch_add(&r->rounds, 1);
    }
    return NULL;
}

static void readers_on_other_threads_see_whole_transactions(void **state)
{
    fixture *f = *state;
    ut_random random = {6};
    fill_and_thin(f->engine, &random);
    reading r = {.engine = f->engine};
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &r), 0);
    uint64_t count = 0;
    for (unsigned round = 0; round < 10 || atomic_load(&r.rounds) < 100; round++) {
        bool more = true;
        while (more) {
            uint8_t bytes[8];
            ut_put_be64(bytes, ++count);
            ut_txn *txn = NULL;
            assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
            assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("a"), (ut_bytes){bytes, 8}), UT_OK);
            assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("z"), (ut_bytes){bytes, 8}), UT_OK);
            assert_int_equal(ut_txn_commit(txn), UT_OK);
            assert_int_equal(slice(f->engine, &more), UT_OK);
            if (count % 4 == 0 && more) {
                // The end comes when nothing is written between two slices.
                assert_int_equal(slice(f->engine, &more), UT_OK);
            }
        }
    }
    atomic_store(&r.stop, true);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

// ---- kills ----

static bool locks_survive_a_kill(void)
{
    pthread_mutexattr_t attribute;
    int robust = 0;
    (void)pthread_mutexattr_init(&attribute);
    (void)pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutexattr_getrobust(&attribute, &robust);
    return robust == PTHREAD_MUTEX_ROBUST; // not so under an emulator
}

// Commits counters and compacts until it is killed.
static void work_until_killed(const char *dir_z, int pipe_out)
{
    ut_engine *engine = open_engine(dir_z, false);
    uint64_t count = 0;
    ut_txn *txn = NULL;
    ut_bytes value;
    UT_ASSERT(ut_engine_begin(engine, false, &txn) == UT_OK);
    if (ut_txn_get(txn, ut_bytes_of_z("a"), &value) == UT_OK)
        count = ut_get_be64(value.data);
    ut_txn_abort(txn);
    for (;;) {
        uint8_t bytes[3000] = {0};
        count += 1;
        ut_put_be64(bytes, count);
        UT_ASSERT(ut_engine_begin(engine, true, &txn) == UT_OK);
        UT_ASSERT(ut_txn_put(txn, ut_bytes_of_z("a"), (ut_bytes){bytes, 8}) == UT_OK);
        uint8_t key[2] = {'b', (uint8_t)(count % 200)};
        UT_ASSERT(ut_txn_put(txn, (ut_bytes){key, 2}, (ut_bytes){bytes, sizeof bytes}) == UT_OK);
        UT_ASSERT(ut_txn_commit(txn) == UT_OK);
        UT_ASSERT(write(pipe_out, &count, sizeof count) == (ssize_t)sizeof count);
        bool more;
        UT_ASSERT(slice(engine, &more) == UT_OK);
        UT_ASSERT(!more || slice(engine, &more) == UT_OK);
    }
}

static void kill_often(fixture *f, unsigned rounds)
{
    ut_engine_close(f->engine);
    f->engine = NULL;
    ut_random random = {7};
    for (unsigned round = 0; round < rounds; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)close(ends[0]);
            work_until_killed(f->dir_z, ends[1]);
        }
        (void)close(ends[1]);
        uint64_t last = 0;
        uint64_t count;
        unsigned wanted = 1 + ut_random_below(&random, 20);
        while (wanted-- > 0 && read(ends[0], &count, sizeof count) == (ssize_t)sizeof count)
            last = count;
        // Anywhere between two commits: the slices lie there.
        for (volatile unsigned spin = ut_random_below(&random, 400000); spin > 0; spin--) {
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(ends[0], &count, sizeof count) == (ssize_t)sizeof count)
            last = count;
        (void)close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_true(last > 0);
        // A reader comes first, as it may.
        ut_engine *engine = open_engine(f->dir_z, round % 2 == 0);
        ut_txn *txn = NULL;
        ut_bytes value;
        assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
        assert_int_equal(ut_txn_get(txn, ut_bytes_of_z("a"), &value), UT_OK);
        uint64_t stored = ut_get_be64(value.data);
        assert_true(stored == last || stored == last + 1);
        for (uint64_t i = stored > 199 ? stored - 199 : 1; i <= stored; i++) {
            uint8_t key[2] = {'b', (uint8_t)(i % 200)};
            assert_int_equal(ut_txn_get(txn, (ut_bytes){key, 2}, &value), UT_OK);
            assert_int_equal(ut_get_be64(value.data), i);
        }
        ut_txn_abort(txn);
        ut_engine_close(engine);
    }
    f->engine = open_engine(f->dir_z, false);
    assert_false(exists(f, "store.mdb.new"));
    assert_false(exists(f, "store.mdb.new-lock"));
}

static void a_kill_leaves_the_old_or_the_new_file(void **state)
{
    if (!locks_survive_a_kill())
        skip();
    kill_often(*state, 60);
}

// ---- the operation ----

static void a_store_is_compacted_with_all_that_is_in_it(void **state)
{
    fixture *f = *state;
    ut_filled_store *filled = ut_filled_store_open(f->engine);
    f->engine = NULL;
    uint32_t dest = ut_filled_store_destination(filled, "central");
    for (unsigned i = 0; i < 60; i++)
        (void)ut_filled_store_append(filled, 100, i % 3 == 0 ? 0 : 3600000);
    ut_filled_store_sweep(filled, UINT64_C(4000000000) * 1000000000);
    ut_engine *engine = ut_filled_store_engine(filled);
    ut_store_destination_counts before = ut_filled_store_counts(filled, dest);
    ut_operation *operation = NULL;
    assert_int_equal(ut_compaction_new(&operation), UT_OK);
    bool more = true;
    ut_fault fault = {0};
    while (more)
        assert_int_equal(
            ut_operation_step(operation, ut_filled_store_store(filled), 1, &more, &fault), UT_OK);
    assert_true(operation->progress.bytes > 0);
    assert_true(operation->progress.done > 0);
    operation->class->free(operation);
    ut_verify_report report = ut_store_check(engine);
    assert_true(report.blocks > 0);
    ut_store_destination_counts after = ut_filled_store_counts(filled, dest);
    assert_memory_equal(&before, &after, sizeof before);
    (void)ut_filled_store_append(filled, 100, 0);
    (void)ut_store_check(engine);
    ut_filled_store_close(filled);
}

static void an_engine_that_cannot_compact_says_so(void **state)
{
    (void)state;
    ut_filled_store *filled = ut_filled_store_open(ut_engine_memory_open(BUDGET));
    ut_operation *operation = NULL;
    bool more = true;
    ut_fault fault = {0};
    assert_int_equal(ut_compaction_new(&operation), UT_OK);
    assert_int_equal(ut_operation_step(operation, ut_filled_store_store(filled), 1, &more, &fault),
                     UT_EINVAL);
    assert_non_null(strstr(fault.text_z, "cannot compact"));
    operation->class->free(operation);
    ut_filled_store_close(filled);
}

#define WITH(test, up) cmocka_unit_test_setup_teardown(test, up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(the_file_becomes_smaller_and_its_records_stay, set_up),
        WITH(the_new_file_has_the_owner_and_the_mode_of_the_old_one, set_up),
        WITH(an_empty_store_is_compacted, set_up),
        WITH(what_is_written_meanwhile_is_in_the_new_file, set_up),
        WITH(a_transaction_that_was_open_keeps_its_state, set_up),
        WITH(a_reader_of_another_opening_takes_up_the_new_file, set_up),
        WITH(what_is_given_up_leaves_nothing, set_up),
        WITH(a_transaction_keeps_the_page_size_of_its_file, set_up),
        WITH(a_file_that_is_not_trusted_any_more_is_not_compacted, set_up),
        WITH(readers_on_other_threads_see_whole_transactions, set_up),
        WITH(a_kill_leaves_the_old_or_the_new_file, set_up),
        WITH(a_store_is_compacted_with_all_that_is_in_it, set_up),
        cmocka_unit_test(an_engine_that_cannot_compact_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
