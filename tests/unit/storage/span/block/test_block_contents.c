// Tests of storage/span/block: what goes into a block comes out, and what its spans share is stored
// once.
#include "tests/unit/storage/span/block/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <xxhash.h>

// Compares one span of an open block, with its scope and resource, to span `index` of batch.
static void assert_same_span(const ut_block *block, const ut_block_cursor *cursor,
                             const ut_span *span, const ut_batch *batch, uint32_t index,
                             uint64_t seed)
{
    ut_span wanted;
    ut_scope scope, wanted_scope;
    ut_resource resource, wanted_resource;
    uint32_t resource_index;
    ut_batch_read(batch, index, &wanted, &wanted_scope, &wanted_resource);
    ut_rig_check(ut_block_scope(block, cursor->scope_index, &scope, &resource_index));
    ut_rig_check(ut_block_resource(block, resource_index, &resource));
    const char *field = ut_span_difference(span, &wanted);
    if (field == NULL)
        field = ut_scope_difference(&scope, &wanted_scope);
    if (field == NULL)
        field = ut_resource_difference(&resource, &wanted_resource);
    if (field != NULL)
        fail_msg("seed %llu, span %u: %s differs", (unsigned long long)seed, (unsigned)index,
                 field);
}

static void random_spans_come_back_equal(void **state)
{
    (void)state;
    ut_block_builder *builder = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    assert_non_null(builder);
    ut_buf sealed, payload;
    ut_buf_init(&sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        // Several batches in one block, and a batch in several blocks.
        ut_batch batches[3];
        uint32_t sizes[3] = {1 + (uint32_t)(seed % 7), 1 + (uint32_t)(seed * 37 % 400), 2};
        for (int b = 0; b < 3; b++) {
            ut_batch_init(&batches[b], UT_RIG_BYTES_MAX);
            ut_random_batch(seed * 10 + (uint64_t)b, sizes[b],
                            b == 0 ? UT_RANDOM_WIRE : UT_RANDOM_ALL, &batches[b]);
            ut_rig_check(ut_batch_error(&batches[b]));
        }
        uint32_t b = 0, i = 0;
        while (b < 3) {
            ut_block_builder_reset(builder);
            uint32_t first_b = b, first_i = i;
            while (b < 3 &&
                   ut_block_builder_fits(builder, &batches[b], &ut_batch_spans(&batches[b])[i])) {
                ut_rig_check(
                    ut_block_builder_add(builder, &batches[b], &ut_batch_spans(&batches[b])[i]));
                if (++i == batches[b].span_count) {
                    b++;
                    i = 0;
                }
            }
            uint32_t count = ut_block_builder_count(builder);
            ut_rig_check(ut_block_seal(builder, received_ns + seed, UT_RIG_HOUR, &sealed));
            ut_bytes copy = ut_buf_bytes(&sealed);
            uint8_t *bytes = ut_rig_move_to_exact(&copy);
            ut_block block;
            ut_block_info peeked;
            ut_rig_check(ut_block_peek(copy, &peeked));
            ut_rig_check(ut_block_open(copy, &payload, &block));
            free(bytes); // an open block borrows nothing of it
            assert_true(block.info.received_ns == received_ns + seed &&
                        peeked.received_ns == block.info.received_ns);
            assert_int_equal(block.info.expiry_hour, UT_RIG_HOUR);
            assert_int_equal(block.info.span_count, count);
            assert_int_equal(peeked.span_count, count);
            assert_int_equal(peeked.payload_len, payload.len);
            if (count > 1)
                assert_in_range(payload.len, 1, UT_BLOCK_PAYLOAD_TARGET);

            ut_block_cursor cursor;
            ut_block_walk(&block, &cursor);
            uint32_t at_b = first_b, at_i = first_i, ordinal = 0;
            bool more;
            for (;;) {
                ut_rig_check(ut_block_next_group(&cursor, &more));
                if (!more)
                    break;
                for (;;) {
                    ut_span span;
                    assert_int_equal(cursor.ordinal, ordinal);
                    ut_rig_check(ut_block_next_span(&cursor, &span, &more));
                    if (!more)
                        break;
                    assert_same_span(&block, &cursor, &span, &batches[at_b], at_i, seed);
                    ordinal++;
                    if (++at_i == batches[at_b].span_count) {
                        at_b++;
                        at_i = 0;
                    }
                }
            }
            assert_int_equal(ordinal, count);
            assert_true(at_b == b && at_i == i);
        }
        for (int n = 0; n < 3; n++)
            ut_batch_free(&batches[n]);
    }
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
    ut_block_builder_free(builder);
}

static void equal_resources_and_scopes_are_stored_once(void **state)
{
    (void)state;
    ut_block_builder *builder = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    assert_non_null(builder);
    ut_batch batches[4];
    for (int b = 0; b < 4; b++) {
        ut_batch_init(&batches[b], UT_RIG_BYTES_MAX);
        ut_realistic_batch((uint64_t)b, 20, 1000, &batches[b]);
        ut_rig_add_all(builder, &batches[b]);
    }
    // Back to a batch that the builder had already left.
    ut_rig_check(ut_block_builder_add(builder, &batches[0], &ut_batch_spans(&batches[0])[3]));
    ut_buf sealed, payload;
    ut_buf_init(&sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    ut_rig_check(ut_block_seal(builder, received_ns, UT_RIG_HOUR, &sealed));
    ut_block block;
    ut_rig_check(ut_block_open(ut_buf_bytes(&sealed), &payload, &block));
    assert_int_equal(block.resource_count, 1);
    assert_int_equal(block.scope_count, 2);
    assert_int_equal(block.info.span_count, 81);
    uint32_t spans;
    ut_rig_check(ut_rig_walk(&block, &spans));
    assert_int_equal(spans, 81);
    for (int b = 0; b < 4; b++)
        ut_batch_free(&batches[b]);
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
    ut_block_builder_free(builder);
}

static void equal_scopes_of_unlike_resources_stay_apart(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t one = ut_rig_add_resource(&f.batch, "one");
    uint32_t two = ut_rig_add_resource(&f.batch, "two");
    uint32_t scope_one = ut_rig_add_scope(&f.batch, one, "same");
    uint32_t scope_two = ut_rig_add_scope(&f.batch, two, "same");
    ut_rig_add_span(&f.batch, scope_one, UT_BYTES_LIT("a"));
    ut_rig_add_span(&f.batch, scope_two, UT_BYTES_LIT("b"));
    ut_rig_add_all(f.builder, &f.batch);
    ut_rig_seal_and_open(&f);
    assert_int_equal(f.block.resource_count, 2);
    assert_int_equal(f.block.scope_count, 2);
    ut_scope scope;
    uint32_t resource_index;
    ut_rig_check(ut_block_scope(&f.block, 1, &scope, &resource_index));
    assert_int_equal(resource_index, 1);
    ut_rig_free(&f);
}

static void spans_of_one_scope_in_a_row_form_one_group(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t resource = ut_rig_add_resource(&f.batch, "shop");
    uint32_t scopes[2] = {ut_rig_add_scope(&f.batch, resource, "a"),
                          ut_rig_add_scope(&f.batch, resource, "b")};
    static const uint8_t order[] = {1, 1, 1, 0, 0, 1, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof order; i++)
        ut_rig_add_span(&f.batch, scopes[order[i]], UT_BYTES_LIT("s"));
    ut_rig_add_all(f.builder, &f.batch);
    ut_rig_seal_and_open(&f);
    static const uint32_t lengths[] = {3, 2, 1, 4};
    static const char names[] = "baba";
    assert_int_equal(f.block.group_count, 4);
    ut_block_cursor cursor;
    ut_block_walk(&f.block, &cursor);
    bool more;
    uint32_t ordinal = 0;
    for (size_t g = 0; g < 4; g++) {
        ut_rig_check(ut_block_next_group(&cursor, &more));
        assert_true(more);
        assert_int_equal(cursor.spans_left, lengths[g]);
        assert_int_equal(cursor.ordinal, ordinal);
        ordinal += lengths[g];
        ut_scope scope;
        uint32_t resource_index;
        ut_rig_check(ut_block_scope(&f.block, cursor.scope_index, &scope, &resource_index));
        assert_int_equal(scope.name.len, 1);
        assert_int_equal(scope.name.data[0], names[g]);
    }
    ut_rig_check(ut_block_next_group(&cursor, &more)); // the spans of the last group are passed
    assert_false(more);
    assert_int_equal(cursor.ordinal, sizeof order);
    ut_rig_check(ut_block_next_group(&cursor, &more));
    assert_false(more);
    ut_rig_free(&f);
}

static void reading_and_passing_spans_may_be_mixed(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    ut_random_batch(11, 200, UT_RANDOM_ALL, &f.batch);
    uint32_t count = 0;
    while (count < f.batch.span_count &&
           ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count])) {
        ut_rig_check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count]));
        count++;
    }
    ut_rig_seal_and_open(&f);
    ut_random random = {4};
    for (int round = 0; round < 20; round++) {
        ut_block_cursor cursor;
        ut_block_walk(&f.block, &cursor);
        bool more;
        for (;;) {
            ut_rig_check(ut_block_next_group(&cursor, &more));
            if (!more)
                break;
            while (ut_random_below(&random, 8) != 0) {
                uint32_t ordinal = cursor.ordinal;
                if (ut_random_below(&random, 2) == 0) {
                    ut_span span;
                    ut_rig_check(ut_block_next_span(&cursor, &span, &more));
                    if (more)
                        assert_same_span(&f.block, &cursor, &span, &f.batch, ordinal, 11);
                } else {
                    ut_bytes raw;
                    ut_rig_check(ut_block_skip_span(&cursor, &raw, &more));
                    const ut_batch_span *entry =
                        &ut_batch_spans(&f.batch)[ordinal < count ? ordinal : 0];
                    ut_bytes record = {f.batch.span_bytes.data + entry->offset, entry->len};
                    if (more)
                        assert_true(ut_bytes_equal(raw, record));
                }
                assert_int_equal(cursor.ordinal, ordinal + (more ? 1u : 0u));
                if (!more)
                    break;
            }
        }
        assert_int_equal(cursor.ordinal, count);
    }
    ut_rig_free(&f);
}

static void spans_may_be_left_out_of_a_batch(void **state)
{
    (void)state;
    // As the store leaves out what it has already: the records no longer stand one after the other.
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    ut_realistic_batch(5, 300, 1000, &f.batch);
    ut_random random = {6};
    uint32_t chosen[300], count = 0;
    for (uint32_t i = 0; i < f.batch.span_count; i++) {
        if (ut_random_below(&random, 3) == 0)
            continue;
        ut_rig_check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[i]));
        chosen[count++] = i;
    }
    ut_rig_seal_and_open(&f);
    ut_block_cursor cursor;
    ut_block_walk(&f.block, &cursor);
    bool more;
    for (;;) {
        ut_rig_check(ut_block_next_group(&cursor, &more));
        if (!more)
            break;
        for (;;) {
            ut_span span;
            uint32_t ordinal = cursor.ordinal;
            ut_rig_check(ut_block_next_span(&cursor, &span, &more));
            if (!more)
                break;
            assert_same_span(&f.block, &cursor, &span, &f.batch, chosen[ordinal], 5);
        }
    }
    assert_int_equal(cursor.ordinal, count);
    ut_rig_free(&f);
}

// The service.name of the resource that the span at ordinal hangs on.
static ut_bytes service_of(const ut_block_builder *builder, uint32_t ordinal)
{
    uint32_t scope;
    uint32_t resource;
    ut_bytes service;
    (void)ut_block_builder_record(builder, ordinal, &scope);
    (void)ut_block_builder_scope(builder, scope, &resource);
    (void)ut_block_builder_resource(builder, resource, &service);
    return service;
}

static void services_are_those_of_the_resources(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t shop = ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, "shop"), "s");
    uint32_t none = ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, NULL), "s");
    ut_rig_add_span(&f.batch, none, UT_BYTES_LIT("first"));
    ut_rig_add_span(&f.batch, shop, UT_BYTES_LIT("second"));
    ut_rig_add_all(f.builder, &f.batch);
    assert_int_equal(service_of(f.builder, 0).len, 0);
    assert_true(ut_bytes_equal(service_of(f.builder, 1), UT_BYTES_LIT("shop")));
    assert_int_equal(ut_block_builder_span(f.builder, 1)->offset,
                     ut_batch_spans(&f.batch)[1].offset);
    ut_rig_free(&f);
}

static void a_builder_is_used_again_after_a_batch_was_refilled(void **state)
{
    (void)state;
    // The same batch in memory, with other content: nothing of the first use may stay in the
    // builder.
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    static const char *const services[] = {"one", "two"};
    for (size_t i = 0; i < 2; i++) {
        ut_block_builder_reset(f.builder);
        ut_batch_reset(&f.batch, UT_RIG_BYTES_MAX);
        ut_rig_add_span(
            &f.batch,
            ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, services[i]), services[i]),
            UT_BYTES_LIT("n"));
        ut_rig_add_all(f.builder, &f.batch);
        ut_rig_seal_and_open(&f);
        ut_scope scope;
        uint32_t resource_index;
        ut_rig_check(ut_block_scope(&f.block, 0, &scope, &resource_index));
        assert_true(ut_bytes_equal(scope.name, ut_bytes_of_z(services[i])));
        assert_true(ut_bytes_equal(service_of(f.builder, 0), ut_bytes_of_z(services[i])));
    }
    ut_rig_free(&f);
}

static void a_batch_with_many_scopes_goes_through_many_blocks(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, 64);
    uint32_t resource = ut_rig_add_resource(&f.batch, "shop");
    for (uint32_t i = 0; i < 10000; i++) {
        char name_z[8] = {(char)('a' + i % 20), (char)('a' + i / 20 % 20), (char)('a' + i / 400),
                          0};
        (void)ut_rig_add_scope(&f.batch, resource, name_z);
    }
    for (uint32_t i = 0; i < 10000; i++)
        ut_rig_add_span(&f.batch, 9999 - i, UT_BYTES_LIT("n"));
    uint32_t at = 0;
    while (at < f.batch.span_count) {
        ut_block_builder_reset(f.builder);
        uint32_t begin = at;
        while (at < f.batch.span_count &&
               ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at]))
            ut_rig_check(
                ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at++]));
        ut_rig_seal_and_open(&f);
        assert_int_equal(f.block.scope_count, at - begin);
        assert_int_equal(f.block.resource_count, 1);
        ut_block_cursor cursor;
        ut_block_walk(&f.block, &cursor);
        bool more;
        ut_rig_check(ut_block_next_group(&cursor, &more));
        ut_span span;
        ut_rig_check(ut_block_next_span(&cursor, &span, &more));
        assert_same_span(&f.block, &cursor, &span, &f.batch, begin, 0);
    }
    ut_rig_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_spans_come_back_equal),
        cmocka_unit_test(equal_resources_and_scopes_are_stored_once),
        cmocka_unit_test(equal_scopes_of_unlike_resources_stay_apart),
        cmocka_unit_test(spans_of_one_scope_in_a_row_form_one_group),
        cmocka_unit_test(reading_and_passing_spans_may_be_mixed),
        cmocka_unit_test(spans_may_be_left_out_of_a_batch),
        cmocka_unit_test(services_are_those_of_the_resources),
        cmocka_unit_test(a_builder_is_used_again_after_a_batch_was_refilled),
        cmocka_unit_test(a_batch_with_many_scopes_goes_through_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
