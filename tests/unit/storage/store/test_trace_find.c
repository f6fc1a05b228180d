// Tests of storage/store/trace_find: look-ups in a store of runs and of blocks behind them, the set
// of recent traces, the secret, and what damage does to them.
#include "storage/store/key.h"
#include "storage/store/trace_find.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    BUDGET = 256 * 1024 * 1024,
    BLOCKS = 32 * 13 + 7, // a run of level 2, one of level 1, and blocks behind it
    TRACES = 300,
};

static const uint64_t now_ns = UINT64_C(1700000000000000000);
static const ut_siphash_key some_key = {1, 2};

typedef struct {
    ut_faults faults;
    ut_engine *inner;
    ut_store *store;
    ut_buf value;
    ut_buf seqs;
} fixture;

static void open_store(fixture *f, ut_engine *inner)
{
    const ut_store_config config = {.bytes_max = BUDGET};
    ut_fault fault = {0};
    f->inner = inner;
    if (ut_store_open(ut_engine_faulty_wrap(inner, &f->faults), &config, &f->store, &fault) !=
        UT_OK)
        fail_msg("%s", fault.text_z);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    ut_buf_init(&f->value, 1 << 20);
    ut_buf_init(&f->seqs, 1 << 24);
    open_store(f, ut_engine_memory_open(BUDGET));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    ut_buf_free(&f->value);
    ut_buf_free(&f->seqs);
    free(f);
    return 0;
}

// ---- the store ----

// Block n holds the traces t with n in their list: t, 2t + 5, 3t + 10, ...; and one of its own.
static bool is_in(uint64_t seq, uint32_t trace)
{
    return seq >= trace && trace > 0 && (seq - trace) % (trace + 5) == 0;
}

static ut_err commit_block(fixture *f, uint32_t org, uint64_t seq)
{
    ut_test_span spans[TRACES];
    ut_batch batch;
    size_t count = 0;
    for (uint32_t t = 1; t < TRACES; t++) {
        if (is_in(seq, t))
            spans[count++] = (ut_test_span){
                .trace = t, .span = (uint32_t)seq, .parent = t % 2, .start_ns = now_ns + seq};
    }
    spans[count++] = (ut_test_span){.trace = TRACES + (uint32_t)seq, .span = 1, .start_ns = now_ns};
    ut_batch_init(&batch, BUDGET);
    ut_test_batch(&batch, spans, count);
    ut_store_append append = {.org = org, .batch = &batch};
    const ut_err err = ut_store_commit(f->store, now_ns, &append, 1, NULL, 0);
    ut_batch_free(&batch);
    return err;
}

static void sweep_all(fixture *f)
{
    bool more = true;
    while (more)
        assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
}

static void fill(fixture *f)
{
    for (uint64_t seq = 1; seq <= BLOCKS; seq++) {
        if (seq % 400 == 0)
            sweep_all(f);
        assert_int_equal(commit_block(f, UT_ORG_DEFAULT, seq), UT_OK);
    }
    sweep_all(f);
}

static void remove_summary(fixture *f, uint64_t seq)
{
    ut_txn *txn = ut_test_begin(f->inner, true);
    const ut_key key = ut_key_summary(UT_ORG_DEFAULT, seq);
    assert_int_equal(ut_txn_del(txn, ut_key_bytes(&key)), UT_OK);
    ut_test_commit(txn);
}

// ---- one trace ----

static bool has_left(uint64_t seq)
{
    return seq % 11 == 5;
}

static void assert_found(fixture *f, ut_txn *txn, uint32_t trace)
{
    uint8_t id[UT_TRACE_ID_LEN];
    uint64_t first = 0;
    size_t at = 0;
    ut_test_trace_id(trace, id);
    assert_int_equal(ut_trace_find(txn, UT_ORG_DEFAULT, id, &f->seqs), UT_OK);
    const uint64_t *seqs = (const uint64_t *)(const void *)f->seqs.data;
    for (uint64_t seq = 1; seq <= BLOCKS; seq++) {
        if (has_left(seq) || !(trace < TRACES ? is_in(seq, trace) : seq == trace - TRACES))
            continue;
        assert_true(at < f->seqs.len / sizeof(uint64_t));
        assert_true(seqs[at] == seq);
        at += 1;
    }
    assert_int_equal(at, f->seqs.len / sizeof(uint64_t));
    const ut_err err = ut_trace_find_first(txn, UT_ORG_DEFAULT, id, &first);
    assert_int_equal(err, at > 0 ? UT_OK : UT_ENOTFOUND);
    assert_true(at == 0 || first == seqs[0]);
    assert_int_equal(ut_trace_find(txn, UT_ORG_DEFAULT + 1, id, &f->seqs), UT_OK);
    assert_int_equal(f->seqs.len, 0);
}

static void leave_some(fixture *f)
{
    for (uint64_t seq = 1; seq <= BLOCKS; seq++) {
        if (has_left(seq))
            remove_summary(f, seq);
    }
}

static void each_trace_is_found_in_its_blocks_and_no_other(void **state)
{
    fixture *f = *state;
    fill(f);
    leave_some(f);
    ut_txn *txn = ut_test_begin(f->inner, false);
    for (uint32_t t = 0; t <= TRACES + BLOCKS + 20; t++)
        assert_found(f, txn, t);
    ut_txn_abort(txn);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, UT_TRACE_ID_LEN);
}

static void raise_id(uint8_t id[UT_TRACE_ID_LEN])
{
    for (size_t i = UT_TRACE_ID_LEN; i-- > 0;) {
        if (++id[i] != 0)
            break;
    }
}

// Going from trace to trace, one comes by all that have a block, in order.
static void the_next_trace_is_the_one_with_the_next_id(void **state)
{
    fixture *f = *state;
    static uint8_t ids[TRACES + BLOCKS][UT_TRACE_ID_LEN];
    size_t count = 0;
    fill(f);
    leave_some(f);
    ut_txn *txn = ut_test_begin(f->inner, false);
    for (uint32_t t = 1; t <= TRACES + BLOCKS; t++) {
        uint8_t id[UT_TRACE_ID_LEN];
        uint64_t seq;
        ut_test_trace_id(t, id);
        if (ut_trace_find_first(txn, UT_ORG_DEFAULT, id, &seq) == UT_OK)
            memcpy(ids[count++], id, UT_TRACE_ID_LEN);
    }
    qsort(ids, count, UT_TRACE_ID_LEN, compare_ids);
    uint8_t from[UT_TRACE_ID_LEN] = {0};
    uint8_t found[UT_TRACE_ID_LEN];
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ut_trace_find_next(txn, UT_ORG_DEFAULT, from, found), UT_OK);
        assert_memory_equal(found, ids[i], UT_TRACE_ID_LEN);
        assert_int_equal(ut_trace_find_next(txn, UT_ORG_DEFAULT, ids[i], found), UT_OK);
        assert_memory_equal(found, ids[i], UT_TRACE_ID_LEN);
        memcpy(from, found, sizeof(from));
        raise_id(from);
    }
    assert_int_equal(ut_trace_find_next(txn, UT_ORG_DEFAULT, from, found), UT_ENOTFOUND);
    assert_int_equal(ut_trace_find_next(txn, UT_ORG_DEFAULT + 1, ids[0], found), UT_ENOTFOUND);
    ut_txn_abort(txn);
}

static void a_part_tells_what_the_block_has_of_the_trace(void **state)
{
    fixture *f = *state;
    const ut_test_span spans[] = {
        {.trace = 1, .span = 2, .parent = 1, .start_ns = now_ns + 5, .end_ns = now_ns + 90},
        {.trace = 2, .span = 1, .start_ns = now_ns},
        {.trace = 1, .span = 3, .parent = 1, .start_ns = now_ns + 3, .status = 2},
        {.trace = 1, .span = 1, .start_ns = now_ns + 7, .end_ns = now_ns + 50, .status = 1},
    };
    ut_batch batch;
    ut_trace_part part;
    uint8_t id[UT_TRACE_ID_LEN];
    ut_cursor *cursor;
    ut_batch_init(&batch, BUDGET);
    ut_test_batch(&batch, spans, 4);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    ut_batch_free(&batch);
    ut_txn *txn = ut_test_begin(f->inner, false);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    ut_test_trace_id(1, id);
    assert_int_equal(ut_trace_part_read(cursor, UT_ORG_DEFAULT, 1, id, &part), UT_OK);
    assert_int_equal(part.count, 3);
    assert_int_equal(part.ordinals[0], 0x0d);
    assert_int_equal(part.status, UT_STATUS_ERROR);
    assert_true(part.has_root && part.head && !part.legacy);
    assert_int_equal(part.root_ordinal, 3);
    assert_true(part.start_ns == now_ns + 3 && part.end_ns == now_ns + 90);
    assert_int_equal(ut_trace_part_read(cursor, UT_ORG_DEFAULT, 2, id, &part), UT_ENOTFOUND);
    assert_int_equal(ut_trace_part_read(cursor, 2, 1, id, &part), UT_ENOTFOUND);
    ut_test_trace_id(3, id);
    assert_int_equal(ut_trace_part_read(cursor, UT_ORG_DEFAULT, 1, id, &part), UT_ENOTFOUND);
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
}

// ---- many traces ----

typedef struct {
    uint32_t trace; // index in what was asked for
    uint64_t seq;
} visit;

static void note(void *context, uint32_t index, uint64_t seq)
{
    const visit made = {index, seq};
    ut_buf_add((ut_buf *)context, &made, sizeof(made));
}

static void note_posting(void *context, uint32_t index, const ut_posting *posting)
{
    note(context, index, posting->seq);
}

static void note_entry(void *context, uint32_t index, uint64_t seq, const ut_trace_entry *entry)
{
    assert_int_equal(entry->count, 1);
    note(context, index, seq);
}

static int compare_visits(const void *a, const void *b)
{
    const visit *left = a;
    const visit *right = b;
    if (left->trace != right->trace)
        return left->trace < right->trace ? -1 : 1;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

// Asks for traces `first`, first + step, ... at once, and compares with what each is found in.
static void check_together(fixture *f, ut_txn *txn, uint32_t first, uint32_t step,
                           const ut_trace_recent *recent)
{
    static uint8_t ids[TRACES + BLOCKS + 100][UT_TRACE_ID_LEN];
    uint32_t count = 0;
    size_t at = 0;
    ut_index_secret secret;
    ut_trace_finder finder;
    ut_buf visits;
    for (uint32_t t = first; t < TRACES + BLOCKS + 100; t += step)
        ut_test_trace_id(t, ids[count++]);
    qsort(ids, count, UT_TRACE_ID_LEN, compare_ids);
    assert_int_equal(ut_index_secret_read(txn, &secret), UT_OK);
    const ut_trace_wanted wanted = {
        .txn = txn,
        .org = UT_ORG_DEFAULT,
        .filter_key = ut_index_filter_key(&secret),
        .ids = ids[0],
        .count = count,
        .recent = recent,
    };
    ut_buf_init(&visits, 1 << 24);
    const ut_trace_visitor visitor = {
        .context = &visits, .posting = note_posting, .entry = note_entry};
    ut_trace_finder_init(&finder);
    assert_int_equal(ut_trace_find_all(&finder, &wanted, &visitor), UT_OK);
    ut_trace_finder_free(&finder);
    visit *all = (visit *)(void *)visits.data;
    if (visits.len > 0)
        qsort(all, visits.len / sizeof(visit), sizeof(visit), compare_visits);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ut_trace_find(txn, UT_ORG_DEFAULT, ids[i], &f->seqs), UT_OK);
        for (size_t k = 0; k < f->seqs.len / sizeof(uint64_t); k++, at++) {
            assert_true(at < visits.len / sizeof(visit));
            assert_int_equal(all[at].trace, i);
            assert_true(all[at].seq == ((const uint64_t *)(const void *)f->seqs.data)[k]);
        }
    }
    assert_int_equal(at, visits.len / sizeof(visit));
    ut_buf_free(&visits);
}

static void traces_asked_for_together_are_found_as_each_alone(void **state)
{
    fixture *f = *state;
    fill(f);
    ut_txn *txn = ut_test_begin(f->inner, false);
    for (uint32_t step = 1; step < 400; step += 1 + step / 2) {
        for (uint32_t first = 0; first < 5; first++)
            check_together(f, txn, first, step, NULL);
    }
    ut_txn_abort(txn);
}

// With the set of recent traces, which holds those of blocks from some on, the same is found.
static void the_set_of_recent_traces_hides_nothing(void **state)
{
    fixture *f = *state;
    ut_index_secret secret;
    fill(f);
    ut_txn *txn = ut_test_begin(f->inner, false);
    assert_int_equal(ut_index_secret_read(txn, &secret), UT_OK);
    const ut_siphash_key key = ut_index_filter_key(&secret);
    for (uint64_t from = BLOCKS - 12; from <= BLOCKS; from++) {
        ut_trace_recent recent;
        ut_trace_recent_init(&recent);
        for (uint64_t seq = from; seq <= BLOCKS; seq++) {
            uint8_t id[UT_TRACE_ID_LEN];
            ut_trace_recent_begin_block(&recent, seq, TRACES);
            for (uint32_t t = 1; t < TRACES + BLOCKS + 1; t++) {
                ut_test_trace_id(t, id);
                if (t < TRACES ? is_in(seq, t) : seq == t - TRACES)
                    ut_trace_recent_add(&recent, ut_trace_hash(key, id));
            }
        }
        assert_true(recent.from_seq == from);
        check_together(f, txn, 1, 1, &recent);
        check_together(f, txn, 5, 7, &recent);
        ut_trace_recent_free(&recent);
    }
    ut_txn_abort(txn);
}

// ---- the set of recent traces ----

static void a_set_has_what_was_added_and_little_else(void **state)
{
    ut_trace_recent recent;
    uint8_t id[UT_TRACE_ID_LEN];
    unsigned wrong = 0;
    (void)state;
    ut_trace_recent_init(&recent);
    ut_trace_recent_begin_block(&recent, 7, UT_TRACE_RECENT_MAX);
    assert_true(recent.from_seq == 7);
    for (uint32_t t = 0; t < 2 * UT_TRACE_RECENT_MAX; t++) {
        ut_test_trace_id(t, id);
        if (t < UT_TRACE_RECENT_MAX)
            ut_trace_recent_add(&recent, ut_trace_hash(some_key, id));
    }
    for (uint32_t t = 0; t < 2 * UT_TRACE_RECENT_MAX; t++) {
        ut_test_trace_id(t, id);
        const bool has = ut_trace_recent_has(&recent, ut_trace_hash(some_key, id));
        assert_true(has || t >= UT_TRACE_RECENT_MAX);
        wrong += has && t >= UT_TRACE_RECENT_MAX;
    }
    assert_true(wrong < 3);
    ut_trace_recent_free(&recent);
}

static void a_set_that_is_full_begins_anew(void **state)
{
    enum { BLOCK = 500 };
    ut_trace_recent recent;
    uint8_t id[UT_TRACE_ID_LEN];
    uint32_t next = 0;
    (void)state;
    ut_trace_recent_init(&recent);
    for (uint64_t seq = 1; seq < 60; seq++) {
        ut_trace_recent_begin_block(&recent, seq, BLOCK);
        for (unsigned i = 0; i < BLOCK; i++) {
            ut_test_trace_id(next++, id);
            ut_trace_recent_add(&recent, ut_trace_hash(some_key, id));
            ut_trace_recent_add(&recent, ut_trace_hash(some_key, id)); // counts once
        }
        assert_in_range(recent.count, 1, UT_TRACE_RECENT_MAX);
        assert_in_range(recent.from_seq, 1, seq);
        // All blocks from from_seq on are in.
        for (uint32_t t = (uint32_t)(recent.from_seq - 1) * BLOCK; t < next; t++) {
            ut_test_trace_id(t, id);
            assert_true(ut_trace_recent_has(&recent, ut_trace_hash(some_key, id)));
        }
    }
    assert_true(recent.from_seq > 50);
    ut_trace_recent_free(&recent);
}

// ---- the secret ----

static void a_secret_comes_back_and_no_two_are_alike(void **state)
{
    fixture *f = *state;
    ut_index_secret made;
    ut_index_secret read;
    ut_index_secret other;
    ut_engine *engine = ut_engine_memory_open(BUDGET);
    ut_txn *txn = ut_test_begin(engine, true);
    assert_int_equal(ut_index_secret_read(txn, &read), UT_ENOTFOUND);
    assert_int_equal(ut_index_secret_make(txn, &f->value, &made), UT_OK);
    assert_int_equal(ut_index_secret_read(txn, &read), UT_OK);
    assert_memory_equal(&made, &read, sizeof(made));
    assert_int_equal(ut_index_secret_make(txn, &f->value, &other), UT_OK);
    assert_memory_not_equal(&made, &other, sizeof(made));
    const ut_siphash_key keys[] = {ut_index_filter_key(&made), ut_index_filter_key(&other),
                                   ut_index_digest_key(&made, 0), ut_index_digest_key(&other, 0),
                                   ut_index_digest_key(&made, 1)};
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < i; k++)
            assert_true(keys[i].k0 != keys[k].k0 && keys[i].k1 != keys[k].k1);
        assert_true(keys[i].k0 != keys[i].k1);
    }
    ut_txn_abort(txn);
    ut_engine_close(engine);
}

static void a_damaged_secret_is_corrupt(void **state)
{
    fixture *f = *state;
    ut_index_secret secret;
    uint8_t id[UT_TRACE_ID_LEN] = {1};
    ut_txn *txn = ut_test_begin(f->inner, true);
    assert_int_equal(ut_index_secret_make(txn, &f->value, &secret), UT_OK);
    const ut_key key = ut_key_meta(UT_INDEX_SECRET_NAME);
    for (size_t cut = 0; cut < f->value.len; cut++) {
        assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){f->value.data, cut}),
                         UT_OK);
        assert_int_equal(ut_index_secret_read(txn, &secret), UT_ECORRUPT);
        assert_int_equal(ut_trace_find(txn, 1, id, &f->seqs), UT_ECORRUPT);
    }
    ut_txn_abort(txn);
}

// ---- damage and errors ----

static bool is_of_index(ut_bytes key)
{
    uint32_t org;
    uint64_t seq;
    uint32_t piece;
    return key.data[0] == UT_KEY_RUN ||
           (ut_key_read_piece(key, &org, &seq, &piece) && piece >= UT_BLOCK_TRACES_FROM);
}

// Damages one of so many records of the index: cuts it, or changes some of its bytes.
static void damage(fixture *f, ut_random *random, uint32_t one_of)
{
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    ut_txn *txn = ut_test_begin(f->inner, true);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    ut_err err = ut_cursor_seek(cursor, UT_BYTES_LIT("\0"), &key, &value);
    while (err == UT_OK) {
        ut_key own = {.len = key.len};
        memcpy(own.data, key.data, key.len);
        if (is_of_index(key) && value.len > 0 && ut_random_below(random, one_of) == 0) {
            ut_buf_reset(&f->value, SIZE_MAX);
            ut_buf_add_bytes(&f->value, value);
            if (ut_random_below(random, 3) == 0)
                f->value.len = ut_random_below(random, (uint32_t)f->value.len);
            for (unsigned i = ut_random_below(random, 6); i > 0 && f->value.len > 0; i--)
                f->value.data[ut_random_below(random, (uint32_t)f->value.len)] =
                    (uint8_t)ut_random_next(random);
            assert_int_equal(ut_txn_put(txn, ut_key_bytes(&own), ut_buf_bytes(&f->value)), UT_OK);
            err = ut_cursor_seek(cursor, ut_key_bytes(&own), &key, &value);
        }
        err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    ut_test_commit(txn);
}

// Look-ups end; commits and merges go on, and what comes later is found.
static void damage_ends_no_process_and_stops_no_commit(void **state)
{
    fixture *f = *state;
    fill(f);
    ut_engine *whole = ut_engine_memory_clone(f->inner);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        ut_random random = {seed};
        ut_store_close(f->store);
        open_store(f, ut_engine_memory_clone(whole));
        damage(f, &random, seed % 3 == 0 ? 1 : 4);
        ut_txn *txn = ut_test_begin(f->inner, false);
        uint8_t found[UT_TRACE_ID_LEN];
        for (uint32_t t = 1; t < TRACES + BLOCKS; t += 3) {
            uint8_t id[UT_TRACE_ID_LEN];
            uint64_t seq;
            ut_test_trace_id(t, id);
            assert_int_equal(ut_trace_find(txn, UT_ORG_DEFAULT, id, &f->seqs), UT_OK);
            ut_err err = ut_trace_find_first(txn, UT_ORG_DEFAULT, id, &seq);
            assert_true(err == UT_OK || err == UT_ENOTFOUND);
            err = ut_trace_find_next(txn, UT_ORG_DEFAULT, id, found);
            assert_true(err == UT_OK || err == UT_ENOTFOUND);
        }
        ut_txn_abort(txn);
        for (uint64_t seq = BLOCKS + 1; seq < BLOCKS + 70; seq++)
            assert_int_equal(commit_block(f, UT_ORG_DEFAULT, seq), UT_OK);
        sweep_all(f);
    }
    ut_engine_close(whole);
}

static void errors_of_the_engine_come_back(void **state)
{
    fixture *f = *state;
    fill(f);
    ut_engine *faulty = ut_store_engine(f->store);
    ut_txn *txn = ut_test_begin(faulty, false);
    uint8_t id[UT_TRACE_ID_LEN];
    uint8_t found[UT_TRACE_ID_LEN];
    uint64_t seq;
    ut_test_trace_id(7, id);
    for (unsigned kind = 0; kind < 3; kind++) {
        ut_err err = UT_EIO;
        for (uint64_t n = 1; err != UT_OK; n++) {
            f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
            err = kind == 0   ? ut_trace_find(txn, UT_ORG_DEFAULT, id, &f->seqs)
                  : kind == 1 ? ut_trace_find_first(txn, UT_ORG_DEFAULT, id, &seq)
                              : ut_trace_find_next(txn, UT_ORG_DEFAULT, id, found);
            f->faults = (ut_faults){0};
            assert_true(err == UT_OK || err == UT_EIO);
            assert_true(n < 5000);
        }
    }
    ut_txn_abort(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_trace_is_found_in_its_blocks_and_no_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_next_trace_is_the_one_with_the_next_id, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_part_tells_what_the_block_has_of_the_trace, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(traces_asked_for_together_are_found_as_each_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_set_of_recent_traces_hides_nothing, set_up, tear_down),
        cmocka_unit_test(a_set_has_what_was_added_and_little_else),
        cmocka_unit_test(a_set_that_is_full_begins_anew),
        cmocka_unit_test_setup_teardown(a_secret_comes_back_and_no_two_are_alike, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_secret_is_corrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_ends_no_process_and_stops_no_commit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(errors_of_the_engine_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
