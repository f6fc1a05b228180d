// The newest traces, from their root records and entries; see query.h.
// Not for what is in a trace: query_trace.c.
#include "storage/query/query.h"

#include "port/base/order.h"
#include "storage/store/hidden_names.h"
#include "storage/store/key.h"
#include "storage/store/record.h"
#include "storage/store/store_view.h"

// The sums over all entries of one trace.
typedef struct {
    uint32_t span_count;
    uint8_t status;
    uint64_t start_ns;
    uint64_t end_ns;
} totals;

static ut_err sum_entries(ut_cursor *cursor, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                          totals *sum)
{
    *sum = (totals){.start_ns = UINT64_MAX};
    ut_key from = ut_key_trace(org, trace_id, 0);
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    while (err == UT_OK && key.len >= UT_KEY_PREFIX_TRACE &&
           memcmp(key.data, from.data, UT_KEY_PREFIX_TRACE) == 0) {
        ut_record_trace entry;
        if (ut_record_read_trace(value, &entry) == UT_OK) {
            sum->span_count += entry.count;
            if (entry.status > sum->status)
                sum->status = entry.status;
            if (entry.start_ns < sum->start_ns)
                sum->start_ns = entry.start_ns;
            if (entry.start_ns + entry.length_ns > sum->end_ns)
                sum->end_ns = entry.start_ns + entry.length_ns;
        }
        err = ut_cursor_next(cursor, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Fills a row from a root record; name and service are copied into text, because the entries are
// read next.
static ut_err fill_row(ut_cursor *entries, uint32_t org, const ut_record_root *root,
                       uint8_t text[UT_RECORD_NAME_MAX + UT_RECORD_SERVICE_MAX], ut_trace_row *row)
{
    size_t name_len = ut_min_size(root->name.len, UT_RECORD_NAME_MAX);
    size_t service_len = ut_min_size(root->service.len, UT_RECORD_SERVICE_MAX);
    if (name_len > 0)
        memcpy(text, root->name.data, name_len);
    if (service_len > 0)
        memcpy(text + UT_RECORD_NAME_MAX, root->service.data, service_len);
    row->name = (ut_bytes){text, name_len};
    row->service = (ut_bytes){text + UT_RECORD_NAME_MAX, service_len};
    row->has_root = root->has_root;
    row->start_ns = root->start_ns;
    row->duration_ns = root->duration_ns;
    totals sum;
    ut_err err = sum_entries(entries, org, row->trace_id, &sum);
    row->span_count = sum.span_count;
    row->status = sum.status;
    if (sum.span_count > 0) {
        row->start_ns = sum.start_ns;
        row->duration_ns = sum.end_ns > sum.start_ns ? sum.end_ns - sum.start_ns : 0;
    }
    return err;
}

ut_err ut_query_traces(ut_store_view *view, uint32_t org, uint32_t limit, ut_trace_row_visit visit,
                       void *context)
{
    ut_txn *txn = ut_store_view_txn(view);
    const ut_engine_class *class = txn->engine->class;
    ut_cursor *roots;
    ut_cursor *entries;
    ut_err err = ut_txn_cursor(txn, &roots);
    if (err != UT_OK)
        return err;
    err = ut_txn_cursor(txn, &entries);
    if (err != UT_OK) {
        ut_cursor_close(roots);
        return err;
    }
    uint8_t last_id[UT_TRACE_ID_LEN];
    memset(last_id, 0xff, sizeof(last_id));
    ut_key from = ut_key_root(org, UINT64_MAX, last_id);
    ut_bytes key;
    ut_bytes value;
    uint32_t rows = 0;
    ut_hidden_names names;
    ut_hidden_names_init(&names, view, org);
    for (err = class->seek(roots, ut_key_bytes(&from), true, &key, &value);
         err == UT_OK && rows < limit; err = class->step(roots, true, &key, &value)) {
        uint8_t text[UT_RECORD_NAME_MAX + UT_RECORD_SERVICE_MAX];
        uint32_t found_org;
        uint64_t seen_ns;
        ut_trace_row row = {0};
        ut_record_root root;
        if (key.data[0] != UT_KEY_ROOT ||
            !ut_key_read_root(key, &found_org, &seen_ns, row.trace_id) || found_org != org)
            break;
        if (ut_record_read_root(value, &root) != UT_OK)
            continue; // damaged
        if (root.names_hidden)
            err = ut_hidden_names_fill(&names, row.trace_id, &root);
        if (err == UT_OK)
            err = fill_row(entries, org, &root, text, &row);
        if (err == UT_OK && row.span_count > 0) {
            rows += 1;
            err = visit(context, &row);
        }
        if (err != UT_OK)
            break;
    }
    ut_hidden_names_free(&names);
    ut_cursor_close(entries);
    ut_cursor_close(roots);
    return err == UT_ENOTFOUND ? UT_OK : err;
}
