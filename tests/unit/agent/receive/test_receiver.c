// The OTLP/HTTP receiver, from the socket to a store on disk and back.
#include "agent/receive/receiver_otlp_http.h"
#include "adapters/encoding/gzip.h"
#include "adapters/otlp/otlp.h"
#include "tests/support/certs.h"
#include "tests/support/engine_gate.h"
#include "tests/support/otlp_body.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_MAX = 1024 * 1024,
    BUF_MAX = 64 * 1024 * 1024,
    BUDGET = 64 * 1024 * 1024,
};

typedef struct {
    ut_poller *poller;
    ut_engine *engine;
    ut_engine_gate *gate;
    ut_store *store;
    ut_store_thread *thread;
    bool joined;
    ut_receiver_config limits;
    ut_receiver_otlp_http *receiver;
    ut_addr addr;
    char dir_z[UT_TEMP_PATH_MAX];
    ut_buf body;
    ut_buf packed;
    ut_gzip *gzip;
    ut_certs *certs;
    ut_store_job *jobs; // of the test's own
    size_t jobs_done;
} fixture;

static void round_of(void *context)
{
    fixture *f = context;
    ut_poll_event events[64];
    size_t count = 0;
    uint64_t next_ms = 0;
    ut_receiver_otlp_http_step(f->receiver, ut_clock_mono_ms(), &next_ms);
    assert_int_equal(ut_poller_wait(f->poller, 1, events, 64, &count), UT_OK);
    for (size_t i = 0; i < count; i++)
        ut_http_server_event(&events[i], ut_clock_mono_ms());
    ut_store_thread_deliver(f->thread);
    ut_receiver_otlp_http_step(f->receiver, ut_clock_mono_ms(), &next_ms);
}

static void open_receiver(fixture *f)
{
    ut_fault fault = {UT_OK, ""};
    const ut_receiver_otlp_http_config config = {
        .poller = f->poller,
        .store = f->thread,
        .receiver = &f->limits,
        .org = UT_ORG_DEFAULT,
    };
    if (ut_receiver_otlp_http_open(&config, &f->receiver, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_http_server_addr(ut_receiver_otlp_http_server(f->receiver), &f->addr),
                     UT_OK);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    ut_fault fault = {UT_OK, ""};
    assert_non_null(f);
    ut_temp_dir_make(f->dir_z);
    const ut_engine_config engine = {.dir_z = f->dir_z, .bytes_max = BUDGET};
    if (ut_engine_lmdb_open(&engine, &f->engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    f->gate = ut_engine_gate_put(f->engine);
    const ut_store_config store = {.bytes_max = BUDGET};
    if (ut_store_open(f->engine, &store, &f->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_poller_open(&f->poller), UT_OK);
    const ut_store_thread_config thread = {.store = f->store, .done_poller = f->poller};
    assert_int_equal(ut_store_thread_start(&thread, &f->thread), UT_OK);
    f->limits = (ut_receiver_config){
        .enabled = true,
        .body_bytes_max = BODY_MAX,
        .memory_bytes_max = 16 * 1024 * 1024,
        .connections_max = 64,
        .header_bytes_max = 4096,
        .head_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 10000,
    };
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &f->limits.listen), UT_OK);
    open_receiver(f);
    ut_buf_init(&f->body, BUF_MAX);
    ut_buf_init(&f->packed, BUF_MAX);
    f->gzip = ut_gzip_new();
    assert_non_null(f->gzip);
    *state = f;
    return 0;
}

// Ends the store thread, so that the test may look into the store.
static ut_store_counts counts_of(fixture *f)
{
    ut_store_counts counts;
    ut_engine_gate_hold(f->gate, false);
    ut_store_thread_join(f->thread);
    ut_store_thread_deliver(f->thread);
    f->joined = true;
    ut_store_get_counts(f->store, &counts);
    return counts;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (!f->joined)
        (void)counts_of(f);
    ut_receiver_otlp_http_close(f->receiver);
    ut_store_thread_free(f->thread);
    ut_store_close(f->store);
    ut_engine_gate_free(f->gate);
    ut_poller_close(f->poller);
    ut_temp_dir_remove(f->dir_z);
    ut_buf_free(&f->body);
    ut_buf_free(&f->packed);
    ut_gzip_free(f->gzip);
    if (f->certs != NULL)
        ut_certs_free(f->certs);
    free(f->jobs);
    free(f);
    return 0;
}

// ---- requests and answers

static ut_wire open_wire(fixture *f)
{
    ut_wire wire;
    ut_wire_open(&wire, &f->addr, round_of, f);
    return wire;
}

static void send_request(ut_wire *wire, const char *fields_z, ut_bytes body)
{
    char head[512];
    const int len = snprintf(head, sizeof head,
                             "POST /v1/traces HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                             fields_z, body.len);
    assert_true(ut_wire_send(wire, head, (size_t)len));
    assert_true(ut_wire_send(wire, body.data, body.len));
}

static ut_wire_answer take(ut_wire *wire)
{
    ut_wire_answer answer;
    ut_wire_take(wire, false, &answer);
    return answer;
}

static const char *fields_of(const ut_otlp_encoder *encoder)
{
    return encoder == &ut_otlp_json_encoder ? "Content-Type: application/json\r\n"
                                            : "Content-Type: application/x-protobuf\r\n";
}

static ut_wire_answer ask(ut_wire *wire, const char *fields_z, ut_bytes body)
{
    send_request(wire, fields_z, body);
    return take(wire);
}

static ut_bytes make_body(fixture *f, uint64_t seed, uint32_t spans, const ut_otlp_encoder *encoder)
{
    ut_buf_reset(&f->body, BUF_MAX);
    ut_make_body(seed, spans, encoder, &f->body);
    return ut_buf_bytes(&f->body);
}

static ut_bytes pack(fixture *f, ut_bytes body)
{
    ut_buf_reset(&f->packed, BUF_MAX);
    assert_int_equal(ut_gzip_compress(f->gzip, body, 6, &f->packed), UT_OK);
    return ut_buf_bytes(&f->packed);
}

static void assert_has(const ut_wire_answer *answer, const char *line_z)
{
    if (strstr(answer->head_z, line_z) == NULL)
        fail_msg("\"%s\" is not in %s", line_z, answer->head_z);
}

static void assert_success(const ut_wire_answer *answer, const ut_otlp_encoder *encoder)
{
    if (answer->status != 200)
        fail_msg("answered %d: %.*s", answer->status, (int)answer->body.len,
                 (const char *)answer->body.data);
    char line[128];
    (void)snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", encoder->content_type_z);
    assert_has(answer, line);
    if (encoder == &ut_otlp_json_encoder) {
        assert_int_equal(answer->body.len, 2);
        assert_memory_equal(answer->body.data, "{}", 2);
    } else {
        assert_int_equal(answer->body.len, 0);
    }
}

// A google.rpc.Status in the encoding of the request, with that code, and text in its message.
static void assert_status(const ut_wire_answer *answer, int status, int code,
                          const ut_otlp_encoder *encoder, const char *text_z)
{
    char message_z[512];
    char line[128];
    if (answer->status != status)
        fail_msg("answered %d: %.*s", answer->status, (int)answer->body.len,
                 (const char *)answer->body.data);
    (void)snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", encoder->content_type_z);
    assert_has(answer, line);
    if (encoder == &ut_otlp_json_encoder) {
        char code_z[32];
        (void)snprintf(code_z, sizeof code_z, "\"code\":%d", code);
        assert_non_null(memmem(answer->body.data, answer->body.len, code_z, strlen(code_z)));
    } else {
        assert_true(answer->body.len > 2);
        assert_int_equal(answer->body.data[0], 0x08); // field 1, varint
        assert_int_equal(answer->body.data[1], code);
    }
    ut_otlp_status_read(answer->body, message_z, sizeof message_z);
    if (strstr(message_z, text_z) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text_z, message_z);
}

static void assert_unavailable(const ut_wire_answer *answer, int code,
                               const ut_otlp_encoder *encoder, const char *text_z)
{
    assert_status(answer, 503, code, encoder, text_z);
    const char *field = strstr(answer->head_z, "\r\nRetry-After: ");
    assert_non_null(field);
    assert_true(strtoul(field + 15, NULL, 10) >= 1);
    assert_null(strstr(answer->head_z, "Connection: close"));
}

static const ut_otlp_encoder *const encoders[] = {&ut_otlp_protobuf_encoder, &ut_otlp_json_encoder};

// ---- claims

static void spans_are_stored_once_and_answered_in_their_encoding(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    for (uint64_t i = 0; i < 2; i++) {
        const ut_bytes body = make_body(f, 10 + i, 100, encoders[i]);
        ut_wire_answer answer = ask(&wire, fields_of(encoders[i]), body);
        assert_success(&answer, encoders[i]);
        answer = ask(&wire, fields_of(encoders[i]), body); // sent again: a success, too
        assert_success(&answer, encoders[i]);
    }
    ut_receiver_otlp_http_stats stats;
    ut_receiver_otlp_http_get_stats(f->receiver, &stats);
    assert_int_equal(stats.accepted, 200);
    assert_int_equal(stats.duplicates, 200);
    const ut_store_counts counts = counts_of(f);
    assert_int_equal(counts.spans_stored, 200);
    assert_int_equal(counts.spans_duplicate, 200);
    ut_wire_close(&wire);
}

static void an_answer_comes_after_the_commit_only(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    ut_engine_gate_hold(f->gate, true);
    send_request(&wire, fields_of(encoders[0]), make_body(f, 1, 10, encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(f->gate) == 0) {
        round_of(f);
        ut_wire_patience(begin_ms, "a commit");
    }
    for (int i = 0; i < 5; i++)
        round_of(f);
    ut_wire_read(&wire);
    assert_int_equal(wire.len, 0);
    ut_engine_gate_hold(f->gate, false);
    const ut_wire_answer answer = take(&wire);
    assert_success(&answer, encoders[0]);
    ut_wire_close(&wire);
}

static void pipelined_requests_share_a_commit(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    ut_engine_gate_hold(f->gate, true);
    const unsigned before = ut_engine_gate_commits(f->gate);
    for (uint64_t i = 0; i < 20; i++)
        send_request(&wire, fields_of(encoders[0]), make_body(f, 1 + i, 10, encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    ut_http_server_stats stats;
    do {
        round_of(f);
        ut_http_server_get_stats(ut_receiver_otlp_http_server(f->receiver), &stats);
        ut_wire_patience(begin_ms, "all requests under way");
    } while (stats.under_way < 20);
    ut_engine_gate_hold(f->gate, false);
    for (int i = 0; i < 20; i++) {
        const ut_wire_answer answer = take(&wire);
        assert_success(&answer, encoders[0]);
    }
    assert_true(ut_engine_gate_commits(f->gate) - before <= 2);
    assert_int_equal(counts_of(f).spans_stored, 200);
    ut_wire_close(&wire);
}

// The hour in which the newest block expires.
static uint32_t newest_hour(fixture *f)
{
    ut_store_view *view;
    ut_buf payload;
    ut_block block;
    ut_buf_init(&payload, BUF_MAX);
    assert_int_equal(ut_store_view_open(f->engine, &view), UT_OK);
    assert_int_equal(ut_store_view_begin(view), UT_OK);
    assert_int_equal(
        ut_store_read_block(view, UT_ORG_DEFAULT, ut_store_last_seq(f->store), &payload, &block),
        UT_OK);
    ut_store_view_close(view);
    ut_buf_free(&payload);
    return block.info.expiry_hour;
}

static void a_request_says_how_long_its_spans_live(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    static const char fields_z[] = "Content-Type: application/json\r\nX-Untrace-TTL: 7d\r\n";
    ut_wire_answer answer = ask(&wire, fields_z, make_body(f, 1, 3, &ut_otlp_json_encoder));
    assert_int_equal(answer.status, 200);
    const uint32_t hour_now = (uint32_t)(ut_clock_wall_ns() / UINT64_C(3600000000000));
    assert_in_range(newest_hour(f), hour_now + 7 * 24, hour_now + 7 * 24 + 1);
    static const char for_ever_z[] = "Content-Type: application/json\r\nx-untrace-ttl: 0\r\n";
    answer = ask(&wire, for_ever_z, make_body(f, 2, 3, &ut_otlp_json_encoder));
    assert_int_equal(answer.status, 200);
    assert_int_equal(newest_hour(f), 0);

    static const char *const wrong_z[] = {"7", "", "soon", "7d\r\nX-Untrace-TTL: 7d"};
    for (size_t i = 0; i < sizeof wrong_z / sizeof *wrong_z; i++) {
        char head_z[160];
        (void)snprintf(head_z, sizeof head_z,
                       "Content-Type: application/json\r\nX-Untrace-TTL: %s\r\n", wrong_z[i]);
        answer = ask(&wire, head_z, make_body(f, 3, 3, &ut_otlp_json_encoder));
        assert_int_equal(answer.status, 400);
        assert_non_null(memmem(answer.body.data, answer.body.len, "found x-untrace-ttl", 19));
    }
    ut_wire_close(&wire);
    assert_int_equal(counts_of(f).blocks_stored, 2);
}

static void an_empty_request_is_a_success(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    ut_wire_answer answer = ask(&wire, fields_of(encoders[0]), UT_BYTES_NONE);
    assert_success(&answer, encoders[0]);
    answer = ask(&wire, fields_of(encoders[1]), UT_BYTES_LIT("{}"));
    assert_success(&answer, encoders[1]);
    answer = ask(&wire, fields_of(encoders[1]), UT_BYTES_LIT("{\"resourceSpans\":[]}"));
    assert_success(&answer, encoders[1]);
    answer = ask(&wire, "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
                 pack(f, UT_BYTES_NONE));
    assert_success(&answer, encoders[0]);
    ut_wire_send_z(
        &wire,
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\r\n");
    answer = take(&wire);
    assert_success(&answer, encoders[0]);
    assert_int_equal(counts_of(f).spans_stored, 0);
    ut_wire_close(&wire);
}

static void content_types_are_read_as_http_writes_them(void **state)
{
    fixture *f = *state;
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
        {"Content-Type: application/json, application/json\r\n", 2},
        {"Content-Type: application/json\r\nContent-Type: application/json\r\n", 2},
        {"Content-Type: application/grpc\r\n", 2},
    };
    ut_wire wire = open_wire(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const ut_bytes body = cases[i].encoder == 1 ? UT_BYTES_LIT("{}") : UT_BYTES_NONE;
        const ut_wire_answer answer = ask(&wire, cases[i].fields_z, body);
        if (cases[i].encoder == 2) {
            if (answer.status != 415)
                fail_msg("case %zu got %d", i, answer.status);
            assert_has(&answer, "\r\nContent-Type: text/plain");
        } else {
            assert_success(&answer, encoders[cases[i].encoder]);
        }
    }
    ut_wire_close(&wire);
}

static void other_paths_and_methods_are_refused(void **state)
{
    fixture *f = *state;
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
    ut_wire wire = open_wire(f);
    char request[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(request, sizeof request,
                       "%s HTTP/1.1\r\nHost: x\r\nContent-Type: "
                       "application/json\r\nContent-Length: 2\r\n\r\n{}",
                       cases[i].line_z);
        ut_wire_send_z(&wire, request);
        const ut_wire_answer answer = take(&wire);
        if (answer.status != cases[i].status)
            fail_msg("%s got %d", cases[i].line_z, answer.status);
        if (answer.status == 405)
            assert_has(&answer, "\r\nAllow: POST\r\n");
    }
    ut_wire_send_z(&wire, "HEAD /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_answer answer;
    ut_wire_take(&wire, true, &answer);
    assert_int_equal(answer.status, 405);
    ut_wire_send_z(&wire, "POST http://host/v1/traces?key=value HTTP/1.1\r\nHost: "
                          "x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    answer = take(&wire);
    assert_success(&answer, encoders[1]);
    ut_wire_close(&wire);
}

static void gzip_is_taken_and_other_codings_are_not(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    char fields[256];
    static const char *const good[] = {"gzip", "GZIP", "x-gzip"};
    for (uint64_t i = 0; i < 6; i++) {
        const ut_otlp_encoder *encoder = encoders[i % 2];
        (void)snprintf(fields, sizeof fields, "%sContent-Encoding: %s\r\n", fields_of(encoder),
                       good[i / 2]);
        const ut_wire_answer answer = ask(&wire, fields, pack(f, make_body(f, i, 10, encoder)));
        assert_success(&answer, encoder);
    }
    static const char *const plain[] = {"identity", "Identity", ""};
    for (uint64_t i = 0; i < 3; i++) {
        (void)snprintf(fields, sizeof fields, "%sContent-Encoding: %s\r\n", fields_of(encoders[0]),
                       plain[i]);
        const ut_wire_answer answer = ask(&wire, fields, make_body(f, 10 + i, 10, encoders[0]));
        assert_success(&answer, encoders[0]);
    }
    static const char *const other[] = {"deflate", "br", "zstd", "gzip, gzip",
                                        "gzip\r\nContent-Encoding: gzip"};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        (void)snprintf(fields, sizeof fields, "%sContent-Encoding: %s\r\n", fields_of(encoders[0]),
                       other[i]);
        const ut_wire_answer answer = ask(&wire, fields, UT_BYTES_LIT("abc"));
        assert_int_equal(answer.status, 415);
        assert_has(&answer, "\r\nAccept-Encoding: gzip, identity\r\n");
    }
    assert_int_equal(counts_of(f).spans_stored, 90);
    ut_wire_close(&wire);
}

static void damaged_gzip_is_bad_data(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    for (size_t k = 0; k < 2; k++) {
        char fields[256];
        (void)snprintf(fields, sizeof fields, "%sContent-Encoding: gzip\r\n",
                       fields_of(encoders[k]));
        ut_wire_answer answer = ask(&wire, fields, UT_BYTES_NONE); // not even a header
        assert_status(&answer, 400, 3, encoders[k], "not valid gzip");
        ut_bytes packed = pack(f, make_body(f, 1, 10, encoders[k]));
        ut_bytes cut = {packed.data, packed.len - 9};
        answer = ask(&wire, fields, cut);
        assert_status(&answer, 400, 3, encoders[k], "");
        answer = ask(&wire, fields, UT_BYTES_LIT("this is no gzip at all, not even nearly"));
        assert_status(&answer, 400, 3, encoders[k], "");
        f->packed.data[packed.len - 5] ^= 1; // its checksum
        answer = ask(&wire, fields, packed);
        assert_status(&answer, 400, 3, encoders[k], "");
    }
    assert_int_equal(counts_of(f).spans_stored, 0);
    ut_wire_close(&wire);
}

static void a_body_that_is_too_large_gets_413_packed_or_not(void **state)
{
    fixture *f = *state;
    ut_buf zeros;
    ut_buf_init(&zeros, BUF_MAX);
    uint8_t *at = ut_buf_reserve(&zeros, 50 * 1024 * 1024);
    assert_non_null(at);
    memset(at, 0, 50 * 1024 * 1024);
    zeros.len = 50 * 1024 * 1024;
    for (size_t k = 0; k < 2; k++) {
        char fields[256];
        (void)snprintf(fields, sizeof fields, "%sContent-Encoding: gzip\r\n",
                       fields_of(encoders[k]));
        ut_wire wire = open_wire(f);
        const ut_bytes bomb = pack(f, ut_buf_bytes(&zeros));
        assert_true(bomb.len < BODY_MAX / 4);
        ut_wire_answer answer = ask(&wire, fields, bomb);
        assert_status(&answer, 413, 8, encoders[k], "larger");
        const ut_bytes much = {zeros.data, BODY_MAX + 1};
        answer = ask(&wire, fields_of(encoders[k]), much);
        assert_status(&answer, 413, 8, encoders[k], "larger");
        assert_has(&answer, "\r\nConnection: close\r\n");
        ut_wire_close(&wire);
        // One byte less is not too large, only bad.
        wire = open_wire(f);
        const ut_bytes less = {zeros.data, BODY_MAX};
        answer = ask(&wire, fields_of(encoders[k]), less);
        assert_status(&answer, 400, 3, encoders[k], "");
        answer = ask(&wire, fields, pack(f, less));
        assert_status(&answer, 400, 3, encoders[k], "");
        ut_wire_close(&wire);
    }
    ut_buf_free(&zeros);
}

static void what_does_not_decode_is_refused_as_a_whole(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    for (size_t k = 0; k < 2; k++) {
        const ut_bytes body = make_body(f, 1, 3, encoders[k]);
        for (size_t cut = 1; cut < body.len; cut += 37) {
            const ut_wire_answer answer =
                ask(&wire, fields_of(encoders[k]), (ut_bytes){body.data, cut});
            assert_status(&answer, 400, 3, encoders[k], "");
        }
    }
    // Where it is wrong is said.
    ut_wire_answer answer =
        ask(&wire, fields_of(encoders[1]),
            UT_BYTES_LIT("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":7}]}]}]}"));
    assert_status(&answer, 400, 3, encoders[1], "pans[0]");
    answer = ask(&wire, fields_of(encoders[0]), UT_BYTES_LIT("\x0a\x04\x12\x02\x12\x7f"));
    assert_status(&answer, 400, 3, encoders[0], "pans[0]");
    // The wrong content type is bad data, too.
    answer = ask(&wire, fields_of(encoders[0]), UT_BYTES_LIT("{\"resourceSpans\":[]}"));
    assert_status(&answer, 400, 3, encoders[0], "");
    assert_int_equal(counts_of(f).spans_stored, 0);
    ut_wire_close(&wire);
}

static void nesting_without_end_is_refused(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    ut_buf_reset(&f->body, BUF_MAX);
    ut_buf_add_z(&f->body,
                 "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"k\",\"value\":");
    for (int i = 0; i < 5000; i++)
        ut_buf_add_z(&f->body, "{\"arrayValue\":{\"values\":[");
    const ut_wire_answer answer = ask(&wire, fields_of(encoders[1]), ut_buf_bytes(&f->body));
    assert_status(&answer, 400, 3, encoders[1], "");
    ut_wire_close(&wire);
}

static void spans_with_invalid_ids_are_rejected_one_by_one(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    static const char body[] = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":["
                               "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":"
                               "\"0102030405060708\",\"name\":\"good\"},"
                               "{\"traceId\":\"00000000000000000000000000000000\",\"spanId\":"
                               "\"0102030405060709\",\"name\":\"zero\"},"
                               "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":"
                               "\"01\",\"name\":\"short\"}]}]}]}";
    ut_wire_answer answer = ask(&wire, fields_of(encoders[1]), ut_bytes_of_z(body));
    assert_int_equal(answer.status, 200);
    int64_t rejected = 0;
    char message_z[256];
    ut_otlp_response_read(UT_OTLP_JSON, answer.body, &rejected, message_z, sizeof message_z);
    assert_int_equal(rejected, 2);
    assert_true(strlen(message_z) > 0);
    // The same in protobuf, and nothing in it is good.
    static const char bad[] = "\x0a\x1c\x12\x1a\x12\x18\x0a\x0f"
                              "aaaaaaaaaaaaaaa"
                              "\x12\x05"
                              "bbbbb";
    answer = ask(&wire, fields_of(encoders[0]), ut_bytes_of(bad, sizeof bad - 1));
    assert_int_equal(answer.status, 200);
    ut_otlp_response_read(UT_OTLP_PROTOBUF, answer.body, &rejected, message_z, sizeof message_z);
    assert_int_equal(rejected, 1);
    ut_receiver_otlp_http_stats stats;
    ut_receiver_otlp_http_get_stats(f->receiver, &stats);
    assert_int_equal(stats.accepted, 1);
    assert_int_equal(stats.rejected, 3);
    assert_int_equal(counts_of(f).spans_stored, 1);
    ut_wire_close(&wire);
}

static void a_store_that_fails_gives_503_until_it_works_again(void **state)
{
    fixture *f = *state;
    static const struct {
        ut_err err;
        int code;
    } cases[] = {{UT_EFULL, 8}, {UT_ENOSPC, 8}, {UT_EIO, 14}, {UT_ENOMEM, 14}};
    ut_wire wire = open_wire(f);
    for (uint64_t i = 0; i < 4; i++) {
        const ut_otlp_encoder *encoder = encoders[i % 2];
        ut_engine_gate_fail(f->gate, cases[i].err);
        const ut_bytes body = make_body(f, 100 + i, 10, encoder);
        ut_wire_answer answer = ask(&wire, fields_of(encoder), body);
        assert_unavailable(&answer, cases[i].code, encoder, "");
        answer = ask(&wire, fields_of(encoder), body);
        assert_unavailable(&answer, cases[i].code, encoder, "");
        ut_engine_gate_fail(f->gate, UT_OK);
        answer = ask(&wire, fields_of(encoder), body);
        assert_success(&answer, encoder);
    }
    assert_int_equal(counts_of(f).spans_stored, 40);
    ut_wire_close(&wire);
}

static void a_request_that_no_store_of_this_size_could_hold_gets_413(void **state)
{
    fixture *f = *state;
    ut_wire wire = open_wire(f);
    ut_engine_gate_fail_once(f->gate, UT_ELIMIT);
    const ut_otlp_encoder *encoder = &ut_otlp_json_encoder;
    ut_wire_answer answer = ask(&wire, fields_of(encoder), make_body(f, 1, 10, encoder));
    assert_int_equal(answer.status, 413);
    assert_non_null(memmem(answer.body.data, answer.body.len, "storage.max_size", 16));
    // Others need not wait for it.
    answer = ask(&wire, fields_of(encoder), make_body(f, 2, 10, encoder));
    assert_success(&answer, encoder);
    ut_wire_close(&wire);
}

static void own_job_done(ut_store_job *job)
{
    (void)job;
}

static void a_full_queue_gives_503(void **state)
{
    fixture *f = *state;
    ut_batch batch;
    ut_batch_init(&batch, BUF_MAX);
    ut_make_spans(5, 1, &batch);
    ut_engine_gate_hold(f->gate, true);
    f->jobs = calloc(UT_STORE_THREAD_QUEUE_MAX * 2, sizeof *f->jobs);
    assert_non_null(f->jobs);
    size_t taken = 0;
    for (;; taken++) {
        f->jobs[taken] = (ut_store_job){
            .append = {.org = UT_ORG_DEFAULT, .batch = &batch}, .bytes = 1, .done = own_job_done};
        if (ut_store_thread_submit(f->thread, &f->jobs[taken]) != UT_OK)
            break;
        assert_true(taken < UT_STORE_THREAD_QUEUE_MAX * 2 - 1);
    }
    // Whether the thread took its first group before the queue was full or not, it is full in a moment.
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(f->gate) == 0)
        ut_wire_patience(begin_ms, "a commit");
    while (ut_store_thread_submit(f->thread, &f->jobs[taken]) == UT_OK) {
        taken++;
        assert_true(taken < UT_STORE_THREAD_QUEUE_MAX * 2);
        f->jobs[taken] = f->jobs[0];
    }
    ut_wire wire = open_wire(f);
    const ut_bytes body = make_body(f, 6, 10, encoders[0]);
    ut_wire_answer answer = ask(&wire, fields_of(encoders[0]), body);
    assert_unavailable(&answer, 8, encoders[0], "wait to be stored");
    ut_engine_gate_hold(f->gate, false);
    do {
        answer = ask(&wire, fields_of(encoders[0]), body);
        ut_wire_patience(begin_ms, "room in the queue");
    } while (answer.status == 503);
    assert_success(&answer, encoders[0]);
    ut_wire_close(&wire);
    assert_int_equal(counts_of(f).spans_stored, 11);
    ut_batch_free(&batch);
}

static void memory_that_others_hold_gives_503(void **state)
{
    fixture *f = *state;
    ut_receiver_otlp_http_close(f->receiver);
    f->limits.memory_bytes_max = 900 * 1024; // one request of 500 spans, and not a second
    open_receiver(f);
    ut_engine_gate_hold(f->gate, true);
    ut_wire first = open_wire(f);
    ut_wire second = open_wire(f);
    send_request(&first, fields_of(encoders[0]), make_body(f, 1, 500, encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(f->gate) == 0) {
        round_of(f);
        ut_wire_patience(begin_ms, "a commit");
    }
    ut_wire_answer answer = ask(&second, fields_of(encoders[0]), make_body(f, 2, 500, encoders[0]));
    assert_unavailable(&answer, 14, encoders[0], "memory");
    ut_engine_gate_hold(f->gate, false);
    answer = take(&first);
    assert_success(&answer, encoders[0]);
    answer = ask(&second, fields_of(encoders[0]), make_body(f, 2, 500, encoders[0]));
    assert_success(&answer, encoders[0]);
    // Alone, a request that can never fit is told so.
    answer = ask(&second, fields_of(encoders[0]), make_body(f, 3, 1400, encoders[0]));
    assert_status(&answer, 413, 8, encoders[0], "memory");
    ut_wire_close(&first);
    ut_wire_close(&second);
    ut_http_server_stats stats;
    do {
        round_of(f);
        ut_http_server_get_stats(ut_receiver_otlp_http_server(f->receiver), &stats);
        ut_wire_patience(begin_ms, "the end of the connections");
    } while (stats.connections > 0);
    assert_int_equal(stats.memory, 0);
}

static void a_request_that_needs_more_than_all_memory_is_told_so(void **state)
{
    fixture *f = *state;
    ut_receiver_otlp_http_close(f->receiver);
    f->limits.memory_bytes_max = 300 * 1024;
    open_receiver(f);
    // Spans of nothing but ids take more memory in a batch than on the wire.
    enum { SPANS = 5000, SPAN_LEN = 30, SPANS_LEN = SPANS * SPAN_LEN };
    static const uint8_t heads[] = {0x0a, 0xf4, 0x93, 0x09, 0x12, 0xf0, 0x93, 0x09};
    assert_int_equal(SPANS_LEN, 150000); // 0x93f0 << ... as the lengths in heads say
    ut_buf_reset(&f->body, BUF_MAX);
    ut_buf_add(&f->body, heads, sizeof heads);
    for (uint32_t i = 1; i <= SPANS; i++) {
        uint8_t span[SPAN_LEN] = {0x12, SPAN_LEN - 2, 0x0a, 16};
        ut_put_be32(span + 4, i);
        span[20] = 0x12;
        span[21] = 8;
        ut_put_be32(span + 22, i);
        ut_buf_add(&f->body, span, sizeof span);
    }
    ut_wire wire = open_wire(f);
    ut_wire_answer answer = ask(&wire, fields_of(encoders[0]), ut_buf_bytes(&f->body));
    assert_status(&answer, 413, 8, encoders[0], "memory");
    // Likewise one that is small before it is expanded.
    answer = ask(&wire, "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
                 pack(f, make_body(f, 1, 800, encoders[0])));
    assert_status(&answer, 413, 8, encoders[0], "memory");
    answer = ask(&wire, fields_of(encoders[0]), make_body(f, 2, 100, encoders[0]));
    assert_success(&answer, encoders[0]);
    ut_wire_close(&wire);
}

// A figure of /proc/self/status, in bytes.
static size_t memory_now(const char *name_z)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name_z, strlen(name_z)) == 0)
            kib = strtoul(line + strlen(name_z) + 1, NULL, 10);
    }
    assert_int_equal(fclose(file), 0);
    assert_true(kib > 0);
    return kib * 1024;
}

static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    assert_non_null(file);
    assert_true(fputs("5", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// What a request is expanded, parsed and decoded into counts, too, while it exists.
static void memory_stays_near_its_limit(void **state)
{
    fixture *f = *state;
    enum { LIMIT = 32 * 1024 * 1024, BIG = 24 * 1024 * 1024, SLACK = 4 * 1024 * 1024 };
    ut_receiver_otlp_http_close(f->receiver);
    f->limits.memory_bytes_max = LIMIT;
    f->limits.body_bytes_max = BIG;
    open_receiver(f);
    // A bomb, then many spans of next to nothing, packed; then JSON that is all values.
    static const char *const element_z = "{\"spans\":[{}]},";
    for (int k = 0; k < 4; k++) {
        const ut_otlp_encoder *encoder = encoders[k >= 2];
        ut_buf_reset(&f->body, BUF_MAX);
        if (k == 0) {
            uint8_t *at = ut_buf_reserve(&f->body, 2 * BIG);
            memset(at, 0, 2 * BIG);
            f->body.len = 2 * BIG;
        } else if (k == 1) {
            enum { SPANS = 60000, SPAN_LEN = 30 };
            static const uint8_t heads[] = {0x0a, 0xc4, 0xee, 0x6d, 0x12, 0xc0, 0xee, 0x6d};
            assert_int_equal(SPANS * SPAN_LEN, 1800000); // as the lengths in heads say
            ut_buf_add(&f->body, heads, sizeof heads);
            for (uint32_t i = 1; i <= SPANS; i++) {
                uint8_t span[SPAN_LEN] = {0x12, SPAN_LEN - 2, 0x0a, 16};
                ut_put_be32(span + 4, i);
                span[20] = 0x12;
                span[21] = 8;
                ut_put_be32(span + 22, i);
                ut_buf_add(&f->body, span, sizeof span);
            }
        } else {
            ut_buf_add_z(&f->body, "{\"resourceSpans\":[{\"scopeSpans\":[");
            while (f->body.len < 12 * 1024 * 1024)
                ut_buf_add_z(&f->body, element_z);
            f->body.len--;
            ut_buf_add_z(&f->body, "]}]}");
        }
        char fields[256];
        (void)snprintf(fields, sizeof fields, "%s%s", fields_of(encoder),
                       k < 3 ? "Content-Encoding: gzip\r\n" : "");
        const ut_bytes body = k < 3 ? pack(f, ut_buf_bytes(&f->body)) : ut_buf_bytes(&f->body);
        ut_wire wire = open_wire(f);
        forget_peak();
        const size_t before = memory_now("VmHWM");
        const ut_wire_answer answer = ask(&wire, fields, body);
        const size_t more = memory_now("VmHWM") - before;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
        (void)more; // they hold back what is freed
#else
        assert_true(more <= LIMIT + SLACK);
#endif
        if (k == 1)
            assert_success(&answer, encoder);
        else
            assert_status(&answer, 413, 8, encoder, k == 0 ? "larger" : "memory");
        ut_wire_close(&wire);
        ut_http_server_stats stats;
        ut_http_server_get_stats(ut_receiver_otlp_http_server(f->receiver), &stats);
        assert_int_equal(stats.memory, 0);
    }
}

static void spans_of_a_client_that_is_gone_are_stored(void **state)
{
    fixture *f = *state;
    ut_engine_gate_hold(f->gate, true);
    ut_wire wire = open_wire(f);
    send_request(&wire, fields_of(encoders[0]), make_body(f, 1, 10, encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(f->gate) == 0) {
        round_of(f);
        ut_wire_patience(begin_ms, "a commit");
    }
    ut_wire_close(&wire);
    for (int i = 0; i < 5; i++)
        round_of(f);
    assert_int_equal(counts_of(f).spans_stored, 10);
    round_of(f);
    ut_http_server_stats stats;
    ut_http_server_get_stats(ut_receiver_otlp_http_server(f->receiver), &stats);
    assert_int_equal(stats.under_way, 0);
    assert_int_equal(stats.memory, 0);
}

// ---- TLS

typedef struct {
    fixture *f;
    ut_sock sock;
    ut_tls *tls;
} tls_client;

static ut_err handshake(tls_client *c)
{
    ut_fault fault = {UT_OK, ""};
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (;;) {
        uint32_t want = 0;
        const ut_err err = ut_tls_handshake(c->tls, &want, &fault);
        if (err != UT_EAGAIN)
            return err;
        round_of(c->f);
        ut_wire_patience(begin_ms, "the end of the handshake");
    }
}

static tls_client open_tls(fixture *f, ut_tls_context *context)
{
    tls_client c = {.f = f, .sock = UT_SOCK_NONE};
    const uint64_t begin_ms = ut_clock_mono_ms();
    assert_int_equal(ut_sock_connect(&f->addr, &c.sock), UT_OK);
    while (ut_sock_connect_result(c.sock, NULL) == UT_EAGAIN) {
        round_of(f);
        ut_wire_patience(begin_ms, "the connection");
    }
    assert_int_equal(ut_tls_open(context, c.sock, "localhost", &c.tls), UT_OK);
    return c;
}

static void close_tls(tls_client *c)
{
    ut_tls_free(c->tls);
    ut_sock_close(c->sock);
}

// Sends all and reads until so many answers of 200 have come. False when the connection ends before.
static bool tls_ask(tls_client *c, ut_bytes request, size_t answers)
{
    static char inbox[64 * 1024];
    size_t len = 0;
    const uint64_t begin_ms = ut_clock_mono_ms();
    for (;;) {
        uint32_t want = 0;
        size_t n = 0;
        if (request.len > 0) {
            const ut_err err = ut_tls_write(c->tls, request, &n, &want);
            if (err == UT_OK) {
                request.data += n;
                request.len -= n;
            } else if (err != UT_EAGAIN) {
                return false;
            }
        }
        const ut_err err = ut_tls_read(c->tls, inbox + len, sizeof inbox - len, &n, &want);
        if (err == UT_OK)
            len += n;
        else if (err != UT_EAGAIN)
            return false;
        size_t got = 0;
        for (const char *at = inbox;
             (at = memmem(at, len - (size_t)(at - inbox), "HTTP/1.1 200 ", 13)) != NULL; at++)
            got++;
        if (got >= answers && request.len == 0)
            return true;
        round_of(c->f);
        ut_wire_patience(begin_ms, "an answer over TLS");
    }
}

static void requests_come_over_tls(void **state)
{
    fixture *f = *state;
    f->certs = ut_certs_make();
    ut_receiver_otlp_http_close(f->receiver);
    f->limits.tls = true;
    f->limits.cert_pem = ut_certs_get(f->certs, "server.pem");
    f->limits.key_pem = ut_certs_get(f->certs, "server.key");
    open_receiver(f);
    const ut_tls_config config = {.ca_pem = ut_certs_get(f->certs, "ca.pem")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    ut_buf requests;
    ut_buf_init(&requests, BUF_MAX);
    enum { COUNT = UT_HTTP_SERVER_PIPELINE_MAX + 10 };
    for (uint64_t i = 0; i < COUNT; i++) {
        const ut_bytes body = make_body(f, i, 100, encoders[0]);
        ut_buf_printf(&requests,
                      "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: "
                      "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                      body.len);
        ut_buf_add_bytes(&requests, body);
    }
    tls_client c = open_tls(f, context);
    assert_int_equal(handshake(&c), UT_OK);
    assert_true(tls_ask(&c, ut_buf_bytes(&requests), COUNT));
    close_tls(&c);

    // Without TLS, a client is cut off, and others are served on.
    ut_wire plain = open_wire(f);
    ut_wire_send_z(&plain, "POST /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n");
    ut_wire_wait_eof(&plain);
    ut_wire_close(&plain);
    c = open_tls(f, context);
    assert_int_equal(handshake(&c), UT_OK);
    assert_true(tls_ask(&c,
                        UT_BYTES_LIT("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                     "application/json\r\nContent-Length: 2\r\n\r\n{}"),
                        1));
    close_tls(&c);
    assert_int_equal(counts_of(f).spans_stored, COUNT * 100);
    ut_tls_context_free(context);
    ut_buf_free(&requests);
}

static void a_client_without_the_certificate_asked_for_gets_nothing(void **state)
{
    fixture *f = *state;
    const ut_bytes request = UT_BYTES_LIT("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                          "application/json\r\nContent-Length: 2\r\n\r\n{}");
    f->certs = ut_certs_make();
    ut_receiver_otlp_http_close(f->receiver);
    f->limits.tls = true;
    f->limits.cert_pem = ut_certs_get(f->certs, "server.pem");
    f->limits.key_pem = ut_certs_get(f->certs, "server.key");
    f->limits.client_ca_pem = ut_certs_get(f->certs, "ca.pem");
    open_receiver(f);
    ut_tls_config config = {.ca_pem = ut_certs_get(f->certs, "ca.pem")};
    ut_tls_context *context = NULL;
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    tls_client c = open_tls(f, context);
    if (handshake(&c) == UT_OK) // in TLS 1.3 the client learns it afterwards
        assert_false(tls_ask(&c, request, 1));
    close_tls(&c);
    ut_tls_context_free(context);
    config.cert_pem = ut_certs_get(f->certs, "client.pem");
    config.key_pem = ut_certs_get(f->certs, "client.key");
    assert_int_equal(ut_tls_context_new(&config, &context, NULL), UT_OK);
    c = open_tls(f, context);
    assert_int_equal(handshake(&c), UT_OK);
    assert_true(tls_ask(&c, request, 1));
    close_tls(&c);
    ut_tls_context_free(context);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(spans_are_stored_once_and_answered_in_their_encoding),
        CLAIM(an_answer_comes_after_the_commit_only),
        CLAIM(pipelined_requests_share_a_commit),
        CLAIM(a_request_says_how_long_its_spans_live),
        CLAIM(an_empty_request_is_a_success),
        CLAIM(content_types_are_read_as_http_writes_them),
        CLAIM(other_paths_and_methods_are_refused),
        CLAIM(gzip_is_taken_and_other_codings_are_not),
        CLAIM(damaged_gzip_is_bad_data),
        CLAIM(a_body_that_is_too_large_gets_413_packed_or_not),
        CLAIM(what_does_not_decode_is_refused_as_a_whole),
        CLAIM(nesting_without_end_is_refused),
        CLAIM(spans_with_invalid_ids_are_rejected_one_by_one),
        CLAIM(a_store_that_fails_gives_503_until_it_works_again),
        CLAIM(a_request_that_no_store_of_this_size_could_hold_gets_413),
        CLAIM(a_full_queue_gives_503),
        CLAIM(memory_that_others_hold_gives_503),
        CLAIM(memory_stays_near_its_limit),
        CLAIM(a_request_that_needs_more_than_all_memory_is_told_so),
        CLAIM(spans_of_a_client_that_is_gone_are_stored),
        CLAIM(requests_come_over_tls),
        CLAIM(a_client_without_the_certificate_asked_for_gets_nothing),
    };
    return cmocka_run_group_tests_name("receiver", tests, NULL, NULL);
}
