// What the files of the store share: its state, and the steps of a transaction. Inside storage/
// only; store.h is the way in.
#ifndef UT_STORAGE_STORE_CORE_H
#define UT_STORAGE_STORE_CORE_H

#include "storage/store/bloom_build.h"
#include "storage/store/keyring.h"
#include "storage/store/block_store.h"
#include "storage/store/trace_index.h"

#include <stdatomic.h>

// One destination and what a transaction has to know of it.
typedef struct {
    ut_store_destination row;
    bool changed; // differs from what is stored
} ut_ledger_row;

typedef struct {
    ut_ledger_row rows[UT_STORE_DESTINATIONS_MAX];
    uint32_t count;
} ut_ledger;

// Spans that share blocks: those of one organisation that expire in the same hour.
typedef struct {
    uint32_t org;
    uint32_t hour; // 0: never
} ut_expiry_class;

// A removal that one transaction did not finish.
typedef struct {
    bool open;
    uint32_t org;
    uint64_t seq;
} ut_removal;

// Why a block is removed.
typedef enum {
    UT_REMOVAL_EXPIRED, // whoever asks for it deletes the expiry entry that named the block, at last
    UT_REMOVAL_EVICTED,
    UT_REMOVAL_CLEANED, // counts as expired
} ut_removal_why;

// What one transaction has removed, and may.
typedef struct {
    uint64_t touches_max; // places in the order of keys
    uint64_t touches;
    uint64_t pieces;
    uint64_t bytes;  // roughly what has become free
    uint64_t sealed; // of it, blocks as sealed
    uint64_t blocks; // that left the counters
    uint64_t spans;
    uint64_t pending; // spans that some destination had not got
    bool all;         // the block that was removed last is gone
} ut_removal_progress;

struct ut_store {
    ut_engine *engine;
    ut_keyring *keyring; // NULL: not encrypted
    ut_keyring
        *keyring_in_doubt; // what a renewal that failed may have stored; NULL: there is no doubt
    ut_keyring_slot newest_key;
    uint64_t blocks_per_key;
    uint64_t ttl_ms;
    const ut_rules *rules; // NULL: none
    const ut_log *log;
    uint64_t ring_spans;     // 0: any number of spans
    bool evict_oldest;       // delivered or not
    uint32_t spans_max;      // of a block
    uint32_t payload_target; // of a block
    ut_record_state state;   // as committed
    ut_ledger ledger;
    bool in_doubt; // the last commit failed, and may have happened all the same
    _Atomic uint64_t last_seq;
    // The transaction under way: what will be committed.
    ut_txn *txn;
    ut_record_state next_state;
    ut_ledger next_ledger;
    uint64_t sealed_bytes; // of its blocks
    uint64_t payload_bytes;
    // Memory kept between transactions.
    ut_trace_index index;
    ut_buf classes; // of the commit under way: ut_expiry_class each
    uint32_t class_count;
    ut_buf span_hours; // of its spans, in the order of the plan: uint32_t each; empty without rules
    ut_block_builder *builder;
    ut_bloom_builder *bloom;
    ut_buf sealed;
    ut_buf members;
    ut_buf value;
    // Retention.
    uint32_t sealed_permille; // sealed bytes of a thousand bytes of span records, lately
    uint64_t need_bytes;      // what the larger ones of the last commits asked for
    uint64_t pinned_bytes;    // free but held by readers: the most lately
    ut_engine_room room;      // when room was made for the commit under way
    uint64_t demand_bytes;    // what that commit may take
    uint64_t demand_touches;
    ut_removal removal;
    uint32_t commits_since_ride; // that removed nothing of what is due
    uint64_t lost_spans;         // evicted before delivery, not told yet
    uint64_t lost_told_ns;
    bool disk_full; // as the engine said last
    bool disk_told; // as the log said last
    uint64_t disk_bytes;
    long pinned_told; // the process that the log named last as the one that holds pages
    uint64_t disk_told_ns;
    ut_removal removal_before; // the transaction under way: what an abort brings back
    uint64_t lost_before;
};

// ---- store.c ----

// Begins a write transaction and takes up the committed state; reads it again when an earlier
// commit ended in doubt.
ut_err ut_store_begin_write(ut_store *store);
// Writes the state and the changed destinations, commits, and makes next_* the committed state.
// After an error nothing is changed. The transaction is over in either case.
ut_err ut_store_end_write(ut_store *store);
void ut_store_abort_write(ut_store *store);

// ---- store.c, for blocks that are written anew ----

// Writes what is in the builder as a block that was received at received_ns, with all its records
// but those of the ledger, and empties the builder. Its spans were planned and looked up. The block
// counts as stored, its spans do not. *seq: out, 0 when the builder is empty.
ut_err ut_store_write_block(ut_store *store, uint32_t org, uint32_t hour, uint64_t received_ns,
                            uint64_t *seq);

// ---- expiry.c ----

// The hour in which what is stored at now_ns and lives for ttl_ms expires, rounded up. 0: never, for
// 0 and UT_STORE_TTL_NONE, and as long as the clock was not set.
uint32_t ut_expiry_hour(uint64_t ttl_ms, uint64_t now_ns);
// Finds the class of every span of the plan that stands in index. UT_ENOMEM.
ut_err ut_expiry_plan(ut_store *store, const ut_store_append *appends, size_t count,
                      uint64_t now_ns);
static inline const ut_expiry_class *ut_expiry_classes(const ut_store *store)
{
    return (const ut_expiry_class *)(const void *)store->classes.data;
}
// False: no span of the append expires in this hour. *hours: out; NULL: all of them do, else the
// hours of all spans of the plan tell.
bool ut_expiry_is_of(const ut_store *store, const ut_store_append *append, uint64_t now_ns,
                     uint32_t hour, const uint32_t **hours);

// ---- store_keys.c ----

// Reads the data keys with config's master key, or begins to encrypt; after counters and
// destinations are read. Faults.
ut_err ut_store_keys_open(ut_store *store, const ut_store_config *config, ut_fault *fault);
void ut_store_keys_close(ut_store *store);
// Makes a new data key when the newest has served long enough, and finds out which keys are stored
// after a renewal that failed; before blocks are sealed, outside of transactions. Errors of the
// engine; UT_ENOMEM, UT_ECORRUPT.
ut_err ut_store_keys_keep_fresh(ut_store *store);
// Seals what is in the builder into store->sealed as block seq, encrypted when the store is.
ut_err ut_store_keys_seal(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns,
                          uint32_t hour);

// ---- block_summary.c ----

// Writes the summary of the block that stands in builder and in sealed. Errors of the engine.
ut_err ut_block_summary_put(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns,
                            uint32_t hour);

// ---- ledger.c ----

ut_err ut_ledger_read(ut_txn *txn, ut_ledger *ledger);
ut_err ut_ledger_write(ut_store *store);
// One entry for every active destination of org.
ut_err ut_ledger_accept(ut_store *store, uint32_t org, uint64_t seq, uint32_t spans);
// A mark for what is gone or damaged is passed, and one of more dead spans than there are is cut.
ut_err ut_ledger_mark(ut_store *store, const ut_delivery *mark);
// Takes a block out of the ledger. *pending: spans that some destination has not got.
ut_err ut_ledger_remove(ut_store *store, uint32_t org, uint64_t seq, bool expired,
                        uint32_t *pending);
// The spans of the block that some destination waits for. txn: any, also of a reader.
ut_err ut_ledger_pending(const ut_ledger *ledger, ut_txn *txn, uint32_t org, uint64_t seq,
                         uint32_t *pending);

// The entries of one block while its spans are written anew.
typedef struct {
    uint32_t count;
    struct {
        ut_delivery delivery;
        uint8_t dead[UT_BLOCK_SPANS_MAX / 8]; // bit n: the span with ordinal n is a dead letter
    } entries[UT_STORE_DESTINATIONS_MAX];
} ut_ledger_taken;

// Takes all entries of a block and its dead letters out; what was pending counts as expired.
ut_err ut_ledger_take(ut_store *store, uint32_t org, uint64_t seq, ut_ledger_taken *taken);
// Puts them back for block seq, which holds the spans that had these ordinals, in this order; what is
// pending does not count as expired any more.
ut_err ut_ledger_give(ut_store *store, const ut_ledger_taken *taken, uint32_t org, uint64_t seq,
                      const uint16_t *ordinals, uint32_t count);

// ---- retention.c ----

// What a transaction may take beside its data, from what it is to write.
typedef struct {
    uint64_t data_bytes;
    uint64_t touches; // places in the order of keys
} ut_demand;

// Removes old blocks in transactions of their own until the demand can be met. UT_EFULL: it cannot. UT_ELIMIT: an empty store could not meet it.
// UT_EIO, UT_ENOSPC, UT_ENOMEM.
ut_err ut_retention_make_room(ut_store *store, const ut_demand *demand);
// After UT_ENOSPC: true when the engine knows now how much the disk has given, so that room can be
// made within that.
bool ut_retention_met_full_disk(ut_store *store);
// Begins a transaction of its own that removes blocks, of at most touches_max; done: out, empty.
// UT_EIO, UT_ENOSPC, UT_ENOMEM.
ut_err ut_retention_begin(ut_store *store, uint64_t touches_max, ut_removal_progress *done);
// True when the transaction is not to begin a removal any more.
bool ut_retention_is_spent(const ut_store *store, const ut_removal_progress *done);
// Removes a block, or begins to: done->all tells. A later transaction goes on: this function again,
// or a sweep.
ut_err ut_retention_remove(ut_store *store, ut_cursor *cursor, uint32_t org, uint64_t seq,
                           ut_removal_why why, ut_removal_progress *done);
// Removes blocks inside the transaction under way: some of what has expired, and as many old ones as
// keep the balance, as far as what was set aside allows.
ut_err ut_retention_keep_up(ut_store *store, uint64_t now_ns);

#endif
