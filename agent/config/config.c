// What the configuration means: defaults, the tables of keys, and the checks between values. Syntax is config_yaml.c.
#include "agent/config/config.h"

#include "agent/config/config_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// ---- values ----

// No shell reads this file: what a shell would replace would become a directory of that name.
static ut_err read_data_dir(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    char *text_z = NULL;
    const ut_err err = ut_yaml_read_string(yaml, node, &text_z);
    if (err != UT_OK)
        return err;
    if (text_z[0] == '~' || text_z[0] == '$')
        return ut_yaml_fail(yaml, node, UT_EINVAL,
                            "a path without ~ and $NAME (${env:HOME} is replaced)");
    *(char **)target = text_z;
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

static ut_err read_log(ut_yaml *yaml, yaml_node_t *node, void *target)
{
    static const ut_yaml_field fields[] = {
        {"level", read_log_level, offsetof(ut_config, log_level)},
        {NULL, NULL, 0},
    };
    return ut_yaml_read_map(yaml, node, fields, target, "log");
}

// ---- the whole ----

ut_err ut_config_default_data_dir(char *out_z, size_t cap)
{
    const char *home_z = getenv("HOME");
    const char *state_z = getenv("XDG_STATE_HOME");
    int len;
    if (geteuid() == 0)
        len = snprintf(out_z, cap, "/var/lib/untrace");
    else if (state_z != NULL && state_z[0] == '/')
        len = snprintf(out_z, cap, "%s/untrace", state_z);
    else if (home_z != NULL && home_z[0] == '/')
        len = snprintf(out_z, cap, "%s/.local/state/untrace", home_z);
    else
        return UT_ENOTFOUND;
    return len > 0 && (size_t)len < cap ? UT_OK : UT_ELIMIT;
}

ut_err ut_config_default(ut_config *config)
{
    memset(config, 0, sizeof(*config));
    config->log_level = UT_LOG_INFO;
    ut_config_receivers_default(&config->receivers);
    ut_config_storage_default(&config->storage);
    config->stop_timeout_ms = 10 * 1000;

    char dir[4096];
    ut_owned *owned = NULL;
    if (ut_config_default_data_dir(dir, sizeof(dir)) != UT_OK)
        return UT_OK; // data_dir_z stays NULL: whoever needs it says so
    config->data_dir_z = ut_owned_alloc(&owned, strlen(dir) + 1);
    config->owned = owned;
    if (config->data_dir_z == NULL)
        return UT_ENOMEM;
    memcpy(config->data_dir_z, dir, strlen(dir) + 1);
    return UT_OK;
}

ut_err ut_config_read(const char *path_z, ut_config *config, ut_fault *fault)
{
    static const ut_yaml_field fields[] = {
        {"data_dir", read_data_dir, offsetof(ut_config, data_dir_z)},
        {"log", read_log, 0},
        {"receivers", ut_config_receivers_read, offsetof(ut_config, receivers)},
        {"storage", ut_config_storage_read, offsetof(ut_config, storage)},
        {"destinations", ut_config_destinations_read, offsetof(ut_config, destinations)},
        {"stop_timeout", ut_yaml_read_duration32, offsetof(ut_config, stop_timeout_ms)},
        {NULL, NULL, 0},
    };
    const bool is_stdin = strcmp(path_z, "-") == 0;
    ut_buf text;
    ut_buf_init(&text, UT_CONFIG_FILE_BYTES_MAX);
    ut_owned *owned = NULL;

    ut_err err = ut_config_default(config);
    owned = config->owned;
    if (err != UT_OK) {
        (void)ut_fault_set(fault, err, "%s: out of memory", path_z);
        goto done;
    }
    err = ut_file_read(is_stdin ? "/dev/stdin" : path_z, &text, fault);
    if (err != UT_OK)
        goto done;

    ut_yaml yaml = {
        .path_z = is_stdin ? "standard input" : path_z, .owned = &owned, .fault = fault};
    yaml_node_t *root = NULL;
    err = ut_yaml_load(&yaml, ut_buf_bytes(&text), &root);
    if (err != UT_OK)
        goto done;
    if (root != NULL) // an empty file means: all defaults
        err = ut_yaml_read_map(&yaml, root, fields, config, "the configuration");
    yaml_document_delete(&yaml.document);
done:
    ut_buf_free(&text);
    config->owned = owned;
    if (err != UT_OK)
        ut_config_free(config);
    return err;
}

void ut_config_free(ut_config *config)
{
    ut_owned_free(config->owned);
    memset(config, 0, sizeof(*config));
}
