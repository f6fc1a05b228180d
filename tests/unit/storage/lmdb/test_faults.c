// Every Nth fallible call fails, in turn, until all pass: of the engine's interface, and of the C
// library under LMDB and our own files (the linker leads those calls here; see the Makefile). An
// error comes back, the store is whole, and the next call works.
#include "storage/upkeep/operation.h"
#include "storage/query/query.h"
#include "storage/upkeep/verify.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BUDGET = 8 * 1024 * 1024, SPANS = 20, BLOCKS = 12, TRIES_MAX = 20000, CALLS_MAX = 256 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const uint64_t far_ns = UINT64_C(4000000000) * 1000000000;

// ---- the C library ----

// A call that wrote to a descriptor, or synced it.
typedef struct {
    bool sync;
    bool directory; // the descriptor's file is one
    bool durable;   // the descriptor was opened with O_DSYNC
    bool failed;
} io_call;

// The calls that fail are told nothing of the test, so this stands here. Tests are of one thread.
static struct {
    uint64_t calls;
    uint64_t fail_at; // 0: none
    bool failed;
    uint64_t renames; // of these one may fail alone
    uint64_t fail_rename_at;
    bool recording; // each call that writes or syncs, in its order, into done
    unsigned done_count;
    io_call done[CALLS_MAX];
} library;

static bool strikes(void)
{
    if (library.fail_at == 0)
        return false;
    library.calls += 1;
    if (library.calls != library.fail_at)
        return false;
    library.failed = true;
    return true;
}

#define WRAPPED(type, name, parameters, arguments, error, failure) \
    type real_##name parameters __asm__("__real_" #name);          \
    type wrap_##name parameters __asm__("__wrap_" #name);          \
    type wrap_##name parameters                                    \
    {                                                              \
        if (!strikes())                                            \
            return real_##name arguments;                          \
        errno = (error);                                           \
        return (failure);                                          \
    }

static void record(bool sync, int fd, bool failed)
{
    if (!library.recording)
        return;
    const int reason = errno;
    struct stat file = {0};
    assert_true(library.done_count < CALLS_MAX);
    assert_int_equal(fstat(fd, &file), 0);
    const int flags = fcntl(fd, F_GETFL);
    assert_true(flags >= 0);
    library.done[library.done_count++] = (io_call){.sync = sync,
                                                   .directory = S_ISDIR(file.st_mode),
                                                   .durable = (flags & O_DSYNC) != 0,
                                                   .failed = failed};
    errno = reason;
}

// A call that is recorded besides. sync: it syncs fd, else it writes to it.
#define RECORDED(sync, type, name, parameters, arguments, error) \
    type real_##name parameters __asm__("__real_" #name);        \
    type wrap_##name parameters __asm__("__wrap_" #name);        \
    type wrap_##name parameters                                  \
    {                                                            \
        const bool struck = strikes();                           \
        const type result = struck ? -1 : real_##name arguments; \
        if (struck)                                              \
            errno = (error);                                     \
        record(sync, fd, result < 0);                            \
        return result;                                           \
    }

RECORDED(false, ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at),
         (fd, data, len, at), ENOSPC)
RECORDED(false, ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at),
         (fd, parts, count, at), ENOSPC)
RECORDED(false, ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len), ENOSPC)
RECORDED(false, ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count),
         ENOSPC)
RECORDED(true, int, fdatasync, (int fd), (fd), EIO)
RECORDED(true, int, fsync, (int fd), (fd), EIO)
WRAPPED(int, ftruncate, (int fd, off_t len), (fd, len), ENOSPC, -1)
WRAPPED(void *, mmap, (void *at, size_t len, int access, int flags, int fd, off_t from),
        (at, len, access, flags, fd, from), ENOMEM, MAP_FAILED)
WRAPPED(void *, malloc, (size_t len), (len), ENOMEM, NULL)
WRAPPED(void *, calloc, (size_t count, size_t len), (count, len), ENOMEM, NULL)
WRAPPED(void *, realloc, (void *old, size_t len), (old, len), ENOMEM, NULL)

int real_rename(const char *from_z, const char *to_z) __asm__("__real_rename");
int wrap_rename(const char *from_z, const char *to_z) __asm__("__wrap_rename");
int wrap_rename(const char *from_z, const char *to_z)
{
    library.renames += 1;
    if (!strikes() && library.renames != library.fail_rename_at)
        return real_rename(from_z, to_z);
    errno = EIO;
    return -1;
}

int real_open(const char *path_z, int flags, ...) __asm__("__real_open");
int wrap_open(const char *path_z, int flags, ...) __asm__("__wrap_open");
int wrap_open(const char *path_z, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!strikes())
        return real_open(path_z, flags, mode);
    errno = EMFILE;
    return -1;
}

// ---- a store ----

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    bool at_library; // else at the engine's interface
    ut_faults faults;
    ut_store *store;
    ut_batch batch;
    uint64_t seed;
} fixture;

static ut_err open_store(fixture *f)
{
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = BUDGET};
    ut_store_config store_config = {.bytes_max = BUDGET};
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    uint32_t dest = 0;
    ut_err err = ut_engine_lmdb_open(&config, &engine, &fault);
    if (err == UT_OK) {
        if (!f->at_library)
            engine = ut_engine_faulty_wrap(engine, &f->faults);
        err = ut_store_open(engine, &store_config, &f->store, &fault);
    }
    if (err != UT_OK) {
        assert_true(fault.text_z[0] != '\0');
        f->store = NULL;
        return err;
    }
    err = ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &dest);
    if (err != UT_OK) {
        ut_store_close(f->store);
        f->store = NULL;
    }
    return err;
}

static ut_err append(fixture *f, uint64_t ttl_ms)
{
    ut_store_append one = {.org = UT_ORG_DEFAULT, .ttl_ms = ttl_ms, .batch = &f->batch};
    ut_err err = ut_store_commit(f->store, now_ns, &one, 1, NULL, 0);
    if (err == UT_OK)
        assert_int_equal(one.stored + one.duplicates, SPANS);
    return err;
}

static void next_batch(fixture *f)
{
    ut_batch_reset(&f->batch, BUDGET);
    ut_realistic_batch(++f->seed, SPANS, now_ns, &f->batch);
}

static int set_up(void **state, bool at_library)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    f->at_library = at_library;
    f->faults.err = UT_EIO;
    ut_batch_init(&f->batch, BUDGET);
    assert_int_equal(open_store(f), UT_OK);
    for (unsigned i = 0; i < BLOCKS; i++) {
        next_batch(f);
        assert_int_equal(append(f, i % 2 == 0 ? 0 : 3600000), UT_OK);
    }
    *state = f;
    return 0;
}

static int set_up_library(void **state)
{
    return set_up(state, true);
}
static int set_up_engine(void **state)
{
    return set_up(state, false);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    library.fail_at = 0;
    f->faults.fail_at = 0;
    ut_store_close(f->store);
    ut_batch_free(&f->batch);
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

// ---- what is done ----

static ut_err do_open(fixture *f)
{
    ut_store_close(f->store);
    f->store = NULL;
    return open_store(f);
}

static ut_err do_commit(fixture *f)
{
    return append(f, 0);
}

static ut_err do_sweep(fixture *f)
{
    bool more = true;
    ut_err err = UT_OK;
    while (more && err == UT_OK)
        err = ut_store_sweep(f->store, far_ns, &more);
    return err;
}

static ut_err do_operation(fixture *f, ut_operation *operation)
{
    bool more = true;
    ut_err err = UT_OK;
    ut_fault fault = {0};
    while (more && err == UT_OK)
        err = ut_operation_step(operation, f->store, far_ns, &more, &fault);
    operation->class->free(operation);
    return err;
}

static ut_err do_compaction(fixture *f)
{
    ut_operation *operation = NULL;
    ut_err err = ut_compaction_new(&operation);
    return err == UT_OK ? do_operation(f, operation) : err;
}

static ut_err do_retime(fixture *f)
{
    ut_operation *operation = NULL;
    ut_err err = ut_ttl_change_new(UT_ORG_DEFAULT, false, &operation);
    return err == UT_OK ? do_operation(f, operation) : err;
}

static ut_err do_consumer(fixture *f)
{
    return ut_store_set_consumer(f->store, UT_ORG_DEFAULT, "reader", ut_store_last_seq(f->store),
                                 (uint32_t)(f->seed % 9));
}

static ut_err see_row(void *context, const ut_trace_row *row)
{
    memcpy(context, row->trace_id, UT_TRACE_ID_LEN);
    return UT_OK;
}

static ut_err see_span(void *context, const ut_trace_span *span)
{
    (void)span;
    *(uint64_t *)context += 1;
    return UT_OK;
}

static ut_err do_queries(fixture *f)
{
    uint8_t trace_id[UT_TRACE_ID_LEN] = {0};
    uint64_t spans = 0;
    uint32_t damaged = 0;
    bool more = true;
    ut_filter filter = ut_filter_all();
    ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter};
    ut_query_cursor cursor = {0};
    ut_search_work work = {0};
    ut_store_view *view = NULL;
    ut_err err = ut_store_view_open(ut_store_engine(f->store), &view);
    if (err != UT_OK)
        return err;
    err = ut_store_view_begin(view);
    if (err == UT_OK)
        err = ut_query_traces(view, UT_ORG_DEFAULT, 10, see_row, trace_id);
    if (err == UT_OK)
        err = ut_query_trace(view, UT_ORG_DEFAULT, trace_id, &damaged, see_span, &spans);
    while (more && err == UT_OK)
        err = ut_query_spans(view, &search, &cursor, &work, &more,
                             (ut_trace_span_visitor){see_span, &spans});
    ut_store_view_close(view);
    // A failure is never taken for damage, or for the end.
    if (err == UT_OK) {
        assert_int_equal(damaged, 0);
        assert_int_equal(work.blocks_damaged, 0);
        assert_true(spans >= BLOCKS / 2 * SPANS);
    }
    return err;
}

// ---- in turn ----

// Of how many calls one fails: every one, unless the environment asks for fewer where a machine is
// emulated.
static uint64_t stride(void)
{
    const char *text_z = getenv("FAULT_STRIDE");
    const unsigned long every = text_z != NULL ? strtoul(text_z, NULL, 10) : 1;
    return every > 0 ? every : 1;
}

static void each_failing(void **state, ut_err (*job)(fixture *f))
{
    fixture *f = *state;
    uint64_t quiet = 0; // faults that nobody had to tell of
    uint64_t n = 1;
    const uint64_t every = stride();
    for (bool fired = true; fired; n += every) {
        assert_true(n < TRIES_MAX);
        next_batch(f);
        assert_int_equal(append(f, 3600000), UT_OK); // something to sweep, and to copy
        next_batch(f);
        library.calls = 0;
        library.failed = false;
        f->faults.calls = 0;
        if (f->at_library)
            library.fail_at = n;
        else
            f->faults.fail_at = n;
        ut_err err = job(f);
        library.fail_at = 0;
        f->faults.fail_at = 0;
        fired = f->at_library ? library.failed : f->faults.calls >= n;
        if (!fired)
            assert_int_equal(err, UT_OK);
        quiet += fired && err == UT_OK;
        if (!f->at_library && fired)
            assert_int_not_equal(err, UT_OK);
        if (f->store == NULL)
            assert_int_equal(open_store(f), UT_OK);
        (void)ut_store_check(ut_store_engine(f->store));
        assert_int_equal(job(f), UT_OK);
        if (f->seed % 100 < 2)
            assert_int_equal(do_sweep(f), UT_OK);
    }
    (void)ut_store_check(ut_store_engine(f->store));
    print_message("one of %llu calls failed, up to call %llu; %llu times without an error\n",
                  (unsigned long long)every, (unsigned long long)n, (unsigned long long)quiet);
    assert_true(n > 3);
}

static void opening_survives_each_failing_call(void **state)
{
    each_failing(state, do_open);
}
static void a_commit_survives_each_failing_call(void **state)
{
    each_failing(state, do_commit);
}
static void a_sweep_survives_each_failing_call(void **state)
{
    each_failing(state, do_sweep);
}
static void a_compaction_survives_each_failing_call(void **state)
{
    each_failing(state, do_compaction);
}
static void retiming_survives_each_failing_call(void **state)
{
    each_failing(state, do_retime);
}
static void setting_a_reader_survives_each_failing_call(void **state)
{
    each_failing(state, do_consumer);
}
static void queries_survive_each_failing_call(void **state)
{
    each_failing(state, do_queries);
}

// ---- the exchange of a compaction ----

// Of all that a transaction sees; an error of it has a value of its own.
static uint64_t sum_of(ut_txn *txn)
{
    static const uint8_t lowest[1] = {0};
    ut_cursor *cursor = NULL;
    ut_bytes key = {NULL, 0};
    ut_bytes value = {NULL, 0};
    uint64_t sum = 0;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    ut_err err = ut_cursor_seek(cursor, (ut_bytes){lowest, sizeof lowest}, &key, &value);
    for (; err == UT_OK; err = ut_cursor_next(cursor, &key, &value)) {
        for (size_t i = 0; i < key.len; i++)
            sum = sum * 31 + key.data[i];
        for (size_t i = 0; i < value.len; i++)
            sum = sum * 31 + value.data[i];
    }
    ut_cursor_close(cursor);
    return sum * 31 + (uint64_t)err;
}

static void what_is_read_stays_when_the_new_file_does_not_get_its_name(void **state)
{
    fixture *f = *state;
    ut_txn *txn = NULL;
    assert_int_equal(ut_engine_begin(ut_store_engine(f->store), false, &txn), UT_OK);
    uint64_t before = sum_of(txn);
    library.renames = 0;
    library.fail_rename_at = 2; // behind the lock file's
    ut_err err = do_compaction(f);
    assert_true(library.renames >= 2);
    library.fail_rename_at = 0;
    assert_int_equal(err, UT_EIO);
    for (unsigned i = 0; i < 3 * BLOCKS; i++) {
        next_batch(f);
        assert_int_equal(append(f, 3600000), UT_OK);
        assert_int_equal(do_sweep(f), UT_OK);
    }
    assert_true(sum_of(txn) == before);
    ut_txn_abort(txn);
    (void)ut_store_check(ut_store_engine(f->store));
    assert_int_equal(do_compaction(f), UT_OK);
    (void)ut_store_check(ut_store_engine(f->store));
}

// ---- what is durable ----

static void record_from_here(void)
{
    library.done_count = 0;
    library.recording = true;
}

// Commits one record, which the calls recorded since are of.
static void put_one(ut_engine *engine, uint8_t number)
{
    const uint8_t key[] = {0xff, 'd', number};
    ut_txn *txn = NULL;
    record_from_here();
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, (ut_bytes){key, sizeof(key)}, (ut_bytes){key, sizeof(key)}),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    library.recording = false;
}

// Closes the store, and opens its engine alone.
static ut_engine *reopen_engine(fixture *f)
{
    const ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = BUDGET};
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    ut_store_close(f->store);
    f->store = NULL;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    return engine;
}

static void a_commit_syncs_its_pages_before_it_names_them(void **state)
{
    fixture *f = *state;
    ut_engine *engine = reopen_engine(f);
    for (uint8_t i = 0; i < 3; i++) {
        unsigned pages = 0;
        unsigned unsynced = 0;
        unsigned roots = 0; // meta pages, which alone go through a descriptor with O_DSYNC
        put_one(engine, i);
        for (unsigned at = 0; at < library.done_count; at++) {
            const io_call *call = &library.done[at];
            assert_false(call->failed);
            if (call->directory)
                continue;
            if (call->sync) {
                unsynced = 0;
            } else if (call->durable) {
                assert_true(pages > 0);
                assert_int_equal(unsynced, 0);
                roots += 1;
            } else {
                assert_int_equal(roots, 0);
                pages += 1;
                unsynced += 1;
            }
        }
        assert_true(pages > 0);
        assert_int_equal(unsynced, 0);
        assert_int_equal(roots, 1);
    }
    ut_engine_close(engine);
}

// A process that was killed may have put a file in place whose name only the page cache knows.
static void the_first_commit_of_a_start_syncs_the_directory(void **state)
{
    fixture *f = *state;
    ut_engine *engine = reopen_engine(f);
    for (uint8_t i = 0; i < 3; i++) {
        unsigned synced = 0;
        bool written = false;
        put_one(engine, i);
        for (unsigned at = 0; at < library.done_count; at++) {
            const io_call *call = &library.done[at];
            written = written || !call->sync;
            if (call->sync && call->directory) {
                assert_false(call->failed);
                assert_false(written);
                synced += 1;
            }
        }
        assert_int_equal(synced, i == 0 ? 1 : 0);
    }
    ut_engine_close(engine);
}

#define WITH(test, up) cmocka_unit_test_setup_teardown(test, up, tear_down)
#define AT_ALL(test)   WITH(test, set_up_library), WITH(test, set_up_engine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(opening_survives_each_failing_call, set_up_library),
        AT_ALL(a_commit_survives_each_failing_call),
        AT_ALL(a_sweep_survives_each_failing_call),
        AT_ALL(a_compaction_survives_each_failing_call),
        AT_ALL(retiming_survives_each_failing_call),
        AT_ALL(setting_a_reader_survives_each_failing_call),
        WITH(queries_survive_each_failing_call, set_up_library),
        WITH(queries_survive_each_failing_call, set_up_engine),
        WITH(what_is_read_stays_when_the_new_file_does_not_get_its_name, set_up_library),
        WITH(a_commit_syncs_its_pages_before_it_names_them, set_up_library),
        WITH(the_first_commit_of_a_start_syncs_the_directory, set_up_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
