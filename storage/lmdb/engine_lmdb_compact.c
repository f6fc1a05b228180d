// Rewrites the data file without its free pages, slice by slice, on the thread that writes: records
// are copied in the order of their keys into a second file; the keys of records that change behind
// the place that was reached are noted, and copied again. Not for when to do so: compaction.c.
//
// The new file takes the place of the old one by its name. A process that has the old one open goes
// on reading it. The lock file is renamed first: killed in between, the old file stands beside a
// lock file that nobody holds, which LMDB then makes anew. A transaction of another process that
// was open at that moment is not in the new lock file, so that the next writer may take pages that
// it still reads: it meets damage, at worst, and the next transaction of that process sees the
// store as it is.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_compact.h"

#include "port/base/buf.h"
#include "storage/lmdb/engine_lmdb_guard.h"
#include "storage/lmdb/engine_lmdb_owner.h"
#include "storage/lmdb/engine_lmdb_state.h"
#include "storage/lmdb/lmdb_code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    SLICE_BYTES = 1024 * 1024,           // copied in one slice
    SLICE_RECORDS = 4096,                // looked at in one slice
    CHANGED_BYTES_MAX = 8 * 1024 * 1024, // keys that wait to be copied again
    CHANGED_BYTES_KEEP = 64 * 1024,
    KEY_LEN_MAX = 511,            // LMDB's
    DISK_SPARE = 4 * 1024 * 1024, // left to others
};

static const char *const suffix_z = ".new";
static const char *const old_lock_z = "-lock.old"; // behind suffix_z

struct ut_lmdb_compaction {
    char path_z[UT_LMDB_PATH_MAX + 8]; // of the new file
    MDB_env *to;
    MDB_dbi dbi;
    uint8_t position[KEY_LEN_MAX]; // records up to this key are copied
    size_t position_len;           // 0: none are
    bool copied;                   // all records are
    bool settled;                  // and were synced once, so that the last sync is a short one
    // Keys up to the position that were written or deleted since: length (2 bytes), bytes.
    ut_buf changed;
    size_t changed_at; // bytes of them that are copied again
    ut_engine_compaction progress;
};

// The work that is left of one slice.
typedef struct {
    uint32_t records;
    uint64_t bytes;
} slice;

// ---- the second file ----

static void remove_files(const char *new_z)
{
    char lock_z[UT_LMDB_PATH_MAX + 16];
    (void)snprintf(lock_z, sizeof(lock_z), "%s-lock", new_z); // the room is there
    // A file that stays is removed at the next opening to write, and only takes room until then.
    (void)unlink(new_z);
    (void)unlink(lock_z);
    (void)snprintf(lock_z, sizeof(lock_z), "%s%s", new_z, old_lock_z);
    (void)unlink(lock_z);
}

void ut_lmdb_compact_clean(const char *path_z)
{
    char new_z[UT_LMDB_PATH_MAX + 8];
    (void)snprintf(new_z, sizeof(new_z), "%s%s", path_z, suffix_z); // the room is there
    remove_files(new_z);
}

// Frees the compaction. renamed: the new file has its name; otherwise it is removed.
static void end(ut_lmdb_engine *engine, bool renamed)
{
    ut_lmdb_compaction *c = engine->compaction;
    engine->compaction = NULL;
    mdb_env_close(c->to); // takes NULL
    if (!renamed)
        remove_files(c->path_z);
    ut_buf_free(&c->changed);
    free(c);
}

static ut_err failed(const ut_lmdb_compaction *c, ut_err err, ut_fault *fault)
{
    const char *hint_z = "";
    if (err == UT_ENOSPC)
        hint_z = ". Free some space on its disk, and try again";
    else if (err == UT_EFULL)
        hint_z = ". It does not become smaller: raise storage.max_size, or clean up first";
    else if (err == UT_EPERM)
        hint_z = ". It must belong to the user and the group of store.mdb: change that file's to "
                 "those of the agent's user";
    else if (err == UT_ECORRUPT)
        hint_z = ". The store is damaged: see `untrace store verify`";
    return ut_fault_set(fault, err, "the store was not compacted, and is as before: %s: %s%s",
                        c->path_z, ut_err_text(err), hint_z);
}

static ut_err check_disk(const ut_lmdb_engine *engine, uint64_t wanted, ut_fault *fault)
{
    struct statvfs disk;
    if (statvfs(engine->place.dir_z, &disk) != 0)
        return ut_fault_set(fault, UT_EIO, "the room on the disk of %s cannot be told: %s",
                            engine->place.dir_z, strerror(errno));
    uint64_t there = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (there >= wanted + DISK_SPARE)
        return UT_OK;
    return ut_fault_set(fault, UT_ENOSPC,
                        "compacting needs %llu MiB for a second file beside %s, and its disk has "
                        "%llu MiB. Free some space there first",
                        (unsigned long long)((wanted + DISK_SPARE) >> 20) + 1, engine->place.path_z,
                        (unsigned long long)(there >> 20));
}

static int open_second(const ut_lmdb_engine *engine, ut_lmdb_compaction *c)
{
    MDB_txn *txn = NULL;
    int code = ut_lmdb_make_like(c->path_z, engine->place.path_z, true);
    if (code == 0)
        code = mdb_env_create(&c->to);
    if (code == 0)
        code = mdb_env_set_mapsize(c->to, (size_t)engine->place.bytes_max);
    // No other process knows this file, so it needs no locks. It is synced before it gets its name.
    if (code == 0)
        code = mdb_env_open(c->to, c->path_z,
                            MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK | MDB_NOSYNC | MDB_NORDAHEAD,
                            UT_LMDB_FILE_MODE);
    int fd = -1;
    if (code == 0)
        code = mdb_env_get_fd(c->to, &fd);
    if (code == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        code = errno;
    if (code == 0)
        code = mdb_txn_begin(c->to, NULL, 0, &txn);
    if (code != 0)
        return code;
    code = mdb_dbi_open(txn, NULL, 0, &c->dbi);
    if (code == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

static ut_err start(ut_lmdb_engine *engine, ut_fault *fault)
{
    if (engine->place.read_only)
        return ut_fault_set(fault, UT_EPERM, "%s is open for reading only", engine->place.path_z);
    ut_engine_room room = {0};
    ut_err err = ut_engine_get_room(&engine->base, &room);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "%s cannot be read: %s", engine->place.path_z,
                            ut_err_text(err));
    err = check_disk(engine, room.bytes_used, fault);
    if (err != UT_OK)
        return err;
    UT_ASSERT(engine->env != NULL); // the room is that of this file
    ut_lmdb_compaction *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    ut_buf_init(&c->changed, CHANGED_BYTES_MAX);
    (void)snprintf(c->path_z, sizeof(c->path_z), "%s%s", engine->place.path_z, suffix_z); // fits
    c->progress.bytes_before = room.bytes_file;
    remove_files(c->path_z);
    engine->compaction = c;
    int code = open_second(engine, c);
    MDB_stat tree = {0};
    volatile bool trapped = false;
    if (code == 0)
        UT_LMDB_GUARDED(trapped, code, mdb_env_stat(engine->env->mdb, &tree));
    (void)trapped; // nothing is left halfway
    err = ut_lmdb_translate(code);
    if (err != UT_OK) {
        err = failed(c, err, fault);
        end(engine, false);
        return err;
    }
    c->progress.total = tree.ms_entries;
    return UT_OK;
}

// ---- copying ----

void ut_lmdb_compact_note(ut_lmdb_compaction *c, ut_bytes key)
{
    if (!c->copied && ut_bytes_compare(key, (ut_bytes){c->position, c->position_len}) > 0)
        return; // is still to come
    ut_buf_add_byte(&c->changed, (uint8_t)(key.len >> 8));
    ut_buf_add_byte(&c->changed, (uint8_t)key.len);
    ut_buf_add_bytes(&c->changed, key);
}

static ut_err put(const ut_lmdb_compaction *c, MDB_txn *into, ut_bytes key, ut_bytes value,
                  unsigned flags)
{
    MDB_val k = ut_lmdb_val_of(key);
    MDB_val v = ut_lmdb_val_of(value);
    return ut_lmdb_translate(mdb_put(into, c->dbi, &k, &v, flags));
}

// Copies the changed records again. *at: bytes of their keys that are done.
static ut_err copy_changed(const ut_lmdb_compaction *c, ut_txn *from, MDB_txn *into, slice *left,
                           size_t *at)
{
    while (*at < c->changed.len && left->records > 0 && left->bytes > 0) {
        const uint8_t *head = c->changed.data + *at;
        ut_bytes key = {head + 2, (size_t)head[0] << 8 | head[1]};
        ut_bytes value;
        ut_err err = ut_txn_get(from, key, &value);
        if (err == UT_OK) {
            err = put(c, into, key, value, 0);
            left->bytes -= value.len < left->bytes ? value.len : left->bytes;
        } else if (err == UT_ENOTFOUND) {
            MDB_val k = ut_lmdb_val_of(key);
            int code = mdb_del(into, c->dbi, &k, NULL);
            err = code == MDB_NOTFOUND ? UT_OK : ut_lmdb_translate(code);
        }
        if (err != UT_OK)
            return err;
        left->records -= 1;
        *at += 2 + key.len;
    }
    return UT_OK;
}

typedef struct {
    uint8_t key[KEY_LEN_MAX];
    size_t len;
    uint64_t records;
    bool end;
} advance;

// Copies records from the position on.
static ut_err copy_on(const ut_lmdb_compaction *c, ut_txn *from, MDB_txn *into, slice *left,
                      advance *to)
{
    static const uint8_t lowest[1] = {0};
    ut_cursor *cursor = NULL;
    ut_err err = ut_txn_cursor(from, &cursor);
    if (err != UT_OK)
        return err;
    UT_ASSERT(cursor != NULL);
    ut_bytes key = {c->position, c->position_len};
    ut_bytes value = {NULL, 0};
    if (c->position_len == 0)
        key = (ut_bytes){lowest, sizeof(lowest)};
    err = ut_cursor_seek(cursor, key, &key, &value);
    if (err == UT_OK && ut_bytes_compare(key, (ut_bytes){c->position, c->position_len}) == 0)
        err = ut_cursor_next(cursor, &key, &value);
    while (err == UT_OK && left->records > 0 && left->bytes > 0) {
        err = key.len <= sizeof(to->key) ? put(c, into, key, value, MDB_APPEND) : UT_ECORRUPT;
        if (err != UT_OK)
            break;
        memcpy(to->key, key.data, key.len);
        to->len = key.len;
        to->records += 1;
        left->records -= 1;
        uint64_t bytes = key.len + value.len;
        left->bytes -= bytes < left->bytes ? bytes : left->bytes;
        err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    to->end = err == UT_ENOTFOUND;
    return to->end ? UT_OK : err;
}

static ut_err copy_slice(ut_lmdb_engine *engine, ut_lmdb_compaction *c)
{
    if (c->changed.err != UT_OK)
        return c->changed.err;
    slice left = {SLICE_RECORDS, SLICE_BYTES};
    advance to = {.len = 0};
    size_t at = c->changed_at;
    ut_txn *from = NULL;
    MDB_txn *into = NULL;
    ut_err err = ut_engine_begin(&engine->base, false, &from);
    if (err != UT_OK)
        return err;
    UT_ASSERT(from != NULL);
    err = ut_lmdb_translate(mdb_txn_begin(c->to, NULL, 0, &into));
    if (err == UT_OK)
        err = copy_changed(c, from, into, &left, &at);
    if (err == UT_OK && !c->copied && left.records > 0 && left.bytes > 0)
        err = copy_on(c, from, into, &left, &to);
    ut_txn_abort(from);
    if (err != UT_OK) {
        mdb_txn_abort(into); // takes NULL
        return err;
    }
    err = ut_lmdb_translate(mdb_txn_commit(into));
    if (err != UT_OK)
        return err;
    c->changed_at = at;
    if (at == c->changed.len) {
        ut_buf_reset(&c->changed, CHANGED_BYTES_KEEP);
        c->changed_at = 0;
    }
    if (to.len > 0) {
        memcpy(c->position, to.key, to.len);
        c->position_len = to.len;
    }
    c->copied = c->copied || to.end;
    c->progress.done += to.records;
    MDB_envinfo info = {0};
    MDB_stat tree = {0};
    int fd = -1;
    if (mdb_env_info(c->to, &info) == 0 && mdb_env_stat(c->to, &tree) == 0)
        c->progress.bytes_after = (uint64_t)(info.me_last_pgno + 1) * tree.ms_psize;
    // The pages go to the disk bit by bit, so that the syncs at the end are short; it may fail.
    if (mdb_env_get_fd(c->to, &fd) == 0)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return UT_OK;
}

// ---- the exchange ----

// Gives the new files the names of the old ones. *renamed: the new file has its name. *lock_lost:
// the lock file of the old one has no name any more, though the old file kept its own.
static ut_err exchange_names(const ut_lmdb_engine *engine, const char *new_z, bool *renamed,
                             bool *lock_lost)
{
    char lock_z[UT_LMDB_PATH_MAX + 8];
    char new_lock_z[UT_LMDB_PATH_MAX + 16];
    char kept_z[UT_LMDB_PATH_MAX + 24];
    (void)snprintf(lock_z, sizeof(lock_z), "%s-lock", engine->place.path_z); // the room is there
    (void)snprintf(new_lock_z, sizeof(new_lock_z), "%s-lock", new_z);
    (void)snprintf(kept_z, sizeof(kept_z), "%s%s", new_z, old_lock_z);
    // Under a second name it can come back, with the readers that stand in it.
    bool kept = link(lock_z, kept_z) == 0;
    ut_err err = rename(new_lock_z, lock_z) == 0 ? UT_OK : ut_lmdb_translate(errno);
    if (err == UT_OK) {
        *renamed = rename(new_z, engine->place.path_z) == 0;
        if (!*renamed) {
            err = ut_lmdb_translate(errno);
            *lock_lost = !kept || rename(kept_z, lock_z) != 0;
        }
    }
    if (kept)
        (void)unlink(kept_z); // a file that stays goes at the next opening to write
    return err;
}

// Puts the new file, which is synced and closed, in the place of the old one. *again: another
// process is just opening the store. *renamed: the new file has its name.
static ut_err exchange(ut_lmdb_engine *engine, const char *new_z, ut_lmdb_env *env, bool *again,
                       bool *renamed)
{
    int names = open(engine->place.dir_z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (names < 0)
        return ut_lmdb_translate(errno);
    ut_err err = UT_OK;
    ut_lmdb_env *old = NULL; // to be closed
    // The mutex first: a transaction that opens the file holds it and waits for the lock of the
    // names.
    (void)pthread_mutex_lock(&engine->mutex); // cannot fail: not recursive, not held
    if (flock(names, LOCK_EX | LOCK_NB) != 0) {
        *again = errno == EWOULDBLOCK || errno == EINTR;
        err = *again ? UT_OK : ut_lmdb_translate(errno);
    } else {
        bool lock_lost = false;
        err = exchange_names(engine, new_z, renamed, &lock_lost);
        if (*renamed || lock_lost) {
            // With another lock file, the old file is opened again where it keeps its place.
            engine->name_unsynced = true;
            old = ut_lmdb_engine_replace_env(engine, *renamed ? env : NULL);
        }
    }
    (void)pthread_mutex_unlock(&engine->mutex);
    (void)close(names); // releases the lock; read only
    if (old != NULL)
        ut_lmdb_env_close(old);
    return err;
}

// Makes the lock file of the new file, with the owner and mode of the one in use.
static int make_lock(const ut_lmdb_engine *engine, const ut_lmdb_compaction *c)
{
    char lock_z[UT_LMDB_PATH_MAX + 8];
    char new_lock_z[UT_LMDB_PATH_MAX + 16];
    (void)snprintf(lock_z, sizeof(lock_z), "%s-lock", engine->place.path_z); // the room is there
    (void)snprintf(new_lock_z, sizeof(new_lock_z), "%s-lock", c->path_z);
    int code = ut_lmdb_make_like(new_lock_z, lock_z, false);
    return code == ENOENT ? ut_lmdb_make_like(new_lock_z, engine->place.path_z, false) : code;
}

// Does the last step. *again: nothing has happened yet, and the new file is open again.
static ut_err finish(ut_lmdb_engine *engine, ut_lmdb_compaction *c, bool *again)
{
    ut_lmdb_env *env = NULL;
    bool renamed = false;
    *again = engine->env == NULL; // closed after a failed write; the next transaction opens it
    if (*again)
        return UT_OK;
    ut_err err = ut_lmdb_translate(mdb_env_sync(c->to, 1));
    if (err != UT_OK)
        return err;
    mdb_env_close(c->to);
    c->to = NULL;
    err = ut_lmdb_translate(make_lock(engine, c));
    if (err == UT_OK)
        err = ut_lmdb_translate(ut_lmdb_env_open(&engine->place, c->path_z, &env));
    if (err == UT_OK)
        err = exchange(engine, c->path_z, env, again, &renamed);
    if (renamed) {
        // Where this fails, the next write transaction tries it again before it begins.
        engine->name_unsynced = ut_lmdb_sync_directory(engine->place.dir_z) != 0;
        return UT_OK;
    }
    if (env != NULL)
        ut_lmdb_env_close(env);
    if (err == UT_OK && *again)
        err = ut_lmdb_translate(open_second(engine, c));
    return err;
}

void ut_lmdb_compact_stop(ut_engine *base)
{
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base;
    if (engine->compaction != NULL)
        end(engine, false);
}

ut_err ut_lmdb_compact(ut_engine *base, ut_engine_compaction *progress, ut_fault *fault)
{
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base;
    *progress = (ut_engine_compaction){.more = true};
    // The exchange would close the file, and LMDB's lists of it are not whole.
    if (atomic_load(&engine->damaged)) {
        ut_lmdb_compact_stop(base);
        return ut_fault_set(fault, UT_ECORRUPT,
                            "%s is damaged, and is not compacted: see `untrace store verify`",
                            engine->place.path_z);
    }
    if (engine->compaction == NULL) {
        ut_err err = start(engine, fault);
        if (err != UT_OK)
            return err;
    }
    ut_lmdb_compaction *c = engine->compaction;
    UT_ASSERT(c != NULL);
    bool again = true;
    ut_err err = copy_slice(engine, c);
    if (err == UT_OK && c->copied && c->changed.len == 0) {
        if (c->settled) {
            err = finish(engine, c, &again);
        } else {
            err = ut_lmdb_translate(mdb_env_sync(c->to, 1));
            c->settled = true;
        }
    }
    *progress = c->progress;
    progress->more = again;
    if (err != UT_OK)
        err = failed(c, err, fault);
    if (err != UT_OK || !again)
        end(engine, err == UT_OK);
    return err;
}
