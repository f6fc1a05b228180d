// Bodies out of batches: what fits, what is left, and what cannot be sent.
#include "adapters/encoding/gzip.h"
#include "tests/support/engine_memory.h"
#include "tests/support/filled_store.h"
#include "transport/deliver/batcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct {
    ut_filled_store *store;
    ut_batcher batcher;
    ut_destination_config destination;
    ut_delivery_pool pool;
    ut_delivery_batch *batch;
    ut_delivery_batch *rest;
    ut_buf body;
    size_t plain_bytes;
} rig;

static int set_up(void **state)
{
    rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->store = ut_filled_store_open(ut_engine_memory_open(UINT64_C(64) << 20));
    assert_int_equal(ut_batcher_init(&r->batcher, ut_filled_store_engine(r->store)), UT_OK);
    r->destination = (ut_destination_config){
        .name_z = "d",
        .org = UT_FILLED_ORG,
        .dest = ut_filled_store_destination(r->store, "d"),
        .encoder = &ut_otlp_protobuf_encoder,
        .gzip_level = 6,
        .batch_spans_max = 512,
        .batch_bytes_max = 1024 * 1024,
    };
    ut_buf_init(&r->body, UT_BATCHER_BODY_BYTES_MAX);
    r->batch = ut_delivery_batch_new();
    assert_non_null(r->batch);
    *state = r;
    return 0;
}

// Gives back the parts of batch; a block goes with the last part of it.
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
    drop(r, r->batch);
    drop(r, r->rest);
    ut_delivery_pool_free(&r->pool);
    ut_buf_free(&r->body);
    ut_batcher_free(&r->batcher);
    ut_filled_store_close(r->store);
    free(r);
    return 0;
}

static uint64_t add_block(rig *r, uint32_t spans)
{
    const uint64_t seq = ut_filled_store_append(r->store, spans, 0);
    ut_delivery_block *block = ut_delivery_pool_take(&r->pool);
    assert_non_null(block);
    block->seq = seq;
    block->spans = spans;
    block->spans_open = spans;
    assert_int_equal(ut_delivery_batch_add(r->batch, block, 0, spans), UT_OK);
    return seq;
}

static void build(rig *r)
{
    assert_int_equal(ut_batcher_build(&r->batcher, &r->destination, r->batch, &r->body,
                                      &r->plain_bytes, &r->rest),
                     UT_OK);
}

// The number of spans in a request.
static uint32_t spans_in(ut_bytes request)
{
    ut_batch batch;
    ut_batch_init(&batch, UINT64_C(1) << 26);
    assert_int_equal(ut_otlp_protobuf_decode(request, &batch, NULL), UT_OK);
    const uint32_t spans = batch.span_count;
    ut_batch_free(&batch);
    return spans;
}

static void a_body_holds_all_spans_of_its_batch(void **state)
{
    rig *r = *state;
    (void)add_block(r, 20);
    (void)add_block(r, 30);
    build(r);
    assert_null(r->rest);
    assert_int_equal(r->plain_bytes, r->body.len);
    assert_int_equal(spans_in(ut_buf_bytes(&r->body)), 50);
}

static void compression_changes_the_bytes_and_not_the_request(void **state)
{
    rig *r = *state;
    (void)add_block(r, 50);
    build(r);
    const size_t plain_bytes = r->plain_bytes;
    ut_buf plain = r->body;
    ut_buf_init(&r->body, UT_BATCHER_BODY_BYTES_MAX);
    r->destination.gzip = true;
    build(r);
    assert_int_equal(r->plain_bytes, plain_bytes);
    assert_true(r->body.len < plain_bytes);
    ut_gzip *gzip = ut_gzip_new();
    ut_buf expanded;
    ut_buf_init(&expanded, 2 * plain_bytes);
    assert_int_equal(ut_gzip_expand(gzip, ut_buf_bytes(&r->body), &expanded, NULL), UT_OK);
    assert_true(ut_bytes_equal(ut_buf_bytes(&expanded), ut_buf_bytes(&plain)));
    ut_buf_free(&expanded);
    ut_buf_free(&plain);
    ut_gzip_free(gzip);
}

static void what_does_not_fit_is_left_for_the_next_request(void **state)
{
    rig *r = *state;
    (void)add_block(r, 60);
    (void)add_block(r, 60);
    build(r);
    const size_t whole = r->plain_bytes;
    for (size_t bytes_max = 1; bytes_max < whole; bytes_max += whole / 7) {
        r->destination.batch_bytes_max = (uint32_t)bytes_max;
        uint32_t sent = 0;
        ut_delivery_batch *all = r->batch;
        for (int requests = 0; r->batch != NULL; requests++) {
            assert_true(requests <= 120);
            build(r);
            const uint32_t spans = spans_in(ut_buf_bytes(&r->body));
            assert_int_equal(spans, r->batch->spans);
            assert_true(r->plain_bytes <= bytes_max || spans == 1);
            sent += spans;
            if (r->batch != all) {
                // The spans go back to the first batch, for the next size.
                for (size_t i = 0; i < r->batch->part_count; i++) {
                    ut_delivery_part *last = &all->parts[all->part_count - 1];
                    const ut_delivery_part *part = &r->batch->parts[i];
                    if (part->block == last->block && part->from == last->to) {
                        all->spans += (uint32_t)(part->to - part->from);
                        last->to = part->to;
                    } else {
                        assert_int_equal(
                            ut_delivery_batch_add(all, part->block, part->from, part->to), UT_OK);
                    }
                }
                ut_delivery_batch_free(r->batch);
            }
            r->batch = r->rest;
            r->rest = NULL;
        }
        r->batch = all;
        assert_int_equal(sent, 120);
        assert_int_equal(all->spans, 120);
    }
}

static void a_block_that_is_gone_or_damaged_does_not_stop_the_others(void **state)
{
    rig *r = *state;
    const uint64_t damaged = add_block(r, 10);
    (void)add_block(r, 10);
    ut_delivery_block *gone = ut_delivery_pool_take(&r->pool);
    assert_non_null(gone);
    gone->seq = UINT64_MAX - 1;
    gone->spans = 5;
    gone->spans_open = 5;
    assert_int_equal(ut_delivery_batch_add(r->batch, gone, 0, 5), UT_OK);
    ut_filled_store_damage(r->store, damaged);
    build(r);
    assert_int_equal(spans_in(ut_buf_bytes(&r->body)), 10);
    assert_int_equal(r->batch->parts[0].state, UT_DELIVERY_PART_DAMAGED);
    assert_int_equal(r->batch->parts[1].state, UT_DELIVERY_PART_GOOD);
    assert_int_equal(r->batch->parts[2].state, UT_DELIVERY_PART_GONE);
}

static void a_batch_of_nothing_that_can_be_sent_has_no_body(void **state)
{
    rig *r = *state;
    ut_filled_store_damage(r->store, add_block(r, 10));
    build(r);
    assert_int_equal(r->plain_bytes, 0);
    assert_int_equal(r->body.len, 0);
    assert_int_equal(r->batch->parts[0].state, UT_DELIVERY_PART_DAMAGED);
}

static void a_block_of_another_length_than_the_ledger_says_is_damaged(void **state)
{
    rig *r = *state;
    (void)add_block(r, 10);
    r->batch->parts[0].block->spans = 11;
    build(r);
    assert_int_equal(r->plain_bytes, 0);
    assert_int_equal(r->batch->parts[0].state, UT_DELIVERY_PART_DAMAGED);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_body_holds_all_spans_of_its_batch),
        WITH_RIG(compression_changes_the_bytes_and_not_the_request),
        WITH_RIG(what_does_not_fit_is_left_for_the_next_request),
        WITH_RIG(a_block_that_is_gone_or_damaged_does_not_stop_the_others),
        WITH_RIG(a_batch_of_nothing_that_can_be_sent_has_no_body),
        WITH_RIG(a_block_of_another_length_than_the_ledger_says_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
