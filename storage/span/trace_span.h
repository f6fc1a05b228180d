// A stored span with its scope, its resource and its place in the store, as questions hand it on.
#ifndef UT_STORAGE_SPAN_TRACE_SPAN_H
#define UT_STORAGE_SPAN_TRACE_SPAN_H

#include "storage/span/span.h"

// The bytes are borrowed for the call of the visitor.
typedef struct {
    ut_span span;
    ut_scope scope;
    ut_resource resource;
    uint64_t seq;     // of its block
    uint32_t ordinal; // in the block
} ut_trace_span;

// Anything but UT_OK ends the walk and is returned by it.
typedef ut_err (*ut_trace_span_visit)(void *context, const ut_trace_span *span);

typedef struct {
    ut_trace_span_visit visit;
    void *context;
} ut_trace_span_visitor;

#endif
