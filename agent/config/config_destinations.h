// The section `destinations` of the configuration: where spans go. Also what a command needs that
// sends to an endpoint without a configuration.
#ifndef UT_AGENT_CONFIG_CONFIG_DESTINATIONS_H
#define UT_AGENT_CONFIG_CONFIG_DESTINATIONS_H

#include "transport/deliver/destination.h"

enum { UT_CONFIG_DESTINATIONS_MAX = 64 };

typedef struct {
    ut_destination_config items[UT_CONFIG_DESTINATIONS_MAX]; // dest: set when the store is open
    size_t count;
} ut_config_destinations;

// libyaml's types are only named here, so that users of the configuration need no libyaml.
struct ut_yaml;
struct yaml_node_s;

// Reads the list into a ut_config_destinations; a ut_yaml_read. Also reads the certificate files
// that it names.
ut_err ut_config_destinations_read(struct ut_yaml *yaml, struct yaml_node_s *node,
                                   void *destinations);

// Sets url to the URL of an OTLP/HTTP endpoint: /v1/traces is appended to the path of endpoint_z,
// unless it stands there or a query follows. UT_EFORMAT, UT_EINVAL; the fault says what was found
// and expected.
ut_err ut_config_endpoint(const char *endpoint_z, ut_url *url, ut_fault *fault);

// Appends the certificates that the system trusts, from where distributions keep them. UT_EINVAL
// when there are none.
ut_err ut_config_system_ca(ut_buf *pem, ut_fault *fault);

#endif
