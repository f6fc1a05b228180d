// Tests of storage/store/trace_run: heads, postings and filters of a run come back, over any number
// of slices and from any place; damaged slices end a walk or are passed.
#include "storage/span/block.h"
#include "storage/store/key.h"
#include "storage/store/run_filter.h"
#include "storage/store/trace_run.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BUDGET = 64 * 1024 * 1024, ORG = 3, RUN = 5, PAGE_BEST = 4080 };

static const ut_siphash_key filter_key = {UINT64_C(0x1234567), UINT64_C(0xabcdef)};

typedef struct {
    ut_engine *engine;
    ut_run_writer writer;
    ut_buf value;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->engine = ut_engine_memory_open(BUDGET);
    ut_run_writer_init(&f->writer);
    ut_buf_init(&f->value, 1 << 20);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_run_writer_free(&f->writer);
    ut_buf_free(&f->value);
    ut_engine_close(f->engine);
    free(f);
    return 0;
}

// ---- postings that follow from numbers ----

// Ids of even numbers are in a run, those of odd ones between them are not.
static void make_id(uint32_t number, uint8_t id[UT_TRACE_ID_LEN])
{
    memset(id, 0, UT_TRACE_ID_LEN);
    ut_put_be32(id, number / 16); // neighbours share most of their bytes
    ut_put_be32(id + UT_TRACE_ID_LEN - 4, number);
}

static uint16_t print_of(uint32_t trace, uint64_t seq, uint32_t span)
{
    ut_random random = {(uint64_t)trace << 40 ^ seq << 16 ^ span};
    return (uint16_t)ut_random_next(&random);
}

// Trace 2n of a run has postings in blocks first_seq, + 3, ...; how many, and of how many spans,
// the shape says.
typedef struct {
    uint32_t traces;
    uint32_t postings;
    uint32_t spans;
} shape;

static uint64_t seq_of(uint32_t posting)
{
    return 100 + 3 * (uint64_t)posting;
}

static bool is_head(uint32_t trace, uint32_t posting)
{
    return trace % 3 == 0 && posting == 0;
}

static ut_posting make_posting(const uint8_t *id, uint32_t trace, uint32_t posting, uint32_t spans,
                               uint8_t *prints)
{
    for (uint32_t i = 0; i < spans; i++) {
        prints[2 * (size_t)i] = (uint8_t)print_of(trace, seq_of(posting), i);
        prints[2 * (size_t)i + 1] = (uint8_t)(print_of(trace, seq_of(posting), i) >> 8);
    }
    return (ut_posting){
        .trace_id = id,
        .seq = seq_of(posting),
        .head = is_head(trace, posting),
        .has_root = trace % 5 == 0,
        .count = spans,
        .fingerprints = {prints, (size_t)spans * UT_FINGERPRINT_LEN},
    };
}

// Writes a run. steps: transactions of the writer, each of which goes on where the last one ended.
static void write_run(fixture *f, ut_txn *txn, const shape *of, uint32_t steps)
{
    uint8_t id[UT_TRACE_ID_LEN];
    uint8_t *prints = malloc((size_t)of->spans * UT_FINGERPRINT_LEN);
    const uint64_t total = (uint64_t)of->traces * of->postings;
    uint64_t done = 0;
    uint64_t traces = 0;
    assert_non_null(prints);
    for (uint32_t step = 1; step <= steps; step++) {
        ut_run_writer_begin(&f->writer, txn, filter_key, ORG, RUN, done > 0 ? id : NULL);
        for (; done < total * step / steps; done++) {
            const uint32_t trace = 2 * (uint32_t)(done / of->postings);
            make_id(trace, id);
            const ut_posting posting =
                make_posting(id, trace, (uint32_t)(done % of->postings), of->spans, prints);
            assert_int_equal(ut_run_writer_add(&f->writer, &posting), UT_OK);
        }
        assert_int_equal(ut_run_writer_end(&f->writer), UT_OK);
        traces += f->writer.traces;
    }
    assert_true(traces == of->traces);
    free(prints);
}

static void assert_posting(uint32_t trace, uint32_t posting, uint32_t spans, const ut_posting *got)
{
    uint8_t id[UT_TRACE_ID_LEN];
    make_id(trace, id);
    assert_memory_equal(got->trace_id, id, sizeof(id));
    assert_true(got->seq == seq_of(posting));
    assert_int_equal(got->head, is_head(trace, posting));
    assert_int_equal(got->has_root, trace % 5 == 0);
    assert_int_equal(got->count, spans);
    assert_int_equal(got->fingerprints.len, (size_t)spans * UT_FINGERPRINT_LEN);
    for (uint32_t i = 0; i < spans; i++) {
        const uint8_t *at = got->fingerprints.data + 2 * (size_t)i;
        assert_int_equal(at[0] | at[1] << 8, print_of(trace, got->seq, i));
    }
}

static ut_cursor *cursor_of(ut_txn *txn)
{
    ut_cursor *cursor;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    return cursor;
}

// Slices of a run of a kind; the longest of them.
static unsigned count_slices(ut_txn *txn, ut_key_run_slice kind, uint64_t run, size_t *longest)
{
    static const uint8_t lowest[UT_TRACE_ID_LEN] = {0};
    const ut_key from = ut_key_slice(ORG, kind, run, lowest, 0);
    ut_cursor *cursor = cursor_of(txn);
    ut_bytes key;
    ut_bytes value;
    unsigned count = 0;
    *longest = 0;
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    for (; err == UT_OK; err = ut_cursor_next(cursor, &key, &value)) {
        if (key.len < UT_KEY_PREFIX_RUN || memcmp(key.data, from.data, UT_KEY_PREFIX_RUN) != 0)
            break;
        count += 1;
        if (value.len > *longest)
            *longest = value.len;
    }
    ut_cursor_close(cursor);
    return count;
}

// ---- heads ----

static void heads_come_back_in_the_order_of_their_numbers(void **state)
{
    fixture *f = *state;
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_buf runs;
    uint32_t damaged = 0;
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    for (uint32_t i = 60; i > 0; i--) {
        const ut_run run = {
            .run = i * UINT64_C(7),
            .state = (ut_run_state)(i % 3),
            .level = 1 + i % UT_RUN_LEVELS_MAX,
            .first_seq = i,
            .last_seq = i * UINT64_C(0x100000000),
            .traces = UINT64_MAX - i,
            .postings = i,
            .spans = i + 1,
            .bytes = i + 2,
        };
        for (uint32_t org = ORG - 1; org <= ORG + 1; org++)
            assert_int_equal(ut_run_put(txn, org, &run, &f->value), UT_OK);
    }
    assert_int_equal(ut_runs_read(txn, ORG, &runs, &damaged), UT_OK);
    assert_int_equal(ut_runs_count(&runs), 60);
    assert_int_equal(damaged, 0);
    for (uint32_t i = 1; i <= 60; i++) {
        const ut_run *run = &ut_runs_of(&runs)[i - 1];
        assert_true(run->run == i * UINT64_C(7));
        assert_int_equal(run->state, i % 3);
        assert_int_equal(run->level, 1 + i % UT_RUN_LEVELS_MAX);
        assert_true(run->first_seq == i && run->last_seq == i * UINT64_C(0x100000000));
        assert_true(run->traces == UINT64_MAX - i && run->postings == i);
        assert_true(run->spans == i + 1 && run->bytes == i + 2);
    }
    ut_buf_free(&runs);
    ut_txn_abort(txn);
}

static void what_is_covered_ends_before_a_run_that_is_built(void **state)
{
    ut_buf runs;
    (void)state;
    ut_buf_init(&runs, 1 << 16);
    assert_true(ut_runs_covered(&runs) == 0);
    const ut_run all[] = {
        {.state = UT_RUN_READY, .first_seq = 1, .last_seq = 32},
        {.state = UT_RUN_BUILDING, .first_seq = 65, .last_seq = 96},
        {.state = UT_RUN_DROPPED, .first_seq = 33, .last_seq = 64},
    };
    ut_buf_add(&runs, all, sizeof(all));
    assert_true(ut_runs_covered(&runs) == 64);
    ut_buf_free(&runs);
}

static void a_damaged_head_is_passed_and_counted(void **state)
{
    fixture *f = *state;
    ut_random random = {5};
    ut_buf runs;
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    const ut_run run = {.run = RUN, .level = 1, .first_seq = 300, .last_seq = 70000, .traces = 9};
    assert_int_equal(ut_run_put(txn, ORG, &run, &f->value), UT_OK);
    const ut_key key = ut_key_run(ORG, RUN);
    for (size_t cut = 0; cut <= f->value.len; cut++) {
        uint32_t damaged = 0;
        const ut_bytes value = {f->value.data, cut};
        assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), value), UT_OK);
        assert_int_equal(ut_runs_read(txn, ORG, &runs, &damaged), UT_OK);
        assert_int_equal(damaged, cut < f->value.len);
        assert_int_equal(ut_runs_count(&runs), cut == f->value.len);
    }
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t bytes[40];
        uint32_t damaged = 0;
        const size_t len = ut_random_below(&random, sizeof(bytes) + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(ut_random_below(&random, 3) == 0 ? ut_random_next(&random) : 1);
        if (len > 0)
            bytes[0] = 0x98;
        assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){bytes, len}), UT_OK);
        assert_int_equal(ut_runs_read(txn, ORG, &runs, &damaged), UT_OK);
        assert_int_equal(ut_runs_count(&runs) + damaged, 1);
        for (size_t i = 0; i < ut_runs_count(&runs); i++) {
            const ut_run *read = &ut_runs_of(&runs)[i];
            assert_true(read->state <= UT_RUN_DROPPED && read->first_seq <= read->last_seq);
            assert_in_range(read->level, 1, UT_RUN_LEVELS_MAX);
        }
    }
    ut_buf_free(&runs);
    ut_txn_abort(txn);
}

// ---- postings ----

static void walk_all(ut_txn *txn, const shape *of)
{
    ut_cursor *cursor = cursor_of(txn);
    ut_run_walk walk;
    ut_posting posting;
    uint8_t id[UT_TRACE_ID_LEN] = {0};
    ut_run_walk_begin(&walk, cursor, ORG, RUN);
    ut_err err = ut_run_walk_seek(&walk, id, 0, &posting);
    for (uint64_t i = 0; i < (uint64_t)of->traces * of->postings; i++) {
        assert_int_equal(err, UT_OK);
        assert_posting(2 * (uint32_t)(i / of->postings), (uint32_t)(i % of->postings), of->spans,
                       &posting);
        err = ut_run_walk_next(&walk, &posting);
    }
    assert_int_equal(err, UT_ENOTFOUND);
    ut_cursor_close(cursor);
}

static const shape shapes[] = {
    {1, 1, 1},   {1, 1, 512},  {1, 300, 1},  {1, 40, 512}, {2000, 1, 1}, {300, 4, 3},
    {40, 70, 2}, {700, 1, 30}, {3, 200, 25}, {50, 1, 512}, {9, 9, 9},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void surround(fixture *f, ut_txn *txn)
{
    // Runs beside it, and another organisation, have traces of their own.
    static const uint64_t runs[] = {RUN - 1, RUN + 1, RUN};
    for (size_t i = 0; i < 3; i++) {
        uint8_t id[UT_TRACE_ID_LEN];
        memset(id, i == 1 ? 0 : UINT8_MAX, sizeof(id));
        const uint8_t print[2] = {0};
        const ut_posting posting = {
            .trace_id = id, .seq = 1, .count = 1, .fingerprints = {print, 2}};
        ut_run_writer_begin(&f->writer, txn, filter_key, i == 2 ? ORG + 1 : ORG, runs[i], NULL);
        assert_int_equal(ut_run_writer_add(&f->writer, &posting), UT_OK);
        assert_int_equal(ut_run_writer_end(&f->writer), UT_OK);
    }
}

static void a_run_comes_back_in_order_however_it_was_written(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < SHAPES; i++) {
        for (uint32_t steps = 1; steps <= 40; steps += 13) {
            for (unsigned page = 0; page < 2; page++) {
                const uint32_t small = 1000;
                f->engine->value_bytes_best = page == 0 ? small : PAGE_BEST;
                ut_txn *txn = ut_test_begin(f->engine, true);
                surround(f, txn);
                write_run(f, txn, &shapes[i], steps);
                walk_all(txn, &shapes[i]);
                ut_txn_abort(txn);
            }
        }
    }
}

static void slices_keep_to_a_page(void **state)
{
    fixture *f = *state;
    f->engine->value_bytes_best = PAGE_BEST;
    for (size_t i = 0; i < SHAPES; i++) {
        size_t longest;
        ut_txn *txn = ut_test_begin(f->engine, true);
        write_run(f, txn, &shapes[i], 1);
        const unsigned slices = count_slices(txn, UT_KEY_RUN_POSTINGS, RUN, &longest);
        assert_true(longest <= PAGE_BEST);
        // And pages are well filled: a large posting may leave room behind it.
        const uint64_t bytes = f->writer.bytes;
        assert_true(slices == 1 || bytes / slices > PAGE_BEST / 2);
        assert_true(count_slices(txn, UT_KEY_RUN_FILTER, RUN, &longest) >= 1);
        assert_true(longest <= PAGE_BEST);
        ut_txn_abort(txn);
    }
}

static void a_walk_begins_at_any_posting_or_before_it(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < SHAPES; i++) {
        const shape *of = &shapes[i];
        ut_random random = {i};
        ut_txn *txn = ut_test_begin(f->engine, true);
        surround(f, txn);
        write_run(f, txn, of, 3);
        ut_cursor *cursor = cursor_of(txn);
        for (unsigned round = 0; round < 400; round++) {
            ut_run_walk walk;
            ut_posting posting;
            uint8_t id[UT_TRACE_ID_LEN];
            uint32_t trace = ut_random_below(&random, 2 * of->traces + 1);
            uint32_t number = ut_random_below(&random, of->postings);
            const uint64_t before = ut_random_below(&random, 3);
            make_id(trace, id);
            ut_run_walk_begin(&walk, cursor, ORG, RUN);
            const ut_err err = ut_run_walk_seek(&walk, id, seq_of(number) - before, &posting);
            if (trace % 2 == 1) { // the next one, from its first posting on
                trace += 1;
                number = 0;
            }
            assert_int_equal(err, trace < 2 * of->traces ? UT_OK : UT_ENOTFOUND);
            if (err == UT_OK)
                assert_posting(trace, number, of->spans, &posting);
        }
        ut_cursor_close(cursor);
        ut_txn_abort(txn);
    }
}

// The postings of a trace, by a walk that has just found it.
static uint32_t count_found(ut_run_walk *walk, const uint8_t *id)
{
    uint32_t count = 0;
    ut_err err = UT_OK;
    ut_posting posting;
    while (err == UT_OK && memcmp(walk->head.trace_id, id, UT_TRACE_ID_LEN) == 0) {
        bool any_head = false;
        while (ut_run_walk_in_group(walk, &posting)) {
            any_head = any_head || posting.head;
            for (uint32_t i = 0; i < posting.count; i++) {
                const uint8_t *at = posting.fingerprints.data + 2 * (size_t)i;
                assert_true(
                    ut_posting_group_may_have(&walk->head, (uint32_t)at[0] | (uint32_t)at[1] << 8));
            }
            count += 1;
        }
        assert_int_equal(any_head, walk->head.any_head);
        err = ut_run_walk_next_group(walk);
    }
    return count;
}

static void rising_ids_are_found_on_one_walk(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < SHAPES; i++) {
        const shape *of = &shapes[i];
        ut_random random = {i + 77};
        ut_txn *txn = ut_test_begin(f->engine, true);
        surround(f, txn);
        write_run(f, txn, of, 2);
        ut_cursor *cursor = cursor_of(txn);
        for (uint32_t skip = 1; skip < 600; skip += 1 + skip / 2) {
            ut_run_walk walk;
            ut_run_walk_begin(&walk, cursor, ORG, RUN);
            for (uint32_t t = 0; t <= 2 * of->traces; t += 1 + ut_random_below(&random, skip)) {
                uint8_t id[UT_TRACE_ID_LEN];
                make_id(t, id);
                const ut_err err = ut_run_walk_find(&walk, id);
                assert_int_equal(err, t <= 2 * (of->traces - 1) ? UT_OK : UT_ENOTFOUND);
                if (err != UT_OK)
                    continue;
                // Some visitors pass what they have found.
                if (t % 2 == 1)
                    assert_true(memcmp(walk.head.trace_id, id, sizeof(id)) > 0);
                else if (ut_random_below(&random, 3) > 0)
                    assert_int_equal(count_found(&walk, id), of->postings);
                else
                    assert_memory_equal(walk.head.trace_id, id, sizeof(id));
            }
        }
        ut_cursor_close(cursor);
        ut_txn_abort(txn);
    }
}

static void the_filter_of_a_group_passes_most_other_fingerprints(void **state)
{
    fixture *f = *state;
    const shape of = {1, 4, 200};
    uint8_t id[UT_TRACE_ID_LEN];
    ut_run_walk walk;
    ut_random random = {6};
    unsigned maybe = 0;
    f->engine->value_bytes_best = PAGE_BEST;
    ut_txn *txn = ut_test_begin(f->engine, true);
    write_run(f, txn, &of, 1);
    ut_cursor *cursor = cursor_of(txn);
    make_id(0, id);
    ut_run_walk_begin(&walk, cursor, ORG, RUN);
    assert_int_equal(ut_run_walk_find(&walk, id), UT_OK);
    assert_true(walk.head.filter.len > 0);
    for (unsigned i = 0; i < 10000; i++)
        maybe += ut_posting_group_may_have(&walk.head, ut_random_below(&random, 65536));
    assert_in_range(maybe, 100, 1000); // 800 of 65536 are there, and some look so
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

// ---- filters ----

static void a_filter_hides_no_trace_and_few_others_pass(void **state)
{
    fixture *f = *state;
    enum { TRACES = 20000 };
    const shape of = {TRACES, 1, 1};
    size_t longest;
    for (uint32_t steps = 1; steps <= 50; steps += 49) {
        ut_txn *txn = ut_test_begin(f->engine, true);
        f->engine->value_bytes_best = PAGE_BEST;
        surround(f, txn);
        write_run(f, txn, &of, steps);
        assert_true(count_slices(txn, UT_KEY_RUN_FILTER, RUN, &longest) > 5);
        ut_cursor *cursor = cursor_of(txn);
        ut_run_filter filter;
        ut_random random = {steps};
        unsigned wrong = 0;
        ut_run_filter_begin(&filter, cursor, ORG, RUN);
        for (uint32_t t = 0; t < 2 * TRACES; t++) {
            // Rising ids, and after them ids in any order.
            uint8_t id[UT_TRACE_ID_LEN];
            bool maybe = false;
            make_id(t, id);
            assert_int_equal(ut_run_filter_ask(&filter, id, ut_trace_hash(filter_key, id), &maybe),
                             UT_OK);
            assert_true(maybe || t % 2 == 1);
            wrong += maybe && t % 2 == 1;
            make_id(2 * ut_random_below(&random, TRACES), id);
            assert_int_equal(ut_run_filter_ask(&filter, id, ut_trace_hash(filter_key, id), &maybe),
                             UT_OK);
            assert_true(maybe);
        }
        assert_true(wrong < TRACES / 50);
        // Beyond its ends nothing is in it.
        uint8_t id[UT_TRACE_ID_LEN];
        bool maybe = true;
        memset(id, UINT8_MAX, sizeof(id));
        assert_int_equal(ut_run_filter_ask(&filter, id, ut_trace_hash(filter_key, id), &maybe),
                         UT_OK);
        assert_false(maybe);
        ut_cursor_close(cursor);
        ut_txn_abort(txn);
    }
}

static void small_filters_hide_no_trace(void **state)
{
    fixture *f = *state;
    for (uint32_t traces = 1; traces < 200; traces += 3) {
        const shape of = {traces, 2, 1};
        ut_txn *txn = ut_test_begin(f->engine, true);
        write_run(f, txn, &of, 1 + traces % 4);
        ut_cursor *cursor = cursor_of(txn);
        ut_run_filter filter;
        ut_run_filter_begin(&filter, cursor, ORG, RUN);
        for (uint32_t t = traces; t-- > 0;) {
            uint8_t id[UT_TRACE_ID_LEN];
            bool maybe = false;
            make_id(2 * t, id);
            assert_int_equal(ut_run_filter_ask(&filter, id, ut_trace_hash(filter_key, id), &maybe),
                             UT_OK);
            assert_true(maybe);
        }
        ut_cursor_close(cursor);
        ut_txn_abort(txn);
    }
}

// Reads the first slice of the filter of a run into a buffer.
static void read_filter(ut_txn *txn, ut_buf *out)
{
    static const uint8_t lowest[UT_TRACE_ID_LEN] = {0};
    const ut_key from = ut_key_slice(ORG, UT_KEY_RUN_FILTER, RUN, lowest, 0);
    ut_cursor *cursor = cursor_of(txn);
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value), UT_OK);
    ut_buf_reset(out, SIZE_MAX);
    ut_buf_add_bytes(out, value);
    ut_cursor_close(cursor);
}

// Whoever knows all ids, but not the secret, cannot tell which of them share bits.
static void equal_ids_set_other_bits_under_another_secret(void **state)
{
    fixture *f = *state;
    ut_buf filters[2];
    uint8_t id[UT_TRACE_ID_LEN];
    const uint8_t print[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        ut_buf_init(&filters[i], 1 << 16);
        ut_txn *txn = ut_test_begin(f->engine, true);
        ut_siphash_key key = filter_key;
        key.k1 ^= i;
        ut_run_writer_begin(&f->writer, txn, key, ORG, RUN, NULL);
        for (uint32_t t = 0; t < 40; t++) {
            make_id(t, id);
            const ut_posting posting = {
                .trace_id = id, .seq = 1, .count = 1, .fingerprints = {print, 2}};
            assert_int_equal(ut_run_writer_add(&f->writer, &posting), UT_OK);
        }
        assert_int_equal(ut_run_writer_end(&f->writer), UT_OK);
        read_filter(txn, &filters[i]);
        ut_txn_abort(txn);
    }
    assert_int_equal(filters[0].len, filters[1].len);
    unsigned differ = 0;
    for (size_t i = UT_TRACE_ID_LEN; i < filters[0].len; i++)
        differ += filters[0].data[i] != filters[1].data[i];
    assert_true(differ > (filters[0].len - UT_TRACE_ID_LEN) / 2);
    ut_buf_free(&filters[0]);
    ut_buf_free(&filters[1]);
}

static void a_damaged_filter_says_yes(void **state)
{
    fixture *f = *state;
    const shape of = {50, 1, 1};
    uint8_t id[UT_TRACE_ID_LEN];
    ut_txn *txn = ut_test_begin(f->engine, true);
    write_run(f, txn, &of, 1);
    read_filter(txn, &f->value);
    make_id(0, id);
    const ut_key key = ut_key_slice(ORG, UT_KEY_RUN_FILTER, RUN, id, seq_of(0));
    for (size_t cut = 0; cut < f->value.len; cut++) {
        ut_cursor *cursor = cursor_of(txn);
        ut_run_filter filter;
        bool maybe = false;
        assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){f->value.data, cut}),
                         UT_OK);
        ut_run_filter_begin(&filter, cursor, ORG, RUN);
        make_id(20, id);
        assert_int_equal(ut_run_filter_ask(&filter, id, ut_trace_hash(filter_key, id), &maybe),
                         UT_OK);
        const bool plausible = cut > UT_TRACE_ID_LEN && (cut - UT_TRACE_ID_LEN) % 64 == 0;
        assert_true(maybe || plausible);
        ut_cursor_close(cursor);
    }
    ut_txn_abort(txn);
}

// ---- damage ----

// Walks, seeks and asks over a slice that holds these bytes; all of it comes to an end.
static void walk_over(fixture *f, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    uint8_t id[UT_TRACE_ID_LEN];
    ut_run_walk walk;
    ut_posting posting;
    ut_err err;
    size_t visits = 0;
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    ut_run_walk_slice(&walk, (ut_bytes){copy, len});
    while ((err = ut_run_walk_next(&walk, &posting)) != UT_ENOTFOUND) {
        assert_true(err == UT_OK || err == UT_ECORRUPT);
        if (err == UT_OK)
            assert_in_range(posting.count, 1, UT_BLOCK_SPANS_MAX);
        assert_true(++visits < 100000);
    }
    ut_txn *txn = ut_test_begin(f->engine, true);
    make_id(200, id);
    const ut_key key = ut_key_slice(ORG, UT_KEY_RUN_POSTINGS, RUN, id, seq_of(0));
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){copy, len}), UT_OK);
    free(copy);
    ut_cursor *cursor = cursor_of(txn);
    ut_run_walk_begin(&walk, cursor, ORG, RUN);
    for (uint32_t t = 180; t < 420; t += 7) {
        make_id(t, id);
        err = ut_run_walk_find(&walk, id);
        assert_true(err == UT_OK || err == UT_ENOTFOUND);
        while (err == UT_OK && ut_run_walk_in_group(&walk, &posting))
            assert_true(posting.count > 0);
        ut_run_walk seeking;
        ut_run_walk_begin(&seeking, cursor, ORG, RUN);
        err = ut_run_walk_seek(&seeking, id, seq_of(0), &posting);
        assert_true(err == UT_OK || err == UT_ENOTFOUND);
        ut_run_walk_begin(&walk, cursor, ORG, RUN); // the cursor has moved
    }
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void garbage_in_a_slice_ends_its_walk(void **state)
{
    fixture *f = *state;
    const shape of = {400, 2, 30};
    ut_random random = {12};
    uint8_t id[UT_TRACE_ID_LEN];
    f->engine->value_bytes_best = PAGE_BEST;
    ut_txn *txn = ut_test_begin(f->engine, true);
    write_run(f, txn, &of, 1);
    ut_cursor *cursor = cursor_of(txn);
    const ut_key from = ut_key_slice(ORG, UT_KEY_RUN_POSTINGS, RUN, (make_id(0, id), id), 0);
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value), UT_OK);
    const size_t len = value.len;
    uint8_t *slice = malloc(len);
    uint8_t *off = malloc(len);
    assert_non_null(slice);
    assert_non_null(off);
    memcpy(slice, value.data, len);
    ut_cursor_close(cursor);
    ut_test_commit(txn);
    for (unsigned round = 0; round < 300; round++) {
        memcpy(off, slice, len);
        for (unsigned i = ut_random_below(&random, 4); i > 0; i--)
            off[ut_random_below(&random, (uint32_t)len)] = (uint8_t)ut_random_next(&random);
        walk_over(f, off, ut_random_below(&random, (uint32_t)len + 1));
        for (size_t i = 0; i < len; i++)
            off[i] = (uint8_t)(ut_random_below(&random, 4) == 0 ? ut_random_next(&random) : 0);
        walk_over(f, off, len);
    }
    free(slice);
    free(off);
}

// A number that no block can have is damage, and nothing that a writer has to find room for.
static void a_posting_of_more_spans_than_a_block_has_is_corrupt(void **state)
{
    enum { COUNT = UT_BLOCK_SPANS_MAX + 1, HEAD_LEN = UT_TRACE_ID_LEN + 4 };
    uint8_t slice[HEAD_LEN + 3 + COUNT * UT_FINGERPRINT_LEN] = {0};
    ut_run_walk walk;
    ut_posting posting;
    (void)state;
    slice[UT_TRACE_ID_LEN] = (uint8_t)(sizeof(slice) - HEAD_LEN);
    slice[UT_TRACE_ID_LEN + 1] = (uint8_t)((sizeof(slice) - HEAD_LEN) >> 8);
    slice[HEAD_LEN] = 1;
    slice[HEAD_LEN + 1] = (uint8_t)(COUNT << 2 | 0x80);
    slice[HEAD_LEN + 2] = (uint8_t)(COUNT << 2 >> 7);
    ut_run_walk_slice(&walk, (ut_bytes){slice, sizeof(slice)});
    assert_int_equal(ut_run_walk_next(&walk, &posting), UT_ECORRUPT);
    assert_int_equal(ut_run_walk_next(&walk, &posting), UT_ENOTFOUND);
}

static void a_damaged_slice_hides_only_itself(void **state)
{
    fixture *f = *state;
    const shape of = {1000, 1, 1};
    uint8_t id[UT_TRACE_ID_LEN];
    ut_run_walk walk;
    ut_posting posting;
    unsigned found = 0;
    unsigned corrupt = 0;
    ut_err err;
    ut_txn *txn = ut_test_begin(f->engine, true);
    write_run(f, txn, &of, 1);
    ut_cursor *cursor = cursor_of(txn);
    make_id(1000, id);
    ut_run_walk_begin(&walk, cursor, ORG, RUN);
    const ut_key wanted = ut_key_slice(ORG, UT_KEY_RUN_POSTINGS, RUN, id, 0);
    ut_bytes key;
    ut_bytes value;
    assert_int_equal(ut_cursor_seek(cursor, ut_key_bytes(&wanted), &key, &value), UT_OK);
    ut_key own = {.len = key.len};
    memcpy(own.data, key.data, key.len);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&own), UT_BYTES_LIT("rubbish")), UT_OK);
    make_id(0, id);
    ut_run_walk_begin(&walk, cursor, ORG, RUN);
    err = ut_run_walk_seek(&walk, id, 0, &posting);
    for (; err != UT_ENOTFOUND; err = ut_run_walk_next(&walk, &posting)) {
        found += err == UT_OK;
        corrupt += err == UT_ECORRUPT;
    }
    assert_int_equal(corrupt, 1);
    assert_in_range(found, 900, 999);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

// ---- deleting ----

static void a_run_is_deleted_in_steps_and_its_neighbours_stay(void **state)
{
    fixture *f = *state;
    const shape of = {3000, 1, 1};
    size_t longest;
    for (uint32_t most = 1; most <= 64; most *= 8) {
        ut_txn *txn = ut_test_begin(f->engine, true);
        surround(f, txn);
        write_run(f, txn, &of, 1);
        bool left = true;
        uint32_t sum = 0;
        const unsigned slices = count_slices(txn, UT_KEY_RUN_POSTINGS, RUN, &longest) +
                                count_slices(txn, UT_KEY_RUN_FILTER, RUN, &longest);
        while (left) {
            uint32_t deleted = 0;
            assert_int_equal(ut_run_delete(txn, ORG, RUN, most, &deleted, &left), UT_OK);
            assert_true(deleted <= most && (deleted > 0 || !left));
            sum += deleted;
        }
        assert_int_equal(sum, slices);
        assert_int_equal(count_slices(txn, UT_KEY_RUN_POSTINGS, RUN, &longest), 0);
        assert_int_equal(count_slices(txn, UT_KEY_RUN_FILTER, RUN, &longest), 0);
        for (uint64_t run = RUN - 1; run <= RUN + 1; run += 2) {
            assert_int_equal(count_slices(txn, UT_KEY_RUN_POSTINGS, run, &longest), 1);
            assert_int_equal(count_slices(txn, UT_KEY_RUN_FILTER, run, &longest), 1);
        }
        ut_txn_abort(txn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(heads_come_back_in_the_order_of_their_numbers, set_up,
                                        tear_down),
        cmocka_unit_test(what_is_covered_ends_before_a_run_that_is_built),
        cmocka_unit_test_setup_teardown(a_damaged_head_is_passed_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_comes_back_in_order_however_it_was_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(slices_keep_to_a_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_walk_begins_at_any_posting_or_before_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rising_ids_are_found_on_one_walk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_filter_of_a_group_passes_most_other_fingerprints,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filter_hides_no_trace_and_few_others_pass, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(small_filters_hide_no_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_ids_set_other_bits_under_another_secret, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_filter_says_yes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_in_a_slice_ends_its_walk, set_up, tear_down),
        cmocka_unit_test(a_posting_of_more_spans_than_a_block_has_is_corrupt),
        cmocka_unit_test_setup_teardown(a_damaged_slice_hides_only_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_is_deleted_in_steps_and_its_neighbours_stay, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
