// Which traces are at rest: spans of a trace come one after the other, from several services, and a
// listing that follows them shows each trace once, when no more span of it has come for a while.
// Memory is bounded; time is the caller's.
#ifndef UT_AGENT_QUERY_QUIET_TRACES_H
#define UT_AGENT_QUERY_QUIET_TRACES_H

#include "storage/span/span.h"

enum {
    UT_QUIET_MS = 2000,          // without a span: the trace is at rest
    UT_QUIET_LONGEST_MS = 30000, // after its first span; one that never rests counts as at rest
    UT_QUIET_TRACES_MAX = 8192,  // remembered; of those shown, the oldest are forgotten first
};

typedef struct ut_quiet_traces ut_quiet_traces;

// UT_ENOMEM.
ut_err ut_quiet_traces_new(ut_quiet_traces **traces);
void ut_quiet_traces_free(ut_quiet_traces *traces); // NULL is ignored

// A span of the trace has come. One that has been taken out before is passed over. Where there is
// no more room, the oldest is forgotten: take traces out while ut_quiet_traces_are_full.
void ut_quiet_traces_add(ut_quiet_traces *traces, ut_bytes trace_id, uint64_t now_ms);

// There is no more room, and the next new trace would take the place of one that waits.
bool ut_quiet_traces_are_full(const ut_quiet_traces *traces);

// Takes out a trace that is at rest, in the order of their first spans. False: there is none now;
// *wait_ms: out, the time until there may be one, UINT64_MAX without any that waits.
bool ut_quiet_traces_take(ut_quiet_traces *traces, uint64_t now_ms,
                          uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t *wait_ms);

#endif
