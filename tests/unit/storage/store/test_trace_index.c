// Tests of storage/store/trace_index by itself: which spans of a plan are new, which entries and
// root records a block leaves, and what becomes of them when blocks leave.
#include "storage/store/key.h"
#include "storage/store/trace_index.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024, SPANS_MAX = UT_BLOCK_SPANS_MAX, ORG = 1 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_faults faults; // counts the calls of the engine
    ut_engine *engine;
    ut_trace_index index;
    ut_block_builder *builder;
    ut_batch batch;
    uint64_t seq; // of the last block
} fixture;

static int set_up(void **state)
{
    static const uint8_t seed[16] = {5, 3};
    fixture *f = calloc(1, sizeof(*f));
    f->engine = ut_engine_faulty_wrap(ut_engine_memory_open(BUDGET), &f->faults);
    ut_trace_index_init(&f->index, seed);
    f->builder = ut_block_builder_new(SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_trace_index_free(&f->index);
    ut_block_builder_free(f->builder);
    ut_batch_free(&f->batch);
    ut_engine_close(f->engine);
    free(f);
    return 0;
}

// ---- steps of a commit ----

static void plan(fixture *f, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    const ut_store_append append = {.org = ORG, .batch = &f->batch};
    assert_int_equal(ut_trace_index_plan(&f->index, &append, 1), UT_OK);
}

static ut_txn *begin(fixture *f)
{
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    return txn;
}

// Looks the plan up in a transaction that is given up. Returns how many of its spans are stored, or
// repeats.
static uint32_t count_duplicates(fixture *f)
{
    ut_txn *txn = begin(f);
    uint32_t count = 0;
    assert_int_equal(ut_trace_index_look_up(&f->index, txn, now_ns), UT_OK);
    for (uint32_t i = 0; i < f->index.span_count; i++)
        count += ut_trace_index_spans(&f->index)[i].duplicate;
    ut_txn_abort(txn);
    return count;
}

// Writes the new spans of the plan as one block.
static void write_plan(fixture *f, ut_txn *txn, uint64_t at_ns)
{
    const ut_batch_span *spans = ut_batch_spans(&f->batch);
    assert_int_equal(ut_trace_index_look_up(&f->index, txn, at_ns), UT_OK);
    ut_block_builder_reset(f->builder);
    ut_trace_index_begin_block(&f->index);
    for (uint32_t i = 0; i < f->batch.span_count; i++) {
        if (ut_trace_index_spans(&f->index)[i].duplicate != 0)
            continue;
        const uint32_t ordinal = ut_block_builder_count(f->builder);
        assert_int_equal(ut_block_builder_add(f->builder, &f->batch, &spans[i]), UT_OK);
        ut_trace_index_add(&f->index, i, ordinal);
    }
    f->seq += 1;
    assert_int_equal(ut_trace_index_write_block(&f->index, txn, f->builder, f->seq), UT_OK);
}

static void commit_at(fixture *f, uint64_t at_ns, const ut_test_span *spans, size_t count)
{
    plan(f, spans, count);
    ut_txn *txn = begin(f);
    write_plan(f, txn, at_ns);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

// Takes a block off a trace. Returns the touches.
static uint32_t remove_block(fixture *f, uint32_t trace, uint64_t seq)
{
    uint8_t id[UT_TRACE_ID_LEN];
    ut_txn *txn = begin(f);
    ut_cursor *cursor;
    uint32_t touched = 0;
    ut_test_trace_id(trace, id);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    assert_int_equal(ut_trace_index_remove(&f->index, cursor, ORG, id, seq, &touched), UT_OK);
    ut_cursor_close(cursor);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    return touched;
}

// ---- what is stored ----

typedef struct {
    uint32_t parts; // records of entries
    uint32_t spans;
    uint32_t root_keys; // entries and parts that name the root record
    bool first_has_root_key;
    uint32_t roots; // root records
    ut_record_root root;
    char root_name_z[32]; // of the root record
    uint64_t root_seen_ns;
} stored;

static void take_part(stored *s, ut_bytes value)
{
    ut_record_trace entry;
    assert_int_equal(ut_record_read_trace(value, &entry), UT_OK);
    s->first_has_root_key = s->first_has_root_key || (s->parts == 0 && entry.has_root_key);
    s->parts += 1;
    s->spans += entry.count;
    s->root_keys += entry.has_root_key;
}

static void take_root(stored *s, ut_bytes value, uint64_t seen_ns)
{
    assert_int_equal(ut_record_read_root(value, &s->root), UT_OK);
    assert_true(s->root.name.len < sizeof(s->root_name_z));
    if (s->root.name.len > 0)
        memcpy(s->root_name_z, s->root.name.data, s->root.name.len);
    s->root_seen_ns = seen_ns;
    s->roots += 1;
}

// Everything that the engine has of a trace.
static stored look_at(fixture *f, uint32_t trace)
{
    stored s = {0};
    uint8_t id[UT_TRACE_ID_LEN];
    ut_txn *txn;
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    static const uint8_t first[1] = {0};
    ut_test_trace_id(trace, id);
    assert_int_equal(ut_engine_begin(f->engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    ut_err err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &key, &value);
    while (err == UT_OK) {
        uint32_t org;
        uint64_t number;
        uint8_t found[UT_TRACE_ID_LEN];
        if (ut_key_read_entry(key, &org, found, &number) && memcmp(found, id, sizeof(id)) == 0)
            take_part(&s, value);
        else if (ut_key_read_root(key, &org, &number, found) && memcmp(found, id, sizeof(id)) == 0)
            take_root(&s, value, number);
        err = ut_cursor_next(cursor, &key, &value);
    }
    assert_int_equal(err, UT_ENOTFOUND);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
    return s;
}

// ---- planning ----

static void a_plan_groups_spans_by_trace_and_marks_repeats(void **state)
{
    fixture *f = *state;
    static const ut_test_span spans[6] = {{.trace = 1, .span = 1}, {.trace = 2, .span = 1},
                                          {.trace = 1, .span = 2}, {.trace = 1, .span = 1},
                                          {.trace = 2, .span = 2}, {.trace = 2, .span = 1}};
    plan(f, spans, 6);
    assert_int_equal(f->index.span_count, 6);
    assert_int_equal(f->index.trace_count, 2);
    const ut_plan_span *planned = ut_trace_index_spans(&f->index);
    const ut_plan_trace *traces = ut_trace_index_traces(&f->index);
    static const unsigned repeats[6] = {0, 0, 0, 1, 0, 1};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(planned[i].duplicate, repeats[i]);
    assert_int_equal(traces[planned[0].trace].first, 0);
    assert_int_equal(planned[0].next, 2);
    assert_int_equal(planned[2].next, UINT32_MAX); // a repeat is in no chain
    assert_int_equal(traces[planned[1].trace].first, 1);
    assert_int_equal(planned[1].next, 4);
}

static void a_trace_of_two_organisations_is_two_traces(void **state)
{
    fixture *f = *state;
    static const ut_test_span span = {.trace = 1, .span = 1};
    ut_test_batch(&f->batch, &span, 1);
    const ut_store_append appends[2] = {{.org = 1, .batch = &f->batch},
                                        {.org = 2, .batch = &f->batch}};
    assert_int_equal(ut_trace_index_plan(&f->index, appends, 2), UT_OK);
    assert_int_equal(f->index.trace_count, 2);
    assert_int_equal(count_duplicates(f), 0);
}

// ---- looking up ----

static void stored_spans_are_found(void **state)
{
    fixture *f = *state;
    ut_test_span spans[20];
    for (uint32_t i = 0; i < 20; i++)
        spans[i] = (ut_test_span){.trace = i % 3, .span = i + 1, .parent = 1};
    commit_at(f, now_ns, spans, 10);
    plan(f, spans, 20);
    assert_int_equal(count_duplicates(f), 10);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(ut_trace_index_spans(&f->index)[i].duplicate, i < 10);
}

static void a_second_look_up_forgets_the_marks_of_the_first(void **state)
{
    fixture *f = *state;
    static const ut_test_span spans[3] = {
        {.trace = 1, .span = 1}, {.trace = 1, .span = 2}, {.trace = 1, .span = 2}};
    commit_at(f, now_ns, spans, 2);
    plan(f, spans, 3);
    assert_int_equal(count_duplicates(f), 3);
    (void)remove_block(f, 1, 1);
    assert_int_equal(count_duplicates(f), 1); // the repeat within the plan
}

static void the_blocks_of_a_long_trace_are_not_read_for_new_spans(void **state)
{
    fixture *f = *state;
    enum { ENTRIES = 4 * UT_TRACE_LONG_FROM };
    uint64_t calls[2];
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        const ut_test_span span = {.trace = 1, .span = i, .parent = 1000};
        commit_at(f, now_ns, &span, 1);
    }
    for (uint32_t round = 0; round < 2; round++) {
        const ut_test_span span = {.trace = 1, .span = 500 + round, .parent = 1000};
        plan(f, &span, 1);
        const uint64_t before = f->faults.calls;
        assert_int_equal(count_duplicates(f), 0);
        calls[round] = f->faults.calls - before;
        ut_trace_index_forget(&f->index);
    }
    assert_in_range(calls[0], 1, 5);
    assert_true(calls[1] > ENTRIES);
    // A span that is stored is found, whether the filter says so or the entries do.
    static const ut_test_span known = {.trace = 1, .span = 7, .parent = 1000};
    plan(f, &known, 1);
    assert_int_equal(count_duplicates(f), 1);
    assert_int_equal(count_duplicates(f), 1);
}

static void filters_of_long_traces_take_bounded_memory(void **state)
{
    fixture *f = *state;
    enum { TRACES = 2 * UT_TRACE_FILTERS_MAX };
    for (uint32_t i = 1; i <= UT_TRACE_LONG_FROM + 2; i++) {
        ut_test_span spans[TRACES];
        for (uint32_t t = 0; t < TRACES; t++)
            spans[t] = (ut_test_span){.trace = t, .span = i, .parent = 1000};
        commit_at(f, now_ns, spans, TRACES);
    }
    uint32_t filters = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < UT_TRACE_FILTERS_MAX; i++) {
        filters += f->index.filters[i].bits != NULL;
        bytes += f->index.filters[i].bytes;
    }
    assert_int_equal(filters, UT_TRACE_FILTERS_MAX);
    assert_int_equal(f->index.filter_bytes, bytes);
    assert_true(bytes <= UT_TRACE_FILTERS_BYTES_MAX);
    ut_trace_index_forget(&f->index);
    assert_int_equal(f->index.filter_bytes, 0);
}

// ---- writing ----

static void an_entry_of_many_spans_has_parts_and_one_root_key(void **state)
{
    fixture *f = *state;
    ut_test_span *spans = calloc(SPANS_MAX, sizeof(*spans));
    for (uint32_t i = 0; i < SPANS_MAX; i++)
        spans[i] = (ut_test_span){.trace = 1, .span = i + 1, .parent = i > 0};
    commit_at(f, now_ns, spans, SPANS_MAX);
    const stored s = look_at(f, 1);
    assert_true(s.parts > 1);
    assert_int_equal(s.spans, SPANS_MAX);
    assert_int_equal(s.root_keys, 1);
    assert_true(s.first_has_root_key);
    plan(f, spans, SPANS_MAX);
    assert_int_equal(count_duplicates(f), SPANS_MAX);
    free(spans);
}

static void a_trace_has_one_root_record_which_a_late_root_replaces(void **state)
{
    fixture *f = *state;
    static const ut_test_span child = {.trace = 1, .span = 2, .parent = 1, .name_z = "child"};
    static const ut_test_span root = {.trace = 1, .span = 1, .name_z = "root"};
    static const ut_test_span second = {.trace = 1, .span = 3, .name_z = "second"};
    commit_at(f, now_ns, &child, 1);
    stored s = look_at(f, 1);
    assert_int_equal(s.roots, 1);
    assert_false(s.root.has_root);
    assert_string_equal(s.root_name_z, "child");
    assert_int_equal(s.root_seen_ns, now_ns);

    commit_at(f, now_ns + 5, &root, 1);
    s = look_at(f, 1);
    assert_int_equal(s.roots, 1);
    assert_true(s.root.has_root);
    assert_string_equal(s.root_name_z, "root");
    assert_int_equal(s.root_seen_ns, now_ns + 5);
    assert_int_equal(s.root.seq, 2);
    assert_int_equal(s.root_keys, 1);
    assert_true(s.first_has_root_key);

    commit_at(f, now_ns + 9, &second, 1);
    s = look_at(f, 1);
    assert_int_equal(s.roots, 1);
    assert_string_equal(s.root_name_z, "root");
}

static void names_are_hidden_where_it_is_asked_for(void **state)
{
    fixture *f = *state;
    static const ut_test_span root = {.trace = 1, .span = 1, .name_z = "secret"};
    f->index.hide_names = true;
    commit_at(f, now_ns, &root, 1);
    const stored s = look_at(f, 1);
    assert_int_equal(s.roots, 1);
    assert_true(s.root.names_hidden);
    assert_string_equal(s.root_name_z, "");
}

// ---- removing ----

static void the_root_key_goes_on_to_the_next_entry_and_the_record_with_the_last(void **state)
{
    fixture *f = *state;
    static const ut_test_span spans[3] = {{.trace = 1, .span = 1, .name_z = "root"},
                                          {.trace = 1, .span = 2, .parent = 1},
                                          {.trace = 1, .span = 3, .parent = 1}};
    for (unsigned i = 0; i < 3; i++)
        commit_at(f, now_ns + i, &spans[i], 1);
    assert_int_equal(remove_block(f, 1, 2), 1); // its entry alone
    assert_int_equal(look_at(f, 1).spans, 2);
    assert_int_equal(remove_block(f, 1, 1), 2);
    const stored s = look_at(f, 1);
    assert_int_equal(s.spans, 1);
    assert_int_equal(s.roots, 1);
    assert_true(s.first_has_root_key);
    assert_string_equal(s.root_name_z, "root");
    assert_int_equal(remove_block(f, 1, 3), 2);
    assert_int_equal(look_at(f, 1).roots, 0);
    assert_int_equal(look_at(f, 1).parts, 0);
    assert_int_equal(remove_block(f, 1, 3), 0); // nothing is there
}

static void removing_a_block_takes_all_parts_and_no_other_trace(void **state)
{
    fixture *f = *state;
    ut_test_span *spans = calloc(SPANS_MAX, sizeof(*spans));
    for (uint32_t i = 0; i < SPANS_MAX; i++)
        spans[i] = (ut_test_span){.trace = i == 0 ? 2 : 1, .span = i + 1};
    commit_at(f, now_ns, spans, SPANS_MAX);
    (void)remove_block(f, 1, 1);
    assert_int_equal(look_at(f, 1).parts, 0);
    assert_int_equal(look_at(f, 1).roots, 0);
    assert_int_equal(look_at(f, 2).spans, 1);
    assert_int_equal(look_at(f, 2).roots, 1);
    free(spans);
}

static void spans_that_left_may_come_again(void **state)
{
    fixture *f = *state;
    enum { ENTRIES = 2 * UT_TRACE_LONG_FROM };
    for (uint32_t i = 1; i <= ENTRIES; i++) {
        const ut_test_span span = {.trace = 1, .span = i, .parent = 1000};
        commit_at(f, now_ns, &span, 1);
    }
    for (uint64_t seq = 1; seq <= ENTRIES; seq++)
        (void)remove_block(f, 1, seq);
    static const ut_test_span again = {.trace = 1, .span = 7, .parent = 1000};
    commit_at(f, now_ns, &again, 1);
    assert_int_equal(look_at(f, 1).spans, 1);
    plan(f, &again, 1);
    assert_int_equal(count_duplicates(f), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plan_groups_spans_by_trace_and_marks_repeats),
        TEST(a_trace_of_two_organisations_is_two_traces),
        TEST(stored_spans_are_found),
        TEST(a_second_look_up_forgets_the_marks_of_the_first),
        TEST(the_blocks_of_a_long_trace_are_not_read_for_new_spans),
        TEST(filters_of_long_traces_take_bounded_memory),
        TEST(an_entry_of_many_spans_has_parts_and_one_root_key),
        TEST(a_trace_has_one_root_record_which_a_late_root_replaces),
        TEST(names_are_hidden_where_it_is_asked_for),
        TEST(the_root_key_goes_on_to_the_next_entry_and_the_record_with_the_last),
        TEST(removing_a_block_takes_all_parts_and_no_other_trace),
        TEST(spans_that_left_may_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
