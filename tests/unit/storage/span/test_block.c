// Tests of storage/span/block.
#include "storage/span/block.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <xxhash.h>

enum { BYTES_MAX = 1 << 28, HOUR = 490000 };

static const uint64_t received_ns = UINT64_C(1760000000000000000);

static void check(ut_err err)
{
    if (err != UT_OK)
        fail_msg("unexpected %s", ut_err_name(err));
}

// Moves bytes into memory that ends exactly where they do, so that the address sanitizer sees a
// read behind it. Returns that memory, to be freed.
static uint8_t *move_to_exact(ut_bytes *bytes)
{
    uint8_t *copy = malloc(bytes->len == 0 ? 1 : bytes->len);
    assert_non_null(copy);
    if (bytes->len > 0)
        memcpy(copy, bytes->data, bytes->len);
    bytes->data = copy;
    return copy;
}

// Makes the checksum of a changed block right again.
static void fix_checksum(uint8_t *sealed, size_t len)
{
    ut_put_le32(sealed + 28, XXH32(sealed + UT_BLOCK_HEADER_LEN, len - UT_BLOCK_HEADER_LEN,
                                   XXH32(sealed, 28, 0)));
}

static void add_all(ut_block_builder *builder, const ut_batch *batch)
{
    for (uint32_t i = 0; i < batch->span_count; i++)
        check(ut_block_builder_add(builder, batch, &ut_batch_spans(batch)[i]));
}

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
    check(ut_block_scope(block, cursor->scope_index, &scope, &resource_index));
    check(ut_block_resource(block, resource_index, &resource));
    const char *field = ut_span_difference(span, &wanted);
    if (field == NULL)
        field = ut_scope_difference(&scope, &wanted_scope);
    if (field == NULL)
        field = ut_resource_difference(&resource, &wanted_resource);
    if (field != NULL)
        fail_msg("seed %llu, span %u: %s differs", (unsigned long long)seed, (unsigned)index,
                 field);
}

// Reads every byte, so that the sanitizer sees a run that is not inside the payload.
static void touch(ut_bytes bytes)
{
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sink = (uint8_t)(sink ^ bytes.data[i]);
}

// Walks all of a block as a reader would. Returns the first error; every byte that it gives is
// touched.
static ut_err walk(const ut_block *block, uint32_t *spans)
{
    ut_block_cursor cursor;
    ut_block_walk(block, &cursor);
    *spans = 0;
    for (;;) {
        bool more;
        ut_err err = ut_block_next_group(&cursor, &more);
        if (err != UT_OK || !more)
            return err;
        ut_scope scope;
        ut_resource resource;
        uint32_t resource_index;
        err = ut_block_scope(block, cursor.scope_index, &scope, &resource_index);
        if (err == UT_OK)
            err = ut_block_resource(block, resource_index, &resource);
        if (err != UT_OK)
            return err;
        for (;;) {
            ut_span span;
            assert_in_range(cursor.ordinal, 0, block->info.span_count);
            err = ut_block_next_span(&cursor, &span, &more);
            if (err != UT_OK)
                return err;
            if (!more)
                break;
            *spans += 1;
            touch(span.name);
            touch(span.attributes);
            touch(span.events);
            touch(span.links);
            touch(span.unknown);
        }
    }
}

static void random_spans_come_back_equal(void **state)
{
    (void)state;
    ut_block_builder *builder = ut_block_builder_new(UT_BLOCK_SPANS_MAX, UT_BLOCK_PAYLOAD_TARGET);
    assert_non_null(builder);
    ut_buf sealed, payload;
    ut_buf_init(&sealed, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        // Several batches in one block, and a batch in several blocks.
        ut_batch batches[3];
        uint32_t sizes[3] = {1 + (uint32_t)(seed % 7), 1 + (uint32_t)(seed * 37 % 400), 2};
        for (int b = 0; b < 3; b++) {
            ut_batch_init(&batches[b], BYTES_MAX);
            ut_random_batch(seed * 10 + (uint64_t)b, sizes[b],
                            b == 0 ? UT_RANDOM_WIRE : UT_RANDOM_ALL, &batches[b]);
            check(ut_batch_error(&batches[b]));
        }
        uint32_t b = 0, i = 0;
        while (b < 3) {
            ut_block_builder_reset(builder);
            uint32_t first_b = b, first_i = i;
            while (b < 3 &&
                   ut_block_builder_fits(builder, &batches[b], &ut_batch_spans(&batches[b])[i])) {
                check(ut_block_builder_add(builder, &batches[b], &ut_batch_spans(&batches[b])[i]));
                if (++i == batches[b].span_count) {
                    b++;
                    i = 0;
                }
            }
            uint32_t count = ut_block_builder_count(builder);
            check(ut_block_seal(builder, received_ns + seed, HOUR, &sealed));
            ut_bytes copy = ut_buf_bytes(&sealed);
            uint8_t *bytes = move_to_exact(&copy);
            ut_block block;
            ut_block_info peeked;
            check(ut_block_peek(copy, &peeked));
            check(ut_block_open(copy, &payload, &block));
            free(bytes); // an open block borrows nothing of it
            assert_true(block.info.received_ns == received_ns + seed &&
                        peeked.received_ns == block.info.received_ns);
            assert_int_equal(block.info.expiry_hour, HOUR);
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
                check(ut_block_next_group(&cursor, &more));
                if (!more)
                    break;
                for (;;) {
                    ut_span span;
                    assert_int_equal(cursor.ordinal, ordinal);
                    check(ut_block_next_span(&cursor, &span, &more));
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
        ut_batch_init(&batches[b], BYTES_MAX);
        ut_realistic_batch((uint64_t)b, 20, 1000, &batches[b]);
        add_all(builder, &batches[b]);
    }
    // Back to a batch that the builder had already left.
    check(ut_block_builder_add(builder, &batches[0], &ut_batch_spans(&batches[0])[3]));
    ut_buf sealed, payload;
    ut_buf_init(&sealed, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    check(ut_block_seal(builder, received_ns, HOUR, &sealed));
    ut_block block;
    check(ut_block_open(ut_buf_bytes(&sealed), &payload, &block));
    assert_int_equal(block.resource_count, 1);
    assert_int_equal(block.scope_count, 2);
    assert_int_equal(block.info.span_count, 81);
    uint32_t spans;
    check(walk(&block, &spans));
    assert_int_equal(spans, 81);
    for (int b = 0; b < 4; b++)
        ut_batch_free(&batches[b]);
    ut_buf_free(&sealed);
    ut_buf_free(&payload);
    ut_block_builder_free(builder);
}

// ---- hand-made batches ----

static uint32_t add_resource(ut_batch *batch, const char *service_z)
{
    size_t begin = batch->resource_bytes.len;
    ut_resource resource = {0};
    ut_resource_write_head(&batch->resource_bytes);
    if (service_z == NULL) {
        ut_mp_put_map(&batch->resource_bytes, 0);
    } else {
        ut_mp_put_map(&batch->resource_bytes, 1);
        ut_mp_put_str(&batch->resource_bytes, UT_BYTES_LIT("service.name"));
        ut_mp_put_str(&batch->resource_bytes, ut_bytes_of_z(service_z));
    }
    ut_resource_write_tail(&batch->resource_bytes, &resource);
    return ut_batch_end_resource(batch, begin);
}

static uint32_t add_scope(ut_batch *batch, uint32_t resource, const char *name_z)
{
    size_t begin = batch->scope_bytes.len;
    ut_scope scope = {.name = ut_bytes_of_z(name_z)};
    ut_scope_write_head(&batch->scope_bytes, &scope);
    ut_mp_put_map(&batch->scope_bytes, 0);
    ut_scope_write_tail(&batch->scope_bytes, &scope);
    return ut_batch_end_scope(batch, begin, resource);
}

static void add_span(ut_batch *batch, uint32_t scope, ut_bytes name)
{
    static const uint8_t ids[UT_TRACE_ID_LEN] = {1, 2, 3};
    size_t begin = batch->span_bytes.len;
    ut_span span = {
        .trace_id = {ids, UT_TRACE_ID_LEN}, .span_id = {ids, UT_SPAN_ID_LEN}, .name = name};
    ut_span_write_head(&batch->span_bytes, &span);
    ut_mp_put_map(&batch->span_bytes, 0);
    ut_mp_put_array(&batch->span_bytes, 0);
    ut_mp_put_array(&batch->span_bytes, 0);
    ut_span_write_rare(&batch->span_bytes, &span);
    ut_batch_end_span(batch, begin, scope, &span);
    check(ut_batch_error(batch));
}

// One batch, a builder and two buffers, made for a test.
typedef struct {
    ut_batch batch;
    ut_block_builder *builder;
    ut_buf sealed;
    ut_buf payload;
    ut_block block;
} fixture;

static void fixture_init(fixture *f, uint32_t spans_max)
{
    ut_batch_init(&f->batch, BYTES_MAX);
    f->builder = ut_block_builder_new(spans_max, UT_BLOCK_PAYLOAD_TARGET);
    assert_non_null(f->builder);
    ut_buf_init(&f->sealed, BYTES_MAX);
    ut_buf_init(&f->payload, BYTES_MAX);
}

static void fixture_free(fixture *f)
{
    ut_batch_free(&f->batch);
    ut_block_builder_free(f->builder);
    ut_buf_free(&f->sealed);
    ut_buf_free(&f->payload);
}

static void seal_and_open(fixture *f)
{
    check(ut_block_seal(f->builder, received_ns, HOUR, &f->sealed));
    check(ut_block_open(ut_buf_bytes(&f->sealed), &f->payload, &f->block));
}

static void equal_scopes_of_unlike_resources_stay_apart(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t one = add_resource(&f.batch, "one");
    uint32_t two = add_resource(&f.batch, "two");
    uint32_t scope_one = add_scope(&f.batch, one, "same");
    uint32_t scope_two = add_scope(&f.batch, two, "same");
    add_span(&f.batch, scope_one, UT_BYTES_LIT("a"));
    add_span(&f.batch, scope_two, UT_BYTES_LIT("b"));
    add_all(f.builder, &f.batch);
    seal_and_open(&f);
    assert_int_equal(f.block.resource_count, 2);
    assert_int_equal(f.block.scope_count, 2);
    ut_scope scope;
    uint32_t resource_index;
    check(ut_block_scope(&f.block, 1, &scope, &resource_index));
    assert_int_equal(resource_index, 1);
    fixture_free(&f);
}

static void spans_of_one_scope_in_a_row_form_one_group(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t resource = add_resource(&f.batch, "shop");
    uint32_t scopes[2] = {add_scope(&f.batch, resource, "a"), add_scope(&f.batch, resource, "b")};
    static const uint8_t order[] = {1, 1, 1, 0, 0, 1, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof order; i++)
        add_span(&f.batch, scopes[order[i]], UT_BYTES_LIT("s"));
    add_all(f.builder, &f.batch);
    seal_and_open(&f);
    static const uint32_t lengths[] = {3, 2, 1, 4};
    static const char names[] = "baba";
    assert_int_equal(f.block.group_count, 4);
    ut_block_cursor cursor;
    ut_block_walk(&f.block, &cursor);
    bool more;
    uint32_t ordinal = 0;
    for (size_t g = 0; g < 4; g++) {
        check(ut_block_next_group(&cursor, &more));
        assert_true(more);
        assert_int_equal(cursor.spans_left, lengths[g]);
        assert_int_equal(cursor.ordinal, ordinal);
        ordinal += lengths[g];
        ut_scope scope;
        uint32_t resource_index;
        check(ut_block_scope(&f.block, cursor.scope_index, &scope, &resource_index));
        assert_int_equal(scope.name.len, 1);
        assert_int_equal(scope.name.data[0], names[g]);
    }
    check(ut_block_next_group(&cursor, &more)); // the spans of the last group are passed
    assert_false(more);
    assert_int_equal(cursor.ordinal, sizeof order);
    check(ut_block_next_group(&cursor, &more));
    assert_false(more);
    fixture_free(&f);
}

static void reading_and_passing_spans_may_be_mixed(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    ut_random_batch(11, 200, UT_RANDOM_ALL, &f.batch);
    uint32_t count = 0;
    while (count < f.batch.span_count &&
           ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count])) {
        check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count]));
        count++;
    }
    seal_and_open(&f);
    ut_random random = {4};
    for (int round = 0; round < 20; round++) {
        ut_block_cursor cursor;
        ut_block_walk(&f.block, &cursor);
        bool more;
        for (;;) {
            check(ut_block_next_group(&cursor, &more));
            if (!more)
                break;
            while (ut_random_below(&random, 8) != 0) {
                uint32_t ordinal = cursor.ordinal;
                if (ut_random_below(&random, 2) == 0) {
                    ut_span span;
                    check(ut_block_next_span(&cursor, &span, &more));
                    if (more)
                        assert_same_span(&f.block, &cursor, &span, &f.batch, ordinal, 11);
                } else {
                    ut_bytes raw;
                    check(ut_block_skip_span(&cursor, &raw, &more));
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
    fixture_free(&f);
}

static void spans_may_be_left_out_of_a_batch(void **state)
{
    (void)state;
    // As the store leaves out what it has already: the records no longer stand one after the other.
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    ut_realistic_batch(5, 300, 1000, &f.batch);
    ut_random random = {6};
    uint32_t chosen[300], count = 0;
    for (uint32_t i = 0; i < f.batch.span_count; i++) {
        if (ut_random_below(&random, 3) == 0)
            continue;
        check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[i]));
        chosen[count++] = i;
    }
    seal_and_open(&f);
    ut_block_cursor cursor;
    ut_block_walk(&f.block, &cursor);
    bool more;
    for (;;) {
        check(ut_block_next_group(&cursor, &more));
        if (!more)
            break;
        for (;;) {
            ut_span span;
            uint32_t ordinal = cursor.ordinal;
            check(ut_block_next_span(&cursor, &span, &more));
            if (!more)
                break;
            assert_same_span(&f.block, &cursor, &span, &f.batch, chosen[ordinal], 5);
        }
    }
    assert_int_equal(cursor.ordinal, count);
    fixture_free(&f);
}

static void names_are_those_of_span_and_service(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t shop = add_scope(&f.batch, add_resource(&f.batch, "shop"), "s");
    uint32_t none = add_scope(&f.batch, add_resource(&f.batch, NULL), "s");
    add_span(&f.batch, none, UT_BYTES_LIT("first"));
    add_span(&f.batch, shop, UT_BYTES_LIT("second"));
    add_all(f.builder, &f.batch);
    ut_bytes name, service;
    check(ut_block_builder_names(f.builder, 0, &name, &service));
    assert_true(ut_bytes_equal(name, UT_BYTES_LIT("first")));
    assert_int_equal(service.len, 0);
    check(ut_block_builder_names(f.builder, 1, &name, &service));
    assert_true(ut_bytes_equal(name, UT_BYTES_LIT("second")));
    assert_true(ut_bytes_equal(service, UT_BYTES_LIT("shop")));
    assert_int_equal(ut_block_builder_span(f.builder, 1)->offset,
                     ut_batch_spans(&f.batch)[1].offset);
    fixture_free(&f);
}

static void a_builder_takes_no_more_spans_than_its_limit(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 2, 3, 100, UT_BLOCK_SPANS_MAX};
    for (size_t n = 0; n < sizeof limits / sizeof *limits; n++) {
        fixture f;
        fixture_init(&f, limits[n]);
        // Every span with a scope and a resource of its own fills the tables of the builder too.
        for (uint32_t i = 0; i <= limits[n]; i++) {
            char name_z[16] = {(char)('a' + i % 26), (char)('a' + i / 26), 0};
            add_span(&f.batch, add_scope(&f.batch, add_resource(&f.batch, name_z), "s"),
                     UT_BYTES_LIT("x"));
        }
        const ut_batch_span *spans = ut_batch_spans(&f.batch);
        for (uint32_t i = 0; i < limits[n]; i++) {
            assert_true(ut_block_builder_fits(f.builder, &f.batch, &spans[i]));
            check(ut_block_builder_add(f.builder, &f.batch, &spans[i]));
        }
        assert_false(ut_block_builder_fits(f.builder, &f.batch, &spans[limits[n]]));
        assert_int_equal(ut_block_builder_add(f.builder, &f.batch, &spans[limits[n]]), UT_ELIMIT);
        assert_int_equal(ut_block_builder_count(f.builder), limits[n]);
        seal_and_open(&f);
        assert_int_equal(f.block.resource_count, limits[n]);
        assert_int_equal(f.block.scope_count, limits[n]);
        assert_int_equal(f.block.group_count, limits[n]);
        uint32_t walked;
        check(walk(&f.block, &walked));
        assert_int_equal(walked, limits[n]);
        ut_block_builder_reset(f.builder);
        assert_int_equal(ut_block_builder_count(f.builder), 0);
        assert_true(ut_block_builder_fits(f.builder, &f.batch, &spans[limits[n]]));
        fixture_free(&f);
    }
}

static void a_payload_never_passes_the_target_unless_one_span_does(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    ut_random random = {3};
    static uint8_t text[400000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)('a' + ut_random_below(&random, 26));
    uint32_t resource = add_resource(&f.batch, "shop");
    uint32_t scope = add_scope(&f.batch, resource, "s");
    for (int i = 0; i < 200; i++) {
        size_t len = ut_random_below(&random, 10) == 0 ? ut_random_below(&random, sizeof text)
                                                       : ut_random_below(&random, 3000);
        add_span(&f.batch, scope, (ut_bytes){text, len});
    }
    uint32_t blocks = 0, at = 0, alone = 0;
    while (at < f.batch.span_count) {
        ut_block_builder_reset(f.builder);
        uint32_t begin = at;
        while (at < f.batch.span_count &&
               ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at]))
            check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at++]));
        seal_and_open(&f);
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
    fixture_free(&f);
}

static void a_span_of_many_megabytes_stands_alone_in_its_block(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t scope = add_scope(&f.batch, add_resource(&f.batch, "shop"), "s");
    size_t len = 60u * 1024 * 1024;
    uint8_t *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    add_span(&f.batch, scope, (ut_bytes){text, len});
    add_span(&f.batch, scope, UT_BYTES_LIT("small"));
    free(text);
    check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[0]));
    assert_false(ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[1]));
    seal_and_open(&f);
    assert_true(f.payload.len > len);
    assert_true(f.sealed.len <
                len / 200); // LZ4's best ratio is 255: the check of it must let this pass
    fixture_free(&f);
}

static void a_payload_over_the_maximum_is_refused(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t scope = add_scope(&f.batch, add_resource(&f.batch, "shop"), "s");
    size_t len = 50u * 1024 * 1024;
    uint8_t *text = calloc(1, len);
    assert_non_null(text);
    add_span(&f.batch, scope, (ut_bytes){text, len});
    add_span(&f.batch, scope, (ut_bytes){text, len});
    free(text);
    check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[0]));
    assert_int_equal(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[1]),
                     UT_ELIMIT);
    assert_int_equal(ut_block_seal(f.builder, received_ns, HOUR, &f.sealed), UT_ELIMIT);
    ut_block_builder_reset(f.builder);
    check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[1]));
    fixture_free(&f);
}

static void a_payload_that_does_not_shrink_is_stored_as_it_is(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    uint32_t scope = add_scope(&f.batch, add_resource(&f.batch, NULL), "s");
    // Long enough for what LZ4 adds to it to outweigh what it saves on the rest.
    static uint8_t noise[30000];
    ut_random random = {8};
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)ut_random_next(&random);
    add_span(&f.batch, scope, (ut_bytes){noise, sizeof noise});
    add_all(f.builder, &f.batch);
    seal_and_open(&f);
    assert_int_equal(f.sealed.data[5], 0);
    assert_int_equal(f.sealed.len, UT_BLOCK_HEADER_LEN + f.payload.len);
    uint32_t spans;
    check(walk(&f.block, &spans));
    assert_int_equal(spans, 1);
    fixture_free(&f);
}

static void buffers_that_are_too_small_are_an_error(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    ut_realistic_batch(1, 50, 1000, &f.batch);
    add_all(f.builder, &f.batch);
    ut_buf small;
    ut_buf_init(&small, 100);
    assert_int_equal(ut_block_seal(f.builder, received_ns, HOUR, &small), UT_ELIMIT);
    seal_and_open(&f); // the builder is as it was
    assert_int_equal(ut_block_open(ut_buf_bytes(&f.sealed), &small, &f.block), UT_ELIMIT);
    ut_buf_free(&small);
    fixture_free(&f);
}

// Seals raw bytes as a stored payload.
static void seal_raw(ut_buf *sealed, ut_bytes payload, uint16_t span_count)
{
    uint8_t header[UT_BLOCK_HEADER_LEN] = {
        'U', 'T', 'B', 'K', UT_BLOCK_VERSION, 0, (uint8_t)span_count, (uint8_t)(span_count >> 8)};
    ut_put_le32(header + 8, (uint32_t)payload.len);
    ut_put_le32(header + 12, (uint32_t)payload.len);
    ut_buf_reset(sealed, BYTES_MAX);
    ut_buf_add(sealed, header, sizeof header);
    ut_buf_add_bytes(sealed, payload);
    check(sealed->err);
    fix_checksum(sealed->data, sealed->len);
}

#define RESOURCE "\x95\x80\x00\xa0\xc4\x00\xc4\x00"
#define SCOPE    "\x92\x00\x97\xa1s\xa0\x80\x00\xa0\xc4\x00\xc4\x00"
#define SPAN                   \
    "\x9c\xc4\x10"             \
    "0123456789abcdef\xc4\x08" \
    "01234567\xc4\x00\xa1n\x01\x02\x03\x00\x80\x90\x90\x80"

// A small block of each codec, for tests that damage it.
static void small_block(fixture *f, bool compressed)
{
    fixture_init(f, UT_BLOCK_SPANS_MAX);
    if (compressed) {
        ut_realistic_batch(2, 12, 1000, &f->batch);
        add_all(f->builder, &f->batch);
        seal_and_open(f);
    } else {
        seal_raw(&f->sealed, UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x91" SPAN),
                 1);
        check(ut_block_open(ut_buf_bytes(&f->sealed), &f->payload, &f->block));
    }
    assert_int_equal(f->sealed.data[5], compressed ? 1 : 0);
}

static void any_flipped_byte_is_noticed(void **state)
{
    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        fixture f;
        small_block(&f, compressed != 0);
        ut_bytes copy = ut_buf_bytes(&f.sealed);
        uint8_t *bytes = move_to_exact(&copy);
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
        check(ut_block_open(copy, &f.payload, &f.block));
        free(bytes);
        fixture_free(&f);
    }
}

static void a_block_cut_at_any_length_is_noticed(void **state)
{
    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        fixture f;
        small_block(&f, compressed != 0);
        for (size_t len = 0; len < f.sealed.len; len++) {
            ut_bytes copy = {f.sealed.data, len};
            uint8_t *bytes = move_to_exact(&copy);
            ut_block_info info;
            assert_int_equal(ut_block_open(copy, &f.payload, &f.block), UT_ECORRUPT);
            assert_int_equal(ut_block_peek(copy, &info),
                             len < UT_BLOCK_HEADER_LEN ? UT_ECORRUPT : UT_OK);
            free(bytes);
        }
        ut_buf_add_byte(&f.sealed, 0);
        assert_int_equal(ut_block_open(ut_buf_bytes(&f.sealed), &f.payload, &f.block), UT_ECORRUPT);
        fixture_free(&f);
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
    fixture f;
    small_block(&f, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ut_bytes copy = ut_buf_bytes(&f.sealed);
        uint8_t *bytes = move_to_exact(&copy);
        for (size_t n = 0; n < rows[i].width; n++)
            bytes[rows[i].at + n] = (uint8_t)(rows[i].value >> (8 * n));
        fix_checksum(bytes, copy.len);
        ut_buf fresh;
        ut_buf_init(&fresh, BYTES_MAX);
        if (ut_block_open(copy, &fresh, &f.block) != rows[i].err)
            fail_msg("row %u", (unsigned)i);
        assert_int_equal(fresh.cap, 0); // refused before any memory was asked for
        ut_buf_free(&fresh);
        free(bytes);
    }
    fixture_free(&f);
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
    ut_buf_init(&sealed, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        seal_raw(&sealed, rows[i].payload, rows[i].span_count);
        ut_block block;
        ut_err err = ut_block_open(ut_buf_bytes(&sealed), &payload, &block);
        if (err != rows[i].open)
            fail_msg("row %u: open gives %s", (unsigned)i, ut_err_name(err));
        if (err != UT_OK)
            continue;
        uint32_t spans;
        err = walk(&block, &spans);
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
    ut_buf_init(&sealed, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    seal_raw(&sealed,
             UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x93" SPAN "\xc0" SPAN), 3);
    ut_block block;
    check(ut_block_open(ut_buf_bytes(&sealed), &payload, &block));
    ut_block_cursor cursor;
    ut_block_walk(&block, &cursor);
    bool more;
    check(ut_block_next_group(&cursor, &more));
    ut_span span;
    ut_bytes raw;
    check(ut_block_next_span(&cursor, &span, &more));
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
    ut_buf_init(&sealed, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    uint32_t refused = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        fixture f;
        fixture_init(&f, UT_BLOCK_SPANS_MAX);
        ut_random_batch(seed, 6, UT_RANDOM_ALL, &f.batch);
        uint32_t count = 0;
        while (count < 6 &&
               ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count]))
            check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[count++]));
        seal_and_open(&f);
        for (int round = 0; round < 2000; round++) {
            ut_bytes copy = ut_buf_bytes(&f.payload);
            uint8_t *bytes = move_to_exact(&copy);
            for (unsigned n = 1 + ut_random_below(&random, 3); n > 0; n--)
                bytes[ut_random_below(&random, (uint32_t)copy.len)] =
                    (uint8_t)ut_random_next(&random);
            seal_raw(&sealed, copy, (uint16_t)count);
            ut_block block;
            uint32_t spans;
            ut_err err = ut_block_open(ut_buf_bytes(&sealed), &payload, &block);
            if (err == UT_OK)
                err = walk(&block, &spans);
            assert_true(err == UT_OK || err == UT_ECORRUPT);
            refused += err != UT_OK;
            free(bytes);

            // The same to the compressed body.
            copy = ut_buf_bytes(&f.sealed);
            bytes = move_to_exact(&copy);
            for (unsigned n = 1 + ut_random_below(&random, 3); n > 0; n--)
                bytes[UT_BLOCK_HEADER_LEN +
                      ut_random_below(&random, (uint32_t)(copy.len - UT_BLOCK_HEADER_LEN))] =
                    (uint8_t)ut_random_next(&random);
            fix_checksum(bytes, copy.len);
            err = ut_block_open(copy, &payload, &block);
            if (err == UT_OK)
                err = walk(&block, &spans);
            assert_true(err == UT_OK || err == UT_ECORRUPT);
            free(bytes);
        }
        fixture_free(&f);
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
    fix_checksum(sealed, UT_BLOCK_HEADER_LEN + body_len);
    ut_buf payload;
    ut_buf_init(&payload, BYTES_MAX);
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
    fixture f;
    small_block(&f, true);
    ut_put_le32(f.sealed.data + 8, f.block.info.payload_len + 1);
    fix_checksum(f.sealed.data, f.sealed.len);
    assert_int_equal(ut_block_open(ut_buf_bytes(&f.sealed), &f.payload, &f.block), UT_ECORRUPT);
    fixture_free(&f);
}

static void an_index_beyond_its_table_is_refused_where_it_stands(void **state)
{
    (void)state;
    ut_buf sealed, payload;
    ut_buf_init(&sealed, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    // Group 0 names scope 1 of 1; scope 0 names resource 0 of 0.
    seal_raw(&sealed, UT_BYTES_LIT("\x93\x90\x91" SCOPE "\x91\x92\x01\x91" SPAN), 1);
    ut_block block;
    check(ut_block_open(ut_buf_bytes(&sealed), &payload, &block));
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
    fixture f;
    small_block(&f, true);
    ut_scope scope;
    ut_resource resource;
    uint32_t resource_index;
    assert_int_equal(ut_block_scope(&f.block, f.block.scope_count, &scope, &resource_index),
                     UT_ECORRUPT);
    assert_int_equal(ut_block_scope(&f.block, UINT32_MAX, &scope, &resource_index), UT_ECORRUPT);
    assert_int_equal(ut_block_resource(&f.block, f.block.resource_count, &resource), UT_ECORRUPT);
    fixture_free(&f);
}

static void a_builder_is_used_again_after_a_batch_was_refilled(void **state)
{
    (void)state;
    // The same batch in memory, with other content: nothing of the first use may stay in the
    // builder.
    fixture f;
    fixture_init(&f, UT_BLOCK_SPANS_MAX);
    static const char *const services[] = {"one", "two"};
    for (size_t i = 0; i < 2; i++) {
        ut_block_builder_reset(f.builder);
        ut_batch_reset(&f.batch, BYTES_MAX);
        add_span(&f.batch, add_scope(&f.batch, add_resource(&f.batch, services[i]), services[i]),
                 UT_BYTES_LIT("n"));
        add_all(f.builder, &f.batch);
        seal_and_open(&f);
        ut_scope scope;
        uint32_t resource_index;
        check(ut_block_scope(&f.block, 0, &scope, &resource_index));
        assert_true(ut_bytes_equal(scope.name, ut_bytes_of_z(services[i])));
        ut_bytes name, service;
        check(ut_block_builder_names(f.builder, 0, &name, &service));
        assert_true(ut_bytes_equal(service, ut_bytes_of_z(services[i])));
    }
    fixture_free(&f);
}

static void a_batch_with_many_scopes_goes_through_many_blocks(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, 64);
    uint32_t resource = add_resource(&f.batch, "shop");
    for (uint32_t i = 0; i < 10000; i++) {
        char name_z[8] = {(char)('a' + i % 20), (char)('a' + i / 20 % 20), (char)('a' + i / 400),
                          0};
        (void)add_scope(&f.batch, resource, name_z);
    }
    for (uint32_t i = 0; i < 10000; i++)
        add_span(&f.batch, 9999 - i, UT_BYTES_LIT("n"));
    uint32_t at = 0;
    while (at < f.batch.span_count) {
        ut_block_builder_reset(f.builder);
        uint32_t begin = at;
        while (at < f.batch.span_count &&
               ut_block_builder_fits(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at]))
            check(ut_block_builder_add(f.builder, &f.batch, &ut_batch_spans(&f.batch)[at++]));
        seal_and_open(&f);
        assert_int_equal(f.block.scope_count, at - begin);
        assert_int_equal(f.block.resource_count, 1);
        ut_block_cursor cursor;
        ut_block_walk(&f.block, &cursor);
        bool more;
        check(ut_block_next_group(&cursor, &more));
        ut_span span;
        check(ut_block_next_span(&cursor, &span, &more));
        assert_same_span(&f.block, &cursor, &span, &f.batch, begin, 0);
    }
    fixture_free(&f);
}

// ---- encrypted blocks ----

static const uint8_t some_key[UT_CIPHER_KEY_LEN] = {7, 1, 2};

static ut_block_lock lock_at(ut_cipher *cipher, uint64_t seq)
{
    return (ut_block_lock){
        .cipher = cipher, .key_id = 3, .org = 1, .seq = seq, .nonce = {9, 8, 7, 6}};
}

// Opens a copy, because opening decrypts in place.
static ut_err open_copy(ut_bytes sealed, const ut_block_lock *lock, ut_buf *payload,
                        ut_block *block)
{
    ut_buf copy;
    ut_buf_init(&copy, BYTES_MAX);
    ut_buf_add_bytes(&copy, sealed);
    ut_err err = ut_block_open_encrypted(&copy, lock, payload, block);
    ut_buf_free(&copy);
    return err;
}

static void an_encrypted_block_opens_with_its_key_in_its_place(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        fixture f;
        fixture_init(&f, UT_BLOCK_SPANS_MAX);
        if (stored == 0) {
            ut_realistic_batch(2, 40, 1000, &f.batch);
        } else {
            static uint8_t noise[30000];
            ut_random random = {8};
            for (size_t i = 0; i < sizeof noise; i++)
                noise[i] = (uint8_t)ut_random_next(&random);
            add_span(&f.batch, add_scope(&f.batch, add_resource(&f.batch, NULL), "s"),
                     (ut_bytes){noise, sizeof noise});
        }
        add_all(f.builder, &f.batch);
        seal_and_open(&f);
        ut_buf plain;
        ut_buf_init(&plain, BYTES_MAX);
        ut_buf_add_bytes(&plain, f.block.payload);
        size_t plain_len = f.sealed.len;

        ut_cipher *cipher, *other;
        uint8_t other_key[UT_CIPHER_KEY_LEN] = {7, 1, 3};
        check(ut_cipher_new(some_key, &cipher));
        check(ut_cipher_new(other_key, &other));
        ut_block_lock lock = lock_at(cipher, 5);
        check(ut_block_seal_encrypted(f.builder, received_ns, HOUR, &lock, &f.sealed));
        assert_int_equal(f.sealed.len, plain_len + UT_BLOCK_ENCRYPTION_LEN);
        assert_int_equal(f.sealed.data[5], stored == 1 ? 0 : 1);
        ut_bytes sealed = ut_buf_bytes(&f.sealed);

        ut_block_info info;
        check(ut_block_peek(sealed, &info));
        assert_int_equal(info.key_id, 3);
        assert_int_equal(info.received_ns, received_ns);
        assert_int_equal(ut_block_open(sealed, &f.payload, &f.block), UT_EPERM);
        ut_block_lock elsewhere = lock_at(cipher, 6);
        assert_int_equal(open_copy(sealed, &elsewhere, &f.payload, &f.block), UT_ECORRUPT);
        elsewhere = lock_at(cipher, 5);
        elsewhere.org = 2;
        assert_int_equal(open_copy(sealed, &elsewhere, &f.payload, &f.block), UT_ECORRUPT);
        elsewhere = lock_at(other, 5);
        assert_int_equal(open_copy(sealed, &elsewhere, &f.payload, &f.block), UT_ECORRUPT);

        check(open_copy(sealed, &lock, &f.payload, &f.block));
        assert_true(ut_bytes_equal(f.block.payload, ut_buf_bytes(&plain)));
        ut_cipher_free(cipher);
        ut_cipher_free(other);
        ut_buf_free(&plain);
        fixture_free(&f);
    }
}

static void
any_flipped_byte_of_an_encrypted_block_is_noticed_even_with_a_right_checksum(void **state)
{
    (void)state;
    fixture f;
    small_block(&f, true);
    ut_cipher *cipher;
    check(ut_cipher_new(some_key, &cipher));
    ut_block_lock lock = lock_at(cipher, 5);
    check(ut_block_seal_encrypted(f.builder, received_ns, HOUR, &lock, &f.sealed));
    for (size_t i = 0; i < f.sealed.len; i++) {
        if (i >= 24 && i < 32)
            continue; // the hour of expiry, which the tag does not cover, and the checksum
        for (unsigned bit = 0; bit < 8; bit++) {
            f.sealed.data[i] ^= (uint8_t)(1 << bit);
            fix_checksum(f.sealed.data, f.sealed.len);
            ut_err err = open_copy(ut_buf_bytes(&f.sealed), &lock, &f.payload, &f.block);
            bool key_id = i >= UT_BLOCK_HEADER_LEN && i < UT_BLOCK_HEADER_LEN + 4;
            if (err != UT_ECORRUPT && !(i == 4 && err == UT_EVERSION) &&
                !(key_id && err == UT_EINVAL))
                fail_msg("bit %u of byte %u flipped gives %s", bit, (unsigned)i, ut_err_name(err));
            f.sealed.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    fix_checksum(f.sealed.data, f.sealed.len);
    for (size_t len = 0; len < f.sealed.len; len++) {
        ut_bytes cut = {f.sealed.data, len};
        uint8_t *bytes = move_to_exact(&cut);
        ut_block_info info;
        assert_int_equal(ut_block_open(cut, &f.payload, &f.block), UT_ECORRUPT);
        (void)ut_block_peek(cut, &info);
        free(bytes);
    }
    check(open_copy(ut_buf_bytes(&f.sealed), &lock, &f.payload, &f.block));
    ut_cipher_free(cipher);
    fixture_free(&f);
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
        cmocka_unit_test(names_are_those_of_span_and_service),
        cmocka_unit_test(a_builder_takes_no_more_spans_than_its_limit),
        cmocka_unit_test(a_payload_never_passes_the_target_unless_one_span_does),
        cmocka_unit_test(a_span_of_many_megabytes_stands_alone_in_its_block),
        cmocka_unit_test(a_payload_over_the_maximum_is_refused),
        cmocka_unit_test(a_payload_that_does_not_shrink_is_stored_as_it_is),
        cmocka_unit_test(buffers_that_are_too_small_are_an_error),
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
        cmocka_unit_test(a_builder_is_used_again_after_a_batch_was_refilled),
        cmocka_unit_test(a_batch_with_many_scopes_goes_through_many_blocks),
        cmocka_unit_test(an_encrypted_block_opens_with_its_key_in_its_place),
        cmocka_unit_test(
            any_flipped_byte_of_an_encrypted_block_is_noticed_even_with_a_right_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
