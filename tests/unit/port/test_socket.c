// Sockets over loopback and Unix paths: what each end sees when the other writes, ends, resets or
// is not there.
#include "port/port.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { DEADLINE_MS = 20000, PORTS_TRIED_MAX = 20 };

static ut_addr parse(const char *text_z)
{
    ut_addr addr;
    assert_int_equal(ut_addr_parse(ut_bytes_of_z(text_z), &addr), UT_OK);
    return addr;
}

// Waits until sock is ready for interest, and fails at the deadline.
static void await(ut_sock sock, uint32_t interest)
{
    ut_poller *poller = NULL;
    assert_int_equal(ut_poller_open(&poller), UT_OK);
    assert_int_equal(ut_poller_watch(poller, sock, interest, NULL), UT_OK);
    ut_poll_event event;
    size_t count = 0;
    uint64_t end = ut_clock_mono_ms() + DEADLINE_MS;
    for (uint64_t now = 0; count == 0 && (now = ut_clock_mono_ms()) < end;)
        assert_int_equal(ut_poller_wait(poller, end - now, &event, 1, &count), UT_OK);
    assert_int_equal(count, 1);
    ut_poller_forget(poller, sock);
    ut_poller_close(poller);
}

typedef struct {
    ut_sock listener;
    ut_sock client;
    ut_sock server;
    ut_addr addr; // of the listener
    ut_addr peer; // as accept saw the client
} wire;

static wire connect_to(const char *text_z)
{
    wire l;
    ut_addr addr = parse(text_z);
    ut_fault fault = {0};
    if (ut_sock_listen(&addr, 8, &l.listener, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_sock_local_addr(l.listener, &l.addr), UT_OK);
    assert_int_equal(ut_sock_accept(l.listener, &l.server, &l.peer), UT_EAGAIN);
    assert_int_equal(ut_sock_connect(&l.addr, &l.client), UT_OK);
    await(l.client, UT_WRITABLE);
    assert_int_equal(ut_sock_connect_result(l.client, &fault), UT_OK);
    await(l.listener, UT_READABLE);
    assert_int_equal(ut_sock_accept(l.listener, &l.server, &l.peer), UT_OK);
    return l;
}

static void disconnect(wire *l)
{
    ut_sock_close(l->client);
    ut_sock_close(l->server);
    ut_sock_close(l->listener);
}

static void write_z(ut_sock sock, const char *text_z)
{
    ut_bytes part = ut_bytes_of_z(text_z);
    size_t n = 0;
    assert_int_equal(ut_sock_write(sock, &part, 1, &n), UT_OK);
    assert_int_equal(n, part.len);
}

static void expect_z(ut_sock sock, const char *text_z)
{
    char got[64];
    size_t want = strlen(text_z);
    size_t len = 0;
    while (len < want) {
        size_t n = 0;
        await(sock, UT_READABLE);
        assert_int_equal(ut_sock_read(sock, got + len, want - len, &n), UT_OK);
        assert_true(n >= 1);
        len += n;
    }
    assert_memory_equal(got, text_z, want);
}

static int option(ut_sock sock, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(sock, level, name, &value, &len), 0);
    return value;
}

static void check_flags(ut_sock sock)
{
    assert_true((fcntl(sock, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(sock, F_GETFD) & FD_CLOEXEC) != 0);
}

static void port_0_becomes_a_port_that_takes_connections(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    assert_int_equal(l.addr.family, UT_ADDR_IP4);
    assert_memory_equal(l.addr.ip, "\x7f\0\0\1", 4);
    assert_true(l.addr.port != 0);
    ut_addr client;
    assert_int_equal(ut_sock_local_addr(l.client, &client), UT_OK);
    assert_int_equal(l.peer.family, UT_ADDR_IP4);
    assert_int_equal(l.peer.port, client.port);
    assert_memory_equal(l.peer.ip, client.ip, 4);
    disconnect(&l);
}

static void every_socket_is_non_blocking_closed_on_exec_and_without_delay(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    check_flags(l.listener);
    check_flags(l.client);
    check_flags(l.server);
    assert_true(option(l.client, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(option(l.server, IPPROTO_TCP, TCP_NODELAY) != 0);
    disconnect(&l);
}

static void bytes_pass_both_ways(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    char byte;
    size_t n = 0;
    assert_int_equal(ut_sock_read(l.server, &byte, 1, &n), UT_EAGAIN);
    write_z(l.client, "question");
    expect_z(l.server, "question");
    assert_int_equal(ut_sock_read(l.server, &byte, 1, &n), UT_EAGAIN);
    write_z(l.server, "answer");
    expect_z(l.client, "answer");
    disconnect(&l);
}

static void parts_are_sent_in_order_and_empty_ones_skipped(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    ut_bytes parts[UT_SOCK_PARTS_MAX];
    for (size_t i = 0; i < UT_SOCK_PARTS_MAX; i++)
        parts[i] = i % 3 == 1 ? UT_BYTES_NONE : ut_bytes_of(&"0123456789abcdef"[i], 1);
    size_t n = 0;
    assert_int_equal(ut_sock_write(l.client, parts, UT_SOCK_PARTS_MAX, &n), UT_OK);
    assert_int_equal(n, 11);
    expect_z(l.server, "0235689bcef");
    n = 99;
    assert_int_equal(ut_sock_write(l.client, parts + 1, 1, &n), UT_OK);
    assert_int_equal(n, 0);
    disconnect(&l);
}

static void a_full_connection_takes_part_and_goes_on_when_it_is_read(void **state)
{
    (void)state;
    enum { TOTAL = 16 << 20, CHUNK = 1 << 20 };
    wire l = connect_to("127.0.0.1:0");
    uint8_t *sent = malloc(TOTAL);
    uint8_t *got = malloc(TOTAL);
    assert_non_null(sent);
    assert_non_null(got);
    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (uint8_t)(i * 7 + i / 1000);
    size_t written = 0;
    size_t received = 0;
    bool partial = false;
    bool again = false;
    while (received < TOTAL) {
        size_t n = 0;
        if (written < TOTAL) {
            size_t left = TOTAL - written;
            size_t first = left < CHUNK ? left : CHUNK;
            size_t second = left - first < CHUNK ? left - first : CHUNK;
            ut_bytes parts[2] = {{sent + written, first}, {sent + written + first, second}};
            ut_err err = ut_sock_write(l.client, parts, 2, &n);
            if (err == UT_OK) {
                assert_true(n >= 1 && n <= first + second);
                partial = partial || n < first + second;
                written += n;
                if (!again)
                    continue; // until it is full once
            } else {
                assert_int_equal(err, UT_EAGAIN);
                again = true;
            }
        }
        await(l.server, UT_READABLE);
        assert_int_equal(ut_sock_read(l.server, got + received, TOTAL - received, &n), UT_OK);
        received += n;
    }
    assert_true(partial);
    assert_true(again);
    assert_memory_equal(got, sent, TOTAL);
    free(sent);
    free(got);
    disconnect(&l);
}

static void the_end_of_the_stream_comes_after_its_bytes(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    write_z(l.client, "last");
    ut_sock_close(l.client);
    l.client = UT_SOCK_NONE;
    expect_z(l.server, "last");
    char byte;
    size_t n = 0;
    await(l.server, UT_READABLE);
    assert_int_equal(ut_sock_read(l.server, &byte, 1, &n), UT_ECLOSED);
    assert_int_equal(ut_sock_read(l.server, &byte, 1, &n), UT_ECLOSED);
    disconnect(&l);
}

static void a_peer_that_ends_sending_can_still_be_answered(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    write_z(l.client, "request");
    ut_sock_shutdown_write(l.client);
    expect_z(l.server, "request");
    char byte;
    size_t n = 0;
    await(l.server, UT_READABLE);
    assert_int_equal(ut_sock_read(l.server, &byte, 1, &n), UT_ECLOSED);
    write_z(l.server, "response");
    expect_z(l.client, "response");
    disconnect(&l);
}

static void reset(ut_sock *sock)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(*sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    ut_sock_close(*sock);
    *sock = UT_SOCK_NONE;
}

static void a_reset_is_an_error_to_the_reader(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    reset(&l.client);
    char byte;
    size_t n = 0;
    await(l.server, UT_READABLE);
    assert_int_equal(ut_sock_read(l.server, &byte, 1, &n), UT_EIO);
    disconnect(&l);
}

static void a_reset_is_an_error_to_the_writer_and_no_signal(void **state)
{
    (void)state; // SIGPIPE would end this program
    wire l = connect_to("127.0.0.1:0");
    reset(&l.client);
    await(l.server, UT_READABLE);
    ut_bytes part = UT_BYTES_LIT("x");
    size_t n = 0;
    assert_int_equal(ut_sock_write(l.server, &part, 1, &n), UT_EIO); // ECONNRESET
    assert_int_equal(ut_sock_write(l.server, &part, 1, &n), UT_EIO); // EPIPE
    disconnect(&l);
}

// A port of 127.0.0.1 that nobody listens on, held by fd so that nobody begins to.
static ut_addr dead_addr(int *fd)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*fd >= 0);
    assert_int_equal(bind(*fd, (const struct sockaddr *)&any, sizeof(any)), 0);
    ut_addr addr;
    assert_int_equal(ut_sock_local_addr(*fd, &addr), UT_OK);
    return addr;
}

static void a_refused_connection_says_so(void **state)
{
    (void)state;
    int holder;
    ut_addr addr = dead_addr(&holder);
    ut_sock sock;
    assert_int_equal(ut_sock_connect(&addr, &sock), UT_OK);
    await(sock, UT_WRITABLE);
    ut_fault fault = {0};
    assert_int_equal(ut_sock_connect_result(sock, &fault), UT_ECONNECT);
    assert_int_equal(fault.code, UT_ECONNECT);
    assert_non_null(strstr(fault.text_z, "refused"));
    ut_sock_close(sock);
    (void)close(holder);
}

static void a_connection_under_way_says_so(void **state)
{
    (void)state;
    // A listener that takes nothing and queues next to nothing: soon the handshakes hang.
    ut_addr addr = parse("127.0.0.1:0");
    ut_sock listener;
    assert_int_equal(ut_sock_listen(&addr, 0, &listener, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(listener, &addr), UT_OK);
    ut_sock socks[32];
    size_t count = 0;
    ut_err err = UT_OK;
    while (err == UT_OK && count < 32) {
        assert_int_equal(ut_sock_connect(&addr, &socks[count]), UT_OK);
        err = ut_sock_connect_result(socks[count], NULL);
        count++;
    }
    assert_int_equal(err, UT_EAGAIN);
    for (size_t i = 0; i < count; i++)
        ut_sock_close(socks[i]);
    ut_sock_close(listener);
}

static void a_connection_to_itself_is_a_refused_one(void **state)
{
    (void)state;
    int fd;
    ut_addr addr = dead_addr(&fd);
    struct sockaddr_in self = {.sin_family = AF_INET,
                               .sin_port = htons(addr.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&self, sizeof(self)),
                     0); // what chance does otherwise
    ut_fault fault = {0};
    assert_int_equal(ut_sock_connect_result(fd, &fault), UT_ECONNECT);
    assert_non_null(strstr(fault.text_z, "itself"));
    ut_sock_close(fd);
}

static void a_port_in_use_is_named(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    ut_sock second = 123;
    ut_fault fault = {0};
    assert_int_equal(ut_sock_listen(&l.addr, 8, &second, &fault), UT_EBUSY);
    assert_int_equal(second, 123);
    char text_z[UT_ADDR_TEXT_MAX];
    ut_addr_text(&l.addr, text_z);
    assert_non_null(strstr(fault.text_z, text_z));
    assert_non_null(strstr(fault.text_z, "in use"));
    disconnect(&l);
}

static void a_port_can_be_listened_on_again_at_once(void **state)
{
    (void)state;
    ut_err err = UT_EBUSY;
    for (int attempt = 0; err != UT_OK && attempt < PORTS_TRIED_MAX; attempt++) {
        wire l = connect_to("127.0.0.1:0");
        ut_addr addr = l.addr;
        // The server closes first, so that its side keeps the port in TIME_WAIT.
        ut_sock_close(l.server);
        ut_sock_close(l.listener);
        char byte;
        size_t n = 0;
        await(l.client, UT_READABLE);
        assert_int_equal(ut_sock_read(l.client, &byte, 1, &n), UT_ECLOSED);
        ut_sock_close(l.client);
        // In between another program may take the port, but not each time.
        ut_sock sock = UT_SOCK_NONE;
        err = ut_sock_listen(&addr, 8, &sock, NULL);
        ut_sock_close(sock);
    }
    assert_int_equal(err, UT_OK);
}

static void an_address_of_another_machine_is_explained(void **state)
{
    (void)state;
    ut_addr addr = parse("192.0.2.1:4318"); // TEST-NET-1, nobody's
    ut_sock sock;
    ut_fault fault = {0};
    assert_int_equal(ut_sock_listen(&addr, 8, &sock, &fault), UT_EIO);
    assert_non_null(strstr(fault.text_z, "192.0.2.1:4318"));
    assert_non_null(strstr(fault.text_z, "no such address"));
}

static void without_permission_listening_says_so(void **state)
{
    (void)state;
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    ut_addr addr = parse("unix:/untrace-test.sock");
    ut_sock sock;
    ut_fault fault = {0};
    ut_err err = ut_sock_listen(&addr, 8, &sock, &fault);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(err, UT_EPERM);
    assert_non_null(strstr(fault.text_z, "unix:/untrace-test.sock"));
    assert_non_null(strstr(fault.text_z, "permission"));
}

static void ip6_works_and_leaves_ip4_alone(void **state)
{
    (void)state;
    // The port may be another program's in IPv4; the next one then is not.
    ut_err err = UT_EBUSY;
    for (int attempt = 0; err != UT_OK && attempt < PORTS_TRIED_MAX; attempt++) {
        ut_addr any6 = parse("[::]:0");
        ut_sock listener6;
        if (ut_sock_listen(&any6, 8, &listener6, NULL) != UT_OK)
            skip(); // a machine without IPv6
        ut_addr bound;
        assert_int_equal(ut_sock_local_addr(listener6, &bound), UT_OK);
        ut_addr any4 = parse("0.0.0.0:0");
        any4.port = bound.port;
        ut_sock listener4 = UT_SOCK_NONE;
        err = ut_sock_listen(&any4, 8, &listener4, NULL);
        ut_sock_close(listener4);
        ut_sock_close(listener6);
    }
    assert_int_equal(err, UT_OK);

    wire l = connect_to("[::1]:0");
    assert_int_equal(l.peer.family, UT_ADDR_IP6);
    assert_true(ut_addr_is_loopback(&l.peer));
    write_z(l.client, "six");
    expect_z(l.server, "six");
    disconnect(&l);
}

static void out_of_descriptors_the_connection_waits(void **state)
{
    (void)state;
    wire l = connect_to("127.0.0.1:0");
    ut_sock more;
    ut_sock client;
    assert_int_equal(ut_sock_connect(&l.addr, &client), UT_OK);
    await(l.listener, UT_READABLE);
    int next = dup(l.client);
    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit tight = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    ut_addr peer;
    ut_err accepted = ut_sock_accept(l.listener, &more, &peer);
    ut_err connected = ut_sock_connect(&l.addr, &more);
    ut_poller *poller = NULL;
    ut_err opened = ut_poller_open(&poller);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepted, UT_ELIMIT);
    assert_int_equal(connected, UT_ELIMIT);
    assert_int_equal(opened, UT_ELIMIT);
    assert_int_equal(ut_sock_accept(l.listener, &more, &peer), UT_OK);
    ut_sock_close(more);
    ut_sock_close(client);
    disconnect(&l);
}

static void closing_no_socket_asks_the_system_nothing(void **state)
{
    (void)state;
    errno = 0;
    ut_sock_close(UT_SOCK_NONE);
    assert_int_equal(errno, 0); // close(-1) would have left EBADF
}

// ---- Unix paths ----

typedef struct {
    char dir_z[64];
    char addr_z[128];
    const char *path_z; // inside addr_z
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -1;
    (void)snprintf(p->dir_z, sizeof(p->dir_z), "/tmp/untrace-sock-XXXXXX");
    if (mkdtemp(p->dir_z) == NULL)
        return -1;
    (void)snprintf(p->addr_z, sizeof(p->addr_z), "unix:%s/agent.sock", p->dir_z);
    p->path_z = p->addr_z + strlen("unix:");
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    (void)unlink(p->path_z);
    (void)rmdir(p->dir_z);
    free(p);
    return 0;
}

static void a_unix_path_carries_bytes(void **state)
{
    place *p = *state;
    wire l = connect_to(p->addr_z);
    assert_int_equal(l.addr.family, UT_ADDR_UNIX);
    assert_string_equal(l.addr.path_z, p->path_z);
    assert_int_equal(l.peer.family, UT_ADDR_UNIX);
    assert_string_equal(l.peer.path_z, "");
    check_flags(l.server);
    write_z(l.client, "local");
    expect_z(l.server, "local");
    disconnect(&l);
}

static void a_socket_left_behind_is_replaced(void **state)
{
    place *p = *state;
    wire l = connect_to(p->addr_z);
    disconnect(&l); // leaves the file, as a killed program does
    struct stat status;
    assert_int_equal(lstat(p->path_z, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    l = connect_to(p->addr_z);
    disconnect(&l);
}

static void a_socket_in_use_is_left_alone(void **state)
{
    place *p = *state;
    wire l = connect_to(p->addr_z);
    ut_addr addr = parse(p->addr_z);
    ut_sock second;
    ut_fault fault = {0};
    assert_int_equal(ut_sock_listen(&addr, 8, &second, &fault), UT_EBUSY);
    assert_non_null(strstr(fault.text_z, p->addr_z));
    ut_sock client;
    assert_int_equal(ut_sock_connect(&addr, &client), UT_OK); // the first still answers there
    ut_sock_close(client);
    disconnect(&l);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    place *p = *state;
    ut_addr addr = parse(p->addr_z);
    ut_sock sock;
    int fd = open(p->path_z, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(ut_sock_listen(&addr, 8, &sock, NULL), UT_EBUSY);
    assert_int_equal(access(p->path_z, F_OK), 0);
    assert_int_equal(unlink(p->path_z), 0);

    // A link is not followed to a dead socket, nor removed.
    char target_z[128];
    (void)snprintf(target_z, sizeof(target_z), "%s/dead.sock", p->dir_z);
    char target_addr_z[160];
    (void)snprintf(target_addr_z, sizeof(target_addr_z), "unix:%s", target_z);
    wire l = connect_to(target_addr_z);
    disconnect(&l);
    assert_int_equal(symlink(target_z, p->path_z), 0);
    struct stat status;
    assert_int_equal(ut_sock_listen(&addr, 8, &sock, NULL), UT_EBUSY);
    assert_int_equal(lstat(p->path_z, &status), 0);
    assert_int_equal(lstat(target_z, &status), 0);
    assert_int_equal(unlink(target_z), 0);
}

static void a_path_in_a_missing_directory_is_named(void **state)
{
    place *p = *state;
    char text_z[160];
    (void)snprintf(text_z, sizeof(text_z), "unix:%s/missing/a.sock", p->dir_z);
    ut_addr addr = parse(text_z);
    ut_sock sock;
    ut_fault fault = {0};
    assert_int_equal(ut_sock_listen(&addr, 8, &sock, &fault), UT_EIO);
    assert_non_null(strstr(fault.text_z, text_z));
    assert_int_equal(ut_sock_connect(&addr, &sock), UT_ECONNECT);
}

static void a_dead_unix_path_refuses_at_once(void **state)
{
    place *p = *state;
    wire l = connect_to(p->addr_z);
    disconnect(&l);
    ut_addr addr = parse(p->addr_z);
    ut_sock sock;
    assert_int_equal(ut_sock_connect(&addr, &sock), UT_ECONNECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_becomes_a_port_that_takes_connections),
        cmocka_unit_test(every_socket_is_non_blocking_closed_on_exec_and_without_delay),
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(parts_are_sent_in_order_and_empty_ones_skipped),
        cmocka_unit_test(a_full_connection_takes_part_and_goes_on_when_it_is_read),
        cmocka_unit_test(the_end_of_the_stream_comes_after_its_bytes),
        cmocka_unit_test(a_peer_that_ends_sending_can_still_be_answered),
        cmocka_unit_test(a_reset_is_an_error_to_the_reader),
        cmocka_unit_test(a_reset_is_an_error_to_the_writer_and_no_signal),
        cmocka_unit_test(a_refused_connection_says_so),
        cmocka_unit_test(a_connection_under_way_says_so),
        cmocka_unit_test(a_connection_to_itself_is_a_refused_one),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_port_can_be_listened_on_again_at_once),
        cmocka_unit_test(an_address_of_another_machine_is_explained),
        cmocka_unit_test(without_permission_listening_says_so),
        cmocka_unit_test(ip6_works_and_leaves_ip4_alone),
        cmocka_unit_test(out_of_descriptors_the_connection_waits),
        cmocka_unit_test(closing_no_socket_asks_the_system_nothing),
        cmocka_unit_test_setup_teardown(a_unix_path_carries_bytes, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_socket_left_behind_is_replaced, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_socket_in_use_is_left_alone, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_path_in_a_missing_directory_is_named, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_dead_unix_path_refuses_at_once, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
