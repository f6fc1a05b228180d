// Parts of a span as a table shows them: when it began, what it cost.
#ifndef UT_AGENT_CLI_SPAN_TEXT_H
#define UT_AGENT_CLI_SPAN_TEXT_H

#include "adapters/plain/span_json.h"
#include "port/base/text.h"

// "2026-11-20 18:40:00", in local time; out_z holds UT_TEXT_SHORT_MAX bytes. Times of a table.
void ut_span_began(uint64_t start_ns, char *out_z);

// "$0.0123"; what does not fit is cut.
enum { UT_SPAN_COST_MAX = 40 };
void ut_span_cost(double usd, char out_z[UT_SPAN_COST_MAX]);

#endif
