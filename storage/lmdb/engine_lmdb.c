// The engine over LMDB: one unnamed database in one file. Everything that is LMDB's or the file
// system's way of doing things ends here: codes are translated, a damaged tree becomes an error, a
// broken environment is opened again. Not for what the records mean: store.c knows.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_core.h"

#include "storage/lmdb/engine_lmdb_guard.h"
#include "storage/lmdb/engine_lmdb_steady.h"
#include "storage/lmdb/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    READERS_MAX = 254,           // read transactions at a time, of all processes
    STALE_CHECK_EVERY = 64,      // calls of room() between looks for readers that died
    FREE_RECORDS_MAX = 4096,     // lists of free pages looked at to learn what readers pin
    DISK_ROOM_MIN = 1024 * 1024, // less than this, and a write that failed met a full disk
    FREE_TREE = 0,               // LMDB's FREE_DBI
    RESERVE_PAGES =
        24, // a root split at each level, the free list's own pages, the page LMDB never uses
    DISK_RESERVES = 4,        // so many times the reserve of a transaction is held on the disk, and
    DISK_AHEAD = 1024 * 1024, // so much for what it writes: enough to remove blocks and to commit
};

// On a 32-bit machine a larger map does not find its place.
#define MAP_BYTES_MAX (SIZE_MAX > UINT32_MAX ? (uint64_t)1 << 46 : (uint64_t)1 << 30)

typedef ut_lmdb_engine lmdb_engine;
typedef ut_lmdb_env lmdb_env;
typedef ut_lmdb_txn lmdb_txn;
typedef ut_lmdb_cursor lmdb_cursor;

static const ut_engine_class lmdb_class;

// ---- errors ----

ut_err ut_lmdb_translate(int code)
{
    switch (code) {
    case 0:
        return UT_OK;
    case MDB_NOTFOUND:
        return UT_ENOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return UT_EFULL;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE:
        return UT_ECORRUPT;
    case MDB_VERSION_MISMATCH:
        return UT_EVERSION;
    case MDB_READERS_FULL:
    case MDB_TLS_FULL:
    case EMFILE:
    case ENFILE:
        return UT_ELIMIT;
    case MDB_BAD_VALSIZE:
    case EINVAL:
        return UT_EINVAL;
    case ENOMEM:
        return UT_ENOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return UT_ENOSPC;
    case EACCES:
    case EPERM:
    case EROFS:
        return UT_EPERM;
    case ENOENT:
        return UT_ENOTFOUND;
    default:
        return UT_EIO; // MDB_PANIC and MDB_BAD_TXN among them
    }
}

static ut_err open_fault(ut_fault *fault, const char *path_z, int code)
{
    ut_err err = ut_lmdb_translate(code);
    const char *hint_z = "";
    switch (err) {
    case UT_ECORRUPT:
        hint_z = ". Restore it from a copy, or move it away to start with an empty store";
        break;
    case UT_EPERM:
        hint_z =
            ". Run as the user that owns it, or give this user the right to write in its directory";
        break;
    case UT_ENOSPC:
        hint_z = ". Free some space on its disk";
        break;
    case UT_ENOTFOUND:
        hint_z = ". Create the directory, or correct data_dir";
        break;
    case UT_ENOMEM:
        hint_z = ". The budget does not fit the address space of this process";
        break;
    default:
        break;
    }
    return ut_fault_set(fault, err, "%s cannot be opened: %s%s", path_z, mdb_strerror(code),
                        hint_z);
}

// A call that did not come back by itself leaves nothing to a transaction that writes, and nothing
// to those after it: LMDB's lists, and the lock of its writer, are as they were in the middle.
static void note_trap(lmdb_txn *txn)
{
    txn->trapped = true;
    if (txn->write)
        atomic_store(&((lmdb_engine *)txn->base.engine)->damaged, true);
}

#define GUARDED(txn, code, call)                  \
    do {                                          \
        volatile bool trapped = false;            \
        UT_LMDB_GUARDED(trapped, (code), (call)); \
        if (trapped)                              \
            note_trap(txn);                       \
    } while (0)

static ut_err note(lmdb_txn *txn, int code)
{
    ut_err err = ut_lmdb_translate(code);
    if (err != UT_OK && err != UT_ENOTFOUND && err != UT_EINVAL && txn->failed == UT_OK)
        txn->failed = err;
    return err;
}

// ---- opening ----

static ino_t inode_of_lock(const char *path_z)
{
    char lock_z[UT_LMDB_PATH_MAX + 8];
    struct stat file;
    (void)snprintf(lock_z, sizeof lock_z, "%s-lock", path_z); // the room is there
    return stat(lock_z, &file) == 0 ? file.st_ino : 0;
}

static int prepare_env(lmdb_engine *engine, const char *path_z, MDB_env *env, lmdb_env *opened)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    int code = 0;
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
    if (engine->read_only)
        flags |= MDB_RDONLY; // the map's size is then what the writer's is
    else
        code = mdb_env_set_mapsize(env, (size_t)engine->bytes_max);
    if (engine->lockless)
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
    if (code == 0 && !engine->lockless) {
        int dead;
        code = mdb_reader_check(env, &dead);
    }
    if (code != 0)
        return code;
    const long machine_bytes = sysconf(_SC_PAGESIZE);
    size_t align_bytes = stat_tree.ms_psize;
    if (machine_bytes > 0 && (size_t)machine_bytes < align_bytes)
        align_bytes = (size_t)machine_bytes;
    *opened = (lmdb_env){.mdb = env,
                         .dbi = dbi,
                         .page_bytes = stat_tree.ms_psize,
                         .align_bytes = align_bytes,
                         .device = file.st_dev,
                         .inode = file.st_ino,
                         .lock_inode = inode_of_lock(path_z)};
    return 0;
}

// Nobody may open a file and its lock file while a compaction puts others in their place: whoever
// opens holds a shared lock of the directory meanwhile. -1 where the directory cannot be opened or
// takes no lock; then nobody compacts either. exclusive: nobody else may open it either.
static int lock_names(const lmdb_engine *engine, bool exclusive)
{
    int dir = open(engine->dir_z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    while (flock(dir, exclusive ? LOCK_EX : LOCK_SH) != 0 && errno == EINTR) {
    }
    return dir;
}

int ut_lmdb_env_open(lmdb_engine *engine, const char *path_z, lmdb_env **out)
{
    lmdb_env *opened = calloc(1, sizeof *opened);
    MDB_env *env = NULL;
    volatile bool trapped = false;
    int code = opened != NULL ? mdb_env_create(&env) : ENOMEM;
    if (code == 0)
        UT_LMDB_GUARDED(trapped, code, prepare_env(engine, path_z, env, opened));
    if (code != 0) {
        if (!trapped)
            mdb_env_close(env); // takes NULL; after a trap it is left as it is
        free(opened);
        return code;
    }
    *out = opened;
    return 0;
}

// LMDB would make the lock file for this user alone. It is made for whoever may use the data file,
// and while nobody opens it who could meet it before it is given away.
static int make_lock(const lmdb_engine *engine, const char *lock_z)
{
    int code = ut_lmdb_make_like(lock_z, engine->path_z, false);
    if (engine->read_only && (code == EACCES || code == EPERM))
        return EACCES;
    return 0; // whatever else it is, LMDB meets it, or goes without
}

// Opens the file by its name, and leaves it in *env.
static int open_named(lmdb_engine *engine, lmdb_env **env)
{
    char lock_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(lock_z, sizeof lock_z, "%s-lock", engine->path_z); // the room is there
    bool lock_missing = !engine->lockless && access(lock_z, F_OK) != 0;
    int names = lock_names(engine, lock_missing);
    int code = lock_missing ? make_lock(engine, lock_z) : 0;
    if (code == 0)
        code = ut_lmdb_env_open(engine, engine->path_z, env);
    int fd = -1;
    MDB_envinfo info = {0};
    UT_ASSERT(code != 0 || *env != NULL);
    if (code == 0 && !engine->read_only && mdb_env_get_fd((*env)->mdb, &fd) == 0 &&
        mdb_env_info((*env)->mdb, &info) == 0)
        (*env)->trust = ut_lmdb_trust_new(fd, (*env)->page_bytes, info.me_mapsize);
    if (names >= 0)
        (void)close(names); // releases the lock; read only
    return code;
}

// Others read the number while the file is opened again, which leaves it as it is.
static void set_best_length(lmdb_engine *engine)
{
    uint32_t best = (uint32_t)(engine->env->page_bytes - UT_LMDB_PAGE_HEADER_LEN);
    if (engine->base.value_bytes_best != best)
        engine->base.value_bytes_best = best;
}

static int open_env(lmdb_engine *engine)
{
    int code = open_named(engine, &engine->env);
    if (code == 0)
        set_best_length(engine);
    return code;
}

static void free_idle(lmdb_env *env)
{
    while (env->idle_count > 0)
        mdb_txn_abort(env->idle[--env->idle_count]);
}

void ut_lmdb_env_close(lmdb_env *env)
{
    free_idle(env);
    ut_lmdb_trust_free(env->trust);
    mdb_env_close(env->mdb);
    free(env);
}

static void close_env(lmdb_engine *engine)
{
    ut_lmdb_env_close(engine->env);
    engine->env = NULL;
}

lmdb_env *ut_lmdb_env_replace(lmdb_engine *engine, lmdb_env *env)
{
    lmdb_env *old = engine->env;
    engine->env = env;
    if (env != NULL)
        set_best_length(engine);
    if (old == NULL || old->users == 0)
        return old;
    free_idle(old);
    old->next = engine->retired;
    engine->retired = old;
    return NULL;
}

// Makes the names of new files durable.
int ut_lmdb_sync_directory(const char *dir_z)
{
    int dir = open(dir_z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno;
    int code = fsync(dir) == 0 ? 0 : errno;
    (void)close(dir); // read only
    return code;
}

// Makes the file under another name and moves it to its place: a store.mdb is a store from the
// first moment, and a power cut leaves none or an empty one.
static int create_file(const lmdb_engine *engine, const char *dir_z)
{
    char new_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(new_z, sizeof new_z, "%s.new", engine->path_z); // the room is there
    if (unlink(new_z) != 0 && errno != ENOENT)
        return errno;
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    int code = mdb_env_create(&env);
    if (code != 0)
        return code;
    code = mdb_env_set_mapsize(env, (size_t)engine->bytes_max);
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
    if (code == 0 && rename(new_z, engine->path_z) != 0)
        code = errno;
    if (code != 0) {
        (void)unlink(new_z); // the next start does it again
        return code;
    }
    return ut_lmdb_sync_directory(dir_z);
}

// Takes the lock of the one writer. It is released when the process ends, however it ends.
static ut_err lock_directory(lmdb_engine *engine, const char *dir_z, ut_fault *fault)
{
    char path_z[UT_LMDB_PATH_MAX];
    (void)snprintf(path_z, sizeof path_z, "%s/store.lock", dir_z); // its length was checked
    engine->lock_fd =
        open(path_z, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, UT_LMDB_FILE_MODE);
    if (engine->lock_fd < 0)
        return open_fault(fault, path_z, errno);
    // It is written to: a link that somebody put there must not lead elsewhere.
    struct stat status;
    if (fstat(engine->lock_fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink > 1)
        return ut_fault_set(fault, UT_EPERM,
                            "%s is not a plain file with one name. Remove it, the next start makes "
                            "it again",
                            path_z);
    char text_z[24] = "";
    if (flock(engine->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return open_fault(fault, path_z, errno);
        ssize_t len = pread(engine->lock_fd, text_z, sizeof text_z - 1, 0);
        long pid = len > 0 ? strtol(text_z, NULL, 10) : 0;
        if (flock(engine->lock_fd, LOCK_SH | LOCK_NB) == 0)
            return ut_fault_set(fault, UT_EBUSY,
                                "%s is being read by a user who may not write %s-lock. Try again "
                                "when that has ended",
                                dir_z, engine->path_z);
        return ut_fault_set(
            fault, UT_EBUSY,
            "%s is in use by process %ld. Stop it first, or choose another data directory", dir_z,
            pid);
    }
    int len = snprintf(text_z, sizeof text_z, "%ld\n", (long)getpid());
    // The number is for the message above only.
    if (ftruncate(engine->lock_fd, 0) != 0 ||
        pwrite(engine->lock_fd, text_z, (size_t)len, 0) != len)
        return open_fault(fault, path_z, errno != 0 ? errno : EIO);
    return UT_OK;
}

// For a reader that may not write the lock file. Whoever writes holds store.lock, and makes it where
// it is missing; held shared, none begins while this one reads. False when that cannot be told.
static bool keep_writers_out(lmdb_engine *engine)
{
    char path_z[UT_LMDB_PATH_MAX + 16];
    (void)snprintf(path_z, sizeof path_z, "%s/store.lock", engine->dir_z); // the room is there
    int fd = open(path_z, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT; // a copy without it
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        (void)close(fd); // read only
        return false;
    }
    engine->lock_fd = fd;
    return true;
}

static ut_err open_file(lmdb_engine *engine, const char *dir_z, ut_fault *fault)
{
    if (!engine->read_only)
        ut_lmdb_compact_clean(engine->path_z);
    ut_err err = ut_lmdb_steady_end(engine->dir_z, engine->path_z, engine->read_only, fault);
    ut_fault of_data;
    if (err == UT_EPERM && engine->read_only &&
        ut_lmdb_file_check(engine->path_z, &of_data) == UT_EPERM)
        *fault = of_data; // the store itself is what this user may not read
    if (err == UT_OK)
        err = ut_lmdb_file_check(engine->path_z, fault);
    if (err == UT_ENOTFOUND && !engine->read_only) {
        int code = create_file(engine, dir_z);
        if (code != 0)
            return open_fault(fault, engine->path_z, code);
        err = UT_OK;
    }
    if (err != UT_OK)
        return err;
    int code = open_env(engine);
    char lock_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(lock_z, sizeof lock_z, "%s-lock", engine->path_z); // the room is there
    if (code == EACCES && engine->read_only) {
        // Whoever writes has a lock file there; without one and without the right to make one,
        // there is no writer.
        bool there = access(lock_z, F_OK) == 0;
        if (keep_writers_out(engine) || !there) {
            engine->lockless = true;
            code = open_env(engine);
        }
    }
    // The data file was checked before, so this is about the other one.
    if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH || code == MDB_CORRUPTED)
        return ut_fault_set(fault, UT_ECORRUPT,
                            "%s-lock is damaged. Stop every program that has the store open, then "
                            "remove that file: nothing is in it that lasts",
                            engine->path_z);
    if (code != 0) {
        bool of_lock = ut_lmdb_translate(code) == UT_EPERM &&
                       faccessat(AT_FDCWD, engine->path_z, R_OK | (engine->read_only ? 0 : W_OK),
                                 AT_EACCESS) == 0;
        return open_fault(fault, of_lock ? lock_z : engine->path_z, code);
    }
    return UT_OK;
}

ut_err ut_engine_lmdb_open(const ut_engine_config *config, ut_engine **out, ut_fault *fault)
{
    static const char name_z[] = "/store.mdb";
    if (strlen(config->dir_z) > UT_LMDB_PATH_MAX - 2 * sizeof name_z)
        return ut_fault_set(fault, UT_EINVAL, "the path of the data directory is too long");
    if (!config->read_only && config->bytes_max < UT_ENGINE_LMDB_BYTES_MIN)
        return ut_fault_set(fault, UT_EINVAL, "a store needs at least %d bytes",
                            (int)UT_ENGINE_LMDB_BYTES_MIN);
    if (!config->read_only && config->bytes_max > MAP_BYTES_MAX)
        return ut_fault_set(fault, UT_EINVAL, "a store on this machine can have at most %llu MiB",
                            (unsigned long long)(MAP_BYTES_MAX >> 20));
    ut_lmdb_guard_set_up();
    lmdb_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    if (pthread_mutex_init(&engine->mutex, NULL) != 0) {
        free(engine);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    engine->base.class = &lmdb_class;
    engine->lock_fd = -1;
    engine->read_only = config->read_only;
    long os_page = sysconf(_SC_PAGESIZE);
    engine->bytes_max =
        config->bytes_max - config->bytes_max % (uint64_t)(os_page > 0 ? os_page : 4096);
    (void)snprintf(engine->dir_z, sizeof engine->dir_z, "%s", config->dir_z); // checked above
    (void)snprintf(engine->path_z, sizeof engine->path_z, "%s%s", config->dir_z, name_z);

    ut_err err = UT_OK;
    if (!engine->read_only)
        err = lock_directory(engine, config->dir_z, fault);
    if (err == UT_OK)
        err = open_file(engine, config->dir_z, fault);
    if (err != UT_OK) {
        if (engine->lock_fd >= 0)
            (void)close(engine->lock_fd); // nothing was written
        (void)pthread_mutex_destroy(&engine->mutex);
        free(engine);
        return err;
    }
    *out = &engine->base;
    return UT_OK;
}

static void engine_close(ut_engine *base)
{
    lmdb_engine *engine = (lmdb_engine *)base;
    UT_ASSERT(engine->running == NULL || atomic_load(&engine->damaged));
    ut_lmdb_compact_stop(base);
    // After a trap LMDB's own lists are not to be trusted: the memory is left to the end of the
    // process.
    if (atomic_load(&engine->damaged))
        return;
    if (engine->env != NULL)
        close_env(engine);
    if (engine->lock_fd >= 0)
        (void)close(engine->lock_fd); // holds nothing that could be lost
    (void)pthread_mutex_destroy(&engine->mutex);
    free(engine);
}

const char *ut_engine_lmdb_version(void)
{
    int major;
    int minor;
    int patch;
    return mdb_version(&major, &minor, &patch);
}

// ---- transactions ----

// LMDB refuses everything after it could not write a meta page, and after another process enlarged
// the file. Both end by opening again or mapping again, which needs that no transaction is open.
// Mutex held; code: what LMDB said.
static int recover(lmdb_engine *engine, int code)
{
    if (engine->env == NULL || engine->env->users > 0 || atomic_load(&engine->damaged))
        return code;
    free_idle(engine->env);
    if (code == MDB_MAP_RESIZED)
        return mdb_env_set_mapsize(engine->env->mdb, 0);
    close_env(engine);
    return open_env(engine);
}

// A compaction of the process that writes may have put another file in place: whoever reads takes
// that one up. Mutex held. What cannot be opened is left for the next time; the old file is whole.
static void follow(lmdb_engine *engine, lmdb_env **closing)
{
    struct stat file;
    lmdb_env *old = engine->env;
    ut_fault fault;
    if (stat(engine->path_z, &file) != 0 ||
        (file.st_ino == old->inode && file.st_dev == old->device &&
         (engine->lockless || inode_of_lock(engine->path_z) == old->lock_inode)))
        return;
    lmdb_env *env = NULL;
    if (ut_lmdb_file_check(engine->path_z, &fault) == UT_OK && open_named(engine, &env) == 0)
        *closing = ut_lmdb_env_replace(engine, env);
}

static int look_around(ut_lmdb_trust *trust, size_t txn_id)
{
    return ut_lmdb_trust_begin(trust, txn_id - 1) ? 0 : MDB_CORRUPTED;
}

static int begin_locked(lmdb_engine *engine, bool write, lmdb_txn **out)
{
    if (write && engine->name_unsynced) {
        int code = ut_lmdb_sync_directory(engine->dir_z);
        if (code != 0)
            return code;
        engine->name_unsynced = false;
    }
    if (engine->env == NULL) {
        int code = open_env(engine);
        if (code != 0)
            return code;
    }
    lmdb_env *env = engine->env;
    UT_ASSERT(env != NULL);
    lmdb_txn *txn = calloc(1, sizeof(*txn));
    if (txn == NULL)
        return ENOMEM;
    volatile bool trapped = false;
    int code = 0;
    if (!write && env->idle_count > 0) {
        txn->mdb = env->idle[--env->idle_count];
        UT_LMDB_GUARDED(trapped, code, mdb_txn_renew(txn->mdb));
        if (code != 0 && !trapped)
            mdb_txn_abort(txn->mdb);
    } else {
        UT_LMDB_GUARDED(trapped, code,
                        mdb_txn_begin(env->mdb, NULL, write ? 0 : MDB_RDONLY, &txn->mdb));
        if (trapped && write)
            atomic_store(&engine->damaged, true);
        if (code == 0 && write && env->trust != NULL && !ut_lmdb_trust_all(env->trust)) {
            UT_LMDB_GUARDED(trapped, code, look_around(env->trust, mdb_txn_id(txn->mdb)));
            if (code != 0)
                mdb_txn_abort(txn->mdb);
        }
    }
    if (code != 0) {
        free(txn);
        return code;
    }
    txn->env = env;
    env->users += 1;
    *out = txn;
    return 0;
}

static ut_err txn_begin(ut_engine *base, bool write, ut_txn **out)
{
    lmdb_engine *engine = (lmdb_engine *)base;
    if (write && engine->read_only)
        return UT_EPERM;
    lmdb_txn *txn = NULL;
    lmdb_env *closing = NULL;
    (void)pthread_mutex_lock(&engine->mutex); // cannot fail: not recursive, not held
    if (engine->read_only && engine->env != NULL)
        follow(engine, &closing);
    int code =
        write && atomic_load(&engine->damaged) ? MDB_CORRUPTED : begin_locked(engine, write, &txn);
    if (code == MDB_PANIC || code == MDB_MAP_RESIZED) {
        code = recover(engine, code);
        if (code == 0)
            code = begin_locked(engine, write, &txn);
    }
    if (code == 0) {
        txn->base.engine = base;
        txn->write = write;
        txn->failed = UT_OK;
        txn->cursors = NULL;
        txn->trapped = false;
        txn->next = engine->running;
        engine->running = txn;
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    if (closing != NULL)
        ut_lmdb_env_close(closing);
    if (code != 0)
        return ut_lmdb_translate(code);
    *out = &txn->base;
    return UT_OK;
}

// Takes txn off the running ones, and keeps or frees it.
static void finish(lmdb_engine *engine, lmdb_txn *txn)
{
    lmdb_env *env = txn->env;
    lmdb_env *closing = NULL;
    (void)pthread_mutex_lock(&engine->mutex);
    for (lmdb_txn **at = &engine->running; *at != NULL; at = &(*at)->next) {
        if (*at == txn) {
            *at = txn->next;
            break;
        }
    }
    env->users -= 1;
    if (!txn->write && !txn->trapped && env == engine->env &&
        env->idle_count < UT_LMDB_IDLE_READS_MAX)
        env->idle[env->idle_count++] = txn->mdb;
    else if (!txn->write)
        mdb_txn_abort(txn->mdb);
    free(txn);
    if (env != engine->env && env->users == 0) {
        for (lmdb_env **at = &engine->retired; *at != NULL; at = &(*at)->next) {
            if (*at == env) {
                *at = env->next;
                closing = env;
                break;
            }
        }
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    if (closing != NULL)
        ut_lmdb_env_close(closing);
}

static void close_cursors(lmdb_txn *txn)
{
    while (txn->cursors != NULL) {
        lmdb_cursor *cursor = txn->cursors;
        txn->cursors = cursor->next;
        mdb_cursor_close(cursor->mdb);
        free(cursor);
    }
}

static void txn_abort(ut_txn *base)
{
    lmdb_txn *txn = (lmdb_txn *)base;
    lmdb_engine *engine = (lmdb_engine *)base->engine;
    if (!txn->write || !txn->trapped) { // otherwise all of it is left to the end of the process
        close_cursors(txn);
        if (txn->write)
            mdb_txn_abort(txn->mdb);
        else
            mdb_txn_reset(txn->mdb);
    }
    finish(engine, txn);
}

// LMDB calls it an I/O error when the file system takes only a part of a write. On a full disk that
// is what happens.
static int name_full_disk(MDB_env *env, int code)
{
    mdb_filehandle_t file;
    struct statvfs disk;
    if (code != EIO || mdb_env_get_fd(env, &file) != MDB_SUCCESS || fstatvfs(file, &disk) != 0)
        return code;
    return (uint64_t)disk.f_bavail * disk.f_frsize < DISK_ROOM_MIN ? ENOSPC : code;
}

static ut_err txn_commit(ut_txn *base)
{
    lmdb_txn *txn = (lmdb_txn *)base;
    lmdb_engine *engine = (lmdb_engine *)base->engine;
    if (txn->failed != UT_OK || !txn->write) {
        ut_err failed = txn->write ? txn->failed : UT_EINVAL;
        txn_abort(base);
        return failed;
    }
    close_cursors(txn);
    int code;
    GUARDED(txn, code, mdb_txn_commit(txn->mdb));
    code = name_full_disk(txn->env->mdb, code);
    if (ut_lmdb_translate(code) == UT_ENOSPC)
        ut_lmdb_disk_met_end(&txn->env->disk);
    finish(engine, txn);
    return ut_lmdb_translate(code);
}

// ---- records ----

static MDB_val val_of(ut_bytes bytes)
{
    // LMDB takes pointers to what it only reads without const.
    union {
        const uint8_t *in;
        void *out;
    } pointer = {.in = bytes.data};
    return (MDB_val){bytes.len, pointer.out};
}

static ut_bytes bytes_of(MDB_val val)
{
    return (ut_bytes){val.mv_data, val.mv_size};
}

// Whoever reads a value is not guarded: its pages are met here, should the file not have them.
static void touch(MDB_val val)
{
    enum { STEP = 4096 }; // no machine has smaller pages
    const volatile uint8_t *bytes = val.mv_data;
    for (size_t i = 0; i < val.mv_size; i += STEP)
        (void)bytes[i];
    (void)bytes[val.mv_size - 1];
}

// Checks that a value lies within the pages that LMDB means: a damaged length would lead out of
// them.
static int check_value(const lmdb_txn *txn, MDB_val val)
{
    size_t page_bytes = txn->env->page_bytes;
    uintptr_t at = (uintptr_t)val.mv_data;
    const size_t align_bytes = txn->env->align_bytes;
    if (val.mv_size < page_bytes / 2) {
        // A page that this transaction has changed stands on the heap.
        if (txn->write || val.mv_size == 0)
            return 0;
        // Within one page of the map, where it is known where pages begin; or at least in memory.
        if (align_bytes == page_bytes)
            return at % page_bytes + val.mv_size <= page_bytes ? 0 : MDB_CORRUPTED;
        touch(val);
        return 0;
    }
    if (!txn->write && at % align_bytes != UT_LMDB_PAGE_HEADER_LEN)
        return MDB_CORRUPTED;
    uint16_t flags;
    uint32_t pages;
    const uint8_t *header = (const uint8_t *)val.mv_data - UT_LMDB_PAGE_HEADER_LEN;
    memcpy(&flags, header + sizeof(size_t) + 2, sizeof flags);
    memcpy(&pages, header + sizeof(size_t) + 4, sizeof pages);
    uint64_t room = (uint64_t)pages * page_bytes;
    if ((flags & UT_LMDB_PAGE_OVERFLOW) == 0 || val.mv_size + UT_LMDB_PAGE_HEADER_LEN > room)
        return MDB_CORRUPTED;
    touch(val);
    return 0;
}

static int look_at(ut_lmdb_trust *trust, ut_bytes key, bool removal)
{
    return ut_lmdb_trust_key(trust, key, removal) ? 0 : MDB_CORRUPTED;
}

// Looks at the pages of a key before a write transaction uses them.
static int trust_pages(const lmdb_txn *txn, ut_bytes key, bool removal)
{
    ut_lmdb_trust *trust = txn->env->trust;
    if (!txn->write || trust == NULL || ut_lmdb_trust_all(trust))
        return 0;
    volatile bool trapped = false;
    int code = 0;
    UT_LMDB_GUARDED(trapped, code, look_at(trust, key, removal));
    (void)trapped; // nothing is left halfway
    return code;
}

static int get_value(const lmdb_txn *txn, MDB_val *key, MDB_val *value)
{
    int code = mdb_get(txn->mdb, txn->env->dbi, key, value);
    return code == 0 ? check_value(txn, *value) : code;
}

static ut_err txn_get(ut_txn *base, ut_bytes key, ut_bytes *value)
{
    lmdb_txn *txn = (lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    MDB_val k = val_of(key);
    MDB_val v = {0, NULL};
    int code = trust_pages(txn, key, false);
    if (code == 0)
        GUARDED(txn, code, get_value(txn, &k, &v));
    if (code == 0)
        *value = bytes_of(v);
    return note(txn, code);
}

static ut_err txn_put(ut_txn *base, ut_bytes key, ut_bytes value)
{
    lmdb_txn *txn = (lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    ut_lmdb_compaction *compaction = ((lmdb_engine *)base->engine)->compaction;
    if (compaction != NULL)
        ut_lmdb_compact_note(compaction, key);
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    int code = trust_pages(txn, key, false);
    if (code == 0)
        GUARDED(txn, code, mdb_put(txn->mdb, txn->env->dbi, &k, &v, 0));
    return note(txn, code);
}

static ut_err txn_del(ut_txn *base, ut_bytes key)
{
    lmdb_txn *txn = (lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    ut_lmdb_compaction *compaction = ((lmdb_engine *)base->engine)->compaction;
    if (compaction != NULL)
        ut_lmdb_compact_note(compaction, key);
    MDB_val k = val_of(key);
    int code = trust_pages(txn, key, true);
    if (code == 0)
        GUARDED(txn, code, mdb_del(txn->mdb, txn->env->dbi, &k, NULL));
    return note(txn, code);
}

// ---- cursors ----

static ut_err cursor_open(ut_txn *base, ut_cursor **out)
{
    lmdb_txn *txn = (lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    lmdb_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        return UT_ENOMEM;
    int code = 0;
    GUARDED(txn, code, mdb_cursor_open(txn->mdb, txn->env->dbi, &cursor->mdb));
    if (code != 0) {
        free(cursor);
        return ut_lmdb_translate(code);
    }
    cursor->base.txn = base;
    cursor->next = txn->cursors;
    txn->cursors = cursor;
    *out = &cursor->base;
    return UT_OK;
}

static void cursor_close(ut_cursor *base)
{
    lmdb_cursor *cursor = (lmdb_cursor *)base;
    lmdb_txn *txn = (lmdb_txn *)base->txn;
    if (txn->write && txn->trapped)
        return;
    for (lmdb_cursor **at = &txn->cursors; *at != NULL; at = &(*at)->next) {
        if (*at == cursor) {
            *at = cursor->next;
            break;
        }
    }
    mdb_cursor_close(cursor->mdb);
    free(cursor);
}

static int compare(MDB_val a, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a.mv_data, b, a.mv_size < b_len ? a.mv_size : b_len);
    return order != 0 ? order : (a.mv_size > b_len) - (a.mv_size < b_len);
}

// What LMDB found, guarded: keys and values lie within their pages, and the keys of a cursor rise or
// fall, so that a tree that leads round in circles comes to an end.
static int check_found(lmdb_cursor *cursor, MDB_val key, MDB_val value, bool step, bool reverse)
{
    const lmdb_txn *txn = (const lmdb_txn *)cursor->base.txn;
    size_t page_bytes = txn->env->page_bytes;
    if (key.mv_size == 0 || key.mv_size >= page_bytes / 2 || check_value(txn, key) != 0 ||
        check_value(txn, value) != 0)
        return MDB_CORRUPTED;
    if (step && cursor->key_len > 0) {
        int order = compare(key, cursor->key, cursor->key_len);
        if (reverse ? order >= 0 : order <= 0)
            return MDB_CORRUPTED;
    }
    cursor->key_len = key.mv_size <= sizeof cursor->key ? key.mv_size : 0;
    memcpy(cursor->key, key.mv_data, cursor->key_len);
    return 0;
}

static ut_err hand_out(lmdb_txn *txn, int code, MDB_val key, MDB_val value, ut_bytes *found_key,
                       ut_bytes *found_value)
{
    if (code == 0)
        code = trust_pages(txn, bytes_of(key), false);
    if (code != 0)
        return note(txn, code);
    *found_key = bytes_of(key);
    *found_value = bytes_of(value);
    return UT_OK;
}

static int seek_last_below(MDB_cursor *mdb, MDB_val *key, MDB_val *value)
{
    MDB_val wanted = *key;
    int code = mdb_cursor_get(mdb, key, value, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND)
        return mdb_cursor_get(mdb, key, value, MDB_LAST);
    if (code != 0 || (key->mv_size == wanted.mv_size &&
                      memcmp(key->mv_data, wanted.mv_data, wanted.mv_size) == 0))
        return code;
    return mdb_cursor_get(mdb, key, value, MDB_PREV);
}

static int seek(lmdb_cursor *cursor, MDB_val *key, MDB_val *value, bool reverse)
{
    MDB_val wanted = *key;
    int code = reverse ? seek_last_below(cursor->mdb, key, value)
                       : mdb_cursor_get(cursor->mdb, key, value, MDB_SET_RANGE);
    if (code == 0)
        code = check_found(cursor, *key, *value, false, reverse);
    int order = code == 0 ? compare(*key, wanted.mv_data, wanted.mv_size) : 0;
    return (reverse ? order > 0 : order < 0) ? MDB_CORRUPTED : code;
}

static ut_err cursor_seek(ut_cursor *base, ut_bytes key, bool reverse, ut_bytes *found_key,
                          ut_bytes *value)
{
    lmdb_cursor *cursor = (lmdb_cursor *)base;
    lmdb_txn *txn = (lmdb_txn *)base->txn;
    if (txn->failed != UT_OK)
        return txn->failed;
    MDB_val k = val_of(key);
    MDB_val v = {0, NULL};
    int code = trust_pages(txn, key, false);
    if (code == 0)
        GUARDED(txn, code, seek(cursor, &k, &v, reverse));
    return hand_out(txn, code, k, v, found_key, value);
}

static int step(lmdb_cursor *cursor, MDB_val *key, MDB_val *value, bool reverse)
{
    int code = mdb_cursor_get(cursor->mdb, key, value, reverse ? MDB_PREV : MDB_NEXT);
    return code == 0 ? check_found(cursor, *key, *value, true, reverse) : code;
}

static ut_err cursor_step(ut_cursor *base, bool reverse, ut_bytes *found_key, ut_bytes *value)
{
    lmdb_cursor *cursor = (lmdb_cursor *)base;
    lmdb_txn *txn = (lmdb_txn *)base->txn;
    if (txn->failed != UT_OK)
        return txn->failed;
    MDB_val k = {0, NULL};
    MDB_val v = {0, NULL};
    int code;
    GUARDED(txn, code, step(cursor, &k, &v, reverse));
    return hand_out(txn, code, k, v, found_key, value);
}

// ---- room ----

typedef struct {
    size_t oldest; // transaction that a reader still sees
    long pid;      // of that reader
} reader_scan;

// A line of LMDB's list of readers: process, thread, and the transaction or "-".
static int scan_reader(const char *line_z, void *context)
{
    reader_scan *scan = context;
    long pid;
    unsigned long long thread;
    unsigned long long txn;
    if (sscanf(line_z, "%ld %llx %llu", &pid, &thread, &txn) == 3 && txn < scan->oldest) {
        scan->oldest = (size_t)txn;
        scan->pid = pid;
    }
    return 0;
}

// Pages that are on the lists of free pages but that the next write transaction may not take: those
// freed since the oldest state that a reader sees, and those that the newest transaction freed.
static int count_pinned(MDB_txn *txn, size_t oldest, uint64_t *pages)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, FREE_TREE, &cursor);
    if (code != 0)
        return code;
    MDB_val key;
    MDB_val value;
    unsigned looked = 0;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_LAST); code == 0;
         code = mdb_cursor_get(cursor, &key, &value, MDB_PREV)) {
        size_t id;
        size_t count;
        memcpy(&id, key.mv_data, sizeof id);
        memcpy(&count, value.mv_data, sizeof count);
        if (id < oldest)
            break;
        *pages += count;
        looked += 1;
        if (looked == FREE_RECORDS_MAX) {
            *pages = UINT64_MAX; // a reader has been there for long: count all as pinned
            break;
        }
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int measure(lmdb_engine *engine, lmdb_txn *txn, ut_engine_room *room)
{
    MDB_envinfo info;
    MDB_stat main_tree;
    MDB_stat free_tree;
    int code = mdb_env_info(txn->env->mdb, &info);
    if (code == 0)
        code = mdb_stat(txn->mdb, txn->env->dbi, &main_tree);
    if (code == 0)
        code = mdb_stat(txn->mdb, FREE_TREE, &free_tree);
    if (code != 0)
        return code;
    uint64_t page = txn->env->page_bytes;
    uint64_t free_tree_pages =
        free_tree.ms_branch_pages + free_tree.ms_leaf_pages + free_tree.ms_overflow_pages;
    // Every page of the file is a meta page, in a tree, or on a list of free pages.
    uint64_t used = 2 + main_tree.ms_branch_pages + main_tree.ms_leaf_pages +
                    main_tree.ms_overflow_pages + free_tree_pages;
    uint64_t total = info.me_last_pgno + 1;
    if (used > total)
        return MDB_CORRUPTED; // not a budget that is used up: nothing that leaves would free a page
    uint64_t idle = total - used;
    uint64_t reserve = (main_tree.ms_branch_pages + free_tree_pages + RESERVE_PAGES) * page;
    uint64_t bytes_max = engine->read_only ? info.me_mapsize : engine->bytes_max;
    mdb_filehandle_t file;
    if (!engine->read_only && mdb_env_get_fd(txn->env->mdb, &file) == MDB_SUCCESS)
        bytes_max = ut_lmdb_disk_hold(&txn->env->disk, file, total * page,
                                      DISK_RESERVES * reserve + DISK_AHEAD, bytes_max);
    bool disk_full = !engine->read_only && bytes_max < engine->bytes_max;
    // LMDB leaves the last page of the map alone.
    uint64_t most = disk_full ? bytes_max / page : info.me_mapsize / page - 1;

    reader_scan scan = {info.me_last_txnid, 0};
    // It fails only when scan_reader does, and that does not.
    (void)mdb_reader_list(txn->env->mdb, scan_reader, &scan);
    uint64_t pinned = 0;
    code = count_pinned(txn->mdb, scan.oldest, &pinned);
    if (code != 0)
        return code;
    *room = (ut_engine_room){
        .bytes_max = bytes_max,
        .bytes_used = used * page,
        .bytes_ready =
            ((most > total ? most - total : 0) + (idle > pinned ? idle - pinned : 0)) * page,
        .bytes_pinned = (idle < pinned ? idle : pinned) * page,
        .bytes_file = total * page,
        .write_reserve = reserve,
        // The page around it, and now and then a second one when it splits.
        .touch_bytes = (uint32_t)(page + page / 8),
        .page_bytes = (uint32_t)page,
        .disk_full = disk_full,
        .pinned_by = scan.pid == (long)getpid() ? 0 : scan.pid,
    };
    return 0;
}

static ut_err engine_room(ut_engine *base, ut_engine_room *room)
{
    lmdb_engine *engine = (lmdb_engine *)base;
    ut_txn *txn = NULL;
    ut_err err = txn_begin(base, false, &txn);
    if (err != UT_OK)
        return err;
    UT_ASSERT(txn != NULL);
    lmdb_txn *own = (lmdb_txn *)txn;
    int code = 0;
    if (!engine->read_only && engine->rooms++ % STALE_CHECK_EVERY == 0) {
        int dead;
        code = mdb_reader_check(own->env->mdb, &dead);
    }
    if (code == 0)
        GUARDED(own, code, measure(engine, own, room));
    txn_abort(txn);
    return ut_lmdb_translate(code);
}

static const ut_engine_class lmdb_class = {
    .close = engine_close,
    .begin = txn_begin,
    .commit = txn_commit,
    .abort = txn_abort,
    .get = txn_get,
    .put = txn_put,
    .del = txn_del,
    .cursor_open = cursor_open,
    .cursor_close = cursor_close,
    .seek = cursor_seek,
    .step = cursor_step,
    .room = engine_room,
    .compact = ut_lmdb_compact,
    .compact_stop = ut_lmdb_compact_stop,
};
