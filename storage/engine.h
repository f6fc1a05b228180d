// What the store needs of a database: ordered short keys, prefix scans, one write transaction at a time, nothing that
// outlives its transaction. LMDB implements it (engine_lmdb.c); an append-only log on raw flash, without mmap and with
// a few KB of RAM, can. tests/support/engine_memory.c implements it for tests with faults.
//
// Values that a transaction hands out are borrowed until the next call on the same transaction or cursor. One write
// transaction at a time, on one thread; any number of read transactions, each on one thread at a time.
#ifndef UT_STORAGE_ENGINE_H
#define UT_STORAGE_ENGINE_H

#include "port/base/bytes.h"
#include "port/base/err.h"

typedef struct ut_engine ut_engine; // first member: const ut_engine_class *class
typedef struct ut_txn ut_txn;       // first member: ut_engine *engine
typedef struct ut_cursor ut_cursor; // first member: ut_txn *txn

// Room, for budgets; bytes.
typedef struct {
    uint64_t bytes_max;   // what the store may ever take
    uint64_t bytes_used;  // pages in use, free pages not counted
    uint64_t bytes_file;  // what the file takes on disk now
    uint64_t write_reserve; // what one more write transaction may need beside its own data (worst case of copies)
} ut_engine_room;

typedef struct {
    void (*close)(ut_engine *engine);
    // UT_EIO, UT_ENOMEM, UT_ELIMIT (too many readers).
    ut_err (*begin)(ut_engine *engine, bool write, ut_txn **txn);
    // Durable on return unless the engine was opened with sync off. On an error nothing of the transaction is stored; txn is
    // released in either case. UT_EFULL, UT_ENOSPC, UT_EIO.
    ut_err (*commit)(ut_txn *txn);
    void (*abort)(ut_txn *txn);
    // UT_ENOTFOUND.
    ut_err (*get)(ut_txn *txn, ut_bytes key, ut_bytes *value);
    // Inserts or replaces. UT_EFULL, UT_ENOMEM, UT_EIO: the transaction can then only be aborted.
    ut_err (*put)(ut_txn *txn, ut_bytes key, ut_bytes value);
    // Deletes; UT_ENOTFOUND.
    ut_err (*del)(ut_txn *txn, ut_bytes key);
    // A cursor lives at most as long as its transaction. Writes through the transaction end its position: seek again.
    ut_err (*cursor_open)(ut_txn *txn, ut_cursor **cursor);
    void (*cursor_close)(ut_cursor *cursor);
    // Moves to the first key >= key (reverse: the last key <= key). UT_ENOTFOUND at the end.
    ut_err (*seek)(ut_cursor *cursor, ut_bytes key, bool reverse, ut_bytes *found_key, ut_bytes *value);
    ut_err (*step)(ut_cursor *cursor, bool reverse, ut_bytes *found_key, ut_bytes *value);
    // Makes all that was committed durable (for durability: interval).
    ut_err (*sync)(ut_engine *engine);
    ut_err (*room)(ut_engine *engine, ut_engine_room *room);
} ut_engine_class;

struct ut_engine {
    const ut_engine_class *class;
};
struct ut_txn {
    ut_engine *engine;
};
struct ut_cursor {
    ut_txn *txn;
};

typedef struct {
    const char *dir_z;      // existing directory; the engine's files live in it
    uint64_t bytes_max;     // budget of the data file in bytes, never exceeded
    bool read_only;         // opens beside a running agent, after a crash, or on a copy; writes nothing to the data file
    bool sync_each_commit;  // false: commits are ordered but durable only after sync()
} ut_engine_config;

// Opens or creates. Faults carry the path and what to do. UT_ENOTFOUND (read_only and no store), UT_ECORRUPT (damaged
// or not a store), UT_EVERSION, UT_EPERM, UT_ENOSPC, UT_EIO, UT_EINVAL (bytes_max below the smallest that works).
ut_err ut_engine_lmdb_open(const ut_engine_config *config, ut_engine **engine, ut_fault *fault);

// The library's version text, for `untrace version`.
const char *ut_engine_lmdb_version(void);

#endif
