// TLS contexts and connections, both sides: what is trusted, what is refused and how it is told,
// resumption, and that OpenSSL agrees.
#include "transport/tls/stream.h"
#include "transport/tls/tls.h"

#include "tests/support/certs.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { DEADLINE_MS = 30000 };

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

// Contexts by the names of their files.
static ut_tls_context *context_of(bool server, const char *ca_z, const char *cert_z,
                                  const char *key_z)
{
    ut_tls_config config = {
        .server = server, .ca_pem = pem(ca_z), .cert_pem = pem(cert_z), .key_pem = pem(key_z)};
    ut_tls_context *context = NULL;
    ut_fault fault = {0};
    if (ut_tls_context_new(&config, &context, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    return context;
}

// ---- two ends in one thread ----

typedef struct {
    ut_stream client;
    ut_stream server;
    ut_err client_err; // of the handshakes
    ut_err server_err;
    ut_fault client_fault;
    ut_fault server_fault;
} pair;

static void connect_sockets(ut_sock *client, ut_sock *server)
{
    ut_addr addr;
    ut_addr from;
    ut_sock listener = UT_SOCK_NONE;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &addr), UT_OK);
    assert_int_equal(ut_sock_listen(&addr, 4, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    assert_int_equal(ut_sock_connect(&addr, client), UT_OK);
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    while (ut_sock_accept(listener, server, &from) != UT_OK)
        assert_true(ut_clock_mono_ms() < end);
    ut_sock_close(listener);
}

// Shakes hands until both ends have ended. An end that fails is closed, as its owner would.
static pair shake(ut_tls_context *client, ut_tls_context *server, const char *host_z)
{
    pair p = {.client_err = UT_EAGAIN, .server_err = UT_EAGAIN};
    connect_sockets(&p.client.sock, &p.server.sock);
    assert_int_equal(ut_tls_open(client, p.client.sock, host_z, &p.client.tls), UT_OK);
    assert_int_equal(ut_tls_open(server, p.server.sock, NULL, &p.server.tls), UT_OK);
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
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

static void close_pair(pair *p)
{
    ut_stream_close(&p->client);
    ut_stream_close(&p->server);
}

static void send_text(ut_stream *to, const char *text_z)
{
    ut_bytes bytes = ut_bytes_of_z(text_z);
    uint32_t want = 0;
    size_t n = 0;
    assert_int_equal(ut_stream_write(to, &bytes, 1, &n, &want), UT_OK);
    assert_int_equal(n, bytes.len);
}

static ut_err read_some(ut_stream *from, void *out, size_t cap, size_t *n)
{
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        uint32_t want = 0;
        ut_err err = ut_stream_read(from, out, cap, n, &want);
        if (err != UT_EAGAIN)
            return err;
        assert_true(ut_clock_mono_ms() < end);
    }
}

static void expect_text(ut_stream *from, const char *text_z)
{
    char got_z[64] = "";
    size_t len = 0;
    while (len < strlen(text_z)) {
        size_t n = 0;
        assert_int_equal(read_some(from, got_z + len, sizeof got_z - 1 - len, &n), UT_OK);
        len += n;
    }
    assert_memory_equal(got_z, text_z, strlen(text_z));
}

// Both ways, so that the client sees the tickets that come behind a handshake of TLS 1.3.
static void exchange(pair *p)
{
    send_text(&p->client, "there");
    expect_text(&p->server, "there");
    send_text(&p->server, "and back");
    expect_text(&p->client, "and back");
}

static void expect_shaken(pair *p)
{
    if (p->client_err != UT_OK || p->server_err != UT_OK)
        fail_msg("client: %s; server: %s", p->client_fault.text_z, p->server_fault.text_z);
}

static void expect_refused(ut_tls_context *client, ut_tls_context *server, const char *host_z,
                           const char *told_z)
{
    pair p = shake(client, server, host_z);
    assert_int_equal(p.client_err, UT_ETLS);
    if (strstr(p.client_fault.text_z, told_z) == NULL)
        fail_msg("told: %s", p.client_fault.text_z);
    close_pair(&p);
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
        {"server.pem", "server.key", "localhost"},   {"server.pem", "server.key", "LocalHost"},
        {"server.pem", "server.key", "127.0.0.1"},   {"server.pem", "server.key", "::1"},
        {"server.pem", "server.key", "::1%lo"},      {"rsa.pem", "rsa.key", "localhost"},
        {"other.pem", "other.key", "other.example"}, {"other.pem", "other.key", "a.example.net"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_tls_context *server = context_of(true, NULL, cases[i].cert_z, cases[i].key_z);
        ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
        pair p = shake(client, server, cases[i].host_z);
        expect_shaken(&p);
        assert_false(ut_tls_resumed(p.client.tls));
        assert_false(ut_tls_resumed(p.server.tls));
        exchange(&p);
        close_pair(&p);
        ut_tls_context_free(client);
        ut_tls_context_free(server);
    }
}

static void another_host_is_refused_by_name(void **state)
{
    (void)state;
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    expect_refused(client, server, "other.example",
                   "for another host: it names localhost, 127.0.0.1, [::1], not other.example");
    expect_refused(client, server, "127.0.0.2", "not 127.0.0.2");
    expect_refused(client, server, "::2", "not ::2");
    ut_tls_context_free(server);
    server = context_of(true, NULL, "other.pem", "other.key");
    expect_refused(client, server, "localhost", "it names other.example, *.example.net");
    expect_refused(client, server, "example.net", "another host");
    expect_refused(client, server, "a.b.example.net", "another host");
    expect_refused(client, server, "127.0.0.1", "another host");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void an_address_is_not_looked_for_among_names(void **state)
{
    (void)state;
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    ut_tls_context *server = context_of(true, NULL, "numeric.pem", "numeric.key");
    expect_refused(client, server, "127.0.0.1", "another host");
    expect_refused(client, server, "9.0.0.1", "another host");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void a_certificate_out_of_its_time_is_refused_with_the_date(void **state)
{
    (void)state;
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    ut_tls_context *server = context_of(true, NULL, "expired.pem", "expired.key");
    expect_refused(client, server, "localhost", "expired on 2021-02-03 04:05 UTC");
    ut_tls_context_free(server);
    server = context_of(true, NULL, "future.pem", "future.key");
    expect_refused(client, server, "localhost", "not valid before 2090-01-01 00:00 UTC");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void a_certificate_of_an_unknown_ca_is_refused(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "stray.pem", NULL, NULL);
    expect_refused(client, server, "localhost", "not signed by a trusted CA");
    ut_tls_context_free(client);
    ut_tls_context_free(server);
    client = context_of(false, "ca.pem", NULL, NULL);
    server = context_of(true, NULL, "stray.pem", "stray.key");
    expect_refused(client, server, "localhost", "not signed by a trusted CA");
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
        ut_tls_context *server = context_of(true, NULL, names_z[i][0], names_z[i][1]);
        pair p = shake(client, server, "localhost");
        expect_shaken(&p);
        exchange(&p);
        close_pair(&p);
        ut_tls_context_free(client);
        ut_tls_context_free(server);
    }
}

// ---- client certificates ----

static void a_client_certificate_is_accepted_when_its_ca_is_known(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, "ca.pem", "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "ca.pem", "client.pem", "client.key");
    for (int i = 0; i < 2; i++) { // the second time it is the ticket that vouches for it
        pair p = shake(client, server, "localhost");
        expect_shaken(&p);
        assert_int_equal(ut_tls_resumed(p.client.tls), i == 1);
        assert_int_equal(ut_tls_resumed(p.server.tls), i == 1);
        exchange(&p);
        close_pair(&p);
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
        ut_tls_context *server = context_of(true, "ca.pem", "server.pem", "server.key");
        ut_tls_context *client = context_of(false, "ca.pem", cases[i].cert_z, cases[i].key_z);
        pair p = shake(client, server, "localhost");
        assert_int_equal(p.server_err, UT_ETLS);
        if (strstr(p.server_fault.text_z, cases[i].server_told_z) == NULL)
            fail_msg("the server says: %s", p.server_fault.text_z);
        // In TLS 1.3 the client's handshake is over by then; it learns of it when it reads.
        assert_int_equal(p.client_err, UT_OK);
        uint8_t byte;
        size_t n = 0;
        assert_int_equal(read_some(&p.client, &byte, 1, &n), UT_ETLS);
        ut_fault fault = {0};
        ut_tls_explain(p.client.tls, &fault);
        if (strstr(fault.text_z, cases[i].client_told_z) == NULL)
            fail_msg("the client says: %s", fault.text_z);
        close_pair(&p);
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
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    pair p = shake(client, server, "localhost");
    expect_shaken(&p);
    close_pair(&p);
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
    pair p = shake(client, server, host_z);
    expect_shaken(&p);
    exchange(&p);
    bool resumed = ut_tls_resumed(p.client.tls);
    assert_int_equal(ut_tls_resumed(p.server.tls), resumed);
    close_pair(&p);
    return resumed;
}

static void a_session_is_resumed_for_its_own_host_alone(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
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
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    for (int i = 0; i < 3; i++) {
        ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
        assert_false(resumes(client, server, "localhost"));
        assert_true(resumes(client, server, "localhost"));
        ut_tls_context_free(server);
    }
    ut_tls_context_free(client);
}

static void a_session_does_not_carry_trust_to_another_certificate(void **state)
{
    (void)state;
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    assert_false(resumes(client, server, "localhost"));
    ut_tls_context_free(server);
    server = context_of(true, NULL, "stray.pem", "stray.key");
    expect_refused(client, server, "localhost", "not signed by a trusted CA");
    ut_tls_context_free(server);
    ut_tls_context_free(client);
}

static void only_so_many_sessions_are_remembered(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, NULL, "other.pem", "other.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
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
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    pair p = shake(client, server, "localhost");
    expect_shaken(&p);
    size_t sent_len = 0;
    size_t got_len = 0;
    int waits = 0;
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
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
    close_pair(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
    free(sent);
    free(got);
}

static void the_end_is_told_from_a_break(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    for (int proper = 0; proper < 2; proper++) {
        pair p = shake(client, server, "localhost");
        expect_shaken(&p);
        send_text(&p.server, "last words");
        uint32_t want = 0;
        if (proper == 1)
            assert_int_equal(ut_tls_shutdown(p.server.tls, &want), UT_OK);
        ut_stream_close(&p.server);
        expect_text(&p.client, "last words");
        uint8_t byte;
        size_t n = 0;
        assert_int_equal(read_some(&p.client, &byte, 1, &n), proper == 1 ? UT_ECLOSED : UT_EIO);
        close_pair(&p);
    }
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void decrypted_bytes_that_wait_are_told(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    pair p = shake(client, server, "localhost");
    expect_shaken(&p);
    send_text(&p.client, "abc");
    uint8_t byte;
    size_t n = 0;
    assert_int_equal(read_some(&p.server, &byte, 1, &n), UT_OK);
    assert_true(ut_tls_pending(p.server.tls));
    assert_int_equal(read_some(&p.server, &byte, 1, &n), UT_OK);
    assert_int_equal(read_some(&p.server, &byte, 1, &n), UT_OK);
    assert_false(ut_tls_pending(p.server.tls));
    close_pair(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void a_damaged_record_is_an_error_with_a_reason(void **state)
{
    (void)state;
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    pair p = shake(client, server, "localhost");
    expect_shaken(&p);
    exchange(&p);
    static const uint8_t record[] = {0x17, 0x03, 0x03, 0x00, 0x20, 1,  2,  3,  4,  5,  6,  7,  8,
                                     9,    10,   11,   12,   13,   14, 15, 16, 17, 18, 19, 20, 21,
                                     22,   23,   24,   25,   26,   27, 28, 29, 30, 31, 32};
    ut_bytes bytes = ut_bytes_of(record, sizeof record);
    size_t n = 0;
    assert_int_equal(ut_sock_write(p.client.sock, &bytes, 1, &n), UT_OK);
    uint8_t byte;
    assert_int_equal(read_some(&p.server, &byte, 1, &n), UT_ETLS);
    ut_fault fault = {0};
    ut_tls_explain(p.server.tls, &fault);
    assert_true(fault.text_z[0] != '\0');
    close_pair(&p);
    ut_tls_context_free(client);
    ut_tls_context_free(server);
}

static void a_peer_that_speaks_something_else_is_told(void **state)
{
    (void)state;
    static const char *const texts_z[] = {"GET / HTTP/1.1\r\n\r\n",
                                          "HTTP/1.1 400 Bad Request\r\n\r\n"};
    for (int server_side = 0; server_side < 2; server_side++) {
        ut_tls_context *context = server_side == 1
                                      ? context_of(true, NULL, "server.pem", "server.key")
                                      : context_of(false, "ca.pem", NULL, NULL);
        ut_sock ours = UT_SOCK_NONE;
        ut_sock theirs = UT_SOCK_NONE;
        connect_sockets(&ours, &theirs);
        ut_tls *tls = NULL;
        assert_int_equal(ut_tls_open(context, ours, server_side == 1 ? NULL : "localhost", &tls),
                         UT_OK);
        ut_bytes bytes = ut_bytes_of_z(texts_z[1 - server_side]);
        size_t n = 0;
        assert_int_equal(ut_sock_write(theirs, &bytes, 1, &n), UT_OK);
        ut_fault fault = {0};
        uint32_t want = 0;
        ut_err err = UT_EAGAIN;
        uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
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
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    ut_sock ours = UT_SOCK_NONE;
    ut_sock theirs = UT_SOCK_NONE;
    connect_sockets(&ours, &theirs);
    ut_tls *tls = NULL;
    assert_int_equal(ut_tls_open(client, ours, "localhost", &tls), UT_OK);
    ut_fault fault = {0};
    uint32_t want = 0;
    assert_int_equal(ut_tls_handshake(tls, &want, &fault), UT_EAGAIN);
    assert_int_equal(want, UT_READABLE);
    ut_sock_close(theirs);
    ut_err err = UT_EAGAIN;
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
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

// ---- OpenSSL on the other end ----

// Starts `sh -c command_z` with its output on a pipe.
static pid_t start_program(const char *command_z, int *out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], 1);
        (void)dup2(ends[1], 2);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl("/bin/sh", "sh", "-c", command_z, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *out = ends[0];
    return pid;
}

// Reads a line that begins with prefix_z from a pipe.
static void read_line(int from, const char *prefix_z, char *line_z, size_t cap)
{
    for (;;) {
        size_t len = 0;
        char c = 0;
        while (c != '\n') {
            struct pollfd fd = {.fd = from, .events = POLLIN};
            assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
            assert_int_equal(read(from, &c, 1), 1);
            if (len + 1 < cap)
                line_z[len++] = c;
        }
        line_z[len] = '\0';
        if (strncmp(line_z, prefix_z, strlen(prefix_z)) == 0)
            return;
    }
}

static void write_files(const char *dir_z)
{
    static const char *const files_z[] = {"ca.pem",     "server.pem", "server.key", "client.pem",
                                          "client.key", "rsa.pem",    "rsa.key"};
    for (size_t i = 0; i < sizeof files_z / sizeof files_z[0]; i++) {
        char path_z[UT_TEMP_PATH_MAX];
        ut_temp_path(dir_z, files_z[i], path_z);
        FILE *file = fopen(path_z, "w");
        assert_non_null(file);
        ut_bytes bytes = pem(files_z[i]);
        assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
        assert_int_equal(fclose(file), 0);
    }
}

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    pid_t pid;
    int out;
    ut_addr addr;
} openssl_server;

static openssl_server start_openssl_server(const char *options_z)
{
    openssl_server s;
    ut_temp_dir_make(s.dir_z);
    write_files(s.dir_z);
    char command_z[1024];
    (void)snprintf(command_z, sizeof command_z,
                   "cd '%s' && exec openssl s_server -accept 127.0.0.1:0 -www %s", s.dir_z,
                   options_z);
    s.pid = start_program(command_z, &s.out);
    char line_z[256];
    read_line(s.out, "ACCEPT ", line_z, sizeof line_z);
    ut_bytes text = ut_bytes_of(line_z + 7, strcspn(line_z + 7, "\r\n"));
    assert_int_equal(ut_addr_parse(text, &s.addr), UT_OK);
    return s;
}

static void stop_openssl_server(openssl_server *s)
{
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    (void)close(s->out);
    ut_temp_dir_remove(s->dir_z);
}

static ut_err shake_with(const ut_addr *addr, ut_tls_context *client, const char *host_z,
                         ut_stream *stream, ut_fault *fault)
{
    assert_int_equal(ut_sock_connect(addr, &stream->sock), UT_OK);
    assert_int_equal(ut_tls_open(client, stream->sock, host_z, &stream->tls), UT_OK);
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        uint32_t want = 0;
        ut_err err = ut_tls_handshake(stream->tls, &want, fault);
        if (err != UT_EAGAIN)
            return err;
        assert_true(ut_clock_mono_ms() < end);
    }
}

static void openssl_servers_are_spoken_to_and_sessions_resumed(void **state)
{
    (void)state;
    static const char *const options_z[] = {"-cert server.pem -key server.key -tls1_2",
                                            "-cert server.pem -key server.key -tls1_3"};
    for (size_t v = 0; v < 2; v++) {
        openssl_server s = start_openssl_server(options_z[v]);
        ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
        for (int i = 0; i < 3; i++) {
            ut_stream stream = {0};
            ut_fault fault = {0};
            if (shake_with(&s.addr, client, "localhost", &stream, &fault) != UT_OK)
                fail_msg("%s: %s", options_z[v], fault.text_z);
            assert_int_equal(ut_tls_resumed(stream.tls), i > 0);
            send_text(&stream, "GET / HTTP/1.0\r\n\r\n");
            ut_buf page;
            ut_buf_init(&page, 1 << 20);
            size_t n = 0;
            while (read_some(&stream, ut_buf_reserve(&page, 4096), 4096, &n) == UT_OK)
                page.len += n;
            ut_buf_add_byte(&page, 0);
            assert_non_null(strstr((const char *)page.data, i > 0 ? "Reused, TLS" : "New, TLS"));
            ut_buf_free(&page);
            ut_stream_close(&stream);
        }
        ut_tls_context_free(client);
        stop_openssl_server(&s);
    }
}

// mbedTLS offers RSA-PSS for TLS 1.3 and cannot check it in TLS 1.2, where servers may use it.
static void openssl_servers_with_rsa_and_tls_1_2_are_spoken_to_at_last(void **state)
{
    (void)state;
    static const char *const options_z[] = {"-cert rsa.pem -key rsa.key -tls1_2",
                                            "-cert rsa.pem -key rsa.key -tls1_2 -serverpref",
                                            "-cert rsa.pem -key rsa.key"};
    for (size_t v = 0; v < 3; v++) {
        openssl_server s = start_openssl_server(options_z[v]);
        ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
        for (int i = 0; i < 3; i++) {
            ut_stream stream = {0};
            ut_fault fault = {0};
            ut_err err = shake_with(&s.addr, client, "localhost", &stream, &fault);
            if (v == 1 && i == 0) {
                assert_int_equal(err, UT_ETLS);
                assert_non_null(strstr(fault.text_z, "the next attempt asks for another"));
            } else if (err != UT_OK) {
                fail_msg("%s: %s", options_z[v], fault.text_z);
            }
            ut_stream_close(&stream);
        }
        ut_tls_context_free(client);
        stop_openssl_server(&s);
    }
}

static void openssl_servers_that_miss_a_client_certificate_are_understood(void **state)
{
    (void)state;
    static const char *const options_z[] = {
        "-cert server.pem -key server.key -tls1_2 -CAfile ca.pem -Verify 1 -verify_return_error",
        "-cert server.pem -key server.key -tls1_3 -CAfile ca.pem -Verify 1 -verify_return_error"};
    for (size_t v = 0; v < 2; v++) {
        openssl_server s = start_openssl_server(options_z[v]);
        ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
        ut_stream stream = {0};
        ut_fault fault = {0};
        ut_err err = shake_with(&s.addr, client, "localhost", &stream, &fault);
        if (err == UT_OK) {
            uint8_t byte;
            size_t n = 0;
            err = read_some(&stream, &byte, 1, &n);
            ut_tls_explain(stream.tls, &fault);
        }
        assert_int_equal(err, UT_ETLS);
        if (strstr(fault.text_z, "client certificate") == NULL)
            fail_msg("told: %s", fault.text_z);
        ut_stream_close(&stream);
        ut_tls_context_free(client);

        client = context_of(false, "ca.pem", "client.pem", "client.key");
        if (shake_with(&s.addr, client, "localhost", &stream, &fault) != UT_OK)
            fail_msg("%s: %s", options_z[v], fault.text_z);
        send_text(&stream, "GET / HTTP/1.0\r\n\r\n");
        expect_text(&stream, "HTTP/1.0 200 ok");
        ut_stream_close(&stream);
        ut_tls_context_free(client);
        stop_openssl_server(&s);
    }
}

static void a_certificate_for_clients_is_refused_for_a_server(void **state)
{
    (void)state;
    openssl_server s = start_openssl_server("-cert client.pem -key client.key");
    ut_tls_context *client = context_of(false, "ca.pem", NULL, NULL);
    ut_stream stream = {0};
    ut_fault fault = {0};
    assert_int_equal(shake_with(&s.addr, client, "client", &stream, &fault), UT_ETLS);
    assert_non_null(strstr(fault.text_z, "not meant for this use"));
    ut_stream_close(&stream);
    ut_tls_context_free(client);
    stop_openssl_server(&s);
}

static void openssl_clients_are_served_and_their_sessions_resumed(void **state)
{
    (void)state;
    static const char *const versions_z[] = {"-tls1_2", "-tls1_3"};
    char dir_z[UT_TEMP_PATH_MAX];
    ut_temp_dir_make(dir_z);
    write_files(dir_z);
    ut_tls_context *server = context_of(true, NULL, "server.pem", "server.key");
    ut_addr addr;
    ut_sock listener = UT_SOCK_NONE;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &addr), UT_OK);
    assert_int_equal(ut_sock_listen(&addr, 4, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    for (size_t v = 0; v < 2; v++) {
        for (int i = 0; i < 2; i++) {
            char command_z[1024];
            // The sleep-free way to keep s_client open until our text has come: it reads from a
            // pipe that nobody writes to, and ends when we close.
            (void)snprintf(
                command_z, sizeof command_z,
                "cd '%s' && mkfifo in.%zu.%d && exec openssl s_client -connect 127.0.0.1:%u "
                "%s -CAfile ca.pem -verify_return_error -verify_hostname localhost "
                "-servername localhost -alpn h2,http/1.1 -sess_out session %s "
                "<>in.%zu.%d",
                dir_z, v, i, (unsigned)addr.port, versions_z[v], i == 0 ? "" : "-sess_in session",
                v, i);
            int out = -1;
            pid_t pid = start_program(command_z, &out);
            ut_stream stream = {.sock = UT_SOCK_NONE};
            uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
            ut_addr from;
            while (ut_sock_accept(listener, &stream.sock, &from) != UT_OK)
                assert_true(ut_clock_mono_ms() < end);
            assert_int_equal(ut_tls_open(server, stream.sock, NULL, &stream.tls), UT_OK);
            ut_err err = UT_EAGAIN;
            ut_fault fault = {0};
            while (err == UT_EAGAIN) {
                assert_true(ut_clock_mono_ms() < end);
                uint32_t want = 0;
                err = ut_tls_handshake(stream.tls, &want, &fault);
            }
            if (err != UT_OK)
                fail_msg("%s: %s", versions_z[v], fault.text_z);
            assert_int_equal(ut_tls_resumed(stream.tls), i);
            send_text(&stream, "welcome\n");
            char line_z[256];
            read_line(out, "welcome", line_z, sizeof line_z);
            uint32_t want = 0;
            assert_int_equal(ut_tls_shutdown(stream.tls, &want), UT_OK);
            ut_stream_close(&stream);
            int status = 0;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            (void)close(out);
        }
    }
    ut_sock_close(listener);
    ut_tls_context_free(server);
    ut_temp_dir_remove(dir_z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_or_address_in_the_certificate_is_accepted),
        cmocka_unit_test(another_host_is_refused_by_name),
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
        cmocka_unit_test(openssl_servers_are_spoken_to_and_sessions_resumed),
        cmocka_unit_test(openssl_servers_with_rsa_and_tls_1_2_are_spoken_to_at_last),
        cmocka_unit_test(openssl_servers_that_miss_a_client_certificate_are_understood),
        cmocka_unit_test(a_certificate_for_clients_is_refused_for_a_server),
        cmocka_unit_test(openssl_clients_are_served_and_their_sessions_resumed),
    };
    return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
