// Finding the endpoint of `untrace send`; see send_target.h.
#include "agent/commands/send_target.h"

#include "agent/config/config_find.h"
#include "agent/process/exit_code.h"
#include "transport/http/http_client.h"

#include <stdio.h>
#include <stdlib.h>

// A variable that is empty is as unset.
static const char *variable(const char *name_z)
{
    const char *const value_z = getenv(name_z);
    return value_z != NULL && value_z[0] != '\0' ? value_z : NULL;
}

// ---- the listen of a configuration ----

// The address to connect to for one that is listened on: any address of this machine is also the
// loopback address.
static ut_addr reachable(const ut_addr *listen)
{
    static const uint8_t any[16] = {0};
    ut_addr addr = *listen;
    if (addr.family == UT_ADDR_IP4 && memcmp(addr.ip, any, 4) == 0)
        addr.ip[0] = 127, addr.ip[3] = 1;
    if (addr.family == UT_ADDR_IP6 && memcmp(addr.ip, any, sizeof(any)) == 0)
        addr.ip[15] = 1;
    return addr;
}

static ut_err endpoint_of(const ut_config *config, ut_send_target *target, ut_fault *fault)
{
    const ut_receiver_config *const receiver = &config->receivers.otlp_http;
    const ut_addr addr = reachable(&receiver->listen);
    char addr_z[UT_ADDR_TEXT_MAX];
    if (addr.family == UT_ADDR_UNIX || addr.port == 0)
        return ut_fault_set(
            fault, UT_EFORMAT, "the configuration listens on %s: say where to with --endpoint",
            addr.family == UT_ADDR_UNIX ? "a file" : "a port of the system's choice");
    ut_addr_text(&addr, addr_z);
    (void)snprintf(target->endpoint_z, sizeof(target->endpoint_z), "%s://%s",
                   receiver->tls ? "https" : "http", addr_z);
    return UT_OK;
}

static int find_listen(const char *config_z, ut_send_target *target, ut_fault *fault)
{
    ut_config *config = calloc(1, sizeof(*config));
    const char *const listen_z = variable("UNTRACE_LISTEN");
    if (config == NULL)
        return EX_OSERR;
    ut_err err = ut_config_find(config_z, UT_CONFIG_LOOK, config, fault);
    int code = err == UT_OK ? EX_OK : err == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    if (err == UT_OK && listen_z != NULL)
        err = ut_config_set_listen("UNTRACE_LISTEN", listen_z, config, fault);
    if (err == UT_OK)
        err = endpoint_of(config, target, fault);
    if (err != UT_OK && code == EX_OK)
        code = ut_exit_code(err);
    ut_config_free(config);
    free(config);
    return code;
}

// ---- headers of the environment ----

static void decode_percent(char *text_z)
{
    char *out = text_z;
    for (const char *at = text_z; *at != '\0'; at++) {
        uint8_t byte = 0;
        if (at[0] == '%' && at[1] != '\0' && at[2] != '\0' &&
            ut_hex_decode(ut_bytes_of(at + 1, 2), &byte)) {
            *out++ = (char)byte;
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
}

static char *trimmed(char *text_z)
{
    text_z += strspn(text_z, " \t");
    size_t len = strlen(text_z);
    while (len > 0 && (text_z[len - 1] == ' ' || text_z[len - 1] == '\t'))
        len--;
    text_z[len] = '\0';
    return text_z;
}

// "name=value,name=value", the values as in a URL. A value may be a secret: no fault repeats it.
static ut_err take_headers(const char *name_z, ut_send_target *target, ut_fault *fault)
{
    char *rest_z = target->header_text_z = strdup(variable(name_z));
    if (rest_z == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    for (char *pair_z; (pair_z = strsep(&rest_z, ",")) != NULL;) {
        if (trimmed(pair_z)[0] == '\0')
            continue;
        char *const equals_z = strchr(pair_z, '=');
        if (equals_z == NULL || target->header_count == UT_DESTINATION_HEADERS_MAX)
            return ut_fault_set(fault, UT_EFORMAT,
                                "%s: expected at most %d of NAME=VALUE, with "
                                "commas between",
                                name_z, UT_DESTINATION_HEADERS_MAX);
        *equals_z = '\0';
        decode_percent(equals_z + 1);
        const ut_header header = {trimmed(pair_z), trimmed(equals_z + 1)};
        if (!ut_http_header_allowed(&header))
            return ut_fault_set(fault, UT_EFORMAT, "%s: found a header that cannot be sent",
                                name_z);
        target->headers[target->header_count++] = header;
    }
    return UT_OK;
}

// ---- the whole ----

static ut_err parse(const char *endpoint_z, bool whole, ut_send_target *target, ut_fault *fault)
{
    const char *const colon_z = strrchr(endpoint_z, ':');
    // localhost:4318 can mean one thing only.
    const bool bare = strstr(endpoint_z, "://") == NULL && colon_z != NULL && colon_z[1] >= '0' &&
                      colon_z[1] <= '9';
    const int len = snprintf(target->endpoint_z, sizeof(target->endpoint_z), "%s%s",
                             bare ? "http://" : "", endpoint_z);
    if (len < 0 || (size_t)len >= sizeof(target->endpoint_z))
        return ut_fault_set(fault, UT_EFORMAT, "the endpoint is longer than %d bytes",
                            UT_SEND_ENDPOINT_MAX - 1);
    return whole ? ut_url_parse(target->endpoint_z, &target->url, fault)
                 : ut_config_endpoint(target->endpoint_z, &target->url, fault);
}

int ut_send_target_find(const char *endpoint_z, const char *config_z, ut_send_target *target,
                        ut_fault *fault)
{
    const bool told = endpoint_z != NULL || config_z != NULL;
    const char *const whole_z = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    const char *headers_z = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
    char made_z[UT_SEND_ENDPOINT_MAX];
    if (!told)
        endpoint_z = whole_z != NULL ? whole_z : variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    if (endpoint_z == NULL) {
        const int code = find_listen(config_z, target, fault);
        if (code != EX_OK)
            return code;
        memcpy(made_z, target->endpoint_z, sizeof(made_z));
        endpoint_z = made_z;
    }
    ut_err err = parse(endpoint_z, !told && endpoint_z == whole_z, target, fault);
    if (variable(headers_z) == NULL)
        headers_z = "OTEL_EXPORTER_OTLP_HEADERS";
    if (err == UT_OK && !told && variable(headers_z) != NULL)
        err = take_headers(headers_z, target, fault);
    if (err == UT_OK)
        return EX_OK;
    return err == UT_EFORMAT ? EX_USAGE : ut_exit_code(err);
}
