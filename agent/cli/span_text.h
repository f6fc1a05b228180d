// A span as text: the words for its kind and status, its times, and the JSON object that every
// command prints for one. OTLP's own JSON is in adapters/.
#ifndef UT_AGENT_SPAN_TEXT_H
#define UT_AGENT_SPAN_TEXT_H

#include "storage/span/llm.h"
#include "storage/span/span.h"

const char *ut_span_kind_z(int32_t kind);     // "server"; unknown ones are "unspecified"
const char *ut_span_status_z(int32_t status); // "error", "ok", "unset"

// How long it took; 0 when it ends before it begins.
uint64_t ut_span_duration_ns(uint64_t start_ns, uint64_t end_ns);

// "2026-11-20 18:40:00", UTC; out_z holds UT_TEXT_SHORT_MAX bytes. Times of a table.
void ut_span_began(uint64_t start_ns, char *out_z);

// The service.name of a resource; empty when it has none.
ut_bytes ut_span_service(ut_bytes resource_attributes);

// What kind of error: error.type of the span, else exception.type of its first event that has one;
// empty when neither is there. Borrowed from the span.
ut_bytes ut_span_error_type(const ut_span *span);

// "$0.0123"; what does not fit is cut.
enum { UT_SPAN_COST_MAX = 40 };
void ut_span_cost(double usd, char out_z[UT_SPAN_COST_MAX]);

// Appends the fields of a JSON object, without its braces: "trace_id":"...", ... "events":[...].
// Times are numbers of nanoseconds. Calls of a language model have "llm":{...}.
void ut_span_json(ut_buf *out, const ut_span *span, ut_bytes scope_name,
                  ut_bytes resource_attributes);

#endif
