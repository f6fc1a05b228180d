// Reads a whole small file: certificates, configuration. Not for the store, and not for anything on
// the loop: a file on a slow disk or a pipe makes the caller wait.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { READ_BYTES = 16384 };

static ut_err file_fault(const char *path_z, int reason, ut_fault *fault)
{
    // UT_ELIMIT says that the file is too large, and nothing else.
    const ut_err code = ut_err_of_errno(reason);
    return ut_fault_set(fault, code == UT_ELIMIT ? UT_EIO : code, "cannot read %s: %s", path_z,
                        strerror(reason));
}

static ssize_t read_some(int fd, void *out, size_t cap)
{
    ssize_t got;
    do {
        got = read(fd, out, cap);
    } while (got < 0 && errno == EINTR);
    return got;
}

ut_err ut_file_read(const char *path_z, ut_buf *out, ut_fault *fault)
{
    int fd;
    do {
        fd = open(path_z, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return file_fault(path_z, errno, fault);

    // The size is not asked for first: files in /proc say 0, and a file may grow while it is read.
    size_t begin = out->len;
    ut_err err = UT_OK;
    for (;;) {
        uint8_t beyond; // tells a file that ends at the ceiling from one that goes on
        size_t left = out->max - out->len;
        size_t room = left < READ_BYTES ? left : READ_BYTES;
        uint8_t *at = ut_buf_reserve(out, room);
        if (at == NULL) {
            err =
                ut_fault_set(fault, out->err, "cannot read %s: %s", path_z, ut_err_text(out->err));
            break;
        }
        ssize_t got = room > 0 ? read_some(fd, at, room) : read_some(fd, &beyond, 1);
        if (got < 0) {
            err = file_fault(path_z, errno, fault);
            break;
        }
        if (got == 0)
            break;
        if (room == 0) {
            err = ut_fault_set(fault, UT_ELIMIT,
                               "cannot read %s: it is larger than the %zu bytes allowed here",
                               path_z, out->max - begin);
            break;
        }
        out->len += (size_t)got;
    }
    if (err != UT_OK)
        out->len = begin;
    (void)close(fd); // only read
    return err;
}
