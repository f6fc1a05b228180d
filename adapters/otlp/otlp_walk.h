// Walks the spans of a block with ordinals in a range, group by group, with each group's scope and resource at hand: what
// every encoder of blocks needs. Not for what is done with them.
#ifndef UT_ADAPTERS_OTLP_WALK_H
#define UT_ADAPTERS_OTLP_WALK_H

#include "storage/span/block.h"

// 4 KB of offsets, so that a group finds its scope and resource at once; meant for the stack of one call.
typedef struct {
    const ut_block *block;
    ut_block_cursor cursor;
    uint32_t from;
    uint32_t to;
    uint32_t scopes[UT_BLOCK_SPANS_MAX];    // where each element of block->scopes begins
    uint32_t resources[UT_BLOCK_SPANS_MAX]; // likewise of block->resources
} ut_otlp_walk;

typedef struct {
    uint32_t resource_index;
    ut_scope scope;
    ut_resource resource;
} ut_otlp_group;

// Spans with from <= ordinal < to. block must stay open. UT_ECORRUPT.
ut_err ut_otlp_walk_begin(ut_otlp_walk *walk, const ut_block *block, uint32_t from, uint32_t to);

// Enters the next group that holds a span of the range. *more is false at the end. UT_ECORRUPT.
ut_err ut_otlp_walk_group(ut_otlp_walk *walk, ut_otlp_group *group, bool *more);

// The next span of the group and the range. *more is false at the end. UT_ECORRUPT.
ut_err ut_otlp_walk_span(ut_otlp_walk *walk, ut_span *span, bool *more);

#endif
