// The spans of a commit by trace; see trace_index.h.
// Not for questions: storage/query reads what is written here.
#include "storage/store/ordinal_list.h"
#include "storage/store/trace_index.h"

#include "storage/span/trace_time.h"
#include "storage/store/key.h"
#include "storage/store/keyring.h"
#include "storage/store/trace_legacy.h"

#include <stdlib.h>

enum {
    BUFFER_MAX = 1 << 30,
    BUFFERS = 11,
};

static const uint32_t none = UINT32_MAX;

// What a look-up has found and has to look at more closely.
typedef struct {
    uint64_t seq;
    uint32_t rank;
    bool suspect; // the block may have a span of the plan
    bool head;
    bool has_root;
} find;

// ---- hashes ----

// Every bit of the result depends on every bit of x (the finalizer of MurmurHash3).
static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static uint32_t hash_trace(const ut_trace_index *index, uint32_t org, const uint8_t *id)
{
    return (uint32_t)ut_siphash_with(index->filter_key, (ut_bytes){id, UT_TRACE_ID_LEN}, org);
}

// The digest of a span: its record with what it hangs on, so that two spans that differ in anything
// are two.
static uint64_t digest_scope(ut_siphash_key key, const ut_batch *batch, uint32_t scope)
{
    const ut_batch_part *part = &ut_batch_scopes(batch)[scope];
    const ut_batch_part *resource = &ut_batch_resources(batch)[part->resource];
    const uint64_t of_resource =
        ut_siphash(key, (ut_bytes){batch->resource_bytes.data + resource->offset, resource->len});
    return ut_siphash_with(key, (ut_bytes){batch->scope_bytes.data + part->offset, part->len},
                           of_resource);
}

// ---- memory ----

// All buffers of an index, to treat them alike.
static void buffers_of(ut_trace_index *index, ut_buf *buffers[BUFFERS])
{
    ut_buf *const all[BUFFERS] = {&index->spans,   &index->traces,      &index->ranks,
                                  &index->ids,     &index->parts,       &index->span_slots,
                                  &index->finds,   &index->trace_slots, &index->ordinals,
                                  &index->digests, &index->value};
    memcpy(buffers, all, sizeof(all));
}

ut_err ut_trace_index_init(ut_trace_index *index)
{
    *index = (ut_trace_index){.marked = none};
    ut_buf *buffers[BUFFERS];
    buffers_of(index, buffers);
    for (size_t i = 0; i < BUFFERS; i++)
        ut_buf_init(buffers[i], BUFFER_MAX);
    ut_trace_finder_init(&index->finder);
    ut_trace_recent_init(&index->recent);
    ut_block_traces_writer_init(&index->writer);
    index->fingerprints = calloc(UT_FINGERPRINTS / 64, sizeof(uint64_t));
    return index->fingerprints != NULL ? UT_OK : UT_ENOMEM;
}

void ut_trace_index_free(ut_trace_index *index)
{
    ut_buf *buffers[BUFFERS];
    buffers_of(index, buffers);
    for (size_t i = 0; i < BUFFERS; i++)
        ut_buf_free(buffers[i]);
    ut_trace_finder_free(&index->finder);
    ut_trace_recent_free(&index->recent);
    ut_block_traces_writer_free(&index->writer);
    free(index->fingerprints);
    index->fingerprints = NULL;
}

void ut_trace_index_trim(ut_trace_index *index)
{
    ut_buf *buffers[BUFFERS];
    buffers_of(index, buffers);
    for (size_t i = 0; i < BUFFERS; i++)
        ut_buf_reset(buffers[i], UT_TRACE_MEMORY_KEEP);
    index->span_count = 0;
    index->trace_count = 0;
}

ut_err ut_trace_index_open(ut_trace_index *index, ut_txn *txn)
{
    ut_err err = ut_index_secret_read(txn, &index->secret);
    if (err == UT_ENOTFOUND)
        err = ut_index_secret_make(txn, &index->value, &index->secret);
    if (err != UT_OK)
        return err;
    index->filter_key = ut_index_filter_key(&index->secret);
    return ut_trace_legacy_is_there(txn, &index->has_legacy);
}

void ut_trace_index_taken_back(ut_trace_index *index)
{
    index->has_legacy = true;
}

// ---- the plan ----

// Makes an empty table of at least twice `count` slots.
static ut_err make_slots(ut_buf *slots, uint32_t count, uint32_t *mask)
{
    size_t cap = 16;
    while (cap < 2 * (size_t)count)
        cap *= 2;
    ut_buf_reset(slots, UT_TRACE_MEMORY_KEEP);
    uint8_t *at = ut_buf_reserve(slots, cap * sizeof(uint32_t));
    if (at == NULL)
        return slots->err;
    memset(at, 0, cap * sizeof(uint32_t));
    slots->len = cap * sizeof(uint32_t);
    *mask = (uint32_t)(cap - 1);
    return UT_OK;
}

static uint32_t *numbers_of(const ut_buf *buf)
{
    return (uint32_t *)(void *)buf->data;
}

// The trace of a span, made when it is new.
static uint32_t place_trace(ut_trace_index *index, uint32_t org, const uint8_t *id)
{
    uint32_t hash = hash_trace(index, org, id);
    uint32_t *slots = numbers_of(&index->trace_slots);
    uint32_t slot = hash & index->trace_mask;
    ut_plan_trace *traces = ut_trace_index_traces(index);
    for (; slots[slot] != 0; slot = (slot + 1) & index->trace_mask) {
        const ut_plan_trace *trace = &traces[slots[slot] - 1];
        if (trace->hash == hash && trace->org == org && memcmp(trace->id, id, UT_TRACE_ID_LEN) == 0)
            return slots[slot] - 1;
    }
    ut_plan_trace *made = (ut_plan_trace *)(void *)ut_buf_reserve(&index->traces, sizeof(*made));
    if (made == NULL)
        return none;
    *made = (ut_plan_trace){.org = org, .hash = hash, .first = none, .last = none, .source = none};
    memcpy(made->id, id, UT_TRACE_ID_LEN);
    index->traces.len += sizeof(*made);
    index->trace_count += 1;
    slots[slot] = index->trace_count;
    return index->trace_count - 1;
}

// The slot of a span in its trace: taken by an equal one, or free.
static uint32_t find_span(const ut_trace_index *index, uint32_t trace, uint64_t digest)
{
    const uint32_t *slots = numbers_of(&index->span_slots);
    const ut_plan_span *spans = ut_trace_index_spans(index);
    uint32_t slot = (uint32_t)mix(digest + trace) & index->span_mask;
    for (; slots[slot] != 0; slot = (slot + 1) & index->span_mask) {
        const ut_plan_span *known = &spans[slots[slot] - 1];
        if (known->trace == trace && known->digest == digest)
            break;
    }
    return slot;
}

static ut_err digest_scopes(ut_trace_index *index, const ut_batch *batch)
{
    ut_buf_reset(&index->parts, UT_TRACE_MEMORY_KEEP);
    for (uint32_t i = 0; i < batch->scope_count; i++) {
        const uint64_t digest = digest_scope(index->digest_key, batch, i);
        ut_buf_add(&index->parts, &digest, sizeof(digest));
    }
    return index->parts.err;
}

static ut_err plan_batch(ut_trace_index *index, uint32_t org, const ut_batch *batch)
{
    const ut_batch_span *source = ut_batch_spans(batch);
    ut_plan_span *spans = ut_trace_index_spans(index);
    uint32_t *slots = numbers_of(&index->span_slots);
    uint32_t trace = none;
    ut_err err = digest_scopes(index, batch);
    if (err != UT_OK)
        return err;
    const uint64_t *of_scopes = (const uint64_t *)(const void *)index->parts.data;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        const ut_batch_span *span = &source[i];
        // Spans of a trace mostly stand together.
        if (i == 0 || memcmp(span->trace_id, source[i - 1].trace_id, UT_TRACE_ID_LEN) != 0)
            trace = place_trace(index, org, span->trace_id);
        if (trace == none)
            return index->traces.err;
        const uint32_t number = index->span_count++;
        const ut_bytes record = {batch->span_bytes.data + span->offset, span->len};
        spans[number] = (ut_plan_span){
            .span = span,
            .digest = ut_siphash_with(index->digest_key, record, of_scopes[span->scope]),
            .trace = trace & 0x7fffffff,
            .next = none,
        };
        const uint32_t slot = find_span(index, trace, spans[number].digest);
        if (slots[slot] != 0) {
            spans[number].duplicate = 1;
            continue;
        }
        slots[slot] = number + 1;
        ut_plan_trace *home = &ut_trace_index_traces(index)[trace];
        if (home->first == none)
            home->first = number;
        else
            spans[home->last].next = number;
        home->last = number;
    }
    return UT_OK;
}

// The place of a trace in the order of organisations and ids.
typedef struct {
    uint64_t first_bytes; // of the id
    uint32_t org;
    uint32_t trace;
    const uint8_t *id;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *left = a;
    const place *right = b;
    if (left->org != right->org)
        return left->org < right->org ? -1 : 1;
    if (left->first_bytes != right->first_bytes)
        return left->first_bytes < right->first_bytes ? -1 : 1;
    return memcmp(left->id, right->id, UT_TRACE_ID_LEN);
}

// Brings the traces into order.
static ut_err rank_traces(ut_trace_index *index)
{
    ut_plan_trace *traces = ut_trace_index_traces(index);
    const uint32_t count = index->trace_count;
    ut_buf_reset(&index->finds, UT_TRACE_MEMORY_KEEP);
    ut_buf_reset(&index->ranks, UT_TRACE_MEMORY_KEEP);
    ut_buf_reset(&index->ids, UT_TRACE_MEMORY_KEEP);
    place *places = (place *)(void *)ut_buf_reserve(&index->finds, count * sizeof(place));
    if (places == NULL)
        return index->finds.err;
    for (uint32_t i = 0; i < count; i++)
        places[i] = (place){ut_get_be64(traces[i].id), traces[i].org, i, traces[i].id};
    qsort(places, count, sizeof(place), compare_places);
    for (uint32_t rank = 0; rank < count; rank++) {
        traces[places[rank].trace].rank = rank;
        ut_buf_add(&index->ranks, &places[rank].trace, sizeof(uint32_t));
        ut_buf_add(&index->ids, places[rank].id, UT_TRACE_ID_LEN);
    }
    return index->ranks.err != UT_OK ? index->ranks.err : index->ids.err;
}

ut_err ut_trace_index_plan(ut_trace_index *index, uint64_t digest_seed,
                           const ut_store_append *appends, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += appends[i].batch->span_count;
    if (total > UT_TRACE_SPANS_MAX)
        return UT_ELIMIT;
    ut_buf_reset(&index->spans, UT_TRACE_MEMORY_KEEP);
    ut_buf_reset(&index->traces, UT_TRACE_MEMORY_KEEP);
    index->span_count = 0;
    index->trace_count = 0;
    index->block = 0;
    index->appends = appends;
    index->digest_seed = digest_seed;
    index->digest_key = ut_index_digest_key(&index->secret, digest_seed);
    if (ut_buf_reserve(&index->spans, total * sizeof(ut_plan_span)) == NULL)
        return index->spans.err;
    index->spans.len = total * sizeof(ut_plan_span);
    ut_err err = make_slots(&index->span_slots, (uint32_t)total, &index->span_mask);
    if (err == UT_OK)
        err = make_slots(&index->trace_slots, (uint32_t)total, &index->trace_mask);
    for (size_t i = 0; i < count && err == UT_OK; i++)
        err = plan_batch(index, appends[i].org, appends[i].batch);
    return err == UT_OK ? rank_traces(index) : err;
}

// ---- looking up ----

static void mark(ut_trace_index *index, uint32_t trace, uint64_t digest)
{
    const uint32_t slot = numbers_of(&index->span_slots)[find_span(index, trace, digest)];
    if (slot != 0)
        ut_trace_index_spans(index)[slot - 1].duplicate = 1;
}

// Marks the spans of the plan that an entry holds.
static void mark_entry(ut_trace_index *index, uint32_t trace, const ut_trace_entry *entry)
{
    for (uint32_t i = 0; i < entry->count; i++)
        mark(index, trace, ut_trace_entry_digest(entry, i));
}

static bool has_own_seed(const ut_trace_index *index, uint64_t seq)
{
    return ut_keyring_filter_seed(index->keyring, seq) == index->digest_seed;
}

// The digest of a span of the plan under another key than that of the plan.
static uint64_t digest_again(const ut_trace_index *index, uint32_t number, ut_siphash_key key)
{
    const ut_store_append *append = index->appends;
    for (; number >= append->batch->span_count; append++)
        number -= append->batch->span_count;
    const ut_batch *batch = append->batch;
    const ut_batch_span *span = &ut_batch_spans(batch)[number];
    return ut_siphash_with(key, (ut_bytes){batch->span_bytes.data + span->offset, span->len},
                           digest_scope(key, batch, span->scope));
}

// The same as mark_entry for a block from before the store was encrypted, whose digests have
// another key.
static void mark_foreign(ut_trace_index *index, uint32_t trace, uint64_t seq,
                         const ut_trace_entry *entry)
{
    ut_plan_span *spans = ut_trace_index_spans(index);
    const ut_siphash_key key =
        ut_index_digest_key(&index->secret, ut_keyring_filter_seed(index->keyring, seq));
    for (uint32_t i = ut_trace_index_traces(index)[trace].first; i != none; i = spans[i].next) {
        const uint64_t digest = digest_again(index, i, key);
        for (uint32_t k = 0; k < entry->count && spans[i].duplicate == 0; k++)
            spans[i].duplicate = ut_trace_entry_digest(entry, k) == digest;
    }
}

static void mark_spans(ut_trace_index *index, uint32_t trace, uint64_t seq,
                       const ut_trace_entry *entry)
{
    if (has_own_seed(index, seq))
        mark_entry(index, trace, entry);
    else
        mark_foreign(index, trace, seq, entry);
}

// Sets or clears the bits of the fingerprints of a trace's spans.
static void set_fingerprints(ut_trace_index *index, uint32_t trace, bool on)
{
    const ut_plan_span *spans = ut_trace_index_spans(index);
    for (uint32_t i = ut_trace_index_traces(index)[trace].first; i != none; i = spans[i].next) {
        const uint32_t print = (uint32_t)(spans[i].digest & (UT_FINGERPRINTS - 1));
        const uint64_t bit = UINT64_C(1) << print % 64;
        if (on)
            index->fingerprints[print / 64] |= bit;
        else
            index->fingerprints[print / 64] &= ~bit;
    }
}

static void mark_fingerprints(ut_trace_index *index, uint32_t trace)
{
    if (index->marked == trace)
        return;
    if (index->marked != none)
        set_fingerprints(index, index->marked, false);
    if (trace != none)
        set_fingerprints(index, trace, true);
    index->marked = trace;
}

// True when one of the fingerprints is that of a span of the trace.
static bool may_hold(ut_trace_index *index, uint32_t trace, const ut_posting *posting)
{
    if (!has_own_seed(index, posting->seq))
        return true;
    mark_fingerprints(index, trace);
    const uint8_t *at = posting->fingerprints.data;
    for (uint32_t i = 0; i < posting->count; i++, at += UT_FINGERPRINT_LEN) {
        const uint32_t print = (uint32_t)at[0] | (uint32_t)at[1] << 8;
        if ((index->fingerprints[print / 64] & UINT64_C(1) << print % 64) != 0)
            return true;
    }
    return false;
}

// Passes the postings of a run in which no span of the plan can be, and no head.
static bool pass_group(void *context, uint32_t number, const ut_posting_group *group)
{
    ut_trace_index *index = context;
    const ut_plan_span *spans = ut_trace_index_spans(index);
    if (group->any_head || group->filter.len == 0 || index->mixed_seeds)
        return false;
    const uint32_t trace = ut_trace_index_at(index, index->find_base + number);
    for (uint32_t i = ut_trace_index_traces(index)[trace].first; i != none; i = spans[i].next) {
        if (ut_posting_group_may_have(group, (uint32_t)(spans[i].digest & (UT_FINGERPRINTS - 1))))
            return false;
    }
    return true;
}

static void take_posting(void *context, uint32_t number, const ut_posting *posting)
{
    ut_trace_index *index = context;
    const uint32_t rank = index->find_base + number;
    const find found = {
        .seq = posting->seq,
        .rank = rank,
        .suspect = may_hold(index, ut_trace_index_at(index, rank), posting),
        .head = posting->head,
        .has_root = posting->has_root,
    };
    if (found.suspect || found.head)
        ut_buf_add(&index->finds, &found, sizeof(found));
}

static void take_entry(void *context, uint32_t number, uint64_t seq, const ut_trace_entry *entry)
{
    ut_trace_index *index = context;
    const uint32_t number_of = ut_trace_index_at(index, index->find_base + number);
    ut_plan_trace *trace = &ut_trace_index_traces(index)[number_of];
    mark_spans(index, number_of, seq, entry);
    if (entry->head) {
        trace->head_known = true;
        trace->head_has_root = trace->head_has_root || entry->has_root;
    }
}

static int compare_finds(const void *a, const void *b)
{
    const find *left = a;
    const find *right = b;
    if (left->seq != right->seq)
        return left->seq < right->seq ? -1 : 1;
    return (left->rank > right->rank) - (left->rank < right->rank);
}

// Looks at the block of finds first..end - 1, which runs have said may hold spans of the plan.
static ut_err look_inside(ut_trace_index *index, ut_cursor *cursor, const find *first,
                          const find *end)
{
    const uint32_t org = ut_trace_index_traces(index)[ut_trace_index_at(index, first->rank)].org;
    bool there = false;
    ut_err err = ut_trace_block_is_there(cursor->txn, org, first->seq, &there);
    if (err != UT_OK || !there)
        return err;
    ut_block_traces_walk walk;
    ut_block_traces_walk_begin(&walk, cursor, org, first->seq);
    for (const find *at = first; at != end; at++) {
        const uint32_t number = ut_trace_index_at(index, at->rank);
        ut_plan_trace *trace = &ut_trace_index_traces(index)[number];
        trace->head_known = trace->head_known || at->head;
        trace->head_has_root = trace->head_has_root || (at->head && at->has_root);
        ut_trace_entry entry;
        err = UT_ENOTFOUND;
        if (at->suspect)
            err = ut_block_traces_find(&walk, trace->id, &entry);
        for (; err == UT_OK; err = ut_block_traces_find(&walk, trace->id, &entry))
            mark_spans(index, number, at->seq, &entry);
        // A damaged entry hides its spans; they can then be stored twice, which is better than not
        // at all.
        if (err != UT_ENOTFOUND && err != UT_ECORRUPT)
            return err;
    }
    return UT_OK;
}

static ut_err look_at_finds(ut_trace_index *index, ut_cursor *cursor)
{
    find *finds = (find *)(void *)index->finds.data;
    const size_t count = index->finds.len / sizeof(find);
    ut_err err = index->finds.err;
    if (count > 0)
        qsort(finds, count, sizeof(find), compare_finds);
    for (size_t from = 0; from < count && err == UT_OK;) {
        size_t end = from + 1;
        while (end < count && finds[end].seq == finds[from].seq)
            end += 1;
        err = look_inside(index, cursor, finds + from, finds + end);
        if (err == UT_ECORRUPT) { // as a damaged entry
            index->finder.damaged = true;
            err = UT_OK;
        }
        from = end;
    }
    return err;
}

// A trace of the plan, for the entries that an earlier version wrote of it.
typedef struct {
    ut_trace_index *index;
    ut_plan_trace *trace;
} legacy_look;

// An old entry has the ids of its spans, and no digests: equal ids are the same span there.
static void take_legacy(void *context, const ut_record_trace *entry)
{
    const legacy_look *look = context;
    ut_plan_span *spans = ut_trace_index_spans(look->index);
    for (uint32_t i = look->trace->first; i != none; i = spans[i].next) {
        for (uint32_t k = 0; k < entry->count && spans[i].duplicate == 0; k++)
            spans[i].duplicate = memcmp(entry->span_ids.data + (size_t)k * UT_SPAN_ID_LEN,
                                        spans[i].span->span_id, UT_SPAN_ID_LEN) == 0;
    }
    if (entry->has_root_key) {
        look->trace->head_known = true;
        look->trace->head_has_root = look->trace->head_has_root || entry->root_known;
    }
}

static ut_err look_at_legacy(ut_trace_index *index, ut_cursor *cursor)
{
    ut_err err = UT_OK;
    for (uint32_t i = 0; i < index->trace_count && err == UT_OK; i++) {
        ut_plan_trace *trace = &ut_trace_index_traces(index)[i];
        legacy_look look = {index, trace};
        err = ut_trace_legacy_walk(cursor, trace->org, trace->id, take_legacy, &look);
    }
    return err;
}

// Marks of an earlier transaction that did not end well are taken back: only repeats within the
// plan stay.
static void forget_marks(ut_trace_index *index)
{
    ut_plan_span *spans = ut_trace_index_spans(index);
    ut_plan_trace *traces = ut_trace_index_traces(index);
    for (uint32_t t = 0; t < index->trace_count; t++) {
        for (uint32_t i = traces[t].first; i != none; i = spans[i].next)
            spans[i].duplicate = 0; // a repeat is in no chain
        traces[t].head_known = false;
        traces[t].head_has_root = false;
        traces[t].source = none;
        traces[t].block = 0;
    }
}

// Chooses the spans of which new heads will tell: the first new root span of each trace whose head
// tells of none.
static void choose_sources(ut_trace_index *index)
{
    const ut_plan_span *spans = ut_trace_index_spans(index);
    ut_plan_trace *traces = ut_trace_index_traces(index);
    for (uint32_t t = 0; t < index->trace_count; t++) {
        if (traces[t].head_has_root)
            continue;
        uint32_t i = traces[t].first;
        while (i != none && (spans[i].duplicate != 0 || !spans[i].span->root))
            i = spans[i].next;
        traces[t].source = i;
    }
}

// Asks the index for the traces of each organisation.
static ut_err find_traces(ut_trace_index *index, ut_txn *txn)
{
    const ut_trace_visitor visitor = {
        .context = index, .posting = take_posting, .pass = pass_group, .entry = take_entry};
    const ut_plan_trace *traces = ut_trace_index_traces(index);
    ut_err err = UT_OK;
    ut_buf_reset(&index->finds, UT_TRACE_MEMORY_KEEP);
    for (uint32_t from = 0; from < index->trace_count && err == UT_OK;) {
        const uint32_t org = traces[ut_trace_index_at(index, from)].org;
        uint32_t end = from + 1;
        while (end < index->trace_count && traces[ut_trace_index_at(index, end)].org == org)
            end += 1;
        const ut_trace_wanted wanted = {
            .txn = txn,
            .org = org,
            .filter_key = index->filter_key,
            .ids = index->ids.data + (size_t)from * UT_TRACE_ID_LEN,
            .count = end - from,
            .recent = &index->recent,
        };
        index->find_base = from;
        err = ut_trace_find_all(&index->finder, &wanted, &visitor);
        from = end;
    }
    mark_fingerprints(index, none);
    return err;
}

ut_err ut_trace_index_look_up(ut_trace_index *index, ut_txn *txn)
{
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    forget_marks(index);
    index->keyring = txn->engine->keyring;
    index->mixed_seeds = !has_own_seed(index, 1);
    index->block = 0;
    if (index->has_legacy) // until the last block of an earlier version has left
        err = ut_trace_legacy_is_there(txn, &index->has_legacy);
    if (err == UT_OK)
        err = find_traces(index, txn);
    if (err == UT_OK)
        err = look_at_finds(index, cursor);
    if (err == UT_OK && index->has_legacy)
        err = look_at_legacy(index, cursor);
    ut_cursor_close(cursor);
    choose_sources(index);
    return err;
}

// ---- writing ----

void ut_trace_index_begin_block(ut_trace_index *index)
{
    index->block += 1;
    index->member_count = 0;
}

void ut_trace_index_add(ut_trace_index *index, uint32_t number, uint32_t ordinal)
{
    UT_ASSERT(ordinal < UT_BLOCK_SPANS_MAX);
    const uint32_t home = ut_trace_index_spans(index)[number].trace;
    ut_plan_trace *trace = &ut_trace_index_traces(index)[home];
    if (trace->block != index->block) {
        trace->block = index->block;
        trace->block_first = (uint16_t)ordinal;
        index->members[index->member_count++] = trace->rank;
    } else {
        index->next[trace->block_last] = (uint16_t)ordinal;
    }
    trace->block_last = (uint16_t)ordinal;
    index->next[ordinal] = UINT16_MAX;
    index->numbers[ordinal] = number;
}

// Fills an entry with spans of the chain from *ordinal on, as many as it may have. *has_source: one
// of them is the span that makes a head.
static void fill_entry(ut_trace_index *index, const ut_plan_trace *trace, uint32_t spans_max,
                       uint16_t *ordinal, ut_trace_entry *entry, bool *has_source)
{
    const ut_plan_span *spans = ut_trace_index_spans(index);
    ut_trace_time time = {.any = false};
    uint32_t last = none;
    uint64_t named_ns = 0; // start of the span at root_ordinal
    *has_source = false;
    *entry = (ut_trace_entry){.trace_id = trace->id};
    ut_buf_reset(&index->ordinals, UT_TRACE_MEMORY_KEEP);
    ut_buf_reset(&index->digests, UT_TRACE_MEMORY_KEEP);
    for (; *ordinal != UINT16_MAX && entry->count < spans_max; *ordinal = index->next[*ordinal]) {
        const uint32_t number = index->numbers[*ordinal];
        const ut_batch_span *span = spans[number].span;
        uint8_t digest[UT_DIGEST_LEN];
        ut_put_le64(digest, spans[number].digest);
        ut_ordinal_list_put(&index->ordinals, &last, *ordinal);
        ut_buf_add(&index->digests, digest, sizeof(digest));
        if (entry->count == 0 || (span->root && !entry->has_root) ||
            (span->root == entry->has_root && ut_trace_time_earlier(span->start_ns, named_ns))) {
            entry->root_ordinal = *ordinal;
            named_ns = span->start_ns;
        }
        *has_source = *has_source || number == trace->source;
        entry->has_root = entry->has_root || span->root;
        entry->count += 1;
        if (span->status > entry->status)
            entry->status = span->status;
        ut_trace_time_add(&time, span->start_ns, span->end_ns);
    }
    entry->start_ns = time.start_ns;
    entry->length_ns = time.end_ns - time.start_ns;
    entry->ordinals = ut_buf_bytes(&index->ordinals);
    entry->digests = ut_buf_bytes(&index->digests);
}

// Adds the entries of one trace to the block.
static ut_err add_entries(ut_trace_index *index, ut_plan_trace *trace, uint32_t spans_max)
{
    ut_err err = UT_OK;
    uint16_t ordinal = trace->block_first;
    while (ordinal != UINT16_MAX && err == UT_OK) {
        ut_trace_entry entry;
        bool has_source;
        fill_entry(index, trace, spans_max, &ordinal, &entry, &has_source);
        entry.head = has_source || (!trace->head_known && trace->source == none);
        trace->head_known = trace->head_known || entry.head;
        if (has_source) {
            trace->head_has_root = true;
            trace->source = none;
        }
        err = index->ordinals.err != UT_OK ? index->ordinals.err : index->digests.err;
        if (err == UT_OK)
            err = ut_block_traces_add(&index->writer, &entry);
    }
    return err;
}

static int compare_ranks(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

ut_err ut_trace_index_write_block(ut_trace_index *index, ut_txn *txn, uint32_t org,
                                  const ut_block_builder *builder, uint64_t seq)
{
    const uint32_t spans_max = ut_block_traces_spans_max(txn->engine);
    uint64_t base_ns = UINT64_MAX;
    for (uint32_t i = 0; i < ut_block_builder_count(builder); i++) {
        const uint64_t start_ns = ut_block_builder_span(builder, i)->start_ns;
        if (start_ns < base_ns)
            base_ns = start_ns;
    }
    qsort(index->members, index->member_count, sizeof(uint32_t), compare_ranks);
    ut_block_traces_begin(&index->writer, txn, org, seq, base_ns);
    ut_trace_recent_begin_block(&index->recent, seq, index->member_count);
    ut_err err = UT_OK;
    for (uint32_t i = 0; i < index->member_count && err == UT_OK; i++) {
        ut_plan_trace *trace =
            &ut_trace_index_traces(index)[ut_trace_index_at(index, index->members[i])];
        ut_trace_recent_add(&index->recent, ut_trace_hash(index->filter_key, trace->id));
        err = add_entries(index, trace, spans_max);
    }
    return err == UT_OK ? ut_block_traces_end(&index->writer) : err;
}
