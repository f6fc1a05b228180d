// Random bytes from the kernel. Waits only in the first moments after boot, until the kernel has
// its seed.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "port/port.h"

#include <errno.h>
#include <sys/random.h>

ut_err ut_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return UT_EIO;
        at += got;
        len -= (size_t)got;
    }
    return UT_OK;
}
