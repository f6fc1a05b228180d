// The configuration: one YAML file, read strictly (DESIGN section 7, docs/CONFIG.md).
#ifndef UT_AGENT_CONFIG_H
#define UT_AGENT_CONFIG_H

#include "agent/config/config_destinations.h"
#include "agent/config/config_receivers.h"
#include "agent/config/config_storage.h"
#include "port/base/log.h"

enum { UT_CONFIG_FILE_BYTES_MAX = 1024 * 1024 };

typedef struct {
    char *data_dir_z;
    ut_log_level log_level;
    ut_config_receivers receivers;
    ut_config_storage storage;
    ut_config_destinations destinations;
    uint32_t stop_timeout_ms; // SIGTERM: the deadline of a clean stop; default 10 s
    void *owned;              // what the pointers above point into
} ut_config;

// Defaults only: OTLP on loopback:4318, 30 days, 256 MiB, no destination, data_dir by ut_config_default_data_dir.
ut_err ut_config_default(ut_config *config);

// Reads path_z ("-" is standard input). A fault reads "FILE:LINE:COLUMN: found ..., expected ...". Also reads the certificate files that it names,
// and substitutes ${env:NAME}. UT_ENOTFOUND, UT_EPERM, UT_EIO, UT_EFORMAT (syntax, unknown key, wrong type), UT_EINVAL (impossible value).
ut_err ut_config_read(const char *path_z, ut_config *config, ut_fault *fault);
void ut_config_free(ut_config *config);

// /var/lib/untrace for root, else $XDG_STATE_HOME/untrace or ~/.local/state/untrace.
ut_err ut_config_default_data_dir(char *out_z, size_t cap);

#endif
