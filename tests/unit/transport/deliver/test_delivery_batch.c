// Batches on their way: parts added, cut and ended, with no span lost or counted twice.
#include "transport/deliver/delivery_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static ut_delivery_block *block_of(uint64_t seq, uint32_t spans)
{
    static ut_delivery_pool pool; // empty: every block is new
    ut_delivery_block *block = ut_delivery_pool_take(&pool);
    assert_non_null(block);
    block->seq = seq;
    block->spans = spans;
    block->spans_open = spans;
    return block;
}

static void free_block(ut_delivery_block *block)
{
    ut_delivery_pool pool = {0};
    ut_delivery_pool_give(&pool, block);
    ut_delivery_pool_free(&pool);
}

static uint32_t spans_in_parts(const ut_delivery_batch *batch)
{
    uint32_t spans = 0;
    for (size_t i = 0; i < batch->part_count; i++) {
        assert_true(batch->parts[i].from < batch->parts[i].to);
        spans += (uint32_t)(batch->parts[i].to - batch->parts[i].from);
    }
    return spans;
}

static void a_split_at_any_place_keeps_every_span_once_and_in_order(void **state)
{
    (void)state;
    enum { BLOCKS = 4 };
    static const uint32_t sizes[BLOCKS] = {3, 1, 5, 2};
    const uint32_t all = 11;
    for (uint32_t at = 1; at < all; at++) {
        ut_delivery_block *blocks[BLOCKS];
        ut_delivery_batch *batch = ut_delivery_batch_new();
        for (uint32_t i = 0; i < BLOCKS; i++) {
            blocks[i] = block_of(i + 1, sizes[i]);
            assert_int_equal(ut_delivery_batch_add(batch, blocks[i], 0, sizes[i]), UT_OK);
        }
        batch->attempts = 7;
        batch->since_ms = 9;
        ut_delivery_batch *rest = NULL;
        assert_int_equal(ut_delivery_batch_split(batch, at, &rest), UT_OK);
        assert_int_equal(batch->spans, at);
        assert_int_equal(rest->spans, all - at);
        assert_int_equal(spans_in_parts(batch), at);
        assert_int_equal(spans_in_parts(rest), all - at);
        assert_int_equal(rest->attempts, 7);
        assert_int_equal(rest->since_ms, 9);
        uint64_t seq = 0;
        uint32_t ordinal = 0;
        uint32_t seen = 0;
        const ut_delivery_batch *halves[2] = {batch, rest};
        for (size_t h = 0; h < 2; h++) {
            for (size_t i = 0; i < halves[h]->part_count; i++) {
                const ut_delivery_part *part = &halves[h]->parts[i];
                if (part->block->seq != seq) {
                    assert_int_equal(part->block->seq, seq + 1);
                    seq = part->block->seq;
                    ordinal = 0;
                }
                assert_int_equal(part->from, ordinal);
                ordinal = part->to;
                seen += (uint32_t)(part->to - part->from);
            }
        }
        assert_int_equal(seen, all);
        ut_delivery_batch_free(batch);
        ut_delivery_batch_free(rest);
        for (uint32_t i = 0; i < BLOCKS; i++)
            free_block(blocks[i]);
    }
}

static void bad_parts_are_taken_out_one_by_one(void **state)
{
    (void)state;
    ut_delivery_batch *batch = ut_delivery_batch_new();
    ut_delivery_block *blocks[3];
    for (uint32_t i = 0; i < 3; i++) {
        blocks[i] = block_of(i + 1, 2);
        assert_int_equal(ut_delivery_batch_add(batch, blocks[i], 0, 2), UT_OK);
    }
    batch->parts[0].state = UT_DELIVERY_PART_GONE;
    batch->parts[2].state = UT_DELIVERY_PART_DAMAGED;
    ut_delivery_part part;
    assert_true(ut_delivery_batch_take_bad(batch, &part));
    assert_ptr_equal(part.block, blocks[0]);
    assert_true(ut_delivery_batch_take_bad(batch, &part));
    assert_ptr_equal(part.block, blocks[2]);
    assert_int_equal(part.state, UT_DELIVERY_PART_DAMAGED);
    assert_false(ut_delivery_batch_take_bad(batch, &part));
    assert_int_equal(batch->part_count, 1);
    assert_int_equal(batch->spans, 2);
    ut_delivery_batch_free(batch);
    for (uint32_t i = 0; i < 3; i++)
        free_block(blocks[i]);
}

static void a_batch_takes_no_more_parts_than_its_limit(void **state)
{
    (void)state;
    ut_delivery_batch *batch = ut_delivery_batch_new();
    ut_delivery_block *block = block_of(1, 1);
    for (int i = 0; i < UT_DELIVERY_PARTS_MAX; i++)
        assert_int_equal(ut_delivery_batch_add(batch, block, 0, 1), UT_OK);
    assert_int_equal(ut_delivery_batch_add(batch, block, 0, 1), UT_ELIMIT);
    assert_int_equal(batch->spans, UT_DELIVERY_PARTS_MAX);
    ut_delivery_batch_free(batch);
    free_block(block);
}

static void a_block_has_ended_with_its_last_span(void **state)
{
    (void)state;
    ut_delivery_block *block = block_of(1, UT_BLOCK_SPANS_MAX);
    assert_false(ut_delivery_block_end(block, 0, 100, UT_DELIVERY_END_DELIVERED, 0, ""));
    assert_false(ut_delivery_block_end(block, 511, 512, UT_DELIVERY_END_DEAD, 400, "bad"));
    assert_false(ut_delivery_block_end(block, 100, 102, UT_DELIVERY_END_DEAD, 413, "large"));
    assert_int_equal(block->spans_open, 409);
    assert_int_equal(block->spans_dead, 3);
    assert_true(ut_delivery_block_end(block, 102, 511, UT_DELIVERY_END_DELIVERED, 0, ""));
    assert_non_null(block->fate);
    assert_int_equal(block->fate->http_status, 413);
    assert_string_equal(block->fate->reason_z, "large");
    for (uint32_t n = 0; n < UT_BLOCK_SPANS_MAX; n++) {
        bool dead = (block->fate->dead[n / 8] & 1u << n % 8) != 0;
        assert_int_equal(dead, n == 511 || n == 100 || n == 101);
    }
    free_block(block);
}

static void a_long_reason_is_cut(void **state)
{
    (void)state;
    char reason_z[3 * UT_STORE_REASON_MAX];
    memset(reason_z, 'x', sizeof reason_z - 1);
    reason_z[sizeof reason_z - 1] = '\0';
    ut_delivery_block *block = block_of(1, 4);
    (void)ut_delivery_block_end(block, 0, 4, UT_DELIVERY_END_DEAD, 400, reason_z);
    assert_int_equal(strlen(block->fate->reason_z), UT_STORE_REASON_MAX - 1);
    free_block(block);
}

static void only_batches_whose_time_has_come_leave_the_list(void **state)
{
    (void)state;
    ut_delivery_batches list = {0};
    ut_delivery_batch *batches[3];
    static const uint64_t times_ms[3] = {50, 10, 30};
    for (size_t i = 0; i < 3; i++) {
        batches[i] = ut_delivery_batch_new();
        batches[i]->not_before_ms = times_ms[i];
        ut_delivery_batches_push(&list, batches[i]);
    }
    assert_null(ut_delivery_batches_take_due(&list, 9));
    assert_ptr_equal(ut_delivery_batches_take_due(&list, 30), batches[1]);
    assert_ptr_equal(ut_delivery_batches_take_due(&list, 30), batches[2]);
    assert_null(ut_delivery_batches_take_due(&list, 30));
    ut_delivery_batches_push(&list,
                             batches[1]); // the end of the list was taken: it must have moved
    ut_delivery_batches_push_front(&list, batches[2]);
    assert_int_equal(list.count, 3);
    assert_ptr_equal(ut_delivery_batches_pop(&list), batches[2]);
    assert_ptr_equal(ut_delivery_batches_pop(&list), batches[0]);
    assert_ptr_equal(ut_delivery_batches_pop(&list), batches[1]);
    assert_null(ut_delivery_batches_pop(&list));
    assert_int_equal(list.count, 0);
    for (size_t i = 0; i < 3; i++)
        ut_delivery_batch_free(batches[i]);
}

static void the_pool_gives_clean_blocks(void **state)
{
    (void)state;
    ut_delivery_pool pool = {0};
    ut_delivery_block *block = ut_delivery_pool_take(&pool);
    block->spans = 4;
    block->spans_open = 4;
    (void)ut_delivery_block_end(block, 0, 4, UT_DELIVERY_END_DEAD, 400, "bad");
    block->mark_due = true;
    ut_delivery_pool_give(&pool, block);
    ut_delivery_block *again = ut_delivery_pool_take(&pool);
    assert_ptr_equal(again, block);
    static const ut_delivery_block clean;
    assert_memory_equal(again, &clean, sizeof clean);
    ut_delivery_pool_give(&pool, again);
    ut_delivery_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_at_any_place_keeps_every_span_once_and_in_order),
        cmocka_unit_test(bad_parts_are_taken_out_one_by_one),
        cmocka_unit_test(a_batch_takes_no_more_parts_than_its_limit),
        cmocka_unit_test(a_block_has_ended_with_its_last_span),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test(only_batches_whose_time_has_come_leave_the_list),
        cmocka_unit_test(the_pool_gives_clean_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
