// Wrapped calls of the C library; see recorder.h.
//
// Calls that are not heard and would have to be (a copy between two files, a name made by openat)
// show when the disk is compared with the real files at the end of a run.
#include "tests/powercut/recorder.h"

#include "port/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 1024, MAPS_MAX = 8 };

typedef struct {
    bool heard;
    bool durable; // O_DSYNC
    int file;
} descriptor;

// Memory that is a file below the root, and can be written to.
typedef struct {
    void *at; // NULL: free
    size_t len;
} map;

// The calls that are wrapped are told nothing of the test, so this stands here.
static struct {
    ut_disk *disk; // NULL: nothing is heard
    const char *root_z;
    ut_recorder_hear hear;
    void *context;
    ut_random random;
    uint64_t sum;
    descriptor descriptors[DESCRIPTORS_MAX];
    map maps[MAPS_MAX];
} recorder;

void ut_recorder_begin(ut_disk *disk, const char *root_z, uint64_t random_seed,
                       ut_recorder_hear hear, void *context)
{
    ut_recorder_end();
    memset(&recorder, 0, sizeof(recorder));
    recorder.disk = disk;
    recorder.root_z = root_z;
    recorder.hear = hear;
    recorder.context = context;
    recorder.random.state = random_seed;
}

void ut_recorder_end(void)
{
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        if (recorder.descriptors[fd].heard)
            (void)close(fd); // of files that nobody looks at any more
    }
    recorder.disk = NULL;
}

uint64_t ut_recorder_sum(void)
{
    return recorder.sum;
}

// ---- what the wrapped calls share ----

static void add_to_sum(uint64_t value)
{
    ut_random mixer = {recorder.sum ^ value};
    recorder.sum = ut_random_next(&mixer);
}

static void tell(ut_recorded kind, int file, uint64_t offset, uint64_t len)
{
    add_to_sum((uint64_t)kind << 32 | (uint32_t)file);
    add_to_sum(offset);
    add_to_sum(len);
    const int reason = errno;
    recorder.hear(recorder.context, kind);
    errno = reason;
}

// The name below the root, NULL: it is elsewhere.
static const char *name_of(const char *path_z)
{
    if (recorder.disk == NULL)
        return NULL;
    const size_t len = strlen(recorder.root_z);
    if (strncmp(path_z, recorder.root_z, len) != 0)
        return NULL;
    if (path_z[len] == '\0')
        return path_z + len;
    return path_z[len] == '/' ? path_z + len + 1 : NULL;
}

static const descriptor *heard(int fd)
{
    if (recorder.disk == NULL || fd < 0 || fd >= DESCRIPTORS_MAX || !recorder.descriptors[fd].heard)
        return NULL;
    return &recorder.descriptors[fd];
}

static void wrote(const descriptor *d, uint64_t offset, const struct iovec *parts, int count,
                  size_t len)
{
    const uint64_t begin = offset;
    size_t left = len;
    for (int i = 0; i < count && left > 0; i++) {
        const size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        ut_disk_write(recorder.disk, d->file, offset, parts[i].iov_base, part);
        offset += part;
        left -= part;
    }
    tell(UT_RECORDED_WRITE, d->file, begin, len);
    if (!d->durable)
        return;
    ut_disk_sync_range(recorder.disk, d->file, begin, len);
    tell(UT_RECORDED_SYNC, d->file, begin, len);
}

static void changed_name(const char *name_z)
{
    tell(UT_RECORDED_NAME, ut_disk_find(recorder.disk, name_z), strlen(name_z), 0);
}

#define REAL(type, name, parameters)                      \
    type real_##name parameters __asm__("__real_" #name); \
    type wrap_##name parameters __asm__("__wrap_" #name)

REAL(int, open, (const char *path_z, int flags, ...));
REAL(int, close, (int fd));
REAL(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at));
REAL(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at));
REAL(ssize_t, write, (int fd, const void *data, size_t len));
REAL(ssize_t, writev, (int fd, const struct iovec *parts, int count));
REAL(int, fdatasync, (int fd));
REAL(int, fsync, (int fd));
REAL(int, ftruncate, (int fd, off_t len));
REAL(int, fallocate, (int fd, int mode, off_t at, off_t len));
REAL(int, rename, (const char *from_z, const char *to_z));
REAL(int, link, (const char *from_z, const char *to_z));
REAL(int, unlink, (const char *path_z));
REAL(int, mkdir, (const char *path_z, mode_t mode));
REAL(void *, mmap, (void *at, size_t len, int access, int flags, int fd, off_t from));
REAL(int, munmap, (void *at, size_t len));
REAL(ssize_t, getrandom, (void *out, size_t len, unsigned flags));

// ---- descriptors ----

int wrap_open(const char *path_z, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    const char *name_z = name_of(path_z);
    if (name_z == NULL)
        return real_open(path_z, flags, mode);
    const int fd = real_open(path_z, flags & ~(O_DSYNC | O_SYNC), mode);
    if (fd < 0)
        return fd;
    UT_ASSERT(fd < DESCRIPTORS_MAX);
    int file = ut_disk_find(recorder.disk, name_z);
    const bool made = file < 0;
    if (made)
        file = ut_disk_create(recorder.disk, name_z, false);
    recorder.descriptors[fd] =
        (descriptor){.heard = true, .durable = (flags & O_DSYNC) != 0, .file = file};
    if (made)
        changed_name(name_z);
    if (!made && (flags & O_TRUNC) != 0) {
        ut_disk_resize(recorder.disk, file, 0);
        tell(UT_RECORDED_LENGTH, file, 0, 0);
    }
    return fd;
}

int wrap_close(int fd)
{
    if (fd >= 0 && fd < DESCRIPTORS_MAX)
        recorder.descriptors[fd].heard = false;
    return real_close(fd);
}

void *wrap_mmap(void *at, size_t len, int access, int flags, int fd, off_t from)
{
    const descriptor *d = heard(fd);
    if (d != NULL && (access & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0)
        ut_disk_map(recorder.disk, d->file);
    void *result = real_mmap(at, len, access, flags, fd, from);
    if (d == NULL || (access & PROT_WRITE) == 0 || (flags & MAP_SHARED) == 0 ||
        result == MAP_FAILED)
        return result;
    map *m = recorder.maps;
    while (m < recorder.maps + MAPS_MAX && m->at != NULL)
        m += 1;
    UT_ASSERT(m < recorder.maps + MAPS_MAX);
    *m = (map){result, len};
    return result;
}

int wrap_munmap(void *at, size_t len)
{
    for (map *m = recorder.maps; m < recorder.maps + MAPS_MAX; m++) {
        if (m->at == at)
            m->at = NULL;
    }
    return real_munmap(at, len);
}

void ut_recorder_detach(void)
{
    for (map *m = recorder.maps; m < recorder.maps + MAPS_MAX; m++) {
        if (m->at == NULL)
            continue;
        void *copy = malloc(m->len);
        UT_ASSERT(copy != NULL);
        memcpy(copy, m->at, m->len);
        UT_ASSERT(real_mmap(m->at, m->len, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m->at);
        memcpy(m->at, copy, m->len);
        free(copy);
        m->at = NULL;
    }
    ut_recorder_end();
}

// ---- bytes ----

ssize_t wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    const descriptor *d = heard(fd);
    const ssize_t written = real_pwritev(fd, parts, count, at);
    if (d != NULL && written > 0)
        wrote(d, (uint64_t)at, parts, count, (size_t)written);
    return written;
}

ssize_t wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    const descriptor *d = heard(fd);
    const ssize_t written = real_pwrite(fd, data, len, at);
    union {
        const void *in;
        void *out;
    } base = {.in = data}; // an iovec has no const
    const struct iovec part = {.iov_base = base.out, .iov_len = len};
    if (d != NULL && written > 0)
        wrote(d, (uint64_t)at, &part, 1, (size_t)written);
    return written;
}

ssize_t wrap_writev(int fd, const struct iovec *parts, int count)
{
    const descriptor *d = heard(fd);
    const off_t at = d != NULL ? lseek(fd, 0, SEEK_CUR) : 0;
    const ssize_t written = real_writev(fd, parts, count);
    if (d != NULL && written > 0)
        wrote(d, (uint64_t)at, parts, count, (size_t)written);
    return written;
}

ssize_t wrap_write(int fd, const void *data, size_t len)
{
    const descriptor *d = heard(fd);
    if (d == NULL)
        return real_write(fd, data, len);
    union {
        const void *in;
        void *out;
    } base = {.in = data};
    const struct iovec part = {.iov_base = base.out, .iov_len = len};
    return wrap_writev(fd, &part, 1);
}

int wrap_ftruncate(int fd, off_t len)
{
    const descriptor *d = heard(fd);
    const int result = real_ftruncate(fd, len);
    if (d != NULL && result == 0) {
        ut_disk_resize(recorder.disk, d->file, (uint64_t)len);
        tell(UT_RECORDED_LENGTH, d->file, 0, (uint64_t)len);
    }
    return result;
}

int wrap_fallocate(int fd, int mode, off_t at, off_t len)
{
    // Disk that is reserved shows neither in the bytes nor in the length.
    UT_ASSERT(heard(fd) == NULL || mode == FALLOC_FL_KEEP_SIZE);
    return real_fallocate(fd, mode, at, len);
}

static int sync_heard(const descriptor *d)
{
    const bool names = fcntl((int)(d - recorder.descriptors), F_GETFL) & O_DIRECTORY;
    ut_disk_sync(recorder.disk, d->file);
    tell(names ? UT_RECORDED_SYNC_NAMES : UT_RECORDED_SYNC, d->file, 0, 0);
    return 0;
}

int wrap_fdatasync(int fd)
{
    const descriptor *d = heard(fd);
    return d != NULL ? sync_heard(d) : real_fdatasync(fd);
}

int wrap_fsync(int fd)
{
    const descriptor *d = heard(fd);
    return d != NULL ? sync_heard(d) : real_fsync(fd);
}

// ---- names ----

int wrap_rename(const char *from_z, const char *to_z)
{
    const char *from_name_z = name_of(from_z);
    const int result = real_rename(from_z, to_z);
    if (result == 0 && from_name_z != NULL) {
        ut_disk_rename(recorder.disk, from_name_z, name_of(to_z));
        changed_name(name_of(to_z));
    }
    return result;
}

int wrap_link(const char *from_z, const char *to_z)
{
    const char *from_name_z = name_of(from_z);
    const int result = real_link(from_z, to_z);
    if (result == 0 && from_name_z != NULL) {
        ut_disk_link(recorder.disk, from_name_z, name_of(to_z));
        changed_name(name_of(to_z));
    }
    return result;
}

int wrap_unlink(const char *path_z)
{
    const char *name_z = name_of(path_z);
    const int result = real_unlink(path_z);
    if (result == 0 && name_z != NULL) {
        ut_disk_unlink(recorder.disk, name_z);
        changed_name(name_z);
    }
    return result;
}

int wrap_mkdir(const char *path_z, mode_t mode)
{
    const char *name_z = name_of(path_z);
    const int result = real_mkdir(path_z, mode);
    if (result == 0 && name_z != NULL) {
        (void)ut_disk_create(recorder.disk, name_z, true);
        changed_name(name_z);
    }
    return result;
}

// ---- what would make two runs of one seed differ ----

ssize_t wrap_getrandom(void *out, size_t len, unsigned flags)
{
    uint8_t *bytes = out;
    if (recorder.disk == NULL)
        return real_getrandom(out, len, flags);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)ut_random_next(&recorder.random);
    return (ssize_t)len;
}
