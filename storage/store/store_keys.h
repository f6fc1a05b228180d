// The data keys of an open store: opening it with a master key, sealing blocks, new keys. A keyring
// itself is keyring.h; blocks are opened by ut_store_read_block.
#ifndef UT_STORAGE_STORE_STORE_KEYS_H
#define UT_STORAGE_STORE_STORE_KEYS_H

#include "storage/store/store_core.h"

// Reads the data keys with config's master key, or begins to encrypt; after counters and
// destinations are read. Faults.
ut_err ut_store_keys_open(ut_store *store, const ut_store_config *config, ut_fault *fault);
void ut_store_keys_close(ut_store *store);

// Makes a new data key when the newest has served long enough, and finds out which keys are stored
// after a renewal that failed; before blocks are sealed, outside of transactions. Errors of the
// engine; UT_ENOMEM, UT_ECORRUPT.
ut_err ut_store_keys_keep_fresh(ut_store *store);

// Seals the spans in the builder into store->sealed as block seq, encrypted when the store is.
ut_err ut_store_keys_seal(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns,
                          uint32_t hour);

#endif
