// The engine over LMDB: opening and closing a store, one unnamed database in one file. Everything
// that is LMDB's or the file system's way of doing things ends in these files: codes are
// translated, a damaged tree becomes an error, a broken environment is opened again. Not for what
// the records mean: storage/store knows.
//
// From the ground up: _guard, _disk, _trust, _owner, _steady; _env (one data file); _state (which
// file is in use); _compact; _txn (transactions, records, cursors); _room; this file.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_compact.h"
#include "storage/lmdb/engine_lmdb_guard.h"
#include "storage/lmdb/engine_lmdb_owner.h"
#include "storage/lmdb/engine_lmdb_room.h"
#include "storage/lmdb/engine_lmdb_steady.h"
#include "storage/lmdb/engine_lmdb_txn.h"
#include "storage/lmdb/lmdb_code.h"
#include "storage/lmdb/lmdb_file.h"
#include "storage/lmdb/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// On a 32-bit machine a larger map does not find its place.
#define MAP_BYTES_MAX (SIZE_MAX > UINT32_MAX ? (uint64_t)1 << 46 : (uint64_t)1 << 30)

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

// Takes the lock of the one writer. It is released when the process ends, however it ends.
static ut_err lock_directory(ut_lmdb_engine *engine, ut_fault *fault)
{
    const char *dir_z = engine->place.dir_z;
    char path_z[UT_LMDB_PATH_MAX + 16];
    (void)snprintf(path_z, sizeof(path_z), "%s/store.lock", dir_z); // the room is there
    engine->lock_fd =
        open(path_z, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, UT_LMDB_FILE_MODE);
    if (engine->lock_fd < 0) {
        const int reason = errno;
        const bool plain = reason != ELOOP || ut_plain_file_check(path_z, 0, fault) == UT_OK;
        return plain ? open_fault(fault, path_z, reason) : UT_EPERM;
    }
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
        ssize_t len = pread(engine->lock_fd, text_z, sizeof(text_z) - 1, 0);
        long pid = len > 0 ? strtol(text_z, NULL, 10) : 0;
        if (flock(engine->lock_fd, LOCK_SH | LOCK_NB) == 0)
            return ut_fault_set(fault, UT_EBUSY,
                                "%s is being read by a user who may not write %s-lock. Try again "
                                "when that has ended",
                                dir_z, engine->place.path_z);
        if (pid > 0)
            (void)snprintf(text_z, sizeof(text_z), " %ld", pid); // fits: it was read from there
        return ut_fault_set(
            fault, UT_EBUSY,
            "%s is in use by process%s. Stop it first, or choose another data directory", dir_z,
            pid > 0 ? text_z : " (unknown)");
    }
    // The number is for the message above only: a full disk that does not take it is no reason to
    // stay away.
    const int len = snprintf(text_z, sizeof(text_z), "%ld\n", (long)getpid());
    if (ftruncate(engine->lock_fd, 0) == 0)
        (void)pwrite(engine->lock_fd, text_z, (size_t)len, 0);
    return UT_OK;
}

// Locks store.lock for a reader that may not write the lock file. A writer holds store.lock, and
// makes it where it is missing; held shared, none begins while this one reads. False when that
// cannot be told.
static bool keep_writers_out(ut_lmdb_engine *engine)
{
    char path_z[UT_LMDB_PATH_MAX + 16];
    (void)snprintf(path_z, sizeof(path_z), "%s/store.lock",
                   engine->place.dir_z); // the room is there
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

static ut_err open_file(ut_lmdb_engine *engine, ut_fault *fault)
{
    const ut_lmdb_place *place = &engine->place;
    if (!place->read_only)
        ut_lmdb_compact_clean(place->path_z);
    ut_err err = ut_lmdb_steady_end(place->dir_z, place->path_z, place->read_only, fault);
    ut_fault of_data;
    if (err == UT_EPERM && place->read_only &&
        ut_lmdb_file_check(place->path_z, &of_data) == UT_EPERM)
        *fault = of_data; // the store itself is what this user may not read
    if (err == UT_OK)
        err = ut_lmdb_file_check(place->path_z, fault);
    if (err == UT_OK && !place->read_only)
        err = ut_plain_file_check(place->path_z, UT_PLAIN_OURS, fault);
    if (err == UT_ENOTFOUND && !place->read_only) {
        int code = ut_lmdb_env_create(place);
        if (code != 0)
            return open_fault(fault, place->path_z, code);
        err = UT_OK;
    }
    if (err != UT_OK)
        return err;
    char lock_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(lock_z, sizeof(lock_z), "%s-lock", place->path_z); // the room is there
    err = ut_plain_file_check(lock_z, ut_lmdb_lock_must(place), fault);
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    if (err == UT_OK && !place->read_only)
        ut_lmdb_disk_hold_lock(lock_z);
    int code = ut_lmdb_engine_open_env(engine);
    if (code == EACCES && place->read_only) {
        // A writer has a lock file there; without one and without the right to make one, there is
        // no writer.
        bool there = access(lock_z, F_OK) == 0;
        if (keep_writers_out(engine) || !there) {
            engine->place.lockless = true;
            code = ut_lmdb_engine_open_env(engine);
        }
    }
    // The data file was checked before, so this is about the other one.
    if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH || code == MDB_CORRUPTED)
        return ut_fault_set(fault, UT_ECORRUPT,
                            "%s-lock is damaged. Stop every program that has the store open, then "
                            "remove that file: nothing is in it that lasts",
                            place->path_z);
    if (code != 0) {
        bool of_lock = ut_lmdb_translate(code) == UT_EPERM &&
                       faccessat(AT_FDCWD, place->path_z, R_OK | (place->read_only ? 0 : W_OK),
                                 AT_EACCESS) == 0;
        return open_fault(fault, of_lock ? lock_z : place->path_z, code);
    }
    return UT_OK;
}

static void engine_close(ut_engine *base)
{
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base;
    UT_ASSERT(engine->running == NULL || atomic_load(&engine->damaged));
    ut_lmdb_compact_stop(base);
    // After a trap LMDB's own lists are not to be trusted: the memory is left to the end of the
    // process.
    if (atomic_load(&engine->damaged))
        return;
    if (engine->env != NULL)
        ut_lmdb_engine_close_env(engine);
    if (engine->lock_fd >= 0)
        (void)close(engine->lock_fd); // holds nothing that could be lost
    (void)pthread_mutex_destroy(&engine->mutex);
    free(engine);
}

static const ut_engine_class lmdb_class = {
    .close = engine_close,
    .begin = ut_lmdb_txn_begin,
    .commit = ut_lmdb_txn_commit,
    .abort = ut_lmdb_txn_abort,
    .get = ut_lmdb_txn_get,
    .put = ut_lmdb_txn_put,
    .del = ut_lmdb_txn_del,
    .cursor_open = ut_lmdb_cursor_open,
    .cursor_close = ut_lmdb_cursor_close,
    .seek = ut_lmdb_cursor_seek,
    .step = ut_lmdb_cursor_step,
    .room = ut_lmdb_room,
    .compact = ut_lmdb_compact,
    .compact_stop = ut_lmdb_compact_stop,
};

// A process that was killed may have put the data file in place without syncing the directory,
// which shows nowhere: the first commit of each start syncs it. Not where this user may not read
// the directory, which can then be neither synced nor compacted.
static bool may_be_unsynced(const ut_lmdb_place *place)
{
    if (place->read_only)
        return false;
    return faccessat(AT_FDCWD, place->dir_z, R_OK, AT_EACCESS) == 0 ||
           (errno != EACCES && errno != EPERM);
}

ut_err ut_engine_lmdb_open(const ut_engine_config *config, ut_engine **out, ut_fault *fault)
{
    static const char name_z[] = "/store.mdb";
    if (strlen(config->dir_z) > UT_LMDB_PATH_MAX - 2 * sizeof(name_z))
        return ut_fault_set(fault, UT_EINVAL, "the path of the data directory is too long");
    if (!config->read_only && config->bytes_max < UT_ENGINE_LMDB_BYTES_MIN)
        return ut_fault_set(fault, UT_EINVAL, "a store needs at least %d bytes",
                            (int)UT_ENGINE_LMDB_BYTES_MIN);
    if (!config->read_only && config->bytes_max > MAP_BYTES_MAX)
        return ut_fault_set(fault, UT_EINVAL, "a store on this machine can have at most %llu MiB",
                            (unsigned long long)(MAP_BYTES_MAX >> 20));
    ut_lmdb_guard_set_up();
    ut_lmdb_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    if (pthread_mutex_init(&engine->mutex, NULL) != 0) {
        free(engine);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    engine->base.class = &lmdb_class;
    engine->lock_fd = -1;
    engine->place.read_only = config->read_only;
    long os_page = sysconf(_SC_PAGESIZE);
    engine->place.bytes_max =
        config->bytes_max - config->bytes_max % (uint64_t)(os_page > 0 ? os_page : 4096);
    (void)snprintf(engine->place.dir_z, sizeof(engine->place.dir_z), "%s",
                   config->dir_z); // checked above
    (void)snprintf(engine->place.path_z, sizeof(engine->place.path_z), "%s%s", config->dir_z,
                   name_z);

    ut_err err = UT_OK;
    if (!engine->place.read_only)
        err = lock_directory(engine, fault);
    if (err == UT_OK)
        err = open_file(engine, fault);
    engine->name_unsynced = may_be_unsynced(&engine->place);
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

const char *ut_engine_lmdb_version(void)
{
    int major;
    int minor;
    int patch;
    return mdb_version(&major, &minor, &patch);
}
