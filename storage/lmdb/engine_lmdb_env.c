// Opens and closes one data file; see engine_lmdb_env.h.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_env.h"

#include "port/base/err.h"
#include "storage/lmdb/engine_lmdb_guard.h"
#include "storage/lmdb/engine_lmdb_owner.h"
#include "storage/lmdb/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MAX = 254 }; // read transactions at a time, of all processes

// ---- opening ----

static ino_t inode_of_lock(const char *path_z)
{
    char lock_z[UT_LMDB_PATH_MAX + 8];
    struct stat file;
    (void)snprintf(lock_z, sizeof(lock_z), "%s-lock", path_z); // the room is there
    return stat(lock_z, &file) == 0 ? file.st_ino : 0;
}

static int prepare_env(const ut_lmdb_place *place, const char *path_z, MDB_env *env,
                       ut_lmdb_env *opened)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    int code = 0;
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
    if (place->read_only)
        flags |= MDB_RDONLY; // the map's size is then what the writer's is
    else
        code = mdb_env_set_mapsize(env, (size_t)place->bytes_max);
    if (place->lockless)
        flags |= MDB_NOLOCK;
    if (code == 0)
        code = mdb_env_set_maxreaders(env, READERS_MAX);
    if (code == 0)
        code = mdb_env_open(env, path_z, flags, UT_LMDB_FILE_MODE);
    if (code == 0)
        code = mdb_env_set_assert(env, ut_lmdb_guard_contradiction);
    // The handle of the unnamed database is a constant, but LMDB sets its order of keys here.
    if (code == 0)
        code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (code == 0)
        code = mdb_dbi_open(txn, NULL, 0, &dbi);
    MDB_stat stat_tree = {0};
    if (code == 0)
        code = mdb_stat(txn, dbi, &stat_tree);
    mdb_txn_abort(txn);
    int fd = -1;
    struct stat file = {0};
    if (code == 0)
        code = mdb_env_get_fd(env, &fd);
    if (code == 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fstat(fd, &file) != 0))
        code = errno;
    if (code == 0 && !place->lockless) {
        int dead;
        code = mdb_reader_check(env, &dead);
    }
    if (code != 0)
        return code;
    const long machine_bytes = sysconf(_SC_PAGESIZE);
    size_t align_bytes = stat_tree.ms_psize;
    if (machine_bytes > 0 && (size_t)machine_bytes < align_bytes)
        align_bytes = (size_t)machine_bytes;
    *opened = (ut_lmdb_env){.mdb = env,
                            .dbi = dbi,
                            .page_bytes = stat_tree.ms_psize,
                            .align_bytes = align_bytes,
                            .device = file.st_dev,
                            .inode = file.st_ino,
                            .lock_inode = inode_of_lock(path_z)};
    return 0;
}

int ut_lmdb_env_open(const ut_lmdb_place *place, const char *path_z, ut_lmdb_env **out)
{
    ut_lmdb_env *opened = calloc(1, sizeof(*opened));
    MDB_env *env = NULL;
    volatile bool trapped = false;
    int code = opened != NULL ? mdb_env_create(&env) : ENOMEM;
    if (code == 0)
        UT_LMDB_GUARDED(trapped, code, prepare_env(place, path_z, env, opened));
    if (code != 0) {
        if (!trapped)
            mdb_env_close(env); // takes NULL; after a trap it is left as it is
        free(opened);
        return code;
    }
    *out = opened;
    return 0;
}

// Locks the directory, so that no compaction puts other files in place while a file and its lock
// file are opened; exclusive: so that no other process opens them either. Returns its descriptor,
// or -1 where the directory cannot be opened or takes no lock: then it cannot be compacted either.
static int lock_names(const ut_lmdb_place *place, bool exclusive)
{
    int dir = open(place->dir_z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    while (flock(dir, exclusive ? LOCK_EX : LOCK_SH) != 0 && errno == EINTR) {
    }
    return dir;
}

// Makes the lock file for all users of the data file; LMDB would make it for this user alone. Under
// the exclusive lock, so that nobody meets it before it is given away.
static int make_lock(const ut_lmdb_place *place, const char *lock_z)
{
    int code = ut_lmdb_make_like(lock_z, place->path_z, false);
    if (place->read_only && (code == EACCES || code == EPERM))
        return EACCES;
    if (code == 0)
        ut_lmdb_disk_hold_lock(lock_z);
    return 0; // LMDB meets any other error itself, or goes without the file
}

unsigned ut_lmdb_lock_must(const ut_lmdb_place *place)
{
    // Killed at the end of a compaction, its second name stays until the next writer.
    return place->read_only ? 0 : UT_PLAIN_OURS | UT_PLAIN_ONE_NAME;
}

// Looks at the names before LMDB opens what stands there, or makes what does not.
static int check_names(const ut_lmdb_place *place, const char *lock_z, bool *lock_missing)
{
    ut_err err = ut_plain_file_check(place->path_z, 0, NULL);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? ENOENT : ELOOP;
    err = place->lockless ? UT_OK : ut_plain_file_check(lock_z, ut_lmdb_lock_must(place), NULL);
    *lock_missing = err == UT_ENOTFOUND;
    return err == UT_OK || *lock_missing ? 0 : ELOOP;
}

int ut_lmdb_env_open_named(const ut_lmdb_place *place, ut_lmdb_env **env)
{
    char lock_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(lock_z, sizeof(lock_z), "%s-lock", place->path_z); // the room is there
    bool lock_missing = false;
    int code = check_names(place, lock_z, &lock_missing);
    if (code != 0)
        return code;
    int names = lock_names(place, lock_missing);
    if (lock_missing)
        code = make_lock(place, lock_z);
    if (code == 0)
        code = ut_lmdb_env_open(place, place->path_z, env);
    int fd = -1;
    MDB_envinfo info = {0};
    UT_ASSERT(code != 0 || *env != NULL);
    if (code == 0 && !place->read_only && mdb_env_get_fd((*env)->mdb, &fd) == 0 &&
        mdb_env_info((*env)->mdb, &info) == 0)
        (*env)->trust = ut_lmdb_trust_new(fd, (*env)->page_bytes, info.me_mapsize);
    if (names >= 0)
        (void)close(names); // releases the lock; read only
    return code;
}

void ut_lmdb_env_drop_idle(ut_lmdb_env *env)
{
    while (env->idle_count > 0)
        mdb_txn_abort(env->idle[--env->idle_count]);
}

void ut_lmdb_env_close(ut_lmdb_env *env)
{
    ut_lmdb_env_drop_idle(env);
    ut_lmdb_trust_free(env->trust);
    mdb_env_close(env->mdb);
    free(env);
}

bool ut_lmdb_env_moved(const ut_lmdb_place *place, const ut_lmdb_env *env)
{
    struct stat file;
    if (stat(place->path_z, &file) != 0)
        return false;
    return file.st_ino != env->inode || file.st_dev != env->device ||
           (!place->lockless && inode_of_lock(place->path_z) != env->lock_inode);
}

// ---- files and their names ----

int ut_lmdb_sync_directory(const char *dir_z)
{
    int dir = open(dir_z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno;
    // EINVAL: a file system whose directories cannot be synced.
    const int code = fsync(dir) == 0 || errno == EINVAL ? 0 : errno;
    (void)close(dir); // read only
    return code;
}

int ut_lmdb_env_create(const ut_lmdb_place *place)
{
    char new_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(new_z, sizeof(new_z), "%s.new", place->path_z); // the room is there
    if (unlink(new_z) != 0 && errno != ENOENT)
        return errno;
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    int code = mdb_env_create(&env);
    if (code != 0)
        return code;
    code = mdb_env_set_mapsize(env, (size_t)place->bytes_max);
    if (code == 0)
        code = mdb_env_open(env, new_z, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, UT_LMDB_FILE_MODE);
    if (code == 0)
        code = mdb_txn_begin(env, NULL, 0, &txn);
    if (code == 0) {
        code = mdb_dbi_open(txn, NULL, 0, &dbi);
        if (code == 0)
            code = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    if (code == 0)
        code = mdb_env_sync(env, 1);
    mdb_env_close(env);
    if (code == 0 && rename(new_z, place->path_z) != 0)
        code = errno;
    if (code != 0) {
        (void)unlink(new_z); // the next start does it again
        return code;
    }
    return ut_lmdb_sync_directory(place->dir_z);
}
