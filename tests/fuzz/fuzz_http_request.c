// Fuzzes the HTTP server with what a client may send, over a socket pair: whole, then again in
// pieces, which must reach the handler alike. The first byte chooses limits and pieces, the rest is
// the stream. Not for what bodies mean.
#include "transport/http/http_server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STREAM_MAX = 64 * 1024, // fits the buffers of a socket pair, so that one read takes it whole
    PENDING_MAX = UT_HTTP_SERVER_PIPELINE_MAX,
    EVENTS_MAX = 16,
};

typedef struct {
    ut_poller *poller;
    ut_http_server *server;
    ut_http_exchange *pending[PENDING_MAX]; // are answered later
    size_t pending_count;
    uint64_t seen; // a running hash of what reached the handler
    size_t heads;
    size_t bodies;
} harness;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void remember(harness *h, char kind, ut_bytes bytes)
{
    h->seen = (h->seen ^ (uint8_t)kind) * 1099511628211u;
    for (size_t i = 0; i < bytes.len; i++)
        h->seen = (h->seen ^ bytes.data[i]) * 1099511628211u;
}

static void reply(harness *h, ut_http_exchange *exchange, int status)
{
    const ut_http_reply answer = {
        .status = status, .content_type_z = "text/plain", .body = UT_BYTES_LIT("fuzz")};
    ut_http_server_reply(h->server, exchange, &answer);
}

static void on_head(void *context, ut_http_exchange *exchange, const ut_http_head *head)
{
    harness *h = context;
    h->heads++;
    remember(h, 'm', ut_bytes_of_z(head->method_z));
    remember(h, 'p', head->path);
    remember(h, 'q', head->query);
    for (size_t i = 0; i < head->field_count; i++) {
        remember(h, 'n', head->fields[i].name);
        remember(h, 'v', head->fields[i].value);
    }
    ut_bytes value;
    exchange->note = head->path.len; // the length of the path says what becomes of the request
    if (head->path.len % 4 == 0 || ut_http_head_find(head, "x-refuse", &value) > 0)
        reply(h, exchange, 404);
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    harness *h = context;
    h->bodies++;
    remember(h, 'b', body);
    if (exchange->note % 2 == 0)
        reply(h, exchange, 200);
    else
        h->pending[h->pending_count++] = exchange;
    UT_ASSERT(h->pending_count <= PENDING_MAX);
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    (void)reason_z;
    reply(context, exchange, status);
}

static void turn(harness *h, uint64_t now_ms)
{
    ut_poll_event events[EVENTS_MAX];
    size_t count = 1;
    uint64_t next_ms = 0;
    while (count > 0) {
        ut_http_server_step(h->server, now_ms, &next_ms);
        UT_ASSERT(ut_poller_wait(h->poller, 0, events, EVENTS_MAX, &count) == UT_OK);
        for (size_t i = 0; i < count; i++)
            ut_http_server_event(&events[i], now_ms);
    }
    ut_http_server_step(h->server, now_ms, &next_ms);
}

// Newest first, so that the server has to put them in order.
static void reply_to_pending(harness *h)
{
    while (h->pending_count > 0)
        reply(h, h->pending[--h->pending_count], 200);
}

// What has come back so far are answers, one after the other.
static void check_answers(int fd)
{
    static char answers[1024 * 1024];
    const ssize_t got = recv(fd, answers, sizeof answers - 1, MSG_DONTWAIT);
    if (got <= 0)
        return;
    answers[got] = '\0';
    UT_ASSERT(strncmp(answers, "HTTP/1.1 ", 9) == 0);
}

static uint64_t run(bool small, const uint8_t *data, size_t size, size_t piece)
{
    harness h = {.seen = 14695981039346656037u};
    UT_ASSERT(ut_poller_open(&h.poller) == UT_OK);
    ut_http_server_config config = {
        .poller = h.poller,
        .area_z = "fuzz",
        .handler = {.context = &h, .on_head = on_head, .on_body = on_body, .on_refuse = on_refuse},
        .body_bytes_max = small ? 256 : STREAM_MAX,
        .memory_bytes_max = small ? 256 * 1024 : 64 * 1024 * 1024,
        .connections_max = 4,
        .header_bytes_max = small ? 256 : STREAM_MAX,
        .head_timeout_ms = 1000,
        .body_timeout_ms = 1000,
        .idle_timeout_ms = 1000,
    };
    UT_ASSERT(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &config.listen) == UT_OK);
    UT_ASSERT(ut_http_server_open(&config, &h.server, NULL) == UT_OK);
    int pair[2];
    UT_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    const int room = 4 * STREAM_MAX;
    UT_ASSERT(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    ut_http_server_adopt(h.server, pair[0], &config.listen);

    for (size_t at = 0; at < size; at += piece) {
        const size_t len = size - at < piece ? size - at : piece;
        if (send(pair[1], data + at, len, MSG_NOSIGNAL) != (ssize_t)len)
            break; // the server has closed, or does not read on
        turn(&h, 1);
        check_answers(pair[1]);
        if (!small)
            continue;
        reply_to_pending(&h);
        turn(&h, 1);
    }
    for (int round = 0; h.pending_count > 0 && round < 1000; round++) {
        reply_to_pending(&h);
        turn(&h, 1);
        check_answers(pair[1]);
    }
    const size_t heads = h.heads;
    UT_ASSERT(h.bodies <= heads);
    turn(&h, 5000); // all timeouts
    reply_to_pending(&h);
    turn(&h, 60000);
    ut_http_server_stats stats;
    ut_http_server_get_stats(h.server, &stats);
    UT_ASSERT(stats.connections == 0 && stats.under_way == 0 && stats.memory == 0);
    (void)close(pair[1]);
    ut_http_server_close(h.server);
    ut_poller_close(h.poller);
    return h.seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > STREAM_MAX)
        return 0;
    const size_t piece = 1 + data[0] % 61;
    const bool small = data[0] >= 200;
    data++;
    size--;
    if (small) {
        (void)run(true, data, size, piece * 7);
        return 0;
    }
    const uint64_t whole = run(false, data, size, size);
    const uint64_t pieces = run(false, data, size, piece);
    UT_ASSERT(whole == pieces);
    return 0;
}
