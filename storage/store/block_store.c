// Blocks in the database; see block_store.h.
// Not for removing them: retention.c does it in steps.
#include "storage/store/block_store.h"

#include "port/base/order.h"
#include "storage/store/key.h"

ut_err ut_block_store_put(ut_txn *txn, uint32_t org, uint64_t seq, ut_bytes sealed,
                          uint32_t piece_len)
{
    for (uint32_t piece = UT_BLOCK_STORE_SEALED_FROM; sealed.len > 0; piece++) {
        if (piece == UT_BLOCK_STORE_SEALED_TO)
            return UT_ELIMIT;
        const size_t len = ut_min_size(sealed.len, piece_len);
        const ut_key key = ut_key_piece(org, seq, piece);
        ut_err err = ut_txn_put(txn, ut_key_bytes(&key), (ut_bytes){sealed.data, len});
        if (err != UT_OK)
            return err;
        sealed.data += len;
        sealed.len -= len;
    }
    return UT_OK;
}

ut_err ut_block_store_get(ut_cursor *cursor, uint32_t org, uint64_t seq, ut_buf *out)
{
    ut_key first = ut_key_piece(org, seq, UT_BLOCK_STORE_SEALED_FROM);
    ut_bytes key;
    ut_bytes value;
    uint32_t expected = UT_BLOCK_STORE_SEALED_FROM;
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&first), &key, &value);
    while (err == UT_OK) {
        uint32_t found_org;
        uint64_t found_seq;
        uint32_t piece;
        if (!ut_key_read_piece(key, &found_org, &found_seq, &piece) || found_org != org ||
            found_seq != seq || piece >= UT_BLOCK_STORE_SEALED_TO)
            break;
        if (piece != expected)
            return UT_ECORRUPT;
        ut_buf_add_bytes(out, value);
        if (out->err != UT_OK)
            return out->err;
        expected += 1;
        err = ut_cursor_next(cursor, &key, &value);
    }
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    return expected == UT_BLOCK_STORE_SEALED_FROM ? UT_ENOTFOUND : UT_OK;
}

ut_err ut_block_store_find_oldest(ut_cursor *cursor, uint32_t *org, uint64_t *seq)
{
    bool found = false;
    for (uint32_t next_org = 0;; next_org++) {
        const ut_key from = ut_key_piece(next_org, 0, 0);
        ut_bytes key;
        ut_bytes value;
        uint32_t found_org;
        uint64_t found_seq;
        uint32_t piece;
        const ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
        if (err == UT_ENOTFOUND || !ut_key_read_piece(key, &found_org, &found_seq, &piece))
            return found ? UT_OK : UT_ENOTFOUND; // behind the last block
        if (!found || found_seq < *seq) {
            *org = found_org;
            *seq = found_seq;
            found = true;
        }
        if (found_org == UINT32_MAX)
            return UT_OK;
        next_org = found_org;
    }
}
