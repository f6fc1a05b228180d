// A client of the tests, and the scripted server that it calls.
#ifndef UT_TESTS_SUPPORT_HTTP_CALLER_H
#define UT_TESTS_SUPPORT_HTTP_CALLER_H

#include "tests/support/peer.h"
#include "transport/http/http_client.h"

// A test that waits longer than the deadline is broken; none comes near it.
enum { UT_CALLER_DEADLINE_MS = 30000, UT_CALLER_TIMEOUT_MS = 20000 };

typedef struct {
    ut_poller *poller;
    ut_resolver *resolver;
    ut_tls_context *tls;
    ut_url url;
    ut_http_client *client;
} ut_caller;

// A client for /v1/traces?a=b at that address, over TLS with tls. Ends with ut_caller_hang_up.
ut_caller *ut_caller_to(const char *host_z, uint16_t port, ut_tls_context *tls,
                        uint32_t timeout_ms);
void ut_caller_hang_up(ut_caller *c);

// Steps until the request has ended, waiting on the poller in between for as long as the client
// wants to: a readiness that it does not ask for is never noticed. With skip_ms, the clock goes
// forward by that much when nothing more happens.
ut_err ut_caller_run(ut_caller *c, uint64_t skip_ms, ut_http_answer *answer, ut_fault *fault);
// Starts a request, and runs it.
ut_err ut_caller_post(ut_caller *c, const ut_http_request *request, ut_http_answer *answer,
                      ut_fault *fault);
void ut_caller_expect_status(ut_caller *c, const ut_http_request *request, int status);
// Steps the client without a request until it has closed its connection.
void ut_caller_expect_closed(ut_caller *c);

extern const ut_http_request ut_caller_simple;

// ---- scripts of the server ----

typedef struct {
    ut_bytes bytes; // sent as they are
    ut_peer_then then;
    size_t piece;
    int reset_first; // requests answered by breaking the connection
    // The last request.
    char head_z[8192];
    uint8_t *body;
    size_t body_len;
} ut_caller_script;

// An answer without a body.
#define UT_CALLER_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// Answers as the script in context says, and notes the request there. For ut_peer_config.
void ut_caller_play(void *context, const ut_peer_request *request, ut_peer_answer *answer);
// A server that plays the script. Ends with ut_peer_stop; s->body is to be freed.
ut_peer *ut_caller_serve(ut_caller_script *s);

#endif
