// A database as the store needs it: ordered short keys, prefix scans, one write transaction at a
// time, nothing that outlives its transaction. LMDB implements it (lmdb/engine_lmdb.c); an
// append-only log on raw flash, without mmap and with a few KB of RAM, can.
// tests/support/engine_memory.c implements it for tests.
//
// Keys and values that a cursor hands out are borrowed until that cursor is used again, or its
// transaction writes; what get hands out, until the transaction gets or writes. One write
// transaction at a time, all of them on one thread; any number of read transactions, each on one
// thread at a time. In one process a directory is open at most once.
#ifndef UT_STORAGE_ENGINE_H
#define UT_STORAGE_ENGINE_H

#include "port/base/bytes.h"
#include "port/base/err.h"

typedef struct ut_engine ut_engine; // first member: const ut_engine_class *class
typedef struct ut_txn ut_txn;       // first member: ut_engine *engine
typedef struct ut_cursor ut_cursor; // first member: ut_txn *txn

enum { UT_ENGINE_KEY_MAX = 64 }; // longest key that an engine must take; 1 is the shortest

// Room, for budgets; bytes. A tree that copies before it writes needs room for the copies while a
// transaction runs, and what a transaction frees only a later one can use: a budget that forgets
// this wedges.
typedef struct {
    uint64_t bytes_max;     // the most that the store may take; less while its disk has no more
    uint64_t bytes_used;    // taken, free pages not counted
    uint64_t bytes_ready;   // free for the next write transaction: pinned by no reader
    uint64_t bytes_pinned;  // free, but readers hold it
    uint64_t bytes_file;    // of the file on disk now
    uint64_t write_reserve; // a write transaction may take these beside the two following
    uint32_t touch_bytes;   // for each put or delete at a place of its own in the order of keys
    uint32_t page_bytes;    // a value is stored in pages of this size, the last of them part-filled
    long pinned_by; // the process that reads the oldest state; 0: none, this one, or not known
    bool disk_full; // bytes_max is less than was asked for: the disk has no more
} ut_engine_room;

// A rewriting of the file, slice by slice.
typedef struct {
    uint64_t done;         // records copied
    uint64_t total;        // records there were at the start
    uint64_t bytes_before; // of the file at the start
    uint64_t bytes_after;  // of the new one so far
    bool more;             // false: the new file is in place
} ut_engine_compaction;

typedef struct {
    void (*close)(ut_engine *engine); // no transaction may be open
    // UT_EIO, UT_ENOMEM, UT_ELIMIT (too many readers), UT_EPERM (write on a read-only engine),
    // UT_ECORRUPT.
    ut_err (*begin)(ut_engine *engine, bool write, ut_txn **txn);
    // Durable on return. On an error nothing of the transaction is stored; only after UT_EIO all of
    // it may be, and a caller that keeps numbers in memory reads them again. txn is released in
    // either case. UT_EFULL, UT_ENOSPC, UT_EIO, UT_ENOMEM; the error of a put that failed.
    ut_err (*commit)(ut_txn *txn);
    void (*abort)(ut_txn *txn); // also ends a read transaction; closes its cursors
    // UT_ENOTFOUND. UT_ECORRUPT, as of seek and step: the pages are damaged; a write transaction
    // goes on where they were looked at before, and else each further call fails.
    ut_err (*get)(ut_txn *txn, ut_bytes key, ut_bytes *value);
    // Inserts or replaces. UT_EFULL, UT_ENOMEM, UT_EIO, UT_ENOSPC: the transaction can then only be
    // aborted. key and value may not point into memory that the transaction handed out.
    ut_err (*put)(ut_txn *txn, ut_bytes key, ut_bytes value);
    // Deletes; UT_ENOTFOUND (the transaction goes on), and errors as put.
    ut_err (*del)(ut_txn *txn, ut_bytes key);
    // A cursor lives at most as long as its transaction. Writes through the transaction end its
    // position: seek again.
    ut_err (*cursor_open)(ut_txn *txn, ut_cursor **cursor);
    void (*cursor_close)(ut_cursor *cursor);
    // Moves to the first key >= key (reverse: the last key <= key). UT_ENOTFOUND at the end.
    ut_err (*seek)(ut_cursor *cursor, ut_bytes key, bool reverse, ut_bytes *found_key,
                   ut_bytes *value);
    ut_err (*step)(ut_cursor *cursor, bool reverse, ut_bytes *found_key, ut_bytes *value);
    // The thread of the write transactions, outside of one.
    ut_err (*room)(ut_engine *engine, ut_engine_room *room);
    // One slice (about 10 ms) of rewriting the file without its free pages while all else goes on;
    // the first call begins it. Without commits in between it comes to an end. After an error it is
    // given up and nothing has changed. The thread of the write transactions, outside of one.
    // UT_ENOSPC (the disk has no room for a second file), UT_EFULL, UT_ELIMIT (more is written than
    // can be followed), UT_EPERM, UT_ECORRUPT, UT_EIO, UT_ENOMEM. NULL: the engine cannot.
    ut_err (*compact)(ut_engine *engine, ut_engine_compaction *progress, ut_fault *fault);
    void (*compact_stop)(ut_engine *engine); // gives a compaction up, if one is under way
} ut_engine_class;

struct ut_engine {
    const ut_engine_class *class;
    // The data keys of the store in it: set by ut_store_open before anybody else sees the engine,
    // and valid until ut_store_close. NULL: the store is not encrypted. Engines do not use it.
    struct ut_keyring *keyring;
    // Values up to this length need no neighbouring free pages. Longer ones are allowed, but room
    // for them runs out first in an old, fragmented store: cut them in pieces where that is
    // possible.
    uint32_t value_bytes_best;
    // Values of this length take a few dozen pages, and are kept apart in the memory of a
    // transaction, which gives it back; it may keep that of shorter ones for the next.
    uint32_t value_bytes_long;
};
struct ut_txn {
    ut_engine *engine;
};
struct ut_cursor {
    ut_txn *txn;
};

static inline ut_err ut_engine_begin(ut_engine *engine, bool write, ut_txn **txn)
{
    return engine->class->begin(engine, write, txn);
}
static inline void ut_engine_close(ut_engine *engine)
{
    engine->class->close(engine);
}
static inline ut_err ut_engine_get_room(ut_engine *engine, ut_engine_room *room)
{
    return engine->class->room(engine, room);
}
// Only of an engine whose class has compact.
static inline ut_err ut_engine_compact(ut_engine *engine, ut_engine_compaction *progress,
                                       ut_fault *fault)
{
    return engine->class->compact(engine, progress, fault);
}
static inline void ut_engine_compact_stop(ut_engine *engine)
{
    engine->class->compact_stop(engine);
}
static inline ut_err ut_txn_commit(ut_txn *txn)
{
    return txn->engine->class->commit(txn);
}
static inline void ut_txn_abort(ut_txn *txn)
{
    txn->engine->class->abort(txn);
}
static inline ut_err ut_txn_get(ut_txn *txn, ut_bytes key, ut_bytes *value)
{
    return txn->engine->class->get(txn, key, value);
}
static inline ut_err ut_txn_put(ut_txn *txn, ut_bytes key, ut_bytes value)
{
    return txn->engine->class->put(txn, key, value);
}
static inline ut_err ut_txn_del(ut_txn *txn, ut_bytes key)
{
    return txn->engine->class->del(txn, key);
}
static inline ut_err ut_txn_cursor(ut_txn *txn, ut_cursor **cursor)
{
    return txn->engine->class->cursor_open(txn, cursor);
}
static inline void ut_cursor_close(ut_cursor *cursor)
{
    cursor->txn->engine->class->cursor_close(cursor);
}
static inline ut_err ut_cursor_seek(ut_cursor *cursor, ut_bytes key, ut_bytes *found_key,
                                    ut_bytes *value)
{
    return cursor->txn->engine->class->seek(cursor, key, false, found_key, value);
}
static inline ut_err ut_cursor_next(ut_cursor *cursor, ut_bytes *found_key, ut_bytes *value)
{
    return cursor->txn->engine->class->step(cursor, false, found_key, value);
}

typedef struct {
    const char *dir_z;  // existing directory; the engine's files live in it
    uint64_t bytes_max; // budget of the data file in bytes, never exceeded; not used when read_only
    // Opens beside a running agent, after a crash, or on a copy; writes nothing to the data
    // file.
    bool read_only;
} ut_engine_config;

enum { UT_ENGINE_LMDB_BYTES_MIN = 1024 * 1024 };

// Opens or creates. Faults carry the path and what to do. UT_ENOTFOUND (read_only and no store),
// UT_ECORRUPT (damaged or not a store), UT_EVERSION, UT_EBUSY (another process writes to it),
// UT_EPERM, UT_ENOSPC, UT_EIO, UT_ENOMEM, UT_EINVAL (bytes_max below UT_ENGINE_LMDB_BYTES_MIN, or
// more than this machine can address).
//
// Files in dir_z: store.mdb (the data), store.mdb-lock (readers and their transactions; may be
// deleted while nobody has the store open, and need not be copied), store.lock (held by the one
// process that writes), store.mdb.new and its lock files (while the file is made or compacted).
// store.steady, which earlier versions left, is removed (engine_lmdb_steady.h).
ut_err ut_engine_lmdb_open(const ut_engine_config *config, ut_engine **engine, ut_fault *fault);

enum { UT_ENGINE_FAULT_NOTE_MAX = 4608 }; // longest note, its final zero included

// A damaged file can make LMDB touch memory that is not there. Calls into LMDB come back from that
// with an error; a fault of memory (SIGSEGV, SIGBUS) that comes anywhere else writes note_z, which
// is copied, to standard error. After SIGBUS, which a file raises that is shorter than it should be
// or that cannot be read, the process then ends with bus_exit_code; after SIGSEGV, which a mistake
// of ours could raise too, by the signal. Where a handler was installed before (by a sanitizer) it
// gets the fault instead. Before other threads exist.
void ut_engine_lmdb_note_faults(const char *note_z, int bus_exit_code);

// The library's version text, for `untrace version`.
const char *ut_engine_lmdb_version(void);

#endif
