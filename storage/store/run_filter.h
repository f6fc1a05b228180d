// The Bloom filter over the trace ids of a run (trace_run.h), in slices by id that fit a page, as a
// merge writes them. Not for the filter over what a block holds: bloom.h.
#ifndef UT_STORAGE_STORE_RUN_FILTER_H
#define UT_STORAGE_STORE_RUN_FILTER_H

#include "port/base/buf.h"
#include "port/base/siphash.h"
#include "storage/engine.h"
#include "storage/span/span.h"

// The hash of a trace id for filters. key: ut_index_filter_key.
static inline uint64_t ut_trace_hash(ut_siphash_key key, const uint8_t trace_id[UT_TRACE_ID_LEN])
{
    return ut_siphash(key, (ut_bytes){trace_id, UT_TRACE_ID_LEN});
}

typedef struct {
    ut_cursor *cursor;
    uint32_t org;
    uint64_t run;
    bool open; // bits is the slice from first to last
    uint8_t first[UT_TRACE_ID_LEN];
    ut_bytes bits; // borrowed until the cursor or its transaction is used
    const uint8_t *last;
} ut_run_filter;

void ut_run_filter_begin(ut_run_filter *filter, ut_cursor *cursor, uint32_t org, uint64_t run);
// *maybe: true when the trace may be in the run; false is certain. Ids may come in any order, but
// those that rise are cheaper. hash: of the id. Errors of the engine; a damaged filter says yes.
ut_err ut_run_filter_ask(ut_run_filter *filter, const uint8_t trace_id[UT_TRACE_ID_LEN],
                         uint64_t hash, bool *maybe);

// The most traces of one slice in a store of this engine.
size_t ut_run_filter_traces_max(const ut_engine *engine);
// Makes the value of a slice. hashes: those of its traces, uint64_t each, at least one. last: the
// id of the last of them. UT_ENOMEM.
ut_err ut_run_filter_make(const ut_buf *hashes, const uint8_t last[UT_TRACE_ID_LEN], ut_buf *value);

#endif
