// Tests of storage/store/block_traces: the entries of a block come back as they were written, in
// any number of pieces, and damaged pieces end a walk with an error.
#include "storage/store/block_traces.h"
#include "storage/store/key.h"
#include "storage/store/ordinal_list.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BUDGET = 16 * 1024 * 1024, ORG = 7, PAGE_BEST = 4080 };

static const uint64_t base_ns = UINT64_C(1700000000000000000);
static const uint64_t seq_of_test = 42;

typedef struct {
    ut_engine *engine;
    ut_block_traces_writer writer;
    ut_buf ordinals;
    ut_buf digests;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->engine = ut_engine_memory_open(BUDGET);
    ut_block_traces_writer_init(&f->writer);
    ut_buf_init(&f->ordinals, 4096);
    ut_buf_init(&f->digests, 8192);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_block_traces_writer_free(&f->writer);
    ut_buf_free(&f->ordinals);
    ut_buf_free(&f->digests);
    ut_engine_close(f->engine);
    free(f);
    return 0;
}

// ---- entries that follow from numbers ----

static void make_id(uint32_t number, uint8_t id[UT_TRACE_ID_LEN])
{
    memset(id, 0, UT_TRACE_ID_LEN);
    ut_put_be32(id + UT_TRACE_ID_LEN - 4, number); // ids differ in their last bytes only
}

static uint64_t digest_of(uint32_t trace, uint32_t ordinal)
{
    ut_random random = {(uint64_t)trace << 32 | ordinal};
    return ut_random_next(&random);
}

// An entry of the spans first, first + step, ...; everything else follows from the trace.
static ut_trace_entry make_entry(fixture *f, uint32_t trace, const uint8_t *id, uint32_t first,
                                 uint32_t step, uint32_t count)
{
    uint32_t last = UINT32_MAX;
    ut_buf_reset(&f->ordinals, SIZE_MAX);
    ut_buf_reset(&f->digests, SIZE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t digest[UT_DIGEST_LEN];
        ut_put_le64(digest, digest_of(trace, first + i * step));
        ut_ordinal_list_put(&f->ordinals, &last, first + i * step);
        ut_buf_add(&f->digests, digest, sizeof(digest));
    }
    return (ut_trace_entry){
        .trace_id = id,
        .status = (uint8_t)(trace % 3),
        .has_root = trace % 2 == 0,
        .head = trace % 5 == 0,
        .root_ordinal = first,
        .start_ns = base_ns + trace * UINT64_C(1000),
        .length_ns = trace % 7 == 0 ? UINT64_MAX : trace,
        .count = count,
        .ordinals = ut_buf_bytes(&f->ordinals),
        .digests = ut_buf_bytes(&f->digests),
    };
}

static void assert_entry(uint32_t trace, uint32_t first, uint32_t step, uint32_t count,
                         ut_trace_entry *entry)
{
    uint8_t id[UT_TRACE_ID_LEN];
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    make_id(trace, id);
    assert_memory_equal(entry->trace_id, id, sizeof(id));
    assert_int_equal(entry->status, trace % 3);
    assert_int_equal(entry->has_root, trace % 2 == 0);
    assert_int_equal(entry->head, trace % 5 == 0);
    assert_int_equal(entry->root_ordinal, first);
    assert_true(entry->start_ns == base_ns + trace * UINT64_C(1000));
    assert_true(entry->length_ns == (trace % 7 == 0 ? UINT64_MAX : trace));
    assert_int_equal(entry->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(ut_trace_entry_digest(entry, i) == digest_of(trace, first + i * step));
        assert_true(ut_ordinal_list_next(&entry->ordinals, &last, &ordinal));
        assert_int_equal(ordinal, first + i * step);
    }
    assert_false(ut_ordinal_list_next(&entry->ordinals, &last, &ordinal));
}

static void begin_block(fixture *f, ut_txn *txn, uint64_t seq)
{
    ut_block_traces_begin(&f->writer, txn, ORG, seq, base_ns);
}

static void add(fixture *f, uint32_t trace, uint32_t first, uint32_t step, uint32_t count)
{
    uint8_t id[UT_TRACE_ID_LEN];
    make_id(trace, id);
    const ut_trace_entry entry = make_entry(f, trace, id, first, step, count);
    assert_int_equal(ut_block_traces_add(&f->writer, &entry), UT_OK);
}

static ut_cursor *cursor_of(ut_txn *txn)
{
    ut_cursor *cursor;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    return cursor;
}

// Records of the block, none longer than is best for the engine.
static unsigned count_pieces(fixture *f, uint64_t seq)
{
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_cursor *cursor = cursor_of(txn);
    const ut_key from = ut_key_piece(ORG, seq, UT_BLOCK_TRACES_FROM);
    ut_bytes key;
    ut_bytes value;
    unsigned count = 0;
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    for (; err == UT_OK; err = ut_cursor_next(cursor, &key, &value)) {
        uint32_t org;
        uint64_t found;
        uint32_t piece;
        if (!ut_key_read_piece(key, &org, &found, &piece) || org != ORG || found != seq)
            break;
        assert_int_equal(piece, UT_BLOCK_TRACES_FROM + count);
        assert_true(value.len <= f->engine->value_bytes_best);
        count += 1;
    }
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
    return count;
}

// ---- round trips ----

// A block of one trace, whose spans need one entry or several.
static void check_one_trace(fixture *f, uint32_t spans)
{
    const uint32_t most = ut_block_traces_spans_max(f->engine);
    ut_txn *txn = ut_test_begin(f->engine, true);
    begin_block(f, txn, seq_of_test);
    for (uint32_t at = 0; at < spans; at += most)
        add(f, 10, at, 1, spans - at < most ? spans - at : most);
    assert_int_equal(ut_block_traces_end(&f->writer), UT_OK);
    ut_cursor *cursor = cursor_of(txn);
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
    for (uint32_t at = 0; at < spans; at += most) {
        assert_int_equal(ut_block_traces_next(&walk, &entry), UT_OK);
        assert_entry(10, at, 1, spans - at < most ? spans - at : most, &entry);
    }
    assert_int_equal(ut_block_traces_next(&walk, &entry), UT_ENOTFOUND);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void a_trace_of_any_number_of_spans_comes_back(void **state)
{
    fixture *f = *state;
    for (uint32_t spans = 1; spans <= UT_BLOCK_SPANS_MAX; spans++)
        check_one_trace(f, spans);
    f->engine->value_bytes_best = PAGE_BEST;
    for (uint32_t spans = 1; spans <= UT_BLOCK_SPANS_MAX; spans += 7)
        check_one_trace(f, spans);
    check_one_trace(f, UT_BLOCK_SPANS_MAX);
}

// A block of `traces` traces, whose spans alternate.
static void write_block(fixture *f, uint64_t seq, uint32_t traces)
{
    const uint32_t each = UT_BLOCK_SPANS_MAX / traces;
    const uint32_t most = ut_block_traces_spans_max(f->engine);
    ut_txn *txn = ut_test_begin(f->engine, true);
    begin_block(f, txn, seq);
    for (uint32_t t = 0; t < traces; t++) {
        for (uint32_t at = 0; at < each; at += most)
            add(f, t, t + at * traces, traces, each - at < most ? each - at : most);
    }
    assert_int_equal(ut_block_traces_end(&f->writer), UT_OK);
    ut_test_commit(txn);
}

static void blocks_of_any_number_of_traces_come_back(void **state)
{
    fixture *f = *state;
    for (uint32_t traces = 1; traces <= UT_BLOCK_SPANS_MAX; traces += 1 + traces / 4) {
        write_block(f, traces, traces);
        ut_txn *txn = ut_test_begin(f->engine, false);
        ut_cursor *cursor = cursor_of(txn);
        ut_block_traces_walk walk;
        ut_trace_entry entry;
        const uint32_t each = UT_BLOCK_SPANS_MAX / traces;
        const uint32_t most = ut_block_traces_spans_max(f->engine);
        ut_block_traces_walk_begin(&walk, cursor, ORG, traces);
        for (uint32_t t = 0; t < traces; t++) {
            for (uint32_t at = 0; at < each; at += most) {
                assert_int_equal(ut_block_traces_next(&walk, &entry), UT_OK);
                assert_entry(t, t + at * traces, traces, each - at < most ? each - at : most,
                             &entry);
            }
        }
        assert_int_equal(ut_block_traces_next(&walk, &entry), UT_ENOTFOUND);
        ut_cursor_close(cursor);
        ut_txn_abort(txn);
    }
    write_block(f, 1000, UT_BLOCK_SPANS_MAX);
    assert_true(count_pieces(f, 1000) > 10);
}

static void a_block_without_entries_has_no_piece(void **state)
{
    fixture *f = *state;
    ut_txn *txn = ut_test_begin(f->engine, true);
    begin_block(f, txn, seq_of_test);
    assert_int_equal(ut_block_traces_end(&f->writer), UT_OK);
    ut_test_commit(txn);
    assert_int_equal(count_pieces(f, seq_of_test), 0);
}

// ---- finding ----

static void each_trace_is_found_and_none_between_them(void **state)
{
    fixture *f = *state;
    enum { TRACES = 128 };
    const uint32_t each = UT_BLOCK_SPANS_MAX / TRACES;
    ut_txn *txn = ut_test_begin(f->engine, true);
    begin_block(f, txn, seq_of_test);
    for (uint32_t t = 1; t <= TRACES; t++)
        add(f, 2 * t, (t - 1) * each, 1, each);
    assert_int_equal(ut_block_traces_end(&f->writer), UT_OK);
    // The neighbours have the traces that this block has not.
    for (uint64_t seq = seq_of_test - 1; seq <= seq_of_test + 1; seq += 2) {
        begin_block(f, txn, seq);
        for (uint32_t t = 0; t <= TRACES; t++)
            add(f, 2 * t + 1, t, 1, 1);
        assert_int_equal(ut_block_traces_end(&f->writer), UT_OK);
    }
    ut_cursor *cursor = cursor_of(txn);
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_random random = {3};
    for (unsigned round = 0; round < 50; round++) {
        // Rising ids, all or some of them, on one walk; each is asked until it has no more.
        ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
        for (uint32_t t = 0; t <= 2 * TRACES + 3; t += 1 + ut_random_below(&random, round + 1)) {
            uint8_t id[UT_TRACE_ID_LEN];
            make_id(t, id);
            const bool there = t >= 2 && t <= 2 * TRACES && t % 2 == 0;
            assert_int_equal(ut_block_traces_find(&walk, id, &entry), there ? UT_OK : UT_ENOTFOUND);
            if (!there)
                continue;
            assert_entry(t, (t / 2 - 1) * each, 1, each, &entry);
            if (round % 2 == 0)
                assert_int_equal(ut_block_traces_find(&walk, id, &entry), UT_ENOTFOUND);
        }
    }
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void a_trace_with_several_entries_is_found_with_all_of_them(void **state)
{
    fixture *f = *state;
    const uint32_t most = ut_block_traces_spans_max(f->engine);
    uint8_t id[UT_TRACE_ID_LEN];
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    uint32_t spans = 0;
    write_block(f, seq_of_test, 2);
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_cursor *cursor = cursor_of(txn);
    make_id(1, id);
    ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
    while (ut_block_traces_find(&walk, id, &entry) == UT_OK)
        spans += entry.count;
    assert_true(UT_BLOCK_SPANS_MAX / 2 > most);
    assert_int_equal(spans, UT_BLOCK_SPANS_MAX / 2);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void an_entry_becomes_a_head_and_nothing_else_changes(void **state)
{
    fixture *f = *state;
    enum { TRACES = 128, CHOSEN = 77 };
    uint8_t id[UT_TRACE_ID_LEN];
    ut_buf value;
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_buf_init(&value, 1 << 20);
    write_block(f, seq_of_test, TRACES);
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_cursor *cursor = cursor_of(txn);
    make_id(CHOSEN, id);
    ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
    assert_int_equal(ut_block_traces_find(&walk, id, &entry), UT_OK);
    assert_false(entry.head);
    assert_int_equal(ut_block_traces_make_head(&walk, &value), UT_OK);
    ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
    for (uint32_t t = 0; t < TRACES; t++) {
        assert_int_equal(ut_block_traces_next(&walk, &entry), UT_OK);
        assert_int_equal(entry.head, t == CHOSEN || t % 5 == 0);
        entry.head = t % 5 == 0;
        assert_entry(t, t, TRACES, UT_BLOCK_SPANS_MAX / TRACES, &entry);
    }
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
    ut_buf_free(&value);
}

// ---- pieces alone ----

// A copy of one piece of a written block; *len is its length.
static uint8_t *read_piece(fixture *f, uint64_t seq, uint32_t piece, size_t *len)
{
    ut_txn *txn = ut_test_begin(f->engine, false);
    const ut_key key = ut_key_piece(ORG, seq, piece);
    ut_bytes value;
    assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
    uint8_t *copy = malloc(value.len);
    assert_non_null(copy);
    memcpy(copy, value.data, value.len);
    *len = value.len;
    ut_txn_abort(txn);
    return copy;
}

static void a_piece_is_cut_at_any_entry(void **state)
{
    fixture *f = *state;
    size_t len;
    ut_buf out;
    ut_buf_init(&out, 1 << 20);
    write_block(f, seq_of_test, 128);
    uint8_t *piece = read_piece(f, seq_of_test, UT_BLOCK_TRACES_FROM, &len);
    uint64_t base;
    ut_bytes rest;
    ut_trace_entry entry;
    assert_int_equal(ut_block_traces_open_piece((ut_bytes){piece, len}, &base, &rest), UT_OK);
    assert_true(base == base_ns);
    for (uint32_t t = 0; rest.len > 0; t++) {
        ut_bytes cut;
        ut_block_traces_cut_piece(&out, (ut_bytes){piece, len}, rest);
        assert_int_equal(ut_block_traces_open_piece(ut_buf_bytes(&out), &base, &cut), UT_OK);
        assert_int_equal(cut.len, rest.len);
        assert_int_equal(ut_block_traces_take(&cut, base, &entry), UT_OK);
        assert_entry(t, t, 128, UT_BLOCK_SPANS_MAX / 128, &entry);
        assert_int_equal(ut_block_traces_take(&rest, base, &entry), UT_OK);
    }
    free(piece);
    ut_buf_free(&out);
}

// Puts bytes in the place of the first piece, and walks and asks until the end or an error. The
// walk comes to an end in either case.
static void walk_over(fixture *f, const uint8_t *bytes, size_t len, bool *whole)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    ut_txn *txn = ut_test_begin(f->engine, true);
    const ut_key key = ut_key_piece(ORG, seq_of_test, UT_BLOCK_TRACES_FROM);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){copy, len}), UT_OK);
    free(copy);
    ut_cursor *cursor = cursor_of(txn);
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_err err;
    size_t entries = 0;
    ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
    while ((err = ut_block_traces_next(&walk, &entry)) == UT_OK) {
        uint32_t last = UINT32_MAX;
        uint32_t ordinal;
        uint32_t count = 0;
        assert_in_range(entry.count, 1, UT_BLOCK_SPANS_MAX);
        assert_true(entry.status <= UT_STATUS_ERROR);
        assert_true(entry.root_ordinal < UT_BLOCK_SPANS_MAX);
        while (ut_ordinal_list_next(&entry.ordinals, &last, &ordinal)) {
            assert_true(ordinal < UT_BLOCK_SPANS_MAX);
            (void)ut_trace_entry_digest(&entry, count++);
        }
        assert_int_equal(count, entry.count);
        assert_true(++entries <= 2 * UT_BLOCK_SPANS_MAX);
    }
    assert_true(err == UT_ENOTFOUND || err == UT_ECORRUPT);
    *whole = err == UT_ENOTFOUND;
    uint8_t id[UT_TRACE_ID_LEN];
    ut_block_traces_walk_begin(&walk, cursor, ORG, seq_of_test);
    for (uint32_t t = 0; t < 130; t += 3) {
        make_id(t, id);
        err = ut_block_traces_find(&walk, id, &entry);
        assert_true(err == UT_OK || err == UT_ENOTFOUND || err == UT_ECORRUPT);
    }
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

static void a_piece_cut_inside_an_entry_is_corrupt(void **state)
{
    fixture *f = *state;
    size_t len;
    bool whole;
    write_block(f, seq_of_test, 512); // all entries of one length
    uint8_t *piece = read_piece(f, seq_of_test, UT_BLOCK_TRACES_FROM, &len);
    uint64_t base;
    ut_bytes rest;
    ut_trace_entry entry;
    assert_int_equal(ut_block_traces_open_piece((ut_bytes){piece, len}, &base, &rest), UT_OK);
    size_t next = len - rest.len;
    for (size_t cut = 0; cut <= len; cut++) {
        walk_over(f, piece, cut, &whole);
        assert_int_equal(whole, cut == next);
        if (cut == next && rest.len > 0) {
            assert_int_equal(ut_block_traces_take(&rest, base, &entry), UT_OK);
            next = len - rest.len;
        }
    }
    free(piece);
}

static void garbage_ends_a_walk(void **state)
{
    fixture *f = *state;
    ut_random random = {11};
    size_t len;
    bool whole;
    write_block(f, seq_of_test, 64);
    uint8_t *piece = read_piece(f, seq_of_test, UT_BLOCK_TRACES_FROM, &len);
    for (unsigned round = 0; round < 3000; round++) {
        // A few bytes that are off.
        uint8_t *off = malloc(len);
        assert_non_null(off);
        memcpy(off, piece, len);
        for (unsigned i = ut_random_below(&random, 4) + 1; i > 0; i--)
            off[ut_random_below(&random, (uint32_t)len)] = (uint8_t)ut_random_next(&random);
        walk_over(f, off, ut_random_below(&random, (uint32_t)len + 1), &whole);
        // And random ones behind a head that is right.
        for (size_t i = 9; i < len; i++)
            off[i] = (uint8_t)(ut_random_below(&random, 3) == 0 ? ut_random_next(&random) : 0);
        memcpy(off, piece, 9);
        walk_over(f, off, len, &whole);
        free(off);
    }
    free(piece);
}

static void a_version_not_known_is_corrupt(void **state)
{
    fixture *f = *state;
    size_t len;
    uint64_t base;
    ut_bytes rest;
    write_block(f, seq_of_test, 1);
    uint8_t *piece = read_piece(f, seq_of_test, UT_BLOCK_TRACES_FROM, &len);
    for (unsigned version = 0; version <= UINT8_MAX; version++) {
        piece[0] = (uint8_t)version;
        assert_int_equal(ut_block_traces_open_piece((ut_bytes){piece, len}, &base, &rest),
                         version == 1 ? UT_OK : UT_ECORRUPT);
    }
    free(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_trace_of_any_number_of_spans_comes_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(blocks_of_any_number_of_traces_come_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_block_without_entries_has_no_piece, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_trace_is_found_and_none_between_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_trace_with_several_entries_is_found_with_all_of_them,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_entry_becomes_a_head_and_nothing_else_changes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_piece_is_cut_at_any_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_piece_cut_inside_an_entry_is_corrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_ends_a_walk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_version_not_known_is_corrupt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
