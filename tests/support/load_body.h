// Bodies of OTLP requests that a load generator sends again and again, each time with other ids.
// Making a body takes far longer than changing its ids, so that the generator's own share of the
// machine stays small.
#ifndef UT_TESTS_SUPPORT_LOAD_BODY_H
#define UT_TESTS_SUPPORT_LOAD_BODY_H

#include "agent/commands/sample.h"
#include "storage/span/span.h"

typedef struct {
    uint32_t spans;   // 1..UT_SAMPLE_SPANS_MAX
    uint32_t traces;  // span i is of trace i modulo this number; 0: traces of 3 to 18 spans
    bool keep_traces; // copies of a body differ in the ids of spans only
    bool json;        // OTLP JSON instead of protobuf
} ut_load_shape;

// One body with the places of its ids.
typedef struct {
    ut_buf body;
    bool json;
    // Where an id begins of which the first 8 bytes (16 hexadecimal digits in JSON) are changed.
    uint32_t *ids;
    size_t id_count;
    uint8_t first_trace[UT_TRACE_ID_LEN]; // of the first span in the body
    bool keep_traces;
} ut_load_body;

// Makes a body of spans that the generator gives. Stops the program on an error.
void ut_load_body_make(ut_load_body *body, ut_sample *sample, const ut_load_shape *shape);
void ut_load_body_free(ut_load_body *body);

// Puts a copy of the body into out (which is emptied first), with ids that differ from those of
// every other salt's copy. Parents and children stay so. Stops the program on an error.
void ut_load_body_copy(const ut_load_body *body, uint64_t salt, ut_buf *out);

// The id of the first trace in the copy with this salt.
void ut_load_body_trace(const ut_load_body *body, uint64_t salt, uint8_t id[UT_TRACE_ID_LEN]);

#endif
