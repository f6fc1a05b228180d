// The limits of the HTTP server that no configuration changes; the others stand in http_server.h.
#ifndef UT_TRANSPORT_HTTP_HTTP_LIMITS_H
#define UT_TRANSPORT_HTTP_HTTP_LIMITS_H

enum {
    // Requests of one connection that wait for their answers; reading pauses there.
    UT_HTTP_SERVER_PIPELINE_MAX = 32,
    // Bytes of a request target; longer is 414.
    UT_HTTP_SERVER_TARGET_MAX = 8 * 1024,
    // Header fields of a request; more is 431.
    UT_HTTP_SERVER_FIELDS_MAX = 100,
    // The rest of a refused body is read and thrown away up to this many bytes, so that the
    // connection can go on; a longer one ends the connection.
    UT_HTTP_SERVER_DISCARD_MAX = 256 * 1024,
    // Bytes of a body that must arrive within each body timeout, or its rest if that is less.
    UT_HTTP_SERVER_PROGRESS_MIN = 16 * 1024,
    // Bytes of answers of one connection that wait to be sent, and of one answer's body.
    UT_HTTP_SERVER_OUT_MAX = 16 * 1024 * 1024,
    // Connections over the limit that are told why at one time; further ones are just closed.
    UT_HTTP_SERVER_TURNED_AWAY_MAX = 64,
    // A connection that ends after an answer is read on, and what comes is thrown away, until the
    // peer closes it, so that the peer gets to see the answer. LINGER_MS is the longest pause
    // between two reads, LINGER_TOTAL_MS the longest time in all.
    UT_HTTP_SERVER_LINGER_MS = 2000,
    UT_HTTP_SERVER_LINGER_TOTAL_MS = 20000,
    // Accepting pauses for this time when descriptors have run out, or until a connection closes.
    UT_HTTP_SERVER_ACCEPT_PAUSE_MS = 500,
    // Buffers kept for the next requests are given back after this time without a request.
    UT_HTTP_SERVER_TRIM_MS = 1000,
};

#endif
