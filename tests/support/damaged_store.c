// See damaged_store.h.
#include "tests/support/damaged_store.h"

#include "storage/query/query.h"
#include "storage/upkeep/operation.h"
#include "storage/upkeep/verify.h"
#include "tests/support/filled_store.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROUND_SECONDS_MAX = 60,
    SEARCHES_MAX = 100000,
    TRACES_MAX = 1000, // that are listed; there are fewer
};

static const uint64_t far_ns = UINT64_C(4000000000) * 1000000000;

ut_err ut_damaged_store_open(const ut_damaged_store *damaged, bool read_only, ut_engine **engine,
                             ut_fault *fault)
{
    ut_engine_config config = {.dir_z = damaged->dir_z,
                               .bytes_max = read_only ? 0 : UT_DAMAGED_BUDGET,
                               .read_only = read_only};
    return ut_engine_lmdb_open(&config, engine, fault);
}

void ut_damaged_store_write(const ut_damaged_store *damaged, const uint8_t *data, size_t len)
{
    FILE *file = fopen(damaged->path_z, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static ut_err count_row(void *context, const ut_trace_row *row)
{
    (void)row;
    *(unsigned *)context += 1;
    return UT_OK;
}

static ut_err learn_span(void *context, const ut_trace_span *row)
{
    ut_damaged_store *damaged = context;
    assert_true(row->seq >= 1 && row->seq <= UT_DAMAGED_BLOCKS && row->ordinal < UT_DAMAGED_SPANS);
    ut_damaged_block *block = &damaged->blocks[row->seq - 1];
    memcpy(block->span_ids[row->ordinal], row->span.span_id.data, UT_SPAN_ID_LEN);
    if (!block->left)
        memcpy(block->trace_id, row->span.trace_id.data, UT_TRACE_ID_LEN);
    block->left = true;
    block->trace_spans += memcmp(block->trace_id, row->span.trace_id.data, UT_TRACE_ID_LEN) == 0;
    return UT_OK;
}

static void learn(ut_damaged_store *damaged, ut_engine *engine)
{
    ut_store_view *view = NULL;
    ut_filter filter = ut_filter_all();
    ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter, .blocks_max = UT_DAMAGED_BLOCKS};
    ut_query_cursor cursor = {0};
    ut_search_work work = {0};
    bool more = true;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, TRACES_MAX, count_row, &damaged->traces),
                     UT_OK);
    assert_int_equal(ut_query_spans(view, &search, &cursor, &work, &more,
                                    (ut_trace_span_visitor){learn_span, damaged}),
                     UT_OK);
    assert_false(more);
    assert_int_equal(work.spans_visited, UT_DAMAGED_BLOCKS_LEFT * UT_DAMAGED_SPANS);
    ut_store_view_close(view);
}

ut_damaged_store *ut_damaged_store_new(void)
{
    ut_damaged_store *damaged = calloc(1, sizeof *damaged);
    assert_non_null(damaged);
    damaged->answers = mmap(NULL, 2 * sizeof *damaged->answers, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(damaged->answers != MAP_FAILED);
    ut_temp_dir_make(damaged->dir_z);
    ut_temp_path(damaged->dir_z, "store.mdb", damaged->path_z);
    ut_engine *engine = NULL;
    ut_fault fault = {0};
    assert_int_equal(ut_damaged_store_open(damaged, false, &engine, &fault), UT_OK);
    ut_filled_store *filled = ut_filled_store_open(engine);
    (void)ut_filled_store_destination(filled, "central");
    for (unsigned i = 0; i < UT_DAMAGED_BLOCKS; i++)
        (void)ut_filled_store_append(filled, UT_DAMAGED_SPANS, i % 4 == 0 ? 3600000 : 0);
    ut_filled_store_sweep(filled, far_ns);
    static const uint8_t large[9 * UT_DAMAGED_PAGE] = {1};
    ut_txn *txn = NULL;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_bytes_of_z("\xff large"), (ut_bytes){large, sizeof large}),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    learn(damaged, engine);
    ut_filled_store_close(filled);
    FILE *file = fopen(damaged->path_z, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    damaged->len = (size_t)ftell(file);
    rewind(file);
    damaged->data = malloc(damaged->len);
    assert_int_equal(fread(damaged->data, 1, damaged->len, file), damaged->len);
    (void)fclose(file);
    return damaged;
}

void ut_damaged_store_free(ut_damaged_store *damaged)
{
    ut_temp_dir_remove(damaged->dir_z);
    assert_int_equal(munmap(damaged->answers, 2 * sizeof *damaged->answers), 0);
    free(damaged->data);
    free(damaged);
}

// ---- what is done with a damaged store ----

static void tell_nobody(void *context, const char *text_z)
{
    (void)text_z;
    *(unsigned *)context += 1;
}

// The spans that visitors are given.
typedef struct {
    const ut_damaged_store *damaged;
    unsigned count; // without strangers
    unsigned strangers;
    bool seen[UT_DAMAGED_BLOCKS][UT_DAMAGED_SPANS];
} sight;

static ut_err see_span(void *context, const ut_trace_span *row)
{
    sight *s = context;
    if (row->seq < 1 || row->seq > UT_DAMAGED_BLOCKS || row->ordinal >= UT_DAMAGED_SPANS ||
        !s->damaged->blocks[row->seq - 1].left ||
        memcmp(s->damaged->blocks[row->seq - 1].span_ids[row->ordinal], row->span.span_id.data,
               UT_SPAN_ID_LEN) != 0) {
        s->strangers += 1;
    } else {
        s->seen[row->seq - 1][row->ordinal] = true;
        s->count += 1;
    }
    return UT_OK;
}

static void note(ut_err err, unsigned *errors)
{
    if (err != UT_OK && err != UT_ENOTFOUND)
        *errors += 1;
}

static void read_all(ut_engine *engine, bool reverse, unsigned *errors)
{
    static const uint8_t ends[2][1] = {{0}, {0xff}};
    ut_txn *txn = NULL;
    ut_cursor *cursor = NULL;
    ut_bytes key;
    ut_bytes value;
    unsigned sum = 0;
    ut_err err = ut_engine_begin(engine, false, &txn);
    if (err == UT_OK) {
        err = ut_txn_cursor(txn, &cursor);
        if (err == UT_OK)
            err = engine->class->seek(cursor, (ut_bytes){ends[reverse], 1}, reverse, &key, &value);
        while (err == UT_OK) {
            for (size_t i = 0; i < key.len; i++)
                sum += key.data[i];
            for (size_t i = 0; i < value.len; i++)
                sum += value.data[i];
            err = engine->class->step(cursor, reverse, &key, &value);
        }
        ut_txn_abort(txn);
    }
    __asm__ volatile("" : : "r"(sum)); // the bytes are to be read
    note(err, errors);
}

static void search_all(ut_store_view *view, bool oldest_first, sight *s, unsigned *errors)
{
    ut_filter filter = ut_filter_all();
    ut_search search = {.org = UT_ORG_DEFAULT, .filter = &filter, .oldest_first = oldest_first};
    ut_query_cursor cursor = {0};
    ut_search_work work = {0};
    bool more = true;
    ut_err err = UT_OK;
    for (unsigned i = 0; more && err == UT_OK && i < SEARCHES_MAX; i++) {
        err = ut_store_view_begin(view);
        if (err == UT_OK)
            err = ut_query_spans(view, &search, &cursor, &work, &more,
                                 (ut_trace_span_visitor){see_span, s});
    }
    if (err == UT_OK && more)
        _exit(2); // without an end
    note(err, errors);
    *errors += work.blocks_damaged > 0;
}

// Asks for one trace of each block.
static void ask_for_traces(ut_store_view *view, const ut_damaged_store *damaged,
                           ut_damaged_answers *a)
{
    for (unsigned i = 0; i < UT_DAMAGED_BLOCKS; i++) {
        const ut_damaged_block *block = &damaged->blocks[i];
        sight s = {.damaged = damaged};
        uint32_t passed = 0;
        if (!block->left)
            continue;
        ut_err err = ut_store_view_begin(view);
        if (err == UT_OK)
            err = ut_query_trace(view, UT_ORG_DEFAULT, block->trace_id, &passed, see_span, &s);
        a->errors += err != UT_OK || passed > 0; // UT_ENOTFOUND too: the trace is there
        a->strangers += s.strangers;
        a->trace_whole[i] = s.count == block->trace_spans;
    }
}

static void ask(ut_engine *engine, const ut_damaged_store *damaged, ut_damaged_answers *a)
{
    ut_store_view *view = NULL;
    ut_verify_report report = {0};
    unsigned told = 0;
    if (ut_store_view_open(engine, &view) != UT_OK)
        _exit(1);
    ut_err err = ut_store_view_begin(view);
    note(err, &a->errors);
    if (err == UT_OK) {
        note(ut_query_traces(view, UT_ORG_DEFAULT, TRACES_MAX, count_row, &a->traces_listed),
             &a->errors);
        ask_for_traces(view, damaged, a);
        sight s = {.damaged = damaged};
        for (unsigned oldest = 0; oldest < 2; oldest++) {
            s.count = 0;
            search_all(view, oldest == 1, &s, &a->errors);
            a->spans[oldest] = s.count;
        }
        a->strangers += s.strangers;
        for (unsigned i = 0; i < UT_DAMAGED_BLOCKS; i++)
            a->block_whole[i] = memchr(s.seen[i], false, UT_DAMAGED_SPANS) == NULL;
        err = ut_store_view_begin(view);
        if (err == UT_OK)
            err = ut_store_verify(view, &report, tell_nobody, &told);
        note(err, &a->errors);
        a->errors += report.problems > 0;
    }
    ut_store_view_close(view);
}

static void change(ut_engine *engine, unsigned *errors)
{
    ut_store *store = NULL;
    ut_fault fault = {0};
    ut_store_config config = {.bytes_max = UT_DAMAGED_BUDGET};
    ut_err err = ut_store_open(engine, &config, &store, &fault);
    note(err, errors);
    if (err != UT_OK) {
        if (fault.text_z[0] == '\0')
            _exit(3);
        return;
    }
    ut_batch batch;
    ut_batch_init(&batch, UT_DAMAGED_BUDGET);
    for (unsigned i = 0; i < 3; i++) {
        ut_batch_reset(&batch, UT_DAMAGED_BUDGET);
        ut_realistic_batch(1000 + i, 100, 1, &batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = 3600000, .batch = &batch};
        note(ut_store_commit(store, UINT64_C(1700000000000000000), &append, 1, NULL, 0), errors);
    }
    bool more = true;
    for (unsigned i = 0; more && i < 1000; i++) {
        err = ut_store_sweep(store, far_ns, &more);
        if (err != UT_OK)
            break;
    }
    note(err, errors);
    // Every record goes, so that pages are merged.
    ut_txn *txn = NULL;
    for (unsigned i = 0; i < 200 && ut_engine_begin(engine, true, &txn) == UT_OK; i++) {
        ut_cursor *cursor = NULL;
        ut_bytes key;
        ut_bytes value;
        static const uint8_t zero[1] = {0};
        err = ut_txn_cursor(txn, &cursor);
        for (unsigned k = 0; k < 50 && err == UT_OK; k++) {
            err = ut_cursor_seek(cursor, (ut_bytes){zero, 1}, &key, &value);
            uint8_t copy[UT_ENGINE_KEY_MAX];
            if (err == UT_OK && key.len <= sizeof copy) {
                memcpy(copy, key.data, key.len);
                err = ut_txn_del(txn, (ut_bytes){copy, key.len});
            }
        }
        if (err != UT_OK) {
            ut_txn_abort(txn);
            break;
        }
        err = ut_txn_commit(txn);
    }
    note(err, errors);
    ut_operation *operation = NULL;
    if (ut_compaction_new(&operation) != UT_OK)
        _exit(1);
    more = true;
    err = UT_OK;
    while (more && err == UT_OK)
        err = ut_operation_step(operation, store, 1, &more, &fault);
    note(err, errors);
    operation->class->free(operation);
    ut_batch_free(&batch);
    ut_store_close(store);
}

// Ends with 0 when there was no error, with 7 when there were some.
static void use_all(const ut_damaged_store *damaged)
{
    unsigned errors = 0;
    memset(damaged->answers, 0, 2 * sizeof *damaged->answers);
    for (unsigned read_only = 2; read_only-- > 0;) {
        ut_engine *engine = NULL;
        ut_fault fault = {0};
        ut_err err = ut_damaged_store_open(damaged, read_only == 1, &engine, &fault);
        if (err != UT_OK) {
            if (strstr(fault.text_z, damaged->dir_z) == NULL)
                _exit(3);
            errors += 1;
            continue;
        }
        read_all(engine, false, &errors);
        read_all(engine, true, &errors);
        damaged->answers[read_only].opened = true;
        ask(engine, damaged, &damaged->answers[read_only]);
        errors += damaged->answers[read_only].errors;
        if (read_only == 1)
            ut_engine_close(engine);
        else
            change(engine, &errors);
    }
    _exit(errors > 0 ? 7 : 0);
}

int ut_damaged_store_run(const ut_damaged_store *damaged,
                         void (*job)(const ut_damaged_store *damaged))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL); // the engine takes them anew
        (void)signal(SIGBUS, SIG_DFL);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)alarm(ROUND_SECONDS_MAX);
        job(damaged);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int ut_damaged_store_use(const ut_damaged_store *damaged)
{
    return ut_damaged_store_run(damaged, use_all);
}
