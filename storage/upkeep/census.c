// Counting the records of a store.
#include "storage/upkeep/census.h"

#include "storage/store/block_traces.h"
#include "storage/store/store_view.h"

static ut_census_org *find_org(ut_census *census, uint32_t org)
{
    for (uint32_t i = 0; i < census->org_count; i++) {
        if (census->orgs[i].org == org)
            return &census->orgs[i];
    }
    if (census->org_count == UT_CENSUS_ORGS_MAX) {
        census->orgs_cut = true;
        return NULL;
    }
    ut_census_org *made = &census->orgs[census->org_count++];
    *made = (ut_census_org){.org = org};
    return made;
}

static void count_block(ut_census *census, uint32_t org, ut_bytes value)
{
    ut_record_summary summary;
    ut_census_org *row = find_org(census, org);
    if (row == NULL || ut_record_read_summary(value, &summary) != UT_OK)
        return;
    if (row->blocks == 0 || summary.received_ns < row->oldest_received_ns)
        row->oldest_received_ns = summary.received_ns;
    if (summary.received_ns > row->newest_received_ns)
        row->newest_received_ns = summary.received_ns;
    row->blocks += 1;
    row->spans += summary.span_count;
    row->sealed_bytes += summary.sealed_len;
    row->payload_bytes += summary.payload_len;
}

// The heads of traces in a piece of entries.
static uint64_t count_heads(ut_bytes value)
{
    uint64_t heads = 0;
    uint64_t base_ns;
    ut_bytes rest;
    ut_trace_entry entry;
    ut_err err = ut_block_traces_open_piece(value, &base_ns, &rest);
    while (err == UT_OK && rest.len > 0) {
        err = ut_block_traces_take(&rest, base_ns, &entry);
        heads += err == UT_OK && entry.head;
    }
    return heads;
}

static void count_traces(ut_census *census, uint32_t org, uint64_t traces)
{
    ut_census_org *of = find_org(census, org);
    if (of != NULL)
        of->traces += traces;
}

static void count(ut_census *census, ut_bytes key, ut_bytes value)
{
    const uint8_t kind = key.data[0];
    const bool known = kind >= 'A' && kind < 'A' + UT_CENSUS_KINDS;
    ut_census_kind *row = known ? &census->kinds[kind - 'A'] : &census->other;
    row->keys += 1;
    row->key_bytes += key.len;
    row->value_bytes += value.len;

    uint32_t org;
    uint64_t number;
    uint32_t piece;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    if (ut_key_read_summary(key, &org, &number))
        count_block(census, org, value);
    else if (ut_key_read_piece(key, &org, &number, &piece) && piece >= UT_BLOCK_TRACES_FROM)
        count_traces(census, org, count_heads(value));
    else if (ut_key_read_root(key, &org, &number, trace_id))
        count_traces(census, org, 1);
}

ut_err ut_census_step(ut_store_view *view, ut_census *census, uint32_t keys_max, bool *more)
{
    static const uint8_t first[1] = {0};
    ut_cursor *cursor;
    ut_bytes key;
    ut_bytes value;
    *more = false;
    ut_err err = ut_txn_cursor(ut_store_view_txn(view), &cursor);
    if (err != UT_OK)
        return err;
    const ut_bytes from =
        census->begun ? ut_bytes_of(census->at, census->at_len) : ut_bytes_of(first, 1);
    err = ut_cursor_seek(cursor, from, &key, &value);
    if (err == UT_OK && census->begun && ut_bytes_equal(key, from))
        err = ut_cursor_next(cursor, &key, &value);
    for (uint32_t i = 0; err == UT_OK && i < keys_max; i++) {
        if (key.len == 0 || key.len > sizeof(census->at)) {
            err = UT_ECORRUPT;
            break;
        }
        count(census, key, value);
        memcpy(census->at, key.data, key.len);
        census->at_len = key.len;
        census->begun = true;
        err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    *more = err == UT_OK;
    return err == UT_ENOTFOUND ? UT_OK : err;
}
