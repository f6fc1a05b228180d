// TLS contexts and connections, both sides: what is trusted, what is refused and how it is told,
// and resumption. That OpenSSL agrees is in test_tls_openssl.c.
#include "tests/support/tls_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static ut_certs *certs;

static int make_certs(void **state)
{
    (void)state;
    certs = ut_certs_make();
    return 0;
}

static int drop_certs(void **state)
{
    (void)state;
    ut_certs_free(certs);
    return 0;
}

static ut_bytes pem(const char *name_z)
{
    return name_z != NULL ? ut_certs_get(certs, name_z) : UT_BYTES_NONE;
}

// ---- trust ----

static void a_name_or_address_in_the_certificate_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *cert_z;
        const char *key_z;
        const char *host_z;
    } cases[] = {
        {"server.pem", "server.key", "localhost"},    {"server.pem", "server.key", "LocalHost"},
        {"server.pem", "server.key", "127.0.0.1"},    {"server.pem", "server.key", "::1"},
        {"server.pem", "server.key", "::1%lo"},       {"rsa.pem", "rsa.key", "localhost"},
        {"other.pem", "other.key", "other.example"},  {"other.pem", "other.key", "a.example.net"},
        {"server.pem", "server.key", "localhost."},   {"server.pem", "server.key", "LOCALHOST."},
        {"other.pem", "other.key", "a.example.net."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_tls_context *server =
            ut_tls_pair_context(certs, true, NULL, cases[i].cert_z, cases[i].key_z);
        ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
        ut_tls_pair p = ut_tls_pair_shake(client, server, cases[i].host_z);
        ut_tls_pair_expect_shaken(&p);
        assert_false(ut_tls_resumed(p.client.tls));
        assert_false(ut_tls_resumed(p.server.tls));
        ut_tls_pair_exchange(&p);
        ut_tls_pair_close(&p);
        ut_tls_context_free(client);
        ut_tls_context_free(server);
    }
}

static void another_host_is_refused_by_name(void **state)
{
    (void)state;
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_pair_expect_refused(
        client, server, "other.example",
        "for another host: it names localhost, 127.0.0.1, [::1], not other.example");
    ut_tls_pair_expect_refused(client, server, "127.0.0.2", "not 127.0.0.2");
    ut_tls_pair_expect_refused(client, server, "::2", "not ::2");
    ut_tls_context_free(server);
    server = ut_tls_pair_context(certs, true, NULL, "other.pem", "other.key");
    ut_tls_pair_expect_refused(client, server, "localhost",
                               "it names other.example, *.example.net");
    ut_tls_pair_expect_refused(client, server, "example.net", "another host");
    ut_tls_pair_expect_refused(client, server, "a.b.example.net", "another host");
    ut_tls_pair_expect_refused(client, server, "127.0.0.1", "another host");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void a_common_name_does_not_count(void **state)
{
    (void)state;
    static const struct {
        const char *cert_z;
        const char *key_z;
        const char *host_z;
        const char *told_z;
    } rows[] = {
        {"common.pem", "common.key", "localhost",
         "has no subjectAltName, and its common name does not count (RFC 9525): have it issued "
         "with "
         "subjectAltName=DNS:localhost"},
        {"common.pem", "common.key", "127.0.0.1", "subjectAltName=IP:127.0.0.1"},
        {"common.pem", "common.key", "other.example", "has no subjectAltName"},
        {"mail.pem", "mail.key", "localhost", "it names no host at all, not localhost"},
    };
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ut_tls_context *server =
            ut_tls_pair_context(certs, true, NULL, rows[i].cert_z, rows[i].key_z);
        ut_tls_pair_expect_refused(client, server, rows[i].host_z, rows[i].told_z);
        ut_tls_context_free(server);
    }
    ut_tls_context_free(client);
}

// The first message of a client, which is not encrypted.
static size_t first_message(ut_tls_context *client, const char *host_z, char *out, size_t cap)
{
    ut_sock ours = UT_SOCK_NONE;
    ut_sock theirs = UT_SOCK_NONE;
    ut_tls_pair_sockets(&ours, &theirs);
    ut_tls *tls = NULL;
    assert_int_equal(ut_tls_open(client, ours, host_z, &tls), UT_OK);
    uint32_t want = 0;
    assert_int_equal(ut_tls_handshake(tls, &want, NULL), UT_EAGAIN);
    ut_stream stream = {.sock = theirs};
    size_t len = 0;
    assert_int_equal(ut_tls_pair_read(&stream, out, cap, &len), UT_OK);
    ut_tls_free(tls);
    ut_sock_close(ours);
    ut_sock_close(theirs);
    return len;
}

static bool holds(const char *bytes, size_t len, const char *text_z)
{
    for (size_t i = 0; i + strlen(text_z) <= len; i++) {
        if (memcmp(bytes + i, text_z, strlen(text_z)) == 0)
            return true;
    }
    return false;
}

static void the_name_for_sni_is_that_of_rfc_6066(void **state)
{
    (void)state;
    char bytes[4096];
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    static const char *const names_z[] = {"central.example", "central.example.",
                                          "xn--bro-hoa.example", "xn--bro-hoa.example."};
    for (size_t i = 0; i < sizeof names_z / sizeof names_z[0]; i++) {
        const size_t len = first_message(client, names_z[i], bytes, sizeof bytes);
        assert_true(holds(bytes, len, i < 2 ? "central.example" : "xn--bro-hoa.example"));
        assert_false(holds(bytes, len, "example."));
    }
    static const char *const addresses_z[] = {"192.0.2.55", "2001:db8::55", "fe80::55%lo"};
    for (size_t i = 0; i < sizeof addresses_z / sizeof addresses_z[0]; i++) {
        const size_t len = first_message(client, addresses_z[i], bytes, sizeof bytes);
        assert_false(holds(bytes, len, i == 0 ? "192.0.2.55" : "::55"));
    }
    ut_tls_context_free(client);
}

static void an_address_is_not_looked_for_among_names(void **state)
{
    (void)state;
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "numeric.pem", "numeric.key");
    ut_tls_pair_expect_refused(client, server, "127.0.0.1", "another host");
    ut_tls_pair_expect_refused(client, server, "9.0.0.1", "another host");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void a_certificate_out_of_its_time_is_refused_with_the_date(void **state)
{
    (void)state;
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "expired.pem", "expired.key");
    ut_tls_pair_expect_refused(client, server, "localhost", "expired on 2021-02-03 04:05 UTC");
    ut_tls_context_free(server);
    server = ut_tls_pair_context(certs, true, NULL, "future.pem", "future.key");
    ut_tls_pair_expect_refused(client, server, "localhost",
                               "not valid before 2090-01-01 00:00 UTC");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void a_certificate_of_an_unknown_ca_is_refused(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "stray.pem", NULL, NULL);
    ut_tls_pair_expect_refused(client, server, "localhost", "not signed by a trusted CA");
    ut_tls_context_free(client);
    ut_tls_context_free(server);
    client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    server = ut_tls_pair_context(certs, true, NULL, "stray.pem", "stray.key");
    ut_tls_pair_expect_refused(client, server, "localhost", "not signed by a trusted CA");
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void insecure_accepts_what_verification_refuses(void **state)
{
    (void)state;
    static const char *const names_z[][2] = {
        {"stray.pem", "stray.key"}, {"expired.pem", "expired.key"}, {"other.pem", "other.key"}};
    ut_tls_config config = {.insecure = true};
    for (size_t i = 0; i < 3; i++) {
        ut_tls_context *client = NULL;
        assert_int_equal(ut_tls_context_new(&config, &client, NULL), UT_OK);
        ut_tls_context *server =
            ut_tls_pair_context(certs, true, NULL, names_z[i][0], names_z[i][1]);
        ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
        ut_tls_pair_expect_shaken(&p);
        ut_tls_pair_exchange(&p);
        ut_tls_pair_close(&p);
        ut_tls_context_free(client);
        ut_tls_context_free(server);
    }
}

// ---- client certificates ----

static void a_client_certificate_is_accepted_when_its_ca_is_known(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, "ca.pem", "server.pem", "server.key");
    ut_tls_context *client =
        ut_tls_pair_context(certs, false, "ca.pem", "client.pem", "client.key");
    for (int i = 0; i < 2; i++) { // the second time it is the ticket that vouches for it
        ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
        ut_tls_pair_expect_shaken(&p);
        assert_int_equal(ut_tls_resumed(p.client.tls), i == 1);
        assert_int_equal(ut_tls_resumed(p.server.tls), i == 1);
        ut_tls_pair_exchange(&p);
        ut_tls_pair_close(&p);
    }
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void a_missing_or_unknown_client_certificate_is_told_on_both_sides(void **state)
{
    (void)state;
    static const struct {
        const char *cert_z;
        const char *key_z;
        const char *server_told_z;
        const char *client_told_z;
    } cases[] = {
        {NULL, NULL, "no certificate", "client certificate"},
        {"stray.pem", "stray.key", "not signed by a trusted CA", "client certificate"},
    };
    for (size_t i = 0; i < 2; i++) {
        ut_tls_context *server =
            ut_tls_pair_context(certs, true, "ca.pem", "server.pem", "server.key");
        ut_tls_context *client =
            ut_tls_pair_context(certs, false, "ca.pem", cases[i].cert_z, cases[i].key_z);
        ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
        assert_int_equal(p.server_err, UT_ETLS);
        if (strstr(p.server_fault.text_z, cases[i].server_told_z) == NULL)
            fail_msg("the server says: %s", p.server_fault.text_z);
        // In TLS 1.3 the client's handshake is over by then; it learns of it when it reads.
        assert_int_equal(p.client_err, UT_OK);
        uint8_t byte;
        size_t n = 0;
        assert_int_equal(ut_tls_pair_read(&p.client, &byte, 1, &n), UT_ETLS);
        ut_fault fault = {0};
        ut_tls_explain(p.client.tls, &fault);
        if (strstr(fault.text_z, cases[i].client_told_z) == NULL)
            fail_msg("the client says: %s", fault.text_z);
        ut_tls_pair_close(&p);
        ut_tls_context_free(client);
        ut_tls_context_free(server);
    }
}

// ---- configuration ----

static void a_context_that_cannot_work_is_explained(void **state)
{
    (void)state;
    static const struct {
        bool server;
        const char *ca_z;
        const char *cert_z;
        const char *key_z;
        ut_err err;
        const char *told_z;
    } cases[] = {
        {false, NULL, NULL, NULL, UT_EINVAL, "no trusted CA"},
        {true, NULL, NULL, NULL, UT_EINVAL, "needs a certificate"},
        {false, "ca.pem", "client.pem", NULL, UT_EINVAL, "without its private key"},
        {false, "ca.pem", NULL, "client.key", UT_EINVAL, "without its certificate"},
        {false, "ca.key", NULL, NULL, UT_ETLS, "CA file holds no PEM certificate"},
        {true, NULL, "server.key", "server.key", UT_ETLS, "certificate holds no PEM"},
        {true, NULL, "server.pem", "server.pem", UT_ETLS, "private key does not parse"},
        {true, NULL, "server.pem", "client.key", UT_ETLS, "does not belong"},
        {false, "ca.pem", "client.pem", "client.enc", UT_ETLS, "without a passphrase"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_tls_config config = {.server = cases[i].server,
                                .ca_pem = pem(cases[i].ca_z),
                                .cert_pem = pem(cases[i].cert_z),
                                .key_pem = pem(cases[i].key_z)};
        ut_tls_context *context = NULL;
        ut_fault fault = {0};
        ut_err err = ut_tls_context_new(&config, &context, &fault);
        if (err != cases[i].err || strstr(fault.text_z, cases[i].told_z) == NULL)
            fail_msg("case %zu: %s, %s", i, ut_err_name(err), fault.text_z);
        assert_null(context);
    }
}

static void one_bad_certificate_does_not_spoil_a_bundle(void **state)
{
    (void)state;
    ut_buf bundle;
    ut_buf_init(&bundle, 1 << 20);
    ut_buf_add_z(&bundle, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    ut_buf_add_bytes(&bundle, pem("ca.pem"));
    ut_tls_config config = {.ca_pem = ut_buf_bytes(&bundle)};
    ut_tls_context *client = NULL;
    assert_int_equal(ut_tls_context_new(&config, &client, NULL), UT_OK);
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
    ut_tls_pair_expect_shaken(&p);
    ut_tls_pair_close(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
    ut_buf_reset(&bundle, SIZE_MAX);
    ut_buf_add_z(&bundle, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    config.ca_pem = ut_buf_bytes(&bundle);
    assert_int_equal(ut_tls_context_new(&config, &client, NULL), UT_ETLS);
    ut_buf_free(&bundle);
}

// ---- resumption ----

static bool resumes(ut_tls_context *client, ut_tls_context *server, const char *host_z)
{
    ut_tls_pair p = ut_tls_pair_shake(client, server, host_z);
    ut_tls_pair_expect_shaken(&p);
    ut_tls_pair_exchange(&p);
    bool resumed = ut_tls_resumed(p.client.tls);
    assert_int_equal(ut_tls_resumed(p.server.tls), resumed);
    ut_tls_pair_close(&p);
    return resumed;
}

static void a_session_is_resumed_for_its_own_host_alone(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    assert_false(resumes(client, server, "localhost"));
    assert_true(resumes(client, server, "localhost"));
    assert_true(resumes(client, server, "localhost"));
    assert_false(resumes(client, server, "127.0.0.1"));
    assert_true(resumes(client, server, "127.0.0.1"));
    assert_true(resumes(client, server, "localhost"));
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void a_restarted_server_gets_a_whole_handshake(void **state)
{
    (void)state;
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    for (int i = 0; i < 3; i++) {
        ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
        assert_false(resumes(client, server, "localhost"));
        assert_true(resumes(client, server, "localhost"));
        ut_tls_context_free(server);
    }
    ut_tls_context_free(client);
}

static void a_session_does_not_carry_trust_to_another_certificate(void **state)
{
    (void)state;
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    assert_false(resumes(client, server, "localhost"));
    ut_tls_context_free(server);
    server = ut_tls_pair_context(certs, true, NULL, "stray.pem", "stray.key");
    ut_tls_pair_expect_refused(client, server, "localhost", "not signed by a trusted CA");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void only_so_many_sessions_are_remembered(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "other.pem", "other.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    char host_z[32];
    for (int i = 0; i <= UT_TLS_SESSIONS_MAX; i++) {
        (void)snprintf(host_z, sizeof host_z, "h%d.example.net", i);
        assert_false(resumes(client, server, host_z));
    }
    for (int i = UT_TLS_SESSIONS_MAX; i > 0; i--) {
        (void)snprintf(host_z, sizeof host_z, "h%d.example.net", i);
        assert_true(resumes(client, server, host_z));
    }
    assert_false(resumes(client, server, "h0.example.net")); // the oldest was forgotten
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

// ---- data ----

static void writes_that_wait_lose_and_repeat_nothing(void **state)
{
    (void)state;
    enum { BYTES = 8 * 1024 * 1024 };
    uint8_t *sent = malloc(BYTES);
    uint8_t *got = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 11);
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
    ut_tls_pair_expect_shaken(&p);
    size_t sent_len = 0;
    size_t got_len = 0;
    int waits = 0;
    uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
    while (got_len < BYTES) {
        assert_true(ut_clock_mono_ms() < end);
        uint32_t want = 0;
        size_t n = 0;
        if (sent_len < BYTES) {
            // Two parts with a border that moves, as a request has between head and body.
            size_t border = (BYTES - sent_len) / 3;
            ut_bytes parts[2] = {ut_bytes_of(sent + sent_len, border),
                                 ut_bytes_of(sent + sent_len + border, BYTES - sent_len - border)};
            ut_err err = ut_stream_write(&p.client, parts, 2, &n, &want);
            if (err == UT_OK) {
                sent_len += n;
                continue;
            }
            assert_int_equal(err, UT_EAGAIN);
            assert_int_equal(want, UT_WRITABLE);
            waits++;
        }
        // The client looks for an answer, as HTTP clients do, and finds the tickets of TLS 1.3.
        uint8_t byte;
        assert_int_equal(ut_stream_read(&p.client, &byte, 1, &n, &want), UT_EAGAIN);
        // The reader takes a little at a time, so that the writer waits often.
        for (int i = 0; i < 40 && got_len < BYTES; i++) {
            ut_err err = ut_stream_read(&p.server, got + got_len, BYTES - got_len, &n, &want);
            if (err == UT_EAGAIN)
                break;
            assert_int_equal(err, UT_OK);
            got_len += n;
        }
    }
    assert_true(waits > 3);
    assert_memory_equal(sent, got, BYTES);
    ut_tls_pair_close(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
    free(sent);
    free(got);
}

static void the_end_is_told_from_a_break(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    for (int proper = 0; proper < 2; proper++) {
        ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
        ut_tls_pair_expect_shaken(&p);
        ut_tls_pair_send_text(&p.server, "last words");
        uint32_t want = 0;
        if (proper == 1)
            assert_int_equal(ut_tls_shutdown(p.server.tls, &want), UT_OK);
        ut_stream_close(&p.server);
        ut_tls_pair_expect_text(&p.client, "last words");
        uint8_t byte;
        size_t n = 0;
        assert_int_equal(ut_tls_pair_read(&p.client, &byte, 1, &n),
                         proper == 1 ? UT_ECLOSED : UT_EIO);
        ut_tls_pair_close(&p);
    }
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void decrypted_bytes_that_wait_are_told(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
    ut_tls_pair_expect_shaken(&p);
    ut_tls_pair_send_text(&p.client, "abc");
    uint8_t byte;
    size_t n = 0;
    assert_int_equal(ut_tls_pair_read(&p.server, &byte, 1, &n), UT_OK);
    assert_true(ut_tls_pending(p.server.tls));
    assert_int_equal(ut_tls_pair_read(&p.server, &byte, 1, &n), UT_OK);
    assert_int_equal(ut_tls_pair_read(&p.server, &byte, 1, &n), UT_OK);
    assert_false(ut_tls_pending(p.server.tls));
    ut_tls_pair_close(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void a_damaged_record_is_an_error_with_a_reason(void **state)
{
    (void)state;
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_tls_pair p = ut_tls_pair_shake(client, server, "localhost");
    ut_tls_pair_expect_shaken(&p);
    ut_tls_pair_exchange(&p);
    static const uint8_t record[] = {0x17, 0x03, 0x03, 0x00, 0x20, 1,  2,  3,  4,  5,  6,  7,  8,
                                     9,    10,   11,   12,   13,   14, 15, 16, 17, 18, 19, 20, 21,
                                     22,   23,   24,   25,   26,   27, 28, 29, 30, 31, 32};
    ut_bytes bytes = ut_bytes_of(record, sizeof record);
    size_t n = 0;
    assert_int_equal(ut_sock_write(p.client.sock, &bytes, 1, &n), UT_OK);
    uint8_t byte;
    assert_int_equal(ut_tls_pair_read(&p.server, &byte, 1, &n), UT_ETLS);
    ut_fault fault = {0};
    ut_tls_explain(p.server.tls, &fault);
    assert_true(fault.text_z[0] != '\0');
    ut_tls_pair_close(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void a_peer_that_speaks_something_else_is_told(void **state)
{
    (void)state;
    static const char *const texts_z[] = {"GET / HTTP/1.1\r\n\r\n",
                                          "HTTP/1.1 400 Bad Request\r\n\r\n"};
    for (int server_side = 0; server_side < 2; server_side++) {
        ut_tls_context *context =
            server_side == 1 ? ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key")
                             : ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
        ut_sock ours = UT_SOCK_NONE;
        ut_sock theirs = UT_SOCK_NONE;
        ut_tls_pair_sockets(&ours, &theirs);
        ut_tls *tls = NULL;
        assert_int_equal(ut_tls_open(context, ours, server_side == 1 ? NULL : "localhost", &tls),
                         UT_OK);
        ut_bytes bytes = ut_bytes_of_z(texts_z[1 - server_side]);
        size_t n = 0;
        assert_int_equal(ut_sock_write(theirs, &bytes, 1, &n), UT_OK);
        ut_fault fault = {0};
        uint32_t want = 0;
        ut_err err = UT_EAGAIN;
        uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
        while (err == UT_EAGAIN) {
            assert_true(ut_clock_mono_ms() < end);
            err = ut_tls_handshake(tls, &want, &fault);
        }
        assert_int_equal(err, UT_ETLS);
        if (strstr(fault.text_z, "plain HTTP") == NULL)
            fail_msg("told: %s", fault.text_z);
        ut_tls_free(tls);
        ut_sock_close(ours);
        ut_sock_close(theirs);
        ut_tls_context_free(context);
    }
}

static void a_peer_that_leaves_in_the_handshake_is_told(void **state)
{
    (void)state;
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
    ut_sock ours = UT_SOCK_NONE;
    ut_sock theirs = UT_SOCK_NONE;
    ut_tls_pair_sockets(&ours, &theirs);
    ut_tls *tls = NULL;
    assert_int_equal(ut_tls_open(client, ours, "localhost", &tls), UT_OK);
    ut_fault fault = {0};
    uint32_t want = 0;
    assert_int_equal(ut_tls_handshake(tls, &want, &fault), UT_EAGAIN);
    assert_int_equal(want, UT_READABLE);
    ut_sock_close(theirs);
    ut_err err = UT_EAGAIN;
    uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
    while (err == UT_EAGAIN) {
        assert_true(ut_clock_mono_ms() < end);
        err = ut_tls_handshake(tls, &want, &fault);
    }
    assert_int_equal(err, UT_ETLS);
    assert_non_null(strstr(fault.text_z, "closed the connection during the TLS handshake"));
    ut_tls_free(tls);
    ut_sock_close(ours);
    ut_tls_context_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_or_address_in_the_certificate_is_accepted),
        cmocka_unit_test(another_host_is_refused_by_name),
        cmocka_unit_test(a_common_name_does_not_count),
        cmocka_unit_test(the_name_for_sni_is_that_of_rfc_6066),
        cmocka_unit_test(an_address_is_not_looked_for_among_names),
        cmocka_unit_test(a_certificate_out_of_its_time_is_refused_with_the_date),
        cmocka_unit_test(a_certificate_of_an_unknown_ca_is_refused),
        cmocka_unit_test(insecure_accepts_what_verification_refuses),
        cmocka_unit_test(a_client_certificate_is_accepted_when_its_ca_is_known),
        cmocka_unit_test(a_missing_or_unknown_client_certificate_is_told_on_both_sides),
        cmocka_unit_test(a_context_that_cannot_work_is_explained),
        cmocka_unit_test(one_bad_certificate_does_not_spoil_a_bundle),
        cmocka_unit_test(a_session_is_resumed_for_its_own_host_alone),
        cmocka_unit_test(a_restarted_server_gets_a_whole_handshake),
        cmocka_unit_test(a_session_does_not_carry_trust_to_another_certificate),
        cmocka_unit_test(only_so_many_sessions_are_remembered),
        cmocka_unit_test(writes_that_wait_lose_and_repeat_nothing),
        cmocka_unit_test(the_end_is_told_from_a_break),
        cmocka_unit_test(decrypted_bytes_that_wait_are_told),
        cmocka_unit_test(a_damaged_record_is_an_error_with_a_reason),
        cmocka_unit_test(a_peer_that_speaks_something_else_is_told),
        cmocka_unit_test(a_peer_that_leaves_in_the_handshake_is_told),
    };
    return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
