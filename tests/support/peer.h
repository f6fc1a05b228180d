// A scripted HTTP server on loopback, for tests of clients: it answers what the test tells it to,
// byte for byte, with TLS if wanted, and keeps count. Each connection has a thread of its own.
#ifndef UT_TESTS_SUPPORT_PEER_H
#define UT_TESTS_SUPPORT_PEER_H

#include "transport/tls/tls.h"

typedef struct ut_peer ut_peer;

// A request as it came; borrowed for the call of the script.
typedef struct {
    int number;     // over all connections, from 0
    int connection; // from 0
    ut_bytes head;  // with its empty line
    ut_bytes body;  // as it came
} ut_peer_request;

typedef enum {
    UT_PEER_KEEP,  // the connection takes another request
    UT_PEER_CLOSE, // ends the connection properly
    UT_PEER_RESET, // breaks it
    UT_PEER_HANG,  // answers nothing more until the client leaves
    UT_PEER_DEAF,  // reads nothing more either, until the peer is stopped
} ut_peer_then;

typedef struct {
    ut_buf bytes; // to send
    ut_peer_then then;
    size_t piece; // send in pieces of so many bytes, each in a packet of its own; 0: at once
} ut_peer_answer;

typedef struct {
    ut_tls_context *tls; // NULL: plain
    // Called in the connection's thread, never two at a time. Fills answer->bytes.
    void (*script)(void *context, const ut_peer_request *request, ut_peer_answer *answer);
    void *context;
    bool early; // the script is called with the head alone, the body is never read
} ut_peer_config;

// Stops the program when it cannot listen.
ut_peer *ut_peer_start(const ut_peer_config *config);
void ut_peer_stop(ut_peer *peer);
uint16_t ut_peer_port(const ut_peer *peer);

typedef struct {
    int connections; // accepted
    int open;        // of them, still open
    int requests;    // read whole (early: whose head was read)
    int handshakes;  // TLS, that succeeded
    int resumed;     // of them, that resumed a session
} ut_peer_counts;

ut_peer_counts ut_peer_get_counts(ut_peer *peer);

// Between the two no script runs: requests wait, and what scripts write may be read.
void ut_peer_hold(ut_peer *peer);
void ut_peer_release(ut_peer *peer);

// "HTTP/1.1 STATUS X", the fields (each with its CRLF) and a body with its length.
void ut_peer_answer_write(ut_peer_answer *answer, int status, const char *fields_z, ut_bytes body);

#endif
