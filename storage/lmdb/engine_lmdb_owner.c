// Gives files beside a data file their owner: one that root makes, or that takes the place of
// another, must not lock out the user whose agent has the store. Not for their contents.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_BITS = 0666 };

static int give(int fd, const struct stat *like, bool exact)
{
    struct stat own;
    if (fstat(fd, &own) != 0)
        return errno;
    if ((own.st_uid != like->st_uid || own.st_gid != like->st_gid) &&
        fchown(fd, like->st_uid, like->st_gid) != 0) {
        int code = errno;
        bool group = own.st_gid == like->st_gid || fchown(fd, (uid_t)-1, like->st_gid) == 0;
        // The owner of the other file writes this one as himself or as a member of its group.
        bool usable = own.st_uid == like->st_uid || (group && (like->st_mode & S_IWGRP) != 0) ||
                      (like->st_mode & S_IWOTH) != 0;
        if (!usable || (exact && !group))
            return code;
    }
    // The owner can write it, also where the other file is a copy that he cannot write.
    mode_t mode = (like->st_mode & MODE_BITS) | UT_LMDB_FILE_MODE;
    return fchmod(fd, mode) == 0 ? 0 : errno;
}

int ut_lmdb_make_like(const char *path_z, const char *like_z, bool exact)
{
    struct stat like;
    if (stat(like_z, &like) != 0)
        return errno;
    int fd = open(path_z, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, UT_LMDB_FILE_MODE);
    if (fd < 0)
        return errno == EEXIST ? 0 : errno;
    int code = give(fd, &like, exact);
    (void)close(fd); // nothing is in it
    if (code != 0)
        (void)unlink(path_z); // at worst an empty file stays
    return code;
}
