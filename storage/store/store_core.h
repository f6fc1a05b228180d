// The state of an open store, shared by the files of storage/store and storage/upkeep. For others
// store.h is the way in. What can be done with a part of it stands in the header of that part:
// store_txn.h, store_commit.h, ledger.h, expiry.h, retention.h, store_keys.h, block_summary.h.
#ifndef UT_STORAGE_STORE_STORE_CORE_H
#define UT_STORAGE_STORE_STORE_CORE_H

#include "storage/store/bloom_build.h"
#include "storage/store/keyring.h"
#include "storage/store/trace_index.h"
#include "storage/store/trace_merge.h"

#include <stdatomic.h>

// ---- the ledger (ledger.h) ----

// One destination, and whether a transaction has to write it.
typedef struct {
    ut_store_destination row;
    bool changed; // differs from the stored record
} ut_ledger_row;

typedef struct {
    ut_ledger_row rows[UT_STORE_DESTINATIONS_MAX];
    uint32_t count;
} ut_ledger;

// ---- retention (retention.h) ----

// A removal of a block that one transaction began and did not finish.
typedef struct {
    bool open;
    uint32_t org;
    uint64_t seq;
} ut_removal;

typedef struct {
    // Configuration.
    uint64_t ring_spans; // most spans to keep; 0: any number
    bool evict_oldest;   // the budget takes the oldest block, delivered or not

    // Room, as the engine told it when room was made for the commit under way.
    ut_engine_room room;
    uint64_t demand_bytes; // bytes that this commit may take
    // Moving maxima, by which room is kept free ahead of commits.
    uint64_t usual_demand_bytes; // demand of the larger ones of the last commits
    uint64_t pinned_bytes;       // bytes that are free but pinned by readers

    // Removing.
    ut_removal removal;
    uint32_t commits_since_expiry; // commits in a row that left the due blocks in place

    // Telling people, each thing once in a while.
    uint64_t lost_spans;   // spans evicted before they were delivered and not told of yet
    uint64_t lost_told_ns; // when the log told of lost spans last
    uint64_t late_spans;   // spans that expired before they were delivered and not told of yet
    uint64_t late_told_ns; // when the log told of those last
    bool disk_full;        // the engine said last that the disk has no more room
    bool disk_told;        // the log said last that the disk has no more room
    uint64_t disk_bytes;   // the most that the store can take on this disk
    uint64_t disk_told_ns; // when the log told of the disk last
    long pinned_told;      // the process that the log named last as the one that pins pages

    // As they were when the transaction under way began: an abort brings them back.
    ut_removal removal_before;
    uint64_t lost_spans_before;
    uint64_t late_spans_before;
} ut_retention;

// ---- the store ----

struct ut_store {
    ut_engine *engine;
    const ut_log *log;

    // Configuration.
    uint64_t bytes_max;      // budget
    uint64_t ttl_ms;         // default life of a span; 0: until the budget needs the room
    const ut_rules *rules;   // other lives for some spans; NULL: none
    uint64_t blocks_per_key; // blocks under one data key
    uint32_t spans_max;      // most spans of a block
    uint32_t payload_target; // bytes of a block at which the next one begins

    // Encryption.
    ut_keyring *keyring;          // NULL: the store is not encrypted
    ut_keyring *keyring_in_doubt; // the keys that a failed renewal may have stored; NULL: none
    ut_keyring_slot newest_key;   // the key of new blocks

    // The store as committed.
    ut_record_state state;
    ut_ledger ledger;
    uint64_t clock_stored_ms; // how long the machine had run at the last commit
    uint64_t jump_told_ms;    // ... and when the log told of a jump last; 0: it has not
    bool in_doubt;            // the last commit failed, and may have happened all the same
    bool upkeep_damaged;      // commits cannot merge or remove: they met a damaged page
    bool damage_told;         // the log said that pages are damaged
    _Atomic uint64_t last_seq;

    // The transaction under way: what will be committed.
    ut_txn *txn;
    ut_record_state next_state;
    ut_ledger next_ledger;
    uint64_t sealed_bytes;  // of its blocks
    bool long_pieces;       // its blocks are cut into pieces of value_bytes_long
    uint64_t payload_bytes; // of its blocks before compression
    // Sealed bytes per thousand bytes of span records, averaged over the last commits.
    uint32_t sealed_permille;

    ut_retention retention;

    // Memory kept between transactions.
    ut_trace_index index;
    ut_trace_merger merger;
    ut_buf classes; // of the commit under way: ut_expiry_class each
    uint32_t class_count;
    ut_buf span_hours; // of its spans, in the order of the plan: uint32_t each; empty without rules
    ut_block_builder *builder;
    ut_bloom_builder *bloom;
    ut_buf sealed; // the block that is written
    ut_buf value;  // of the record that is written
};

#endif
