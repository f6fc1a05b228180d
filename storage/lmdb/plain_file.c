// Plain files of a data directory; see plain_file.h.
#define _GNU_SOURCE
#include "storage/lmdb/plain_file.h"

#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// True in a directory that every user may write, for a file that one of them has put there.
static bool is_strangers(const char *path_z, const struct stat *file)
{
    char dir_z[PATH_MAX];
    struct stat dir;
    const char *slash_z = strrchr(path_z, '/');
    const int len = slash_z != NULL ? (int)(slash_z - path_z) : 0;
    (void)snprintf(dir_z, sizeof(dir_z), "%.*s/.", len, path_z); // too long a path is not found
    return slash_z != NULL && stat(dir_z, &dir) == 0 && (dir.st_mode & S_IWOTH) != 0 &&
           file->st_uid != geteuid() && file->st_uid != 0 && file->st_uid != dir.st_uid;
}

static ut_err link_fault(const char *path_z, ut_fault *fault)
{
    char target_z[256];
    const ssize_t len = readlink(path_z, target_z, sizeof(target_z) - 1);
    target_z[len > 0 ? len : 0] = '\0';
    return ut_fault_set(fault, UT_EPERM,
                        "%s is a link (to %s), which is not followed: locks stand beside the name. "
                        "Move the file here, or set data_dir to its directory; data_dir may be a "
                        "link",
                        path_z, target_z);
}

static ut_err check(const char *path_z, const struct stat *file, unsigned must, ut_fault *fault)
{
    if (S_ISLNK(file->st_mode))
        return link_fault(path_z, fault);
    if (!S_ISREG(file->st_mode))
        return ut_fault_set(fault, UT_EPERM, "%s is not a plain file. Move it away", path_z);
    if ((must & UT_PLAIN_ONE_NAME) != 0 && file->st_nlink > 1)
        return ut_fault_set(fault, UT_EPERM,
                            "%s is not a plain file with one name. Remove it, the next start makes "
                            "it again",
                            path_z);
    if ((must & UT_PLAIN_OURS) != 0 && is_strangers(path_z, file))
        return ut_fault_set(fault, UT_EPERM,
                            "%s belongs to user %lu, who may have put it in a directory that every "
                            "user may write. Take that right from the directory, and the file away",
                            path_z, (unsigned long)file->st_uid);
    return UT_OK;
}

static ut_err system_fault(const char *path_z, ut_fault *fault)
{
    const int reason = errno;
    if (reason == ENOENT)
        return ut_fault_set(fault, UT_ENOTFOUND, "there is no %s", path_z);
    if (reason == EACCES)
        return ut_fault_set(fault, UT_EPERM, "%s may not be read by this user", path_z);
    if (reason == ELOOP)
        return link_fault(path_z, fault);
    return ut_fault_set(fault, ut_err_of_errno(reason), "%s cannot be opened: %s", path_z,
                        strerror(reason));
}

ut_err ut_plain_file_open(const char *path_z, int flags, unsigned must, int *fd, ut_fault *fault)
{
    struct stat file;
    // Looked at first: opening a device may do something, and a pipe may refuse.
    ut_err err = ut_plain_file_check(path_z, must, fault);
    if (err != UT_OK)
        return err;
    *fd = open(path_z, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd < 0)
        return system_fault(path_z, fault);
    if (fstat(*fd, &file) != 0)
        err = system_fault(path_z, fault);
    else
        err = check(path_z, &file, must, fault); // it may be another one by now
    if (err != UT_OK) {
        (void)close(*fd); // nothing was written
        *fd = -1;
    }
    return err;
}

ut_err ut_plain_file_check(const char *path_z, unsigned must, ut_fault *fault)
{
    struct stat file;
    if (lstat(path_z, &file) != 0)
        return system_fault(path_z, fault);
    return check(path_z, &file, must, fault);
}
