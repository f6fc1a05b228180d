// The meaning of statuses and failures, each of them.
#include "transport/deliver/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void every_status_has_the_outcome_that_the_rules_give(void **state)
{
    (void)state;
    static const struct {
        int from;
        int to;
        ut_outcome outcome;
    } rules[] = {
        {200, 299, UT_OUTCOME_DELIVERED}, {300, 399, UT_OUTCOME_MISCONFIGURED},
        {400, 400, UT_OUTCOME_REFUSED},   {401, 405, UT_OUTCOME_MISCONFIGURED},
        {406, 406, UT_OUTCOME_REFUSED},   {407, 407, UT_OUTCOME_MISCONFIGURED},
        {408, 409, UT_OUTCOME_REFUSED},   {410, 410, UT_OUTCOME_MISCONFIGURED},
        {411, 412, UT_OUTCOME_REFUSED},   {413, 413, UT_OUTCOME_TOO_LARGE},
        {414, 414, UT_OUTCOME_REFUSED},   {415, 415, UT_OUTCOME_MISCONFIGURED},
        {416, 420, UT_OUTCOME_REFUSED},   {421, 421, UT_OUTCOME_MISCONFIGURED},
        {422, 425, UT_OUTCOME_REFUSED},   {426, 426, UT_OUTCOME_MISCONFIGURED},
        {427, 428, UT_OUTCOME_REFUSED},   {429, 429, UT_OUTCOME_RETRY},
        {430, 501, UT_OUTCOME_REFUSED},   {502, 504, UT_OUTCOME_RETRY},
        {505, 510, UT_OUTCOME_REFUSED},   {511, 511, UT_OUTCOME_MISCONFIGURED},
        {512, 519, UT_OUTCOME_REFUSED},   {520, 530, UT_OUTCOME_RETRY},
        {531, 599, UT_OUTCOME_REFUSED},
    };
    int next = 200;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        assert_int_equal(rules[i].from, next); // no status is left out
        for (int status = rules[i].from; status <= rules[i].to; status++) {
            if (ut_outcome_of_status(status) != rules[i].outcome)
                fail_msg("status %d has outcome %d", status, (int)ut_outcome_of_status(status));
        }
        next = rules[i].to + 1;
    }
    assert_int_equal(next, 600);
}

static ut_outcome_answer answer_of(int status, const char *type_z, const char *body_z)
{
    return (ut_outcome_answer){status, ut_bytes_of_z(type_z), ut_bytes_of_z(body_z)};
}

static ut_outcome outcome_of(int status, const char *type_z, const char *body_z)
{
    const ut_outcome_answer answer = answer_of(status, type_z, body_z);
    return ut_outcome_of_answer(&answer);
}

static void a_web_page_is_no_success(void **state)
{
    (void)state;
    static const char *const pages[] = {"text/html", "text/html; charset=utf-8", "Text/HTML ;x",
                                        "application/xhtml+xml"};
    static const char *const others[] = {
        "", "text/htm", "text/html5", "application/json", "application/x-protobuf", "text/plain"};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        assert_int_equal(outcome_of(200, pages[i], ""), UT_OUTCOME_RETRY);
        assert_int_equal(outcome_of(204, pages[i], ""), UT_OUTCOME_RETRY);
        assert_int_equal(outcome_of(302, pages[i], ""), UT_OUTCOME_MISCONFIGURED);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(outcome_of(200, others[i], ""), UT_OUTCOME_DELIVERED);
}

// An answer to HTTP on a TLS port, as Go sends it: without a type.
static const char go_z[] = "Client sent an HTTP request to an HTTPS server.\n";

static void a_refusal_that_is_not_otlp_is_not_about_the_spans(void **state)
{
    (void)state;
    static const struct {
        const char *type_z;
        const char *body_z;
        bool otlp;
    } rows[] = {
        {"text/html", "<html>", false},
        {"text/html", "", false},
        {"text/plain; charset=utf-8", "no", false},
        {"text/plain", "", false},
        {"application/xml", "<Error/>", false},
        {"application/problem+json", "{}", false},
        {"application/grpc", "", false},
        {"", go_z, false},
        {"", "<html>", false},
        {"", "upstream connect error", false},
        {"", "", true},
        {"", "\x08\x03\x12\x02no", true},
        {"", " {\"code\":3}", true},
        {"application/x-protobuf", "\x08\x03", true},
        {"application/x-protobuf", "nonsense", true},
        {"application/json; charset=utf-8", "{\"error\":\"no\"}", true},
        {"Application/JSON", "", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int status = 400; status < 600; status++) {
            const ut_outcome plain = ut_outcome_of_status(status);
            const ut_outcome expected =
                !rows[i].otlp && plain == UT_OUTCOME_REFUSED ? UT_OUTCOME_MISCONFIGURED : plain;
            if (outcome_of(status, rows[i].type_z, rows[i].body_z) != expected)
                fail_msg("status %d, type '%s', body '%s'", status, rows[i].type_z, rows[i].body_z);
        }
    }
}

static void an_answer_that_is_not_otlp_is_explained(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool tls;
        const char *type_z;
        const char *body_z;
        const char *reason_z;
    } rows[] = {
        {400, false, "", go_z,
         "HTTP 400: a plain answer, not OTLP; a TLS port (https)? It says \"Client "
         "sent an HTTP request to an HTTPS server.\""},
        {400, false, "text/html",
         "<html>\r\n<head><TITLE>400 The plain HTTP request was sent to HTTPS port</TITLE></head>",
         "HTTP 400: a web page, not OTLP; a TLS port (https)? It says \"400 The "
         "plain "
         "HTTP request was sent to HTTPS port\""},
        {400, false, "text/html", "speaking plain HTTP to an SSL-enabled server port",
         "HTTP 400: a web page, not OTLP; a TLS port (https)?"},
        {500, true, "text/plain", "see https://status.example",
         "HTTP 500: a plain answer, not OTLP; a proxy, or a wrong endpoint? It says \"see "
         "https://status.example\""},
        {511, true, "text/html",
         "<title>Wel\xe2\x80\xae"
         "come</title>",
         "HTTP 511: a web page, not OTLP; a proxy or login page, or a wrong endpoint? It says "
         "\"Wel?come\""},
        {502, true, "text/html", "<html><title></title>",
         "HTTP 502: a web page, not OTLP; a proxy or login page, or a wrong endpoint?"},
        {200, true, "text/html", "<title",
         "HTTP 200: a web page, not OTLP; a proxy or login page, or a wrong endpoint?"},
        {503, true, "text/plain", "no healthy upstream",
         "HTTP 503: a plain answer, not OTLP; a proxy, or a wrong endpoint? It says \"no healthy "
         "upstream\""},
        {308, true, "", "",
         "HTTP 308: a redirect, and redirects are not followed; set the new address"},
        {400, true, "application/json", "{\"code\":3,\"message\":\"no such field\"}",
         "HTTP 400: no such field"},
        {503, true, "", "", "HTTP 503"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason_z[160];
        const ut_outcome_answer answer = answer_of(rows[i].status, rows[i].type_z, rows[i].body_z);
        ut_outcome_explain(&answer, rows[i].tls, reason_z, sizeof(reason_z));
        assert_string_equal(reason_z, rows[i].reason_z);
        char short_z[24]; // cut, and no more
        ut_outcome_explain(&answer, rows[i].tls, short_z, sizeof(short_z));
        assert_memory_equal(short_z, reason_z, strlen(short_z));
    }
}

static void what_breaks_on_the_way_is_tried_again(void **state)
{
    (void)state;
    static const ut_err errors[] = {UT_ERESOLVE, UT_ECONNECT, UT_ETLS,   UT_ETIMEOUT,
                                    UT_ECLOSED,  UT_EPROTO,   UT_ENOMEM, UT_EIO};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        assert_int_equal(ut_outcome_of_failure(errors[i]), UT_OUTCOME_RETRY);
}

static void an_answer_over_the_limit_is_not_tried_again(void **state)
{
    (void)state;
    assert_int_equal(ut_outcome_of_failure(UT_ELIMIT), UT_OUTCOME_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_the_outcome_that_the_rules_give),
        cmocka_unit_test(a_web_page_is_no_success),
        cmocka_unit_test(a_refusal_that_is_not_otlp_is_not_about_the_spans),
        cmocka_unit_test(an_answer_that_is_not_otlp_is_explained),
        cmocka_unit_test(what_breaks_on_the_way_is_tried_again),
        cmocka_unit_test(an_answer_over_the_limit_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
