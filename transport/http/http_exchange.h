// One request and the place of its answer, and the handler that is asked what to answer. The ground
// on which the server, its connections and their handlers meet.
#ifndef UT_TRANSPORT_HTTP_HTTP_EXCHANGE_H
#define UT_TRANSPORT_HTTP_HTTP_EXCHANGE_H

#include "port/port.h"
#include "transport/http/http_head.h"
#include "transport/http/http_reply.h"

typedef struct ut_http_conn ut_http_conn;

// Lives from on_head to the reply, even when the connection is gone in between.
typedef struct ut_http_exchange ut_http_exchange;
struct ut_http_exchange {
    uint64_t note; // the handler's own; 0 at first. Must own nothing: see on_head

    // The server's own.
    ut_http_conn *conn; // which the answer goes out on; NULL: it is gone
    ut_http_exchange *next;
    bool answered;
    bool without_body;     // the request is HEAD
    ut_http_reply_end end; // the answer's word on the connection
    ut_http_reply reply;   // all of the answer but its body
    ut_buf body;           // of the answer; owned
};

UT_LIST_DEFINE(ut_http_exchange_list, ut_http_exchange, next);

// What came in place of a request.
typedef enum {
    UT_HTTP_FOREIGN_OTHER,
    UT_HTTP_FOREIGN_HTTP2, // as gRPC speaks it
    UT_HTTP_FOREIGN_TLS,   // on a plain port
} ut_http_foreign;

typedef struct {
    void *context;
    // A head is complete; it is borrowed for the call. The handler may reply at once; the body is
    // then never asked for. Otherwise on_body follows, or on_refuse, or nothing at all when the
    // connection ends before.
    void (*on_head)(void *context, ut_http_exchange *exchange, const ut_http_head *head);
    // The body is complete; borrowed for the call. The handler replies now or later, once.
    void (*on_body)(void *context, ut_http_exchange *exchange, ut_bytes body);
    // The server refuses a request after its head was accepted (400, 413, 417, 503); the handler
    // replies within the call with that status, in the form that its clients read.
    void (*on_refuse)(void *context, ut_http_exchange *exchange, int status, const char *reason_z);
    // The server has refused what came from peer before its head was complete. NULL: not told.
    void (*on_foreign)(void *context, const ut_addr *peer, ut_http_foreign foreign, int status,
                       const char *reason_z);
} ut_http_handler;

// Keeps an answer until its turn comes; once. The body of reply is copied; without memory for it
// the answer goes out without a body.
void ut_http_exchange_answer(ut_http_exchange *exchange, const ut_http_reply *reply);

// Appends the kept answer as it stands on the wire. closes: the connection ends behind it, whatever
// the client asked for.
void ut_http_exchange_write(const ut_http_exchange *exchange, const char *date_z, bool closes,
                            ut_buf *out);

#endif
