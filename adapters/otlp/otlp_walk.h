// Walks the spans of a block whose ordinals are in a range, group by group, with the scope and the
// resource of each group, as every encoder of blocks needs them. Not for encoding.
//
//     ut_otlp_walk_begin, then for each group ut_otlp_walk_group, and in it ut_otlp_walk_span until
//     *more is false
//
// UT_ECORRUPT of any function: the block is damaged; the walk must not go on.
#ifndef UT_ADAPTERS_OTLP_OTLP_WALK_H
#define UT_ADAPTERS_OTLP_OTLP_WALK_H

#include "storage/span/block.h"

// A walk, with 4 KB of offsets by which a group finds its scope and resource at once; meant for the
// stack of one call.
typedef struct {
    const ut_block *block;
    ut_block_cursor cursor;
    uint32_t from;
    uint32_t to;
    uint32_t scopes[UT_BLOCK_SPANS_MAX];    // where each element of block->scopes begins
    uint32_t resources[UT_BLOCK_SPANS_MAX]; // where each element of block->resources begins
} ut_otlp_walk;

// A group: spans that stand together and have one scope. All bytes are borrowed from the block.
typedef struct {
    uint32_t resource_index; // in the block: neighbours with one index share a ResourceSpans
    ut_scope scope;
    ut_resource resource;
} ut_otlp_group;

// Begins a walk over the spans with from <= ordinal < to. block must stay open while it lasts.
ut_err ut_otlp_walk_begin(ut_otlp_walk *walk, const ut_block *block, uint32_t from, uint32_t to);

// Enters the next group that holds a span of the range. *more: false at the end.
ut_err ut_otlp_walk_group(ut_otlp_walk *walk, ut_otlp_group *group, bool *more);

// Reads the next span of the group that is in the range; its bytes are borrowed from the block.
// *more: false at the end of the group.
ut_err ut_otlp_walk_span(ut_otlp_walk *walk, ut_span *span, bool *more);

#endif
