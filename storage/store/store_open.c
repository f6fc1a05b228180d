// Opening a store and closing it; see store.h.
#include "storage/store/store.h"

#include "port/base/order.h"
#include "port/port.h"
#include "storage/store/expiry.h"
#include "storage/store/key.h"
#include "storage/store/ledger.h"
#include "storage/store/store_keys.h"
#include "storage/store/store_txn.h"

#include <stdlib.h>

enum {
    // Blocks are small in a small store, so that a removal frees a small part of it.
    BUDGET_BYTES_PER_SPAN = 64 * 1024, // a block has no more spans than the budget has of these
    SPANS_MIN = 64,                    // ... but this many, in the smallest store
    BLOCKS_IN_BUDGET = 256,            // no block is larger than this part of the budget
    PAYLOAD_MIN = 16 * 1024,           // ... but a block may take this many bytes
    BLOCKS_IN_RING = 16, // no block has more than this part of a ring, which is exact to a block
    RECORD_KEEP = 512 * 1024,
    SEALED_PERMILLE_START = 500, // compression before any block was sealed: to half its size
};

// ---- what is stored ----

// Reads counters and destinations. UT_ENOTFOUND: the store has no record at all.
static ut_err load(ut_store *store, ut_txn *txn, ut_fault *fault)
{
    ut_key key = ut_key_meta(UT_RECORD_VERSION_NAME);
    ut_bytes value;
    uint64_t version = 0;
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    if (err == UT_OK)
        err = ut_record_read_version(value, &version);
    if (err == UT_EVERSION)
        return ut_fault_set(
            fault, err,
            "the store has format version %llu, this program knows versions up to %d; "
            "use a newer program with it",
            (unsigned long long)version, (int)UT_STORE_FORMAT_VERSION);
    if (err == UT_ENOTFOUND) {
        ut_cursor *cursor;
        static const uint8_t first[1] = {0};
        err = ut_txn_cursor(txn, &cursor);
        if (err != UT_OK)
            return ut_fault_set(fault, err, "the store cannot be read: %s", ut_err_text(err));
        ut_bytes found;
        err = ut_cursor_seek(cursor, (ut_bytes){first, 1}, &found, &value);
        ut_cursor_close(cursor);
        if (err == UT_ENOTFOUND)
            return err;
        if (err == UT_OK)
            return ut_fault_set(
                fault, UT_ECORRUPT,
                "the store has records but no format version: another program wrote it, "
                "or it is damaged");
    }
    if (err == UT_OK)
        err = ut_store_read_state(txn, &store->state);
    if (err == UT_OK)
        err = ut_ledger_read(txn, &store->ledger);
    if (err == UT_ENOTFOUND)
        err = UT_ECORRUPT;
    return err == UT_OK ? UT_OK
                        : ut_fault_set(fault, err, "the counters of the store cannot be read: %s",
                                       ut_err_text(err));
}

// Writes the first records of a new store.
static ut_err create(ut_store *store)
{
    ut_err err = ut_engine_begin(store->engine, true, &store->txn);
    if (err != UT_OK)
        return err;
    store->next_state = store->state;
    store->next_ledger.count = 0;
    err = ut_store_write_version(store, store->txn, UT_STORE_FORMAT_VERSION);
    if (err == UT_OK)
        err = ut_trace_index_open(&store->index, store->txn);
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    return ut_store_end_write(store);
}

static ut_err load_or_create(ut_store *store, ut_fault *fault)
{
    ut_txn *txn;
    ut_err err = ut_engine_begin(store->engine, false, &txn);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "the store cannot be read: %s", ut_err_text(err));
    err = load(store, txn, fault);
    ut_txn_abort(txn);
    if (err != UT_ENOTFOUND)
        return err;
    err = create(store);
    if (err == UT_OK || err == UT_EPERM) // a reader of a store in which nothing was written yet
        return UT_OK;
    return ut_fault_set(fault, err, "the store cannot be written: %s", ut_err_text(err));
}

// Readies the index of traces. A store that an earlier version wrote gets the records of this one,
// and is refused by the earlier version from now on; its old entries stay until their blocks leave.
static ut_err open_index(ut_store *store, ut_fault *fault)
{
    ut_txn *txn;
    ut_err err = ut_engine_begin(store->engine, true, &txn);
    if (err == UT_EPERM)
        return UT_OK; // a reader looks traces up by itself
    if (err != UT_OK)
        return ut_fault_set(fault, err, "the store cannot be written: %s", ut_err_text(err));
    ut_index_secret secret;
    const bool made = ut_index_secret_read(txn, &secret) == UT_ENOTFOUND;
    err = ut_trace_index_open(&store->index, txn);
    if (err == UT_OK && made)
        err = ut_store_write_version(store, txn, UT_STORE_FORMAT_VERSION);
    if (err == UT_OK && made)
        err = ut_txn_commit(txn);
    else
        ut_txn_abort(txn);
    return err == UT_OK ? UT_OK
                        : ut_fault_set(fault, err, "the index of the store cannot be %s: %s",
                                       made ? "made" : "read", ut_err_text(err));
}

// Makes all destinations inactive: the caller that opens the store to write says anew which ones
// are active. A reader sees which ones are.
static ut_err deactivate(ut_store *store, ut_fault *fault)
{
    ut_txn *txn;
    ut_err err = ut_engine_begin(store->engine, true, &txn);
    if (err == UT_EPERM)
        return UT_OK;
    if (err != UT_OK)
        return ut_fault_set(fault, err, "the store cannot be written: %s", ut_err_text(err));
    ut_txn_abort(txn);
    for (uint32_t i = 0; i < store->ledger.count; i++) {
        ut_ledger_row *row = &store->ledger.rows[i];
        row->changed = row->row.active;
        row->row.active = false;
    }
    return UT_OK;
}

// ---- memory ----

static void set_limits(ut_store *store, const ut_store_config *config)
{
    store->spans_max = (uint32_t)ut_clamp_u64(config->bytes_max / BUDGET_BYTES_PER_SPAN, SPANS_MIN,
                                              UT_BLOCK_SPANS_MAX);
    if (config->spans_max > 0)
        store->spans_max =
            (uint32_t)ut_clamp_u64(config->spans_max / BLOCKS_IN_RING, 1, store->spans_max);
    store->payload_target = (uint32_t)ut_clamp_u64(config->bytes_max / BLOCKS_IN_BUDGET,
                                                   PAYLOAD_MIN, UT_BLOCK_PAYLOAD_TARGET);
}

// Nothing is allocated yet: ut_store_close may follow.
static void init(ut_store *store, ut_engine *engine, const ut_store_config *config)
{
    store->engine = engine;
    store->log = config->log;
    store->bytes_max = config->bytes_max;
    store->ttl_ms = config->ttl_ms;
    store->rules = config->rules;
    store->retention.ring_spans = config->spans_max;
    store->retention.evict_oldest = config->evict_oldest;
    store->sealed_permille = SEALED_PERMILLE_START;
    store->state.next_seq = 1;
    set_limits(store, config);
    ut_buf_init(&store->sealed, UT_BLOCK_PAYLOAD_MAX + RECORD_KEEP);
    ut_buf_init(&store->value, RECORD_KEEP);
    ut_buf_init(&store->classes, UT_TRACE_SPANS_MAX * sizeof(ut_expiry_class));
    ut_buf_init(&store->span_hours, UT_TRACE_SPANS_MAX * sizeof(uint32_t));
}

static ut_err make_builders(ut_store *store, ut_fault *fault)
{
    store->builder = ut_block_builder_new(store->spans_max, store->payload_target);
    store->bloom = ut_bloom_builder_new(store->spans_max);
    return store->builder != NULL && store->bloom != NULL
               ? UT_OK
               : ut_fault_set(fault, UT_ENOMEM, "out of memory");
}

// ---- opening ----

ut_err ut_store_open(ut_engine *engine, const ut_store_config *config, ut_store **out,
                     ut_fault *fault)
{
    ut_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        ut_engine_close(engine);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    init(store, engine, config);
    ut_trace_merger_init(&store->merger);
    ut_err err = ut_trace_index_init(&store->index);
    if (err == UT_OK)
        err = load_or_create(store, fault);
    else
        (void)ut_fault_set(fault, err, "out of memory");
    if (err == UT_OK)
        err = ut_store_keys_open(store, config, fault);
    if (err == UT_OK) // with the right key: an older program refuses the store from then on
        err = open_index(store, fault);
    if (err == UT_OK && !config->keep_destinations)
        err = deactivate(store, fault);
    if (err == UT_OK)
        err = make_builders(store, fault);
    if (err != UT_OK) {
        ut_store_close(store);
        return err;
    }
    atomic_store(&store->last_seq, store->state.next_seq - 1);
    *out = store;
    return UT_OK;
}

void ut_store_close(ut_store *store)
{
    if (store == NULL)
        return;
    ut_block_builder_free(store->builder);
    ut_bloom_builder_free(store->bloom);
    ut_trace_index_free(&store->index);
    ut_buf_free(&store->sealed);
    ut_trace_merger_free(&store->merger);
    ut_buf_free(&store->value);
    ut_buf_free(&store->classes);
    ut_buf_free(&store->span_hours);
    ut_store_keys_close(store);
    ut_engine_close(store->engine);
    free(store);
}
