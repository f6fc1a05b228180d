// The transactions of the engine over LMDB, and what is read and written in them. Each call into
// LMDB is guarded, and what it gives is checked: a damaged file becomes an error. Only for
// engine_lmdb*.c.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_TXN_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_TXN_H

#include "storage/lmdb/engine_lmdb_guard.h"
#include "storage/lmdb/engine_lmdb_state.h"

struct ut_lmdb_cursor;

typedef struct ut_lmdb_txn {
    ut_txn base;
    struct ut_lmdb_txn *next; // of the open ones
    ut_lmdb_env *env;
    MDB_txn *mdb;
    struct ut_lmdb_cursor *cursors;
    bool write;
    ut_err failed; // first error that leaves nothing but an abort
    bool trapped;  // a call for writing did not come back by itself: LMDB's lists are not whole
} ut_lmdb_txn;

// A call that did not come back by itself leaves nothing to a transaction that writes, and nothing
// to those after it: LMDB's lists, and the lock of its writer, are as they were in the middle.
void ut_lmdb_txn_note_trap(ut_lmdb_txn *txn);

// UT_LMDB_GUARDED for a call within a transaction.
#define UT_LMDB_TXN_GUARDED(txn, code, call)      \
    do {                                          \
        volatile bool trapped = false;            \
        UT_LMDB_GUARDED(trapped, (code), (call)); \
        if (trapped)                              \
            ut_lmdb_txn_note_trap(txn);           \
    } while (0)

// These are functions of the engine's class; engine.h says what they do.
ut_err ut_lmdb_txn_begin(ut_engine *engine, bool write, ut_txn **txn);
ut_err ut_lmdb_txn_commit(ut_txn *txn);
void ut_lmdb_txn_abort(ut_txn *txn);
ut_err ut_lmdb_txn_get(ut_txn *txn, ut_bytes key, ut_bytes *value);
ut_err ut_lmdb_txn_put(ut_txn *txn, ut_bytes key, ut_bytes value);
ut_err ut_lmdb_txn_del(ut_txn *txn, ut_bytes key);
ut_err ut_lmdb_cursor_open(ut_txn *txn, ut_cursor **cursor);
void ut_lmdb_cursor_close(ut_cursor *cursor);
ut_err ut_lmdb_cursor_seek(ut_cursor *cursor, ut_bytes key, bool reverse, ut_bytes *found_key,
                           ut_bytes *value);
ut_err ut_lmdb_cursor_step(ut_cursor *cursor, bool reverse, ut_bytes *found_key, ut_bytes *value);

#endif
