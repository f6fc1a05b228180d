// A connection acts on the events of its socket, its timer and its parser.
#include "transport/http/http_conn.h"

#include <stdlib.h>

enum { FLUSH_BYTES = 256 * 1024 }; // answers formatted for one write

bool ut_http_shared_may_log(ut_http_shared *shared)
{
    if (shared->now_ms < shared->quiet_until_ms)
        return false;
    shared->quiet_until_ms = shared->now_ms + 1000;
    return true;
}

// ---- timers ----

static void timer_unlink(ut_http_conn *conn)
{
    ut_http_timer_list *list = &conn->shared->timers[conn->timer];
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        list->first = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    else
        list->last = conn->prev;
}

static void append_timer(ut_http_conn *conn, ut_http_timer kind)
{
    ut_http_timer_list *list = &conn->shared->timers[kind];
    conn->timer = kind;
    conn->deadline_ms = conn->shared->now_ms + list->timeout_ms;
    conn->next = NULL;
    conn->prev = list->last;
    if (list->last != NULL)
        list->last->next = conn;
    else
        list->first = conn;
    list->last = conn;
}

static void set_timer(ut_http_conn *conn, ut_http_timer kind, bool restart)
{
    if (conn->timer == kind && !restart)
        return;
    timer_unlink(conn);
    append_timer(conn, kind);
}

// ---- ends ----

void ut_http_conn_mark_dirty(ut_http_conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    ut_http_conn_list_push(&conn->shared->dirty, conn);
}

// Takes a request that will never be complete out of the line of answers.
static void forget_current(ut_http_conn *conn)
{
    ut_http_exchange_list *exchanges = &conn->exchanges;
    ut_http_exchange *gone = conn->current;
    conn->current = NULL;
    if (gone == NULL)
        return;
    UT_ASSERT(exchanges->last == gone);
    ut_http_exchange *before = NULL;
    for (ut_http_exchange *at = exchanges->first; at != gone; at = at->next)
        before = at;
    (void)ut_http_exchange_list_pop_behind(exchanges, before); // gone
    ut_http_pool_give_exchange(&conn->shared->pool, gone);
}

void ut_http_conn_end(ut_http_conn *conn)
{
    ut_http_shared *shared = conn->shared;
    if (conn->state == UT_HTTP_CONN_DEAD)
        return;
    ut_poller_forget(shared->poller, conn->stream.sock);
    ut_stream_close(&conn->stream);
    timer_unlink(conn);
    forget_current(conn);
    for (ut_http_exchange *exchange;
         (exchange = ut_http_exchange_list_pop(&conn->exchanges)) != NULL;) {
        exchange->conn = NULL;
        if (exchange->answered)
            ut_http_pool_give_exchange(&shared->pool, exchange);
    }
    ut_http_request_release(&conn->parser);
    ut_http_pool_discharge(&shared->pool, conn->held.cap);
    ut_buf_free(&conn->held);
    ut_buf_free(&conn->out);
    if (conn->turned_away)
        shared->turned_away_count--;
    else
        shared->connection_count--;
    shared->ended++;
    conn->state = UT_HTTP_CONN_DEAD;
    if (!conn->dirty) // else a flush finds it dead
        ut_http_conn_list_push(&shared->dead, conn);
}

// Reads no more requests. What is under way gets its answers, then the connection lingers.
static void stop(ut_http_conn *conn)
{
    if (conn->state == UT_HTTP_CONN_DEAD)
        return;
    conn->state = UT_HTTP_CONN_STOPPED;
    ut_http_request_release(&conn->parser);
    ut_http_conn_mark_dirty(conn);
}

// All answers are sent.
static void linger(ut_http_conn *conn)
{
    uint32_t want = 0;
    if (conn->eof) {
        ut_http_conn_end(conn);
        return;
    }
    if (conn->stream.tls != NULL)
        (void)ut_tls_shutdown(conn->stream.tls, &want); // a courtesy: the end of the stream follows
    ut_sock_shutdown_write(conn->stream.sock);
    conn->state = UT_HTTP_CONN_LINGER;
    conn->linger_since_ms = conn->shared->now_ms;
}

// Sets the timer, and what the poller watches for, by what the connection waits for now.
static void settle(ut_http_conn *conn)
{
    ut_http_timer kind = UT_HTTP_TIMER_NONE;
    uint32_t interest = 0;
    const bool unsent = conn->out.len > 0;
    switch (conn->state) {
    case UT_HTTP_CONN_DEAD:
        return;
    case UT_HTTP_CONN_HANDSHAKE:
        kind = UT_HTTP_TIMER_HEAD;
        interest = conn->read_want;
        break;
    case UT_HTTP_CONN_LINGER:
        kind = UT_HTTP_TIMER_LINGER;
        interest = UT_READABLE;
        break;
    case UT_HTTP_CONN_STOPPED:
        break;
    case UT_HTTP_CONN_OPEN:
        if (conn->parser.phase == UT_HTTP_PHASE_BODY)
            kind = UT_HTTP_TIMER_BODY;
        else if (conn->parser.phase == UT_HTTP_PHASE_HEAD)
            kind = UT_HTTP_TIMER_HEAD;
        else if (ut_http_exchange_list_empty(&conn->exchanges))
            kind = conn->requests == 0 ? UT_HTTP_TIMER_HEAD : UT_HTTP_TIMER_IDLE;
        // A client that does not read its answers is not read from.
        if (conn->held.len == 0 && !unsent)
            interest = conn->read_want;
        break;
    }
    if (unsent) {
        kind = UT_HTTP_TIMER_WRITE;
        interest |= conn->write_want;
    }
    bool progress = false;
    if (kind == UT_HTTP_TIMER_BODY &&
        conn->parser.body_got - conn->body_seen >= UT_HTTP_SERVER_PROGRESS_MIN) {
        conn->body_seen = conn->parser.body_got;
        progress = true;
    }
    set_timer(conn, kind, progress);
    if (interest != conn->interest) {
        conn->interest = interest;
        if (ut_poller_watch(conn->shared->poller, conn->stream.sock, interest, conn) != UT_OK)
            ut_http_conn_end(conn);
    }
}

// The peer sends nothing more: what is complete gets its answers, what is not is forgotten.
static void input_ended(ut_http_conn *conn)
{
    forget_current(conn);
    conn->eof = true;
    stop(conn);
}

// ---- requests ----

// Puts an exchange for the request that is being received last in line. NULL without memory.
static ut_http_exchange *begin_exchange(ut_http_conn *conn)
{
    ut_http_exchange *exchange = ut_http_pool_take_exchange(&conn->shared->pool);
    if (exchange == NULL)
        return NULL;
    exchange->conn = conn;
    ut_http_exchange_list_push(&conn->exchanges, exchange);
    return exchange;
}

static void answer_text(ut_http_conn *conn, ut_http_exchange *exchange, int status,
                        const char *text_z)
{
    char line[UT_HTTP_REASON_MAX + 1];
    size_t len = strlen(text_z);
    if (len > sizeof(line) - 1)
        len = sizeof(line) - 1;
    memcpy(line, text_z, len);
    line[len] = '\n';
    const ut_http_reply reply = {
        .status = status,
        .content_type_z = "text/plain; charset=utf-8",
        .body = ut_bytes_of(line, len + 1),
        .retry_after_s = status == 503 ? 1 : 0,
    };
    ut_http_exchange_answer(exchange, &reply);
    ut_http_conn_mark_dirty(conn);
}

// Answers what is being received with an error of ours. A request whose head the handler has taken
// gets its answer from there, in the form that its clients read.
static void refuse(ut_http_conn *conn, int status, const char *reason_z, ut_http_foreign foreign)
{
    const ut_http_handler *handler = &conn->shared->handler;
    ut_http_exchange *exchange = conn->current;
    conn->shared->refused++;
    if (exchange != NULL) {
        handler->on_refuse(handler->context, exchange, status, reason_z);
        UT_ASSERT(exchange->answered);
        conn->current = NULL;
        return;
    }
    if (conn->parser.phase == UT_HTTP_PHASE_BODY)
        return; // it has its answer already
    if (handler->on_foreign != NULL)
        handler->on_foreign(handler->context, &conn->peer, foreign, status, reason_z);
    exchange = begin_exchange(conn);
    if (exchange == NULL) {
        ut_http_conn_end(conn);
        return;
    }
    answer_text(conn, exchange, status, reason_z);
}

// Passes over the body of a request that has its answer, or ends the connection where that is long.
static void skip_body(ut_http_conn *conn)
{
    ut_http_request_parser *parser = &conn->parser;
    const uint64_t left = ut_http_request_body_left(parser);
    // Whether a client that waits with its body sends it after this answer, nobody can tell.
    if (left > UT_HTTP_SERVER_DISCARD_MAX ||
        (conn->expects_continue && (parser->chunked || left > 0)))
        stop(conn);
    else
        ut_http_request_discard(parser);
}

static void head_came(ut_http_conn *conn, const ut_http_head *head)
{
    ut_http_shared *shared = conn->shared;
    ut_http_request_parser *parser = &conn->parser;
    ut_http_exchange *exchange = begin_exchange(conn);
    if (exchange == NULL) {
        ut_http_conn_end(conn);
        return;
    }
    exchange->without_body = strcmp(head->method_z, "HEAD") == 0;
    if (!parser->keep_alive)
        exchange->end = UT_HTTP_REPLY_CLOSES;
    else if (parser->http10)
        exchange->end = UT_HTTP_REPLY_KEPT_SAY_SO;
    conn->current = exchange;
    conn->body_seen = 0;
    shared->requests++;
    shared->busy_ms = shared->now_ms;
    set_timer(conn, UT_HTTP_TIMER_BODY, true);

    ut_bytes expect = UT_BYTES_NONE;
    conn->expects_continue = !parser->http10 && ut_http_head_find(head, "expect", &expect) > 0;
    conn->continue_due = false;
    const bool understood = ut_bytes_equal_fold(expect, UT_BYTES_LIT("100-continue"));
    shared->handler.on_head(shared->handler.context, exchange, head);
    ut_http_request_release(parser);
    if (exchange->answered) {
        conn->current = NULL;
        skip_body(conn);
    } else if (conn->expects_continue && !understood) {
        refuse(conn, 417, "the only expectation taken is 100-continue", UT_HTTP_FOREIGN_OTHER);
        skip_body(conn);
    } else if (parser->content_length > shared->pool.body_bytes_max) {
        refuse(conn, 413, "the body is larger than this receiver takes", UT_HTTP_FOREIGN_OTHER);
        skip_body(conn);
    } else if (conn->expects_continue && (parser->chunked || parser->content_length > 0)) {
        conn->continue_due = true;
        ut_http_conn_mark_dirty(conn);
    }
}

static void message_came(ut_http_conn *conn, ut_bytes body)
{
    const ut_http_handler *handler = &conn->shared->handler;
    ut_http_exchange *exchange = conn->current;
    conn->current = NULL;
    conn->requests++;
    conn->continue_due = false;
    if (exchange != NULL)
        handler->on_body(handler->context, exchange, body);
    ut_http_request_release(&conn->parser);
    if (!conn->parser.keep_alive || conn->shared->stopping)
        stop(conn);
}

// Keeps bytes until there is room for another request.
static void hold(ut_http_conn *conn, ut_bytes bytes)
{
    ut_buf_add_bytes(&conn->held, bytes);
    if (conn->held.err != UT_OK || !ut_http_pool_charge(&conn->shared->pool, conn->held.cap)) {
        ut_buf_free(&conn->held);
        ut_http_conn_end(conn); // nothing of it has been promised anything yet
    }
}

// Parses what has been read, and acts on what the parser met.
static void feed(ut_http_conn *conn, ut_bytes bytes)
{
    ut_http_met met;
    ut_http_request_event event = UT_HTTP_REQUEST_HEAD;
    while (event != UT_HTTP_REQUEST_MORE && conn->state == UT_HTTP_CONN_OPEN) {
        if (bytes.len > 0 && conn->parser.phase == UT_HTTP_PHASE_IDLE &&
            conn->exchanges.count >= UT_HTTP_SERVER_PIPELINE_MAX) {
            hold(conn, bytes);
            return;
        }
        event = ut_http_request_parse(&conn->parser, &bytes, &met);
        switch (event) {
        case UT_HTTP_REQUEST_MORE:
            break;
        case UT_HTTP_REQUEST_HEAD:
            head_came(conn, &met.head);
            break;
        case UT_HTTP_REQUEST_MESSAGE:
            message_came(conn, met.body);
            break;
        case UT_HTTP_REQUEST_REFUSED:
            refuse(conn, met.status, met.reason_z, met.foreign);
            stop(conn);
            break;
        case UT_HTTP_REQUEST_BODY_REFUSED:
            refuse(conn, met.status, met.reason_z, UT_HTTP_FOREIGN_OTHER);
            break;
        }
    }
}

// ---- reading ----

static void read_requests(ut_http_conn *conn)
{
    ut_http_shared *shared = conn->shared;
    ut_err err = UT_OK;
    do {
        size_t len = 0;
        do {
            size_t n = 0;
            uint32_t want = UT_READABLE;
            err = ut_stream_read(&conn->stream, shared->read_buf + len,
                                 sizeof(shared->read_buf) - len, &n, &want);
            if (err == UT_OK)
                len += n;
            else if (err == UT_EAGAIN)
                conn->read_want = want;
            // TLS gives a record at a time, and what it holds back no poller tells of.
        } while (conn->stream.tls != NULL && err == UT_OK && len < sizeof(shared->read_buf));
        if (len > 0)
            feed(conn, ut_bytes_of(shared->read_buf, len));
    } while (conn->stream.tls != NULL && err == UT_OK && conn->state == UT_HTTP_CONN_OPEN &&
             conn->held.len == 0);
    if (conn->state != UT_HTTP_CONN_OPEN || err == UT_OK || err == UT_EAGAIN)
        return;
    if (err == UT_ECLOSED)
        input_ended(conn);
    else
        ut_http_conn_end(conn);
}

// Throws away what comes while the connection lingers.
static void read_on(ut_http_conn *conn)
{
    ut_http_shared *shared = conn->shared;
    size_t n = 0;
    const ut_err err =
        ut_sock_read(conn->stream.sock, shared->read_buf, sizeof(shared->read_buf), &n);
    if ((err != UT_OK && err != UT_EAGAIN) ||
        shared->now_ms - conn->linger_since_ms > UT_HTTP_SERVER_LINGER_TOTAL_MS)
        ut_http_conn_end(conn);
    else
        set_timer(conn, UT_HTTP_TIMER_LINGER, true);
}

static void shake_hands(ut_http_conn *conn)
{
    ut_http_shared *shared = conn->shared;
    ut_fault fault = {UT_OK, ""};
    uint32_t want = UT_READABLE;
    const ut_err err = ut_tls_handshake(conn->stream.tls, &want, &fault);
    if (err == UT_EAGAIN) {
        conn->read_want = want;
        return;
    }
    if (err == UT_OK) {
        conn->state = UT_HTTP_CONN_OPEN;
        conn->read_want = UT_READABLE;
        read_requests(conn);
        return;
    }
    if (ut_http_shared_may_log(shared)) {
        char peer_z[UT_ADDR_TEXT_MAX];
        ut_addr_text(&conn->peer, peer_z);
        ut_log_write(shared->log, UT_LOG_WARN, shared->area_z, "TLS handshake with %s failed: %s",
                     peer_z, fault.text_z);
    }
    ut_http_conn_end(conn);
}

void ut_http_conn_event(ut_http_conn *conn, uint32_t ready)
{
    if (conn->state == UT_HTTP_CONN_DEAD)
        return;
    if ((ready & UT_HANGUP) != 0 && (ready & conn->interest & UT_READABLE) == 0) {
        ut_http_conn_end(conn); // both directions are closed, and nothing is left to read
        return;
    }
    if (conn->out.len > 0 && (ready & conn->write_want) != 0)
        ut_http_conn_mark_dirty(conn);
    if (conn->state == UT_HTTP_CONN_HANDSHAKE)
        shake_hands(conn);
    else if (conn->state == UT_HTTP_CONN_LINGER && (ready & UT_READABLE) != 0)
        read_on(conn);
    else if (conn->state == UT_HTTP_CONN_OPEN && (ready & conn->interest & conn->read_want) != 0)
        read_requests(conn);
    settle(conn);
}

void ut_http_conn_timeout(ut_http_conn *conn)
{
    switch (conn->timer) {
    case UT_HTTP_TIMER_HEAD:
        if (conn->state != UT_HTTP_CONN_OPEN || conn->parser.phase != UT_HTTP_PHASE_HEAD) {
            ut_http_conn_end(conn); // not a byte of a request has come
            return;
        }
        refuse(conn, 408, "the request line and header fields took too long",
               UT_HTTP_FOREIGN_OTHER);
        stop(conn);
        break;
    case UT_HTTP_TIMER_BODY:
        // No 408: to an OTLP client that would be final, while a lost connection is tried again.
        input_ended(conn);
        break;
    default:
        ut_http_conn_end(conn);
        return;
    }
    settle(conn);
}

// ---- answers ----

static void write_answers(ut_http_conn *conn, ut_buf *out)
{
    ut_http_shared *shared = conn->shared;
    ut_http_exchange_list *exchanges = &conn->exchanges;
    while (exchanges->first != NULL && exchanges->first->answered && out->len < FLUSH_BYTES) {
        ut_http_exchange *exchange = ut_http_exchange_list_pop(exchanges);
        const bool closes = conn->state == UT_HTTP_CONN_STOPPED && exchanges->first == NULL;
        ut_http_exchange_write(exchange, shared->date_z, closes, out);
        ut_http_pool_give_exchange(&shared->pool, exchange);
    }
    // A client that has begun its body does not wait.
    if (conn->continue_due && conn->parser.body_got == 0 && conn->state == UT_HTTP_CONN_OPEN &&
        exchanges->first == conn->current) {
        ut_buf_add_z(out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn->continue_due = false;
        conn->expects_continue = false;
    }
}

// Sends what the socket takes; *sent: how much of bytes. False: the connection is broken.
static bool send_bytes(ut_http_conn *conn, ut_bytes bytes, size_t *sent)
{
    *sent = 0;
    while (*sent < bytes.len) {
        ut_bytes part = {bytes.data + *sent, bytes.len - *sent};
        if (conn->out_again > 0)
            part.len = conn->out_again;
        size_t n = 0;
        uint32_t want = UT_WRITABLE;
        const ut_err err = ut_stream_write(&conn->stream, &part, 1, &n, &want);
        if (err == UT_EAGAIN) {
            conn->write_want = want;
            conn->out_again = conn->stream.tls != NULL ? part.len : 0;
            return true;
        }
        if (err != UT_OK)
            return false;
        conn->out_again = 0;
        *sent += n;
        if (n < part.len && conn->stream.tls == NULL) {
            conn->write_want = UT_WRITABLE;
            return true;
        }
    }
    return true;
}

// Returns false when the connection has ended.
static bool send_answers(ut_http_conn *conn)
{
    ut_http_shared *shared = conn->shared;
    const bool waiting = conn->out.len > 0;
    ut_buf *out = waiting ? &conn->out : &shared->scratch;
    if (!waiting)
        ut_buf_reset(out, UT_HTTP_SPARE_BODY_BYTES_MAX);
    write_answers(conn, out);
    if (out->err != UT_OK)
        return false;
    const size_t from = waiting ? conn->out_sent : 0;
    size_t sent = 0;
    if (out->len > from && !send_bytes(conn, ut_bytes_of(out->data + from, out->len - from), &sent))
        return false;
    if (from + sent == out->len) {
        ut_buf_free(&conn->out);
        conn->out_sent = 0;
    } else if (waiting) {
        conn->out_sent += sent;
        if (sent > 0)
            set_timer(conn, UT_HTTP_TIMER_WRITE, true);
    } else {
        ut_buf_add(&conn->out, out->data + sent, out->len - sent);
        conn->out_sent = 0;
    }
    return conn->out.err == UT_OK;
}

void ut_http_conn_flush(ut_http_conn *conn)
{
    conn->dirty = false;
    if (conn->state == UT_HTTP_CONN_DEAD) {
        ut_http_conn_list_push(&conn->shared->dead, conn);
        return;
    }
    if (!send_answers(conn)) {
        ut_http_conn_end(conn);
        return;
    }
    if (conn->out.len == 0 && conn->state == UT_HTTP_CONN_STOPPED &&
        ut_http_exchange_list_empty(&conn->exchanges))
        linger(conn);
    if (conn->out.len == 0 && conn->state == UT_HTTP_CONN_OPEN && conn->held.len > 0 &&
        conn->exchanges.count < UT_HTTP_SERVER_PIPELINE_MAX) {
        ut_buf held = conn->held;
        ut_buf_init(&conn->held, UT_HTTP_READ_BYTES);
        feed(conn, ut_buf_bytes(&held));
        ut_http_pool_discharge(&conn->shared->pool, held.cap);
        ut_buf_free(&held);
        if (conn->stream.tls != NULL && conn->state == UT_HTTP_CONN_OPEN && conn->held.len == 0)
            read_requests(conn);
    }
    if (conn->exchanges.first != NULL && conn->exchanges.first->answered && conn->out.len == 0)
        ut_http_conn_mark_dirty(conn); // more than one write takes
    settle(conn);
}

// ---- beginning and drain ----

// NULL without memory: the socket is closed.
static ut_http_conn *conn_new(ut_http_shared *shared, ut_sock sock, const ut_addr *peer)
{
    ut_http_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        ut_sock_close(sock);
        return NULL;
    }
    conn->shared = shared;
    conn->stream.sock = sock;
    conn->peer = *peer;
    conn->state = UT_HTTP_CONN_OPEN;
    conn->read_want = UT_READABLE;
    conn->write_want = UT_WRITABLE;
    ut_http_request_init(&conn->parser, &shared->pool);
    ut_buf_init(&conn->held, UT_HTTP_READ_BYTES);
    ut_buf_init(&conn->out, UT_HTTP_SERVER_OUT_MAX);
    append_timer(conn, UT_HTTP_TIMER_NONE);
    return conn;
}

void ut_http_conn_open(ut_http_shared *shared, ut_tls_context *tls, ut_sock sock,
                       const ut_addr *peer)
{
    ut_http_conn *conn = conn_new(shared, sock, peer);
    if (conn == NULL)
        return;
    shared->connection_count++;
    if (tls != NULL) {
        if (ut_tls_open(tls, sock, NULL, &conn->stream.tls) != UT_OK) {
            ut_http_conn_end(conn);
            return;
        }
        conn->state = UT_HTTP_CONN_HANDSHAKE;
    }
    settle(conn);
}

void ut_http_conn_turn_away(ut_http_shared *shared, ut_sock sock, const ut_addr *peer)
{
    ut_http_conn *conn = conn_new(shared, sock, peer);
    if (conn == NULL)
        return;
    conn->turned_away = true;
    shared->turned_away_count++;
    linger(conn);
    settle(conn);
}

// True when no byte of a request without an exchange has come.
static bool between_requests(const ut_http_conn *conn)
{
    return conn->state == UT_HTTP_CONN_OPEN && conn->parser.phase == UT_HTTP_PHASE_IDLE &&
           conn->held.len == 0;
}

void ut_http_conn_drain(ut_http_conn *conn)
{
    if (conn->state == UT_HTTP_CONN_HANDSHAKE) {
        ut_http_conn_end(conn);
        return;
    }
    if (!between_requests(conn))
        return;          // ends by itself after what has begun to arrive
    read_requests(conn); // a request in the socket has begun to arrive, too
    if (between_requests(conn))
        stop(conn);
    settle(conn);
}
