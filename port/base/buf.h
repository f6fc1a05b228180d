// A growing byte buffer born with a ceiling and a sticky error: many writes, one check.
// Not for text formatting of log lines (log.h) and not shared between threads.
#ifndef UT_PORT_BASE_BUF_H
#define UT_PORT_BASE_BUF_H

#include "port/base/bytes.h"
#include "port/base/err.h"

typedef struct {
    uint8_t *data; // owned; NULL while cap is 0
    size_t len;
    size_t cap;
    size_t max; // ceiling of cap, in bytes
    ut_err err; // UT_OK, UT_ELIMIT (ceiling) or UT_ENOMEM; once set, writes do nothing
} ut_buf;

// Empty, owning no memory. max: the ceiling in bytes, >= 1.
void ut_buf_init(ut_buf *buf, size_t max);

// Releases the memory; the buffer is then as after ut_buf_init.
void ut_buf_free(ut_buf *buf);

// Empties the buffer, clears the error and keeps the memory for the next use, unless it holds more
// than keep_bytes_max, which is then given back.
void ut_buf_reset(ut_buf *buf, size_t keep_bytes_max);

// The slow path of ut_buf_reserve: grows by doubling. NULL with buf->err set at the ceiling or
// without memory.
uint8_t *ut_buf_grow(ut_buf *buf, size_t room);

// A pointer to at least room writable bytes behind the content, or NULL when buf->err is set. Does
// not change len: the caller adds what it wrote. Valid until the next call on buf.
static inline uint8_t *ut_buf_reserve(ut_buf *buf, size_t room)
{
    if (buf->err == UT_OK && buf->cap - buf->len >= room && buf->data != NULL)
        return buf->data + buf->len;
    return ut_buf_grow(buf, room);
}

static inline void ut_buf_add(ut_buf *buf, const void *data, size_t len)
{
    uint8_t *at = ut_buf_reserve(buf, len);
    if (at != NULL && len > 0) {
        memcpy(at, data, len);
        buf->len += len;
    }
}

static inline void ut_buf_add_bytes(ut_buf *buf, ut_bytes bytes)
{
    ut_buf_add(buf, bytes.data, bytes.len);
}

static inline void ut_buf_add_byte(ut_buf *buf, uint8_t byte)
{
    uint8_t *at = ut_buf_reserve(buf, 1);
    if (at != NULL) {
        *at = byte;
        buf->len += 1;
    }
}

static inline void ut_buf_add_z(ut_buf *buf, const char *text_z)
{
    ut_buf_add(buf, text_z, strlen(text_z));
}

// Appends formatted text without its NUL.
void ut_buf_printf(ut_buf *buf, const char *format_z, ...) __attribute__((format(printf, 2, 3)));

static inline ut_bytes ut_buf_bytes(const ut_buf *buf)
{
    return (ut_bytes){buf->data, buf->len};
}

#endif
