// The state of the engine over LMDB: which data file is in use, which ones only wait for their last
// transaction, and what a transaction must know of the others. Only for engine_lmdb*.c; engine.h is
// the way in.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_STATE_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_STATE_H

#include "storage/engine.h"
#include "storage/lmdb/engine_lmdb_env.h"

#include <pthread.h>
#include <stdatomic.h>

struct ut_lmdb_txn;
struct ut_lmdb_compaction;

// A compaction puts another file in the place of the one in use while transactions run: the old one
// is closed when the last of them has ended.
typedef struct {
    ut_engine base;
    ut_lmdb_place place;
    int lock_fd; // of store.lock; -1 when read_only and not lockless
    // NULL: closed after a fatal error, and not yet open again. Changed with the mutex held; the
    // thread of the write transactions may read it without.
    ut_lmdb_env *env;
    ut_lmdb_env *retired; // replaced, and still in use
    // A file was put in place of another, by this process or perhaps by one before it, and its name
    // is not durable yet: no commit may be.
    bool name_unsynced;
    struct ut_lmdb_compaction *compaction; // NULL: none. The thread of the write transactions
    atomic_bool damaged;         // a write transaction was trapped: nothing more is written
    pthread_mutex_t mutex;       // guards env, retired, name_unsynced and what follows
    struct ut_lmdb_txn *running; // open ones
    unsigned rooms;              // times that room was asked for
} ut_lmdb_engine;

// All of these: with the mutex held, or while nobody else knows the engine.

// Opens the data file by its name as the one in use. An LMDB code or errno.
int ut_lmdb_engine_open_env(ut_lmdb_engine *engine);
void ut_lmdb_engine_close_env(ut_lmdb_engine *engine); // no transaction may be open

// Puts env (NULL: none, the next transaction opens the file) in the place of the one in use.
// Returns the old one when it is to be closed, which needs no mutex; otherwise its last transaction
// does it.
ut_lmdb_env *ut_lmdb_engine_replace_env(ut_lmdb_engine *engine, ut_lmdb_env *env);

// LMDB refuses everything after it could not write a meta page, and after another process enlarged
// the file. Both end by opening again or mapping again, which needs that no transaction is open.
// code: what LMDB said; returned where nothing can be done.
int ut_lmdb_engine_recover(ut_lmdb_engine *engine, int code);

// Takes up the file that a compaction of the process that writes has put in place. Returns as
// ut_lmdb_engine_replace_env. A file that cannot be opened is left for the next time; the old one
// is whole.
ut_lmdb_env *ut_lmdb_engine_follow(ut_lmdb_engine *engine);

#endif
