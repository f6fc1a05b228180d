// Tries the files of a `tls` section; see config_tls.h.
#include "agent/config/config_tls.h"

#include "transport/tls/tls.h"

static const yaml_node_t *value_of(ut_yaml *yaml, const yaml_node_t *tls, const char *key_z)
{
    for (const yaml_node_pair_t *pair = tls->data.mapping.pairs.start;
         pair < tls->data.mapping.pairs.top; pair++) {
        if (ut_yaml_is_text(yaml_document_get_node(&yaml->document, pair->key), key_z))
            return yaml_document_get_node(&yaml->document, pair->value);
    }
    return NULL;
}

// Whether TLS can be made of it shows only when that is done.
static ut_err try_context(const ut_tls_config *config, ut_fault *why)
{
    ut_tls_context *context = NULL;
    const ut_err err = ut_tls_context_new(config, &context, why);
    if (err == UT_OK)
        ut_tls_context_free(context);
    return err;
}

ut_err ut_config_check_identity(ut_yaml *yaml, const yaml_node_t *tls, ut_bytes cert_pem,
                                ut_bytes key_pem)
{
    const ut_tls_config config = {.cert_pem = cert_pem, .key_pem = key_pem, .insecure = true};
    const yaml_node_t *cert = value_of(yaml, tls, "cert_file");
    const yaml_node_t *key = value_of(yaml, tls, "key_file");
    ut_fault why = {UT_OK, ""};
    if (cert_pem.len == 0 || key_pem.len == 0 || cert == NULL || key == NULL)
        return UT_OK;
    const ut_err err = try_context(&config, &why);
    return err == UT_OK ? UT_OK
                        : ut_yaml_fail_at(yaml, cert, err, "cert_file %s, key_file %s: %s",
                                          (const char *)cert->data.scalar.value,
                                          (const char *)key->data.scalar.value, why.text_z);
}

ut_err ut_config_check_ca(ut_yaml *yaml, const yaml_node_t *tls, const char *key_z, ut_bytes ca_pem)
{
    const ut_tls_config config = {.ca_pem = ca_pem};
    const yaml_node_t *file = value_of(yaml, tls, key_z);
    ut_fault why = {UT_OK, ""};
    if (ca_pem.len == 0 || file == NULL)
        return UT_OK;
    const ut_err err = try_context(&config, &why);
    return err == UT_OK ? UT_OK
                        : ut_yaml_fail_at(yaml, file, err, "%s %s: %s", key_z,
                                          (const char *)file->data.scalar.value, why.text_z);
}
