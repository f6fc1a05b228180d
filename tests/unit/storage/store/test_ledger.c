// Tests of the ledger: destinations, delivery entries, marks, dead letters, and the law that
// nothing gets lost between them.
#include "storage/store/key.h"
#include "storage/store/record.h"
#include "tests/support/engine_memory.h"
#include "tests/support/random_span.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_engine *engine;
    ut_store *store;
    ut_batch batch;
    uint32_t next_trace;
} fixture;

static ut_store *open_store(ut_engine *engine, uint64_t budget)
{
    ut_store_config config = {.bytes_max = budget};
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
    f->store = open_store(f->engine, BUDGET);
    f->next_trace = 1;
    ut_batch_init(&f->batch, BUDGET);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    ut_batch_free(&f->batch);
    free(f);
    return 0;
}

static void reopen(fixture *f)
{
    ut_engine *copy = ut_engine_memory_clone(f->engine);
    ut_store_close(f->store);
    f->engine = copy;
    f->store = open_store(copy, BUDGET);
}

static uint32_t add(fixture *f, const char *name_z)
{
    uint32_t dest = 0;
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, name_z, &dest), UT_OK);
    return dest;
}

// One block of `spans` new spans; returns its number.
static uint64_t store_block(fixture *f, uint32_t spans, uint64_t ttl_ms)
{
    ut_test_span list[64];
    assert_true(spans <= 64);
    for (uint32_t i = 0; i < spans; i++)
        list[i] = (ut_test_span){.trace = f->next_trace, .span = i + 1, .start_ns = now_ns};
    f->next_trace += 1;
    ut_batch_reset(&f->batch, SIZE_MAX);
    ut_test_batch(&f->batch, list, spans);
    ut_store_append append = {.org = UT_ORG_DEFAULT, .ttl_ms = ttl_ms, .batch = &f->batch};
    assert_int_equal(ut_store_commit(f->store, now_ns, &append, 1, NULL, 0), UT_OK);
    assert_int_equal(append.stored, spans);
    return ut_store_last_seq(f->store);
}

static ut_err mark(fixture *f, ut_delivery delivery)
{
    delivery.org = UT_ORG_DEFAULT;
    return ut_store_commit(f->store, now_ns, NULL, 0, &delivery, 1);
}

static ut_store_destination row_of(const ut_store *store, uint32_t dest)
{
    ut_store_destination rows[UT_STORE_DESTINATIONS_MAX];
    size_t count = ut_store_get_destinations(store, rows, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].org == UT_ORG_DEFAULT && rows[i].dest == dest)
            return rows[i];
    }
    fail_msg("no destination %u", dest);
    return rows[0];
}

static ut_err next_pending(fixture *f, uint32_t dest, uint64_t after, uint32_t scan_max,
                           ut_delivery *delivery)
{
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    ut_err err = ut_store_next_pending(view, UT_ORG_DEFAULT, dest, after, scan_max, delivery);
    ut_store_view_close(view);
    return err;
}

static void every_block_gets_an_entry_for_each_active_destination(void **state)
{
    fixture *f = *state;
    assert_int_equal(store_block(f, 2, 0), 1); // before any destination: no entry
    uint32_t a = add(f, "a");
    uint32_t b = add(f, "b");
    assert_int_not_equal(a, b);
    assert_int_equal(store_block(f, 3, 0), 2);
    ut_delivery entry;
    assert_int_equal(next_pending(f, a, 0, 100, &entry), UT_OK);
    assert_int_equal(entry.seq, 2);
    assert_int_equal(entry.spans, 3);
    assert_int_equal(entry.org, UT_ORG_DEFAULT);
    assert_int_equal(entry.dest, a);
    assert_int_equal(entry.attempts, 0);
    assert_int_equal(next_pending(f, b, 0, 100, &entry), UT_OK);
    assert_int_equal(entry.seq, 2);
    assert_int_equal(next_pending(f, b, 2, 100, &entry), UT_ENOTFOUND);
    assert_int_equal(next_pending(f, b + 1, 0, 100, &entry), UT_ENOTFOUND);
    assert_int_equal(row_of(f->store, a).counts.accepted, 3);
    assert_int_equal(ut_store_check(f->engine).pending, 6);
}

static void a_destination_keeps_its_number_and_is_active_when_asked_for(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    uint32_t b = add(f, "b");
    assert_int_equal(add(f, "a"), a);
    (void)store_block(f, 1, 0);
    reopen(f);
    assert_false(row_of(f->store, a).active);
    assert_int_equal(add(f, "b"), b);
    assert_true(row_of(f->store, b).active);
    (void)store_block(f, 1, 0);
    assert_int_equal(row_of(f->store, a).counts.accepted, 1);
    assert_int_equal(row_of(f->store, b).counts.accepted, 2);
    reopen(f);
    assert_int_equal(add(f, "c"), b + 1);
    // Each organisation has names of its own.
    uint32_t other;
    assert_int_equal(ut_store_add_destination(f->store, 9, "a", &other), UT_OK);
    (void)store_block(f, 1, 0);
    ut_delivery entry;
    ut_store_view *view;
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_store_next_pending(view, 9, other, 0, 10, &entry), UT_ENOTFOUND);
    ut_store_view_close(view);
    (void)ut_store_check(f->engine);
}

static void a_reader_sees_which_destinations_are_active(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    (void)store_block(f, 1, 0);
    reopen(f);
    uint32_t b = add(f, "b");
    (void)store_block(f, 1, 0);
    // What a second process reads: the rows as they are stored.
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(f->engine, false, &txn), UT_OK);
    for (unsigned i = 0; i < 2; i++) {
        ut_key key = ut_key_destination(UT_ORG_DEFAULT, i == 0 ? a : b);
        ut_store_destination row = {0};
        ut_bytes value;
        assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
        assert_int_equal(ut_record_read_destination(value, &row), UT_OK);
        assert_int_equal(row.active, i == 1);
    }
    ut_txn_abort(txn);
}

static void names_and_numbers_of_destinations_have_limits(void **state)
{
    fixture *f = *state;
    uint32_t dest;
    char name_z[UT_STORE_NAME_MAX + 2];
    memset(name_z, 'x', sizeof name_z);
    name_z[UT_STORE_NAME_MAX + 1] = '\0';
    assert_int_equal(ut_store_add_destination(f->store, 1, name_z, &dest), UT_ELIMIT);
    assert_int_equal(ut_store_add_destination(f->store, 1, "", &dest), UT_ELIMIT);
    name_z[UT_STORE_NAME_MAX] = '\0';
    assert_int_equal(ut_store_add_destination(f->store, 1, name_z, &dest), UT_OK);
    for (unsigned i = 1; i < UT_STORE_DESTINATIONS_MAX; i++) {
        (void)snprintf(name_z, sizeof name_z, "d%u", i);
        assert_int_equal(ut_store_add_destination(f->store, 1, name_z, &dest), UT_OK);
    }
    assert_int_equal(ut_store_add_destination(f->store, 1, "one more", &dest), UT_ELIMIT);
    assert_int_equal(ut_store_add_destination(f->store, 1, "d5", &dest), UT_OK);
    (void)store_block(f, 4, 0);
    assert_int_equal(ut_store_check(f->engine).deliveries, UT_STORE_DESTINATIONS_MAX);
    reopen(f);
    assert_string_equal(row_of(f->store, 1).name_z + UT_STORE_NAME_MAX - 1, "x");
}

static void forgotten_destinations_give_their_places_to_new_ones(void **state)
{
    fixture *f = *state;
    char name_z[16];
    const uint32_t waiting = add(f, "waiting");
    const uint64_t first = store_block(f, 3, 0);
    reopen(f);
    const uint32_t kept = add(f, "kept");
    for (uint32_t i = 0; i < 200; i++) {
        (void)snprintf(name_z, sizeof name_z, "d%u", i);
        const uint32_t dest = add(f, name_z);
        assert_int_equal(dest, kept + 1 + i); // no number comes twice
        const uint64_t seq = store_block(f, 2, 0);
        const ut_delivery done = {.dest = dest,
                                  .seq = seq,
                                  .updated_ns = now_ns,
                                  .state = i % 2 == 0 ? UT_DELIVERY_DEAD : UT_DELIVERY_DELIVERED};
        assert_int_equal(mark(f, done), UT_OK);
        (void)ut_store_check(f->engine);
        reopen(f);
        assert_int_equal(add(f, "kept"), kept);
    }
    // The one with spans that wait for it stays, and so does what is active.
    ut_delivery entry;
    assert_int_equal(add(f, "waiting"), waiting);
    assert_int_equal(next_pending(f, waiting, 0, 100, &entry), UT_OK);
    assert_int_equal(entry.seq, first);
    assert_int_equal(row_of(f->store, kept).counts.accepted, 400);
    assert_int_equal(ut_store_check(f->engine).deliveries, 1 + 200 + 62);
}

static void a_destination_with_many_entries_is_forgotten_in_steps(void **state)
{
    enum { BLOCKS = 2500 };
    fixture *f = *state;
    uint32_t dest = add(f, "old");
    for (unsigned i = 0; i < BLOCKS; i++) {
        const ut_delivery done = {.dest = dest,
                                  .seq = store_block(f, 1, 0),
                                  .updated_ns = now_ns,
                                  .state = UT_DELIVERY_DELIVERED};
        assert_int_equal(mark(f, done), UT_OK);
    }
    reopen(f);
    for (unsigned i = 1; i < UT_STORE_DESTINATIONS_MAX; i++) {
        char name_z[16];
        (void)snprintf(name_z, sizeof name_z, "d%u", i);
        dest = add(f, name_z);
    }
    (void)store_block(f, 1, 0);
    reopen(f);
    assert_int_equal(add(f, "one more"), dest + 1);
    assert_int_equal(ut_store_check(f->engine).deliveries, UT_STORE_DESTINATIONS_MAX - 1);
    (void)store_block(f, 1, 0);
    assert_int_equal(row_of(f->store, dest + 1).counts.accepted, 1);
    // Spans wait for each of the 64.
    reopen(f);
    assert_int_equal(ut_store_add_destination(f->store, UT_ORG_DEFAULT, "z", &dest), UT_ELIMIT);
}

static void marks_settle_entries_and_move_counters(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    for (unsigned i = 0; i < 4; i++)
        (void)store_block(f, 10, 0);
    ut_delivery entry;
    // Tried in vain: stays pending, with what was learned.
    assert_int_equal(mark(f, (ut_delivery){.dest = a,
                                           .seq = 1,
                                           .state = UT_DELIVERY_PENDING,
                                           .attempts = 2,
                                           .next_try_ns = now_ns + 7,
                                           .updated_ns = now_ns,
                                           .http_status = 503,
                                           .reason_z = "busy"}),
                     UT_OK);
    assert_int_equal(next_pending(f, a, 0, 100, &entry), UT_OK);
    assert_int_equal(entry.seq, 1);
    assert_int_equal(entry.attempts, 2);
    assert_int_equal(entry.next_try_ns, now_ns + 7);
    assert_int_equal(entry.updated_ns, now_ns);
    assert_int_equal(entry.http_status, 503);
    assert_int_equal(entry.spans, 10);
    assert_string_equal(entry.reason_z, "busy");

    assert_int_equal(mark(f, (ut_delivery){.dest = a, .seq = 1, .state = UT_DELIVERY_DELIVERED}),
                     UT_OK);
    static const uint16_t dead[3] = {0, 4, 9};
    assert_int_equal(mark(f, (ut_delivery){.dest = a,
                                           .seq = 2,
                                           .state = UT_DELIVERY_DELIVERED,
                                           .spans_dead = 3,
                                           .dead_ordinals = dead}),
                     UT_OK);
    assert_int_equal(mark(f, (ut_delivery){.dest = a, .seq = 3, .state = UT_DELIVERY_DEAD}), UT_OK);
    assert_int_equal(next_pending(f, a, 0, 100, &entry), UT_OK);
    assert_int_equal(entry.seq, 4);
    ut_store_destination_counts counts = row_of(f->store, a).counts;
    assert_int_equal(counts.accepted, 40);
    assert_int_equal(counts.delivered, 17);
    assert_int_equal(counts.dead, 13);
    assert_int_equal(ut_store_check(f->engine).pending, 10);

    // The same again counts once; taken back, it counts no more.
    assert_int_equal(mark(f, (ut_delivery){.dest = a,
                                           .seq = 2,
                                           .state = UT_DELIVERY_DELIVERED,
                                           .spans_dead = 3,
                                           .dead_ordinals = dead}),
                     UT_OK);
    assert_int_equal(row_of(f->store, a).counts.dead, 13);
    assert_int_equal(mark(f, (ut_delivery){.dest = a, .seq = 3, .state = UT_DELIVERY_PENDING}),
                     UT_OK);
    assert_int_equal(row_of(f->store, a).counts.dead, 3);
    assert_int_equal(next_pending(f, a, 0, 100, &entry), UT_OK);
    assert_int_equal(entry.seq, 3);
    assert_int_equal(ut_store_check(f->engine).pending, 20);
    reopen(f);
    assert_int_equal(row_of(f->store, a).counts.delivered, 17);
}

static void dead_letters_say_which_when_and_why(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    uint64_t seq = store_block(f, 10, 0);
    static const uint16_t dead[3] = {0, 4, 9};
    assert_int_equal(mark(f, (ut_delivery){.dest = a,
                                           .seq = seq,
                                           .state = UT_DELIVERY_DEAD,
                                           .spans_dead = 3,
                                           .dead_ordinals = dead,
                                           .updated_ns = 77,
                                           .http_status = 400,
                                           .reason_z = "name too long"}),
                     UT_OK);
    ut_txn *txn;
    ut_bytes value;
    ut_key key = ut_key_dead(UT_ORG_DEFAULT, a, seq);
    assert_int_equal(ut_engine_begin(f->engine, false, &txn), UT_OK);
    assert_int_equal(ut_txn_get(txn, ut_key_bytes(&key), &value), UT_OK);
    ut_mp_reader reader = ut_mp_reader_of(value);
    assert_int_equal(ut_mp_get_array(&reader), 4);
    assert_int_equal(ut_mp_get_uint(&reader), 77);
    assert_int_equal(ut_mp_get_uint(&reader), 400);
    assert_true(ut_bytes_equal(ut_mp_get_str(&reader), UT_BYTES_LIT("name too long")));
    assert_int_equal(ut_mp_get_array(&reader), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ut_mp_get_uint(&reader), dead[i]);
    assert_int_equal(reader.err, UT_OK);
    ut_txn_abort(txn);
    assert_int_equal(row_of(f->store, a).counts.dead, 3);
    assert_int_equal(row_of(f->store, a).counts.delivered, 7);
    // Delivered after all: the letter goes.
    assert_int_equal(mark(f, (ut_delivery){.dest = a, .seq = seq, .state = UT_DELIVERY_DELIVERED}),
                     UT_OK);
    (void)ut_store_check(f->engine);
}

static void marks_for_what_is_gone_are_ignored(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    (void)store_block(f, 3, 0);
    assert_int_equal(mark(f, (ut_delivery){.dest = a, .seq = 99, .state = UT_DELIVERY_DELIVERED}),
                     UT_OK);
    assert_int_equal(mark(f, (ut_delivery){.dest = 55, .seq = 1, .state = UT_DELIVERY_DELIVERED}),
                     UT_OK);
    assert_int_equal(row_of(f->store, a).counts.delivered, 0);
    assert_int_equal(ut_store_check(f->engine).pending, 3);
}

static void a_mark_with_more_dead_spans_than_there_are_is_cut(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    (void)store_block(f, 3, 0);
    static const uint16_t dead[4] = {0, 1, 2, 3};
    assert_int_equal(mark(f, (ut_delivery){.dest = a,
                                           .seq = 1,
                                           .state = UT_DELIVERY_DELIVERED,
                                           .spans_dead = 4,
                                           .dead_ordinals = dead}),
                     UT_OK);
    assert_int_equal(row_of(f->store, a).counts.dead, 3);
    assert_int_equal(row_of(f->store, a).counts.delivered, 0);
    assert_int_equal(ut_store_check(f->engine).pending, 0);
}

static void a_mark_on_a_damaged_entry_does_not_hold_up_its_group(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    (void)store_block(f, 3, 0);
    (void)store_block(f, 5, 0);
    ut_key key = ut_key_delivery(UT_ORG_DEFAULT, a, 1);
    static const uint8_t damaged[] = {0x92, 0xc1, 0xc1};
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(f->engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){damaged, sizeof damaged}),
                     UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
    static const uint16_t dead[2] = {0, 1};
    ut_delivery marks[3] = {
        {.org = UT_ORG_DEFAULT,
         .dest = a,
         .seq = 1,
         .state = UT_DELIVERY_DELIVERED,
         .spans_dead = 2,
         .dead_ordinals = dead},
        {.org = UT_ORG_DEFAULT, .dest = a, .seq = 1, .state = UT_DELIVERY_PENDING, .attempts = 1},
        {.org = UT_ORG_DEFAULT, .dest = a, .seq = 2, .state = UT_DELIVERY_DELIVERED}};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, marks, 3), UT_OK);
    assert_int_equal(row_of(f->store, a).counts.delivered, 5);
    assert_int_equal(row_of(f->store, a).counts.dead, 0);
    ut_delivery entry;
    assert_int_equal(next_pending(f, a, 0, 100, &entry), UT_ENOTFOUND);
}

static void looking_for_pending_entries_is_bounded(void **state)
{
    fixture *f = *state;
    uint32_t a = add(f, "a");
    for (unsigned i = 0; i < 50; i++)
        (void)store_block(f, 1, 0);
    ut_delivery marks[50];
    for (unsigned i = 0; i < 45; i++)
        marks[i] = (ut_delivery){
            .org = UT_ORG_DEFAULT, .dest = a, .seq = i + 1, .state = UT_DELIVERY_DELIVERED};
    assert_int_equal(ut_store_commit(f->store, now_ns, NULL, 0, marks, 45), UT_OK);
    ut_delivery entry;
    uint64_t after = 0;
    unsigned steps = 0;
    ut_err err;
    while ((err = next_pending(f, a, after, 20, &entry)) == UT_EAGAIN) {
        assert_int_equal(entry.seq, after + 20);
        after = entry.seq;
        steps += 1;
    }
    assert_int_equal(err, UT_OK);
    assert_int_equal(steps, 2);
    assert_int_equal(entry.seq, 46);
    assert_int_equal(next_pending(f, a, UINT64_MAX, 20, &entry), UT_ENOTFOUND);
}

// Appends, marks of every kind, expiry and a budget that is too small, in random order; the recount
// holds after each.
static void nothing_is_lost_between_the_counters(void **state)
{
    fixture *f = *state;
    ut_store_close(f->store);
    f->engine = ut_engine_memory_open(400 * 1024);
    f->store = open_store(f->engine, 400 * 1024);
    ut_random random = {2026};
    uint32_t dests[3] = {add(f, "a"), add(f, "b"), add(f, "c")};
    uint64_t clock_ns = now_ns;
    uint64_t evicted = 0;
    uint64_t expired = 0;
    for (unsigned round = 0; round < 400; round++) {
        ut_test_span spans[40];
        uint32_t count = ut_random_below(&random, 40);
        for (uint32_t i = 0; i < count; i++)
            spans[i] = (ut_test_span){.trace = ut_random_below(&random, 300),
                                      .span = ut_random_below(&random, 400) + 1,
                                      .parent = ut_random_below(&random, 3),
                                      .start_ns = clock_ns + ut_random_below(&random, 1000),
                                      .filler = ut_random_below(&random, 200)};
        ut_batch_reset(&f->batch, SIZE_MAX);
        ut_test_batch(&f->batch, spans, count);
        ut_store_append append = {.org = UT_ORG_DEFAULT,
                                  .ttl_ms = ut_random_below(&random, 2) == 0 ? 0 : 3600000 * 5,
                                  .batch = &f->batch};
        ut_delivery marks[8];
        uint32_t mark_count = ut_random_below(&random, 8);
        uint64_t last = ut_store_last_seq(f->store);
        uint16_t ordinals[2] = {0, 1};
        for (uint32_t i = 0; i < mark_count; i++) {
            uint32_t kind = ut_random_below(&random, 5);
            marks[i] = (ut_delivery){
                .org = UT_ORG_DEFAULT,
                .dest = dests[ut_random_below(&random, 2)], // the third one never answers
                .seq = 1 + last -
                       (last > 0 ? ut_random_below(&random, last < 60 ? (uint32_t)last : 60) : 0),
                .state = kind == 0   ? UT_DELIVERY_PENDING
                         : kind == 1 ? UT_DELIVERY_DEAD
                                     : UT_DELIVERY_DELIVERED,
                .attempts = kind,
                .spans_dead = kind == 2 ? 1 : 0,
                .dead_ordinals = kind == 2 ? ordinals : NULL,
                .updated_ns = clock_ns};
        }
        assert_int_equal(ut_store_commit(f->store, clock_ns, &append, 1, marks, mark_count), UT_OK);
        clock_ns += UINT64_C(60000000000) * ut_random_below(&random, 20);
        if (round % 7 == 0) {
            bool more = true;
            while (more)
                assert_int_equal(ut_store_sweep(f->store, clock_ns, &more), UT_OK);
        }
        ut_verify_report report = ut_store_check(f->engine);
        ut_store_counts counts;
        ut_store_get_counts(f->store, &counts);
        assert_int_equal(report.spans,
                         counts.spans_stored - counts.spans_expired - counts.spans_evicted);
        assert_int_equal(report.blocks, counts.blocks_stored - counts.blocks_removed);
        evicted = counts.spans_evicted;
        expired = counts.spans_expired;
    }
    assert_true(evicted > 100);
    assert_true(expired > 100);
    assert_int_equal(row_of(f->store, dests[2]).counts.delivered, 0);
    assert_true(row_of(f->store, dests[2]).counts.evicted > 0);
    assert_true(row_of(f->store, dests[2]).counts.expired > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_block_gets_an_entry_for_each_active_destination),
        TEST(a_destination_keeps_its_number_and_is_active_when_asked_for),
        TEST(a_reader_sees_which_destinations_are_active),
        TEST(names_and_numbers_of_destinations_have_limits),
        TEST(forgotten_destinations_give_their_places_to_new_ones),
        TEST(a_destination_with_many_entries_is_forgotten_in_steps),
        TEST(marks_settle_entries_and_move_counters),
        TEST(dead_letters_say_which_when_and_why),
        TEST(marks_for_what_is_gone_are_ignored),
        TEST(a_mark_with_more_dead_spans_than_there_are_is_cut),
        TEST(a_mark_on_a_damaged_entry_does_not_hold_up_its_group),
        TEST(looking_for_pending_entries_is_bounded),
        TEST(nothing_is_lost_between_the_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
