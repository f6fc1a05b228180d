// The bytes of HTTP answers.
#include "transport/http/http_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

static void dates_are_those_of_the_calendar(void **state)
{
    (void)state;
    static const struct {
        uint64_t unix_s;
        const char *date_z;
    } known[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, // the example of RFC 9110
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    char date_z[UT_HTTP_DATE_MAX];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ut_http_date(known[i].unix_s, date_z);
        assert_string_equal(date_z, known[i].date_z);
    }
    // Every day of 400 years against the C library.
    for (uint64_t day = 0; day < 146097; day++) {
        char expected_z[64];
        const time_t when = (time_t)(day * 86400 + day % 86400);
        struct tm parts;
        assert_non_null(gmtime_r(&when, &parts));
        assert_true(strftime(expected_z, sizeof expected_z, "%a, %d %b %Y %H:%M:%S GMT", &parts) >
                    0);
        ut_http_date((uint64_t)when, date_z);
        assert_string_equal(date_z, expected_z);
    }
}

static void assert_written(const ut_http_reply *reply, ut_http_reply_end end, bool without_body,
                           const char *expected_z)
{
    ut_buf out;
    ut_buf_init(&out, 4096);
    ut_http_reply_write(reply, "DATE", end, without_body, &out);
    ut_buf_add_byte(&out, 0);
    assert_int_equal(out.err, UT_OK);
    assert_string_equal((const char *)out.data, expected_z);
    ut_buf_free(&out);
}

static void answers_have_the_fields_that_they_need(void **state)
{
    (void)state;
    ut_http_reply reply = {.status = 200, .content_type_z = "application/x-protobuf"};
    assert_written(&reply, UT_HTTP_REPLY_KEPT, false,
                   "HTTP/1.1 200 OK\r\nDate: DATE\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Length: 0\r\n\r\n");
    reply.body = UT_BYTES_LIT("hello world!");
    assert_written(&reply, UT_HTTP_REPLY_KEPT_SAY_SO, false,
                   "HTTP/1.1 200 OK\r\nDate: DATE\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world!");
    assert_written(&reply, UT_HTTP_REPLY_KEPT, true,
                   "HTTP/1.1 200 OK\r\nDate: DATE\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Length: 12\r\n\r\n");
    reply = (ut_http_reply){.status = 503, .retry_after_s = 30, .fields_z = "X: y\r\n"};
    assert_written(&reply, UT_HTTP_REPLY_CLOSES, false,
                   "HTTP/1.1 503 Service Unavailable\r\nDate: DATE\r\nContent-Length: 0\r\n"
                   "Retry-After: 30\r\nConnection: close\r\nX: y\r\n\r\n");
    reply = (ut_http_reply){.status = 299};
    assert_written(&reply, UT_HTTP_REPLY_KEPT, false,
                   "HTTP/1.1 299 \r\nDate: DATE\r\nContent-Length: 0\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_those_of_the_calendar),
        cmocka_unit_test(answers_have_the_fields_that_they_need),
    };
    return cmocka_run_group_tests_name("http_reply", tests, NULL, NULL);
}
