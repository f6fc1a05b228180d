// Where named readers that poll have got to; see store.h. query_pull.c reads it.
#include "storage/store/store.h"

#include "storage/store/key.h"
#include "storage/store/retention.h"
#include "storage/store/store_txn.h"

// Counts the readers of an organisation. *known: this one is among them.
static ut_err count_consumers(ut_store *store, uint32_t org, ut_bytes name, uint32_t *count,
                              bool *known)
{
    *count = 0;
    *known = false;
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(store->txn, &cursor);
    if (err != UT_OK)
        return err;
    ut_key from = ut_key_prefix(ut_key_consumer(org, name), UT_KEY_PREFIX_ORG);
    ut_bytes key;
    ut_bytes value;
    err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    while (err == UT_OK) {
        uint32_t found_org;
        ut_bytes found;
        if (!ut_key_read_consumer(key, &found_org, &found) || found_org != org)
            break;
        *count += 1;
        *known = *known || ut_bytes_equal(found, name);
        err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Puts the cursor, or deletes it for seq 0.
static ut_err write_consumer(ut_store *store, uint32_t org, ut_bytes name,
                             const ut_record_consumer *consumer)
{
    ut_key key = ut_key_consumer(org, name);
    if (consumer->seq == 0) {
        ut_err err = ut_txn_del(store->txn, ut_key_bytes(&key));
        return err == UT_ENOTFOUND ? UT_OK : err;
    }
    uint32_t count;
    bool known;
    ut_err err = count_consumers(store, org, name, &count, &known);
    if (err == UT_OK && !known && count >= UT_STORE_CONSUMERS_MAX)
        err = UT_ELIMIT;
    if (err != UT_OK)
        return err;
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_consumer(&store->value, consumer);
    if (store->value.err != UT_OK)
        return store->value.err;
    return ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}

ut_err ut_store_set_consumer(ut_store *store, uint32_t org, const char *name_z, uint64_t seq,
                             uint32_t ordinal)
{
    ut_bytes name = ut_bytes_of_z(name_z);
    if (name.len == 0 || name.len > UT_STORE_CONSUMER_NAME_MAX || ordinal >= UT_BLOCK_SPANS_MAX ||
        (seq == 0 && ordinal != 0) || seq > ut_store_last_seq(store))
        return UT_EINVAL;
    ut_demand demand = {.data_bytes = UT_KEY_MAX, .touches = 2};
    ut_err err = ut_retention_make_room(store, &demand);
    if (err == UT_OK)
        err = ut_store_begin_write(store);
    if (err != UT_OK)
        return err;
    err = write_consumer(store, org, name, &(ut_record_consumer){.seq = seq, .ordinal = ordinal});
    if (err == UT_OK)
        return ut_store_end_write(store);
    ut_store_abort_write(store);
    return err;
}
