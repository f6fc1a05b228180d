// TLS over a non-blocking socket, client and server side. One file per library implements it
// (tls_mbedtls.c). Not for deciding what is trusted: the caller gives the certificates as PEM
// bytes.
#ifndef UT_TRANSPORT_TLS_TLS_H
#define UT_TRANSPORT_TLS_TLS_H

#include "port/port.h"

// Keys, certificates and trust of one role; shared by any number of connections of one thread.
typedef struct ut_tls_context ut_tls_context;

enum {
    UT_TLS_SESSIONS_MAX = 8,           // sessions that a client context remembers, one a host
    UT_TLS_TICKET_SECONDS_MAX = 86400, // life of the tickets that a server gives
};

typedef struct {
    bool server;
    // Client: trust anchors. Server: when not empty, clients must show a certificate signed by one
    // of them.
    ut_bytes ca_pem;
    ut_bytes cert_pem; // own certificate chain; server: required
    ut_bytes key_pem;  // its key, not encrypted
    bool insecure; // client only: nothing of the peer is verified. The caller warns at each start
} ut_tls_config;

// Copies what it needs of config. Faults say which PEM is wrong and why. UT_EINVAL, UT_ETLS,
// UT_ENOMEM.
ut_err ut_tls_context_new(const ut_tls_config *config, ut_tls_context **context, ut_fault *fault);
void ut_tls_context_free(ut_tls_context *context);

typedef struct ut_tls ut_tls;

// Starts TLS on a connected socket, which stays the caller's. host_z: client: the name for SNI (RFC
// 6066 section 3: not of a numeric address) and for the check of the certificate (RFC 9525: against
// its subjectAltName alone, a numeric address against the address entries), both without the dot at
// the end of an absolute name and without a zone; server: NULL. A client context remembers the last
// session per host_z and resumes it.
ut_err ut_tls_open(ut_tls_context *context, ut_sock sock, const char *host_z, ut_tls **tls);
void ut_tls_free(ut_tls *tls); // sends nothing

// Each returns UT_EAGAIN with *want = UT_READABLE or UT_WRITABLE when the socket is not ready.
// Handshake faults name the cause for a person ("the certificate is not signed by a trusted CA",
// "... is for another host name").
ut_err ut_tls_handshake(ut_tls *tls, uint32_t *want, ut_fault *fault);
// UT_ECLOSED: the peer ended the stream with close_notify. UT_EIO: the connection broke, or was
// closed without it.
ut_err ut_tls_read(ut_tls *tls, void *out, size_t cap, size_t *n, uint32_t *want);
// After UT_EAGAIN: again with the same bytes.
ut_err ut_tls_write(ut_tls *tls, ut_bytes bytes, size_t *n, uint32_t *want);
ut_err ut_tls_shutdown(ut_tls *tls, uint32_t *want); // close_notify
// Why the last read, write or shutdown returned UT_ETLS (an alert of the peer, a damaged record),
// for a person.
void ut_tls_explain(const ut_tls *tls, ut_fault *fault);
bool ut_tls_pending(const ut_tls *tls); // decrypted bytes wait to be read
bool ut_tls_resumed(const ut_tls *tls); // the handshake resumed a session

const char *ut_tls_version(void); // library and version

#endif
