// The recount of blocks of format version 1 and 2: their members, the entries of their traces and
// root records; see verifier.h.
#include "storage/upkeep/verifier.h"

#include "storage/store/block_store.h"
#include "storage/store/key.h"
#include "storage/store/ordinal_list.h"
#include "storage/store/record.h"

static ut_err get(ut_verifier *v, ut_key key, ut_bytes *value)
{
    return ut_txn_get(v->txn, ut_key_bytes(&key), value);
}

// True when an entry of the trace, or a part of it, lists the span under its ordinal. *err: of the
// engine.
static bool is_listed(ut_verifier *v, uint32_t org, uint64_t seq, uint32_t ordinal,
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
             ut_ordinal_list_next(&entry.ordinals, &last, &listed) && i < entry.count; i++) {
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
static ut_err read_members(ut_verifier *v, uint32_t org, uint64_t seq)
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

static bool is_member(const ut_verifier *v, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    for (size_t at = 0; at + UT_TRACE_ID_LEN <= v->members.len; at += UT_TRACE_ID_LEN) {
        if (memcmp(v->members.data + at, trace_id, UT_TRACE_ID_LEN) == 0)
            return true;
    }
    return false;
}

// How many spans the entries of the block's members list in it.
static ut_err count_listed(ut_verifier *v, uint32_t org, uint64_t seq, uint64_t *listed)
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

ut_err ut_verify_legacy_block(ut_verifier *v, uint32_t org, uint64_t seq, const ut_block *block)
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
        ut_verify_problem(v, "block %llu: the entries of its traces list %llu spans, it holds %llu",
                          (ut_verify_number)seq, (ut_verify_number)listed,
                          (ut_verify_number)block->info.span_count);
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
        ut_err engine_err;
        if (!is_listed(v, org, seq, ordinal, &span, &engine_err) && engine_err == UT_OK)
            ut_verify_problem(v, "block %llu: span %llu is not in the entry of its trace",
                              (ut_verify_number)seq, (ut_verify_number)ordinal);
        if (engine_err != UT_OK)
            return engine_err;
        if (!is_member(v, span.trace_id.data))
            ut_verify_problem(v, "block %llu: the trace of span %llu is not a member",
                              (ut_verify_number)seq, (ut_verify_number)ordinal);
    }
    if (err == UT_ECORRUPT)
        ut_verify_problem(v, "block %llu: its spans cannot be read", (ut_verify_number)seq);
    return err == UT_ECORRUPT ? UT_OK : err;
}

// ---- entries and root records ----

// True when no entry of the same trace stands before the one at hand, whose key is in v->at: what
// the walk has found is gone after a look-up.
static ut_err is_first(ut_verifier *v, bool *first)
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

ut_err ut_verify_legacy_entry(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint32_t org;
    uint64_t seq;
    ut_record_trace entry;
    if (!ut_key_read_entry(key, &org, trace_id, &seq)) {
        ut_verify_problem(v, "a key of a trace is damaged");
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
        ut_verify_problem(v, "an entry of a trace in block %llu is damaged", (ut_verify_number)seq);
        return UT_OK;
    }
    v->report.done += entry.count;
    uint64_t root_seen_ns = entry.root_seen_ns;
    if (entry.has_root_key != first)
        ut_verify_problem(v, "an entry of a trace in block %llu %s its root record",
                          (ut_verify_number)seq, first ? "does not know" : "should not know");
    ut_bytes ignored;
    if (first && entry.has_root_key) {
        err = get(v, ut_key_root(org, root_seen_ns, trace_id), &ignored);
        if (err == UT_ENOTFOUND) {
            ut_verify_problem(v, "a trace of block %llu has no root record", (ut_verify_number)seq);
            err = UT_OK;
        }
    }
    if (err == UT_OK)
        err = get(v, ut_key_summary(org, seq), &ignored);
    if (err == UT_OK) {
        err = read_members(v, org, seq);
        if (err == UT_OK && !is_member(v, trace_id))
            ut_verify_problem(
                v, "an entry of a trace points at block %llu, which is not of that trace",
                (ut_verify_number)seq);
    } else if (err == UT_ENOTFOUND) {
        err = ut_verify_find_pieces(v, org, seq); // on its way out
        if (err == UT_ENOTFOUND) {
            ut_verify_problem(v, "an entry of a trace points at block %llu, which is gone",
                              (ut_verify_number)seq);
            err = UT_OK;
        }
    }
    return err;
}

// The first entry of a trace knows the one root record that it has.
ut_err ut_verify_legacy_root(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t seen_ns;
    uint8_t trace_id[UT_TRACE_ID_LEN];
    ut_record_root root;
    if (!ut_key_read_root(key, &org, &seen_ns, trace_id)) {
        ut_verify_problem(v, "a key of a root record is damaged");
        return UT_OK;
    }
    if (ut_record_read_root(value, &root) != UT_OK)
        ut_verify_problem(v, "a root record is damaged");
    ut_key from = ut_key_prefix(ut_key_trace(org, trace_id, 0), UT_KEY_PREFIX_TRACE);
    ut_record_trace entry;
    ut_err err = ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value);
    if (err == UT_OK && !ut_key_begins_with(key, &from))
        err = UT_ENOTFOUND;
    if (err == UT_ENOTFOUND) {
        ut_verify_problem(v, "a root record is of a trace that is gone");
        return UT_OK;
    }
    if (err == UT_OK && ut_record_read_trace(value, &entry) == UT_OK &&
        (!entry.has_root_key || entry.root_seen_ns != seen_ns))
        ut_verify_problem(v, "a trace has a root record that it does not know");
    return err;
}
