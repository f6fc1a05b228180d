// The end of a server, orderly and at any moment.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void a_stop_ends_after_the_requests_that_have_begun(void **state)
{
    ut_echo *echo = *state;
    ut_wire idle = ut_echo_connect(echo);
    ut_wire_send_z(&idle, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&idle).status, 200);
    ut_wire waits = ut_echo_connect(echo);
    ut_wire_send_z(&waits, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_await_bodies(echo, 2);
    ut_wire sends = ut_echo_connect(echo);
    ut_wire_send_z(&sends, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    ut_echo_settle(echo);
    ut_wire arrived = ut_echo_connect(echo); // its request is in the socket, and not read yet
    ut_echo_await_connections(echo, 4);
    const ut_bytes request = UT_BYTES_LIT("GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t n = 0;
    assert_int_equal(ut_sock_write(arrived.sock, &request, 1, &n), UT_OK);

    ut_http_server_stop(echo->server, ut_echo_now(echo));
    ut_wire_wait_eof(&idle);
    assert_int_equal(idle.taken, idle.len);
    ut_wire_answer a = ut_echo_take(&arrived);
    assert_int_equal(a.status, 200);
    ut_echo_assert_closes(&a);
    assert_false(ut_http_server_idle(echo->server));
    ut_wire_send_z(&sends, "llo");
    a = ut_echo_take(&sends);
    ut_echo_assert_body(&a, "hello");
    ut_echo_assert_closes(&a);
    assert_false(ut_http_server_idle(echo->server));
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    a = ut_echo_take(&waits);
    ut_echo_assert_closes(&a);
    ut_echo_settle(echo);
    assert_true(ut_http_server_idle(echo->server));
    ut_sock late = UT_SOCK_NONE;
    if (ut_sock_connect(&echo->addr, &late) == UT_OK)
        assert_int_not_equal(ut_sock_connect_result(late, NULL), UT_OK);
    ut_sock_close(late);
    ut_wire_close(&idle);
    ut_wire_close(&waits);
    ut_wire_close(&sends);
    ut_wire_close(&arrived);
}

// ut_echo_tear_down counts the memory and sockets that a server leaves behind.
static void a_server_closes_whatever_goes_on(void **state)
{
    ut_echo *echo = *state;
    // A request that waits for its answer, behind it half a body.
    ut_wire body = ut_echo_connect(echo);
    ut_wire_send_z(&body, "GET /later HTTP/1.1\r\nHost: x\r\n\r\nPOST /now HTTP/1.1\r\nHost: "
                          "x\r\nContent-Length: 9\r\n\r\nab");
    ut_echo_await_bodies(echo, 1);
    // Half a head.
    ut_wire head = ut_echo_connect(echo);
    ut_wire_send_z(&head, "GET /later HTT");
    // An answer that does not fit into the socket, and a request held behind it.
    ut_wire deaf = ut_echo_connect(echo);
    ut_wire_send_z(&deaf, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_await_bodies(echo, 2);
    // More requests than may be under way.
    ut_wire many = ut_echo_connect(echo);
    for (int i = 0; i < UT_HTTP_SERVER_PIPELINE_MAX + 1; i++)
        ut_wire_send_z(&many, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_echo_await_bodies(echo, 2 + UT_HTTP_SERVER_PIPELINE_MAX);
    ut_echo_settle(echo);
    ut_http_server_stats stats;
    ut_http_server_get_stats(echo->server, &stats);
    assert_int_equal(stats.connections, 4);
    assert_true(stats.memory > 0);
    for (size_t i = 0; i < echo->pending_count; i++)
        ut_echo_reply(echo, echo->pending[i], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    ut_echo_reopen(echo);
    ut_wire *wires[] = {&body, &head, &deaf, &many};
    for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
        ut_wire_wait_eof(wires[i]);
        ut_wire_close(wires[i]);
    }
}

static void a_second_server_on_the_address_is_refused(void **state)
{
    ut_echo *echo = *state;
    ut_http_server *second = NULL;
    ut_fault fault = {UT_OK, ""};
    ut_http_server_config config = echo->config;
    config.listen = echo->addr;
    assert_int_equal(ut_http_server_open(&config, &second, &fault), UT_EBUSY);
    assert_non_null(strstr(fault.text_z, "127.0.0.1:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_ECHO_TEST(a_stop_ends_after_the_requests_that_have_begun),
        UT_ECHO_TEST(a_server_closes_whatever_goes_on),
        UT_ECHO_TEST(a_second_server_on_the_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
