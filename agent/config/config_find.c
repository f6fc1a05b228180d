// Finds the configuration file; see config_find.h.
#include "agent/config/config_find.h"

#include <stdlib.h>
#include <unistd.h>

static const char default_config_path[] = "/etc/untrace/untrace.yaml";

ut_err ut_config_find(const char *path_z, ut_config *config, ut_fault *fault)
{
    if (path_z == NULL)
        path_z = getenv("UNTRACE_CONFIG");
    if (path_z == NULL && access(default_config_path, F_OK) == 0)
        path_z = default_config_path;
    if (path_z != NULL)
        return ut_config_read(path_z, config, fault);
    const ut_err err = ut_config_default(config);
    return err == UT_OK ? UT_OK : ut_fault_set(fault, err, "%s", ut_err_text(err));
}
