// Data keys, in memory and as a record; see keyring.h and docs/FORMAT.md.
// Not for encrypting blocks: block.c does that with what it gets from here.
#include "storage/store/keyring.h"

#include "port/port.h"
#include "storage/span/msgpack.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <xxhash.h>

enum {
    RECORD_VERSION = 1,
    RECORD_FIELDS = 4,
    CONTENT_FIELDS = 3,
    KEY_FIELDS = 3,
    CONTENT_MAX = 64 + 64 * UT_KEYRING_KEYS_MAX,
};

typedef struct {
    uint32_t id;        // from 1 up
    uint64_t first_seq; // blocks from here on, up to the next key's
    uint8_t key[UT_CIPHER_KEY_LEN];
} data_key;

// The contents of the record.
typedef struct {
    uint64_t from_seq; // blocks before it are plain
    uint64_t filter_seed;
    uint32_t count;
    data_key keys[UT_KEYRING_KEYS_MAX]; // oldest first
} content;

struct ut_keyring {
    // Held for a few copies only. The store thread changes the keys, others look one up when they
    // come to a block under a key that is not the last one they had: too seldom for a real lock,
    // which this room does not have.
    atomic_flag busy;
    content content;
    uint8_t master[UT_CIPHER_KEY_LEN];
    uint64_t uses; // of the newest key, by this process
    bool follows;
};

// Binds a record to its place.
static const uint8_t associated[] = "untrace keyring 1";

static void enter(ut_keyring *keyring)
{
    while (atomic_flag_test_and_set_explicit(&keyring->busy, memory_order_acquire))
        continue;
}

static void leave(ut_keyring *keyring)
{
    atomic_flag_clear_explicit(&keyring->busy, memory_order_release);
}

static ut_keyring *make(const uint8_t *master)
{
    ut_keyring *keyring = calloc(1, sizeof(*keyring));
    if (keyring == NULL)
        return NULL;
    atomic_flag_clear(&keyring->busy);
    memcpy(keyring->master, master, sizeof(keyring->master));
    return keyring;
}

void ut_keyring_free(ut_keyring *keyring)
{
    if (keyring == NULL)
        return;
    ut_wipe(keyring, sizeof(*keyring));
    free(keyring);
}

static ut_err add_key(ut_keyring *keyring, uint32_t id, uint64_t first_seq)
{
    UT_ASSERT(keyring->content.count < UT_KEYRING_KEYS_MAX);
    data_key *key = &keyring->content.keys[keyring->content.count];
    *key = (data_key){.id = id, .first_seq = first_seq};
    ut_err err = ut_random(key->key, sizeof(key->key));
    if (err == UT_OK)
        keyring->content.count += 1;
    return err;
}

ut_err ut_keyring_new(const uint8_t master[UT_CIPHER_KEY_LEN], uint64_t from_seq, ut_keyring **out)
{
    ut_keyring *keyring = make(master);
    if (keyring == NULL)
        return UT_ENOMEM;
    keyring->content.from_seq = from_seq;
    ut_err err = ut_random(&keyring->content.filter_seed, sizeof(keyring->content.filter_seed));
    if (keyring->content.filter_seed == 0)
        keyring->content.filter_seed = 1; // 0 says that there is none
    if (err == UT_OK)
        err = add_key(keyring, 1, from_seq);
    if (err != UT_OK)
        ut_keyring_free(keyring);
    else
        *out = keyring;
    return err;
}

// ---- the record ----

static void write_content(ut_buf *out, const content *c)
{
    ut_mp_put_array(out, CONTENT_FIELDS);
    ut_mp_put_uint(out, c->from_seq);
    ut_mp_put_uint(out, c->filter_seed);
    ut_mp_put_array(out, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        ut_mp_put_array(out, KEY_FIELDS);
        ut_mp_put_uint(out, c->keys[i].id);
        ut_mp_put_uint(out, c->keys[i].first_seq);
        ut_mp_put_bin(out, (ut_bytes){c->keys[i].key, UT_CIPHER_KEY_LEN});
    }
}

static ut_err read_content(ut_bytes bytes, content *c)
{
    ut_mp_reader reader = ut_mp_reader_of(bytes);
    if (ut_mp_get_array(&reader) < CONTENT_FIELDS)
        return UT_ECORRUPT;
    c->from_seq = ut_mp_get_uint(&reader);
    c->filter_seed = ut_mp_get_uint(&reader);
    uint32_t count = ut_mp_get_array(&reader);
    if (reader.err != UT_OK || count == 0 || count > UT_KEYRING_KEYS_MAX)
        return UT_ECORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        data_key *key = &c->keys[i];
        uint32_t fields = ut_mp_get_array(&reader);
        uint64_t id = ut_mp_get_uint(&reader);
        key->first_seq = ut_mp_get_uint(&reader);
        ut_bytes bits = ut_mp_get_bin(&reader);
        if (reader.err != UT_OK || fields < KEY_FIELDS || id == 0 || id > UINT32_MAX ||
            bits.len != UT_CIPHER_KEY_LEN)
            return UT_ECORRUPT;
        for (uint32_t k = KEY_FIELDS; k < fields; k++)
            (void)ut_mp_skip(&reader); // the error is sticky
        key->id = (uint32_t)id;
        memcpy(key->key, bits.data, UT_CIPHER_KEY_LEN);
        c->count = i + 1;
    }
    return reader.err == UT_OK ? UT_OK : UT_ECORRUPT;
}

ut_err ut_keyring_write(const ut_keyring *keyring, ut_buf *record)
{
    uint8_t nonce[UT_CIPHER_NONCE_LEN];
    ut_cipher *cipher = NULL;
    ut_buf sealed;
    ut_buf_init(&sealed, CONTENT_MAX + UT_CIPHER_TAG_LEN);
    // All at once, so that no half of it is left behind by growing.
    (void)ut_buf_reserve(&sealed, CONTENT_MAX + UT_CIPHER_TAG_LEN); // the error is sticky
    write_content(&sealed, &keyring->content);
    ut_err err = sealed.err;
    if (err == UT_OK)
        err = ut_random(nonce, sizeof(nonce));
    if (err == UT_OK)
        err = ut_cipher_new(keyring->master, &cipher);
    if (err == UT_OK) {
        uint8_t tag[UT_CIPHER_TAG_LEN] = {0};
        err = ut_cipher_seal(cipher, nonce, ut_bytes_of(associated, sizeof(associated)),
                             sealed.data, sealed.len, tag);
        ut_buf_add(&sealed, tag, sizeof(tag));
    }
    if (err == UT_OK)
        err = sealed.err;
    if (err == UT_OK) {
        ut_mp_put_array(record, RECORD_FIELDS);
        ut_mp_put_uint(record, RECORD_VERSION);
        ut_mp_put_bin(record, ut_bytes_of(nonce, sizeof(nonce)));
        ut_mp_put_bin(record, ut_buf_bytes(&sealed));
        ut_mp_put_uint(record, XXH32(sealed.data, sealed.len, RECORD_VERSION));
        err = record->err;
    } else if (sealed.data != NULL) {
        ut_wipe(sealed.data, sealed.len);
    }
    ut_cipher_free(cipher);
    ut_buf_free(&sealed);
    return err;
}

ut_err ut_keyring_read(ut_bytes record, const uint8_t master[UT_CIPHER_KEY_LEN], ut_keyring **out)
{
    ut_mp_reader reader = ut_mp_reader_of(record);
    uint32_t fields = ut_mp_get_array(&reader);
    uint64_t version = ut_mp_get_uint(&reader);
    if (reader.err != UT_OK || fields < 1)
        return UT_ECORRUPT;
    if (version != RECORD_VERSION)
        return UT_EVERSION;
    ut_bytes nonce = ut_mp_get_bin(&reader);
    ut_bytes sealed = ut_mp_get_bin(&reader);
    uint64_t checksum = ut_mp_get_uint(&reader);
    // The checksum tells damage from another key, which the tag alone cannot.
    if (reader.err != UT_OK || fields < RECORD_FIELDS || nonce.len != UT_CIPHER_NONCE_LEN ||
        sealed.len <= UT_CIPHER_TAG_LEN || sealed.len > CONTENT_MAX + UT_CIPHER_TAG_LEN ||
        XXH32(sealed.data, sealed.len, RECORD_VERSION) != checksum)
        return UT_ECORRUPT;
    uint8_t clear[CONTENT_MAX];
    size_t len = sealed.len - UT_CIPHER_TAG_LEN;
    ut_cipher *cipher = NULL;
    ut_keyring *keyring = make(master);
    if (keyring == NULL)
        return UT_ENOMEM;
    ut_err err = ut_cipher_new(master, &cipher);
    if (err == UT_OK) {
        memcpy(clear, sealed.data, len);
        err = ut_cipher_open(cipher, nonce.data, ut_bytes_of(associated, sizeof(associated)), clear,
                             len, sealed.data + len);
        if (err == UT_ECORRUPT)
            err = UT_EPERM;
    }
    if (err == UT_OK)
        err = read_content((ut_bytes){clear, len}, &keyring->content);
    ut_wipe(clear, sizeof(clear));
    ut_cipher_free(cipher);
    if (err != UT_OK)
        ut_keyring_free(keyring);
    else
        *out = keyring;
    return err;
}

// ---- changes ----

ut_err ut_keyring_renew(const ut_keyring *keyring, const uint8_t *master, uint64_t oldest_seq,
                        uint64_t next_seq, ut_keyring **out)
{
    const content *from = &keyring->content;
    ut_keyring *renewed = make(master != NULL ? master : keyring->master);
    if (renewed == NULL)
        return UT_ENOMEM;
    renewed->content.from_seq = from->from_seq;
    renewed->content.filter_seed = from->filter_seed;
    // The blocks of a key end where those of the next begin; the newest ends at next_seq.
    for (uint32_t i = 0; i < from->count; i++) {
        uint64_t end = i + 1 < from->count ? from->keys[i + 1].first_seq : next_seq;
        if (end > oldest_seq && end > from->keys[i].first_seq)
            renewed->content.keys[renewed->content.count++] = from->keys[i];
    }
    ut_err err = renewed->content.count == UT_KEYRING_KEYS_MAX ? UT_ELIMIT : UT_OK;
    if (err == UT_OK)
        err = add_key(renewed, from->keys[from->count - 1].id + 1, next_seq);
    if (err != UT_OK)
        ut_keyring_free(renewed);
    else
        *out = renewed;
    return err;
}

void ut_keyring_replace(ut_keyring *keyring, ut_keyring *from)
{
    enter(keyring);
    keyring->content.count = from->content.count;
    memcpy(keyring->content.keys, from->content.keys, sizeof(keyring->content.keys));
    leave(keyring);
    memcpy(keyring->master, from->master, sizeof(keyring->master));
    keyring->uses = 0;
    ut_keyring_free(from);
}

ut_err ut_keyring_settle(ut_keyring *keyring, ut_keyring *renewed, ut_bytes record)
{
    const content *wanted = &renewed->content;
    ut_keyring *stored = NULL;
    bool is_stored = false;
    ut_err err = ut_keyring_read(record, renewed->master, &stored);
    if (err != UT_OK && err != UT_EPERM)
        return err;
    if (err == UT_OK) {
        const content *found = &stored->content;
        is_stored = found->keys[found->count - 1].id == wanted->keys[wanted->count - 1].id;
    }
    ut_keyring_free(stored);
    if (is_stored)
        ut_keyring_replace(keyring, renewed);
    else
        ut_keyring_free(renewed);
    return UT_OK;
}

void ut_keyring_follow(ut_keyring *keyring)
{
    keyring->follows = true;
}

ut_err ut_keyring_learn(ut_keyring *keyring, ut_bytes record)
{
    if (!keyring->follows)
        return UT_ENOTFOUND;
    ut_keyring *newer = NULL;
    ut_err err = ut_keyring_read(record, keyring->master, &newer);
    if (err == UT_OK)
        ut_keyring_replace(keyring, newer);
    return err;
}

bool ut_keyring_is_due(const ut_keyring *keyring, uint64_t next_seq, uint64_t blocks_max)
{
    const data_key *newest = &keyring->content.keys[keyring->content.count - 1];
    return next_seq - newest->first_seq + keyring->uses >= blocks_max;
}

uint32_t ut_keyring_count(const ut_keyring *keyring)
{
    return keyring->content.count;
}

uint64_t ut_keyring_filter_seed(const ut_keyring *keyring, uint64_t seq)
{
    // Both are the same as long as the store lives, and never written to again.
    return keyring != NULL && seq >= keyring->content.from_seq ? keyring->content.filter_seed : 0;
}

// ---- use ----

static ut_err fill_slot(ut_keyring_slot *slot, data_key *key)
{
    ut_cipher *cipher = NULL;
    ut_err err = ut_cipher_new(key->key, &cipher);
    if (err == UT_OK) {
        ut_cipher_free(slot->cipher);
        *slot = (ut_keyring_slot){cipher, key->id};
    }
    ut_wipe(key, sizeof(*key));
    return err;
}

ut_err ut_keyring_get(ut_keyring *keyring, uint32_t key_id, ut_keyring_slot *slot)
{
    if (key_id == 0)
        return UT_ENOTFOUND;
    if (slot->key_id == key_id)
        return UT_OK;
    data_key key = {0};
    enter(keyring);
    for (uint32_t i = 0; i < keyring->content.count; i++) {
        if (keyring->content.keys[i].id == key_id)
            key = keyring->content.keys[i];
    }
    leave(keyring);
    return key.id == 0 ? UT_ENOTFOUND : fill_slot(slot, &key);
}

ut_err ut_keyring_get_newest(ut_keyring *keyring, ut_keyring_slot *slot,
                             uint8_t nonce[UT_CIPHER_NONCE_LEN])
{
    // Only this thread changes the keys.
    data_key key = keyring->content.keys[keyring->content.count - 1];
    ut_err err = ut_random(nonce, UT_CIPHER_NONCE_LEN);
    if (err == UT_OK && slot->key_id != key.id)
        err = fill_slot(slot, &key);
    ut_wipe(&key, sizeof(key));
    keyring->uses += 1;
    return err;
}

void ut_keyring_slot_free(ut_keyring_slot *slot)
{
    ut_cipher_free(slot->cipher);
    *slot = (ut_keyring_slot){NULL, 0};
}
