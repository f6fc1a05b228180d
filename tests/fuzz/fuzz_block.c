// Fuzzes the block reader with what may stand on a damaged disk. The checksum is made right first, so that the
// input gets past it and reaches LZ4, the arrays and the records. Not for the store's other values.
#include "storage/block.h"

#include <stdlib.h>

#include <xxhash.h>

// A fuzzer that may ask for 80 MiB each time learns little more than with this.
enum { PAYLOAD_MAX = 1 << 20, CHECKSUM_AT = 28 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Reads every byte, so that the sanitizer sees a run that is not inside the payload.
static void touch(ut_bytes bytes)
{
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sink = (uint8_t)(sink ^ bytes.data[i]);
}

static void read_events(const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->events);
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        ut_event event;
        if (ut_event_read(&reader, span->start_ns, &event) != UT_OK)
            return;
        touch(event.name);
        touch(event.attributes);
        touch(event.unknown);
    }
}

static void read_links(const ut_span *span)
{
    ut_mp_reader reader = ut_mp_reader_of(span->links);
    for (uint32_t left = ut_mp_get_array(&reader); left > 0; left--) {
        ut_link link;
        if (ut_link_read(&reader, &link) != UT_OK)
            return;
        touch(link.trace_id);
        touch(link.span_id);
        touch(link.trace_state);
        touch(link.attributes);
        touch(link.unknown);
    }
}

static void read_span(const ut_span *span)
{
    UT_ASSERT(span->trace_id.len == UT_TRACE_ID_LEN && span->span_id.len == UT_SPAN_ID_LEN);
    touch(span->trace_id);
    touch(span->span_id);
    touch(span->parent_span_id);
    touch(span->name);
    touch(span->status_message);
    touch(span->trace_state);
    touch(span->attributes);
    touch(span->unknown);
    read_events(span);
    read_links(span);
}

static void read_scope(const ut_block *block, uint32_t index)
{
    ut_scope scope;
    ut_resource resource;
    uint32_t resource_index;
    if (ut_block_scope(block, index, &scope, &resource_index) != UT_OK)
        return;
    UT_ASSERT(resource_index < block->resource_count);
    touch(scope.name);
    touch(scope.version);
    touch(scope.attributes);
    touch(scope.schema_url);
    if (ut_block_resource(block, resource_index, &resource) != UT_OK)
        return;
    touch(resource.attributes);
    touch(resource.schema_url);
    ut_bytes service;
    if (ut_attributes_find_str(resource.attributes, UT_BYTES_LIT("service.name"), &service))
        touch(service);
}

// Walks all; passes instead of reads where skip says so. Returns the spans seen, UINT32_MAX after an error.
static uint32_t walk(const ut_block *block, bool skip)
{
    ut_block_cursor cursor;
    ut_block_walk(block, &cursor);
    uint32_t spans = 0;
    bool more;
    while (ut_block_next_group(&cursor, &more) == UT_OK) {
        if (!more) {
            UT_ASSERT(spans == block->info.span_count);
            return spans;
        }
        UT_ASSERT(cursor.scope_index < block->scope_count);
        read_scope(block, cursor.scope_index);
        for (;;) {
            ut_span span;
            ut_bytes raw = UT_BYTES_NONE;
            ut_err err = skip ? ut_block_skip_span(&cursor, &raw, &more)
                              : ut_block_next_span(&cursor, &span, &more);
            if (err != UT_OK)
                return UINT32_MAX;
            if (!more)
                break;
            UT_ASSERT(cursor.ordinal <= block->info.span_count);
            spans++;
            touch(raw);
            if (!skip)
                read_span(&span);
        }
    }
    return UINT32_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *sealed = malloc(size + 1);
    if (sealed == NULL)
        return 0;
    if (size > 0)
        memcpy(sealed, data, size);
    if (size >= UT_BLOCK_HEADER_LEN)
        ut_put_le32(sealed + CHECKSUM_AT,
                    XXH32(sealed + UT_BLOCK_HEADER_LEN, size - UT_BLOCK_HEADER_LEN,
                          XXH32(sealed, CHECKSUM_AT, 0)));
    ut_buf payload;
    ut_buf_init(&payload, PAYLOAD_MAX);
    ut_block block;
    if (ut_block_open(ut_bytes_of(sealed, size), &payload, &block) == UT_OK) {
        uint32_t read = walk(&block, false);
        uint32_t skipped = walk(&block, true);
        // What can be read can be passed.
        UT_ASSERT(read == UINT32_MAX || read == skipped);
    }
    ut_buf_free(&payload);
    free(sealed);
    return 0;
}
