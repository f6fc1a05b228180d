// The sample trace of an assistant: calls of language models, and a state that its steps change. It
// has the same id each time, so that examples can name it.
#ifndef UT_AGENT_COMMANDS_SAMPLE_ASSISTANT_H
#define UT_AGENT_COMMANDS_SAMPLE_ASSISTANT_H

#include "port/base/buf.h"

enum { UT_SAMPLE_ASSISTANT_SPANS = 3 };

extern const uint8_t ut_sample_assistant_id[16];

// Appends one ExportTraceServiceRequest with the trace to out; its root ends 2 s before end_ns. Of
// another seed the ids of the spans are others. UT_ENOMEM, UT_ELIMIT (out's ceiling).
ut_err ut_sample_assistant(uint64_t seed, uint64_t end_ns, ut_buf *out);

#endif
