// Directories for tests; see temp_dir.h.
#include "tests/support/temp_dir.h"

#include "port/base/err.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ut_temp_dir_make(char path_z[UT_TEMP_PATH_MAX])
{
    const char *base_z = getenv("TMPDIR");
    int len = snprintf(path_z, UT_TEMP_PATH_MAX, "%s/untrace-test-XXXXXX",
                       base_z != NULL && base_z[0] != '\0' ? base_z : "/tmp");
    UT_ASSERT(len > 0 && len < UT_TEMP_PATH_MAX);
    UT_ASSERT(mkdtemp(path_z) != NULL);
}

void ut_temp_path(const char *dir_z, const char *name_z, char path_z[UT_TEMP_PATH_MAX])
{
    int len = snprintf(path_z, UT_TEMP_PATH_MAX, "%s/%s", dir_z, name_z);
    UT_ASSERT(len > 0 && len < UT_TEMP_PATH_MAX);
}

void ut_temp_dir_remove(const char *dir_z)
{
    (void)chmod(dir_z, 0700); // a test may have taken the right away
    DIR *dir = opendir(dir_z);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path_z[UT_TEMP_PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        ut_temp_path(dir_z, entry->d_name, path_z);
        (void)unlink(path_z); // what stays is seen below
    }
    (void)closedir(dir); // read only
    UT_ASSERT(rmdir(dir_z) == 0);
}
