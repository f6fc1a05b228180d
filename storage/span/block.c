// Builds, seals, opens and walks blocks; see block.h and docs/FORMAT.md.
// Not for keys, indexes or the database: storage/store keeps those.
#include "storage/span/block.h"

#include <stdlib.h>

#include <lz4.h>
#include <xxhash.h>

// Header, little-endian: where each field stands.
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_CODEC = 5,
    AT_SPAN_COUNT = 6,
    AT_PAYLOAD_LEN = 8,
    AT_BODY_LEN = 12,
    AT_RECEIVED_NS = 16,
    AT_EXPIRY_HOUR = 24,
    AT_CHECKSUM = 28,
};

static const uint8_t magic[4] = {'U', 'T', 'B', 'K'};

enum { CODEC_STORED = 0, CODEC_LZ4 = 1 };

// The body of an encrypted block, little-endian.
enum {
    BODY_AT_KEY_ID = 0,
    BODY_AT_NONCE = 4,
    BODY_AT_CIPHERTEXT = BODY_AT_NONCE + UT_CIPHER_NONCE_LEN,
    // Header bytes that the tag covers. A block may be given another time to live without its key.
    HEADER_BOUND_LEN = AT_EXPIRY_HOUR,
    BOUND_LEN = HEADER_BOUND_LEN + 4 + 8,
};

enum {
    ARRAYS = 3,                // resources, scopes, groups
    OUTER_LEN_MAX = 1 + 3 * 3, // headers of the payload and of the three arrays
    SCOPE_HEAD_MAX = 1 + 3,    // array header and resource index
    GROUP_HEAD_MAX = 1 + 3 + 3,
    PAYLOAD_LEN_MIN = 1 + ARRAYS,
    LZ4_ACCELERATION = 1,
    LZ4_RATIO_MAX = 255, // no LZ4 stream grows by more
    PLACES_KEEP = 4096,  // entries of a place table that survive a reset
    PAYLOAD_SLACK = 16,  // room that a MessagePack header asks for beyond what it takes
    NONE = UT_BLOCK_SPANS_MAX,
};

static uint32_t checksum(const uint8_t *header, const uint8_t *body, size_t body_len)
{
    // Two calls chained by the seed, so that no state is needed and the header need not stand
    // before the body.
    return XXH32(body, body_len, XXH32(header, AT_CHECKSUM, 0));
}

// ---- building ----

// A resource or scope that the block holds.
typedef struct {
    ut_bytes record;   // borrowed from a batch
    ut_bytes service;  // resources: value of service.name
    uint32_t hash;     // of the record; for a scope also of its resource
    uint32_t resource; // scopes: index in the block
} part;

// Where a resource or scope of the current batch stands in the block; valid while generation is the
// builder's.
typedef struct {
    uint32_t generation;
    uint32_t index;
} place;

typedef struct {
    place *at;
    uint32_t cap;
} places;

typedef struct {
    const ut_batch *batch;
    uint32_t scope; // index in the block
} origin;

typedef struct {
    uint32_t scope;
    uint32_t first; // ordinal
} group;

struct ut_block_builder {
    uint32_t spans_max;
    uint32_t payload_target;
    uint32_t span_count;
    uint32_t group_count;
    uint32_t resource_count;
    uint32_t scope_count;
    size_t payload_bound; // the payload is at most this long
    ut_batch_span *spans; // spans_max of each
    origin *origins;
    group *groups;
    part *resources;
    part *scopes;
    // Open-addressed hash tables of the block's resources and scopes: the same agent sends the same
    // resource with each request, and the block holds it once. slot_count is a power of two, at
    // least twice spans_max.
    uint16_t *resource_slots;
    uint16_t *scope_slots;
    uint32_t slot_count;
    const ut_batch *batch; // that the places are about; NULL after a reset
    uint32_t generation;
    places resource_places;
    places scope_places;
    ut_buf payload;
    void *lz4;
};

ut_block_builder *ut_block_builder_new(uint32_t spans_max, uint32_t payload_target)
{
    UT_ASSERT(spans_max >= 1 && spans_max <= UT_BLOCK_SPANS_MAX);
    UT_ASSERT(payload_target >= 1 && payload_target <= UT_BLOCK_PAYLOAD_TARGET);
    ut_block_builder *builder = calloc(1, sizeof(*builder));
    if (builder == NULL)
        return NULL;
    builder->spans_max = spans_max;
    builder->payload_target = payload_target;
    builder->slot_count = 2;
    while (builder->slot_count < 2 * spans_max)
        builder->slot_count *= 2;
    ut_buf_init(&builder->payload, UT_BLOCK_PAYLOAD_MAX + PAYLOAD_SLACK);
    builder->spans = calloc(spans_max, sizeof(*builder->spans));
    builder->origins = calloc(spans_max, sizeof(*builder->origins));
    builder->groups = calloc(spans_max, sizeof(*builder->groups));
    builder->resources = calloc(spans_max, sizeof(*builder->resources));
    builder->scopes = calloc(spans_max, sizeof(*builder->scopes));
    builder->resource_slots = calloc(builder->slot_count, sizeof(*builder->resource_slots));
    builder->scope_slots = calloc(builder->slot_count, sizeof(*builder->scope_slots));
    builder->lz4 = malloc((size_t)LZ4_sizeofState());
    if (builder->spans == NULL || builder->origins == NULL || builder->groups == NULL ||
        builder->resources == NULL || builder->scopes == NULL || builder->resource_slots == NULL ||
        builder->scope_slots == NULL || builder->lz4 == NULL) {
        ut_block_builder_free(builder);
        return NULL;
    }
    ut_block_builder_reset(builder);
    return builder;
}

void ut_block_builder_free(ut_block_builder *builder)
{
    if (builder == NULL)
        return;
    ut_buf_free(&builder->payload);
    free(builder->spans);
    free(builder->origins);
    free(builder->groups);
    free(builder->resources);
    free(builder->scopes);
    free(builder->resource_slots);
    free(builder->scope_slots);
    free(builder->resource_places.at);
    free(builder->scope_places.at);
    free(builder->lz4);
    free(builder);
}

// From now on no place is valid.
static void forget_places(ut_block_builder *builder)
{
    builder->generation += 1;
    if (builder->generation == 0) {
        // Marks of 2^32 batches ago would look valid again.
        if (builder->resource_places.cap > 0)
            memset(builder->resource_places.at, 0, builder->resource_places.cap * sizeof(place));
        if (builder->scope_places.cap > 0)
            memset(builder->scope_places.at, 0, builder->scope_places.cap * sizeof(place));
        builder->generation = 1;
    }
}

static void trim_places(places *table)
{
    if (table->cap <= PLACES_KEEP)
        return;
    free(table->at);
    table->at = NULL;
    table->cap = 0;
}

void ut_block_builder_reset(ut_block_builder *builder)
{
    builder->span_count = 0;
    builder->group_count = 0;
    builder->resource_count = 0;
    builder->scope_count = 0;
    builder->payload_bound = OUTER_LEN_MAX;
    builder->batch = NULL;
    forget_places(builder);
    trim_places(&builder->resource_places);
    trim_places(&builder->scope_places);
    memset(builder->resource_slots, 0xff, builder->slot_count * sizeof(*builder->resource_slots));
    memset(builder->scope_slots, 0xff, builder->slot_count * sizeof(*builder->scope_slots));
    ut_buf_reset(&builder->payload, (size_t)builder->payload_target * 2);
}

// Makes room for `count` entries. What was in the table is lost or kept as it comes: only speed
// depends on it.
static ut_err grow_places(places *table, uint32_t count)
{
    if (count <= table->cap)
        return UT_OK;
    uint32_t cap = 16;
    while (cap < count)
        cap *= 2;
    place *at = calloc(cap, sizeof(*at));
    if (at == NULL)
        return UT_ENOMEM;
    free(table->at);
    table->at = at;
    table->cap = cap;
    return UT_OK;
}

static uint32_t find_place(const ut_block_builder *builder, const places *table,
                           const ut_batch *batch, uint32_t index)
{
    if (batch != builder->batch || index >= table->cap ||
        table->at[index].generation != builder->generation)
        return NONE;
    return table->at[index].index;
}

// Finds an equal part, or adds it to the table's next free index. *found says which.
static uint32_t merge_part(part *parts, uint32_t *count, uint16_t *slots, uint32_t slot_count,
                           const part *wanted, bool *found)
{
    uint32_t mask = slot_count - 1;
    uint32_t slot = wanted->hash & mask;
    // The table is at most half full, so that an empty slot ends the search.
    for (; slots[slot] != UINT16_MAX; slot = (slot + 1) & mask) {
        const part *known = &parts[slots[slot]];
        if (known->hash == wanted->hash && known->resource == wanted->resource &&
            ut_bytes_equal(known->record, wanted->record)) {
            *found = true;
            return slots[slot];
        }
    }
    *found = false;
    uint32_t index = (*count)++;
    slots[slot] = (uint16_t)index;
    parts[index] = *wanted;
    return index;
}

static ut_bytes record_of(const ut_buf *bytes, const ut_batch_part *entry)
{
    UT_ASSERT(entry->offset <= bytes->len && entry->len <= bytes->len - entry->offset);
    return (ut_bytes){bytes->data + entry->offset, entry->len};
}

static ut_bytes service_of(ut_bytes resource_record)
{
    ut_bytes service = UT_BYTES_NONE;
    ut_mp_reader reader = ut_mp_reader_of(resource_record);
    if (ut_mp_get_array(&reader) >= 1)
        (void)ut_attributes_find_str(ut_mp_skip(&reader), UT_BYTES_LIT("service.name"), &service);
    return service;
}

// The index in the block of a resource of the current batch.
static uint32_t place_resource(ut_block_builder *builder, const ut_batch *batch, uint32_t index)
{
    uint32_t placed = find_place(builder, &builder->resource_places, batch, index);
    if (placed != NONE)
        return placed;
    part wanted = {.record = record_of(&batch->resource_bytes, &ut_batch_resources(batch)[index])};
    wanted.hash = XXH32(wanted.record.data, wanted.record.len, 0);
    bool found;
    placed = merge_part(builder->resources, &builder->resource_count, builder->resource_slots,
                        builder->slot_count, &wanted, &found);
    if (!found) {
        builder->resources[placed].service = service_of(wanted.record);
        builder->payload_bound += wanted.record.len;
    }
    builder->resource_places.at[index] = (place){builder->generation, placed};
    return placed;
}

static uint32_t place_scope(ut_block_builder *builder, const ut_batch *batch, uint32_t index)
{
    uint32_t placed = find_place(builder, &builder->scope_places, batch, index);
    if (placed != NONE)
        return placed;
    const ut_batch_part *entry = &ut_batch_scopes(batch)[index];
    UT_ASSERT(entry->resource < batch->resource_count);
    part wanted = {.record = record_of(&batch->scope_bytes, entry),
                   .resource = place_resource(builder, batch, entry->resource)};
    wanted.hash = XXH32(wanted.record.data, wanted.record.len, wanted.resource);
    bool found;
    placed = merge_part(builder->scopes, &builder->scope_count, builder->scope_slots,
                        builder->slot_count, &wanted, &found);
    if (!found)
        builder->payload_bound += SCOPE_HEAD_MAX + wanted.record.len;
    builder->scope_places.at[index] = (place){builder->generation, placed};
    return placed;
}

bool ut_block_builder_fits(const ut_block_builder *builder, const ut_batch *batch,
                           const ut_batch_span *span)
{
    if (builder->span_count == 0)
        return true;
    if (builder->span_count == builder->spans_max)
        return false;
    // A part that this batch has not used yet counts in full, even if it will turn out to be
    // merged.
    size_t need = GROUP_HEAD_MAX + (size_t)span->len;
    if (find_place(builder, &builder->scope_places, batch, span->scope) == NONE) {
        UT_ASSERT(span->scope < batch->scope_count);
        const ut_batch_part *scope = &ut_batch_scopes(batch)[span->scope];
        need += SCOPE_HEAD_MAX + (size_t)scope->len;
        if (find_place(builder, &builder->resource_places, batch, scope->resource) == NONE)
            need += ut_batch_resources(batch)[scope->resource].len;
    }
    return builder->payload_bound + need <= builder->payload_target;
}

ut_err ut_block_builder_add(ut_block_builder *builder, const ut_batch *batch,
                            const ut_batch_span *span)
{
    UT_ASSERT(span->scope < batch->scope_count);
    UT_ASSERT(span->offset <= batch->span_bytes.len &&
              span->len <= batch->span_bytes.len - span->offset);
    if (builder->span_count == builder->spans_max)
        return UT_ELIMIT;
    if (builder->batch != batch) {
        builder->batch = batch;
        forget_places(builder);
    }
    if (grow_places(&builder->resource_places, batch->resource_count) != UT_OK ||
        grow_places(&builder->scope_places, batch->scope_count) != UT_OK)
        return UT_ENOMEM;
    uint32_t ordinal = builder->span_count;
    uint32_t scope = place_scope(builder, batch, span->scope);
    if (builder->group_count == 0 || builder->groups[builder->group_count - 1].scope != scope) {
        builder->groups[builder->group_count++] = (group){scope, ordinal};
        builder->payload_bound += GROUP_HEAD_MAX;
    }
    builder->payload_bound += span->len;
    builder->spans[ordinal] = *span;
    builder->origins[ordinal] = (origin){batch, scope};
    builder->span_count += 1;
    return builder->payload_bound <= UT_BLOCK_PAYLOAD_MAX ? UT_OK : UT_ELIMIT;
}

uint32_t ut_block_builder_count(const ut_block_builder *builder)
{
    return builder->span_count;
}

const ut_batch_span *ut_block_builder_span(const ut_block_builder *builder, uint32_t ordinal)
{
    UT_ASSERT(ordinal < builder->span_count);
    return &builder->spans[ordinal];
}

ut_bytes ut_block_builder_record(const ut_block_builder *builder, uint32_t ordinal, uint32_t *scope)
{
    UT_ASSERT(ordinal < builder->span_count);
    const origin *from = &builder->origins[ordinal];
    const ut_batch_span *span = &builder->spans[ordinal];
    *scope = from->scope;
    return (ut_bytes){from->batch->span_bytes.data + span->offset, span->len};
}

uint32_t ut_block_builder_scopes(const ut_block_builder *builder)
{
    return builder->scope_count;
}

ut_bytes ut_block_builder_scope(const ut_block_builder *builder, uint32_t index, uint32_t *resource)
{
    UT_ASSERT(index < builder->scope_count);
    *resource = builder->scopes[index].resource;
    return builder->scopes[index].record;
}

uint32_t ut_block_builder_resources(const ut_block_builder *builder)
{
    return builder->resource_count;
}

ut_bytes ut_block_builder_resource(const ut_block_builder *builder, uint32_t index,
                                   ut_bytes *service)
{
    UT_ASSERT(index < builder->resource_count);
    *service = builder->resources[index].service;
    return builder->resources[index].record;
}

// Copies the span records of ordinals first..end-1; those that stand one after the other in a batch
// go at once.
static void copy_spans(ut_block_builder *builder, uint32_t first, uint32_t end)
{
    while (first < end) {
        const ut_batch *batch = builder->origins[first].batch;
        const uint8_t *data = batch->span_bytes.data + builder->spans[first].offset;
        size_t len = 0;
        size_t next = builder->spans[first].offset;
        while (first < end && builder->origins[first].batch == batch &&
               builder->spans[first].offset == next) {
            len += builder->spans[first].len;
            next += builder->spans[first].len;
            first++;
        }
        ut_buf_add(&builder->payload, data, len);
    }
}

static ut_err write_payload(ut_block_builder *builder)
{
    ut_buf *payload = &builder->payload;
    ut_buf_reset(payload, SIZE_MAX);
    (void)ut_buf_reserve(payload, builder->payload_bound + PAYLOAD_SLACK); // the error is sticky
    ut_mp_put_array(payload, ARRAYS);
    ut_mp_put_array(payload, builder->resource_count);
    for (uint32_t i = 0; i < builder->resource_count; i++)
        ut_buf_add_bytes(payload, builder->resources[i].record);
    ut_mp_put_array(payload, builder->scope_count);
    for (uint32_t i = 0; i < builder->scope_count; i++) {
        ut_mp_put_array(payload, 2);
        ut_mp_put_uint(payload, builder->scopes[i].resource);
        ut_buf_add_bytes(payload, builder->scopes[i].record);
    }
    ut_mp_put_array(payload, builder->group_count);
    for (uint32_t i = 0; i < builder->group_count; i++) {
        uint32_t first = builder->groups[i].first;
        uint32_t end =
            i + 1 < builder->group_count ? builder->groups[i + 1].first : builder->span_count;
        ut_mp_put_array(payload, 2);
        ut_mp_put_uint(payload, builder->groups[i].scope);
        ut_mp_put_array(payload, end - first);
        copy_spans(builder, first, end);
    }
    UT_ASSERT(payload->err != UT_OK || payload->len <= builder->payload_bound);
    return payload->err;
}

// The bytes that the tag covers beside the body: the header, and the place.
static ut_bytes bind(const uint8_t *header, const ut_block_lock *lock, uint8_t bound[BOUND_LEN])
{
    memcpy(bound, header, HEADER_BOUND_LEN);
    ut_put_be32(bound + HEADER_BOUND_LEN, lock->org);
    ut_put_be64(bound + HEADER_BOUND_LEN + 4, lock->seq);
    return ut_bytes_of(bound, BOUND_LEN);
}

// Encrypts what stands at BODY_AT_CIPHERTEXT.
static ut_err encrypt(const uint8_t *header, uint8_t *body, size_t len, const ut_block_lock *lock)
{
    uint8_t bound[BOUND_LEN];
    ut_put_le32(body + BODY_AT_KEY_ID, lock->key_id);
    memcpy(body + BODY_AT_NONCE, lock->nonce, UT_CIPHER_NONCE_LEN);
    uint8_t *text = body + BODY_AT_CIPHERTEXT;
    return ut_cipher_seal(lock->cipher, lock->nonce, bind(header, lock, bound), text, len,
                          text + len);
}

// lock: NULL for a plain block.
static ut_err seal(ut_block_builder *builder, uint64_t received_ns, uint32_t expiry_hour,
                   const ut_block_lock *lock, ut_buf *sealed)
{
    UT_ASSERT(builder->span_count > 0);
    if (builder->payload_bound > UT_BLOCK_PAYLOAD_MAX)
        return UT_ELIMIT;
    ut_err err = write_payload(builder);
    if (err != UT_OK)
        return err;

    size_t payload_len = builder->payload.len;
    int bound = LZ4_compressBound((int)payload_len);
    ut_buf_reset(sealed, SIZE_MAX);
    uint8_t *header =
        ut_buf_reserve(sealed, UT_BLOCK_HEADER_LEN + UT_BLOCK_ENCRYPTION_LEN + (size_t)bound);
    if (header == NULL)
        return sealed->err;
    uint8_t *body = header + UT_BLOCK_HEADER_LEN;
    uint8_t *text = body + (lock != NULL ? BODY_AT_CIPHERTEXT : 0);
    int compressed =
        LZ4_compress_fast_extState(builder->lz4, (const char *)builder->payload.data, (char *)text,
                                   (int)payload_len, bound, LZ4_ACCELERATION);
    size_t text_len = payload_len;
    uint8_t codec = CODEC_STORED;
    if (compressed > 0 && (size_t)compressed < payload_len) {
        text_len = (size_t)compressed;
        codec = CODEC_LZ4;
    } else {
        memcpy(text, builder->payload.data, payload_len);
    }
    size_t body_len = text_len + (lock != NULL ? UT_BLOCK_ENCRYPTION_LEN : 0);
    memcpy(header + AT_MAGIC, magic, sizeof(magic));
    header[AT_VERSION] = lock != NULL ? UT_BLOCK_VERSION_ENCRYPTED : UT_BLOCK_VERSION;
    header[AT_CODEC] = codec;
    header[AT_SPAN_COUNT] = (uint8_t)builder->span_count;
    header[AT_SPAN_COUNT + 1] = (uint8_t)(builder->span_count >> 8);
    ut_put_le32(header + AT_PAYLOAD_LEN, (uint32_t)payload_len);
    ut_put_le32(header + AT_BODY_LEN, (uint32_t)body_len);
    ut_put_le64(header + AT_RECEIVED_NS, received_ns);
    ut_put_le32(header + AT_EXPIRY_HOUR, expiry_hour);
    if (lock != NULL) {
        err = encrypt(header, body, text_len, lock);
        if (err != UT_OK)
            return err;
    }
    ut_put_le32(header + AT_CHECKSUM, checksum(header, body, body_len));
    sealed->len = UT_BLOCK_HEADER_LEN + body_len;
    return UT_OK;
}

ut_err ut_block_seal(ut_block_builder *builder, uint64_t received_ns, uint32_t expiry_hour,
                     ut_buf *sealed)
{
    return seal(builder, received_ns, expiry_hour, NULL, sealed);
}

ut_err ut_block_seal_encrypted(ut_block_builder *builder, uint64_t received_ns,
                               uint32_t expiry_hour, const ut_block_lock *lock, ut_buf *sealed)
{
    UT_ASSERT(lock->key_id != 0);
    return seal(builder, received_ns, expiry_hour, lock, sealed);
}

// ---- reading ----

ut_err ut_block_peek(ut_bytes sealed, ut_block_info *info)
{
    memset(info, 0, sizeof(*info));
    if (sealed.len < UT_BLOCK_HEADER_LEN ||
        memcmp(sealed.data + AT_MAGIC, magic, sizeof(magic)) != 0)
        return UT_ECORRUPT;
    bool encrypted = sealed.data[AT_VERSION] == UT_BLOCK_VERSION_ENCRYPTED;
    if (!encrypted && sealed.data[AT_VERSION] != UT_BLOCK_VERSION)
        return UT_EVERSION;
    uint8_t codec = sealed.data[AT_CODEC];
    uint32_t span_count = sealed.data[AT_SPAN_COUNT] | (uint32_t)sealed.data[AT_SPAN_COUNT + 1]
                                                           << 8;
    uint32_t payload_len = ut_get_le32(sealed.data + AT_PAYLOAD_LEN);
    uint32_t text_len = ut_get_le32(sealed.data + AT_BODY_LEN);
    if (encrypted) {
        if (sealed.len < UT_BLOCK_HEADER_LEN + UT_BLOCK_ENCRYPTION_LEN ||
            text_len < UT_BLOCK_ENCRYPTION_LEN)
            return UT_ECORRUPT;
        text_len -= UT_BLOCK_ENCRYPTION_LEN;
        info->key_id = ut_get_le32(sealed.data + UT_BLOCK_HEADER_LEN + BODY_AT_KEY_ID);
        if (info->key_id == 0)
            return UT_ECORRUPT;
    }
    if (codec > CODEC_LZ4 || span_count == 0 || span_count > UT_BLOCK_SPANS_MAX ||
        payload_len < PAYLOAD_LEN_MIN || payload_len > UT_BLOCK_PAYLOAD_MAX)
        return UT_ECORRUPT;
    if (codec == CODEC_STORED ? text_len != payload_len
                              : text_len >= payload_len || payload_len / LZ4_RATIO_MAX > text_len)
        return UT_ECORRUPT;
    info->received_ns = ut_get_le64(sealed.data + AT_RECEIVED_NS);
    info->expiry_hour = ut_get_le32(sealed.data + AT_EXPIRY_HOUR);
    info->span_count = span_count;
    info->payload_len = payload_len;
    return UT_OK;
}

// Finds where the three arrays stand. Resources and scopes are passed value by value; what is in
// the groups is checked by the cursor when it gets there.
static ut_err find_arrays(ut_block *block)
{
    ut_mp_reader reader = ut_mp_reader_of(block->payload);
    if (ut_mp_get_array(&reader) < ARRAYS)
        return UT_ECORRUPT;
    block->resource_count = ut_mp_get_array(&reader);
    const uint8_t *begin = reader.at;
    for (uint32_t i = 0; i < block->resource_count && reader.err == UT_OK; i++)
        (void)ut_mp_skip(&reader); // the error is sticky
    block->resources = (ut_bytes){begin, (size_t)(reader.at - begin)};

    block->scope_count = ut_mp_get_array(&reader);
    begin = reader.at;
    for (uint32_t i = 0; i < block->scope_count && reader.err == UT_OK; i++)
        (void)ut_mp_skip(&reader);
    block->scopes = (ut_bytes){begin, (size_t)(reader.at - begin)};

    block->group_count = ut_mp_get_array(&reader);
    block->groups = (ut_bytes){reader.at, (size_t)(reader.end - reader.at)};
    // Each of them is there for at least one span, which also bounds the walks.
    uint32_t count_max = block->info.span_count;
    if (reader.err != UT_OK || block->resource_count > count_max ||
        block->scope_count > count_max || block->group_count > count_max)
        return UT_ECORRUPT;
    return UT_OK;
}

// Everything about a sealed block that needs no key.
static ut_err check_sealed(ut_bytes sealed, ut_block *block)
{
    memset(block, 0, sizeof(*block));
    ut_err err = ut_block_peek(sealed, &block->info);
    if (err != UT_OK)
        return err;
    const uint8_t *body = sealed.data + UT_BLOCK_HEADER_LEN;
    size_t body_len = ut_get_le32(sealed.data + AT_BODY_LEN);
    if (body_len != sealed.len - UT_BLOCK_HEADER_LEN)
        return UT_ECORRUPT;
    if (checksum(sealed.data, body, body_len) != ut_get_le32(sealed.data + AT_CHECKSUM))
        return UT_ECORRUPT;
    return UT_OK;
}

// text: the body without what encryption adds.
static ut_err expand(uint8_t codec, ut_bytes text, ut_buf *payload, ut_block *block)
{
    size_t payload_len = block->info.payload_len;
    ut_buf_reset(payload, SIZE_MAX);
    uint8_t *out = ut_buf_reserve(payload, payload_len);
    if (out == NULL)
        return payload->err;
    if (codec == CODEC_STORED) {
        memcpy(out, text.data, text.len);
    } else {
        int got = LZ4_decompress_safe((const char *)text.data, (char *)out, (int)text.len,
                                      (int)payload_len);
        if (got < 0 || (size_t)got != payload_len)
            return UT_ECORRUPT;
    }
    payload->len = payload_len;
    block->payload = ut_buf_bytes(payload);
    return find_arrays(block);
}

ut_err ut_block_open(ut_bytes sealed, ut_buf *payload, ut_block *block)
{
    ut_err err = check_sealed(sealed, block);
    if (err != UT_OK)
        return err;
    if (block->info.key_id != 0)
        return UT_EPERM;
    ut_bytes text = {sealed.data + UT_BLOCK_HEADER_LEN, sealed.len - UT_BLOCK_HEADER_LEN};
    return expand(sealed.data[AT_CODEC], text, payload, block);
}

ut_err ut_block_open_encrypted(ut_buf *sealed, const ut_block_lock *lock, ut_buf *payload,
                               ut_block *block)
{
    ut_err err = check_sealed(ut_buf_bytes(sealed), block);
    if (err != UT_OK)
        return err;
    if (block->info.key_id != lock->key_id)
        return UT_EINVAL;
    uint8_t bound[BOUND_LEN];
    uint8_t *body = sealed->data + UT_BLOCK_HEADER_LEN;
    uint8_t *text = body + BODY_AT_CIPHERTEXT;
    size_t len = sealed->len - UT_BLOCK_HEADER_LEN - UT_BLOCK_ENCRYPTION_LEN;
    err = ut_cipher_open(lock->cipher, body + BODY_AT_NONCE, bind(sealed->data, lock, bound), text,
                         len, text + len);
    if (err != UT_OK)
        return err;
    return expand(sealed->data[AT_CODEC], (ut_bytes){text, len}, payload, block);
}

void ut_block_walk(const ut_block *block, ut_block_cursor *cursor)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->block = block;
    cursor->groups = ut_mp_reader_of(block->groups);
    cursor->spans = cursor->groups;
    cursor->groups_left = block->group_count;
}

// A damaged block gives no more groups and no more spans.
static ut_err corrupt(ut_block_cursor *cursor)
{
    cursor->groups_left = 0;
    cursor->spans_left = 0;
    cursor->groups.err = UT_EFORMAT;
    return UT_ECORRUPT;
}

ut_err ut_block_next_group(ut_block_cursor *cursor, bool *more)
{
    *more = false;
    if (cursor->groups.err != UT_OK)
        return UT_ECORRUPT;
    ut_bytes raw;
    bool left = true;
    while (cursor->spans_left > 0) {
        ut_err err = ut_block_skip_span(cursor, &raw, &left);
        if (err != UT_OK)
            return err;
    }
    if (cursor->groups_left == 0)
        return cursor->ordinal == cursor->block->info.span_count ? UT_OK : corrupt(cursor);

    // The spans of a group end where the next group begins.
    cursor->groups.at = cursor->spans.at;
    if (ut_mp_get_array(&cursor->groups) != 2)
        return corrupt(cursor);
    uint64_t scope = ut_mp_get_uint(&cursor->groups);
    uint32_t count = ut_mp_get_array(&cursor->groups);
    if (cursor->groups.err != UT_OK || scope >= cursor->block->scope_count ||
        count > cursor->block->info.span_count - cursor->ordinal)
        return corrupt(cursor);
    cursor->groups_left -= 1;
    cursor->scope_index = (uint32_t)scope;
    cursor->spans_left = count;
    cursor->spans = cursor->groups;
    *more = true;
    return UT_OK;
}

ut_err ut_block_next_span(ut_block_cursor *cursor, ut_span *span, bool *more)
{
    *more = false;
    if (cursor->spans_left == 0)
        return cursor->groups.err == UT_OK ? UT_OK : UT_ECORRUPT;
    if (ut_span_read(&cursor->spans, span) != UT_OK)
        return corrupt(cursor);
    cursor->spans_left -= 1;
    cursor->ordinal += 1;
    *more = true;
    return UT_OK;
}

ut_err ut_block_skip_span(ut_block_cursor *cursor, ut_bytes *raw, bool *more)
{
    *more = false;
    *raw = UT_BYTES_NONE;
    if (cursor->spans_left == 0)
        return cursor->groups.err == UT_OK ? UT_OK : UT_ECORRUPT;
    ut_bytes record = ut_mp_skip(&cursor->spans);
    if (cursor->spans.err != UT_OK)
        return corrupt(cursor);
    *raw = record;
    cursor->spans_left -= 1;
    cursor->ordinal += 1;
    *more = true;
    return UT_OK;
}

ut_err ut_block_scope(const ut_block *block, uint32_t index, ut_scope *scope,
                      uint32_t *resource_index)
{
    memset(scope, 0, sizeof(*scope));
    *resource_index = 0;
    if (index >= block->scope_count)
        return UT_ECORRUPT;
    ut_mp_reader reader = ut_mp_reader_of(block->scopes);
    for (; index > 0; index--)
        (void)ut_mp_skip(&reader); // the error is sticky
    if (ut_mp_get_array(&reader) != 2)
        return UT_ECORRUPT;
    uint64_t resource = ut_mp_get_uint(&reader);
    if (resource >= block->resource_count || ut_scope_read(&reader, scope) != UT_OK)
        return UT_ECORRUPT;
    *resource_index = (uint32_t)resource;
    return UT_OK;
}

ut_err ut_block_resource(const ut_block *block, uint32_t index, ut_resource *resource)
{
    memset(resource, 0, sizeof(*resource));
    if (index >= block->resource_count)
        return UT_ECORRUPT;
    ut_mp_reader reader = ut_mp_reader_of(block->resources);
    for (; index > 0; index--)
        (void)ut_mp_skip(&reader); // the error is sticky
    return ut_resource_read(&reader, resource) == UT_OK ? UT_OK : UT_ECORRUPT;
}
