// Tests of storage/store/store, with the parts that a commit goes through: opening, blocks,
// duplicates, what an error leaves.
#include "storage/store/key.h"
#include "storage/query/query.h"
#include "storage/store/record.h"
#include "storage/store/store_view.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_faults faults;
    ut_engine *memory; // inside of the wrapper
    ut_store *store;
    ut_batch batch;
    char dir_z[UT_TEMP_PATH_MAX];
} fixture;

static ut_store *open_with(ut_engine *engine, uint64_t ttl_ms)
{
    ut_store_config config = {.bytes_max = BUDGET, .ttl_ms = ttl_ms};
    ut_store *store = NULL;
    ut_fault fault = {0};
    if (ut_store_open(engine, &config, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->memory = ut_engine_memory_open(BUDGET);
    f->store = open_with(ut_engine_faulty_wrap(f->memory, &f->faults), 0);
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

static int set_up_lmdb(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_temp_dir_make(f->dir_z);
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = BUDGET};
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &f->memory, &fault), UT_OK);
    f->store = open_with(ut_engine_faulty_wrap(f->memory, &f->faults), 0);
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

// ---- helpers ----

static ut_store_append commit_batch(ut_store *store, const ut_batch *batch)
{
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = batch};
    assert_int_equal(ut_store_commit(store, now_ns, &append, 1, NULL, 0), UT_OK);
    return append;
}

static ut_store_append commit_spans(fixture *f, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    return commit_batch(f->store, &f->batch);
}

static ut_store_counts counts_of(const ut_store *store)
{
    ut_store_counts counts;
    ut_store_get_counts(store, &counts);
    return counts;
}

// Reads all blocks of an organisation in order and holds their spans against a batch.
static void assert_stored(ut_store *store, uint32_t org, const ut_batch *batch)
{
    ut_store_view *view;
    ut_buf payload;
    uint32_t at = 0;
    ut_buf_init(&payload, BUDGET);
    assert_int_equal(ut_store_view_open(ut_store_engine(store), &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    for (uint64_t seq = 1; seq <= ut_store_last_seq(store); seq++) {
        ut_block block;
        ut_err err = ut_store_read_block(view, org, seq, &payload, &block);
        if (err == UT_ENOTFOUND)
            continue;
        assert_int_equal(err, UT_OK);
        ut_block_cursor cursor;
        bool more = true;
        ut_block_walk(&block, &cursor);
        for (;;) {
            assert_int_equal(ut_block_next_group(&cursor, &more), UT_OK);
            if (!more)
                break;
            ut_scope scope;
            ut_resource resource;
            uint32_t resource_index;
            assert_int_equal(ut_block_scope(&block, cursor.scope_index, &scope, &resource_index),
                             UT_OK);
            assert_int_equal(ut_block_resource(&block, resource_index, &resource), UT_OK);
            for (;;) {
                ut_span span;
                ut_span expected;
                ut_scope expected_scope;
                ut_resource expected_resource;
                assert_int_equal(ut_block_next_span(&cursor, &span, &more), UT_OK);
                if (!more)
                    break;
                assert_true(at < batch->span_count);
                ut_batch_read(batch, at++, &expected, &expected_scope, &expected_resource);
                assert_null(ut_span_difference(&span, &expected));
                assert_null(ut_scope_difference(&scope, &expected_scope));
                assert_null(ut_resource_difference(&resource, &expected_resource));
            }
        }
    }
    assert_int_equal(at, batch->span_count);
    ut_store_view_close(view);
    ut_buf_free(&payload);
}

// ---- storing ----

static void spans_come_back_as_they_went_in(void **state)
{
    fixture *f = *state;
    ut_random_batch(1, 700, UT_RANDOM_ALL, &f->batch);
    ut_store_append append = commit_batch(f->store, &f->batch);
    assert_int_equal(append.stored, 700);
    assert_int_equal(append.duplicates, 0);
    assert_stored(f->store, UT_ORG_DEFAULT, &f->batch);
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.spans, 700);
    ut_store_counts counts = counts_of(f->store);
    assert_int_equal(counts.spans_stored, 700);
    assert_int_equal(counts.blocks_stored, report.blocks);
    assert_int_equal(ut_store_last_seq(f->store), report.blocks);
}

static void a_span_is_stored_once(void **state)
{
    fixture *f = *state;
    ut_realistic_batch(5, 300, now_ns, &f->batch);
    assert_int_equal(commit_batch(f->store, &f->batch).stored, 300);
    ut_store_append again = commit_batch(f->store, &f->batch);
    assert_int_equal(again.stored, 0);
    assert_int_equal(again.duplicates, 300);
    assert_stored(f->store, UT_ORG_DEFAULT, &f->batch);
    assert_int_equal(counts_of(f->store).spans_duplicate, 300);

    // Another organisation has spans of its own.
    ut_store_append other = {.org = 7, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &other, 1, NULL, 0), UT_OK);
    assert_int_equal(other.stored, 300);
    assert_stored(f->store, 7, &f->batch);
    assert_int_equal(ut_store_check(f->memory).spans, 600);
}

static void repeats_within_one_group_are_left_out(void **state)
{
    fixture *f = *state;
    static const ut_test_span spans[] = {{.trace = 1, .span = 1}, {.trace = 1, .span = 2},
                                         {.trace = 1, .span = 1}, {.trace = 2, .span = 1},
                                         {.trace = 1, .span = 2}, {.trace = 2, .span = 3}};
    ut_batch second;
    ut_batch_init(&second, BUDGET);
    ut_test_batch(&f->batch, spans, 6);
    ut_test_batch(&second, spans + 3, 3);
    ut_store_append appends[3] = {{.org = UT_ORG_DEFAULT, .batch = &f->batch},
                                  {.org = UT_ORG_DEFAULT, .batch = &second},
                                  {.org = UT_ORG_DEFAULT, .ttl_ms = 1000, .batch = &second}};
    assert_int_equal(ut_store_commit(f->store, now_ns, appends, 3, NULL, 0), UT_OK);
    assert_int_equal(appends[0].stored, 4);
    assert_int_equal(appends[0].duplicates, 2);
    assert_int_equal(appends[1].stored, 0);
    assert_int_equal(appends[1].duplicates, 3);
    assert_int_equal(appends[2].stored, 0);
    assert_int_equal(ut_store_check(f->memory).spans, 4);
    ut_batch_free(&second);
}

static void a_new_span_beside_stored_ones_is_kept(void **state)
{
    fixture *f = *state;
    ut_test_span spans[40];
    for (uint32_t i = 0; i < 40; i++)
        spans[i] = (ut_test_span){.trace = i % 4, .span = i + 1, .parent = 1};
    assert_int_equal(commit_spans(f, spans, 20).stored, 20);
    ut_store_append append = commit_spans(f, spans + 10, 30);
    assert_int_equal(append.stored, 20);
    assert_int_equal(append.duplicates, 10);
    assert_int_equal(ut_store_check(f->memory).spans, 40);
}

static void the_ids_of_a_long_trace_are_remembered(void **state)
{
    fixture *f = *state;
    ut_random random = {11};
    bool seen[2000] = {0};
    uint32_t distinct = 0;
    for (unsigned round = 0; round < 120; round++) {
        ut_test_span spans[10];
        uint32_t fresh = 0;
        for (unsigned i = 0; i < 10; i++) {
            uint32_t span = ut_random_below(&random, 2000);
            spans[i] = (ut_test_span){.trace = 5, .span = span + 1, .parent = 1};
            fresh += !seen[span];
            seen[span] = true;
        }
        distinct += fresh;
        assert_int_equal(commit_spans(f, spans, 10).stored, fresh);
        if (round == 60) {
            // What is remembered in memory is found again after a restart.
            ut_engine *copy = ut_engine_memory_clone(f->memory);
            ut_store_close(f->store);
            f->memory = copy;
            f->store = open_with(ut_engine_faulty_wrap(copy, &f->faults), 0);
        }
    }
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.spans, distinct);
    assert_int_equal(report.traces, 1);
}

static void a_long_trace_that_left_and_comes_again_is_stored_once(void **state)
{
    fixture *f = *state;
    ut_test_span spans[20];
    for (uint32_t i = 0; i < 40; i++) {
        ut_test_span span = {.trace = 5, .span = i + 1, .parent = 1};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, &span, 1);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = 3600000, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    }
    bool more = true;
    while (more)
        assert_int_equal(ut_store_sweep(f->store, now_ns + 5 * UINT64_C(3600000000000), &more),
                         UT_OK);
    assert_int_equal(ut_store_check(f->memory).spans, 0);
    // Ids that were not seen before, and come three times.
    for (uint32_t i = 0; i < 20; i++)
        spans[i] = (ut_test_span){.trace = 5, .span = 100 + i, .parent = 1};
    for (unsigned round = 0; round < 3; round++) {
        ut_store_append append = commit_spans(f, spans, 20);
        assert_int_equal(append.stored, round == 0 ? 20 : 0);
        assert_int_equal(append.duplicates, round == 0 ? 0 : 20);
    }
    assert_int_equal(ut_store_check(f->memory).spans, 20);
}

static void many_long_traces_share_a_bounded_memory(void **state)
{
    fixture *f = *state;
    // More long traces than filters, each seen again and again.
    for (uint32_t round = 0; round < 60; round++) {
        ut_test_span spans[60];
        for (uint32_t i = 0; i < 60; i++)
            spans[i] = (ut_test_span){.trace = i % 20, .span = round * 3 + i / 20 + 1, .parent = 1};
        assert_int_equal(commit_spans(f, spans, 60).stored, 60);
        assert_int_equal(commit_spans(f, spans, 60).duplicates, 60);
    }
    assert_int_equal(ut_store_check(f->memory).traces, 20);
}

static void appends_of_one_class_share_a_block(void **state)
{
    fixture *f = *state;
    ut_batch batches[6];
    ut_store_append appends[6];
    for (uint32_t i = 0; i < 6; i++) {
        ut_test_span span = {.trace = i, .span = 1};
        ut_batch_init(&batches[i], BUDGET);
        ut_test_batch(&batches[i], &span, 1);
        appends[i] = (ut_store_append){.org = i == 5 ? 2 : UT_ORG_DEFAULT,
                                       .ttl_ms = i % 2 == 0 ? 0 : 7200000,
                                       .batch = &batches[i]};
    }
    assert_int_equal(ut_store_commit(f->store, now_ns, appends, 6, NULL, 0), UT_OK);
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.blocks, 3);
    assert_int_equal(report.spans, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(appends[i].stored, 1);
        ut_batch_free(&batches[i]);
    }
}

static void a_block_keeps_its_limits(void **state)
{
    fixture *f = *state;
    enum { SPANS = 1300 };
    ut_test_span *spans = calloc(SPANS, sizeof *spans);
    for (uint32_t i = 0; i < SPANS; i++) // all of one trace, so that its entries have several parts
        spans[i] =
            (ut_test_span){.trace = 3, .span = i + 1, .start_ns = now_ns + i, .end_ns = now_ns + i};
    assert_int_equal(commit_spans(f, spans, SPANS).stored, SPANS);
    ut_verify_report report = ut_store_check(f->memory);
    assert_int_equal(report.blocks, 3);
    assert_int_equal(report.traces, 1);
    assert_stored(f->store, UT_ORG_DEFAULT, &f->batch);

    // A span that is larger than a block has one of its own.
    ut_test_span large[3] = {{.trace = 4, .span = 1},
                             {.trace = 4, .span = 2, .filler = 700000},
                             {.trace = 4, .span = 3}};
    assert_int_equal(commit_spans(f, large, 3).stored, 3);
    report = ut_store_check(f->memory);
    assert_int_equal(report.blocks, 6);
    assert_int_equal(report.spans, SPANS + 3);
    free(spans);
}

static void every_span_may_be_of_a_trace_of_its_own(void **state)
{
    fixture *f = *state;
    ut_test_span spans[600];
    for (uint32_t i = 0; i < 600; i++)
        spans[i] = (ut_test_span){.trace = i, .span = 1, .start_ns = now_ns + i};
    assert_int_equal(commit_spans(f, spans, 600).stored, 600);
    assert_int_equal(ut_store_check(f->memory).traces, 600);
    assert_int_equal(commit_spans(f, spans, 600).duplicates, 600);
}

static void an_empty_group_changes_nothing(void **state)
{
    fixture *f = *state;
    uint64_t calls = f->faults.calls;
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, NULL, 0), UT_OK);
    assert_int_equal(f->faults.calls, calls); // the engine was not asked
    assert_int_equal(ut_store_last_seq(f->store), 0);
}

// ---- root records ----

typedef struct {
    uint32_t rows;
    ut_trace_row last;
    char name_z[200];
} listing;

static ut_err list_row(void *context, const ut_trace_row *row)
{
    listing *l = context;
    l->rows += 1;
    l->last = *row;
    assert_true(row->name.len < sizeof l->name_z);
    memcpy(l->name_z, row->name.data, row->name.len);
    l->name_z[row->name.len] = '\0';
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

static void a_root_that_comes_late_takes_the_place_of_its_stand_in(void **state)
{
    fixture *f = *state;
    ut_test_span child = {.trace = 1,
                          .span = 2,
                          .parent = 1,
                          .start_ns = now_ns + 5,
                          .end_ns = now_ns + 8,
                          .name_z = "child"};
    (void)commit_spans(f, &child, 1);
    listing l = list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_false(l.last.has_root);
    assert_string_equal(l.name_z, "child");
    assert_int_equal(l.last.start_ns, now_ns + 5);
    assert_int_equal(l.last.duration_ns, 3);

    // A further child changes nothing, not even one that began before.
    ut_test_span early = {.trace = 1,
                          .span = 3,
                          .parent = 1,
                          .start_ns = now_ns + 2,
                          .end_ns = now_ns + 9,
                          .status = UT_STATUS_ERROR,
                          .name_z = "early"};
    (void)commit_spans(f, &early, 1);
    l = list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "child");
    assert_int_equal(l.last.span_count, 2);
    assert_int_equal(l.last.status, UT_STATUS_ERROR);
    assert_int_equal(l.last.duration_ns, 7);
    (void)ut_store_check(f->memory);

    ut_test_span root = {
        .trace = 1, .span = 1, .start_ns = now_ns, .end_ns = now_ns + 20, .name_z = "root"};
    (void)commit_spans(f, &root, 1);
    l = list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_true(l.last.has_root);
    assert_string_equal(l.name_z, "root");
    assert_int_equal(l.last.start_ns, now_ns);
    assert_int_equal(l.last.duration_ns, 20);
    assert_int_equal(l.last.span_count, 3);
    (void)ut_store_check(f->memory);

    // The first root stays.
    ut_test_span second = {.trace = 1, .span = 9, .start_ns = now_ns - 5, .name_z = "second"};
    (void)commit_spans(f, &second, 1);
    l = list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "root");
    (void)ut_store_check(f->memory);
}

static void of_several_roots_the_first_counts(void **state)
{
    fixture *f = *state;
    ut_test_span spans[3] = {{.trace = 1, .span = 1, .parent = 3, .name_z = "child"},
                             {.trace = 1, .span = 2, .name_z = "first"},
                             {.trace = 1, .span = 3, .start_ns = 1, .name_z = "second"}};
    (void)commit_spans(f, spans, 3);
    listing l = list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "first");
}

static void a_root_in_a_later_block_of_its_group_is_found(void **state)
{
    fixture *f = *state;
    enum { SPANS = 900 };
    ut_test_span *spans = calloc(SPANS, sizeof *spans);
    for (uint32_t i = 0; i < SPANS; i++)
        spans[i] = (ut_test_span){.trace = 1, .span = i + 2, .parent = 1, .start_ns = now_ns + i};
    spans[800] = (ut_test_span){.trace = 1, .span = 1, .start_ns = now_ns + 1000, .name_z = "root"};
    (void)commit_spans(f, spans, SPANS);
    listing l = list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "root");
    assert_int_equal(l.last.span_count, SPANS);
    (void)ut_store_check(f->memory);
    free(spans);
}

// ---- opening ----

static void counters_and_numbers_survive_a_restart(void **state)
{
    fixture *f = *state;
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &dest), UT_OK);
    ut_realistic_batch(5, 600, now_ns, &f->batch);
    (void)commit_batch(f->store, &f->batch);
    (void)commit_batch(f->store, &f->batch);
    ut_store_counts before = counts_of(f->store);
    uint64_t seq = ut_store_last_seq(f->store);
    ut_engine *copy = ut_engine_memory_clone(f->memory);
    ut_store *again = open_with(copy, 0);
    ut_store_counts after = counts_of(again);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(ut_store_last_seq(again), seq);
    ut_store_destination rows[2];
    assert_int_equal(ut_store_get_destinations(again, rows, 2), 1);
    assert_string_equal(rows[0].name_z, "central");
    assert_int_equal(rows[0].counts.accepted, 600);
    assert_false(rows[0].active); // nobody has asked for it since
    ut_test_span span = {.trace = 1, .span = 1};
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, &span, 1);
    (void)commit_batch(again, &f->batch);
    assert_int_equal(ut_store_last_seq(again), seq + 1);
    (void)ut_store_check(copy);
    ut_store_close(again);
}

static void put_record(ut_engine *engine, ut_key key, ut_bytes value)
{
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), value), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static ut_err try_open(ut_engine *engine, ut_fault *fault)
{
    ut_store_config config = {.bytes_max = BUDGET};
    ut_store *store = NULL;
    *fault = (ut_fault){0};
    ut_err err = ut_store_open(engine, &config, &store, fault);
    if (err == UT_OK)
        ut_store_close(store);
    return err;
}

static void a_newer_format_is_refused(void **state)
{
    fixture *f = *state;
    ut_engine *copy = ut_engine_memory_clone(f->memory);
    static const uint8_t newer[] = {0x92, 0x09, 0xc0}; // [9, nil]
    put_record(copy, ut_key_meta("version"), (ut_bytes){newer, sizeof newer});
    ut_engine *untouched = ut_engine_memory_clone(copy);
    ut_fault fault;
    assert_int_equal(try_open(copy, &fault), UT_EVERSION);
    assert_non_null(strstr(fault.text_z, "version 9"));
    assert_non_null(strstr(fault.text_z, "up to 2"));
    assert_int_equal(try_open(untouched, &fault), UT_EVERSION);
}

static void a_store_without_a_version_is_not_begun_anew(void **state)
{
    (void)state;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_fault fault;
    put_record(engine, ut_key_piece(1, 1, 0), UT_BYTES_LIT("x"));
    assert_int_equal(try_open(engine, &fault), UT_ECORRUPT);
    assert_true(strlen(fault.text_z) > 20);
}

static void damaged_counters_are_a_fault(void **state)
{
    fixture *f = *state;
    ut_fault fault;
    ut_engine *copy = ut_engine_memory_clone(f->memory);
    put_record(copy, ut_key_meta("state"), UT_BYTES_LIT("\x93\x01"));
    assert_int_equal(try_open(copy, &fault), UT_ECORRUPT);
    copy = ut_engine_memory_clone(f->memory);
    put_record(copy, ut_key_meta("version"), UT_BYTES_LIT("\xa1z"));
    assert_int_equal(try_open(copy, &fault), UT_ECORRUPT);
    copy = ut_engine_memory_clone(f->memory);
    put_record(copy, ut_key_destination(1, 1), UT_BYTES_LIT("\x91\xa0"));
    assert_int_equal(try_open(copy, &fault), UT_ECORRUPT);
}

static void a_reader_of_an_empty_directory_sees_an_empty_store(void **state)
{
    fixture *f = *state;
    // A store.mdb that was made by a process killed before its first transaction.
    ut_temp_dir_make(f->dir_z);
    ut_engine_config config = {.dir_z = f->dir_z, .bytes_max = BUDGET};
    ut_engine *engine;
    ut_fault fault;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    ut_engine_close(engine);
    config.read_only = true;
    assert_int_equal(ut_engine_lmdb_open(&config, &engine, &fault), UT_OK);
    ut_store *reader = open_with(engine, 0);
    assert_int_equal(ut_store_last_seq(reader), 0);
    assert_int_equal(list(engine).rows, 0);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    ut_test_span span = {.trace = 1, .span = 1};
    ut_test_batch(&f->batch, &span, 1);
    assert_int_equal(ut_store_commit(reader, now_ns, &append, 1, NULL, 0), UT_EPERM);
    ut_store_close(reader);
}

static void opening_survives_every_failing_call(void **state)
{
    fixture *f = *state;
    ut_realistic_batch(5, 50, now_ns, &f->batch);
    uint32_t dest;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "central", &dest), UT_OK);
    (void)commit_batch(f->store, &f->batch);
    for (unsigned fresh = 0; fresh < 2; fresh++) {
        ut_err err = UT_EIO;
        for (uint64_t n = 1; err != UT_OK; n++) {
            assert_true(n < 1000);
            ut_faults faults = {.fail_at = n, .err = UT_EIO};
            ut_engine *inner =
                fresh == 1 ? ut_engine_memory_open(BUDGET) : ut_engine_memory_clone(f->memory);
            ut_fault fault;
            err = try_open(ut_engine_faulty_wrap(inner, &faults), &fault);
            assert_true(err == UT_OK || (err == UT_EIO && fault.text_z[0] != '\0'));
        }
    }
}

// ---- errors in the middle ----

static void assert_same_records(ut_engine *engine, const uint8_t *data, size_t len)
{
    uint8_t *now;
    size_t now_len;
    ut_engine_dump(engine, &now, &now_len);
    assert_int_equal(now_len, len);
    assert_memory_equal(now, data, len);
    free(now);
}

// A store with something of everything, and a group that touches all of it.
static void fill(fixture *f, uint32_t dests[2])
{
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "a", &dests[0]), UT_OK);
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "b", &dests[1]), UT_OK);
    ut_test_span spans[30];
    for (uint32_t i = 0; i < 30; i++)
        spans[i] =
            (ut_test_span){.trace = i % 6, .span = i + 10, .parent = 1, .start_ns = now_ns + i};
    (void)commit_spans(f, spans, 30);
    for (uint32_t i = 0; i < 30; i++)
        spans[i].span += 30;
    (void)commit_spans(f, spans, 30);
}

static void every_failing_call_leaves_the_store_as_it_was(void **state)
{
    fixture *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    ut_test_span spans[25];
    for (uint32_t i = 0; i < 25; i++) // roots for stand-ins, repeats, new traces
        spans[i] = (ut_test_span){.trace = i % 8,
                                  .span = i < 8 ? 1 : i + 20,
                                  .parent = i < 8 ? 0 : 1,
                                  .start_ns = now_ns + 100 + i};
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, 25);
    static const uint16_t dead[2] = {0, 3};
    ut_delivery marks[3] = {{.org = 1,
                             .dest = dests[0],
                             .seq = 1,
                             .state = UT_DELIVERY_DELIVERED,
                             .updated_ns = now_ns},
                            {.org = 1,
                             .dest = dests[1],
                             .seq = 1,
                             .state = UT_DELIVERY_DELIVERED,
                             .spans_dead = 2,
                             .dead_ordinals = dead,
                             .http_status = 400,
                             .reason_z = "no"},
                            {.org = 1,
                             .dest = dests[1],
                             .seq = 2,
                             .state = UT_DELIVERY_PENDING,
                             .attempts = 3,
                             .next_try_ns = now_ns + 5,
                             .reason_z = "refused"}};
    static const ut_err errors[] = {UT_EIO, UT_ENOSPC, UT_ENOMEM, UT_EFULL};
    uint8_t *before;
    size_t before_len;
    ut_engine_dump(f->memory, &before, &before_len);
    ut_store_counts counts = counts_of(f->store);
    ut_err err = UT_EIO;
    uint64_t n = 0;
    // UT_EFULL is tried again with more room, so that the last round goes on for longer.
    for (size_t e = 0; e < 4; e++) {
        for (n = 1; n < 2000; n++) {
            ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
            f->faults = (ut_faults){.fail_at = n, .fail_after = true, .err = errors[e]};
            err = ut_store_commit(f->store, now_ns, &append, 1, marks, 3);
            f->faults.fail_at = 0;
            if (err == UT_OK)
                break;
            assert_int_equal(err, errors[e]);
            assert_int_equal(append.stored, 0);
            assert_int_equal(append.duplicates, 0);
            ut_store_counts now = counts_of(f->store);
            assert_memory_equal(&now, &counts, sizeof now);
            assert_same_records(f->memory, before, before_len);
        }
        assert_int_equal(err, UT_OK);
        assert_true(n > 50);
        ut_verify_report report = ut_store_check(f->memory);
        assert_true(report.spans >= 70);
        // Back to where it was.
        ut_engine *other = ut_engine_memory_open(BUDGET);
        ut_store_close(f->store);
        f->memory = other;
        f->store = open_with(ut_engine_faulty_wrap(other, &f->faults), 0);
        ut_batch keep = f->batch;
        ut_batch_init(&f->batch, BUDGET);
        fill(f, dests);
        ut_batch_free(&f->batch);
        f->batch = keep;
        assert_same_records(f->memory, before, before_len);
    }
    free(before);
}

// A commit that turned out larger than guessed is tried again after more room was made, and the
// blocks that held its duplicates may be gone by then.
static void spans_whose_twins_were_evicted_meanwhile_are_stored(void **state)
{
    fixture *f = *state;
    enum { SMALL = 300 * 1024, OLD = 10, NEW = 60 };
    ut_store_config config = {.bytes_max = SMALL};
    ut_fault fault;
    ut_store_close(f->store);
    f->memory = ut_engine_memory_open(SMALL);
    assert_int_equal(
        ut_store_open(ut_engine_faulty_wrap(f->memory, &f->faults), &config, &f->store, &fault),
        UT_OK);
    ut_test_span spans[OLD + NEW];
    for (uint32_t i = 0; i < OLD + NEW; i++)
        spans[i] = (ut_test_span){
            .trace = i < OLD ? 1 : 2, .span = i + 1, .parent = 1, .filler = i < OLD ? 0 : 2000};
    assert_int_equal(commit_spans(f, spans, OLD).stored, OLD);
    // What came before compresses well, so that the guess for what comes now is too low.
    ut_engine_room room = {0};
    for (uint32_t trace = 10; room.bytes_used < 190 * 1024; trace++) {
        ut_test_span old[50];
        for (uint32_t i = 0; i < 50; i++)
            old[i] = (ut_test_span){.trace = trace, .span = i + 1, .parent = 1};
        assert_int_equal(commit_spans(f, old, 50).stored, 50);
        assert_int_equal(ut_engine_get_room(f->memory, &room), UT_OK);
    }
    assert_int_equal(counts_of(f->store).spans_evicted, 0);
    ut_store_append append = commit_spans(f, spans, OLD + NEW);
    assert_true(counts_of(f->store).spans_evicted > 0);
    assert_int_equal(append.stored, OLD + NEW);
    (void)ut_store_check(f->memory);
}

static void lmdb_survives_every_failing_call(void **state)
{
    fixture *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    uint8_t *before;
    size_t before_len;
    ut_engine_dump(f->memory, &before, &before_len);
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(9, 60, now_ns, &f->batch);
    ut_err err = UT_EIO;
    uint64_t n;
    for (n = 1; err != UT_OK; n++) {
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
        f->faults.fail_at = 0;
        if (err != UT_OK)
            assert_same_records(f->memory, before, before_len);
        assert_true(n < 5000);
    }
    assert_true(n > 30);
    (void)ut_store_check(f->memory);
    free(before);
}

static void a_commit_in_doubt_does_not_lead_astray(void **state)
{
    fixture *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    // The commit is the last call that may fail: find its number, then report a failure though it
    // stored everything.
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_realistic_batch(9, 60, now_ns, &f->batch);
    uint64_t seq = ut_store_last_seq(f->store);
    ut_err err = UT_OK;
    for (uint64_t n = 1; err != UT_OK || n == 1; n++) {
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO, .in_doubt = true};
        err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
        f->faults.fail_at = 0;
        if (err == UT_OK) // all its spans were stored by the one before
            assert_int_equal(append.duplicates, 60);
        assert_true(n < 5000);
    }
    assert_int_equal(ut_store_last_seq(f->store), seq + 1);
    ut_test_span span = {.trace = 77, .span = 1};
    (void)commit_spans(f, &span, 1);
    assert_int_equal(ut_store_last_seq(f->store), seq + 2);
    assert_int_equal(counts_of(f->store).spans_stored, 121);
    (void)ut_store_check(f->memory);
}

// A commit of nothing but marks leaves the counters of the store as they are.
static void marks_in_doubt_are_counted_once(void **state)
{
    fixture *f = *state;
    uint32_t dests[2];
    fill(f, dests);
    ut_delivery mark = {
        .org = UT_ORG_DEFAULT, .dest = dests[1], .seq = 1, .state = UT_DELIVERY_DELIVERED};
    ut_err err = UT_OK;
    for (uint64_t n = 1; err != UT_OK || n == 1; n++) {
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO, .in_doubt = true};
        err = ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1);
        assert_true(n < 5000);
    }
    f->faults.fail_at = 0;
    ut_verify_report report = ut_store_check(f->memory);
    ut_store_destination rows[2];
    assert_int_equal(ut_store_get_destinations(f->store, rows, 2), 2);
    uint64_t settled = 0;
    uint64_t accepted = 0;
    for (uint32_t i = 0; i < 2; i++) {
        settled += rows[i].counts.delivered + rows[i].counts.dead;
        accepted += rows[i].counts.accepted;
    }
    assert_int_equal(accepted, settled + report.pending);
}

static void expiry_hours_are_rounded_up(void **state)
{
    fixture *f = *state;
    static const struct {
        uint64_t now_ns;
        uint64_t ttl_ms;
        uint32_t hour;
    } cases[] = {{500000 * UINT64_C(3600000000000), 3600000, 500001},
                 {500000 * UINT64_C(3600000000000) + 1000000, 3600000, 500002},
                 {500000 * UINT64_C(3600000000000), 1, 500001},
                 {500000 * UINT64_C(3600000000000), 0, 0},
                 {500000 * UINT64_C(3600000000000), UINT64_MAX - 1, UINT32_MAX},
                 {500000 * UINT64_C(3600000000000), UT_STORE_TTL_NONE, 0},
                 // A clock that was not set yet; 2020 begins in hour 438288.
                 {438288 * UINT64_C(3600000000000) - 1, 3600000, 0},
                 {438288 * UINT64_C(3600000000000), 3600000, 438289}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_test_span span = {.trace = i, .span = 1};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, &span, 1);
        ut_store_append append = {
            .org = UT_ORG_DEFAULT, .ttl_ms = cases[i].ttl_ms, .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, cases[i].now_ns, &append, 1, NULL, 0), UT_OK);
        ut_store_view *view;
        ut_buf payload;
        ut_block block;
        ut_buf_init(&payload, BUDGET);
        assert_int_equal(ut_store_view_open(f->memory, &view), UT_OK);
        assert_int_equal(ut_store_view_begin(view), UT_OK);
        assert_int_equal(ut_store_read_block(view, UT_ORG_DEFAULT, ut_store_last_seq(f->store),
                                             &payload, &block),
                         UT_OK);
        assert_int_equal(block.info.expiry_hour, cases[i].hour);
        assert_int_equal(block.info.received_ns, cases[i].now_ns);
        ut_store_view_close(view);
        ut_buf_free(&payload);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spans_come_back_as_they_went_in),
        TEST(a_span_is_stored_once),
        TEST(repeats_within_one_group_are_left_out),
        TEST(a_new_span_beside_stored_ones_is_kept),
        TEST(the_ids_of_a_long_trace_are_remembered),
        TEST(a_long_trace_that_left_and_comes_again_is_stored_once),
        TEST(many_long_traces_share_a_bounded_memory),
        TEST(appends_of_one_class_share_a_block),
        TEST(a_block_keeps_its_limits),
        TEST(every_span_may_be_of_a_trace_of_its_own),
        TEST(an_empty_group_changes_nothing),
        TEST(a_root_that_comes_late_takes_the_place_of_its_stand_in),
        TEST(of_several_roots_the_first_counts),
        TEST(a_root_in_a_later_block_of_its_group_is_found),
        TEST(counters_and_numbers_survive_a_restart),
        TEST(a_newer_format_is_refused),
        TEST(a_store_without_a_version_is_not_begun_anew),
        TEST(damaged_counters_are_a_fault),
        TEST(a_reader_of_an_empty_directory_sees_an_empty_store),
        TEST(opening_survives_every_failing_call),
        TEST(every_failing_call_leaves_the_store_as_it_was),
        TEST(spans_whose_twins_were_evicted_meanwhile_are_stored),
        cmocka_unit_test_setup_teardown(lmdb_survives_every_failing_call, set_up_lmdb, tear_down),
        TEST(a_commit_in_doubt_does_not_lead_astray),
        TEST(marks_in_doubt_are_counted_once),
        TEST(expiry_hours_are_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
