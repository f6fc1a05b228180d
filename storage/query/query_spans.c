// Spans by a filter; see query.h. Blocks are chosen by their summaries, or by the entries of a
// trace where the filter names one; a block that is opened is walked once.
// Not for whether a span matches (filter.c) and whether a block may hold one (block_summary.c).
#include "storage/query/query.h"

#include "port/base/order.h"
#include "storage/span/block_tables.h"
#include "storage/store/block_summary.h"
#include "storage/store/key.h"
#include "storage/store/store_txn.h"
#include "storage/store/store_view.h"
#include "storage/store/trace_find.h"

#include <stdlib.h>

enum {
    BITS_BYTES = UT_BLOCK_SPANS_MAX / 8,
    ORDINAL_LAST = UT_BLOCK_SPANS_MAX - 1,
    NO_SCOPE = UT_BLOCK_SPANS_MAX,
    SEQS_BYTES_MAX = 1 << 30, // of the numbers of a trace's blocks
};

// A span that matches, to be visited later.
typedef struct {
    const uint8_t *at;
    uint16_t ordinal;
    uint16_t scope;
} match;

typedef struct {
    ut_store_view *view;
    const ut_search *search;
    const ut_filter *filter;
    ut_query_cursor *cursor;
    ut_search_work *work;
    ut_trace_span_visitor visitor;
    ut_block_summary_question question;
    uint64_t seed;    // that it was made for
    ut_buf seqs;      // of the blocks of the trace that the filter names: uint64_t each
    size_t seq_at;    // the next of them
    ut_cursor *index; // over the summaries, or for the entries of the trace
    // Blocks whose summaries stand in damaged pages: they are read without.
    uint64_t gap_next; // the next of them
    uint64_t gap_left; // how many are left
    bool gap_is_last;  // no block stands behind them
    bool renewed;      // the index stands nowhere
    bool gap_ended;    // the index is to be moved behind them, to gap_next
    bool index_read;   // it stands on key and value, which are still to be looked at
    ut_bytes key;
    ut_bytes value;
    uint32_t blocks_left;
    uint32_t summaries_left;
    uint64_t spans_left;
    ut_err stopped; // by the visitor
    // The block that is open.
    uint64_t seq;
    uint32_t ordinal_first; // ordinals that the cursor has left to be seen
    uint32_t ordinal_end;
    bool picked; // by the entries of a trace: only the ordinals in `wanted`
    uint8_t wanted[BITS_BYTES];
    ut_buf payload;
    ut_block block;
    ut_block_tables tables;
    ut_filter_place resources[UT_BLOCK_SPANS_MAX]; // by index: where a span of it may match
    ut_filter_place scopes[UT_BLOCK_SPANS_MAX];
    match matches[UT_BLOCK_SPANS_MAX];
    uint32_t match_count;
    uint32_t row_scope; // whose scope and resource stand in row
    ut_trace_span row;
} search;

// ---- one block ----

static void set_cursor(search *s, uint32_t ordinal)
{
    *s->cursor = (ut_query_cursor){.begun = true, .seq = s->seq, .ordinal = ordinal};
}

static void leave_block(search *s)
{
    set_cursor(s, s->search->oldest_first ? ORDINAL_LAST : 0);
}

// Holds resources and scopes against the filter. *possible: a span of one of them may match.
static ut_err place_parts(search *s, bool *possible)
{
    *possible = false;
    ut_err err = ut_block_tables_read(&s->block, &s->tables);
    for (uint32_t i = 0; err == UT_OK && i < s->tables.resource_count; i++) {
        ut_resource resource;
        ut_mp_reader reader = ut_mp_reader_of(s->tables.resources[i]);
        err = ut_resource_read(&reader, &resource);
        if (err == UT_OK)
            s->resources[i] = ut_filter_at_resource(s->filter, &resource);
    }
    for (uint32_t i = 0; err == UT_OK && i < s->tables.scope_count; i++) {
        ut_scope scope;
        ut_mp_reader reader = ut_mp_reader_of(s->tables.scopes[i]);
        err = ut_scope_read(&reader, &scope);
        if (err != UT_OK)
            break;
        s->scopes[i] =
            ut_filter_at_scope(s->filter, s->resources[s->tables.resource_of[i]], &scope);
        *possible = *possible || s->scopes[i].possible;
    }
    return err;
}

static bool is_wanted(const search *s, uint32_t ordinal)
{
    return ordinal >= s->ordinal_first && ordinal < s->ordinal_end &&
           (!s->picked || (s->wanted[ordinal / 8] & 1 << ordinal % 8) != 0);
}

// Visits the span in s->row.
static ut_err visit(search *s, uint32_t ordinal, uint32_t scope)
{
    ut_trace_span *row = &s->row;
    if (s->row_scope != scope) {
        ut_mp_reader reader = ut_mp_reader_of(s->tables.scopes[scope]);
        ut_err err = ut_scope_read(&reader, &row->scope);
        if (err == UT_OK) {
            reader = ut_mp_reader_of(s->tables.resources[s->tables.resource_of[scope]]);
            err = ut_resource_read(&reader, &row->resource);
        }
        if (err != UT_OK)
            return err;
        s->row_scope = scope;
    }
    row->seq = s->seq;
    row->ordinal = ordinal;
    s->spans_left -= 1;
    s->work->spans_visited += 1;
    set_cursor(s, ordinal);
    s->stopped = s->visitor.visit(s->visitor.context, row);
    return s->stopped;
}

// Takes the spans of one group: visits them, or notes those that match for later. *full: one more
// matches than may be visited.
static ut_err take_group(search *s, ut_block_cursor *walk, bool *full)
{
    ut_filter_place place = s->scopes[walk->scope_index];
    if (!place.possible)
        return UT_OK; // entering the next group passes the spans of this one
    for (;;) {
        uint32_t ordinal = walk->ordinal;
        const uint8_t *at = walk->spans.at;
        bool more;
        if (ordinal >= s->ordinal_end)
            return UT_OK;
        if (!is_wanted(s, ordinal)) {
            ut_bytes raw;
            ut_err err = ut_block_skip_span(walk, &raw, &more);
            if (err != UT_OK || !more)
                return err;
            continue;
        }
        ut_err err = ut_block_next_span(walk, &s->row.span, &more);
        if (err != UT_OK || !more)
            return err;
        if (!ut_filter_match_span(s->filter, place, &s->row.span))
            continue;
        if (!s->search->oldest_first) {
            s->matches[s->match_count++] =
                (match){at, (uint16_t)ordinal, (uint16_t)walk->scope_index};
            continue;
        }
        *full = s->spans_left == 0;
        if (*full)
            return UT_OK;
        err = visit(s, ordinal, walk->scope_index);
        if (err != UT_OK)
            return err;
    }
}

static ut_err visit_matches(search *s, bool *full)
{
    ut_err err = UT_OK;
    while (err == UT_OK && s->match_count > 0 && !*full) {
        *full = s->spans_left == 0;
        if (*full)
            break;
        const match *last = &s->matches[--s->match_count];
        const uint8_t *end = s->block.payload.data + s->block.payload.len;
        ut_mp_reader reader = {.at = last->at, .end = end};
        err = ut_span_read(&reader, &s->row.span);
        if (err == UT_OK)
            err = visit(s, last->ordinal, last->scope);
    }
    return err;
}

// UT_ECORRUPT: what could be read before the damage has been visited.
static ut_err walk_block(search *s, bool *full)
{
    bool possible;
    ut_err err = place_parts(s, &possible);
    if (err != UT_OK || !possible)
        return err;
    ut_block_cursor walk;
    bool more = true;
    s->row_scope = NO_SCOPE;
    s->match_count = 0;
    ut_block_walk(&s->block, &walk);
    while (err == UT_OK && more && !*full && walk.ordinal < s->ordinal_end) {
        err = ut_block_next_group(&walk, &more);
        if (err == UT_OK && more)
            err = take_group(s, &walk, full);
    }
    if (s->stopped == UT_OK && !s->search->oldest_first) {
        ut_err visited = visit_matches(s, full);
        err = visited != UT_OK ? visited : err;
    }
    return err;
}

// Begins the view anew: pages that are damaged end a transaction.
static ut_err renew_view(search *s)
{
    s->index_read = false;
    s->index = NULL; // it ends with the view
    const ut_err err = ut_store_view_begin(s->view);
    return err == UT_OK ? ut_txn_cursor(ut_store_view_txn(s->view), &s->index) : err;
}

// Opens block s->seq and visits what matches. A block that cannot be read is counted and passed.
static ut_err take_block(search *s, bool *full)
{
    s->blocks_left -= 1;
    s->work->blocks_read += 1;
    ut_err err = ut_store_read_block(s->view, s->search->org, s->seq, &s->payload, &s->block);
    if (err == UT_OK)
        err = walk_block(s, full);
    if (s->stopped != UT_OK)
        return s->stopped;
    if (err == UT_ECORRUPT || err == UT_EVERSION || err == UT_EFORMAT) {
        s->work->blocks_damaged += 1;
        s->renewed = true;
        err = renew_view(s);
        if (err != UT_OK)
            return err;
    } else if (err != UT_OK && err != UT_ENOTFOUND)
        return err;
    if (!*full)
        leave_block(s);
    return UT_OK;
}

// ---- which blocks ----

// Reads the next record of the index, unless one that was read is still to be looked at.
static ut_err next_record(search *s)
{
    if (s->index_read)
        return UT_OK;
    ut_err err =
        s->index->txn->engine->class->step(s->index, !s->search->oldest_first, &s->key, &s->value);
    s->index_read = err == UT_OK;
    return err;
}

// The place in seqs of the first block that the cursor leaves to be seen, in the order of the
// search; seqs.len / 8 when there is none.
static size_t find_seq(const search *s)
{
    const uint64_t *seqs = (const uint64_t *)(const void *)s->seqs.data;
    const size_t count = s->seqs.len / sizeof(uint64_t);
    const bool forward = s->search->oldest_first;
    const uint64_t from = s->cursor->begun ? s->cursor->seq : forward ? 0 : UINT64_MAX;
    size_t low = 0; // the first that is not before `from`
    for (size_t high = count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (seqs[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    if (forward || (low < count && seqs[low] == from))
        return low;
    return low > 0 ? low - 1 : count;
}

// Moves the index to the first summary from seq on, in the order of the search.
static ut_err seek_summary(search *s, uint64_t seq)
{
    const ut_key key = ut_key_summary(s->search->org, seq);
    const ut_err err = s->index->txn->engine->class->seek(
        s->index, ut_key_bytes(&key), !s->search->oldest_first, &s->key, &s->value);
    s->index_read = err == UT_OK;
    return err;
}

// Opens the range of ordinals that the cursor has left of block s->seq. False: none.
static bool open_ordinals(search *s)
{
    const ut_query_cursor *cursor = s->cursor;
    s->ordinal_first = 0;
    s->ordinal_end = UT_BLOCK_SPANS_MAX;
    if (!cursor->begun || cursor->seq != s->seq)
        return true;
    if (s->search->oldest_first)
        s->ordinal_first = cursor->ordinal + 1;
    else
        s->ordinal_end = cursor->ordinal;
    return s->ordinal_first < s->ordinal_end;
}

// ---- summaries that cannot be read ----

static uint64_t gap_seq(const search *s, uint64_t from, uint64_t distance)
{
    return s->search->oldest_first ? from + distance : from - distance;
}

// Tries whether the index can be read from a place in the gap on. UT_ECORRUPT: it cannot.
static ut_err try_summary(search *s, uint64_t seq)
{
    ut_err err = renew_view(s);
    if (err == UT_OK)
        err = seek_summary(s, seq);
    return err == UT_ENOTFOUND ? UT_OK : err;
}

// Finds how far the summaries from the cursor on cannot be read, in the direction of the search.
static ut_err find_gap(search *s)
{
    ut_record_state state = {0};
    if (s->summaries_left == 0)
        return UT_EAGAIN;
    s->summaries_left -= 1;
    ut_err err = renew_view(s);
    if (err == UT_OK)
        err = ut_store_read_state(ut_store_view_txn(s->view), &state);
    if (err != UT_OK)
        return err;
    const bool forward = s->search->oldest_first;
    uint64_t from = s->cursor->begun ? s->cursor->seq : forward ? 1 : state.next_seq;
    from = ut_min_u64(from, state.next_seq);
    const uint64_t most = forward ? state.next_seq - from : from;
    if (most == 0)
        return UT_ENOTFOUND;
    uint64_t bad = 0; // distances that cannot, and that can be read
    uint64_t good = 1;
    for (; good < most; good = 2 * bad) {
        err = try_summary(s, gap_seq(s, from, good));
        if (err != UT_ECORRUPT)
            break;
        bad = good;
    }
    good = ut_min_u64(good, most);
    while ((err == UT_OK || err == UT_ECORRUPT) && good > bad + 1) {
        const uint64_t middle = bad + (good - bad) / 2;
        err = try_summary(s, gap_seq(s, from, middle));
        if (err == UT_OK)
            good = middle;
        else
            bad = middle;
    }
    if (err != UT_OK && err != UT_ECORRUPT)
        return err;
    s->gap_next = from;
    s->gap_left = good;
    s->gap_is_last = good == most;
    return renew_view(s);
}

// The next block of the gap. UT_ENOTFOUND: there is none any more.
static ut_err next_in_gap(search *s)
{
    while (s->gap_left > 0) {
        if (s->summaries_left == 0)
            return UT_EAGAIN;
        s->summaries_left -= 1;
        s->gap_left -= 1;
        s->gap_ended = s->gap_left == 0;
        s->seq = s->gap_next;
        s->gap_next = gap_seq(s, s->gap_next, 1);
        if (s->seq > 0 && open_ordinals(s))
            return UT_OK;
    }
    return UT_ENOTFOUND;
}

// Moves the index to the first block that the cursor leaves to be seen.
static ut_err seek(search *s)
{
    const ut_query_cursor *cursor = s->cursor;
    bool forward = s->search->oldest_first;
    uint64_t seq = cursor->begun ? cursor->seq : forward ? 0 : UINT64_MAX;
    if (s->filter->by_trace) {
        const ut_err found =
            ut_trace_find(s->index->txn, s->search->org, s->filter->trace_id, &s->seqs);
        s->seq_at = find_seq(s);
        return found;
    }
    return seek_summary(s, seq);
}

// Finds the next block by the summaries. UT_ENOTFOUND: there are no more. UT_EAGAIN: enough
// summaries were looked at.
static ut_err next_by_summary(search *s)
{
    for (;; s->index_read = false) {
        uint32_t org;
        uint64_t seq;
        if (s->summaries_left == 0)
            return UT_EAGAIN;
        ut_err err = next_record(s);
        if (err != UT_OK)
            return err;
        if (!ut_key_read_summary(s->key, &org, &seq) || org != s->search->org)
            return UT_ENOTFOUND;
        s->summaries_left -= 1;
        s->seq = seq;
        if (!open_ordinals(s))
            continue;
        uint64_t seed = ut_store_view_filter_seed(s->view, seq);
        if (seed != s->seed) {
            s->seed = seed;
            ut_block_summary_ask(s->filter, seed, &s->question);
        }
        if (!ut_block_summary_excludes(&s->question, s->value))
            return UT_OK;
        s->work->blocks_pruned += 1;
        leave_block(s);
    }
}

// Finds the next block by the index of traces.
static ut_err next_by_trace(search *s)
{
    const uint64_t *seqs = (const uint64_t *)(const void *)s->seqs.data;
    const size_t count = s->seqs.len / sizeof(uint64_t);
    for (;; s->seq_at += s->search->oldest_first ? 1 : SIZE_MAX) {
        if (s->summaries_left == 0)
            return UT_EAGAIN;
        if (s->seq_at >= count)
            return UT_ENOTFOUND; // also behind the first of them, backwards
        s->summaries_left -= 1;
        s->seq = seqs[s->seq_at];
        if (!open_ordinals(s))
            continue;
        ut_trace_part part;
        ut_err err =
            ut_trace_part_read(s->index, s->search->org, s->seq, s->filter->trace_id, &part);
        if (err == UT_ENOTFOUND)
            continue; // it has left since
        if (err != UT_OK && err != UT_ECORRUPT)
            return err;
        s->picked = true;
        memcpy(s->wanted, part.ordinals, sizeof(s->wanted));
        // Which spans a damaged entry names is not known; the block itself tells.
        if (err == UT_ECORRUPT) {
            memset(s->wanted, UINT8_MAX, sizeof(s->wanted));
            err = renew_view(s);
            if (err != UT_OK)
                return err;
        }
        s->seq_at += s->search->oldest_first ? 1 : SIZE_MAX;
        return UT_OK;
    }
}

// Goes to the summary that follows what was seen last, where the index does not stand there.
static ut_err find_place(search *s)
{
    if (!s->renewed && !s->gap_ended)
        return UT_OK;
    const bool behind_gap = s->gap_ended;
    s->renewed = s->gap_ended = false;
    if (behind_gap && s->gap_is_last)
        return UT_ENOTFOUND;
    return behind_gap ? seek_summary(s, s->gap_next) : seek(s);
}

static ut_err next_block(search *s)
{
    if (s->filter->by_trace)
        return next_by_trace(s);
    for (;;) {
        ut_err err = next_in_gap(s);
        if (err != UT_ENOTFOUND)
            return err;
        err = find_place(s);
        if (err == UT_OK)
            err = next_by_summary(s);
        if (err != UT_ECORRUPT)
            return err;
        err = find_gap(s);
        if (err != UT_OK)
            return err;
    }
}

ut_err ut_query_spans(ut_store_view *view, const ut_search *asked, ut_query_cursor *cursor,
                      ut_search_work *work, bool *more, ut_trace_span_visitor visitor)
{
    *more = true;
    search *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return UT_ENOMEM;
    s->view = view;
    s->search = asked;
    s->filter = asked->filter;
    s->cursor = cursor;
    s->work = work;
    s->visitor = visitor;
    s->blocks_left = asked->blocks_max > 0 ? asked->blocks_max : UT_QUERY_WORK_BLOCKS;
    s->summaries_left = UT_QUERY_WORK_SUMMARIES;
    s->spans_left = asked->spans_max > 0 ? asked->spans_max : UINT64_MAX;
    ut_buf_init(&s->payload, UT_BLOCK_PAYLOAD_MAX + 1);
    ut_buf_init(&s->seqs, SEQS_BYTES_MAX);
    ut_block_summary_ask(asked->filter, s->seed, &s->question);
    ut_err err = ut_txn_cursor(ut_store_view_txn(view), &s->index);
    if (err == UT_OK) {
        bool full = false;
        if (s->filter->by_trace)
            err = seek(s);
        else
            s->renewed = true; // the first block is looked for as behind damage
        while (err == UT_OK && !full) {
            err = next_block(s);
            if (err == UT_OK && s->blocks_left == 0)
                err = UT_EAGAIN;
            if (err != UT_OK)
                break;
            err = take_block(s, &full);
            s->index_read = false;
        }
        if (s->index != NULL)
            ut_cursor_close(s->index);
    }
    if (err == UT_ENOTFOUND && s->stopped == UT_OK) {
        *more = false;
        err = UT_OK;
    } else if (err == UT_EAGAIN && s->stopped == UT_OK) {
        err = UT_OK;
    }
    ut_buf_free(&s->payload);
    ut_buf_free(&s->seqs);
    free(s);
    return err;
}
