// The servers of the agent; see servers.h.
#include "agent/daemon/servers.h"

bool ut_servers_any(const ut_servers *servers)
{
    return servers->otlp_http != NULL || servers->control != NULL;
}

void ut_servers_step(const ut_servers *servers, uint64_t now_ms, uint64_t *next_ms)
{
    uint64_t otlp_http_ms = UINT64_MAX;
    uint64_t control_ms = UINT64_MAX;
    if (servers->otlp_http != NULL)
        ut_receiver_otlp_http_step(servers->otlp_http, now_ms, &otlp_http_ms);
    if (servers->control != NULL)
        ut_http_server_step(ut_control_server(servers->control), now_ms, &control_ms);
    *next_ms = otlp_http_ms < control_ms ? otlp_http_ms : control_ms;
}

void ut_servers_stop(const ut_servers *servers, uint64_t now_ms)
{
    if (servers->otlp_http != NULL)
        ut_http_server_stop(ut_receiver_otlp_http_server(servers->otlp_http), now_ms);
    if (servers->control != NULL)
        ut_http_server_stop(ut_control_server(servers->control), now_ms);
}

bool ut_servers_idle(const ut_servers *servers)
{
    return (servers->otlp_http == NULL ||
            ut_http_server_idle(ut_receiver_otlp_http_server(servers->otlp_http))) &&
           (servers->control == NULL || ut_http_server_idle(ut_control_server(servers->control)));
}

void ut_servers_close(ut_servers *servers)
{
    ut_control_close(servers->control);
    ut_receiver_otlp_http_close(servers->otlp_http);
    *servers = (ut_servers){0};
}
