// The block: the unit of commit, expiry and delivery. Building one from spans of batches, sealing
// it (LZ4, checksum), opening it and walking what is in it. docs/FORMAT.md states the bytes.
//
//   payload := [[resource ...], [[resource_index uint, scope] ...], [group ...]]
//   group   := [scope_index uint, [span ...]]
//
// The ordinal of a span is its place in the payload, counted from 0 over all groups.
#ifndef UT_STORAGE_SPAN_BLOCK_H
#define UT_STORAGE_SPAN_BLOCK_H

#include "storage/span/batch.h"
#include "storage/crypt/cipher.h"

enum {
    UT_BLOCK_VERSION = 1,
    UT_BLOCK_VERSION_ENCRYPTED = 2,
    // Bytes around an encrypted body: number of the key, nonce, tag.
    UT_BLOCK_ENCRYPTION_LEN = 4 + UT_CIPHER_NONCE_LEN + UT_CIPHER_TAG_LEN,
    UT_BLOCK_HEADER_LEN = 32,
    UT_BLOCK_SPANS_MAX = 512,
    // A block is sealed before it would pass this, unless one span alone does.
    UT_BLOCK_PAYLOAD_TARGET = 256 * 1024,
    // A single span may be as large as the largest request; its block holds it alone.
    UT_BLOCK_PAYLOAD_MAX = 80 * 1024 * 1024,
};

// ---- building ----

typedef struct ut_block_builder ut_block_builder;

// spans_max: 1..UT_BLOCK_SPANS_MAX; payload_target in bytes, up to UT_BLOCK_PAYLOAD_TARGET. NULL
// without memory.
ut_block_builder *ut_block_builder_new(uint32_t spans_max, uint32_t payload_target);
void ut_block_builder_free(ut_block_builder *builder);
void ut_block_builder_reset(ut_block_builder *builder);

// True when the span would still go in: fewer than spans_max, payload within the target (an empty
// builder takes any).
bool ut_block_builder_fits(const ut_block_builder *builder, const ut_batch *batch,
                           const ut_batch_span *span);

// Adds one span of batch. batch must stay as it is until the builder is reset. Resources and scopes
// of a batch are written once per block. UT_ENOMEM, UT_ELIMIT: the builder is then to be reset.
ut_err ut_block_builder_add(ut_block_builder *builder, const ut_batch *batch,
                            const ut_batch_span *span);

uint32_t ut_block_builder_count(const ut_block_builder *builder);
// The index entries of the spans added, by ordinal; `offset` and `len` still refer to their batch.
const ut_batch_span *ut_block_builder_span(const ut_block_builder *builder, uint32_t ordinal);
// The records that the block will hold, borrowed from the batches: a span with the index of its
// scope, the scopes with the index of their resource, the resources with their service.name (empty
// when there is none).
ut_bytes ut_block_builder_record(const ut_block_builder *builder, uint32_t ordinal,
                                 uint32_t *scope);
uint32_t ut_block_builder_scopes(const ut_block_builder *builder);
ut_bytes ut_block_builder_scope(const ut_block_builder *builder, uint32_t index,
                                uint32_t *resource);
uint32_t ut_block_builder_resources(const ut_block_builder *builder);
ut_bytes ut_block_builder_resource(const ut_block_builder *builder, uint32_t index,
                                   ut_bytes *service);

// The header of a block, beside sizes and checksum.
typedef struct {
    uint64_t received_ns; // wall clock at commit
    uint32_t expiry_hour; // the TTL bucket: hours since the epoch, rounded up; 0: never
    uint32_t span_count;
    uint32_t payload_len;
    uint32_t key_id; // of the data key that the body is encrypted under; 0: it is not
} ut_block_info;

// Compresses and seals. sealed: replaced by header and body; a payload that does not shrink is
// stored as it is.
ut_err ut_block_seal(ut_block_builder *builder, uint64_t received_ns, uint32_t expiry_hour,
                     ut_buf *sealed);

// The key of a block and its place: a block found in another place does not open.
typedef struct {
    ut_cipher *cipher;
    uint32_t key_id; // not 0
    uint32_t org;
    uint64_t seq;
    uint8_t nonce[UT_CIPHER_NONCE_LEN]; // sealing: never used before with this key. Opening: unused
} ut_block_lock;

// The same, and encrypts the body.
ut_err ut_block_seal_encrypted(ut_block_builder *builder, uint64_t received_ns,
                               uint32_t expiry_hour, const ut_block_lock *lock, ut_buf *sealed);

// ---- reading ----

// Reads and checks only the header, and whose key it needs. UT_ECORRUPT, UT_EVERSION.
ut_err ut_block_peek(ut_bytes sealed, ut_block_info *info);

// A block opened for reading: the payload stands in a buffer of the caller's.
typedef struct {
    ut_block_info info;
    ut_bytes payload;
    uint32_t resource_count;
    uint32_t scope_count;
    uint32_t group_count;
    ut_bytes resources; // raw elements of the three arrays
    ut_bytes scopes;
    ut_bytes groups;
} ut_block;

// Verifies the checksum, decompresses into payload (replaced; must live as long as block is used)
// and checks the structure of the three arrays. Borrows nothing of sealed. UT_ECORRUPT,
// UT_EVERSION, UT_ENOMEM, UT_ELIMIT; UT_EPERM: it is encrypted.
ut_err ut_block_open(ut_bytes sealed, ut_buf *payload, ut_block *block);
// The same for a block that is encrypted under lock->key_id. Decrypts in sealed, which is of no use
// afterwards. UT_ECORRUPT also when it was sealed for another place.
ut_err ut_block_open_encrypted(ut_buf *sealed, const ut_block_lock *lock, ut_buf *payload,
                               ut_block *block);

// Walks groups and spans in order.
typedef struct {
    const ut_block *block;
    ut_mp_reader groups;
    ut_mp_reader spans;
    uint32_t groups_left;
    uint32_t spans_left; // in the current group
    uint32_t ordinal;    // of the span that the next ut_block_next_span gives
    uint32_t scope_index;
} ut_block_cursor;

void ut_block_walk(const ut_block *block, ut_block_cursor *cursor);
// Enters the next group. *more is false at the end. UT_ECORRUPT.
ut_err ut_block_next_group(ut_block_cursor *cursor, bool *more);
// Reads the next span of the group; *more is false at its end. UT_ECORRUPT.
ut_err ut_block_next_span(ut_block_cursor *cursor, ut_span *span, bool *more);
// Passes the next span without reading its fields; raw is its record.
ut_err ut_block_skip_span(ut_block_cursor *cursor, ut_bytes *raw, bool *more);

// The scope by index with its resource index, and the resource by index: each walks from the start
// of its table.
ut_err ut_block_scope(const ut_block *block, uint32_t index, ut_scope *scope,
                      uint32_t *resource_index);
ut_err ut_block_resource(const ut_block *block, uint32_t index, ut_resource *resource);

#endif
