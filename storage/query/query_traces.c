// The newest traces, from the heads among the entries of their blocks; see query.h.
// Not for what a row tells: trace_rows.c.
#include "storage/query/trace_rows.h"

#include "storage/store/block_traces.h"
#include "storage/store/key.h"
#include "storage/store/store_view.h"

typedef struct {
    ut_txn *txn;
    uint32_t org;
    uint32_t limit;
    uint32_t count; // of rows shown
    ut_trace_row_visit visit;
    void *context;
    ut_trace_rows rows;
} listing;

static ut_err show(listing *l, const uint8_t trace_id[UT_TRACE_ID_LEN], const ut_trace_sum *sum)
{
    ut_trace_row row;
    const ut_err err = ut_trace_rows_fill(&l->rows, trace_id, sum, &row);
    if (err != UT_OK)
        return err;
    l->count += 1;
    return l->visit(l->context, &row);
}

// ---- traces of this version ----

// Reads the ids of the traces that have a head in a block. *count: out.
static ut_err read_heads(listing *l, uint64_t seq, uint8_t ids[UT_BLOCK_SPANS_MAX][UT_TRACE_ID_LEN],
                         size_t *count)
{
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_err err;
    *count = 0;
    ut_block_traces_walk_begin(&walk, l->rows.entries, l->org, seq);
    while ((err = ut_block_traces_next(&walk, &entry)) == UT_OK) {
        if (!entry.head || *count == UT_BLOCK_SPANS_MAX)
            continue;
        memcpy(ids[*count], entry.trace_id, UT_TRACE_ID_LEN);
        *count += 1;
    }
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

static ut_err list_block(listing *l, uint64_t seq)
{
    uint8_t ids[UT_BLOCK_SPANS_MAX][UT_TRACE_ID_LEN];
    size_t count;
    ut_err err = read_heads(l, seq, ids, &count);
    while (err == UT_OK && count > 0 && l->count < l->limit) {
        const uint8_t *id = ids[--count];
        ut_trace_sum sum;
        err = ut_trace_rows_sum(&l->rows, id, &sum);
        if (err == UT_OK && sum.any_head && !sum.head_legacy && sum.head_seq == seq)
            err = show(l, id, &sum);
    }
    return err;
}

static ut_err list_blocks(listing *l)
{
    const ut_engine_class *class = l->txn->engine->class;
    const ut_key from = ut_key_summary(l->org, UINT64_MAX);
    ut_cursor *blocks;
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_txn_cursor(l->txn, &blocks);
    if (err != UT_OK)
        return err;
    err = class->seek(blocks, ut_key_bytes(&from), true, &key, &value);
    while (err == UT_OK && l->count < l->limit) {
        uint32_t org;
        uint64_t seq;
        if (!ut_key_read_summary(key, &org, &seq) || org != l->org)
            break;
        err = list_block(l, seq);
        if (err == UT_OK)
            err = class->step(blocks, true, &key, &value);
    }
    ut_cursor_close(blocks);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- traces of earlier versions ----

static ut_err list_legacy(listing *l)
{
    const ut_engine_class *class = l->txn->engine->class;
    uint8_t last_id[UT_TRACE_ID_LEN];
    memset(last_id, UINT8_MAX, sizeof(last_id));
    const ut_key from = ut_key_root(l->org, UINT64_MAX, last_id);
    ut_cursor *roots;
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_txn_cursor(l->txn, &roots);
    if (err != UT_OK)
        return err;
    for (err = class->seek(roots, ut_key_bytes(&from), true, &key, &value);
         err == UT_OK && l->count < l->limit; err = class->step(roots, true, &key, &value)) {
        uint32_t org;
        uint64_t seen_ns;
        uint8_t trace_id[UT_TRACE_ID_LEN];
        ut_trace_sum sum;
        if (!ut_key_read_root(key, &org, &seen_ns, trace_id) || org != l->org)
            break;
        err = ut_trace_rows_sum(&l->rows, trace_id, &sum);
        if (err == UT_OK && sum.head_legacy)
            err = show(l, trace_id, &sum);
        if (err != UT_OK)
            break;
    }
    ut_cursor_close(roots);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

ut_err ut_query_traces(ut_store_view *view, uint32_t org, uint32_t limit, ut_trace_row_visit visit,
                       void *context)
{
    listing l = {
        .txn = ut_store_view_txn(view),
        .org = org,
        .limit = limit,
        .visit = visit,
        .context = context,
    };
    ut_err err = ut_trace_rows_open(&l.rows, view, org);
    if (err == UT_OK)
        err = list_blocks(&l);
    if (err == UT_OK)
        err = list_legacy(&l);
    ut_trace_rows_close(&l.rows);
    return err;
}
