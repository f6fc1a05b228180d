// Building the tree of a trace. Iterative throughout: a trace may be a chain of a million spans.
#include "storage/trace_tree.h"

#include <stdlib.h>

// Where the copied bytes of a row begin in the tree's buffer, kept as offsets while the buffer can still move.
typedef struct {
    size_t offset;
    size_t len;
} range;

enum { NAME, SERVICE, MESSAGE, ATTRIBUTES, RESOURCE_ATTRIBUTES, SCOPE_NAME, EVENTS, RANGES };

typedef struct {
    ut_tree_row row;
    range ranges[RANGES];
    uint32_t first_child; // indexes of nodes; UINT32_MAX: none
    uint32_t next_sibling;
    uint32_t parent;
    bool placed;
} node;

struct ut_tree {
    ut_buf bytes;
    ut_buf nodes;      // node each, in the order of arrival
    ut_tree_row *rows; // depth first
    uint32_t count;
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

static range copy(ut_tree *tree, ut_bytes bytes)
{
    const range at = {tree->bytes.len, bytes.len};
    ut_buf_add_bytes(&tree->bytes, bytes);
    return at;
}

static bool is_zero(ut_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0)
            return false;
    }
    return true;
}

ut_err ut_tree_add(void *context, const ut_trace_span *span)
{
    ut_tree *tree = context;
    node added = {.first_child = none, .next_sibling = none, .parent = none};
    ut_tree_row *row = &added.row;
    const ut_span *from = &span->span;
    if (from->span_id.len != UT_SPAN_ID_LEN)
        return UT_ECORRUPT;
    memcpy(row->span_id, from->span_id.data, UT_SPAN_ID_LEN);
    row->has_parent = from->parent_span_id.len == UT_SPAN_ID_LEN && !is_zero(from->parent_span_id);
    if (row->has_parent)
        memcpy(row->parent_span_id, from->parent_span_id.data, UT_SPAN_ID_LEN);
    row->start_ns = from->start_ns;
    row->end_ns = from->end_ns;
    row->kind = from->kind;
    row->status_code = from->status_code;
    ut_bytes service = UT_BYTES_NONE;
    (void)ut_attributes_find_str(span->resource.attributes, UT_BYTES_LIT("service.name"),
                                 &service); // absent: empty
    added.ranges[NAME] = copy(tree, from->name);
    added.ranges[SERVICE] = copy(tree, service);
    added.ranges[MESSAGE] = copy(tree, from->status_message);
    added.ranges[ATTRIBUTES] = copy(tree, from->attributes);
    added.ranges[RESOURCE_ATTRIBUTES] = copy(tree, span->resource.attributes);
    added.ranges[SCOPE_NAME] = copy(tree, span->scope.name);
    added.ranges[EVENTS] = copy(tree, from->events);
    ut_buf_add(&tree->nodes, &added, sizeof(added));
    return tree->bytes.err != UT_OK ? tree->bytes.err : tree->nodes.err;
}

static node *nodes_of(const ut_tree *tree)
{
    return (node *)(void *)tree->nodes.data;
}

static ut_bytes resolve(const ut_tree *tree, range at)
{
    return at.len == 0 ? UT_BYTES_NONE : ut_bytes_of(tree->bytes.data + at.offset, at.len);
}

typedef struct {
    uint64_t key; // what is sorted by
    uint32_t index;
} entry;

static int compare(const void *a, const void *b)
{
    const entry *left = a;
    const entry *right = b;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

// The first node with this span id, by binary search over entries sorted by id.
static uint32_t find(const entry *by_id, uint32_t count, uint64_t id)
{
    uint32_t low = 0;
    for (uint32_t high = count; low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        if (by_id[middle].key < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && by_id[low].key == id ? by_id[low].index : none;
}

// Marks as parentless one span of every cycle: the first that a walk up from an unvisited span meets again.
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
            nodes[at].row.place = UT_TREE_CYCLE;
        }
    }
}

// Copies the node and all below it to the rows, depth first.
static void place(ut_tree *tree, uint32_t root, uint32_t *row_of)
{
    node *nodes = nodes_of(tree);
    uint32_t at = root;
    uint32_t depth = 0;
    for (;;) {
        node *current = &nodes[at];
        ut_tree_row *row = &tree->rows[tree->count];
        *row = current->row;
        row->depth = depth;
        row->last_child = current->next_sibling == none;
        row->parent = current->parent == none ? none : row_of[current->parent];
        row->name = resolve(tree, current->ranges[NAME]);
        row->service = resolve(tree, current->ranges[SERVICE]);
        row->status_message = resolve(tree, current->ranges[MESSAGE]);
        row->attributes = resolve(tree, current->ranges[ATTRIBUTES]);
        row->resource_attributes = resolve(tree, current->ranges[RESOURCE_ATTRIBUTES]);
        row->scope_name = resolve(tree, current->ranges[SCOPE_NAME]);
        row->events = resolve(tree, current->ranges[EVENTS]);
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

ut_err ut_tree_build(ut_tree *tree)
{
    node *nodes = nodes_of(tree);
    const uint32_t count = (uint32_t)(tree->nodes.len / sizeof(node));
    if (count == 0)
        return UT_OK;
    ut_err err = UT_ENOMEM;
    entry *order = malloc(count * sizeof(*order));
    uint32_t *scratch = calloc(count, sizeof(*scratch));
    tree->rows = calloc(count, sizeof(*tree->rows));
    if (order == NULL || scratch == NULL || tree->rows == NULL)
        goto done;

    for (uint32_t i = 0; i < count; i++)
        order[i] = (entry){ut_get_be64(nodes[i].row.span_id), i};
    qsort(order, count, sizeof(*order), compare);
    for (uint32_t i = 0; i < count; i++) {
        ut_tree_row *row = &nodes[i].row;
        row->place = UT_TREE_ROOT;
        if (!row->has_parent)
            continue;
        nodes[i].parent = find(order, count, ut_get_be64(row->parent_span_id));
        row->place = nodes[i].parent == none ? UT_TREE_PARENT_MISSING : UT_TREE_CHILD;
    }
    cut_cycles(nodes, count, scratch);

    // By start, last first, so that pushing to the front leaves every list of children in order.
    for (uint32_t i = 0; i < count; i++)
        order[i] = (entry){nodes[i].row.start_ns, i};
    qsort(order, count, sizeof(*order), compare);
    for (uint32_t i = count; i-- > 0;) {
        const uint32_t child = order[i].index;
        const uint32_t parent = nodes[child].parent;
        if (parent != none) {
            nodes[child].next_sibling = nodes[parent].first_child;
            nodes[parent].first_child = child;
        }
    }
    tree->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[order[i].index].parent == none)
            place(tree, order[i].index, scratch);
    }
    UT_ASSERT(tree->count == count);
    err = UT_OK;
done:
    free(order);
    free(scratch);
    return err;
}

const ut_tree_row *ut_tree_rows(const ut_tree *tree, uint32_t *count)
{
    *count = tree->count;
    return tree->rows;
}
