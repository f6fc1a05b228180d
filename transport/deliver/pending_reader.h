// Reads one destination's pending entries out of the ledger, in order and each once, and gathers
// their blocks into batches of the size that the destination wants. Not for encoding or sending.
#ifndef UT_TRANSPORT_DELIVER_PENDING_READER_H
#define UT_TRANSPORT_DELIVER_PENDING_READER_H

#include "transport/deliver/destination.h"
#include "transport/deliver/delivery_batch.h"

enum { UT_PENDING_READER_SCAN_MAX = 256 }; // ledger entries looked at in one call

typedef struct {
    const ut_destination_config *destination;
    ut_delivery_pool *pool;
    uint64_t last_seq;          // that the store has
    uint64_t scanned_seq;       // last_seq when the ledger was last read to its end
    uint64_t cursor;            // the last entry read
    ut_delivery_batch *growing; // NULL: none
    ut_delivery_batch *full;    // complete; nothing more is read until it is taken
    uint32_t span_bytes;        // of an encoded span, on average; 0: not known yet
} ut_pending_reader;

// Reads on until a batch is complete, the ledger ends, or UT_PENDING_READER_SCAN_MAX entries are
// passed. UT_ENOMEM, UT_EIO and what else ut_store_view_begin returns: it can go on later.
ut_err ut_pending_reader_read(ut_pending_reader *reader, ut_store_view *view, uint64_t now_ms);

// True when there may be more to read at once.
bool ut_pending_reader_more(const ut_pending_reader *reader);

// When the next batch is to go: a full one at once (0), a growing one when its oldest block has
// waited long enough, none never (UINT64_MAX).
uint64_t ut_pending_reader_due_ms(const ut_pending_reader *reader);

// Takes the batch that is due; NULL when there is none.
ut_delivery_batch *ut_pending_reader_take(ut_pending_reader *reader, uint64_t now_ms);

// Learns from a batch how large its spans are, so that the next one hardly ever passes
// batch_bytes_max.
void ut_pending_reader_learn(ut_pending_reader *reader, size_t bytes, uint32_t spans);

#endif
