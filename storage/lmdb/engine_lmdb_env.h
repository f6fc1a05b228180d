// One data file, opened by LMDB with its lock file. Not for which file is in use and by whom:
// engine_lmdb_state.h. Only for engine_lmdb*.c.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_ENV_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_ENV_H

#include "storage/lmdb/engine_lmdb_disk.h"
#include "storage/lmdb/engine_lmdb_trust.h"

#include <sys/types.h>

#include <lmdb.h>

enum {
    UT_LMDB_PATH_MAX = 4096,
    UT_LMDB_IDLE_READS_MAX = 8,
};

// Where a data file is, and how it is opened.
typedef struct {
    char dir_z[UT_LMDB_PATH_MAX];
    char path_z[UT_LMDB_PATH_MAX]; // of the data file in it
    uint64_t bytes_max;
    bool read_only;
    bool lockless; // read_only, and there is no lock file that could be written
} ut_lmdb_place;

typedef struct ut_lmdb_env {
    struct ut_lmdb_env *next; // of those that only wait for their last transaction
    MDB_env *mdb;
    MDB_dbi dbi;
    size_t page_bytes;  // a compaction may change it: each file has its own
    size_t align_bytes; // its pages stand at multiples of this in memory: a map begins at a page of
                        // the machine, which may be smaller
    ut_lmdb_trust *trust;                  // NULL: all pages are trusted, or it is only read
    MDB_txn *idle[UT_LMDB_IDLE_READS_MAX]; // ended read transactions, kept for the next begin
    unsigned idle_count;
    unsigned users; // open transactions
    dev_t device;   // the data file and the lock file that were opened; inode 0: none
    ino_t inode;
    ino_t lock_inode;
    ut_lmdb_disk disk; // the thread of the write transactions
} ut_lmdb_env;

// Opens path_z as a data file with its lock file; all its pages are trusted. An LMDB code or errno,
// as of all functions here that return an int.
int ut_lmdb_env_open(const ut_lmdb_place *place, const char *path_z, ut_lmdb_env **env);
// What the lock file of a place must be (plain_file.h).
unsigned ut_lmdb_lock_must(const ut_lmdb_place *place);
// Opens the data file by its name, so that no compaction comes in between; makes its lock file.
// ENOENT, where LMDB would make an empty one: the data file is away. ELOOP: it or the lock file is
// no plain file.
int ut_lmdb_env_open_named(const ut_lmdb_place *place, ut_lmdb_env **env);
// Ends the transactions that are kept for the next begin.
void ut_lmdb_env_drop_idle(ut_lmdb_env *env);
void ut_lmdb_env_close(ut_lmdb_env *env); // no transaction may be open

// True when another data file, or another lock file, stands under the names of this one.
bool ut_lmdb_env_moved(const ut_lmdb_place *place, const ut_lmdb_env *env);

// Makes an empty data file under another name and moves it to its place: a store.mdb is a store
// from the first moment, and a power cut leaves none or an empty one.
int ut_lmdb_env_create(const ut_lmdb_place *place);

// Makes the names of files durable.
int ut_lmdb_sync_directory(const char *dir_z);

#endif
