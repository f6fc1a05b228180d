// Reserves disk for the data file; see engine_lmdb_disk.h. Linux's fallocate does it.
#define _GNU_SOURCE
#include "storage/lmdb/engine_lmdb_disk.h"

#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ASK_EVERY_MS = 1000,    // between two questions to a full disk
    STEP_MAX = 1024 * 1024, // reserved beyond the need, so that not every commit asks
    PART_MIN = 32 * 1024,   // the smallest part in which a full disk is taken
    LOCK_BYTES = 32 * 1024, // of a lock file: a head, and 64 bytes a reader
};

// Reserves disk for the bytes from..to without changing the length of the file. 0 or an errno.
static int reserve(int file, uint64_t from, uint64_t to)
{
    while (fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static bool is_full(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

// Reserves what a full disk still has, up to `to`, and returns how far it came. Asking again for
// bytes that are reserved does no harm.
static uint64_t reserve_parts(int file, uint64_t from, uint64_t to)
{
    for (uint64_t part = (to - from) / 2; part >= PART_MIN; part /= 2) {
        if (reserve(file, from, from + part) == 0)
            from += part;
    }
    return from;
}

uint64_t ut_lmdb_disk_hold(ut_lmdb_disk *disk, int file, uint64_t file_bytes, uint64_t ahead,
                           uint64_t bytes_max)
{
    if (disk->held < file_bytes)
        disk->held = file_bytes;
    uint64_t now_ms = ut_clock_mono_ms();
    bool wanted = disk->held < bytes_max && (disk->full || disk->held - file_bytes < ahead);
    if (wanted && now_ms >= disk->ask_ms) {
        uint64_t to = file_bytes + ahead + STEP_MAX;
        if (to < disk->held + STEP_MAX)
            to = disk->held + STEP_MAX;
        if (to > bytes_max)
            to = bytes_max;
        int code = reserve(file, disk->held, to);
        disk->full = is_full(code);
        if (disk->full)
            disk->held = reserve_parts(file, disk->held, to);
        else if (code == 0)
            disk->held = to;
        if (code != 0)
            disk->ask_ms = now_ms + ASK_EVERY_MS;
    }
    return disk->full && disk->held < bytes_max ? disk->held : bytes_max;
}

// What ioctl takes: glibc and musl differ.
#ifdef __GLIBC__
typedef unsigned long ioctl_request;
#else
typedef int ioctl_request;
#endif

void ut_lmdb_disk_hold_lock(const char *lock_z)
{
    struct stat status;
    int flags = 0;
    const int file = open(lock_z, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return;
    if (fstat(file, &status) == 0 && status.st_size == 0 &&
        ioctl(file, (ioctl_request)FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        // Other file systems do not know it.
        (void)ioctl(file, (ioctl_request)FS_IOC_SETFLAGS, &flags);
    }
    (void)reserve(file, 0, LOCK_BYTES); // where it fails the file may serve all the same
    (void)close(file);                  // nothing was written
}

void ut_lmdb_disk_met_end(ut_lmdb_disk *disk)
{
    disk->full = true;
    disk->ask_ms = ut_clock_mono_ms() + ASK_EVERY_MS;
}
