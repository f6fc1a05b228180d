// Tests of storage/store/trace_merge: whatever steps merges have gone, every trace is found in the
// blocks that hold it. A model knows which those are.
#include "storage/store/key.h"
#include "storage/store/ordinal_list.h"
#include "storage/store/trace_merge.h"
#include "tests/support/engine_calls.h"
#include "tests/support/engine_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    BUDGET = 256 * 1024 * 1024,
    TRACES = 160, // of the model
    BLOCKS_MAX = 6000,
    ORG = 1,
    STEPS_MAX = 20000, // after which a merge counts as one that never ends
};

static const uint64_t base_ns = UINT64_C(1700000000000000000);

// A block of the model: how many spans it has of each trace.
typedef struct {
    uint32_t org;
    bool there;
    uint8_t spans[TRACES];
} block;

typedef struct {
    ut_faults faults;
    ut_engine *inner;
    ut_engine *engine; // that makes calls of inner fail
    ut_index_secret secret;
    ut_trace_merger merger;
    ut_block_traces_writer writer;
    ut_buf value;
    ut_buf seqs;
    uint8_t ids[TRACES][UT_TRACE_ID_LEN]; // rising
    block *blocks;                        // by seq; 0 is unused
    uint64_t last_seq;
    uint32_t postings_max;
    uint64_t run_bytes_max;
    ut_random random;
} fixture;

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, UT_TRACE_ID_LEN);
}

// Ids at both ends, ids that differ in the last byte, ids that share eight bytes, and others.
static void make_ids(fixture *f)
{
    for (size_t i = 0; i < TRACES; i++) {
        uint8_t *id = f->ids[i];
        memset(id, i == 0 ? 0 : UINT8_MAX, UT_TRACE_ID_LEN);
        if (i >= 2) {
            ut_put_be64(id, i < 60 ? UINT64_C(0x4242424242424242) : ut_random_next(&f->random));
            ut_put_be64(id + 8, i < 30 ? i : ut_random_next(&f->random));
        }
    }
    qsort(f->ids, TRACES, UT_TRACE_ID_LEN, compare_ids);
}

static void open_engine(fixture *f, ut_engine *inner)
{
    f->faults = (ut_faults){0};
    f->inner = inner;
    f->engine = ut_engine_faulty_wrap(inner, &f->faults);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    f->blocks = calloc(BLOCKS_MAX + 1, sizeof(block));
    f->postings_max = 100;
    f->run_bytes_max = UINT64_MAX;
    f->random = (ut_random){1};
    ut_trace_merger_init(&f->merger);
    ut_block_traces_writer_init(&f->writer);
    ut_buf_init(&f->value, 1 << 20);
    ut_buf_init(&f->seqs, 1 << 24);
    make_ids(f);
    open_engine(f, ut_engine_memory_open(BUDGET));
    ut_txn *txn = ut_test_begin(f->engine, true);
    assert_int_equal(ut_index_secret_make(txn, &f->value, &f->secret), UT_OK);
    ut_test_commit(txn);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_trace_merger_free(&f->merger);
    ut_block_traces_writer_free(&f->writer);
    ut_buf_free(&f->value);
    ut_buf_free(&f->seqs);
    ut_engine_close(f->engine);
    free(f->blocks);
    free(f);
    return 0;
}

// What a restart leaves: the records, and nothing in memory.
static void restart(fixture *f)
{
    ut_engine *inner = ut_engine_memory_clone(f->inner);
    ut_engine_close(f->engine);
    open_engine(f, inner);
    ut_trace_merger_free(&f->merger);
    ut_trace_merger_init(&f->merger);
}

// ---- blocks ----

static void add_entry(fixture *f, uint64_t seq, uint32_t trace, uint32_t *ordinal, uint32_t spans)
{
    ut_buf ordinals;
    ut_buf digests;
    uint32_t last = UINT32_MAX;
    ut_buf_init(&ordinals, 4096);
    ut_buf_init(&digests, 8192);
    for (uint32_t i = 0; i < spans; i++) {
        uint8_t digest[UT_DIGEST_LEN];
        ut_put_le64(digest, seq * 1000003 + *ordinal);
        ut_ordinal_list_put(&ordinals, &last, (*ordinal)++);
        ut_buf_add(&digests, digest, sizeof(digest));
    }
    const ut_trace_entry entry = {
        .trace_id = f->ids[trace],
        .has_root = trace % 2 == 0,
        .start_ns = base_ns + seq,
        .count = spans,
        .ordinals = ut_buf_bytes(&ordinals),
        .digests = ut_buf_bytes(&digests),
    };
    assert_int_equal(ut_block_traces_add(&f->writer, &entry), UT_OK);
    ut_buf_free(&ordinals);
    ut_buf_free(&digests);
}

// Stores a block with what the model says.
static void put_block(fixture *f, uint32_t org, const uint8_t spans[TRACES])
{
    const uint64_t seq = ++f->last_seq;
    assert_true(seq <= BLOCKS_MAX);
    block *made = &f->blocks[seq];
    *made = (block){.org = org, .there = true};
    memcpy(made->spans, spans, TRACES);
    ut_txn *txn = ut_test_begin(f->engine, true);
    uint32_t ordinal = 0;
    ut_block_traces_begin(&f->writer, txn, org, seq, base_ns);
    for (uint32_t t = 0; t < TRACES; t++) {
        for (uint32_t left = spans[t]; left > 0;) {
            const uint32_t most = ut_block_traces_spans_max(f->engine);
            const uint32_t part = left < most ? left : most;
            add_entry(f, seq, t, &ordinal, part);
            left -= part;
        }
    }
    assert_int_equal(ut_block_traces_end(&f->writer), UT_OK);
    const ut_key key = ut_key_summary(org, seq);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), UT_BYTES_LIT("summary")), UT_OK);
    ut_test_commit(txn);
}

// A block of some traces: the first few are long-lived, the others come and go.
static void put_random_block(fixture *f, uint32_t org)
{
    uint8_t spans[TRACES] = {0};
    const uint32_t count = 1 + ut_random_below(&f->random, 12);
    for (uint32_t i = 0; i < count; i++) {
        const bool long_lived = ut_random_below(&f->random, 3) == 0;
        const uint32_t t = ut_random_below(&f->random, long_lived ? 6 : TRACES);
        spans[t] = (uint8_t)(1 + ut_random_below(&f->random, i == 0 ? 200 : 3));
    }
    put_block(f, org, spans);
}

// A block leaves: its summary first, its pieces with it.
static void remove_block(fixture *f, uint64_t seq)
{
    block *gone = &f->blocks[seq];
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_key key = ut_key_summary(gone->org, seq);
    assert_int_equal(ut_txn_del(txn, ut_key_bytes(&key)), UT_OK);
    for (uint32_t piece = UT_BLOCK_TRACES_FROM;; piece++) {
        key = ut_key_piece(gone->org, seq, piece);
        if (ut_txn_del(txn, ut_key_bytes(&key)) != UT_OK)
            break;
    }
    ut_test_commit(txn);
    gone->there = false;
}

static uint64_t oldest_seq(const fixture *f, uint32_t org)
{
    uint64_t seq = 1;
    while (seq <= f->last_seq && !(f->blocks[seq].there && f->blocks[seq].org == org))
        seq += 1;
    return seq;
}

// ---- steps ----

static ut_err try_step(fixture *f, uint32_t org, bool *more)
{
    ut_txn *txn;
    uint32_t touched = 0;
    *more = false;
    ut_err err = ut_engine_begin(f->engine, true, &txn);
    if (err != UT_OK)
        return err;
    const ut_merge_job job = {
        .txn = txn,
        .org = org,
        .filter_key = ut_index_filter_key(&f->secret),
        .postings_max = f->postings_max,
        .run_bytes_max = f->run_bytes_max,
        .oldest_seq = oldest_seq(f, org),
    };
    err = ut_trace_merge_step(&f->merger, &job, &touched, more);
    if (err == UT_OK)
        return ut_txn_commit(txn);
    ut_txn_abort(txn);
    return err;
}

static bool step(fixture *f, uint32_t org)
{
    bool more;
    assert_int_equal(try_step(f, org, &more), UT_OK);
    return more;
}

static void merge_all(fixture *f, uint32_t org)
{
    for (unsigned i = 0; step(f, org); i++)
        assert_true(i < STEPS_MAX);
}

// ---- what is found ----

static void assert_seqs(const fixture *f, uint32_t org, uint32_t trace)
{
    const uint64_t *seqs = (const uint64_t *)(const void *)f->seqs.data;
    const size_t count = f->seqs.len / sizeof(uint64_t);
    size_t at = 0;
    for (uint64_t seq = 1; seq <= f->last_seq; seq++) {
        const block *b = &f->blocks[seq];
        if (!b->there || b->org != org || b->spans[trace] == 0)
            continue;
        if (at >= count || seqs[at] != seq)
            fail_msg("trace %u of org %u: block %llu is not found", trace, org,
                     (unsigned long long)seq);
        at += 1;
    }
    assert_int_equal(at, count);
}

// Runs that are ready cover no block twice, and there are few of them. *runs_max: the most to be.
static unsigned check_runs(fixture *f, ut_txn *txn, uint32_t org)
{
    unsigned ready = 0;
    ut_buf runs;
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    assert_int_equal(ut_runs_read(txn, org, &runs, NULL), UT_OK);
    const ut_run *all = ut_runs_of(&runs);
    for (size_t i = 0; i < ut_runs_count(&runs); i++) {
        ready += all[i].state == UT_RUN_READY;
        for (size_t k = 0; k < i; k++) {
            if (all[i].state == UT_RUN_READY && all[k].state == UT_RUN_READY)
                assert_true(all[i].first_seq > all[k].last_seq ||
                            all[k].first_seq > all[i].last_seq);
        }
    }
    (void)f;
    ut_buf_free(&runs);
    return ready;
}

static unsigned check_all(fixture *f, uint32_t org)
{
    ut_txn *txn = ut_test_begin(f->engine, false);
    for (uint32_t t = 0; t < TRACES; t++) {
        uint64_t first = 0;
        assert_int_equal(ut_trace_find(txn, org, f->ids[t], &f->seqs), UT_OK);
        assert_seqs(f, org, t);
        const ut_err err = ut_trace_find_first(txn, org, f->ids[t], &first);
        assert_int_equal(err, f->seqs.len == 0 ? UT_ENOTFOUND : UT_OK);
        if (err == UT_OK)
            assert_true(first == *(const uint64_t *)(const void *)f->seqs.data);
    }
    const unsigned ready = check_runs(f, txn, org);
    ut_txn_abort(txn);
    return ready;
}

static unsigned count_of_kind(fixture *f, uint8_t kind)
{
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    unsigned count = 0;
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    ut_err err = ut_cursor_seek(cursor, (ut_bytes){&kind, 1}, &key, &value);
    for (; err == UT_OK && key.data[0] == kind; err = ut_cursor_next(cursor, &key, &value))
        count += 1;
    ut_cursor_close(cursor);
    ut_txn_abort(txn);
    return count;
}

static uint32_t highest_level(fixture *f, uint32_t org)
{
    uint32_t highest = 0;
    ut_buf runs;
    ut_txn *txn = ut_test_begin(f->engine, false);
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    assert_int_equal(ut_runs_read(txn, org, &runs, NULL), UT_OK);
    for (size_t i = 0; i < ut_runs_count(&runs); i++) {
        if (ut_runs_of(&runs)[i].state == UT_RUN_READY && ut_runs_of(&runs)[i].level > highest)
            highest = ut_runs_of(&runs)[i].level;
    }
    ut_buf_free(&runs);
    ut_txn_abort(txn);
    return highest;
}

// ---- tests ----

static void every_trace_is_found_after_each_step(void **state)
{
    fixture *f = *state;
    for (unsigned round = 0; round < 45; round++) {
        for (unsigned i = 0; i < 10; i++)
            put_random_block(f, ORG);
        (void)check_all(f, ORG);
        bool more = true;
        while (more) {
            more = step(f, ORG);
            (void)check_all(f, ORG);
        }
    }
    assert_int_equal(highest_level(f, ORG), 2);
}

static void many_blocks_come_to_few_runs_of_high_levels(void **state)
{
    fixture *f = *state;
    f->postings_max = 2000;
    for (unsigned i = 0; i < 32 * 12 * 12 + 40; i++) {
        put_random_block(f, ORG);
        (void)step(f, ORG);
    }
    merge_all(f, ORG);
    assert_int_equal(highest_level(f, ORG), 3);
    assert_true(check_all(f, ORG) <= 3 * UT_MERGE_RUNS);
    // Nothing is left of the sources.
    const unsigned blocks = count_of_kind(f, UT_KEY_RUN);
    restart(f);
    assert_false(step(f, ORG));
    assert_int_equal(count_of_kind(f, UT_KEY_RUN), blocks);
}

static void a_restart_between_any_two_steps_loses_nothing(void **state)
{
    fixture *f = *state;
    f->postings_max = 20;
    for (unsigned i = 0; i < 32 * 12; i++)
        put_random_block(f, ORG);
    for (unsigned i = 0;; i++) {
        const bool more = step(f, ORG);
        restart(f);
        if (i % 5 == 0 || !more)
            (void)check_all(f, ORG);
        if (!more)
            break;
        assert_true(i < STEPS_MAX);
    }
    assert_int_equal(highest_level(f, ORG), 2);
}

static void blocks_may_leave_in_the_middle_of_a_merge(void **state)
{
    fixture *f = *state;
    f->postings_max = 40;
    for (unsigned round = 0; round < 1200; round++) {
        put_random_block(f, ORG);
        if (round % 3 == 0)
            (void)step(f, ORG);
        // The oldest ones, and some in the middle.
        if (round > 200 && round % 50 < 40)
            remove_block(f, oldest_seq(f, ORG));
        const uint64_t seq = 1 + ut_random_below(&f->random, (uint32_t)f->last_seq);
        if (round % 4 == 0 && f->blocks[seq].there)
            remove_block(f, seq);
        if (round % 40 == 0)
            (void)check_all(f, ORG);
        if (round % 300 == 299)
            merge_all(f, ORG);
    }
    merge_all(f, ORG);
    (void)check_all(f, ORG);
}

static void nothing_is_left_when_all_blocks_have_left(void **state)
{
    fixture *f = *state;
    f->postings_max = 50;
    for (unsigned i = 0; i < 600; i++) {
        put_random_block(f, ORG);
        if (i % 2 == 0)
            (void)step(f, ORG);
    }
    while (oldest_seq(f, ORG) <= f->last_seq)
        remove_block(f, oldest_seq(f, ORG));
    merge_all(f, ORG);
    assert_int_equal(count_of_kind(f, UT_KEY_RUN), 0);
}

static void organisations_do_not_see_each_other(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 900; i++) {
        const uint32_t org = 1 + ut_random_below(&f->random, 3);
        put_random_block(f, org);
        (void)step(f, org);
    }
    for (uint32_t org = 1; org <= 3; org++) {
        merge_all(f, org);
        (void)check_all(f, org);
    }
    while (oldest_seq(f, 2) <= f->last_seq)
        remove_block(f, oldest_seq(f, 2));
    merge_all(f, 2);
    for (uint32_t org = 1; org <= 3; org++)
        (void)check_all(f, org);
}

// Runs of a level that are too large together leave gaps where smaller ones are merged.
static void runs_of_many_sizes_do_not_overlap(void **state)
{
    fixture *f = *state;
    f->postings_max = 2000;
    f->run_bytes_max = 32 * 1024;
    uint32_t each = 1;
    for (unsigned i = 0; i < 32 * 150; i++) {
        uint8_t spans[TRACES] = {0};
        if (i % 32 == 0)
            each = 1 + ut_random_below(&f->random, 10) * ut_random_below(&f->random, 3);
        for (uint32_t k = 0; k < each; k++)
            spans[ut_random_below(&f->random, TRACES)] = 1;
        put_block(f, ORG, spans);
        (void)step(f, ORG);
        if (i % 320 == 0)
            (void)check_all(f, ORG);
    }
    merge_all(f, ORG);
    (void)check_all(f, ORG);
    assert_in_range(highest_level(f, ORG), 2, 3);
}

// Every call of the engine in every step of a merge fails once.
static void a_step_that_fails_loses_nothing(void **state)
{
    fixture *f = *state;
    f->postings_max = 150;
    for (unsigned i = 0; i < 32 * 12; i++) {
        uint8_t spans[TRACES] = {0};
        spans[ut_random_below(&f->random, TRACES)] = 1;
        put_block(f, ORG, spans);
        if (i < 32 * 11)
            (void)step(f, ORG);
    }
    for (bool more = true; more;) {
        uint8_t *before;
        size_t len;
        ut_err err;
        uint64_t n = 0;
        ut_engine_dump(f->engine, &before, &len);
        do {
            // The calls of a step are many and alike: the first ones one by one, the others in
            // leaps.
            n += 1 + n / 16;
            f->faults = (ut_faults){.fail_at = n, .err = UT_EIO};
            err = try_step(f, ORG, &more);
            f->faults = (ut_faults){0};
            if (err != UT_OK) {
                assert_int_equal(err, UT_EIO);
                ut_test_assert_same_dump(f->engine, before, len);
            }
        } while (err != UT_OK);
        free(before);
        (void)check_all(f, ORG);
    }
    assert_int_equal(highest_level(f, ORG), 2);
}

// ---- damage ----

// Damages the last slice of postings of the run that is being built.
static bool damage_building(fixture *f)
{
    ut_buf runs;
    bool done = false;
    uint8_t highest[UT_TRACE_ID_LEN];
    memset(highest, UINT8_MAX, sizeof(highest));
    ut_txn *txn = ut_test_begin(f->engine, true);
    ut_cursor *cursor;
    ut_buf_init(&runs, UT_RUNS_MAX * sizeof(ut_run));
    assert_int_equal(ut_runs_read(txn, ORG, &runs, NULL), UT_OK);
    assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
    for (size_t i = 0; i < ut_runs_count(&runs) && !done; i++) {
        const ut_run *run = &ut_runs_of(&runs)[i];
        const ut_key last = ut_key_slice(ORG, UT_KEY_RUN_POSTINGS, run->run, highest, UINT64_MAX);
        ut_bytes key;
        ut_bytes value;
        if (run->state != UT_RUN_BUILDING || run->postings == 0)
            continue;
        assert_int_equal(f->engine->class->seek(cursor, ut_key_bytes(&last), true, &key, &value),
                         UT_OK);
        ut_key own = {.len = key.len};
        memcpy(own.data, key.data, key.len);
        assert_int_equal(ut_txn_put(txn, ut_key_bytes(&own), UT_BYTES_LIT("damaged")), UT_OK);
        done = true;
    }
    ut_cursor_close(cursor);
    ut_buf_free(&runs);
    ut_test_commit(txn);
    return done;
}

// A run that was damaged before it was ready is made again, and its blocks are found meanwhile.
static void a_run_damaged_while_it_is_built_hides_nothing(void **state)
{
    fixture *f = *state;
    f->postings_max = 50;
    for (unsigned damaged = 0; damaged < 6;) {
        for (unsigned i = 0; i < 16; i++)
            put_random_block(f, ORG);
        for (unsigned i = 0; i < 3; i++)
            (void)step(f, ORG);
        damaged += damage_building(f);
        for (bool more = true; more;) {
            more = step(f, ORG);
            (void)check_all(f, ORG);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_trace_is_found_after_each_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_blocks_come_to_few_runs_of_high_levels, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_restart_between_any_two_steps_loses_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(blocks_may_leave_in_the_middle_of_a_merge, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_left_when_all_blocks_have_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(organisations_do_not_see_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_of_many_sizes_do_not_overlap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_step_that_fails_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_damaged_while_it_is_built_hides_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
