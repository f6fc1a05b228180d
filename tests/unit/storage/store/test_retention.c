// Tests of retention: time, budget, the order in which blocks leave, and that a full store goes on
// working.
#include "storage/store/key.h"
#include "storage/store/block_store.h"
#include "storage/query/query.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BUDGET = 64 * 1024 * 1024, MIB = 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

typedef struct {
    ut_faults faults;
    ut_engine *engine; // inside of the wrapper
    ut_store *store;
    ut_batch batch;
    uint64_t ttl_ms;
    char dir_z[UT_TEMP_PATH_MAX];
} fixture;

static ut_store *open_store(ut_engine *engine, uint64_t budget, const ut_log *log)
{
    ut_store_config config = {.bytes_max = budget, .log = log};
    ut_store *store = NULL;
    ut_fault fault = {0};
    if (ut_store_open(engine, &config, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

static void open_memory(fixture *f, uint64_t budget)
{
    f->engine = ut_engine_memory_open(budget);
    f->store = open_store(ut_engine_faulty_wrap(f->engine, &f->faults), budget, NULL);
}

static void open_lmdb(fixture *f, uint64_t budget)
{
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = budget};
    ut_fault fault;
    if (ut_engine_lmdb_open(&config, &f->engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    f->store = open_store(f->engine, budget, NULL);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    open_memory(f, BUDGET);
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

// A directory, and no store yet.
static int set_up_dir(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    ut_batch_free(&f->batch);
    if (f->dir_z[0] != '\0')
        ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

static ut_err commit_at(fixture *f, uint64_t at_ns, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = f->ttl_ms, .batch = &f->batch};
    return ut_store_commit(f->store, at_ns, &append, 1, NULL, 0);
}

static void store_trace(fixture *f, uint32_t trace, uint32_t first, uint32_t count, uint32_t parent)
{
    ut_test_span spans[600];
    assert_true(count <= 600);
    for (uint32_t i = 0; i < count; i++)
        spans[i] = (ut_test_span){.trace = trace,
                                  .span = first + i,
                                  .parent = first + i == 1 ? 0 : parent,
                                  .start_ns = now_ns + first};
    assert_int_equal(commit_at(f, now_ns, spans, count), UT_OK);
}

static void sweep_all(fixture *f, uint64_t at_ns)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < 10000);
        assert_int_equal(ut_store_sweep(f->store, at_ns, &more), UT_OK);
    }
}

static ut_store_counts counts_of(const fixture *f)
{
    ut_store_counts counts;
    ut_store_get_counts(f->store, &counts);
    return counts;
}

// Records that are not of the store as a whole.
static unsigned count_records(ut_engine *engine)
{
    unsigned count = 0;
    ut_txn *txn;
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    static const uint8_t first[1] = {0};
    for (ut_err err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &key, &value); err == UT_OK;
         err = ut_cursor_next(cursor, &key, &value))
        count += key.data[0] != UT_KEY_META && key.data[0] != UT_KEY_DESTINATION;
    ut_txn_abort(txn);
    return count;
}

static bool has_block(ut_engine *engine, uint64_t seq)
{
    ut_store_view *view;
    ut_buf payload;
    ut_block block;
    ut_buf_init(&payload, BUDGET);
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    ut_err err = ut_store_read_block(view, UT_ORG_DEFAULT, seq, &payload, &block);
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return err == UT_OK;
}

// ---- time ----

static void blocks_leave_when_their_hour_has_come(void **state)
{
    fixture *f = *state;
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    f->ttl_ms = 2 * 3600000;
    store_trace(f, 1, 1, 10, 1);
    store_trace(f, 2, 1, 10, 1);
    f->ttl_ms = 5 * 3600000;
    store_trace(f, 2, 11, 10, 1); // the same trace, kept for longer
    uint64_t due_ns = (now_ns + 2 * hour_ns + hour_ns - 1) / hour_ns * hour_ns;
    sweep_all(f, due_ns - 1);
    assert_int_equal(ut_store_check(f->engine).blocks, 3);
    sweep_all(f, due_ns);
    ut_verify_report report = ut_store_check(f->engine);
    assert_int_equal(report.blocks, 1);
    assert_int_equal(report.traces, 1);
    assert_int_equal(report.spans, 10);
    assert_int_equal(counts_of(f).spans_expired, 20);
    assert_int_equal(counts_of(f).blocks_removed, 2);
    ut_store_destination row;
    assert_int_equal(ut_store_get_destinations(f->store, &row, 1), 1);
    assert_int_equal(row.counts.expired, 20);
    sweep_all(f, due_ns + 3 * hour_ns);
    (void)ut_store_check(f->engine);
    assert_int_equal(count_records(f->engine), 0);
}

static void without_a_time_to_live_nothing_expires(void **state)
{
    fixture *f = *state;
    store_trace(f, 1, 1, 10, 1);
    sweep_all(f, UINT64_MAX / 2);
    assert_int_equal(ut_store_check(f->engine).spans, 10);
}

// A machine without a battery begins in 1970, until the network tells the time.
static void what_came_before_the_clock_was_set_does_not_expire(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span span = {.trace = 1, .span = 1};
    assert_int_equal(commit_at(f, 60 * UINT64_C(1000000000), &span, 1), UT_OK);
    span.trace = 2;
    assert_int_equal(commit_at(f, now_ns, &span, 1), UT_OK);
    sweep_all(f, now_ns);
    assert_int_equal(ut_store_check(f->engine).spans, 2);
    sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(ut_store_check(f->engine).spans, 1);
    assert_int_equal(counts_of(f).spans_expired, 1);
}

static void a_sweep_with_nothing_to_do_writes_nothing(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    store_trace(f, 1, 1, 10, 1);
    bool more = true;
    // Of the calls that may fail none is a put or a commit: the sixth is not reached.
    f->faults.calls = 0;
    assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
    assert_false(more);
    assert_true(f->faults.calls <= 6);
}

// While requests come, no sweep is needed; and no commit does much of it.
static void commits_remove_what_has_expired_bit_by_bit(void **state)
{
    enum { BLOCKS = 40, SPANS = 100, CALLS_MAX = 4000 };
    fixture *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span spans[SPANS];
    for (uint32_t b = 0; b < BLOCKS; b++) {
        for (uint32_t i = 0; i < SPANS; i++)
            spans[i] = (ut_test_span){.trace = b * SPANS + i, .span = 1};
        assert_int_equal(commit_at(f, now_ns, spans, SPANS), UT_OK);
    }
    assert_int_equal(counts_of(f).spans_expired, 0);
    f->ttl_ms = 0;
    spans[0] = (ut_test_span){.trace = BLOCKS * SPANS, .span = 1};
    unsigned commits = 0;
    for (; counts_of(f).spans_expired < BLOCKS * SPANS; commits++) {
        assert_true(commits < 10 * BLOCKS);
        spans[0].span += 1;
        f->faults.calls = 0;
        assert_int_equal(commit_at(f, now_ns + 3 * hour_ns, spans, 1), UT_OK);
        assert_true(f->faults.calls < CALLS_MAX);
        (void)ut_store_check(f->engine);
    }
    assert_true(commits > BLOCKS / 2); // in many steps
    assert_int_equal(counts_of(f).spans_evicted, 0);
}

// Within its first hour what is due leaves with few commits: the others are not slower for it.
static void what_has_just_become_due_leaves_with_few_commits(void **state)
{
    enum { BLOCKS = 20, SPANS = 100, COMMITS = 700, PERCENT_MAX = 1 };
    fixture *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span spans[SPANS];
    for (uint32_t b = 0; b < BLOCKS; b++) {
        for (uint32_t i = 0; i < SPANS; i++)
            spans[i] = (ut_test_span){.trace = b * SPANS + i, .span = 1};
        assert_int_equal(commit_at(f, now_ns, spans, SPANS), UT_OK);
    }
    f->ttl_ms = 0;
    spans[0] = (ut_test_span){.trace = BLOCKS * SPANS, .span = 1};
    const uint64_t due_ns = (now_ns / hour_ns + 2) * hour_ns; // rounded up
    unsigned riding = 0;
    for (unsigned i = 0; i < COMMITS; i++) {
        const uint64_t before = counts_of(f).spans_expired;
        spans[0].span += 1;
        assert_int_equal(commit_at(f, due_ns, spans, 1), UT_OK);
        riding += counts_of(f).spans_expired > before;
    }
    assert_in_range(riding, 2, COMMITS * PERCENT_MAX / 100);
    (void)ut_store_check(f->engine);
    // An hour later it is in a hurry.
    for (unsigned i = 0; i < 10 * BLOCKS; i++) {
        spans[0].span += 1;
        assert_int_equal(commit_at(f, due_ns + hour_ns, spans, 1), UT_OK);
    }
    assert_int_equal(counts_of(f).spans_expired, BLOCKS * SPANS);
}

static void a_sweep_is_bounded_and_says_when_there_is_more(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    enum { BLOCKS = 12 };
    for (uint32_t b = 0; b < BLOCKS; b++) {
        ut_test_span spans[500];
        for (uint32_t i = 0; i < 500; i++)
            spans[i] = (ut_test_span){.trace = b * 500 + i, .span = 1, .start_ns = now_ns + i};
        assert_int_equal(commit_at(f, now_ns, spans, 500), UT_OK);
    }
    unsigned calls = 0;
    bool more = true;
    while (more) {
        assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_OK);
        (void)ut_store_check(f->engine); // whole in between, with a block on its way out
        calls += 1;
    }
    assert_true(calls >= 5);
    assert_int_equal(counts_of(f).spans_expired, BLOCKS * 500);
    assert_int_equal(counts_of(f).blocks_removed, BLOCKS);
    assert_int_equal(count_records(f->engine), 0);
}

static void reopen(fixture *f, uint64_t budget)
{
    ut_engine *copy = ut_engine_memory_clone(f->engine);
    ut_store_close(f->store);
    f->engine = copy;
    f->store = open_store(ut_engine_faulty_wrap(copy, &f->faults), budget, NULL);
}

static void a_removal_goes_on_after_a_restart(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    for (uint32_t b = 0; b < 6; b++) {
        ut_test_span spans[500];
        for (uint32_t i = 0; i < 500; i++)
            spans[i] = (ut_test_span){.trace = b * 500 + i, .span = 1};
        assert_int_equal(commit_at(f, now_ns, spans, 500), UT_OK);
    }
    unsigned leaving = 0;
    for (unsigned i = 0; count_records(f->engine) > 0; i++) {
        bool more;
        assert_true(i < 100);
        assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_OK);
        leaving += (unsigned)ut_store_check(f->engine).leaving;
        reopen(f, BUDGET);
    }
    assert_true(leaving > 0);
    assert_int_equal(counts_of(f).spans_expired, 3000);
    assert_int_equal(counts_of(f).blocks_removed, 6);
}

static void an_expiry_that_failed_is_not_an_eviction(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    ut_test_span spans[500];
    for (uint32_t i = 0; i < 500; i++)
        spans[i] = (ut_test_span){.trace = i, .span = 1};
    for (uint32_t b = 0; b < 5; b++) { // more than one sweep removes
        assert_int_equal(commit_at(f, now_ns, spans, 500), UT_OK);
        for (uint32_t i = 0; i < 500; i++)
            spans[i].trace += 500;
    }
    // The last call of a sweep that may fail is its commit.
    bool more;
    f->faults = (ut_faults){0};
    ut_engine *copy = ut_engine_memory_clone(f->engine);
    assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_OK);
    assert_true(more);
    uint64_t calls = f->faults.calls;
    ut_store_close(f->store);
    f->engine = copy;
    f->faults = (ut_faults){0};
    f->store = open_store(ut_engine_faulty_wrap(copy, &f->faults), BUDGET, NULL);
    f->faults = (ut_faults){.fail_at = calls, .err = UT_EIO};
    assert_int_equal(ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more), UT_EIO);
    f->faults.fail_at = 0;
    sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(counts_of(f).spans_expired, 2500);
    assert_int_equal(counts_of(f).spans_evicted, 0);
}

static void entries_of_many_parts_leave_whole(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    store_trace(f, 1, 1, 500, 1); // in values of 1000 bytes
    f->ttl_ms = 3 * 3600000;
    store_trace(f, 1, 501, 500, 1);
    sweep_all(f, now_ns + 2 * hour_ns);
    assert_int_equal(ut_store_check(f->engine).spans, 500);
    sweep_all(f, now_ns + 4 * hour_ns);
    assert_int_equal(count_records(f->engine), 0);
}

// ---- root records ----

typedef struct {
    unsigned rows;
    bool has_root;
    char name_z[64];
    uint32_t span_count;
} listing;

static ut_err list_row(void *context, const ut_trace_row *row)
{
    listing *l = context;
    l->rows += 1;
    l->has_root = row->has_root;
    l->span_count = row->span_count;
    (void)snprintf(l->name_z, sizeof l->name_z, "%.*s", (int)row->name.len,
                   (const char *)row->name.data);
    return UT_OK;
}

static listing list(ut_engine *engine)
{
    listing l = {0};
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_query_traces(view, UT_ORG_DEFAULT, 100, list_row, &l), UT_OK);
    ut_store_view_close(view);
    return l;
}

static void a_trace_stays_listed_until_its_last_block_leaves(void **state)
{
    fixture *f = *state;
    // The block of the root leaves first, then the one in the middle, then the last.
    static const uint64_t ttl_hours[3] = {1, 2, 3};
    for (uint32_t i = 0; i < 3; i++) {
        f->ttl_ms = ttl_hours[i] * 3600000;
        store_trace(f, 7, i * 10 + 1, 10, 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        listing l = list(f->engine);
        assert_int_equal(l.rows, 1);
        assert_true(l.has_root);
        assert_int_equal(l.span_count, 30 - i * 10);
        sweep_all(f, now_ns + (ttl_hours[i] + 1) * hour_ns);
        (void)ut_store_check(f->engine);
    }
    assert_int_equal(list(f->engine).rows, 0);
    assert_int_equal(count_records(f->engine), 0);
}

static void the_last_block_may_leave_first(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 0; i < 3; i++) {
        f->ttl_ms = (3 - i) * 3600000;
        store_trace(f, 7, i * 10 + 2, 10, 1); // no root: a stand-in
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(list(f->engine).rows, 1);
        sweep_all(f, now_ns + (i + 2) * hour_ns);
        (void)ut_store_check(f->engine);
    }
    assert_int_equal(count_records(f->engine), 0);
}

static void a_root_that_comes_after_the_first_block_left_is_taken(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    store_trace(f, 7, 2, 5, 1);
    f->ttl_ms = 9 * 3600000;
    store_trace(f, 7, 20, 5, 1);
    sweep_all(f, now_ns + 2 * hour_ns);
    store_trace(f, 7, 1, 1, 1);
    listing l = list(f->engine);
    assert_int_equal(l.rows, 1);
    assert_true(l.has_root);
    (void)ut_store_check(f->engine);
}

// A store with rules for two statuses: one hour for errors, for ever for what is ok; two hours for
// the rest.
static void open_ruled(fixture *f, ut_rules *rules)
{
    static const char *const values_z[] = {"error", "ok"};
    *rules = (ut_rules){.count = 2};
    rules->items[0].ttl_ms = 3600000;
    for (uint32_t i = 0; i < 2; i++) {
        rules->items[i].condition_count = 1;
        assert_int_equal(ut_rule_condition_set(&rules->items[i].conditions[0],
                                               UT_BYTES_LIT("status"), ut_bytes_of_z(values_z[i])),
                         UT_OK);
    }
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(BUDGET);
    const ut_store_config config = {.bytes_max = BUDGET, .ttl_ms = 2 * 3600000, .rules = rules};
    ut_fault fault = {0};
    assert_int_equal(ut_store_open(f->engine, &config, &f->store, &fault), UT_OK);
}

static void spans_of_one_commit_leave_each_at_the_hour_of_its_rule(void **state)
{
    fixture *f = *state;
    ut_rules *rules = malloc(sizeof *rules);
    assert_non_null(rules);
    open_ruled(f, rules);
    ut_test_span spans[12];
    for (uint32_t i = 0; i < 12; i++)
        spans[i] = (ut_test_span){.trace = i % 2, .span = i + 1, .status = (int32_t)(i % 3)};
    spans[11] = spans[0]; // a duplicate within the request counts once
    ut_test_batch(&f->batch, spans, 12);
    ut_batch second;
    ut_batch third;
    ut_batch_init(&second, BUDGET);
    ut_batch_init(&third, BUDGET);
    ut_test_span one = {.trace = 9, .span = 1, .status = UT_STATUS_ERROR};
    ut_test_batch(&second, &one, 1);
    one.trace = 8;
    ut_test_batch(&third, &one, 1);
    ut_store_append appends[3] = {
        {.org = UT_ORG_DEFAULT, .batch = &f->batch},
        {.org = UT_ORG_DEFAULT, .ttl_ms = UT_STORE_TTL_NONE, .batch = &second},
        {.org = UT_ORG_DEFAULT, .ttl_ms = 2 * 3600000, .batch = &third},
    };
    const uint64_t at_ns = now_ns / hour_ns * hour_ns;
    assert_int_equal(ut_store_commit(f->store, at_ns, appends, 3, NULL, 0), UT_OK);
    assert_int_equal(appends[0].stored, 11);
    assert_int_equal(appends[0].duplicates, 1);
    assert_int_equal(counts_of(f).blocks_stored, 3); // one for each hour, and one for none
    (void)ut_store_check(f->engine);
    // 4 unset, 4 ok and 3 errors; one of each request with a time of its own.
    static const uint64_t gone[4] = {0, 3, 3 + 4 + 1, 3 + 4 + 1};
    for (uint64_t hours = 0; hours < 4; hours++) {
        sweep_all(f, at_ns + hours * hour_ns);
        assert_int_equal(counts_of(f).spans_expired, gone[hours]);
        (void)ut_store_check(f->engine);
    }
    ut_batch_free(&second);
    ut_batch_free(&third);
    ut_store_close(f->store);
    f->store = NULL;
    free(rules);
}

// Ids of 64 bits have zeros in front, so that all traces begin alike.
static void ids_that_begin_alike_are_removed_one_by_one(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 0; i < 6; i++) {
        ut_test_span spans[3] = {{.trace = i, .span = 1},
                                 {.trace = i, .span = 2, .parent = 1},
                                 {.trace = 100, .span = i + 1}};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, spans, 3);
        ut_batch_span *index = (ut_batch_span *)(void *)f->batch.span_index.data;
        for (uint32_t k = 0; k < 2; k++) {
            memset(index[k].trace_id, 0xab, UT_TRACE_ID_LEN);
            index[k].trace_id[UT_TRACE_ID_LEN - 1] = (uint8_t)(i / 2); // two blocks each
        }
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = ((i + 2) % 3 + 1) * 3600000, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, 3);
    }
    assert_int_equal(list(f->engine).rows, 4);
    static const uint64_t blocks[4] = {6, 4, 2, 0};
    for (uint64_t hours = 0; hours < 4; hours++) {
        sweep_all(f, now_ns + (hours == 0 ? 0 : hours + 1) * hour_ns);
        // The ids in the blocks are not those in the index, so that the recount does not do here.
        assert_int_equal(counts_of(f).blocks_removed, 6 - blocks[hours]);
    }
    assert_int_equal(count_records(f->engine), 0);
}

static void removing_a_trace_costs_the_same_beside_many_that_begin_alike(void **state)
{
    enum { TRACES = 500, CALLS_A_TRACE_MAX = 12 };
    fixture *f = *state;
    for (uint32_t b = 0; b < 3; b++) {
        ut_test_span spans[TRACES];
        for (uint32_t i = 0; i < TRACES; i++)
            spans[i] = (ut_test_span){.trace = b * TRACES + i, .span = 1};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, spans, TRACES);
        ut_batch_span *index = (ut_batch_span *)(void *)f->batch.span_index.data;
        for (uint32_t i = 0; i < TRACES; i++) {
            memset(index[i].trace_id, 0, UT_TRACE_ID_LEN);
            ut_put_be32(index[i].trace_id + UT_TRACE_ID_LEN - 4, b * TRACES + i + 1);
        }
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = b == 2 ? 3600000 : 0, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, TRACES);
    }
    f->faults.calls = 0;
    sweep_all(f, now_ns + 3 * hour_ns);
    assert_int_equal(counts_of(f).spans_expired, TRACES);
    assert_true(f->faults.calls <= TRACES * CALLS_A_TRACE_MAX);
}

// ---- budget ----

static void delivered_blocks_leave_before_the_others(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    open_memory(f, 300 * 1024);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_test_span span = {.span = 1, .filler = 10000};
    for (span.trace = 1; span.trace <= 10; span.trace++)
        assert_int_equal(commit_at(f, now_ns, &span, 1), UT_OK);
    ut_delivery marks[3];
    static const uint64_t seqs[3] = {3, 5, 8};
    for (unsigned i = 0; i < 3; i++)
        marks[i] = (ut_delivery){
            .org = UT_ORG_DEFAULT, .dest = dest, .seq = seqs[i], .state = UT_DELIVERY_DELIVERED};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, marks, 3), UT_OK);
    unsigned steps = 0;
    while (counts_of(f).blocks_removed < 3) {
        assert_int_equal(commit_at(f, now_ns, &span, 1), UT_OK);
        span.trace += 1;
        assert_true(steps++ < 100);
    }
    assert_int_equal(counts_of(f).blocks_removed, 3);
    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_int_equal(has_block(f->engine, seq), seq != 3 && seq != 5 && seq != 8);
    ut_store_destination row;
    (void)ut_store_get_destinations(f->store, &row, 1);
    assert_int_equal(row.counts.evicted, 0);
    // None is left that was delivered: the oldest goes.
    while (counts_of(f).blocks_removed < 4) {
        assert_int_equal(commit_at(f, now_ns, &span, 1), UT_OK);
        span.trace += 1;
    }
    assert_false(has_block(f->engine, 1));
    assert_true(has_block(f->engine, 2));
    (void)ut_store_get_destinations(f->store, &row, 1);
    assert_int_equal(row.counts.evicted, 1);
    (void)ut_store_check(f->engine);
}

typedef struct {
    unsigned lines;
    char last_z[UT_LOG_LINE_MAX];
} log_lines;

static void take_line(void *context, ut_log_level level, const char *line, size_t len)
{
    log_lines *lines = context;
    (void)level;
    lines->lines += 1;
    (void)snprintf(lines->last_z, sizeof lines->last_z, "%.*s", (int)len, line);
}

static void open_limited(fixture *f, uint64_t budget, uint64_t spans_max, bool evict_oldest)
{
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(budget);
    const ut_store_config config = {
        .bytes_max = budget, .spans_max = spans_max, .evict_oldest = evict_oldest};
    ut_fault fault = {0};
    assert_int_equal(
        ut_store_open(ut_engine_faulty_wrap(f->engine, &f->faults), &config, &f->store, &fault),
        UT_OK);
}

static void told_so_the_oldest_leaves_delivered_or_not(void **state)
{
    fixture *f = *state;
    open_limited(f, 300 * 1024, 0, true);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_test_span span = {.span = 1, .filler = 10000};
    for (span.trace = 1; span.trace <= 10; span.trace++)
        assert_int_equal(commit_at(f, now_ns, &span, 1), UT_OK);
    const ut_delivery mark = {
        .org = UT_ORG_DEFAULT, .dest = dest, .seq = 3, .state = UT_DELIVERY_DELIVERED};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1), UT_OK);
    for (unsigned steps = 0; counts_of(f).blocks_removed < 2; steps++) {
        assert_int_equal(commit_at(f, now_ns, &span, 1), UT_OK);
        span.trace += 1;
        assert_true(steps < 100);
    }
    const uint64_t removed = counts_of(f).blocks_removed;
    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_int_equal(has_block(f->engine, seq), seq > removed);
    (void)ut_store_check(f->engine);
}

static uint64_t spans_in(const fixture *f)
{
    const ut_store_counts counts = counts_of(f);
    return counts.spans_stored - counts.spans_expired - counts.spans_evicted;
}

static void a_ring_of_spans_keeps_the_newest_and_no_more(void **state)
{
    enum { RING = 100, BLOCK = RING / 16, COMMITS = 200 };
    fixture *f = *state;
    open_limited(f, BUDGET, RING, false);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_random random = {7};
    uint32_t trace = 1;
    for (unsigned i = 0; i < COMMITS; i++) {
        const uint32_t count = 1 + ut_random_below(&random, 40);
        store_trace(f, trace++, 1, count, 1);
        assert_true(spans_in(f) <= RING);
        // What was delivered does not leave before what is older.
        const ut_delivery mark = {.org = UT_ORG_DEFAULT,
                                  .dest = dest,
                                  .seq = ut_store_last_seq(f->store),
                                  .state = UT_DELIVERY_DELIVERED};
        if (i % 3 == 0)
            assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1), UT_OK);
        if (counts_of(f).spans_evicted > 0)
            assert_true(spans_in(f) > RING - BLOCK);
        if (i % 20 == 0)
            assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
    }
    const uint64_t last = ut_store_last_seq(f->store);
    const uint64_t blocks = counts_of(f).blocks_stored - counts_of(f).blocks_removed;
    for (uint64_t seq = 1; seq <= last; seq++)
        assert_int_equal(has_block(f->engine, seq), seq > last - blocks);
    // A commit that is larger than the ring leaves its newest spans.
    store_trace(f, trace, 1, 500, 1);
    sweep_all(f, now_ns);
    assert_in_range(spans_in(f), RING - BLOCK + 1, RING);
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

static void a_ring_that_was_made_smaller_is_reached_by_sweeping(void **state)
{
    fixture *f = *state;
    open_lmdb(f, 16 * MIB);
    for (uint32_t trace = 1; trace <= 30; trace++)
        store_trace(f, trace, 1, 400, 1);
    ut_store_close(f->store);
    f->store = NULL;
    ut_engine_config engine = {.dir_z = f->dir_z, .bytes_max = 16 * MIB};
    ut_fault fault = {0};
    assert_int_equal(ut_engine_lmdb_open(&engine, &f->engine, &fault), UT_OK);
    const ut_store_config config = {.bytes_max = 16 * MIB, .spans_max = 1000};
    assert_int_equal(ut_store_open(f->engine, &config, &f->store, &fault), UT_OK);
    sweep_all(f, now_ns);
    assert_in_range(spans_in(f), 500, 1000);
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

// Spans that each are a trace of their own: removing one costs the most.
static void commit_traces(fixture *f, uint32_t *next, uint32_t count)
{
    ut_test_span *spans = calloc(count, sizeof *spans);
    for (uint32_t i = 0; i < count; i++)
        spans[i] = (ut_test_span){.trace = (*next)++, .span = 1, .start_ns = now_ns};
    assert_int_equal(commit_at(f, now_ns, spans, count), UT_OK);
    free(spans);
}

static void reopen_as_ring(fixture *f, uint64_t spans_max)
{
    ut_store_close(f->store);
    f->store = NULL;
    ut_engine_config engine = {.dir_z = f->dir_z, .bytes_max = 64 * MIB};
    ut_fault fault = {0};
    assert_int_equal(ut_engine_lmdb_open(&engine, &f->engine, &fault), UT_OK);
    const ut_store_config config = {.bytes_max = 64 * MIB, .spans_max = spans_max};
    assert_int_equal(ut_store_open(f->engine, &config, &f->store, &fault), UT_OK);
}

static void no_commit_waits_for_a_ring_that_was_made_smaller(void **state)
{
    enum { RING = 1000, BEFORE = 20000, AT_ONCE = 2048, LATER = 40 };
    fixture *f = *state;
    uint32_t next = 1;
    open_lmdb(f, 64 * MIB);
    while (next <= BEFORE)
        commit_traces(f, &next, 500);
    reopen_as_ring(f, RING);
    for (unsigned i = 0; spans_in(f) > RING; i++) {
        assert_true(i < LATER);
        const uint64_t before = counts_of(f).spans_evicted;
        commit_traces(f, &next, 1);
        assert_in_range(counts_of(f).spans_evicted - before, 1, AT_ONCE);
    }
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

static void a_ring_keeps_up_with_commits_larger_than_itself(void **state)
{
    enum { RING = 1000, COMMITS = 20 };
    fixture *f = *state;
    uint32_t next = 1;
    reopen_as_ring(f, RING);
    for (unsigned i = 0; i < COMMITS; i++) {
        commit_traces(f, &next, i % 2 == 0 ? 3000 : 10);
        assert_in_range(spans_in(f), RING * 15 / 16, RING);
    }
    assert_int_equal(ut_store_check(f->engine).spans, spans_in(f));
}

static void what_is_lost_to_the_budget_is_told_now_and_then(void **state)
{
    fixture *f = *state;
    log_lines lines = {0};
    ut_log log = {.level = UT_LOG_DEBUG, .write = take_line, .context = &lines};
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(300 * 1024);
    f->store = open_store(ut_engine_faulty_wrap(f->engine, &f->faults), 300 * 1024, &log);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_test_span span = {.trace = 1, .span = 1, .filler = 10000};
    for (; span.trace < 200; span.trace++)
        assert_int_equal(commit_at(f, now_ns + span.trace * UINT64_C(1000000000), &span, 1), UT_OK);
    assert_true(counts_of(f).spans_evicted > 150);
    assert_true(lines.lines >= 3 && lines.lines <= 5); // 200 s, at most one a minute
    assert_non_null(strstr(lines.last_z, "before they were delivered"));
}

static void what_can_never_fit_is_refused_and_evicts_nothing(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    open_memory(f, 300 * 1024);
    store_trace(f, 1, 1, 10, 1);
    ut_test_span large = {.trace = 2, .span = 1, .filler = 400000};
    assert_int_equal(commit_at(f, now_ns, &large, 1), UT_ELIMIT);
    assert_int_equal(counts_of(f).spans_evicted, 0);
    assert_int_equal(ut_store_check(f->engine).spans, 10);
    store_trace(f, 3, 1, 10, 1);
}

static void damaged_blocks_are_removed_all_the_same(void **state)
{
    fixture *f = *state;
    f->ttl_ms = 3600000;
    store_trace(f, 1, 1, 10, 1);
    store_trace(f, 2, 1, 10, 1);
    store_trace(f, 3, 1, 10, 1);
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    ut_key key = ut_key_piece(UT_ORG_DEFAULT, 1, UT_BLOCK_STORE_SEALED_FROM);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("junk")), UT_OK);
    key = ut_key_piece(UT_ORG_DEFAULT, 2, 0);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("junk")), UT_OK);
    key = ut_key_summary(UT_ORG_DEFAULT, 3);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("junk")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    sweep_all(f, now_ns + 3 * hour_ns);
    // Of block 2 the entry of the trace and its root record stay behind, because nothing says which
    // they are.
    assert_int_equal(count_records(f->engine), 2);
    assert_int_equal(counts_of(f).blocks_removed, 3);
    assert_int_equal(counts_of(f).spans_expired, 20);
}

static void every_failing_call_of_a_sweep_leaves_the_store_as_it_was(void **state)
{
    fixture *f = *state;
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    f->ttl_ms = 3600000;
    store_trace(f, 1, 1, 40, 1);
    f->ttl_ms = 9 * 3600000;
    store_trace(f, 1, 50, 5, 1);
    uint8_t *before;
    size_t before_len;
    ut_engine_dump(f->engine, &before, &before_len);
    ut_err err = UT_EIO;
    uint64_t n;
    for (n = 1; err != UT_OK; n++) {
        bool more;
        ut_store_counts counts = counts_of(f);
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        err = ut_store_sweep(f->store, now_ns + 3 * hour_ns, &more);
        f->faults.fail_at = 0;
        if (err == UT_OK)
            break;
        assert_false(more);
        uint8_t *after;
        size_t after_len;
        ut_engine_dump(f->engine, &after, &after_len);
        assert_int_equal(after_len, before_len);
        assert_memory_equal(after, before, before_len);
        free(after);
        ut_store_counts now = counts_of(f);
        assert_memory_equal(&now, &counts, sizeof now);
        assert_true(n < 1000);
    }
    assert_true(n > 20);
    free(before);
    assert_int_equal(ut_store_check(f->engine).spans, 5);
}

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Fills a store over and over with requests of all sizes, delivers some of it, and looks that it
// never stops.
static void turn_over(fixture *f, uint64_t budget, uint32_t request_spans_max)
{
    open_lmdb(f, budget);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    ut_random random = {budget};
    uint64_t bytes = 0;
    uint64_t seed = 1;
    double first_turn = 0;
    double last_turn = 0;
    double turn_start = cpu_seconds();
    for (unsigned turn = 0; turn < 10;) {
        uint32_t spans =
            1 + ut_random_below(&random, ut_random_below(&random, 4) == 0 ? request_spans_max : 60);
        ut_batch_reset(&f->batch, SIZE_MAX);
        seed += 1;
        ut_realistic_batch(seed, spans, now_ns + seed * 1000000, &f->batch);
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = UINT64_C(86400000), .batch = &f->batch};
        ut_delivery marks[4];
        uint64_t last = ut_store_last_seq(f->store);
        size_t mark_count = last > 20 ? 4 : 0;
        for (size_t i = 0; i < mark_count; i++)
            marks[i] = (ut_delivery){.org = UT_ORG_DEFAULT,
                                     .dest = dest,
                                     .seq = last - ut_random_below(&random, 20),
                                     .state = UT_DELIVERY_DELIVERED,
                                     .updated_ns = now_ns};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, marks, mark_count), UT_OK);
        assert_int_equal(append.stored, spans);
        bytes += 110 * (uint64_t)spans;
        if (ut_random_below(&random, 50) == 0) {
            bool more;
            assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
        }
        if (bytes > budget) {
            bytes = 0;
            double took = cpu_seconds() - turn_start;
            if (turn == 2) // full since the first
                first_turn = took;
            last_turn = took;
            turn += 1;
            ut_verify_report report = ut_store_check(f->engine);
            assert_true(report.spans * 110 > budget / 6);
            turn_start = cpu_seconds();
        }
    }
    char path_z[UT_TEMP_PATH_MAX];
    struct stat status;
    ut_temp_path(f->dir_z, "store.mdb", path_z);
    assert_int_equal(stat(path_z, &status), 0);
    assert_true((uint64_t)status.st_size <= budget);
    assert_true(last_turn < 4 * first_turn + 0.5); // does not collapse
    assert_true(counts_of(f).blocks_removed > 0);
}

static void a_store_of_4_mib_turns_over_ten_times(void **state)
{
    turn_over(*state, 4 * MIB, 1000);
}

static void a_store_of_16_mib_turns_over_ten_times(void **state)
{
    turn_over(*state, 16 * MIB, 4000);
}

static void a_reader_that_stays_fills_the_store_and_its_end_frees_it(void **state)
{
    fixture *f = *state;
    open_lmdb(f, 4 * MIB);
    uint64_t seed = 1;
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 3000 && err == UT_OK; i++) {
        if (i == 200)
            assert_int_equal(ut_store_view_begin(view), UT_OK);
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(seed++, 100, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
    }
    assert_int_equal(err, UT_EFULL);
    uint64_t held = ut_store_check(f->engine).spans;
    assert_true(held > 1000); // it was not emptied in vain
    ut_store_view_close(view);
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(seed++, 100, now_ns, &f->batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    (void)ut_store_check(f->engine);
}

// Another process that begins to read and then stands still. *end: closing it ends the process.
static pid_t read_elsewhere(const fixture *f, int *end)
{
    int ready[2];
    int ends[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ut_engine_config config = {.dir_z = f->dir_z, .read_only = true};
        ut_engine *engine = NULL;
        ut_txn *txn = NULL;
        ut_fault fault;
        char byte = 0;
        (void)close(ends[1]);
        if (ut_engine_lmdb_open(&config, &engine, &fault) != UT_OK ||
            ut_engine_begin(engine, false, &txn) != UT_OK || write(ready[1], &byte, 1) != 1)
            _exit(1);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    char byte;
    (void)close(ready[1]);
    (void)close(ends[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    *end = ends[1];
    return pid;
}

static void a_process_that_holds_a_full_store_is_named(void **state)
{
    fixture *f = *state;
    log_lines lines = {0};
    ut_log log = {.level = UT_LOG_WARN, .write = take_line, .context = &lines};
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = 4 * MIB};
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &f->engine, &fault), UT_OK);
    f->store = open_store(f->engine, 4 * MIB, &log);
    uint64_t seed = 1;
    pid_t pid = 0;
    int end = -1;
    ut_err err = UT_OK;
    for (unsigned i = 0; i < 3000 && err == UT_OK; i++) {
        if (i == 200)
            pid = read_elsewhere(f, &end);
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(seed++, 100, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
    }
    assert_int_equal(err, UT_EFULL);
    char name_z[40];
    (void)snprintf(name_z, sizeof name_z, "process %ld ", (long)pid);
    assert_non_null(strstr(lines.last_z, name_z));
    unsigned told = lines.lines;
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_EFULL);
    assert_int_equal(lines.lines, told); // once
    (void)close(end);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// There is always a reader, as old as a few commits: after a while the store keeps room for what it
// holds.
static void readers_that_come_and_go_do_not_fill_the_store(void **state)
{
    fixture *f = *state;
    open_lmdb(f, 8 * MIB);
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    unsigned refused = 0;
    for (unsigned i = 0; i < 1500; i++) {
        if (i % 3 == 0)
            assert_int_equal(ut_store_view_begin(view), UT_OK);
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(i + 1, 200, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        ut_err err = ut_store_commit(f->store, now_ns + i, &append, 1, NULL, 0);
        assert_true(err == UT_OK || err == UT_EFULL);
        refused += err == UT_EFULL;
        if (i == 500) // full, and used to it
            refused = 0;
    }
    assert_int_equal(refused, 0);
    ut_store_view_close(view);
    assert_true(counts_of(f).blocks_removed > 300);
}

static void a_budget_that_was_lowered_is_reached_by_sweeping(void **state)
{
    fixture *f = *state;
    open_lmdb(f, 16 * MIB);
    uint64_t seed = 1;
    for (unsigned i = 0; i < 250; i++) {
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_realistic_batch(seed++, 400, now_ns, &f->batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    }
    ut_store_close(f->store);
    open_lmdb(f, 5 * MIB);
    sweep_all(f, now_ns);
    ut_engine_room room;
    assert_int_equal(ut_engine_get_room(f->engine, &room), UT_OK);
    assert_true(room.bytes_used < 5 * MIB);
    assert_true(ut_store_check(f->engine).spans > 5000);
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(seed++, 400, now_ns, &f->batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define WITH_DIR(name) cmocka_unit_test_setup_teardown(name, set_up_dir, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_leave_when_their_hour_has_come),
        TEST(without_a_time_to_live_nothing_expires),
        TEST(what_came_before_the_clock_was_set_does_not_expire),
        TEST(a_sweep_with_nothing_to_do_writes_nothing),
        TEST(commits_remove_what_has_expired_bit_by_bit),
        TEST(what_has_just_become_due_leaves_with_few_commits),
        TEST(a_sweep_is_bounded_and_says_when_there_is_more),
        TEST(a_removal_goes_on_after_a_restart),
        TEST(an_expiry_that_failed_is_not_an_eviction),
        TEST(entries_of_many_parts_leave_whole),
        TEST(a_trace_stays_listed_until_its_last_block_leaves),
        TEST(the_last_block_may_leave_first),
        TEST(a_root_that_comes_after_the_first_block_left_is_taken),
        TEST(spans_of_one_commit_leave_each_at_the_hour_of_its_rule),
        TEST(ids_that_begin_alike_are_removed_one_by_one),
        TEST(removing_a_trace_costs_the_same_beside_many_that_begin_alike),
        TEST(delivered_blocks_leave_before_the_others),
        TEST(told_so_the_oldest_leaves_delivered_or_not),
        TEST(a_ring_of_spans_keeps_the_newest_and_no_more),
        WITH_DIR(a_ring_that_was_made_smaller_is_reached_by_sweeping),
        WITH_DIR(no_commit_waits_for_a_ring_that_was_made_smaller),
        WITH_DIR(a_ring_keeps_up_with_commits_larger_than_itself),
        TEST(what_is_lost_to_the_budget_is_told_now_and_then),
        TEST(what_can_never_fit_is_refused_and_evicts_nothing),
        TEST(damaged_blocks_are_removed_all_the_same),
        TEST(every_failing_call_of_a_sweep_leaves_the_store_as_it_was),
        WITH_DIR(a_store_of_4_mib_turns_over_ten_times),
        WITH_DIR(a_store_of_16_mib_turns_over_ten_times),
        WITH_DIR(a_reader_that_stays_fills_the_store_and_its_end_frees_it),
        WITH_DIR(a_process_that_holds_a_full_store_is_named),
        WITH_DIR(readers_that_come_and_go_do_not_fill_the_store),
        WITH_DIR(a_budget_that_was_lowered_is_reached_by_sweeping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
