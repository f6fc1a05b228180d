// What the files of a `tls` section hold is looked at when they are read, so that a fault names the
// place in the configuration and the file.
#ifndef UT_AGENT_CONFIG_CONFIG_TLS_H
#define UT_AGENT_CONFIG_CONFIG_TLS_H

#include "agent/config/config_yaml.h"

// tls: the section, a mapping. cert_pem, key_pem: what its cert_file and key_file hold; both empty:
// there is nothing to check. UT_ETLS, UT_EINVAL, UT_ENOMEM.
ut_err ut_config_check_identity(ut_yaml *yaml, const yaml_node_t *tls, ut_bytes cert_pem,
                                ut_bytes key_pem);

// key_z: of the section, whose file holds ca_pem; empty: there is nothing to check.
ut_err ut_config_check_ca(ut_yaml *yaml, const yaml_node_t *tls, const char *key_z,
                          ut_bytes ca_pem);

#endif
