// A write transaction of the store: the engine's transaction together with counters and
// destinations, which are committed or taken back with it. One at a time, on the store thread.
#ifndef UT_STORAGE_STORE_STORE_TXN_H
#define UT_STORAGE_STORE_STORE_TXN_H

#include "storage/store/store_core.h"

// Begins a write transaction in store->txn and takes next_state and next_ledger from the committed
// ones. After a commit that ended in doubt it reads those from the engine first. UT_ECORRUPT,
// errors of the engine.
ut_err ut_store_begin_write(ut_store *store);
// Writes next_state and the changed destinations, commits, and makes next_* the committed ones.
// After an error nothing is changed, except after UT_EIO, when the engine may have committed: the
// next begin reads what it did. The transaction is over in either case.
ut_err ut_store_end_write(ut_store *store);
void ut_store_abort_write(ut_store *store);

// Reads the counters in any transaction. UT_ENOTFOUND, UT_ECORRUPT, errors of the engine.
ut_err ut_store_read_state(ut_txn *txn, ut_record_state *state);
// Writes the format version in txn. UT_ENOMEM, errors of the engine.
ut_err ut_store_write_version(ut_store *store, ut_txn *txn, uint32_t version);

#endif
