// An HTTP/1.1 server on one listening address: connections, parsing (llhttp), limits, timeouts,
// answers in order. What is asked and what it means is the handler's; nothing here knows of OTLP.
// A step machine on the thread of its poller: it never blocks and reads no clock but the wall clock
// for the Date field. Its fixed limits stand in http_limits.h.
#ifndef UT_TRANSPORT_HTTP_HTTP_SERVER_H
#define UT_TRANSPORT_HTTP_HTTP_SERVER_H

#include "port/base/log.h"
#include "transport/http/http_exchange.h"
#include "transport/tls/stream.h"

typedef struct ut_http_server ut_http_server;

typedef struct {
    ut_poller *poller;
    ut_tls_context *tls; // NULL: plain. Borrowed, as poller and log are
    const ut_log *log;
    const char *area_z; // for log lines
    ut_http_handler handler;
    ut_addr listen;
    uint64_t body_bytes_max;   // of one body as sent; more is 413
    uint64_t memory_bytes_max; // of all requests under way together; more is 503 with Retry-After
    uint32_t connections_max;  // further ones get 503 and are closed
    uint32_t header_bytes_max; // of request line and header fields; more is 431
    uint32_t head_timeout_ms;  // from the first byte (first request: from the connection) on; 408
    uint32_t body_timeout_ms;  // a body that makes no progress, an answer that is not read
    uint32_t idle_timeout_ms;  // between requests
} ut_http_server_config;

// Opens the listening socket and watches it. UT_EBUSY, UT_EPERM, UT_EIO, UT_ENOMEM; faults name the
// address.
ut_err ut_http_server_open(const ut_http_server_config *config, ut_http_server **server,
                           ut_fault *fault);

// Closes everything at once. Every exchange given to on_body must have been replied to. NULL is
// ignored.
void ut_http_server_close(ut_http_server *server);

// The address it listens on, with the port that the system chose for port 0.
ut_err ut_http_server_addr(const ut_http_server *server, ut_addr *addr);

// Takes over a connected socket as if it had been accepted.
void ut_http_server_adopt(ut_http_server *server, ut_sock sock, const ut_addr *peer);

// One event of the poller whose tag is of a server (of any: the tag knows its own).
void ut_http_server_event(const ut_poll_event *event, uint64_t now_ms);

// Sends what replies wait and ends what has timed out. *next_ms: when to call again at the latest
// (monotonic; UINT64_MAX: only after an event or a reply). Call it after every round of events.
void ut_http_server_step(ut_http_server *server, uint64_t now_ms, uint64_t *next_ms);

// Answers a request, once; it is sent by the next step, in its turn. The body of reply is copied.
// The exchange ends with it.
void ut_http_server_reply(ut_http_server *server, ut_http_exchange *exchange,
                          const ut_http_reply *reply);

// The peer of a request; borrowed from its connection. NULL: the connection is gone.
const ut_addr *ut_http_server_peer(const ut_http_exchange *exchange);

// Stops listening, closes idle connections, and lets the others end after the requests that have
// begun to arrive.
void ut_http_server_stop(ut_http_server *server, uint64_t now_ms);
// After stop: nothing is under way any more.
bool ut_http_server_idle(const ut_http_server *server);

// The memory of requests under way. Bodies are counted here until on_body; what a handler holds for
// a request, it counts with these. False: not counted, over memory_bytes_max.
bool ut_http_server_charge(ut_http_server *server, size_t bytes);
void ut_http_server_discharge(ut_http_server *server, size_t bytes);
uint64_t ut_http_server_memory_left(const ut_http_server *server);

typedef struct {
    uint32_t connections; // open now, those that linger included
    uint32_t under_way;   // requests between head and reply
    uint64_t memory;      // bytes counted now
    uint64_t requests;    // heads, since the start
    uint64_t refused;     // requests that were answered here, not by on_head or on_body
    uint64_t turned_away; // connections over the limit
} ut_http_server_stats;
void ut_http_server_get_stats(const ut_http_server *server, ut_http_server_stats *stats);

#endif
