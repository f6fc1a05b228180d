// The store: one durable commit for many requests, the ledger of deliveries, and retention.
// Everything that changes the database goes through here, on one thread (the store thread). Not for
// questions: query.h reads.
//
// It is a step machine: nothing here waits, starts a thread or reads a clock; the caller gives the
// time.
#ifndef UT_STORAGE_STORE_STORE_H
#define UT_STORAGE_STORE_STORE_H

#include "storage/span/batch.h"
#include "storage/span/block.h"
#include "storage/engine.h"
#include "storage/store/rules.h"
#include "port/base/log.h"

enum {
    UT_STORE_FORMAT_VERSION = 3, // of stores that this program writes
    UT_STORE_DESTINATIONS_MAX = 64,
    UT_STORE_NAME_MAX = 64,
    UT_STORE_REASON_MAX = 160,
    UT_ORG_DEFAULT = 1,
    UT_STORE_BYTES_MIN = 4 * 1024 * 1024,
};

// Life of a span: it stays until the budget needs its room.
#define UT_STORE_TTL_NONE UINT64_MAX

typedef struct ut_store ut_store;

typedef struct {
    uint64_t bytes_max;    // budget; at least UT_STORE_BYTES_MIN
    uint64_t spans_max;    // spans of the ring, whose oldest blocks leave; 0: no ring
    bool evict_oldest;     // the budget takes the oldest block, not the oldest delivered one
    uint64_t ttl_ms;       // default life of a span; 0: until the budget needs the room
    const ut_rules *rules; // other lives for some spans; borrowed for the store's life, may be NULL
    const ut_log *log;     // may be NULL
    // Destinations stay active as they were; for work without an agent. Otherwise none is active
    // until ut_store_add_destination says so.
    bool keep_destinations;
    // UT_CIPHER_KEY_LEN bytes: what blocks hold is encrypted, under data keys that this key wraps
    // (keyring.h). NULL: it is not, and an encrypted store does not open. Borrowed for the call.
    const uint8_t *master_key;
    const char *master_key_name_z; // where it comes from, for faults: "/etc/untrace/key"
    uint64_t blocks_per_key;       // under one data key; 0: UT_KEYRING_BLOCKS_MAX
    bool keep_plain;               // the key opens an encrypted store, and makes none
} ut_store_config;

// Takes over engine (closed by ut_store_close, and also when this fails). Checks or writes the
// format version, reads counters and destinations. A reader (engine opened read_only) may use only
// the reading functions. UT_EVERSION, UT_ECORRUPT, UT_EIO, UT_ENOMEM; UT_EPERM: the store is
// encrypted, and master_key is NULL or not its key.
//
// A store that was not encrypted is from the first opening with a key on: what comes is encrypted,
// what is there stays as it is.
ut_err ut_store_open(ut_engine *engine, const ut_store_config *config, ut_store **store,
                     ut_fault *fault);
void ut_store_close(ut_store *store);
ut_engine *ut_store_engine(ut_store *store);

// ---- encryption ----

// Wraps the data keys with another master key (UT_CIPHER_KEY_LEN bytes), and makes a new data key
// for the blocks that come; one transaction. Store thread. UT_EINVAL: the store is not encrypted.
// UT_ELIMIT: too many data keys have blocks. UT_EFULL, UT_ENOSPC, UT_ENOMEM: nothing has changed.
// UT_EIO: either key may be the right one now; calling again settles it.
ut_err ut_store_rekey(ut_store *store, const uint8_t *master_key, ut_fault *fault);

// How many data keys there are; 0: the store is not encrypted. Store thread, or a read-only store.
uint32_t ut_store_data_keys(const ut_store *store);

// ---- destinations ----

// Finds or makes the number of a destination by name (1..UT_STORE_NAME_MAX bytes), and makes it
// active: from now on every block gets a ledger entry for it. Where the ledger is full, the oldest
// destination leaves it that is not active and has nothing pending, with its counters, entries and
// dead letters: activate those that are to stay first. Store thread, before the first commit.
// UT_ELIMIT: no such destination; UT_EIO, UT_EFULL, UT_ENOSPC, UT_ENOMEM.
ut_err ut_store_add_destination(ut_store *store, uint32_t org, const char *name_z, uint32_t *dest);

// The same for a destination that the ledger has already; false: it has not. Store thread.
bool ut_store_activate_destination(ut_store *store, uint32_t org, const char *name_z,
                                   uint32_t *dest);

// ---- the clock ----

// Tells the store how late it is, before a commit, a sweep or a slice of an operation: spans grow
// old by the time that the machine runs, and not when the wall clock jumps (age_clock.h). A store
// that is never told goes by the wall clock less the jumps that it knows of.
//
// up_ms: how long the machine has run. boot: differs after each start of it; 0: not known. A jump
// is logged. Store thread.
void ut_store_look_at_clock(ut_store *store, uint64_t wall_ns, uint64_t up_ms, uint64_t boot);

// The age of what comes while the wall clock says wall_ns: blocks expire when an hour of it begins.
// Store thread.
uint64_t ut_store_age_ns(const ut_store *store, uint64_t wall_ns);

// ---- group commit ----

typedef struct {
    uint32_t org;
    uint64_t ttl_ms;       // wins over rules; 0: by rule, else the store's default
    const ut_batch *batch; // borrowed for the call
    uint32_t stored;       // out: spans written
    uint32_t duplicates;   // out: spans that the store had already
} ut_store_append;

typedef enum {
    UT_DELIVERY_PENDING = 0,
    UT_DELIVERY_DELIVERED = 1,
    UT_DELIVERY_DEAD = 2
} ut_delivery_state;

// A block's standing with one destination. As a mark: what the dispatcher learned, to be written.
typedef struct {
    uint32_t org;
    uint32_t dest;
    uint64_t seq;
    ut_delivery_state state;
    uint32_t attempts;
    uint64_t next_try_ns; // wall clock; pending only, 0: now
    uint64_t updated_ns;  // wall clock of this state
    uint32_t spans;       // spans in the block
    uint32_t spans_dead;  // of them, refused for good (a block can be delivered in part)
    uint16_t http_status; // of the last answer, 0: none
    char reason_z[UT_STORE_REASON_MAX]; // last error, empty when none
    // spans_dead ordinals, or NULL when all are dead or none; borrowed for the call (marks only).
    const uint16_t *dead_ordinals;
} ut_delivery;

// Writes all appends and all marks in one transaction: blocks, trace entries, summaries, TTL
// entries, one ledger entry per active destination, counters. Spans that the organisation has
// already, with equal ids and equal content, are left out, also within the group; ids alone decide
// for spans in blocks of format version 1 and 2. Durable on return.
// Makes room first when the budget asks for it (oldest blocks go, delivered before undelivered). On
// an error the store goes on working and nothing of the group is stored, except after UT_EIO, when
// all of it may be: sent again, its spans are duplicates. UT_EFULL, UT_ENOSPC, UT_EIO, UT_ENOMEM;
// UT_ELIMIT: it is too large for an empty store, or the engine is out of readers or descriptors.
// Store thread.
ut_err ut_store_commit(ut_store *store, uint64_t now_ns, ut_store_append *appends,
                       size_t append_count, const ut_delivery *marks, size_t mark_count);

// Memory in bytes that a commit takes besides a large batch, until it returns; 0 for others, which
// make do with what the store keeps anyway. For whoever counts the memory of requests. Pure.
size_t ut_store_commit_memory(const ut_batch *batch);

// The newest sequence number; rises with every block. Any thread.
uint64_t ut_store_last_seq(const ut_store *store);

// ---- retention ----

// Deletes blocks whose TTL bucket is due, and the oldest ones while the budget asks for it, in one
// transaction of bounded size. *more: call again soon. Commits do the same for a bounded part of
// their time: between commits that follow each other closely there is no need for it. Store thread.
// UT_EIO, UT_ENOSPC: nothing changed, try again later.
ut_err ut_store_sweep(ut_store *store, uint64_t now_ns, bool *more);

// ---- readers that poll ----

enum {
    UT_STORE_CONSUMER_NAME_MAX = 48, // bytes
    UT_STORE_CONSUMERS_MAX = 256,    // of one organisation
};

// Stores where a named reader has got to (1..UT_STORE_CONSUMER_NAME_MAX bytes) durably; seq 0 and
// ordinal 0 remove it. Store thread. UT_EINVAL (also a block that was never stored), UT_ELIMIT (too
// many readers), UT_EFULL, UT_EIO, UT_ENOSPC.
ut_err ut_store_set_consumer(ut_store *store, uint32_t org, const char *name_z, uint64_t seq,
                             uint32_t ordinal);

// ---- counters ----

// Spans, since the store was made. For every destination: accepted = delivered + dead + expired +
// evicted + pending.
typedef struct {
    uint64_t accepted; // ledger entries made, in spans
    uint64_t delivered;
    uint64_t dead;
    uint64_t expired; // left before delivery, by time or by a cleanup
    uint64_t evicted; // left before delivery, for the room
} ut_store_destination_counts;

// The spans that still wait for their delivery.
static inline uint64_t ut_store_pending(const ut_store_destination_counts *counts)
{
    return counts->accepted - counts->delivered - counts->dead - counts->expired - counts->evicted;
}

typedef struct {
    uint64_t spans_stored; // in all time
    uint64_t spans_duplicate;
    uint64_t spans_expired;
    uint64_t spans_evicted;
    uint64_t blocks_stored;
    uint64_t blocks_removed;
} ut_store_counts;

typedef struct {
    uint32_t org;
    uint32_t dest;
    char name_z[UT_STORE_NAME_MAX + 1];
    bool active;
    ut_store_destination_counts counts;
} ut_store_destination;

// Copies of the counters as last committed. Store thread, or a read-only store.
void ut_store_get_counts(const ut_store *store, ut_store_counts *counts);
size_t ut_store_get_destinations(const ut_store *store, ut_store_destination *out, size_t cap);

// ---- reading, for the dispatcher ----
// A view is one read transaction with the buffers it needs. Keep it open only briefly: it pins old
// pages. One thread at a time.

typedef struct ut_store_view ut_store_view;
ut_err ut_store_view_open(ut_engine *engine, ut_store_view **view); // allocates; no transaction yet
void ut_store_view_close(ut_store_view *view);
ut_err ut_store_view_begin(ut_store_view *view);
void ut_store_view_end(ut_store_view *view); // also when none is begun

// The counters as the view sees them. UT_ECORRUPT.
ut_err ut_store_view_counts(ut_store_view *view, ut_store_counts *counts);

// The first ledger entry of (org, dest) with seq > after that is pending. UT_ENOTFOUND. spans is
// filled. Looks at no more than scan_max entries: UT_EAGAIN with delivery->seq set to the last one
// seen, to go on from.
ut_err ut_store_next_pending(ut_store_view *view, uint32_t org, uint32_t dest, uint64_t after,
                             uint32_t scan_max, ut_delivery *delivery);

// Opens a block into payload (a buffer of the caller's), with the key that it needs. UT_ENOTFOUND
// (it has expired), UT_ECORRUPT; UT_EPERM: it is encrypted under a key that another process made
// after this one opened the store, with another master key.
ut_err ut_store_read_block(ut_store_view *view, uint32_t org, uint64_t seq, ut_buf *payload,
                           ut_block *block);

#endif
