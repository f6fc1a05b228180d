// Looks at the pages that LMDB is about to change. LMDB copies a page to the heap and moves bytes
// about in it as the page itself says; a damaged one would make it write anywhere. Pages that this
// process has written need no look. Only for engine_lmdb*.c; the thread of the write transactions.
//
// Which pages a call changes is LMDB's own affair, and these rules follow mdb.c of 0.9.31:
//   the path to a key         mdb_page_search, mdb_page_search_root, mdb_node_search
//   the neighbours of a page  mdb_rebalance, mdb_page_merge; mdb_node_move and, for the key that it
//                             takes from below a branch page, mdb_page_search_lowest
//   the values of a page      mdb_node_add, mdb_node_del, mdb_node_shrink, mdb_ovpage_free
//   the lists of free pages   mdb_page_alloc, mdb_freelist_save
// (mdb_page_split changes only the path and new pages.) engine_lmdb_trust.c does not compile with
// another version: compare these functions with the ones of 0.9.31 before it is raised there, and
// run test_damage.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_TRUST_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_TRUST_H

#include "port/base/bytes.h"

typedef struct ut_lmdb_trust ut_lmdb_trust;

// For a file that was just opened: its pages are not trusted. map_bytes: the most that the file may
// ever have. NULL without memory or room in the address space: then nothing is looked at.
ut_lmdb_trust *ut_lmdb_trust_new(int fd, size_t page_bytes, size_t map_bytes);
void ut_lmdb_trust_free(ut_lmdb_trust *trust); // takes NULL

// A write transaction begins, which sees the state of transaction txn_id. Looks at some more pages
// each time, until it knows all. The caller guards it, as it does ut_lmdb_trust_key. False: the
// lists of free pages are damaged, nothing may be written.
bool ut_lmdb_trust_begin(ut_lmdb_trust *trust, size_t txn_id);

// True when all pages were looked at, and are good.
bool ut_lmdb_trust_all(const ut_lmdb_trust *trust);

// True when the pages make sense that a cursor comes to on its way from key to the next key
// (reverse: to the one before): LMDB stops at a page that makes none, and with it the transaction.
bool ut_lmdb_trust_walk(ut_lmdb_trust *trust, ut_bytes key, bool reverse);

// True when the pages that a put (removal: a removal) of key changes make sense.
bool ut_lmdb_trust_key(ut_lmdb_trust *trust, ut_bytes key, bool removal);

#endif
