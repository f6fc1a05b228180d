// Reading the store while others write: a view, the next pending delivery, one block.
// Not for searching: query.c builds on it.
#include "storage/store/store_view.h"

#include "storage/store/block_store.h"
#include "storage/store/key.h"
#include "storage/store/keyring.h"
#include "storage/store/store_txn.h"

#include <stdlib.h>

enum { SEALED_KEEP = 512 * 1024 };

struct ut_store_view {
    ut_engine *engine;
    ut_txn *txn; // NULL: not begun
    ut_cursor *cursor;
    ut_buf sealed;
    ut_keyring_slot key; // the data key used last
};

ut_err ut_store_view_open(ut_engine *engine, ut_store_view **out)
{
    ut_store_view *view = calloc(1, sizeof(*view));
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
    ut_keyring_slot_free(&view->key);
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

uint64_t ut_store_view_filter_seed(const ut_store_view *view, uint64_t seq)
{
    return ut_keyring_filter_seed(view->engine->keyring, seq);
}

ut_err ut_store_view_counts(ut_store_view *view, ut_store_counts *counts)
{
    ut_record_state state = {0};
    const ut_err err = ut_store_read_state(ut_store_view_txn(view), &state);
    *counts = state.counts;
    return err;
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

// Another process may have made data keys since this one opened the store.
static ut_err learn_keys(ut_store_view *view)
{
    ut_key key = ut_key_meta(UT_KEYRING_NAME);
    ut_bytes record;
    ut_err err = ut_txn_get(view->txn, ut_key_bytes(&key), &record);
    return err == UT_OK ? ut_keyring_learn(view->engine->keyring, record) : err;
}

static ut_err open_encrypted(ut_store_view *view, uint32_t org, uint64_t seq, uint32_t key_id,
                             ut_buf *payload, ut_block *block)
{
    if (view->engine->keyring == NULL)
        return UT_EPERM; // the store was not encrypted when it was opened
    ut_err err = ut_keyring_get(view->engine->keyring, key_id, &view->key);
    if (err == UT_ENOTFOUND) {
        err = learn_keys(view);
        if (err == UT_OK)
            err = ut_keyring_get(view->engine->keyring, key_id, &view->key);
    }
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_ECORRUPT : err;
    ut_block_lock lock = {.cipher = view->key.cipher, .key_id = key_id, .org = org, .seq = seq};
    return ut_block_open_encrypted(&view->sealed, &lock, payload, block);
}

ut_err ut_store_read_block(ut_store_view *view, uint32_t org, uint64_t seq, ut_buf *payload,
                           ut_block *block)
{
    UT_ASSERT(view->cursor != NULL);
    ut_buf_reset(&view->sealed, SEALED_KEEP);
    ut_err err = ut_block_store_get(view->cursor, org, seq, &view->sealed);
    if (err == UT_ECORRUPT) {
        // A block whose summary is gone is on its way out, and may be seen between two steps.
        ut_key key = ut_key_summary(org, seq);
        ut_bytes summary;
        if (ut_txn_get(view->txn, ut_key_bytes(&key), &summary) == UT_ENOTFOUND)
            return UT_ENOTFOUND;
    }
    ut_block_info info;
    if (err == UT_OK)
        err = ut_block_peek(ut_buf_bytes(&view->sealed), &info);
    if (err != UT_OK)
        return err;
    return info.key_id == 0 ? ut_block_open(ut_buf_bytes(&view->sealed), payload, block)
                            : open_encrypted(view, org, seq, info.key_id, payload, block);
}
