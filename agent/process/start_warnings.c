// The warnings of a start; see start_warnings.h.
#include "agent/process/start_warnings.h"

#include "agent/process/descriptors.h"
#include "transport/http/http_limits.h"

enum { DESCRIPTORS_BESIDE = 128 }; // beside those of the receiver's connections

enum { GRPC_PORT = 4317 }; // by custom (OTLP, "OTLP/gRPC Default Port")

void ut_warn_of_config(const ut_config *config, const ut_log *log)
{
    if (config->dollar_z != NULL)
        ut_log_write(log, UT_LOG_WARN, "agent", "%s", config->dollar_z);
    const ut_receiver_config *const receiver = &config->receivers.otlp_http;
    if (receiver->enabled && !receiver->tls && !ut_addr_is_loopback(&receiver->listen)) {
        char listen_z[UT_ADDR_TEXT_MAX];
        ut_addr_text(&receiver->listen, listen_z);
        ut_log_write(log, UT_LOG_WARN, "agent",
                     "otlp_http listens on %s without TLS: anyone on that network can send spans, "
                     "and read them on their way",
                     listen_z);
    }
    for (size_t i = 0; i < config->destinations.count; i++) {
        const ut_destination_config *const destination = &config->destinations.items[i];
        if (destination->insecure)
            ut_log_write(log, UT_LOG_WARN, "agent",
                         "destination %s is insecure: its certificate is not verified, so anyone "
                         "on the way can read and change what is sent",
                         destination->name_z);
        if (destination->url.port == GRPC_PORT)
            ut_log_write(log, UT_LOG_WARN, "agent",
                         "destination %s is at port %d, where gRPC is spoken by custom; this agent "
                         "speaks OTLP over HTTP, whose port is 4318",
                         destination->name_z, GRPC_PORT);
    }
}

void ut_warn_of_waiting(const ut_config *config, const ut_store *store, const ut_log *log)
{
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        const uint64_t waiting = ut_store_pending(&all[i].counts);
        size_t k = 0;
        while (k < config->destinations.count &&
               strcmp(config->destinations.items[k].name_z, all[i].name_z) != 0)
            k++;
        if (k == config->destinations.count && waiting > 0)
            ut_log_write(log, UT_LOG_WARN, "agent",
                         "destination %s is not configured any more; %llu spans wait for it until "
                         "they expire",
                         all[i].name_z, (unsigned long long)waiting);
    }
}

void ut_raise_descriptors(const ut_config *config, const ut_log *log)
{
    const uint32_t connections = config->receivers.otlp_http.connections_max;
    const uint64_t need =
        (uint64_t)connections + UT_HTTP_SERVER_TURNED_AWAY_MAX + DESCRIPTORS_BESIDE;
    uint64_t most = 0;
    if (!ut_descriptors_raise(need, &most))
        ut_log_write(log, UT_LOG_WARN, "agent",
                     "at most %llu files may be open, but %u connections need %llu; raise the "
                     "limit (ulimit -n) or lower max_connections",
                     (unsigned long long)most, connections, (unsigned long long)need);
}
