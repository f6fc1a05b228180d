// Bodies, memory, connections and descriptors at their limits.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

// Sends a body that is too large to the end before it reads, as simple clients do.
static void a_body_over_the_limit_gets_413_that_its_sender_can_see(void **state)
{
    ut_echo *echo = *state;
    enum { TOO_BIG = 8 * 1024 * 1024 };
    char *big = calloc(1, TOO_BIG);
    char head[128];
    ut_wire c = ut_echo_connect(echo);
    const int len =
        sprintf(head, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", TOO_BIG);
    assert_true(ut_wire_send(&c, head, (size_t)len));
    assert_true(ut_wire_send(&c, big, TOO_BIG));
    ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 413);
    ut_echo_assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);

    c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 64; i++) {
        assert_true(ut_wire_send(&c, "10000\r\n", 7));
        assert_true(ut_wire_send(&c, big, 65536));
        assert_true(ut_wire_send(&c, "\r\n", 2));
    }
    ut_wire_send_z(&c, "0\r\n\r\n");
    a = ut_echo_take(&c);
    assert_int_equal(a.status, 413);
    assert_non_null(memmem(a.body.data, a.body.len, "than this receiver takes", 24));
    ut_echo_assert_closes(&a);
    ut_wire_wait_eof(&c);
    ut_wire_close(&c);
    assert_int_equal(echo->refusals, 2);
    assert_int_equal(echo->bodies, 0);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
    free(big);
}

static void a_body_at_the_limit_is_taken(void **state)
{
    ut_echo *echo = *state;
    static char body[UT_ECHO_BODY_MAX];
    char head[128];
    memset(body, 'b', sizeof(body));
    ut_wire c = ut_echo_connect(echo);
    const int len = sprintf(head, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                            UT_ECHO_BODY_MAX);
    for (int i = 0; i < 3; i++) {
        assert_true(ut_wire_send(&c, head, (size_t)len));
        assert_true(ut_wire_send(&c, body, 1000));
        ut_echo_settle(echo);
        assert_true(ut_wire_send(&c, body + 1000, sizeof(body) - 1000));
        const ut_wire_answer a = ut_echo_take(&c);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body.len, UT_ECHO_BODY_MAX);
        assert_memory_equal(a.body.data, body, UT_ECHO_BODY_MAX);
    }
    ut_wire_close(&c);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
}

static void a_short_refused_body_does_not_cost_the_connection(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nGET /now");
    const ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 404);
    ut_echo_assert_stays(&a);
    ut_wire_send_z(&c, " HTTP/1.1\r\n\r"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
    const ut_wire_answer b = ut_echo_take(&c);
    assert_int_equal(b.status, 200);
    ut_echo_assert_body(&b, "ok");
    assert_int_equal(echo->bodies, 1);
    ut_wire_close(&c);
}

static void a_refused_body_in_chunks_is_passed_over_while_it_is_short(void **state)
{
    ut_echo *echo = *state;
    static char chunk[UT_HTTP_SERVER_DISCARD_MAX / 4];
    char size_z[32];
    (void)snprintf(size_z, sizeof(size_z), "%zx\r\n", sizeof(chunk));
    for (int chunks = 1; chunks <= 5; chunks++) {
        ut_wire c = ut_echo_connect(echo);
        ut_wire_send_z(&c, "POST /early HTTP/1.1\r\nHost: x\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n");
        const ut_wire_answer a = ut_echo_take(&c);
        assert_int_equal(a.status, 404);
        ut_echo_assert_stays(&a);
        for (int i = 0; i < chunks; i++) {
            ut_wire_send_z(&c, size_z);
            assert_true(ut_wire_send(&c, chunk, sizeof(chunk)));
            ut_wire_send_z(&c, "\r\n");
        }
        ut_wire_send_z(&c, "0\r\n\r\nPOST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
        if (chunks <= 4) {
            const ut_wire_answer b = ut_echo_take(&c);
            ut_echo_assert_body(&b, "ok");
        } else {
            ut_wire_wait_eof(&c);
        }
        ut_wire_close(&c);
    }
    assert_int_equal(echo->bodies, 4);
    assert_int_equal(echo->refusals, 0); // each has its answer already
    ut_echo_assert_memory_free(echo);
}

static void bodies_over_the_memory_get_503_and_the_connection_goes_on(void **state)
{
    ut_echo *echo = *state;
    echo->config.memory_bytes_max = 100 * 1024;
    ut_echo_reopen(echo);
    static char body[UT_ECHO_BODY_MAX];
    static const char head[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n";
    // Two bodies that stop in the middle; the second does not fit beside the first.
    ut_wire first = ut_echo_connect(echo);
    ut_wire_send_z(&first, head);
    assert_true(ut_wire_send(&first, body, 60000));
    ut_echo_settle(echo);
    ut_wire second = ut_echo_connect(echo);
    ut_wire_send_z(&second, head);
    assert_true(ut_wire_send(&second, body, 60000));
    ut_wire_answer a = ut_echo_take(&second);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head_z, "\r\nRetry-After: 7\r\n"));
    ut_echo_assert_stays(&a);
    assert_true(ut_wire_send(&first, body, 5536));
    assert_int_equal(ut_echo_take(&first).status, 200);
    // The rest of the refused one is passed over; the next one is taken.
    assert_true(ut_wire_send(&second, body, 5536));
    ut_wire_send_z(&second, head);
    assert_true(ut_wire_send(&second, body, 60000));
    ut_echo_settle(echo);
    assert_true(ut_wire_send(&second, body, 5536));
    a = ut_echo_take(&second);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, UT_ECHO_BODY_MAX);
    ut_wire_close(&first);
    ut_wire_close(&second);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
}

static void a_promised_length_alone_takes_no_memory(void **state)
{
    ut_echo *echo = *state;
    echo->config.body_bytes_max = 64 * 1024 * 1024;
    echo->config.memory_bytes_max = 128 * 1024 * 1024;
    ut_echo_reopen(echo);
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\nabc");
    ut_echo_settle(echo);
    ut_http_server_stats stats;
    ut_http_server_get_stats(echo->server, &stats);
    assert_int_equal(stats.under_way, 1);
    assert_true(stats.memory <= 128 * 1024);
    ut_wire_close(&c);
}

static void a_connection_over_the_limit_is_told_and_others_go_on(void **state)
{
    ut_echo *echo = *state;
    ut_wire clients[16];
    for (int i = 0; i < 16; i++) {
        clients[i] = ut_echo_connect(echo);
        ut_wire_send_z(&clients[i], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(ut_echo_take(&clients[i]).status, 200);
    }
    ut_wire over = ut_echo_connect(echo);
    ut_wire_send_z(&over, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    const ut_wire_answer a = ut_echo_take(&over);
    assert_int_equal(a.status, 503);
    ut_echo_assert_closes(&a);
    assert_non_null(strstr(a.head_z, "Retry-After: "));
    ut_wire_wait_eof(&over);
    assert_int_equal(over.taken, over.len);
    ut_wire_close(&over);
    for (int i = 0; i < 16; i++) {
        ut_wire_send_z(&clients[i], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(ut_echo_take(&clients[i]).status, 200);
    }
    ut_wire_close(&clients[0]);
    ut_echo_await_connections(echo, 15);
    clients[0] = ut_echo_connect(echo);
    ut_wire_send_z(&clients[0], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&clients[0]).status, 200);
    for (int i = 0; i < 16; i++)
        ut_wire_close(&clients[i]);
}

static void out_of_descriptors_the_server_waits_without_spinning(void **state)
{
    ut_echo *echo = *state;
    ut_wire kept = ut_echo_connect(echo);
    ut_wire_send_z(&kept, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_echo_take(&kept).status, 200);
    // The ut_wire's own socket takes the last descriptor, so that accept finds none.
    ut_sock waiting = UT_SOCK_NONE;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = dup(0);
    assert_true(next >= 0);
    (void)close(next);
    struct rlimit low = before;
    low.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    const ut_err err = ut_sock_connect(&echo->addr, &waiting);
    for (int i = 0; i < 3; i++)
        ut_echo_pump(echo);
    // Nothing is ready now, although a connection waits.
    ut_poll_event events[4];
    size_t count = 1;
    const ut_err waited = ut_poller_wait(echo->poller, 0, events, 4, &count);
    ut_wire_send_z(&kept, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    const ut_wire_answer a = ut_echo_take(&kept);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, UT_OK);
    assert_int_equal(waited, UT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(a.status, 200);
    echo->skew_ms += UT_HTTP_SERVER_ACCEPT_PAUSE_MS;
    ut_echo_await_connections(echo, 2);
    ut_sock_close(waiting);
    ut_wire_close(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_ECHO_TEST(a_body_over_the_limit_gets_413_that_its_sender_can_see),
        UT_ECHO_TEST(a_body_at_the_limit_is_taken),
        UT_ECHO_TEST(a_short_refused_body_does_not_cost_the_connection),
        UT_ECHO_TEST(a_refused_body_in_chunks_is_passed_over_while_it_is_short),
        UT_ECHO_TEST(bodies_over_the_memory_get_503_and_the_connection_goes_on),
        UT_ECHO_TEST(a_promised_length_alone_takes_no_memory),
        UT_ECHO_TEST(a_connection_over_the_limit_is_told_and_others_go_on),
        UT_ECHO_TEST(out_of_descriptors_the_server_waits_without_spinning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
