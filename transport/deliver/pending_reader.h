// Reads one destination's pending entries out of the ledger, in order and each once, and gathers
// their blocks into batches of the size that the destination wants. Not for encoding or sending.
#ifndef UT_TRANSPORT_PENDING_READER_H
#define UT_TRANSPORT_PENDING_READER_H

#include "transport/deliver/destination.h"
#include "transport/deliver/delivery_batch.h"

enum { UT_GATHERER_SCAN_MAX = 256 }; // ledger entries looked at in one call

typedef struct {
    const ut_destination_config *destination;
    ut_out_pool *pool;
    uint64_t last_seq;     // that the store has
    uint64_t scanned_seq;  // last_seq when the ledger was last read to its end
    uint64_t cursor;       // the last entry read
    ut_out_batch *growing; // NULL: none
    ut_out_batch *full;    // complete; nothing more is read until it is taken
    uint32_t span_bytes;   // of an encoded span, on average; 0: not known yet
} ut_gatherer;

// Reads on until a batch is complete, the ledger ends, or UT_GATHERER_SCAN_MAX entries are passed.
// UT_ENOMEM, UT_EIO and what else ut_store_view_begin returns: it can go on later.
ut_err ut_gatherer_read(ut_gatherer *gatherer, ut_store_view *view, uint64_t now_ms);

// True when there may be more to read at once.
bool ut_gatherer_more(const ut_gatherer *gatherer);

// When the next batch is to go: a full one at once (0), a growing one when its oldest block has
// waited long enough, none never (UINT64_MAX).
uint64_t ut_gatherer_due_ms(const ut_gatherer *gatherer);

// Takes the batch that is due; NULL when there is none.
ut_out_batch *ut_gatherer_take(ut_gatherer *gatherer, uint64_t now_ms);

// Learns from a batch how large its spans are, so that the next one hardly ever passes
// batch_bytes_max.
void ut_gatherer_learn(ut_gatherer *gatherer, size_t bytes, uint32_t spans);

#endif
