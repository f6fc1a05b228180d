// The resource /spans of the control socket: spans that `untrace import` hands over.
#ifndef UT_AGENT_CONTROL_CONTROL_SPANS_H
#define UT_AGENT_CONTROL_CONTROL_SPANS_H

#include "agent/control/control_answer.h"

// POST /spans. body: frames (control_limits.h). Where not all can be stored, a 503 (later) or a 413
// (never) tells what was stored: stored, duplicates, and in taken bit 0 for the first frame, bit 1
// for the second, and so on.
ut_control_serve ut_control_post_spans;

#endif
