// Helpers of the tests of this folder; see rig.h.
#include "tests/unit/storage/span/block/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <xxhash.h>

void ut_rig_check(ut_err err)
{
    if (err != UT_OK)
        fail_msg("unexpected %s", ut_err_name(err));
}

uint8_t *ut_rig_move_to_exact(ut_bytes *bytes)
{
    uint8_t *copy = malloc(bytes->len == 0 ? 1 : bytes->len);
    assert_non_null(copy);
    if (bytes->len > 0)
        memcpy(copy, bytes->data, bytes->len);
    bytes->data = copy;
    return copy;
}

void ut_rig_fix_checksum(uint8_t *sealed, size_t len)
{
    ut_put_le32(sealed + 28, XXH32(sealed + UT_BLOCK_HEADER_LEN, len - UT_BLOCK_HEADER_LEN,
                                   XXH32(sealed, 28, 0)));
}

void ut_rig_add_all(ut_block_builder *builder, const ut_batch *batch)
{
    for (uint32_t i = 0; i < batch->span_count; i++)
        ut_rig_check(ut_block_builder_add(builder, batch, &ut_batch_spans(batch)[i]));
}

// Reads every byte, so that the sanitizer sees a run that is not inside the payload.
static void ut_rig_touch(ut_bytes bytes)
{
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sink = (uint8_t)(sink ^ bytes.data[i]);
}

ut_err ut_rig_walk(const ut_block *block, uint32_t *spans)
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
            ut_rig_touch(span.name);
            ut_rig_touch(span.attributes);
            ut_rig_touch(span.events);
            ut_rig_touch(span.links);
            ut_rig_touch(span.unknown);
        }
    }
}

uint32_t ut_rig_add_resource(ut_batch *batch, const char *service_z)
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

uint32_t ut_rig_add_scope(ut_batch *batch, uint32_t resource, const char *name_z)
{
    size_t begin = batch->scope_bytes.len;
    ut_scope scope = {.name = ut_bytes_of_z(name_z)};
    ut_scope_write_head(&batch->scope_bytes, &scope);
    ut_mp_put_map(&batch->scope_bytes, 0);
    ut_scope_write_tail(&batch->scope_bytes, &scope);
    return ut_batch_end_scope(batch, begin, resource);
}

void ut_rig_add_span(ut_batch *batch, uint32_t scope, ut_bytes name)
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
    ut_rig_check(ut_batch_error(batch));
}

void ut_rig_init(ut_rig *f, uint32_t spans_max)
{
    ut_batch_init(&f->batch, UT_RIG_BYTES_MAX);
    f->builder = ut_block_builder_new(spans_max, UT_BLOCK_PAYLOAD_TARGET);
    assert_non_null(f->builder);
    ut_buf_init(&f->sealed, UT_RIG_BYTES_MAX);
    ut_buf_init(&f->payload, UT_RIG_BYTES_MAX);
}

void ut_rig_free(ut_rig *f)
{
    ut_batch_free(&f->batch);
    ut_block_builder_free(f->builder);
    ut_buf_free(&f->sealed);
    ut_buf_free(&f->payload);
}

void ut_rig_seal_and_open(ut_rig *f)
{
    ut_rig_check(ut_block_seal(f->builder, received_ns, UT_RIG_HOUR, &f->sealed));
    ut_rig_check(ut_block_open(ut_buf_bytes(&f->sealed), &f->payload, &f->block));
}

void ut_rig_seal_raw(ut_buf *sealed, ut_bytes payload, uint16_t span_count)
{
    uint8_t header[UT_BLOCK_HEADER_LEN] = {
        'U', 'T', 'B', 'K', UT_BLOCK_VERSION, 0, (uint8_t)span_count, (uint8_t)(span_count >> 8)};
    ut_put_le32(header + 8, (uint32_t)payload.len);
    ut_put_le32(header + 12, (uint32_t)payload.len);
    ut_buf_reset(sealed, UT_RIG_BYTES_MAX);
    ut_buf_add(sealed, header, sizeof header);
    ut_buf_add_bytes(sealed, payload);
    ut_rig_check(sealed->err);
    ut_rig_fix_checksum(sealed->data, sealed->len);
}

void ut_rig_small_block(ut_rig *f, bool compressed)
{
    ut_rig_init(f, UT_BLOCK_SPANS_MAX);
    if (compressed) {
        ut_realistic_batch(2, 12, 1000, &f->batch);
        ut_rig_add_all(f->builder, &f->batch);
        ut_rig_seal_and_open(f);
    } else {
        ut_rig_seal_raw(&f->sealed,
                        UT_BYTES_LIT("\x93\x91" RESOURCE "\x91" SCOPE "\x91\x92\x00\x91" SPAN), 1);
        ut_rig_check(ut_block_open(ut_buf_bytes(&f->sealed), &f->payload, &f->block));
    }
    assert_int_equal(f->sealed.data[5], compressed ? 1 : 0);
}
