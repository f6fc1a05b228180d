// Tests of storage/span/block: the limits of a block, and buffers that are too small.
#include "tests/unit/storage/span/block/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <xxhash.h>

static void a_builder_takes_no_more_spans_than_its_limit(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 2, 3, 100, UT_BLOCK_SPANS_MAX};
    for (size_t n = 0; n < sizeof limits / sizeof *limits; n++) {
        ut_rig f;
        ut_rig_init(&f, limits[n]);
        // Every span with a scope and a resource of its own fills the tables of the builder too.
        for (uint32_t i = 0; i <= limits[n]; i++) {
            char name_z[16] = {(char)('a' + i % 26), (char)('a' + i / 26), 0};
            ut_rig_add_span(&f.batch,
                            ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, name_z), "s"),
                            UT_BYTES_LIT("x"));
        }
        const ut_batch_span *spans = ut_batch_spans(&f.batch);
        for (uint32_t i = 0; i < limits[n]; i++) {
            assert_true(ut_block_builder_fits(f.builder, &f.batch, &spans[i]));
            ut_rig_check(ut_block_builder_add(f.builder, &f.batch, &spans[i]));
        }
        assert_false(ut_block_builder_fits(f.builder, &f.batch, &spans[limits[n]]));
        assert_int_equal(ut_block_builder_add(f.builder, &f.batch, &spans[limits[n]]), UT_ELIMIT);
        assert_int_equal(ut_block_builder_count(f.builder), limits[n]);
        ut_rig_seal_and_open(&f);
        assert_int_equal(f.block.resource_count, limits[n]);
        assert_int_equal(f.block.scope_count, limits[n]);
        assert_int_equal(f.block.group_count, limits[n]);
        uint32_t walked;
        ut_rig_check(ut_rig_walk(&f.block, &walked));
        assert_int_equal(walked, limits[n]);
        ut_block_builder_reset(f.builder);
        assert_int_equal(ut_block_builder_count(f.builder), 0);
        assert_true(ut_block_builder_fits(f.builder, &f.batch, &spans[limits[n]]));
        ut_rig_free(&f);
    }
}

static void a_payload_never_passes_the_target_unless_one_span_does(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    ut_random random = {3};
    static uint8_t text[400000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)('a' + ut_random_below(&random, 26));
    uint32_t resource = ut_rig_add_resource(&f.batch, "shop");
    uint32_t scope = ut_rig_add_scope(&f.batch, resource, "s");
    for (int i = 0; i < 200; i++) {
        size_t len = ut_random_below(&random, 10) == 0 ? ut_random_below(&random, sizeof text)
                                                       : ut_random_below(&random, 3000);
        ut_rig_add_span(&f.batch, scope, (ut_bytes){text, len});
    }
    uint32_t blocks = 0, at = 0, alone = 0;
    while (at < f.batch.span_count) {
        ut_block_builder_reset(f.builder);
        uint32_t begin = at;
        while (at < f.batch.span_count &&
               ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at]))
            ut_rig_check(
                ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at++]));
        ut_rig_seal_and_open(&f);
        assert_int_equal(f.block.info.span_count, at - begin);
        if (f.payload.len > UT_BLOCK_PAYLOAD_TARGET) {
            assert_int_equal(at - begin, 1);
            alone++;
        } else if (at < f.batch.span_count) {
            // It was not left half empty for nothing.
            assert_true(f.payload.len + ut_batch_spans(&f.batch)[at].len + 32 >
                        UT_BLOCK_PAYLOAD_TARGET);
        }
        blocks++;
    }
    assert_true(blocks > 1 && alone > 0);
    ut_rig_free(&f);
}

static void a_span_of_many_megabytes_stands_alone_in_its_block(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t scope = ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, "shop"), "s");
    size_t len = 60u * 1024 * 1024;
    uint8_t *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    ut_rig_add_span(&f.batch, scope, (ut_bytes){text, len});
    ut_rig_add_span(&f.batch, scope, UT_BYTES_LIT("small"));
    free(text);
    ut_rig_check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[0]));
    assert_false(ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[1]));
    ut_rig_seal_and_open(&f);
    assert_true(f.payload.len > len);
    assert_true(f.sealed.len <
                len / 200); // LZ4's best ratio is 255: the check of it must let this pass
    ut_rig_free(&f);
}

static void a_payload_over_the_maximum_is_refused(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t scope = ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, "shop"), "s");
    size_t len = 50u * 1024 * 1024;
    uint8_t *text = calloc(1, len);
    assert_non_null(text);
    ut_rig_add_span(&f.batch, scope, (ut_bytes){text, len});
    ut_rig_add_span(&f.batch, scope, (ut_bytes){text, len});
    free(text);
    ut_rig_check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[0]));
    assert_int_equal(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[1]),
                     UT_ELIMIT);
    assert_int_equal(ut_block_seal(f.builder, received_ns, UT_RIG_HOUR, &f.sealed), UT_ELIMIT);
    ut_block_builder_reset(f.builder);
    ut_rig_check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[1]));
    ut_rig_free(&f);
}

static void a_payload_that_does_not_shrink_is_stored_as_it_is(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t scope = ut_rig_add_scope(&f.batch, ut_rig_add_resource(&f.batch, NULL), "s");
    // Long enough for what LZ4 adds to it to outweigh what it saves on the rest.
    static uint8_t noise[30000];
    ut_random random = {8};
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)ut_random_next(&random);
    ut_rig_add_span(&f.batch, scope, (ut_bytes){noise, sizeof noise});
    ut_rig_add_all(f.builder, &f.batch);
    ut_rig_seal_and_open(&f);
    assert_int_equal(f.sealed.data[5], 0);
    assert_int_equal(f.sealed.len, UT_BLOCK_HEADER_LEN + f.payload.len);
    uint32_t spans;
    ut_rig_check(ut_rig_walk(&f.block, &spans));
    assert_int_equal(spans, 1);
    ut_rig_free(&f);
}

static void buffers_that_are_too_small_are_an_error(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
    ut_realistic_batch(1, 50, 1000, &f.batch);
    ut_rig_add_all(f.builder, &f.batch);
    ut_buf small;
    ut_buf_init(&small, 100);
    assert_int_equal(ut_block_seal(f.builder, received_ns, UT_RIG_HOUR, &small), UT_ELIMIT);
    ut_rig_seal_and_open(&f); // the builder is as it was
    assert_int_equal(ut_block_open(ut_buf_bytes(&f.sealed), &small, &f.block), UT_ELIMIT);
    ut_buf_free(&small);
    ut_rig_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_builder_takes_no_more_spans_than_its_limit),
        cmocka_unit_test(a_payload_never_passes_the_target_unless_one_span_does),
        cmocka_unit_test(a_span_of_many_megabytes_stands_alone_in_its_block),
        cmocka_unit_test(a_payload_over_the_maximum_is_refused),
        cmocka_unit_test(a_payload_that_does_not_shrink_is_stored_as_it_is),
        cmocka_unit_test(buffers_that_are_too_small_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
