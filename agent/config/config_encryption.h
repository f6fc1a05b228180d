// The section `storage.encryption` of the configuration: where the master key comes from. Taking it
// from there is master_key.h's.
#ifndef UT_AGENT_CONFIG_CONFIG_ENCRYPTION_H
#define UT_AGENT_CONFIG_CONFIG_ENCRYPTION_H

#include "port/base/err.h"

// Exactly one is set, or none: the store is not encrypted. The key itself is not read here.
typedef struct {
    char *key_file_z;
    char *key_env_z;    // name of an environment variable
    char *credential_z; // name of a systemd credential, a file in $CREDENTIALS_DIRECTORY
} ut_config_encryption;

// libyaml's types are only named here, so that users of the configuration need no libyaml.
struct ut_yaml;
struct yaml_node_s;

// Reads the section into a ut_config_encryption; a ut_yaml_read.
ut_err ut_config_encryption_read(struct ut_yaml *yaml, struct yaml_node_s *node, void *encryption);

#endif
