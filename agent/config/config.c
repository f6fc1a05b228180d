// Reading the configuration file, the table of its sections, and what stands beside them. Each
// section has a file of its own; the syntax of YAML is config_yaml.c's.
#include "agent/config/config.h"

#include "agent/config/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// ---- beside the sections ----

// No shell reads this file: what a shell would replace would become a directory of that name.
static ut_err read_data_dir(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *text_z = NULL;
    const bool closed = ut_yaml_need(yaml, UT_CONFIG_LOOK);
    const ut_err err = ut_yaml_read_string(yaml, node, &text_z);
    yaml->closed = closed;
    if (err != UT_OK)
        return err;
    if (text_z[0] == '~' || text_z[0] == '$')
        return ut_yaml_fail(yaml, node, UT_EINVAL,
                            "a path without ~ and $NAME (${env:HOME} is replaced)");
    char *const path_z = ut_yaml_join(yaml, text_z);
    if (path_z == NULL)
        return ut_yaml_fail_at(yaml, node, UT_ENOMEM, "out of memory");
    *(char **)target = path_z;
    return UT_OK;
}

static ut_err read_log_level(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "error, warn, info or debug";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    for (ut_log_level level = UT_LOG_ERROR; level <= UT_LOG_DEBUG; level++) {
        if (strcmp(text_z, ut_log_level_name(level)) == 0) {
            *(ut_log_level *)target = level;
            return UT_OK;
        }
    }
    return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
}

static ut_err read_log_format(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const char expected[] = "text or json";
    char *text_z = NULL;
    const ut_err err = ut_yaml_scalar(yaml, node, expected, &text_z);
    if (err != UT_OK)
        return err;
    if (strcmp(text_z, "text") != 0 && strcmp(text_z, "json") != 0)
        return ut_yaml_fail(yaml, node, UT_EFORMAT, expected);
    *(ut_log_format *)target = text_z[0] == 'j' ? UT_LOG_JSON : UT_LOG_TEXT;
    return UT_OK;
}

static ut_err read_log(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"level", read_log_level, offsetof(ut_config, log_level)},
        {"format", read_log_format, offsetof(ut_config, log_format)},
        {NULL, NULL, 0},
    };
    return ut_yaml_read_map(yaml, node, fields, target, "log");
}

// ---- paths ----

ut_err ut_config_default_data_dir(char *out_z, size_t cap)
{
    const char *const home_z = getenv("HOME");
    const char *const state_z = getenv("XDG_STATE_HOME");
    const char *const service_z = getenv("STATE_DIRECTORY"); // several have colons between
    int len;
    if (service_z != NULL && service_z[0] == '/')
        len = snprintf(out_z, cap, "%.*s", (int)strcspn(service_z, ":"), service_z);
    else if (geteuid() == 0)
        len = snprintf(out_z, cap, "/var/lib/untrace");
    else if (state_z != NULL && state_z[0] == '/')
        len = snprintf(out_z, cap, "%s/untrace", state_z);
    else if (home_z != NULL && home_z[0] == '/')
        len = snprintf(out_z, cap, "%s/.local/state/untrace", home_z);
    else
        return UT_ENOTFOUND;
    return len > 0 && (size_t)len < cap ? UT_OK : UT_ELIMIT;
}

// ---- the table of sections ----

static void default_log(void *config)
{
    ((ut_config *)config)->log_level = UT_LOG_INFO;
}

static void default_stop_timeout(void *stop_timeout_ms)
{
    *(uint32_t *)stop_timeout_ms = 10 * 1000;
}

// A key on the top level of the file. default_set and read get the place at offset in ut_config;
// default_set is NULL where zero is the default.
typedef struct {
    const char *key_z;
    size_t offset;
    void (*default_set)(void *target);
    ut_yaml_read read;
} section;

// A new section is a file, a member of ut_config, and a row here.
static const section sections[] = {
    {"data_dir", offsetof(ut_config, data_dir_z), NULL, read_data_dir},
    {"log", 0, default_log, read_log},
    {"receivers", offsetof(ut_config, receivers), ut_config_receivers_default,
     ut_config_receivers_read},
    {"storage", offsetof(ut_config, storage), ut_config_storage_default, ut_config_storage_read},
    {"destinations", offsetof(ut_config, destinations), NULL, ut_config_destinations_read},
    {"llm", offsetof(ut_config, llm_prices), NULL, ut_config_llm_read},
    {"stop_timeout", offsetof(ut_config, stop_timeout_ms), default_stop_timeout,
     ut_yaml_read_duration32},
};

enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

// ---- the whole ----

ut_err ut_config_default(ut_config *config)
{
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < SECTIONS; i++) {
        if (sections[i].default_set != NULL)
            sections[i].default_set((char *)config + sections[i].offset);
    }

    char dir_z[4096];
    ut_owned *owned = NULL;
    if (ut_config_default_data_dir(dir_z, sizeof(dir_z)) != UT_OK)
        return UT_OK; // data_dir_z stays NULL: the commands that need a directory say so
    config->data_dir_z = ut_owned_alloc(&owned, strlen(dir_z) + 1);
    config->owned = owned;
    if (config->data_dir_z == NULL)
        return UT_ENOMEM;
    memcpy(config->data_dir_z, dir_z, strlen(dir_z) + 1);
    return UT_OK;
}

static ut_err read_sections(ut_yaml *yaml, yaml_node_t *root, ut_config *config)
{
    ut_yaml_field fields[SECTIONS + 1] = {0}; // ended by a key that is NULL
    for (size_t i = 0; i < SECTIONS; i++)
        fields[i] = (ut_yaml_field){sections[i].key_z, sections[i].read, sections[i].offset};
    const ut_err err = ut_yaml_read_map(yaml, root, fields, config, "the configuration");
    return err == UT_YAML_UNKNOWN ? UT_OK : err;
}

// The bytes of path_z up to its last slash, that included.
static size_t dir_len(const char *path_z)
{
    const char *const slash_z = strrchr(path_z, '/');
    return slash_z == NULL ? 0 : (size_t)(slash_z - path_z) + 1;
}

ut_err ut_config_read(const char *path_z, ut_config_use use, ut_config *config, ut_fault *fault)
{
    const bool is_stdin = strcmp(path_z, "-") == 0;
    ut_buf text;
    ut_buf_init(&text, UT_CONFIG_FILE_BYTES_MAX);
    ut_owned *owned = NULL;
    ut_yaml yaml = {.path_z = is_stdin ? "standard input" : path_z,
                    .dir_len = is_stdin ? 0 : dir_len(path_z),
                    .use = use,
                    .closed = use < UT_CONFIG_RUN,
                    .owned = &owned,
                    .fault = fault};

    ut_err err = ut_config_default(config);
    owned = config->owned;
    if (err != UT_OK) {
        (void)ut_fault_set(fault, err, "%s: out of memory", path_z);
        goto done;
    }
    config->path_z = ut_owned_alloc(&owned, strlen(yaml.path_z) + 1);
    if (config->path_z == NULL) {
        err = ut_fault_set(fault, UT_ENOMEM, "%s: out of memory", path_z);
        goto done;
    }
    memcpy(config->path_z, yaml.path_z, strlen(yaml.path_z) + 1);
    err = ut_file_read(is_stdin ? "/dev/stdin" : path_z, &text, fault);
    if (err != UT_OK)
        goto done;

    yaml_node_t *root = NULL;
    err = ut_yaml_load(&yaml, ut_buf_bytes(&text), &root);
    if (err != UT_OK)
        goto done;
    if (root != NULL) // an empty file means: all defaults
        err = read_sections(&yaml, root, config);
    config->dollar_z = yaml.dollar_z;
    yaml_document_delete(&yaml.document);
done:
    ut_buf_free(&text);
    config->owned = owned;
    if (err != UT_OK)
        ut_config_free(config);
    return err;
}

// ---- values from elsewhere ----

// Reads text_z as if it were a value of the file. A fault names source_z.
static ut_err read_text(const char *source_z, const char *text_z, ut_yaml_read read,
                        ut_config *config, size_t offset, ut_fault *fault)
{
    const size_t len = strlen(text_z);
    ut_owned *owned = config->owned;
    ut_yaml yaml = {.path_z = source_z, .placeless = true, .use = UT_CONFIG_RUN, .owned = &owned};
    yaml.fault = fault;
    // libyaml's text is not constant; readers leave it as it is.
    uint8_t *copy = ut_owned_alloc(&owned, len + 1);
    ut_err err = UT_ENOMEM;
    if (copy != NULL) {
        memcpy(copy, text_z, len + 1);
        yaml_node_t node = {.type = YAML_SCALAR_NODE};
        node.data.scalar.value = copy;
        node.data.scalar.length = len;
        err = read(&yaml, &node, (char *)config + offset);
    } else {
        (void)ut_fault_set(fault, err, "%s: out of memory", source_z);
    }
    config->owned = owned;
    return err;
}

ut_err ut_config_set_listen(const char *source_z, const char *text_z, ut_config *config,
                            ut_fault *fault)
{
    return read_text(source_z, text_z, ut_config_listen_read, config,
                     offsetof(ut_config, receivers.otlp_http.listen), fault);
}

ut_err ut_config_read_env(ut_config_use use, ut_config *config, ut_fault *fault)
{
    static const struct {
        const char *name_z;
        ut_yaml_read read;
        size_t offset;
        ut_config_use use;
    } variables[] = {
        {"UNTRACE_DATA_DIR", read_data_dir, offsetof(ut_config, data_dir_z), UT_CONFIG_LOOK},
        {"UNTRACE_MAX_SIZE", ut_config_store_size_read, offsetof(ut_config, storage.bytes_max),
         UT_CONFIG_STORE},
        {"UNTRACE_TTL", ut_yaml_read_duration, offsetof(ut_config, storage.ttl_ms),
         UT_CONFIG_STORE},
        {"UNTRACE_LISTEN", ut_config_listen_read, offsetof(ut_config, receivers.otlp_http.listen),
         UT_CONFIG_RUN},
        {"UNTRACE_LOG_LEVEL", read_log_level, offsetof(ut_config, log_level), UT_CONFIG_RUN},
        {"UNTRACE_LOG_FORMAT", read_log_format, offsetof(ut_config, log_format), UT_CONFIG_RUN},
    };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *const text_z = getenv(variables[i].name_z);
        if (text_z == NULL || text_z[0] == '\0' || use < variables[i].use)
            continue;
        const ut_err err = read_text(variables[i].name_z, text_z, variables[i].read, config,
                                     variables[i].offset, fault);
        if (err != UT_OK) {
            ut_config_free(config);
            return err;
        }
    }
    return UT_OK;
}

void ut_config_free(ut_config *config)
{
    ut_owned_free(config->owned);
    memset(config, 0, sizeof(*config));
}
