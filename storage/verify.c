// The recount of a store; see verify.h.
// Not for the blocks of spans themselves beyond opening them: their checksums tell.
#include "storage/verify.h"

#include "storage/key.h"
#include "storage/pieces.h"
#include "storage/store_core.h"
#include "storage/store_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEQ_AT = 21, TRACE_KEY_LEN = 29 };

typedef unsigned long long number; // for messages

typedef struct {
    ut_store_view *view;
    ut_txn *txn;
    ut_cursor *walk;   // over the family that is checked
    ut_cursor *lookup; // for what belongs with it
    ut_verify_report *report;
    ut_verify_tell tell;
    void *context;
    ut_buf payload;
    ut_ledger ledger;
    uint64_t pending[UT_STORE_DESTINATIONS_MAX]; // spans, by row of the ledger
} verifier;

static void problem(verifier *v, const char *format_z, ...) __attribute__((format(printf, 2, 3)));

static void problem(verifier *v, const char *format_z, ...)
{
    char text_z[UT_VERIFY_TEXT_MAX];
    va_list args;
    va_start(args, format_z);
    if (vsnprintf(text_z, sizeof text_z, format_z, args) < 0)
        text_z[0] = '\0';
    va_end(args);
    v->report->problems += 1;
    v->tell(v->context, text_z);
}

// Moves the walk to the first key of a kind.
static ut_err first_of(verifier *v, uint8_t kind, ut_bytes *key, ut_bytes *value)
{
    ut_err err = ut_cursor_seek(v->walk, (ut_bytes){&kind, 1}, key, value);
    return err == UT_OK && key->data[0] != kind ? UT_ENOTFOUND : err;
}

static ut_err next_of(verifier *v, uint8_t kind, ut_bytes *key, ut_bytes *value)
{
    ut_err err = ut_cursor_next(v->walk, key, value);
    return err == UT_OK && key->data[0] != kind ? UT_ENOTFOUND : err;
}

static ut_err get(verifier *v, ut_key key, ut_bytes *value)
{
    return ut_txn_get(v->txn, ut_key_bytes(&key), value);
}

// ---- blocks ----

// UT_ENOTFOUND: nothing of the block is left.
static ut_err find_pieces(verifier *v, uint32_t org, uint64_t seq)
{
    ut_key from = ut_pieces_key(org, seq, 0);
    ut_bytes key;
    ut_bytes value;
    uint32_t found_org;
    uint64_t found_seq;
    uint32_t piece;
    ut_err err = ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value);
    if (err == UT_OK && (!ut_pieces_read_key(key, &found_org, &found_seq, &piece) ||
                         found_org != org || found_seq != seq))
        err = UT_ENOTFOUND;
    return err;
}

// True when an entry of the trace, or a part of it, lists the span under its ordinal. *err: of the
// engine.
static bool is_listed(verifier *v, uint32_t org, uint64_t seq, uint32_t ordinal,
                      const ut_span *span, ut_err *err)
{
    ut_key from = ut_key_trace(org, span->trace_id.data, seq);
    ut_bytes key;
    ut_bytes value;
    *err = ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value);
    while (*err == UT_OK && key.len >= from.len && memcmp(key.data, from.data, from.len) == 0) {
        ut_record_trace entry;
        if (ut_record_read_trace(value, &entry) != UT_OK)
            return false;
        uint32_t last = UINT32_MAX;
        uint32_t listed;
        for (uint32_t i = 0;
             ut_record_next_ordinal(&entry.ordinals, &last, &listed) && i < entry.count; i++) {
            if (listed == ordinal)
                return memcmp(entry.span_ids.data + (size_t)i * UT_SPAN_ID_LEN, span->span_id.data,
                              UT_SPAN_ID_LEN) == 0;
        }
        *err = ut_cursor_next(v->lookup, &key, &value);
    }
    if (*err == UT_ENOTFOUND)
        *err = UT_OK;
    return false;
}

static ut_err is_member(verifier *v, uint32_t org, uint64_t seq, const ut_span *span, bool *member)
{
    *member = false;
    for (uint32_t piece = 0; piece < UT_PIECES_BLOCK_FROM && !*member; piece++) {
        ut_bytes value;
        ut_err err = get(v, ut_pieces_key(org, seq, piece), &value);
        if (err == UT_ENOTFOUND)
            return UT_OK;
        if (err != UT_OK)
            return err;
        for (size_t at = 0; at + UT_TRACE_ID_LEN <= value.len; at += UT_TRACE_ID_LEN)
            *member = *member || memcmp(value.data + at, span->trace_id.data, UT_TRACE_ID_LEN) == 0;
    }
    return UT_OK;
}

static ut_err check_spans(verifier *v, uint32_t org, uint64_t seq, const ut_block *block)
{
    ut_block_cursor cursor;
    bool more = true;
    ut_block_walk(block, &cursor);
    ut_err err = ut_block_next_group(&cursor, &more);
    while (err == UT_OK && more) {
        ut_span span;
        bool left;
        uint32_t ordinal = cursor.ordinal;
        err = ut_block_next_span(&cursor, &span, &left);
        if (err != UT_OK)
            break;
        if (!left) {
            err = ut_block_next_group(&cursor, &more);
            continue;
        }
        v->report->spans += 1;
        bool member;
        ut_err engine_err;
        if (!is_listed(v, org, seq, ordinal, &span, &engine_err) && engine_err == UT_OK)
            problem(v, "block %llu: span %llu is not in the entry of its trace", (number)seq,
                    (number)ordinal);
        if (engine_err == UT_OK)
            engine_err = is_member(v, org, seq, &span, &member);
        if (engine_err != UT_OK)
            return engine_err;
        if (!member)
            problem(v, "block %llu: the trace of span %llu is not a member", (number)seq,
                    (number)ordinal);
    }
    if (err == UT_ECORRUPT)
        problem(v, "block %llu: its spans cannot be read", (number)seq);
    return err == UT_ECORRUPT ? UT_OK : err;
}

static ut_err check_blocks(verifier *v)
{
    ut_bytes key;
    ut_bytes value;
    ut_err err = first_of(v, UT_KEY_SUMMARY, &key, &value);
    while (err == UT_OK) {
        uint32_t org;
        uint64_t seq;
        ut_record_summary summary = {0};
        if (!ut_key_read_block(key, &org, &seq)) {
            problem(v, "a key of a summary is damaged");
        } else {
            if (ut_record_read_summary(value, &summary) != UT_OK)
                problem(v, "block %llu: its summary is damaged", (number)seq);
            ut_block block;
            v->report->blocks += 1;
            err = ut_store_read_block(v->view, org, seq, &v->payload, &block);
            if (err == UT_OK) {
                if (block.info.span_count != summary.span_count ||
                    block.info.expiry_hour != summary.expiry_hour)
                    problem(v, "block %llu: its summary does not fit", (number)seq);
                err = check_spans(v, org, seq, &block);
            } else if (err == UT_ENOTFOUND || err == UT_ECORRUPT || err == UT_EVERSION) {
                problem(v, "block %llu: %s", (number)seq, ut_err_text(err));
                err = UT_OK;
            }
            ut_bytes expiry;
            if (err == UT_OK && summary.expiry_hour != 0) {
                err = get(v, ut_key_expiry(summary.expiry_hour, org, seq), &expiry);
                if (err == UT_ENOTFOUND) {
                    problem(v, "block %llu would never expire", (number)seq);
                    err = UT_OK;
                }
            }
        }
        if (err == UT_OK)
            err = next_of(v, UT_KEY_SUMMARY, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err check_expiry(verifier *v)
{
    ut_bytes key;
    ut_bytes value;
    ut_err err = first_of(v, UT_KEY_EXPIRY, &key, &value);
    while (err == UT_OK) {
        uint32_t hour;
        uint32_t org;
        uint64_t seq;
        ut_record_summary summary;
        if (!ut_key_read_expiry(key, &hour, &org, &seq)) {
            problem(v, "a key of an expiry entry is damaged");
        } else {
            err = get(v, ut_key_summary(org, seq), &value);
            if (err == UT_OK && ut_record_read_summary(value, &summary) == UT_OK &&
                summary.expiry_hour != hour)
                problem(v, "block %llu has an expiry entry for another hour", (number)seq);
            if (err == UT_ENOTFOUND)
                err = find_pieces(v, org, seq); // on its way out
            if (err == UT_ENOTFOUND) {
                problem(v, "an expiry entry points at block %llu, which is gone", (number)seq);
                err = UT_OK;
            }
        }
        if (err == UT_OK)
            err = next_of(v, UT_KEY_EXPIRY, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Pieces without a summary are a block that is on its way out.
static ut_err check_pieces(verifier *v)
{
    ut_bytes key;
    ut_bytes value;
    uint64_t last = 0;
    ut_err err = first_of(v, UT_KEY_BLOCK, &key, &value);
    while (err == UT_OK) {
        uint32_t org;
        uint64_t seq;
        uint32_t piece;
        if (!ut_pieces_read_key(key, &org, &seq, &piece)) {
            problem(v, "a key of a block is damaged");
        } else if (seq != last) {
            last = seq;
            err = get(v, ut_key_summary(org, seq), &value);
            if (err == UT_ENOTFOUND) {
                v->report->leaving += 1;
                err = UT_OK;
            }
        }
        if (err == UT_OK)
            err = next_of(v, UT_KEY_BLOCK, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- traces ----

static ut_err check_entry(verifier *v, ut_bytes key, ut_bytes value, bool first, uint64_t *listed)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t org;
    uint64_t seq;
    ut_record_trace entry;
    if (key.len > TRACE_KEY_LEN + 1 || key.len < TRACE_KEY_LEN ||
        !ut_key_read_trace((ut_bytes){key.data, TRACE_KEY_LEN}, &org, trace_id, &seq)) {
        problem(v, "a key of a trace is damaged");
        return UT_OK;
    }
    if (ut_record_read_trace(value, &entry) != UT_OK) {
        problem(v, "an entry of a trace in block %llu is damaged", (number)seq);
        return UT_OK;
    }
    uint32_t count = entry.count;
    uint64_t root_seen_ns = entry.root_seen_ns;
    if (entry.carries != first)
        problem(v, "an entry of a trace in block %llu %s its root record", (number)seq,
                first ? "does not know" : "should not know");
    ut_bytes ignored;
    ut_err err = UT_OK;
    if (first) {
        v->report->traces += 1;
        err = entry.carries ? get(v, ut_key_root(org, root_seen_ns, trace_id), &ignored) : UT_OK;
        if (err == UT_ENOTFOUND) {
            problem(v, "a trace of block %llu has no root record", (number)seq);
            err = UT_OK;
        }
    }
    if (err == UT_OK)
        err = get(v, ut_key_summary(org, seq), &ignored);
    if (err == UT_OK)
        *listed += count;
    else if (err == UT_ENOTFOUND)
        err = find_pieces(v, org, seq); // on its way out
    if (err == UT_ENOTFOUND) {
        problem(v, "an entry of a trace points at block %llu, which is gone", (number)seq);
        err = UT_OK;
    }
    return err;
}

static ut_err check_traces(verifier *v)
{
    uint8_t last[SEQ_AT] = {0};
    uint64_t listed = 0;
    ut_bytes key;
    ut_bytes value;
    ut_err err = first_of(v, UT_KEY_TRACE, &key, &value);
    while (err == UT_OK) {
        bool first = key.len >= SEQ_AT && memcmp(key.data, last, SEQ_AT) != 0;
        if (first)
            memcpy(last, key.data, SEQ_AT);
        err = check_entry(v, key, value, first, &listed);
        if (err == UT_OK)
            err = next_of(v, UT_KEY_TRACE, &key, &value);
    }
    if (err != UT_ENOTFOUND)
        return err;
    if (listed != v->report->spans)
        problem(v, "the traces list %llu spans, the blocks hold %llu", (number)listed,
                (number)v->report->spans);
    uint64_t roots = 0;
    for (err = first_of(v, UT_KEY_ROOT, &key, &value); err == UT_OK;
         err = next_of(v, UT_KEY_ROOT, &key, &value))
        roots += 1;
    if (err == UT_ENOTFOUND && roots != v->report->traces)
        problem(v, "there are %llu root records for %llu traces", (number)roots,
                (number)v->report->traces);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- the ledger ----

static ut_err check_delivery(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint32_t dest;
    uint64_t seq;
    ut_delivery entry;
    if (!ut_key_read_delivery(key, &org, &dest, &seq) ||
        ut_record_read_delivery(value, &entry) != UT_OK) {
        problem(v, "a delivery entry is damaged");
        return UT_OK;
    }
    uint32_t row = 0;
    while (row < v->ledger.count &&
           (v->ledger.rows[row].row.org != org || v->ledger.rows[row].row.dest != dest))
        row += 1;
    if (row == v->ledger.count) {
        problem(v, "a delivery entry of block %llu has no destination", (number)seq);
        return UT_OK;
    }
    v->report->deliveries += 1;
    if (entry.state == UT_DELIVERY_PENDING) {
        v->pending[row] += entry.spans;
        v->report->pending += entry.spans;
    }
    ut_record_summary summary;
    ut_bytes found;
    ut_err err = get(v, ut_key_summary(org, seq), &found);
    if (err == UT_ENOTFOUND)
        problem(v, "a delivery entry points at block %llu, which is gone", (number)seq);
    else if (err == UT_OK && ut_record_read_summary(found, &summary) == UT_OK &&
             summary.span_count != entry.spans)
        problem(v, "a delivery entry counts %llu spans of block %llu, which has %llu",
                (number)entry.spans, (number)seq, (number)summary.span_count);
    if (err == UT_OK || err == UT_ENOTFOUND)
        err = get(v, ut_key_dead(org, dest, seq), &found);
    if ((err == UT_OK) != (entry.spans_dead > 0) && (err == UT_OK || err == UT_ENOTFOUND))
        problem(v, "dead letters of block %llu do not fit its delivery entry", (number)seq);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err check_dead(verifier *v)
{
    ut_bytes key;
    ut_bytes value;
    ut_err err = first_of(v, UT_KEY_DEAD, &key, &value);
    while (err == UT_OK) {
        uint32_t org;
        uint32_t dest;
        uint64_t seq;
        if (!ut_key_read_delivery(key, &org, &dest, &seq)) {
            problem(v, "a key of a dead letter is damaged");
        } else {
            err = get(v, ut_key_delivery(org, dest, seq), &value);
            if (err == UT_ENOTFOUND) {
                problem(v, "a dead letter of block %llu has no delivery entry", (number)seq);
                err = UT_OK;
            }
        }
        if (err == UT_OK)
            err = next_of(v, UT_KEY_DEAD, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err check_ledger(verifier *v)
{
    ut_bytes key;
    ut_bytes value;
    ut_err err = first_of(v, UT_KEY_DELIVERY, &key, &value);
    while (err == UT_OK) {
        err = check_delivery(v, key, value);
        if (err == UT_OK)
            err = next_of(v, UT_KEY_DELIVERY, &key, &value);
    }
    if (err != UT_ENOTFOUND)
        return err;
    for (uint32_t i = 0; i < v->ledger.count; i++) {
        const ut_store_destination *row = &v->ledger.rows[i].row;
        uint64_t left = row->counts.delivered + row->counts.dead + row->counts.expired +
                        row->counts.evicted + v->pending[i];
        if (left != row->counts.accepted)
            problem(v,
                    "%s: %llu spans were accepted, %llu are delivered, dead, expired, evicted or "
                    "pending",
                    row->name_z, (number)row->counts.accepted, (number)left);
    }
    return UT_OK;
}

ut_err ut_store_verify(ut_store_view *view, ut_verify_report *report, ut_verify_tell tell,
                       void *context)
{
    *report = (ut_verify_report){0};
    verifier *v = calloc(1, sizeof *v);
    if (v == NULL)
        return UT_ENOMEM;
    v->view = view;
    v->txn = ut_store_view_txn(view);
    v->report = report;
    v->tell = tell;
    v->context = context;
    ut_buf_init(&v->payload, UT_BLOCK_PAYLOAD_MAX + 1);
    ut_err err = ut_txn_cursor(v->txn, &v->walk);
    if (err == UT_OK)
        err = ut_txn_cursor(v->txn, &v->lookup);
    if (err == UT_OK)
        err = ut_ledger_read(v->txn, &v->ledger);
    if (err == UT_OK)
        err = check_blocks(v);
    if (err == UT_OK)
        err = check_pieces(v);
    if (err == UT_OK)
        err = check_expiry(v);
    if (err == UT_OK)
        err = check_traces(v);
    if (err == UT_OK)
        err = check_ledger(v);
    if (err == UT_OK)
        err = check_dead(v);
    if (v->lookup != NULL)
        ut_cursor_close(v->lookup);
    if (v->walk != NULL)
        ut_cursor_close(v->walk);
    ut_buf_free(&v->payload);
    free(v);
    return err;
}
