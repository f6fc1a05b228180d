// Transactions, records and cursors over LMDB; see engine_lmdb_txn.h.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_txn.h"

#include "storage/lmdb/engine_lmdb_compact.h"
#include "storage/lmdb/lmdb_code.h"
#include "storage/lmdb/lmdb_page.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DISK_ROOM_MIN = 1024 * 1024 }; // less than this, and a write that failed met a full disk

typedef struct ut_lmdb_cursor ut_lmdb_cursor;
struct ut_lmdb_cursor {
    ut_cursor base;
    ut_lmdb_cursor *next; // of the same transaction
    MDB_cursor *mdb;
    // The last key found, to see that a damaged tree does not lead round in circles.
    size_t key_len; // 0: none, or longer
    uint8_t key[UT_ENGINE_KEY_MAX];
};

void ut_lmdb_txn_note_trap(ut_lmdb_txn *txn)
{
    txn->trapped = true;
    if (txn->write)
        atomic_store(&((ut_lmdb_engine *)txn->base.engine)->damaged, true);
}

static ut_err note(ut_lmdb_txn *txn, int code)
{
    ut_err err = ut_lmdb_translate(code);
    if (err != UT_OK && err != UT_ENOTFOUND && err != UT_EINVAL && txn->failed == UT_OK)
        txn->failed = err;
    return err;
}

// ---- beginning and ending ----

static int look_around(ut_lmdb_trust *trust, size_t txn_id)
{
    return ut_lmdb_trust_begin(trust, txn_id - 1) ? 0 : MDB_CORRUPTED;
}

static int begin_locked(ut_lmdb_engine *engine, bool write, ut_lmdb_txn **out)
{
    if (write && engine->name_unsynced) {
        int code = ut_lmdb_sync_directory(engine->place.dir_z);
        if (code != 0)
            return code;
        engine->name_unsynced = false;
    }
    if (engine->env == NULL) {
        int code = ut_lmdb_engine_open_env(engine);
        if (code != 0)
            return code;
    }
    ut_lmdb_env *env = engine->env;
    UT_ASSERT(env != NULL);
    ut_lmdb_txn *txn = calloc(1, sizeof(*txn));
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

ut_err ut_lmdb_txn_begin(ut_engine *base, bool write, ut_txn **out)
{
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base;
    if (write && engine->place.read_only)
        return UT_EPERM;
    ut_lmdb_txn *txn = NULL;
    ut_lmdb_env *closing = NULL;
    (void)pthread_mutex_lock(&engine->mutex); // cannot fail: not recursive, not held
    if (engine->place.read_only)
        closing = ut_lmdb_engine_follow(engine);
    int code =
        write && atomic_load(&engine->damaged) ? MDB_CORRUPTED : begin_locked(engine, write, &txn);
    if (code == MDB_PANIC || code == MDB_MAP_RESIZED) {
        code = ut_lmdb_engine_recover(engine, code);
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
static void finish(ut_lmdb_engine *engine, ut_lmdb_txn *txn)
{
    ut_lmdb_env *env = txn->env;
    ut_lmdb_env *closing = NULL;
    (void)pthread_mutex_lock(&engine->mutex);
    for (ut_lmdb_txn **at = &engine->running; *at != NULL; at = &(*at)->next) {
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
        for (ut_lmdb_env **at = &engine->retired; *at != NULL; at = &(*at)->next) {
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

static void close_cursors(ut_lmdb_txn *txn)
{
    while (txn->cursors != NULL) {
        ut_lmdb_cursor *cursor = txn->cursors;
        txn->cursors = cursor->next;
        mdb_cursor_close(cursor->mdb);
        free(cursor);
    }
}

void ut_lmdb_txn_abort(ut_txn *base)
{
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base;
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base->engine;
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

ut_err ut_lmdb_txn_commit(ut_txn *base)
{
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base;
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base->engine;
    if (txn->failed != UT_OK || !txn->write) {
        ut_err failed = txn->write ? txn->failed : UT_EINVAL;
        ut_lmdb_txn_abort(base);
        return failed;
    }
    close_cursors(txn);
    int code;
    UT_LMDB_TXN_GUARDED(txn, code, mdb_txn_commit(txn->mdb));
    code = name_full_disk(txn->env->mdb, code);
    if (ut_lmdb_translate(code) == UT_ENOSPC)
        ut_lmdb_disk_met_end(&txn->env->disk);
    finish(engine, txn);
    return ut_lmdb_translate(code);
}

// ---- records ----

// The reader of a value is not guarded: pages that the file has not are met here.
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
static int check_value(const ut_lmdb_txn *txn, MDB_val val)
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
    memcpy(&flags, header + sizeof(size_t) + 2, sizeof(flags));
    memcpy(&pages, header + sizeof(size_t) + 4, sizeof(pages));
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
static int trust_pages(const ut_lmdb_txn *txn, ut_bytes key, bool removal)
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

static int look_along(ut_lmdb_trust *trust, ut_bytes key, bool reverse)
{
    return ut_lmdb_trust_walk(trust, key, reverse) ? 0 : MDB_CORRUPTED;
}

// Looks at the pages that a write transaction reads, so that LMDB does not meet the damage itself:
// then the call alone fails, and the transaction goes on.
static int trust_walk(const ut_lmdb_txn *txn, ut_bytes key, bool reverse)
{
    ut_lmdb_trust *trust = txn->env->trust;
    if (!txn->write || trust == NULL || ut_lmdb_trust_all(trust))
        return 0;
    volatile bool trapped = false;
    int code = 0;
    UT_LMDB_GUARDED(trapped, code, look_along(trust, key, reverse));
    (void)trapped; // nothing is left halfway
    return code;
}

static int get_value(const ut_lmdb_txn *txn, MDB_val *key, MDB_val *value)
{
    int code = mdb_get(txn->mdb, txn->env->dbi, key, value);
    return code == 0 ? check_value(txn, *value) : code;
}

ut_err ut_lmdb_txn_get(ut_txn *base, ut_bytes key, ut_bytes *value)
{
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    MDB_val k = ut_lmdb_val_of(key);
    MDB_val v = {0, NULL};
    int code = trust_pages(txn, key, false);
    if (code != 0)
        return ut_lmdb_translate(code);
    UT_LMDB_TXN_GUARDED(txn, code, get_value(txn, &k, &v));
    if (code == 0)
        *value = ut_lmdb_bytes_of(v);
    return note(txn, code);
}

ut_err ut_lmdb_txn_put(ut_txn *base, ut_bytes key, ut_bytes value)
{
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    ut_lmdb_compaction *compaction = ((ut_lmdb_engine *)base->engine)->compaction;
    if (compaction != NULL)
        ut_lmdb_compact_note(compaction, key);
    MDB_val k = ut_lmdb_val_of(key);
    MDB_val v = ut_lmdb_val_of(value);
    int code = trust_pages(txn, key, false);
    if (code == 0)
        UT_LMDB_TXN_GUARDED(txn, code, mdb_put(txn->mdb, txn->env->dbi, &k, &v, 0));
    return note(txn, code);
}

ut_err ut_lmdb_txn_del(ut_txn *base, ut_bytes key)
{
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    ut_lmdb_compaction *compaction = ((ut_lmdb_engine *)base->engine)->compaction;
    if (compaction != NULL)
        ut_lmdb_compact_note(compaction, key);
    MDB_val k = ut_lmdb_val_of(key);
    int code = trust_pages(txn, key, true);
    if (code == 0)
        UT_LMDB_TXN_GUARDED(txn, code, mdb_del(txn->mdb, txn->env->dbi, &k, NULL));
    return note(txn, code);
}

// ---- cursors ----

ut_err ut_lmdb_cursor_open(ut_txn *base, ut_cursor **out)
{
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base;
    if (txn->failed != UT_OK)
        return txn->failed;
    ut_lmdb_cursor *cursor = calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return UT_ENOMEM;
    int code = 0;
    UT_LMDB_TXN_GUARDED(txn, code, mdb_cursor_open(txn->mdb, txn->env->dbi, &cursor->mdb));
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

void ut_lmdb_cursor_close(ut_cursor *base)
{
    ut_lmdb_cursor *cursor = (ut_lmdb_cursor *)base;
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base->txn;
    if (txn->write && txn->trapped)
        return;
    for (ut_lmdb_cursor **at = &txn->cursors; *at != NULL; at = &(*at)->next) {
        if (*at == cursor) {
            *at = cursor->next;
            break;
        }
    }
    mdb_cursor_close(cursor->mdb);
    free(cursor);
}

// Checks a key and a value that LMDB found: they lie within their pages, and the keys of a cursor
// rise or fall, so that a tree that leads round in circles comes to an end. Guarded by the caller.
static int check_found(ut_lmdb_cursor *cursor, MDB_val key, MDB_val value, bool step, bool reverse)
{
    const ut_lmdb_txn *txn = (const ut_lmdb_txn *)cursor->base.txn;
    size_t page_bytes = txn->env->page_bytes;
    if (key.mv_size == 0 || key.mv_size >= page_bytes / 2 || check_value(txn, key) != 0 ||
        check_value(txn, value) != 0)
        return MDB_CORRUPTED;
    if (step && cursor->key_len > 0) {
        int order =
            ut_bytes_compare(ut_lmdb_bytes_of(key), (ut_bytes){cursor->key, cursor->key_len});
        if (reverse ? order >= 0 : order <= 0)
            return MDB_CORRUPTED;
    }
    cursor->key_len = key.mv_size <= sizeof(cursor->key) ? key.mv_size : 0;
    memcpy(cursor->key, key.mv_data, cursor->key_len);
    return 0;
}

static ut_err hand_out(ut_lmdb_txn *txn, int code, MDB_val key, MDB_val value, ut_bytes *found_key,
                       ut_bytes *found_value)
{
    if (code == 0)
        code = trust_pages(txn, ut_lmdb_bytes_of(key), false);
    if (code != 0)
        return note(txn, code);
    *found_key = ut_lmdb_bytes_of(key);
    *found_value = ut_lmdb_bytes_of(value);
    return UT_OK;
}

static int seek_last_below(MDB_cursor *mdb, MDB_val *key, MDB_val *value)
{
    MDB_val wanted = *key;
    int code = mdb_cursor_get(mdb, key, value, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND)
        return mdb_cursor_get(mdb, key, value, MDB_LAST);
    if (code != 0 || ut_bytes_equal(ut_lmdb_bytes_of(*key), ut_lmdb_bytes_of(wanted)))
        return code;
    return mdb_cursor_get(mdb, key, value, MDB_PREV);
}

static int seek(ut_lmdb_cursor *cursor, MDB_val *key, MDB_val *value, bool reverse)
{
    MDB_val wanted = *key;
    int code = reverse ? seek_last_below(cursor->mdb, key, value)
                       : mdb_cursor_get(cursor->mdb, key, value, MDB_SET_RANGE);
    if (code == 0)
        code = check_found(cursor, *key, *value, false, reverse);
    int order = code == 0 ? ut_bytes_compare(ut_lmdb_bytes_of(*key), ut_lmdb_bytes_of(wanted)) : 0;
    return (reverse ? order > 0 : order < 0) ? MDB_CORRUPTED : code;
}

ut_err ut_lmdb_cursor_seek(ut_cursor *base, ut_bytes key, bool reverse, ut_bytes *found_key,
                           ut_bytes *value)
{
    ut_lmdb_cursor *cursor = (ut_lmdb_cursor *)base;
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base->txn;
    if (txn->failed != UT_OK)
        return txn->failed;
    MDB_val k = ut_lmdb_val_of(key);
    MDB_val v = {0, NULL};
    int code = trust_walk(txn, key, reverse);
    if (code != 0)
        return ut_lmdb_translate(code);
    UT_LMDB_TXN_GUARDED(txn, code, seek(cursor, &k, &v, reverse));
    return hand_out(txn, code, k, v, found_key, value);
}

static int step(ut_lmdb_cursor *cursor, MDB_val *key, MDB_val *value, bool reverse)
{
    int code = mdb_cursor_get(cursor->mdb, key, value, reverse ? MDB_PREV : MDB_NEXT);
    return code == 0 ? check_found(cursor, *key, *value, true, reverse) : code;
}

ut_err ut_lmdb_cursor_step(ut_cursor *base, bool reverse, ut_bytes *found_key, ut_bytes *value)
{
    ut_lmdb_cursor *cursor = (ut_lmdb_cursor *)base;
    ut_lmdb_txn *txn = (ut_lmdb_txn *)base->txn;
    if (txn->failed != UT_OK)
        return txn->failed;
    MDB_val k = {0, NULL};
    MDB_val v = {0, NULL};
    int code = trust_walk(txn, (ut_bytes){cursor->key, cursor->key_len}, reverse);
    if (code != 0)
        return ut_lmdb_translate(code);
    UT_LMDB_TXN_GUARDED(txn, code, step(cursor, &k, &v, reverse));
    return hand_out(txn, code, k, v, found_key, value);
}
