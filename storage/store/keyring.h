// The data keys of an encrypted store. Blocks are encrypted under the newest of them; all stand in
// one record, which is encrypted under the master key. So a change of the master key writes one
// record anew and no block. Not for the master key's origin (agent/config/master_key.h), and not
// for transactions: store_keys.c.
//
// Looking a data key up is for any thread, all else for the store thread. A keyring keeps the keys
// in memory, the master key too (a new data key has to be wrapped), and overwrites them when it is
// freed.
#ifndef UT_STORAGE_STORE_KEYRING_H
#define UT_STORAGE_STORE_KEYRING_H

#include "port/base/buf.h"
#include "storage/crypt/cipher.h"

#define UT_KEYRING_NAME "keyring" // of its record, of the kind M

enum {
    // Data keys in one record, which fits in a page. A key leaves with the last block under it.
    UT_KEYRING_KEYS_MAX = 48,
    // Blocks under one data key. Nonces are random: with 2^32 of 96 bits the chance of two equal
    // ones is 2^-33, which is where NIST SP 800-38D draws the line. A sixteenth of that leaves room
    // for blocks that were encrypted and not committed, which nobody counts over a restart.
    UT_KEYRING_BLOCKS_MAX = 1 << 28,
};

typedef struct ut_keyring ut_keyring;

// A keyring with one data key and a seed for filters, both random. from_seq: the next block.
// UT_EIO: no random bytes. UT_ENOMEM.
ut_err ut_keyring_new(const uint8_t master[UT_CIPHER_KEY_LEN], uint64_t from_seq,
                      ut_keyring **keyring);
void ut_keyring_free(ut_keyring *keyring); // NULL is ignored

// Appends the record. UT_EIO, UT_ENOMEM.
ut_err ut_keyring_write(const ut_keyring *keyring, ut_buf *record);
// UT_EPERM: another master key. UT_ECORRUPT: the record is damaged. UT_EVERSION, UT_ENOMEM.
ut_err ut_keyring_read(ut_bytes record, const uint8_t master[UT_CIPHER_KEY_LEN],
                       ut_keyring **keyring);

// A copy with a new data key, for blocks from next_seq on, without those that only blocks before
// oldest_seq stand under. master: NULL keeps the master key. UT_ELIMIT: UT_KEYRING_KEYS_MAX data
// keys have blocks. UT_EIO, UT_ENOMEM.
ut_err ut_keyring_renew(const ut_keyring *keyring, const uint8_t *master, uint64_t oldest_seq,
                        uint64_t next_seq, ut_keyring **renewed);
// Puts the keys of `from`, which is freed, in the place of those of keyring.
void ut_keyring_replace(ut_keyring *keyring, ut_keyring *from);
// After a commit of renewed that failed, and may have happened: when record, what is stored now, is
// that of renewed, its keys take the place of keyring's. renewed is freed. Errors, which leave both
// as they are: UT_ECORRUPT, UT_EVERSION, UT_ENOMEM.
ut_err ut_keyring_settle(ut_keyring *keyring, ut_keyring *renewed, ut_bytes record);

// A process that only reads a store learns the data keys that the writing one makes. Its views are
// then on one thread.
void ut_keyring_follow(ut_keyring *keyring);
// Takes up the keys of a newer record. UT_ENOTFOUND: this is not the keyring of a process that only
// reads. Else as ut_keyring_read.
ut_err ut_keyring_learn(ut_keyring *keyring, ut_bytes record);

// True when the newest data key has served long enough. blocks_max: of one data key.
bool ut_keyring_is_due(const ut_keyring *keyring, uint64_t next_seq, uint64_t blocks_max);

uint32_t ut_keyring_count(const ut_keyring *keyring);

// The seed of filters over what block seq holds: secret, so that a filter does not tell by itself
// which words are in it. 0 for blocks from before the store was encrypted, and without a keyring
// (NULL). Any thread.
uint64_t ut_keyring_filter_seed(const ut_keyring *keyring, uint64_t seq);

// A data key made ready; kept by each thread that uses the keyring. All zero: none.
typedef struct {
    ut_cipher *cipher;
    uint32_t key_id;
} ut_keyring_slot;

// Makes slot hold data key key_id. Any thread. UT_ENOTFOUND, UT_ENOMEM.
ut_err ut_keyring_get(ut_keyring *keyring, uint32_t key_id, ut_keyring_slot *slot);
// The newest data key, and a fresh nonce for it. UT_EIO, UT_ENOMEM.
ut_err ut_keyring_get_newest(ut_keyring *keyring, ut_keyring_slot *slot,
                             uint8_t nonce[UT_CIPHER_NONCE_LEN]);
void ut_keyring_slot_free(ut_keyring_slot *slot);

#endif
