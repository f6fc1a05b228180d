// Making the Bloom filter of a block; see bloom_build.h. This is on the way of every span, so most
// of the code is about not looking at the same bytes twice.
#include "storage/store/bloom_build.h"

#include "port/base/order.h"

#include <stdlib.h>

enum {
    BITS_A_TOKEN = 10,      // one question in a hundred is answered "perhaps" wrongly
    BITS_A_TOKEN_TIGHT = 7, // one in thirty; where fewer bits were left, values are given up
    NAMES_A_SPAN = 3,       // tokens: service, its failure, name
    PAIRS_A_SPAN = 2,       // tokens of values, at most, in the mean
    KEYS_MAX = 256,         // of one block; with more, no attributes are in
    KEY_SLOTS = 2 * KEYS_MAX,
    SHAPES = 8,     // kinds of spans that are told apart in the memory of the last span
    POSITIONS = 32, // attributes of a span that are remembered
    NO_KEY = UINT16_MAX,
};

// A key of an attribute, known by its hash alone: keys of equal hashes are one, here as in a
// question.
typedef struct {
    uint64_t hash;
    uint16_t values; // different ones
    bool wide;
} key_entry;

// The attribute that stood here in the last span of the shape; borrowed from its batch.
typedef struct {
    const uint8_t *raw; // key and value
    uint32_t key_len;   // of both, with their tags
    uint32_t value_len;
    uint16_t key;
} position;

typedef struct {
    uint64_t hash;
    uint16_t key; // NO_KEY: always in
} token;

struct ut_bloom_builder {
    uint64_t seed;
    uint32_t tokens_max;
    uint32_t slot_mask;
    uint32_t token_count;
    uint32_t pairs_left;
    uint32_t key_count;
    bool keys_complete;
    bool damaged;
    token *tokens;
    uint16_t *slots; // index in tokens plus one
    key_entry keys[KEYS_MAX];
    uint16_t key_slots[KEY_SLOTS]; // index in keys plus one
    position positions[SHAPES][POSITIONS];
    ut_bytes names[SHAPES]; // of the last span of the shape
    uint8_t out[UT_BLOOM_HEAD + UT_BLOOM_BYTES_MAX];
};

ut_bloom_builder *ut_bloom_builder_new(uint32_t spans_max)
{
    UT_ASSERT(spans_max >= 1 && spans_max <= UT_BLOCK_SPANS_MAX);
    ut_bloom_builder *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->tokens_max = (NAMES_A_SPAN + PAIRS_A_SPAN) * spans_max;
    uint32_t slots = 2;
    while (slots < 2 * b->tokens_max)
        slots *= 2;
    b->slot_mask = slots - 1;
    b->tokens = calloc(b->tokens_max, sizeof(*b->tokens));
    b->slots = calloc(slots, sizeof(*b->slots));
    if (b->tokens == NULL || b->slots == NULL) {
        ut_bloom_builder_free(b);
        return NULL;
    }
    return b;
}

void ut_bloom_builder_free(ut_bloom_builder *b)
{
    if (b == NULL)
        return;
    free(b->tokens);
    free(b->slots);
    free(b);
}

// ---- short bytes ----

static uint64_t load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// Keys and values are short, and musl's memcmp goes byte by byte.
static bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len >= 8) {
        for (size_t at = 0; at + 8 < len; at += 8) {
            if (load64(a + at) != load64(b + at))
                return false;
        }
        return load64(a + len - 8) == load64(b + len - 8);
    }
    if (len >= 4)
        return load32(a) == load32(b) && load32(a + len - 4) == load32(b + len - 4);
    for (size_t at = 0; at < len; at++) {
        if (a[at] != b[at])
            return false;
    }
    return true;
}

// The length of the value at `at`, 0 when it is not a short one.
static size_t short_len(const uint8_t *at, const uint8_t *end)
{
    uint8_t tag = *at;
    size_t len = 0;
    if (tag < 0x80 || tag >= 0xe0) {
        len = 1;
    } else if (tag >= 0xa0 && tag < 0xc0) {
        len = 1 + (size_t)(tag & 0x1f);
    } else if (tag >= 0xc0) {
        static const uint8_t lens[32] = {
            [0xc0 - 0xc0] = 1, [0xc2 - 0xc0] = 1, [0xc3 - 0xc0] = 1, [0xca - 0xc0] = 5,
            [0xcb - 0xc0] = 9, [0xcc - 0xc0] = 2, [0xcd - 0xc0] = 3, [0xce - 0xc0] = 5,
            [0xcf - 0xc0] = 9, [0xd0 - 0xc0] = 2, [0xd1 - 0xc0] = 3, [0xd2 - 0xc0] = 5,
            [0xd3 - 0xc0] = 9,
        };
        len = lens[tag - 0xc0];
        if (tag == 0xd9 && end - at >= 2)
            len = 2 + (size_t)at[1];
    }
    return len <= (size_t)(end - at) ? len : 0;
}

// Passes a value. 0: it cannot be read.
static size_t value_len(const uint8_t *at, const uint8_t *end)
{
    if (at == end)
        return 0;
    size_t len = short_len(at, end);
    if (len > 0)
        return len;
    ut_mp_reader reader = {.at = at, .end = end};
    return ut_mp_skip(&reader).len;
}

// ---- tokens ----

// False when it was there already.
static bool add_token(ut_bloom_builder *b, uint64_t hash, uint16_t key)
{
    uint32_t slot = (uint32_t)hash & b->slot_mask;
    // The table is at most half full, so that an empty slot ends the search.
    for (; b->slots[slot] != 0; slot = (slot + 1) & b->slot_mask) {
        if (b->tokens[b->slots[slot] - 1].hash == hash)
            return false;
    }
    UT_ASSERT(b->token_count < b->tokens_max);
    b->tokens[b->token_count++] = (token){hash, key};
    b->slots[slot] = (uint16_t)b->token_count;
    return true;
}

static void add_pair(ut_bloom_builder *b, uint16_t key, uint64_t hash)
{
    key_entry *entry = &b->keys[key];
    if (entry->wide)
        return;
    if (b->pairs_left == 0) {
        entry->wide = true;
        return;
    }
    if (!add_token(b, hash, key))
        return;
    b->pairs_left -= 1;
    entry->values += 1;
    // One more than is kept, so that it is known to be too many.
    entry->wide = entry->values > UT_BLOOM_VALUES_MAX;
}

// The index of a key; NO_KEY when there are too many.
static uint16_t find_key(ut_bloom_builder *b, ut_bytes text)
{
    uint64_t hash = ut_bloom_hash(text, b->seed, UT_BLOOM_KEY);
    uint32_t slot = (uint32_t)hash % KEY_SLOTS;
    for (; b->key_slots[slot] != 0; slot = (slot + 1) % KEY_SLOTS) {
        if (b->keys[b->key_slots[slot] - 1].hash == hash)
            return (uint16_t)(b->key_slots[slot] - 1);
    }
    if (b->key_count == KEYS_MAX) {
        b->keys_complete = false;
        return NO_KEY;
    }
    b->keys[b->key_count++] = (key_entry){.hash = hash};
    b->key_slots[slot] = (uint16_t)b->key_count;
    return (uint16_t)(b->key_count - 1);
}

// ---- attributes ----

static void add_text(ut_bloom_builder *b, uint16_t key, ut_bytes text)
{
    if (text.len > UT_BLOOM_VALUE_LEN_MAX)
        b->keys[key].wide = true;
    else
        add_pair(b, key, ut_bloom_hash(text, b->keys[key].hash, UT_BLOOM_TEXT));
}

static void add_number(ut_bloom_builder *b, uint16_t key, double number)
{
    add_pair(b, key, ut_bloom_hash_number(number, b->keys[key].hash));
}

// Adds a value and all elements of arrays in it, each as ut_filter_match would compare it.
static void add_value(ut_bloom_builder *b, uint16_t key, ut_mp_reader *reader)
{
    uint32_t left[UT_VALUE_DEPTH_MAX + 1] = {1};
    unsigned depth = 0;
    while (reader->err == UT_OK && !b->keys[key].wide) {
        while (left[depth] == 0) {
            if (depth == 0)
                return;
            depth -= 1;
        }
        left[depth] -= 1;
        switch (ut_mp_peek(reader)) {
        case UT_MP_STR:
            add_text(b, key, ut_mp_get_str(reader));
            break;
        case UT_MP_BOOL:
            add_text(b, key, ut_mp_get_bool(reader) ? UT_BYTES_LIT("true") : UT_BYTES_LIT("false"));
            break;
        case UT_MP_UINT:
            add_number(b, key, (double)ut_mp_get_uint(reader));
            break;
        case UT_MP_INT:
            add_number(b, key, (double)ut_mp_get_int(reader));
            break;
        case UT_MP_DOUBLE:
            add_number(b, key, ut_mp_get_double(reader));
            break;
        case UT_MP_ARRAY:
            if (depth < UT_VALUE_DEPTH_MAX) {
                depth += 1;
                left[depth] = ut_mp_get_array(reader);
            } else {
                b->keys[key].wide = true;
            }
            break;
        default:
            (void)ut_mp_skip(reader); // equal to no text; the error stays in the reader
            break;
        }
    }
}

// Adds the attribute of key_len and value_len bytes at raw, unless the last span of the shape had
// the same here.
static void add_attribute(ut_bloom_builder *b, const uint8_t *raw, size_t key_len, size_t val_len,
                          position *last)
{
    uint16_t key;
    if (last != NULL && last->key_len == key_len && same(last->raw, raw, key_len)) {
        key = last->key;
        if (key == NO_KEY || b->keys[key].wide ||
            (last->value_len == val_len && same(last->raw + key_len, raw + key_len, val_len)))
            return;
    } else {
        ut_mp_reader reader = {.at = raw, .end = raw + key_len};
        key = find_key(b, ut_mp_get_str(&reader));
    }
    if (last != NULL)
        *last = (position){raw, (uint32_t)key_len, (uint32_t)val_len, key};
    if (key == NO_KEY || b->keys[key].wide)
        return;
    ut_mp_reader reader = {.at = raw + key_len, .end = raw + key_len + val_len};
    add_value(b, key, &reader);
}

// Adds a map of attributes. Returns what is behind it; NULL when it cannot be read.
static const uint8_t *add_attributes(ut_bloom_builder *b, const uint8_t *at, const uint8_t *end,
                                     position *lasts)
{
    ut_mp_reader reader = {.at = at, .end = end};
    uint32_t pairs = ut_mp_get_map(&reader);
    if (reader.err != UT_OK)
        return NULL;
    at = reader.at;
    for (uint32_t i = 0; i < pairs; i++) {
        size_t key_len = value_len(at, end);
        if (key_len == 0)
            return NULL;
        size_t val_len = value_len(at + key_len, end);
        if (val_len == 0)
            return NULL;
        add_attribute(b, at, key_len, val_len, lasts != NULL && i < POSITIONS ? &lasts[i] : NULL);
        at += key_len + val_len;
    }
    return at;
}

static void add_map(ut_bloom_builder *b, ut_bytes attributes)
{
    if (add_attributes(b, attributes.data, attributes.data + attributes.len, NULL) == NULL)
        b->damaged = true;
}

static void add_events(ut_bloom_builder *b, const uint8_t *at, const uint8_t *end)
{
    ut_mp_reader reader = {.at = at, .end = end};
    uint32_t count = ut_mp_get_array(&reader);
    for (; count > 0 && reader.err == UT_OK; count--) {
        ut_event event;
        if (ut_event_read(&reader, 0, &event) == UT_OK)
            add_map(b, event.attributes);
    }
    b->damaged = b->damaged || reader.err != UT_OK;
}

// ---- the parts of a block ----

static void add_resources(ut_bloom_builder *b, const ut_block_builder *block)
{
    for (uint32_t i = 0; i < ut_block_builder_resources(block); i++) {
        ut_bytes service;
        ut_mp_reader reader = ut_mp_reader_of(ut_block_builder_resource(block, i, &service));
        ut_resource resource;
        if (ut_resource_read(&reader, &resource) != UT_OK) {
            b->damaged = true;
            return;
        }
        if (service.len > 0)
            (void)add_token(b, ut_bloom_hash(service, b->seed, UT_BLOOM_SERVICE), NO_KEY);
        add_map(b, resource.attributes);
    }
    for (uint32_t i = 0; i < ut_block_builder_scopes(block); i++) {
        uint32_t resource;
        ut_mp_reader reader = ut_mp_reader_of(ut_block_builder_scope(block, i, &resource));
        ut_scope scope;
        if (ut_scope_read(&reader, &scope) != UT_OK) {
            b->damaged = true;
            return;
        }
        add_map(b, scope.attributes);
    }
}

static void add_failure(ut_bloom_builder *b, const ut_block_builder *block, uint32_t scope)
{
    uint32_t resource;
    ut_bytes service;
    (void)ut_block_builder_scope(block, scope, &resource);
    (void)ut_block_builder_resource(block, resource, &service);
    if (service.len > 0)
        (void)add_token(b, ut_bloom_hash(service, b->seed, UT_BLOOM_FAILED), NO_KEY);
}

// Adds a span: name, attributes, those of its events.
static void add_span(ut_bloom_builder *b, ut_bytes record, uint32_t scope)
{
    uint32_t shape = scope % SHAPES;
    ut_mp_reader reader = ut_mp_reader_of(record);
    (void)ut_mp_get_array(&reader);
    const uint8_t *at = reader.at;
    for (unsigned i = 0; i < 3; i++) // trace, span and parent id
        at = at != reader.end && *at == 0xc4 && reader.end - at >= 2 && at[1] <= reader.end - at - 2
                 ? at + 2 + at[1]
                 : reader.end;
    reader.at = at;
    ut_bytes name = ut_mp_get_str(&reader);
    at = reader.at;
    for (unsigned i = 0; i < 4; i++) { // kind, start, duration, status
        size_t len = value_len(at, reader.end);
        if (len == 0)
            reader.err = UT_EFORMAT;
        at += len;
    }
    if (reader.err != UT_OK) {
        b->damaged = true;
        return;
    }
    ut_bytes *last = &b->names[shape];
    if (name.len > 0 && (last->len != name.len || !same(last->data, name.data, name.len))) {
        (void)add_token(b, ut_bloom_hash(name, b->seed, UT_BLOOM_NAME), NO_KEY);
        *last = name;
    }
    at = add_attributes(b, at, reader.end, b->positions[shape]);
    if (at == NULL || at == reader.end)
        b->damaged = true;
    else if (*at != 0x90) // no events
        add_events(b, at, reader.end);
}

// ---- the filter ----

// Tokens when keys of more than values_max values are wide. values_max 0: no values are in.
static uint32_t count_tokens(const ut_bloom_builder *b, uint32_t names, uint32_t values_max)
{
    uint32_t count = names + b->key_count;
    for (uint32_t i = 0; i < b->key_count && values_max > 0; i++)
        count += b->keys[i].wide || b->keys[i].values > values_max ? 1 : b->keys[i].values;
    return count;
}

static void set_bits(uint8_t *bits, uint32_t bit_count, uint64_t hash)
{
    for (unsigned n = 0; n < UT_BLOOM_HASHES; n++) {
        uint32_t bit = ut_bloom_bit(hash, n, bit_count);
        bits[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}

// Takes as much in as fits: all, then without the values of keys that have many, at last names of
// spans and services alone.
static ut_bytes finish(ut_bloom_builder *b, uint32_t spans)
{
    uint32_t room = (uint32_t)ut_clamp_u64((uint64_t)spans * UT_BLOOM_BYTES_A_SPAN,
                                           UT_BLOOM_BYTES_MIN, UT_BLOOM_BYTES_MAX);
    uint32_t names = 0;
    for (uint32_t i = 0; i < b->token_count; i++)
        names += b->tokens[i].key == NO_KEY;
    uint32_t values_max = UT_BLOOM_VALUES_MAX;
    uint8_t flags = UT_BLOOM_HAS_KEYS | UT_BLOOM_HAS_PAIRS;
    while (values_max > 0 && count_tokens(b, names, values_max) * BITS_A_TOKEN_TIGHT > room * 8)
        values_max /= 2;
    uint32_t count = count_tokens(b, names, values_max);
    if (values_max == 0)
        flags = UT_BLOOM_HAS_KEYS;
    if (!b->keys_complete || (values_max == 0 && count * BITS_A_TOKEN_TIGHT > room * 8)) {
        flags = 0;
        count = names;
    }
    uint32_t bytes = ut_min_u32((count * BITS_A_TOKEN + 7) / 8, room);
    if (bytes == 0)
        bytes = 1;
    memset(b->out, 0, UT_BLOOM_HEAD + bytes);
    b->out[0] = b->seed != 0 ? flags | UT_BLOOM_SEEDED : flags;
    uint8_t *bits = b->out + UT_BLOOM_HEAD;
    for (uint32_t i = 0; i < b->key_count && flags != 0; i++) {
        key_entry *key = &b->keys[i];
        key->wide = key->wide || key->values > values_max;
        set_bits(bits, bytes * 8, key->hash);
        if (key->wide && (flags & UT_BLOOM_HAS_PAIRS) != 0)
            set_bits(bits, bytes * 8, ut_bloom_hash_wide(key->hash));
    }
    for (uint32_t i = 0; i < b->token_count; i++) {
        const token *t = &b->tokens[i];
        if (t->key == NO_KEY || ((flags & UT_BLOOM_HAS_PAIRS) != 0 && !b->keys[t->key].wide))
            set_bits(bits, bytes * 8, t->hash);
    }
    return (ut_bytes){b->out, UT_BLOOM_HEAD + bytes};
}

ut_bytes ut_bloom_build(ut_bloom_builder *b, const ut_block_builder *block, uint64_t seed)
{
    uint32_t spans = ut_block_builder_count(block);
    b->seed = seed;
    b->token_count = 0;
    b->key_count = 0;
    b->keys_complete = true;
    b->damaged = false;
    UT_ASSERT(NAMES_A_SPAN * spans < b->tokens_max);
    b->pairs_left = b->tokens_max - NAMES_A_SPAN * spans;
    memset(b->slots, 0, (b->slot_mask + 1) * sizeof(*b->slots));
    memset(b->key_slots, 0, sizeof(b->key_slots));
    memset(b->positions, 0, sizeof(b->positions));
    memset(b->names, 0, sizeof(b->names));
    add_resources(b, block);
    uint32_t failed_scope = UINT32_MAX;
    for (uint32_t i = 0; i < spans && !b->damaged; i++) {
        uint32_t scope;
        ut_bytes record = ut_block_builder_record(block, i, &scope);
        add_span(b, record, scope);
        if (ut_block_builder_span(block, i)->status == UT_STATUS_ERROR && scope != failed_scope) {
            add_failure(b, block, scope);
            failed_scope = scope;
        }
    }
    return b->damaged ? UT_BYTES_NONE : finish(b, spans);
}
