// The HTTP server as a whole: accepting, time, memory, stop. One connection is http_conn.c's.
#include "transport/http/http_server.h"

#include "transport/http/http_conn.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    LISTEN_BACKLOG = 1024, // the system may cut it
    ACCEPT_MAX = 64,       // connections taken before others get their turn
};

struct ut_http_server {
    ut_http_endpoint endpoint; // first member: the listener's tag
    ut_http_server_config config;
    ut_sock listener;
    bool accept_paused;
    uint64_t accept_at_ms;
    uint64_t ended_at_pause; // connections that had ended when accepting paused
    uint64_t turned_away;
    uint64_t date_s;
    ut_http_shared shared;
};

// ---- memory ----

bool ut_http_server_charge(ut_http_server *server, size_t bytes)
{
    return ut_http_pool_charge(&server->shared.pool, bytes);
}

void ut_http_server_discharge(ut_http_server *server, size_t bytes)
{
    ut_http_pool_discharge(&server->shared.pool, bytes);
}

uint64_t ut_http_server_memory_left(const ut_http_server *server)
{
    return ut_http_pool_memory_left(&server->shared.pool);
}

static void trim(ut_http_server *server)
{
    ut_http_pool_trim(&server->shared.pool);
    ut_buf_free(&server->shared.scratch);
}

// ---- accepting ----

// Tells a connection over the limit why, when that goes without waiting, and lets it linger, so
// that it gets to see it.
static void turn_away(ut_http_server *server, ut_sock sock, const ut_addr *peer)
{
#define TEXT "too many connections are open here; try again later\n"
    _Static_assert(sizeof(TEXT) - 1 == 52, "the length below is that of the text");
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 52\r\n"
                                 "Retry-After: 1\r\n"
                                 "Connection: close\r\n"
                                 "\r\n" TEXT;
#undef TEXT
    ut_http_shared *shared = &server->shared;
    server->turned_away++;
    if (ut_http_shared_may_log(shared))
        ut_log_write(server->config.log, UT_LOG_WARN, server->config.area_z,
                     "%" PRIu32
                     " connections are open, which is the limit; further ones are turned "
                     "away",
                     shared->connection_count);
    const ut_bytes part = UT_BYTES_LIT(answer);
    size_t n = 0;
    if (server->config.tls == NULL && shared->turned_away_count < UT_HTTP_SERVER_TURNED_AWAY_MAX &&
        ut_sock_write(sock, &part, 1, &n) == UT_OK)
        ut_http_conn_turn_away(shared, sock, peer);
    else
        ut_sock_close(sock);
}

void ut_http_server_adopt(ut_http_server *server, ut_sock sock, const ut_addr *peer)
{
    if (server->shared.connection_count >= server->config.connections_max)
        turn_away(server, sock, peer);
    else
        ut_http_conn_open(&server->shared, server->config.tls, sock, peer);
}

// Stops watching the listener, which stays readable when nothing can be accepted: to watch it would
// spin.
static void pause_accept(ut_http_server *server, ut_err err)
{
    ut_http_shared *shared = &server->shared;
    server->accept_paused = true;
    server->accept_at_ms = shared->now_ms + UT_HTTP_SERVER_ACCEPT_PAUSE_MS;
    server->ended_at_pause = shared->ended;
    (void)ut_poller_watch(server->config.poller, server->listener, 0, server);
    if (ut_http_shared_may_log(shared))
        ut_log_write(server->config.log, UT_LOG_WARN, server->config.area_z,
                     "cannot take a connection: %s; %" PRIu32 " are open; raise the limit of open "
                     "files (ulimit -n), or lower max_connections",
                     err == UT_ELIMIT ? "out of descriptors or memory" : ut_err_text(err),
                     shared->connection_count);
}

static void accept_connections(ut_http_server *server)
{
    for (int taken = 0; taken < ACCEPT_MAX; taken++) {
        ut_sock sock = UT_SOCK_NONE;
        ut_addr peer;
        const ut_err err = ut_sock_accept(server->listener, &sock, &peer);
        if (err == UT_EAGAIN)
            return;
        if (err != UT_OK) {
            pause_accept(server, err);
            return;
        }
        ut_http_server_adopt(server, sock, &peer);
    }
}

// True when accepting is paused and may be tried again: the pause is over, or a connection has
// freed its descriptor.
static bool accept_due(const ut_http_server *server)
{
    const ut_http_shared *shared = &server->shared;
    return server->accept_paused &&
           (shared->now_ms >= server->accept_at_ms || shared->ended != server->ended_at_pause);
}

static void resume_accept(ut_http_server *server)
{
    server->accept_paused = false;
    if (server->listener != UT_SOCK_NONE)
        (void)ut_poller_watch(server->config.poller, server->listener, UT_READABLE, server);
}

// ---- the server ----

ut_err ut_http_server_open(const ut_http_server_config *config, ut_http_server **out,
                           ut_fault *fault)
{
    ut_sock listener = UT_SOCK_NONE;
    const ut_err err = ut_sock_listen(&config->listen, LISTEN_BACKLOG, &listener, fault);
    if (err != UT_OK)
        return err;
    ut_http_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        ut_sock_close(listener);
        return ut_fault_set(fault, UT_ENOMEM, "out of memory");
    }
    server->endpoint.listener = true;
    server->config = *config;
    server->listener = listener;
    ut_http_shared *shared = &server->shared;
    shared->poller = config->poller;
    shared->log = config->log;
    shared->area_z = config->area_z;
    shared->handler = config->handler;
    shared->pool.memory_bytes_max = config->memory_bytes_max;
    shared->pool.body_bytes_max = config->body_bytes_max;
    shared->pool.header_bytes_max = config->header_bytes_max;
    const uint32_t timeouts[UT_HTTP_TIMER_COUNT] = {
        [UT_HTTP_TIMER_HEAD] = config->head_timeout_ms,
        [UT_HTTP_TIMER_BODY] = config->body_timeout_ms,
        [UT_HTTP_TIMER_IDLE] = config->idle_timeout_ms,
        [UT_HTTP_TIMER_WRITE] = config->body_timeout_ms,
        [UT_HTTP_TIMER_LINGER] = UT_HTTP_SERVER_LINGER_MS,
    };
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++)
        shared->timers[kind].timeout_ms = timeouts[kind];
    ut_buf_init(&shared->scratch, UT_HTTP_SERVER_OUT_MAX);
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

void ut_http_server_reply(ut_http_server *server, ut_http_exchange *exchange,
                          const ut_http_reply *reply)
{
    ut_http_exchange_answer(exchange, reply);
    if (exchange->conn == NULL)
        ut_http_pool_give_exchange(&server->shared.pool, exchange);
    else
        ut_http_conn_mark_dirty(exchange->conn);
}

const ut_addr *ut_http_server_peer(const ut_http_exchange *exchange)
{
    return exchange->conn != NULL ? &exchange->conn->peer : NULL;
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

static void flush_all(ut_http_shared *shared)
{
    for (ut_http_conn *conn; (conn = ut_http_conn_list_pop(&shared->dirty)) != NULL;)
        ut_http_conn_flush(conn);
}

static void reap(ut_http_shared *shared)
{
    for (ut_http_conn *conn; (conn = ut_http_conn_list_pop(&shared->dead)) != NULL;)
        free(conn);
}

void ut_http_server_close(ut_http_server *server)
{
    if (server == NULL)
        return;
    ut_http_shared *shared = &server->shared;
    close_listener(server);
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++) {
        while (shared->timers[kind].first != NULL)
            ut_http_conn_end(shared->timers[kind].first);
    }
    flush_all(shared); // all of them are dead by now
    reap(shared);
    UT_ASSERT(shared->pool.under_way == 0 && shared->pool.memory == 0);
    trim(server);
    free(server);
}

void ut_http_server_event(const ut_poll_event *event, uint64_t now_ms)
{
    const ut_http_endpoint *endpoint = event->tag;
    if (!endpoint->listener) {
        ut_http_conn *conn = event->tag;
        conn->shared->now_ms = now_ms;
        ut_http_conn_event(conn, event->ready);
        return;
    }
    ut_http_server *server = event->tag;
    server->shared.now_ms = now_ms;
    if (server->listener != UT_SOCK_NONE && !server->accept_paused)
        accept_connections(server);
}

static void write_date(ut_http_server *server)
{
    const uint64_t now_s = ut_clock_wall_ns() / 1000000000u;
    if (now_s == server->date_s)
        return;
    server->date_s = now_s;
    ut_http_date(now_s, server->shared.date_z);
}

// Gives spare memory back after a time without a request. Returns when to look again, UINT64_MAX:
// not before the next request.
static uint64_t trim_when_quiet(ut_http_server *server)
{
    ut_http_shared *shared = &server->shared;
    if (shared->pool.under_way > 0) {
        shared->busy_ms = shared->now_ms;
        return UINT64_MAX;
    }
    if (!ut_http_pool_has_spares(&shared->pool))
        return UINT64_MAX;
    if (shared->now_ms - shared->busy_ms < UT_HTTP_SERVER_TRIM_MS)
        return shared->busy_ms + UT_HTTP_SERVER_TRIM_MS;
    trim(server);
    return UINT64_MAX;
}

void ut_http_server_step(ut_http_server *server, uint64_t now_ms, uint64_t *next_ms)
{
    ut_http_shared *shared = &server->shared;
    shared->now_ms = now_ms;
    for (int kind = UT_HTTP_TIMER_HEAD; kind < UT_HTTP_TIMER_COUNT; kind++) {
        const ut_http_timer_list *list = &shared->timers[kind];
        while (list->first != NULL && list->first->deadline_ms <= now_ms)
            ut_http_conn_timeout(list->first);
    }
    write_date(server);
    flush_all(shared);
    if (accept_due(server))
        resume_accept(server);
    reap(shared);

    uint64_t next = trim_when_quiet(server);
    for (int kind = UT_HTTP_TIMER_HEAD; kind < UT_HTTP_TIMER_COUNT; kind++) {
        const ut_http_conn *conn = shared->timers[kind].first;
        if (conn != NULL && conn->deadline_ms < next)
            next = conn->deadline_ms;
    }
    if (server->accept_paused && server->accept_at_ms < next)
        next = server->accept_at_ms;
    *next_ms = next;
}

void ut_http_server_stop(ut_http_server *server, uint64_t now_ms)
{
    ut_http_shared *shared = &server->shared;
    shared->now_ms = now_ms;
    shared->stopping = true;
    close_listener(server);
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++) {
        ut_http_conn *next = NULL;
        for (ut_http_conn *conn = shared->timers[kind].first; conn != NULL; conn = next) {
            next = conn->next;
            ut_http_conn_drain(conn);
        }
    }
}

bool ut_http_server_idle(const ut_http_server *server)
{
    for (int kind = 0; kind < UT_HTTP_TIMER_COUNT; kind++) {
        if (kind != UT_HTTP_TIMER_LINGER && server->shared.timers[kind].first != NULL)
            return false;
    }
    return true;
}

void ut_http_server_get_stats(const ut_http_server *server, ut_http_server_stats *stats)
{
    const ut_http_shared *shared = &server->shared;
    *stats = (ut_http_server_stats){
        .connections = shared->connection_count + shared->turned_away_count,
        .under_way = shared->pool.under_way,
        .memory = shared->pool.memory,
        .requests = shared->requests,
        .refused = shared->refused,
        .turned_away = server->turned_away,
    };
}
