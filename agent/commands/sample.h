// Realistic sample traces as OTLP protobuf requests: for `untrace send`, `make run` and the load
// generator of `make bench`. A small shop of four services; nothing here looks at what happens to
// the spans.
#ifndef UT_AGENT_COMMANDS_SAMPLE_H
#define UT_AGENT_COMMANDS_SAMPLE_H

#include "port/base/buf.h"

enum {
    UT_SAMPLE_SERVICES = 4,
    UT_SAMPLE_SCOPES = 3, // per service: HTTP server, HTTP client, database
    UT_SAMPLE_TRACE_SPANS_MIN = 3,
    UT_SAMPLE_TRACE_SPANS_MAX = 18,
    UT_SAMPLE_SPANS_MAX = 1 << 16, // in one request
};

typedef struct {
    uint8_t trace_id[16];
    uint32_t spans;
} ut_sample_trace;

// Everything a generator holds; several may be used at once, one thread each.
typedef struct {
    uint64_t random[4];
    ut_buf traces; // ut_sample_trace each: what the last request held
    ut_buf spans[UT_SAMPLE_SERVICES]
                [UT_SAMPLE_SCOPES]; // of the request that is being made, by who recorded them
} ut_sample;

// The same seed gives the same requests; another seed gives other ids.
void ut_sample_init(ut_sample *sample, uint64_t seed);
void ut_sample_free(ut_sample *sample);

// Appends one ExportTraceServiceRequest of exactly `spans` spans (1..UT_SAMPLE_SPANS_MAX), about
// 670 bytes each, to out. They form traces of 3 to 18 spans (the last one may be shorter), each
// complete with its root, over one to four services; the newest ends at end_ns. About one trace in
// fifteen has an error. UT_ENOMEM, UT_ELIMIT (out's ceiling).
ut_err ut_sample_request(ut_sample *sample, uint32_t spans, uint64_t end_ns, ut_buf *out);

// The traces of the last request; *count of them. Valid until the next request.
const ut_sample_trace *ut_sample_traces(const ut_sample *sample, uint32_t *count);

#endif
