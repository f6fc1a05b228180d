// Whose the files beside a data file are; only for engine_lmdb*.c.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_OWNER_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_OWNER_H

#include <stdbool.h>

enum { UT_LMDB_FILE_MODE = 0600 }; // traces tell what an application does

// Makes an empty file with the owner, the group and the mode of like_z, unless there is one. EPERM
// and no file: this user may not give it away, and the owner of like_z could not write it (exact:
// or those of its group that read). errno or 0.
int ut_lmdb_make_like(const char *path_z, const char *like_z, bool exact);

#endif
