// Requests of realistic spans for tests of the agent, whose headers do not go together with
// random_span.h (a name of port.h is a type there).
#ifndef UT_TESTS_SUPPORT_OTLP_BODY_H
#define UT_TESTS_SUPPORT_OTLP_BODY_H

#include "adapters/otlp/otlp.h"

// Adds so many realistic spans to batch; the same seed gives the same spans, another seed other
// ids.
void ut_make_spans(uint64_t seed, uint32_t spans, ut_batch *batch);
// The same with every kind of value, and much larger.
void ut_make_big_spans(uint64_t seed, uint32_t spans, ut_batch *batch);
// Appends a request of ut_make_spans.
void ut_make_body(uint64_t seed, uint32_t spans, const ut_otlp_encoder *encoder, ut_buf *out);

#endif
