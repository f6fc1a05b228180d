// The trace index in a store, against a model: commits of random traces, blocks that leave, sweeps,
// restarts and failing calls. The model knows which spans which block holds.
#include "storage/store/key.h"
#include "storage/store/trace_find.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    BUDGET = 256 * 1024 * 1024,
    SPANS_MAX = 24, // of one commit
    BLOCKS_MAX = 8192,
    LONG_LIVED = 8, // traces that come again and again
    TRACES_NEW = 6, // of one commit at most
    TRACES_MAX = BLOCKS_MAX * TRACES_NEW,
    SWEEPS_MAX = 100000,
};

static const uint64_t hour_ns = UINT64_C(3600000000000);
static const uint64_t begin_ns = UINT64_C(1700000000000000000);

// A span of the model; equal numbers make equal spans.
typedef struct {
    uint32_t trace;
    uint32_t span;
    uint32_t version; // another content under the same ids
} model_span;

typedef struct {
    uint32_t org;
    uint32_t count;
    uint64_t expires_ns; // UINT64_MAX: never
    model_span spans[SPANS_MAX];
} model_block;

typedef struct {
    ut_faults faults;
    ut_engine *inner;
    ut_store *store;
    ut_batch batch;
    ut_buf seqs;
    model_block *blocks; // by seq
    uint64_t last_seq;
    uint64_t now_ns;
    uint32_t traces; // made so far
    ut_random random;
} model;

// ---- the store ----

static void open_store(model *m, ut_engine *inner, uint64_t budget, const uint8_t *key)
{
    const ut_store_config config = {
        .bytes_max = budget, .master_key = key, .master_key_name_z = "/etc/untrace/key"};
    ut_fault fault = {0};
    m->inner = inner;
    m->faults = (ut_faults){0};
    if (ut_store_open(ut_engine_faulty_wrap(inner, &m->faults), &config, &m->store, &fault) !=
        UT_OK)
        fail_msg("%s", fault.text_z);
}

// What is committed, opened by another process.
static void restart(model *m, const uint8_t *key)
{
    ut_engine *inner = ut_engine_memory_clone(m->inner);
    ut_store_close(m->store);
    open_store(m, inner, BUDGET, key);
}

static model *make_model(uint64_t seed)
{
    model *m = calloc(1, sizeof(*m));
    m->blocks = calloc(BLOCKS_MAX, sizeof(model_block));
    m->now_ns = begin_ns;
    m->random = (ut_random){seed};
    ut_batch_init(&m->batch, BUDGET);
    ut_buf_init(&m->seqs, 1 << 24);
    return m;
}

static void free_model(model *m)
{
    if (m->store != NULL)
        ut_store_close(m->store);
    ut_batch_free(&m->batch);
    ut_buf_free(&m->seqs);
    free(m->blocks);
    free(m);
}

static int set_up(void **state)
{
    model *m = make_model(1);
    open_store(m, ut_engine_memory_open(BUDGET), BUDGET, NULL);
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    free_model(*state);
    return 0;
}

// ---- spans ----

// Ids at both ends, ids that differ in their last byte, and others.
static void make_id(uint32_t trace, uint8_t id[UT_TRACE_ID_LEN])
{
    ut_test_trace_id(trace, id);
    if (trace == 0 || trace == 1)
        memset(id, trace == 0 ? 0 : UINT8_MAX, UT_TRACE_ID_LEN);
    if (trace == 0)
        id[UT_TRACE_ID_LEN - 1] = 1; // no id is all zero
    if (trace % 4 == 2) {
        memset(id, 0x42, UT_TRACE_ID_LEN);
        ut_put_be32(id + UT_TRACE_ID_LEN - 4, trace);
    }
}

// Makes the batch of these spans. Ids of traces stand behind two heads in their records.
static void make_batch(model *m, const model_span *spans, uint32_t count)
{
    enum { ID_AT = 3 };
    ut_batch_reset(&m->batch, SIZE_MAX);
    ut_test_span made[SPANS_MAX];
    char names[SPANS_MAX][16];
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "v%u", spans[i].version);
        made[i] = (ut_test_span){
            .trace = spans[i].trace,
            .span = spans[i].span,
            .parent = spans[i].span % 4 == 1 ? 0 : 1,
            .start_ns = begin_ns + spans[i].span,
            .name_z = names[i],
        };
    }
    ut_test_batch(&m->batch, made, count);
    ut_batch_span *index = (ut_batch_span *)(void *)m->batch.span_index.data;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t id[UT_TRACE_ID_LEN];
        uint8_t *record = m->batch.span_bytes.data + index[i].offset;
        assert_memory_equal(record + ID_AT, index[i].trace_id, UT_TRACE_ID_LEN);
        make_id(spans[i].trace, id);
        memcpy(record + ID_AT, id, UT_TRACE_ID_LEN);
        memcpy(index[i].trace_id, id, UT_TRACE_ID_LEN);
    }
}

static bool same_span(const model_span *a, const model_span *b)
{
    return a->trace == b->trace && a->span == b->span && a->version == b->version;
}

// ---- what is there ----

static bool is_there(ut_txn *txn, uint32_t org, uint64_t seq)
{
    bool there = false;
    assert_int_equal(ut_trace_block_is_there(txn, org, seq, &there), UT_OK);
    return there;
}

static bool holds(const model_block *b, const model_span *span)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (same_span(&b->spans[i], span))
            return true;
    }
    return false;
}

static bool is_stored(model *m, ut_txn *txn, uint32_t org, const model_span *span)
{
    for (uint64_t seq = 1; seq <= m->last_seq; seq++) {
        if (m->blocks[seq].org == org && holds(&m->blocks[seq], span) && is_there(txn, org, seq))
            return true;
    }
    return false;
}

// The traces of a few blocks equal the model, wherever else they are.
static void check_trace(model *m, ut_txn *txn, uint32_t org, uint32_t trace)
{
    uint8_t id[UT_TRACE_ID_LEN];
    size_t at = 0;
    ut_cursor *cursor;
    make_id(trace, id);
    assert_int_equal(ut_trace_find(txn, org, id, &m->seqs), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    const uint64_t *seqs = (const uint64_t *)(const void *)m->seqs.data;
    const size_t found = m->seqs.len / sizeof(uint64_t);
    for (uint64_t seq = 1; seq <= m->last_seq; seq++) {
        const model_block *b = &m->blocks[seq];
        uint32_t count = 0;
        for (uint32_t i = 0; i < b->count && b->org == org; i++)
            count += b->spans[i].trace == trace;
        if (count == 0 || !is_there(txn, org, seq))
            continue;
        ut_trace_part part;
        if (at >= found || seqs[at] != seq)
            fail_msg("trace %u: block %llu is not found", trace, (unsigned long long)seq);
        at += 1;
        assert_int_equal(ut_trace_part_read(cursor, org, seq, id, &part), UT_OK);
        assert_int_equal(part.count, count);
    }
    assert_int_equal(at, found);
    ut_cursor_close(cursor);
}

// *share: each trace is checked with one in so many calls.
static void check_traces(model *m, uint32_t orgs, uint32_t share)
{
    ut_txn *txn = ut_test_begin(m->inner, false);
    for (uint32_t t = 0; t < m->traces; t++) {
        if (t < LONG_LIVED || t % share == ut_random_below(&m->random, share))
            check_trace(m, txn, 1 + ut_random_below(&m->random, orgs), t);
    }
    ut_txn_abort(txn);
}

static unsigned count_runs(model *m, uint32_t org)
{
    ut_buf runs;
    ut_txn *txn = ut_test_begin(m->inner, false);
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    assert_int_equal(ut_runs_read(txn, org, &runs, NULL), UT_OK);
    const unsigned count = (unsigned)ut_runs_count(&runs);
    ut_buf_free(&runs);
    ut_txn_abort(txn);
    return count;
}

// ---- commits ----

static ut_err try_commit(model *m, uint32_t org, uint64_t ttl_ms, ut_store_append *append)
{
    *append = (ut_store_append){.org = org, .ttl_ms = ttl_ms, .batch = &m->batch};
    return ut_store_commit(m->store, m->now_ns, append, 1, NULL, 0);
}

// Commits spans, none twice among them, and compares what was stored with the model.
static void commit(model *m, uint32_t org, const model_span *spans, uint32_t count)
{
    model_block made = {.org = org, .expires_ns = UINT64_MAX};
    const uint64_t ttl_ms = ut_random_below(&m->random, 4) * UINT64_C(3600000);
    ut_store_append append;
    // The commit may remove blocks itself, but looks up first.
    ut_txn *txn = ut_test_begin(m->inner, false);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_stored(m, txn, org, &spans[i]))
            made.spans[made.count++] = spans[i];
    }
    ut_txn_abort(txn);
    make_batch(m, spans, count);
    assert_int_equal(try_commit(m, org, ttl_ms != 0 ? ttl_ms : UT_STORE_TTL_NONE, &append), UT_OK);
    assert_int_equal(append.stored, made.count);
    assert_int_equal(append.duplicates, count - made.count);
    const uint64_t seq = ut_store_last_seq(m->store);
    assert_int_equal(seq, m->last_seq + (made.count > 0));
    assert_true(seq < BLOCKS_MAX);
    m->last_seq = seq;
    if (made.count > 0)
        m->blocks[seq] = made;
}

static bool is_among(const model_span *spans, uint32_t count, const model_span *span)
{
    for (uint32_t i = 0; i < count; i++) {
        if (same_span(&spans[i], span))
            return true;
    }
    return false;
}

// New traces, spans of long-lived ones, old spans again, and old ids with another content.
static void commit_random(model *m, uint32_t orgs)
{
    model_span spans[SPANS_MAX];
    uint32_t count = 0;
    const uint32_t wanted = 1 + ut_random_below(&m->random, SPANS_MAX);
    uint32_t fresh = ut_random_below(&m->random, TRACES_NEW) + 1;
    for (uint32_t tries = 0; count < wanted && tries < 100; tries++) {
        model_span span = {.span = 1 + ut_random_below(&m->random, 1000)};
        const uint32_t kind = ut_random_below(&m->random, 8);
        const model_block *old =
            &m->blocks[1 + ut_random_below(&m->random, (uint32_t)m->last_seq + 1)];
        if (kind < 2 || m->traces <= LONG_LIVED)
            span.trace = ut_random_below(&m->random, LONG_LIVED);
        else if (kind < 4 && fresh > 0 && m->traces < TRACES_MAX)
            span.trace = m->traces - 1 + (fresh-- > 0);
        else if (kind < 6)
            span.trace = m->traces - 1;
        else if (old->count > 0)
            span = old->spans[ut_random_below(&m->random, old->count)];
        span.version += kind == 7;
        if (span.trace >= m->traces)
            m->traces = span.trace + 1;
        if (m->traces < LONG_LIVED)
            m->traces = LONG_LIVED;
        if (!is_among(spans, count, &span))
            spans[count++] = span;
    }
    commit(m, 1 + ut_random_below(&m->random, orgs), spans, count);
}

// A block sent again, as it was: all its spans are duplicates while it is there.
static void send_again(model *m, uint64_t seq)
{
    const model_block again = m->blocks[seq];
    if (again.count > 0)
        commit(m, again.org, again.spans, again.count);
}

static void sweep_all(model *m)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < SWEEPS_MAX);
        assert_int_equal(ut_store_sweep(m->store, m->now_ns, &more), UT_OK);
    }
}

// ---- the model ----

static void run_model(model *m, uint32_t orgs, unsigned commits, const uint8_t *key)
{
    for (unsigned i = 1; i <= commits; i++) {
        commit_random(m, orgs);
        if (i % 3 == 0)
            send_again(m, 1 + ut_random_below(&m->random, (uint32_t)m->last_seq));
        if (i % 4 == 0)
            m->now_ns += ut_random_below(&m->random, 3) * hour_ns / 40;
        if (i % 50 == 0)
            sweep_all(m);
        if (i % 40 == 0)
            check_traces(m, orgs, 16);
        if (i % 170 == 0)
            restart(m, key);
        if (i % 400 == 0)
            (void)ut_store_check(ut_store_engine(m->store));
    }
    sweep_all(m);
    check_traces(m, orgs, 1);
    (void)ut_store_check(ut_store_engine(m->store));
    for (uint32_t org = 1; org <= orgs; org++)
        assert_in_range(count_runs(m, org), 1, 40);
}

static void a_store_equals_its_model(void **state)
{
    run_model(*state, 1, 1600, NULL);
}

static void several_organisations_equal_their_model(void **state)
{
    model *m = *state;
    m->random = (ut_random){2};
    run_model(m, 3, 1200, NULL);
}

// The key comes in the middle: blocks before it have digests of another key.
static void encryption_begun_in_the_middle_finds_old_spans(void **state)
{
    static const uint8_t key[32] = {7};
    model *m = *state;
    m->random = (ut_random){3};
    run_model(m, 1, 300, NULL);
    const uint64_t plain = m->last_seq;
    restart(m, key);
    for (uint64_t seq = plain - 20; seq <= plain; seq++)
        send_again(m, seq);
    for (uint64_t seq = 1; seq <= plain; seq += 9)
        send_again(m, seq);
    run_model(m, 1, 300, key);
    for (uint64_t seq = 1; seq <= m->last_seq; seq += 5)
        send_again(m, seq);
    check_traces(m, 1, 1);
}

// ---- failing calls ----

// Every call of the engine in commits and sweeps with merges fails once: nothing is lost, and
// merges go on.
static void calls_that_fail_lose_nothing(void **state)
{
    model *m = *state;
    m->random = (ut_random){4};
    for (unsigned i = 0; i < 31 * 13; i++)
        commit_random(m, 1);
    for (uint64_t n = 1; n < 4000; n += 1 + n / 12) {
        ut_store_append append;
        const model_span spans[] = {{.trace = 2, .span = 2000 + (uint32_t)n},
                                    {.trace = 3, .span = 2000 + (uint32_t)n}};
        bool more;
        make_batch(m, spans, 2);
        m->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        const ut_err err = try_commit(m, 1, UT_STORE_TTL_NONE, &append);
        m->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
        (void)ut_store_sweep(m->store, m->now_ns, &more);
        m->faults = (ut_faults){0};
        if (err == UT_OK) {
            m->last_seq = ut_store_last_seq(m->store);
            m->blocks[m->last_seq] =
                (model_block){.org = 1, .count = 2, .spans = {spans[0], spans[1]}};
        }
        commit(m, 1, spans, 2);
        check_traces(m, 1, 64);
    }
    sweep_all(m);
    check_traces(m, 1, 1);
    (void)ut_store_check(ut_store_engine(m->store));
    assert_in_range(count_runs(m, 1), 1, 30);
}

// ---- room ----

static unsigned count_index_records(model *m)
{
    static const uint8_t kind[] = {UT_KEY_RUN};
    ut_txn *txn = ut_test_begin(m->inner, false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    unsigned count = 0;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    ut_err err = ut_cursor_seek(cursor, (ut_bytes){kind, 1}, &key, &value);
    for (; err == UT_OK && key.data[0] == UT_KEY_RUN; err = ut_cursor_next(cursor, &key, &value))
        count += 1;
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
    return count;
}

// An organisation whose last block has left leaves nothing in the index.
static void runs_leave_with_the_last_block_of_an_organisation(void **state)
{
    model *m = *state;
    for (uint32_t i = 0; i < 120; i++) {
        const model_span span = {.trace = i, .span = 1};
        ut_store_append append;
        make_batch(m, &span, 1);
        assert_int_equal(try_commit(m, 1 + i % 3, 3600000, &append), UT_OK);
    }
    sweep_all(m);
    assert_true(count_index_records(m) > 0);
    m->now_ns += 3 * hour_ns;
    sweep_all(m);
    assert_int_equal(count_index_records(m), 0);
}

// One block that stays for ever does not keep the runs of all that came after it.
static void runs_behind_a_block_that_stays_leave(void **state)
{
    model *m = *state;
    unsigned most = 0;
    for (uint32_t i = 0; i < 6000; i++) {
        const model_span span = {.trace = i, .span = 1};
        ut_store_append append;
        make_batch(m, &span, 1);
        assert_int_equal(try_commit(m, 1, i == 0 ? UT_STORE_TTL_NONE : 3600000, &append), UT_OK);
        if (i % 100 == 99) {
            m->now_ns += hour_ns / 2;
            sweep_all(m);
        }
        if (i > 1000 && count_index_records(m) > most)
            most = count_index_records(m);
    }
    assert_in_range(most, 1, 120);
}

// The smallest store turns over several times while the index merges.
static void the_smallest_store_turns_over(void **state)
{
    model *m = make_model(5);
    char dir_z[UT_TEMP_PATH_MAX];
    unsigned most = 0;
    (void)state;
    ut_temp_dir_make(dir_z);
    open_store(m, ut_test_open_lmdb(dir_z, UT_STORE_BYTES_MIN), UT_STORE_BYTES_MIN, NULL);
    for (unsigned i = 1; i <= 1500; i++) {
        enum { SPANS = 200 };
        ut_batch batch;
        ut_batch_init(&batch, BUDGET);
        ut_test_span spans[SPANS];
        for (uint32_t k = 0; k < SPANS; k++)
            spans[k] = (ut_test_span){.trace = i * SPANS + (i % 2 == 0 ? k : k % 10),
                                      .span = 1 + k,
                                      .start_ns = begin_ns + k,
                                      .filler = 40};
        ut_test_batch(&batch, spans, SPANS);
        ut_store_append append = {.org = 1 + i % 7 / 5, .batch = &batch};
        assert_int_equal(ut_store_commit(m->store, m->now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(append.stored, SPANS);
        // Sent again, it is known.
        if (i % 5 == 0) {
            assert_int_equal(ut_store_commit(m->store, m->now_ns, &append, 1, NULL, 0), UT_OK);
            assert_int_equal(append.duplicates, SPANS);
        }
        ut_batch_free(&batch);
        bool more;
        if (i % 10 == 0)
            assert_int_equal(ut_store_sweep(m->store, m->now_ns, &more), UT_OK);
        if (i % 250 == 0)
            (void)ut_store_check(ut_store_engine(m->store));
        for (uint32_t org = 1; org <= 2; org++)
            most = count_runs(m, org) > most ? count_runs(m, org) : most;
    }
    ut_store_counts counts;
    ut_store_get_counts(m->store, &counts);
    assert_true(counts.spans_evicted > 4 * (counts.spans_stored - counts.spans_evicted));
    assert_in_range(most, 2, 60);
    free_model(m);
    ut_temp_dir_remove(dir_z);
}

// Commits of many blocks ask for more merges than one, and nobody sweeps in between.
static void merges_keep_up_with_commits_of_many_blocks(void **state)
{
    enum { COMMITS = 300, BLOCKS = 40, SPANS = BLOCKS * 64, RUNS_MAX = 60 };
    model *m = make_model(6);
    char dir_z[UT_TEMP_PATH_MAX];
    ut_test_span *spans = calloc(SPANS, sizeof(*spans));
    unsigned most = 0;
    (void)state;
    assert_non_null(spans);
    ut_temp_dir_make(dir_z);
    open_store(m, ut_test_open_lmdb(dir_z, UT_STORE_BYTES_MIN), UT_STORE_BYTES_MIN, NULL);
    for (uint32_t i = 1; i <= COMMITS; i++) {
        for (uint32_t k = 0; k < SPANS; k++)
            spans[k] = (ut_test_span){.trace = i, .span = 1 + k, .start_ns = begin_ns + k};
        ut_batch_reset(&m->batch, BUDGET);
        ut_test_batch(&m->batch, spans, SPANS);
        ut_store_append append = {.org = 1, .batch = &m->batch};
        const uint64_t before = ut_store_last_seq(m->store);
        assert_int_equal(ut_store_commit(m->store, m->now_ns, &append, 1, NULL, 0), UT_OK);
        assert_int_equal(ut_store_last_seq(m->store) - before, BLOCKS);
        const unsigned runs = count_runs(m, 1);
        most = runs > most ? runs : most;
    }
    assert_in_range(most, 2, RUNS_MAX);
    (void)ut_store_check(ut_store_engine(m->store));
    free(spans);
    free_model(m);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_equals_its_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_organisations_equal_their_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encryption_begun_in_the_middle_finds_old_spans, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(calls_that_fail_lose_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_leave_with_the_last_block_of_an_organisation, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(runs_behind_a_block_that_stays_leave, set_up, tear_down),
        cmocka_unit_test(the_smallest_store_turns_over),
        cmocka_unit_test(merges_keep_up_with_commits_of_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
