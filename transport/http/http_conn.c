// One connection of the HTTP server: reading, answering in order, waiting, ending. What the bytes
// mean is http_request.c's.
#include "transport/http/http_conn.h"

#include <stdlib.h>

enum { FLUSH_BYTES = 256 * 1024 }; // answers formatted for one write

// ---- timers: one list for each kind; its timeout is the same for all, so its order is by deadline

static void timer_unlink(ut_http_conn *c)
{
    ut_http_timer_list *list = &c->end.server->timers[c->timer];
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
}

static void append_timer(ut_http_conn *c, ut_http_timer kind)
{
    ut_http_timer_list *list = &c->end.server->timers[kind];
    c->timer = kind;
    c->deadline_ms = c->end.server->now_ms + list->timeout_ms;
    c->next = NULL;
    c->prev = list->last;
    if (list->last != NULL)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

void ut_http_conn_set_timer(ut_http_conn *c, ut_http_timer kind, bool restart)
{
    if (c->timer == kind && !restart)
        return;
    timer_unlink(c);
    append_timer(c, kind);
}

// ---- the life of a connection

void ut_http_conn_mark_dirty(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = NULL;
    if (server->dirty_last != NULL)
        server->dirty_last->next_dirty = c;
    else
        server->dirty_first = c;
    server->dirty_last = c;
}

void ut_http_conn_bury(ut_http_conn *c)
{
    c->state = UT_HTTP_CONN_DEAD;
    if (c->dirty)
        return; // the step that takes it off the dirty list sees that it is dead
    c->next_dirty = c->end.server->dead;
    c->end.server->dead = c;
}

void ut_http_conn_end(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    if (c->state == UT_HTTP_CONN_DEAD)
        return;
    ut_poller_forget(server->config.poller, c->stream.sock);
    ut_stream_close(&c->stream);
    timer_unlink(c);
    ut_http_request_drop(c);
    while (c->first != NULL) {
        ut_http_waiting *x = c->first;
        c->first = x->next;
        x->conn = NULL;
        if (x->answered)
            ut_http_waiting_give(server, x);
        else
            server->orphan_count++;
    }
    ut_http_request_drop_head(c);
    ut_http_request_drop_body(c);
    ut_http_server_discharge(server, c->held.cap);
    ut_buf_free(&c->body);
    ut_buf_free(&c->held);
    ut_buf_free(&c->out);
    if (c->turned_away)
        server->turned_away_count--;
    else
        server->connection_count--;
    ut_http_conn_bury(c);
    if (server->accept_paused)
        server->accept_at_ms = server->now_ms; // there is a descriptor again
}

void ut_http_conn_stop(ut_http_conn *c)
{
    if (c->state == UT_HTTP_CONN_DEAD)
        return;
    c->state = UT_HTTP_CONN_STOPPED;
    ut_http_request_drop_head(c);
    ut_http_request_drop_body(c);
    ut_http_conn_mark_dirty(c);
}

void ut_http_conn_linger(ut_http_conn *c)
{
    uint32_t want = 0;
    if (c->eof) {
        ut_http_conn_end(c);
        return;
    }
    if (c->stream.tls != NULL)
        (void)ut_tls_shutdown(c->stream.tls, &want); // a courtesy: the end of the stream follows
    ut_sock_shutdown_write(c->stream.sock);
    c->state = UT_HTTP_CONN_LINGER;
    c->linger_since_ms = c->end.server->now_ms;
}

void ut_http_conn_settle(ut_http_conn *c)
{
    ut_http_timer kind = UT_HTTP_TIMER_NONE;
    uint32_t interest = 0;
    const bool unsent = c->out.len > 0;
    switch (c->state) {
    case UT_HTTP_CONN_DEAD:
        return;
    case UT_HTTP_CONN_HANDSHAKE:
        kind = UT_HTTP_TIMER_HEAD;
        interest = c->read_want;
        break;
    case UT_HTTP_CONN_LINGER:
        kind = UT_HTTP_TIMER_LINGER;
        interest = UT_READABLE;
        break;
    case UT_HTTP_CONN_STOPPED:
        break;
    case UT_HTTP_CONN_OPEN:
        if (c->phase == UT_HTTP_PHASE_BODY)
            kind = UT_HTTP_TIMER_BODY;
        else if (c->phase == UT_HTTP_PHASE_HEAD)
            kind = UT_HTTP_TIMER_HEAD;
        else if (c->exchange_count == 0)
            kind = c->requests == 0 ? UT_HTTP_TIMER_HEAD : UT_HTTP_TIMER_IDLE;
        // Who does not read answers sends no more requests.
        if (c->held.len == 0 && !unsent)
            interest = c->read_want;
        break;
    }
    if (unsent) {
        kind = UT_HTTP_TIMER_WRITE;
        interest |= c->write_want;
    }
    bool progress = false;
    if (kind == UT_HTTP_TIMER_BODY && c->progress >= UT_HTTP_SERVER_PROGRESS_MIN) {
        c->progress = 0;
        progress = true;
    }
    ut_http_conn_set_timer(c, kind, progress);
    if (interest != c->interest) {
        c->interest = interest;
        if (ut_poller_watch(c->end.server->config.poller, c->stream.sock, interest, c) != UT_OK)
            ut_http_conn_end(c);
    }
}

// The peer sends nothing more: what is complete gets its answers, what is not is forgotten.
static void conn_eof(ut_http_conn *c)
{
    ut_http_request_drop(c);
    c->eof = true;
    ut_http_conn_stop(c);
}

void ut_http_conn_read(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    ut_err err = UT_OK;
    do {
        size_t len = 0;
        do {
            size_t n = 0;
            uint32_t want = UT_READABLE;
            err = ut_stream_read(&c->stream, server->read_buf + len, sizeof server->read_buf - len,
                                 &n, &want);
            if (err == UT_OK)
                len += n;
            else if (err == UT_EAGAIN)
                c->read_want = want;
            // TLS gives a record at a time, and what it holds back no poller tells of.
        } while (c->stream.tls != NULL && err == UT_OK && len < sizeof server->read_buf);
        if (len > 0)
            ut_http_request_feed(c, server->read_buf, len);
    } while (c->stream.tls != NULL && err == UT_OK && c->state == UT_HTTP_CONN_OPEN &&
             c->held.len == 0);
    if (c->state != UT_HTTP_CONN_OPEN || err == UT_OK || err == UT_EAGAIN)
        return;
    if (err == UT_ECLOSED)
        conn_eof(c);
    else
        ut_http_conn_end(c);
}

static void conn_discard(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    size_t n = 0;
    const ut_err err = ut_sock_read(c->stream.sock, server->read_buf, sizeof server->read_buf, &n);
    if ((err != UT_OK && err != UT_EAGAIN) ||
        server->now_ms - c->linger_since_ms > UT_HTTP_SERVER_LINGER_TOTAL_MS)
        ut_http_conn_end(c);
    else
        ut_http_conn_set_timer(c, UT_HTTP_TIMER_LINGER, true);
}

static void conn_handshake(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    ut_fault fault = {UT_OK, ""};
    uint32_t want = UT_READABLE;
    const ut_err err = ut_tls_handshake(c->stream.tls, &want, &fault);
    if (err == UT_EAGAIN) {
        c->read_want = want;
        return;
    }
    if (err == UT_OK) {
        c->state = UT_HTTP_CONN_OPEN;
        c->read_want = UT_READABLE;
        ut_http_conn_read(c);
        return;
    }
    if (ut_http_server_may_log(server)) {
        char peer_z[UT_ADDR_TEXT_MAX];
        ut_addr_text(&c->peer, peer_z);
        ut_log_write(server->config.log, UT_LOG_WARN, server->config.area_z,
                     "TLS handshake with %s failed: %s", peer_z, fault.text_z);
    }
    ut_http_conn_end(c);
}

void ut_http_conn_event(ut_http_conn *c, uint32_t ready)
{
    if (c->state == UT_HTTP_CONN_DEAD)
        return;
    if ((ready & UT_HANGUP) != 0 && (ready & c->interest & UT_READABLE) == 0) {
        ut_http_conn_end(c); // both directions are closed, and nothing is left to read
        return;
    }
    if (c->out.len > 0 && (ready & c->write_want) != 0)
        ut_http_conn_mark_dirty(c);
    if (c->state == UT_HTTP_CONN_HANDSHAKE)
        conn_handshake(c);
    else if (c->state == UT_HTTP_CONN_LINGER && (ready & UT_READABLE) != 0)
        conn_discard(c);
    else if (c->state == UT_HTTP_CONN_OPEN && (ready & c->interest & c->read_want) != 0)
        ut_http_conn_read(c);
    ut_http_conn_settle(c);
}

void ut_http_conn_timeout(ut_http_conn *c)
{
    switch (c->timer) {
    case UT_HTTP_TIMER_HEAD:
        if (c->state != UT_HTTP_CONN_OPEN || c->phase != UT_HTTP_PHASE_HEAD) {
            ut_http_conn_end(c); // not a byte of a request has come
            return;
        }
        ut_http_request_refuse(c, 408, "the request line and header fields took too long");
        ut_http_conn_stop(c);
        break;
    case UT_HTTP_TIMER_BODY:
        // No 408: to an OTLP client that would be final, while a lost connection is tried again.
        conn_eof(c);
        break;
    default:
        ut_http_conn_end(c);
        return;
    }
    ut_http_conn_settle(c);
}

// ---- answers

void ut_http_server_reply(ut_http_server *server, ut_http_exchange *base,
                          const ut_http_reply *reply)
{
    ut_http_waiting *x = (ut_http_waiting *)(void *)base;
    UT_ASSERT(!x->answered);
    x->answered = true;
    if (x->conn == NULL) {
        server->orphan_count--;
        ut_http_waiting_give(server, x);
        return;
    }
    x->status = reply->status;
    x->retry_after_s = reply->retry_after_s;
    x->content_type_z = reply->content_type_z;
    x->fields_z = reply->fields_z;
    ut_buf_add_bytes(&x->body, reply->body);
    ut_http_conn_mark_dirty(x->conn);
}

static void write_answers(ut_http_conn *c, ut_buf *out)
{
    ut_http_server *server = c->end.server;
    while (c->first != NULL && c->first->answered && out->len < FLUSH_BYTES) {
        ut_http_waiting *x = c->first;
        c->first = x->next;
        if (c->first == NULL)
            c->last = NULL;
        c->exchange_count--;
        const ut_http_reply reply = {
            .status = x->status,
            .content_type_z = x->content_type_z,
            .body = ut_buf_bytes(&x->body),
            .retry_after_s = x->retry_after_s,
            .fields_z = x->fields_z,
        };
        const bool closes = x->closes || (c->state == UT_HTTP_CONN_STOPPED && c->first == NULL);
        ut_http_reply_write(&reply, server->date_z,
                            closes      ? UT_HTTP_REPLY_CLOSES
                            : x->http10 ? UT_HTTP_REPLY_KEPT_SAY_SO
                                        : UT_HTTP_REPLY_KEPT,
                            x->without_body, out);
        ut_http_waiting_give(server, x);
    }
    if (c->continue_due && c->state == UT_HTTP_CONN_OPEN && c->first == c->current) {
        ut_buf_add_z(out, "HTTP/1.1 100 Continue\r\n\r\n");
        c->continue_due = false;
        c->expects_continue = false;
    }
}

// Sends what the socket takes; *sent: how much of bytes. False: the connection is broken.
static bool send_bytes(ut_http_conn *c, ut_bytes bytes, size_t *sent)
{
    *sent = 0;
    while (*sent < bytes.len) {
        ut_bytes part = {bytes.data + *sent, bytes.len - *sent};
        if (c->out_again > 0)
            part.len = c->out_again;
        size_t n = 0;
        uint32_t want = UT_WRITABLE;
        const ut_err err = ut_stream_write(&c->stream, &part, 1, &n, &want);
        if (err == UT_EAGAIN) {
            c->write_want = want;
            c->out_again = c->stream.tls != NULL ? part.len : 0;
            return true;
        }
        if (err != UT_OK)
            return false;
        c->out_again = 0;
        *sent += n;
        if (n < part.len && c->stream.tls == NULL) {
            c->write_want = UT_WRITABLE;
            return true;
        }
    }
    return true;
}

// Returns false when the connection has ended.
static bool conn_send(ut_http_conn *c)
{
    ut_http_server *server = c->end.server;
    const bool waiting = c->out.len > 0;
    ut_buf *out = waiting ? &c->out : &server->scratch;
    if (!waiting)
        ut_buf_reset(out, UT_HTTP_SPARE_BODY_BYTES_MAX);
    write_answers(c, out);
    if (out->err != UT_OK)
        return false;
    const size_t from = waiting ? c->out_sent : 0;
    size_t sent = 0;
    if (out->len > from && !send_bytes(c, ut_bytes_of(out->data + from, out->len - from), &sent))
        return false;
    if (from + sent == out->len) {
        ut_buf_free(&c->out);
        c->out_sent = 0;
    } else if (waiting) {
        c->out_sent += sent;
        if (sent > 0)
            ut_http_conn_set_timer(c, UT_HTTP_TIMER_WRITE, true);
    } else {
        ut_buf_add(&c->out, out->data + sent, out->len - sent);
        c->out_sent = 0;
    }
    return c->out.err == UT_OK;
}

void ut_http_conn_flush(ut_http_conn *c)
{
    if (!conn_send(c)) {
        ut_http_conn_end(c);
        return;
    }
    if (c->out.len == 0 && c->state == UT_HTTP_CONN_STOPPED && c->first == NULL)
        ut_http_conn_linger(c);
    if (c->out.len == 0 && c->state == UT_HTTP_CONN_OPEN && c->held.len > 0 &&
        c->exchange_count < UT_HTTP_SERVER_PIPELINE_MAX) {
        ut_buf held = c->held;
        ut_buf_init(&c->held, UT_HTTP_READ_BYTES);
        ut_http_request_feed(c, held.data, held.len);
        ut_http_server_discharge(c->end.server, held.cap);
        ut_buf_free(&held);
        if (c->stream.tls != NULL && c->state == UT_HTTP_CONN_OPEN && c->held.len == 0)
            ut_http_conn_read(c);
    }
    if (c->first != NULL && c->first->answered && c->out.len == 0)
        ut_http_conn_mark_dirty(c); // more than one write takes
    ut_http_conn_settle(c);
}

ut_http_conn *ut_http_conn_new(ut_http_server *server, ut_sock sock, const ut_addr *peer)
{
    ut_http_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->end.server = server;
    c->stream.sock = sock;
    c->peer = *peer;
    c->state = UT_HTTP_CONN_OPEN;
    c->read_want = UT_READABLE;
    c->write_want = UT_WRITABLE;
    ut_buf_init(&c->body, (size_t)server->config.body_bytes_max);
    ut_buf_init(&c->held, UT_HTTP_READ_BYTES);
    ut_buf_init(&c->out, UT_HTTP_OUT_BYTES_MAX);
    llhttp_init(&c->parser, HTTP_REQUEST, &server->settings);
    c->parser.data = c;
    append_timer(c, UT_HTTP_TIMER_NONE);
    return c;
}
