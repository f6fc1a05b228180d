// See tls_pair.h.
#include "tests/support/tls_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static ut_bytes pem(ut_certs *certs, const char *name_z)
{
    return name_z != NULL ? ut_certs_get(certs, name_z) : UT_BYTES_NONE;
}

ut_tls_context *ut_tls_pair_context(ut_certs *certs, bool server, const char *ca_z,
                                    const char *cert_z, const char *key_z)
{
    ut_tls_config config = {.server = server,
                            .ca_pem = pem(certs, ca_z),
                            .cert_pem = pem(certs, cert_z),
                            .key_pem = pem(certs, key_z)};
    ut_tls_context *context = NULL;
    ut_fault fault = {0};
    if (ut_tls_context_new(&config, &context, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return context;
}

void ut_tls_pair_sockets(ut_sock *client, ut_sock *server)
{
    ut_addr addr;
    ut_addr from;
    ut_sock listener = UT_SOCK_NONE;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &addr), UT_OK);
    assert_int_equal(ut_sock_listen(&addr, 4, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    assert_int_equal(ut_sock_connect(&addr, client), UT_OK);
    uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
    while (ut_sock_accept(listener, server, &from) != UT_OK)
        assert_true(ut_clock_mono_ms() < end);
    ut_sock_close(listener);
}

ut_tls_pair ut_tls_pair_shake(ut_tls_context *client, ut_tls_context *server, const char *host_z)
{
    ut_tls_pair p = {.client_err = UT_EAGAIN, .server_err = UT_EAGAIN};
    ut_tls_pair_sockets(&p.client.sock, &p.server.sock);
    assert_int_equal(ut_tls_open(client, p.client.sock, host_z, &p.client.tls), UT_OK);
    assert_int_equal(ut_tls_open(server, p.server.sock, NULL, &p.server.tls), UT_OK);
    uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
    while (p.client_err == UT_EAGAIN || p.server_err == UT_EAGAIN) {
        assert_true(ut_clock_mono_ms() < end);
        uint32_t want = 0;
        if (p.client_err == UT_EAGAIN) {
            p.client_err = ut_tls_handshake(p.client.tls, &want, &p.client_fault);
            if (p.client_err != UT_OK && p.client_err != UT_EAGAIN)
                ut_sock_shutdown_write(p.client.sock);
        }
        if (p.server_err == UT_EAGAIN) {
            p.server_err = ut_tls_handshake(p.server.tls, &want, &p.server_fault);
            if (p.server_err != UT_OK && p.server_err != UT_EAGAIN)
                ut_sock_shutdown_write(p.server.sock);
        }
    }
    return p;
}

void ut_tls_pair_close(ut_tls_pair *p)
{
    ut_stream_close(&p->client);
    ut_stream_close(&p->server);
}

void ut_tls_pair_send_text(ut_stream *to, const char *text_z)
{
    ut_bytes bytes = ut_bytes_of_z(text_z);
    uint32_t want = 0;
    size_t n = 0;
    assert_int_equal(ut_stream_write(to, &bytes, 1, &n, &want), UT_OK);
    assert_int_equal(n, bytes.len);
}

ut_err ut_tls_pair_read(ut_stream *from, void *out, size_t cap, size_t *n)
{
    uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
    for (;;) {
        uint32_t want = 0;
        ut_err err = ut_stream_read(from, out, cap, n, &want);
        if (err != UT_EAGAIN)
            return err;
        assert_true(ut_clock_mono_ms() < end);
    }
}

void ut_tls_pair_expect_text(ut_stream *from, const char *text_z)
{
    char got_z[64] = "";
    size_t len = 0;
    while (len < strlen(text_z)) {
        size_t n = 0;
        assert_int_equal(ut_tls_pair_read(from, got_z + len, sizeof got_z - 1 - len, &n), UT_OK);
        len += n;
    }
    assert_memory_equal(got_z, text_z, strlen(text_z));
}

void ut_tls_pair_exchange(ut_tls_pair *p)
{
    ut_tls_pair_send_text(&p->client, "there");
    ut_tls_pair_expect_text(&p->server, "there");
    ut_tls_pair_send_text(&p->server, "and back");
    ut_tls_pair_expect_text(&p->client, "and back");
}

void ut_tls_pair_expect_shaken(ut_tls_pair *p)
{
    if (p->client_err != UT_OK || p->server_err != UT_OK)
        fail_msg("client: %s; server: %s", p->client_fault.text_z, p->server_fault.text_z);
}

void ut_tls_pair_expect_refused(ut_tls_context *client, ut_tls_context *server, const char *host_z,
                                const char *told_z)
{
    ut_tls_pair p = ut_tls_pair_shake(client, server, host_z);
    assert_int_equal(p.client_err, UT_ETLS);
    if (strstr(p.client_fault.text_z, told_z) == NULL)
        fail_msg("told: %s", p.client_fault.text_z);
    ut_tls_pair_close(&p);
}
