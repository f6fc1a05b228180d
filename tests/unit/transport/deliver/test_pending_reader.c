// Pending blocks gathered into batches: in order, each once, of the size that is asked for.
#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"
#include "transport/deliver/pending_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct {
    ut_filled_store *store;
    ut_store_view *view;
    ut_destination_config destination;
    ut_delivery_pool pool;
    ut_pending_reader reader;
} rig;

enum { DELAY_MS = 1000 };

static int set_up(void **state)
{
    rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->store = ut_filled_store_open(ut_engine_memory_open(UINT64_C(64) << 20));
    assert_int_equal(ut_store_view_open(ut_filled_store_engine(r->store), &r->view), UT_OK);
    r->destination = (ut_destination_config){
        .name_z = "d",
        .org = UT_FILLED_ORG,
        .dest = ut_filled_store_destination(r->store, "d"),
        .batch_spans_max = 100,
        .batch_bytes_max = 1024 * 1024,
        .batch_delay_ms_max = DELAY_MS,
    };
    r->reader = (ut_pending_reader){.destination = &r->destination, .pool = &r->pool};
    *state = r;
    return 0;
}

static void drop(rig *r, ut_delivery_batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->part_count; i++) {
        ut_delivery_block *block = batch->parts[i].block;
        block->spans_open -= (uint32_t)(batch->parts[i].to - batch->parts[i].from);
        if (block->spans_open == 0)
            ut_delivery_pool_give(&r->pool, block);
    }
    ut_delivery_batch_free(batch);
}

static int tear_down(void **state)
{
    rig *r = *state;
    drop(r, r->reader.growing);
    drop(r, r->reader.full);
    ut_delivery_pool_free(&r->pool);
    ut_store_view_close(r->view);
    ut_filled_store_close(r->store);
    free(r);
    return 0;
}

static void read_all(rig *r, uint64_t now_ms)
{
    r->reader.last_seq = ut_filled_store_last_seq(r->store);
    assert_int_equal(ut_pending_reader_read(&r->reader, r->view, now_ms), UT_OK);
}

static void a_small_batch_goes_when_its_oldest_block_has_waited(void **state)
{
    rig *r = *state;
    assert_int_equal(ut_pending_reader_due_ms(&r->reader), UINT64_MAX);
    (void)ut_filled_store_append(r->store, 10, 0);
    read_all(r, 5000);
    (void)ut_filled_store_append(r->store, 10, 0);
    read_all(r, 5900); // a later block does not put it off
    assert_int_equal(ut_pending_reader_due_ms(&r->reader), 5000 + DELAY_MS);
    assert_null(ut_pending_reader_take(&r->reader, 5000 + DELAY_MS - 1));
    ut_delivery_batch *batch = ut_pending_reader_take(&r->reader, 5000 + DELAY_MS);
    assert_non_null(batch);
    assert_int_equal(batch->spans, 20);
    assert_int_equal(batch->part_count, 2);
    drop(r, batch);
    assert_int_equal(ut_pending_reader_due_ms(&r->reader), UINT64_MAX);
}

static void each_span_is_gathered_once_in_order_and_no_batch_is_too_large(void **state)
{
    rig *r = *state;
    static const uint32_t sizes[] = {30, 30, 30, 30, 200, 1, 99, 100, 150};
    uint32_t all = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        (void)ut_filled_store_append(r->store, sizes[i], 0);
        all += sizes[i];
    }
    uint32_t gathered = 0;
    uint64_t seq_before = 0;
    uint32_t ordinal = 0;
    for (int round = 0; gathered < all; round++) {
        assert_true(round < 100);
        read_all(r, 0);
        ut_delivery_batch *batch = ut_pending_reader_take(&r->reader, DELAY_MS);
        assert_non_null(batch);
        assert_in_range(batch->spans, 1, 100);
        for (size_t i = 0; i < batch->part_count; i++) {
            const ut_delivery_part *part = &batch->parts[i];
            if (part->block->seq != seq_before)
                ordinal = 0;
            assert_true(part->block->seq >= seq_before);
            assert_int_equal(part->from, ordinal);
            ordinal = part->to;
            seq_before = part->block->seq;
        }
        gathered += batch->spans;
        drop(r, batch);
    }
    assert_int_equal(gathered, all);
    read_all(r, 0);
    assert_null(ut_pending_reader_take(&r->reader, UINT64_MAX - 1));
}

static void nothing_more_is_read_until_a_full_batch_is_taken(void **state)
{
    rig *r = *state;
    for (int i = 0; i < 4; i++)
        (void)ut_filled_store_append(r->store, 100, 0);
    read_all(r, 0);
    assert_int_equal(ut_pending_reader_due_ms(&r->reader), 0);
    assert_false(ut_pending_reader_more(&r->reader));
    const uint64_t cursor = r->reader.cursor;
    read_all(r, 0);
    assert_int_equal(r->reader.cursor, cursor);
    drop(r, ut_pending_reader_take(&r->reader, 0));
    assert_true(ut_pending_reader_more(&r->reader));
}

static void delivered_blocks_are_passed_over(void **state)
{
    rig *r = *state;
    const uint64_t first = ut_filled_store_append(r->store, 10, 0);
    const uint64_t second = ut_filled_store_append(r->store, 10, 0);
    const ut_delivery mark = {.org = UT_FILLED_ORG,
                              .dest = r->destination.dest,
                              .seq = first,
                              .spans = 10,
                              .state = UT_DELIVERY_DELIVERED};
    ut_filled_store_mark(r->store, &mark);
    read_all(r, 0);
    ut_delivery_batch *batch = ut_pending_reader_take(&r->reader, DELAY_MS);
    assert_non_null(batch);
    assert_int_equal(batch->part_count, 1);
    assert_int_equal(batch->parts[0].block->seq, second);
    drop(r, batch);
}

static void what_it_learns_of_span_sizes_keeps_a_batch_within_its_bytes(void **state)
{
    rig *r = *state;
    // 1 MiB over spans of 100 KiB each: ten, less a margin.
    ut_pending_reader_learn(&r->reader, 1000 * 1024, 10);
    (void)ut_filled_store_append(r->store, 100, 0);
    read_all(r, 0);
    ut_delivery_batch *batch = ut_pending_reader_take(&r->reader, 0);
    assert_non_null(batch);
    assert_in_range(batch->spans, 8, 10);
    drop(r, batch);
    // A span larger than a batch goes alone, it does not stop the reader.
    ut_pending_reader_learn(&r->reader, SIZE_MAX / 2, 1);
    for (int i = 0; i < 64; i++)
        ut_pending_reader_learn(&r->reader, SIZE_MAX / 2, 1);
    read_all(r, 0);
    drop(r, ut_pending_reader_take(&r->reader, 0)); // completed before it learned
    read_all(r, 0);
    batch = ut_pending_reader_take(&r->reader, 0);
    assert_non_null(batch);
    assert_int_equal(batch->spans, 1);
    drop(r, batch);
}

static void an_engine_that_fails_loses_no_block(void **state)
{
    rig *r = *state;
    (void)ut_filled_store_append(r->store, 10, 0);
    r->reader.last_seq = ut_filled_store_last_seq(r->store);
    ut_store_view *broken = NULL;
    ut_faults faults = {0};
    ut_engine *engine =
        ut_engine_faulty_wrap(ut_engine_memory_clone(ut_filled_store_engine(r->store)), &faults);
    assert_int_equal(ut_store_view_open(engine, &broken), UT_OK);
    faults.fail_at = faults.calls + 1;
    faults.fail_after = true;
    faults.err = UT_EIO;
    assert_int_equal(ut_pending_reader_read(&r->reader, broken, 0), UT_EIO);
    ut_store_view_close(broken);
    engine->class->close(engine);
    assert_true(ut_pending_reader_more(&r->reader));
    read_all(r, 0);
    ut_delivery_batch *batch = ut_pending_reader_take(&r->reader, DELAY_MS);
    assert_non_null(batch);
    assert_int_equal(batch->spans, 10);
    drop(r, batch);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_small_batch_goes_when_its_oldest_block_has_waited),
        WITH_RIG(each_span_is_gathered_once_in_order_and_no_batch_is_too_large),
        WITH_RIG(nothing_more_is_read_until_a_full_batch_is_taken),
        WITH_RIG(delivered_blocks_are_passed_over),
        WITH_RIG(what_it_learns_of_span_sizes_keeps_a_batch_within_its_bytes),
        WITH_RIG(an_engine_that_fails_loses_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
