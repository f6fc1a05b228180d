// The section `receivers` of the configuration: the ports that take spans.
#ifndef UT_AGENT_CONFIG_CONFIG_RECEIVERS_H
#define UT_AGENT_CONFIG_CONFIG_RECEIVERS_H

#include "port/base/bytes.h"
#include "port/port.h"

// receivers.otlp_http
typedef struct {
    bool enabled;
    ut_addr listen;
    bool tls;
    ut_bytes cert_pem;
    ut_bytes key_pem;
    ut_bytes client_ca_pem;    // not empty: clients must show a certificate
    uint64_t body_bytes_max;   // as received, and also after decompression; default 64 MiB
    uint64_t memory_bytes_max; // of all requests under way; beyond it 503; default 256 MiB
    uint32_t connections_max;  // default 1024
    uint32_t header_bytes_max; // default 32 KiB
    uint32_t head_timeout_ms;  // for request line and headers; default 10 s
    uint32_t body_timeout_ms;  // without a byte of the body; default 30 s
    uint32_t idle_timeout_ms;  // of a kept connection; default 120 s
} ut_receiver_config;

typedef struct {
    ut_receiver_config otlp_http;
} ut_config_receivers;

// libyaml's types are only named here, so that users of the configuration need no libyaml.
struct ut_yaml;
struct yaml_node_s;

// Sets the defaults: OTLP over HTTP on the loopback address, port 4318. receivers is a
// ut_config_receivers.
void ut_config_receivers_default(void *receivers);

// Reads the section into a ut_config_receivers; a ut_yaml_read. Also reads the certificate files
// that it names.
ut_err ut_config_receivers_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *receivers);

// Reads an address to listen on into a ut_addr; a ut_yaml_read.
ut_err ut_config_listen_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *addr);

#endif
