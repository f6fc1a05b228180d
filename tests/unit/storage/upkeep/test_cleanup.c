// Cleanup and new times to live: exactly what was asked for leaves, and what stays keeps all that
// is known of it.
#include "storage/store/key.h"
#include "storage/upkeep/operation.h"
#include "storage/store/record.h"
#include "storage/store/trace_index.h"
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

enum {
    BUDGET = 64 * 1024 * 1024,
    COMMITS = 24,
    SERVICES = 3,
    SPANS_MAX = 4000,
    DESTS = 2,
    SLICES_MAX = 10000,
};

static const char *const services_z[SERVICES] = {"shop", "pay", "mail"};
static const uint64_t hour_ns = UINT64_C(3600000000000);
static const uint64_t now_ns = UINT64_C(472222) * UINT64_C(3600000000000);

// What becomes of a span at a destination.
enum { WAITS = 1, ARRIVED, REFUSED };

typedef struct {
    uint32_t trace;
    uint32_t span;
    unsigned service;
    unsigned commit;
    unsigned fate[DESTS];
    bool found;
} known_span;

typedef struct {
    ut_faults faults;
    ut_engine *engine;
    ut_store *store;
    uint32_t dests[DESTS];
    known_span *spans;
    uint32_t count;
    char dir_z[UT_TEMP_PATH_MAX];
} fixture;

// ---- the store ----

static void open_store(fixture *f, ut_engine *engine, const ut_store_config *config)
{
    static const char *const names_z[DESTS] = {"one", "two"};
    ut_fault fault = {0};
    if (ut_store_open(engine, config, &f->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    for (unsigned i = 0; i < DESTS; i++)
        assert_int_equal(
            ut_store_add_destination(f->store, UT_ORG_DEFAULT, names_z[i], &f->dests[i]), UT_OK);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->spans = calloc(SPANS_MAX, sizeof *f->spans);
    f->engine = ut_engine_memory_open(BUDGET);
    const ut_store_config config = {.bytes_max = BUDGET};
    open_store(f, ut_engine_faulty_wrap(f->engine, &f->faults), &config);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    if (f->dir_z[0] != '\0')
        ut_temp_dir_remove(f->dir_z);
    free(f->spans);
    free(f);
    return 0;
}

static void add_batch(fixture *f, ut_random *random, ut_batch *batch, unsigned service,
                      unsigned commit)
{
    ut_test_span spans[40];
    const uint32_t count = 1 + ut_random_below(random, 39);
    for (uint32_t i = 0; i < count; i++) {
        known_span *known = &f->spans[f->count];
        *known = (known_span){.trace = ut_random_below(random, 30),
                              .span = f->count + 1,
                              .service = service,
                              .commit = commit};
        f->count += 1;
        assert_true(f->count < SPANS_MAX);
        spans[i] = (ut_test_span){.trace = known->trace,
                                  .span = known->span,
                                  .parent = ut_random_below(random, 8),
                                  .start_ns = now_ns + known->span,
                                  .end_ns = now_ns + known->span + 5,
                                  .status = (int32_t)ut_random_below(random, 3),
                                  .service_z = services_z[service]};
    }
    ut_test_batch(batch, spans, count);
}

// Commits of spans of several services, an hour apart; each is one block, but in a small store.
static void fill(fixture *f, uint64_t seed)
{
    ut_random random = {seed};
    ut_batch batches[SERVICES];
    for (unsigned i = 0; i < SERVICES; i++)
        ut_batch_init(&batches[i], BUDGET);
    for (unsigned commit = 0; commit < COMMITS; commit++) {
        ut_store_append appends[SERVICES];
        size_t count = 0;
        for (unsigned i = 0; i < SERVICES; i++) {
            ut_batch_reset(&batches[i], SIZE_MAX);
            if (ut_random_below(&random, 4) == 0 && (count > 0 || i < SERVICES - 1))
                continue;
            add_batch(f, &random, &batches[i], i, commit);
            appends[count++] = (ut_store_append){
                .org = UT_ORG_DEFAULT, .ttl_ms = UINT64_C(90000000000), .batch = &batches[i]};
        }
        assert_int_equal(
            ut_store_commit(f->store, now_ns + commit * hour_ns, appends, count, NULL, 0), UT_OK);
    }
    for (unsigned i = 0; i < SERVICES; i++)
        ut_batch_free(&batches[i]);
}

// Marks of every form.
static void mark(fixture *f, uint64_t seed)
{
    ut_random random = {seed};
    for (uint64_t seq = 1; seq <= ut_store_last_seq(f->store); seq++) {
        for (unsigned i = 0; i < DESTS; i++) {
            static const uint16_t dead[] = {0, 3, 4};
            ut_delivery entry = {.org = UT_ORG_DEFAULT,
                                 .dest = f->dests[i],
                                 .seq = seq,
                                 .state = UT_DELIVERY_DELIVERED,
                                 .attempts = 2,
                                 .updated_ns = now_ns,
                                 .http_status = 400,
                                 .reason_z = "no"};
            switch (ut_random_below(&random, 6)) {
            case 0:
                continue; // not tried
            case 1:
                entry.state = UT_DELIVERY_PENDING;
                entry.next_try_ns = now_ns + 7;
                break;
            case 2:
                entry.state = UT_DELIVERY_DEAD; // all of it
                break;
            case 3:
                entry.state = UT_DELIVERY_DEAD;
                entry.spans_dead = 1;
                entry.dead_ordinals = dead;
                break;
            case 4:
                entry.spans_dead = 1;
                entry.dead_ordinals = dead;
                break;
            default:
                break;
            }
            assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, &entry, 1), UT_OK);
        }
    }
}

// ---- what is there ----

static known_span *find_span(fixture *f, const ut_span *span)
{
    for (uint32_t i = 0; i < f->count; i++) {
        uint8_t trace_id[UT_TRACE_ID_LEN];
        uint8_t span_id[UT_SPAN_ID_LEN];
        ut_test_trace_id(f->spans[i].trace, trace_id);
        ut_test_span_id(f->spans[i].trace, f->spans[i].span, span_id);
        if (memcmp(trace_id, span->trace_id.data, UT_TRACE_ID_LEN) == 0 &&
            memcmp(span_id, span->span_id.data, UT_SPAN_ID_LEN) == 0)
            return &f->spans[i];
    }
    return NULL;
}

static bool is_dead(ut_txn *txn, uint32_t dest, uint64_t seq, uint32_t ordinal)
{
    ut_key key = ut_key_dead(UT_ORG_DEFAULT, dest, seq);
    ut_bytes value;
    if (ut_txn_get(txn, ut_key_bytes(&key), &value) != UT_OK)
        return false;
    ut_mp_reader reader = ut_mp_reader_of(value);
    assert_int_equal(ut_mp_get_array(&reader), 4);
    for (unsigned i = 0; i < 3; i++)
        (void)ut_mp_skip(&reader);
    if (ut_mp_peek(&reader) == UT_MP_NIL)
        return true;
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        if (ut_mp_get_uint(&reader) == ordinal)
            return true;
    }
    return false;
}

static unsigned fate_of(ut_txn *txn, uint32_t dest, uint64_t seq, uint32_t ordinal)
{
    ut_key key = ut_key_delivery(UT_ORG_DEFAULT, dest, seq);
    ut_bytes value;
    ut_delivery entry;
    assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
    assert_int_equal(ut_record_read_delivery(value, &entry), UT_OK);
    if (entry.state == UT_DELIVERY_PENDING)
        return WAITS;
    return is_dead(txn, dest, seq, ordinal) ? REFUSED : ARRIVED;
}

// Walks all blocks: which spans are there, and what became of each. learn: the fates are noted,
// otherwise they have to be those that were.
static uint32_t survey(fixture *f, ut_engine *engine, bool learn)
{
    ut_store_view *view;
    ut_txn *txn;
    ut_buf payload;
    uint32_t found = 0;
    ut_buf_init(&payload, BUDGET);
    for (uint32_t i = 0; i < f->count; i++)
        f->spans[i].found = false;
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_engine_begin(engine, false, &txn), UT_OK);
    for (uint64_t seq = 1; seq <= ut_store_last_seq(f->store); seq++) {
        ut_block block;
        if (ut_store_read_block(view, UT_ORG_DEFAULT, seq, &payload, &block) != UT_OK)
            continue;
        ut_block_cursor cursor;
        bool more;
        bool is_span;
        ut_span span;
        ut_block_walk(&block, &cursor);
        while (ut_block_next_group(&cursor, &more) == UT_OK && more) {
            for (;;) {
                const uint32_t ordinal = cursor.ordinal;
                assert_int_equal(ut_block_next_span(&cursor, &span, &is_span), UT_OK);
                if (!is_span)
                    break;
                known_span *known = find_span(f, &span);
                assert_non_null(known);
                assert_false(known->found);
                known->found = true;
                found += 1;
                // It keeps the time it came at.
                assert_int_equal(block.info.received_ns, now_ns + known->commit * hour_ns);
                assert_int_equal(span.start_ns, now_ns + known->span);
                for (unsigned i = 0; i < DESTS; i++) {
                    const unsigned fate = fate_of(txn, f->dests[i], seq, ordinal);
                    if (learn)
                        known->fate[i] = fate;
                    assert_int_equal(known->fate[i], fate);
                }
            }
        }
    }
    ut_txn_abort(txn);
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return found;
}

static ut_operation *new_cleanup(const ut_cleanup_options *options)
{
    ut_operation *operation;
    assert_int_equal(ut_cleanup_new(options, &operation), UT_OK);
    return operation;
}

static ut_operation_progress run_all(fixture *f, ut_operation *operation)
{
    ut_fault fault = {0};
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < SLICES_MAX);
        if (ut_operation_step(operation, f->store, now_ns, &more, &fault) != UT_OK)
            fail_msg("%s", fault.text_z);
        (void)ut_store_check(f->engine);
    }
    const ut_operation_progress progress = operation->progress;
    assert_int_equal(progress.done, progress.total);
    operation->class->free(operation);
    return progress;
}

static ut_store_counts counts_of(const fixture *f)
{
    ut_store_counts counts;
    ut_store_get_counts(f->store, &counts);
    return counts;
}

// ---- claims ----

static void exactly_the_spans_of_a_service_leave(void **state)
{
    fixture *f = *state;
    fill(f, 1);
    mark(f, 2);
    assert_int_equal(survey(f, f->engine, true), f->count);
    uint32_t wanted = 0;
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->spans[i].service != 1)
            continue;
        wanted += 1;
        waiting += f->spans[i].fate[0] == WAITS || f->spans[i].fate[1] == WAITS;
    }
    ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "pay", .dry_run = true};
    ut_store_destination before[DESTS];
    (void)ut_store_get_destinations(f->store, before, DESTS);
    ut_operation_progress dry = run_all(f, new_cleanup(&options));
    assert_int_equal(survey(f, f->engine, false), f->count);
    options.dry_run = false;
    ut_operation_progress real = run_all(f, new_cleanup(&options));
    assert_int_equal(survey(f, f->engine, false), f->count - wanted);
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(f->spans[i].found, f->spans[i].service != 1);
    assert_int_equal(real.spans, wanted);
    assert_int_equal(real.pending, waiting);
    assert_true(real.bytes > 0);
    assert_int_equal(dry.spans, wanted);
    assert_int_equal(dry.pending, waiting);
    assert_int_equal(dry.blocks, real.blocks);
    assert_int_equal(counts_of(f).spans_expired, wanted);
    // What waited counts as expired, what had ended stays counted as it was.
    ut_store_destination after[DESTS];
    (void)ut_store_get_destinations(f->store, after, DESTS);
    for (unsigned i = 0; i < DESTS; i++) {
        uint32_t waited = 0;
        for (uint32_t k = 0; k < f->count; k++)
            waited += f->spans[k].service == 1 && f->spans[k].fate[i] == WAITS;
        assert_int_equal(after[i].counts.expired, waited);
        assert_int_equal(after[i].counts.delivered, before[i].counts.delivered);
        assert_int_equal(after[i].counts.dead, before[i].counts.dead);
    }
    // The spans may come again: nothing of them is left that would make them duplicates.
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    uint32_t first = 0;
    while (f->spans[first].service != 1)
        first += 1;
    const ut_test_span again = {.trace = f->spans[first].trace, .span = f->spans[first].span};
    ut_test_batch(&batch, &again, 1);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    assert_int_equal(append.stored, 1);
    ut_batch_free(&batch);
    (void)ut_store_check(f->engine);
}

static void age_and_delivery_choose_blocks(void **state)
{
    fixture *f = *state;
    fill(f, 3);
    mark(f, 4);
    (void)survey(f, f->engine, true);
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = now_ns + 10 * hour_ns, .delivered_only = true};
    const ut_operation_progress progress = run_all(f, new_cleanup(&options));
    uint32_t left = 0;
    (void)survey(f, f->engine, false);
    for (uint32_t i = 0; i < f->count; i++) {
        const known_span *known = &f->spans[i];
        const bool waits = known->fate[0] == WAITS || known->fate[1] == WAITS;
        assert_int_equal(known->found, known->commit >= 10 || waits);
        left += !known->found;
    }
    assert_int_equal(progress.spans, left);
    assert_int_equal(progress.pending, 0);
    assert_int_equal(counts_of(f).spans_expired, left);
    assert_int_equal(counts_of(f).blocks_removed, progress.blocks);
    assert_true(left > 0);
}

static void what_an_aborted_cleanup_did_stays_and_another_ends_it(void **state)
{
    fixture *f = *state;
    fill(f, 5);
    mark(f, 6);
    (void)survey(f, f->engine, true);
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "shop"};
    for (unsigned slices = 1; slices < 8; slices++) {
        ut_operation *operation = new_cleanup(&options);
        ut_fault fault = {0};
        bool more = true;
        for (unsigned i = 0; i < slices && more; i++)
            assert_int_equal(ut_operation_step(operation, f->store, now_ns, &more, &fault), UT_OK);
        operation->class->free(operation);
        (void)ut_store_check(f->engine);
        (void)survey(f, f->engine, false);
    }
    (void)run_all(f, new_cleanup(&options));
    (void)survey(f, f->engine, false);
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(f->spans[i].found, f->spans[i].service != 0);
}

static void commits_between_slices_go_on(void **state)
{
    fixture *f = *state;
    fill(f, 7);
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "mail"};
    ut_operation *operation = new_cleanup(&options);
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_fault fault = {0};
    bool more = true;
    ut_test_span span = {.trace = 2, .span = SPANS_MAX, .service_z = "mail"};
    uint64_t commits = 0;
    for (; more; commits++) {
        assert_int_equal(ut_operation_step(operation, f->store, now_ns, &more, &fault), UT_OK);
        ut_batch_reset(&batch, SIZE_MAX);
        span.span += 1;
        ut_test_batch(&batch, &span, 1);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
        (void)ut_store_check(f->engine);
    }
    uint32_t others = 0;
    for (uint32_t i = 0; i < f->count; i++)
        others += f->spans[i].service != 2;
    assert_int_equal(ut_store_check(f->engine).spans, others + commits); // what came later stays
    operation->class->free(operation);
    ut_batch_free(&batch);
}

// A block of so many traces that no slice removes it whole.
static void what_a_kill_left_of_a_block_is_swept_up(void **state)
{
    enum { TRACES = 500 };
    fixture *f = *state;
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    ut_test_span *spans = calloc(TRACES, sizeof *spans);
    for (uint32_t i = 0; i < TRACES; i++)
        spans[i] = (ut_test_span){.trace = i + 1, .span = 1};
    ut_test_batch(&batch, spans, TRACES);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    const ut_cleanup_options options = {.org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX};
    ut_operation *operation = new_cleanup(&options);
    ut_fault fault = {0};
    bool more;
    assert_int_equal(ut_operation_step(operation, f->store, now_ns, &more, &fault), UT_OK);
    assert_true(more);
    assert_int_equal(ut_store_check(f->engine).leaving, 1);
    operation->class->free(operation);
    ut_engine *left = ut_engine_memory_clone(f->engine);
    ut_store_close(f->store);
    f->engine = left;
    const ut_store_config config = {.bytes_max = BUDGET};
    open_store(f, left, &config);
    for (unsigned i = 0; i == 0 || more; i++) {
        assert_true(i < SLICES_MAX);
        assert_int_equal(ut_store_sweep(f->store, now_ns, &more), UT_OK);
        (void)ut_store_check(f->engine);
    }
    assert_int_equal(ut_store_check(f->engine).leaving, 0);
    assert_int_equal(ut_store_check(f->engine).traces, 0);
    assert_int_equal(counts_of(f).spans_expired, TRACES);
    free(spans);
    ut_batch_free(&batch);
}

static void every_failing_call_leaves_the_store_as_it_was(void **state)
{
    fixture *f = *state;
    fill(f, 9);
    mark(f, 10);
    (void)survey(f, f->engine, true);
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "pay"};
    ut_operation *operation = new_cleanup(&options);
    ut_fault fault = {0};
    bool more = true;
    uint64_t failed = 0;
    f->faults.err = UT_EIO;
    for (unsigned slice = 0; more; slice++) {
        // The first slices call by call, the others not: it takes a while.
        for (uint64_t fail_at = 1; slice < 3; fail_at++) {
            uint8_t *before;
            uint8_t *after;
            size_t before_len;
            size_t after_len;
            ut_engine_dump(f->engine, &before, &before_len);
            f->faults.calls = 0;
            f->faults.fail_at = fail_at;
            const ut_err err = ut_operation_step(operation, f->store, now_ns, &more, &fault);
            f->faults.fail_at = 0;
            ut_engine_dump(f->engine, &after, &after_len);
            if (err != UT_OK) {
                assert_int_equal(after_len, before_len);
                assert_memory_equal(after, before, after_len);
                failed += 1;
            }
            free(before);
            free(after);
            if (err == UT_OK)
                break;
        }
        if (slice >= 3)
            assert_int_equal(ut_operation_step(operation, f->store, now_ns, &more, &fault), UT_OK);
        (void)ut_store_check(f->engine);
    }
    operation->class->free(operation);
    assert_true(failed > 100);
    (void)survey(f, f->engine, false);
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(f->spans[i].found, f->spans[i].service != 1);
}

// One commit of spans of one trace, one for each of the services from first on. Returns how many
// were new.
static uint32_t commit_beside(ut_store *store, uint32_t first_span, unsigned first, unsigned count)
{
    ut_batch batches[SERVICES];
    ut_store_append appends[SERVICES];
    uint32_t stored = 0;
    for (unsigned i = 0; i < count; i++) {
        const ut_test_span span = {.trace = 7,
                                   .span = first_span + first + i,
                                   .start_ns = now_ns,
                                   .service_z = services_z[first + i]};
        ut_batch_init(&batches[i], BUDGET);
        ut_test_batch(&batches[i], &span, 1);
        appends[i] = (ut_store_append){.org = UT_ORG_DEFAULT, .batch = &batches[i]};
    }
    assert_int_equal(ut_store_commit(store, now_ns, appends, count, NULL, 0), UT_OK);
    for (unsigned i = 0; i < count; i++) {
        stored += appends[i].stored;
        ut_batch_free(&batches[i]);
    }
    return stored;
}

static void after_a_slice_that_failed_spans_of_long_traces_are_known(void **state)
{
    fixture *f = *state;
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "pay"};
    for (uint32_t i = 0; i <= 24; i++)
        assert_int_equal(commit_beside(f->store, 1 + 2 * i, 0, 2), 2);
    ut_engine *filled = ut_engine_memory_clone(f->engine);
    ut_err err = UT_EIO;
    for (uint64_t n = 1; err != UT_OK; n++) {
        assert_true(n < 300);
        // Each time as after a start: the store has not looked at the trace yet.
        ut_store_close(f->store);
        f->faults = (ut_faults){0};
        const ut_store_config config = {.bytes_max = BUDGET};
        open_store(f, ut_engine_faulty_wrap(ut_engine_memory_clone(filled), &f->faults), &config);
        ut_operation *operation = new_cleanup(&options);
        ut_fault fault = {0};
        bool more;
        f->faults = (ut_faults){.fail_at = n, .err = UT_ENOSPC};
        err = ut_operation_step(operation, f->store, now_ns, &more, &fault);
        operation->class->free(operation);
        f->faults = (ut_faults){0};
        if (err != UT_OK && commit_beside(f->store, 1, 1, 1) != 0)
            fail_msg("stored twice after call %u failed", (unsigned)n);
    }
    ut_engine_close(filled);
}

static void a_damaged_count_of_spans_costs_no_span_of_others(void **state)
{
    fixture *f = *state;
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "pay"};
    for (uint32_t said = 0; said < 4; said++) {
        const uint32_t span = 1 + 2 * said;
        assert_int_equal(commit_beside(f->store, span, 0, 2), 2);
        ut_key key = ut_key_summary(UT_ORG_DEFAULT, ut_store_last_seq(f->store));
        ut_bytes value;
        ut_record_summary summary;
        ut_buf record;
        ut_txn *txn;
        ut_buf_init(&record, BUDGET);
        assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
        assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
        assert_int_equal(ut_record_read_summary(value, &summary), UT_OK);
        summary.span_count = said;
        ut_record_write_summary(&record, &summary);
        assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), ut_buf_bytes(&record)), UT_OK);
        assert_int_equal(ut_txn_commit(txn), UT_OK);
        ut_buf_free(&record);
        ut_operation *operation = new_cleanup(&options);
        ut_fault fault = {0};
        bool more = true;
        while (more)
            assert_int_equal(ut_operation_step(operation, f->store, now_ns, &more, &fault), UT_OK);
        operation->class->free(operation);
        assert_int_equal(counts_of(f).spans_expired, said + 1);
        const ut_verify_report report = ut_store_check(f->engine);
        assert_int_equal(report.spans, said + 1);
        assert_int_equal(commit_beside(f->store, span, 0, 1), 0); // "shop" is there
    }
}

static void a_mark_for_a_block_that_was_written_anew_is_passed_and_nothing_is_lost(void **state)
{
    fixture *f = *state;
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "pay"};
    assert_int_equal(commit_beside(f->store, 1, 0, 2), 2);
    (void)run_all(f, new_cleanup(&options));
    const ut_delivery mark = {.org = UT_ORG_DEFAULT,
                              .dest = f->dests[0],
                              .seq = 1,
                              .state = UT_DELIVERY_DELIVERED,
                              .spans = 2,
                              .http_status = 200};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, &mark, 1), UT_OK);
    ut_store_view *view;
    ut_delivery next = {0};
    assert_int_equal(ut_store_view_open(ut_store_engine(f->store), &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_store_next_pending(view, UT_ORG_DEFAULT, f->dests[0], 0, 100, &next),
                     UT_OK);
    assert_int_equal(next.seq, 2);
    assert_int_equal(next.spans, 1);
    ut_store_view_close(view);
    (void)ut_store_check(f->engine);
}

static void a_small_store_on_disk_is_cleaned_without_losing_others(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    ut_temp_dir_make(f->dir_z);
    const ut_engine_config engine = {.dir_z = f->dir_z, .bytes_max = UT_STORE_BYTES_MIN};
    ut_fault fault = {0};
    assert_int_equal(ut_engine_lmdb_open(&engine, &f->engine, &fault), UT_OK);
    const ut_store_config config = {.bytes_max = UT_STORE_BYTES_MIN};
    open_store(f, f->engine, &config);
    fill(f, 11);
    mark(f, 12);
    assert_int_equal(survey(f, f->engine, true), f->count);
    const ut_cleanup_options options = {
        .org = UT_ORG_DEFAULT, .older_than_ns = UINT64_MAX, .service_z = "shop"};
    (void)run_all(f, new_cleanup(&options));
    (void)survey(f, f->engine, false);
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(f->spans[i].found, f->spans[i].service != 0);
    assert_int_equal(counts_of(f).spans_evicted, 0);
}

// ---- new times to live ----

static void sweep_all(fixture *f, uint64_t at_ns)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < SLICES_MAX);
        assert_int_equal(ut_store_sweep(f->store, at_ns, &more), UT_OK);
    }
}

// Opens what was committed under another configuration.
static void reopen(fixture *f, const ut_store_config *config)
{
    ut_engine *copy = ut_engine_memory_clone(f->engine);
    ut_store_close(f->store);
    f->engine = copy;
    open_store(f, copy, config);
}

static ut_operation *new_retime(bool dry_run)
{
    ut_operation *operation;
    assert_int_equal(ut_ttl_change_new(UT_ORG_DEFAULT, dry_run, &operation), UT_OK);
    return operation;
}

static void what_is_there_gets_the_new_time_to_live(void **state)
{
    fixture *f = *state;
    fill(f, 13);
    mark(f, 14);
    (void)survey(f, f->engine, true);
    const ut_store_config config = {.bytes_max = BUDGET, .ttl_ms = 5 * 3600000};
    reopen(f, &config);
    assert_int_equal(run_all(f, new_retime(true)).blocks, COMMITS);
    sweep_all(f, now_ns + 100 * hour_ns);
    assert_int_equal(survey(f, f->engine, false), f->count); // a dry run changes nothing
    const ut_operation_progress progress = run_all(f, new_retime(false));
    assert_int_equal(progress.blocks, COMMITS);
    assert_int_equal(progress.spans, f->count);
    assert_int_equal(run_all(f, new_retime(false)).blocks, 0);
    sweep_all(f, now_ns + 15 * hour_ns);
    (void)survey(f, f->engine, false);
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(f->spans[i].found, f->spans[i].commit + 5 > 15);
    // And back: for ever.
    const ut_store_config for_ever = {.bytes_max = BUDGET};
    reopen(f, &for_ever);
    (void)run_all(f, new_retime(false));
    sweep_all(f, now_ns + 1000 * hour_ns);
    (void)survey(f, f->engine, false);
    for (uint32_t i = 0; i < f->count; i++)
        assert_int_equal(f->spans[i].found, f->spans[i].commit + 5 > 15);
}

static void a_block_stays_as_long_as_the_span_that_rules_keep_longest(void **state)
{
    fixture *f = *state;
    fill(f, 15);
    (void)survey(f, f->engine, true);
    ut_rules *rules = calloc(1, sizeof *rules);
    rules->count = 1;
    rules->items[0].condition_count = 1;
    rules->items[0].ttl_ms = 50 * 3600000;
    assert_int_equal(ut_rule_condition_set(&rules->items[0].conditions[0],
                                           UT_BYTES_LIT("service.name"), UT_BYTES_LIT("pay")),
                     UT_OK);
    const ut_store_config config = {.bytes_max = BUDGET, .ttl_ms = 3600000, .rules = rules};
    reopen(f, &config);
    (void)run_all(f, new_retime(false));
    sweep_all(f, now_ns + 40 * hour_ns);
    (void)survey(f, f->engine, false);
    bool pays[COMMITS] = {false};
    for (uint32_t i = 0; i < f->count; i++)
        pays[f->spans[i].commit] = pays[f->spans[i].commit] || f->spans[i].service == 1;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        assert_int_equal(f->spans[i].found, pays[f->spans[i].commit]);
        gone += !f->spans[i].found;
    }
    assert_true(gone > 0 && gone < f->count);
    ut_store_close(f->store);
    f->store = NULL;
    free(rules);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exactly_the_spans_of_a_service_leave),
        TEST(age_and_delivery_choose_blocks),
        TEST(what_an_aborted_cleanup_did_stays_and_another_ends_it),
        TEST(commits_between_slices_go_on),
        TEST(what_a_kill_left_of_a_block_is_swept_up),
        TEST(every_failing_call_leaves_the_store_as_it_was),
        TEST(after_a_slice_that_failed_spans_of_long_traces_are_known),
        TEST(a_damaged_count_of_spans_costs_no_span_of_others),
        TEST(a_mark_for_a_block_that_was_written_anew_is_passed_and_nothing_is_lost),
        TEST(a_small_store_on_disk_is_cleaned_without_losing_others),
        TEST(what_is_there_gets_the_new_time_to_live),
        TEST(a_block_stays_as_long_as_the_span_that_rules_keep_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
