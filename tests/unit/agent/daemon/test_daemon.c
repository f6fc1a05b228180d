// The daemon as a process of its own: start, ready line, signals, stop, exit codes.
#include "agent/daemon/daemon.h"
#include "transport/http/http_server.h"
#include "tests/support/otlp_body.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { LOG_MAX = 64 * 1024, MOMENT_US = 1000 };

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char data_z[UT_TEMP_PATH_MAX];
    ut_config config;
    pid_t child;
    int log_fd;
    char log_z[LOG_MAX];
    size_t log_len;
    ut_addr addr;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    ut_temp_path(f->dir_z, "data", f->data_z);
    assert_int_equal(ut_config_default(&f->config), UT_OK);
    f->config.log_level = UT_LOG_INFO;
    f->config.storage.bytes_max = 16 * 1024 * 1024;
    f->config.stop_timeout_ms = 20000;
    assert_int_equal(
        ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &f->config.receivers.otlp_http.listen), UT_OK);
    f->log_fd = -1;
    *state = f;
    return 0;
}

static void run_child(fixture *f, const char *data_dir_z)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    f->log_len = 0;
    f->log_z[0] = '\0';
    (void)fflush(NULL);
    f->child = fork();
    assert_true(f->child >= 0);
    if (f->child == 0) {
        char copy_z[UT_TEMP_PATH_MAX];
        ut_fault fault = {UT_OK, ""};
        (void)snprintf(copy_z, sizeof(copy_z), "%s", data_dir_z);
        char *const before_z = f->config.data_dir_z;
        f->config.data_dir_z = copy_z;
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        const int code = ut_daemon_run(&f->config, &fault);
        if (code != 0)
            (void)fprintf(stderr, "FAULT %s\n", fault.text_z);
        f->config.data_dir_z = before_z;
        ut_config_free(&f->config);
        free(f);
        exit(code);
    }
    (void)close(ends[1]);
    f->log_fd = ends[0];
    assert_int_equal(fcntl(f->log_fd, F_SETFL, O_NONBLOCK), 0);
}

static void read_log(fixture *f)
{
    const ssize_t got = read(f->log_fd, f->log_z + f->log_len, sizeof(f->log_z) - 1 - f->log_len);
    if (got > 0)
        f->log_len += (size_t)got;
    f->log_z[f->log_len] = '\0';
}

static void wait_for_log(fixture *f, const char *text_z)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (strstr(f->log_z, text_z) == NULL) {
        read_log(f);
        if (ut_clock_mono_ms() - begin_ms > UT_WIRE_PATIENCE_MS)
            fail_msg("\"%s\" is not in the log:\n%s", text_z, f->log_z);
        (void)usleep(MOMENT_US);
    }
}

static void start(fixture *f)
{
    run_child(f, f->data_z);
    wait_for_log(f, "agent: ready otlp_http=");
    wait_for_log(f, "\n");
    const char *at = strstr(f->log_z, "otlp_http=127") + 10;
    const size_t len = strcspn(at, "\n");
    assert_int_equal(ut_addr_parse(ut_bytes_of(at, len), &f->addr), UT_OK);
    assert_true(f->addr.port != 0);
}

// The exit code, or -signal.
static int wait_for_end(fixture *f)
{
    int status = 0;
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (;;) {
        read_log(f);
        const pid_t got = waitpid(f->child, &status, WNOHANG);
        if (got == f->child)
            break;
        if (ut_clock_mono_ms() - begin_ms > 2 * UT_WIRE_PATIENCE_MS)
            fail_msg("the agent does not end:\n%s", f->log_z);
        (void)usleep(MOMENT_US);
    }
    f->child = 0;
    read_log(f);
    (void)close(f->log_fd);
    f->log_fd = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void assert_ends(fixture *f, int expected)
{
    const int code = wait_for_end(f);
    if (code != expected)
        fail_msg("the agent ended with %d, not %d:\n%s", code, expected, f->log_z);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (f->child > 0) {
        (void)kill(f->child, SIGKILL);
        (void)waitpid(f->child, NULL, 0);
    }
    if (f->log_fd >= 0)
        (void)close(f->log_fd);
    ut_config_free(&f->config);
    if (access(f->data_z, F_OK) == 0)
        ut_temp_dir_remove(f->data_z);
    ut_temp_dir_remove(f->dir_z);
    free(f);
    return 0;
}

static void a_moment(void *context)
{
    read_log(context);
    (void)usleep(MOMENT_US);
}

static ut_wire open_wire(fixture *f)
{
    ut_wire wire;
    ut_wire_open(&wire, &f->addr, a_moment, f);
    return wire;
}

static void send_head(ut_wire *wire, size_t len)
{
    char head[256];
    (void)snprintf(head, sizeof(head),
                   "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   len);
    ut_wire_send_z(wire, head);
}

static void post(fixture *f, ut_wire *wire, uint64_t seed, uint32_t spans)
{
    (void)f;
    ut_buf body;
    ut_wire_answer answer;
    ut_buf_init(&body, 16 * 1024 * 1024);
    ut_make_body(seed, spans, &ut_otlp_protobuf_encoder, &body);
    send_head(wire, body.len);
    assert_true(ut_wire_send(wire, body.data, body.len));
    ut_wire_take(wire, false, &answer);
    assert_int_equal(answer.status, 200);
    ut_buf_free(&body);
}

static size_t lines_with(const char *log_z, const char *text_z)
{
    size_t count = 0;
    for (const char *at = log_z; (at = strstr(at, text_z)) != NULL; at++)
        count++;
    return count;
}

// ---- claims ----

static void it_says_that_it_is_ready_and_what_it_did(void **state)
{
    fixture *f = *state;
    start(f);
    ut_wire wire = open_wire(f);
    post(f, &wire, 1, 20);
    post(f, &wire, 1, 20);
    post(f, &wire, 2, 5);
    ut_wire_close(&wire);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
    assert_int_equal(lines_with(f->log_z, " ready "), 1);
    assert_non_null(
        strstr(f->log_z, " info agent: stopped: accepted=25 duplicates=20 rejected=0 refused=0\n"));
    // "2026-11-20T18:40:00.123Z info agent: ..."
    for (const char *line = f->log_z; *line != '\0'; line = strchr(line, '\n') + 1) {
        int year = 0;
        int ms = 0;
        char level[8];
        char area[32];
        assert_int_equal(
            sscanf(line, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ %7s %31s ", &year, &ms, level, area),
            4);
        assert_true(year >= 1970);
        assert_int_equal(area[strlen(area) - 1], ':');
    }
    struct stat status;
    assert_int_equal(stat(f->data_z, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void missing_directories_are_made(void **state)
{
    fixture *f = *state;
    char deep_z[UT_TEMP_PATH_MAX];
    char middle_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->data_z, "a", middle_z);
    ut_temp_path(middle_z, "b", deep_z);
    run_child(f, deep_z);
    wait_for_log(f, " ready ");
    assert_int_equal(kill(f->child, SIGINT), 0);
    assert_ends(f, 0);
    ut_temp_dir_remove(deep_z);
    ut_temp_dir_remove(middle_z);
}

static void a_request_that_has_begun_is_finished_before_the_stop(void **state)
{
    fixture *f = *state;
    start(f);
    ut_buf body;
    ut_wire_answer answer;
    ut_buf_init(&body, 16 * 1024 * 1024);
    ut_make_body(7, 50, &ut_otlp_protobuf_encoder, &body);
    ut_wire wire = open_wire(f);
    post(f, &wire, 6, 1); // so that the connection is known to be open
    send_head(&wire, body.len);
    assert_true(ut_wire_send(&wire, body.data, body.len / 2));
    ut_wire idle = open_wire(f);
    post(f, &idle, 5, 1);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    wait_for_log(f, "stopping");
    ut_wire_wait_eof(&idle);
    assert_true(ut_wire_send(&wire, body.data + body.len / 2, body.len - body.len / 2));
    ut_wire_take(&wire, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.head_z, "\r\nConnection: close\r\n"));
    assert_ends(f, 0);
    assert_non_null(strstr(f->log_z, "accepted=52 "));
    ut_wire_close(&wire);
    ut_wire_close(&idle);
    ut_buf_free(&body);
}

// Sends half a request and never the rest.
static ut_wire stall(fixture *f)
{
    ut_wire wire = open_wire(f);
    post(f, &wire, 1, 1);
    send_head(&wire, 1000);
    ut_wire_send_z(&wire, "half");
    return wire;
}

static void the_deadline_ends_what_does_not_end_by_itself(void **state)
{
    fixture *f = *state;
    f->config.stop_timeout_ms = 200;
    f->config.receivers.otlp_http.body_timeout_ms = 3600000;
    start(f);
    ut_wire wire = stall(f);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
    assert_non_null(strstr(f->log_z, "stopped: accepted=1 "));
    ut_wire_wait_eof(&wire);
    ut_wire_close(&wire);
}

static void a_second_signal_stops_at_once(void **state)
{
    fixture *f = *state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < 2; i++) {
        start(f);
        ut_wire wire = stall(f);
        assert_int_equal(kill(f->child, SIGINT), 0);
        wait_for_log(f, "stopping");
        assert_int_equal(kill(f->child, signals[i]), 0);
        assert_ends(f, 128 + signals[i]);
        ut_wire_close(&wire);
    }
    // What was answered is there.
    start(f);
    ut_wire wire = open_wire(f);
    post(f, &wire, 1, 1);
    ut_wire_close(&wire);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
    assert_non_null(strstr(f->log_z, "accepted=0 duplicates=1 "));
}

static void a_hangup_changes_nothing(void **state)
{
    fixture *f = *state;
    start(f);
    assert_int_equal(kill(f->child, SIGHUP), 0);
    wait_for_log(f, "SIGHUP");
    ut_wire wire = open_wire(f);
    post(f, &wire, 1, 1);
    ut_wire_close(&wire);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
}

static void a_second_agent_on_the_directory_is_refused(void **state)
{
    fixture *f = *state;
    start(f);
    const pid_t first = f->child;
    const int first_log = f->log_fd;
    char pid_z[64];
    (void)snprintf(pid_z, sizeof(pid_z), "process %ld)", (long)first);
    run_child(f, f->data_z);
    assert_ends(f, EX_TEMPFAIL);
    assert_non_null(strstr(f->log_z, pid_z));
    assert_non_null(strstr(f->log_z, f->data_z));
    f->child = first;
    f->log_fd = first_log;
    assert_int_equal(kill(f->child, SIGKILL), 0); // a crash leaves no lock behind
    assert_ends(f, -SIGKILL);
    start(f);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
}

static void what_keeps_it_from_starting_is_said(void **state)
{
    fixture *f = *state;
    char file_z[UT_TEMP_PATH_MAX];
    char below_z[UT_TEMP_PATH_MAX];
    ut_temp_path(f->dir_z, "file", file_z);
    ut_temp_path(file_z, "data", below_z);
    const int fd = open(file_z, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    run_child(f, below_z);
    assert_ends(f, EX_CANTCREAT);
    assert_non_null(strstr(f->log_z, below_z));
    run_child(f, file_z);
    assert_ends(f, EX_CANTCREAT);
    assert_non_null(strstr(f->log_z, file_z));
    assert_null(strstr(f->log_z, " ready "));

    // An address that another program listens on.
    ut_sock taken = UT_SOCK_NONE;
    ut_addr any;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &any), UT_OK);
    assert_int_equal(ut_sock_listen(&any, 1, &taken, NULL), UT_OK);
    assert_int_equal(ut_sock_local_addr(taken, &f->config.receivers.otlp_http.listen), UT_OK);
    run_child(f, f->data_z);
    assert_ends(f, EX_UNAVAILABLE);
    assert_non_null(strstr(f->log_z, "FAULT cannot listen on 127.0.0.1:"));
    assert_null(strstr(f->log_z, "stopped:")); // it never ran
    ut_sock_close(taken);
    f->config.receivers.otlp_http.listen = any;

    // A store that is none.
    f->config.storage.bytes_max = 1;
    run_child(f, f->data_z);
    assert_ends(f, EX_CONFIG);
    f->config.storage.bytes_max = 16 * 1024 * 1024;
    f->config.receivers.otlp_http.tls = true;
    f->config.receivers.otlp_http.cert_pem = UT_BYTES_LIT("no certificate");
    f->config.receivers.otlp_http.key_pem = UT_BYTES_LIT("no key");
    run_child(f, f->data_z);
    assert_ends(f, EX_CONFIG);
}

static void dangerous_settings_are_warned_of(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        ut_addr_parse(UT_BYTES_LIT("0.0.0.0:0"), &f->config.receivers.otlp_http.listen), UT_OK);
    ut_destination_config *destination = &f->config.destinations.items[0];
    *destination = (ut_destination_config){
        .name_z = "careless",
        .encoder = &ut_otlp_protobuf_encoder,
        .insecure = true,
        .connections = 1,
        .batch_spans_max = 512,
        .batch_bytes_max = 1024 * 1024,
        .batch_delay_ms_max = 10,
        .retry_initial_ms = 1000,
        .retry_max_ms = 1000,
        .retry_multiplier = 2,
        .timeout_ms = 1000,
        .gzip_level = 1,
    };
    assert_int_equal(ut_url_parse("https://127.0.0.1:1/v1/traces", &destination->url, NULL), UT_OK);
    f->config.destinations.count = 1;
    f->config.stop_timeout_ms = 3600000;
    run_child(f, f->data_z);
    wait_for_log(f, " ready otlp_http=0.0.0.0:");
    assert_non_null(strstr(f->log_z, " starts: configuration built in, data directory "));
    assert_non_null(strstr(f->log_z, f->data_z));
    assert_non_null(strstr(f->log_z, ", at most 16.0 MiB, destinations: careless\n"));
    assert_non_null(strstr(f->log_z, " warn agent: otlp_http listens on 0.0.0.0:0 without TLS"));
    assert_non_null(strstr(f->log_z, " warn agent: destination careless is insecure"));
    // A destination that is not there does not hold up the stop.
    const char *at = strstr(f->log_z, "otlp_http=0.0.0.0:") + 18;
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:1"), &f->addr), UT_OK);
    f->addr.port = (uint16_t)strtoul(at, NULL, 10);
    ut_wire wire = open_wire(f);
    post(f, &wire, 1, 10);
    ut_wire_close(&wire);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
    assert_non_null(strstr(f->log_z, "; careless: delivered=0 pending=10 dead=0 "));
    f->config.destinations.count = 0;

    // Later, it is not configured any more.
    run_child(f, f->data_z);
    wait_for_log(f, " ready ");
    assert_non_null(strstr(f->log_z, "destination careless is not configured any more; 10 spans"));
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_ends(f, 0);
}

static void whoever_asked_to_be_notified_is_told(void **state)
{
    fixture *f = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char path_z[UT_TEMP_PATH_MAX];
    char got[64];
    ut_temp_path(f->dir_z, "notify", path_z);
    assert_true(strlen(path_z) < sizeof(addr.sun_path));
    memcpy(addr.sun_path, path_z, strlen(path_z));
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", path_z, 1), 0);
    start(f);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    const struct timeval patience = {.tv_sec = UT_WIRE_PATIENCE_MS / 1000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(recv(fd, got, sizeof(got), 0), 7);
    assert_memory_equal(got, "READY=1", 7);
    assert_int_equal(kill(f->child, SIGTERM), 0);
    assert_int_equal(recv(fd, got, sizeof(got), 0), 10);
    assert_memory_equal(got, "STOPPING=1", 10);
    assert_ends(f, 0);
    (void)close(fd);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(it_says_that_it_is_ready_and_what_it_did),
        CLAIM(missing_directories_are_made),
        CLAIM(a_request_that_has_begun_is_finished_before_the_stop),
        CLAIM(the_deadline_ends_what_does_not_end_by_itself),
        CLAIM(a_second_signal_stops_at_once),
        CLAIM(a_hangup_changes_nothing),
        CLAIM(a_second_agent_on_the_directory_is_refused),
        CLAIM(what_keeps_it_from_starting_is_said),
        CLAIM(dangerous_settings_are_warned_of),
        CLAIM(whoever_asked_to_be_notified_is_told),
    };
    return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
