// One trace as a tree from its parent links. Several roots, missing parents, cycles and repeated ids are survived: every span stands
// in the tree exactly once.
#ifndef UT_STORAGE_TRACE_TREE_H
#define UT_STORAGE_TRACE_TREE_H

#include "storage/query.h"

enum { UT_TREE_SPANS_MAX = 1000 * 1000, UT_TREE_BYTES_MAX = 1024 * 1024 * 1024 };

typedef enum {
    UT_TREE_ROOT,           // has no parent
    UT_TREE_CHILD,          // its parent is in the trace
    UT_TREE_PARENT_MISSING, // names a parent that is not in the trace
    UT_TREE_CYCLE,          // is its own ancestor: shown as a root
} ut_tree_place;

// A span with copies of what it needs; bytes are borrowed from the tree.
typedef struct {
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint8_t parent_span_id[UT_SPAN_ID_LEN];
    bool has_parent;
    ut_tree_place place;
    uint32_t depth;
    bool last_child; // of its siblings
    // On the way through the trace that decided how long it took (ut_tree_build says which).
    bool critical;
    bool skewed; // begins before its parent, or ends after it while the parent waits: see there
    bool duplicate_id;    // another span of the trace has the same id
    uint64_t critical_ns; // of its time, what no child accounts for on that way
    uint32_t parent;      // index in rows; UINT32_MAX for those that are not UT_TREE_CHILD
    uint64_t start_ns;
    uint64_t end_ns;
    int32_t kind;
    int32_t status_code;
    ut_bytes name;
    ut_bytes service;
    ut_bytes status_message;
    ut_bytes attributes;          // raw MessagePack
    ut_bytes resource_attributes; // raw MessagePack
    ut_bytes scope_name;
    ut_bytes events; // raw MessagePack
} ut_tree_row;

typedef struct ut_tree ut_tree;

ut_err ut_tree_new(ut_tree **tree);
void ut_tree_free(ut_tree *tree);

// Copies one span in. UT_ELIMIT, UT_ENOMEM. Fits ut_trace_span_visit with the tree as context.
ut_err ut_tree_add(void *tree, const ut_trace_span *span);

// Orders what was added: depth first, roots and children by start. UT_ENOMEM.
ut_err ut_tree_build(ut_tree *tree);

// The rows in that order; count of them. Valid until ut_tree_free.
const ut_tree_row *ut_tree_rows(const ut_tree *tree, uint32_t *count);

#endif
