// Tests of storage/upkeep/verify: it must see what does not fit together.
#include "storage/store/key.h"
#include "storage/store/block_store.h"
#include "storage/store/record.h"
#include "storage/upkeep/verify.h"
#include "tests/support/engine_memory.h"
#include "tests/support/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 16 * 1024 * 1024 };

static const uint64_t now_ns = UINT64_C(1700000000000000000);

typedef struct {
    ut_engine *sound;  // a store with two blocks, a destination and a dead letter
    ut_engine *engine; // its copy, for one contradiction
    char last_z[UT_VERIFY_TEXT_MAX];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->sound = ut_engine_memory_open(BUDGET);
    ut_store_config config = {.bytes_max = BUDGET, .ttl_ms = 3600000};
    ut_store *store;
    ut_fault fault;
    uint32_t dest;
    ut_batch batch;
    ut_batch_init(&batch, BUDGET);
    // The store closes its engine: what it wrote is cloned before.
    assert_int_equal(ut_store_open(f->sound, &config, &store, &fault), UT_OK);
    assert_int_equal(ut_store_add_destination(store, UT_ORG_DEFAULT, "a", &dest), UT_OK);
    for (uint32_t i = 0; i < 2; i++) {
        ut_test_span spans[3] = {{.trace = 1, .span = i * 2 + 1, .parent = i},
                                 {.trace = 1, .span = i * 2 + 2, .parent = 1},
                                 {.trace = 2 + i, .span = 1}};
        ut_batch_reset(&batch, SIZE_MAX);
        ut_test_batch(&batch, spans, 3);
        ut_store_append append = {.org = UT_ORG_DEFAULT, .batch = &batch};
        assert_int_equal(ut_store_commit(store, now_ns, &append, 1, NULL, 0), UT_OK);
    }
    ut_delivery mark = {.org = UT_ORG_DEFAULT, .dest = dest, .seq = 1, .state = UT_DELIVERY_DEAD};
    assert_int_equal(ut_store_commit(store, now_ns, NULL, 0, &mark, 1), UT_OK);
    ut_engine *copy = ut_engine_memory_clone(f->sound);
    ut_store_close(store);
    ut_batch_free(&batch);
    f->sound = copy;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_engine_close(f->sound);
    free(f);
    return 0;
}

static void keep_text(void *context, const char *text_z)
{
    fixture *f = context;
    (void)snprintf(f->last_z, sizeof f->last_z, "%s", text_z);
}

static ut_verify_report verify(fixture *f, ut_engine *engine)
{
    ut_store_view *view;
    ut_verify_report report;
    f->last_z[0] = '\0';
    assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(ut_store_verify(view, &report, keep_text, f), UT_OK);
    ut_store_view_close(view);
    return report;
}

static void a_sound_store_has_no_problems(void **state)
{
    fixture *f = *state;
    ut_verify_report report = verify(f, f->sound);
    assert_int_equal(report.problems, 0);
    assert_int_equal(report.blocks, 2);
    assert_int_equal(report.spans, 6);
    assert_int_equal(report.traces, 3);
    assert_int_equal(report.deliveries, 2);
    assert_int_equal(report.pending, 3);
    assert_int_equal(report.leaving, 0);
}

// Deletes each record in turn.
static void a_missing_record_is_seen(void **state)
{
    fixture *f = *state;
    for (uint32_t skip = 0;; skip++) {
        ut_engine *copy = ut_engine_memory_clone(f->sound);
        ut_txn *txn;
        ut_cursor *cursor;
        ut_bytes key;
        ut_bytes value;
        uint8_t bytes[UT_KEY_MAX];
        static const uint8_t first[1] = {0};
        assert_int_equal(ut_engine_begin(copy, true, &txn), UT_OK);
        assert_int_equal(ut_txn_cursor(txn, &cursor), UT_OK);
        ut_err err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &key, &value);
        for (uint32_t i = 0; i < skip && err == UT_OK; i++)
            err = ut_cursor_next(cursor, &key, &value);
        if (err != UT_OK) {
            assert_int_equal(err, UT_ENOTFOUND);
            assert_true(skip > 12);
            ut_txn_abort(txn);
            ut_engine_close(copy);
            return;
        }
        size_t len = key.len;
        memcpy(bytes, key.data, len);
        assert_int_equal(ut_txn_del(txn, (ut_bytes){bytes, len}), UT_OK);
        assert_int_equal(ut_txn_commit(txn), UT_OK);
        ut_verify_report report = verify(f, copy);
        if (report.problems == 0)
            fail_msg("a record of kind %c may be missing", bytes[0]);
        else
            assert_true(strlen(f->last_z) > 10);
        ut_engine_close(copy);
    }
}

static void put(ut_engine *engine, ut_key key, ut_bytes value)
{
    ut_txn *txn;
    assert_int_equal(ut_engine_begin(engine, true, &txn), UT_OK);
    assert_int_equal(ut_txn_put(txn, ut_key_bytes(&key), value), UT_OK);
    assert_int_equal(ut_txn_commit(txn), UT_OK);
}

static void a_record_too_many_is_seen(void **state)
{
    fixture *f = *state;
    uint8_t id[UT_TRACE_ID_LEN] = {1};
    static const uint8_t pending[] = {0x92, 0x00, 0x05};
    const ut_key keys[] = {
        ut_key_root(UT_ORG_DEFAULT, 5, id),     ut_key_trace(UT_ORG_DEFAULT, id, 1),
        ut_key_delivery(UT_ORG_DEFAULT, 1, 77), ut_key_delivery(UT_ORG_DEFAULT, 9, 1),
        ut_key_summary(UT_ORG_DEFAULT, 77),     ut_key_expiry(5, UT_ORG_DEFAULT, 77),
        ut_key_expiry(5, UT_ORG_DEFAULT, 1),
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        ut_engine *copy = ut_engine_memory_clone(f->sound);
        put(copy, keys[i], (ut_bytes){pending, sizeof pending});
        assert_true(verify(f, copy).problems > 0);
        ut_engine_close(copy);
    }
}

static void a_counter_that_is_off_is_seen(void **state)
{
    fixture *f = *state;
    ut_buf out;
    ut_buf_init(&out, 1000);
    ut_store_destination row = {.name_z = "a", .counts = {.accepted = 7, .dead = 3}};
    ut_record_write_destination(&out, &row);
    ut_engine *copy = ut_engine_memory_clone(f->sound);
    put(copy, ut_key_destination(UT_ORG_DEFAULT, 1), ut_buf_bytes(&out));
    assert_int_equal(verify(f, copy).problems, 1);
    assert_non_null(strstr(f->last_z, "a: 7 spans were accepted, 6 are"));
    ut_engine_close(copy);

    ut_buf_reset(&out, 0);
    row.counts = (ut_store_destination_counts){.accepted = 6, .dead = 2, .expired = 1};
    ut_record_write_destination(&out, &row);
    copy = ut_engine_memory_clone(f->sound);
    put(copy, ut_key_destination(UT_ORG_DEFAULT, 1), ut_buf_bytes(&out));
    assert_int_equal(verify(f, copy).problems, 1);
    assert_non_null(strstr(f->last_z, "more spans delivered or dead"));
    ut_engine_close(copy);
    ut_buf_free(&out);
}

static void a_state_that_is_off_is_seen(void **state)
{
    fixture *f = *state;
    static const ut_record_state states[] = {
        {.next_seq = 2, .counts = {.spans_stored = 6, .blocks_stored = 2}},
        {.next_seq = 3, .counts = {.spans_stored = 7, .blocks_stored = 2}},
        {.next_seq = 3, .counts = {.spans_stored = 6, .spans_evicted = 1, .blocks_stored = 2}},
        {.next_seq = 3, .counts = {.spans_stored = 6, .blocks_stored = 3}},
        {.next_seq = 3, .counts = {.spans_stored = 6, .blocks_stored = 2}}, // this one is right
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        ut_buf out;
        ut_buf_init(&out, 1000);
        ut_record_write_state(&out, &states[i]);
        ut_engine *copy = ut_engine_memory_clone(f->sound);
        put(copy, ut_key_meta("state"), ut_buf_bytes(&out));
        assert_int_equal(verify(f, copy).problems, i + 1 < sizeof states / sizeof *states ? 1 : 0);
        ut_engine_close(copy);
        ut_buf_free(&out);
    }
}

// Every check in a view of its own.
static void a_recount_in_steps_says_the_same(void **state)
{
    fixture *f = *state;
    static const uint8_t junk[] = {0x92, 0x00, 0x05};
    for (unsigned damaged = 0; damaged < 2; damaged++) {
        ut_engine *copy = ut_engine_memory_clone(f->sound);
        if (damaged)
            put(copy, ut_key_expiry(5, UT_ORG_DEFAULT, 77), (ut_bytes){junk, sizeof junk});
        const ut_verify_report whole = verify(f, copy);
        ut_verifier *verifier;
        ut_store_view *view;
        bool more = true;
        unsigned steps = 0;
        assert_int_equal(ut_verifier_new(keep_text, f, &verifier), UT_OK);
        assert_int_equal(ut_store_view_open(copy, &view), UT_OK);
        for (; more; steps++) {
            assert_int_equal(ut_store_view_begin(view), UT_OK);
            assert_int_equal(ut_verifier_step(verifier, view, 1, &more), UT_OK);
            ut_store_view_end(view);
            assert_true(ut_verifier_report(verifier)->done <= ut_verifier_report(verifier)->total);
        }
        assert_true(steps > 8);
        assert_memory_equal(ut_verifier_report(verifier), &whole, sizeof whole);
        assert_int_equal(whole.problems, damaged);
        assert_int_equal(whole.total, 12);
        ut_store_view_close(view);
        ut_verifier_free(verifier);
        ut_engine_close(copy);
    }
}

static void a_block_that_cannot_be_read_is_seen(void **state)
{
    fixture *f = *state;
    ut_engine *copy = ut_engine_memory_clone(f->sound);
    put(copy, ut_key_piece(UT_ORG_DEFAULT, 1, UT_BLOCK_STORE_SEALED_FROM), UT_BYTES_LIT("junk"));
    assert_true(verify(f, copy).problems > 0);
    ut_engine_close(copy);
}

static void errors_of_the_engine_come_back(void **state)
{
    fixture *f = *state;
    ut_err err = UT_EIO;
    uint64_t n;
    for (n = 3; err != UT_OK; n++) { // the first two calls begin the view
        ut_faults faults = {.fail_at = n, .err = UT_EIO};
        ut_engine *engine = ut_engine_faulty_wrap(ut_engine_memory_clone(f->sound), &faults);
        ut_store_view *view;
        ut_verify_report report;
        assert_int_equal(ut_store_view_open(engine, &view), UT_OK);
        assert_int_equal(ut_store_view_begin(view), UT_OK);
        err = ut_store_verify(view, &report, keep_text, f);
        ut_store_view_close(view);
        ut_engine_close(engine);
        assert_true(err == UT_OK || err == UT_EIO);
        assert_true(n < 10000);
    }
    assert_true(n > 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_has_no_problems),       TEST(a_missing_record_is_seen),
        TEST(a_record_too_many_is_seen),           TEST(a_counter_that_is_off_is_seen),
        TEST(a_state_that_is_off_is_seen),         TEST(a_recount_in_steps_says_the_same),
        TEST(a_block_that_cannot_be_read_is_seen), TEST(errors_of_the_engine_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
