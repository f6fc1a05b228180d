// TLS with the openssl program on the other end: that it agrees with us, as a server and as a
// client.
#include "tests/support/temp_dir.h"
#include "tests/support/tls_pair.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
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
            assert_int_equal(poll(&fd, 1, UT_TLS_PAIR_DEADLINE_MS), 1);
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
    uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
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
        ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
        for (int i = 0; i < 3; i++) {
            ut_stream stream = {0};
            ut_fault fault = {0};
            if (shake_with(&s.addr, client, "localhost", &stream, &fault) != UT_OK)
                fail_msg("%s: %s", options_z[v], fault.text_z);
            assert_int_equal(ut_tls_resumed(stream.tls), i > 0);
            ut_tls_pair_send_text(&stream, "GET / HTTP/1.0\r\n\r\n");
            ut_buf page;
            ut_buf_init(&page, 1 << 20);
            size_t n = 0;
            while (ut_tls_pair_read(&stream, ut_buf_reserve(&page, 4096), 4096, &n) == UT_OK)
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
        ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
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
        ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
        ut_stream stream = {0};
        ut_fault fault = {0};
        ut_err err = shake_with(&s.addr, client, "localhost", &stream, &fault);
        if (err == UT_OK) {
            uint8_t byte;
            size_t n = 0;
            err = ut_tls_pair_read(&stream, &byte, 1, &n);
            ut_tls_explain(stream.tls, &fault);
        }
        assert_int_equal(err, UT_ETLS);
        if (strstr(fault.text_z, "client certificate") == NULL)
            fail_msg("told: %s", fault.text_z);
        ut_stream_close(&stream);
        ut_tls_context_free(client);

        client = ut_tls_pair_context(certs, false, "ca.pem", "client.pem", "client.key");
        if (shake_with(&s.addr, client, "localhost", &stream, &fault) != UT_OK)
            fail_msg("%s: %s", options_z[v], fault.text_z);
        ut_tls_pair_send_text(&stream, "GET / HTTP/1.0\r\n\r\n");
        ut_tls_pair_expect_text(&stream, "HTTP/1.0 200 ok");
        ut_stream_close(&stream);
        ut_tls_context_free(client);
        stop_openssl_server(&s);
    }
}

static void a_certificate_for_clients_is_refused_for_a_server(void **state)
{
    (void)state;
    openssl_server s = start_openssl_server("-cert client.pem -key client.key");
    ut_tls_context *client = ut_tls_pair_context(certs, false, "ca.pem", NULL, NULL);
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
    ut_tls_context *server = ut_tls_pair_context(certs, true, NULL, "server.pem", "server.key");
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
            uint64_t end = ut_clock_mono_ms() + UT_TLS_PAIR_DEADLINE_MS;
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
            ut_tls_pair_send_text(&stream, "welcome\n");
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
        cmocka_unit_test(openssl_servers_are_spoken_to_and_sessions_resumed),
        cmocka_unit_test(openssl_servers_with_rsa_and_tls_1_2_are_spoken_to_at_last),
        cmocka_unit_test(openssl_servers_that_miss_a_client_certificate_are_understood),
        cmocka_unit_test(a_certificate_for_clients_is_refused_for_a_server),
        cmocka_unit_test(openssl_clients_are_served_and_their_sessions_resumed),
    };
    return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
