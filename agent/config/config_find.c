// Finds the configuration file; see config_find.h.
#include "agent/config/config_find.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

// A file that is there but may not be seen must not pass for one that is not: the defaults would
// mean another store.
static bool is_missing(const char *path_z)
{
    return access(path_z, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

const char *ut_config_find_path(const char *path_z)
{
    if (path_z != NULL)
        return path_z;
    path_z = getenv("UNTRACE_CONFIG");
    if (path_z != NULL && path_z[0] != '\0')
        return path_z;
    return is_missing(UT_CONFIG_DEFAULT_PATH) ? NULL : UT_CONFIG_DEFAULT_PATH;
}

ut_err ut_config_find(const char *path_z, ut_config_use use, ut_config *config, ut_fault *fault)
{
    path_z = ut_config_find_path(path_z);
    ut_err err =
        path_z != NULL ? ut_config_read(path_z, use, config, fault) : ut_config_default(config);
    if (err != UT_OK && path_z == NULL)
        err = ut_fault_set(fault, err, "%s", ut_err_text(err));
    return err == UT_OK ? ut_config_read_env(use, config, fault) : err;
}

ut_err ut_config_find_data_dir(const char *path_z, char **dir_z, ut_fault *fault)
{
    ut_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    ut_err err = ut_config_find(path_z, UT_CONFIG_LOOK, config, fault);
    if (err == UT_OK) {
        *dir_z = config->data_dir_z != NULL ? strdup(config->data_dir_z) : NULL;
        if (config->data_dir_z == NULL)
            err = ut_fault_set(fault, UT_EINVAL,
                               "no data directory is known here: give --data-dir DIR or --config "
                               "FILE");
        else if (*dir_z == NULL)
            err = ut_fault_set(fault, UT_ENOMEM, "out of memory");
        ut_config_free(config);
    }
    free(config);
    return err;
}
