// Writing one block with its records, for a commit and for blocks that are written anew. The group
// commit itself is ut_store_commit in store.h.
#ifndef UT_STORAGE_STORE_STORE_COMMIT_H
#define UT_STORAGE_STORE_STORE_COMMIT_H

#include "storage/store/store_core.h"

// Writes the spans in the builder as a block that was received at received_ns, with all its records
// but those of the ledger, and empties the builder. Its spans were planned and looked up. The block
// counts as stored, its spans do not. *seq: out, 0 when the builder is empty. Inside a write
// transaction. UT_ENOMEM, UT_ELIMIT, errors of the engine.
ut_err ut_store_write_block(ut_store *store, uint32_t org, uint32_t hour, uint64_t received_ns,
                            uint64_t *seq);

#endif
