// Questions to the store: the newest traces, and one trace with all its spans. Reads only, from any
// thread with its own view.
#ifndef UT_STORAGE_QUERY_H
#define UT_STORAGE_QUERY_H

#include "storage/store.h"

// One row of a listing of traces; bytes are borrowed for the call of the visitor.
typedef struct {
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint64_t start_ns;
    uint64_t duration_ns; // of the root span, or of what is there when no root has arrived
    uint8_t status;       // worst status of the trace
    uint32_t span_count;
    bool has_root;
    ut_bytes service;
    ut_bytes name; // of the root span, or of the earliest span
} ut_trace_row;

typedef ut_err (*ut_trace_row_visit)(
    void *context, const ut_trace_row *row); // anything but UT_OK ends the walk and is returned

// Newest first, at most limit rows, each trace once.
ut_err ut_query_traces(ut_store_view *view, uint32_t org, uint32_t limit, ut_trace_row_visit visit,
                       void *context);

// One span of a trace with what it hangs on; borrowed for the call of the visitor.
typedef struct {
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    uint64_t seq;
    uint32_t ordinal;
} ut_trace_span;

typedef ut_err (*ut_trace_span_visit)(void *context, const ut_trace_span *span);

// All spans of one trace, in order of arrival. UT_ENOTFOUND when there is none. UT_ECORRUPT names
// no block that others need: damaged blocks are passed over and counted in *damaged.
ut_err ut_query_trace(ut_store_view *view, uint32_t org, const uint8_t trace_id[UT_TRACE_ID_LEN],
                      uint32_t *damaged, ut_trace_span_visit visit, void *context);

// Finds the one trace whose id begins with `digits` hex characters (1..32) of prefix_z.
// UT_ENOTFOUND, UT_EEXIST when several do, UT_EFORMAT.
ut_err ut_query_resolve_trace(ut_store_view *view, uint32_t org, const char *prefix_z,
                              uint8_t trace_id[UT_TRACE_ID_LEN]);

#endif
