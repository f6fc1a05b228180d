// The OTLP/HTTP receiver over TLS, with and without certificates of clients.
#include "tests/support/receiver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct {
    ut_receiver_rig *rig;
    ut_sock sock;
    ut_tls *tls;
} tls_client;

static ut_err handshake(tls_client *c)
{
    ut_fault fault = {UT_OK, ""};
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (;;) {
        uint32_t want = 0;
        const ut_err err = ut_tls_handshake(c->tls, &want, &fault);
        if (err != UT_EAGAIN)
            return err;
        ut_rig_round(c->rig);
        ut_wire_patience(begin_ms, "the end of the handshake");
    }
}

static tls_client open_tls(ut_receiver_rig *rig, ut_tls_context *context)
{
    tls_client c = {.rig = rig, .sock = UT_SOCK_NONE};
    const uint64_t begin_ms = ut_clock_mono_ms();
    assert_int_equal(ut_sock_connect(&rig->addr, &c.sock), UT_OK);
    while (ut_sock_connect_result(c.sock, NULL) == UT_EAGAIN) {
        ut_rig_round(rig);
        ut_wire_patience(begin_ms, "the connection");
    }
    assert_int_equal(ut_tls_open(context, c.sock, "localhost", &c.tls), UT_OK);
    return c;
}

static void close_tls(tls_client *c)
{
    ut_tls_free(c->tls);
    ut_sock_close(c->sock);
}

// Sends the request and reads until that number of answers of 200 has come. False when the
// connection ends before.
static bool tls_ask(tls_client *c, ut_bytes request, size_t answers)
{
    static char inbox[64 * 1024];
    size_t len = 0;
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (;;) {
        uint32_t want = 0;
        size_t n = 0;
        if (request.len > 0) {
            const ut_err err = ut_tls_write(c->tls, request, &n, &want);
            if (err == UT_OK) {
                request.data += n;
                request.len -= n;
            } else if (err != UT_EAGAIN) {
                return false;
            }
        }
        const ut_err err = ut_tls_read(c->tls, inbox + len, sizeof(inbox) - len, &n, &want);
        if (err == UT_OK)
            len += n;
        else if (err != UT_EAGAIN)
            return false;
        size_t got = 0;
        for (const char *at = inbox;
             (at = memmem(at, len - (size_t)(at - inbox), "HTTP/1.1 200 ", 13)) != NULL; at++)
            got++;
        if (got >= answers && request.len == 0)
            return true;
        ut_rig_round(c->rig);
        ut_wire_patience(begin_ms, "an answer over TLS");
    }
}

static void requests_come_over_tls(void **state)
{
    ut_receiver_rig *rig = *state;
    rig->certs = ut_certs_make();
    ut_receiver_otlp_http_close(rig->receiver);
    rig->limits.tls = true;
    rig->limits.cert_pem = ut_certs_get(rig->certs, "server.pem");
    rig->limits.key_pem = ut_certs_get(rig->certs, "server.key");
    ut_rig_open_receiver(rig);
    const ut_tls_config config = {.ca_pem = ut_certs_get(rig->certs, "ca.pem")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    ut_buf requests;
    ut_buf_init(&requests, UT_RIG_BUF_MAX);
    enum { COUNT = UT_HTTP_SERVER_PIPELINE_MAX + 10 };
    for (uint64_t i = 0; i < COUNT; i++) {
        const ut_bytes body = ut_rig_body(rig, i, 100, ut_rig_encoders[0]);
        ut_buf_printf(&requests,
                      "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: "
                      "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                      body.len);
        ut_buf_add_bytes(&requests, body);
    }
    tls_client c = open_tls(rig, context);
    assert_int_equal(handshake(&c), UT_OK);
    assert_true(tls_ask(&c, ut_buf_bytes(&requests), COUNT));
    close_tls(&c);

    // Without TLS, a client is cut off, and others are served on.
    ut_wire plain = ut_rig_wire(rig);
    ut_wire_send_z(&plain, "POST /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_wait_eof(&plain);
    ut_wire_close(&plain);
    c = open_tls(rig, context);
    assert_int_equal(handshake(&c), UT_OK);
    assert_true(tls_ask(&c,
                        UT_BYTES_LIT("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                     "application/json\r\nContent-Length: 2\r\n\r\n{}"),
                        1));
    close_tls(&c);
    assert_int_equal(ut_rig_counts(rig).spans_stored, COUNT * 100);
    ut_tls_context_free(context);
    ut_buf_free(&requests);
}

static void a_client_without_the_certificate_asked_for_gets_nothing(void **state)
{
    ut_receiver_rig *rig = *state;
    const ut_bytes request = UT_BYTES_LIT("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                          "application/json\r\nContent-Length: 2\r\n\r\n{}");
    rig->certs = ut_certs_make();
    ut_receiver_otlp_http_close(rig->receiver);
    rig->limits.tls = true;
    rig->limits.cert_pem = ut_certs_get(rig->certs, "server.pem");
    rig->limits.key_pem = ut_certs_get(rig->certs, "server.key");
    rig->limits.client_ca_pem = ut_certs_get(rig->certs, "ca.pem");
    ut_rig_open_receiver(rig);
    ut_tls_config config = {.ca_pem = ut_certs_get(rig->certs, "ca.pem")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    tls_client c = open_tls(rig, context);
    if (handshake(&c) == UT_OK) // in TLS 1.3 the client learns it afterwards
        assert_false(tls_ask(&c, request, 1));
    close_tls(&c);
    ut_tls_context_free(context);
    config.cert_pem = ut_certs_get(rig->certs, "client.pem");
    config.key_pem = ut_certs_get(rig->certs, "client.key");
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    c = open_tls(rig, context);
    assert_int_equal(handshake(&c), UT_OK);
    assert_true(tls_ask(&c, request, 1));
    close_tls(&c);
    ut_tls_context_free(context);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(requests_come_over_tls),
        CLAIM(a_client_without_the_certificate_asked_for_gets_nothing),
    };
    return cmocka_run_group_tests_name("receiver_tls", tests, NULL, NULL);
}
