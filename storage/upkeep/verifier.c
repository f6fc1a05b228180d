// The recount of a store; see verify.h.
// Not for the blocks of spans themselves beyond opening them: their checksums tell.
#include "storage/upkeep/verifier.h"

#include "storage/store/block_store.h"
#include "storage/store/key.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCK_WORK = 10,  // checks that a block counts for, beside its spans
    SPANS_A_WORK = 4, // spans that count as one check
    SEQS_BYTES_MAX = 1 << 30,
};

void ut_verify_problem(ut_verifier *v, const char *format_z, ...)
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

static ut_err get(ut_verifier *v, ut_key key, ut_bytes *value)
{
    return ut_txn_get(v->txn, ut_key_bytes(&key), value);
}

// ---- blocks ----

ut_err ut_verify_find_pieces(ut_verifier *v, uint32_t org, uint64_t seq)
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

// A block of format version 1 or 2 has members.
static ut_err check_traces(ut_verifier *v, uint32_t org, uint64_t seq, const ut_block *block)
{
    ut_bytes ignored;
    const ut_err err = get(v, ut_key_piece(org, seq, 0), &ignored);
    if (err == UT_ENOTFOUND)
        return ut_verify_block_traces(v, org, seq, block);
    return err == UT_OK ? ut_verify_legacy_block(v, org, seq, block) : err;
}

static ut_err check_block(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t seq;
    ut_record_summary summary = {0};
    if (!ut_key_read_summary(key, &org, &seq)) {
        ut_verify_problem(v, "a key of a summary is damaged");
        return UT_OK;
    }
    // Younger blocks may come as fast as they are checked.
    if (seq > v->last_seq)
        return UT_OK;
    if (ut_record_read_summary(value, &summary) != UT_OK)
        ut_verify_problem(v, "block %llu: its summary is damaged", (ut_verify_number)seq);
    ut_block block;
    v->report.blocks += 1;
    v->report.done += summary.span_count;
    v->work += BLOCK_WORK + summary.span_count / SPANS_A_WORK;
    ut_err err = ut_store_read_block(v->view, org, seq, &v->payload, &block);
    if (err == UT_OK) {
        // Its hour may have been changed since; the summary has the one that counts.
        if (block.info.span_count != summary.span_count)
            ut_verify_problem(v, "block %llu: its summary does not fit", (ut_verify_number)seq);
        v->report.spans += block.info.span_count;
        err = check_traces(v, org, seq, &block);
    } else if (err == UT_ENOTFOUND || err == UT_ECORRUPT || err == UT_EVERSION) {
        ut_verify_problem(v, "block %llu: %s", (ut_verify_number)seq,
                          err == UT_ENOTFOUND ? "it is not there" : ut_err_text(err));
        err = UT_OK;
    }
    ut_bytes expiry;
    if (err == UT_OK && summary.expiry_hour != 0) {
        err = get(v, ut_key_expiry(summary.expiry_hour, org, seq), &expiry);
        if (err == UT_ENOTFOUND) {
            ut_verify_problem(v, "block %llu would never expire", (ut_verify_number)seq);
            err = UT_OK;
        }
    }
    return err;
}

static ut_err check_expiry(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t hour;
    uint32_t org;
    uint64_t seq;
    ut_record_summary summary;
    if (!ut_key_read_expiry(key, &hour, &org, &seq)) {
        ut_verify_problem(v, "a key of an expiry entry is damaged");
        return UT_OK;
    }
    ut_err err = get(v, ut_key_summary(org, seq), &value);
    if (err == UT_OK && ut_record_read_summary(value, &summary) == UT_OK &&
        summary.expiry_hour != hour)
        ut_verify_problem(v, "block %llu has an expiry entry for another hour",
                          (ut_verify_number)seq);
    if (err == UT_ENOTFOUND)
        err = ut_verify_find_pieces(v, org, seq); // on its way out
    if (err == UT_ENOTFOUND) {
        ut_verify_problem(v, "an expiry entry points at block %llu, which is gone",
                          (ut_verify_number)seq);
        err = UT_OK;
    }
    return err;
}

// Pieces without a summary are a block that is on its way out.
static ut_err check_piece(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t seq;
    uint32_t piece;
    if (!ut_key_read_piece(key, &org, &seq, &piece)) {
        ut_verify_problem(v, "a key of a block is damaged");
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

// ---- the ledger ----

static ut_err check_delivery(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint32_t dest;
    uint64_t seq;
    ut_delivery entry;
    if (!ut_key_read_delivery(key, &org, &dest, &seq) ||
        ut_record_read_delivery(value, &entry) != UT_OK) {
        ut_verify_problem(v, "a delivery entry is damaged");
        return UT_OK;
    }
    v->report.deliveries += 1;
    ut_record_summary summary;
    ut_bytes found;
    ut_err err = get(v, ut_key_summary(org, seq), &found);
    if (err == UT_ENOTFOUND)
        ut_verify_problem(v, "a delivery entry points at block %llu, which is gone",
                          (ut_verify_number)seq);
    else if (err == UT_OK && ut_record_read_summary(found, &summary) == UT_OK &&
             summary.span_count != entry.spans)
        ut_verify_problem(v, "a delivery entry counts %llu spans of block %llu, which has %llu",
                          (ut_verify_number)entry.spans, (ut_verify_number)seq,
                          (ut_verify_number)summary.span_count);
    if (err == UT_OK || err == UT_ENOTFOUND)
        err = get(v, ut_key_dead(org, dest, seq), &found);
    if ((err == UT_OK) != (entry.spans_dead > 0) && (err == UT_OK || err == UT_ENOTFOUND))
        ut_verify_problem(v, "dead letters of block %llu do not fit its delivery entry",
                          (ut_verify_number)seq);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

static ut_err check_dead(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint32_t dest;
    uint64_t seq;
    if (!ut_key_read_delivery(key, &org, &dest, &seq)) {
        ut_verify_problem(v, "a key of a dead letter is damaged");
        return UT_OK;
    }
    ut_err err = get(v, ut_key_delivery(org, dest, seq), &value);
    if (err == UT_ENOTFOUND) {
        ut_verify_problem(v, "a dead letter of block %llu has no delivery entry",
                          (ut_verify_number)seq);
        err = UT_OK;
    }
    return err;
}

static ut_err check_consumer(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    ut_bytes name;
    ut_record_consumer consumer;
    ut_record_state state;
    if (!ut_key_read_consumer(key, &org, &name) ||
        ut_record_read_consumer(value, &consumer) != UT_OK) {
        ut_verify_problem(v, "where a reader that polls has got to is damaged");
        return UT_OK;
    }
    ut_err err = get(v, ut_key_meta(UT_RECORD_STATE_NAME), &value);
    if (err == UT_OK && ut_record_read_state(value, &state) == UT_OK &&
        consumer.seq >= state.next_seq)
        ut_verify_problem(v, "a reader that polls has got to block %llu, which was never stored",
                          (ut_verify_number)consumer.seq);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// ---- sums, in one view ----

// Calls check for every record of a kind.
static ut_err each_of(ut_verifier *v, uint8_t kind,
                      ut_err (*check)(ut_verifier *, ut_bytes, ut_bytes))
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

static ut_err sum_summaries(ut_verifier *v, summary_sums *sums)
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

static ut_err check_state(ut_verifier *v)
{
    summary_sums sums = {0};
    ut_record_state state;
    ut_record_state *known = &state;
    ut_bytes value;
    uint64_t version;
    ut_err err = get(v, ut_key_meta(UT_RECORD_VERSION_NAME), &value);
    if (err == UT_ENOTFOUND || (err == UT_OK && ut_record_read_version(value, &version) != UT_OK)) {
        ut_verify_problem(v, "the format version of the store is %s",
                          err == UT_OK ? "damaged" : "not there");
        err = UT_OK;
    }
    if (err == UT_OK)
        err = get(v, ut_key_meta(UT_RECORD_STATE_NAME), &value);
    if (err == UT_ENOTFOUND || (err == UT_OK && ut_record_read_state(value, &state) != UT_OK)) {
        ut_verify_problem(v, "the counters of the store are %s",
                          err == UT_OK ? "damaged" : "not there");
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
        ut_verify_problem(v, "block %llu is not older than the next one, which is to be %llu",
                          (ut_verify_number)sums.newest, (ut_verify_number)known->next_seq);
    if (counts->blocks_stored - counts->blocks_removed != sums.blocks)
        ut_verify_problem(v, "%llu blocks were stored and %llu removed, but %llu are there",
                          (ut_verify_number)counts->blocks_stored,
                          (ut_verify_number)counts->blocks_removed, (ut_verify_number)sums.blocks);
    if (counts->spans_stored - counts->spans_expired - counts->spans_evicted != sums.spans)
        ut_verify_problem(
            v, "%llu spans were stored, %llu expired and %llu evicted, but %llu are there",
            (ut_verify_number)counts->spans_stored, (ut_verify_number)counts->spans_expired,
            (ut_verify_number)counts->spans_evicted, (ut_verify_number)sums.spans);
    return UT_OK;
}

static ut_err sum_delivery(ut_verifier *v, ut_bytes key, ut_bytes value)
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
        ut_verify_problem(v, "a delivery entry of block %llu has no destination",
                          (ut_verify_number)seq);
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
static ut_err check_ledger(ut_verifier *v)
{
    ut_err err = ut_ledger_read(v->txn, &v->ledger);
    if (err == UT_ECORRUPT) {
        ut_verify_problem(v, "the record of a destination is damaged");
        return UT_OK;
    }
    if (err == UT_OK)
        err = each_of(v, UT_KEY_DELIVERY, sum_delivery);
    for (uint32_t i = 0; i < v->ledger.count && err == UT_OK; i++) {
        const ut_store_destination *row = &v->ledger.rows[i].row;
        const ut_verify_ledger_sums *sums = &v->sums[i];
        uint64_t left = row->counts.delivered + row->counts.dead + row->counts.expired +
                        row->counts.evicted + sums->pending;
        if (left != row->counts.accepted)
            ut_verify_problem(
                v,
                "%s: %llu spans were accepted, %llu are delivered, dead, expired, evicted or "
                "pending",
                row->name_z, (ut_verify_number)row->counts.accepted, (ut_verify_number)left);
        if (sums->delivered > row->counts.delivered || sums->dead > row->counts.dead)
            ut_verify_problem(v,
                              "%s: its entries tell of more spans delivered or dead than it counts",
                              row->name_z);
    }
    return err;
}

// ---- the recount ----

typedef struct {
    uint8_t kind; // 0: whole looks at everything in one view
    ut_err (*check)(ut_verifier *v, ut_bytes key, ut_bytes value); // one record of the kind
    ut_err (*whole)(ut_verifier *v);
    const char *name_z;
} phase;

static const phase phases[] = {
    {0, NULL, check_state, "summaries"},
    {0, NULL, check_ledger, "delivery entries"},
    {UT_KEY_SUMMARY, check_block, NULL, "summaries"},
    {UT_KEY_BLOCK, check_piece, NULL, "blocks"},
    {UT_KEY_EXPIRY, check_expiry, NULL, "expiry entries"},
    {UT_KEY_RUN, ut_verify_run_record, NULL, "the index of traces"},
    {UT_KEY_TRACE, ut_verify_legacy_entry, NULL, "entries of traces"},
    {UT_KEY_ROOT, ut_verify_legacy_root, NULL, "root records"},
    {UT_KEY_DELIVERY, check_delivery, NULL, "delivery entries"},
    {UT_KEY_DEAD, check_dead, NULL, "dead letters"},
    {UT_KEY_CONSUMER, check_consumer, NULL, "readers that poll"},
};
enum { PHASES = sizeof(phases) / sizeof(phases[0]) };

// The record to go on with. UT_ENOTFOUND: the phase is at its end.
static ut_err go_on(ut_verifier *v, uint8_t kind, ut_bytes *key, ut_bytes *value)
{
    const ut_bytes from = v->begun ? ut_bytes_of(v->at, v->at_len) : ut_bytes_of(&kind, 1);
    ut_err err = ut_cursor_seek(v->walk, from, key, value);
    if (err == UT_OK && v->begun && ut_bytes_equal(*key, from))
        err = ut_cursor_next(v->walk, key, value);
    return err == UT_OK && key->data[0] != kind ? UT_ENOTFOUND : err;
}

static ut_err run_phase(ut_verifier *v, const phase *now, uint32_t work_max)
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
            ut_verify_problem(v, "%s: a page is damaged, what lies behind it cannot be checked",
                              now->name_z);
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
    ut_verifier *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return UT_ENOMEM;
    v->tell = tell;
    v->context = context;
    ut_buf_init(&v->payload, UT_BLOCK_PAYLOAD_MAX + 1);
    ut_buf_init(&v->members, (size_t)UT_BLOCK_STORE_SEALED_FROM * UT_BLOCK_PAYLOAD_TARGET);
    ut_buf_init(&v->runs, UT_RUNS_MAX * sizeof(ut_run));
    ut_buf_init(&v->seqs, SEQS_BYTES_MAX);
    *out = v;
    return UT_OK;
}

void ut_verifier_free(ut_verifier *v)
{
    if (v == NULL)
        return;
    ut_buf_free(&v->payload);
    ut_buf_free(&v->members);
    ut_buf_free(&v->runs);
    ut_buf_free(&v->seqs);
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
