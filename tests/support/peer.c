// Threads and blocking waits over the non-blocking streams of the product.
#include "tests/support/peer.h"

#include "transport/tls/stream.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, HEAD_BYTES_MAX = 64 * 1024, BODY_BYTES_MAX = 64 * 1024 * 1024 };

typedef struct {
    ut_peer *peer;
    int number;
    ut_stream stream;
    pthread_t thread;
} connection;

struct ut_peer {
    ut_peer_config config;
    ut_sock listener;
    uint16_t port;
    int stop[2]; // a pipe that becomes readable when all is to end
    pthread_t thread;
    pthread_mutex_t lock; // guards counts
    ut_peer_counts counts;
    pthread_mutex_t script_lock;
    connection connections[CONNECTIONS_MAX];
    size_t connection_count;
};

static _Noreturn void die(const char *what_z)
{
    (void)fprintf(stderr, "tests/support/peer: %s\n", what_z);
    abort();
}

static void count(ut_peer *peer, int *counter, int by)
{
    (void)pthread_mutex_lock(&peer->lock);
    *counter += by;
    (void)pthread_mutex_unlock(&peer->lock);
}

// False when the peer is to stop.
static bool wait_for(ut_peer *peer, ut_sock sock, uint32_t want)
{
    struct pollfd fds[2] = {
        {.fd = peer->stop[0], .events = POLLIN},
        {.fd = sock, .events = (want & UT_WRITABLE) != 0 ? POLLOUT : POLLIN},
    };
    while (poll(fds, 2, -1) < 0)
        ;
    return fds[0].revents == 0;
}

// One read into buf; UT_ECLOSED also when the peer stops.
static ut_err read_more(connection *c, ut_buf *buf)
{
    enum { PIECE = 16384 };
    for (;;) {
        uint8_t *at = ut_buf_reserve(buf, PIECE);
        if (at == NULL)
            return buf->err;
        uint32_t want = UT_READABLE;
        size_t n = 0;
        ut_err err = ut_stream_read(&c->stream, at, PIECE, &n, &want);
        if (err == UT_OK)
            buf->len += n;
        if (err != UT_EAGAIN)
            return err;
        if (!wait_for(c->peer, c->stream.sock, want))
            return UT_ECLOSED;
    }
}

static bool write_all(connection *c, ut_bytes bytes)
{
    while (bytes.len > 0) {
        uint32_t want = UT_WRITABLE;
        size_t n = 0;
        ut_err err = ut_stream_write(&c->stream, &bytes, 1, &n, &want);
        if (err == UT_EAGAIN) {
            if (!wait_for(c->peer, c->stream.sock, want))
                return false;
        } else if (err != UT_OK) {
            return false;
        } else {
            bytes.data += n;
            bytes.len -= n;
        }
    }
    return true;
}

static size_t find(ut_bytes in, const char *text_z)
{
    size_t len = strlen(text_z);
    for (size_t i = 0; i + len <= in.len; i++) {
        if (memcmp(in.data + i, text_z, len) == 0)
            return i;
    }
    return SIZE_MAX;
}

// Sends an answer as it is scripted. False when the connection has ended.
static bool send_answer(connection *c, const ut_peer_answer *answer)
{
    ut_bytes rest = ut_buf_bytes(&answer->bytes);
    size_t piece = answer->piece > 0 ? answer->piece : rest.len;
    while (rest.len > 0) {
        size_t len = rest.len < piece ? rest.len : piece;
        if (!write_all(c, ut_bytes_of(rest.data, len)))
            return false;
        rest.data += len;
        rest.len -= len;
    }
    switch (answer->then) {
    case UT_PEER_KEEP:
        return true;
    case UT_PEER_CLOSE: {
        uint32_t want = 0;
        if (c->stream.tls != NULL)
            (void)ut_tls_shutdown(c->stream.tls, &want);
        return false;
    }
    case UT_PEER_RESET: {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(c->stream.sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        return false;
    }
    case UT_PEER_HANG: {
        ut_buf ignored;
        ut_buf_init(&ignored, BODY_BYTES_MAX);
        while (read_more(c, &ignored) == UT_OK)
            ignored.len = 0;
        ut_buf_free(&ignored);
        return false;
    }
    case UT_PEER_DEAF: {
        struct pollfd stop = {.fd = c->peer->stop[0], .events = POLLIN};
        while (poll(&stop, 1, -1) < 0)
            ;
        return false;
    }
    }
    return false;
}

static void call_script(connection *c, ut_bytes head, ut_bytes body, ut_peer_answer *answer)
{
    ut_peer *peer = c->peer;
    (void)pthread_mutex_lock(&peer->script_lock);
    (void)pthread_mutex_lock(&peer->lock);
    ut_peer_request request = {
        .number = peer->counts.requests++,
        .connection = c->number,
        .head = head,
        .body = body,
    };
    (void)pthread_mutex_unlock(&peer->lock);
    peer->config.script(peer->config.context, &request, answer);
    (void)pthread_mutex_unlock(&peer->script_lock);
}

// Reads one request out of in and answers it. False when the connection has ended.
static bool serve_one(connection *c, ut_buf *in)
{
    size_t head_len = SIZE_MAX;
    while ((head_len = find(ut_buf_bytes(in), "\r\n\r\n")) == SIZE_MAX) {
        if (in->len > HEAD_BYTES_MAX || read_more(c, in) != UT_OK)
            return false;
    }
    head_len += 4;
    size_t body_len = 0;
    size_t at = find(ut_bytes_of(in->data, head_len), "\r\nContent-Length: ");
    if (at != SIZE_MAX)
        body_len = strtoul((const char *)in->data + at + 18, NULL, 10);
    while (!c->peer->config.early && in->len < head_len + body_len) {
        if (read_more(c, in) != UT_OK)
            return false;
    }
    ut_peer_answer answer = {.then = UT_PEER_KEEP};
    ut_buf_init(&answer.bytes, BODY_BYTES_MAX);
    ut_bytes body =
        c->peer->config.early ? UT_BYTES_NONE : ut_bytes_of(in->data + head_len, body_len);
    call_script(c, ut_bytes_of(in->data, head_len), body, &answer);
    bool goes_on = send_answer(c, &answer) && !c->peer->config.early;
    ut_buf_free(&answer.bytes);
    if (goes_on) {
        in->len -= head_len + body_len;
        memmove(in->data, in->data + head_len + body_len, in->len);
    }
    return goes_on;
}

static bool start_tls(connection *c)
{
    if (ut_tls_open(c->peer->config.tls, c->stream.sock, NULL, &c->stream.tls) != UT_OK)
        die("no memory for TLS");
    for (;;) {
        uint32_t want = 0;
        ut_err err = ut_tls_handshake(c->stream.tls, &want, NULL);
        if (err == UT_OK) {
            count(c->peer, &c->peer->counts.handshakes, 1);
            count(c->peer, &c->peer->counts.resumed, ut_tls_resumed(c->stream.tls) ? 1 : 0);
            return true;
        }
        if (err != UT_EAGAIN || !wait_for(c->peer, c->stream.sock, want))
            return false;
    }
}

static void *serve(void *context)
{
    connection *c = context;
    ut_buf in;
    ut_buf_init(&in, HEAD_BYTES_MAX + BODY_BYTES_MAX);
    if (c->peer->config.tls == NULL || start_tls(c)) {
        while (serve_one(c, &in))
            ;
    }
    ut_buf_free(&in);
    ut_stream_close(&c->stream);
    count(c->peer, &c->peer->counts.open, -1);
    return NULL;
}

static void *accept_all(void *context)
{
    ut_peer *peer = context;
    while (wait_for(peer, peer->listener, UT_READABLE)) {
        ut_addr addr;
        ut_sock sock = UT_SOCK_NONE;
        if (ut_sock_accept(peer->listener, &sock, &addr) != UT_OK)
            continue;
        if (peer->connection_count == CONNECTIONS_MAX)
            die("too many connections");
        connection *c = &peer->connections[peer->connection_count];
        *c = (connection){
            .peer = peer,
            .number = (int)peer->connection_count,
            .stream = {.sock = sock},
        };
        peer->connection_count++;
        count(peer, &peer->counts.connections, 1);
        count(peer, &peer->counts.open, 1);
        if (pthread_create(&c->thread, NULL, serve, c) != 0)
            die("no thread");
    }
    return NULL;
}

ut_peer *ut_peer_start(const ut_peer_config *config)
{
    ut_peer *peer = calloc(1, sizeof *peer);
    ut_addr addr;
    if (peer == NULL || pipe(peer->stop) != 0 ||
        ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &addr) != UT_OK ||
        ut_sock_listen(&addr, 64, &peer->listener, NULL) != UT_OK ||
        ut_sock_local_addr(peer->listener, &addr) != UT_OK)
        die("cannot listen");
    peer->config = *config;
    peer->port = addr.port;
    (void)pthread_mutex_init(&peer->lock, NULL);
    (void)pthread_mutex_init(&peer->script_lock, NULL);
    if (pthread_create(&peer->thread, NULL, accept_all, peer) != 0)
        die("no thread");
    return peer;
}

void ut_peer_stop(ut_peer *peer)
{
    (void)close(peer->stop[1]); // the other end is readable from now on
    (void)pthread_join(peer->thread, NULL);
    for (size_t i = 0; i < peer->connection_count; i++)
        (void)pthread_join(peer->connections[i].thread, NULL);
    ut_sock_close(peer->listener);
    (void)close(peer->stop[0]);
    (void)pthread_mutex_destroy(&peer->lock);
    (void)pthread_mutex_destroy(&peer->script_lock);
    free(peer);
}

uint16_t ut_peer_port(const ut_peer *peer)
{
    return peer->port;
}

ut_peer_counts ut_peer_get_counts(ut_peer *peer)
{
    (void)pthread_mutex_lock(&peer->lock);
    ut_peer_counts counts = peer->counts;
    (void)pthread_mutex_unlock(&peer->lock);
    return counts;
}

void ut_peer_hold(ut_peer *peer)
{
    (void)pthread_mutex_lock(&peer->script_lock);
}

void ut_peer_release(ut_peer *peer)
{
    (void)pthread_mutex_unlock(&peer->script_lock);
}

void ut_peer_answer_write(ut_peer_answer *answer, int status, const char *fields_z, ut_bytes body)
{
    ut_buf_printf(&answer->bytes, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status,
                  fields_z, body.len);
    ut_buf_add_bytes(&answer->bytes, body);
}
