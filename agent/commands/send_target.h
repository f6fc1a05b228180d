// Where `untrace send` sends to: what the command line says, else the environment of the
// OpenTelemetry SDKs, else where the agent of the configuration listens.
#ifndef UT_AGENT_COMMANDS_SEND_TARGET_H
#define UT_AGENT_COMMANDS_SEND_TARGET_H

#include "transport/deliver/destination.h"
#include "transport/http/url.h"

enum { UT_SEND_ENDPOINT_MAX = 1024 };

typedef struct {
    char endpoint_z[UT_SEND_ENDPOINT_MAX]; // as it was given, or made
    ut_url url;
    ut_header headers[UT_DESTINATION_HEADERS_MAX]; // of the environment; into header_text_z
    size_t header_count;
    char *header_text_z; // freed with free; NULL: none
} ut_send_target;

// endpoint_z, config_z: of the command line, or NULL. In this order count endpoint_z; the listen
// of config_z; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, as it is; OTEL_EXPORTER_OTLP_ENDPOINT; the
// listen of the configuration that is found without a name. Headers of the environment
// (OTEL_EXPORTER_OTLP_TRACES_HEADERS, else OTEL_EXPORTER_OTLP_HEADERS) go where the command line
// does not say where to. Returns an exit code; fault is set where it is not EX_OK.
int ut_send_target_find(const char *endpoint_z, const char *config_z, ut_send_target *target,
                        ut_fault *fault);

#endif
