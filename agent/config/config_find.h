// Which configuration file is read when nobody names one.
#ifndef UT_AGENT_CONFIG_CONFIG_FIND_H
#define UT_AGENT_CONFIG_CONFIG_FIND_H

#include "agent/config/config.h"

#define UT_CONFIG_DEFAULT_PATH "/etc/untrace/untrace.yaml"

// The file to read: path_z; where that is NULL, the one that UNTRACE_CONFIG names (empty is as
// unset), else UT_CONFIG_DEFAULT_PATH unless it is not there. NULL: none, the defaults hold.
const char *ut_config_find_path(const char *path_z);

// Reads that file, or sets the defaults, and takes what the environment says instead. Errors of
// ut_config_read.
ut_err ut_config_find(const char *path_z, ut_config_use use, ut_config *config, ut_fault *fault);

// The data directory of that configuration, read for UT_CONFIG_LOOK. *dir_z is the caller's to
// free. UT_EINVAL: it knows none. Other errors of ut_config_find.
ut_err ut_config_find_data_dir(const char *path_z, char **dir_z, ut_fault *fault);

#endif
