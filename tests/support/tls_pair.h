// Two ends of a TLS connection in one thread, for tests of TLS. All functions fail the test when
// something goes wrong that the test did not ask for.
#ifndef UT_TESTS_SUPPORT_TLS_PAIR_H
#define UT_TESTS_SUPPORT_TLS_PAIR_H

#include "tests/support/certs.h"
#include "transport/tls/stream.h"
#include "transport/tls/tls.h"

enum { UT_TLS_PAIR_DEADLINE_MS = 30000 }; // of everything that waits

// A context by the names of its files in certs; NULL: none.
ut_tls_context *ut_tls_pair_context(ut_certs *certs, bool server, const char *ca_z,
                                    const char *cert_z, const char *key_z);

typedef struct {
    ut_stream client;
    ut_stream server;
    ut_err client_err; // of the handshakes
    ut_err server_err;
    ut_fault client_fault;
    ut_fault server_fault;
} ut_tls_pair;

void ut_tls_pair_sockets(ut_sock *client, ut_sock *server);

// Shakes hands until both ends have ended. An end that fails is closed, as its owner would.
ut_tls_pair ut_tls_pair_shake(ut_tls_context *client, ut_tls_context *server, const char *host_z);
void ut_tls_pair_close(ut_tls_pair *p);

void ut_tls_pair_expect_shaken(ut_tls_pair *p);
// Shakes hands, which the client must refuse with told_z in its fault.
void ut_tls_pair_expect_refused(ut_tls_context *client, ut_tls_context *server, const char *host_z,
                                const char *told_z);

// ---- data ----

// text_z must go at once.
void ut_tls_pair_send_text(ut_stream *to, const char *text_z);
// Waits until there is something, the end, or an error.
ut_err ut_tls_pair_read(ut_stream *from, void *out, size_t cap, size_t *n);
void ut_tls_pair_expect_text(ut_stream *from, const char *text_z);
// Sends text both ways, so that the client sees the tickets that come behind a handshake of TLS
// 1.3.
void ut_tls_pair_exchange(ut_tls_pair *p);

#endif
