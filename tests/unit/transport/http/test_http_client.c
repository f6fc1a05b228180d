// The HTTP client against a scripted server on loopback, with and without TLS.
#include "transport/http/http_client.h"

#include "adapters/encoding/gzip.h"
#include "tests/support/certs.h"
#include "tests/support/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

// A test that waits longer than this is broken; none comes near it.
enum { DEADLINE_MS = 30000, TIMEOUT_MS = 20000 };

// ---- the client's side ----

typedef struct {
    ut_poller *poller;
    ut_resolver *resolver;
    ut_tls_context *tls;
    ut_url url;
    ut_http_client *client;
} caller;

static caller *call_to(const char *host_z, uint16_t port, ut_tls_context *tls, uint32_t timeout_ms)
{
    caller *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_int_equal(ut_poller_open(&c->poller), UT_OK);
    assert_int_equal(ut_resolver_open(c->poller, &c->resolver), UT_OK);
    c->tls = tls;
    char text_z[UT_HOST_MAX + 64];
    (void)snprintf(text_z, sizeof text_z, "%s://%s:%u/v1/traces?a=b",
                   tls != NULL ? "https" : "http", host_z, (unsigned)port);
    assert_int_equal(ut_url_parse(text_z, &c->url, NULL), UT_OK);
    ut_http_client_config config = {
        .poller = c->poller,
        .resolver = c->resolver,
        .tls = tls,
        .url = &c->url,
        .tag = c,
        .timeout_ms = timeout_ms,
    };
    assert_int_equal(ut_http_client_new(&config, &c->client), UT_OK);
    return c;
}

static void hang_up(caller *c)
{
    ut_http_client_free(c->client);
    ut_resolver_close(c->resolver);
    ut_poller_close(c->poller);
    free(c);
}

// Steps until the request has ended, waiting on the poller in between for as long as the client
// wants to: a readiness that it does not ask for is never noticed. With skip_ms, the clock goes
// forward by so much when nothing more happens.
static ut_err run(caller *c, uint64_t skip_ms, ut_http_answer *answer, ut_fault *fault)
{
    enum { QUIET_MS = 50 };
    uint64_t begin = ut_clock_mono_ms();
    uint64_t skipped = 0;
    for (;;) {
        uint64_t now = ut_clock_mono_ms() + skipped;
        if (now - skipped - begin > DEADLINE_MS)
            fail_msg("the request does not end");
        uint64_t next_ms = 0;
        ut_err err =
            ut_http_client_step(c->client, now, ut_clock_wall_ns(), &next_ms, answer, fault);
        if (err != UT_EAGAIN)
            return err;
        assert_true(next_ms != UINT64_MAX); // a request always has an end in time
        uint64_t wait_ms = next_ms > now ? next_ms - now : 0;
        if (skip_ms > 0 && wait_ms > QUIET_MS)
            wait_ms = QUIET_MS;
        ut_poll_event events[4];
        size_t count = 0;
        assert_int_equal(ut_poller_wait(c->poller, wait_ms, events, 4, &count), UT_OK);
        for (size_t i = 0; i < count; i++)
            assert_ptr_equal(events[i].tag, c);
        if (count == 0 && !ut_http_client_resolving(c->client))
            skipped = skip_ms;
    }
}

static const ut_http_request simple = {
    .method_z = "POST",
    .content_type_z = "application/x-protobuf",
    .body = {(const uint8_t *)"spans", 5},
};

static ut_err post(caller *c, const ut_http_request *request, ut_http_answer *answer,
                   ut_fault *fault)
{
    ut_http_client_start(c->client, request, ut_clock_mono_ms());
    return run(c, 0, answer, fault);
}

static void expect_status(caller *c, const ut_http_request *request, int status)
{
    ut_http_answer answer = {0};
    ut_fault fault = {0};
    ut_err err = post(c, request, &answer, &fault);
    if (err != UT_OK)
        fail_msg("%s: %s", ut_err_name(err), fault.text_z);
    assert_int_equal(answer.status, status);
}

// Steps the client without a request until it has closed its connection.
static void expect_closed(caller *c)
{
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    ut_http_answer answer;
    while (ut_http_client_connected(c->client)) {
        assert_true(ut_clock_mono_ms() < end);
        ut_poll_event event;
        size_t count = 0;
        assert_int_equal(ut_poller_wait(c->poller, 50, &event, 1, &count), UT_OK);
        uint64_t next_ms = 0;
        assert_int_equal(
            ut_http_client_step(c->client, ut_clock_mono_ms(), 0, &next_ms, &answer, NULL),
            UT_EAGAIN);
    }
}

// ---- scripts of the server ----

typedef struct {
    ut_bytes bytes; // sent as they are
    ut_peer_then then;
    size_t piece;
    int reset_first; // requests answered by breaking the connection
    // The last request.
    char head_z[8192];
    uint8_t *body;
    size_t body_len;
} script;

static void play(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    script *s = context;
    (void)snprintf(s->head_z, sizeof s->head_z, "%.*s", (int)request->head.len,
                   (const char *)request->head.data);
    free(s->body);
    s->body = malloc(request->body.len + 1);
    if (request->body.len > 0)
        memcpy(s->body, request->body.data, request->body.len);
    s->body_len = request->body.len;
    if (request->number < s->reset_first) {
        answer->then = UT_PEER_RESET;
        return;
    }
    ut_buf_add_bytes(&answer->bytes, s->bytes);
    answer->then = s->then;
    answer->piece = s->piece;
}

static const char ok_z[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static ut_peer *serve(script *s)
{
    ut_peer_config config = {.script = play, .context = s};
    return ut_peer_start(&config);
}

// ---- tests ----

static void a_request_is_sent_as_it_was_given(void **state)
{
    (void)state;
    script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n"
                                      "Content-Length: 5\r\nRetry-After: 2\r\n\r\nhello")};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    char name_z[] = "X-Api-Key";
    char value_z[] = "secret value";
    ut_header header = {name_z, value_z};
    ut_http_request request = simple;
    request.content_encoding_z = "gzip";
    request.user_agent_z = "Untrace/1";
    request.headers = &header;
    request.header_count = 1;
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(post(c, &request, &answer, &fault), UT_OK);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.retry_after_ms, 2000);
    assert_true(ut_bytes_equal(answer.content_type, UT_BYTES_LIT("text/x")));
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("hello")));
    assert_int_equal(s.body_len, 5);
    assert_memory_equal(s.body, "spans", 5);
    char expected_z[512];
    (void)snprintf(expected_z, sizeof expected_z,
                   "POST /v1/traces?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: Untrace/1\r\n"
                   "Accept-Encoding: gzip\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Encoding: gzip\r\nContent-Length: 5\r\nX-Api-Key: secret value\r\n\r\n",
                   (unsigned)ut_peer_port(peer));
    assert_string_equal(s.head_z, expected_z);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void configured_headers_take_the_place_of_ours(void **state)
{
    (void)state;
    script s = {.bytes = ut_bytes_of_z(ok_z)};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    char names_z[2][16] = {"HOST", "User-Agent"};
    char values_z[2][16] = {"virtual", "mine"};
    ut_header headers[2] = {{names_z[0], values_z[0]}, {names_z[1], values_z[1]}};
    ut_http_request request = simple;
    request.user_agent_z = "Untrace/1";
    request.headers = headers;
    request.header_count = 2;
    expect_status(c, &request, 200);
    assert_non_null(strstr(s.head_z, "HOST: virtual\r\n"));
    assert_non_null(strstr(s.head_z, "User-Agent: mine\r\n"));
    assert_null(strstr(s.head_z, "127.0.0.1"));
    assert_null(strstr(s.head_z, "Untrace"));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void requests_share_one_connection(void **state)
{
    (void)state;
    script s = {.bytes = ut_bytes_of_z(ok_z)};
    ut_peer *peer = serve(&s);
    caller *c = call_to("localhost", ut_peer_port(peer), NULL, TIMEOUT_MS);
    for (int i = 0; i < 20; i++)
        expect_status(c, &simple, 200);
    assert_true(ut_http_client_connected(c->client));
    ut_peer_counts counts = ut_peer_get_counts(peer);
    assert_int_equal(counts.requests, 20);
    assert_int_equal(counts.connections, 1);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_head_that_is_not_whole_is_not_sent(void **state)
{
    (void)state;
    static char agent_z[UT_HTTP_REQUEST_HEAD_MAX + 1];
    memset(agent_z, 'a', sizeof agent_z - 1);
    ut_http_request request = simple;
    request.user_agent_z = agent_z;
    for (int kept = 0; kept < 2; kept++) {
        script s = {.bytes = UT_BYTES_LIT(ok_z)};
        ut_peer *peer = serve(&s);
        caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
        if (kept == 1)
            expect_status(c, &simple, 200);
        ut_http_answer answer;
        ut_fault fault = {0};
        assert_int_equal(post(c, &request, &answer, &fault), UT_ENOMEM);
        assert_non_null(strstr(fault.text_z, "the head of the request"));
        hang_up(c);
        assert_int_equal(ut_peer_get_counts(peer).requests, kept);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void a_connection_is_not_kept_when_the_answer_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *bytes_z;
        ut_peer_then then;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", UT_PEER_KEEP},
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", UT_PEER_KEEP},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", UT_PEER_CLOSE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 X\r\n\r\n", UT_PEER_KEEP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        script s = {.bytes = ut_bytes_of_z(cases[i].bytes_z), .then = cases[i].then};
        ut_peer *peer = serve(&s);
        caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
        expect_status(c, &simple, 200);
        assert_false(ut_http_client_connected(c->client));
        expect_status(c, &simple, 200);
        assert_int_equal(ut_peer_get_counts(peer).connections, 2);
        hang_up(c);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void an_answer_may_come_in_any_pieces(void **state)
{
    (void)state;
    static const char answer_z[] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    script s = {.bytes = ut_bytes_of_z(answer_z), .piece = 1};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_answer answer;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(post(c, &simple, &answer, NULL), UT_OK);
        assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("hello")));
    }
    assert_int_equal(ut_peer_get_counts(peer).connections, 1);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void an_answer_cut_at_any_byte_is_a_failure(void **state)
{
    (void)state;
    static const char answer_z[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t len = 0; len < sizeof answer_z - 1; len++) {
        script s = {.bytes = ut_bytes_of(answer_z, len), .then = UT_PEER_CLOSE};
        ut_peer *peer = serve(&s);
        caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
        ut_http_answer answer;
        ut_fault fault = {0};
        assert_int_equal(post(c, &simple, &answer, &fault), UT_ECLOSED);
        assert_int_equal(fault.code, UT_ECLOSED);
        assert_non_null(strstr(fault.text_z, "closed"));
        assert_false(ut_http_client_busy(c->client));
        assert_false(ut_http_client_connected(c->client));
        hang_up(c);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void a_large_body_arrives_whole(void **state)
{
    (void)state;
    enum { BYTES = 20 * 1024 * 1024 };
    uint8_t *body = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    script s = {.bytes = ut_bytes_of_z(ok_z)};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_request request = simple;
    request.body = ut_bytes_of(body, BYTES);
    expect_status(c, &request, 200);
    assert_int_equal(s.body_len, BYTES);
    assert_memory_equal(s.body, body, BYTES);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_refusal_that_comes_before_the_body_is_sent_is_read(void **state)
{
    (void)state;
    enum { BYTES = 60 * 1024 * 1024 }; // more than the buffers of a loopback connection hold
    script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"),
                .then = UT_PEER_DEAF};
    ut_peer_config config = {.script = play, .context = &s, .early = true};
    ut_peer *peer = ut_peer_start(&config);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_request request = simple;
    uint8_t *body = calloc(1, BYTES);
    request.body = ut_bytes_of(body, BYTES);
    ut_http_answer answer;
    assert_int_equal(post(c, &request, &answer, NULL), UT_OK);
    assert_int_equal(answer.status, 413);
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("large")));
    assert_false(ut_http_client_connected(c->client));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_refusal_is_read_even_when_the_connection_is_broken(void **state)
{
    (void)state;
    enum { BYTES = 60 * 1024 * 1024 };
    // Closing with a body unread resets the connection behind the answer.
    script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"),
                .then = UT_PEER_CLOSE};
    ut_peer_config config = {.script = play, .context = &s, .early = true};
    ut_peer *peer = ut_peer_start(&config);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_request request = simple;
    uint8_t *body = calloc(1, BYTES);
    request.body = ut_bytes_of(body, BYTES);
    ut_http_client_start(c->client, &request, ut_clock_mono_ms());
    // The client sends as much as it can, and looks again only when the server has gone.
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    ut_http_answer answer;
    ut_err err = UT_EAGAIN;
    for (bool gone = false; !gone && err == UT_EAGAIN;) {
        assert_true(ut_clock_mono_ms() < end);
        ut_peer_counts counts = ut_peer_get_counts(peer);
        gone = counts.requests == 1 && counts.open == 0;
        uint64_t next_ms = 0;
        if (counts.requests == 0)
            err = ut_http_client_step(c->client, ut_clock_mono_ms(), 0, &next_ms, &answer, NULL);
    }
    if (err == UT_EAGAIN)
        err = run(c, 0, &answer, NULL);
    assert_int_equal(err, UT_OK);
    assert_int_equal(answer.status, 413);
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("large")));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_success_that_comes_before_the_body_is_sent_is_not_believed(void **state)
{
    (void)state;
    enum { BYTES = 60 * 1024 * 1024 }; // more than the buffers of a loopback connection hold
    script s = {.bytes = ut_bytes_of_z(ok_z), .then = UT_PEER_DEAF};
    ut_peer_config config = {.script = play, .context = &s, .early = true};
    ut_peer *peer = ut_peer_start(&config);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_request request = simple;
    uint8_t *body = calloc(1, BYTES);
    request.body = ut_bytes_of(body, BYTES);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(post(c, &request, &answer, &fault), UT_EPROTO);
    assert_non_null(strstr(fault.text_z, "before it had read"));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
    (void)state;
    script s = {.bytes = ut_bytes_of_z(ok_z), .then = UT_PEER_CLOSE};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    expect_status(c, &simple, 200);
    expect_closed(c);
    expect_status(c, &simple, 200);
    assert_int_equal(ut_peer_get_counts(peer).requests, 2);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

// Answers the first request of each connection and breaks the connection on the second.
static void play_once(void *context, const ut_peer_request *request, ut_peer_answer *answer)
{
    int *last_connection = context;
    if (request->connection == *last_connection) {
        answer->then = UT_PEER_RESET;
        return;
    }
    *last_connection = request->connection;
    ut_buf_add_z(&answer->bytes, ok_z);
}

static void a_kept_connection_that_breaks_under_a_request_is_replaced_once(void **state)
{
    (void)state;
    int last_connection = -1;
    ut_peer_config config = {.script = play_once, .context = &last_connection};
    ut_peer *peer = ut_peer_start(&config);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    expect_status(c, &simple, 200);
    expect_status(c, &simple, 200); // broken on the first connection, answered on the second
    ut_peer_counts counts = ut_peer_get_counts(peer);
    assert_int_equal(counts.connections, 2);
    assert_int_equal(counts.requests, 3);
    hang_up(c);
    ut_peer_stop(peer);
}

static void a_new_connection_that_breaks_is_a_failure(void **state)
{
    (void)state;
    script s = {.bytes = ut_bytes_of_z(ok_z), .reset_first = 1};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(post(c, &simple, &answer, &fault), UT_ECLOSED);
    assert_int_equal(ut_peer_get_counts(peer).requests, 1);
    expect_status(c, &simple, 200);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void bytes_that_nobody_asked_for_end_an_idle_connection(void **state)
{
    (void)state;
    // They come behind the answer in a packet of their own, so that the client may see them late:
    // when it looks after its connection, or only with the next request.
    for (int looks = 0; looks < 2; looks++) {
        script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                                          "HTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n"),
                    .piece = 38};
        ut_peer *peer = serve(&s);
        caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
        for (int i = 0; i < 10; i++) {
            expect_status(c, &simple, 200); // and never the 500
            if (looks == 1) {
                expect_closed(c);
                continue;
            }
            ut_poll_event event;
            size_t count = ut_http_client_connected(c->client) ? 0 : 1;
            uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
            while (count == 0) {
                assert_true(ut_clock_mono_ms() < end);
                assert_int_equal(ut_poller_wait(c->poller, 1000, &event, 1, &count), UT_OK);
            }
        }
        hang_up(c);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void an_unused_connection_is_closed_after_its_time(void **state)
{
    (void)state;
    script s = {.bytes = ut_bytes_of_z(ok_z)};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    expect_status(c, &simple, 200);
    uint64_t now = ut_clock_mono_ms();
    uint64_t next_ms = 0;
    ut_http_answer answer;
    assert_int_equal(ut_http_client_step(c->client, now, 0, &next_ms, &answer, NULL), UT_EAGAIN);
    assert_true(ut_http_client_connected(c->client));
    assert_in_range(next_ms, now + 1, now + UT_HTTP_IDLE_MS_MAX);
    assert_int_equal(ut_http_client_step(c->client, next_ms, 0, &next_ms, &answer, NULL),
                     UT_EAGAIN);
    assert_false(ut_http_client_connected(c->client));
    assert_int_equal(next_ms, UINT64_MAX);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_silent_server_is_left_at_the_timeout(void **state)
{
    (void)state;
    script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Len"), .then = UT_PEER_HANG};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_client_start(c->client, &simple, ut_clock_mono_ms());
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(run(c, TIMEOUT_MS, &answer, &fault), UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "waiting for the answer"));
    assert_false(ut_http_client_connected(c->client));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_server_that_takes_nothing_is_left_at_the_timeout(void **state)
{
    (void)state;
    // Listens and never accepts: the kernel takes the connection and a little of the body.
    ut_addr addr;
    ut_sock listener = UT_SOCK_NONE;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &addr), UT_OK);
    assert_int_equal(ut_sock_listen(&addr, 4, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    caller *c = call_to("127.0.0.1", addr.port, NULL, TIMEOUT_MS);
    enum { BYTES = 60 * 1024 * 1024 };
    uint8_t *body = calloc(1, BYTES);
    ut_http_request request = simple;
    request.body = ut_bytes_of(body, BYTES);
    ut_http_client_start(c->client, &request, ut_clock_mono_ms());
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(run(c, TIMEOUT_MS, &answer, &fault), UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "sending the request"));
    hang_up(c);
    ut_sock_close(listener);
    free(body);
}

static uint16_t free_port(void)
{
    ut_addr addr;
    ut_sock listener = UT_SOCK_NONE;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &addr), UT_OK);
    assert_int_equal(ut_sock_listen(&addr, 4, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    ut_sock_close(listener);
    return addr.port;
}

static void a_refused_connection_names_the_address(void **state)
{
    (void)state;
    uint16_t port = free_port();
    caller *c = call_to("127.0.0.1", port, NULL, TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(post(c, &simple, &answer, &fault), UT_ECONNECT);
    char text_z[64];
    (void)snprintf(text_z, sizeof text_z, "127.0.0.1:%u", (unsigned)port);
    assert_non_null(strstr(fault.text_z, text_z));
    assert_non_null(strstr(fault.text_z, "refused"));
    hang_up(c);
}

static void a_name_that_is_none_is_told(void **state)
{
    (void)state;
    caller *c = call_to("no-such-host.invalid", 80, NULL, TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    ut_http_client_start(c->client, &simple, ut_clock_mono_ms());
    assert_int_equal(run(c, 0, &answer, &fault), UT_ERESOLVE);
    assert_non_null(strstr(fault.text_z, "no-such-host.invalid"));
    hang_up(c);
}

static void what_is_not_http_is_told(void **state)
{
    (void)state;
    script s = {.bytes = UT_BYTES_LIT("SSH-2.0-OpenSSH_9.2\r\n"), .then = UT_PEER_HANG};
    ut_peer *peer = serve(&s);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), NULL, TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(post(c, &simple, &answer, &fault), UT_EPROTO);
    assert_non_null(strstr(fault.text_z, "HTTP"));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_client_can_be_freed_in_any_state(void **state)
{
    (void)state;
    script s = {.then = UT_PEER_HANG};
    ut_peer *peer = serve(&s);
    for (int steps = 0; steps < 5; steps++) {
        caller *c = call_to(steps % 2 == 0 ? "127.0.0.1" : "localhost", ut_peer_port(peer), NULL,
                            TIMEOUT_MS);
        ut_http_client_start(c->client, &simple, ut_clock_mono_ms());
        for (int i = 0; i < steps; i++) {
            uint64_t next_ms = 0;
            ut_http_answer answer;
            assert_int_equal(
                ut_http_client_step(c->client, ut_clock_mono_ms(), 0, &next_ms, &answer, NULL),
                UT_EAGAIN);
        }
        hang_up(c);
    }
    ut_peer_stop(peer);
    free(s.body);
}

static void headers_that_could_break_a_request_are_not_allowed(void **state)
{
    (void)state;
    static const struct {
        char name_z[24];
        char value_z[24];
        bool allowed;
    } cases[] = {
        {"Authorization", "Bearer abc", true},
        {"X-Tab", "a\tb", true},
        {"X-Empty", "", true},
        {"X-Utf8", "gr\xc3\xbc\xc3\x9f", true},
        {"Host", "other", true},
        {"", "x", false},
        {"Bad Name", "x", false},
        {"Bad:Name", "x", false},
        {"Bad\nName", "x", false},
        {"X", "a\r\nY: b", false},
        {"X", "a\n", false},
        {"X", "\x7f", false},
        {"X", "\x01", false},
        {"Content-Length", "5", false},
        {"TRANSFER-ENCODING", "chunked", false},
        {"connection", "close", false},
        {"Content-Type", "text/plain", false},
        {"content-encoding", "br", false},
        {"Expect", "100-continue", false},
        {"Upgrade", "h2c", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name_z[24];
        char value_z[24];
        memcpy(name_z, cases[i].name_z, sizeof name_z);
        memcpy(value_z, cases[i].value_z, sizeof value_z);
        ut_header header = {name_z, value_z};
        if (ut_http_header_allowed(&header) != cases[i].allowed)
            fail_msg("'%s: %s' is%s allowed", name_z, value_z, cases[i].allowed ? " not" : "");
    }
}

// ---- with TLS ----

typedef struct {
    ut_certs *certs;
    ut_tls_context *server;
    ut_tls_context *client;
} trust;

static int make_trust(void **state)
{
    trust *t = calloc(1, sizeof *t);
    t->certs = ut_certs_make();
    ut_tls_config server = {.server = true,
                            .cert_pem = ut_certs_get(t->certs, "server.pem"),
                            .key_pem = ut_certs_get(t->certs, "server.key")};
    ut_tls_config client = {.ca_pem = ut_certs_get(t->certs, "ca.pem")};
    ut_fault fault = {0};
    if (ut_tls_context_new(&server, &t->server, &fault) != UT_OK ||
        ut_tls_context_new(&client, &t->client, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    *state = t;
    return 0;
}

static int drop_trust(void **state)
{
    trust *t = *state;
    ut_tls_context_free(t->server);
    ut_tls_context_free(t->client);
    ut_certs_free(t->certs);
    free(t);
    return 0;
}

static void tls_carries_large_bodies_and_keeps_the_connection(void **state)
{
    trust *t = *state;
    enum { BYTES = 5 * 1024 * 1024 };
    uint8_t *body = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
                .piece = 7};
    ut_peer_config config = {.tls = t->server, .script = play, .context = &s};
    ut_peer *peer = ut_peer_start(&config);
    caller *c = call_to("127.0.0.1", ut_peer_port(peer), t->client, TIMEOUT_MS);
    ut_http_request request = simple;
    request.body = ut_bytes_of(body, BYTES);
    for (int i = 0; i < 3; i++) {
        expect_status(c, &request, 200);
        assert_int_equal(s.body_len, BYTES);
        assert_memory_equal(s.body, body, BYTES);
    }
    assert_int_equal(ut_peer_get_counts(peer).connections, 1);
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_body_that_ends_with_the_stream_must_end_properly_in_tls(void **state)
{
    trust *t = *state;
    static const ut_peer_then ends[] = {UT_PEER_CLOSE, UT_PEER_RESET};
    for (size_t i = 0; i < 2; i++) {
        script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\n\r\nhello"), .then = ends[i]};
        ut_peer_config config = {.tls = t->server, .script = play, .context = &s};
        ut_peer *peer = ut_peer_start(&config);
        caller *c = call_to("localhost", ut_peer_port(peer), t->client, TIMEOUT_MS);
        ut_http_answer answer;
        ut_fault fault = {0};
        assert_int_equal(post(c, &simple, &answer, &fault),
                         ends[i] == UT_PEER_CLOSE ? UT_OK : UT_ECLOSED);
        hang_up(c);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void new_connections_resume_the_session(void **state)
{
    trust *t = *state;
    script s = {
        .bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")};
    ut_peer_config config = {.tls = t->server, .script = play, .context = &s};
    ut_peer *peer = ut_peer_start(&config);
    ut_tls_config fresh = {.ca_pem = ut_certs_get(t->certs, "ca.pem")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&fresh, &context, NULL), UT_OK);
    caller *c = call_to("localhost", ut_peer_port(peer), context, TIMEOUT_MS);
    for (int i = 0; i < 5; i++)
        expect_status(c, &simple, 200);
    ut_peer_counts counts = ut_peer_get_counts(peer);
    assert_int_equal(counts.handshakes, 5);
    assert_int_equal(counts.resumed, 4);
    hang_up(c);
    ut_tls_context_free(context);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_plain_server_behind_an_https_url_is_told(void **state)
{
    trust *t = *state;
    script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"), .then = UT_PEER_CLOSE};
    ut_peer *peer = serve(&s);
    caller *c = call_to("localhost", ut_peer_port(peer), t->client, TIMEOUT_MS);
    ut_http_client_start(c->client, &simple, ut_clock_mono_ms());
    ut_http_answer answer;
    ut_fault fault = {0};
    // The server waits for a request that never comes; so the client's patience ends it.
    ut_err err = run(c, TIMEOUT_MS, &answer, &fault);
    assert_int_equal(err, UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "TLS"));
    hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_sent_as_it_was_given),
        cmocka_unit_test(configured_headers_take_the_place_of_ours),
        cmocka_unit_test(requests_share_one_connection),
        cmocka_unit_test(a_head_that_is_not_whole_is_not_sent),
        cmocka_unit_test(a_connection_is_not_kept_when_the_answer_says_so),
        cmocka_unit_test(an_answer_may_come_in_any_pieces),
        cmocka_unit_test(an_answer_cut_at_any_byte_is_a_failure),
        cmocka_unit_test(a_large_body_arrives_whole),
        cmocka_unit_test(a_refusal_that_comes_before_the_body_is_sent_is_read),
        cmocka_unit_test(a_refusal_is_read_even_when_the_connection_is_broken),
        cmocka_unit_test(a_success_that_comes_before_the_body_is_sent_is_not_believed),
        cmocka_unit_test(a_kept_connection_that_was_closed_is_replaced),
        cmocka_unit_test(a_kept_connection_that_breaks_under_a_request_is_replaced_once),
        cmocka_unit_test(a_new_connection_that_breaks_is_a_failure),
        cmocka_unit_test(bytes_that_nobody_asked_for_end_an_idle_connection),
        cmocka_unit_test(an_unused_connection_is_closed_after_its_time),
        cmocka_unit_test(a_silent_server_is_left_at_the_timeout),
        cmocka_unit_test(a_server_that_takes_nothing_is_left_at_the_timeout),
        cmocka_unit_test(a_refused_connection_names_the_address),
        cmocka_unit_test(a_name_that_is_none_is_told),
        cmocka_unit_test(what_is_not_http_is_told),
        cmocka_unit_test(a_client_can_be_freed_in_any_state),
        cmocka_unit_test(headers_that_could_break_a_request_are_not_allowed),
        cmocka_unit_test(tls_carries_large_bodies_and_keeps_the_connection),
        cmocka_unit_test(a_body_that_ends_with_the_stream_must_end_properly_in_tls),
        cmocka_unit_test(new_connections_resume_the_session),
        cmocka_unit_test(a_plain_server_behind_an_https_url_is_told),
    };
    return cmocka_run_group_tests(tests, make_trust, drop_trust);
}
