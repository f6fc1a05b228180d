// Tests of storage/store/consumer and query_pull: readers that poll, and where they go on after a
// crash.
#include "storage/store/key.h"
#include "storage/store/block_store.h"
#include "storage/query/query.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_filter.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024, SEEN_MAX = 60000 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

typedef struct {
    ut_engine *engine;
    ut_store *store;
    ut_store_view *view;
    ut_batch batch;
    ut_faults faults;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->engine = ut_engine_faulty_wrap(ut_engine_memory_open(BUDGET), &f->faults);
    ut_store_config config = {.bytes_max = UT_STORE_BYTES_MIN};
    ut_fault fault = {0};
    if (ut_store_open(f->engine, &config, &f->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
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

static void store_words(fixture *f, ut_random *random, uint32_t spans, uint64_t at_ns)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_random_words_batch(random, spans, &f->batch);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = 3600000, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, at_ns, &append, 1, NULL, 0), UT_OK);
}

static ut_err stored(fixture *f, const char *name_z, ut_query_cursor *cursor)
{
    *cursor = (ut_query_cursor){0};
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    ut_err err = ut_query_consumer(f->view, UT_ORG_DEFAULT, name_z, cursor);
    ut_store_view_end(f->view);
    return err;
}

static ut_err set(fixture *f, const char *name_z, uint64_t seq, uint32_t ordinal)
{
    return ut_store_set_consumer(f->store, UT_ORG_DEFAULT, name_z, seq, ordinal);
}

// ---- the stored place ----

static void a_reader_finds_its_place_again(void **state)
{
    fixture *f = *state;
    ut_random random = {1};
    ut_query_cursor cursor;
    for (unsigned i = 0; i < 5; i++)
        store_words(f, &random, 10, now_ns);
    assert_int_equal(stored(f, "a", &cursor), UT_ENOTFOUND);
    assert_int_equal(set(f, "a", 3, 7), UT_OK);
    assert_int_equal(set(f, "ab", 1, 0), UT_OK);
    assert_int_equal(stored(f, "a", &cursor), UT_OK);
    assert_true(cursor.begun && cursor.seq == 3 && cursor.ordinal == 7);
    assert_int_equal(set(f, "a", 5, 511), UT_OK);
    assert_int_equal(stored(f, "a", &cursor), UT_OK);
    assert_true(cursor.seq == 5 && cursor.ordinal == 511);
    assert_int_equal(set(f, "a", 0, 0), UT_OK);
    assert_int_equal(set(f, "a", 0, 0), UT_OK);
    assert_int_equal(stored(f, "a", &cursor), UT_ENOTFOUND);
    assert_int_equal(stored(f, "ab", &cursor), UT_OK);
    (void)ut_store_check(f->engine);
}

static void names_and_places_have_bounds(void **state)
{
    fixture *f = *state;
    ut_random random = {1};
    ut_query_cursor cursor;
    char name_z[UT_STORE_CONSUMER_NAME_MAX + 2];
    store_words(f, &random, 10, now_ns);
    memset(name_z, 'n', sizeof name_z);
    name_z[UT_STORE_CONSUMER_NAME_MAX + 1] = '\0';
    assert_int_equal(set(f, name_z, 1, 0), UT_EINVAL);
    assert_int_equal(stored(f, name_z, &cursor), UT_ENOTFOUND);
    name_z[UT_STORE_CONSUMER_NAME_MAX] = '\0';
    assert_int_equal(set(f, name_z, 1, 0), UT_OK);
    assert_int_equal(stored(f, name_z, &cursor), UT_OK);
    assert_int_equal(set(f, "", 1, 0), UT_EINVAL);
    assert_int_equal(stored(f, "", &cursor), UT_ENOTFOUND);
    assert_int_equal(set(f, "a", 1, UT_BLOCK_SPANS_MAX), UT_EINVAL);
    assert_int_equal(set(f, "a", 0, 1), UT_EINVAL);
    assert_int_equal(set(f, "a", 2, 0), UT_EINVAL); // there is no such block yet
    for (unsigned i = 1; i < UT_STORE_CONSUMERS_MAX; i++) {
        (void)snprintf(name_z, sizeof name_z, "reader %u", i);
        assert_int_equal(set(f, name_z, 1, 1), UT_OK);
    }
    assert_int_equal(set(f, "one more", 1, 1), UT_ELIMIT);
    assert_int_equal(set(f, name_z, 1, 2), UT_OK);
    assert_int_equal(ut_store_set_consumer(f->store, 2, "elsewhere", 1, 1), UT_OK);
    (void)ut_store_check(f->engine);
}

static void a_place_that_cannot_be_stored_leaves_the_old_one(void **state)
{
    fixture *f = *state;
    ut_random random = {1};
    ut_query_cursor cursor;
    store_words(f, &random, 10, now_ns);
    assert_int_equal(set(f, "a", 1, 1), UT_OK);
    f->faults.err = UT_ENOSPC;
    ut_err err = UT_ENOSPC;
    for (uint64_t nth = 1; err != UT_OK; nth++) {
        assert_true(nth < 100);
        f->faults.fail_at = f->faults.calls + nth;
        err = set(f, "a", 1, 2);
        f->faults.fail_at = 0;
        assert_int_equal(stored(f, "a", &cursor), UT_OK);
        assert_int_equal(cursor.ordinal, err == UT_OK ? 2 : 1);
        assert_true(err == UT_OK || nth > 1 || err == UT_ENOSPC);
    }
    (void)ut_store_check(f->engine);
}

// ---- pulling ----

typedef struct {
    uint32_t count;
    uint32_t stop_at; // as if the reader died here; 0: never
    uint64_t ids[SEEN_MAX];
    uint64_t seq;
    uint32_t ordinal;
} seen;

static ut_err take(void *context, const ut_trace_span *row)
{
    seen *s = context;
    if (s->stop_at != 0 && s->count == s->stop_at)
        return UT_ECANCELED;
    assert_true(s->count < SEEN_MAX);
    assert_true(row->seq > s->seq || (row->seq == s->seq && row->ordinal > s->ordinal) ||
                s->count == 0);
    s->ids[s->count++] = ut_get_be64(row->span.span_id.data);
    s->seq = row->seq;
    s->ordinal = row->ordinal;
    return UT_OK;
}

// A reader that stores its place after each pull, dies now and then, and begins anew from there:
// with what it counts as dealt with, every span comes once, in the order of commits.
static void a_reader_that_dies_goes_on_where_it_was(void **state)
{
    fixture *f = *state;
    static seen dealt;
    static uint64_t stored_ids[SEEN_MAX];
    uint32_t stored_count = 0;
    ut_random random = {8};
    uint32_t damaged;
    dealt = (seen){0};
    ut_query_cursor cursor = {0};
    uint64_t clock_ns = now_ns;
    for (unsigned round = 0; round < 300; round++) {
        if (round < 250) {
            store_words(f, &random, 1 + ut_random_below(&random, 130), clock_ns);
            for (uint32_t i = 0; i < f->batch.span_count; i++)
                stored_ids[stored_count++] = ut_get_be64(ut_batch_spans(&f->batch)[i].span_id);
        }
        seen before = dealt;
        bool dies = ut_random_below(&random, 4) == 0;
        dealt.stop_at = dies ? dealt.count + ut_random_below(&random, 50) : 0;
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        ut_err err =
            ut_query_pull(f->view, UT_ORG_DEFAULT, &cursor, 1 + ut_random_below(&random, 300),
                          &damaged, (ut_trace_span_visitor){take, &dealt});
        ut_store_view_end(f->view);
        assert_int_equal(damaged, 0);
        if (err == UT_ECANCELED) {
            dealt = before; // what it had not stored is lost with it
            err = stored(f, "reader", &cursor);
            assert_true(err == UT_OK || err == UT_ENOTFOUND);
        } else {
            assert_int_equal(err, UT_OK);
            if (cursor.begun)
                assert_int_equal(set(f, "reader", cursor.seq, cursor.ordinal), UT_OK);
        }
    }
    dealt.stop_at = 0;
    for (uint32_t before = UINT32_MAX; before != dealt.count;) {
        before = dealt.count;
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        assert_int_equal(ut_query_pull(f->view, UT_ORG_DEFAULT, &cursor, 1000, &damaged,
                                       (ut_trace_span_visitor){take, &dealt}),
                         UT_OK);
        ut_store_view_end(f->view);
    }
    assert_int_equal(dealt.count, stored_count);
    // A commit writes its spans in the order of the batch, for one organisation and one life.
    assert_memory_equal(dealt.ids, stored_ids, stored_count * sizeof stored_ids[0]);
    // Its blocks expire under it; what comes then is seen from there.
    bool more = true;
    clock_ns += 3 * hour_ns;
    while (more)
        assert_int_equal(ut_store_sweep(f->store, clock_ns, &more), UT_OK);
    store_words(f, &random, 3, clock_ns);
    assert_int_equal(ut_store_view_begin(f->view), UT_OK);
    assert_int_equal(ut_query_pull(f->view, UT_ORG_DEFAULT, &cursor, 1000, &damaged,
                                   (ut_trace_span_visitor){take, &dealt}),
                     UT_OK);
    ut_store_view_end(f->view);
    assert_int_equal(dealt.count, stored_count + 3);
    (void)ut_store_check(f->engine);
}

static void damaged_blocks_are_counted_and_passed_once(void **state)
{
    fixture *f = *state;
    static seen s;
    ut_random random = {8};
    for (unsigned i = 0; i < 4; i++)
        store_words(f, &random, 10, now_ns);
    ut_txn *txn;
    ut_key key = ut_key_piece(UT_ORG_DEFAULT, 3, UT_BLOCK_STORE_SEALED_FROM);
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("damage")), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    ut_query_cursor cursor = {0};
    uint32_t damaged;
    uint32_t total = 0;
    s = (seen){0};
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(ut_store_view_begin(f->view), UT_OK);
        assert_int_equal(ut_query_pull(f->view, UT_ORG_DEFAULT, &cursor, 7, &damaged,
                                       (ut_trace_span_visitor){take, &s}),
                         UT_OK);
        ut_store_view_end(f->view);
        total += damaged;
    }
    assert_int_equal(s.count, 30);
    assert_int_equal(total, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reader_finds_its_place_again),
        TEST(names_and_places_have_bounds),
        TEST(a_place_that_cannot_be_stored_leaves_the_old_one),
        TEST(a_reader_that_dies_goes_on_where_it_was),
        TEST(damaged_blocks_are_counted_and_passed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
