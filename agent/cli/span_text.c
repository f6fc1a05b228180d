// A span as text; see span_text.h.
#include "agent/cli/span_text.h"

#include "agent/cli/local_time.h"
#include "port/base/text.h"

#include <stdio.h>

void ut_span_began(uint64_t start_ns, char *out_z)
{
    ut_text_time(ut_local_of_unix(start_ns), out_z);
    out_z[10] = ' ';
    out_z[19] = 0; // whole seconds are enough in a table
}

void ut_span_cost(double usd, char out_z[UT_SPAN_COST_MAX])
{
    // A call costs parts of a cent, a day costs dollars.
    (void)snprintf(out_z, UT_SPAN_COST_MAX,
                   usd < 0.01  ? "$%.6f"
                   : usd < 100 ? "$%.4f"
                               : "$%.2f",
                   usd);
}
