// The resource /store/consumer of the control socket: cursors of readers that poll.
#ifndef UT_AGENT_CONTROL_CONTROL_CONSUMER_H
#define UT_AGENT_CONTROL_CONTROL_CONSUMER_H

#include "agent/control/control_answer.h"

// POST /store/consumer. body: {"name":TEXT,"seq":N,"ordinal":N}; seq 0 and ordinal 0 remove it.
ut_control_serve ut_control_post_consumer;

#endif
