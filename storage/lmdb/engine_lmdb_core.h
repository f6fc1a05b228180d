// What the files of the engine over LMDB share: its state, and the steps that compaction needs.
// Only for engine_lmdb*.c; engine.h is the way in.
#ifndef UT_STORAGE_ENGINE_LMDB_CORE_H
#define UT_STORAGE_ENGINE_LMDB_CORE_H

#include "storage/engine.h"
#include "storage/lmdb/engine_lmdb_disk.h"
#include "storage/lmdb/engine_lmdb_trust.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <lmdb.h>

enum {
    UT_LMDB_PATH_MAX = 4096,
    UT_LMDB_FILE_MODE = 0600, // traces tell what an application does
    UT_LMDB_IDLE_READS_MAX = 8,
};

typedef struct ut_lmdb_txn ut_lmdb_txn;
typedef struct ut_lmdb_cursor ut_lmdb_cursor;
typedef struct ut_lmdb_compaction ut_lmdb_compaction;

// One opened data file. Compaction puts another file in its place while transactions run: the old
// one is closed when the last of them has ended. The engine's mutex guards what changes of it.
typedef struct ut_lmdb_env {
    struct ut_lmdb_env *next; // of those that are only waiting for their last transaction
    MDB_env *mdb;
    MDB_dbi dbi;
    size_t page_bytes; // a compaction may change it: each file has its own
    size_t
        align_bytes; // its pages stand at multiples of this in memory: a map begins at a page of the
                     // machine, which may be smaller
    ut_lmdb_trust *trust;                  // NULL: all pages are trusted, or it is only read
    MDB_txn *idle[UT_LMDB_IDLE_READS_MAX]; // ended read transactions, kept for the next begin
    unsigned idle_count;
    unsigned users; // open transactions
    dev_t device;   // the data file and the lock file that were opened; inode 0: none
    ino_t inode;
    ino_t lock_inode;
    ut_lmdb_disk disk; // the thread of the write transactions
} ut_lmdb_env;

struct ut_lmdb_cursor {
    ut_cursor base;
    ut_lmdb_cursor *next; // of the same transaction
    MDB_cursor *mdb;
    // The last key found, to see that a damaged tree does not lead round in circles.
    size_t key_len; // 0: none, or longer
    uint8_t key[UT_ENGINE_KEY_MAX];
};

struct ut_lmdb_txn {
    ut_txn base;
    ut_lmdb_txn *next; // in its list
    ut_lmdb_env *env;
    MDB_txn *mdb;
    ut_lmdb_cursor *cursors;
    bool write;
    ut_err failed; // first error that leaves nothing but an abort
    bool trapped;  // a call for writing did not come back by itself: LMDB's lists are not whole
};

typedef struct {
    ut_engine base;
    char dir_z[UT_LMDB_PATH_MAX];
    char path_z[UT_LMDB_PATH_MAX];
    uint64_t bytes_max;
    bool read_only;
    bool lockless; // read_only, and there is no lock file that could be written
    int lock_fd;   // of store.lock; -1 when read_only and not lockless
    // NULL: closed after a fatal error, and not yet open again. Changed with the mutex held; the
    // thread of the write transactions may read it without.
    ut_lmdb_env *env;
    ut_lmdb_env *retired; // replaced, and still in use
    // A file was put in place of another, and its name is not durable yet: no commit may be.
    bool name_unsynced;
    ut_lmdb_compaction *compaction; // NULL: none. The thread of the write transactions
    atomic_bool damaged;            // a write transaction was trapped: nothing more is written
    pthread_mutex_t mutex;          // guards what follows
    ut_lmdb_txn *running;           // open ones
    unsigned rooms;
} ut_lmdb_engine;

// ---- engine_lmdb.c ----

ut_err ut_lmdb_translate(int code);
// Opens path_z as a data file of this engine, with its lock file. An LMDB code or errno.
int ut_lmdb_env_open(ut_lmdb_engine *engine, const char *path_z, ut_lmdb_env **env);
void ut_lmdb_env_close(ut_lmdb_env *env); // no transaction may be open
// Puts env (NULL: none, the next transaction opens the file) in the place of the one in use, with
// the mutex held. Returns the old one when it is to be closed; otherwise its last transaction
// closes it.
ut_lmdb_env *ut_lmdb_env_replace(ut_lmdb_engine *engine, ut_lmdb_env *env);
// Makes the names of files durable. errno or 0.
int ut_lmdb_sync_directory(const char *dir_z);

// ---- engine_lmdb_owner.c ----

// Makes an empty file with the owner, the group and the mode of like_z, unless there is one. EPERM
// and no file: this user may not give it away, and the owner of like_z could not write it (exact: or
// those of its group that read). errno or 0.
int ut_lmdb_make_like(const char *path_z, const char *like_z, bool exact);

// ---- engine_lmdb_compact.c ----

ut_err ut_lmdb_compact(ut_engine *engine, ut_engine_compaction *progress, ut_fault *fault);
void ut_lmdb_compact_stop(ut_engine *engine);
// A record is about to be written or deleted by a write transaction, which may still fail.
void ut_lmdb_compact_note(ut_lmdb_compaction *compaction, ut_bytes key);
// What a compaction left that was killed.
void ut_lmdb_compact_clean(const char *path_z);

#endif
