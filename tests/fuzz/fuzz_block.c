// Fuzzes the block reader with what may stand on a damaged disk. The checksum is made right first,
// so that the input gets past it and reaches LZ4, the arrays and the records. A block that says it
// is encrypted is taken for its plain text and encrypted here, so that what is behind the tag is
// reached too. Not for the store's other values.
#include "storage/span/block.h"

#include <stdlib.h>

#include <xxhash.h>

// A fuzzer that may ask for 80 MiB each time learns little more than with this.
enum {
    PAYLOAD_MAX = 1 << 20,
    CHECKSUM_AT = 28,
    BOUND_HEADER_LEN = 24,
    NONCE_AT = UT_BLOCK_HEADER_LEN + 4
};

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

// Walks all; passes instead of reads where skip says so. Returns the spans seen, UINT32_MAX after
// an error.
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

static void fix_checksum(uint8_t *sealed, size_t size)
{
    if (size >= UT_BLOCK_HEADER_LEN)
        ut_put_le32(sealed + CHECKSUM_AT,
                    XXH32(sealed + UT_BLOCK_HEADER_LEN, size - UT_BLOCK_HEADER_LEN,
                          XXH32(sealed, CHECKSUM_AT, 0)));
}

static void read_both_ways(const ut_block *block)
{
    uint32_t read = walk(block, false);
    uint32_t skipped = walk(block, true);
    // What can be read can be passed.
    UT_ASSERT(read == UINT32_MAX || read == skipped);
}

static void open_encrypted(ut_buf *sealed, uint32_t key_id, ut_buf *payload)
{
    static const uint8_t key[UT_CIPHER_KEY_LEN] = {1};
    ut_cipher *cipher;
    ut_block block;
    if (ut_cipher_new(key, &cipher) != UT_OK)
        return;
    ut_block_lock lock = {.cipher = cipher, .key_id = key_id, .org = 1, .seq = 2};
    // First as it is: with a wrong tag.
    uint8_t *copy = malloc(sealed->len);
    if (copy != NULL) {
        memcpy(copy, sealed->data, sealed->len);
        (void)ut_block_open_encrypted(sealed, &lock, payload, &block);
        memcpy(sealed->data, copy, sealed->len);
        free(copy);
    }
    if (sealed->len >= UT_BLOCK_HEADER_LEN + UT_BLOCK_ENCRYPTION_LEN) {
        uint8_t bound[BOUND_HEADER_LEN + 12];
        uint8_t *text = sealed->data + NONCE_AT + UT_CIPHER_NONCE_LEN;
        size_t len = sealed->len - UT_BLOCK_HEADER_LEN - UT_BLOCK_ENCRYPTION_LEN;
        memcpy(bound, sealed->data, BOUND_HEADER_LEN);
        ut_put_be32(bound + BOUND_HEADER_LEN, lock.org);
        ut_put_be64(bound + BOUND_HEADER_LEN + 4, lock.seq);
        if (ut_cipher_seal(cipher, sealed->data + NONCE_AT, ut_bytes_of(bound, sizeof bound), text,
                           len, text + len) == UT_OK) {
            fix_checksum(sealed->data, sealed->len);
            if (ut_block_open_encrypted(sealed, &lock, payload, &block) == UT_OK)
                read_both_ways(&block);
        }
    }
    ut_cipher_free(cipher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // A buffer of its own size, so that the sanitizer sees a read behind it.
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL)
        return 0;
    if (size > 0)
        memcpy(bytes, data, size);
    fix_checksum(bytes, size);
    ut_buf payload;
    ut_buf_init(&payload, PAYLOAD_MAX);
    ut_block block;
    ut_block_info info;
    if (ut_block_open(ut_bytes_of(bytes, size), &payload, &block) == UT_OK)
        read_both_ways(&block);
    if (ut_block_peek(ut_bytes_of(bytes, size), &info) == UT_OK && info.key_id != 0) {
        ut_buf sealed;
        ut_buf_init(&sealed, size);
        ut_buf_add(&sealed, bytes, size);
        if (sealed.err == UT_OK)
            open_encrypted(&sealed, info.key_id, &payload);
        ut_buf_free(&sealed);
    }
    ut_buf_free(&payload);
    free(bytes);
    return 0;
}
