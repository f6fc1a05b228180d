// The configuration: one YAML file, read strictly (docs/CONFIG.md). Each section has a header of
// its own, with its struct and defaults.
#ifndef UT_AGENT_CONFIG_CONFIG_H
#define UT_AGENT_CONFIG_CONFIG_H

#include "agent/config/config_destinations.h"
#include "agent/config/config_llm.h"
#include "agent/config/config_receivers.h"
#include "agent/config/config_storage.h"
#include "agent/config/config_use.h"
#include "port/base/log.h"

enum { UT_CONFIG_FILE_BYTES_MAX = 1024 * 1024 };

typedef struct {
    char *data_dir_z;         // default: ut_config_default_data_dir; NULL when that knows none
    ut_log_level log_level;   // default info
    ut_log_format log_format; // default text
    ut_config_receivers receivers;
    ut_config_storage storage;
    ut_config_destinations destinations;
    ut_llm_prices llm_prices;
    char *path_z;             // the file that it was read from; NULL: all defaults
    char *dollar_z;           // a warning of a $ that is not replaced, with its place; NULL: none
    uint32_t stop_timeout_ms; // SIGTERM: the deadline of a clean stop; default 10 s
    void *owned;              // the text that the pointers above point into
} ut_config;

// Sets the defaults. UT_ENOMEM.
ut_err ut_config_default(ut_config *config);

// Reads the file path_z ("-": standard input). What use needs has ${env:NAME} substituted and the
// certificate files read that it names; of the rest only the syntax is looked at, and config holds
// any of it or the default. Names of files are relative to the directory of path_z. A fault reads
// "FILE:LINE:COLUMN: found ..., expected ...". UT_ENOTFOUND, UT_EPERM, UT_EIO, UT_ENOMEM,
// UT_EFORMAT (syntax, unknown key, wrong type), UT_EINVAL (impossible value); config is all zero
// then.
ut_err ut_config_read(const char *path_z, ut_config_use use, ut_config *config, ut_fault *fault);

// Takes the values that the environment holds instead of those of the file: UNTRACE_DATA_DIR,
// UNTRACE_LISTEN, UNTRACE_LOG_LEVEL, UNTRACE_LOG_FORMAT, UNTRACE_MAX_SIZE, UNTRACE_TTL. One that is
// empty is as unset, one that use does not need is not looked at. A fault names the variable.
// UT_EFORMAT, UT_EINVAL, UT_ENOMEM; config is all zero then.
ut_err ut_config_read_env(ut_config_use use, ut_config *config, ut_fault *fault);

// Takes text_z as receivers.otlp_http.listen. A fault names source_z. Errors as above, and config
// stays as it is then.
ut_err ut_config_set_listen(const char *source_z, const char *text_z, ut_config *config,
                            ut_fault *fault);

void ut_config_free(ut_config *config);

// The first of $STATE_DIRECTORY, which systemd sets; else /var/lib/untrace for root, else
// $XDG_STATE_HOME/untrace or ~/.local/state/untrace. UT_ENOTFOUND without any, UT_ELIMIT.
ut_err ut_config_default_data_dir(char *out_z, size_t cap);

#endif
