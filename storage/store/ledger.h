// The ledger: destinations and their counters, one delivery entry for every block and destination,
// dead letters. For every destination, at any moment: accepted = delivered + dead + expired +
// evicted + pending. Not for deciding when to try again: that is the dispatcher's.
//
// Functions that take a store work inside its write transaction, on next_ledger. All may return
// errors of the engine and UT_ENOMEM.
#ifndef UT_STORAGE_STORE_LEDGER_H
#define UT_STORAGE_STORE_LEDGER_H

#include "storage/store/store_core.h"

ut_err ut_ledger_read(ut_txn *txn, ut_ledger *ledger); // UT_ECORRUPT
ut_err ut_ledger_write(ut_store *store);               // the destinations that changed

// Adds one entry for every active destination of org.
ut_err ut_ledger_accept(ut_store *store, uint32_t org, uint64_t seq, uint32_t spans);

// Writes a mark. One for a block that is gone or damaged is passed, and one of more dead spans than
// the block has is cut.
ut_err ut_ledger_mark(ut_store *store, const ut_delivery *mark);

// Takes a block out of the ledger. *pending: the most spans that one destination has not got.
ut_err ut_ledger_remove(ut_store *store, uint32_t org, uint64_t seq, bool expired,
                        uint32_t *pending);

// *pending: the most spans of the block that one destination waits for. txn: any, also a reader's.
ut_err ut_ledger_pending(const ut_ledger *ledger, ut_txn *txn, uint32_t org, uint64_t seq,
                         uint32_t *pending);

// ---- for a block that is written anew ----

// The entries of one block while its spans are written anew.
typedef struct {
    uint32_t count;
    struct {
        ut_delivery delivery;
        uint8_t dead[UT_BLOCK_SPANS_MAX / 8]; // bit n: the span with ordinal n is a dead letter
    } entries[UT_STORE_DESTINATIONS_MAX];
} ut_ledger_taken;

// Takes all entries of a block and its dead letters out; pending spans then count as expired.
ut_err ut_ledger_take(ut_store *store, uint32_t org, uint64_t seq, ut_ledger_taken *taken);
// Puts the entries back for block seq, which holds the spans that had these ordinals, in this
// order; its pending spans do not count as expired any more.
ut_err ut_ledger_give(ut_store *store, const ut_ledger_taken *taken, uint32_t org, uint64_t seq,
                      const uint16_t *ordinals, uint32_t count);

#endif
