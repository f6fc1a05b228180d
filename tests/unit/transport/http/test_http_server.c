// The HTTP server over real sockets on loopback, driven on one thread, with a clock that tests can put forward.
#include "transport/http/http_server.h"
#include "tests/support/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PENDING_MAX = 256,
    BODY_MAX = 64 * 1024,
    BIG = 12 * 1024 * 1024, // more than sockets hold, less than the inbox of a wire
    // Long, because real time passes too, on a busy machine: only the skew moves the clock so far.
    HEAD_MS = 30000,
    BODY_MS = 60000,
    IDLE_MS = 150000,
    SLACK_MS = 15000, // may pass unseen
};

typedef struct {
    ut_poller *poller;
    ut_http_server *server;
    ut_http_server_config config;
    ut_addr addr;
    uint64_t skew_ms; // how far the clock is put forward
    size_t waits;     // of the poller
    // What the handler saw.
    size_t heads;
    size_t bodies;
    size_t refusals;
    int refused_status;
    char method_z[16];
    char path_z[64];
    char query_z[64];
    uint8_t body[BODY_MAX * 4];
    size_t body_len;
    ut_http_exchange *pending[PENDING_MAX];
    size_t pending_count;
} fixture;

// ---- the handler: /now echoes the body, /big answers much, /later waits for the test, /early answers before the body

static void reply_with(fixture *f, ut_http_exchange *exchange, int status, ut_bytes body)
{
    const ut_http_reply reply = {.status = status, .content_type_z = "text/plain", .body = body};
    ut_http_server_reply(f->server, exchange, &reply);
}

static void copy_z(char *out_z, size_t cap, ut_bytes in)
{
    const size_t len = in.len < cap - 1 ? in.len : cap - 1;
    if (len > 0)
        memcpy(out_z, in.data, len);
    out_z[len] = '\0';
}

static void on_head(void *context, ut_http_exchange *exchange, const ut_http_head *head)
{
    fixture *f = context;
    f->heads++;
    copy_z(f->method_z, sizeof f->method_z, ut_bytes_of_z(head->method_z));
    copy_z(f->path_z, sizeof f->path_z, head->path);
    copy_z(f->query_z, sizeof f->query_z, head->query);
    exchange->note = strcmp(f->path_z, "/later") == 0;
    if (strcmp(f->path_z, "/early") == 0)
        reply_with(f, exchange, 404, UT_BYTES_LIT("no"));
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    fixture *f = context;
    f->bodies++;
    f->body_len = body.len < sizeof f->body ? body.len : sizeof f->body;
    if (f->body_len > 0)
        memcpy(f->body, body.data, f->body_len);
    if (strcmp(f->path_z, "/big") == 0) {
        static uint8_t big[BIG];
        reply_with(f, exchange, 200, ut_bytes_of(big, sizeof big));
    } else if (exchange->note == 0) {
        reply_with(f, exchange, 200, body);
    } else {
        assert_true(f->pending_count < PENDING_MAX);
        f->pending[f->pending_count++] = exchange;
    }
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    fixture *f = context;
    f->refusals++;
    f->refused_status = status;
    const ut_http_reply reply = {.status = status,
                                 .content_type_z = "text/plain",
                                 .body = ut_bytes_of_z(reason_z),
                                 .retry_after_s = status == 503 ? 7 : 0};
    ut_http_server_reply(f->server, exchange, &reply);
}

// ---- driving

static uint64_t now(const fixture *f)
{
    return ut_clock_mono_ms() + f->skew_ms;
}

// One round of the loop; waits for events a moment at the most.
static void pump(fixture *f)
{
    ut_poll_event events[64];
    size_t count = 0;
    uint64_t next_ms = 0;
    ut_http_server_step(f->server, now(f), &next_ms);
    assert_int_equal(ut_poller_wait(f->poller, 1, events, 64, &count), UT_OK);
    f->waits++;
    for (size_t i = 0; i < count; i++)
        ut_http_server_event(&events[i], now(f));
    ut_http_server_step(f->server, now(f), &next_ms);
}

// Rounds until nothing is ready any more.
static void settle(fixture *f)
{
    size_t count = 1;
    while (count > 0) {
        ut_poll_event events[64];
        uint64_t next_ms = 0;
        ut_http_server_step(f->server, now(f), &next_ms);
        assert_int_equal(ut_poller_wait(f->poller, 0, events, 64, &count), UT_OK);
        for (size_t i = 0; i < count; i++)
            ut_http_server_event(&events[i], now(f));
    }
    uint64_t next_ms = 0;
    ut_http_server_step(f->server, now(f), &next_ms);
}

static void open_server(fixture *f)
{
    ut_fault fault = {UT_OK, ""};
    if (ut_http_server_open(&f->config, &f->server, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_http_server_addr(f->server, &f->addr), UT_OK);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(ut_poller_open(&f->poller), UT_OK);
    f->config = (ut_http_server_config){
        .poller = f->poller,
        .area_z = "test",
        .handler = {.context = f, .on_head = on_head, .on_body = on_body, .on_refuse = on_refuse},
        .body_bytes_max = BODY_MAX,
        .memory_bytes_max = 1024 * 1024,
        .connections_max = 16,
        .header_bytes_max = 4096,
        .head_timeout_ms = HEAD_MS,
        .body_timeout_ms = BODY_MS,
        .idle_timeout_ms = IDLE_MS,
    };
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &f->config.listen), UT_OK);
    open_server(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < f->pending_count; i++)
        reply_with(f, f->pending[i], 200, UT_BYTES_NONE);
    ut_http_server_close(f->server);
    ut_poller_close(f->poller);
    free(f);
    return 0;
}

static void reopen_server(fixture *f)
{
    ut_http_server_close(f->server);
    open_server(f);
}

// ---- the client

typedef ut_wire client;
typedef ut_wire_answer answer;

static void turn(void *context)
{
    pump(context);
}

static client client_open(fixture *f)
{
    client c;
    ut_wire_open(&c, &f->addr, turn, f);
    return c;
}

static answer take_answer(client *c)
{
    answer a;
    ut_wire_take(c, false, &a);
    return a;
}

static void wait_for_connections(fixture *f, uint32_t count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_http_server_stats stats;
    do {
        pump(f);
        ut_http_server_get_stats(f->server, &stats);
        ut_wire_patience(begin_ms, "the expected number of connections");
    } while (stats.connections != count);
}

static void wait_for_bodies(fixture *f, size_t count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (f->bodies < count) {
        pump(f);
        ut_wire_patience(begin_ms, "the expected number of requests");
    }
    assert_int_equal(f->bodies, count);
}

// The server has closed it at the time that is now, not later.
static void assert_closed_by_now(fixture *f, client *c)
{
    settle(f);
    ut_wire_read(c);
    assert_true(c->eof);
}

static void assert_closes(const answer *a)
{
    assert_non_null(strstr(a->head_z, "\r\nConnection: close\r\n"));
}

static void assert_stays(const answer *a)
{
    assert_null(strstr(a->head_z, "Connection: close"));
}

static void assert_body(const answer *a, const char *body_z)
{
    assert_int_equal(a->body.len, strlen(body_z));
    assert_memory_equal(a->body.data, body_z, a->body.len);
}

static void assert_memory_is_free(fixture *f)
{
    ut_http_server_stats stats;
    ut_http_server_get_stats(f->server, &stats);
    assert_int_equal(stats.memory, 0);
}

// ---- claims

static void requests_on_one_connection_are_answered(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    for (int i = 0; i < 3; i++) {
        ut_wire_send_z(&c, "POST /now?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        const answer a = take_answer(&c);
        assert_int_equal(a.status, 200);
        assert_body(&a, "hello");
        assert_stays(&a);
        assert_non_null(strstr(a.head_z, " GMT\r\n"));
    }
    assert_string_equal(f->method_z, "POST");
    assert_string_equal(f->path_z, "/now");
    assert_string_equal(f->query_z, "a=b");
    ut_wire_close(&c);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
}

static void the_target_may_be_absolute(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "GET http://x:1/now?q HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&c).status, 200);
    assert_string_equal(f->path_z, "/now");
    assert_string_equal(f->query_z, "q");
    ut_wire_send_z(&c, "GET http://x:1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&c).status, 200);
    assert_string_equal(f->path_z, "/");
    assert_string_equal(f->query_z, "");
    ut_wire_close(&c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nc");
    wait_for_bodies(f, 3);
    settle(f);
    ut_wire_read(&c);
    assert_int_equal(c.len, 0);
    reply_with(f, f->pending[1], 200, UT_BYTES_LIT("third"));
    settle(f);
    ut_wire_read(&c);
    assert_int_equal(c.len, 0);
    reply_with(f, f->pending[0], 200, UT_BYTES_LIT("first"));
    f->pending_count = 0;
    answer a = take_answer(&c);
    assert_body(&a, "first");
    a = take_answer(&c);
    assert_body(&a, "b");
    a = take_answer(&c);
    assert_body(&a, "third");
    ut_wire_close(&c);
}

static void reading_pauses_at_the_pipeline_limit(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    enum { COUNT = UT_HTTP_SERVER_PIPELINE_MAX * 3 };
    for (int i = 0; i < COUNT; i++)
        ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    wait_for_bodies(f, UT_HTTP_SERVER_PIPELINE_MAX);
    settle(f);
    assert_int_equal(f->bodies, UT_HTTP_SERVER_PIPELINE_MAX);
    // One answer makes room for one more request.
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    wait_for_bodies(f, UT_HTTP_SERVER_PIPELINE_MAX + 1);
    settle(f);
    assert_int_equal(f->bodies, UT_HTTP_SERVER_PIPELINE_MAX + 1);
    size_t replied = 1;
    for (int i = 0; i < COUNT; i++) {
        while (replied < f->pending_count)
            reply_with(f, f->pending[replied++], 200, UT_BYTES_NONE);
        assert_int_equal(take_answer(&c).status, 200);
    }
    f->pending_count = 0;
    assert_int_equal(f->bodies, COUNT);
    ut_wire_close(&c);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
}

static const char chunked[] =
    "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    "5;ext=1\r\nhello\r\n1\r\n \r\n00b\r\nchunked one\r\n0\r\nTrailer: ignored\r\n\r\n";

static void chunked_bodies_decode_at_every_split(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    for (size_t cut = 0; cut < sizeof chunked - 1; cut++) {
        assert_true(ut_wire_send(&c, chunked, cut));
        settle(f);
        assert_true(ut_wire_send(&c, chunked + cut, sizeof chunked - 1 - cut));
        const answer a = take_answer(&c);
        assert_int_equal(a.status, 200);
        assert_body(&a, "hello chunked one");
    }
    ut_wire_close(&c);
}

static void requests_decode_byte_by_byte(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    static const char text[] =
        "POST /now HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_true(ut_wire_send(&c, text + i, 1));
        settle(f);
    }
    answer a = take_answer(&c);
    assert_body(&a, "hello");
    for (size_t i = 0; i < sizeof chunked - 1; i++) {
        assert_true(ut_wire_send(&c, chunked + i, 1));
        settle(f);
    }
    a = take_answer(&c);
    assert_body(&a, "hello chunked one");
    ut_wire_close(&c);
}

static void a_request_cut_at_any_byte_reaches_nobody(void **state)
{
    fixture *f = *state;
    static const char text[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    const char *texts[] = {text, chunked};
    const size_t lens[] = {sizeof text - 1, sizeof chunked - 1};
    for (size_t t = 0; t < 2; t++) {
        for (size_t cut = 0; cut < lens[t]; cut++) {
            client c = client_open(f);
            assert_true(ut_wire_send(&c, texts[t], cut));
            ut_sock_shutdown_write(c.sock);
            ut_wire_wait_eof(&c);
            assert_int_equal(c.len, 0);
            ut_wire_close(&c);
            wait_for_connections(f, 0);
        }
    }
    assert_int_equal(f->bodies, 0);
    assert_memory_is_free(f);
}

static void a_client_that_stops_sending_still_gets_its_answers(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Le");
    ut_sock_shutdown_write(c.sock);
    wait_for_bodies(f, 2);
    settle(f);
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    reply_with(f, f->pending[1], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    assert_int_equal(take_answer(&c).status, 200);
    assert_int_equal(take_answer(&c).status, 200);
    ut_wire_wait_eof(&c);
    assert_int_equal(c.taken, c.len);
    ut_wire_close(&c);
    wait_for_connections(f, 0);
}

static void an_answer_to_a_client_that_is_gone_goes_nowhere(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb");
    wait_for_bodies(f, 2);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c.sock, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    ut_wire_close(&c);
    wait_for_connections(f, 0);
    ut_http_server_stats stats;
    ut_http_server_get_stats(f->server, &stats);
    assert_int_equal(stats.under_way, 2);
    reply_with(f, f->pending[0], 200, UT_BYTES_LIT("x"));
    reply_with(f, f->pending[1], 200, UT_BYTES_LIT("x"));
    f->pending_count = 0;
    ut_http_server_get_stats(f->server, &stats);
    assert_int_equal(stats.under_way, 0);
}

static void old_and_closing_clients_get_what_they_asked_for(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "GET /now HTTP/1.0\r\n\r\n");
    answer a = take_answer(&c);
    assert_int_equal(a.status, 200);
    assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);

    c = client_open(f);
    ut_wire_send_z(&c, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    a = take_answer(&c);
    assert_non_null(strstr(a.head_z, "Connection: keep-alive\r\n"));
    ut_wire_send_z(&c, "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                       "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    a = take_answer(&c);
    assert_closes(&a);
    ut_wire_wait_eof(&c);
    assert_int_equal(c.taken, c.len); // what came behind is not answered
    assert_int_equal(f->bodies, 3);
    ut_wire_close(&c);
}

static void answers_to_head_have_no_body(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "HEAD /early HTTP/1.1\r\nHost: x\r\n\r\n");
    answer a;
    ut_wire_take(&c, true, &a);
    assert_int_equal(a.status, 404);
    assert_non_null(strstr(a.head_z, "Content-Length: 2\r\n"));
    ut_wire_send_z(&c, "GET /early HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&c).body.len, 2);
    ut_wire_close(&c);
}

static void an_offer_to_upgrade_is_ignored(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                       "Content-Length: 2\r\n\r\nab"
                       "CONNECT /now HTTP/1.1\r\nHost: x\r\n\r\n"
                       "GET /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                       "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    answer a = take_answer(&c);
    assert_body(&a, "ab");
    for (int i = 0; i < 3; i++) {
        a = take_answer(&c);
        assert_int_equal(a.status, 200);
        assert_body(&a, "");
    }
    ut_wire_close(&c);
}

// ---- 100-continue

static void a_client_that_waits_is_told_to_go_on(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(
        &c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
    answer a = take_answer(&c);
    assert_int_equal(a.status, 100);
    ut_wire_send_z(&c, "hello");
    a = take_answer(&c);
    assert_int_equal(a.status, 200);
    assert_body(&a, "hello");
    // Sent with some of the body at once, the word to go on is not needed.
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                       "Expect: 100-continue\r\n\r\nhe");
    settle(f);
    ut_wire_send_z(&c, "llo");
    a = take_answer(&c);
    assert_int_equal(a.status, 200);
    ut_wire_send_z(
        &c,
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    a = take_answer(&c);
    assert_int_equal(a.status, 200);
    ut_wire_close(&c);
}

static void the_word_to_go_on_waits_for_earlier_answers(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(
        &c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
            "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    wait_for_bodies(f, 1);
    settle(f);
    ut_wire_read(&c);
    assert_int_equal(c.len, 0);
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    assert_int_equal(take_answer(&c).status, 200);
    assert_int_equal(take_answer(&c).status, 100);
    ut_wire_send_z(&c, "hello");
    const answer a = take_answer(&c);
    assert_body(&a, "hello");
    ut_wire_close(&c);
}

static void a_client_that_waits_is_refused_before_the_body(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text_z;
        int status;
    } cases[] = {
        {"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
         404},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: "
         "100-continue\r\n\r\n",
         413},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\n", 417},
        {"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: "
         "100-continue\r\n\r\n",
         404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client c = client_open(f);
        ut_wire_send_z(&c, cases[i].text_z);
        const answer a = take_answer(&c);
        assert_int_equal(a.status, cases[i].status);
        assert_closes(&a);
        ut_wire_wait_eof(&c);
        assert_int_equal(c.taken, c.len);
        ut_wire_close(&c);
    }
    assert_int_equal(f->bodies, 0);
}

// The memory of a head larger than 4 KiB is not kept for the next one, but goes back to the system.
static void an_expectation_is_read_before_its_head_goes(void **state)
{
    fixture *f = *state;
    f->config.header_bytes_max = 32 * 1024;
    reopen_server(f);
    static char text[16 * 1024];
    (void)snprintf(text, sizeof(text),
                   "POST /now HTTP/1.1\r\nHost: x\r\nX-Long: %08192d\r\n"
                   "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                   0);
    client c = client_open(f);
    ut_wire_send_z(&c, text);
    assert_int_equal(take_answer(&c).status, 100);
    ut_wire_send_z(&c, "hello");
    const answer a = take_answer(&c);
    assert_int_equal(a.status, 200);
    assert_body(&a, "hello");
    ut_wire_close(&c);
}

// ---- what is not a request

static void shapes_that_smuggle_are_refused(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text_z;
        int status;
    } cases[] = {
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
         "5\r\n\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nhello", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
         "identity\r\n\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /now HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\nfffffffffffffffff\r\nhello",
         400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST /now HTTP/1.1\nHost: x\nContent-Length: 0\n\n", 400},
        {"POST /now HTTP/1.1\r\n Host: x\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nX\x01: a\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST /now HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST /now HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400},
        {"POST /now HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
        {"POST /now\r\nHost: x\r\n\r\n", 505},
        {"POST /now HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"POST /now HTTP/1.2\r\nHost: x\r\n\r\n", 505},
        {"POST /now HTTP/9.9\r\nHost: x\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"POST /now RTSP/1.1\r\nHost: x\r\n\r\n", 400},
        {"DESCRIBE /now RTSP/1.0\r\n\r\n", 400},
        {"FROB /now HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        {"\x16\x03\x01\x02\x01\x01", 400},
        {"{\"resourceSpans\":[]}", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client c = client_open(f);
        ut_wire_send_z(&c, cases[i].text_z);
        const answer a = take_answer(&c);
        if (a.status != cases[i].status)
            fail_msg("case %zu got %d, not %d: %s", i, a.status, cases[i].status, cases[i].text_z);
        assert_closes(&a);
        ut_wire_wait_eof(&c);
        if (c.taken != c.len)
            fail_msg("case %zu got a second answer: %.*s", i, (int)(c.len - c.taken),
                     c.inbox + c.taken);
        ut_wire_close(&c);
    }
    assert_int_equal(f->bodies, 0);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
}

static void what_is_behind_a_bad_request_is_not_read(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb");
    wait_for_bodies(f, 1);
    settle(f);
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    const answer first = take_answer(&c);
    assert_int_equal(first.status, 200); // it was good, and is answered
    assert_stays(&first);
    const answer second = take_answer(&c);
    assert_int_equal(second.status, 400);
    assert_closes(&second);
    ut_wire_wait_eof(&c);
    assert_int_equal(c.taken, c.len);
    assert_int_equal(f->bodies, 1);
    ut_wire_close(&c);
}

// ---- limits

static void heads_over_the_limits_are_refused(void **state)
{
    fixture *f = *state;
    static char text[256 * 1024];
    for (int kind = 0; kind < 6; kind++) {
        size_t len = 0;
        int expected = 431;
        switch (kind) {
        case 0: // a target
            expected = 414;
            len = (size_t)sprintf(text, "GET /");
            memset(text + len, 'a', 20000);
            len += 20000;
            break;
        case 1: // one long value
            len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\nX: ");
            memset(text + len, 'a', 5000);
            len += 5000;
            break;
        case 2: // one long name
            len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\n");
            memset(text + len, 'a', 5000);
            len += 5000;
            break;
        case 3: // many fields
            len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\n");
            for (int i = 0; i <= UT_HTTP_SERVER_FIELDS_MAX; i++)
                len += (size_t)sprintf(text + len, "a: b\r\n");
            break;
        case 4: // blanks that no callback sees
            len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\nX:");
            memset(text + len, ' ', 200000);
            len += 200000;
            break;
        default: // complete in one read, and too long
            len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\nX:");
            memset(text + len, ' ', 4096);
            len += 4096;
            len += (size_t)sprintf(text + len, "a\r\n\r\n");
            break;
        }
        client c = client_open(f);
        assert_true(ut_wire_send(&c, text, len));
        const answer a = take_answer(&c);
        if (a.status != expected)
            fail_msg("kind %d got %d", kind, a.status);
        assert_closes(&a);
        ut_wire_close(&c);
    }
    assert_int_equal(f->heads, 0);

    // Just at the limit is well.
    client c = client_open(f);
    size_t len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\nX: ");
    memset(text + len, 'a', 4096 - len - 4);
    len = 4096 - 4;
    memcpy(text + len, "\r\n\r\n", 4);
    assert_true(ut_wire_send(&c, text, 4096));
    assert_int_equal(take_answer(&c).status, 200);
    ut_wire_close(&c);
}

static void a_target_has_a_limit_of_its_own(void **state)
{
    fixture *f = *state;
    f->config.header_bytes_max = 64 * 1024;
    reopen_server(f);
    static char text[UT_HTTP_SERVER_TARGET_MAX + 64];
    for (size_t over = 0; over < 2; over++) {
        size_t len = (size_t)sprintf(text, "GET /now?");
        memset(text + len, 'a', sizeof text - len);
        len = 4 + UT_HTTP_SERVER_TARGET_MAX + over;
        len += (size_t)sprintf(text + len, " HTTP/1.1\r\nHost: x\r\n\r\n");
        client c = client_open(f);
        assert_true(ut_wire_send(&c, text, len));
        assert_int_equal(take_answer(&c).status, over == 0 ? 200 : 414);
        ut_wire_close(&c);
    }
}

static void blank_lines_do_not_keep_a_connection_alive(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    for (int i = 0; i < 4; i++) {
        ut_wire_send_z(&c, "\r\n\r\n\r\n");
        settle(f);
        f->skew_ms += HEAD_MS / 3;
    }
    assert_closed_by_now(f, &c);
    ut_wire_close(&c);
}

static void chunks_of_framing_without_body_are_refused(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    static char extension[64 * 1024];
    memset(extension, 'a', sizeof extension);
    assert_true(ut_wire_send(&c, extension, sizeof extension));
    assert_int_equal(take_answer(&c).status, 400);
    ut_wire_close(&c);
    // Many small chunks are not that.
    c = client_open(f);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5000; i++)
        ut_wire_send_z(&c, "1\r\nx\r\n");
    ut_wire_send_z(&c, "0\r\n\r\n");
    const answer a = take_answer(&c);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 5000);
    ut_wire_close(&c);
}

// Sends a body that is too large to the end before it reads, as simple clients do.
static void a_body_over_the_limit_gets_413_that_its_sender_can_see(void **state)
{
    fixture *f = *state;
    enum { TOO_BIG = 8 * 1024 * 1024 };
    char *big = calloc(1, TOO_BIG);
    char head[128];
    client c = client_open(f);
    const int len =
        sprintf(head, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", TOO_BIG);
    assert_true(ut_wire_send(&c, head, (size_t)len));
    assert_true(ut_wire_send(&c, big, TOO_BIG));
    answer a = take_answer(&c);
    assert_int_equal(a.status, 413);
    assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);

    c = client_open(f);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 64; i++) {
        assert_true(ut_wire_send(&c, "10000\r\n", 7));
        assert_true(ut_wire_send(&c, big, 65536));
        assert_true(ut_wire_send(&c, "\r\n", 2));
    }
    ut_wire_send_z(&c, "0\r\n\r\n");
    a = take_answer(&c);
    assert_int_equal(a.status, 413);
    assert_non_null(memmem(a.body.data, a.body.len, "than this receiver takes", 24));
    assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);
    assert_int_equal(f->refusals, 2);
    assert_int_equal(f->bodies, 0);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
    free(big);
}

static void a_body_at_the_limit_is_taken(void **state)
{
    fixture *f = *state;
    static char body[BODY_MAX];
    char head[128];
    memset(body, 'b', sizeof body);
    client c = client_open(f);
    const int len =
        sprintf(head, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
    for (int i = 0; i < 3; i++) {
        assert_true(ut_wire_send(&c, head, (size_t)len));
        assert_true(ut_wire_send(&c, body, 1000));
        settle(f);
        assert_true(ut_wire_send(&c, body + 1000, sizeof body - 1000));
        const answer a = take_answer(&c);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body.len, BODY_MAX);
        assert_memory_equal(a.body.data, body, BODY_MAX);
    }
    ut_wire_close(&c);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
}

static void a_short_refused_body_does_not_cost_the_connection(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nGET /now");
    const answer a = take_answer(&c);
    assert_int_equal(a.status, 404);
    assert_stays(&a);
    ut_wire_send_z(&c, " HTTP/1.1\r\n\r"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
    const answer b = take_answer(&c);
    assert_int_equal(b.status, 200);
    assert_body(&b, "ok");
    assert_int_equal(f->bodies, 1);
    ut_wire_close(&c);
}

static void bodies_over_the_memory_get_503_and_the_connection_goes_on(void **state)
{
    fixture *f = *state;
    f->config.memory_bytes_max = 100 * 1024;
    reopen_server(f);
    static char body[BODY_MAX];
    static const char head[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n";
    // Two bodies that stop in the middle; the second does not fit beside the first.
    client first = client_open(f);
    ut_wire_send_z(&first, head);
    assert_true(ut_wire_send(&first, body, 60000));
    settle(f);
    client second = client_open(f);
    ut_wire_send_z(&second, head);
    assert_true(ut_wire_send(&second, body, 60000));
    answer a = take_answer(&second);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head_z, "\r\nRetry-After: 7\r\n"));
    assert_stays(&a);
    assert_true(ut_wire_send(&first, body, 5536));
    assert_int_equal(take_answer(&first).status, 200);
    // The rest of the refused one is passed over; the next one is taken.
    assert_true(ut_wire_send(&second, body, 5536));
    ut_wire_send_z(&second, head);
    assert_true(ut_wire_send(&second, body, 60000));
    settle(f);
    assert_true(ut_wire_send(&second, body, 5536));
    a = take_answer(&second);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, BODY_MAX);
    ut_wire_close(&first);
    ut_wire_close(&second);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
}

static void a_promised_length_alone_takes_no_memory(void **state)
{
    fixture *f = *state;
    f->config.body_bytes_max = 64 * 1024 * 1024;
    f->config.memory_bytes_max = 128 * 1024 * 1024;
    reopen_server(f);
    client c = client_open(f);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\nabc");
    settle(f);
    ut_http_server_stats stats;
    ut_http_server_get_stats(f->server, &stats);
    assert_int_equal(stats.under_way, 1);
    assert_true(stats.memory <= 128 * 1024);
    ut_wire_close(&c);
}

static void a_connection_over_the_limit_is_told_and_others_go_on(void **state)
{
    fixture *f = *state;
    client clients[16];
    for (int i = 0; i < 16; i++) {
        clients[i] = client_open(f);
        ut_wire_send_z(&clients[i], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(take_answer(&clients[i]).status, 200);
    }
    client over = client_open(f);
    ut_wire_send_z(&over, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    const answer a = take_answer(&over);
    assert_int_equal(a.status, 503);
    assert_closes(&a);
    assert_non_null(strstr(a.head_z, "Retry-After: "));
    ut_wire_wait_eof(&over);
    assert_int_equal(over.taken, over.len);
    ut_wire_close(&over);
    for (int i = 0; i < 16; i++) {
        ut_wire_send_z(&clients[i], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(take_answer(&clients[i]).status, 200);
    }
    ut_wire_close(&clients[0]);
    wait_for_connections(f, 15);
    clients[0] = client_open(f);
    ut_wire_send_z(&clients[0], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&clients[0]).status, 200);
    for (int i = 0; i < 16; i++)
        ut_wire_close(&clients[i]);
}

static void out_of_descriptors_the_server_waits_without_spinning(void **state)
{
    fixture *f = *state;
    client kept = client_open(f);
    ut_wire_send_z(&kept, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&kept).status, 200);
    // The client's own socket takes the last descriptor, so that accept finds none.
    ut_sock waiting = UT_SOCK_NONE;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = dup(0);
    assert_true(next >= 0);
    (void)close(next);
    struct rlimit low = before;
    low.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    const ut_err err = ut_sock_connect(&f->addr, &waiting);
    for (int i = 0; i < 3; i++)
        pump(f);
    // Nothing is ready now, although a connection waits.
    ut_poll_event events[4];
    size_t count = 1;
    const ut_err waited = ut_poller_wait(f->poller, 0, events, 4, &count);
    ut_wire_send_z(&kept, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    const answer a = take_answer(&kept);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, UT_OK);
    assert_int_equal(waited, UT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(a.status, 200);
    f->skew_ms += UT_HTTP_SERVER_ACCEPT_PAUSE_MS;
    wait_for_connections(f, 2);
    ut_sock_close(waiting);
    ut_wire_close(&kept);
}

// ---- time

static void a_silent_connection_is_closed(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    wait_for_connections(f, 1);
    f->skew_ms += HEAD_MS - SLACK_MS;
    settle(f);
    ut_wire_read(&c);
    assert_false(c.eof);
    f->skew_ms += SLACK_MS;
    assert_closed_by_now(f, &c);
    assert_int_equal(c.len, 0);
    ut_wire_close(&c);
}

static void a_head_that_drips_gets_408(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&c).status, 200);
    static const char drops[] = "GET /";
    for (size_t i = 0; i < 5; i++) {
        assert_true(ut_wire_send(&c, &drops[i], 1));
        settle(f);
        f->skew_ms += HEAD_MS / 4;
    }
    const answer a = take_answer(&c);
    assert_int_equal(a.status, 408);
    assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);
}

static void a_body_that_stalls_or_drips_is_cut_off(void **state)
{
    fixture *f = *state;
    for (int drip = 0; drip < 2; drip++) {
        client c = client_open(f);
        ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc");
        settle(f);
        for (int i = 0; i < 5; i++) {
            if (drip != 0)
                (void)ut_wire_send(&c, "d", 1);
            settle(f);
            f->skew_ms += BODY_MS / 4;
        }
        assert_closed_by_now(f, &c);
        assert_int_equal(c.len, 0); // no answer: it may be sent again
        ut_wire_close(&c);
    }
    // A slow body that makes progress is taken.
    client c = client_open(f);
    char head[128];
    static char part[UT_HTTP_SERVER_PROGRESS_MIN];
    (void)sprintf(head, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                  3 * UT_HTTP_SERVER_PROGRESS_MIN);
    ut_wire_send_z(&c, head);
    for (int i = 0; i < 3; i++) {
        f->skew_ms += BODY_MS - SLACK_MS;
        assert_true(ut_wire_send(&c, part, sizeof part));
        settle(f);
    }
    assert_int_equal(take_answer(&c).status, 200);
    ut_wire_close(&c);
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
}

static void an_idle_connection_is_closed_and_a_waiting_one_is_not(void **state)
{
    fixture *f = *state;
    client idle = client_open(f);
    client waits = client_open(f);
    ut_wire_send_z(&idle, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_send_z(&waits, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&idle).status, 200);
    wait_for_bodies(f, 2);
    f->skew_ms += HEAD_MS;
    settle(f);
    ut_wire_read(&idle);
    assert_false(idle.eof); // between requests it has more time
    f->skew_ms += IDLE_MS;
    assert_closed_by_now(f, &idle);
    assert_int_equal(idle.taken, idle.len);
    ut_wire_read(&waits);
    assert_false(waits.eof);
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    assert_int_equal(take_answer(&waits).status, 200);
    ut_wire_close(&idle);
    ut_wire_close(&waits);
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    static char body[BODY_MAX];
    static const char head[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n";
    // Until the answers fill all buffers on the way, and the server stops reading.
    const uint64_t begin_ms = ut_clock_mono_ms();
    bool full = false;
    while (!full) {
        ut_bytes parts[2] = {ut_bytes_of_z(head), ut_bytes_of(body, sizeof body)};
        size_t n = 0;
        const ut_err err = ut_sock_write(c.sock, parts, 2, &n);
        if (err == UT_OK && n < sizeof head - 1 + sizeof body) {
            full = true;
        } else if (err == UT_EAGAIN) {
            full = true;
        } else {
            assert_int_equal(err, UT_OK);
            settle(f);
        }
        ut_wire_patience(begin_ms, "a full connection");
    }
    settle(f);
    ut_http_server_stats stats;
    ut_http_server_get_stats(f->server, &stats);
    assert_int_equal(stats.connections, 1);
    f->skew_ms += BODY_MS;
    wait_for_connections(f, 0);
    assert_memory_is_free(f);
    ut_wire_close(&c);
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_bodies(f, 1);
    settle(f);
    ut_wire_send_z(&c, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    settle(f);
    assert_int_equal(f->bodies, 1);
    f->skew_ms += BODY_MS - SLACK_MS;
    settle(f);
    ut_wire_answer a = take_answer(&c); // it reads in the end
    assert_int_equal(a.body.len, BIG);
    assert_int_equal(take_answer(&c).status, 200);
    ut_wire_send_z(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_bodies(f, 3);
    settle(f);
    f->skew_ms += BODY_MS; // or it does not
    settle(f);
    ut_http_server_stats stats;
    ut_http_server_get_stats(f->server, &stats);
    assert_int_equal(stats.connections, 0);
    ut_wire_close(&c);
}

static void a_reset_is_noticed_while_nothing_is_read(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    for (int i = 0; i < UT_HTTP_SERVER_PIPELINE_MAX + 1; i++)
        ut_wire_send_z(&c, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_bodies(f, UT_HTTP_SERVER_PIPELINE_MAX);
    settle(f);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c.sock, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    ut_wire_close(&c);
    wait_for_connections(f, 0);
    for (size_t i = 0; i < f->pending_count; i++)
        reply_with(f, f->pending[i], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    assert_memory_is_free(f);
}

// ---- the end

static void a_stop_ends_after_the_requests_that_have_begun(void **state)
{
    fixture *f = *state;
    client idle = client_open(f);
    ut_wire_send_z(&idle, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(take_answer(&idle).status, 200);
    client waits = client_open(f);
    ut_wire_send_z(&waits, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_bodies(f, 2);
    client sends = client_open(f);
    ut_wire_send_z(&sends, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    settle(f);
    client arrived = client_open(f); // its request is in the socket, and not read yet
    wait_for_connections(f, 4);
    const ut_bytes request = UT_BYTES_LIT("GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t n = 0;
    assert_int_equal(ut_sock_write(arrived.sock, &request, 1, &n), UT_OK);

    ut_http_server_stop(f->server, now(f));
    ut_wire_wait_eof(&idle);
    assert_int_equal(idle.taken, idle.len);
    answer a = take_answer(&arrived);
    assert_int_equal(a.status, 200);
    assert_closes(&a);
    assert_false(ut_http_server_idle(f->server));
    ut_wire_send_z(&sends, "llo");
    a = take_answer(&sends);
    assert_body(&a, "hello");
    assert_closes(&a);
    assert_false(ut_http_server_idle(f->server));
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    a = take_answer(&waits);
    assert_closes(&a);
    settle(f);
    assert_true(ut_http_server_idle(f->server));
    ut_sock late = UT_SOCK_NONE;
    if (ut_sock_connect(&f->addr, &late) == UT_OK)
        assert_int_not_equal(ut_sock_connect_result(late, NULL), UT_OK);
    ut_sock_close(late);
    ut_wire_close(&idle);
    ut_wire_close(&waits);
    ut_wire_close(&sends);
    ut_wire_close(&arrived);
}

static void a_server_closes_whatever_goes_on(void **state)
{
    fixture *f = *state;
    client c = client_open(f);
    ut_wire_send_z(&c, "GET /later HTTP/1.1\r\nHost: x\r\n\r\nPOST /now HTTP/1.1\r\nHost: "
                       "x\r\nContent-Length: 9\r\n\r\nab");
    wait_for_bodies(f, 1);
    client head = client_open(f);
    ut_wire_send_z(&head, "GET /later HTT");
    settle(f);
    reply_with(f, f->pending[0], 200, UT_BYTES_NONE);
    f->pending_count = 0;
    reopen_server(f);
    ut_wire_close(&c);
    ut_wire_close(&head);
}

static void a_second_server_on_the_address_is_refused(void **state)
{
    fixture *f = *state;
    ut_http_server *second = NULL;
    ut_fault fault = {UT_OK, ""};
    ut_http_server_config config = f->config;
    config.listen = f->addr;
    assert_int_equal(ut_http_server_open(&config, &second, &fault), UT_EBUSY);
    assert_non_null(strstr(fault.text_z, "127.0.0.1:"));
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(requests_on_one_connection_are_answered),
        CLAIM(the_target_may_be_absolute),
        CLAIM(pipelined_requests_are_answered_in_order),
        CLAIM(reading_pauses_at_the_pipeline_limit),
        CLAIM(chunked_bodies_decode_at_every_split),
        CLAIM(requests_decode_byte_by_byte),
        CLAIM(a_request_cut_at_any_byte_reaches_nobody),
        CLAIM(a_client_that_stops_sending_still_gets_its_answers),
        CLAIM(an_answer_to_a_client_that_is_gone_goes_nowhere),
        CLAIM(old_and_closing_clients_get_what_they_asked_for),
        CLAIM(answers_to_head_have_no_body),
        CLAIM(an_offer_to_upgrade_is_ignored),
        CLAIM(a_client_that_waits_is_told_to_go_on),
        CLAIM(the_word_to_go_on_waits_for_earlier_answers),
        CLAIM(a_client_that_waits_is_refused_before_the_body),
        CLAIM(an_expectation_is_read_before_its_head_goes),
        CLAIM(shapes_that_smuggle_are_refused),
        CLAIM(what_is_behind_a_bad_request_is_not_read),
        CLAIM(heads_over_the_limits_are_refused),
        CLAIM(a_target_has_a_limit_of_its_own),
        CLAIM(blank_lines_do_not_keep_a_connection_alive),
        CLAIM(chunks_of_framing_without_body_are_refused),
        CLAIM(a_body_over_the_limit_gets_413_that_its_sender_can_see),
        CLAIM(a_body_at_the_limit_is_taken),
        CLAIM(a_short_refused_body_does_not_cost_the_connection),
        CLAIM(bodies_over_the_memory_get_503_and_the_connection_goes_on),
        CLAIM(a_promised_length_alone_takes_no_memory),
        CLAIM(a_connection_over_the_limit_is_told_and_others_go_on),
        CLAIM(out_of_descriptors_the_server_waits_without_spinning),
        CLAIM(a_silent_connection_is_closed),
        CLAIM(a_head_that_drips_gets_408),
        CLAIM(a_body_that_stalls_or_drips_is_cut_off),
        CLAIM(an_idle_connection_is_closed_and_a_waiting_one_is_not),
        CLAIM(a_client_that_does_not_read_is_cut_off),
        CLAIM(a_client_that_does_not_read_is_not_read_from),
        CLAIM(a_reset_is_noticed_while_nothing_is_read),
        CLAIM(a_stop_ends_after_the_requests_that_have_begun),
        CLAIM(a_server_closes_whatever_goes_on),
        CLAIM(a_second_server_on_the_address_is_refused),
    };
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
