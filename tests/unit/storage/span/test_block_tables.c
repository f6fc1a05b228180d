// Tests of storage/span/block_tables: a block's tables hold its records, and damaged ones are told.
#include "storage/span/block_tables.h"
#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 24, SPANS = 60 };

static ut_block_tables tables;

static void tables_hold_what_a_look_up_finds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        ut_batch batch;
        ut_buf payload;
        ut_block block;
        ut_batch_init(&batch, BYTES_MAX);
        ut_buf_init(&payload, BYTES_MAX);
        ut_random_batch(seed, SPANS, UT_RANDOM_ALL, &batch);
        (void)ut_make_block(&batch, 0, batch.span_count, &payload, &block);
        assert_int_equal(ut_block_tables_read(&block, &tables), UT_OK);
        assert_int_equal(tables.scope_count, block.scope_count);
        assert_int_equal(tables.resource_count, block.resource_count);
        for (uint32_t i = 0; i < block.scope_count; i++) {
            ut_scope wanted;
            ut_scope found;
            uint32_t resource;
            ut_mp_reader reader = ut_mp_reader_of(tables.scopes[i]);
            assert_int_equal(ut_block_scope(&block, i, &wanted, &resource), UT_OK);
            assert_int_equal(ut_scope_read(&reader, &found), UT_OK);
            assert_null(ut_scope_difference(&found, &wanted));
            assert_int_equal(tables.resource_of[i], resource);
        }
        for (uint32_t i = 0; i < block.resource_count; i++) {
            ut_resource wanted;
            ut_resource found;
            ut_mp_reader reader = ut_mp_reader_of(tables.resources[i]);
            assert_int_equal(ut_block_resource(&block, i, &wanted), UT_OK);
            assert_int_equal(ut_resource_read(&reader, &found), UT_OK);
            assert_null(ut_resource_difference(&found, &wanted));
        }
        ut_buf_free(&payload);
        ut_batch_free(&batch);
    }
}

// Tables made by hand: a resource is any value to them, a scope is [resource, any value].
static ut_err read_made(const char *resources, size_t resources_len, uint32_t resource_count,
                        const char *scopes, size_t scopes_len, uint32_t scope_count)
{
    const ut_block block = {.resources = ut_bytes_of(resources, resources_len),
                            .resource_count = resource_count,
                            .scopes = ut_bytes_of(scopes, scopes_len),
                            .scope_count = scope_count};
    return ut_block_tables_read(&block, &tables);
}

#define READ(resources, resource_count, scopes, scope_count)                                \
    read_made(resources, sizeof(resources) - 1, resource_count, scopes, sizeof(scopes) - 1, \
              scope_count)

static void damaged_tables_are_told(void **state)
{
    (void)state;
    assert_int_equal(READ("\x01\x02", 2, "\x92\x01\x05\x92\x00\x06", 2), UT_OK);
    assert_int_equal(tables.resource_of[0], 1);
    assert_int_equal(tables.resource_of[1], 0);
    assert_int_equal(tables.scopes[1].data[0], 6);
    // Fewer resources, or scopes, than there should be.
    assert_int_equal(READ("\x01", 2, "\x92\x01\x05", 1), UT_ECORRUPT);
    assert_int_equal(READ("\x01\x02", 2, "\x92\x01\x05", 2), UT_ECORRUPT);
    assert_int_equal(READ("\x01\x02", 2, "\x92\x01", 1), UT_ECORRUPT);
    // A resource that is not there, and one that is no number.
    assert_int_equal(READ("\x01\x02", 2, "\x92\x02\x05", 1), UT_ECORRUPT);
    assert_int_equal(READ("\x01\x02", 2, "\x92\xa1x\x05", 1), UT_ECORRUPT);
    // A scope of one field, of three, and none at all.
    assert_int_equal(READ("\x01\x02", 2, "\x91\x01", 1), UT_ECORRUPT);
    assert_int_equal(READ("\x01\x02", 2, "\x93\x01\x05\x05", 1), UT_ECORRUPT);
    assert_int_equal(READ("\x01\x02", 2, "\x05\x01\x05", 1), UT_ECORRUPT);
}

static void more_records_than_a_block_has_spans_are_damage(void **state)
{
    (void)state;
    static char ones[UT_BLOCK_SPANS_MAX + 1];
    static char scopes[3 * (UT_BLOCK_SPANS_MAX + 1)];
    memset(ones, 1, sizeof ones);
    for (size_t i = 0; i < sizeof scopes; i += 3)
        memcpy(scopes + i, "\x92\x00\x05", 3);
    const uint32_t most = UT_BLOCK_SPANS_MAX;
    assert_int_equal(read_made(ones, sizeof ones, most, scopes, sizeof scopes, most), UT_OK);
    assert_int_equal(read_made(ones, sizeof ones, most + 1, scopes, sizeof scopes, most),
                     UT_ECORRUPT);
    assert_int_equal(read_made(ones, sizeof ones, most, scopes, sizeof scopes, most + 1),
                     UT_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_hold_what_a_look_up_finds),
        cmocka_unit_test(damaged_tables_are_told),
        cmocka_unit_test(more_records_than_a_block_has_spans_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
