// The HTTP client against a scripted server over TLS.
#include "tests/support/certs.h"
#include "tests/support/http_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

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
    ut_caller_script s = {
        .bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), .piece = 7};
    ut_peer_config config = {.tls = t->server, .script = ut_caller_play, .context = &s};
    ut_peer *peer = ut_peer_start(&config);
    ut_caller *c = ut_caller_to("127.0.0.1", ut_peer_port(peer), t->client, UT_CALLER_TIMEOUT_MS);
    ut_http_request request = ut_caller_simple;
    request.body = ut_bytes_of(body, BYTES);
    for (int i = 0; i < 3; i++) {
        ut_caller_expect_status(c, &request, 200);
        assert_int_equal(s.body_len, BYTES);
        assert_memory_equal(s.body, body, BYTES);
    }
    assert_int_equal(ut_peer_get_counts(peer).connections, 1);
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
    free(body);
}

static void a_body_that_ends_with_the_stream_must_end_properly_in_tls(void **state)
{
    trust *t = *state;
    static const ut_peer_then ends[] = {UT_PEER_CLOSE, UT_PEER_RESET};
    for (size_t i = 0; i < 2; i++) {
        ut_caller_script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\n\r\nhello"),
                              .then = ends[i]};
        ut_peer_config config = {.tls = t->server, .script = ut_caller_play, .context = &s};
        ut_peer *peer = ut_peer_start(&config);
        ut_caller *c =
            ut_caller_to("localhost", ut_peer_port(peer), t->client, UT_CALLER_TIMEOUT_MS);
        ut_http_answer answer;
        ut_fault fault = {0};
        assert_int_equal(ut_caller_post(c, &ut_caller_simple, &answer, &fault),
                         ends[i] == UT_PEER_CLOSE ? UT_OK : UT_ECLOSED);
        ut_caller_hang_up(c);
        ut_peer_stop(peer);
        free(s.body);
    }
}

static void new_connections_resume_the_session(void **state)
{
    trust *t = *state;
    ut_caller_script s = {
        .bytes = UT_BYTES_LIT("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")};
    ut_peer_config config = {.tls = t->server, .script = ut_caller_play, .context = &s};
    ut_peer *peer = ut_peer_start(&config);
    ut_tls_config fresh = {.ca_pem = ut_certs_get(t->certs, "ca.pem")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&fresh, &context, NULL), UT_OK);
    ut_caller *c = ut_caller_to("localhost", ut_peer_port(peer), context, UT_CALLER_TIMEOUT_MS);
    for (int i = 0; i < 5; i++)
        ut_caller_expect_status(c, &ut_caller_simple, 200);
    ut_peer_counts counts = ut_peer_get_counts(peer);
    assert_int_equal(counts.handshakes, 5);
    assert_int_equal(counts.resumed, 4);
    ut_caller_hang_up(c);
    ut_tls_context_free(context);
    ut_peer_stop(peer);
    free(s.body);
}

static void a_tls_server_behind_an_http_url_is_told(void **state)
{
    trust *t = *state;
    ut_caller_script s = {.bytes = UT_BYTES_LIT(UT_CALLER_OK)};
    ut_peer_config config = {.tls = t->server, .script = ut_caller_play, .context = &s};
    ut_peer *peer = ut_peer_start(&config);
    ut_caller *c = ut_caller_to("localhost", ut_peer_port(peer), NULL, UT_CALLER_TIMEOUT_MS);
    ut_http_answer answer;
    ut_fault fault = {0};
    // The server says so in TLS, or hangs up.
    const ut_err err = ut_caller_post(c, &ut_caller_simple, &answer, &fault);
    assert_true(err == UT_EPROTO || err == UT_ECLOSED);
    assert_non_null(strstr(fault.text_z, "a TLS port (https)?"));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
}

static void a_plain_server_behind_an_https_url_is_told(void **state)
{
    trust *t = *state;
    ut_caller_script s = {.bytes = UT_BYTES_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"),
                          .then = UT_PEER_CLOSE};
    ut_peer *peer = ut_caller_serve(&s);
    ut_caller *c = ut_caller_to("localhost", ut_peer_port(peer), t->client, UT_CALLER_TIMEOUT_MS);
    ut_http_client_start(c->client, &ut_caller_simple, ut_clock_mono_ms());
    ut_http_answer answer;
    ut_fault fault = {0};
    // The server waits for a request that never comes; so the client's patience ends it.
    ut_err err = ut_caller_run(c, UT_CALLER_TIMEOUT_MS, &answer, &fault);
    assert_int_equal(err, UT_ETIMEOUT);
    assert_non_null(strstr(fault.text_z, "TLS"));
    ut_caller_hang_up(c);
    ut_peer_stop(peer);
    free(s.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_carries_large_bodies_and_keeps_the_connection),
        cmocka_unit_test(a_body_that_ends_with_the_stream_must_end_properly_in_tls),
        cmocka_unit_test(new_connections_resume_the_session),
        cmocka_unit_test(a_tls_server_behind_an_http_url_is_told),
        cmocka_unit_test(a_plain_server_behind_an_https_url_is_told),
    };
    return cmocka_run_group_tests(tests, make_trust, drop_trust);
}
