// One trace with all its spans, and ids that are written short; see query.h.
// Not for a filter that asks for a trace and more: query_spans.c.
#include "storage/query/query.h"

#include "storage/store/key.h"
#include "storage/store/record.h"
#include "storage/store/store_view.h"

enum {
    HEX_DIGITS = 2 * UT_TRACE_ID_LEN,
    BITS_BYTES = UT_BLOCK_SPANS_MAX / 8,
};

static bool read_entry_key(ut_bytes key, uint32_t org, uint8_t trace_id[UT_TRACE_ID_LEN],
                           uint64_t *seq)
{
    uint32_t found_org;
    return ut_key_read_entry(key, &found_org, trace_id, seq) && found_org == org;
}

// ---- one trace ----

typedef struct {
    ut_store_view *view;
    uint32_t org;
    const uint8_t *trace_id;
    uint64_t seq;
    uint8_t wanted[BITS_BYTES]; // ordinals of the trace in block seq
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

static void want(walk *w, ut_bytes value)
{
    ut_record_trace entry;
    if (ut_record_read_trace(value, &entry) != UT_OK) {
        *w->damaged += 1;
        return;
    }
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    while (ut_record_next_ordinal(&entry.ordinals, &last, &ordinal))
        w->wanted[ordinal / 8] |= (uint8_t)(1 << ordinal % 8);
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
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(ut_store_view_txn(view), &cursor);
    if (err != UT_OK)
        return err;
    ut_buf_init(&w.payload, UT_BLOCK_PAYLOAD_MAX + 1);
    ut_key from = ut_key_trace(org, trace_id, 0);
    ut_bytes key;
    ut_bytes value;
    bool open = false; // entries of w.seq have been read, its block not yet
    err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    while (err == UT_OK) {
        uint8_t found_id[UT_TRACE_ID_LEN];
        uint64_t seq;
        if (!read_entry_key(key, org, found_id, &seq) ||
            memcmp(found_id, trace_id, UT_TRACE_ID_LEN) != 0)
            break;
        if (open && seq != w.seq) {
            err = visit_block(&w);
            if (err != UT_OK)
                break;
            // The value was borrowed until the block was read.
            from = ut_key_trace(org, trace_id, seq);
            open = false;
            err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
            continue;
        }
        if (!open)
            memset(w.wanted, 0, sizeof(w.wanted));
        open = true;
        w.seq = seq;
        want(&w, value);
        err = ut_cursor_next(cursor, &key, &value);
    }
    bool found = open || w.seq != 0;
    if (open && (err == UT_OK || err == UT_ENOTFOUND))
        err = visit_block(&w);
    else if (err == UT_ENOTFOUND)
        err = UT_OK;
    ut_cursor_close(cursor);
    ut_buf_free(&w.payload);
    return err == UT_OK && !found ? UT_ENOTFOUND : err;
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
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(ut_store_view_txn(view), &cursor);
    if (err != UT_OK)
        return err;
    ut_key from = ut_key_trace(org, wanted, 0);
    ut_bytes key;
    ut_bytes value;
    uint8_t found_id[UT_TRACE_ID_LEN];
    uint64_t seq;
    err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
    if (err == UT_OK &&
        (!read_entry_key(key, org, found_id, &seq) || !same_digits(found_id, wanted, digits)))
        err = UT_ENOTFOUND;
    if (err == UT_OK) {
        memcpy(trace_id, found_id, UT_TRACE_ID_LEN);
        // The first key behind all entries of this trace.
        from = ut_key_trace(org, found_id, UINT64_MAX);
        from.data[from.len++] = UINT8_MAX;
        err = ut_cursor_seek(cursor, ut_key_bytes(&from), &key, &value);
        if (err == UT_OK && read_entry_key(key, org, found_id, &seq) &&
            same_digits(found_id, wanted, digits))
            err = UT_EEXIST;
        else if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    ut_cursor_close(cursor);
    return err;
}
