// From bytes to requests, HTTP/1.1 (RFC 9112): an incremental parser over llhttp that returns what
// it met. Knows neither sockets nor answers nor handlers; http_conn.c acts on what it returns.
#ifndef UT_TRANSPORT_HTTP_HTTP_REQUEST_H
#define UT_TRANSPORT_HTTP_HTTP_REQUEST_H

#include "transport/http/http_pool.h"

#include <llhttp.h>

typedef enum {
    UT_HTTP_PHASE_IDLE, // between two requests
    UT_HTTP_PHASE_HEAD,
    UT_HTTP_PHASE_BODY,
} ut_http_phase;

typedef enum {
    UT_HTTP_REQUEST_MORE,    // all bytes are used, and more are needed
    UT_HTTP_REQUEST_HEAD,    // a head is complete
    UT_HTTP_REQUEST_MESSAGE, // the message is complete
    UT_HTTP_REQUEST_REFUSED, // the request is not taken; nothing may be parsed any more
    // The body is not taken. Its rest is short and is passed over, so that the connection can go on
    // behind it.
    UT_HTTP_REQUEST_BODY_REFUSED,
} ut_http_request_event;

enum { UT_HTTP_REASON_MAX = 128 };

// The details of an event. Borrows from the parser until ut_http_request_release.
typedef struct {
    ut_http_head head; // HEAD
    ut_http_field fields[UT_HTTP_SERVER_FIELDS_MAX];
    ut_bytes body;           // MESSAGE; empty of a body that was discarded
    int status;              // REFUSED and BODY_REFUSED
    ut_http_foreign foreign; // REFUSED
    char reason_z[UT_HTTP_REASON_MAX];
} ut_http_met;

typedef struct {
    // May be read by the owner; those of a message from its HEAD to its MESSAGE.
    ut_http_phase phase;
    bool http10;
    bool keep_alive;
    bool chunked;
    bool discarding;         // the body is thrown away
    uint64_t content_length; // 0 also of a chunked body
    uint64_t body_got;       // bytes of the body so far

    // The parser's own.
    ut_http_pool *pool;
    llhttp_t llhttp;
    ut_http_request_event reached; // and not returned yet; MORE: nothing
    bool behind_head;              // a request without a body completes without another byte
    ut_http_raw_head *head;
    bool in_value;
    int fail_status; // set by a callback; 0: none
    const char *fail_z;
    uint32_t head_bytes;
    uint32_t protocol_len;
    uint64_t overhead; // bytes of chunk framing
    ut_bytes borrowed; // the whole body as it stands in the bytes parsed
    ut_http_body body; // else its bytes
} ut_http_request_parser;

// pool is borrowed for the life of the parser.
void ut_http_request_init(ut_http_request_parser *parser, ut_http_pool *pool);

// Parses until there is something to tell, and moves *bytes behind what it used. To be called again
// until it returns MORE, also when bytes is empty. met is set as far as the event says.
ut_http_request_event ut_http_request_parse(ut_http_request_parser *parser, ut_bytes *bytes,
                                            ut_http_met *met);

// Gives back what the last event lent, and what has arrived of a request that is not wanted.
void ut_http_request_release(ut_http_request_parser *parser);

// The rest of the body is passed over: what becomes of the request is known.
void ut_http_request_discard(ut_http_request_parser *parser);

// Bytes of the body that are still to come, as its head promised.
static inline uint64_t ut_http_request_body_left(const ut_http_request_parser *parser)
{
    return parser->content_length - parser->body_got;
}

#endif
