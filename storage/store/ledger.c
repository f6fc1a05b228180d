// The ledger: destinations and their counters, one delivery entry for every block and destination,
// dead letters. For every destination, at any moment: accepted = delivered + dead + expired +
// evicted + pending. Not for deciding when to try again: that is the dispatcher's.
#include "storage/store/ledger.h"

#include "port/base/order.h"
#include "storage/store/key.h"

// ---- destinations ----

ut_err ut_ledger_read(ut_txn *txn, ut_ledger *ledger)
{
    ledger->count = 0;
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    ut_key from = ut_key_destination(0, 0);
    ut_bytes key;
    ut_bytes value;
    err = ut_cursor_seek(cursor, (ut_bytes){from.data, 1}, &key, &value);
    while (err == UT_OK && key.data[0] == UT_KEY_DESTINATION) {
        if (ledger->count == UT_STORE_DESTINATIONS_MAX) {
            err = UT_ECORRUPT;
            break;
        }
        ut_ledger_row *row = &ledger->rows[ledger->count];
        *row = (ut_ledger_row){0};
        if (!ut_key_read_destination(key, &row->row.org, &row->row.dest)) {
            err = UT_ECORRUPT;
            break;
        }
        err = ut_record_read_destination(value, &row->row);
        if (err != UT_OK)
            break;
        ledger->count += 1;
        err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

ut_err ut_ledger_write(ut_store *store)
{
    for (uint32_t i = 0; i < store->next_ledger.count; i++) {
        ut_ledger_row *row = &store->next_ledger.rows[i];
        if (!row->changed)
            continue;
        ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
        ut_record_write_destination(&store->value, &row->row);
        if (store->value.err != UT_OK)
            return store->value.err;
        ut_key key = ut_key_destination(row->row.org, row->row.dest);
        ut_err err = ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
        if (err != UT_OK)
            return err;
        row->changed = false;
    }
    return UT_OK;
}

size_t ut_store_get_destinations(const ut_store *store, ut_store_destination *out, size_t cap)
{
    size_t count = ut_min_size(store->ledger.count, cap);
    for (size_t i = 0; i < count; i++)
        out[i] = store->ledger.rows[i].row;
    return count;
}

// ---- entries ----

// An encrypted store keeps the status of an answer, but not its text: a destination may quote what
// it was sent. The log has it.
static void hide_reason(const ut_store *store, ut_delivery *delivery)
{
    if (store->keyring != NULL)
        delivery->reason_z[0] = '\0';
}

static ut_err put_delivery(ut_store *store, const ut_delivery *delivery)
{
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_delivery(&store->value, delivery);
    if (store->value.err != UT_OK)
        return store->value.err;
    ut_key key = ut_key_delivery(delivery->org, delivery->dest, delivery->seq);
    return ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}

// UT_ENOTFOUND. A damaged entry is read as one that is settled, with no spans in it: it asks for
// nothing more.
static ut_err get_delivery(ut_txn *txn, uint32_t org, uint32_t dest, uint64_t seq,
                           ut_delivery *delivery)
{
    ut_key key = ut_key_delivery(org, dest, seq);
    ut_bytes value;
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    if (err != UT_OK)
        return err;
    if (ut_record_read_delivery(value, delivery) != UT_OK)
        *delivery = (ut_delivery){.state = UT_DELIVERY_DELIVERED};
    delivery->org = org;
    delivery->dest = dest;
    delivery->seq = seq;
    return UT_OK;
}

ut_err ut_ledger_accept(ut_store *store, uint32_t org, uint64_t seq, uint32_t spans)
{
    for (uint32_t i = 0; i < store->next_ledger.count; i++) {
        ut_ledger_row *row = &store->next_ledger.rows[i];
        if (row->row.org != org || !row->row.active)
            continue;
        ut_delivery fresh = {.org = org, .dest = row->row.dest, .seq = seq, .spans = spans};
        ut_err err = put_delivery(store, &fresh);
        if (err != UT_OK)
            return err;
        row->row.counts.accepted += spans;
        row->changed = true;
    }
    return UT_OK;
}

static ut_ledger_row *find_row(ut_ledger *ledger, uint32_t org, uint32_t dest)
{
    for (uint32_t i = 0; i < ledger->count; i++) {
        if (ledger->rows[i].row.org == org && ledger->rows[i].row.dest == dest)
            return &ledger->rows[i];
    }
    return NULL;
}

// Adds (or takes back) what a settled entry counts for.
static void count_settled(ut_ledger_row *row, const ut_delivery *delivery, bool add)
{
    if (delivery->state == UT_DELIVERY_PENDING)
        return;
    uint64_t dead = delivery->spans_dead;
    uint64_t delivered = delivery->spans - dead;
    row->row.counts.delivered += add ? delivered : 0 - delivered;
    row->row.counts.dead += add ? dead : 0 - dead;
    row->changed = true;
}

ut_err ut_ledger_mark(ut_store *store, const ut_delivery *mark)
{
    ut_ledger_row *row = find_row(&store->next_ledger, mark->org, mark->dest);
    ut_delivery old;
    ut_err err = row == NULL ? UT_ENOTFOUND
                             : get_delivery(store->txn, mark->org, mark->dest, mark->seq, &old);
    if (err == UT_ENOTFOUND)
        return UT_OK; // the block has gone meanwhile
    if (err != UT_OK && err != UT_ECORRUPT)
        return err;
    // An error would come back with each try, and hold up all that is in the group. (Where the
    // engine cannot go on, the commit tells.)
    if (err == UT_ECORRUPT || old.spans == 0) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the delivery entry of block %llu is damaged; what became of it is not noted",
                     (unsigned long long)mark->seq);
        return UT_OK;
    }
    ut_delivery entry = *mark;
    entry.spans = old.spans;
    if (entry.state == UT_DELIVERY_PENDING)
        entry.spans_dead = 0;
    else if (entry.state == UT_DELIVERY_DEAD && mark->dead_ordinals == NULL)
        entry.spans_dead = entry.spans;
    if (entry.spans_dead > entry.spans) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "%lu spans of block %llu are marked as dead, which has %lu",
                     (unsigned long)entry.spans_dead, (unsigned long long)mark->seq,
                     (unsigned long)entry.spans);
        entry.spans_dead = entry.spans;
    }
    hide_reason(store, &entry);
    count_settled(row, &old, false);
    count_settled(row, &entry, true);
    err = put_delivery(store, &entry);
    ut_key letter = ut_key_dead(mark->org, mark->dest, mark->seq);
    if (err == UT_OK && entry.spans_dead > 0) {
        ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
        ut_record_write_dead(&store->value, &entry);
        err = store->value.err;
        if (err == UT_OK)
            err = ut_txn_put(store->txn, ut_key_bytes(&letter), ut_buf_bytes(&store->value));
    } else if (err == UT_OK && old.spans_dead > 0) {
        err = ut_txn_del(store->txn, ut_key_bytes(&letter));
        if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    return err;
}

ut_err ut_ledger_remove(ut_store *store, uint32_t org, uint64_t seq, bool expired,
                        uint32_t *pending)
{
    *pending = 0;
    for (uint32_t i = 0; i < store->next_ledger.count; i++) {
        ut_ledger_row *row = &store->next_ledger.rows[i];
        if (row->row.org != org)
            continue;
        ut_delivery entry;
        ut_err err = get_delivery(store->txn, org, row->row.dest, seq, &entry);
        if (err == UT_ENOTFOUND)
            continue;
        if (err != UT_OK)
            return err;
        if (entry.state == UT_DELIVERY_PENDING) {
            if (expired)
                row->row.counts.expired += entry.spans;
            else
                row->row.counts.evicted += entry.spans;
            row->changed = true;
            if (entry.spans > *pending)
                *pending = entry.spans;
        }
        ut_key key = ut_key_delivery(org, row->row.dest, seq);
        err = ut_txn_del(store->txn, ut_key_bytes(&key));
        if (err == UT_OK && entry.spans_dead > 0) {
            key = ut_key_dead(org, row->row.dest, seq);
            err = ut_txn_del(store->txn, ut_key_bytes(&key));
        }
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
    }
    return UT_OK;
}

ut_err ut_ledger_pending(const ut_ledger *ledger, ut_txn *txn, uint32_t org, uint64_t seq,
                         uint32_t *pending)
{
    *pending = 0;
    for (uint32_t i = 0; i < ledger->count; i++) {
        const ut_ledger_row *row = &ledger->rows[i];
        if (row->row.org != org)
            continue;
        ut_delivery entry;
        ut_err err = get_delivery(txn, org, row->row.dest, seq, &entry);
        if (err == UT_OK && entry.state == UT_DELIVERY_PENDING && entry.spans > *pending)
            *pending = entry.spans;
        else if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
    }
    return UT_OK;
}

// ---- a block that is written anew ----

// Reads which spans of an entry are dead letters.
static ut_err get_dead(ut_txn *txn, const ut_delivery *entry, uint8_t dead[UT_BLOCK_SPANS_MAX / 8])
{
    memset(dead, 0, UT_BLOCK_SPANS_MAX / 8);
    if (entry->spans_dead == 0)
        return UT_OK;
    ut_key key = ut_key_dead(entry->org, entry->dest, entry->seq);
    ut_bytes value;
    ut_err err = ut_txn_get(txn, ut_key_bytes(&key), &value);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_OK : err;
    ut_mp_reader reader = ut_mp_reader_of(value);
    (void)ut_mp_get_array(&reader);
    for (unsigned i = 0; i < 3; i++) // time, status, reason
        (void)ut_mp_skip(&reader);
    if (ut_mp_peek(&reader) == UT_MP_NIL) {
        memset(dead, 0xff, UT_BLOCK_SPANS_MAX / 8);
        return UT_OK;
    }
    for (uint32_t left = ut_mp_get_array(&reader); left > 0 && reader.err == UT_OK; left--) {
        uint64_t ordinal = ut_mp_get_uint(&reader);
        if (reader.err == UT_OK && ordinal < UT_BLOCK_SPANS_MAX)
            dead[ordinal / 8] |= (uint8_t)(1U << ordinal % 8);
    }
    return UT_OK; // of a damaged letter, what could be read
}

ut_err ut_ledger_take(ut_store *store, uint32_t org, uint64_t seq, ut_ledger_taken *taken)
{
    taken->count = 0;
    for (uint32_t i = 0; i < store->next_ledger.count; i++) {
        uint32_t dest = store->next_ledger.rows[i].row.dest;
        ut_delivery *entry = &taken->entries[taken->count].delivery;
        if (store->next_ledger.rows[i].row.org != org)
            continue;
        ut_err err = get_delivery(store->txn, org, dest, seq, entry);
        if (err == UT_OK)
            err = get_dead(store->txn, entry, taken->entries[taken->count].dead);
        if (err == UT_OK && entry->spans > 0) // a damaged entry does not come back
            taken->count += 1;
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
    }
    uint32_t pending;
    return ut_ledger_remove(store, org, seq, true, &pending);
}

ut_err ut_ledger_give(ut_store *store, const ut_ledger_taken *taken, uint32_t org, uint64_t seq,
                      const uint16_t *ordinals, uint32_t count)
{
    for (uint32_t i = 0; i < taken->count; i++) {
        uint16_t dead_ordinals[UT_BLOCK_SPANS_MAX];
        const uint8_t *dead = taken->entries[i].dead;
        ut_delivery entry = taken->entries[i].delivery;
        ut_ledger_row *row = find_row(&store->next_ledger, org, entry.dest);
        UT_ASSERT(row != NULL && count <= UT_BLOCK_SPANS_MAX);
        entry.seq = seq;
        entry.spans = count;
        entry.spans_dead = 0;
        for (uint32_t k = 0; k < count; k++) {
            if ((dead[ordinals[k] / 8] >> ordinals[k] % 8 & 1) != 0)
                dead_ordinals[entry.spans_dead++] = (uint16_t)k;
        }
        entry.dead_ordinals = entry.spans_dead == count ? NULL : dead_ordinals;
        if (entry.state == UT_DELIVERY_PENDING) {
            entry.spans_dead = 0;
            row->row.counts.expired -= count;
            row->changed = true;
        } else if (entry.state == UT_DELIVERY_DEAD && entry.spans_dead == 0) {
            entry.state = UT_DELIVERY_DELIVERED;
        }
        ut_err err = put_delivery(store, &entry);
        if (err == UT_OK && entry.spans_dead > 0) {
            ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
            ut_record_write_dead(&store->value, &entry);
            ut_key letter = ut_key_dead(org, entry.dest, seq);
            err = store->value.err;
            if (err == UT_OK)
                err = ut_txn_put(store->txn, ut_key_bytes(&letter), ut_buf_bytes(&store->value));
        }
        if (err != UT_OK)
            return err;
    }
    return UT_OK;
}
