// One way to read and write a connection, with TLS or without. Not for opening one.
#include "transport/tls/stream.h"

ut_err ut_stream_read(ut_stream *stream, void *out, size_t cap, size_t *n, uint32_t *want)
{
    if (stream->tls != NULL)
        return ut_tls_read(stream->tls, out, cap, n, want);
    ut_err err = ut_sock_read(stream->sock, out, cap, n);
    if (err == UT_EAGAIN)
        *want = UT_READABLE;
    return err;
}

static ut_err write_tls(ut_tls *tls, const ut_bytes *parts, size_t count, size_t *n, uint32_t *want)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        ut_bytes rest = parts[i];
        while (rest.len > 0) {
            size_t sent = 0;
            ut_err err = ut_tls_write(tls, rest, &sent, want);
            if (err == UT_EAGAIN && total > 0) {
                *n = total; // the caller comes back with the rest and learns *want then
                return UT_OK;
            }
            if (err != UT_OK)
                return err;
            total += sent;
            rest.data += sent;
            rest.len -= sent;
        }
    }
    *n = total;
    return UT_OK;
}

ut_err ut_stream_write(ut_stream *stream, const ut_bytes *parts, size_t count, size_t *n,
                       uint32_t *want)
{
    if (stream->tls != NULL)
        return write_tls(stream->tls, parts, count, n, want);
    ut_err err = ut_sock_write(stream->sock, parts, count, n);
    if (err == UT_EAGAIN)
        *want = UT_WRITABLE;
    return err;
}

void ut_stream_close(ut_stream *stream)
{
    ut_tls_free(stream->tls);
    stream->tls = NULL;
    ut_sock_close(stream->sock);
    stream->sock = UT_SOCK_NONE;
}
