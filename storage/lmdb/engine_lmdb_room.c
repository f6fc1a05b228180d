// Counts the pages of a data file that a transaction can take; see engine_lmdb_room.h.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_room.h"

#include "storage/lmdb/engine_lmdb_txn.h"
#include "storage/lmdb/lmdb_code.h"
#include "storage/lmdb/lmdb_page.h"

#include <stdio.h>
#include <unistd.h>

enum {
    FREE_TREE = 0,           // LMDB's FREE_DBI
    STALE_CHECK_EVERY = 64,  // calls between looks for readers that died
    FREE_RECORDS_MAX = 4096, // lists of free pages looked at to learn what readers pin
    RESERVE_PAGES = 24,      // a root split at each level, the free list's own pages, the page that
                             // LMDB never uses
    DISK_RESERVES = 4,       // reserves of a transaction that are held on the disk, and
    DISK_AHEAD = 1024 * 1024, // bytes for what it writes: enough to remove blocks and to commit
};

typedef struct {
    size_t oldest; // transaction that a reader still sees
    long pid;      // of that reader
} reader_scan;

// Reads a line of LMDB's list of readers: process, thread, and the transaction or "-".
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

// Counts the pages on the lists of free pages that the next write transaction may not take: those
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
        memcpy(&id, key.mv_data, sizeof(id));
        memcpy(&count, value.mv_data, sizeof(count));
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

static int measure(ut_lmdb_engine *engine, ut_lmdb_txn *txn, ut_engine_room *room)
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
        return MDB_CORRUPTED; // a full store has free pages sooner or later; this one never has
    uint64_t idle = total - used;
    uint64_t reserve = (main_tree.ms_branch_pages + free_tree_pages + RESERVE_PAGES) * page;
    uint64_t bytes_max = engine->place.read_only ? info.me_mapsize : engine->place.bytes_max;
    mdb_filehandle_t file;
    if (!engine->place.read_only && mdb_env_get_fd(txn->env->mdb, &file) == MDB_SUCCESS)
        bytes_max = ut_lmdb_disk_hold(&txn->env->disk, file, total * page,
                                      DISK_RESERVES * reserve + DISK_AHEAD, bytes_max);
    bool disk_full = !engine->place.read_only && bytes_max < engine->place.bytes_max;
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

ut_err ut_lmdb_room(ut_engine *base, ut_engine_room *room)
{
    ut_lmdb_engine *engine = (ut_lmdb_engine *)base;
    ut_txn *txn = NULL;
    ut_err err = ut_lmdb_txn_begin(base, false, &txn);
    if (err != UT_OK)
        return err;
    UT_ASSERT(txn != NULL);
    ut_lmdb_txn *own = (ut_lmdb_txn *)txn;
    int code = 0;
    if (!engine->place.read_only && engine->rooms++ % STALE_CHECK_EVERY == 0) {
        int dead;
        code = mdb_reader_check(own->env->mdb, &dead);
    }
    if (code == 0)
        UT_LMDB_TXN_GUARDED(own, code, measure(engine, own, room));
    ut_lmdb_txn_abort(txn);
    return ut_lmdb_translate(code);
}
