// `untrace check`: reads the configuration as `run` would, and says what is wrong or what it means.
#include "agent/commands/command.h"
#include "agent/cli/options.h"

#include "agent/config/config_find.h"
#include "agent/config/master_key.h"
#include "port/base/text.h"
#include "transport/tls/tls.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
static const char help[] =
    "usage: untrace check [--config FILE]\n"
    "\n"
    "Reads the configuration, the certificates that it names and the environment that\n"
    "it uses, and starts nothing. Prints what the agent would do. Exit code 0:\n"
    "`untrace run` would start with it; 78: it would not, and the message says file,\n"
    "line and what was expected.\n"
    "\n"
    "  -c, --config FILE       configuration (default: $UNTRACE_CONFIG, else\n"
    "                          /etc/untrace/untrace.yaml if it exists, else built-in\n"
    "                          defaults; - is standard input)\n";
// clang-format on

static void print_destination(const ut_destination_config *destination)
{
    const ut_url *url = &destination->url;
    const bool ip6 = strchr(url->host_z, ':') != NULL;
    (void)printf("  %-16s %s://%s%s%s:%u%s  %s%s%s\n", destination->name_z,
                 url->tls ? "https" : "http", ip6 ? "[" : "", url->host_z, ip6 ? "]" : "",
                 (unsigned)url->port, url->path_z, destination->encoder->name_z,
                 destination->gzip ? ", gzip" : "",
                 destination->insecure ? ", insecure: the peer's certificate is NOT verified" : "");
}

// Whether certificates and keys are what they should be shows only when TLS is made of them.
static ut_err try_tls(const char *what_z, const char *name_z, const ut_tls_config *tls,
                      ut_fault *fault)
{
    ut_tls_context *context = NULL;
    ut_fault why = {UT_OK, ""};
    const ut_err err = ut_tls_context_new(tls, &context, &why);
    if (err != UT_OK)
        return ut_fault_set(fault, err, "%s%s: %s", what_z, name_z, why.text_z);
    ut_tls_context_free(context);
    return UT_OK;
}

static ut_err check_tls(const ut_config *config, ut_fault *fault)
{
    const ut_receiver_config *receiver = &config->receivers.otlp_http;
    ut_err err = UT_OK;
    if (receiver->enabled && receiver->tls) {
        const ut_tls_config tls = {.server = true,
                                   .ca_pem = receiver->client_ca_pem,
                                   .cert_pem = receiver->cert_pem,
                                   .key_pem = receiver->key_pem};
        err = try_tls("receiver ", "otlp_http", &tls, fault);
    }
    for (size_t i = 0; i < config->destinations.count && err == UT_OK; i++) {
        const ut_destination_config *destination = &config->destinations.items[i];
        if (!destination->url.tls)
            continue;
        const ut_tls_config tls = {.ca_pem = destination->ca_pem,
                                   .cert_pem = destination->cert_pem,
                                   .key_pem = destination->key_pem,
                                   .insecure = destination->insecure};
        err = try_tls("destination ", destination->name_z, &tls, fault);
    }
    return err;
}

static void print_warning(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)context;
    (void)fprintf(stderr, "untrace: %s: %.*s\n", ut_log_level_name(level), (int)len, line);
}

static ut_err check_key(const ut_config *config, ut_fault *fault)
{
    const ut_log log = {.level = UT_LOG_WARN, .write = print_warning};
    ut_master_key key;
    const ut_err err = ut_master_key_load(&config->storage.encryption, &log, &key, fault);
    ut_master_key_wipe(&key);
    return err;
}

static void print_encryption(const ut_config_encryption *from)
{
    if (from->key_file_z != NULL)
        (void)printf("  encryption       with the key in %s\n", from->key_file_z);
    else if (from->key_env_z != NULL)
        (void)printf("  encryption       with the key in the environment variable %s\n",
                     from->key_env_z);
    else if (from->credential_z != NULL)
        (void)printf("  encryption       with the key in the credential %s\n", from->credential_z);
}

static const struct option option_rows[] = {UT_OPTION_ROW_CONFIG, UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "check", .help_z = help, .rows = option_rows};
    if (!ut_options_read(&options, argc, argv))
        return options.code;

    ut_config *config = calloc(1, sizeof(*config));
    ut_fault fault;
    if (config == NULL)
        return EX_OSERR;
    ut_err err = ut_config_find(options.config_z, UT_CONFIG_RUN, config, &fault);
    if (err == UT_OK) {
        err = check_tls(config, &fault);
        if (err == UT_OK)
            err = check_key(config, &fault);
        if (err != UT_OK)
            ut_config_free(config);
    }
    if (err != UT_OK) {
        free(config);
        (void)ut_cli_fail(&fault);
        // A missing file is a wrong configuration too: the agent would not start with it.
        return fault.code == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    }
    char listen[UT_ADDR_TEXT_MAX];
    char size[UT_TEXT_SHORT_MAX];
    ut_addr_text(&config->receivers.otlp_http.listen, listen);
    ut_text_size(config->storage.bytes_max, size);
    (void)printf("the configuration is good\n"
                 "  data directory   %s\n"
                 "  otlp_http        %s%s\n"
                 "  storage          at most %s, ",
                 config->data_dir_z == NULL ? "(none known: set data_dir)" : config->data_dir_z,
                 listen, config->receivers.otlp_http.tls ? " (TLS)" : "", size);
    if (config->storage.ttl_ms == 0)
        (void)printf("kept until the room is needed");
    else if (config->storage.ttl_ms % 86400000 == 0)
        (void)printf("kept for %llu days", (unsigned long long)(config->storage.ttl_ms / 86400000));
    else
        (void)printf("kept for %llu s", (unsigned long long)(config->storage.ttl_ms / 1000));
    if (config->storage.commit_delay_ms > 0)
        (void)printf(", a commit waits %u ms for more requests",
                     (unsigned)config->storage.commit_delay_ms);
    (void)printf("\n");
    print_encryption(&config->storage.encryption);
    (void)printf("  destinations     %zu\n", config->destinations.count);
    for (size_t i = 0; i < config->destinations.count; i++)
        print_destination(&config->destinations.items[i]);
    ut_config_free(config);
    free(config);
    return EX_OK;
}

const ut_command ut_command_check = {
    .name_z = "check",
    .run = run,
    .summary_z = "read the configuration and say what is wrong, without starting",
    .help_z = help,
    .options = option_rows,
};
