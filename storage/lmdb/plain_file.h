// Opens the files of a data directory: each must be a plain file. A link would lead the writes to a
// file elsewhere, or past the locks, which stand beside the name; a pipe would make the opening
// wait for ever. Not for the directory itself, which may be a link.
#ifndef UT_STORAGE_LMDB_PLAIN_FILE_H
#define UT_STORAGE_LMDB_PLAIN_FILE_H

#include "port/base/err.h"

// What a file must be beside plain.
enum {
    // In a directory that every user may write: of this user, of root, or of the directory's owner.
    UT_PLAIN_OURS = 1,
    // Nothing is written under a second name of the file.
    UT_PLAIN_ONE_NAME = 2,
};

// Opens a file with flags of open(2), without following a link or waiting. No file is made.
// UT_ENOTFOUND, UT_EPERM (also for what is no plain file), UT_EIO.
ut_err ut_plain_file_open(const char *path_z, int flags, unsigned must, int *fd, ut_fault *fault);

// The same check of a file that a library opens by its name.
ut_err ut_plain_file_check(const char *path_z, unsigned must, ut_fault *fault);

#endif
