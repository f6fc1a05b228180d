// Tests of storage/query/query, also beside a process that writes.
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

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUDGET = 64 * 1024 * 1024, ROWS_MAX = 64 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_engine *engine;
    ut_store *store;
    ut_store_view *view;
    ut_batch batch;
    uint64_t commits; // each a nanosecond later
} fixture;

static ut_store *open_store(ut_engine *engine)
{
    ut_store_config config = {.bytes_max = BUDGET};
    ut_store *store = NULL;
    ut_fault fault = {0};
    if (ut_store_open(engine, &config, &store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return store;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->engine = ut_engine_memory_open(BUDGET);
    f->store = open_store(f->engine);
    assert_int_equal(ut_store_view_open(f->engine, &f->view), UT_OK);
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_view_close(f->view);
    ut_store_close(f->store);
    ut_batch_free(&f->batch);
    free(f);
    return 0;
}

static void store_spans(fixture *f, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns + f->commits++, &append, 1, NULL, 0), UT_OK);
}

typedef struct {
    uint32_t count;
    uint32_t stop_at;
    ut_trace_row rows[ROWS_MAX];
    char names_z[ROWS_MAX][UT_TEMP_PATH_MAX];
    char services_z[ROWS_MAX][UT_TEMP_PATH_MAX];
} listing;

static ut_err take_row(void *context, const ut_trace_row *row)
{
    listing *l = context;
    if (l->stop_at != 0 && l->count == l->stop_at)
        return UT_ECANCELED;
    assert_true(l->count < ROWS_MAX);
    (void)snprintf(l->names_z[l->count], UT_TEMP_PATH_MAX, "%.*s", (int)row->name.len,
                   (const char *)row->name.data);
    (void)snprintf(l->services_z[l->count], UT_TEMP_PATH_MAX, "%.*s", (int)row->service.len,
                   (const char *)row->service.data);
    l->rows[l->count++] = *row;
    return UT_OK;
}

static listing *list(fixture *f, uint32_t org, uint32_t limit)
{
    static listing l;
    memset(&l, 0, sizeof l);
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    assert_int_equal(ut_query_traces(f->view, org, limit, take_row, &l), UT_OK);
    ut_store_view_end(f->view);
    return &l;
}

static void traces_are_listed_as_they_came_newest_first_each_once(void **state)
{
    fixture *f = *state;
    // Each of them alone, so that they come one after the other; when a span began does not matter.
    static const ut_test_span spans[] = {
        {.trace = 1, .span = 1, .start_ns = 100, .end_ns = 150, .name_z = "one"},
        {.trace = 3, .span = 1, .start_ns = 200, .end_ns = 290, .name_z = "three"},
        {.trace = 2, .span = 1, .start_ns = 50, .end_ns = 60, .name_z = "two"},
        {.trace = 3, .span = 2, .parent = 1, .start_ns = 500, .status = UT_STATUS_ERROR},
        {.trace = 1, .span = 2, .parent = 1, .start_ns = 900, .status = UT_STATUS_OK}};
    for (unsigned i = 0; i < 5; i++)
        store_spans(f, &spans[i], 1);
    listing *l = list(f, UT_ORG_DEFAULT, 100);
    assert_int_equal(l->count, 3);
    assert_string_equal(l->names_z[0], "two");
    assert_string_equal(l->names_z[1], "three");
    assert_string_equal(l->names_z[2], "one");
    assert_string_equal(l->services_z[1], "shop");
    assert_int_equal(l->rows[0].span_count, 1);
    assert_int_equal(l->rows[1].span_count, 2);
    assert_int_equal(l->rows[0].status, UT_STATUS_UNSET);
    assert_int_equal(l->rows[1].status, UT_STATUS_ERROR);
    assert_int_equal(l->rows[2].status, UT_STATUS_OK);
    assert_int_equal(l->rows[1].duration_ns, 300); // also of what outlasts the root
    assert_int_equal(l->rows[1].start_ns, 200);
    uint8_t id[UT_TRACE_ID_LEN];
    ut_test_trace_id(3, id);
    assert_memory_equal(l->rows[1].trace_id, id, sizeof id);

    assert_int_equal(list(f, UT_ORG_DEFAULT, 2)->count, 2);
    assert_int_equal(list(f, UT_ORG_DEFAULT, 0)->count, 0);
    assert_int_equal(list(f, 2, 100)->count, 0);
    assert_int_equal(list(f, 0, 100)->count, 0);
}

static void organisations_do_not_see_each_other(void **state)
{
    fixture *f = *state;
    static const ut_test_span span = {.trace = 1, .span = 1, .start_ns = 100};
    static const uint32_t orgs[3] = {1, 2, UINT32_MAX};
    ut_test_batch(&f->batch, &span, 1);
    for (unsigned i = 0; i < 3; i++) {
        ut_store_append append = {.org = orgs[i], .batch = &f->batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, 1);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(list(f, orgs[i], 100)->count, 1);
    assert_int_equal(ut_store_check(f->engine).traces, 3);
}

static void a_visitor_may_end_the_listing(void **state)
{
    fixture *f = *state;
    ut_test_span spans[10];
    for (uint32_t i = 0; i < 10; i++)
        spans[i] = (ut_test_span){.trace = i, .span = 1, .start_ns = i};
    store_spans(f, spans, 10);
    static listing l;
    l = (listing){.stop_at = 4};
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    assert_int_equal(ut_query_traces(f->view, UT_ORG_DEFAULT, 100, take_row, &l), UT_ECANCELED);
    assert_int_equal(l.count, 4);
}

// ---- one trace ----

typedef struct {
    uint32_t count;
    uint32_t stop_at;
    uint64_t starts[2000];
    uint64_t last_seq;
    uint32_t last_ordinal;
    bool in_order;
} spans_seen;

static ut_err take_span(void *context, const ut_trace_span *span)
{
    spans_seen *seen = context;
    if (seen->stop_at != 0 && seen->count == seen->stop_at)
        return UT_ECANCELED;
    ut_bytes service;
    assert_true(
        ut_attributes_find_str(span->resource.attributes, UT_BYTES_LIT("service.name"), &service));
    assert_true(ut_bytes_equal(span->scope.name, UT_BYTES_LIT("test")));
    if (seen->count > 0 && (span->seq < seen->last_seq ||
                            (span->seq == seen->last_seq && span->ordinal <= seen->last_ordinal)))
        seen->in_order = false;
    seen->last_seq = span->seq;
    seen->last_ordinal = span->ordinal;
    assert_true(seen->count < 2000);
    seen->starts[seen->count++] = span->span.start_ns;
    return UT_OK;
}

static ut_err get_trace(fixture *f, uint32_t trace, uint32_t *damaged, spans_seen *seen)
{
    uint8_t id[UT_TRACE_ID_LEN];
    ut_test_trace_id(trace, id);
    uint32_t stop_at = seen->stop_at;
    *seen = (spans_seen){.in_order = true, .stop_at = stop_at};
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    ut_err err = ut_query_trace(f->view, UT_ORG_DEFAULT, id, damaged, take_span, seen);
    ut_store_view_end(f->view);
    return err;
}

static void all_spans_of_a_trace_come_in_order_of_arrival(void **state)
{
    fixture *f = *state;
    static spans_seen seen;
    uint32_t damaged;
    uint64_t start = 1;
    // Interleaved with another trace, over several commits, one of them of several blocks.
    static const uint32_t sizes[4] = {5, 1300, 1, 40};
    uint32_t total = 0;
    for (unsigned round = 0; round < 4; round++) {
        ut_test_span *spans = calloc(sizes[round], sizeof *spans);
        for (uint32_t i = 0; i < sizes[round]; i++)
            spans[i] = (ut_test_span){.trace = i % 3 == 0 ? 8 : 9,
                                      .span = (uint32_t)start,
                                      .parent = 1,
                                      .start_ns = start};
        for (uint32_t i = 0; i < sizes[round]; i++, start++)
            spans[i] = (ut_test_span){.trace = i % 3 == 0 ? 8 : 9,
                                      .span = (uint32_t)start,
                                      .parent = 1,
                                      .start_ns = start};
        for (uint32_t i = 0; i < sizes[round]; i++)
            total += i % 3 != 0;
        store_spans(f, spans, sizes[round]);
        free(spans);
    }
    seen.stop_at = 0;
    assert_int_equal(get_trace(f, 9, &damaged, &seen), UT_OK);
    assert_int_equal(damaged, 0);
    assert_int_equal(seen.count, total);
    assert_true(seen.in_order);
    for (uint32_t i = 1; i < seen.count; i++)
        assert_true(seen.starts[i] > seen.starts[i - 1]);
    assert_int_equal(get_trace(f, 10, &damaged, &seen), UT_ENOTFOUND);
    seen.stop_at = 7;
    assert_int_equal(get_trace(f, 9, &damaged, &seen), UT_ECANCELED);
    assert_int_equal(seen.count, 7);
}

static void put_piece(fixture *f, uint64_t seq, ut_bytes value)
{
    ut_txn *txn;
    ut_key key = ut_key_piece(UT_ORG_DEFAULT, seq, UT_BLOCK_STORE_SEALED_FROM);
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    assert_int_equal(value.len > 0 ? ut_txn_put(txn, ut_key_bytes(&key), value)
                                   : ut_txn_del(txn, ut_key_bytes(&key)),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static void damaged_blocks_are_passed_and_counted(void **state)
{
    fixture *f = *state;
    static spans_seen seen;
    uint32_t damaged;
    ut_test_span span = {.trace = 1, .parent = 9};
    for (span.span = 1; span.span <= 5; span.span++) {
        span.start_ns = span.span;
        store_spans(f, &span, 1);
    }
    put_piece(f, 2, UT_BYTES_LIT("this is no block"));
    put_piece(f, 4, UT_BYTES_NONE);
    seen.stop_at = 0;
    assert_int_equal(get_trace(f, 1, &damaged, &seen), UT_OK);
    assert_int_equal(damaged, 2);
    assert_int_equal(seen.count, 3);
}

static void an_entry_that_points_at_other_spans_shows_none_of_them(void **state)
{
    fixture *f = *state;
    static spans_seen seen;
    uint32_t damaged;
    ut_test_span span = {.trace = 1, .span = 1, .start_ns = 5};
    store_spans(f, &span, 1);
    span.trace = 2;
    store_spans(f, &span, 1);
    // The block of trace 2 takes the place of that of trace 1.
    ut_txn *txn;
    ut_bytes value;
    uint8_t copy[2000];
    assert_int_equal(ut_engine_begin(f->engine, false, &txn), UT_OK);
    ut_key key = ut_key_piece(UT_ORG_DEFAULT, 2, UT_BLOCK_STORE_SEALED_FROM);
    assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
    size_t len = value.len;
    memcpy(copy, value.data, len);
    ut_txn_abort(txn);
    put_piece(f, 1, (ut_bytes){copy, len});
    seen.stop_at = 0;
    assert_int_equal(get_trace(f, 1, &damaged, &seen), UT_OK);
    assert_int_equal(seen.count, 0);
    assert_int_equal(damaged, 1);
}

// ---- short ids ----

static void a_short_id_finds_its_trace(void **state)
{
    fixture *f = *state;
    ut_test_span spans[20];
    for (uint32_t i = 0; i < 20; i++)
        spans[i] = (ut_test_span){.trace = i, .span = 1};
    store_spans(f, spans, 20);
    store_spans(f, &(ut_test_span){.trace = 3, .span = 2, .parent = 1}, 1); // a second entry of it
    uint8_t id[UT_TRACE_ID_LEN];
    uint8_t found[UT_TRACE_ID_LEN];
    char hex_z[2 * UT_TRACE_ID_LEN + 1];
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    for (uint32_t trace = 0; trace < 20; trace++) {
        ut_test_trace_id(trace, id);
        ut_hex_encode((ut_bytes){id, sizeof id}, hex_z);
        unsigned several = 0;
        for (size_t len = 32; len >= 1; len--) {
            hex_z[len] = '\0';
            ut_err err = ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, hex_z, found);
            if (err == UT_EEXIST) {
                several += 1;
                continue;
            }
            assert_int_equal(several, 0); // a shorter one cannot be clearer
            assert_int_equal(err, UT_OK);
            assert_memory_equal(found, id, sizeof id);
        }
        assert_true(several <= 2); // 20 random ids differ in their first digits
    }
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "", found), UT_EFORMAT);
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "12x", found), UT_EFORMAT);
    memset(hex_z, '0', sizeof hex_z);
    hex_z[32] = '\0';
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, hex_z, found), UT_ENOTFOUND);
    assert_int_equal(
        ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "000000000000000000000000000000000", found),
        UT_EFORMAT);
    assert_int_equal(ut_query_resolve_trace(f->view, 2, "0", found), UT_ENOTFOUND);
    // Capital letters are digits too.
    ut_test_trace_id(7, id);
    ut_hex_encode((ut_bytes){id, sizeof id}, hex_z);
    for (char *c = hex_z; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'f')
            *c = (char)(*c - 'a' + 'A');
    }
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, hex_z, found), UT_OK);
    assert_memory_equal(found, id, sizeof id);
}

static void ids_with_a_common_beginning_are_told_apart(void **state)
{
    fixture *f = *state;
    ut_test_span spans[2] = {{.trace = 1, .span = 1}, {.trace = 2, .span = 1}};
    ut_test_batch(&f->batch, spans, 2);
    ut_batch_span *index = (ut_batch_span *)(void *)f->batch.span_index.data;
    memset(index[0].trace_id, 0xab, UT_TRACE_ID_LEN);
    memset(index[1].trace_id, 0xab, UT_TRACE_ID_LEN);
    index[1].trace_id[8] = 0xac;
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    uint8_t found[UT_TRACE_ID_LEN];
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "ab", found), UT_EEXIST);
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "abababababababab", found),
                     UT_EEXIST);
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "abababababababaBa", found),
                     UT_EEXIST);
    assert_int_equal(ut_query_resolve_trace(f->view, UT_ORG_DEFAULT, "ababababababababac", found),
                     UT_OK);
    assert_int_equal(found[8], 0xac);
    ut_store_view_end(f->view);
}

// ---- beside a writer ----

static void write_forever(const char *dir_z)
{
    ut_engine_config config = {.dir_z = dir_z, .bytes_max = 4 * 1024 * 1024};
    ut_store_config store_config = {.bytes_max = 4 * 1024 * 1024};
    ut_engine *engine;
    ut_store *store;
    ut_fault fault;
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    UT_ASSERT(ut_engine_lmdb_open(&config, &engine, &fault) == UT_OK);
    UT_ASSERT(ut_store_open(engine, &store_config, &store, &fault) == UT_OK);
    uint32_t dest;
    UT_ASSERT(ut_store_add_destination(store, UT_ORG_DEFAULT, "a", &dest) == UT_OK);
    for (uint64_t seed = 1;; seed++) {
        ut_batch_reset(&batch, SIZE_MAX);
        ut_realistic_batch(seed, 60, now_ns + seed * 1000000, &batch);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        ut_delivery mark = {.org = UT_ORG_DEFAULT,
                            .dest = dest,
                            .seq = seed / 2 + 1,
                            .state = UT_DELIVERY_DELIVERED};
        ut_err err = ut_store_commit(store, now_ns, &append, 1, &mark, 1);
        UT_ASSERT(err == UT_OK || err == UT_EFULL); // full while a reader stays for long
    }
}

static void a_reader_process_sees_whole_states_of_a_writer(void **state)
{
    (void)state;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // it ends with the test, also when that fails
        write_forever(dir_z);
    }
    ut_engine_config config = {.dir_z = dir_z, .read_only = true};
    ut_engine *engine = NULL;
    ut_fault fault;
    for (unsigned i = 0; i < 5000 && engine == NULL; i++) { // until the writer has made the file
        if (ut_engine_lmdb_open(&config, &engine, &fault) != UT_OK)
            (void)usleep(1000);
    }
    assert_non_null(engine);
    bool made = false; // the writer has said what the file is
    for (unsigned i = 0; i < 5000 && !made; i++) {
        ut_txn *txn;
        ut_key key = ut_key_meta("state");
        ut_bytes value;
        assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
        made = ut_txn_get(txn, ut_key_bytes(&key), &value) == UT_OK;
        ut_txn_abort(txn);
        if (!made)
            (void)usleep(1000);
    }
    assert_true(made);
    uint64_t seen = 0;
    uint64_t before = 0;
    for (unsigned i = 0; i < 60 || seen < 10; i++) {
        assert_true(i < 5000);
        ut_verify_report report = ut_store_check(engine);
        if (report.blocks == 0)
            (void)usleep(1000); // an empty store is read faster than the writer begins
        ut_txn *txn;
        ut_key key = ut_key_meta("state");
        ut_bytes value;
        assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
        if (ut_txn_get(txn, ut_key_bytes(&key), &value) == UT_OK && report.blocks > 0) {
            ut_mp_reader reader = ut_mp_reader_of(value);
            (void)ut_mp_get_array(&reader);
            uint64_t now = ut_mp_get_uint(&reader);
            seen += now > before;
            before = now;
        }
        ut_txn_abort(txn);
    }
    ut_engine_close(engine);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); // it did not fail before
    ut_temp_dir_remove(dir_z);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(traces_are_listed_as_they_came_newest_first_each_once),
        TEST(organisations_do_not_see_each_other),
        TEST(a_visitor_may_end_the_listing),
        TEST(all_spans_of_a_trace_come_in_order_of_arrival),
        TEST(damaged_blocks_are_passed_and_counted),
        TEST(an_entry_that_points_at_other_spans_shows_none_of_them),
        TEST(a_short_id_finds_its_trace),
        TEST(ids_with_a_common_beginning_are_told_apart),
        cmocka_unit_test(a_reader_process_sees_whole_states_of_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
