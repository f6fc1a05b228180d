// `untrace check`: reads the configuration as `run` would, tries what a start does, and says what
// is wrong or what it means.
#include "agent/commands/command.h"
#include "adapters/encoding/json_write.h"
#include "agent/cli/options.h"
#include "agent/commands/check_trial.h"
#include "agent/config/config_find.h"
#include "port/base/text.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
static const char help[] =
    "usage: untrace check [--config FILE] [--data-dir DIR] [--listen ADDRESS:PORT]\n"
    "                     [--json]\n"
    "\n"
    "Says whether `untrace run` would start with the same options, and what it would\n"
    "do. Reads the configuration, the certificates, keys and variables that it names;\n"
    "tries the data directory, its store and the port, and leaves all as it was.\n"
    "Prints the warnings of a start. Where an agent runs with this data directory,\n"
    "the port that it holds counts as free.\n"
    "\n"
    "  -c, --config FILE       configuration (default: $UNTRACE_CONFIG, else\n"
    "                          /etc/untrace/untrace.yaml if it exists, else built-in\n"
    "                          defaults; - is standard input)\n"
    "  -d, --data-dir DIR      instead of the configuration's data_dir\n"
    "  -l, --listen ADDR:PORT  instead of its receivers.otlp_http.listen\n"
    UT_OPTION_HELP_JSON
    "\n"
    "Exit codes: 0 it would start; otherwise that with which `untrace run` would end:\n"
    "78 the configuration (with file, line and what was expected), 65 the store, 69\n"
    "the port, 73, 74 or 77 the data directory, 75 another process works on it.\n";
// clang-format on

enum { WARNINGS_BYTES_MAX = 64 * 1024, OUT_BYTES_MAX = 1024 * 1024 };

typedef struct {
    const ut_options *options;
    const ut_config *config;
    ut_check_trial trial;
    ut_fault fault; // text: empty, or why it would not start
    int code;
    ut_buf warnings; // each ends with a NUL
} check;

static void take_warning(void *context, ut_log_level level, const char *line, size_t len)
{
    check *c = context;
    (void)level;
    ut_buf_add(&c->warnings, line, len);
    ut_buf_add_byte(&c->warnings, 0);
}

// The warning at *at, which moves to the next; NULL behind the last.
static const char *next_warning(const check *c, size_t *at)
{
    if (c->warnings.err != UT_OK || *at >= c->warnings.len)
        return NULL;
    const char *const warning_z = (const char *)c->warnings.data + *at;
    *at += strlen(warning_z) + 1;
    return warning_z;
}

// ---- for people ----

static void print_source(const check *c)
{
    const char *const path_z = c->config->path_z;
    if (path_z == NULL)
        (void)printf(
            "configuration      built-in defaults ($UNTRACE_CONFIG unset, " UT_CONFIG_DEFAULT_PATH
            " not there)\n");
    else
        (void)printf("configuration      %s (%s)\n", path_z,
                     c->options->config_z != NULL                  ? "--config"
                     : strcmp(path_z, UT_CONFIG_DEFAULT_PATH) != 0 ? "$UNTRACE_CONFIG"
                                                                   : "$UNTRACE_CONFIG unset");
}

static void print_storage(const ut_config_storage *storage, ut_buf *out)
{
    char size_z[UT_TEXT_SHORT_MAX];
    ut_text_size(storage->bytes_max, size_z);
    ut_buf_printf(out, "  storage          at most %s, ", size_z);
    if (storage->ttl_ms == 0)
        ut_buf_add_z(out, "kept until the room is needed");
    else if (storage->ttl_ms % 86400000 == 0)
        ut_buf_printf(out, "kept for %llu days", (unsigned long long)(storage->ttl_ms / 86400000));
    else
        ut_buf_printf(out, "kept for %llu s", (unsigned long long)(storage->ttl_ms / 1000));
    if (storage->spans_max > 0)
        ut_buf_printf(out, ", at most %llu spans", (unsigned long long)storage->spans_max);
    if (storage->commit_delay_ms > 0)
        ut_buf_printf(out, ", a commit waits %u ms for more requests",
                      (unsigned)storage->commit_delay_ms);
    ut_buf_printf(out, "\n  retention rules  %zu\n", (size_t)storage->rules.count);
}

static const char *key_source(const ut_config_encryption *from, const char **name_z)
{
    *name_z = from->key_file_z != NULL  ? from->key_file_z
              : from->key_env_z != NULL ? from->key_env_z
                                        : from->credential_z;
    return from->key_file_z != NULL     ? ""
           : from->key_env_z != NULL    ? "the environment variable "
           : from->credential_z != NULL ? "the credential "
                                        : NULL;
}

static void print_meaning(const check *c, ut_buf *out)
{
    const ut_config *const config = c->config;
    char listen_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(&config->receivers.otlp_http.listen, listen_z);
    ut_buf_printf(out,
                  "the configuration is good\n  data directory   %s\n  otlp_http        %s%s\n",
                  config->data_dir_z, listen_z, config->receivers.otlp_http.tls ? " (TLS)" : "");
    if (c->trial.agent_pid != 0)
        ut_buf_printf(out, "  agent            process %llu runs with this data directory%s\n",
                      (unsigned long long)c->trial.agent_pid,
                      c->trial.port_held ? " and holds the port" : "");
    print_storage(&config->storage, out);
    const char *name_z = NULL;
    const char *const source_z = key_source(&config->storage.encryption, &name_z);
    if (source_z != NULL)
        ut_buf_printf(out, "  encryption       with the key in %s%s\n", source_z, name_z);
    ut_buf_printf(out, "  destinations     %zu\n", config->destinations.count);
    for (size_t i = 0; i < config->destinations.count; i++) {
        const ut_destination_config *const destination = &config->destinations.items[i];
        ut_buf_printf(out, "  %-16s ", destination->name_z);
        ut_url_show(&destination->url, out);
        ut_buf_printf(
            out, "  %s%s%s\n", destination->encoder->name_z, destination->gzip ? ", gzip" : "",
            destination->insecure ? ", insecure: the peer's certificate is NOT verified" : "");
    }
}

static void print_text(const check *c, ut_buf *out)
{
    if (c->config->owned != NULL) {
        print_source(c);
        (void)fflush(stdout);
    }
    size_t at = 0;
    for (const char *warning_z; (warning_z = next_warning(c, &at)) != NULL;)
        (void)fprintf(stderr, "untrace: warn: %s\n", warning_z);
    if (c->code != EX_OK)
        (void)fprintf(stderr, "untrace: %s\n", c->fault.text_z);
    else
        print_meaning(c, out);
}

// ---- for programs ----

static void write_meaning(const check *c, ut_json_writer *json)
{
    const ut_config *const config = c->config;
    char listen_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(&config->receivers.otlp_http.listen, listen_z);
    if (config->path_z != NULL)
        ut_json_write_text_z(json, "configuration", config->path_z);
    else
        ut_json_write_null(json, "configuration");
    ut_json_write_text_z(json, "data_dir", config->data_dir_z != NULL ? config->data_dir_z : "");
    ut_json_write_text_z(json, "otlp_http", listen_z);
    ut_json_write_bool(json, "tls", config->receivers.otlp_http.tls);
    ut_json_write_uint(json, "bytes_max", config->storage.bytes_max);
    ut_json_write_uint(json, "spans_max", config->storage.spans_max);
    ut_json_write_uint(json, "ttl_ms", config->storage.ttl_ms);
    ut_json_write_uint(json, "rules", config->storage.rules.count);
    const char *name_z = NULL;
    ut_json_write_bool(json, "encrypted", key_source(&config->storage.encryption, &name_z) != NULL);
    ut_json_write_uint(json, "agent_pid", c->trial.agent_pid);
    ut_json_write_array(json, "destinations");
    for (size_t i = 0; i < config->destinations.count; i++) {
        const ut_destination_config *const destination = &config->destinations.items[i];
        ut_buf url;
        ut_buf_init(&url, OUT_BYTES_MAX);
        ut_url_show(&destination->url, &url);
        ut_json_write_object(json, NULL);
        ut_json_write_text_z(json, "name", destination->name_z);
        ut_json_write_text(json, "url", ut_buf_bytes(&url));
        ut_json_write_bool(json, "insecure", destination->insecure);
        ut_json_write_close(json);
        ut_buf_free(&url);
    }
    ut_json_write_close(json);
}

static void print_json(const check *c, ut_buf *out)
{
    ut_json_writer json = ut_json_writer_of(out);
    ut_json_write_object(&json, NULL);
    ut_json_write_bool(&json, "good", c->code == EX_OK);
    ut_json_write_uint(&json, "exit_code", (uint64_t)c->code);
    if (c->code != EX_OK)
        ut_json_write_text_z(&json, "error", c->fault.text_z);
    else
        ut_json_write_null(&json, "error");
    ut_json_write_array(&json, "warnings");
    size_t at = 0;
    for (const char *warning_z; (warning_z = next_warning(c, &at)) != NULL;)
        ut_json_write_text_z(&json, NULL, warning_z);
    ut_json_write_close(&json);
    if (c->config->owned != NULL)
        write_meaning(c, &json);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
}

// ---- either ----

// EX_USAGE: --listen is wrong, which has been told.
static int find_and_try(check *c, ut_config *config, const char *listen_z)
{
    const ut_log log = {.level = UT_LOG_WARN, .write = take_warning, .context = c};
    const ut_err err = ut_config_find(c->options->config_z, UT_CONFIG_RUN, config, &c->fault);
    if (err != UT_OK) // a missing file is a wrong configuration too
        return err == UT_ENOMEM ? EX_OSERR : EX_CONFIG;
    if (listen_z != NULL && ut_config_set_listen("--listen", listen_z, config, &c->fault) != UT_OK)
        return ut_cli_usage("check", "%s", c->fault.text_z);
    if (c->options->data_dir_z != NULL)
        config->data_dir_z = c->options->data_dir_z;
    return ut_check_try(config, &log, &c->trial, &c->fault);
}

static const struct option option_rows[] = {UT_OPTION_ROWS_WHERE,
                                            {"listen", required_argument, NULL, 'l'},
                                            UT_OPTION_ROW_JSON,
                                            UT_OPTION_ROWS_END};

static int run(int argc, char **argv)
{
    ut_options options = {.command_z = "check", .help_z = help, .rows = option_rows};
    const char *listen_z = NULL;
    while (ut_options_next(&options, argc, argv) != -1)
        listen_z = optarg;
    if (options.ended)
        return options.code;
    ut_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return EX_OSERR;
    check c = {.options = &options, .config = config};
    ut_buf out;
    ut_buf_init(&c.warnings, WARNINGS_BYTES_MAX);
    ut_buf_init(&out, OUT_BYTES_MAX);
    c.code = find_and_try(&c, config, listen_z);
    if (c.code != EX_USAGE) {
        if (options.json)
            print_json(&c, &out);
        else
            print_text(&c, &out);
        (void)fwrite(out.data, 1, out.len, stdout); // main looks at what became of it
    }
    const int code = out.err == UT_OK ? c.code : EX_OSERR;
    ut_buf_free(&out);
    ut_buf_free(&c.warnings);
    ut_config_free(config);
    free(config);
    return code;
}

const ut_command ut_command_check = {
    .name_z = "check",
    .run = run,
    .summary_z = "say whether `run` would start, and what is wrong or what it means",
    .help_z = help,
    .options = option_rows,
};
