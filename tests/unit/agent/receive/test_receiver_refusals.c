// Requests and spans that the receiver does not take: each kind is counted, and the log says what
// to change on the sender.
#include "tests/support/receiver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#define JSON "Content-Type: application/json\r\n"
#define SPAN(trace, span)                                                    \
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"" trace \
    "\",\"spanId\":\"" span "\"}]}]}]}"

static void post(ut_receiver_rig *rig, const char *path_z, const char *fields_z, const char *body_z)
{
    char request_z[1024];
    ut_wire wire = ut_rig_wire(rig);
    (void)snprintf(request_z, sizeof(request_z),
                   "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", path_z,
                   fields_z, strlen(body_z), body_z);
    ut_wire_send_z(&wire, request_z);
    const ut_wire_answer answer = ut_rig_take(&wire);
    assert_true(answer.status > 0);
    ut_wire_close(&wire);
}

static void send_bytes(ut_receiver_rig *rig, const void *bytes, size_t len)
{
    ut_wire wire = ut_rig_wire(rig);
    assert_true(ut_wire_send(&wire, bytes, len));
    (void)ut_rig_take(&wire);
    ut_wire_close(&wire);
}

static uint64_t count_of(const ut_receiver_rig *rig, size_t kind)
{
    return ut_receiver_otlp_http_refusals(rig->receiver)->entries[kind].count;
}

static void expect(const ut_receiver_rig *rig, size_t kind, const char *line_z)
{
    if (strstr(rig->log_z, line_z) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line_z, rig->log_z);
    assert_int_equal(count_of(rig, kind), 1);
}

static void every_kind_is_counted_and_says_what_to_change(void **state)
{
    ut_receiver_rig *rig = *state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    send_bytes(rig, preface, sizeof(preface) - 1);
    expect(rig, UT_REFUSAL_GRPC,
           "otlp_http: 127.0.0.1 sends gRPC (HTTP/2), which is not taken here; set "
           "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf on that application\n");
    send_bytes(rig, hello, sizeof(hello) - 1);
    expect(rig, UT_REFUSAL_TLS, "127.0.0.1 speaks TLS to a port that is plain HTTP; write http://");
    send_bytes(rig, "\x80\xff\r\n\r\n", 6);
    expect(rig, UT_REFUSAL_HTTP, "127.0.0.1 sends what is refused with 400: this is not HTTP/1.1");
    post(rig, "/v1/metrics", JSON, "{}");
    expect(rig, UT_REFUSAL_METRICS, "set OTEL_METRICS_EXPORTER=none on that application\n");
    post(rig, "/v1/logs", JSON, "{}");
    expect(rig, UT_REFUSAL_LOGS, "set OTEL_LOGS_EXPORTER=none on that application\n");
    post(rig, "/v1/trace", JSON, "{}");
    expect(rig, UT_REFUSAL_PATH, "127.0.0.1 asks for /v1/trace, and only /v1/traces is taken");
    post(rig, "/v1/traces", "", "{}");
    expect(rig, UT_REFUSAL_CONTENT_TYPE, "sends the content type \"\"; only application/x-proto");
    post(rig, "/v1/traces", JSON "Content-Encoding: zstd\r\n", "{}");
    expect(rig, UT_REFUSAL_CONTENT_ENCODING,
           "sends the content encoding \"zstd\"; set OTEL_EXPORTER_OTLP_COMPRESSION=gzip");
    post(rig, "/v1/traces", JSON, "{bad");
    expect(rig, UT_REFUSAL_INVALID, "127.0.0.1 is refused with 400: not valid JSON: ");
    send_bytes(rig, "OPTIONS /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n", 40);
    expect(rig, UT_REFUSAL_METHOD, "127.0.0.1 sends OPTIONS to /v1/traces, which takes POST only");
    post(rig, "/v1/traces", JSON, SPAN("00000000000000000000000000000000", "00f067aa0ba902b7"));
    expect(rig, UT_REFUSAL_FIRST_SPAN + UT_REJECT_TRACE_ID,
           "sends spans that are rejected: resourceSpans[0].scopeSpans[0].spans[0].traceId is all "
           "zeros\n");
    post(rig, "/v1/traces", JSON, SPAN("0af7651916cd43dd8448eb211c80319c", "00f067"));
    expect(rig, UT_REFUSAL_FIRST_SPAN + UT_REJECT_SPAN_ID, "spanId has 6 digits, expected 16\n");
    post(rig, "/v1/traces", JSON, "{\"resourceLogs\":[]}");
    expect(rig, UT_REFUSAL_NO_SPANS,
           "sends requests without spans: found no resourceSpans, but \"resourceLogs\"; those are "
           "logs");
    const ut_tally *refusals = ut_receiver_otlp_http_refusals(rig->receiver);
    assert_int_equal(ut_tally_sum(refusals, "refused"), 10);
    assert_int_equal(ut_tally_sum(refusals, "rejected"), 2);
}

static void a_flood_makes_one_line(void **state)
{
    ut_receiver_rig *rig = *state;
    for (int i = 0; i < 20; i++)
        post(rig, "/v1/traces", JSON, "{bad");
    assert_int_equal(count_of(rig, UT_REFUSAL_INVALID), 20);
    const char *const first = strstr(rig->log_z, "is refused with 400");
    assert_non_null(first);
    assert_null(strstr(first + 1, "is refused with 400"));
}

static void a_request_without_anything_is_no_refusal(void **state)
{
    ut_receiver_rig *rig = *state;
    post(rig, "/v1/traces", JSON, "{}");
    post(rig, "/v1/traces", JSON, SPAN("0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"));
    assert_string_equal(rig->log_z, "");
}

static void health_is_asked_without_a_trace_in_the_log(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    ut_wire_answer answer;
    ut_wire_send_z(&wire, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = ut_rig_take(&wire);
    assert_int_equal(answer.status, 200);
    assert_true(ut_bytes_equal(answer.body, UT_BYTES_LIT("receiving\n")));
    ut_wire_send_z(&wire, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_take(&wire, true, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(rig->log_z, "");
    ut_wire_send_z(&wire, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    answer = ut_rig_take(&wire);
    assert_int_equal(answer.status, 404);
    ut_wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_is_counted_and_says_what_to_change,
                                        ut_rig_set_up, ut_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_flood_makes_one_line, ut_rig_set_up, ut_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_request_without_anything_is_no_refusal, ut_rig_set_up,
                                        ut_rig_tear_down),
        cmocka_unit_test_setup_teardown(health_is_asked_without_a_trace_in_the_log, ut_rig_set_up,
                                        ut_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
