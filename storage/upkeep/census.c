// Counting the records of a store.
#include "storage/upkeep/census.h"

#include "storage/store/block_traces.h"
#include "storage/store/store_view.h"
#include "storage/store/trace_find.h"

enum { SEQS_BYTES_MAX = 1 << 30 };

// What is at hand: its organisation, and of its heads those that may not be the ones that count.
typedef struct {
    ut_txn *txn;
    uint32_t org;
    uint64_t seq;    // of its block
    bool legacy;     // it is a root record of an earlier version, and its block is not known
    uint32_t traces; // by heads that count
    uint32_t unsure;
    uint8_t ids[UT_BLOCK_SPANS_MAX][UT_TRACE_ID_LEN]; // of the unsure ones
} heads;

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

// ---- traces ----

static void add_head(heads *to, const uint8_t trace_id[UT_TRACE_ID_LEN], bool has_root)
{
    // A head of a root span counts. Another one counts where the trace has no such head.
    if (has_root)
        to->traces += 1;
    else if (to->unsure < UT_BLOCK_SPANS_MAX)
        memcpy(to->ids[to->unsure++], trace_id, UT_TRACE_ID_LEN);
}

// Reads the heads in a piece of entries; what is damaged is passed.
static void read_heads(heads *to, ut_bytes value)
{
    uint64_t base_ns;
    ut_bytes entries;
    ut_trace_entry entry;
    ut_err err = ut_block_traces_open_piece(value, &base_ns, &entries);
    while (err == UT_OK && entries.len > 0) {
        err = ut_block_traces_take(&entries, base_ns, &entry);
        if (err == UT_OK && entry.head)
            add_head(to, entry.trace_id, entry.has_root);
    }
}

// True when the record at hand has the head that counts of a trace: there is none of a root span,
// and it is the first one. A root record is older than all other heads.
static ut_err is_counted(const heads *from, ut_cursor *cursor, const uint8_t *trace_id,
                         ut_buf *seqs, bool *counted)
{
    uint64_t at_seq = 0;
    bool of_root = false;
    ut_err err = ut_trace_find(from->txn, from->org, trace_id, seqs);
    const uint64_t *all = (const uint64_t *)(const void *)seqs->data;
    for (size_t i = 0; i < seqs->len / sizeof(uint64_t) && err == UT_OK && !of_root; i++) {
        ut_trace_part part;
        err = ut_trace_part_read(cursor, from->org, all[i], trace_id, &part);
        if (err == UT_OK && part.head) {
            of_root = part.has_root;
            at_seq = at_seq == 0 ? part.seq : at_seq;
        }
        if (err == UT_ENOTFOUND || err == UT_ECORRUPT)
            err = UT_OK;
    }
    *counted = !of_root && (from->legacy || at_seq == from->seq);
    return err;
}

static ut_err count_traces(ut_census *census, heads *from)
{
    ut_cursor *cursor;
    ut_buf seqs;
    ut_err err = UT_OK;
    if (from->unsure > 0)
        err = ut_txn_cursor(from->txn, &cursor);
    if (err != UT_OK)
        return err;
    ut_buf_init(&seqs, SEQS_BYTES_MAX);
    for (uint32_t i = 0; i < from->unsure && err == UT_OK; i++) {
        bool counted = false;
        err = is_counted(from, cursor, from->ids[i], &seqs, &counted);
        from->traces += counted;
    }
    ut_buf_free(&seqs);
    if (from->unsure > 0)
        ut_cursor_close(cursor);
    ut_census_org *row = from->traces > 0 ? find_org(census, from->org) : NULL;
    if (row != NULL)
        row->traces += from->traces;
    return err;
}

// ---- records ----

// found: out, the heads in the record.
static void count(ut_census *census, ut_bytes key, ut_bytes value, heads *found)
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
    ut_record_root root;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    found->traces = 0;
    found->unsure = 0;
    found->legacy = false;
    if (ut_key_read_summary(key, &org, &number)) {
        count_block(census, org, value);
    } else if (ut_key_read_piece(key, &found->org, &found->seq, &piece)) {
        if (piece >= UT_BLOCK_TRACES_FROM)
            read_heads(found, value);
    } else if (ut_key_read_root(key, &found->org, &number, trace_id) &&
               ut_record_read_root(value, &root) == UT_OK) {
        found->legacy = true;
        add_head(found, trace_id, root.has_root);
    }
}

ut_err ut_census_step(ut_store_view *view, ut_census *census, uint32_t keys_max, bool *more)
{
    static const uint8_t first[1] = {0};
    heads found = {.txn = ut_store_view_txn(view)};
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
        memcpy(census->at, key.data, key.len);
        census->at_len = key.len;
        census->begun = true;
        count(census, key, value, &found);
        err = count_traces(census, &found);
        if (err == UT_OK)
            err = ut_cursor_next(cursor, &key, &value);
    }
    ut_cursor_close(cursor);
    *more = err == UT_OK;
    return err == UT_ENOTFOUND ? UT_OK : err;
}
