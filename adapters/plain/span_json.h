// A span as this project's own JSON, as every command prints it and the words that stand in it.
// OTLP's JSON is in adapters/otlp.
#ifndef UT_ADAPTERS_PLAIN_SPAN_JSON_H
#define UT_ADAPTERS_PLAIN_SPAN_JSON_H

#include "storage/span/span.h"

const char *ut_span_kind_z(int32_t kind);     // "server"; unknown ones are "unspecified"
const char *ut_span_status_z(int32_t status); // "error", "ok", "unset"

// Appends the fields of a JSON object, without its braces: "trace_id":"...", ... "events":[...].
// Times are numbers of nanoseconds. Calls of a language model have "llm":{...}.
void ut_span_json(ut_buf *out, const ut_span *span, ut_bytes scope_name,
                  ut_bytes resource_attributes);

#endif
