// Tests of storage/store/trace_index by itself: which spans of a plan are new, which entries a
// block leaves, and which of them are heads. Blocks are written without their spans: the index does
// not read them.
#include "storage/store/key.h"
#include "storage/store/trace_heads.h"
#include "storage/store/trace_index.h"
#include "storage/store/trace_merge.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BUDGET = 256 * 1024 * 1024, ORG = 1, STEPS_MAX = 100000 };

static const uint64_t begin_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_faults faults;
    ut_engine *engine;
    ut_txn *txn; // of the whole test
    ut_trace_index index;
    ut_trace_merger merger;
    ut_block_builder *builder;
    ut_batch batch;
    ut_store_append append; // of the plan
    uint64_t seq;           // of the last block
    uint64_t oldest_seq;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->engine = ut_engine_faulty_wrap(ut_engine_memory_open(BUDGET), &f->faults);
    f->txn = ut_test_begin(f->engine, true);
    assert_int_equal(ut_trace_index_init(&f->index), UT_OK);
    assert_int_equal(ut_trace_index_open(&f->index, f->txn), UT_OK);
    ut_trace_merger_init(&f->merger);
    f->builder = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    f->oldest_seq = 1;
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_txn_abort(f->txn);
    ut_trace_merger_free(&f->merger);
    ut_trace_index_free(&f->index);
    ut_block_builder_free(f->builder);
    ut_batch_free(&f->batch);
    ut_engine_close(f->engine);
    free(f);
    return 0;
}

// ---- steps of a commit ----

static void plan(fixture *f, uint32_t org, const ut_test_span *spans, size_t count)
{
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, spans, count);
    f->append = (ut_store_append){.org = org, .batch = &f->batch};
    assert_int_equal(ut_trace_index_plan(&f->index, 0, &f->append, 1), UT_OK);
}

static uint32_t count_marked(const fixture *f)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->index.span_count; i++)
        count += ut_trace_index_spans(&f->index)[i].duplicate;
    return count;
}

// How many spans of the plan are stored, or repeats.
static uint32_t count_duplicates(fixture *f, const ut_test_span *spans, size_t count)
{
    plan(f, ORG, spans, count);
    assert_int_equal(ut_trace_index_look_up(&f->index, f->txn), UT_OK);
    return count_marked(f);
}

// Writes the new spans of a plan as one block, if there are any. Returns how many they are.
static uint32_t write_org(fixture *f, uint32_t org, const ut_test_span *spans, size_t count)
{
    plan(f, org, spans, count);
    assert_int_equal(ut_trace_index_look_up(&f->index, f->txn), UT_OK);
    ut_block_builder_reset(f->builder);
    ut_trace_index_begin_block(&f->index);
    for (uint32_t i = 0; i < f->batch.span_count; i++) {
        if (ut_trace_index_spans(&f->index)[i].duplicate != 0)
            continue;
        const uint32_t ordinal = ut_block_builder_count(f->builder);
        assert_int_equal(ut_block_builder_add(f->builder, &f->batch, &ut_batch_spans(&f->batch)[i]),
                         UT_OK);
        ut_trace_index_add(&f->index, i, ordinal);
    }
    const uint32_t stored = ut_block_builder_count(f->builder);
    if (stored == 0)
        return 0;
    f->seq += 1;
    assert_int_equal(ut_trace_index_write_block(&f->index, f->txn, org, f->builder, f->seq), UT_OK);
    const ut_key key = ut_key_summary(org, f->seq);
    assert_int_equal(ut_txn_put(f->txn, ut_key_bytes(&key), UT_BYTES_LIT("summary")), UT_OK);
    return stored;
}

static uint32_t write(fixture *f, const ut_test_span *spans, size_t count)
{
    return write_org(f, ORG, spans, count);
}

// The block leaves, as a removal begins: its summary goes first.
static void leave(fixture *f, uint64_t seq)
{
    const ut_key key = ut_key_summary(ORG, seq);
    assert_int_equal(ut_txn_del(f->txn, ut_key_bytes(&key)), UT_OK);
    if (seq == f->oldest_seq)
        f->oldest_seq += 1;
}

static void merge_all(fixture *f)
{
    const ut_merge_job job = {
        .txn = f->txn,
        .org = ORG,
        .filter_key = f->index.filter_key,
        .postings_max = 3000,
        .run_bytes_max = UINT64_MAX,
        .oldest_seq = f->oldest_seq,
    };
    bool more = true;
    uint32_t touched = 0;
    for (unsigned i = 0; more; i++) {
        assert_true(i < STEPS_MAX);
        assert_int_equal(ut_trace_merge_step(&f->merger, &job, &touched, &more), UT_OK);
    }
}

static ut_err read_part(fixture *f, uint64_t seq, uint32_t trace, ut_trace_part *part)
{
    uint8_t id[UT_TRACE_ID_LEN];
    ut_cursor *cursor;
    ut_test_trace_id(trace, id);
    assert_int_equal(ut_txn_cursor(f->txn, &cursor), UT_OK);
    const ut_err err = ut_trace_part_read(cursor, ORG, seq, id, part);
    ut_cursor_close(cursor);
    return err;
}

// ---- the plan ----

static void a_span_that_stands_twice_in_a_request_is_kept_once(void **state)
{
    fixture *f = *state;
    const ut_test_span spans[] = {{.trace = 1, .span = 1},
                                  {.trace = 1, .span = 2, .parent = 1},
                                  {.trace = 1, .span = 1},
                                  {.trace = 2, .span = 1},
                                  {.trace = 1, .span = 2, .parent = 1}};
    assert_int_equal(count_duplicates(f, spans, 5), 2);
    assert_int_equal(write(f, spans, 5), 3);
    assert_int_equal(write(f, spans, 5), 0);
}

// Whatever differs, the two are two: content, resource, and nothing but one bit of a time.
static void equal_ids_with_another_content_are_two_spans(void **state)
{
    fixture *f = *state;
    const ut_test_span first = {.trace = 1, .span = 1, .start_ns = begin_ns};
    const ut_test_span others[] = {
        {.trace = 1, .span = 1, .start_ns = begin_ns, .name_z = "other"},
        {.trace = 1, .span = 1, .start_ns = begin_ns, .service_z = "other"},
        {.trace = 1, .span = 1, .start_ns = begin_ns ^ 1},
        {.trace = 1, .span = 1, .start_ns = begin_ns, .parent = 7},
        {.trace = 1, .span = 1, .start_ns = begin_ns, .status = 2},
        {.trace = 1, .span = 1, .start_ns = begin_ns, .filler = 5},
    };
    assert_int_equal(write(f, &first, 1), 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(write(f, &others[i], 1), 1);
        assert_int_equal(write(f, &others[i], 1), 0);
    }
    assert_int_equal(write(f, &first, 1), 0);
    const ut_test_span both[] = {{.trace = 2, .span = 1}, {.trace = 2, .span = 1, .name_z = "b"}};
    assert_int_equal(write(f, both, 2), 2);
}

static void a_plan_without_spans_is_nothing(void **state)
{
    fixture *f = *state;
    assert_int_equal(ut_trace_index_plan(&f->index, 0, NULL, 0), UT_OK);
    assert_int_equal(ut_trace_index_look_up(&f->index, f->txn), UT_OK);
    assert_int_equal(f->index.trace_count, 0);
}

static void organisations_share_no_span(void **state)
{
    fixture *f = *state;
    const ut_test_span span = {.trace = 1, .span = 1};
    for (uint32_t org = 1; org <= 3; org++)
        assert_int_equal(write_org(f, org, &span, 1), 1);
    for (uint32_t org = 1; org <= 3; org++)
        assert_int_equal(write_org(f, org, &span, 1), 0);
}

// ---- sizes ----

enum { SPANS = UT_BLOCK_SPANS_MAX };

static void blocks_of_one_trace_are_known_at_every_size(void **state)
{
    fixture *f = *state;
    static ut_test_span spans[SPANS];
    for (uint32_t size = 1; size <= SPANS; size += size < 8 ? 1 : size / 3) {
        for (uint32_t i = 0; i < size; i++)
            spans[i] = (ut_test_span){.trace = size, .span = i + 1, .start_ns = begin_ns + i};
        assert_int_equal(write(f, spans, size), size);
        ut_trace_part part;
        assert_int_equal(read_part(f, f->seq, size, &part), UT_OK);
        assert_int_equal(part.count, size);
        for (uint32_t i = 0; i < SPANS; i++)
            assert_int_equal((part.ordinals[i / 8] >> i % 8) & 1, i < size);
        assert_int_equal(write(f, spans, size), 0);
        spans[size - 1].name_z = "changed";
        assert_int_equal(count_duplicates(f, spans, size), size - 1);
    }
}

static void a_block_of_as_many_traces_as_spans_is_known(void **state)
{
    fixture *f = *state;
    static ut_test_span spans[SPANS];
    for (uint32_t i = 0; i < SPANS; i++)
        spans[i] = (ut_test_span){.trace = 1000 + i, .span = 1, .status = (int32_t)(i % 3)};
    assert_int_equal(write(f, spans, SPANS), SPANS);
    for (uint32_t i = 0; i < SPANS; i++) {
        ut_trace_part part;
        assert_int_equal(read_part(f, f->seq, 1000 + i, &part), UT_OK);
        assert_int_equal(part.count, 1);
        assert_int_equal(part.root_ordinal, i);
        assert_int_equal(part.status, i % 3 == 2 ? UT_STATUS_ERROR : i % 3);
        assert_true(part.has_root && part.head);
    }
    assert_int_equal(write(f, spans, SPANS), 0);
}

// ---- look-ups through runs ----

// A span is known whether its block is in no run or in one of level 1, 2 or 3; and one with the
// same ids and another content is not.
static void a_span_is_known_through_runs_of_every_level(void **state)
{
    fixture *f = *state;
    enum { BLOCKS = 32 * 12 * 12 + 32 * 12 + 32 + 5, LONG_LIVED = 9 };
    ut_buf runs;
    bool levels[UT_RUN_LEVELS_MAX + 1] = {false};
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    for (uint32_t i = 1; i <= BLOCKS; i++) {
        const ut_test_span spans[] = {{.trace = 100 + i, .span = 1},
                                      {.trace = i % LONG_LIVED, .span = i, .parent = 1}};
        assert_int_equal(write(f, spans, 2), 2);
        if (i % 32 == 0)
            merge_all(f);
    }
    assert_int_equal(ut_runs_read(f->txn, ORG, &runs, NULL), UT_OK);
    for (size_t i = 0; i < ut_runs_count(&runs); i++) {
        levels[ut_runs_of(&runs)[i].level] = true;
        // The first and the last block of each run.
        for (unsigned end = 0; end < 2; end++) {
            const uint32_t n = (uint32_t)(end == 0 ? ut_runs_of(&runs)[i].first_seq
                                                   : ut_runs_of(&runs)[i].last_seq);
            const ut_test_span again[] = {{.trace = 100 + n, .span = 1},
                                          {.trace = n % LONG_LIVED, .span = n, .parent = 1},
                                          {.trace = 100 + n, .span = 1, .name_z = "other"},
                                          {.trace = n % LONG_LIVED, .span = n}};
            assert_int_equal(count_duplicates(f, again, 2), 2);
            assert_int_equal(count_duplicates(f, again, 4), 2);
        }
    }
    assert_true(levels[1] && levels[2] && levels[3]);
    const ut_test_span last = {.trace = 100 + BLOCKS, .span = 1};
    assert_int_equal(count_duplicates(f, &last, 1), 1); // in no run
    ut_buf_free(&runs);
}

static void a_span_is_stored_again_after_its_block_has_left(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 1; i <= 40; i++) {
        const ut_test_span span = {.trace = i % 3, .span = i};
        assert_int_equal(write(f, &span, 1), 1);
    }
    merge_all(f);
    for (uint32_t i = 1; i <= 40; i += 13) { // 1, 14 and 27 are in a run, 40 is not
        const ut_test_span span = {.trace = i % 3, .span = i};
        assert_int_equal(count_duplicates(f, &span, 1), 1);
        leave(f, i);
        assert_int_equal(count_duplicates(f, &span, 1), 0);
        assert_int_equal(write(f, &span, 1), 1);
        assert_int_equal(count_duplicates(f, &span, 1), 1);
    }
}

// Marks of a transaction that was given up do not stay.
static void a_plan_is_looked_up_anew(void **state)
{
    fixture *f = *state;
    const ut_test_span spans[] = {{.trace = 1, .span = 1}, {.trace = 1, .span = 1}};
    assert_int_equal(write(f, spans, 2), 1);
    plan(f, ORG, spans, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ut_trace_index_look_up(&f->index, f->txn), UT_OK);
        assert_int_equal(count_marked(f), 2);
    }
    leave(f, 1);
    assert_int_equal(ut_trace_index_look_up(&f->index, f->txn), UT_OK);
    assert_int_equal(count_marked(f), 1); // the repeat within the plan
}

// ---- heads ----

static bool is_head(fixture *f, uint64_t seq, uint32_t trace)
{
    ut_trace_part part;
    assert_int_equal(read_part(f, seq, trace, &part), UT_OK);
    return part.head;
}

static void the_first_block_and_the_first_with_a_root_span_are_heads(void **state)
{
    fixture *f = *state;
    const ut_test_span spans[] = {{.trace = 1, .span = 2, .parent = 1},
                                  {.trace = 1, .span = 3, .parent = 1},
                                  {.trace = 1, .span = 1},
                                  {.trace = 1, .span = 4},
                                  {.trace = 1, .span = 5, .parent = 1}};
    static const bool heads[] = {true, false, true, false, false};
    for (unsigned merged = 0; merged < 2; merged++) {
        const uint64_t from = f->seq;
        for (uint64_t i = 0; i < 5; i++) {
            ut_test_span span = spans[i];
            span.trace += merged;
            assert_int_equal(write(f, &span, 1), 1);
            // Filling, so that runs are made between them.
            for (uint32_t k = 0; k < 40 && merged == 1; k++) {
                const ut_test_span other = {.trace = 100, .span = 1 + (uint32_t)i * 100 + k};
                assert_int_equal(write(f, &other, 1), 1);
            }
            merge_all(f);
            assert_int_equal(is_head(f, from + 1 + i * (merged == 1 ? 41 : 1), 1 + merged),
                             heads[i]);
        }
    }
}

static void a_head_passes_to_the_next_block_with_a_root_span(void **state)
{
    fixture *f = *state;
    uint8_t id[UT_TRACE_ID_LEN];
    ut_cursor *cursor;
    uint32_t touched = 0;
    const ut_test_span spans[] = {{.trace = 1, .span = 1},
                                  {.trace = 1, .span = 2, .parent = 1},
                                  {.trace = 1, .span = 3},
                                  {.trace = 1, .span = 4, .parent = 1}};
    static const uint64_t heirs[] = {3, 4};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(write(f, &spans[i], 1), 1);
    ut_test_trace_id(1, id);
    assert_true(is_head(f, 1, 1) && !is_head(f, 3, 1));
    leave(f, 1);
    assert_int_equal(ut_txn_cursor(f->txn, &cursor), UT_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ut_trace_heads_pass(&f->index, cursor, ORG, id, 1, &touched), UT_OK);
        assert_true(is_head(f, heirs[i], 1));
        assert_int_equal(touched, 2 * (i + 1));
        // One that has a head is left alone.
        assert_int_equal(ut_trace_heads_pass(&f->index, cursor, ORG, id, 1, &touched), UT_OK);
        assert_int_equal(touched, 2 * (i + 1));
        leave(f, i == 0 ? 3 : 4);
        if (i == 0)
            leave(f, 2);
    }
    assert_int_equal(ut_trace_heads_pass(&f->index, cursor, ORG, id, 1, &touched), UT_OK);
    assert_int_equal(touched, 4);
    ut_cursor_close(cursor);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, UT_TRACE_ID_LEN);
}

// A removal may touch only so much: what stands together is reckoned once.
static void heads_that_pass_to_one_block_touch_it_once(void **state)
{
    enum { TRACES = UT_TRACE_HEADS_MAX };
    fixture *f = *state;
    uint8_t ids[TRACES * UT_TRACE_ID_LEN];
    ut_cursor *cursor;
    uint32_t touched = 0;
    for (uint32_t b = 0; b < 2; b++) {
        ut_test_span spans[TRACES];
        for (uint32_t i = 0; i < TRACES; i++)
            spans[i] = (ut_test_span){.trace = i + 1, .span = b + 1, .parent = b};
        assert_int_equal(write(f, spans, TRACES), TRACES);
    }
    for (uint32_t i = 0; i < TRACES; i++)
        ut_test_trace_id(i + 1, ids + (size_t)i * UT_TRACE_ID_LEN);
    qsort(ids, TRACES, UT_TRACE_ID_LEN, compare_ids);
    leave(f, 1);
    assert_int_equal(ut_txn_cursor(f->txn, &cursor), UT_OK);
    assert_int_equal(ut_trace_heads_pass(&f->index, cursor, ORG, ids, TRACES, &touched), UT_OK);
    ut_cursor_close(cursor);
    for (uint32_t i = 0; i < TRACES; i++)
        assert_true(is_head(f, 2, i + 1));
    assert_int_equal(touched, 2); // the page of its pieces, and the one that names it
}

// ---- errors ----

static void errors_of_the_engine_come_back(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 1; i <= 40; i++) {
        const ut_test_span span = {.trace = i % 3, .span = i};
        assert_int_equal(write(f, &span, 1), 1);
    }
    merge_all(f);
    const ut_test_span again[] = {{.trace = 1, .span = 1},
                                  {.trace = 2, .span = 2},
                                  {.trace = 1, .span = 40},
                                  {.trace = 9, .span = 1}};
    plan(f, ORG, again, 4);
    ut_err err = UT_EIO;
    for (uint64_t n = 1; err != UT_OK; n++) {
        f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        err = ut_trace_index_look_up(&f->index, f->txn);
        f->faults = (ut_faults){0};
        assert_true(err == UT_OK || err == UT_EIO);
        assert_true(n < 1000);
    }
    assert_int_equal(count_marked(f), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_span_that_stands_twice_in_a_request_is_kept_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(equal_ids_with_another_content_are_two_spans, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_plan_without_spans_is_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(organisations_share_no_span, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blocks_of_one_trace_are_known_at_every_size, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_block_of_as_many_traces_as_spans_is_known, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_span_is_known_through_runs_of_every_level, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_span_is_stored_again_after_its_block_has_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_plan_is_looked_up_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_block_and_the_first_with_a_root_span_are_heads,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_passes_to_the_next_block_with_a_root_span, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(heads_that_pass_to_one_block_touch_it_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(errors_of_the_engine_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
