// Bodies of the OTLP/HTTP receiver: packed, too large, damaged, or good in part.
#include "tests/support/receiver_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static void gzip_is_taken_and_other_codings_are_not(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    char fields[256];
    static const char *const good[] = {"gzip", "GZIP", "x-gzip"};
    for (uint64_t i = 0; i < 6; i++) {
        const ut_otlp_encoder *encoder = ut_rig_encoders[i % 2];
        (void)snprintf(fields, sizeof(fields), "%sContent-Encoding: %s\r\n", ut_rig_fields(encoder),
                       good[i / 2]);
        const ut_wire_answer answer =
            ut_rig_ask(&wire, fields, ut_rig_pack(rig, ut_rig_body(rig, i, 10, encoder)));
        ut_rig_assert_success(&answer, encoder);
    }
    static const char *const plain[] = {"identity", "Identity", ""};
    for (uint64_t i = 0; i < 3; i++) {
        (void)snprintf(fields, sizeof(fields), "%sContent-Encoding: %s\r\n",
                       ut_rig_fields(ut_rig_encoders[0]), plain[i]);
        const ut_wire_answer answer =
            ut_rig_ask(&wire, fields, ut_rig_body(rig, 10 + i, 10, ut_rig_encoders[0]));
        ut_rig_assert_success(&answer, ut_rig_encoders[0]);
    }
    static const char *const other[] = {"deflate", "br", "zstd", "gzip, gzip",
                                        "gzip\r\nContent-Encoding: gzip"};
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        (void)snprintf(fields, sizeof(fields), "%sContent-Encoding: %s\r\n",
                       ut_rig_fields(ut_rig_encoders[0]), other[i]);
        const ut_wire_answer answer = ut_rig_ask(&wire, fields, UT_BYTES_LIT("abc"));
        assert_int_equal(answer.status, 415);
        ut_rig_assert_has(&answer, "\r\nAccept-Encoding: gzip, identity\r\n");
    }
    assert_int_equal(ut_rig_counts(rig).spans_stored, 90);
    ut_wire_close(&wire);
}

static void damaged_gzip_is_bad_data(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    for (size_t k = 0; k < 2; k++) {
        char fields[256];
        (void)snprintf(fields, sizeof(fields), "%sContent-Encoding: gzip\r\n",
                       ut_rig_fields(ut_rig_encoders[k]));
        ut_wire_answer answer = ut_rig_ask(&wire, fields, UT_BYTES_NONE); // not even a header
        ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "not valid gzip");
        ut_bytes packed = ut_rig_pack(rig, ut_rig_body(rig, 1, 10, ut_rig_encoders[k]));
        ut_bytes cut = {packed.data, packed.len - 9};
        answer = ut_rig_ask(&wire, fields, cut);
        ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "");
        answer = ut_rig_ask(&wire, fields, UT_BYTES_LIT("this is no gzip at all, not even nearly"));
        ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "");
        rig->packed.data[packed.len - 5] ^= 1; // its checksum
        answer = ut_rig_ask(&wire, fields, packed);
        ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "");
    }
    assert_int_equal(ut_rig_counts(rig).spans_stored, 0);
    ut_wire_close(&wire);
}

static void a_body_that_is_too_large_gets_413_packed_or_not(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_buf zeros;
    ut_buf_init(&zeros, UT_RIG_BUF_MAX);
    uint8_t *at = ut_buf_reserve(&zeros, 50 * 1024 * 1024);
    assert_non_null(at);
    memset(at, 0, 50 * 1024 * 1024);
    zeros.len = 50 * 1024 * 1024;
    for (size_t k = 0; k < 2; k++) {
        char fields[256];
        (void)snprintf(fields, sizeof(fields), "%sContent-Encoding: gzip\r\n",
                       ut_rig_fields(ut_rig_encoders[k]));
        ut_wire wire = ut_rig_wire(rig);
        const ut_bytes bomb = ut_rig_pack(rig, ut_buf_bytes(&zeros));
        assert_true(bomb.len < UT_RIG_BODY_MAX / 4);
        ut_wire_answer answer = ut_rig_ask(&wire, fields, bomb);
        ut_rig_assert_status(&answer, 413, 8, ut_rig_encoders[k], "larger");
        const ut_bytes much = {zeros.data, UT_RIG_BODY_MAX + 1};
        answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[k]), much);
        ut_rig_assert_status(&answer, 413, 8, ut_rig_encoders[k], "larger");
        ut_rig_assert_has(&answer, "\r\nConnection: close\r\n");
        ut_wire_close(&wire);
        // One byte less is not too large, only bad.
        wire = ut_rig_wire(rig);
        const ut_bytes less = {zeros.data, UT_RIG_BODY_MAX};
        answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[k]), less);
        ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "");
        answer = ut_rig_ask(&wire, fields, ut_rig_pack(rig, less));
        ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "");
        ut_wire_close(&wire);
    }
    ut_buf_free(&zeros);
}

static void what_does_not_decode_is_refused_as_a_whole(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    for (size_t k = 0; k < 2; k++) {
        const ut_bytes body = ut_rig_body(rig, 1, 3, ut_rig_encoders[k]);
        for (size_t cut = 1; cut < body.len; cut += 37) {
            const ut_wire_answer answer =
                ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[k]), (ut_bytes){body.data, cut});
            ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[k], "");
        }
    }
    // Where it is wrong is said.
    ut_wire_answer answer = ut_rig_ask(
        &wire, ut_rig_fields(ut_rig_encoders[1]),
        UT_BYTES_LIT("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":7}]}]}]}"));
    ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[1], "pans[0]");
    answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]),
                        UT_BYTES_LIT("\x0a\x04\x12\x02\x12\x7f"));
    ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[0], "pans[0]");
    // The wrong content type is bad data, too.
    answer = ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]),
                        UT_BYTES_LIT("{\"resourceSpans\":[]}"));
    ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[0], "");
    assert_int_equal(ut_rig_counts(rig).spans_stored, 0);
    ut_wire_close(&wire);
}

static void nesting_without_end_is_refused(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    ut_buf_reset(&rig->body, UT_RIG_BUF_MAX);
    ut_buf_add_z(&rig->body,
                 "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"k\",\"value\":");
    for (int i = 0; i < 5000; i++)
        ut_buf_add_z(&rig->body, "{\"arrayValue\":{\"values\":[");
    const ut_wire_answer answer =
        ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[1]), ut_buf_bytes(&rig->body));
    ut_rig_assert_status(&answer, 400, 3, ut_rig_encoders[1], "");
    ut_wire_close(&wire);
}

static void spans_with_invalid_ids_are_rejected_one_by_one(void **state)
{
    ut_receiver_rig *rig = *state;
    ut_wire wire = ut_rig_wire(rig);
    static const char body[] = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":["
                               "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":"
                               "\"0102030405060708\",\"name\":\"good\"},"
                               "{\"traceId\":\"00000000000000000000000000000000\",\"spanId\":"
                               "\"0102030405060709\",\"name\":\"zero\"},"
                               "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":"
                               "\"01\",\"name\":\"short\"}]}]}]}";
    ut_wire_answer answer =
        ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[1]), ut_bytes_of_z(body));
    assert_int_equal(answer.status, 200);
    int64_t rejected = 0;
    char message_z[256];
    ut_otlp_response_read(UT_OTLP_JSON, answer.body, &rejected, message_z, sizeof(message_z));
    assert_int_equal(rejected, 2);
    assert_true(strlen(message_z) > 0);
    // The same in protobuf, and nothing in it is good.
    static const char bad[] = "\x0a\x1c\x12\x1a\x12\x18\x0a\x0f"
                              "aaaaaaaaaaaaaaa"
                              "\x12\x05"
                              "bbbbb";
    answer =
        ut_rig_ask(&wire, ut_rig_fields(ut_rig_encoders[0]), ut_bytes_of(bad, sizeof(bad) - 1));
    assert_int_equal(answer.status, 200);
    ut_otlp_response_read(UT_OTLP_PROTOBUF, answer.body, &rejected, message_z, sizeof(message_z));
    assert_int_equal(rejected, 1);
    ut_receiver_otlp_http_stats stats;
    ut_receiver_otlp_http_get_stats(rig->receiver, &stats);
    assert_int_equal(stats.accepted, 1);
    assert_int_equal(ut_tally_sum(ut_receiver_otlp_http_refusals(rig->receiver), "rejected"), 3);
    assert_int_equal(ut_rig_counts(rig).spans_stored, 1);
    ut_wire_close(&wire);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(gzip_is_taken_and_other_codings_are_not),
        CLAIM(damaged_gzip_is_bad_data),
        CLAIM(a_body_that_is_too_large_gets_413_packed_or_not),
        CLAIM(what_does_not_decode_is_refused_as_a_whole),
        CLAIM(nesting_without_end_is_refused),
        CLAIM(spans_with_invalid_ids_are_rejected_one_by_one),
    };
    return cmocka_run_group_tests_name("receiver_body", tests, NULL, NULL);
}
