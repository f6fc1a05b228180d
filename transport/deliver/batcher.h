// Makes the body of a request: reads the blocks of a batch out of the store, encodes them one
// behind the other, and compresses the whole. The store's view is open only during that. One for
// all destinations of a dispatcher.
#ifndef UT_TRANSPORT_DELIVER_BATCHER_H
#define UT_TRANSPORT_DELIVER_BATCHER_H

#include "adapters/encoding/gzip.h"
#include "transport/deliver/destination.h"
#include "transport/deliver/delivery_batch.h"

enum {
    // Of a body before compression: what OTLP recommends receivers to take. A span that alone is
    // larger is not sent.
    UT_BATCHER_BODY_BYTES_MAX = 64 * 1024 * 1024,
};

typedef struct {
    ut_store_view *view;
    ut_gzip *gzip;  // NULL until a destination wants it
    ut_buf payload; // of the block that is being read
    ut_buf plain;   // the body before compression
} ut_batcher;

// UT_ENOMEM.
ut_err ut_batcher_init(ut_batcher *batcher, ut_engine *engine);
void ut_batcher_free(ut_batcher *batcher);
// Gives memory back that only work needs.
void ut_batcher_rest(ut_batcher *batcher);

// Fills body (replaced; its ceiling is to be UT_BATCHER_BODY_BYTES_MAX) with what fits into
// batch_bytes_max of batch. *rest: a batch with what did not fit, or NULL. Parts that cannot be
// sent are left in batch with their state set. *plain_bytes: of the body before compression; 0:
// nothing in the batch can be sent, body is empty. An error leaves batch as it was, or shorter by
// *rest: UT_ENOMEM, UT_EIO, UT_ELIMIT (too many readers).
ut_err ut_batcher_build(ut_batcher *batcher, const ut_destination_config *destination,
                        ut_delivery_batch *batch, ut_buf *body, size_t *plain_bytes,
                        ut_delivery_batch **rest);

#endif
