// The span as this project's own JSON, which every command prints, and the words that stand in it.
// OTLP's JSON is in adapters/otlp.
#ifndef UT_ADAPTERS_PLAIN_SPAN_JSON_H
#define UT_ADAPTERS_PLAIN_SPAN_JSON_H

#include "adapters/encoding/json_write.h"
#include "storage/span/span.h"

const char *ut_span_kind_z(int32_t kind);     // "server"; unknown ones are "unspecified"
const char *ut_span_status_z(int32_t status); // "error", "ok", "unset"

// Writes the members of a span into the object that is open: "trace_id":"...", ... "events":[...].
// Times are written twice (json_time.h). Calls of a language model have "llm":{...}.
void ut_span_json(ut_json_writer *json, const ut_span *span, ut_bytes scope_name,
                  ut_bytes resource_attributes);

#endif
