// Tests of storage/span/block: damage is noticed, and never read past its end.
#include "tests/unit/storage/span/block/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <xxhash.h>

static void any_flipped_byte_is_noticed(void **state)
{
    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        ut_rig f;
        ut_rig_small_block(&f, compressed != 0);
        ut_bytes copy = ut_buf_bytes(&f.sealed);
        uint8_t *bytes = ut_rig_move_to_exact(&copy);
        for (size_t i = 0; i < copy.len; i++) {
            for (unsigned flip = 1; flip < 256; flip++) {
                bytes[i] = (uint8_t)(bytes[i] ^ flip);
                ut_err err = ut_block_open(copy, &f.payload, &f.block);
                bool newer = i == 4 && bytes[i] != UT_BLOCK_VERSION_ENCRYPTED;
                if (err != (newer ? UT_EVERSION : UT_ECORRUPT))
                    fail_msg("byte %u changed by %02x gives %s", (unsigned)i, flip,
                             ut_err_name(err));
                bytes[i] = (uint8_t)(bytes[i] ^ flip);
            }
        }
        ut_rig_check(ut_block_open(copy, &f.payload, &f.block));
        free(bytes);
        ut_rig_free(&f);
    }
}

static void a_block_cut_at_any_length_is_noticed(void **state)
{
    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        ut_rig f;
        ut_rig_small_block(&f, compressed != 0);
        for (size_t len = 0; len < f.sealed.len; len++) {
            ut_bytes copy = {f.sealed.data, len};
            uint8_t *bytes = ut_rig_move_to_exact(&copy);
            ut_block_info info;
            assert_int_equal(ut_block_open(copy, &f.payload, &f.block), UT_ECORRUPT);
            assert_int_equal(ut_block_peek(copy, &info),
                             len < UT_BLOCK_HEADER_LEN ? UT_ECORRUPT : UT_OK);
            free(bytes);
        }
        ut_buf_add_byte(&f.sealed, 0);
        assert_int_equal(ut_block_open(ut_buf_bytes(&f.sealed), &f.payload, &f.block), UT_ECORRUPT);
        ut_rig_free(&f);
    }
}

static void a_header_out_of_bounds_is_refused_even_with_a_right_checksum(void **state)
{
    (void)state;
    static const struct {
        uint32_t at;
        uint32_t value;
        uint32_t width;
        ut_err err;
    } rows[] = {
        {4, 0, 1, UT_EVERSION},
        {4, 3, 1, UT_EVERSION},
        {5, 2, 1, UT_ECORRUPT},
        {6, 0, 2, UT_ECORRUPT},
        {6, UT_BLOCK_SPANS_MAX + 1, 2, UT_ECORRUPT},
        {8, 0, 4, UT_ECORRUPT},
        {8, UT_BLOCK_PAYLOAD_MAX + 1, 4, UT_ECORRUPT},
        {8, UT_BLOCK_PAYLOAD_MAX, 4, UT_ECORRUPT}, // more than LZ4 can make of so short a body
        {8, UINT32_MAX, 4, UT_ECORRUPT},
        {12, 0, 4, UT_ECORRUPT},
        {12, UINT32_MAX, 4, UT_ECORRUPT},
    };
    ut_rig f;
    ut_rig_small_block(&f, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ut_bytes copy = ut_buf_bytes(&f.sealed);
        uint8_t *bytes = ut_rig_move_to_exact(&copy);
        for (size_t n = 0; n < rows[i].width; n++)
            bytes[rows[i].at + n] = (uint8_t)(rows[i].value >> (8 * n));
        ut_rig_fix_checksum(bytes, copy.len);
        ut_buf fresh;
        ut_buf_init(&fresh, UT_RIG_BYTES_MAX);
        if (ut_block_open(copy, &fresh, &f.block) != rows[i].err)
            fail_msg("row %u", (unsigned)i);
        assert_int_equal(fresh.cap, 0); // refused before any memory was asked for
        ut_buf_free(&fresh);
        free(bytes);
    }
    ut_rig_free(&f);
}

static void payloads_of_a_wrong_shape_are_refused(void **state)
{
    (void)state;
    static const struct {
        ut_bytes payload;
        uint16_t span_count;
        ut_err open;
        ut_err walk;
    } rows[] = {
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x91" SPAN), 1, UT_OK, UT_OK},
        // A newer version may append to the payload, and to a span.
        {UT_BYTES_LIT("\x94\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x91" SPAN "\x81\x01\x02"), 1,
         UT_OK, UT_OK},
        // An empty group harms nobody.
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x92\x92\x00\x90\x92\x00\x92" SPAN SPAN), 2,
         UT_OK, UT_OK},
        // span_count says another number.
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x91" SPAN), 2, UT_OK,
         UT_ECORRUPT},
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x92" SPAN SPAN), 1, UT_OK,
         UT_ECORRUPT},
        // An index out of its table.
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x01\x91" SPAN), 1, UT_OK,
         UT_ECORRUPT},
        {UT_BYTES_LIT("\x93\x90\x91" SCOPE "\x91\x92\x00\x91" SPAN), 1, UT_OK, UT_ECORRUPT},
        // A group, a scope, a resource, a span of another shape.
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x93\x00\x91" SPAN "\x01"), 1, UT_OK,
         UT_ECORRUPT},
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x05" SPAN), 1, UT_OK, UT_ECORRUPT},
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91\xc0\x91\x92\x00\x91" SPAN), 1, UT_OK, UT_ECORRUPT},
        {UT_BYTES_LIT("\x93\x91\xc0\x91" SCOPE "\x91\x92\x00\x91" SPAN), 1, UT_OK, UT_ECORRUPT},
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x91\xc0"), 1, UT_OK,
         UT_ECORRUPT},
        // Tables with more entries than spans.
        {UT_BYTES_LIT("\x93\x92" RESOURCE RESOURCE "\x91" SCOPE "\x91\x92\x00\x91" SPAN), 1,
         UT_ECORRUPT, UT_OK},
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x92" SCOPE SCOPE "\x91\x92\x00\x91" SPAN), 1,
         UT_ECORRUPT, UT_OK},
        {UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x92\x92\x00\x90\x92\x00\x91" SPAN), 1,
         UT_ECORRUPT, UT_OK},
        // Not three arrays.
        {UT_BYTES_LIT("\x92\x91" RESOURCE "\x91" SCOPE), 1, UT_ECORRUPT, UT_OK},
        {UT_BYTES_LIT("\x80\x80\x80\x80"), 1, UT_ECORRUPT, UT_OK},
        {UT_BYTES_LIT("\x93\x80\x90\x90"), 1, UT_ECORRUPT, UT_OK},
        {UT_BYTES_LIT("\x93\x90\x90\xc0"), 1, UT_ECORRUPT, UT_OK},
        {UT_BYTES_LIT("\x93\x90\x90\x90"), 1, UT_OK, UT_ECORRUPT},
    };
    ut_buf sealed, payload;
    ut_buf_init(&sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ut_rig_seal_raw(&sealed, rows[i].payload, rows[i].span_count);
        ut_block block;
        ut_err err = ut_block_open(ut_buf_bytes(&sealed), &payload, &block);
        if (err != rows[i].open)
            fail_msg("row %u: open gives %s", (unsigned)i, ut_err_name(err));
        if (err != UT_OK)
            continue;
        uint32_t spans;
        err = ut_rig_walk(&block, &spans);
        if (err != rows[i].walk)
            fail_msg("row %u: walk gives %s", (unsigned)i, ut_err_name(err));
        if (err == UT_OK)
            assert_int_equal(spans, rows[i].span_count);
    }
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
}

static void a_cursor_that_met_damage_gives_nothing_more(void **state)
{
    (void)state;
    ut_buf sealed, payload;
    ut_buf_init(&sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    ut_rig_seal_raw(
        &sealed, UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x93" SPAN "\xc0" SPAN),
        3);
    ut_block block;
    ut_rig_check(ut_block_open(ut_buf_bytes(&sealed), &payload, &block));
    ut_block_cursor cursor;
    ut_block_walk(&block, &cursor);
    bool more;
    ut_rig_check(ut_block_next_group(&cursor, &more));
    ut_span span;
    ut_bytes raw;
    ut_rig_check(ut_block_next_span(&cursor, &span, &more));
    assert_true(more);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ut_block_next_span(&cursor, &span, &more), UT_ECORRUPT);
        assert_false(more);
        assert_int_equal(ut_block_skip_span(&cursor, &raw, &more), UT_ECORRUPT);
        assert_false(more);
        assert_int_equal(ut_block_next_group(&cursor, &more), UT_ECORRUPT);
        assert_false(more);
    }
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
}

static void damage_under_a_right_checksum_never_reads_out_of_bounds(void **state)
{
    (void)state;
    // Payload bytes changed and sealed again: the sanitizer watches; errors and odd values are both
    // fine.
    ut_random random = {77};
    ut_buf sealed, payload;
    ut_buf_init(&sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    uint32_t refused = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        ut_rig f;
        ut_rig_init(&f, UT_BLOCK_SPANS_MAX);
        ut_random_batch(seed, 6, UT_RANDOM_ALL, &f.batch);
        uint32_t count = 0;
        while (count < 6 &&
               ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count]))
            ut_rig_check(
                ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count++]));
        ut_rig_seal_and_open(&f);
        for (int round = 0; round < 2000; round++) {
            ut_bytes copy = ut_buf_bytes(&f.payload);
            uint8_t *bytes = ut_rig_move_to_exact(&copy);
            for (unsigned n = 1 + ut_random_below(&random, 3); n > 0; n--)
                bytes[ut_random_below(&random, (uint32_t)copy.len)] =
                    (uint8_t)ut_random_next(&random);
            ut_rig_seal_raw(&sealed, copy, (uint16_t)count);
            ut_block block;
            uint32_t spans;
            ut_err err = ut_block_open(ut_buf_bytes(&sealed), &payload, &block);
            if (err == UT_OK)
                err = ut_rig_walk(&block, &spans);
            assert_true(err == UT_OK || err == UT_ECORRUPT);
            refused += err != UT_OK;
            free(bytes);

            // The same to the compressed body.
            copy = ut_buf_bytes(&f.sealed);
            bytes = ut_rig_move_to_exact(&copy);
            for (unsigned n = 1 + ut_random_below(&random, 3); n > 0; n--)
                bytes[UT_BLOCK_HEADER_LEN +
                      ut_random_below(&random, (uint32_t)(copy.len - UT_BLOCK_HEADER_LEN))] =
                    (uint8_t)ut_random_next(&random);
            ut_rig_fix_checksum(bytes, copy.len);
            err = ut_block_open(copy, &payload, &block);
            if (err == UT_OK)
                err = ut_rig_walk(&block, &spans);
            assert_true(err == UT_OK || err == UT_ECORRUPT);
            free(bytes);
        }
        ut_rig_free(&f);
    }
    assert_true(refused > 0);
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
}

static void a_payload_over_the_maximum_is_not_decompressed(void **state)
{
    (void)state;
    // A body that LZ4 could make so long: only the maximum itself stands against it.
    size_t body_len = UT_BLOCK_PAYLOAD_MAX / 200;
    uint8_t *sealed = calloc(1, UT_BLOCK_HEADER_LEN + body_len);
    assert_non_null(sealed);
    memcpy(sealed, "UTBK", 4);
    sealed[4] = UT_BLOCK_VERSION;
    sealed[5] = 1;
    sealed[6] = 1;
    ut_put_le32(sealed + 8, UT_BLOCK_PAYLOAD_MAX + 1);
    ut_put_le32(sealed + 12, (uint32_t)body_len);
    ut_rig_fix_checksum(sealed, UT_BLOCK_HEADER_LEN + body_len);
    ut_buf payload;
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    ut_block block;
    assert_int_equal(
        ut_block_open(ut_bytes_of(sealed, UT_BLOCK_HEADER_LEN + body_len), &payload, &block),
        UT_ECORRUPT);
    assert_int_equal(payload.cap, 0);
    ut_buf_free(&payload);
    free(sealed);
}

static void a_payload_shorter_than_promised_is_refused(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_small_block(&f, true);
    ut_put_le32(f.sealed.data + 8, f.block.info.payload_len + 1);
    ut_rig_fix_checksum(f.sealed.data, f.sealed.len);
    assert_int_equal(ut_block_open(ut_buf_bytes(&f.sealed), &f.payload, &f.block), UT_ECORRUPT);
    ut_rig_free(&f);
}

static void an_index_beyond_its_table_is_refused_where_it_stands(void **state)
{
    (void)state;
    ut_buf sealed, payload;
    ut_buf_init(&sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&payload, UT_RIG_BYTES_MAX);
    // Group 0 names scope 1 of 1; scope 0 names resource 0 of 0.
    ut_rig_seal_raw(&sealed, UT_BYTES_LIT("\x93\x90\x91" SCOPE "\x91\x92\x01\x91" SPAN), 1);
    ut_block block;
    ut_rig_check(ut_block_open(ut_buf_bytes(&sealed), &payload, &block));
    ut_block_cursor cursor;
    ut_block_walk(&block, &cursor);
    bool more;
    assert_int_equal(ut_block_next_group(&cursor, &more), UT_ECORRUPT);
    ut_scope scope;
    uint32_t resource_index;
    assert_int_equal(ut_block_scope(&block, 0, &scope, &resource_index), UT_ECORRUPT);
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
}

static void scopes_and_resources_beyond_the_tables_are_refused(void **state)
{
    (void)state;
    ut_rig f;
    ut_rig_small_block(&f, true);
    ut_scope scope;
    ut_resource resource;
    uint32_t resource_index;
    assert_int_equal(ut_block_scope(&f.block, f.block.scope_count, &scope, &resource_index),
                     UT_ECORRUPT);
    assert_int_equal(ut_block_scope(&f.block, UINT32_MAX, &scope, &resource_index), UT_ECORRUPT);
    assert_int_equal(ut_block_resource(&f.block, f.block.resource_count, &resource), UT_ECORRUPT);
    ut_rig_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_byte_is_noticed),
        cmocka_unit_test(a_block_cut_at_any_length_is_noticed),
        cmocka_unit_test(a_header_out_of_bounds_is_refused_even_with_a_right_checksum),
        cmocka_unit_test(payloads_of_a_wrong_shape_are_refused),
        cmocka_unit_test(a_cursor_that_met_damage_gives_nothing_more),
        cmocka_unit_test(damage_under_a_right_checksum_never_reads_out_of_bounds),
        cmocka_unit_test(a_payload_over_the_maximum_is_not_decompressed),
        cmocka_unit_test(a_payload_shorter_than_promised_is_refused),
        cmocka_unit_test(an_index_beyond_its_table_is_refused_where_it_stands),
        cmocka_unit_test(scopes_and_resources_beyond_the_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
