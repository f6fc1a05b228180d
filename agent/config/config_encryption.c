// The section `storage.encryption`; see config_encryption.h.
#include "agent/config/config_encryption.h"

#include "agent/config/config_yaml.h"

ut_err ut_config_encryption_read(ut_yaml *yaml, yaml_node_t *node, void *encryption)
{
    static const ut_yaml_field fields[] = {
        {"key_file", ut_yaml_read_path, offsetof(ut_config_encryption, key_file_z)},
        {"key_env", ut_yaml_read_string, offsetof(ut_config_encryption, key_env_z)},
        {"credential", ut_yaml_read_string, offsetof(ut_config_encryption, credential_z)},
        {NULL, NULL, 0},
    };
    ut_config_encryption *out = encryption;
    const bool closed = ut_yaml_need(yaml, UT_CONFIG_LOOK);
    const ut_err err = ut_yaml_read_map(yaml, node, fields, out, "encryption");
    yaml->closed = closed;
    if (err != UT_OK)
        return err;
    const int given =
        (out->key_file_z != NULL) + (out->key_env_z != NULL) + (out->credential_z != NULL);
    if (given != 1)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found encryption with %s, expected exactly one of key_file, "
                               "key_env and credential",
                               given == 0 ? "no key" : "more than one key");
    // It becomes the name of a file in a directory.
    if (out->credential_z != NULL && strchr(out->credential_z, '/') != NULL)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found a credential with a slash, expected the name of a systemd "
                               "credential (LoadCredential=NAME:PATH)");
    return UT_OK;
}
