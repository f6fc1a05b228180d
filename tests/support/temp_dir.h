// A directory of its own for a test, removed afterwards with all that is in it.
#ifndef UT_TESTS_SUPPORT_TEMP_DIR_H
#define UT_TESTS_SUPPORT_TEMP_DIR_H

#include <stddef.h>

enum { UT_TEMP_PATH_MAX = 256 };

// Makes it under TMPDIR or /tmp and writes its path. Stops the program when that fails.
void ut_temp_dir_make(char path_z[UT_TEMP_PATH_MAX]);
// Removes the files in it and the directory; it has no directories.
void ut_temp_dir_remove(const char *path_z);
// dir/name
void ut_temp_path(const char *dir_z, const char *name_z, char path_z[UT_TEMP_PATH_MAX]);

#endif
