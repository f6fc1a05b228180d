// The HTTP client against a scripted server on loopback.
#include "adapters/encoding/gzip.h"
#include "tests/support/http_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void a_request_is_sent_as_it_was_given(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes =
                              UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n"
                                           "Content-Length: 5\r\nRetry-After: 2\r\n\r\nhello")};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    char name_z[] = "X-Api-Key";
    char value_z[] = "secret value";
    ut_header header = {name_z, value_z};
    ut_http_request request = ut_caller_simple;
    request.content_encoding_z = "gzip";
    request.user_agent_z = "Untrace/1";
    request.headers = &header;
    request.header_count = 1;
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_post(c, &request, &answer, &fault), UT_OK);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.retry_after_ms, 2000);
    assert_true(ut_bytes_equal(answer.content_type, UT_BYTES_LIT("text/x")));
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("hello")));
    assert_int_equal(s.body_len, 5);
    assert_memory_equal(s.body, "spans", 5);
    char expected_z[512];
    (void)snprintf(expected_z, sizeof(expected_z),
                   "POST /v1/traces?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: Untrace/1\r\n"
                   "Accept-Encoding: gzip\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Encoding: gzip\r\nContent-Length: 5\r\nX-Api-Key: secret value\r\n\r\n",
                   (unsigned)ut_peer_port(peer));
    assert_string_equal(s.head_z, expected_z);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void configured_headers_take_the_place_of_ours(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK)};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    char names_z[2][16] = {"HOST", "User-Agent"};
    char values_z[2][16] = {"virtual", "mine"};
    ut_header headers[2] = {{names_z[0], values_z[0]}, {names_z[1], values_z[1]}};
    ut_http_request request = ut_caller_simple;
    request.user_agent_z = "Untrace/1";
    request.headers = headers;
    request.header_count = 2;
    ut_caller_expect_status(c, &request, 200);
    assert_non_null(strstr(s.head_z, "HOST: virtual\r\n"));
    assert_non_null(strstr(s.head_z, "User-Agent: mine\r\n"));
    assert_null(strstr(s.head_z, "127.0.0.1"));
    assert_null(strstr(s.head_z, "Untrace"));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void requests_share_one_connection(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK)};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("localhost", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    for (int i = 0; i < 20; i++)
        ut_caller_expect_status(c, &ut_caller_simple, 200);
    assert_true(ut_http_client_connected(c->client));
    ut_peer_counts counts = ut_peer_get_counts(peer);
    assert_int_equal(counts.requests, 20);
    assert_int_equal(counts.connections, 1);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_head_that_is_not_whole_is_not_sent(void **state)
{
    (void)state;
    static char agent_z[UT_HTTP_REQUEST_HEAD_MAX + 1];
    memset(agent_z, 'a', sizeof(agent_z) - 1);
    ut_http_request request = ut_caller_simple;
    request.user_agent_z = agent_z;
    for (int kept = 0; kept < 2; kept++) {
        ut_caller_script s = {.bytes = UT_BYTES_LIT(UT_CALLER_OK)};
        ut_peer *peer = ut_caller_serve(&s);
        ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
        if (kept == 1)
            ut_caller_expect_status(c, &ut_caller_simple, 200);
        ut_http_answer answer;
        ut_fault fault = {0};
        assert_int_equal(ut_caller_post(c, &request, &answer, &fault), UT_ENOMEM);
        assert_non_null(strstr(fault.text_z, "the head of the request"));
        ut_caller_hang_up(c);
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
    for (size_t i = 0; i < sizeof(cases) / sizeof cases[0]; i++) {
        ut_caller_script s = {.bytes = ut_bytes_of_z(cases[i].bytes_z), .then = cases[i].then};
        ut_peer *peer = ut_caller_serve(&s);
        ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
        ut_caller_expect_status(c, &ut_caller_simple, 200);
        assert_false(ut_http_client_connected(c->client));
        ut_caller_expect_status(c, &ut_caller_simple, 200);
        assert_int_equal(ut_peer_get_counts(peer).connections, 2);
        ut_caller_hang_up(c);
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
    ut_caller_script s = {.bytes = ut_bytes_of_z(answer_z), .piece = 1};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_answer answer;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ut_caller_post(c, &ut_caller_simple, &answer, NULL), UT_OK);
        assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("hello")));
    }
    assert_int_equal(ut_peer_get_counts(peer).connections, 1);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void an_answer_cut_at_any_byte_is_a_failure(void **state)
{
    (void)state;
    static const char answer_z[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t len = 0; len < sizeof(answer_z) - 1; len++) {
        ut_caller_script s = {.bytes = ut_bytes_of(answer_z, len), .then = UT_PEER_CLOSE};
        ut_peer *peer = ut_caller_serve(&s);
        ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
        ut_http_answer answer;
        ut_fault fault = {0};
        assert_int_equal(ut_caller_post(c, &ut_caller_simple, &answer, &fault), UT_ECLOSED);
        assert_int_equal(fault.code, UT_ECLOSED);
        assert_non_null(strstr(fault.text_z, "closed"));
        assert_false(ut_http_client_busy(c->client));
        assert_false(ut_http_client_connected(c->client));
        ut_caller_hang_up(c);
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
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK)};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_request request = ut_caller_simple;
    request.body = ut_bytes_of(body, BYTES);
    ut_caller_expect_status(c, &request, 200);
    assert_int_equal(s.body_len, BYTES);
    assert_memory_equal(s.body, body, BYTES);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_refusal_that_comes_before_the_body_is_sent_is_read(void **state)
{
    (void)state;
    enum { BYTES = 60 * 1024 * 1024 }; // more than the buffers of a loopback connection hold
    ut_caller_script s = {
        .bytes = UT_BYTES_LIT("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"),
        .then = UT_PEER_DEAF};
    ut_peer_config config = {.script = ut_caller_play, .context = &s, .early = true};
    ut_peer *peer = ut_peer_start(&config);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_request request = ut_caller_simple;
    uint8_t *body = calloc(1, BYTES);
    request.body = ut_bytes_of(body, BYTES);
    ut_http_answer answer;
    assert_int_equal(ut_caller_post(c, &request, &answer, NULL), UT_OK);
    assert_int_equal(answer.status, 413);
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("large")));
    assert_false(ut_http_client_connected(c->client));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_refusal_is_read_even_when_the_connection_is_broken(void **state)
{
    (void)state;
    enum { BYTES = 60 * 1024 * 1024 };
    // Closing with a body unread resets the connection behind the answer.
    ut_caller_script s = {
        .bytes = UT_BYTES_LIT("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"),
        .then = UT_PEER_CLOSE};
    ut_peer_config config = {.script = ut_caller_play, .context = &s, .early = true};
    ut_peer *peer = ut_peer_start(&config);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_request request = ut_caller_simple;
    uint8_t *body = calloc(1, BYTES);
    request.body = ut_bytes_of(body, BYTES);
    ut_http_client_start(c->client, &request, ut_clock_mono_ms());
    // The client sends as much as it can, and looks again only when the server has gone.
    uint64_t end = ut_clock_mono_ms() + UT_CALLER_DEADLINE_MS;
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
        err = ut_caller_run(c, 0, &answer, NULL);
    assert_int_equal(err, UT_OK);
    assert_int_equal(answer.status, 413);
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("large")));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_success_that_comes_before_the_body_is_sent_is_not_believed(void **state)
{
    (void)state;
    enum { BYTES = 60 * 1024 * 1024 }; // more than the buffers of a loopback connection hold
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK), .then = UT_PEER_DEAF};
    ut_peer_config config = {.script = ut_caller_play, .context = &s, .early = true};
    ut_peer *peer = ut_peer_start(&config);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_request request = ut_caller_simple;
    uint8_t *body = calloc(1, BYTES);
    request.body = ut_bytes_of(body, BYTES);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_post(c, &request, &answer, &fault), UT_EPROTO);
    assert_non_null(strstr(fault.text_z, "before it had read"));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK), .then = UT_PEER_CLOSE};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_caller_expect_status(c, &ut_caller_simple, 200);
    ut_caller_expect_closed(c);
    ut_caller_expect_status(c, &ut_caller_simple, 200);
    assert_int_equal(ut_peer_get_counts(peer).requests, 2);
    ut_caller_hang_up(c);
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
    ut_buf_add_z(&answer->bytes, UT_CALLER_OK);
}

static void a_kept_connection_that_breaks_under_a_request_is_replaced_once(void **state)
{
    (void)state;
    int last_connection = -1;
    ut_peer_config config = {.script = play_once, .context = &last_connection};
    ut_peer *peer = ut_peer_start(&config);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_caller_expect_status(c, &ut_caller_simple, 200);
    ut_caller_expect_status(c, &ut_caller_simple,
                            200); // broken on the first connection, answered on the second
    ut_peer_counts counts = ut_peer_get_counts(peer);
    assert_int_equal(counts.connections, 2);
    assert_int_equal(counts.requests, 3);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
}

static void a_new_connection_that_breaks_is_a_failure(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK), .reset_first = 1};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_post(c, &ut_caller_simple, &answer, &fault), UT_ECLOSED);
    assert_int_equal(ut_peer_get_counts(peer).requests, 1);
    ut_caller_expect_status(c, &ut_caller_simple, 200);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void bytes_that_nobody_asked_for_end_an_idle_connection(void **state)
{
    (void)state;
    // They come behind the answer in a packet of their own, so that the client may see them late:
    // when it looks after its connection, or only with the next request.
    for (int looks = 0; looks < 2; looks++) {
        ut_caller_script s = {.bytes =
                                  UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                                               "HTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n"),
                              .piece = 38};
        ut_peer *peer = ut_caller_serve(&s);
        ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
        for (int i = 0; i < 10; i++) {
            ut_caller_expect_status(c, &ut_caller_simple, 200); // and never the 500
            if (looks == 1) {
                ut_caller_expect_closed(c);
                continue;
            }
            ut_poll_event event;
            size_t count = ut_http_client_connected(c->client) ? 0 : 1;
            uint64_t end = ut_clock_mono_ms() + UT_CALLER_DEADLINE_MS;
            while (count == 0) {
                assert_true(ut_clock_mono_ms() < end);
                assert_int_equal(ut_poller_wait(c->poller, 1000, &event, 1, &count), UT_OK);
            }
        }
        ut_caller_hang_up(c);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void an_unused_connection_is_closed_after_its_time(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = ut_bytes_of_z(UT_CALLER_OK)};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_caller_expect_status(c, &ut_caller_simple, 200);
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
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_silent_server_is_left_at_the_timeout(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Len"),
                          .then = UT_PEER_HANG};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_client_start(c->client, &ut_caller_simple, ut_clock_mono_ms());
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_run(c, UT_CALLER_TIMEOUT_MS, &answer, &fault), UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "waiting for the answer"));
    assert_false(ut_http_client_connected(c->client));
    ut_caller_hang_up(c);
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
    ut_caller *c = ut_caller_to("127.0.0.1", addr.port, NULL, UT_CALLER_TIMEOUT_MS);
    enum { BYTES = 60 * 1024 * 1024 };
    uint8_t *body = calloc(1, BYTES);
    ut_http_request request = ut_caller_simple;
    request.body = ut_bytes_of(body, BYTES);
    ut_http_client_start(c->client, &request, ut_clock_mono_ms());
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_run(c, UT_CALLER_TIMEOUT_MS, &answer, &fault), UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "sending the request"));
    ut_caller_hang_up(c);
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
    ut_caller *c = ut_caller_to("127.0.0.1", port, NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_post(c, &ut_caller_simple, &answer, &fault), UT_ECONNECT);
    char text_z[64];
    (void)snprintf(text_z, sizeof(text_z), "127.0.0.1:%u", (unsigned)port);
    assert_non_null(strstr(fault.text_z, text_z));
    assert_non_null(strstr(fault.text_z, "refused"));
    ut_caller_hang_up(c);
}

static void the_host_field_names_the_host_as_tls_does(void **state)
{
    (void)state;
    static const struct {
        const char *host_z;
        const char *field_z;
    } rows[] = {
        {"localhost.", "Host: localhost:"}, // absolute
        {"LocalHost", "Host: localhost:"},
        {"127.0.0.1", "Host: 127.0.0.1:"},
    };
    ut_caller_script s = {.bytes = UT_BYTES_LIT(UT_CALLER_OK)};
    ut_peer *peer = ut_caller_serve(&s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ut_caller *c = ut_caller_to(rows[i].host_z, ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
        ut_caller_expect_status(c, &ut_caller_simple, 200);
        if (strstr(s.head_z, rows[i].field_z) == NULL)
            fail_msg("%s", s.head_z);
        ut_caller_hang_up(c);
    }
    ut_peer_stop(peer);
    free(s.body);
}

static void a_name_that_is_none_is_told(void **state)
{
    (void)state;
    ut_caller *c = ut_caller_to("no-such-host.invalid", 80, NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    ut_http_client_start(c->client, &ut_caller_simple, ut_clock_mono_ms());
    assert_int_equal(ut_caller_run(c, 0, &answer, &fault), UT_ERESOLVE);
    assert_non_null(strstr(fault.text_z, "no-such-host.invalid"));
    ut_caller_hang_up(c);
}

static void what_is_not_http_is_told(void **state)
{
    (void)state;
    ut_caller_script s = {.bytes = UT_BYTES_LIT("SSH-2.0-OpenSSH_9.2\r\n"), .then = UT_PEER_HANG};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    assert_int_equal(ut_caller_post(c, &ut_caller_simple, &answer, &fault), UT_EPROTO);
    assert_non_null(strstr(fault.text_z, "HTTP"));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_client_can_be_freed_in_any_state(void **state)
{
    (void)state;
    ut_caller_script s = {.then = UT_PEER_HANG};
    ut_peer *peer = ut_caller_serve(&s);
    for (int steps = 0; steps < 5; steps++) {
        ut_caller *c = ut_caller_to(steps % 2 == 0 ? "127.0.0.1" : "localhost", ut_peer_port(peer),
                                    NULL, UT_CALLER_TIMEOUT_MS);
        ut_http_client_start(c->client, &ut_caller_simple, ut_clock_mono_ms());
        for (int i = 0; i < steps; i++) {
            uint64_t next_ms = 0;
            ut_http_answer answer;
            assert_int_equal(
                ut_http_client_step(c->client, ut_clock_mono_ms(), 0, &next_ms, &answer, NULL),
                UT_EAGAIN);
        }
        ut_caller_hang_up(c);
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
    for (size_t i = 0; i < sizeof(cases) / sizeof cases[0]; i++) {
        char name_z[24];
        char value_z[24];
        memcpy(name_z, cases[i].name_z, sizeof(name_z));
        memcpy(value_z, cases[i].value_z, sizeof(value_z));
        ut_header header = {name_z, value_z};
        if (ut_http_header_allowed(&header) != cases[i].allowed)
            fail_msg("'%s: %s' is%s allowed", name_z, value_z, cases[i].allowed ? " not" : "");
    }
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
        cmocka_unit_test(the_host_field_names_the_host_as_tls_does),
        cmocka_unit_test(a_name_that_is_none_is_told),
        cmocka_unit_test(what_is_not_http_is_told),
        cmocka_unit_test(a_client_can_be_freed_in_any_state),
        cmocka_unit_test(headers_that_could_break_a_request_are_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
