// The write transaction of the store; see store_txn.h.
#include "storage/store/store_txn.h"

#include "storage/store/key.h"
#include "storage/store/ledger.h"

// ---- records of the store itself ----

ut_err ut_store_read_state(ut_txn *txn, ut_record_state *state)
{
    ut_key key = ut_key_meta(UT_RECORD_STATE_NAME);
    ut_bytes value;
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    return err == UT_OK ? ut_record_read_state(value, state) : err;
}

static ut_err write_state(ut_store *store)
{
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_state(&store->value, &store->next_state);
    if (store->value.err != UT_OK)
        return store->value.err;
    ut_key key = ut_key_meta(UT_RECORD_STATE_NAME);
    return ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}

ut_err ut_store_write_version(ut_store *store, ut_txn *txn, uint32_t version)
{
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_version(&store->value, version);
    if (store->value.err != UT_OK)
        return store->value.err;
    const ut_key key = ut_key_meta(UT_RECORD_VERSION_NAME);
    return ut_txn_put(txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}

// ---- begin and end ----

static void copy_ledger(ut_ledger *to, const ut_ledger *from)
{
    to->count = from->count;
    memcpy(to->rows, from->rows, from->count * sizeof(from->rows[0]));
}

// Settles what an earlier commit left in doubt: after one that failed the engine cannot always tell
// whether it happened. The ledger is read whatever the state says, because a commit of marks alone
// does not change the state.
static ut_err reread(ut_store *store)
{
    if (!store->in_doubt)
        return UT_OK;
    ut_record_state stored = {0};
    ut_err err = ut_store_read_state(store->txn, &stored);
    if (err == UT_ENOTFOUND)
        return UT_ECORRUPT;
    if (err != UT_OK)
        return err;
    ut_ledger ledger;
    err = ut_ledger_read(store->txn, &ledger);
    if (err != UT_OK)
        return err;
    // Which destinations are active is known here; the stored records may be older.
    for (uint32_t i = 0; i < ledger.count; i++) {
        for (uint32_t k = 0; k < store->ledger.count; k++) {
            ut_ledger_row *known = &store->ledger.rows[k];
            if (known->row.org == ledger.rows[i].row.org &&
                known->row.dest == ledger.rows[i].row.dest)
                known->row.counts = ledger.rows[i].row.counts;
        }
    }
    stored.clock = store->state.clock; // what this process has seen since is newer
    store->state = stored;
    store->in_doubt = false;
    atomic_store(&store->last_seq, stored.next_seq - 1);
    return UT_OK;
}

ut_err ut_store_begin_write(ut_store *store)
{
    ut_err err = ut_engine_begin(store->engine, true, &store->txn);
    if (err != UT_OK)
        return err;
    err = reread(store);
    if (err != UT_OK) {
        ut_txn_abort(store->txn);
        store->txn = NULL;
        return err;
    }
    store->next_state = store->state;
    copy_ledger(&store->next_ledger, &store->ledger);
    store->retention.removal_before = store->retention.removal;
    store->retention.lost_spans_before = store->retention.lost_spans;
    store->retention.late_spans_before = store->retention.late_spans;
    return UT_OK;
}

void ut_store_abort_write(ut_store *store)
{
    if (store->txn != NULL)
        ut_txn_abort(store->txn);
    store->txn = NULL;
    ut_trace_index_taken_back(&store->index);
    store->retention.removal = store->retention.removal_before;
    store->retention.lost_spans = store->retention.lost_spans_before;
    store->retention.late_spans = store->retention.late_spans_before;
}

ut_err ut_store_end_write(ut_store *store)
{
    ut_err err = write_state(store);
    if (err == UT_OK)
        err = ut_ledger_write(store);
    if (err == UT_OK) {
        err = ut_txn_commit(store->txn);
        store->in_doubt = err != UT_OK;
        store->txn = NULL;
    }
    if (err != UT_OK) {
        ut_store_abort_write(store);
        return err;
    }
    store->state = store->next_state;
    store->clock_stored_ms = store->state.clock.up_ms;
    copy_ledger(&store->ledger, &store->next_ledger);
    atomic_store(&store->last_seq, store->state.next_seq - 1);
    return UT_OK;
}

// ---- counters ----

ut_engine *ut_store_engine(ut_store *store)
{
    return store->engine;
}

uint64_t ut_store_last_seq(const ut_store *store)
{
    return atomic_load(&store->last_seq);
}

void ut_store_get_counts(const ut_store *store, ut_store_counts *counts)
{
    *counts = store->state.counts;
}
