// Reading the store while others write: a view, the next pending delivery, one block.
// Not for searching: query.c builds on it.
#include "storage/store_view.h"

#include "storage/key.h"
#include "storage/pieces.h"

#include <stdlib.h>

enum { SEALED_KEEP = 512 * 1024 };

struct ut_store_view {
    ut_engine *engine;
    ut_txn *txn; // NULL: not begun
    ut_cursor *cursor;
    ut_buf sealed;
};

ut_err ut_store_view_open(ut_engine *engine, ut_store_view **out)
{
    ut_store_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return UT_ENOMEM;
    view->engine = engine;
    ut_buf_init(&view->sealed, UT_BLOCK_PAYLOAD_MAX + SEALED_KEEP);
    *out = view;
    return UT_OK;
}

void ut_store_view_close(ut_store_view *view)
{
    if (view == NULL)
        return;
    ut_store_view_end(view);
    ut_buf_free(&view->sealed);
    free(view);
}

ut_err ut_store_view_begin(ut_store_view *view)
{
    ut_store_view_end(view);
    ut_err err = ut_engine_begin(view->engine, false, &view->txn);
    if (err != UT_OK) {
        view->txn = NULL;
        return err;
    }
    err = ut_txn_cursor(view->txn, &view->cursor);
    if (err != UT_OK)
        ut_store_view_end(view);
    return err;
}

void ut_store_view_end(ut_store_view *view)
{
    if (view->txn != NULL)
        ut_txn_abort(view->txn); // closes the cursor
    view->txn = NULL;
    view->cursor = NULL;
    ut_buf_reset(&view->sealed, SEALED_KEEP);
}

ut_txn *ut_store_view_txn(ut_store_view *view)
{
    UT_ASSERT(view->txn != NULL);
    return view->txn;
}

ut_err ut_store_next_pending(ut_store_view *view, uint32_t org, uint32_t dest, uint64_t after,
                             uint32_t scan_max, ut_delivery *delivery)
{
    UT_ASSERT(view->cursor != NULL);
    if (after == UINT64_MAX)
        return UT_ENOTFOUND;
    ut_key from = ut_key_delivery(org, dest, after + 1);
    ut_bytes key;
    ut_bytes value;
    uint64_t last = after;
    ut_err err = ut_cursor_seek(view->cursor, ut_key_bytes(&from), &key, &value);
    for (uint32_t i = 0; err == UT_OK; i++) {
        uint32_t found_org;
        uint32_t found_dest;
        uint64_t seq;
        if (key.data[0] != UT_KEY_DELIVERY ||
            !ut_key_read_delivery(key, &found_org, &found_dest, &seq) || found_org != org ||
            found_dest != dest)
            return UT_ENOTFOUND;
        if (i == scan_max) {
            *delivery = (ut_delivery){.org = org, .dest = dest, .seq = last};
            return UT_EAGAIN;
        }
        last = seq;
        // A damaged entry is passed: nothing is known that could be delivered.
        if (ut_record_read_delivery(value, delivery) == UT_OK &&
            delivery->state == UT_DELIVERY_PENDING) {
            delivery->org = org;
            delivery->dest = dest;
            delivery->seq = seq;
            return UT_OK;
        }
        err = ut_cursor_next(view->cursor, &key, &value);
    }
    return err;
}

ut_err ut_store_read_block(ut_store_view *view, uint32_t org, uint64_t seq, ut_buf *payload,
                           ut_block *block)
{
    UT_ASSERT(view->cursor != NULL);
    ut_buf_reset(&view->sealed, SEALED_KEEP);
    ut_err err = ut_pieces_get(view->cursor, org, seq, &view->sealed);
    if (err == UT_ECORRUPT) {
        // A block whose summary is gone is on its way out, and may be seen between two steps.
        ut_key key = ut_key_summary(org, seq);
        ut_bytes summary;
        if (ut_txn_get(view->txn, ut_key_bytes(&key), &summary) == UT_ENOTFOUND)
            return UT_ENOTFOUND;
    }
    return err == UT_OK ? ut_block_open(ut_buf_bytes(&view->sealed), payload, block) : err;
}
