// Connections that are slow, silent, idle, or do not read.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

static void a_silent_connection_is_closed(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_echo_await_connections(echo, 1);
    echo->skew_ms += UT_ECHO_HEAD_MS - UT_ECHO_SLACK_MS;
    ut_echo_settle(echo);
    ut_wire_read(&c);
    assert_false(c.eof);
    echo->skew_ms += UT_ECHO_SLACK_MS;
    ut_echo_assert_closed(echo, &c);
    assert_int_equal(c.len, 0);
    ut_wire_close(&c);
}

static void a_head_that_drips_gets_408(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&c).status, 200);
    static const char drops[] = "GET /";
    for (size_t i = 0; i < 5; i++) {
        assert_true(ut_wire_send(&c, &drops[i], 1));
        ut_echo_settle(echo);
        echo->skew_ms += UT_ECHO_HEAD_MS / 4;
    }
    const ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 408);
    ut_echo_assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);
}

static void a_body_that_stalls_or_drips_is_cut_off(void **state)
{
    ut_echo *echo = *state;
    for (int drip = 0; drip < 2; drip++) {
        ut_wire c = ut_echo_connect(echo);
        ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc");
        ut_echo_settle(echo);
        for (int i = 0; i < 5; i++) {
            if (drip != 0)
                (void)ut_wire_send(&c, "d", 1);
            ut_echo_settle(echo);
            echo->skew_ms += UT_ECHO_BODY_MS / 4;
        }
        ut_echo_assert_closed(echo, &c);
        assert_int_equal(c.len, 0); // no ut_wire_answer: it may be sent again
        ut_wire_close(&c);
    }
    // A slow body that makes progress is taken.
    ut_wire c = ut_echo_connect(echo);
    char head[128];
    static char part[UT_HTTP_SERVER_PROGRESS_MIN];
    (void)sprintf(head, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                  3 * UT_HTTP_SERVER_PROGRESS_MIN);
    ut_wire_send_z(&c, head);
    for (int i = 0; i < 3; i++) {
        echo->skew_ms += UT_ECHO_BODY_MS - UT_ECHO_SLACK_MS;
        assert_true(ut_wire_send(&c, part, sizeof(part)));
        ut_echo_settle(echo);
    }
    assert_int_equal(ut_echo_take(&c).status, 200);
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
}

static void an_idle_connection_is_closed_and_a_waiting_one_is_not(void **state)
{
    ut_echo *echo = *state;
    ut_wire idle = ut_echo_connect(echo);
    ut_wire waits = ut_echo_connect(echo);
    ut_wire_send_z(&idle, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_send_z(&waits, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&idle).status, 200);
    ut_echo_await_bodies(echo, 2);
    echo->skew_ms += UT_ECHO_HEAD_MS;
    ut_echo_settle(echo);
    ut_wire_read(&idle);
    assert_false(idle.eof); // between requests it has more time
    echo->skew_ms += UT_ECHO_IDLE_MS;
    ut_echo_assert_closed(echo, &idle);
    assert_int_equal(idle.taken, idle.len);
    ut_wire_read(&waits);
    assert_false(waits.eof);
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    assert_int_equal(ut_echo_take(&waits).status, 200);
    ut_wire_close(&idle);
    ut_wire_close(&waits);
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    static char body[UT_ECHO_BODY_MAX];
    static const char head[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n";
    // Until the answers fill all buffers on the way, and the server stops reading.
    const uint64_t begin_ms = ut_clock_mono_ms();
    bool full = false;
    while (!full) {
        ut_bytes parts[2] = {ut_bytes_of_z(head), ut_bytes_of(body, sizeof(body))};
        size_t n = 0;
        const ut_err err = ut_sock_write(c.sock, parts, 2, &n);
        if (err == UT_OK && n < sizeof(head) - 1 + sizeof(body)) {
            full = true;
        } else if (err == UT_EAGAIN) {
            full = true;
        } else {
            assert_int_equal(err, UT_OK);
            ut_echo_settle(echo);
        }
        ut_wire_patience(begin_ms, "a full connection");
    }
    ut_echo_settle(echo);
    ut_http_server_stats stats;
    ut_http_server_get_stats(echo->server, &stats);
    assert_int_equal(stats.connections, 1);
    echo->skew_ms += UT_ECHO_BODY_MS;
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
    ut_wire_close(&c);
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_await_bodies(echo, 1);
    ut_echo_settle(echo);
    ut_wire_send_z(&c, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_settle(echo);
    assert_int_equal(echo->bodies, 1);
    echo->skew_ms += UT_ECHO_BODY_MS - UT_ECHO_SLACK_MS;
    ut_echo_settle(echo);
    ut_wire_answer a = ut_echo_take(&c); // it reads in the end
    assert_int_equal(a.body.len, UT_ECHO_BIG);
    assert_int_equal(ut_echo_take(&c).status, 200);
    ut_wire_send_z(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_await_bodies(echo, 3);
    ut_echo_settle(echo);
    echo->skew_ms += UT_ECHO_BODY_MS; // or it does not
    ut_echo_await_connections(echo, 0);
    ut_wire_close(&c);
}

static void a_reset_is_noticed_while_nothing_is_read(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    for (int i = 0; i < UT_HTTP_SERVER_PIPELINE_MAX + 1; i++)
        ut_wire_send_z(&c, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_await_bodies(echo, UT_HTTP_SERVER_PIPELINE_MAX);
    ut_echo_settle(echo);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c.sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
    for (size_t i = 0; i < echo->pending_count; i++)
        ut_echo_reply(echo, echo->pending[i], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    ut_echo_assert_memory_free(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_ECHO_TEST(a_silent_connection_is_closed),
        UT_ECHO_TEST(a_head_that_drips_gets_408),
        UT_ECHO_TEST(a_body_that_stalls_or_drips_is_cut_off),
        UT_ECHO_TEST(an_idle_connection_is_closed_and_a_waiting_one_is_not),
        UT_ECHO_TEST(a_client_that_does_not_read_is_cut_off),
        UT_ECHO_TEST(a_client_that_does_not_read_is_not_read_from),
        UT_ECHO_TEST(a_reset_is_noticed_while_nothing_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
