// The traces of one block: an entry for each trace that has spans in it, in the order of trace ids,
// in pieces of the block of their own (block_store.h). Entries say which spans of the block are of
// the trace, with a digest of each, by which a span that is sent again is recognised. They leave
// with their block. Not for finding the blocks of a trace: trace_find.h.
#ifndef UT_STORAGE_STORE_BLOCK_TRACES_H
#define UT_STORAGE_STORE_BLOCK_TRACES_H

#include "storage/engine.h"
#include "storage/span/block.h"

enum {
    UT_BLOCK_TRACES_FROM = 0xf000, // the first of the pieces that hold entries, behind the block
    UT_DIGEST_LEN = 8,
};

// An entry. A trace with more spans than one piece has room for has several, side by side.
typedef struct {
    const uint8_t *trace_id; // UT_TRACE_ID_LEN bytes
    uint8_t status;          // worst of its spans
    bool has_root;           // one of its spans has no parent
    // A listing tells of the trace by this entry. Of several such entries in a store the first one
    // with a root span counts, or else the first one.
    bool head;
    uint32_t root_ordinal; // of its root span, or else of its earliest span
    uint64_t start_ns;     // earliest start
    uint64_t length_ns;    // to the latest end
    uint32_t count;        // spans
    ut_bytes ordinals;     // count of them; ordinal_list.h
    ut_bytes digests;      // count numbers of UT_DIGEST_LEN bytes, little-endian
} ut_trace_entry;

static inline uint64_t ut_trace_entry_digest(const ut_trace_entry *entry, uint32_t index)
{
    return ut_get_le64(entry->digests.data + (size_t)index * UT_DIGEST_LEN);
}

// ---- writing ----

typedef struct {
    ut_txn *txn;
    uint32_t org;
    uint64_t seq;
    uint64_t base_ns; // no entry starts earlier
    uint32_t piece;   // number of the one that is being filled
    ut_buf value;     // its bytes so far; memory kept between blocks
} ut_block_traces_writer;

void ut_block_traces_writer_init(ut_block_traces_writer *writer);
void ut_block_traces_writer_free(ut_block_traces_writer *writer);

// The most spans that one entry may have in a store of this engine.
uint32_t ut_block_traces_spans_max(const ut_engine *engine);

// Begins the entries of block seq, adds them in the order of trace ids, ends them. UT_ENOMEM,
// UT_ELIMIT, errors of the engine.
void ut_block_traces_begin(ut_block_traces_writer *writer, ut_txn *txn, uint32_t org, uint64_t seq,
                           uint64_t base_ns);
ut_err ut_block_traces_add(ut_block_traces_writer *writer, const ut_trace_entry *entry);
ut_err ut_block_traces_end(ut_block_traces_writer *writer);

// ---- reading ----

// A walk over the entries of one block.
typedef struct {
    ut_cursor *cursor;
    uint32_t org;
    uint64_t seq;
    bool ended;     // there is no further piece
    uint32_t piece; // the one that `rest` is of; UINT32_MAX: before the first
    uint64_t base_ns;
    ut_bytes value;  // the piece; borrowed until the cursor, or its transaction, is used
    ut_bytes rest;   // of it
    size_t entry_at; // offset of the last entry in value
} ut_block_traces_walk;

void ut_block_traces_walk_begin(ut_block_traces_walk *walk, ut_cursor *cursor, uint32_t org,
                                uint64_t seq);

// The next entry, borrowed until the cursor or its transaction is used for anything else.
// UT_ENOTFOUND: there is none left. UT_ECORRUPT: the rest cannot be read.
ut_err ut_block_traces_next(ut_block_traces_walk *walk, ut_trace_entry *entry);

// The next entry of the trace; those before it are passed. As ut_block_traces_next. Ids rise from
// call to call.
ut_err ut_block_traces_find(ut_block_traces_walk *walk, const uint8_t trace_id[UT_TRACE_ID_LEN],
                            ut_trace_entry *entry);

// Makes the entry that the walk gave last a head. The walk is over. Inside the write transaction of
// its cursor. value: memory for the record. Errors of the engine, UT_ENOMEM.
ut_err ut_block_traces_make_head(ut_block_traces_walk *walk, ut_buf *value);

// Splits the value of one piece into entries, without a database. UT_ECORRUPT.
ut_err ut_block_traces_open_piece(ut_bytes value, uint64_t *base_ns, ut_bytes *entries);
// The value of a piece without the entries before `entries`, which are its rest.
void ut_block_traces_cut_piece(ut_buf *out, ut_bytes value, ut_bytes entries);
ut_err ut_block_traces_take(ut_bytes *entries, uint64_t base_ns, ut_trace_entry *entry);

#endif
