// One HTTP/1.1 connection to one host: connects (name resolution, TLS), sends a request, reads the
// answer, stays open for the next. A step machine: it never blocks; the owner calls step when the
// poller reports its tag or the time has come.
#ifndef UT_TRANSPORT_HTTP_HTTP_CLIENT_H
#define UT_TRANSPORT_HTTP_HTTP_CLIENT_H

#include "transport/http/url.h"
#include "transport/tls/stream.h"

enum {
    UT_HTTP_REQUEST_HEAD_MAX = 64 * 1024,
    // For one address; less when several share the request's time.
    UT_HTTP_CONNECT_MS_MAX = 10 * 1000,
    // An unused connection is closed after this: below the minute after which many servers close
    // theirs.
    UT_HTTP_IDLE_MS_MAX = 50 * 1000,
    // A connection that is used without a pause carries no new request after this, so that a name
    // that moves is followed even where the old address goes on to answer.
    UT_HTTP_AGE_MS_MAX = 5 * 60 * 1000,
};

typedef struct ut_http_client ut_http_client;

typedef struct {
    char *name_z;  // owned
    char *value_z; // owned; may be a secret: never logged
} ut_header;

typedef struct {
    ut_poller *poller; // its events carry `tag`
    ut_resolver *resolver;
    ut_tls_context *tls; // NULL for plain connections
    const ut_url *url;   // outlives the client
    void *tag;
    uint32_t timeout_ms;
} ut_http_client_config;

// Everything is borrowed until the request has ended.
typedef struct {
    const char *method_z;
    const char *content_type_z;
    const char *content_encoding_z; // NULL: none
    const char *user_agent_z;       // NULL: none, or among the headers
    const ut_header *headers;       // extra ones; each passes ut_http_header_allowed
    size_t header_count;
    ut_bytes body;
} ut_http_request;

typedef struct {
    int status;              // 200..599
    uint64_t retry_after_ms; // 0: the answer had none; capped at one day
    ut_bytes content_type;   // borrowed until the next request
    ut_bytes body;           // decoded from gzip when the peer used it
} ut_http_answer;

ut_err ut_http_client_new(const ut_http_client_config *config, ut_http_client **client);
void ut_http_client_free(ut_http_client *client);

// Begins a request on a client that has none under way.
void ut_http_client_start(ut_http_client *client, const ut_http_request *request, uint64_t now_ms);

// Goes as far as it can. UT_EAGAIN: under way; *next_ms: when to call again at the latest. UT_OK:
// answer is set. Otherwise the request failed (UT_ERESOLVE, UT_ECONNECT, UT_ETLS, UT_ETIMEOUT,
// UT_ECLOSED, UT_EPROTO, UT_ELIMIT, UT_ENOMEM) with the reason in fault and the connection closed.
// A kept connection that the peer closed before any byte of an answer is retried once on a new one.
// An answer may come before the body is sent; a success that comes so early is UT_EPROTO, because
// the peer has not read what it claims to have taken. wall_ns: for Retry-After dates. Without a
// request it looks after the idle connection (closed by the peer, or unused for too long) and
// returns UT_EAGAIN.
ut_err ut_http_client_step(ut_http_client *client, uint64_t now_ms, uint64_t wall_ns,
                           uint64_t *next_ms, ut_http_answer *answer, ut_fault *fault);

// Without a request: closes the connection, and has the name looked up for the next one. After
// answers that say that something is wrong at this address. A request that fails without an answer
// does so by itself.
void ut_http_client_renew(ut_http_client *client);

// A request is under way.
bool ut_http_client_busy(const ut_http_client *client);
bool ut_http_client_connected(const ut_http_client *client);
// Waits for a name: no poll event will come for it, the resolver wakes the poller instead.
bool ut_http_client_resolving(const ut_http_client *client);

// True when a configured header may be sent: a name of token characters, a value without control
// characters, and none of the fields that the client writes itself (content-length,
// transfer-encoding, connection, content-type, content-encoding, expect, upgrade, te, trailer,
// keep-alive, proxy-connection).
bool ut_http_header_allowed(const ut_header *header);

#endif
