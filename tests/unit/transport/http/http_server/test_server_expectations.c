// Clients that wait with the body until they are told to go on.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

static void a_client_that_waits_is_told_to_go_on(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(
        &c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
    ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 100);
    ut_wire_send_z(&c, "hello");
    a = ut_echo_take(&c);
    assert_int_equal(a.status, 200);
    ut_echo_assert_body(&a, "hello");
    // Sent with some of the body at once, the word to go on is not needed.
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                       "Expect: 100-continue\r\n\r\nhe");
    ut_echo_settle(echo);
    ut_wire_send_z(&c, "llo");
    a = ut_echo_take(&c);
    assert_int_equal(a.status, 200);
    ut_wire_send_z(
        &c,
        "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    a = ut_echo_take(&c);
    assert_int_equal(a.status, 200);
    ut_wire_close(&c);
}

static void the_word_to_go_on_waits_for_earlier_answers(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(
        &c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
            "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    ut_echo_await_bodies(echo, 1);
    ut_echo_settle(echo);
    ut_wire_read(&c);
    assert_int_equal(c.len, 0);
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    assert_int_equal(ut_echo_take(&c).status, 200);
    assert_int_equal(ut_echo_take(&c).status, 100);
    ut_wire_send_z(&c, "hello");
    const ut_wire_answer a = ut_echo_take(&c);
    ut_echo_assert_body(&a, "hello");
    ut_wire_close(&c);
}

static void a_client_that_waits_is_refused_before_the_body(void **state)
{
    ut_echo *echo = *state;
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
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ut_wire c = ut_echo_connect(echo);
        ut_wire_send_z(&c, cases[i].text_z);
        const ut_wire_answer a = ut_echo_take(&c);
        assert_int_equal(a.status, cases[i].status);
        ut_echo_assert_closes(&a);
        ut_wire_wait_eof(&c);
        assert_int_equal(c.taken, c.len);
        ut_wire_close(&c);
    }
    assert_int_equal(echo->bodies, 0);
}

// The memory of a head larger than 4 KiB is not kept for the next one, but goes back to the system.
static void an_expectation_is_read_before_its_head_goes(void **state)
{
    ut_echo *echo = *state;
    echo->config.header_bytes_max = 32 * 1024;
    ut_echo_reopen(echo);
    static char text[16 * 1024];
    (void)snprintf(text, sizeof(text),
                   "POST /now HTTP/1.1\r\nHost: x\r\nX-Long: %08192d\r\n"
                   "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                   0);
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, text);
    assert_int_equal(ut_echo_take(&c).status, 100);
    ut_wire_send_z(&c, "hello");
    const ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 200);
    ut_echo_assert_body(&a, "hello");
    ut_wire_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_ECHO_TEST(a_client_that_waits_is_told_to_go_on),
        UT_ECHO_TEST(the_word_to_go_on_waits_for_earlier_answers),
        UT_ECHO_TEST(a_client_that_waits_is_refused_before_the_body),
        UT_ECHO_TEST(an_expectation_is_read_before_its_head_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
