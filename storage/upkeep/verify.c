// The recount of a store; see verify.h.
// Not for the blocks of spans themselves beyond opening them: their checksums tell.
#include "storage/upkeep/verify.h"

#include "storage/store/block_store.h"
#include "storage/store/key.h"
#include "storage/store/ledger.h"
#include "storage/store/store_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCK_WORK = 10,  // checks that a block counts for, beside its spans
    SPANS_A_WORK = 4, // spans that count as one check
};

typedef unsigned long long number; // for messages

// Spans of the entries of one destination, by state.
typedef struct {
    uint64_t pending;
    uint64_t dead;
    uint64_t delivered;
} ledger_sums;

struct ut_verifier {
    ut_store_view *view; // of the step under way, as all up to `context`
    ut_txn *txn;
    ut_cursor *walk;   // over the family that is checked
    ut_cursor *lookup; // for what belongs with it
    ut_verify_tell tell;
    void *context;
    ut_verify_report report;
    ut_buf payload;
    ut_buf members; // of the block that is checked
    ut_ledger ledger;
    ledger_sums sums[UT_STORE_DESTINATIONS_MAX]; // by row of the ledger
    uint64_t last_seq;                           // newest block when the recount began
    size_t phase;
    bool begun;   // of the phase: `at` is the last key that was checked
    bool resumed; // the next record is the first of a step
    uint8_t at[UT_KEY_MAX];
    size_t at_len;
    uint64_t last_leaving;
    uint8_t last_trace[UT_KEY_PREFIX_TRACE]; // of the entry that was checked last
    uint64_t work;
};
typedef struct ut_verifier verifier;

static void problem(verifier *v, const char *format_z, ...) __attribute__((format(printf, 2, 3)));

static void problem(verifier *v, const char *format_z, ...)
{
    char text_z[UT_VERIFY_TEXT_MAX];
    va_list args;
    va_start(args, format_z);
    if (vsnprintf(text_z, sizeof(text_z), format_z, args) < 0)
        text_z[0] = '\0';
    va_end(args);
    v->report.problems += 1;
    v->tell(v->context, text_z);
}

static ut_err get(verifier *v, ut_key key, ut_bytes *value)
{
    return ut_txn_get(v->txn, ut_key_bytes(&key), value);
}

// ---- blocks ----

// UT_ENOTFOUND: nothing of the block is left.
static ut_err find_pieces(verifier *v, uint32_t org, uint64_t seq)
{
    ut_key from = ut_key_piece(org, seq, 0);
    ut_bytes key;
    ut_bytes value;
    uint32_t found_org;
    uint64_t found_seq;
    uint32_t piece;
    ut_err err = ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value);
    if (err == UT_OK && (!ut_key_read_piece(key, &found_org, &found_seq, &piece) ||
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
    while (*err == UT_OK && ut_key_begins_with(key, &from)) {
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

// The traces of a block, as its first pieces list them.
static ut_err read_members(verifier *v, uint32_t org, uint64_t seq)
{
    ut_buf_reset(&v->members, SIZE_MAX);
    for (uint32_t piece = 0; piece < UT_BLOCK_STORE_SEALED_FROM; piece++) {
        ut_bytes value;
        ut_err err = get(v, ut_key_piece(org, seq, piece), &value);
        if (err == UT_ENOTFOUND)
            break;
        if (err != UT_OK)
            return err;
        ut_buf_add_bytes(&v->members, value);
    }
    return v->members.err;
}

static bool is_member(const verifier *v, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    for (size_t at = 0; at + UT_TRACE_ID_LEN <= v->members.len; at += UT_TRACE_ID_LEN) {
        if (memcmp(v->members.data + at, trace_id, UT_TRACE_ID_LEN) == 0)
            return true;
    }
    return false;
}

// How many spans the entries of the block's members list in it.
static ut_err count_listed(verifier *v, uint32_t org, uint64_t seq, uint64_t *listed)
{
    *listed = 0;
    for (size_t at = 0; at + UT_TRACE_ID_LEN <= v->members.len; at += UT_TRACE_ID_LEN) {
        ut_key from = ut_key_trace(org, v->members.data + at, seq);
        ut_bytes key;
        ut_bytes value;
        ut_err err = ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value);
        while (err == UT_OK && ut_key_begins_with(key, &from)) {
            ut_record_trace entry;
            if (ut_record_read_trace(value, &entry) == UT_OK)
                *listed += entry.count;
            err = ut_cursor_next(v->lookup, &key, &value);
        }
        if (err != UT_OK && err != UT_ENOTFOUND)
            return err;
    }
    return UT_OK;
}

static ut_err check_spans(verifier *v, uint32_t org, uint64_t seq, const ut_block *block)
{
    ut_block_cursor cursor;
    bool more = true;
    uint64_t listed;
    ut_err err = read_members(v, org, seq);
    if (err == UT_OK)
        err = count_listed(v, org, seq, &listed);
    if (err != UT_OK)
        return err;
    if (listed != block->info.span_count)
        problem(v, "block %llu: the entries of its traces list %llu spans, it holds %llu",
                (number)seq, (number)listed, (number)block->info.span_count);
    ut_block_walk(block, &cursor);
    err = ut_block_next_group(&cursor, &more);
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
        v->report.spans += 1;
        ut_err engine_err;
        if (!is_listed(v, org, seq, ordinal, &span, &engine_err) && engine_err == UT_OK)
            problem(v, "block %llu: span %llu is not in the entry of its trace", (number)seq,
                    (number)ordinal);
        if (engine_err != UT_OK)
            return engine_err;
        if (!is_member(v, span.trace_id.data))
            problem(v, "block %llu: the trace of span %llu is not a member", (number)seq,
                    (number)ordinal);
    }
    if (err == UT_ECORRUPT)
        problem(v, "block %llu: its spans cannot be read", (number)seq);
    return err == UT_ECORRUPT ? UT_OK : err;
}

static ut_err check_block(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t seq;
    ut_record_summary summary = {0};
    if (!ut_key_read_summary(key, &org, &seq)) {
        problem(v, "a key of a summary is damaged");
        return UT_OK;
    }
    // Younger blocks may come as fast as they are checked.
    if (seq > v->last_seq)
        return UT_OK;
    if (ut_record_read_summary(value, &summary) != UT_OK)
        problem(v, "block %llu: its summary is damaged", (number)seq);
    ut_block block;
    v->report.blocks += 1;
    v->report.done += summary.span_count;
    v->work += BLOCK_WORK + summary.span_count / SPANS_A_WORK;
    ut_err err = ut_store_read_block(v->view, org, seq, &v->payload, &block);
    if (err == UT_OK) {
        // Its hour may have been changed since; the summary has the one that counts.
        if (block.info.span_count != summary.span_count)
            problem(v, "block %llu: its summary does not fit", (number)seq);
        err = check_spans(v, org, seq, &block);
    } else if (err == UT_ENOTFOUND || err == UT_ECORRUPT || err == UT_EVERSION) {
        problem(v, "block %llu: %s", (number)seq,
                err == UT_ENOTFOUND ? "it is not there" : ut_err_text(err));
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
    return err;
}

static ut_err check_expiry(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t hour;
    uint32_t org;
    uint64_t seq;
    ut_record_summary summary;
    if (!ut_key_read_expiry(key, &hour, &org, &seq)) {
        problem(v, "a key of an expiry entry is damaged");
        return UT_OK;
    }
    ut_err err = get(v, ut_key_summary(org, seq), &value);
    if (err == UT_OK && ut_record_read_summary(value, &summary) == UT_OK &&
        summary.expiry_hour != hour)
        problem(v, "block %llu has an expiry entry for another hour", (number)seq);
    if (err == UT_ENOTFOUND)
        err = find_pieces(v, org, seq); // on its way out
    if (err == UT_ENOTFOUND) {
        problem(v, "an expiry entry points at block %llu, which is gone", (number)seq);
        err = UT_OK;
    }
    return err;
}

// Pieces without a summary are a block that is on its way out.
static ut_err check_piece(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t seq;
    uint32_t piece;
    if (!ut_key_read_piece(key, &org, &seq, &piece)) {
        problem(v, "a key of a block is damaged");
        return UT_OK;
    }
    if (seq == v->last_leaving)
        return UT_OK;
    v->last_leaving = seq;
    ut_err err = get(v, ut_key_summary(org, seq), &value);
    if (err == UT_ENOTFOUND) {
        v->report.leaving += 1;
        err = UT_OK;
    }
    return err;
}

// ---- traces ----

// True when no entry of the same trace stands before the one at hand, whose key is in v->at: what
// the walk has found is gone after a look-up.
static ut_err is_first(verifier *v, bool *first)
{
    *first = memcmp(v->at, v->last_trace, UT_KEY_PREFIX_TRACE) != 0;
    memcpy(v->last_trace, v->at, UT_KEY_PREFIX_TRACE);
    if (*first || !v->resumed)
        return UT_OK;
    // The one before it was seen in another view, and may be gone since.
    ut_bytes found;
    ut_bytes ignored;
    ut_err err =
        ut_cursor_seek(v->lookup, (ut_bytes){v->at, UT_KEY_PREFIX_TRACE}, &found, &ignored);
    *first = err == UT_OK && ut_bytes_equal(found, ut_bytes_of(v->at, v->at_len));
    return err;
}

static ut_err check_entry(verifier *v, ut_bytes key, ut_bytes value)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t org;
    uint64_t seq;
    ut_record_trace entry;
    if (!ut_key_read_entry(key, &org, trace_id, &seq)) {
        problem(v, "a key of a trace is damaged");
        return UT_OK;
    }
    const bool damaged = ut_record_read_trace(value, &entry) != UT_OK;
    bool first;
    ut_err err = is_first(v, &first);
    if (err != UT_OK)
        return err;
    if (first)
        v->report.traces += 1;
    if (damaged) {
        problem(v, "an entry of a trace in block %llu is damaged", (number)seq);
        return UT_OK;
    }
    v->report.done += entry.count;
    uint64_t root_seen_ns = entry.root_seen_ns;
    if (entry.has_root_key != first)
        problem(v, "an entry of a trace in block %llu %s its root record", (number)seq,
                first ? "does not know" : "should not know");
    ut_bytes ignored;
    if (first && entry.has_root_key) {
        err = get(v, ut_key_root(org, root_seen_ns, trace_id), &ignored);
        if (err == UT_ENOTFOUND) {
            problem(v, "a trace of block %llu has no root record", (number)seq);
            err = UT_OK;
        }
    }
    if (err == UT_OK)
        err = get(v, ut_key_summary(org, seq), &ignored);
    if (err == UT_OK) {
        err = read_members(v, org, seq);
        if (err == UT_OK && !is_member(v, trace_id))
            problem(v, "an entry of a trace points at block %llu, which is not of that trace",
                    (number)seq);
    } else if (err == UT_ENOTFOUND) {
        err = find_pieces(v, org, seq); // on its way out
        if (err == UT_ENOTFOUND) {
            problem(v, "an entry of a trace points at block %llu, which is gone", (number)seq);
            err = UT_OK;
        }
    }
    return err;
}

// The first entry of a trace knows the one root record that it has.
static ut_err check_root(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t seen_ns;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    ut_record_root root;
    if (!ut_key_read_root(key, &org, &seen_ns, trace_id)) {
        problem(v, "a key of a root record is damaged");
        return UT_OK;
    }
    if (ut_record_read_root(value, &root) != UT_OK)
        problem(v, "a root record is damaged");
    ut_key from = ut_key_prefix(ut_key_trace(org, trace_id, 0), UT_KEY_PREFIX_TRACE);
    ut_record_trace entry;
    ut_err err = ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value);
    if (err == UT_OK && !ut_key_begins_with(key, &from))
        err = UT_ENOTFOUND;
    if (err == UT_ENOTFOUND) {
        problem(v, "a root record is of a trace that is gone");
        return UT_OK;
    }
    if (err == UT_OK && ut_record_read_trace(value, &entry) == UT_OK &&
        (!entry.has_root_key || entry.root_seen_ns != seen_ns))
        problem(v, "a trace has a root record that it does not know");
    return err;
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
    v->report.deliveries += 1;
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

static ut_err check_dead(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint32_t dest;
    uint64_t seq;
    if (!ut_key_read_delivery(key, &org, &dest, &seq)) {
        problem(v, "a key of a dead letter is damaged");
        return UT_OK;
    }
    ut_err err = get(v, ut_key_delivery(org, dest, seq), &value);
    if (err == UT_ENOTFOUND) {
        problem(v, "a dead letter of block %llu has no delivery entry", (number)seq);
        err = UT_OK;
    }
    return err;
}

static ut_err check_consumer(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    ut_bytes name;
    ut_record_consumer consumer;
    ut_record_state state;
    if (!ut_key_read_consumer(key, &org, &name) ||
        ut_record_read_consumer(value, &consumer) != UT_OK) {
        problem(v, "where a reader that polls has got to is damaged");
        return UT_OK;
    }
    ut_err err = get(v, ut_key_meta(UT_RECORD_STATE_NAME), &value);
    if (err == UT_OK && ut_record_read_state(value, &state) == UT_OK &&
        consumer.seq >= state.next_seq)
        problem(v, "a reader that polls has got to block %llu, which was never stored",
                (number)consumer.seq);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- sums, in one view ----

// Calls check for every record of a kind.
static ut_err each_of(verifier *v, uint8_t kind, ut_err (*check)(verifier *, ut_bytes, ut_bytes))
{
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_seek(v->walk, (ut_bytes){&kind, 1}, &key, &value);
    while (err == UT_OK && key.data[0] == kind) {
        err = check(v, key, value);
        if (err == UT_OK)
            err = ut_cursor_next(v->walk, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

typedef struct {
    uint64_t blocks;
    uint64_t spans;
    uint64_t newest;
} summary_sums;

static ut_err sum_summaries(verifier *v, summary_sums *sums)
{
    static const uint8_t kind[1] = {UT_KEY_SUMMARY};
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_seek(v->walk, (ut_bytes){kind, 1}, &key, &value);
    while (err == UT_OK && key.data[0] == kind[0]) {
        uint32_t org;
        uint64_t seq;
        ut_record_summary summary;
        sums->blocks += 1;
        if (ut_key_read_summary(key, &org, &seq) && seq > sums->newest)
            sums->newest = seq;
        if (ut_record_read_summary(value, &summary) == UT_OK)
            sums->spans += summary.span_count;
        err = ut_cursor_next(v->walk, &key, &value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err check_state(verifier *v)
{
    summary_sums sums = {0};
    ut_record_state state;
    ut_record_state *known = &state;
    ut_bytes value;
    uint64_t version;
    ut_err err = get(v, ut_key_meta(UT_RECORD_VERSION_NAME), &value);
    if (err == UT_ENOTFOUND || (err == UT_OK && ut_record_read_version(value, &version) != UT_OK)) {
        problem(v, "the format version of the store is %s", err == UT_OK ? "damaged" : "not there");
        err = UT_OK;
    }
    if (err == UT_OK)
        err = get(v, ut_key_meta(UT_RECORD_STATE_NAME), &value);
    if (err == UT_ENOTFOUND || (err == UT_OK && ut_record_read_state(value, &state) != UT_OK)) {
        problem(v, "the counters of the store are %s", err == UT_OK ? "damaged" : "not there");
        known = NULL;
        err = UT_OK;
    }
    if (err == UT_OK)
        err = sum_summaries(v, &sums);
    v->report.total = 2 * sums.spans;
    v->last_seq = sums.newest;
    if (err != UT_OK || known == NULL)
        return err;
    const ut_store_counts *counts = &known->counts;
    if (known->next_seq <= sums.newest)
        problem(v, "block %llu is not older than the next one, which is to be %llu",
                (number)sums.newest, (number)known->next_seq);
    if (counts->blocks_stored - counts->blocks_removed != sums.blocks)
        problem(v, "%llu blocks were stored and %llu removed, but %llu are there",
                (number)counts->blocks_stored, (number)counts->blocks_removed, (number)sums.blocks);
    if (counts->spans_stored - counts->spans_expired - counts->spans_evicted != sums.spans)
        problem(v, "%llu spans were stored, %llu expired and %llu evicted, but %llu are there",
                (number)counts->spans_stored, (number)counts->spans_expired,
                (number)counts->spans_evicted, (number)sums.spans);
    return UT_OK;
}

static ut_err sum_delivery(verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint32_t dest;
    uint64_t seq;
    ut_delivery entry;
    if (!ut_key_read_delivery(key, &org, &dest, &seq) ||
        ut_record_read_delivery(value, &entry) != UT_OK)
        return UT_OK; // check_delivery tells
    uint32_t row = 0;
    while (row < v->ledger.count &&
           (v->ledger.rows[row].row.org != org || v->ledger.rows[row].row.dest != dest))
        row += 1;
    if (row == v->ledger.count) {
        problem(v, "a delivery entry of block %llu has no destination", (number)seq);
        return UT_OK;
    }
    if (entry.state == UT_DELIVERY_PENDING) {
        v->sums[row].pending += entry.spans;
        v->report.pending += entry.spans;
    } else {
        v->sums[row].dead += entry.spans_dead;
        v->sums[row].delivered += entry.spans - entry.spans_dead;
    }
    return UT_OK;
}

// Conservation: whatever a destination was given is somewhere.
static ut_err check_ledger(verifier *v)
{
    ut_err err = ut_ledger_read(v->txn, &v->ledger);
    if (err == UT_ECORRUPT) {
        problem(v, "the record of a destination is damaged");
        return UT_OK;
    }
    if (err == UT_OK)
        err = each_of(v, UT_KEY_DELIVERY, sum_delivery);
    for (uint32_t i = 0; i < v->ledger.count && err == UT_OK; i++) {
        const ut_store_destination *row = &v->ledger.rows[i].row;
        const ledger_sums *sums = &v->sums[i];
        uint64_t left = row->counts.delivered + row->counts.dead + row->counts.expired +
                        row->counts.evicted + sums->pending;
        if (left != row->counts.accepted)
            problem(v,
                    "%s: %llu spans were accepted, %llu are delivered, dead, expired, evicted or "
                    "pending",
                    row->name_z, (number)row->counts.accepted, (number)left);
        if (sums->delivered > row->counts.delivered || sums->dead > row->counts.dead)
            problem(v, "%s: its entries tell of more spans delivered or dead than it counts",
                    row->name_z);
    }
    return err;
}

// ---- the recount ----

typedef struct {
    uint8_t kind; // 0: whole looks at everything in one view
    ut_err (*check)(verifier *v, ut_bytes key, ut_bytes value); // one record of the kind
    ut_err (*whole)(verifier *v);
    const char *name_z;
} phase;

static const phase phases[] = {
    {0, NULL, check_state, "summaries"},
    {0, NULL, check_ledger, "delivery entries"},
    {UT_KEY_SUMMARY, check_block, NULL, "summaries"},
    {UT_KEY_BLOCK, check_piece, NULL, "blocks"},
    {UT_KEY_EXPIRY, check_expiry, NULL, "expiry entries"},
    {UT_KEY_TRACE, check_entry, NULL, "entries of traces"},
    {UT_KEY_ROOT, check_root, NULL, "root records"},
    {UT_KEY_DELIVERY, check_delivery, NULL, "delivery entries"},
    {UT_KEY_DEAD, check_dead, NULL, "dead letters"},
    {UT_KEY_CONSUMER, check_consumer, NULL, "readers that poll"},
};
enum { PHASES = sizeof(phases) / sizeof(phases[0]) };

// The record to go on with. UT_ENOTFOUND: the phase is at its end.
static ut_err go_on(verifier *v, uint8_t kind, ut_bytes *key, ut_bytes *value)
{
    const ut_bytes from = v->begun ? ut_bytes_of(v->at, v->at_len) : ut_bytes_of(&kind, 1);
    ut_err err = ut_cursor_seek(v->walk, from, key, value);
    if (err == UT_OK && v->begun && ut_bytes_equal(*key, from))
        err = ut_cursor_next(v->walk, key, value);
    return err == UT_OK && key->data[0] != kind ? UT_ENOTFOUND : err;
}

static ut_err run_phase(verifier *v, const phase *now, uint32_t work_max)
{
    ut_bytes key;
    ut_bytes value;
    if (now->whole != NULL) {
        ut_err err = now->whole(v);
        return err == UT_OK ? UT_ENOTFOUND : err;
    }
    ut_err err = go_on(v, now->kind, &key, &value);
    v->resumed = true;
    while (err == UT_OK) {
        if (key.len > sizeof(v->at))
            return UT_ECORRUPT;
        memcpy(v->at, key.data, key.len);
        v->at_len = key.len;
        v->begun = true;
        v->work += 1;
        err = now->check(v, key, value);
        v->resumed = false;
        if (err != UT_OK || v->work >= work_max)
            return err == UT_ENOTFOUND ? UT_ECORRUPT : err;
        err = ut_cursor_next(v->walk, &key, &value);
        if (err == UT_OK && key.data[0] != now->kind)
            err = UT_ENOTFOUND;
    }
    return err;
}

ut_err ut_verifier_step(ut_verifier *v, ut_store_view *view, uint32_t work_max, bool *more)
{
    v->view = view;
    v->txn = ut_store_view_txn(view);
    v->walk = NULL;
    v->lookup = NULL;
    v->work = 0;
    ut_err err = ut_txn_cursor(v->txn, &v->walk);
    if (err == UT_OK)
        err = ut_txn_cursor(v->txn, &v->lookup);
    while (err == UT_OK && v->phase < PHASES && v->work < work_max) {
        const phase *now = &phases[v->phase];
        err = run_phase(v, now, work_max);
        if (err == UT_ECORRUPT)
            problem(v, "%s: a page is damaged, what lies behind it cannot be checked", now->name_z);
        if (err == UT_ENOTFOUND || err == UT_ECORRUPT) {
            v->phase += 1;
            v->begun = false;
            err = UT_OK;
        }
    }
    *more = err == UT_OK && v->phase < PHASES;
    if (err == UT_OK && !*more)
        v->report.done = v->report.total; // records that came and went meanwhile do not count
    if (v->lookup != NULL)
        ut_cursor_close(v->lookup);
    if (v->walk != NULL)
        ut_cursor_close(v->walk);
    return err;
}

ut_err ut_verifier_new(ut_verify_tell tell, void *context, ut_verifier **out)
{
    verifier *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return UT_ENOMEM;
    v->tell = tell;
    v->context = context;
    ut_buf_init(&v->payload, UT_BLOCK_PAYLOAD_MAX + 1);
    ut_buf_init(&v->members, (size_t)UT_BLOCK_STORE_SEALED_FROM * UT_BLOCK_PAYLOAD_TARGET);
    *out = v;
    return UT_OK;
}

void ut_verifier_free(ut_verifier *v)
{
    if (v == NULL)
        return;
    ut_buf_free(&v->payload);
    ut_buf_free(&v->members);
    free(v);
}

const ut_verify_report *ut_verifier_report(const ut_verifier *v)
{
    return &v->report;
}

ut_err ut_store_verify(ut_store_view *view, ut_verify_report *report, ut_verify_tell tell,
                       void *context)
{
    ut_verifier *v;
    bool more = true;
    *report = (ut_verify_report){0};
    ut_err err = ut_verifier_new(tell, context, &v);
    if (err != UT_OK)
        return err;
    while (err == UT_OK && more)
        err = ut_verifier_step(v, view, UINT32_MAX, &more);
    *report = *ut_verifier_report(v);
    ut_verifier_free(v);
    return err;
}
