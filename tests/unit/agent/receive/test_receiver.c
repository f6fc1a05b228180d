// The OTLP/HTTP receiver, from the socket to a store on disk and back: what is taken and when it is
// answered. Bodies, limits and TLS have files of their own.
#include "tests/support/receiver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static void spans_are_stored_once_and_answered_in_their_encoding(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    for (uint64_t i = 0; i < 2; i++) {
        const ut_bytes body = ut_rig_body(rig, 10 + i, 100, ut_rig_encoders[i]);
        ut_wire_answer answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[i]), body);
        ut_rig_assert_success(&answer, ut_rig_encoders[i]);
        answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[i]),
                            body); // sent again: a success, too
        ut_rig_assert_success(&answer, ut_rig_encoders[i]);
    }
    ut_receiver_otlp_http_stats stats;
    ut_receiver_otlp_http_get_stats(rig->receiver, &stats);
    assert_int_equal(stats.accepted, 200);
    assert_int_equal(stats.duplicates, 200);
    const ut_store_counts counts = ut_rig_counts(rig);
    assert_int_equal(counts.spans_stored, 200);
    assert_int_equal(counts.spans_duplicate, 200);
    ut_wire_close(&wire);
}

static void an_answer_comes_after_the_commit_only(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    ut_engine_gate_hold(rig->gate, true);
    ut_rig_send(&wire, ut_rig_fields(ut_rig_encoders[0]),
                ut_rig_body(rig, 1, 10, ut_rig_encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(rig->gate) == 0) {
        ut_rig_round(rig);
        ut_wire_patience(begin_ms, "a commit");
    }
    for (int i = 0; i < 5; i++)
        ut_rig_round(rig);
    ut_wire_read(&wire);
    assert_int_equal(wire.len, 0);
    ut_engine_gate_hold(rig->gate, false);
    const ut_wire_answer answer = ut_rig_take(&wire);
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    ut_wire_close(&wire);
}

static void pipelined_requests_share_a_commit(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    ut_engine_gate_hold(rig->gate, true);
    const unsigned before = ut_engine_gate_commits(rig->gate);
    for (uint64_t i = 0; i < 20; i++)
        ut_rig_send(&wire, ut_rig_fields(ut_rig_encoders[0]),
                    ut_rig_body(rig, 1 + i, 10, ut_rig_encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_http_server_stats stats;
    do {
        ut_rig_round(rig);
        ut_http_server_get_stats(ut_receiver_otlp_http_server(rig->receiver), &stats);
        ut_wire_patience(begin_ms, "all requests under way");
    } while (stats.under_way < 20);
    ut_engine_gate_hold(rig->gate, false);
    for (int i = 0; i < 20; i++) {
        const ut_wire_answer answer = ut_rig_take(&wire);
        ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    }
    assert_true(ut_engine_gate_commits(rig->gate) - before <= 2);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 200);
    ut_wire_close(&wire);
}

// The hour in which the newest block expires.
static uint32_t newest_hour(ut_receiver_rig *rig)
{
    ut_store_view *view;
    ut_buf payload;
    ut_block block;
    ut_buf_init(&payload, UT_RIG_BUF_MAX);
    assert_int_equal(ut_store_view_open(rig->engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(
        ut_store_read_block(view, UT_ORG_DEFAULT, ut_store_last_seq(rig->store), &payload, &block),
        UT_OK);
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return block.info.expiry_hour;
}

static void a_request_says_how_long_its_spans_live(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    static const char fields_z[] = "Content-Type: application/json\r\nX-Untrace-TTL: 7d\r\n";
    ut_wire_answer answer =
        ut_rig_ask(&wire, fields_z, ut_rig_body(rig, 1, 3, &ut_otlp_json_encoder));
    assert_int_equal(answer.status, 200);
    const uint32_t hour_now = (uint32_t)(ut_clock_wall_ns() / UINT64_C(3600000000000));
    assert_in_range(newest_hour(rig), hour_now + 7 * 24, hour_now + 7 * 24 + 1);
    static const char for_ever_z[] = "Content-Type: application/json\r\nx-untrace-ttl: 0\r\n";
    answer = ut_rig_ask(&wire, for_ever_z, ut_rig_body(rig, 2, 3, &ut_otlp_json_encoder));
    assert_int_equal(answer.status, 200);
    assert_int_equal(newest_hour(rig), 0);

    static const char *const wrong_z[] = {"7", "", "soon", "7d\r\nX-Untrace-TTL: 7d"};
    for (size_t i = 0; i < sizeof(wrong_z) / sizeof(*wrong_z); i++) {
        char head_z[160];
        (void)snprintf(head_z, sizeof(head_z),
                       "Content-Type: application/json\r\nX-Untrace-TTL: %s\r\n", wrong_z[i]);
        answer = ut_rig_ask(&wire, head_z, ut_rig_body(rig, 3, 3, &ut_otlp_json_encoder));
        assert_int_equal(answer.status, 400);
        assert_non_null(memmem(answer.body.data, answer.body.len, "found x-untrace-ttl", 19));
    }
    ut_wire_close(&wire);
    assert_int_equal(ut_rig_counts(rig).blocks_stored, 2);
}

static void an_empty_request_is_a_success(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    ut_wire_answer answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), UT_BYTES_NONE);
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[1]), UT_BYTES_LIT("{}"));
    ut_rig_assert_success(&answer, ut_rig_encoders[1]);
    answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[1]),
                        UT_BYTES_LIT("{\"resourceSpans\":[]}"));
    ut_rig_assert_success(&answer, ut_rig_encoders[1]);
    answer = ut_rig_ask(&wire, "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
                        ut_rig_pack(rig, UT_BYTES_NONE));
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    ut_wire_send_z(
        &wire,
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\r\n");
    answer = ut_rig_take(&wire);
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 0);
    ut_wire_close(&wire);
}

static void content_types_are_read_as_http_writes_them(void **state)
{
    ut_receiver_rig *rig = *state;
    static const struct {
        const char *fields_z;
        int encoder; // 2: refused
    } cases[] = {
        {"content-type: APPLICATION/JSON\r\n", 1},
        {"Content-Type: application/json; charset=utf-8\r\n", 1},
        {"Content-Type: Application/Json ;charset=utf-8\r\n", 1},
        {"Content-Type:application/x-protobuf;q=1\r\n", 0},
        {"CONTENT-TYPE: application/X-Protobuf\r\n", 0},
        {"", 2},
        {"Content-Type:\r\n", 2},
        {"Content-Type: text/plain\r\n", 2},
        {"Content-Type: application/jsonx\r\n", 2},
        {"Content-Type: application/x-protobuf2\r\n", 2},
        {"Content-Type: application/json, application/json\r\n", 1},
        {"Content-Type: application/json\r\nContent-Type: Application/JSON\r\n", 1},
        {"Content-Type: application/json\r\nContent-Type: application/x-protobuf\r\n", 2},
        {"Content-Type: application/json, application/x-protobuf\r\n", 2},
        {"Content-Type: application/grpc\r\n", 2},
    };
    ut_wire wire = ut_rig_wire(rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const ut_bytes body = cases[i].encoder == 1 ? UT_BYTES_LIT("{}") : UT_BYTES_NONE;
        const ut_wire_answer answer = ut_rig_ask(&wire, cases[i].fields_z, body);
        if (cases[i].encoder == 2) {
            if (answer.status != 415)
                fail_msg("case %zu got %d", i, answer.status);
            ut_rig_assert_has(&answer, "\r\nContent-Type: text/plain");
        } else {
            ut_rig_assert_success(&answer, ut_rig_encoders[cases[i].encoder]);
        }
    }
    ut_wire_close(&wire);
}

static void other_paths_and_methods_are_refused(void **state)
{
    ut_receiver_rig *rig = *state;
    static const struct {
        const char *line_z;
        int status;
    } cases[] = {
        {"GET /v1/traces", 405},
        {"PUT /v1/traces", 405},
        {"DELETE /v1/traces", 405},
        {"OPTIONS /v1/traces", 405},
        {"PATCH /v1/traces", 405},
        {"POST /", 404},
        {"POST /v1/metrics", 404},
        {"POST /v1/traces/", 404},
        {"POST /V1/TRACES", 404},
        {"GET /v1/tracesx", 404},
        {"POST /v1/logs?a=/v1/traces", 404},
        {"OPTIONS *", 404},
        {"POST /../v1/traces", 404},
        {"POST //v1/traces", 404},
    };
    ut_wire wire = ut_rig_wire(rig);
    char request[256];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(request, sizeof(request),
                       "%s HTTP/1.1\r\nHost: x\r\nContent-Type: "
                       "application/json\r\nContent-Length: 2\r\n\r\n{}",
                       cases[i].line_z);
        ut_wire_send_z(&wire, request);
        const ut_wire_answer answer = ut_rig_take(&wire);
        if (answer.status != cases[i].status)
            fail_msg("%s got %d", cases[i].line_z, answer.status);
        if (answer.status == 405)
            ut_rig_assert_has(&answer, "\r\nAllow: POST\r\n");
    }
    ut_wire_send_z(&wire, "HEAD /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_answer answer;
    ut_wire_take(&wire, true, &answer);
    assert_int_equal(answer.status, 405);
    ut_wire_send_z(&wire, "POST http://host/v1/traces?key=value HTTP/1.1\r\nHost: "
                          "x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    answer = ut_rig_take(&wire);
    ut_rig_assert_success(&answer, ut_rig_encoders[1]);
    ut_wire_close(&wire);
}

static void spans_of_a_client_that_is_gone_are_stored(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_engine_gate_hold(rig->gate, true);
    ut_wire wire = ut_rig_wire(rig);
    ut_rig_send(&wire, ut_rig_fields(ut_rig_encoders[0]),
                ut_rig_body(rig, 1, 10, ut_rig_encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(rig->gate) == 0) {
        ut_rig_round(rig);
        ut_wire_patience(begin_ms, "a commit");
    }
    ut_wire_close(&wire);
    for (int i = 0; i < 5; i++)
        ut_rig_round(rig);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 10);
    ut_rig_round(rig);
    ut_http_server_stats stats;
    ut_http_server_get_stats(ut_receiver_otlp_http_server(rig->receiver), &stats);
    assert_int_equal(stats.under_way, 0);
    assert_int_equal(stats.memory, 0);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(spans_are_stored_once_and_answered_in_their_encoding),
        CLAIM(an_answer_comes_after_the_commit_only),
        CLAIM(pipelined_requests_share_a_commit),
        CLAIM(a_request_says_how_long_its_spans_live),
        CLAIM(an_empty_request_is_a_success),
        CLAIM(content_types_are_read_as_http_writes_them),
        CLAIM(other_paths_and_methods_are_refused),
        CLAIM(spans_of_a_client_that_is_gone_are_stored),
    };
    return cmocka_run_group_tests_name("receiver", tests, NULL, NULL);
}
