// The parser of requests: the events it returns, cut at any byte; what they lend, and what it
// refuses.
#include "transport/http/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

enum { BODY_MAX = 300 * 1024, MEMORY_MAX = 200 * 1024, HEADER_MAX = 4096 };

typedef struct {
    ut_http_pool pool;
    ut_http_request_parser parser;
    ut_http_met met;
    char log_z[1024]; // a word for each event
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){.pool = {.memory_bytes_max = MEMORY_MAX,
                           .body_bytes_max = BODY_MAX,
                           .header_bytes_max = HEADER_MAX}};
    ut_http_request_init(&f.parser, &f.pool);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ut_http_request_release(&f->parser);
    assert_int_equal(f->pool.memory, 0);
    ut_http_pool_trim(&f->pool);
    return 0;
}

static void note(fixture *f, const char *kind_z, ut_bytes text)
{
    const size_t len = strlen(f->log_z);
    const size_t shown = text.len < 40 ? text.len : 40;
    (void)snprintf(f->log_z + len, sizeof(f->log_z) - len, "%s(%.*s) ", kind_z, (int)shown,
                   shown > 0 ? (const char *)text.data : "");
}

// Parses as a connection would: until nothing is left, or the request is refused.
static void parse(fixture *f, ut_bytes bytes)
{
    for (;;) {
        switch (ut_http_request_parse(&f->parser, &bytes, &f->met)) {
        case UT_HTTP_REQUEST_MORE:
            assert_int_equal(bytes.len, 0);
            return;
        case UT_HTTP_REQUEST_HEAD:
            note(f, f->met.head.method_z, f->met.head.path);
            break;
        case UT_HTTP_REQUEST_MESSAGE:
            note(f, "body", f->met.body);
            break;
        case UT_HTTP_REQUEST_BODY_REFUSED:
            note(f, f->met.status == 503 ? "skip503" : "skip413", UT_BYTES_NONE);
            break;
        case UT_HTTP_REQUEST_REFUSED:
            return;
        }
        ut_http_request_release(&f->parser);
    }
}

static void parse_z(fixture *f, const char *text_z)
{
    parse(f, ut_bytes_of_z(text_z));
}

static void assert_refused(fixture *f, const char *text_z, int status)
{
    void *state = f;
    (void)tear_down(&state);
    (void)set_up(&state);
    f->met.status = 0;
    parse_z(f, text_z);
    assert_int_equal(f->met.status, status);
    assert_true(f->met.reason_z[0] != '\0');
}

static void the_events_are_the_same_wherever_the_bytes_are_cut(void **state)
{
    static const char text[] = "GET /a?x HTTP/1.1\r\nHost: x\r\n\r\n"
                               "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                               "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n2;e=f\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
                               "HEAD /d HTTP/1.0\r\n\r\n";
    static const char events[] =
        "GET(/a) body() POST(/b) body(hello) POST(/c) body(abcde) HEAD(/d) body() ";
    for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
        (void)tear_down(state);
        (void)set_up(state);
        fixture *f = *state;
        parse(f, ut_bytes_of(text, cut));
        parse(f, ut_bytes_of(text + cut, sizeof(text) - 1 - cut));
        assert_string_equal(f->log_z, events);
        assert_int_equal(f->parser.phase, UT_HTTP_PHASE_IDLE);
    }
}

static void a_head_says_how_the_message_goes_on(void **state)
{
    fixture *f = *state;
    parse_z(f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nab");
    assert_int_equal(f->parser.phase, UT_HTTP_PHASE_BODY);
    assert_true(f->parser.keep_alive);
    assert_false(f->parser.http10);
    assert_false(f->parser.chunked);
    assert_int_equal(f->parser.content_length, 7);
    assert_int_equal(f->parser.body_got, 2);
    assert_int_equal(ut_http_request_body_left(&f->parser), 5);
    parse_z(f, "cdefg");
    parse_z(f, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
               "close\r\n\r\n");
    assert_true(f->parser.chunked);
    assert_false(f->parser.keep_alive);
    parse_z(f, "0\r\n\r\n");
}

// A body that stands whole in the bytes is not copied.
static void a_body_that_came_at_once_is_borrowed(void **state)
{
    fixture *f = *state;
    static const char text[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    ut_bytes bytes = UT_BYTES_LIT(text);
    assert_int_equal(ut_http_request_parse(&f->parser, &bytes, &f->met), UT_HTTP_REQUEST_HEAD);
    ut_http_request_release(&f->parser);
    assert_int_equal(ut_http_request_parse(&f->parser, &bytes, &f->met), UT_HTTP_REQUEST_MESSAGE);
    assert_ptr_equal(f->met.body.data, text + sizeof(text) - 1 - 5);
    assert_int_equal(f->met.body.len, 5);
    assert_int_equal(f->pool.memory, 0);
}

static void a_collected_body_is_counted_until_it_is_complete(void **state)
{
    fixture *f = *state;
    parse_z(f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    assert_true(f->pool.memory >= 5);
    ut_bytes bytes = UT_BYTES_LIT("llo");
    assert_int_equal(ut_http_request_parse(&f->parser, &bytes, &f->met), UT_HTTP_REQUEST_MESSAGE);
    assert_int_equal(f->pool.memory, 0);
    assert_memory_equal(f->met.body.data, "hello", 5);
}

static void a_discarded_body_is_passed_over(void **state)
{
    fixture *f = *state;
    ut_bytes bytes = UT_BYTES_LIT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                                  "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(ut_http_request_parse(&f->parser, &bytes, &f->met), UT_HTTP_REQUEST_HEAD);
    ut_http_request_release(&f->parser);
    ut_http_request_discard(&f->parser);
    parse(f, bytes);
    assert_string_equal(f->log_z, "body() GET(/next) body() ");
}

static void a_short_body_without_memory_is_refused_and_the_next_request_read(void **state)
{
    fixture *f = *state;
    assert_true(ut_http_pool_charge(&f->pool, MEMORY_MAX - 4));
    parse_z(f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70\r\n\r\nhello");
    assert_string_equal(f->log_z, "POST(/) skip503() ");
    assert_true(f->parser.discarding);
    parse_z(f, "0123456789012345678901234567890123456789012345678901234567890123"
               "4GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(f->log_z, "POST(/) skip503() body() GET(/next) body() ");
    ut_http_pool_discharge(&f->pool, MEMORY_MAX - 4);
}

static void what_is_no_request_is_refused_with_its_status(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text_z;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        {"\x16\x03\x01", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(f, cases[i].text_z, cases[i].status);
}

static void heads_and_bodies_have_limits(void **state)
{
    fixture *f = *state;
    static char text[2 * UT_HTTP_SERVER_TARGET_MAX];
    (void)snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\n", HEADER_MAX, 0);
    assert_refused(f, text, 414);
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nX: %0*d\r\n", HEADER_MAX, 0);
    assert_refused(f, text, 431);
    size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");
    for (size_t i = 0; i <= UT_HTTP_SERVER_FIELDS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "a:b\r\n");
    assert_refused(f, text, 431);

    // A chunked body over the limit is not passed over: nobody knows where it ends.
    (void)tear_down(state);
    (void)set_up(state);
    f->pool.memory_bytes_max = 2 * BODY_MAX;
    parse_z(f, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n");
    static const uint8_t piece[BODY_MAX / 2];
    f->met.status = 0;
    parse(f, ut_bytes_of(piece, sizeof(piece)));
    parse(f, ut_bytes_of(piece, sizeof(piece)));
    assert_int_equal(f->met.status, 0);
    parse(f, ut_bytes_of(piece, 1));
    assert_int_equal(f->met.status, 413);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(the_events_are_the_same_wherever_the_bytes_are_cut),
        CLAIM(a_head_says_how_the_message_goes_on),
        CLAIM(a_body_that_came_at_once_is_borrowed),
        CLAIM(a_collected_body_is_counted_until_it_is_complete),
        CLAIM(a_discarded_body_is_passed_over),
        CLAIM(a_short_body_without_memory_is_refused_and_the_next_request_read),
        CLAIM(what_is_no_request_is_refused_with_its_status),
        CLAIM(heads_and_bodies_have_limits),
    };
#undef CLAIM
    return cmocka_run_group_tests(tests, NULL, NULL);
}
