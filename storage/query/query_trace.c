// One trace with all its spans, and ids that are written short; see query.h.
// Not for a filter that asks for a trace and more: query_spans.c.
#include "storage/query/query.h"

#include "storage/store/store_view.h"
#include "storage/store/trace_find.h"

enum {
    HEX_DIGITS = 2 * UT_TRACE_ID_LEN,
    BITS_BYTES = UT_BLOCK_SPANS_MAX / 8,
    SEQS_BYTES_MAX = 1 << 30, // of the numbers of a trace's blocks
};

// ---- one trace ----

typedef struct {
    ut_store_view *view;
    uint32_t org;
    const uint8_t *trace_id;
    uint64_t seq;
    uint8_t wanted[BITS_BYTES]; // ordinals of the trace in block seq
    bool found;                 // something of the trace is there
    ut_buf payload;
    uint32_t *damaged;
    ut_trace_span_visit visit;
    void *context;
    ut_err stopped; // by the visitor
} walk;

static bool is_wanted(const walk *w, uint32_t ordinal)
{
    return ordinal < UT_BLOCK_SPANS_MAX && (w->wanted[ordinal / 8] & 1 << ordinal % 8) != 0;
}

// Visits the wanted spans of one group. UT_ECORRUPT, or what the visitor said.
static ut_err visit_group(walk *w, const ut_block *block, ut_block_cursor *cursor)
{
    ut_trace_span row = {.seq = w->seq};
    bool placed = false; // scope and resource are filled in
    bool more = true;
    while (more) {
        row.ordinal = cursor->ordinal;
        if (!is_wanted(w, row.ordinal)) {
            ut_bytes raw;
            ut_err err = ut_block_skip_span(cursor, &raw, &more);
            if (err != UT_OK)
                return err;
            continue;
        }
        ut_err err = ut_block_next_span(cursor, &row.span, &more);
        if (err == UT_OK && more && !placed) {
            uint32_t resource;
            err = ut_block_scope(block, cursor->scope_index, &row.scope, &resource);
            if (err == UT_OK)
                err = ut_block_resource(block, resource, &row.resource);
            placed = true;
        }
        if (err != UT_OK)
            return err;
        if (!more)
            break;
        if (memcmp(row.span.trace_id.data, w->trace_id, UT_TRACE_ID_LEN) != 0)
            return UT_ECORRUPT; // the index points elsewhere
        w->stopped = w->visit(w->context, &row);
        if (w->stopped != UT_OK)
            return w->stopped;
    }
    return UT_OK;
}

// Visits the wanted spans of block w->seq. A block that cannot be read is counted and passed.
static ut_err visit_block(walk *w)
{
    ut_block block;
    ut_err err = ut_store_read_block(w->view, w->org, w->seq, &w->payload, &block);
    if (err == UT_OK) {
        ut_block_cursor cursor;
        bool more = true;
        ut_block_walk(&block, &cursor);
        while (err == UT_OK && more) {
            err = ut_block_next_group(&cursor, &more);
            if (err == UT_OK && more)
                err = visit_group(w, &block, &cursor);
        }
    }
    if (w->stopped != UT_OK)
        return w->stopped;
    if (err == UT_ECORRUPT || err == UT_EVERSION || err == UT_ENOTFOUND || err == UT_EFORMAT) {
        *w->damaged += 1;
        err = UT_OK;
    }
    return err;
}

// Visits what block seq has of the trace.
static ut_err visit_part(walk *w, ut_cursor *cursor, uint64_t seq)
{
    ut_trace_part part;
    const ut_err err = ut_trace_part_read(cursor, w->org, seq, w->trace_id, &part);
    if (err == UT_ENOTFOUND)
        return UT_OK; // it has left since
    if (err != UT_OK && err != UT_ECORRUPT)
        return err;
    if (err == UT_ECORRUPT)
        *w->damaged += 1;
    w->seq = seq;
    w->found = true;
    memcpy(w->wanted, part.ordinals, sizeof(w->wanted));
    return visit_block(w);
}

ut_err ut_query_trace(ut_store_view *view, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                      uint32_t *damaged, ut_trace_span_visit visit, void *context)
{
    *damaged = 0;
    walk w = {.view = view,
              .org = org,
              .trace_id = trace_id,
              .damaged = damaged,
              .visit = visit,
              .context = context};
    ut_txn *txn = ut_store_view_txn(view);
    ut_buf seqs;
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    ut_buf_init(&seqs, SEQS_BYTES_MAX);
    ut_buf_init(&w.payload, UT_BLOCK_PAYLOAD_MAX + 1);
    err = ut_trace_find(txn, org, trace_id, &seqs);
    const uint64_t *all = (const uint64_t *)(const void *)seqs.data;
    for (size_t i = 0; i < seqs.len / sizeof(uint64_t) && err == UT_OK; i++)
        err = visit_part(&w, cursor, all[i]);
    ut_cursor_close(cursor);
    ut_buf_free(&w.payload);
    ut_buf_free(&seqs);
    return err == UT_OK && !w.found ? UT_ENOTFOUND : err;
}

// ---- ids that are written short ----

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

// True when the first `digits` hex digits of both ids are the same.
static bool same_digits(const uint8_t *a, const uint8_t *b, size_t digits)
{
    return memcmp(a, b, digits / 2) == 0 &&
           (digits % 2 == 0 || a[digits / 2] >> 4 == b[digits / 2] >> 4);
}

// The next id. False: there is none.
static bool increment(uint8_t id[UT_TRACE_ID_LEN])
{
    for (size_t i = UT_TRACE_ID_LEN; i-- > 0;) {
        if (++id[i] != 0)
            return true;
    }
    return false;
}

ut_err ut_query_resolve_trace(ut_store_view *view, uint32_t org, const char *prefix_z,
                              uint8_t trace_id[UT_TRACE_ID_LEN])
{
    size_t digits = strlen(prefix_z);
    if (digits == 0 || digits > HEX_DIGITS)
        return UT_EFORMAT;
    uint8_t wanted[UT_TRACE_ID_LEN] = {0};
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_value(prefix_z[i]);
        if (digit < 0)
            return UT_EFORMAT;
        wanted[i / 2] |= (uint8_t)(i % 2 == 0 ? digit << 4 : digit);
    }
    ut_txn *txn = ut_store_view_txn(view);
    uint8_t next[UT_TRACE_ID_LEN];
    ut_err err = ut_trace_find_next(txn, org, wanted, trace_id);
    if (err != UT_OK)
        return err;
    if (!same_digits(trace_id, wanted, digits))
        return UT_ENOTFOUND;
    memcpy(next, trace_id, sizeof(next));
    if (!increment(next))
        return UT_OK;
    err = ut_trace_find_next(txn, org, next, next);
    if (err == UT_OK && same_digits(next, wanted, digits))
        return UT_EEXIST;
    return err == UT_ENOTFOUND ? UT_OK : err;
}
