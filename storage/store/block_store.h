// A block in the database: its sealed bytes, cut in pieces that an engine can store without
// neighbouring free pages. Each piece has a key of its own, see ut_key_piece Behind them stand
// the pieces of block_traces.h. Not for what is in a sealed block: block.h.
#ifndef UT_STORAGE_STORE_BLOCK_STORE_H
#define UT_STORAGE_STORE_BLOCK_STORE_H

#include "port/base/buf.h"
#include "storage/engine.h"
#include "storage/span/block.h"

enum {
    // Pieces from this number up to the next hold the block. In one of format version 1 or 2 those
    // before it hold the ids of its traces, its members.
    UT_BLOCK_STORE_SEALED_FROM = 32,
    UT_BLOCK_STORE_SEALED_TO = 0xf000,
    UT_BLOCK_STORE_MEMBERS_MAX = 16, // ids in one piece of members
};

// piece_len: of all pieces but the last; value_bytes_best or value_bytes_long of the engine.
// UT_ELIMIT: more pieces than there are numbers. Errors of the engine.
ut_err ut_block_store_put(ut_txn *txn, uint32_t org, uint64_t seq, ut_bytes sealed,
                          uint32_t piece_len);

// Appends the sealed block to out. UT_ENOTFOUND, UT_ECORRUPT (a piece is missing at the front),
// UT_ENOMEM.
ut_err ut_block_store_get(ut_cursor *cursor, uint32_t org, uint64_t seq, ut_buf *out);

// Finds the oldest block of all organisations: its number is the lowest. UT_ENOTFOUND: there is no
// block; errors of the engine.
ut_err ut_block_store_find_oldest(ut_cursor *cursor, uint32_t *org, uint64_t *seq);

#endif
