// Which spans of a trace are shown; see trace_cut.h.
#include "agent/cli/trace_cut.h"

#include "port/base/order.h"
#include "port/base/siphash.h"
#include "storage/span/llm.h"

#include <stdlib.h>

enum { NONE = UINT32_MAX };

// What is known of each row of the tree.
typedef struct {
    uint64_t shape; // equal for equal spans over equal spans; 0: is equal to none
    uint32_t end;   // index behind the last row below it
    uint32_t below; // kept rows below it
    uint32_t shown; // its row in the cut
    bool kept;
} row_facts;

// Equal for spans of one name and service.
static uint64_t hash_of(const ut_tree_row *row)
{
    const ut_siphash_key key = {0, 0};
    return ut_siphash_with(key, row->name, ut_siphash(key, row->service));
}

static uint64_t duration_of(const ut_tree_row *row)
{
    return ut_span_duration_ns(row->start_ns, row->end_ns);
}

static bool meets(const ut_tree_row *row, const ut_trace_cut_options *options)
{
    return (!options->errors || row->status_code == UT_STATUS_ERROR) &&
           (!options->critical || row->critical) &&
           (options->depth == 0 || row->depth < options->depth) &&
           duration_of(row) >= options->min_duration_ns;
}

// Each call of a model is one of its own: what was said differs.
static bool may_fold(const ut_tree_row *row)
{
    ut_llm_call call;
    return row->parent != NONE && !row->skewed && !row->duplicate_id &&
           !ut_llm_read(row->attributes, &call);
}

// From the last row to the first, so that children come before their parent.
static void find_facts(const ut_tree_row *rows, uint32_t count, row_facts *facts,
                       const ut_trace_cut_options *options)
{
    for (uint32_t i = 0; i < count; i++) {
        facts[i].end = i + 1;
        facts[i].shown = NONE;
    }
    for (uint32_t i = count; i-- > 0;) {
        row_facts *own = &facts[i];
        const uint32_t parent = rows[i].parent;
        own->kept = own->kept || meets(&rows[i], options);
        const bool folds = own->kept && !options->all && !options->unfolded && may_fold(&rows[i]) &&
                           (own->below == 0 || own->shape != 0);
        own->shape = folds ? hash_of(&rows[i]) + own->shape * 37 + (uint64_t)rows[i].kind : 0;
        own->shape += folds && own->shape == 0;
        if (parent == NONE)
            continue;
        row_facts *above = &facts[parent];
        if (own->end > above->end)
            above->end = own->end;
        if (!own->kept)
            continue;
        // The shape of the children, until the parent has its own.
        const bool known = own->shape != 0 && (above->below == 0 || above->shape != 0);
        above->shape = known ? above->shape * 41 + own->shape : 0;
        above->below += 1 + own->below;
        above->kept = true;
    }
}

// The kept sibling behind a row, or count.
static uint32_t next_sibling(const ut_tree_row *rows, const row_facts *facts, uint32_t count,
                             uint32_t at)
{
    const uint32_t parent = rows[at].parent;
    for (at = facts[at].end; at < count && rows[at].parent == parent; at = facts[at].end) {
        if (facts[at].kept)
            return at;
    }
    return count;
}

static void add_to_fold(ut_trace_fold *fold, ut_tree_row *shown, const ut_tree_row *row)
{
    const uint64_t took_ns = duration_of(row);
    fold->sum_ns += took_ns;
    fold->min_ns = fold->count == 0 || took_ns < fold->min_ns ? took_ns : fold->min_ns;
    fold->max_ns = took_ns > fold->max_ns ? took_ns : fold->max_ns;
    fold->count++;
    shown->end_ns = ut_max_u64(shown->end_ns, row->start_ns + took_ns);
    shown->critical = shown->critical || row->critical;
}

// Counts a span that is not shown.
static void count_hidden(ut_trace_cut *cut, const ut_tree_row *row, bool kept)
{
    const bool error = row->status_code == UT_STATUS_ERROR;
    if (kept) {
        cut->more++;
        cut->more_errors += error;
    } else {
        cut->left_out++;
        cut->left_out_errors += error;
    }
}

// Counts the spans of a fold from `at` on, with those below.
static void count_folded(ut_trace_cut *cut, ut_trace_fold *fold, const ut_tree_row *rows,
                         const row_facts *facts, uint32_t at, uint32_t end)
{
    for (; at < end; at++) {
        if (!facts[at].kept) {
            count_hidden(cut, &rows[at], false);
            continue;
        }
        cut->folded++;
        if (rows[at].status_code == UT_STATUS_ERROR && fold->errors++ == 0)
            fold->message = rows[at].status_message;
    }
}

// Adds the row at `at`, and with it those that fold with it. Returns the row to go on with.
static uint32_t add_row(ut_trace_cut *cut, const ut_tree_row *rows, row_facts *facts,
                        uint32_t count, uint32_t at)
{
    ut_tree_row *shown = &cut->rows[cut->count];
    ut_trace_fold *fold = &cut->folds[cut->count];
    uint32_t run = 1;
    if (facts[at].shape != 0) {
        for (uint32_t i = at; run < UT_TRACE_FOLD_MIN; run++) {
            i = next_sibling(rows, facts, count, i);
            if (i == count || facts[i].shape != facts[at].shape)
                break;
        }
    }
    *shown = rows[at];
    shown->parent = rows[at].parent == NONE ? NONE : facts[rows[at].parent].shown;
    facts[at].shown = cut->count++;
    *fold = (ut_trace_fold){.count = 1};
    if (run < UT_TRACE_FOLD_MIN)
        return at + 1;

    fold->count = 0;
    fold->below = facts[at].below;
    uint32_t last = at;
    for (uint32_t i = at; i < count && facts[i].shape == facts[at].shape;
         i = next_sibling(rows, facts, count, i)) {
        add_to_fold(fold, shown, &rows[i]);
        last = i;
    }
    count_folded(cut, fold, rows, facts, at, facts[last].end);
    if (fold->errors > 0)
        shown->status_code = UT_STATUS_ERROR;
    return facts[last].end;
}

// Says of each row whether it is the last child that is shown.
static void mark_last(ut_trace_cut *cut, row_facts *facts)
{
    for (uint32_t i = 0; i < cut->count; i++)
        facts[i].shown = 0; // now of rows of the cut: whether a child behind was met
    for (uint32_t i = cut->count; i-- > 0;) {
        const uint32_t parent = cut->rows[i].parent;
        cut->rows[i].last_child = parent == NONE || facts[parent].shown == 0;
        if (parent != NONE)
            facts[parent].shown = 1;
    }
}

ut_err ut_trace_cut_make(ut_trace_cut *cut, const ut_tree *from,
                         const ut_trace_cut_options *options)
{
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(from, &count);
    *cut = (ut_trace_cut){0};
    if (count == 0)
        return UT_OK;
    const uint32_t limit =
        !options->all && count > UT_TRACE_ROWS_SHOWN ? UT_TRACE_ROWS_SHOWN : count;
    row_facts *facts = calloc(count, sizeof(*facts));
    cut->rows = calloc(limit, sizeof(*cut->rows));
    cut->folds = calloc(limit, sizeof(*cut->folds));
    if (facts == NULL || cut->rows == NULL || cut->folds == NULL) {
        free(facts);
        ut_trace_cut_free(cut);
        return UT_ENOMEM;
    }
    find_facts(rows, count, facts, options);
    uint32_t at = 0;
    while (at < count && cut->count < limit) {
        if (facts[at].kept) {
            at = add_row(cut, rows, facts, count, at);
            continue;
        }
        for (const uint32_t end = facts[at].end; at < end; at++)
            count_hidden(cut, &rows[at], false);
    }
    for (; at < count; at++)
        count_hidden(cut, &rows[at], facts[at].kept);
    mark_last(cut, facts);
    free(facts);
    return UT_OK;
}

void ut_trace_cut_free(ut_trace_cut *cut)
{
    free(cut->rows);
    free(cut->folds);
    *cut = (ut_trace_cut){0};
}

// ---- shares ----

typedef struct {
    uint64_t hash;
    uint32_t row;
} share_entry;

static int compare_entries(const void *left, const void *right)
{
    const share_entry *a = left;
    const share_entry *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

// Puts a share where it belongs among the largest.
static void place_share(ut_trace_share *shares, uint32_t max, uint32_t *count, ut_trace_share share)
{
    uint32_t at = *count < max ? (*count)++ : max;
    for (; at > 0 && shares[at - 1].critical_ns < share.critical_ns; at--) {
        if (at < max)
            shares[at] = shares[at - 1];
    }
    if (at < max)
        shares[at] = share;
}

ut_err ut_trace_shares(const ut_tree *from, ut_trace_share *shares, uint32_t max, uint32_t *count)
{
    uint32_t row_count = 0;
    uint32_t used = 0;
    const ut_tree_row *rows = ut_tree_rows(from, &row_count);
    share_entry *entries = calloc(row_count + 1u, sizeof(*entries));
    *count = 0;
    if (entries == NULL)
        return UT_ENOMEM;
    for (uint32_t i = 0; i < row_count; i++) {
        if (rows[i].critical && rows[i].critical_ns > 0)
            entries[used++] = (share_entry){hash_of(&rows[i]), i};
    }
    qsort(entries, used, sizeof(*entries), compare_entries);
    for (uint32_t i = 0; i < used;) {
        const ut_tree_row *first = &rows[entries[i].row];
        ut_trace_share share = {.name = first->name, .service = first->service};
        const uint64_t same = entries[i].hash;
        for (; i < used && entries[i].hash == same; i++) {
            share.critical_ns += rows[entries[i].row].critical_ns;
            share.count++;
        }
        place_share(shares, max, count, share);
    }
    free(entries);
    return UT_OK;
}
