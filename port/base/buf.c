// The slow paths of the growing buffer: growth, release, formatted text.
// Not for the fast paths, which are inline in the header.
#include "port/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_CAP_MIN = 64 };

void ut_buf_init(ut_buf *buf, size_t max)
{
    UT_ASSERT(max >= 1);
    *buf = (ut_buf){.max = max};
}

void ut_buf_free(ut_buf *buf)
{
    free(buf->data);
    *buf = (ut_buf){.max = buf->max};
}

void ut_buf_reset(ut_buf *buf, size_t keep_bytes_max)
{
    if (buf->cap > keep_bytes_max) {
        ut_buf_free(buf);
        return;
    }
    buf->len = 0;
    buf->err = UT_OK;
}

uint8_t *ut_buf_grow(ut_buf *buf, size_t room)
{
    if (buf->err != UT_OK)
        return NULL;
    if (room > buf->max - buf->len) {
        buf->err = UT_ELIMIT;
        return NULL;
    }
    size_t need = buf->len + room;
    if (buf->data != NULL && need <= buf->cap)
        return buf->data + buf->len;

    size_t cap = buf->cap < BUF_CAP_MIN ? BUF_CAP_MIN : buf->cap;
    while (cap < need && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (cap < need)
        cap = need;
    if (cap > buf->max)
        cap = buf->max;
    // One byte more than cap, where ut_buf_printf lets vsnprintf put its NUL: text may fill the
    // buffer to the ceiling exactly.
    uint8_t *data = cap < SIZE_MAX ? realloc(buf->data, cap + 1) : NULL;
    if (data == NULL) {
        buf->err = UT_ENOMEM;
        return NULL;
    }
    buf->data = data;
    buf->cap = cap;
    return data + buf->len;
}

void ut_buf_printf(ut_buf *buf, const char *format_z, ...)
{
    char *at = (char *)ut_buf_reserve(buf, 0);
    if (at == NULL)
        return;
    va_list args;
    va_list again;
    va_start(args, format_z);
    va_copy(again, args);
    size_t room = buf->cap - buf->len;
    int written = vsnprintf(at, room + 1, format_z, args);
    if (written < 0) {
        buf->err = UT_ELIMIT; // longer than INT_MAX, the only way in which our formats fail
    } else if ((size_t)written <= room) {
        buf->len += (size_t)written;
    } else {
        at = (char *)ut_buf_reserve(buf, (size_t)written);
        if (at != NULL) {
            (void)vsnprintf(at, (size_t)written + 1, format_z,
                            again); // the same text as just measured
            buf->len += (size_t)written;
        }
    }
    va_end(again);
    va_end(args);
}
