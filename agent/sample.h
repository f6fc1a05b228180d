// Realistic sample traces as OTLP protobuf requests: what a small shop of services would send. For `untrace send` and the benchmarks;
// not random garbage (tests/support has that).
#ifndef UT_AGENT_SAMPLE_H
#define UT_AGENT_SAMPLE_H

#include "port/base/buf.h"

enum {
    UT_SAMPLE_TRACE_SPANS_MIN = 3,
    UT_SAMPLE_TRACE_SPANS_MAX = 18,
};

// Deterministic for a seed; ids are fresh with every call. About 670 bytes of protobuf a span.
typedef struct {
    uint64_t random[4];
} ut_sample;

void ut_sample_init(ut_sample *sample, uint64_t seed);

// One trace that a request holds, whole.
typedef struct {
    uint8_t trace_id[16];
    uint32_t spans;
} ut_sample_trace;

// Appends one ExportTraceServiceRequest of exactly `spans` spans (>= 1) that ended shortly before now_ns: whole traces of 3 to 18 spans (the last one is
// cut to fit), parents and children across two or three services, a few errors with an exception event. traces: one entry a trace, NULL or room for
// `spans` entries; *trace_count: how many. Errors stay in out->err.
void ut_sample_request(ut_sample *sample, uint32_t spans, uint64_t now_ns, ut_buf *out, ut_sample_trace *traces,
                       uint32_t *trace_count);

#endif
