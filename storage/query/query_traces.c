// The newest traces, from the heads among the entries of their blocks; see query.h.
// Not for what is in a trace: query_trace.c.
#include "storage/query/query.h"

#include "port/base/order.h"
#include "storage/store/key.h"
#include "storage/store/root_names.h"
#include "storage/store/store_view.h"
#include "storage/store/trace_find.h"

enum { SEQS_BYTES_MAX = 1 << 30 };

typedef struct {
    ut_store_view *view;
    ut_txn *txn;
    uint32_t org;
    uint32_t limit;
    uint32_t rows;
    ut_trace_row_visit visit;
    void *context;
    ut_cursor *entries; // for the entries of one trace
    ut_buf seqs;        // of its blocks: uint64_t each
    ut_root_names names;
} listing;

// A head that stands in the block at hand.
typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t root_ordinal;
} head;

// ---- one trace ----

// What all blocks have of a trace, and which of its heads counts.
typedef struct {
    uint32_t span_count;
    uint8_t status;
    uint64_t start_ns;
    uint64_t end_ns;
    bool any_head;
    bool of_root;    // the head that counts tells of a root span
    bool of_legacy;  // it is a root record
    uint64_t at_seq; // the block that it stands in, if it is not
} totals;

static void add_part(totals *sum, const ut_trace_part *part)
{
    sum->span_count += part->count;
    if (part->status > sum->status)
        sum->status = part->status;
    if (part->start_ns < sum->start_ns)
        sum->start_ns = part->start_ns;
    if (part->end_ns > sum->end_ns)
        sum->end_ns = part->end_ns;
    if (part->head && (!sum->any_head || (part->has_root && !sum->of_root))) {
        sum->any_head = true;
        sum->of_root = part->has_root;
        sum->of_legacy = part->legacy;
        sum->at_seq = part->seq;
    }
}

static ut_err sum_parts(listing *l, const uint8_t trace_id[UT_TRACE_ID_LEN], totals *sum)
{
    *sum = (totals){.start_ns = UINT64_MAX};
    ut_err err = ut_trace_find(l->txn, l->org, trace_id, &l->seqs);
    const uint64_t *seqs = (const uint64_t *)(const void *)l->seqs.data;
    for (size_t i = 0; i < l->seqs.len / sizeof(uint64_t) && err == UT_OK; i++) {
        ut_trace_part part;
        err = ut_trace_part_read(l->entries, l->org, seqs[i], trace_id, &part);
        if (err == UT_OK)
            add_part(sum, &part);
        if (err == UT_ENOTFOUND || err == UT_ECORRUPT)
            err = UT_OK;
    }
    return err;
}

// Shows the row of a trace, of which the span at root->seq and root->ordinal tells.
static ut_err show(listing *l, const uint8_t trace_id[UT_TRACE_ID_LEN], const totals *sum,
                   ut_record_root *root)
{
    uint8_t text[UT_RECORD_NAME_MAX + UT_RECORD_SERVICE_MAX];
    ut_trace_row row = {
        .start_ns = sum->start_ns,
        .duration_ns = sum->end_ns > sum->start_ns ? sum->end_ns - sum->start_ns : 0,
        .status = sum->status,
        .span_count = sum->span_count,
        .has_root = sum->of_root,
    };
    memcpy(row.trace_id, trace_id, UT_TRACE_ID_LEN);
    ut_err err = UT_OK;
    if (root->names_hidden)
        err = ut_root_names_fill(&l->names, trace_id, root);
    if (err != UT_OK)
        return err;
    const size_t name_len = ut_min_size(root->name.len, UT_RECORD_NAME_MAX);
    const size_t service_len = ut_min_size(root->service.len, UT_RECORD_SERVICE_MAX);
    if (name_len > 0)
        memcpy(text, root->name.data, name_len);
    if (service_len > 0)
        memcpy(text + UT_RECORD_NAME_MAX, root->service.data, service_len);
    row.name = (ut_bytes){text, name_len};
    row.service = (ut_bytes){text + UT_RECORD_NAME_MAX, service_len};
    l->rows += 1;
    return l->visit(l->context, &row);
}

// ---- traces of this version ----

// Reads the heads of a block. *count: out.
static ut_err read_heads(listing *l, uint64_t seq, head heads[UT_BLOCK_SPANS_MAX], size_t *count)
{
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_err err;
    *count = 0;
    ut_block_traces_walk_begin(&walk, l->entries, l->org, seq);
    while ((err = ut_block_traces_next(&walk, &entry)) == UT_OK) {
        if (!entry.head || *count == UT_BLOCK_SPANS_MAX)
            continue;
        memcpy(heads[*count].trace_id, entry.trace_id, UT_TRACE_ID_LEN);
        heads[*count].root_ordinal = entry.root_ordinal;
        *count += 1;
    }
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

static ut_err list_block(listing *l, uint64_t seq)
{
    head heads[UT_BLOCK_SPANS_MAX];
    size_t count;
    ut_err err = read_heads(l, seq, heads, &count);
    while (err == UT_OK && count > 0 && l->rows < l->limit) {
        const head *at = &heads[--count];
        totals sum;
        err = sum_parts(l, at->trace_id, &sum);
        ut_record_root root = {.seq = seq, .ordinal = at->root_ordinal, .names_hidden = true};
        if (err == UT_OK && sum.any_head && !sum.of_legacy && sum.at_seq == seq)
            err = show(l, at->trace_id, &sum, &root);
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
    while (err == UT_OK && l->rows < l->limit) {
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
         err == UT_OK && l->rows < l->limit; err = class->step(roots, true, &key, &value)) {
        uint32_t org;
        uint64_t seen_ns;
        uint8_t trace_id[UT_TRACE_ID_LEN];
        ut_record_root root;
        totals sum;
        if (!ut_key_read_root(key, &org, &seen_ns, trace_id) || org != l->org)
            break;
        if (ut_record_read_root(value, &root) != UT_OK)
            continue; // damaged
        err = sum_parts(l, trace_id, &sum);
        if (err == UT_OK && sum.of_legacy)
            err = show(l, trace_id, &sum, &root);
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
        .view = view,
        .txn = ut_store_view_txn(view),
        .org = org,
        .limit = limit,
        .visit = visit,
        .context = context,
    };
    ut_err err = ut_txn_cursor(l.txn, &l.entries);
    if (err != UT_OK)
        return err;
    ut_buf_init(&l.seqs, SEQS_BYTES_MAX);
    ut_root_names_init(&l.names, view, org);
    err = list_blocks(&l);
    if (err == UT_OK)
        err = list_legacy(&l);
    ut_root_names_free(&l.names);
    ut_buf_free(&l.seqs);
    ut_cursor_close(l.entries);
    return err;
}
