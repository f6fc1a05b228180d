// One whole trace as an OTLP/JSON request on standard output; its spans are equal to those
// received.
#ifndef UT_AGENT_FILES_TRACE_OTLP_H
#define UT_AGENT_FILES_TRACE_OTLP_H

#include "agent/query/reader.h"

// UT_ENOTFOUND; UT_ENOMEM, UT_ELIMIT; errors of the store; as ut_term_write.
ut_err ut_trace_otlp_print(ut_reader *reader, const uint8_t trace_id[UT_TRACE_ID_LEN],
                           uint32_t *damaged);

#endif
