// Requests that are well formed: one after the other, pipelined, chunked, cut at any byte, with
// every way to say how the connection goes on.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/socket.h>

static void requests_on_one_connection_are_answered(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    for (int i = 0; i < 3; i++) {
        ut_wire_send_z(&c, "POST /now?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        const ut_wire_answer a = ut_echo_take(&c);
        assert_int_equal(a.status, 200);
        ut_echo_assert_body(&a, "hello");
        ut_echo_assert_stays(&a);
        assert_non_null(strstr(a.head_z, " GMT\r\n"));
    }
    assert_string_equal(echo->method_z, "POST");
    assert_string_equal(echo->path_z, "/now");
    assert_string_equal(echo->query_z, "a=b");
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
}

static void the_target_may_be_absolute(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "GET http://x:1/now?q HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&c).status, 200);
    assert_string_equal(echo->path_z, "/now");
    assert_string_equal(echo->query_z, "q");
    ut_wire_send_z(&c, "GET http://x:1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&c).status, 200);
    assert_string_equal(echo->path_z, "/");
    assert_string_equal(echo->query_z, "");
    ut_wire_close(&c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nc");
    ut_echo_await_bodies(echo, 3);
    ut_echo_settle(echo);
    ut_wire_read(&c);
    assert_int_equal(c.len, 0);
    ut_echo_reply(echo, echo->pending[1], 200, UT_BYTES_LIT("third"));
    ut_echo_settle(echo);
    ut_wire_read(&c);
    assert_int_equal(c.len, 0);
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_LIT("first"));
    echo->pending_count = 0;
    ut_wire_answer a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "first");
    a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "b");
    a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "third");
    ut_wire_close(&c);
}

static void reading_pauses_at_the_pipeline_limit(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    enum { COUNT = UT_HTTP_SERVER_PIPELINE_MAX * 3 };
    for (int i = 0; i < COUNT; i++)
        ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    ut_echo_await_bodies(echo, UT_HTTP_SERVER_PIPELINE_MAX);
    ut_echo_settle(echo);
    assert_int_equal(echo->bodies, UT_HTTP_SERVER_PIPELINE_MAX);
    // One ut_wire_answer makes room for one more request.
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_NONE);
    ut_echo_await_bodies(echo, UT_HTTP_SERVER_PIPELINE_MAX + 1);
    ut_echo_settle(echo);
    assert_int_equal(echo->bodies, UT_HTTP_SERVER_PIPELINE_MAX + 1);
    size_t replied = 1;
    for (int i = 0; i < COUNT; i++) {
        while (replied < echo->pending_count)
            ut_echo_reply(echo, echo->pending[replied++], 200, UT_BYTES_NONE);
        assert_int_equal(ut_echo_take(&c).status, 200);
    }
    echo->pending_count = 0;
    assert_int_equal(echo->bodies, COUNT);
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
}

static const char chunked[] =
    "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    "5;ext=1\r\nhello\r\n1\r\n \r\n00b\r\nchunked one\r\n0\r\nTrailer: ignored\r\n\r\n";

static void chunked_bodies_decode_at_every_split(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    for (size_t cut = 0; cut < sizeof(chunked) - 1; cut++) {
        assert_true(ut_wire_send(&c, chunked, cut));
        ut_echo_settle(echo);
        assert_true(ut_wire_send(&c, chunked + cut, sizeof(chunked) - 1 - cut));
        const ut_wire_answer a = ut_echo_take(&c);
        assert_int_equal(a.status, 200);
        ut_echo_assert_body(&a, "hello chunked one");
    }
    ut_wire_close(&c);
}

static void requests_decode_byte_by_byte(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    static const char text[] =
        "POST /now HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_true(ut_wire_send(&c, text + i, 1));
        ut_echo_settle(echo);
    }
    ut_wire_answer a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "hello");
    for (size_t i = 0; i < sizeof(chunked) - 1; i++) {
        assert_true(ut_wire_send(&c, chunked + i, 1));
        ut_echo_settle(echo);
    }
    a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "hello chunked one");
    ut_wire_close(&c);
}

static void a_request_cut_at_any_byte_reaches_nobody(void **state)
{
    ut_echo *echo = *state;
    static const char text[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    const char *texts[] = {text, chunked};
    const size_t lens[] = {sizeof(text) - 1, sizeof(chunked) - 1};
    for (size_t t = 0; t < 2; t++) {
        for (size_t cut = 0; cut < lens[t]; cut++) {
            ut_wire c = ut_echo_connect(echo);
            assert_true(ut_wire_send(&c, texts[t], cut));
            ut_sock_shutdown_write(c.sock);
            ut_wire_wait_eof(&c);
            assert_int_equal(c.len, 0);
            ut_wire_close(&c);
            ut_echo_await_connections(echo, 0);
        }
    }
    assert_int_equal(echo->bodies, 0);
    ut_echo_assert_memory_free(echo);
}

static void a_client_that_stops_sending_still_gets_its_answers(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Le");
    ut_sock_shutdown_write(c.sock);
    ut_echo_await_bodies(echo, 2);
    ut_echo_settle(echo);
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_NONE);
    ut_echo_reply(echo, echo->pending[1], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    assert_int_equal(ut_echo_take(&c).status, 200);
    assert_int_equal(ut_echo_take(&c).status, 200);
    ut_wire_wait_eof(&c);
    assert_int_equal(c.taken, c.len);
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
}

static void an_answer_to_a_client_that_is_gone_goes_nowhere(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb");
    ut_echo_await_bodies(echo, 2);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c.sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
    ut_http_server_stats stats;
    ut_http_server_get_stats(echo->server, &stats);
    assert_int_equal(stats.under_way, 2);
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_LIT("x"));
    ut_echo_reply(echo, echo->pending[1], 200, UT_BYTES_LIT("x"));
    echo->pending_count = 0;
    ut_http_server_get_stats(echo->server, &stats);
    assert_int_equal(stats.under_way, 0);
}

static void old_and_closing_clients_get_what_they_asked_for(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "GET /now HTTP/1.0\r\n\r\n");
    ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 200);
    ut_echo_assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);

    c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    a = ut_echo_take(&c);
    assert_non_null(strstr(a.head_z, "Connection: keep-alive\r\n"));
    ut_wire_send_z(&c, "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                       "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    a = ut_echo_take(&c);
    ut_echo_assert_closes(&a);
    ut_wire_wait_eof(&c);
    assert_int_equal(c.taken, c.len); // requests behind it are not answered
    assert_int_equal(echo->bodies, 3);
    ut_wire_close(&c);
}

static void answers_to_head_have_no_body(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "HEAD /early HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_answer a;
    ut_wire_take(&c, true, &a);
    assert_int_equal(a.status, 404);
    assert_non_null(strstr(a.head_z, "Content-Length: 2\r\n"));
    ut_wire_send_z(&c, "GET /early HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&c).body.len, 2);
    ut_wire_close(&c);
}

static void an_offer_to_upgrade_is_ignored(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                       "Content-Length: 2\r\n\r\nab"
                       "CONNECT /now HTTP/1.1\r\nHost: x\r\n\r\n"
                       "GET /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                       "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_answer a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "ab");
    for (int i = 0; i < 3; i++) {
        a = ut_echo_take(&c);
        assert_int_equal(a.status, 200);
        ut_echo_assert_body(&a, "");
    }
    ut_wire_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_ECHO_TEST(requests_on_one_connection_are_answered),
        UT_ECHO_TEST(the_target_may_be_absolute),
        UT_ECHO_TEST(pipelined_requests_are_answered_in_order),
        UT_ECHO_TEST(reading_pauses_at_the_pipeline_limit),
        UT_ECHO_TEST(chunked_bodies_decode_at_every_split),
        UT_ECHO_TEST(requests_decode_byte_by_byte),
        UT_ECHO_TEST(a_request_cut_at_any_byte_reaches_nobody),
        UT_ECHO_TEST(a_client_that_stops_sending_still_gets_its_answers),
        UT_ECHO_TEST(an_answer_to_a_client_that_is_gone_goes_nowhere),
        UT_ECHO_TEST(old_and_closing_clients_get_what_they_asked_for),
        UT_ECHO_TEST(answers_to_head_have_no_body),
        UT_ECHO_TEST(an_offer_to_upgrade_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
