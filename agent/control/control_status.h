// The resource /status of the control socket: what the agent is doing.
#ifndef UT_AGENT_CONTROL_CONTROL_STATUS_H
#define UT_AGENT_CONTROL_CONTROL_STATUS_H

#include "agent/control/control_answer.h"

// GET /status. body: not looked at.
ut_control_serve ut_control_get_status;

#endif
