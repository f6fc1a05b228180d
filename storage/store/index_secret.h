// The secret of the trace index, its record, and the keys that are made of it. Not for what is
// hashed with them: trace_run.h, trace_index.h.
#ifndef UT_STORAGE_STORE_INDEX_SECRET_H
#define UT_STORAGE_STORE_INDEX_SECRET_H

#include "port/base/buf.h"
#include "port/base/siphash.h"
#include "storage/engine.h"

// The secret of a store by which trace ids and spans are hashed, so that nobody outside can choose
// ids that meet.
typedef struct {
    uint8_t bytes[UT_SIPHASH_KEY_LEN];
    uint64_t from_seq; // blocks before it are of format version 1 or 2
} ut_index_secret;

#define UT_INDEX_SECRET_NAME "index" // of its record, of the kind M

// Reads the secret. UT_ENOTFOUND: the store has no index yet. UT_ECORRUPT, errors of the engine.
ut_err ut_index_secret_read(ut_txn *txn, ut_index_secret *secret);
// Writes a new one. UT_EIO: no random bytes. UT_ENOMEM, errors of the engine.
ut_err ut_index_secret_make(ut_txn *txn, ut_buf *value, ut_index_secret *secret);

// The key of filters over trace ids.
ut_siphash_key ut_index_filter_key(const ut_index_secret *secret);
// The key of digests. filter_seed: of the block (ut_keyring_filter_seed), so that the digests of an
// encrypted block tell nothing without its keys.
ut_siphash_key ut_index_digest_key(const ut_index_secret *secret, uint64_t filter_seed);

#endif
