// Which spans of a trace its tree shows: those that conditions leave, with the ancestors that lead
// to them, runs of equal siblings folded into one row, and no more rows than a limit. Not for how a
// row looks (trace_tree_text.h).
#ifndef UT_AGENT_CLI_TRACE_CUT_H
#define UT_AGENT_CLI_TRACE_CUT_H

#include "storage/query/trace_tree.h"

enum {
    UT_TRACE_FOLD_MIN = 5,     // equal siblings in a row that become one
    UT_TRACE_ROWS_SHOWN = 200, // unless all are wanted
};

// All that is given has to hold for a span.
typedef struct {
    bool all;                 // nothing is folded, and there is no limit
    bool unfolded;            // nothing is folded
    bool errors;              // those with status error
    bool critical;            // those on the critical path
    uint32_t depth;           // those in the first levels; 0: in all
    uint64_t min_duration_ns; // those that took as long
} ut_trace_cut_options;

// What a row stands for. count is 1 for a span by itself; the rest is set for more.
typedef struct {
    uint32_t count;
    uint32_t below;  // spans below each of them
    uint32_t errors; // among all of these
    uint64_t sum_ns;
    uint64_t min_ns;
    uint64_t max_ns;
    ut_bytes message; // of the first error
} ut_trace_fold;

typedef struct {
    // Copies of rows of the tree with depth as there, parent and last_child as they are here. The
    // row of a fold begins with the first and ends with the last of its spans.
    ut_tree_row *rows;
    ut_trace_fold *folds; // of each row
    uint32_t count;
    uint32_t folded;   // spans that stand in folds
    uint32_t left_out; // spans that the conditions left out
    uint32_t left_out_errors;
    uint32_t more; // spans beyond the limit
    uint32_t more_errors;
} ut_trace_cut;

// from: built, borrowed until ut_trace_cut_free. UT_ENOMEM.
ut_err ut_trace_cut_make(ut_trace_cut *cut, const ut_tree *from,
                         const ut_trace_cut_options *options);
void ut_trace_cut_free(ut_trace_cut *cut);

// Where most of a trace's time went: the own time of the spans on the critical path, summed by name
// and service.
typedef struct {
    ut_bytes name;
    ut_bytes service;
    uint64_t critical_ns;
    uint32_t count;
} ut_trace_share;

// Fills shares, at most max, the largest first; *count of them. UT_ENOMEM.
ut_err ut_trace_shares(const ut_tree *from, ut_trace_share *shares, uint32_t max, uint32_t *count);

#endif
