// What the files of the HTTP server share: its connections and the messages on them. Private to
// http_server.c (accepting, time, the server as a whole), http_conn.c (reading, writing and the end
// of one connection) and http_request.c (from bytes to requests).
#ifndef UT_TRANSPORT_HTTP_CONN_H
#define UT_TRANSPORT_HTTP_CONN_H

#include "transport/http/http_server.h"

#include <llhttp.h>

enum {
    UT_HTTP_READ_BYTES = 256 * 1024,           // taken from one connection at a time
    UT_HTTP_SPARE_BODIES_MAX = 8,              // buffers kept for the next requests,
    UT_HTTP_SPARE_BODY_BYTES_MAX = 512 * 1024, // of at most so many bytes each
    UT_HTTP_SPARE_HEADS_MAX = 32,
    UT_HTTP_SPARE_HEAD_BYTES_MAX = 4 * 1024,
    UT_HTTP_SPARE_EXCHANGES_MAX = 256,
    UT_HTTP_SPARE_REPLY_BYTES_MAX = 1024,
    UT_HTTP_OUT_BYTES_MAX = 16 * 1024 * 1024, // answers of one connection that wait to be sent
};

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

typedef enum { UT_HTTP_PHASE_IDLE, UT_HTTP_PHASE_HEAD, UT_HTTP_PHASE_BODY } ut_http_phase;
typedef enum {
    UT_HTTP_MILESTONE_NONE,
    UT_HTTP_MILESTONE_HEAD,
    UT_HTTP_MILESTONE_MESSAGE
} ut_http_milestone;

typedef struct ut_http_conn ut_http_conn;

// What a poller's tag points to.
typedef struct {
    ut_http_server *server;
    bool listener;
} ut_http_endpoint;

// A request whose head has come, until its answer is sent.
typedef struct ut_http_waiting ut_http_waiting;
struct ut_http_waiting {
    ut_http_exchange base; // first member: the handler's pointer is ours
    ut_http_conn *conn;    // NULL when the connection is gone
    ut_http_waiting *next;
    bool answered;
    bool without_body; // HEAD
    bool http10;
    bool closes; // the client asked for it
    int status;
    uint32_t retry_after_s;
    const char *content_type_z;
    const char *fields_z;
    ut_buf body;
};

// A head while it arrives: the target, then names and values one after the other.
typedef struct ut_http_raw_head ut_http_raw_head;
struct ut_http_raw_head {
    ut_http_raw_head *next;
    ut_buf bytes;
    uint32_t target_len;
    uint32_t field_count;
    bool in_value;
    struct {
        uint32_t name_at;
        uint32_t name_len;
        uint32_t value_at;
        uint32_t value_len;
    } fields[UT_HTTP_SERVER_FIELDS_MAX];
};

struct ut_http_conn {
    ut_http_endpoint end; // first member: the poller's tag is ours
    ut_stream stream;
    ut_addr peer;
    ut_http_conn *prev; // in the list of its timer
    ut_http_conn *next;
    ut_http_conn *next_dirty; // also: the next of the dead
    uint64_t deadline_ms;
    ut_http_timer timer;
    ut_http_conn_state state;
    uint32_t interest;
    uint32_t read_want;
    uint32_t write_want;
    bool dirty;
    bool eof; // the peer sends nothing more, or is not to be waited for
    bool turned_away;
    uint64_t linger_since_ms;

    // The message that is being received.
    llhttp_t parser;
    ut_http_phase phase;
    ut_http_milestone reached;
    ut_http_raw_head *head;
    ut_http_waiting *current; // NULL also when it has its answer already
    bool keep_alive;
    bool expects_continue; // the client waits with the body
    bool continue_due;     // and is to be told
    bool discarding;       // the body is thrown away
    bool chunked;
    int fail_status; // set by a callback of the parser
    const char *fail_z;
    uint32_t head_bytes;
    uint32_t protocol_len;
    uint64_t content_length;
    uint64_t body_got;
    uint64_t overhead; // of chunk framing
    uint64_t progress; // since the body timer was set
    ut_bytes borrowed; // the whole body as it stands in the read buffer
    ut_buf body;       // else its bytes
    size_t body_charged;
    uint64_t requests;
    ut_buf held; // bytes behind the last request that may be under way

    ut_http_waiting *first; // in the order of the requests
    ut_http_waiting *last;
    uint32_t exchange_count;
    ut_buf out; // answers that the socket did not take
    size_t out_sent;
    size_t out_again; // TLS wants to see the same bytes again; 0: any
};

typedef struct {
    ut_http_conn *first;
    ut_http_conn *last;
    uint32_t timeout_ms;
} ut_http_timer_list;

struct ut_http_server {
    ut_http_endpoint end; // first member: the listener's tag
    ut_http_server_config config;
    ut_sock listener;
    bool accept_paused;
    bool stopping;
    uint64_t accept_at_ms;
    uint64_t now_ms;
    uint64_t quiet_until_ms; // for log lines that the network can cause
    uint64_t busy_ms;        // when a request was last seen
    ut_http_timer_list timers[UT_HTTP_TIMER_COUNT];
    ut_http_conn *dirty_first; // have something to send, or to end
    ut_http_conn *dirty_last;
    ut_http_conn *dead;
    uint32_t connection_count;
    uint32_t turned_away_count;
    uint32_t under_way;
    uint32_t orphan_count; // exchanges without a connection
    uint64_t memory;
    uint64_t requests;
    uint64_t refused;
    uint64_t turned_away;
    ut_buf spare_bodies[UT_HTTP_SPARE_BODIES_MAX];
    size_t spare_body_count;
    ut_http_raw_head *spare_heads;
    size_t spare_head_count;
    ut_http_waiting *spare_exchanges;
    size_t spare_exchange_count;
    uint64_t date_s;
    char date_z[UT_HTTP_DATE_MAX];
    llhttp_settings_t settings;
    ut_buf scratch; // answers for one write
    uint8_t read_buf[UT_HTTP_READ_BYTES];
};

// ---- http_conn.c

// Takes over sock. NULL without memory: the socket stays the caller's.
ut_http_conn *ut_http_conn_new(ut_http_server *server, ut_sock sock, const ut_addr *peer);
void ut_http_conn_event(ut_http_conn *conn, uint32_t ready);
void ut_http_conn_timeout(ut_http_conn *conn);
void ut_http_conn_read(ut_http_conn *conn);
// Sends the answers whose turn it is, and goes on with requests that were held back.
void ut_http_conn_flush(ut_http_conn *conn);
// Sets the timer, and what the poller watches for, by what the connection waits for now.
void ut_http_conn_settle(ut_http_conn *conn);
void ut_http_conn_set_timer(ut_http_conn *conn, ut_http_timer kind, bool restart);
void ut_http_conn_mark_dirty(ut_http_conn *conn); // it is flushed by the next step
// Reads no more requests. What is under way gets its answers, then the connection lingers.
void ut_http_conn_stop(ut_http_conn *conn);
void ut_http_conn_linger(ut_http_conn *conn);
// Closes at once. The memory stays until the end of the step, so callers may look at the state.
void ut_http_conn_end(ut_http_conn *conn);
void ut_http_conn_bury(ut_http_conn *conn);

// ---- http_request.c

void ut_http_request_settings(llhttp_settings_t *settings);
// Parses what has been read, hands complete requests to the handler.
void ut_http_request_feed(ut_http_conn *conn, const uint8_t *data, size_t len);
// Answers what is being received with an error.
void ut_http_request_refuse(ut_http_conn *conn, int status, const char *reason_z);
// Forgets a request that will never be complete, a head, a body.
void ut_http_request_drop(ut_http_conn *conn);
void ut_http_request_drop_head(ut_http_conn *conn);
void ut_http_request_drop_body(ut_http_conn *conn);
void ut_http_waiting_give(ut_http_server *server, ut_http_waiting *waiting);
// Gives back what is kept for the next requests.
void ut_http_request_trim(ut_http_server *server);

// ---- http_server.c

// Log lines that the network can cause come at most once a second.
bool ut_http_server_may_log(ut_http_server *server);

#endif
