// A file that is there whole or not at all: written under another name, synced, renamed.
#include "agent/files/output_file.h"

#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static ut_err fault_of(ut_fault *fault, const char *what_z, const char *path_z, int reason)
{
    return ut_fault_set(fault, ut_err_of_errno(reason), "cannot %s %s: %s", what_z, path_z,
                        strerror(reason));
}

// The signals that would leave a half file behind.
static sigset_t signals_that_stop(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaddset(&signals, numbers[i]);
    return signals;
}

// Whether the temporary file is this user's own, has one name, and is still the file of that name:
// an earlier writer may have renamed it since it was opened.
static bool is_ours(const ut_output_file *file)
{
    struct stat opened;
    struct stat named;
    return fstat(file->fd, &opened) == 0 && lstat(file->temporary_z, &named) == 0 &&
           S_ISREG(opened.st_mode) && opened.st_uid == geteuid() && opened.st_nlink == 1 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// Spans are for this user only, unless a file is replaced that says otherwise.
static int set_access(const ut_output_file *file)
{
    struct stat replaced;
    struct stat own;
    if (fstat(file->fd, &own) != 0)
        return errno;
    mode_t mode = 0600;
    if (stat(file->path_z, &replaced) == 0) {
        const bool same = (replaced.st_uid == own.st_uid && replaced.st_gid == own.st_gid) ||
                          fchown(file->fd, replaced.st_uid, replaced.st_gid) == 0;
        mode = replaced.st_mode & (same ? 0777 : 0600);
    }
    return fchmod(file->fd, mode) == 0 ? 0 : errno;
}

// Locks the temporary file and empties it.
static ut_err take_temporary(ut_output_file *file, ut_fault *fault)
{
    // A killed writer's lock is gone, so the file that it left behind is taken over.
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return ut_fault_set(fault, UT_EBUSY,
                            "another process is writing %s; wait for it, or give another name",
                            file->temporary_z);
    if (!is_ours(file))
        return ut_fault_set(fault, UT_EBUSY,
                            "%s is no plain file of this user alone; remove it, or give another "
                            "name",
                            file->temporary_z);
    if (ftruncate(file->fd, 0) != 0)
        return fault_of(fault, "empty", file->temporary_z, errno);
    const int reason = set_access(file);
    return reason == 0 ? UT_OK : fault_of(fault, "set the mode of", file->temporary_z, reason);
}

static ut_err open_temporary(ut_output_file *file, ut_fault *fault)
{
    const int written =
        snprintf(file->temporary_z, sizeof(file->temporary_z), "%s.tmp", file->path_z);
    if (written < 0 || (size_t)written >= sizeof(file->temporary_z))
        return fault_of(fault, "write", file->path_z, ENAMETOOLONG);
    file->fd =
        open(file->temporary_z, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file->fd < 0)
        return fault_of(fault, "write", file->temporary_z, errno);
    const ut_err err = take_temporary(file, fault);
    if (err != UT_OK) {
        (void)close(file->fd);
        file->fd = -1;
        return err;
    }
    const sigset_t signals = signals_that_stop();
    (void)sigprocmask(SIG_BLOCK, &signals, &file->signals_before);
    file->temporary = true;
    return UT_OK;
}

// Makes the new name durable. A directory that may not be read cannot be synced, which is no error.
static ut_err sync_directory(const ut_output_file *file, ut_fault *fault)
{
    char dir_z[PATH_MAX];
    (void)snprintf(dir_z, sizeof(dir_z), "%s", file->path_z);
    const int dir = open(dirname(dir_z), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return UT_OK;
    const int reason = fsync(dir) == 0 || errno == EINVAL ? 0 : errno;
    (void)close(dir); // read only
    return reason == 0 ? UT_OK : fault_of(fault, "sync the directory of", file->path_z, reason);
}

ut_err ut_output_file_open(ut_output_file *file, const char *path_z, ut_fault *fault)
{
    memset(file, 0, sizeof(*file));
    file->fd = STDOUT_FILENO;
    if (path_z == NULL || strcmp(path_z, "-") == 0) {
        (void)snprintf(file->path_z, sizeof(file->path_z), "standard output");
        return UT_OK;
    }
    // A link stays a link: the file that it leads to is replaced.
    struct stat status;
    char *real_z = realpath(path_z, NULL);
    const int written =
        snprintf(file->path_z, sizeof(file->path_z), "%s", real_z != NULL ? real_z : path_z);
    free(real_z);
    if (written < 0 || (size_t)written >= sizeof(file->path_z))
        return fault_of(fault, "write", path_z, ENAMETOOLONG);
    if (stat(file->path_z, &status) == 0 && !S_ISREG(status.st_mode)) {
        file->fd = open(file->path_z, O_WRONLY | O_CLOEXEC);
        return file->fd < 0 ? fault_of(fault, "write", path_z, errno) : UT_OK;
    }
    return open_temporary(file, fault);
}

ut_err ut_output_file_write(ut_output_file *file, ut_bytes bytes, ut_fault *fault)
{
    for (size_t done = 0; done < bytes.len;) {
        const ssize_t n = write(file->fd, bytes.data + done, bytes.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_of(fault, "write to", file->temporary ? file->temporary_z : file->path_z,
                            errno);
        done += (size_t)n;
    }
    return UT_OK;
}

int ut_output_file_interrupted(const ut_output_file *file)
{
    if (!file->temporary)
        return 0;
    const sigset_t signals = signals_that_stop();
    const struct timespec at_once = {0, 0};
    const int number = sigtimedwait(&signals, NULL, &at_once);
    // A closed pipe behind standard error is no reason to stop.
    return number > 0 && number != SIGPIPE ? number : 0;
}

static void close_file(ut_output_file *file)
{
    if (file->fd >= 0 && file->fd != STDOUT_FILENO)
        (void)close(file->fd);
    file->fd = -1;
    if (file->temporary)
        (void)sigprocmask(SIG_SETMASK, &file->signals_before, NULL);
    file->temporary = false;
}

ut_err ut_output_file_commit(ut_output_file *file, ut_fault *fault)
{
    ut_err err = UT_OK;
    if (file->temporary) {
        if (fsync(file->fd) != 0)
            err = fault_of(fault, "sync", file->temporary_z, errno);
        else if (rename(file->temporary_z, file->path_z) != 0)
            err = fault_of(fault, "rename", file->temporary_z, errno);
        if (err != UT_OK)
            (void)unlink(file->temporary_z); // not needed any more
        else
            err = sync_directory(file, fault);
    }
    close_file(file);
    return err;
}

void ut_output_file_abandon(ut_output_file *file)
{
    if (file->temporary)
        (void)unlink(file->temporary_z);
    close_file(file);
}
