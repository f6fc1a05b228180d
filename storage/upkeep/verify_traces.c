// The recount of the index of traces; see verifier.h.
#include "storage/upkeep/verifier.h"

#include "storage/span/block_tables.h"
#include "storage/store/key.h"
#include "storage/store/ordinal_list.h"
#include "storage/store/retention.h"
#include "storage/store/run_filter.h"
#include "storage/store/trace_legacy.h"

#include <stdlib.h>

// What the entries of a block say of its spans, by ordinal.
typedef struct {
    bool listed[UT_BLOCK_SPANS_MAX];
    uint64_t digests[UT_BLOCK_SPANS_MAX];
    uint8_t ids[UT_BLOCK_SPANS_MAX][UT_TRACE_ID_LEN];
    uint32_t traces; // that have entries
    uint8_t traces_of[UT_BLOCK_SPANS_MAX][UT_TRACE_ID_LEN];
    bool head[UT_BLOCK_SPANS_MAX];         // of trace n: an entry is a head
    bool head_of_root[UT_BLOCK_SPANS_MAX]; // and tells of a root span
} listing;

static void list_entry(ut_verifier *v, uint64_t seq, ut_trace_entry *entry, listing *list)
{
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    if (list->traces > 0) {
        const int order =
            memcmp(list->traces_of[list->traces - 1], entry->trace_id, UT_TRACE_ID_LEN);
        if (order > 0)
            ut_verify_problem(v, "block %llu: the entries of its traces are not in order",
                              (ut_verify_number)seq);
        if (order != 0 && list->traces < UT_BLOCK_SPANS_MAX)
            memcpy(list->traces_of[list->traces++], entry->trace_id, UT_TRACE_ID_LEN);
    } else {
        memcpy(list->traces_of[list->traces++], entry->trace_id, UT_TRACE_ID_LEN);
    }
    list->head[list->traces - 1] = list->head[list->traces - 1] || entry->head;
    if (entry->head && entry->has_root)
        list->head_of_root[list->traces - 1] = true;
    for (uint32_t i = 0; ut_ordinal_list_next(&entry->ordinals, &last, &ordinal); i++) {
        if (list->listed[ordinal])
            ut_verify_problem(v, "block %llu: span %llu is in two entries", (ut_verify_number)seq,
                              (ut_verify_number)ordinal);
        list->listed[ordinal] = true;
        list->digests[ordinal] = ut_trace_entry_digest(entry, i);
        memcpy(list->ids[ordinal], entry->trace_id, UT_TRACE_ID_LEN);
    }
}

static ut_err list_entries(ut_verifier *v, uint32_t org, uint64_t seq, listing *list)
{
    ut_block_traces_walk walk;
    ut_trace_entry entry;
    ut_err err;
    ut_block_traces_walk_begin(&walk, v->lookup, org, seq);
    while ((err = ut_block_traces_next(&walk, &entry)) == UT_OK)
        list_entry(v, seq, &entry, list);
    if (err == UT_ECORRUPT)
        ut_verify_problem(v, "block %llu: the entries of its traces are damaged",
                          (ut_verify_number)seq);
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

// ---- spans against entries ----

// The digests of the scopes of a block, with what they hang on.
static void digest_scopes(const ut_block_tables *tables, ut_siphash_key key,
                          uint64_t of_scopes[UT_BLOCK_SPANS_MAX])
{
    for (uint32_t i = 0; i < tables->scope_count; i++)
        of_scopes[i] = ut_siphash_with(key, tables->scopes[i],
                                       ut_siphash(key, tables->resources[tables->resource_of[i]]));
}

static void check_span(ut_verifier *v, uint64_t seq, uint32_t ordinal, ut_bytes raw,
                       uint64_t digest, const listing *list)
{
    ut_span span;
    ut_mp_reader reader = ut_mp_reader_of(raw);
    if (ut_span_read(&reader, &span) != UT_OK) {
        ut_verify_problem(v, "block %llu: span %llu cannot be read", (ut_verify_number)seq,
                          (ut_verify_number)ordinal);
        return;
    }
    if (!list->listed[ordinal] ||
        memcmp(list->ids[ordinal], span.trace_id.data, UT_TRACE_ID_LEN) != 0)
        ut_verify_problem(v, "block %llu: span %llu is not in the entry of its trace",
                          (ut_verify_number)seq, (ut_verify_number)ordinal);
    else if (list->digests[ordinal] != digest)
        ut_verify_problem(v, "block %llu: span %llu has another digest than its entry says",
                          (ut_verify_number)seq, (ut_verify_number)ordinal);
}

static ut_err check_spans(ut_verifier *v, uint64_t seq, const ut_block *block,
                          const ut_index_secret *secret, const listing *list)
{
    const ut_siphash_key key = ut_index_digest_key(secret, ut_store_view_filter_seed(v->view, seq));
    uint64_t of_scopes[UT_BLOCK_SPANS_MAX];
    ut_block_tables tables;
    ut_block_cursor cursor;
    bool more = true;
    ut_err err = ut_block_tables_read(block, &tables);
    if (err != UT_OK)
        return err;
    digest_scopes(&tables, key, of_scopes);
    ut_block_walk(block, &cursor);
    err = ut_block_next_group(&cursor, &more);
    while (err == UT_OK && more) {
        ut_bytes raw;
        bool left;
        const uint32_t ordinal = cursor.ordinal;
        err = ut_block_skip_span(&cursor, &raw, &left);
        if (err == UT_OK && !left)
            err = ut_block_next_group(&cursor, &more);
        else if (err == UT_OK &&
                 (ordinal >= UT_BLOCK_SPANS_MAX || cursor.scope_index >= tables.scope_count))
            err = UT_ECORRUPT;
        else if (err == UT_OK)
            check_span(v, seq, ordinal, raw,
                       ut_siphash_with(key, raw, of_scopes[cursor.scope_index]), list);
    }
    return err;
}

// ---- entries against the index ----

// The run that covers a block and is ready; NULL: none does.
static const ut_run *find_run(const ut_verifier *v, uint64_t seq)
{
    const ut_run *runs = ut_runs_of(&v->runs);
    for (size_t i = 0; i < ut_runs_count(&v->runs); i++) {
        if (runs[i].state == UT_RUN_READY && runs[i].first_seq <= seq && seq <= runs[i].last_seq)
            return &runs[i];
    }
    return NULL;
}

// A block that runs cover is found through one of them.
static ut_err check_posting(ut_verifier *v, uint32_t org, uint64_t seq, const uint8_t *trace_id)
{
    const ut_run *run = find_run(v, seq);
    ut_posting posting;
    ut_err err = UT_ENOTFOUND;
    if (run == NULL && seq > ut_runs_covered(&v->runs))
        return UT_OK;
    if (run != NULL) {
        ut_run_walk walk;
        ut_run_walk_begin(&walk, v->lookup, org, run->run);
        err = ut_run_walk_seek(&walk, trace_id, seq, &posting);
    }
    if (err == UT_OK &&
        (memcmp(posting.trace_id, trace_id, UT_TRACE_ID_LEN) != 0 || posting.seq != seq))
        err = UT_ENOTFOUND;
    if (err == UT_ENOTFOUND)
        ut_verify_problem(v, "block %llu: the index does not name it for one of its traces",
                          (ut_verify_number)seq);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// True while the removal of a block is under way: it passes heads on bit by bit.
static bool is_leaving(ut_verifier *v)
{
    const ut_key from = ut_key_expiry(0, 0, 0);
    ut_bytes key;
    ut_bytes value;
    uint32_t hour;
    uint32_t org;
    uint64_t seq;
    return ut_cursor_seek(v->lookup, ut_key_bytes(&from), &key, &value) == UT_OK &&
           ut_key_read_expiry(key, &hour, &org, &seq) && hour == UT_RETENTION_UNFINISHED_HOUR;
}

// Looks over the heads of a trace. *of_root: one of them tells of a root span. *first: the block of
// the first one; 0: there is none.
static ut_err find_heads(ut_verifier *v, uint32_t org, const uint8_t *trace_id, bool *of_root,
                         uint64_t *first)
{
    *of_root = false;
    *first = 0;
    ut_err err = ut_trace_find(v->txn, org, trace_id, &v->seqs);
    const uint64_t *seqs = (const uint64_t *)(const void *)v->seqs.data;
    for (size_t i = 0; i < v->seqs.len / sizeof(uint64_t) && err == UT_OK && !*of_root; i++) {
        ut_trace_part part;
        err = ut_trace_part_read(v->lookup, org, seqs[i], trace_id, &part);
        if (err == UT_OK && part.head) {
            *of_root = part.has_root;
            *first = *first == 0 ? seqs[i] : *first;
        }
        if (err == UT_ENOTFOUND || err == UT_ECORRUPT)
            err = UT_OK;
    }
    return err;
}

// A trace is counted at the head that counts: the one of a root span, or else the first one. At the
// first block of a trace without one there, it is looked for.
static ut_err check_head(ut_verifier *v, uint32_t org, uint64_t seq, const listing *list,
                         uint32_t number)
{
    const uint8_t *trace_id = list->traces_of[number];
    uint64_t first = seq;
    bool of_root = false;
    ut_err err = UT_OK;
    if (list->head_of_root[number]) {
        // A trace with entries of an earlier version is counted at the first of those.
        ut_buf_reset(&v->seqs, SIZE_MAX);
        err = ut_trace_legacy_find(v->txn, org, trace_id, &v->seqs);
        v->report.traces += v->seqs.len == 0;
        return err;
    }
    if (!list->head[number])
        err = ut_trace_find_first(v->txn, org, trace_id, &first);
    if (err == UT_ENOTFOUND || (err == UT_OK && first != seq))
        return UT_OK; // check_posting tells, or another block does
    if (err == UT_OK)
        err = find_heads(v, org, trace_id, &of_root, &first);
    if (err != UT_OK)
        return err;
    if (list->head[number] && !of_root && first == seq)
        v->report.traces += 1;
    if (first == 0 && !is_leaving(v))
        ut_verify_problem(v, "a trace of block %llu has no head: listings pass it by",
                          (ut_verify_number)seq);
    return UT_OK;
}

ut_err ut_verify_block_traces(ut_verifier *v, uint32_t org, uint64_t seq, const ut_block *block)
{
    ut_index_secret secret;
    listing *list = calloc(1, sizeof(*list));
    if (list == NULL)
        return UT_ENOMEM;
    ut_err err = ut_index_secret_read(v->txn, &secret);
    if (err == UT_ENOTFOUND || err == UT_ECORRUPT) {
        ut_verify_problem(v, "the secret of the index is %s",
                          err == UT_ENOTFOUND ? "not there" : "damaged");
        free(list);
        return UT_OK;
    }
    if (err == UT_OK)
        err = ut_runs_read(v->txn, org, &v->runs, NULL);
    if (err == UT_OK)
        err = list_entries(v, org, seq, list);
    if (err == UT_OK)
        err = check_spans(v, seq, block, &secret, list);
    if (err == UT_ECORRUPT) {
        ut_verify_problem(v, "block %llu: its spans cannot be read", (ut_verify_number)seq);
        err = UT_OK;
    }
    for (uint32_t i = block->info.span_count; i < UT_BLOCK_SPANS_MAX && err == UT_OK; i++) {
        if (list->listed[i])
            ut_verify_problem(v, "block %llu: an entry lists span %llu, which it does not have",
                              (ut_verify_number)seq, (ut_verify_number)i);
    }
    for (uint32_t i = 0; i < list->traces && err == UT_OK; i++) {
        err = check_posting(v, org, seq, list->traces_of[i]);
        if (err == UT_OK)
            err = check_head(v, org, seq, list, i);
    }
    free(list);
    return err;
}

// ---- runs ----

static const ut_run *run_of(const ut_verifier *v, uint64_t number)
{
    const ut_run *runs = ut_runs_of(&v->runs);
    for (size_t i = 0; i < ut_runs_count(&v->runs); i++) {
        if (runs[i].run == number)
            return &runs[i];
    }
    return NULL;
}

// Two runs that are ready cover no block both.
static ut_err check_run(ut_verifier *v, uint32_t org, uint64_t number)
{
    uint32_t damaged = 0;
    const ut_err err = ut_runs_read(v->txn, org, &v->runs, &damaged);
    const ut_run *run = run_of(v, number);
    if (err != UT_OK)
        return err;
    if (run == NULL) {
        ut_verify_problem(v, "the head of run %llu of the index is damaged",
                          (ut_verify_number)number);
        return UT_OK;
    }
    const ut_run *runs = ut_runs_of(&v->runs);
    for (size_t i = 0; i < ut_runs_count(&v->runs) && run->state == UT_RUN_READY; i++) {
        if (runs[i].state == UT_RUN_READY && runs[i].run > number &&
            runs[i].first_seq <= run->last_seq && run->first_seq <= runs[i].last_seq)
            ut_verify_problem(v, "runs %llu and %llu of the index cover the same blocks",
                              (ut_verify_number)number, (ut_verify_number)runs[i].run);
    }
    return UT_OK;
}

// A posting tells of spans that its block has, and the filter lets its trace pass.
static ut_err check_run_posting(ut_verifier *v, uint32_t org, uint64_t run, ut_siphash_key key,
                                const ut_posting *posting)
{
    ut_run_filter filter;
    bool maybe = false;
    bool there = false;
    v->report.done += posting->count;
    ut_run_filter_begin(&filter, v->lookup, org, run);
    ut_err err = ut_run_filter_ask(&filter, posting->trace_id,
                                   ut_trace_hash(key, posting->trace_id), &maybe);
    if (err == UT_OK && !maybe)
        ut_verify_problem(v, "run %llu of the index: its filter hides a trace of block %llu",
                          (ut_verify_number)run, (ut_verify_number)posting->seq);
    if (err == UT_OK)
        err = ut_trace_block_is_there(v->txn, org, posting->seq, &there);
    if (err != UT_OK || !there)
        return err;
    ut_trace_part part;
    err = ut_trace_part_read(v->lookup, org, posting->seq, posting->trace_id, &part);
    if (err == UT_ENOTFOUND || (err == UT_OK && part.count != posting->count))
        ut_verify_problem(v, "run %llu of the index tells of other spans than block %llu has",
                          (ut_verify_number)run, (ut_verify_number)posting->seq);
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

static ut_err check_slice(ut_verifier *v, uint32_t org, uint64_t number, ut_bytes value)
{
    ut_index_secret secret;
    ut_run_walk walk;
    ut_posting posting;
    const ut_run *run = run_of(v, number);
    if (run == NULL)
        ut_verify_problem(v, "a slice of the index is of run %llu, which is not there",
                          (ut_verify_number)number);
    if (run == NULL || run->state != UT_RUN_READY)
        return UT_OK; // it is being built or deleted
    ut_err err = ut_index_secret_read(v->txn, &secret);
    if (err != UT_OK)
        return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
    ut_run_walk_slice(&walk, value);
    while ((err = ut_run_walk_next(&walk, &posting)) == UT_OK) {
        v->work += 1;
        err = check_run_posting(v, org, number, ut_index_filter_key(&secret), &posting);
        if (err != UT_OK)
            return err;
    }
    if (err == UT_ECORRUPT)
        ut_verify_problem(v, "run %llu of the index: a slice is damaged", (ut_verify_number)number);
    return err == UT_ENOTFOUND || err == UT_ECORRUPT ? UT_OK : err;
}

ut_err ut_verify_run_record(ut_verifier *v, ut_bytes key, ut_bytes value)
{
    uint32_t org;
    uint64_t run;
    uint64_t seq;
    ut_key_run_slice kind;
    const uint8_t *trace_id;
    if (ut_key_read_run(key, &org, &run))
        return check_run(v, org, run);
    if (!ut_key_read_slice(key, &org, &kind, &run, &trace_id, &seq)) {
        ut_verify_problem(v, "a key of the index is damaged");
        return UT_OK;
    }
    if (v->resumed) {
        // The heads were read in another view.
        const ut_err err = ut_runs_read(v->txn, org, &v->runs, NULL);
        if (err != UT_OK)
            return err;
    }
    return kind == UT_KEY_RUN_POSTINGS ? check_slice(v, org, run, value) : UT_OK;
}
