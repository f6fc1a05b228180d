// Names of destinations get their rows in the ledger, and names that nobody needs any more give
// them back; see store.h. Not for what a row counts: ledger.h.
#include "port/base/order.h"
#include "storage/store/key.h"
#include "storage/store/store_txn.h"

// Entries of a forgotten destination that one transaction deletes: neighbours, so a few dozen
// pages.
enum { FORGET_KEYS_MAX = 1024 };

bool ut_store_activate_destination(ut_store *store, uint32_t org, const char *name_z,
                                   uint32_t *dest)
{
    for (uint32_t i = 0; i < store->ledger.count; i++) {
        ut_ledger_row *row = &store->ledger.rows[i];
        if (row->row.org != org || strcmp(row->row.name_z, name_z) != 0)
            continue;
        row->changed = row->changed || !row->row.active;
        row->row.active = true;
        *dest = row->row.dest;
        return true;
    }
    return false;
}

// Deletes the first keys that begin with a prefix; *left: how many more this transaction may
// delete.
static ut_err delete_keys(ut_store *store, ut_cursor *cursor, const ut_key *prefix, uint32_t *left)
{
    while (*left > 0) {
        ut_bytes key;
        ut_bytes value;
        const ut_err err = ut_cursor_seek(cursor, ut_key_bytes(prefix), &key, &value);
        if (err == UT_ENOTFOUND || (err == UT_OK && !ut_key_begins_with(key, prefix)))
            return UT_OK;
        ut_key own = {.len = key.len};
        if (err != UT_OK || key.len > sizeof(own.data))
            return err != UT_OK ? err : UT_ECORRUPT;
        memcpy(own.data, key.data, key.len); // the key is borrowed until the next write
        const ut_err deleted = ut_txn_del(store->txn, ut_key_bytes(&own));
        if (deleted != UT_OK)
            return deleted;
        *left -= 1;
    }
    return UT_OK;
}

// Deletes delivery entries and dead letters of a destination inside a transaction, and with the
// last of them its record. *all: they are gone.
static ut_err forget_some(ut_store *store, const ut_store_destination *old, bool *all)
{
    uint32_t left = FORGET_KEYS_MAX;
    const ut_key entries =
        ut_key_prefix(ut_key_delivery(old->org, old->dest, 0), UT_KEY_PREFIX_DESTINATION);
    const ut_key letters =
        ut_key_prefix(ut_key_dead(old->org, old->dest, 0), UT_KEY_PREFIX_DESTINATION);
    const ut_key row = ut_key_destination(old->org, old->dest);
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(store->txn, &cursor);
    if (err != UT_OK)
        return err;
    err = delete_keys(store, cursor, &entries, &left);
    if (err == UT_OK)
        err = delete_keys(store, cursor, &letters, &left);
    ut_cursor_close(cursor);
    *all = left > 0;
    if (err == UT_OK && *all)
        err = ut_txn_del(store->txn, ut_key_bytes(&row));
    return err == UT_ENOTFOUND ? UT_OK : err; // a record that was never written
}

// Puts a new destination in the place of one that is not active and waits for nothing. Its entries
// leave in transactions of bounded size; the last one takes its record and writes the new one, so
// that a number is not given twice.
static ut_err replace_row(ut_store *store, uint32_t place, const ut_ledger_row *fresh)
{
    const ut_store_destination old = store->ledger.rows[place].row;
    for (bool all = false; !all;) {
        ut_err err = ut_store_begin_write(store);
        if (err != UT_OK)
            return err;
        err = forget_some(store, &old, &all);
        if (err == UT_OK && all)
            store->next_ledger.rows[place] = *fresh;
        if (err != UT_OK) {
            ut_store_abort_write(store);
            return err;
        }
        err = ut_store_end_write(store);
        if (err != UT_OK)
            return err;
    }
    ut_log_write(store->log, UT_LOG_INFO, "storage",
                 "the destination %s is forgotten: it is not configured, nothing waits for it, and "
                 "its place is needed",
                 old.name_z);
    return UT_OK;
}

ut_err ut_store_add_destination(ut_store *store, uint32_t org, const char *name_z, uint32_t *dest)
{
    size_t len = strlen(name_z);
    if (len == 0 || len > UT_STORE_NAME_MAX)
        return UT_ELIMIT;
    if (ut_store_activate_destination(store, org, name_z, dest))
        return UT_OK;
    ut_ledger *ledger = &store->ledger;
    uint32_t newest = 0;
    uint32_t idle = UINT32_MAX; // the oldest row that can be given back
    for (uint32_t i = 0; i < ledger->count; i++) {
        const ut_store_destination *row = &ledger->rows[i].row;
        if (row->org == org)
            newest = ut_max_u32(newest, row->dest);
        if (!row->active && ut_store_pending(&row->counts) == 0 &&
            (idle == UINT32_MAX || row->dest < ledger->rows[idle].row.dest))
            idle = i;
    }
    ut_ledger_row fresh = {.row = {.org = org, .dest = newest + 1, .active = true},
                           .changed = true};
    memcpy(fresh.row.name_z, name_z, len + 1);
    *dest = fresh.row.dest;
    if (ledger->count == UT_STORE_DESTINATIONS_MAX)
        return idle == UINT32_MAX ? UT_ELIMIT : replace_row(store, idle, &fresh);
    // Written with the next commit: before it, nothing in the store refers to the number.
    ledger->rows[ledger->count++] = fresh;
    return UT_OK;
}
