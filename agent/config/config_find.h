// Which configuration file is read when nobody names one.
#ifndef UT_AGENT_CONFIG_CONFIG_FIND_H
#define UT_AGENT_CONFIG_CONFIG_FIND_H

#include "agent/config/config.h"

// Reads path_z. NULL: the file that UNTRACE_CONFIG names, else /etc/untrace/untrace.yaml when it
// exists, else the defaults. Errors of ut_config_read.
ut_err ut_config_find(const char *path_z, ut_config *config, ut_fault *fault);

#endif
