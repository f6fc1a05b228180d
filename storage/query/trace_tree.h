// One trace as a tree from its parent links, with the path that decided how long it took, and
// clocks that disagree. Several roots, missing parents, cycles and repeated ids are survived: every
// span stands in the tree exactly once, by the record of it that is the most complete.
#ifndef UT_STORAGE_QUERY_TRACE_TREE_H
#define UT_STORAGE_QUERY_TRACE_TREE_H

#include "storage/query/query.h"

enum {
    UT_TREE_SPANS_MAX = 1000 * 1000,
    UT_TREE_BYTES_MAX = 1024 * 1024 * 1024, // of copies; resources are copied once each
};

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
    bool skewed;          // against its parent, by skew_ns: see ut_tree_build
    bool duplicate_id;    // another span of the tree has the same id
    bool replaced;        // not in the tree: see ut_tree_build
    uint64_t critical_ns; // of its time, what no child accounts for on that way
    uint64_t self_ns;     // of its time, when no child was running
    int64_t skew_ns;      // to be added to its times; 0 where it is not skewed
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
    ut_bytes links;  // raw MessagePack
} ut_tree_row;

typedef struct ut_tree ut_tree;

ut_err ut_tree_new(ut_tree **tree);
void ut_tree_free(ut_tree *tree);

// Copies one span in. UT_ELIMIT, UT_ENOMEM. Fits ut_trace_span_visit with the tree as context.
ut_err ut_tree_add(void *tree, const ut_trace_span *span);

// Orders what was added: depth first, roots and children by start (equal starts: by arrival). Call
// once. Where several spans have the id that a child names as its parent, the first to arrive
// is it.
//
// Replaced records. Some senders tell of a span first when it begins, and again when it has ended.
// A record is open when its end does not lie behind its start. An open record is not in the tree
// when there is another record of the same span, which is one with the same id, kind and start:
// one that has ended, whichever of them came first, or else an open one that came later. Spans
// that share an id and differ in kind or start, and records that have ended, are all in the tree.
//
// Critical path. From the end of a span backwards: the child that finished last is on the path;
// then, from the start of that child backwards, the child that had finished last by then; and so on
// to the start of the span, and in the same way within each of those children. What lies between
// them is the span's own critical_ns. Of a child that reaches beyond its parent only what lies
// inside counts; of two that finish together the one that began first is taken; spans that took no
// time are not on the path. Roots are taken for children of one span that lasts from the first
// start to the last end of roots. So the sum of critical_ns is the duration of the root, where
// there is one.
//
// Clock skew. A child in the tree is skewed
// - when it begins before its parent, whatever the two are: the parent has to exist first;
// - when it ends after its parent, only where the parent waited on another clock: the parent is of
//   kind client and not failed (who gives up does not wait), the child is of kind server and took
//   no longer than the parent, and their resources differ. Anything else that ends later is work
//   that went on by itself.
// skew_ns is what moves its start to that of its parent (positive), or its end (negative).
//
// UT_ENOMEM.
ut_err ut_tree_build(ut_tree *tree);

// The rows in that order; count of them. Valid until ut_tree_free.
const ut_tree_row *ut_tree_rows(const ut_tree *tree, uint32_t *count);
// The same rows, and behind them, in order of arrival, the replaced records, with the depth, place
// and parent of the record that is in the tree; count of all.
const ut_tree_row *ut_tree_all_rows(const ut_tree *tree, uint32_t *count);

#endif
