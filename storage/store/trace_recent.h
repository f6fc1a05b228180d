// The traces of recent blocks, in memory, by which a writer does without looking into those blocks.
// Not for readers: they ask the blocks (trace_find.h).
#ifndef UT_STORAGE_STORE_TRACE_RECENT_H
#define UT_STORAGE_STORE_TRACE_RECENT_H

#include "port/base/buf.h"

// The traces of the blocks that this process has written last: a set of hashes of their ids, with
// which a writer passes those blocks by.
typedef struct {
    uint64_t from_seq; // blocks from this one on are in the set; 0: none is
    ut_buf slots;      // uint32_t each; 0: free
    uint32_t count;
} ut_trace_recent;

enum {
    UT_TRACE_RECENT_SLOTS = 8192,
    UT_TRACE_RECENT_MAX = UT_TRACE_RECENT_SLOTS / 2, // traces
};

void ut_trace_recent_init(ut_trace_recent *recent);
void ut_trace_recent_free(ut_trace_recent *recent);
// Takes in block seq, before it is committed: first this with the number of its traces, then each
// of them. A set that is too full begins anew with this block.
void ut_trace_recent_begin_block(ut_trace_recent *recent, uint64_t seq, uint32_t traces);
// hash: ut_trace_hash of the id.
void ut_trace_recent_add(ut_trace_recent *recent, uint64_t hash);
bool ut_trace_recent_has(const ut_trace_recent *recent, uint64_t hash);

#endif
