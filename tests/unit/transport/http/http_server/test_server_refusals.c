// Bytes that are no request, and heads over their limits.
#include "tests/support/echo_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

static void shapes_that_smuggle_are_refused(void **state)
{
    ut_echo *echo = *state;
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
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ut_wire c = ut_echo_connect(echo);
        ut_wire_send_z(&c, cases[i].text_z);
        const ut_wire_answer a = ut_echo_take(&c);
        if (a.status != cases[i].status)
            fail_msg("case %zu got %d, not %d: %s", i, a.status, cases[i].status, cases[i].text_z);
        ut_echo_assert_closes(&a);
        ut_wire_wait_eof(&c);
        if (c.taken != c.len)
            fail_msg("case %zu got a second ut_wire_answer: %.*s", i, (int)(c.len - c.taken),
                     c.inbox + c.taken);
        ut_wire_close(&c);
    }
    assert_int_equal(echo->bodies, 0);
    ut_echo_await_connections(echo, 0);
    ut_echo_assert_memory_free(echo);
}

static void what_is_behind_a_bad_request_is_not_read(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n"
                       "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb");
    ut_echo_await_bodies(echo, 1);
    ut_echo_settle(echo);
    ut_echo_reply(echo, echo->pending[0], 200, UT_BYTES_NONE);
    echo->pending_count = 0;
    const ut_wire_answer first = ut_echo_take(&c);
    assert_int_equal(first.status, 200); // it was good, and is answered
    ut_echo_assert_stays(&first);
    const ut_wire_answer second = ut_echo_take(&c);
    assert_int_equal(second.status, 400);
    ut_echo_assert_closes(&second);
    ut_wire_wait_eof(&c);
    assert_int_equal(c.taken, c.len);
    assert_int_equal(echo->bodies, 1);
    ut_wire_close(&c);
}

static void heads_over_the_limits_are_refused(void **state)
{
    ut_echo *echo = *state;
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
        ut_wire c = ut_echo_connect(echo);
        assert_true(ut_wire_send(&c, text, len));
        const ut_wire_answer a = ut_echo_take(&c);
        if (a.status != expected)
            fail_msg("kind %d got %d", kind, a.status);
        ut_echo_assert_closes(&a);
        ut_wire_close(&c);
    }
    assert_int_equal(echo->heads, 0);

    // Just at the limit is well.
    ut_wire c = ut_echo_connect(echo);
    size_t len = (size_t)sprintf(text, "GET /now HTTP/1.1\r\nHost: x\r\nX: ");
    memset(text + len, 'a', 4096 - len - 4);
    len = 4096 - 4;
    memcpy(text + len, "\r\n\r\n", 4);
    assert_true(ut_wire_send(&c, text, 4096));
    assert_int_equal(ut_echo_take(&c).status, 200);
    ut_wire_close(&c);
}

static void a_target_has_a_limit_of_its_own(void **state)
{
    ut_echo *echo = *state;
    echo->config.header_bytes_max = 64 * 1024;
    ut_echo_reopen(echo);
    static char text[UT_HTTP_SERVER_TARGET_MAX + 64];
    for (size_t over = 0; over < 2; over++) {
        size_t len = (size_t)sprintf(text, "GET /now?");
        memset(text + len, 'a', sizeof(text) - len);
        len = 4 + UT_HTTP_SERVER_TARGET_MAX + over;
        len += (size_t)sprintf(text + len, " HTTP/1.1\r\nHost: x\r\n\r\n");
        ut_wire c = ut_echo_connect(echo);
        assert_true(ut_wire_send(&c, text, len));
        assert_int_equal(ut_echo_take(&c).status, over == 0 ? 200 : 414);
        ut_wire_close(&c);
    }
}

static void blank_lines_do_not_keep_a_connection_alive(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    for (int i = 0; i < 4; i++) {
        ut_wire_send_z(&c, "\r\n\r\n\r\n");
        ut_echo_settle(echo);
        echo->skew_ms += UT_ECHO_HEAD_MS / 3;
    }
    ut_echo_assert_closed(echo, &c);
    ut_wire_close(&c);
}

static void chunks_of_framing_without_body_are_refused(void **state)
{
    ut_echo *echo = *state;
    ut_wire c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    static char extension[64 * 1024];
    memset(extension, 'a', sizeof(extension));
    assert_true(ut_wire_send(&c, extension, sizeof(extension)));
    assert_int_equal(ut_echo_take(&c).status, 400);
    ut_wire_close(&c);
    // Many small chunks are not that.
    c = ut_echo_connect(echo);
    ut_wire_send_z(&c, "POST /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5000; i++)
        ut_wire_send_z(&c, "1\r\nx\r\n");
    ut_wire_send_z(&c, "0\r\n\r\n");
    const ut_wire_answer a = ut_echo_take(&c);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 5000);
    ut_wire_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UT_ECHO_TEST(shapes_that_smuggle_are_refused),
        UT_ECHO_TEST(what_is_behind_a_bad_request_is_not_read),
        UT_ECHO_TEST(heads_over_the_limits_are_refused),
        UT_ECHO_TEST(a_target_has_a_limit_of_its_own),
        UT_ECHO_TEST(blank_lines_do_not_keep_a_connection_alive),
        UT_ECHO_TEST(chunks_of_framing_without_body_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
