// The handler that echoes, and the loop that drives its server.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>

void ut_echo_reply(ut_echo *echo, ut_http_exchange *exchange, int status, ut_bytes body)
{
    const ut_http_reply reply = {.status = status, .content_type_z = "text/plain", .body = body};
    ut_http_server_reply(echo->server, exchange, &reply);
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
    ut_echo *echo = context;
    echo->heads++;
    copy_z(echo->method_z, sizeof(echo->method_z), ut_bytes_of_z(head->method_z));
    copy_z(echo->path_z, sizeof(echo->path_z), head->path);
    copy_z(echo->query_z, sizeof(echo->query_z), head->query);
    exchange->note = strcmp(echo->path_z, "/later") == 0;
    if (strcmp(echo->path_z, "/early") == 0)
        ut_echo_reply(echo, exchange, 404, UT_BYTES_LIT("no"));
}

static void on_body(void *context, ut_http_exchange *exchange, ut_bytes body)
{
    ut_echo *echo = context;
    echo->bodies++;
    echo->body_len = body.len < sizeof(echo->body) ? body.len : sizeof(echo->body);
    if (echo->body_len > 0)
        memcpy(echo->body, body.data, echo->body_len);
    if (strcmp(echo->path_z, "/big") == 0) {
        static uint8_t big[UT_ECHO_BIG];
        ut_echo_reply(echo, exchange, 200, ut_bytes_of(big, sizeof(big)));
    } else if (exchange->note == 0) {
        ut_echo_reply(echo, exchange, 200, body);
    } else {
        assert_true(echo->pending_count < UT_ECHO_PENDING_MAX);
        echo->pending[echo->pending_count++] = exchange;
    }
}

static void on_refuse(void *context, ut_http_exchange *exchange, int status, const char *reason_z)
{
    ut_echo *echo = context;
    echo->refusals++;
    echo->refused_status = status;
    const ut_http_reply reply = {.status = status,
                                 .content_type_z = "text/plain",
                                 .body = ut_bytes_of_z(reason_z),
                                 .retry_after_s = status == 503 ? 7 : 0};
    ut_http_server_reply(echo->server, exchange, &reply);
}

uint64_t ut_echo_now(const ut_echo *echo)
{
    return ut_clock_mono_ms() + echo->skew_ms;
}

void ut_echo_pump(ut_echo *echo)
{
    ut_poll_event events[64];
    size_t count = 0;
    uint64_t next_ms = 0;
    ut_http_server_step(echo->server, ut_echo_now(echo), &next_ms);
    assert_int_equal(ut_poller_wait(echo->poller, 1, events, 64, &count), UT_OK);
    echo->waits++;
    for (size_t i = 0; i < count; i++)
        ut_http_server_event(&events[i], ut_echo_now(echo));
    ut_http_server_step(echo->server, ut_echo_now(echo), &next_ms);
}

void ut_echo_settle(ut_echo *echo)
{
    size_t count = 1;
    while (count > 0) {
        ut_poll_event events[64];
        uint64_t next_ms = 0;
        ut_http_server_step(echo->server, ut_echo_now(echo), &next_ms);
        assert_int_equal(ut_poller_wait(echo->poller, 0, events, 64, &count), UT_OK);
        for (size_t i = 0; i < count; i++)
            ut_http_server_event(&events[i], ut_echo_now(echo));
    }
    uint64_t next_ms = 0;
    ut_http_server_step(echo->server, ut_echo_now(echo), &next_ms);
}

static void open_server(ut_echo *echo)
{
    ut_fault fault = {UT_OK, ""};
    if (ut_http_server_open(&echo->config, &echo->server, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_http_server_addr(echo->server, &echo->addr), UT_OK);
}

int ut_echo_set_up(void **state)
{
    const ut_holdings before = ut_holdings_now();
    ut_echo *echo = calloc(1, sizeof(*echo));
    assert_non_null(echo);
    echo->before = before;
    assert_int_equal(ut_poller_open(&echo->poller), UT_OK);
    echo->config = (ut_http_server_config){
        .poller = echo->poller,
        .area_z = "test",
        .handler = {.context = echo,
                    .on_head = on_head,
                    .on_body = on_body,
                    .on_refuse = on_refuse},
        .body_bytes_max = UT_ECHO_BODY_MAX,
        .memory_bytes_max = 1024 * 1024,
        .connections_max = 16,
        .header_bytes_max = 4096,
        .head_timeout_ms = UT_ECHO_HEAD_MS,
        .body_timeout_ms = UT_ECHO_BODY_MS,
        .idle_timeout_ms = UT_ECHO_IDLE_MS,
    };
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &echo->config.listen), UT_OK);
    open_server(echo);
    *state = echo;
    return 0;
}

int ut_echo_tear_down(void **state)
{
    ut_echo *echo = *state;
    for (size_t i = 0; i < echo->pending_count; i++)
        ut_echo_reply(echo, echo->pending[i], 200, UT_BYTES_NONE);
    ut_http_server_close(echo->server);
    ut_poller_close(echo->poller);
    const ut_holdings before = echo->before;
    free(echo);
    ut_holdings_assert_same(&before);
    return 0;
}

void ut_echo_reopen(ut_echo *echo)
{
    ut_http_server_close(echo->server);
    open_server(echo);
}

static void turn(void *context)
{
    ut_echo_pump(context);
}

ut_wire ut_echo_connect(ut_echo *echo)
{
    ut_wire wire;
    ut_wire_open(&wire, &echo->addr, turn, echo);
    return wire;
}

ut_wire_answer ut_echo_take(ut_wire *wire)
{
    ut_wire_answer answer;
    ut_wire_take(wire, false, &answer);
    return answer;
}

void ut_echo_await_connections(ut_echo *echo, uint32_t count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_http_server_stats stats;
    do {
        ut_echo_pump(echo);
        ut_http_server_get_stats(echo->server, &stats);
        ut_wire_patience(begin_ms, "the expected number of connections");
    } while (stats.connections != count);
}

void ut_echo_await_bodies(ut_echo *echo, size_t count)
{
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (echo->bodies < count) {
        ut_echo_pump(echo);
        ut_wire_patience(begin_ms, "the expected number of requests");
    }
    assert_int_equal(echo->bodies, count);
}

void ut_echo_assert_closed(ut_echo *echo, ut_wire *wire)
{
    ut_echo_settle(echo);
    ut_wire_read(wire);
    assert_true(wire->eof);
}

void ut_echo_assert_closes(const ut_wire_answer *answer)
{
    assert_non_null(strstr(answer->head_z, "\r\nConnection: close\r\n"));
}

void ut_echo_assert_stays(const ut_wire_answer *answer)
{
    assert_null(strstr(answer->head_z, "Connection: close"));
}

void ut_echo_assert_body(const ut_wire_answer *answer, const char *body_z)
{
    assert_int_equal(answer->body.len, strlen(body_z));
    assert_memory_equal(answer->body.data, body_z, answer->body.len);
}

void ut_echo_assert_memory_free(ut_echo *echo)
{
    ut_http_server_stats stats;
    ut_http_server_get_stats(echo->server, &stats);
    assert_int_equal(stats.memory, 0);
}
