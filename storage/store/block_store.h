// A block in the database: its members (the ids of its traces) and its sealed bytes, cut in pieces
// that an engine can store without neighbouring free pages. Each piece has a key of its own, see
// ut_key_piece. Not for what is in a sealed block: block.h.
#ifndef UT_STORAGE_STORE_BLOCK_STORE_H
#define UT_STORAGE_STORE_BLOCK_STORE_H

#include "port/base/buf.h"
#include "storage/engine.h"
#include "storage/span/block.h"

enum {
    UT_BLOCK_STORE_MEMBERS_MAX = 16, // ids in one piece of members: one step of a removal
    UT_BLOCK_STORE_SEALED_FROM = 32, // pieces before it hold members, the others the block
};

// members: ids of UT_TRACE_ID_LEN bytes, one after the other, at most UT_BLOCK_SPANS_MAX.
// UT_ELIMIT: more pieces than there are numbers. Errors of the engine.
ut_err ut_block_store_put(ut_txn *txn, uint32_t org, uint64_t seq, ut_bytes members,
                          ut_bytes sealed);

// Appends the sealed block to out. UT_ENOTFOUND, UT_ECORRUPT (a piece is missing at the front),
// UT_ENOMEM.
ut_err ut_block_store_get(ut_cursor *cursor, uint32_t org, uint64_t seq, ut_buf *out);

// Finds the oldest block of all organisations: its number is the lowest. UT_ENOTFOUND: there is no
// block; errors of the engine.
ut_err ut_block_store_find_oldest(ut_cursor *cursor, uint32_t *org, uint64_t *seq);

#endif
