// The section `destinations`; see config_destinations.h.
#include "agent/config/config_destinations.h"

#include "agent/config/config_tls.h"
#include "agent/config/config_yaml.h"
#include "storage/store/store.h"

#include <stdlib.h>

enum {
    HEADER_NAME_MAX = 128,
    HEADER_VALUE_MAX = 16 * 1024,
    CA_FILE_BYTES_MAX = 4 * 1024 * 1024,
};

// A destination while it is read: the values for the dispatcher, and the places of those that are
// checked against each other in the end.
typedef struct {
    ut_destination_config out;
    char *endpoint_z;
    const yaml_node_t *endpoint_node;
    const yaml_node_t *tls_node;
} destination_draft;

// ---- name, provider, endpoint ----

static ut_err read_name(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "a name of 1 to 64 letters, digits, '-', '_' or '.'";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    const size_t len = strlen(text_z);
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (len == 0 || len > UT_STORE_NAME_MAX || strspn(text_z, allowed) != len)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    *(const char **)target = text_z;
    return UT_OK;
}

static ut_err read_provider(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    (void)target; // otlp is the only provider so far, and the default
    static const char expected[] = "the provider otlp";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    if (strcmp(text_z, "otlp") != 0)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    return UT_OK;
}

static ut_err read_endpoint(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    destination_draft *draft = target;
    draft->endpoint_node = node;
    return ut_yaml_read_string(yaml, node, &draft->endpoint_z);
}

ut_err ut_config_endpoint(const char *endpoint_z, ut_url *url, ut_fault *fault)
{
    static const char signal_path[] = "/v1/traces";
    const size_t signal_len = sizeof(signal_path) - 1;
    const ut_err err = ut_url_parse(endpoint_z, url, fault);
    if (err != UT_OK)
        return err;
    char *path = url->path_z;
    size_t len = strcspn(path, "?");
    if (path[len] != 0) // a query: the endpoint is meant as it is
        return UT_OK;
    if (len >= signal_len && memcmp(path + len - signal_len, signal_path, signal_len) == 0)
        return UT_OK;
    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len + signal_len >= sizeof(url->path_z))
        return ut_fault_set(fault, UT_EINVAL, "found an endpoint that is too long");
    memcpy(path + len, signal_path, signal_len + 1);
    return UT_OK;
}

// ---- headers ----

static bool is_token(const char *text_z)
{
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text_z[0] != 0 && strspn(text_z, token) == strlen(text_z);
}

// Headers that the client writes itself; a second one would break the request.
static bool is_own_header(const char *name_z)
{
    static const char *const own[] = {
        "host",       "content-length", "content-type", "content-encoding", "transfer-encoding",
        "connection", "expect"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcasecmp(name_z, own[i]) == 0)
            return true;
    }
    return false;
}

static ut_err read_headers(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    ut_destination_config *out = &((destination_draft *)target)->out;
    if (node->type != YAML_MAPPING_NODE)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, "a mapping of header names to values");
    bool unknown = false;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&yaml->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(&yaml->document, pair->value);
        if (out->header_count == UT_DESTINATION_HEADERS_MAX)
            return ut_yaml_fail_at(yaml, key, UT_EINVAL, "found more than %d headers",
                                   UT_DESTINATION_HEADERS_MAX);
        ut_header *header = &out->headers[out->header_count];
        ut_err err = ut_yaml_scalar(yaml, key, "a header name", &header->name_z);
        unknown = unknown || err == UT_YAML_UNKNOWN;
        if (err == UT_YAML_UNKNOWN)
            continue;
        if (err != UT_OK)
            return err;
        if (!is_token(header->name_z) || strlen(header->name_z) > HEADER_NAME_MAX)
            return ut_yaml_fail(yaml, key, UT_EFORMAT, "a header name");
        if (is_own_header(header->name_z))
            return ut_yaml_fail(yaml, key, UT_EINVAL,
                                "a header that the agent does not write itself");
        for (size_t i = 0; i < out->header_count; i++) {
            if (strcasecmp(out->headers[i].name_z, header->name_z) == 0)
                return ut_yaml_fail_at(yaml, key, UT_EFORMAT,
                                       "found the header \"%s\" a second time", header->name_z);
        }
        // A value may be a secret: no fault repeats it.
        if (value->type != YAML_SCALAR_NODE)
            return ut_yaml_fail(yaml, value, UT_EFORMAT, "text (a header value)");
        err = ut_yaml_scalar(yaml, value, "text (a header value)", &header->value_z);
        unknown = unknown || err == UT_YAML_UNKNOWN;
        if (err == UT_YAML_UNKNOWN)
            continue;
        if (err != UT_OK)
            return err;
        const size_t len = strlen(header->value_z);
        for (size_t i = 0; i < len; i++) {
            if ((uint8_t)header->value_z[i] < 0x20 && header->value_z[i] != '\t')
                return ut_yaml_fail_at(
                    yaml, value, UT_EINVAL,
                    "found a control character (a line end?) in the value of the header \"%s\", "
                    "expected one line of text",
                    header->name_z);
        }
        if (len > HEADER_VALUE_MAX)
            return ut_yaml_fail_at(yaml, value, UT_EINVAL,
                                   "found a header value of more than %d bytes", HEADER_VALUE_MAX);
        out->header_count++;
    }
    return unknown ? UT_YAML_UNKNOWN : UT_OK;
}

// ---- encoding, batch, retry ----

static ut_err read_encoding(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "protobuf or json";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    const ut_otlp_encoder **encoder = target;
    if (strcmp(text_z, ut_otlp_protobuf_encoder.name_z) == 0)
        *encoder = &ut_otlp_protobuf_encoder;
    else if (strcmp(text_z, ut_otlp_json_encoder.name_z) == 0)
        *encoder = &ut_otlp_json_encoder;
    else
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    return UT_OK;
}

static ut_err read_compression(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "gzip or none";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    if (strcmp(text_z, "gzip") == 0)
        *(bool *)target = true;
    else if (strcmp(text_z, "none") == 0)
        *(bool *)target = false;
    else
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    return UT_OK;
}

static ut_err read_batch(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"max_spans", ut_yaml_read_count32, offsetof(ut_destination_config, batch_spans_max)},
        {"max_bytes", ut_yaml_read_size32, offsetof(ut_destination_config, batch_bytes_max)},
        {"max_delay", ut_yaml_read_duration32, offsetof(ut_destination_config, batch_delay_ms_max)},
        {NULL, NULL, 0},
    };
    ut_destination_config *out = target;
    const ut_err err = ut_yaml_read_map(yaml, node, fields, out, "batch");
    if (err != UT_OK)
        return err;
    if (out->batch_spans_max < 1 || out->batch_spans_max > 65536)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL, "found max_spans %u, expected 1 to 65536",
                               out->batch_spans_max);
    if (out->batch_bytes_max < 1024 || out->batch_bytes_max > 64 * 1024 * 1024)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL, "found max_bytes %u, expected 1KiB to 64MiB",
                               out->batch_bytes_max);
    return UT_OK;
}

static ut_err read_multiplier(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "a number of 1 to 10 such as 2 or 1.5";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    char *end_z = NULL;
    const double value = strtod(text_z, &end_z);
    if (end_z == text_z || *end_z != 0 || !(value >= 1 && value <= 10))
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    *(double *)target = value;
    return UT_OK;
}

static ut_err read_retry(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"initial", ut_yaml_read_duration32, offsetof(ut_destination_config, retry_initial_ms)},
        {"max", ut_yaml_read_duration32, offsetof(ut_destination_config, retry_max_ms)},
        {"multiplier", read_multiplier, offsetof(ut_destination_config, retry_multiplier)},
        {"max_attempts", ut_yaml_read_count32, offsetof(ut_destination_config, retry_attempts_max)},
        {NULL, NULL, 0},
    };
    ut_destination_config *out = target;
    const ut_err err = ut_yaml_read_map(yaml, node, fields, out, "retry");
    if (err != UT_OK)
        return err;
    if (out->retry_max_ms < out->retry_initial_ms)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found max %u ms below initial %u ms, expected max >= initial",
                               out->retry_max_ms, out->retry_initial_ms);
    return UT_OK;
}

static ut_err read_connections(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint32_t count = 0;
    const ut_err err = ut_yaml_read_count32(yaml, node, &count);
    if (err != UT_OK)
        return err;
    if (count < 1 || count > UT_DESTINATION_CONNECTIONS_MAX)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a number of connections, 1 to 16");
    *(uint32_t *)target = count;
    return UT_OK;
}

// ---- TLS ----

// Where distributions keep the certificates that the system trusts.
static const char *const system_ca_files[] = {
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // OpenWrt, BSDs
};

static ut_err read_client_tls(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"ca_file", ut_yaml_read_file, offsetof(ut_destination_config, ca_pem)},
        {"cert_file", ut_yaml_read_file, offsetof(ut_destination_config, cert_pem)},
        {"key_file", ut_yaml_read_file, offsetof(ut_destination_config, key_pem)},
        {"insecure", ut_yaml_read_bool, offsetof(ut_destination_config, insecure)},
        {NULL, NULL, 0},
    };
    destination_draft *draft = target;
    draft->tls_node = node;
    ut_err err = ut_yaml_read_map(yaml, node, fields, &draft->out, "tls");
    if (err != UT_OK)
        return err;
    if ((draft->out.cert_pem.len == 0) != (draft->out.key_pem.len == 0))
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found only one of cert_file and key_file, expected both or none");
    if (draft->out.insecure && draft->out.ca_pem.len > 0)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found ca_file beside insecure: true, expected one of them: with "
                               "insecure nothing is verified");
    err = ut_config_check_ca(yaml, node, "ca_file", draft->out.ca_pem);
    return err == UT_OK
               ? ut_config_check_identity(yaml, node, draft->out.cert_pem, draft->out.key_pem)
               : err;
}

ut_err ut_config_system_ca(ut_buf *pem, ut_fault *fault)
{
    for (size_t i = 0; i < sizeof(system_ca_files) / sizeof(system_ca_files[0]); i++) {
        if (ut_file_read(system_ca_files[i], pem, NULL) == UT_OK && pem->len > 0)
            return UT_OK;
    }
    return ut_fault_set(
        fault, UT_EINVAL,
        "found an https endpoint, but no list of trusted certificates in this system: install "
        "ca-certificates, or name a file of your own");
}

static ut_err read_system_ca(ut_yaml *yaml, const yaml_node_t *node, ut_bytes *ca_pem)
{
    ut_buf content;
    ut_buf_init(&content, CA_FILE_BYTES_MAX);
    ut_fault fault;
    ut_err err = ut_config_system_ca(&content, &fault);
    if (err != UT_OK) {
        err = ut_yaml_fail_at(yaml, node, err, "%s (tls: { ca_file: ... })", fault.text_z);
        goto done;
    }
    uint8_t *copy = ut_owned_alloc(yaml->owned, content.len);
    if (copy == NULL) {
        err = ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
        goto done;
    }
    memcpy(copy, content.data, content.len);
    *ca_pem = ut_bytes_of(copy, content.len);
done:
    ut_buf_free(&content);
    return err;
}

// ---- the list ----

static void default_destination(ut_destination_config *out)
{
    out->org = UT_ORG_DEFAULT;
    out->encoder = &ut_otlp_protobuf_encoder;
    out->gzip = true;
    out->gzip_level = 1;
    out->connections = 2;
    out->batch_spans_max = 512;
    out->batch_bytes_max = 1024 * 1024;
    out->batch_delay_ms_max = 1000;
    out->retry_initial_ms = 1000;
    out->retry_max_ms = 60 * 1000;
    out->retry_multiplier = 2;
    out->retry_attempts_max = 0;
    out->timeout_ms = 10 * 1000;
}

static ut_err read_destination(ut_yaml *yaml, yaml_node_t *node, ut_destination_config *out)
{
    static const ut_yaml_field fields[] = {
        {"name", read_name, offsetof(destination_draft, out.name_z)},
        {"provider", read_provider, 0},
        {"endpoint", read_endpoint, 0},
        {"headers", read_headers, 0},
        {"tls", read_client_tls, 0},
        {"encoding", read_encoding, offsetof(destination_draft, out.encoder)},
        {"compression", read_compression, offsetof(destination_draft, out.gzip)},
        {"batch", read_batch, offsetof(destination_draft, out)},
        {"retry", read_retry, offsetof(destination_draft, out)},
        {"connections", read_connections, offsetof(destination_draft, out.connections)},
        {"timeout", ut_yaml_read_duration32, offsetof(destination_draft, out.timeout_ms)},
        {NULL, NULL, 0},
    };
    destination_draft *draft =
        ut_owned_alloc(yaml->owned, sizeof(*draft)); // large: not on the stack
    if (draft == NULL)
        return ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
    default_destination(&draft->out);
    ut_err err = ut_yaml_read_map(yaml, node, fields, draft, "a destination");
    if (err != UT_OK)
        return err;
    if (draft->out.name_z == NULL)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found a destination without name, expected name: ...");
    if (draft->endpoint_z == NULL)
        return ut_yaml_fail_at(
            yaml, node, UT_EINVAL,
            "found the destination %s without endpoint, expected endpoint: https://host:4318",
            draft->out.name_z);
    ut_fault fault;
    err = ut_config_endpoint(draft->endpoint_z, &draft->out.url, &fault);
    if (err != UT_OK)
        return ut_yaml_fail_at(yaml, draft->endpoint_node, err, "%s", fault.text_z);
    if (!draft->out.url.tls && draft->tls_node != NULL)
        return ut_yaml_fail_at(
            yaml, draft->tls_node, UT_EINVAL,
            "found tls for an http:// endpoint, expected an https:// endpoint or no tls");
    if (draft->out.url.tls && !draft->out.insecure && draft->out.ca_pem.len == 0 && !yaml->closed) {
        err = read_system_ca(yaml, draft->endpoint_node, &draft->out.ca_pem);
        draft->out.ca_system = true;
        if (err != UT_OK)
            return err;
    }
    *out = draft->out;
    return UT_OK;
}

ut_err ut_config_destinations_read(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    ut_config_destinations *destinations = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return ut_yaml_fail(yaml, node, UT_EFORMAT,
                            "a list of destinations, each beginning with \"- name:\"");
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_document_get_node(&yaml->document, *item);
        if (destinations->count == UT_CONFIG_DESTINATIONS_MAX)
            return ut_yaml_fail_at(yaml, entry, UT_EINVAL, "found more than %d destinations",
                                   UT_CONFIG_DESTINATIONS_MAX);
        ut_destination_config *out = &destinations->items[destinations->count];
        const ut_err err = read_destination(yaml, entry, out);
        if (err == UT_YAML_UNKNOWN)
            continue;
        if (err != UT_OK)
            return err;
        for (size_t i = 0; i < destinations->count; i++) {
            if (strcmp(destinations->items[i].name_z, out->name_z) == 0)
                return ut_yaml_fail_at(
                    yaml, entry, UT_EINVAL,
                    "found a second destination with the name %s, expected each name once",
                    out->name_z);
        }
        destinations->count++;
    }
    return UT_OK;
}
