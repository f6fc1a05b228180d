// A connected socket with or without TLS, read and written alike. Used by the client and by the
// receivers.
#ifndef UT_TRANSPORT_TLS_STREAM_H
#define UT_TRANSPORT_TLS_STREAM_H

#include "transport/tls/tls.h"

typedef struct {
    ut_sock sock;
    ut_tls *tls; // NULL: plain
} ut_stream;

// UT_EAGAIN sets *want to the readiness to wait for. Otherwise as ut_sock_read and ut_sock_write.
ut_err ut_stream_read(ut_stream *stream, void *out, size_t cap, size_t *n, uint32_t *want);
ut_err ut_stream_write(ut_stream *stream, const ut_bytes *parts, size_t count, size_t *n,
                       uint32_t *want);
void ut_stream_close(ut_stream *stream); // frees tls, closes sock

#endif
