// The receiver between a store on disk and a test's connections; see receiver_rig.h.
#include "tests/support/receiver_rig.h"

#include "tests/support/otlp_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 64 * 1024 * 1024 };

void ut_rig_round(void *context)
{
    ut_receiver_rig *rig = context;
    ut_poll_event events[64];
    size_t count = 0;
    uint64_t next_ms = 0;
    ut_receiver_otlp_http_step(rig->receiver, ut_clock_mono_ms(), &next_ms);
    assert_int_equal(ut_poller_wait(rig->poller, 1, events, 64, &count), UT_OK);
    for (size_t i = 0; i < count; i++)
        ut_http_server_event(&events[i], ut_clock_mono_ms());
    ut_store_thread_deliver(rig->thread);
    ut_receiver_otlp_http_step(rig->receiver, ut_clock_mono_ms(), &next_ms);
}

static void keep_line(void *context, ut_log_level level, const char *line, size_t len)
{
    ut_receiver_rig *rig = context;
    const size_t used = strlen(rig->log_z);
    (void)level;
    if (len + 2 > sizeof(rig->log_z) - used)
        return; // a test that looks at it writes less
    memcpy(rig->log_z + used, line, len);
    rig->log_z[used + len] = '\n';
    rig->log_z[used + len + 1] = '\0';
}

void ut_rig_open_receiver(ut_receiver_rig *rig)
{
    ut_fault fault = {UT_OK, ""};
    rig->log = (ut_log){.level = UT_LOG_DEBUG, .write = keep_line, .context = rig};
    const ut_receiver_otlp_http_config config = {
        .poller = rig->poller,
        .store = rig->thread,
        .receiver = &rig->limits,
        .log = &rig->log,
        .org = UT_ORG_DEFAULT,
    };
    if (ut_receiver_otlp_http_open(&config, &rig->receiver, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_http_server_addr(ut_receiver_otlp_http_server(rig->receiver), &rig->addr),
                     UT_OK);
}

int ut_rig_set_up(void **state)
{
    ut_receiver_rig *rig = calloc(1, sizeof(*rig));
    ut_fault fault = {UT_OK, ""};
    assert_non_null(rig);
    ut_temp_dir_make(rig->dir_z);
    const ut_engine_config engine = {.dir_z = rig->dir_z, .bytes_max = BUDGET};
    if (ut_engine_lmdb_open(&engine, &rig->engine, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    rig->gate = ut_engine_gate_put(rig->engine);
    const ut_store_config store = {.bytes_max = BUDGET};
    if (ut_store_open(rig->engine, &store, &rig->store, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(ut_poller_open(&rig->poller), UT_OK);
    const ut_store_thread_config thread = {.store = rig->store, .done_poller = rig->poller};
    assert_int_equal(ut_store_thread_start(&thread, &rig->thread), UT_OK);
    rig->limits = (ut_receiver_config){
        .enabled = true,
        .body_bytes_max = UT_RIG_BODY_MAX,
        .memory_bytes_max = 16 * 1024 * 1024,
        .connections_max = 64,
        .header_bytes_max = 4096,
        .head_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 10000,
    };
    assert_int_equal(ut_addr_parse(UT_BYTES_LIT("127.0.0.1:0"), &rig->limits.listen), UT_OK);
    ut_rig_open_receiver(rig);
    ut_buf_init(&rig->body, UT_RIG_BUF_MAX);
    ut_buf_init(&rig->packed, UT_RIG_BUF_MAX);
    rig->gzip = ut_gzip_new();
    assert_non_null(rig->gzip);
    *state = rig;
    return 0;
}

// Ends the store thread, so that the test may look into the store.
ut_store_counts ut_rig_counts(ut_receiver_rig *rig)
{
    ut_store_counts counts;
    ut_engine_gate_hold(rig->gate, false);
    ut_store_thread_join(rig->thread);
    ut_store_thread_deliver(rig->thread);
    rig->joined = true;
    ut_store_get_counts(rig->store, &counts);
    return counts;
}

int ut_rig_tear_down(void **state)
{
    ut_receiver_rig *rig = *state;
    if (!rig->joined)
        (void)ut_rig_counts(rig);
    ut_receiver_otlp_http_close(rig->receiver);
    ut_store_thread_free(rig->thread);
    ut_store_close(rig->store);
    ut_engine_gate_free(rig->gate);
    ut_poller_close(rig->poller);
    ut_temp_dir_remove(rig->dir_z);
    ut_buf_free(&rig->body);
    ut_buf_free(&rig->packed);
    ut_gzip_free(rig->gzip);
    if (rig->certs != NULL)
        ut_certs_free(rig->certs);
    free(rig->jobs);
    free(rig);
    return 0;
}

// ---- requests and answers ----

ut_wire ut_rig_wire(ut_receiver_rig *rig)
{
    ut_wire wire;
    ut_wire_open(&wire, &rig->addr, ut_rig_round, rig);
    return wire;
}

void ut_rig_send(ut_wire *wire, const char *fields_z, ut_bytes body)
{
    char head[512];
    const int len = snprintf(head, sizeof(head),
                             "POST /v1/traces HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                             fields_z, body.len);
    assert_true(ut_wire_send(wire, head, (size_t)len));
    assert_true(ut_wire_send(wire, body.data, body.len));
}

ut_wire_answer ut_rig_take(ut_wire *wire)
{
    ut_wire_answer answer;
    ut_wire_take(wire, false, &answer);
    return answer;
}

const char *ut_rig_fields(const ut_otlp_encoder *encoder)
{
    return encoder == &ut_otlp_json_encoder ? "Content-Type: application/json\r\n"
                                            : "Content-Type: application/x-protobuf\r\n";
}

ut_wire_answer ut_rig_ask(ut_wire *wire, const char *fields_z, ut_bytes body)
{
    ut_rig_send(wire, fields_z, body);
    return ut_rig_take(wire);
}

ut_bytes ut_rig_body(ut_receiver_rig *rig, uint64_t seed, uint32_t spans,
                     const ut_otlp_encoder *encoder)
{
    ut_buf_reset(&rig->body, UT_RIG_BUF_MAX);
    ut_make_body(seed, spans, encoder, &rig->body);
    return ut_buf_bytes(&rig->body);
}

ut_bytes ut_rig_pack(ut_receiver_rig *rig, ut_bytes body)
{
    ut_buf_reset(&rig->packed, UT_RIG_BUF_MAX);
    assert_int_equal(ut_gzip_compress(rig->gzip, body, 6, &rig->packed), UT_OK);
    return ut_buf_bytes(&rig->packed);
}

void ut_rig_assert_has(const ut_wire_answer *answer, const char *line_z)
{
    if (strstr(answer->head_z, line_z) == NULL)
        fail_msg("\"%s\" is not in %s", line_z, answer->head_z);
}

void ut_rig_assert_success(const ut_wire_answer *answer, const ut_otlp_encoder *encoder)
{
    if (answer->status != 200)
        fail_msg("answered %d: %.*s", answer->status, (int)answer->body.len,
                 (const char *)answer->body.data);
    char line[128];
    (void)snprintf(line, sizeof(line), "\r\nContent-Type: %s\r\n", encoder->content_type_z);
    ut_rig_assert_has(answer, line);
    if (encoder == &ut_otlp_json_encoder) {
        assert_int_equal(answer->body.len, 2);
        assert_memory_equal(answer->body.data, "{}", 2);
    } else {
        assert_int_equal(answer->body.len, 0);
    }
}

// A google.rpc.Status in the encoding of the request, with that code, and text in its message.
void ut_rig_assert_status(const ut_wire_answer *answer, int status, int code,
                          const ut_otlp_encoder *encoder, const char *text_z)
{
    char message_z[512];
    char line[128];
    if (answer->status != status)
        fail_msg("answered %d: %.*s", answer->status, (int)answer->body.len,
                 (const char *)answer->body.data);
    (void)snprintf(line, sizeof(line), "\r\nContent-Type: %s\r\n", encoder->content_type_z);
    ut_rig_assert_has(answer, line);
    if (encoder == &ut_otlp_json_encoder) {
        char code_z[32];
        (void)snprintf(code_z, sizeof(code_z), "\"code\":%d", code);
        assert_non_null(memmem(answer->body.data, answer->body.len, code_z, strlen(code_z)));
    } else {
        assert_true(answer->body.len > 2);
        assert_int_equal(answer->body.data[0], 0x08); // field 1, varint
        assert_int_equal(answer->body.data[1], code);
    }
    ut_otlp_status_read(answer->body, message_z, sizeof(message_z));
    if (strstr(message_z, text_z) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text_z, message_z);
}

void ut_rig_assert_unavailable(const ut_wire_answer *answer, int code,
                               const ut_otlp_encoder *encoder, const char *text_z)
{
    ut_rig_assert_status(answer, 503, code, encoder, text_z);
    const char *field = strstr(answer->head_z, "\r\nRetry-After: ");
    assert_non_null(field);
    assert_true(strtoul(field + 15, NULL, 10) >= 1);
    assert_null(strstr(answer->head_z, "Connection: close"));
}

const ut_otlp_encoder *const ut_rig_encoders[2] = {&ut_otlp_protobuf_encoder,
                                                   &ut_otlp_json_encoder};
