// The servers of the agent: what listens, on the network thread. A server that is switched off, or
// that this machine cannot have, is NULL and passed over.
#ifndef UT_AGENT_DAEMON_SERVERS_H
#define UT_AGENT_DAEMON_SERVERS_H

#include "agent/control/control.h"
#include "agent/receive/receiver_otlp_http.h"

typedef struct {
    ut_receiver_otlp_http *otlp_http;
    ut_control *control;
} ut_servers;

// Whether there is any.
bool ut_servers_any(const ut_servers *servers);

// Steps all of them; *next_ms is the earliest of what they ask for, as for ut_http_server_step.
void ut_servers_step(const ut_servers *servers, uint64_t now_ms, uint64_t *next_ms);

// Lets them take no more requests; those under way are answered.
void ut_servers_stop(const ut_servers *servers, uint64_t now_ms);

// Whether none has a connection left.
bool ut_servers_idle(const ut_servers *servers);

// Closes them. Every request handed to the store thread must have been delivered.
void ut_servers_close(ut_servers *servers);

#endif
