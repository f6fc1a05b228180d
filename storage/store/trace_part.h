// What one block has of a trace, whichever version wrote it. Read by trace_find.h.
#ifndef UT_STORAGE_STORE_TRACE_PART_H
#define UT_STORAGE_STORE_TRACE_PART_H

#include "storage/span/block.h"

typedef struct {
    uint64_t seq;
    uint32_t count; // spans
    uint8_t status; // worst of them
    bool has_root;
    bool head; // as of ut_trace_entry (block_traces.h)
    // Its head is the root record that a store of format 1 or 2 has of the trace, for which a block
    // of the trace stands that need not be the one with the root span.
    bool legacy;
    uint32_t root_ordinal;
    uint64_t start_ns;
    uint64_t end_ns;
    uint8_t ordinals[UT_BLOCK_SPANS_MAX / 8]; // bit n: the span with ordinal n is of the trace
} ut_trace_part;

#endif
