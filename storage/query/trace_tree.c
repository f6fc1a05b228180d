// Building the tree of a trace. Iterative throughout: a trace may be a chain of a million spans.
#include "storage/query/trace_tree.h"

#include "port/base/order.h"
#include "storage/span/trace_time.h"

#include <stdlib.h>

// Where the copied bytes of a row begin in the tree's buffer, kept as offsets while the buffer can
// still move. UT_TREE_BYTES_MAX fits.
typedef struct {
    uint32_t offset;
    uint32_t len;
} range;

enum { NAME, SERVICE, MESSAGE, ATTRIBUTES, RESOURCE_ATTRIBUTES, SCOPE_NAME, EVENTS, LINKS, RANGES };

// A span until it has its row. Links are indexes of nodes; UINT32_MAX: none.
typedef struct {
    uint64_t id;
    uint64_t parent_id;
    uint64_t start_ns;
    uint64_t end_ns;
    range ranges[RANGES];
    int32_t kind;
    int32_t status_code;
    uint32_t parent;
    uint32_t first_child; // by start
    uint32_t next_sibling;
    uint32_t last_finished; // the children again, by end, last first
    uint32_t finished_before;
    uint32_t replaced_by; // the record that is shown instead
    uint8_t place;        // ut_tree_place
    bool has_parent;
    bool duplicate_id;
    bool critical;
    uint64_t critical_ns;
    uint64_t critical_from_ns; // its part that is on the path
    uint64_t critical_to_ns;
    uint64_t children_end_ns; // until then children placed so far account for its time
} node;

enum { RESOURCES_KEPT = 16 };

struct ut_tree {
    ut_buf bytes;
    ut_buf nodes; // node each, in the order of arrival; gone once there are rows
    // The resources last copied, each with its service.name: nearly all spans share a few.
    range resources[RESOURCES_KEPT][2];
    uint32_t resource_count; // ever; the oldest makes room
    ut_tree_row *rows;       // depth first, then those that are replaced
    uint32_t count;          // without these
    uint32_t replaced_count;
};

static const uint32_t none = UINT32_MAX;

ut_err ut_tree_new(ut_tree **tree)
{
    *tree = calloc(1, sizeof(**tree));
    if (*tree == NULL)
        return UT_ENOMEM;
    ut_buf_init(&(*tree)->bytes, UT_TREE_BYTES_MAX);
    ut_buf_init(&(*tree)->nodes, (size_t)UT_TREE_SPANS_MAX * sizeof(node));
    return UT_OK;
}

void ut_tree_free(ut_tree *tree)
{
    if (tree == NULL)
        return;
    ut_buf_free(&tree->bytes);
    ut_buf_free(&tree->nodes);
    free(tree->rows);
    free(tree);
}

static ut_bytes resolve(const ut_tree *tree, range at)
{
    return at.len == 0 ? UT_BYTES_NONE : ut_bytes_of(tree->bytes.data + at.offset, at.len);
}

static range copy(ut_tree *tree, ut_bytes bytes)
{
    const size_t offset = tree->bytes.len;
    ut_buf_add_bytes(&tree->bytes, bytes);
    if (tree->bytes.err != UT_OK)
        return (range){0, 0};
    return (range){(uint32_t)offset, (uint32_t)bytes.len};
}

// Copies the resource and its service.name unless they are kept from a span before.
static void copy_resource(ut_tree *tree, ut_bytes attributes, node *to)
{
    const uint32_t kept = ut_min_u32(tree->resource_count, RESOURCES_KEPT);
    uint32_t at = 0;
    while (at < kept && !ut_bytes_equal(resolve(tree, tree->resources[at][0]), attributes))
        at++;
    if (at == kept) {
        ut_bytes service = UT_BYTES_NONE;
        (void)ut_attributes_find_str(attributes, UT_BYTES_LIT("service.name"),
                                     &service); // absent: empty
        at = tree->resource_count++ % RESOURCES_KEPT;
        tree->resources[at][0] = copy(tree, attributes);
        tree->resources[at][1] = copy(tree, service);
    }
    to->ranges[RESOURCE_ATTRIBUTES] = tree->resources[at][0];
    to->ranges[SERVICE] = tree->resources[at][1];
}

ut_err ut_tree_add(void *context, const ut_trace_span *span)
{
    ut_tree *tree = context;
    const ut_span *from = &span->span;
    if (from->span_id.len != UT_SPAN_ID_LEN)
        return UT_ECORRUPT;
    node added = {.parent = none,
                  .first_child = none,
                  .next_sibling = none,
                  .last_finished = none,
                  .finished_before = none,
                  .replaced_by = none};
    added.id = ut_get_be64(from->span_id.data);
    added.has_parent =
        from->parent_span_id.len == UT_SPAN_ID_LEN && !ut_bytes_all_zero(from->parent_span_id);
    if (added.has_parent)
        added.parent_id = ut_get_be64(from->parent_span_id.data);
    added.start_ns = from->start_ns;
    added.end_ns = from->end_ns;
    added.kind = from->kind;
    added.status_code = from->status_code;
    copy_resource(tree, span->resource.attributes, &added);
    added.ranges[NAME] = copy(tree, from->name);
    added.ranges[MESSAGE] = copy(tree, from->status_message);
    added.ranges[ATTRIBUTES] = copy(tree, from->attributes);
    added.ranges[SCOPE_NAME] = copy(tree, span->scope.name);
    added.ranges[EVENTS] = copy(tree, from->events);
    added.ranges[LINKS] = copy(tree, from->links);
    ut_buf_add(&tree->nodes, &added, sizeof(added));
    return tree->bytes.err != UT_OK ? tree->bytes.err : tree->nodes.err;
}

// ---- sorting ----

typedef struct {
    uint64_t key; // entries are sorted by it
    uint32_t index;
} entry;

// By key; equal keys keep their order. Takes the same time whatever the keys are, unlike a sort by
// comparing. other: as many entries to work with. Returns the one of the two that holds the result.
static entry *sort(entry *entries, entry *other, uint32_t count)
{
    enum { DIGITS = 8, VALUES = 256 };
    uint32_t starts[DIGITS][VALUES] = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t digit = 0; digit < DIGITS; digit++)
            starts[digit][(entries[i].key >> (8 * digit)) & 0xff]++;
    }
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        uint32_t *start = starts[digit];
        if (start[(entries[0].key >> (8 * digit)) & 0xff] == count)
            continue; // all the same here
        for (uint32_t value = 0, sum = 0; value < VALUES; value++) {
            const uint32_t here = start[value];
            start[value] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < count; i++)
            other[start[(entries[i].key >> (8 * digit)) & 0xff]++] = entries[i];
        entry *swapped = entries;
        entries = other;
        other = swapped;
    }
    return entries;
}

// ---- records of one span ----

// Leaves those entries, which are in order, whose key another one has too. Returns their number.
static uint32_t keep_repeated(entry *entries, uint32_t count)
{
    uint32_t kept = 0;
    bool same_before = false;
    for (uint32_t i = 0; i < count; i++) {
        const bool same_behind = i + 1 < count && entries[i + 1].key == entries[i].key;
        if (same_before || same_behind)
            entries[kept++] = entries[i];
        same_before = same_behind;
    }
    return kept;
}

static bool is_same_span(const node *a, const node *b)
{
    return a->id == b->id && a->kind == b->kind && a->start_ns == b->start_ns;
}

static bool is_open(const node *record)
{
    return record->end_ns <= record->start_ns;
}

// Chooses which of the records first..end - 1 of one span are shown.
static void replace_open(node *nodes, const entry *first, const entry *end)
{
    uint32_t shown = end[-1].index;
    for (const entry *at = end; at-- != first;) {
        if (!is_open(&nodes[at->index]))
            shown = at->index;
    }
    for (const entry *at = first; at != end; at++) {
        if (at->index != shown && is_open(&nodes[at->index]))
            nodes[at->index].replaced_by = shown;
    }
}

// Finds the records whose place others take. entries: room for 2 * count.
static void find_replaced(node *nodes, uint32_t count, entry *entries)
{
    entry *other = entries + count;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (entry){nodes[i].id, i};
    entry *sorted = sort(entries, other, count);
    count = keep_repeated(sorted, count);
    // By id, kind, start and arrival: sorted by the last of them first.
    for (unsigned field = 0; field < 3 && count > 0; field++) {
        other = sorted == entries ? other : entries;
        entries = sorted;
        for (uint32_t i = 0; i < count; i++) {
            const node *at = &nodes[entries[i].index];
            entries[i].key = field == 0   ? at->start_ns
                             : field == 1 ? (uint64_t)(uint32_t)at->kind
                                          : at->id;
        }
        sorted = sort(entries, other, count);
    }
    for (uint32_t from = 0; from < count;) {
        uint32_t end = from + 1;
        while (end < count && is_same_span(&nodes[sorted[from].index], &nodes[sorted[end].index]))
            end++;
        replace_open(nodes, sorted + from, sorted + end);
        from = end;
    }
}

// ---- links ----

// Finds the parents by going along ids and parent ids, both in order. entries: room for 4 * count.
static void link_parents(node *nodes, uint32_t count, entry *entries)
{
    entry *ids = entries;
    entry *wanted = entries + 2 * (size_t)count;
    uint32_t id_count = 0;
    uint32_t wanted_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        nodes[i].place = UT_TREE_ROOT;
        if (nodes[i].replaced_by != none)
            continue;
        ids[id_count++] = (entry){nodes[i].id, i};
        if (nodes[i].has_parent)
            wanted[wanted_count++] = (entry){nodes[i].parent_id, i};
    }
    ids = sort(ids, entries + count, id_count);
    for (uint32_t i = 1; i < id_count; i++) {
        if (ids[i].key == ids[i - 1].key) {
            nodes[ids[i].index].duplicate_id = true;
            nodes[ids[i - 1].index].duplicate_id = true;
        }
    }
    if (wanted_count > 0)
        wanted = sort(wanted, entries + 3 * (size_t)count, wanted_count);
    for (uint32_t i = 0, at = 0; i < wanted_count; i++) {
        while (at < id_count && ids[at].key < wanted[i].key)
            at++;
        node *child = &nodes[wanted[i].index];
        const bool found = at < id_count && ids[at].key == wanted[i].key;
        child->parent = found ? ids[at].index : none;
        child->place = found ? UT_TREE_CHILD : UT_TREE_PARENT_MISSING;
    }
}

// Marks as parentless one span of every cycle: the first that a walk up from an unvisited span
// meets again.
static void cut_cycles(node *nodes, uint32_t count, uint32_t *mark)
{
    for (uint32_t start = 0; start < count; start++) {
        uint32_t at = start;
        while (at != none && mark[at] == 0) {
            mark[at] = start + 1;
            at = nodes[at].parent;
        }
        if (at != none && mark[at] == start + 1) { // met on this very walk
            nodes[at].parent = none;
            nodes[at].place = UT_TREE_CYCLE;
        }
    }
}

// Makes both lists of children of every node, and those of the roots. order: nodes by start. ends:
// by end.
static void link_children(node *nodes, uint32_t count, const entry *order, const entry *ends,
                          uint32_t *last_finished_root)
{
    for (uint32_t i = count; i-- > 0;) { // pushing the last to the front first
        const uint32_t child = order[i].index;
        const uint32_t parent = nodes[child].parent;
        if (parent != none) {
            nodes[child].next_sibling = nodes[parent].first_child;
            nodes[parent].first_child = child;
        }
    }
    *last_finished_root = none;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t child = ends[i].index;
        const uint32_t parent = nodes[child].parent;
        uint32_t *head = parent == none ? last_finished_root : &nodes[parent].last_finished;
        nodes[child].finished_before = *head;
        *head = child;
    }
}

// ---- the critical path ----

// Marks, of the children from `child` on, those on the path between from_ns and to_ns, and puts
// them on the stack. Returns the time between them.
static uint64_t walk_back(node *nodes, uint32_t child, uint64_t from_ns, uint64_t to_ns,
                          uint32_t *stack, uint32_t *used)
{
    uint64_t between_ns = 0;
    uint64_t now_ns = to_ns;
    while (child != none && now_ns > from_ns) {
        // Of all that end here, the one that began first.
        const uint64_t end_ns = ut_min_u64(nodes[child].end_ns, to_ns);
        uint32_t picked = none;
        uint64_t picked_from_ns = end_ns;
        for (; child != none && ut_min_u64(nodes[child].end_ns, to_ns) == end_ns;
             child = nodes[child].finished_before) {
            const uint64_t start_ns = ut_max_u64(nodes[child].start_ns, from_ns);
            // Of two that both were there all the time, the list has the last to finish first.
            const bool tied = start_ns == picked_from_ns && picked != none &&
                              nodes[child].end_ns == nodes[picked].end_ns &&
                              nodes[child].start_ns <= nodes[picked].start_ns;
            if (start_ns < end_ns && (start_ns < picked_from_ns || tied)) {
                picked = child;
                picked_from_ns = start_ns;
            }
        }
        if (picked == none || end_ns > now_ns)
            continue; // goes on beside one that is on the path
        nodes[picked].critical = true;
        nodes[picked].critical_from_ns = picked_from_ns;
        nodes[picked].critical_to_ns = end_ns;
        stack[(*used)++] = picked;
        between_ns += now_ns - end_ns;
        now_ns = picked_from_ns;
    }
    return between_ns + (now_ns - from_ns);
}

// stack: room for every node.
static void mark_critical(node *nodes, uint32_t last_finished_root, uint32_t *stack)
{
    uint32_t used = 0;
    ut_trace_time time = {.any = false};
    for (uint32_t i = last_finished_root; i != none; i = nodes[i].finished_before)
        ut_trace_time_add(&time, nodes[i].start_ns, nodes[i].end_ns);
    const uint64_t to_ns = nodes[last_finished_root].end_ns;
    if (time.start_ns < to_ns) // what is between roots is nobody's time
        (void)walk_back(nodes, last_finished_root, time.start_ns, to_ns, stack, &used);
    while (used > 0) {
        node *at = &nodes[stack[--used]];
        at->critical_ns = walk_back(nodes, at->last_finished, at->critical_from_ns,
                                    at->critical_to_ns, stack, &used);
    }
}

// ---- clock skew ----

static int64_t clamp(uint64_t ns)
{
    return ns > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static void mark_skew(ut_tree_row *row, const ut_tree_row *parent)
{
    enum { KIND_SERVER = 2, KIND_CLIENT = 3 };
    if (row->start_ns < parent->start_ns) {
        row->skewed = true;
        row->skew_ns = clamp(parent->start_ns - row->start_ns);
        return;
    }
    const uint64_t end_ns = ut_max_u64(row->start_ns, row->end_ns);
    const uint64_t parent_end_ns = ut_max_u64(parent->start_ns, parent->end_ns);
    if (end_ns <= parent_end_ns || row->kind != KIND_SERVER || parent->kind != KIND_CLIENT ||
        parent->status_code == UT_STATUS_ERROR ||
        end_ns - row->start_ns > parent_end_ns - parent->start_ns ||
        ut_bytes_equal(row->resource_attributes, parent->resource_attributes))
        return;
    row->skewed = true;
    row->skew_ns = -clamp(end_ns - parent_end_ns);
}

// ---- rows ----

static void fill_row(const ut_tree *tree, const node *from, ut_tree_row *row)
{
    ut_put_be64(row->span_id, from->id);
    ut_put_be64(row->parent_span_id, from->parent_id);
    row->has_parent = from->has_parent;
    row->place = (ut_tree_place)from->place;
    row->last_child = from->next_sibling == none;
    row->critical = from->critical;
    row->critical_ns = from->critical_ns;
    row->duplicate_id = from->duplicate_id;
    row->start_ns = from->start_ns;
    row->end_ns = from->end_ns;
    row->kind = from->kind;
    row->status_code = from->status_code;
    row->name = resolve(tree, from->ranges[NAME]);
    row->service = resolve(tree, from->ranges[SERVICE]);
    row->status_message = resolve(tree, from->ranges[MESSAGE]);
    row->attributes = resolve(tree, from->ranges[ATTRIBUTES]);
    row->resource_attributes = resolve(tree, from->ranges[RESOURCE_ATTRIBUTES]);
    row->scope_name = resolve(tree, from->ranges[SCOPE_NAME]);
    row->events = resolve(tree, from->ranges[EVENTS]);
    row->links = resolve(tree, from->ranges[LINKS]);
    row->self_ns = ut_span_duration_ns(row->start_ns, row->end_ns); // until children are placed
}

// Takes the time of a child, where it runs within its parent and no child before it does, from what
// the parent has for itself. Children come by start.
static void take_from_parent(const ut_tree_row *child, node *parent, ut_tree_row *row)
{
    const uint64_t parent_end_ns = row->start_ns + ut_span_duration_ns(row->start_ns, row->end_ns);
    const uint64_t from_ns =
        ut_max_u64(ut_max_u64(child->start_ns, row->start_ns), parent->children_end_ns);
    const uint64_t to_ns = ut_min_u64(child->end_ns, parent_end_ns);
    if (to_ns <= from_ns)
        return;
    row->self_ns -= to_ns - from_ns;
    parent->children_end_ns = to_ns;
}

// Makes the rows of the node and of all below it, depth first.
static void place(ut_tree *tree, node *nodes, uint32_t root, uint32_t *row_of)
{
    uint32_t at = root;
    uint32_t depth = 0;
    for (;;) {
        const node *current = &nodes[at];
        ut_tree_row *row = &tree->rows[tree->count];
        fill_row(tree, current, row);
        row->depth = depth;
        row->parent = current->parent == none ? none : row_of[current->parent];
        if (row->parent != none) {
            mark_skew(row, &tree->rows[row->parent]);
            take_from_parent(row, &nodes[current->parent], &tree->rows[row->parent]);
        }
        row_of[at] = tree->count++;

        if (current->first_child != none) {
            at = current->first_child;
            depth++;
            continue;
        }
        while (at != root && nodes[at].next_sibling == none) {
            at = nodes[at].parent;
            depth--;
        }
        if (at == root)
            return;
        at = nodes[at].next_sibling;
    }
}

// Makes a row of each replaced record, at the depth of the one that is shown.
static void add_replaced(ut_tree *tree, const node *nodes, uint32_t count, const uint32_t *row_of)
{
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].replaced_by == none)
            continue;
        const ut_tree_row *shown = &tree->rows[row_of[nodes[i].replaced_by]];
        ut_tree_row *row = &tree->rows[tree->count + tree->replaced_count++];
        fill_row(tree, &nodes[i], row);
        row->replaced = true;
        row->depth = shown->depth;
        row->place = shown->place;
        row->parent = shown->parent;
    }
}

ut_err ut_tree_build(ut_tree *tree)
{
    node *nodes = (node *)(void *)tree->nodes.data;
    const uint32_t count = (uint32_t)(tree->nodes.len / sizeof(node));
    if (count == 0)
        return UT_OK;
    ut_err err = UT_ENOMEM;
    uint32_t last_finished_root = none;
    entry *entries = malloc(4 * (size_t)count * sizeof(*entries));
    uint32_t *scratch = calloc(count, sizeof(*scratch));
    tree->rows = calloc(count, sizeof(*tree->rows));
    if (entries == NULL || scratch == NULL || tree->rows == NULL)
        goto done;

    find_replaced(nodes, count, entries);
    link_parents(nodes, count, entries);
    cut_cycles(nodes, count, scratch);
    entry *order = entries;
    entry *ends = entries + 2 * (size_t)count;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].replaced_by != none)
            continue;
        order[shown] = (entry){nodes[i].start_ns, i};
        ends[shown++] = (entry){nodes[i].end_ns, i};
    }
    order = sort(order, entries + count, shown);
    ends = sort(ends, entries + 3 * (size_t)count, shown);
    link_children(nodes, shown, order, ends, &last_finished_root);
    mark_critical(nodes, last_finished_root, scratch);
    for (uint32_t i = 0; i < shown; i++) {
        if (nodes[order[i].index].parent == none)
            place(tree, nodes, order[i].index, scratch);
    }
    UT_ASSERT(tree->count == shown);
    add_replaced(tree, nodes, count, scratch);
    ut_buf_free(&tree->nodes);
    err = UT_OK;
done:
    free(entries);
    free(scratch);
    return err;
}

const ut_tree_row *ut_tree_rows(const ut_tree *tree, uint32_t *count)
{
    *count = tree->count;
    return tree->rows;
}

const ut_tree_row *ut_tree_all_rows(const ut_tree *tree, uint32_t *count)
{
    *count = tree->count + tree->replaced_count;
    return tree->rows;
}
