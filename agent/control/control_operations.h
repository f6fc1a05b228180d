// The resources /store/... of the control socket that begin, watch and cancel operations on the
// whole store.
#ifndef UT_AGENT_CONTROL_CONTROL_OPERATIONS_H
#define UT_AGENT_CONTROL_CONTROL_OPERATIONS_H

#include "agent/control/control_answer.h"

ut_control_serve ut_control_get_operation; // GET /store/operation
ut_control_serve ut_control_post_cleanup;  // POST /store/cleanup
ut_control_serve ut_control_post_ttl;      // POST /store/ttl
ut_control_serve ut_control_post_compact;  // POST /store/compact
ut_control_serve ut_control_post_rekey;    // POST /store/rekey
ut_control_serve ut_control_post_cancel;   // POST /store/cancel

#endif
