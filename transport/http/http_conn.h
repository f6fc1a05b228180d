// One connection of the HTTP server: reading, handing requests to the handler, answering in order,
// waiting, ending. Not for accepting and not for time, which are the server's (http_server.c).
#ifndef UT_TRANSPORT_HTTP_HTTP_CONN_H
#define UT_TRANSPORT_HTTP_HTTP_CONN_H

#include "port/base/log.h"
#include "transport/http/http_request.h"
#include "transport/tls/stream.h"

enum { UT_HTTP_READ_BYTES = 256 * 1024 }; // taken from one connection at a time

typedef enum {
    UT_HTTP_TIMER_NONE,
    UT_HTTP_TIMER_HEAD,
    UT_HTTP_TIMER_BODY,
    UT_HTTP_TIMER_IDLE,
    UT_HTTP_TIMER_WRITE,
    UT_HTTP_TIMER_LINGER,
    UT_HTTP_TIMER_COUNT,
} ut_http_timer;

typedef enum {
    UT_HTTP_CONN_HANDSHAKE, // TLS is being agreed on
    UT_HTTP_CONN_OPEN,      // requests are read
    UT_HTTP_CONN_STOPPED,   // nothing more is read; ends when the answers are out
    UT_HTTP_CONN_LINGER,    // all is said; what comes is thrown away until the peer closes
    UT_HTTP_CONN_DEAD,      // closed; the memory goes at the end of the step
} ut_http_conn_state;

// The target of a poller's tag: the first member of the listener's owner, or of a connection.
typedef struct {
    bool listener;
} ut_http_endpoint;

typedef struct ut_http_shared ut_http_shared;

struct ut_http_conn {
    ut_http_endpoint endpoint; // first member: the poller's tag
    ut_http_shared *shared;
    ut_stream stream;
    ut_addr peer;
    ut_http_conn *prev; // in the list of its timer
    ut_http_conn *next;
    ut_http_conn *next_dirty; // in the list of those to be flushed, or of the dead
    uint64_t deadline_ms;
    ut_http_timer timer;
    ut_http_conn_state state;
    uint32_t interest;   // events that the poller watches for
    uint32_t read_want;  // the event that reading waits for: TLS may want to write
    uint32_t write_want; // the event that writing waits for
    bool dirty;
    bool eof; // the peer sends nothing more, or is not to be waited for
    bool turned_away;
    uint64_t linger_since_ms;

    ut_http_request_parser parser;
    ut_http_exchange *current; // of the message that is being received; NULL also when it has its
                               // answer already
    bool expects_continue;     // the client waits with the body
    bool continue_due;         // the client is to be told to go on
    uint64_t body_seen;        // bytes of the body that had come when its timer was set
    uint64_t requests;         // complete ones, since the connection was made
    ut_buf held;               // bytes behind the last request that may be under way

    ut_http_exchange_list exchanges; // under way, in the order of the requests
    ut_buf out;                      // answers that the socket did not take
    size_t out_sent;
    size_t out_again; // TLS wants to see the same bytes again; 0: any
};

UT_LIST_DEFINE(ut_http_conn_list, ut_http_conn, next_dirty);

// The connections that wait for the same reason. The timeout is the same for all, so the order is
// that of their deadlines.
typedef struct {
    ut_http_conn *first;
    ut_http_conn *last;
    uint32_t timeout_ms;
} ut_http_timer_list;

// The parts that the connections of a server share. The server owns it, and sets the first part
// before there is a connection.
struct ut_http_shared {
    ut_poller *poller;
    const ut_log *log;
    const char *area_z; // for log lines
    ut_http_handler handler;
    ut_http_pool pool;
    ut_http_timer_list timers[UT_HTTP_TIMER_COUNT];

    bool stopping; // no further requests are taken
    uint64_t now_ms;
    uint64_t quiet_until_ms; // for log lines that the network can cause
    uint64_t busy_ms;        // when a request was last seen
    ut_http_conn_list dirty; // have something to send, or are dead
    ut_http_conn_list dead;  // to be freed
    uint32_t connection_count;
    uint32_t turned_away_count;
    uint64_t ended; // connections since the start; each has freed a descriptor
    uint64_t requests;
    uint64_t refused;
    char date_z[UT_HTTP_DATE_MAX];
    ut_buf scratch; // answers for one write
    uint8_t read_buf[UT_HTTP_READ_BYTES];
};

// Takes over sock, which is closed when there is no memory for a connection. tls: NULL: plain.
void ut_http_conn_open(ut_http_shared *shared, ut_tls_context *tls, ut_sock sock,
                       const ut_addr *peer);
// Takes over the socket of a connection that is one too many and has been told so: it only lingers,
// and is counted apart.
void ut_http_conn_turn_away(ut_http_shared *shared, ut_sock sock, const ut_addr *peer);

// Takes the events that the poller saw on the socket.
void ut_http_conn_event(ut_http_conn *conn, uint32_t ready);
// The deadline has passed.
void ut_http_conn_timeout(ut_http_conn *conn);
// Asks for a flush by the next step.
void ut_http_conn_mark_dirty(ut_http_conn *conn);
// Sends the answers whose turn it is, and goes on with requests that were held back.
void ut_http_conn_flush(ut_http_conn *conn);
// Ends the connection after the requests that have begun to arrive.
void ut_http_conn_drain(ut_http_conn *conn);
// Closes at once. The memory stays until the end of the step, so callers may look at the state.
void ut_http_conn_end(ut_http_conn *conn);

// Log lines that the network can cause come at most once a second.
bool ut_http_shared_may_log(ut_http_shared *shared);

#endif
