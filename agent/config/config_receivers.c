// The section `receivers`; see config_receivers.h.
#include "agent/config/config_receivers.h"

#include "agent/config/config_tls.h"
#include "agent/config/config_yaml.h"
#include "port/base/text.h"

#include <stdio.h>
#include <strings.h>

// ---- values ----

// What is wrong with an address that does not parse.
static const char *listen_reason(const char *text_z)
{
    const char *const colon_z = strrchr(text_z, ':');
    uint64_t port = 0;
    if (strncmp(text_z, "unix:", 5) == 0)
        return "the path of a socket of 1 to 103 bytes";
    if (colon_z == NULL || (text_z[0] == '[' && strchr(colon_z, ']') != NULL))
        return "ADDRESS:PORT such as 127.0.0.1:4318, with a port of 0 to 65535";
    if (ut_text_parse_uint(ut_bytes_of_z(colon_z + 1), &port) != UT_OK || port > UINT16_MAX)
        return "a port of 0 to 65535 behind the last colon";
    if (strchr(text_z, ':') != colon_z && text_z[0] != '[' && strstr(text_z, "://") == NULL)
        return "an IPv6 address in brackets such as [::1]:4318";
    return "a numeric address such as 127.0.0.1:4318 (0.0.0.0: all of this machine), "
           "[::1]:4318 or unix:/run/untrace.sock; names are not looked up";
}

// The forms that can mean one thing only are taken as that: a port alone and localhost are the
// loopback address, which needs no look-up; ":4318" is every address, as elsewhere.
static ut_err parse_listen(const char *text_z, ut_addr *addr)
{
    static const char localhost[] = "localhost:";
    char whole_z[UT_ADDR_TEXT_MAX];
    uint64_t port = 0;
    const char *ip_z = "";
    if (ut_text_parse_uint(ut_bytes_of_z(text_z), &port) == UT_OK) {
        ip_z = "127.0.0.1:";
    } else if (text_z[0] == ':' && strchr(text_z + 1, ':') == NULL) {
        ip_z = "0.0.0.0";
    } else if (strncasecmp(text_z, localhost, sizeof(localhost) - 1) == 0) {
        ip_z = "127.0.0.1:";
        text_z += sizeof(localhost) - 1;
    }
    const int len = snprintf(whole_z, sizeof(whole_z), "%s%s", ip_z, text_z);
    return len > 0 && (size_t)len < sizeof(whole_z) ? ut_addr_parse(ut_bytes_of_z(whole_z), addr)
                                                    : UT_EFORMAT;
}

ut_err ut_config_listen_read(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char unix_prefix[] = "unix:";
    enum { UNIX_LEN = sizeof(unix_prefix) - 1 };
    char *text_z = NULL;
    ut_err err = ut_yaml_scalar(yaml, node, "an address such as 127.0.0.1:4318", &text_z);
    if (err != UT_OK)
        return err;
    if (strncmp(text_z, unix_prefix, UNIX_LEN) == 0 && text_z[UNIX_LEN] != '\0') {
        const char *path_z = ut_yaml_join(yaml, text_z + UNIX_LEN);
        text_z = path_z == NULL ? NULL : ut_owned_alloc(yaml->owned, UNIX_LEN + strlen(path_z) + 1);
        if (text_z == NULL)
            return ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
        memcpy(text_z, unix_prefix, UNIX_LEN);
        memcpy(text_z + UNIX_LEN, path_z, strlen(path_z) + 1);
    }
    err = parse_listen(text_z, target);
    return err == UT_OK ? UT_OK : ut_yaml_fail(yaml, node, UT_EFORMAT, listen_reason(text_z));
}

static ut_err read_body_size(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint64_t bytes = 0;
    const ut_err err = ut_yaml_read_size(yaml, node, &bytes);
    if (err != UT_OK)
        return err;
    if (bytes < 1024 || bytes > 64 * 1024 * 1024)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a size of 1KiB to 64MiB");
    *(uint64_t *)target = bytes;
    return UT_OK;
}

static ut_err read_connections_max(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint32_t count = 0;
    const ut_err err = ut_yaml_read_count32(yaml, node, &count);
    if (err != UT_OK)
        return err;
    if (count < 1 || count > 100000)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a number of connections, 1 to 100000");
    *(uint32_t *)target = count;
    return UT_OK;
}

static ut_err read_header_size(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    uint32_t bytes = 0;
    const ut_err err = ut_yaml_read_size32(yaml, node, &bytes);
    if (err != UT_OK)
        return err;
    if (bytes < 1024 || bytes > 1024 * 1024)
        return ut_yaml_fail(yaml, node, UT_EINVAL, "a size of 1KiB to 1MiB");
    *(uint32_t *)target = bytes;
    return UT_OK;
}

// ---- sections ----

static ut_err read_server_tls(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"cert_file", ut_yaml_read_file, offsetof(ut_receiver_config, cert_pem)},
        {"key_file", ut_yaml_read_file, offsetof(ut_receiver_config, key_pem)},
        {"client_ca_file", ut_yaml_read_file, offsetof(ut_receiver_config, client_ca_pem)},
        {NULL, NULL, 0},
    };
    ut_receiver_config *receiver = target;
    receiver->tls = true; // also for who does not read the files
    ut_err err = ut_yaml_read_map(yaml, node, fields, receiver, "tls");
    if (err != UT_OK)
        return err;
    if (receiver->cert_pem.len == 0 || receiver->key_pem.len == 0)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found tls without %s, expected cert_file and key_file",
                               receiver->cert_pem.len == 0 ? "cert_file" : "key_file");
    err = ut_config_check_identity(yaml, node, receiver->cert_pem, receiver->key_pem);
    return err == UT_OK ? ut_config_check_ca(yaml, node, "client_ca_file", receiver->client_ca_pem)
                        : err;
}

static ut_err read_otlp_http(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"listen", ut_config_listen_read, offsetof(ut_receiver_config, listen)},
        {"tls", read_server_tls, 0},
        {"max_body_size", read_body_size, offsetof(ut_receiver_config, body_bytes_max)},
        {"max_memory", ut_yaml_read_size, offsetof(ut_receiver_config, memory_bytes_max)},
        {"max_connections", read_connections_max, offsetof(ut_receiver_config, connections_max)},
        {"max_header_size", read_header_size, offsetof(ut_receiver_config, header_bytes_max)},
        {"header_timeout", ut_yaml_read_duration32, offsetof(ut_receiver_config, head_timeout_ms)},
        {"body_timeout", ut_yaml_read_duration32, offsetof(ut_receiver_config, body_timeout_ms)},
        {"idle_timeout", ut_yaml_read_duration32, offsetof(ut_receiver_config, idle_timeout_ms)},
        {NULL, NULL, 0},
    };
    ut_receiver_config *receiver = target;
    const ut_err err = ut_yaml_read_map(yaml, node, fields, receiver, "otlp_http");
    if (err != UT_OK)
        return err;
    if (receiver->memory_bytes_max < receiver->body_bytes_max)
        return ut_yaml_fail_at(yaml, node, UT_EINVAL,
                               "found max_memory below max_body_size, expected at least "
                               "max_body_size, or no request of "
                               "the largest size could ever be taken");
    return UT_OK;
}

ut_err ut_config_receivers_read(ut_yaml *yaml, yaml_node_t *node, void *receivers)
{
    static const ut_yaml_field fields[] = {
        {"otlp_http", read_otlp_http, offsetof(ut_config_receivers, otlp_http)},
        {NULL, NULL, 0},
    };
    return ut_yaml_read_map(yaml, node, fields, receivers, "receivers");
}

// ---- defaults ----

void ut_config_receivers_default(void *receivers)
{
    ut_receiver_config *receiver = &((ut_config_receivers *)receivers)->otlp_http;
    receiver->enabled = true;
    const ut_err err = ut_addr_parse(UT_BYTES_LIT("127.0.0.1:4318"), &receiver->listen);
    UT_ASSERT(err == UT_OK);
    receiver->body_bytes_max = 64 * 1024 * 1024; // the OTLP specification recommends it
    receiver->memory_bytes_max = 256 * 1024 * 1024;
    receiver->connections_max = 1024;
    receiver->header_bytes_max = 32 * 1024;
    receiver->head_timeout_ms = 10 * 1000;
    receiver->body_timeout_ms = 30 * 1000;
    receiver->idle_timeout_ms = 120 * 1000;
}
