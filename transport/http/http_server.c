// The HTTP server as a whole: accepting, time, memory, stop. One connection is http_conn.c's.
#include "transport/http/http_conn.h"

#include <stdlib.h>

enum {
    LISTEN_BACKLOG = 1024, // the system may cut it
    ACCEPT_MAX = 64,       // connections taken before others get their turn
};

// ---- memory

bool ut_http_server_charge(ut_http_server *server, size_t bytes)
{
    if (bytes > ut_http_server_memory_left(server))
        return false;
    server->memory += bytes;
    return true;
}

void ut_http_server_discharge(ut_http_server *server, size_t bytes)
{
    UT_ASSERT(bytes <= server->memory);
    server->memory -= bytes;
}

uint64_t ut_http_server_memory_left(const ut_http_server *server)
{
    return server->config.memory_bytes_max > server->memory
               ? server->config.memory_bytes_max - server->memory
               : 0;
}

bool ut_http_server_may_log(ut_http_server *server)
{
    if (server->now_ms < server->quiet_until_ms)
        return false;
    server->quiet_until_ms = server->now_ms + 1000;
    return true;
}

// ---- accepting

// One connection too many: it is told, when that goes without waiting, and lingers, so that it gets
// to see why.
static void turn_away(ut_http_server *server, ut_sock sock, const ut_addr *peer)
{
#define TEXT "too many connections are open here; try again later\n"
    _Static_assert(sizeof TEXT - 1 == 52, "the length below is that of the text");
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 52\r\n"
                                 "Retry-After: 1\r\n"
                                 "Connection: close\r\n"
                                 "\r\n" TEXT;
#undef TEXT
    server->turned_away++;
    if (ut_http_server_may_log(server))
        ut_log_write(server->config.log, UT_LOG_WARN, server->config.area_z,
                     "%u connections are open, which is the limit; further ones are turned away",
                     server->connection_count);
    ut_http_conn *c = NULL;
    const ut_bytes part = UT_BYTES_LIT(answer);
    size_t n = 0;
    if (server->config.tls == NULL && server->turned_away_count < UT_HTTP_SERVER_TURNED_AWAY_MAX &&
        ut_sock_write(sock, &part, 1, &n) == UT_OK)
        c = ut_http_conn_new(server, sock, peer);
    if (c == NULL) {
        ut_sock_close(sock);
        return;
    }
    c->turned_away = true;
    server->turned_away_count++;
    ut_http_conn_linger(c);
    ut_http_conn_settle(c);
}

static void take_connection(ut_http_server *server, ut_sock sock, const ut_addr *peer)
{
    ut_http_conn *c = ut_http_conn_new(server, sock, peer);
    if (c == NULL) {
        ut_sock_close(sock);
        return;
    }
    server->connection_count++;
    if (server->config.tls != NULL) {
        if (ut_tls_open(server->config.tls, sock, NULL, &c->stream.tls) != UT_OK) {
            ut_http_conn_end(c);
            return;
        }
        c->state = UT_HTTP_CONN_HANDSHAKE;
    }
    ut_http_conn_settle(c);
}

static void server_accept(ut_http_server *server)
{
    for (int taken = 0; taken < ACCEPT_MAX; taken++) {
        ut_sock sock = UT_SOCK_NONE;
        ut_addr peer;
        const ut_err err = ut_sock_accept(server->listener, &sock, &peer);
        if (err == UT_EAGAIN)
            return;
        if (err != UT_OK) {
            // The listener stays readable: to watch it now would spin.
            server->accept_paused = true;
            server->accept_at_ms = server->now_ms + UT_HTTP_SERVER_ACCEPT_PAUSE_MS;
            (void)ut_poller_watch(server->config.poller, server->listener, 0, server);
            if (ut_http_server_may_log(server))
                ut_log_write(server->config.log, UT_LOG_WARN, server->config.area_z,
                             "cannot take a connection: %s; %u are open; raise the limit of open "
                             "files (ulimit -n), or lower connections_max",
                             err == UT_ELIMIT ? "out of descriptors or memory" : ut_err_text(err),
                             server->connection_count);
            return;
        }
        if (server->connection_count >= server->config.connections_max)
            turn_away(server, sock, &peer);
        else
            take_connection(server, sock, &peer);
    }
}

static void resume_accept(ut_http_server *server)
{
    server->accept_paused = false;
    if (server->listener != UT_SOCK_NONE)
        (void)ut_poller_watch(server->config.poller, server->listener, UT_READABLE, server);
}

// ---- the server

ut_err ut_http_server_open(const ut_http_server_config *config, ut_http_server **out,
                           ut_fault *fault)
{
    ut_sock listener = UT_SOCK_NONE;
    const ut_err err = ut_sock_listen(&config->listen, LISTEN_BACKLOG, &listener, fault);
    if (err != UT_OK)
        return err;
    ut_http_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        ut_sock_close(listener);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    server->end.server = server;
    server->end.listener = true;
    server->config = *config;
    server->listener = listener;
    const uint32_t timeouts[UT_HTTP_TIMER_COUNT] = {
        [UT_HTTP_TIMER_HEAD] = config->head_timeout_ms,
        [UT_HTTP_TIMER_BODY] = config->body_timeout_ms,
        [UT_HTTP_TIMER_IDLE] = config->idle_timeout_ms,
        [UT_HTTP_TIMER_WRITE] = config->body_timeout_ms,
        [UT_HTTP_TIMER_LINGER] = UT_HTTP_SERVER_LINGER_MS,
    };
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++)
        server->timers[kind].timeout_ms = timeouts[kind];
    ut_buf_init(&server->scratch, UT_HTTP_OUT_BYTES_MAX);
    ut_http_request_settings(&server->settings);
    if (ut_poller_watch(config->poller, listener, UT_READABLE, server) != UT_OK) {
        ut_http_server_close(server);
        return ut_fault_set(fault, UT_EIO, "cannot watch the listening socket");
    }
    *out = server;
    return UT_OK;
}

ut_err ut_http_server_addr(const ut_http_server *server, ut_addr *addr)
{
    return ut_sock_local_addr(server->listener, addr);
}

static void reap(ut_http_server *server)
{
    while (server->dead != NULL) {
        ut_http_conn *c = server->dead;
        server->dead = c->next_dirty;
        free(c);
    }
}

static void close_listener(ut_http_server *server)
{
    if (server->listener == UT_SOCK_NONE)
        return;
    ut_poller_forget(server->config.poller, server->listener);
    ut_sock_close(server->listener);
    server->listener = UT_SOCK_NONE;
    server->accept_paused = false;
}

static void send_all(ut_http_server *server)
{
    while (server->dirty_first != NULL) {
        ut_http_conn *c = server->dirty_first;
        server->dirty_first = c->next_dirty;
        if (server->dirty_first == NULL)
            server->dirty_last = NULL;
        c->dirty = false;
        if (c->state == UT_HTTP_CONN_DEAD)
            ut_http_conn_bury(c);
        else
            ut_http_conn_flush(c);
    }
}

void ut_http_server_close(ut_http_server *server)
{
    if (server == NULL)
        return;
    close_listener(server);
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++) {
        while (server->timers[kind].first != NULL)
            ut_http_conn_end(server->timers[kind].first);
    }
    send_all(server); // all of them are dead by now
    reap(server);
    UT_ASSERT(server->orphan_count == 0 && server->under_way == 0 && server->memory == 0);
    ut_http_request_trim(server);
    free(server);
}

void ut_http_server_event(const ut_poll_event *event, uint64_t now_ms)
{
    ut_http_endpoint *end = event->tag;
    ut_http_server *server = end->server;
    server->now_ms = now_ms;
    if (!end->listener)
        ut_http_conn_event((ut_http_conn *)(void *)end, event->ready);
    else if (server->listener != UT_SOCK_NONE && !server->accept_paused)
        server_accept(server);
}

static void write_date(ut_http_server *server)
{
    const uint64_t now_s = ut_clock_wall_ns() / 1000000000u;
    if (now_s == server->date_s)
        return;
    server->date_s = now_s;
    ut_http_date(now_s, server->date_z);
}

void ut_http_server_step(ut_http_server *server, uint64_t now_ms, uint64_t *next_ms)
{
    server->now_ms = now_ms;
    for (int kind = UT_HTTP_TIMER_HEAD; kind < UT_HTTP_TIMER_COUNT; kind++) {
        ut_http_timer_list *list = &server->timers[kind];
        while (list->first != NULL && list->first->deadline_ms <= now_ms)
            ut_http_conn_timeout(list->first);
    }
    write_date(server);
    send_all(server);
    if (server->accept_paused && now_ms >= server->accept_at_ms)
        resume_accept(server);
    reap(server);

    uint64_t next = UINT64_MAX;
    for (int kind = UT_HTTP_TIMER_HEAD; kind < UT_HTTP_TIMER_COUNT; kind++) {
        const ut_http_conn *c = server->timers[kind].first;
        if (c != NULL && c->deadline_ms < next)
            next = c->deadline_ms;
    }
    if (server->accept_paused && server->accept_at_ms < next)
        next = server->accept_at_ms;
    if (server->under_way > 0) {
        server->busy_ms = now_ms;
    } else if (server->spare_exchange_count + server->spare_head_count + server->spare_body_count >
               0) {
        if (now_ms - server->busy_ms >= UT_HTTP_SERVER_TRIM_MS)
            ut_http_request_trim(server);
        else if (server->busy_ms + UT_HTTP_SERVER_TRIM_MS < next)
            next = server->busy_ms + UT_HTTP_SERVER_TRIM_MS;
    }
    *next_ms = next;
}

void ut_http_server_stop(ut_http_server *server, uint64_t now_ms)
{
    server->now_ms = now_ms;
    server->stopping = true;
    close_listener(server);
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++) {
        ut_http_conn *next = NULL;
        for (ut_http_conn *c = server->timers[kind].first; c != NULL; c = next) {
            next = c->next;
            if (c->state == UT_HTTP_CONN_HANDSHAKE) {
                ut_http_conn_end(c);
                continue;
            }
            if (c->state != UT_HTTP_CONN_OPEN || c->phase != UT_HTTP_PHASE_IDLE || c->held.len > 0)
                continue;         // ends by itself after what has begun to arrive
            ut_http_conn_read(c); // what the socket holds has begun to arrive, too
            if (c->state == UT_HTTP_CONN_OPEN && c->phase == UT_HTTP_PHASE_IDLE && c->held.len == 0)
                ut_http_conn_stop(c);
            ut_http_conn_settle(c);
        }
    }
}

bool ut_http_server_idle(const ut_http_server *server)
{
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++) {
        if (kind != UT_HTTP_TIMER_LINGER && server->timers[kind].first != NULL)
            return false;
    }
    return true;
}

void ut_http_server_get_stats(const ut_http_server *server, ut_http_server_stats *stats)
{
    *stats = (ut_http_server_stats){
        .connections = server->connection_count + server->turned_away_count,
        .under_way = server->under_way,
        .memory = server->memory,
        .requests = server->requests,
        .refused = server->refused,
        .turned_away = server->turned_away,
    };
}
