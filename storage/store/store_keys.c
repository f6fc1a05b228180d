// The data keys of a store: opening it with a master key, sealing blocks, new keys. What a keyring
// is stands in keyring.h; reading with it, in store_view.c.
#include "storage/store/store_keys.h"

#include "storage/store/block_store.h"
#include "storage/store/key.h"
#include "storage/store/retention.h"
#include "storage/store/store_txn.h"

// ---- opening ----

static ut_err put_keyring(ut_store *store, ut_txn *txn, const ut_keyring *keyring)
{
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_err err = ut_keyring_write(keyring, &store->value);
    ut_key key = ut_key_meta(UT_KEYRING_NAME);
    return err == UT_OK ? ut_txn_put(txn, ut_key_bytes(&key), ut_buf_bytes(&store->value)) : err;
}

static ut_err begin_encryption(ut_store *store, ut_txn *txn, const uint8_t *master)
{
    ut_err err = ut_keyring_new(master, store->state.next_seq, &store->keyring);
    if (err == UT_OK)
        err = put_keyring(store, txn, store->keyring);
    // From now on an older program refuses the store as a whole.
    return err == UT_OK ? ut_store_write_version(store, txn, UT_STORE_FORMAT_VERSION) : err;
}

static ut_err read_keyring(ut_store *store, ut_bytes record, const ut_store_config *config,
                           ut_fault *fault)
{
    if (config->master_key == NULL)
        return ut_fault_set(fault, UT_EPERM,
                            "the store is encrypted, and no key was given: set storage.encryption "
                            "in the configuration, or UNTRACE_KEY_FILE to the file with the key");
    ut_err err = ut_keyring_read(record, config->master_key, &store->keyring);
    switch (err) {
    case UT_OK:
        return UT_OK;
    case UT_EPERM:
        return ut_fault_set(fault, err,
                            "the key in %s is not the one this store was encrypted with",
                            config->master_key_name_z);
    case UT_EVERSION:
        return ut_fault_set(fault, err, "a newer program wrote the keys of the store; use that");
    case UT_ECORRUPT:
        return ut_fault_set(fault, err, "the record of the store's keys is damaged");
    default:
        return ut_fault_set(fault, err, "the keys of the store cannot be read: %s",
                            ut_err_text(err));
    }
}

ut_err ut_store_keys_open(ut_store *store, const ut_store_config *config, ut_fault *fault)
{
    store->blocks_per_key =
        config->blocks_per_key != 0 ? config->blocks_per_key : UT_KEYRING_BLOCKS_MAX;
    ut_txn *txn;
    ut_err err = ut_engine_begin(store->engine, true, &txn);
    bool writes = err != UT_EPERM;
    if (!writes)
        err = ut_engine_begin(store->engine, false, &txn);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "the keys of the store cannot be read: %s",
                            ut_err_text(err));
    ut_key key = ut_key_meta(UT_KEYRING_NAME);
    ut_bytes record;
    bool begun = false;
    err = ut_txn_get(txn, ut_key_bytes(&key), &record);
    if (err == UT_OK) {
        err = read_keyring(store, record, config, fault);
    } else if (err == UT_ENOTFOUND &&
               (config->master_key == NULL || config->keep_plain || !writes)) {
        err = UT_OK;
    } else {
        begun = err == UT_ENOTFOUND;
        if (begun)
            err = begin_encryption(store, txn, config->master_key);
        if (err != UT_OK)
            (void)ut_fault_set(fault, err, "the keys of the store cannot be written: %s",
                               ut_err_text(err));
    }
    if (begun && err == UT_OK) {
        err = ut_txn_commit(txn);
        if (err != UT_OK)
            (void)ut_fault_set(fault, err, "the keys of the store cannot be written: %s",
                               ut_err_text(err));
    } else {
        ut_txn_abort(txn);
    }
    if (err != UT_OK)
        return err;
    if (begun && store->state.counts.blocks_stored > 0)
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the store is encrypted from block %llu on; what was stored before stays "
                     "readable without a key until it expires",
                     (unsigned long long)store->state.next_seq);
    if (store->keyring != NULL && !writes)
        ut_keyring_follow(store->keyring);
    store->engine->keyring = store->keyring;
    return UT_OK;
}

void ut_store_keys_close(ut_store *store)
{
    store->engine->keyring = NULL;
    ut_keyring_slot_free(&store->newest_key);
    ut_keyring_free(store->keyring_in_doubt);
    ut_keyring_free(store->keyring);
}

// ---- new keys ----

// The oldest block there is; next_seq when there is none.
static ut_err find_oldest(ut_txn *txn, uint64_t next_seq, uint64_t *oldest)
{
    ut_cursor *cursor;
    uint32_t org;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    err = ut_block_store_find_oldest(cursor, &org, oldest);
    ut_cursor_close(cursor);
    if (err != UT_ENOTFOUND)
        return err;
    *oldest = next_seq;
    return UT_OK;
}

// After a commit of new keys that failed the store may have them all the same: what is stored is
// what counts. Inside the transaction under way.
static ut_err settle(ut_store *store)
{
    if (store->keyring_in_doubt == NULL)
        return UT_OK;
    ut_key key = ut_key_meta(UT_KEYRING_NAME);
    ut_bytes record;
    ut_err err = ut_txn_get(store->txn, ut_key_bytes(&key), &record);
    if (err == UT_ENOTFOUND)
        return UT_ECORRUPT;
    if (err == UT_OK)
        err = ut_keyring_settle(store->keyring, store->keyring_in_doubt, record);
    if (err == UT_OK)
        store->keyring_in_doubt = NULL;
    return err;
}

// master: NULL keeps it.
static ut_err renew(ut_store *store, const uint8_t *master)
{
    ut_keyring *renewed = NULL;
    uint64_t oldest;
    ut_err err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    uint64_t next_seq = store->state.next_seq;
    err = settle(store);
    if (err == UT_OK)
        err = find_oldest(store->txn, next_seq, &oldest);
    if (err == UT_OK)
        err = ut_keyring_renew(store->keyring, master, oldest, next_seq, &renewed);
    if (err == UT_OK)
        err = put_keyring(store, store->txn, renewed);
    if (err != UT_OK) {
        ut_store_abort_write(store);
        ut_keyring_free(renewed);
        return err;
    }
    err = ut_store_end_write(store);
    if (err == UT_OK)
        ut_keyring_replace(store->keyring, renewed);
    else
        store->keyring_in_doubt = renewed;
    return err;
}

static ut_err settle_alone(ut_store *store)
{
    if (store->keyring_in_doubt == NULL)
        return UT_OK;
    ut_err err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    err = settle(store);
    ut_store_abort_write(store);
    return err;
}

ut_err ut_store_keys_keep_fresh(ut_store *store)
{
    if (store->keyring == NULL)
        return UT_OK;
    ut_err err = settle_alone(store);
    if (err != UT_OK ||
        !ut_keyring_is_due(store->keyring, store->state.next_seq, store->blocks_per_key))
        return err;
    err = renew(store, NULL);
    // The newest key serves on: the bound has room for it, and blocks are leaving.
    return err == UT_ELIMIT ? UT_OK : err;
}

ut_err ut_store_rekey(ut_store *store, const uint8_t *master_key, ut_fault *fault)
{
    if (store->keyring == NULL)
        return ut_fault_set(fault, UT_EINVAL,
                            "the store is not encrypted; storage.encryption in the configuration "
                            "of the agent makes it so");
    const ut_demand demand = {.data_bytes = UT_CIPHER_KEY_LEN * 4 * UT_KEYRING_KEYS_MAX,
                              .touches = 4};
    ut_err err = ut_retention_make_room(store, &demand);
    if (err == UT_OK)
        err = renew(store, master_key);
    if (err == UT_EIO)
        return ut_fault_set(fault, err,
                            "writing the keys failed, and either of the two may be the right one "
                            "now; do it again, and keep both until it succeeds");
    if (err == UT_ELIMIT)
        return ut_fault_set(fault, err,
                            "%d data keys still have blocks; do it again when the oldest blocks "
                            "have expired",
                            UT_KEYRING_KEYS_MAX);
    return err == UT_OK ? UT_OK
                        : ut_fault_set(fault, err, "the key was not changed: %s", ut_err_text(err));
}

uint32_t ut_store_data_keys(const ut_store *store)
{
    return store->keyring == NULL ? 0 : ut_keyring_count(store->keyring);
}

// ---- blocks ----

ut_err ut_store_keys_seal(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns,
                          uint32_t hour)
{
    if (store->keyring == NULL)
        return ut_block_seal(store->builder, now_ns, hour, &store->sealed);
    ut_block_lock lock = {.org = org, .seq = seq};
    ut_err err = ut_keyring_get_newest(store->keyring, &store->newest_key, lock.nonce);
    if (err != UT_OK)
        return err;
    lock.cipher = store->newest_key.cipher;
    lock.key_id = store->newest_key.key_id;
    return ut_block_seal_encrypted(store->builder, now_ns, hour, &lock, &store->sealed);
}
