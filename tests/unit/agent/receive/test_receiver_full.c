// The OTLP/HTTP receiver when the store, the queue or the memory for requests is full or fails.
#include "tests/support/otlp_body.h"
#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp_fields.h"
#include "tests/support/receiver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static void a_store_that_fails_gives_503_until_it_works_again(void **state)
{
    ut_receiver_rig *rig = *state;
    static const struct {
        ut_err err;
        int code;
    } cases[] = {{UT_EFULL, 8}, {UT_ENOSPC, 8}, {UT_EIO, 14}, {UT_ENOMEM, 14}};
    ut_wire wire = ut_rig_wire(rig);
    for (uint64_t i = 0; i < 4; i++) {
        const ut_otlp_encoder *encoder = ut_rig_encoders[i % 2];
        ut_engine_gate_fail(rig->gate, cases[i].err);
        const ut_bytes body = ut_rig_body(rig, 100 + i, 10, encoder);
        ut_wire_answer answer = ut_rig_ask(&wire, ut_rig_fields(encoder), body);
        ut_rig_assert_unavailable(&answer, cases[i].code, encoder, "");
        answer = ut_rig_ask(&wire, ut_rig_fields(encoder), body);
        ut_rig_assert_unavailable(&answer, cases[i].code, encoder, "");
        ut_engine_gate_fail(rig->gate, UT_OK);
        answer = ut_rig_ask(&wire, ut_rig_fields(encoder), body);
        ut_rig_assert_success(&answer, encoder);
    }
    assert_int_equal(ut_rig_counts(rig).spans_stored, 40);
    ut_wire_close(&wire);
}

static void a_request_that_no_store_of_this_size_could_hold_gets_413(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    ut_engine_gate_fail_once(rig->gate, UT_ELIMIT);
    const ut_otlp_encoder *encoder = &ut_otlp_json_encoder;
    ut_wire_answer answer =
        ut_rig_ask(&wire, ut_rig_fields(encoder), ut_rig_body(rig, 1, 10, encoder));
    assert_int_equal(answer.status, 413);
    assert_non_null(memmem(answer.body.data, answer.body.len, "storage.max_size", 16));
    // Others need not wait for it.
    answer = ut_rig_ask(&wire, ut_rig_fields(encoder), ut_rig_body(rig, 2, 10, encoder));
    ut_rig_assert_success(&answer, encoder);
    ut_wire_close(&wire);
}

static void own_job_done(ut_store_job *job)
{
    (void)job;
}

static void a_full_queue_gives_503(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_batch batch;
    ut_batch_init(&batch, UT_RIG_BUF_MAX);
    ut_make_spans(5, 1, &batch);
    ut_engine_gate_hold(rig->gate, true);
    rig->jobs = calloc(UT_STORE_THREAD_QUEUE_MAX * 2, sizeof(*rig->jobs));
    assert_non_null(rig->jobs);
    size_t taken = 0;
    for (;; taken++) {
        rig->jobs[taken] = (ut_store_job){
            .append = {.org = UT_ORG_DEFAULT, .batch = &batch}, .bytes = 1, .done = own_job_done};
        if (ut_store_thread_submit(rig->thread, &rig->jobs[taken]) != UT_OK)
            break;
        assert_true(taken < UT_STORE_THREAD_QUEUE_MAX * 2 - 1);
    }
    // Whether or not the thread took its first group before the queue was full, it is full in a
    // moment.
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(rig->gate) == 0)
        ut_wire_patience(begin_ms, "a commit");
    while (ut_store_thread_submit(rig->thread, &rig->jobs[taken]) == UT_OK) {
        taken++;
        assert_true(taken < UT_STORE_THREAD_QUEUE_MAX * 2);
        rig->jobs[taken] = rig->jobs[0];
    }
    ut_wire wire = ut_rig_wire(rig);
    const ut_bytes body = ut_rig_body(rig, 6, 10, ut_rig_encoders[0]);
    ut_wire_answer answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), body);
    ut_rig_assert_unavailable(&answer, 8, ut_rig_encoders[0], "wait to be stored");
    ut_engine_gate_hold(rig->gate, false);
    do {
        answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), body);
        ut_wire_patience(begin_ms, "room in the queue");
    } while (answer.status == 503);
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    ut_wire_close(&wire);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 11);
    ut_batch_free(&batch);
}

static void memory_that_others_hold_gives_503(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_receiver_otlp_http_close(rig->receiver);
    rig->limits.memory_bytes_max = 900 * 1024; // one request of 500 spans, and not a second
    ut_rig_open_receiver(rig);
    ut_engine_gate_hold(rig->gate, true);
    ut_wire first = ut_rig_wire(rig);
    ut_wire second = ut_rig_wire(rig);
    ut_rig_send(&first, ut_rig_fields(ut_rig_encoders[0]),
                ut_rig_body(rig, 1, 500, ut_rig_encoders[0]));
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (ut_engine_gate_waiting(rig->gate) == 0) {
        ut_rig_round(rig);
        ut_wire_patience(begin_ms, "a commit");
    }
    ut_wire_answer answer = ut_rig_ask(&second, ut_rig_fields(ut_rig_encoders[0]),
                                       ut_rig_body(rig, 2, 500, ut_rig_encoders[0]));
    ut_rig_assert_unavailable(&answer, 14, ut_rig_encoders[0], "memory");
    ut_engine_gate_hold(rig->gate, false);
    answer = ut_rig_take(&first);
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    answer = ut_rig_ask(&second, ut_rig_fields(ut_rig_encoders[0]),
                        ut_rig_body(rig, 2, 500, ut_rig_encoders[0]));
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    // Alone, a request that can never fit is told so.
    answer = ut_rig_ask(&second, ut_rig_fields(ut_rig_encoders[0]),
                        ut_rig_body(rig, 3, 1400, ut_rig_encoders[0]));
    ut_rig_assert_status(&answer, 413, 8, ut_rig_encoders[0], "memory");
    ut_wire_close(&first);
    ut_wire_close(&second);
    ut_http_server_stats stats;
    do {
        ut_rig_round(rig);
        ut_http_server_get_stats(ut_receiver_otlp_http_server(rig->receiver), &stats);
        ut_wire_patience(begin_ms, "the end of the connections");
    } while (stats.connections > 0);
    assert_int_equal(stats.memory, 0);
}

static void a_request_that_needs_more_than_all_memory_is_told_so(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_receiver_otlp_http_close(rig->receiver);
    rig->limits.memory_bytes_max = 300 * 1024;
    ut_rig_open_receiver(rig);
    // Spans of nothing but ids take more memory in a batch than on the wire.
    enum { SPANS = 5000, SPAN_LEN = 30, SPANS_LEN = SPANS * SPAN_LEN };
    static const uint8_t heads[] = {0x0a, 0xf4, 0x93, 0x09, 0x12, 0xf0, 0x93, 0x09};
    assert_int_equal(SPANS_LEN, 150000); // 0x93f0 << ... as the lengths in heads say
    ut_buf_reset(&rig->body, UT_RIG_BUF_MAX);
    ut_buf_add(&rig->body, heads, sizeof(heads));
    for (uint32_t i = 1; i <= SPANS; i++) {
        uint8_t span[SPAN_LEN] = {0x12, SPAN_LEN - 2, 0x0a, 16};
        ut_put_be32(span + 4, i);
        span[20] = 0x12;
        span[21] = 8;
        ut_put_be32(span + 22, i);
        ut_buf_add(&rig->body, span, sizeof(span));
    }
    ut_wire wire = ut_rig_wire(rig);
    ut_wire_answer answer =
        ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), ut_buf_bytes(&rig->body));
    ut_rig_assert_status(&answer, 413, 8, ut_rig_encoders[0], "memory");
    // A request that is small before it is expanded is told so, too.
    answer = ut_rig_ask(&wire, "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
                        ut_rig_pack(rig, ut_rig_body(rig, 1, 800, ut_rig_encoders[0])));
    ut_rig_assert_status(&answer, 413, 8, ut_rig_encoders[0], "memory");
    answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]),
                        ut_rig_body(rig, 2, 100, ut_rig_encoders[0]));
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    ut_wire_close(&wire);
}

// A figure of /proc/self/status, in bytes.
static size_t memory_now(const char *name_z)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
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

// The memory that a request is expanded, parsed and decoded into counts while it exists.
static void memory_stays_near_its_limit(void **state)
{
    ut_receiver_rig *rig = *state;
    enum { LIMIT = 32 * 1024 * 1024, BIG = 24 * 1024 * 1024, SLACK = 4 * 1024 * 1024 };
    ut_receiver_otlp_http_close(rig->receiver);
    rig->limits.memory_bytes_max = LIMIT;
    rig->limits.body_bytes_max = BIG;
    ut_rig_open_receiver(rig);
    // A bomb, then many spans of next to nothing, packed; then JSON that is all values.
    static const char *const element_z = "{\"spans\":[{}]},";
    for (int k = 0; k < 4; k++) {
        const ut_otlp_encoder *encoder = ut_rig_encoders[k >= 2];
        ut_buf_reset(&rig->body, UT_RIG_BUF_MAX);
        if (k == 0) {
            uint8_t *at = ut_buf_reserve(&rig->body, 2 * BIG);
            memset(at, 0, 2 * BIG);
            rig->body.len = 2 * BIG;
        } else if (k == 1) {
            enum { SPANS = 60000, SPAN_LEN = 30 };
            static const uint8_t heads[] = {0x0a, 0xc4, 0xee, 0x6d, 0x12, 0xc0, 0xee, 0x6d};
            assert_int_equal(SPANS * SPAN_LEN, 1800000); // as the lengths in heads say
            ut_buf_add(&rig->body, heads, sizeof(heads));
            for (uint32_t i = 1; i <= SPANS; i++) {
                uint8_t span[SPAN_LEN] = {0x12, SPAN_LEN - 2, 0x0a, 16};
                ut_put_be32(span + 4, i);
                span[20] = 0x12;
                span[21] = 8;
                ut_put_be32(span + 22, i);
                ut_buf_add(&rig->body, span, sizeof(span));
            }
        } else {
            ut_buf_add_z(&rig->body, "{\"resourceSpans\":[{\"scopeSpans\":[");
            while (rig->body.len < 12 * 1024 * 1024)
                ut_buf_add_z(&rig->body, element_z);
            rig->body.len--;
            ut_buf_add_z(&rig->body, "]}]}");
        }
        char fields[256];
        (void)snprintf(fields, sizeof(fields), "%s%s", ut_rig_fields(encoder),
                       k < 3 ? "Content-Encoding: gzip\r\n" : "");
        const ut_bytes body =
            k < 3 ? ut_rig_pack(rig, ut_buf_bytes(&rig->body)) : ut_buf_bytes(&rig->body);
        ut_wire wire = ut_rig_wire(rig);
        forget_peak();
        const size_t before = memory_now("VmHWM");
        const ut_wire_answer answer = ut_rig_ask(&wire, fields, body);
        const size_t more = memory_now("VmHWM") - before;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
        (void)more; // they hold back what is freed
#else
        assert_true(more <= LIMIT + SLACK);
#endif
        if (k == 1)
            ut_rig_assert_success(&answer, encoder);
        else
            ut_rig_assert_status(&answer, 413, 8, encoder, k == 0 ? "larger" : "memory");
        ut_wire_close(&wire);
        ut_http_server_stats stats;
        ut_http_server_get_stats(ut_receiver_otlp_http_server(rig->receiver), &stats);
        assert_int_equal(stats.memory, 0);
    }
}

// A request of one span with that many bytes that do not compress.
static ut_bytes one_large_span(ut_receiver_rig *rig, uint32_t number, size_t bytes)
{
    ut_buf *out = &rig->body;
    uint8_t id[16] = {1};
    ut_put_be32(id + 4, number);
    ut_buf_reset(out, 0);
    const ut_pb_slot resource = ut_pb_open(out, UT_REQUEST_RESOURCE_SPANS, bytes);
    const ut_pb_slot scope = ut_pb_open(out, UT_RESOURCE_SPANS_SCOPE_SPANS, bytes);
    const ut_pb_slot span = ut_pb_open(out, UT_SCOPE_SPANS_SPANS, bytes);
    ut_pb_put_bytes(out, UT_SPAN_TRACE_ID, ut_bytes_of(id, 16));
    ut_pb_put_bytes(out, UT_SPAN_SPAN_ID, ut_bytes_of(id, 8));
    const ut_pb_slot pair = ut_pb_open(out, UT_SPAN_ATTRIBUTES, bytes);
    const ut_pb_slot value = ut_pb_open(out, UT_KEY_VALUE_VALUE, bytes);
    const ut_pb_slot content = ut_pb_open(out, UT_ANY_BYTES, bytes);
    uint8_t *at = ut_buf_reserve(out, bytes);
    assert_non_null(at);
    assert_int_equal(ut_random(at, bytes), UT_OK);
    out->len += bytes;
    ut_pb_close(out, content);
    ut_pb_close(out, value);
    ut_pb_close(out, pair);
    ut_pb_close(out, span);
    ut_pb_close(out, scope);
    ut_pb_close(out, resource);
    assert_int_equal(out->err, UT_OK);
    return ut_buf_bytes(out);
}

static void what_the_store_takes_for_a_large_span_counts(void **state)
{
    ut_receiver_rig *rig = *state;
    enum { SPAN = 9 * 1024 * 1024 };
    for (int enough = 0; enough < 2; enough++) {
        ut_receiver_otlp_http_close(rig->receiver);
        rig->limits.body_bytes_max = SPAN + 1000;
        // The batch takes at most twice the span; with that alone both would do.
        rig->limits.memory_bytes_max = (uint64_t)(enough == 0 ? 25 : 38) * 1024 * 1024;
        ut_rig_open_receiver(rig);
        ut_wire wire = ut_rig_wire(rig);
        const ut_wire_answer answer =
            ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), one_large_span(rig, 1, SPAN));
        if (enough == 0)
            ut_rig_assert_status(&answer, 413, 8, ut_rig_encoders[0], "memory");
        else
            ut_rig_assert_success(&answer, ut_rig_encoders[0]);
        ut_wire_close(&wire);
        ut_http_server_stats stats;
        ut_http_server_get_stats(ut_receiver_otlp_http_server(rig->receiver), &stats);
        assert_int_equal(stats.memory, 0);
    }
}

static void what_a_large_request_took_is_given_back(void **state)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    (void)state; // they hold back what is freed
#else
    ut_receiver_rig *rig = *state;
    enum { SPAN = 12 * 1024 * 1024, SLACK = 2 * 1024 * 1024 };
    ut_receiver_otlp_http_close(rig->receiver);
    rig->limits.body_bytes_max = SPAN + 1000;
    rig->limits.memory_bytes_max = (uint64_t)8 * SPAN;
    ut_rig_open_receiver(rig);
    ut_wire wire = ut_rig_wire(rig);
    ut_wire_answer answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]),
                                       ut_rig_body(rig, 1, 100, ut_rig_encoders[0]));
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    (void)one_large_span(rig, 1, SPAN); // the test's own memory is there from now on
    const size_t before = memory_now("RssAnon");
    answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), ut_buf_bytes(&rig->body));
    ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    const uint64_t begin_ms = ut_clock_mono_ms();
    while (memory_now("RssAnon") > before + SLACK) {
        ut_rig_round(rig);
        ut_wire_patience(begin_ms, "the memory of a large request");
    }
    ut_wire_close(&wire);
#endif
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_store_that_fails_gives_503_until_it_works_again),
        CLAIM(a_request_that_no_store_of_this_size_could_hold_gets_413),
        CLAIM(a_full_queue_gives_503),
        CLAIM(memory_that_others_hold_gives_503),
        CLAIM(a_request_that_needs_more_than_all_memory_is_told_so),
        CLAIM(memory_stays_near_its_limit),
        CLAIM(what_the_store_takes_for_a_large_span_counts),
        CLAIM(what_a_large_request_took_is_given_back),
    };
    return cmocka_run_group_tests_name("receiver_full", tests, NULL, NULL);
}
