// The index of traces; see trace_index.h.
// Not for queries: query.c reads what is written here.
#include "storage/store/trace_index.h"

#include "storage/store/key.h"

#include <stdlib.h>

enum {
    VALUE_HEAD_MAX = 64, // of an entry, beside ordinals and span ids
    ORDINAL_LEN_MAX = 2, // of one ordinal below UT_BLOCK_SPANS_MAX
    FILTER_BYTES_MIN = 4096,
    FILTER_BITS_PER_ID = 32, // at the start; half as many when the filter is full
    FILTER_PROBES = 6,
    BUFFER_MAX = 1 << 30,
};

static const uint32_t none = UINT32_MAX;

// ---- hashes ----

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value)); // any order does: the number never leaves this program
    return value;
}

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
    uint64_t h = mix(load64(id) ^ index->seed[0]);
    return (uint32_t)mix((h ^ load64(id + 8) ^ index->seed[1]) + org);
}

static uint32_t hash_span(const ut_trace_index *index, uint32_t trace, const uint8_t *id)
{
    return (uint32_t)mix(mix(load64(id) ^ index->seed[0]) + trace);
}

// ---- life ----

void ut_trace_index_init(ut_trace_index *index, const uint8_t seed[16])
{
    memset(index, 0, sizeof(*index));
    memcpy(index->seed, seed, sizeof(index->seed));
    ut_buf_init(&index->spans, BUFFER_MAX);
    ut_buf_init(&index->traces, BUFFER_MAX);
    ut_buf_init(&index->span_slots, BUFFER_MAX);
    ut_buf_init(&index->trace_slots, BUFFER_MAX);
    ut_buf_init(&index->ordinals, BUFFER_MAX);
    ut_buf_init(&index->span_ids, BUFFER_MAX);
    ut_buf_init(&index->value, BUFFER_MAX);
}

void ut_trace_index_free(ut_trace_index *index)
{
    ut_buf_free(&index->spans);
    ut_buf_free(&index->traces);
    ut_buf_free(&index->span_slots);
    ut_buf_free(&index->trace_slots);
    ut_buf_free(&index->ordinals);
    ut_buf_free(&index->span_ids);
    ut_buf_free(&index->value);
    for (size_t i = 0; i < UT_TRACE_FILTERS_MAX; i++)
        free(index->filters[i].bits);
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

static uint32_t *slots_of(const ut_buf *slots)
{
    return (uint32_t *)(void *)slots->data;
}

// The trace of a span, made when it is new.
static uint32_t place_trace(ut_trace_index *index, uint32_t org, const uint8_t *id)
{
    uint32_t hash = hash_trace(index, org, id);
    uint32_t *slots = slots_of(&index->trace_slots);
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

// The slot of a span id in its trace: taken by an equal one, or free.
static uint32_t find_span(const ut_trace_index *index, uint32_t trace, const uint8_t *id)
{
    const uint32_t *slots = slots_of(&index->span_slots);
    const ut_plan_span *spans = ut_trace_index_spans(index);
    uint32_t slot = hash_span(index, trace, id) & index->span_mask;
    for (; slots[slot] != 0; slot = (slot + 1) & index->span_mask) {
        const ut_plan_span *known = &spans[slots[slot] - 1];
        if (known->trace == trace && memcmp(known->span->span_id, id, UT_SPAN_ID_LEN) == 0)
            break;
    }
    return slot;
}

static ut_err plan_batch(ut_trace_index *index, uint32_t org, const ut_batch *batch)
{
    const ut_batch_span *source = ut_batch_spans(batch);
    ut_plan_span *spans = ut_trace_index_spans(index);
    uint32_t *slots = slots_of(&index->span_slots);
    uint32_t trace = none;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        const ut_batch_span *span = &source[i];
        // Spans of a trace mostly stand together.
        if (i == 0 || memcmp(span->trace_id, source[i - 1].trace_id, UT_TRACE_ID_LEN) != 0)
            trace = place_trace(index, org, span->trace_id);
        if (trace == none)
            return index->traces.err;
        uint32_t number = index->span_count++;
        spans[number] = (ut_plan_span){.span = span, .trace = trace & 0x7fffffff, .next = none};
        uint32_t slot = find_span(index, trace, span->span_id);
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

ut_err ut_trace_index_plan(ut_trace_index *index, const ut_store_append *appends, size_t count)
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
    if (ut_buf_reserve(&index->spans, total * sizeof(ut_plan_span)) == NULL)
        return index->spans.err;
    index->spans.len = total * sizeof(ut_plan_span);
    ut_err err = make_slots(&index->span_slots, (uint32_t)total, &index->span_mask);
    if (err == UT_OK)
        err = make_slots(&index->trace_slots, (uint32_t)total, &index->trace_mask);
    for (size_t i = 0; i < count && err == UT_OK; i++)
        err = plan_batch(index, appends[i].org, appends[i].batch);
    return err;
}

// ---- filters of long traces ----

static ut_trace_filter *find_filter(ut_trace_index *index, const ut_plan_trace *trace)
{
    for (size_t i = 0; i < UT_TRACE_FILTERS_MAX && index->filter_bytes > 0; i++) {
        ut_trace_filter *filter = &index->filters[i];
        if (filter->bits != NULL && filter->org == trace->org &&
            memcmp(filter->id, trace->id, UT_TRACE_ID_LEN) == 0) {
            filter->used = ++index->filter_clock;
            return filter;
        }
    }
    return NULL;
}

static void drop_filter(ut_trace_index *index, ut_trace_filter *filter)
{
    index->filter_bytes -= filter->bytes;
    free(filter->bits);
    *filter = (ut_trace_filter){0};
}

void ut_trace_index_forget(ut_trace_index *index)
{
    for (size_t i = 0; i < UT_TRACE_FILTERS_MAX; i++) {
        if (index->filters[i].bits != NULL)
            drop_filter(index, &index->filters[i]);
    }
}

// A filter for twice `count` ids, at the cost of those that were not asked for the longest time.
// NULL: too many ids, or no memory; the trace is then scanned each time.
static ut_trace_filter *make_filter(ut_trace_index *index, const ut_plan_trace *trace, size_t count)
{
    uint32_t bytes = FILTER_BYTES_MIN;
    while (bytes < UT_TRACE_FILTER_BYTES_MAX && bytes < 2 * count * (FILTER_BITS_PER_ID / 8))
        bytes *= 2;
    uint32_t count_max = bytes / (FILTER_BITS_PER_ID / 2 / 8);
    if (count >= count_max)
        return NULL;
    ut_trace_filter *place;
    do {
        ut_trace_filter *oldest = NULL;
        place = NULL;
        for (size_t i = 0; i < UT_TRACE_FILTERS_MAX; i++) {
            ut_trace_filter *filter = &index->filters[i];
            if (filter->bits == NULL)
                place = filter;
            else if (oldest == NULL || filter->used < oldest->used)
                oldest = filter;
        }
        if (oldest != NULL &&
            (place == NULL || index->filter_bytes + bytes > UT_TRACE_FILTERS_BYTES_MAX)) {
            drop_filter(index, oldest);
            place = NULL;
        }
    } while (place == NULL);
    uint8_t *bits = calloc(1, bytes);
    if (bits == NULL)
        return NULL;
    *place = (ut_trace_filter){.bits = bits,
                               .bytes = bytes,
                               .count_max = count_max,
                               .org = trace->org,
                               .used = ++index->filter_clock};
    memcpy(place->id, trace->id, UT_TRACE_ID_LEN);
    index->filter_bytes += bytes;
    return place;
}

// Looks an id up, and adds it when told to. True when it may have been there.
static bool probe_filter(const ut_trace_index *index, ut_trace_filter *filter, const uint8_t *id,
                         bool add)
{
    uint64_t h = mix(load64(id) ^ index->seed[1]);
    uint32_t at = (uint32_t)h;
    uint32_t step = (uint32_t)(h >> 32) | 1;
    uint32_t mask = filter->bytes * 8 - 1;
    bool there = true;
    for (unsigned i = 0; i < FILTER_PROBES; i++, at += step) {
        uint8_t bit = (uint8_t)(1 << (at & 7));
        uint8_t *byte = &filter->bits[(at & mask) >> 3];
        there = there && (*byte & bit) != 0;
        if (add)
            *byte |= bit;
    }
    if (add)
        filter->count += 1;
    return there;
}

// ---- looking up ----

// Marks the spans of the plan that an entry holds.
static void mark_duplicates(ut_trace_index *index, uint32_t number, const ut_record_trace *entry)
{
    ut_plan_span *spans = ut_trace_index_spans(index);
    const uint32_t *slots = slots_of(&index->span_slots);
    for (uint32_t i = 0; i < entry->count; i++) {
        uint32_t slot = find_span(index, number, entry->span_ids.data + (size_t)i * UT_SPAN_ID_LEN);
        if (slots[slot] != 0)
            spans[slots[slot] - 1].duplicate = 1;
    }
}

// The stored entries of one trace of the plan.
typedef struct {
    ut_cursor *cursor;
    ut_key prefix; // of the keys of all its entries
    ut_bytes key;  // of the entry under the cursor, as value; borrowed until the cursor moves
    ut_bytes value;
    uint32_t number; // of the trace in the plan
} entry_walk;

// Moves to the first entry of the trace, or to where it would stand.
static ut_err seek_first(entry_walk *walk)
{
    return ut_cursor_seek(walk->cursor, ut_key_bytes(&walk->prefix), &walk->key, &walk->value);
}

// Goes over all entries, from the first one, where the walk stands. Without a filter it marks the
// spans of the plan that they hold; else it adds their ids to the filter. *entries and *ids: out,
// how many there are.
static ut_err walk_entries(ut_trace_index *index, entry_walk *walk, ut_trace_filter *filter,
                           uint32_t *entries, size_t *ids)
{
    ut_err err = UT_OK;
    *entries = 0;
    *ids = 0;
    while (err == UT_OK && ut_key_begins_with(walk->key, &walk->prefix)) {
        ut_record_trace entry;
        // A damaged entry hides its spans; they can then be stored twice, which is better than not
        // at all.
        if (ut_record_read_trace(walk->value, &entry) == UT_OK) {
            if (filter == NULL)
                mark_duplicates(index, walk->number, &entry);
            for (uint32_t i = 0; i < entry.count && filter != NULL; i++)
                (void)probe_filter(index, filter, entry.span_ids.data + (size_t)i * UT_SPAN_ID_LEN,
                                   true);
            *ids += entry.count;
        }
        *entries += 1;
        err = ut_cursor_next(walk->cursor, &walk->key, &walk->value);
    }
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Adds the new spans of the plan to the filter. True when one may be in the store.
static bool probe_plan(ut_trace_index *index, ut_trace_filter *filter, const ut_plan_trace *trace,
                       bool add)
{
    const ut_plan_span *spans = ut_trace_index_spans(index);
    bool any = false;
    for (uint32_t i = trace->first; i != none; i = spans[i].next) {
        if (!add || spans[i].duplicate == 0)
            any = probe_filter(index, filter, spans[i].span->span_id, add) || any;
    }
    return any;
}

// Marks the spans of the plan that the store has. The walk stands on the first entry.
static ut_err find_duplicates(ut_trace_index *index, entry_walk *walk)
{
    ut_plan_trace *trace = &ut_trace_index_traces(index)[walk->number];
    ut_trace_filter *filter = find_filter(index, trace);
    if (filter != NULL && !probe_plan(index, filter, trace, false)) {
        (void)probe_plan(index, filter, trace, true); // adds
    } else {
        uint32_t entries;
        size_t ids;
        ut_err err = walk_entries(index, walk, NULL, &entries, &ids);
        if (err != UT_OK)
            return err;
        if (filter == NULL && entries >= UT_TRACE_LONG_FROM) {
            filter = make_filter(index, trace, ids);
            if (filter == NULL)
                return UT_OK;
            err = seek_first(walk);
            if (err == UT_OK)
                err = walk_entries(index, walk, filter, &entries, &ids);
            if (err != UT_OK) {
                drop_filter(index, filter);
                return err;
            }
        }
        if (filter != NULL)
            (void)probe_plan(index, filter, trace, true);
    }
    if (filter != NULL && filter->count > filter->count_max)
        drop_filter(index, filter); // the next look-up makes a larger one
    return UT_OK;
}

// Decides which span the root record of a trace will tell of.
static void choose_source(ut_trace_index *index, ut_plan_trace *trace)
{
    const ut_plan_span *spans = ut_trace_index_spans(index);
    uint32_t root = none;
    uint32_t earliest = none;
    for (uint32_t i = trace->first; i != none; i = spans[i].next) {
        if (spans[i].duplicate != 0)
            continue;
        if (root == none && spans[i].span->root)
            root = i;
        if (earliest == none || spans[i].span->start_ns < spans[earliest].span->start_ns)
            earliest = i;
    }
    trace->replaces = trace->known && trace->root_key_stored && !trace->root_known && root != none;
    if (trace->known && trace->root_key_stored && !trace->replaces)
        return;
    trace->source = root != none ? root : earliest;
    if (trace->source == none)
        return;
    trace->root_known = root != none;
    trace->old_root_seen_ns = trace->root_seen_ns;
    trace->root_seen_ns = index->now_ns;
}

static ut_err look_up(ut_trace_index *index, ut_cursor *cursor, uint32_t number)
{
    ut_plan_trace *trace = &ut_trace_index_traces(index)[number];
    trace->known = false;
    trace->root_known = false;
    trace->replaces = false;
    trace->root_key_stored = false;
    trace->source = none;
    trace->block = 0;
    entry_walk walk = {
        .cursor = cursor,
        .prefix = ut_key_prefix(ut_key_trace(trace->org, trace->id, 0), UT_KEY_PREFIX_TRACE),
        .number = number,
    };
    ut_err err = seek_first(&walk);
    uint32_t org;
    uint8_t id[UT_TRACE_ID_LEN];
    if (err == UT_OK && ut_key_begins_with(walk.key, &walk.prefix) &&
        ut_key_read_entry(walk.key, &org, id, &trace->first_seq)) {
        ut_record_trace entry;
        trace->known = true;
        if (ut_record_read_trace(walk.value, &entry) == UT_OK && entry.has_root_key) {
            trace->root_key_stored = true;
            trace->root_known = entry.root_known;
            trace->root_seen_ns = entry.root_seen_ns;
        }
        err = find_duplicates(index, &walk);
    } else if (err == UT_OK || err == UT_ENOTFOUND) {
        // All its entries have left. Nothing is added to a filter while the trace is not known, so
        // that an old one would not know the spans that come now.
        ut_trace_filter *filter = find_filter(index, trace);
        if (filter != NULL)
            drop_filter(index, filter);
    }
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    choose_source(index, trace);
    return UT_OK;
}

// Marks of an earlier transaction that did not end well are taken back: only repeats within the
// plan stay.
static void forget_marks(ut_trace_index *index)
{
    ut_plan_span *spans = ut_trace_index_spans(index);
    const ut_plan_trace *traces = ut_trace_index_traces(index);
    for (uint32_t t = 0; t < index->trace_count; t++) {
        for (uint32_t i = traces[t].first; i != none; i = spans[i].next)
            spans[i].duplicate = 0; // a repeat is in no chain
    }
}

ut_err ut_trace_index_look_up(ut_trace_index *index, ut_txn *txn, uint64_t now_ns)
{
    ut_cursor *cursor;
    ut_err err = ut_txn_cursor(txn, &cursor);
    if (err != UT_OK)
        return err;
    forget_marks(index);
    index->now_ns = now_ns;
    index->block = 0;
    for (uint32_t i = 0; i < index->trace_count && err == UT_OK; i++)
        err = look_up(index, cursor, i);
    ut_cursor_close(cursor);
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
    uint32_t home = ut_trace_index_spans(index)[number].trace;
    ut_plan_trace *trace = &ut_trace_index_traces(index)[home];
    if (trace->block != index->block) {
        trace->block = index->block;
        trace->block_first = (uint16_t)ordinal;
        index->members[index->member_count++] = home;
    } else {
        index->next[trace->block_last] = (uint16_t)ordinal;
    }
    trace->block_last = (uint16_t)ordinal;
    index->next[ordinal] = UINT16_MAX;
}

// The block whose entries and root records are written.
typedef struct {
    ut_txn *txn;
    const ut_block_builder *builder;
    uint64_t seq;
    uint32_t ids_max; // span ids in one part of an entry
} block_job;

static ut_err put_root(ut_trace_index *index, const block_job *job, const ut_plan_trace *trace,
                       uint32_t ordinal)
{
    const ut_batch_span *span = ut_block_builder_span(job->builder, ordinal);
    ut_record_root root = {
        .seq = job->seq,
        .ordinal = ordinal,
        .has_root = trace->root_known,
        .start_ns = span->start_ns,
        .duration_ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0,
        .status = span->status,
        .names_hidden = index->hide_names,
    };
    ut_err err = ut_block_builder_names(job->builder, ordinal, &root.name, &root.service);
    if (err != UT_OK)
        return err;
    ut_buf_reset(&index->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_root(&index->value, &root);
    if (index->value.err != UT_OK)
        return index->value.err;
    ut_key key = ut_key_root(trace->org, trace->root_seen_ns, trace->id);
    return ut_txn_put(job->txn, ut_key_bytes(&key), ut_buf_bytes(&index->value));
}

// Writes the entry at key again, now with the key of the root record in it.
static ut_err put_root_key(ut_trace_index *index, ut_txn *txn, const ut_key *key,
                           uint64_t root_seen_ns, bool root_known)
{
    ut_bytes value;
    ut_err err = ut_txn_get(txn, ut_key_bytes(key), &value);
    if (err != UT_OK)
        return err == UT_ENOTFOUND ? UT_ECORRUPT : err;
    ut_record_trace entry;
    if (ut_record_read_trace(value, &entry) != UT_OK)
        return UT_OK; // damaged: the next spans of the trace make a new root record
    entry.has_root_key = true;
    entry.root_known = root_known;
    entry.root_seen_ns = root_seen_ns;
    ut_buf_reset(&index->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_trace(&index->value, &entry);
    if (index->value.err != UT_OK)
        return index->value.err;
    return ut_txn_put(txn, ut_key_bytes(key), ut_buf_bytes(&index->value));
}

// A real root has come: the stand-in goes, and the first entry learns the new key.
static ut_err replace_stand_in(ut_trace_index *index, ut_txn *txn, const ut_plan_trace *trace)
{
    ut_key old = ut_key_root(trace->org, trace->old_root_seen_ns, trace->id);
    ut_err err = ut_txn_del(txn, ut_key_bytes(&old));
    if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    ut_key first = ut_key_trace(trace->org, trace->id, trace->first_seq);
    return put_root_key(index, txn, &first, trace->root_seen_ns, true);
}

// Writes one part of an entry: spans of the chain from *ordinal on, as many as one value holds.
static ut_err put_part(ut_trace_index *index, const block_job *job, ut_plan_trace *trace,
                       uint8_t part, uint16_t *ordinal)
{
    ut_record_trace entry = {.start_ns = UINT64_MAX};
    uint64_t end_ns = 0;
    uint32_t last = UINT32_MAX;
    ut_buf_reset(&index->ordinals, UT_TRACE_MEMORY_KEEP);
    ut_buf_reset(&index->span_ids, UT_TRACE_MEMORY_KEEP);
    for (; *ordinal != UINT16_MAX && entry.count < job->ids_max; *ordinal = index->next[*ordinal]) {
        const ut_batch_span *span = ut_block_builder_span(job->builder, *ordinal);
        ut_record_put_ordinal(&index->ordinals, &last, *ordinal);
        ut_buf_add(&index->span_ids, span->span_id, UT_SPAN_ID_LEN);
        entry.count += 1;
        entry.has_root = entry.has_root || span->root;
        if (span->status > entry.status)
            entry.status = span->status;
        if (span->start_ns < entry.start_ns)
            entry.start_ns = span->start_ns;
        if (span->end_ns > end_ns)
            end_ns = span->end_ns;
    }
    entry.length_ns = end_ns > entry.start_ns ? end_ns - entry.start_ns : 0;
    entry.ordinals = ut_buf_bytes(&index->ordinals);
    entry.span_ids = ut_buf_bytes(&index->span_ids);
    if (!trace->root_key_stored) {
        entry.has_root_key = true;
        entry.root_known = trace->root_known;
        entry.root_seen_ns = trace->root_seen_ns;
        trace->root_key_stored = true;
    }
    ut_buf_reset(&index->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_trace(&index->value, &entry);
    if (index->ordinals.err != UT_OK || index->span_ids.err != UT_OK || index->value.err != UT_OK)
        return UT_ENOMEM;
    ut_key key = ut_key_trace_part(trace->org, trace->id, job->seq, part);
    return ut_txn_put(job->txn, ut_key_bytes(&key), ut_buf_bytes(&index->value));
}

// The ordinal of the span that the root record will tell of; none: it is not in this block, and
// comes with a later one of the same transaction, or no root record is to be written.
static uint32_t find_source(const ut_trace_index *index, const block_job *job,
                            const ut_plan_trace *trace)
{
    if (trace->source == none)
        return none;
    const uint8_t *wanted = ut_trace_index_spans(index)[trace->source].span->span_id;
    for (uint16_t at = trace->block_first; at != UINT16_MAX; at = index->next[at]) {
        if (memcmp(ut_block_builder_span(job->builder, at)->span_id, wanted, UT_SPAN_ID_LEN) == 0)
            return at;
    }
    return none;
}

// Writes what the block has of one trace: all parts of its entry, and its root record.
static ut_err put_trace(ut_trace_index *index, const block_job *job, ut_plan_trace *trace)
{
    ut_err err = UT_OK;
    uint16_t ordinal = trace->block_first;
    for (unsigned part = 0; ordinal != UINT16_MAX && err == UT_OK; part++) {
        UT_ASSERT(part <= UINT8_MAX);
        err = put_part(index, job, trace, (uint8_t)part, &ordinal);
    }
    const uint32_t source = find_source(index, job, trace);
    if (source == none || err != UT_OK)
        return err;
    if (trace->replaces)
        err = replace_stand_in(index, job->txn, trace);
    return err == UT_OK ? put_root(index, job, trace, source) : err;
}

ut_err ut_trace_index_write_block(ut_trace_index *index, ut_txn *txn,
                                  const ut_block_builder *builder, uint64_t seq)
{
    const uint32_t room = txn->engine->value_bytes_best;
    UT_ASSERT(room >= 2 * VALUE_HEAD_MAX);
    const block_job job = {
        .txn = txn,
        .builder = builder,
        .seq = seq,
        .ids_max = (room - VALUE_HEAD_MAX) / (UT_SPAN_ID_LEN + ORDINAL_LEN_MAX),
    };
    ut_err err = UT_OK;
    for (uint32_t i = 0; i < index->member_count && err == UT_OK; i++)
        err = put_trace(index, &job, &ut_trace_index_traces(index)[index->members[i]]);
    return err;
}

// ---- removing ----

// An entry that is to go, and the keys behind it.
typedef struct {
    bool found;
    bool readable;
    bool followed; // by another entry of the trace, at next
    uint8_t parts; // further parts of the entry
    ut_record_trace entry;
    ut_key next;
} removal;

static ut_err look_behind(ut_cursor *cursor, removal *found)
{
    ut_bytes key;
    ut_bytes value;
    ut_key own = found->next; // the entry's own key
    found->followed = false;
    for (;;) {
        ut_err err = ut_cursor_next(cursor, &key, &value);
        if (err == UT_ENOTFOUND)
            return UT_OK;
        if (err != UT_OK)
            return err;
        if (ut_key_begins_with(key, &own)) {
            found->parts += 1;
            continue;
        }
        if (key.len == own.len && memcmp(key.data, own.data, UT_KEY_PREFIX_TRACE) == 0) {
            found->followed = true;
            memcpy(found->next.data, key.data, key.len);
        }
        return UT_OK;
    }
}

// Finds the entry of block seq of a trace.
static ut_err find_removal(ut_cursor *cursor, uint32_t org, const uint8_t *id, uint64_t seq,
                           removal *found)
{
    *found = (removal){.next = ut_key_trace(org, id, seq)};
    ut_bytes wanted = ut_key_bytes(&found->next);
    ut_bytes key;
    ut_bytes value;
    ut_err err = ut_cursor_seek(cursor, wanted, &key, &value);
    if (err == UT_ENOTFOUND)
        return UT_OK;
    if (err != UT_OK)
        return err;
    found->found = key.len == wanted.len && memcmp(key.data, wanted.data, wanted.len) == 0;
    if (!found->found)
        return UT_OK;
    found->readable = ut_record_read_trace(value, &found->entry) == UT_OK;
    return look_behind(cursor, found);
}

ut_err ut_trace_index_remove(ut_trace_index *index, ut_cursor *cursor, uint32_t org,
                             const uint8_t id[UT_TRACE_ID_LEN], uint64_t seq, uint32_t *touched)
{
    ut_txn *txn = cursor->txn;
    removal found;
    ut_err err = find_removal(cursor, org, id, seq, &found);
    if (err != UT_OK || !found.found)
        return err;
    for (unsigned part = 0; part <= found.parts && err == UT_OK; part++) {
        ut_key key = ut_key_trace_part(org, id, seq, (uint8_t)part);
        err = ut_txn_del(txn, ut_key_bytes(&key));
        if (err == UT_ENOTFOUND)
            err = UT_OK;
    }
    *touched += 1;
    if (err != UT_OK || !found.readable || !found.entry.has_root_key)
        return err;
    *touched += 1;
    if (found.followed)
        return put_root_key(index, txn, &found.next, found.entry.root_seen_ns,
                            found.entry.root_known);
    ut_key root = ut_key_root(org, found.entry.root_seen_ns, id);
    err = ut_txn_del(txn, ut_key_bytes(&root));
    return err == UT_ENOTFOUND ? UT_OK : err;
}
