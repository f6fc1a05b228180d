// Tests of adapters/otlp/otlp_answer.
#include "adapters/encoding/json.h"
#include "adapters/otlp/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MESSAGE_MAX = 64 };

static void assert_written(const ut_buf *out, const char *wanted, size_t len)
{
    assert_int_equal(out->err, UT_OK);
    assert_int_equal(out->len, len);
    assert_memory_equal(out->data, wanted, len);
}

static void assert_response(ut_otlp_encoding encoding, int64_t rejected, const char *reason_z,
                            const char *wanted, size_t len)
{
    ut_buf out;
    ut_buf_init(&out, 1000);
    ut_otlp_response_write(encoding, rejected, reason_z, &out);
    assert_written(&out, wanted, len);
    ut_buf_free(&out);
}

static void full_success_is_an_empty_message(void **state)
{
    (void)state;
    assert_response(UT_OTLP_PROTOBUF, 0, "", "", 0);
    assert_response(UT_OTLP_JSON, 0, "", "{}", 2);
}

static void partial_success_has_number_and_reason(void **state)
{
    (void)state;
    assert_response(UT_OTLP_PROTOBUF, 3, "bad",
                    "\x0a\x07\x08\x03\x12\x03"
                    "bad",
                    9);
    assert_response(UT_OTLP_PROTOBUF, 0, "warning", "\x0a\x09\x12\x07warning", 11);
    static const char json[] =
        "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"a\\\"b\"}}";
    assert_response(UT_OTLP_JSON, 3, "a\"b", json, sizeof json - 1);
    // A protobuf string that is not UTF-8 would make the whole answer undecodable.
    assert_response(UT_OTLP_PROTOBUF, 1, "a\xff",
                    "\x0a\x08\x08\x01\x12\x04"
                    "a\xef\xbf\xbd",
                    10);
}

static void a_status_has_code_and_message(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 1000);
    ut_otlp_status_write(UT_OTLP_PROTOBUF, 3, "no", &out);
    assert_written(&out, "\x08\x03\x12\x02no", 6);
    ut_buf_reset(&out, SIZE_MAX);
    ut_otlp_status_write(UT_OTLP_JSON, 14, "try\nlater", &out);
    assert_written(&out, "{\"code\":14,\"message\":\"try\\nlater\"}", 34);
    ut_buf_free(&out);
}

static void assert_response_read(ut_otlp_encoding encoding, ut_bytes body, int64_t rejected,
                                 const char *message_z)
{
    int64_t got = -1;
    char got_z[MESSAGE_MAX] = "old";
    ut_otlp_response_read(encoding, body, &got, got_z, sizeof got_z);
    assert_int_equal(got, rejected);
    assert_string_equal(got_z, message_z);
}

static void what_we_write_we_read(void **state)
{
    (void)state;
    for (int encoding = 0; encoding < 2; encoding++) {
        ut_buf out;
        ut_buf_init(&out, 1000);
        ut_otlp_response_write((ut_otlp_encoding)encoding, INT64_MAX, "why", &out);
        assert_response_read((ut_otlp_encoding)encoding, ut_buf_bytes(&out), INT64_MAX, "why");
        ut_buf_reset(&out, SIZE_MAX);
        ut_otlp_response_write((ut_otlp_encoding)encoding, 0, "", &out);
        assert_response_read((ut_otlp_encoding)encoding, ut_buf_bytes(&out), 0, "");
        ut_buf_reset(&out, SIZE_MAX);
        ut_otlp_status_write((ut_otlp_encoding)encoding, 8, "too much", &out);
        char message_z[MESSAGE_MAX];
        ut_otlp_status_read(ut_buf_bytes(&out), message_z, sizeof message_z);
        assert_string_equal(message_z, "too much");
        ut_buf_free(&out);
    }
}

static void partial_success_is_read_in_every_spelling(void **state)
{
    (void)state;
    assert_response_read(UT_OTLP_JSON, UT_BYTES_LIT("{\"partialSuccess\":{\"rejectedSpans\":7}}"),
                         7, "");
    assert_response_read(
        UT_OTLP_JSON,
        UT_BYTES_LIT("{\"partialSuccess\":{\"rejectedSpans\":\"7\",\"errorMessage\":"
                     "\"x\"}}"),
        7, "x");
    assert_response_read(UT_OTLP_JSON, UT_BYTES_LIT("{\"partial_success\":{\"rejected_spans\":7}}"),
                         7, "");
    // JSON to a protobuf request.
    assert_response_read(UT_OTLP_PROTOBUF,
                         UT_BYTES_LIT("{\"partialSuccess\":{\"rejectedSpans\":7}}"), 7, "");
    // A length of 123 behind the first tag is no brace.
    ut_buf out;
    ut_buf_init(&out, 1000);
    ut_buf_add(&out, "\x0a\x7b\x08\x02\x12\x77", 6);
    for (int i = 0; i < 0x77; i++)
        ut_buf_add_byte(&out, 'm');
    int64_t rejected;
    char message_z[200];
    ut_otlp_response_read(UT_OTLP_PROTOBUF, ut_buf_bytes(&out), &rejected, message_z,
                          sizeof message_z);
    assert_int_equal(rejected, 2);
    assert_int_equal(strlen(message_z), 0x77);
    ut_buf_free(&out);
}

static void what_does_not_parse_is_full_success(void **state)
{
    (void)state;
    static const char *const texts_z[] = {"",
                                          "OK",
                                          "<html>",
                                          "{\"partialSuccess\":",
                                          "{\"partialSuccess\":5}",
                                          "[]",
                                          "null",
                                          "{}",
                                          "{\"partialSuccess\":{\"rejectedSpans\":-1}}",
                                          "{\"partialSuccess\":{\"rejectedSpans\":\"many\"}}",
                                          "{\"partialSuccess\":{\"rejectedSpans\":1e99}}",
                                          "\x0a\x7f",
                                          "\x0a\x02\x08",
                                          "\xff\xff"};
    for (size_t i = 0; i < sizeof texts_z / sizeof *texts_z; i++) {
        assert_response_read(UT_OTLP_JSON, ut_bytes_of_z(texts_z[i]), 0, "");
        assert_response_read(UT_OTLP_PROTOBUF, ut_bytes_of_z(texts_z[i]), 0, "");
    }
}

static void assert_status_read(ut_bytes body, const char *wanted_z)
{
    char message_z[MESSAGE_MAX] = "old";
    ut_otlp_status_read(body, message_z, sizeof message_z);
    assert_string_equal(message_z, wanted_z);
}

static void an_error_body_of_any_kind_gives_a_message(void **state)
{
    (void)state;
    assert_status_read(UT_BYTES_NONE, "");
    assert_status_read(UT_BYTES_LIT("\x08\x03\x12\x03"
                                    "bad\x1a\x02hi"),
                       "bad");
    assert_status_read(UT_BYTES_LIT("\x08\x0e"), "gRPC status 14");
    assert_status_read(UT_BYTES_LIT(" {\"code\":3,\"message\":\"bad\"}"), "bad");
    assert_status_read(UT_BYTES_LIT("{\"error\":\"bad\"}"), "bad");
    assert_status_read(UT_BYTES_LIT("{\"error\":{\"message\":\"bad\"}}"), "bad");
    assert_status_read(UT_BYTES_LIT("{\"other\":1}"), "{\"other\":1}");
    assert_status_read(UT_BYTES_LIT("{\"cut\":"), "{\"cut\":");
    assert_status_read(UT_BYTES_LIT("502 Bad Gateway\r\n\r\n  nginx\n"), "502 Bad Gateway nginx");
    assert_status_read(UT_BYTES_LIT(" \n late"), "late");
    assert_status_read(UT_BYTES_LIT("a\x1b[31mred\xff\0z"), "a [31mred? z");
}

static void messages_are_cut_to_their_room(void **state)
{
    (void)state;
    for (size_t cap = 1; cap < 12; cap++) {
        char message_z[16];
        memset(message_z, 'x', sizeof message_z);
        ut_otlp_status_read(UT_BYTES_LIT("ab \xe2\x82\xac cd"), message_z, cap);
        assert_true(strlen(message_z) < cap);
        assert_int_equal(message_z[cap], 'x');
        if (cap > 3 && cap < 7)
            assert_string_equal(message_z, "ab"); // never half of a character
    }
    ut_otlp_status_read(UT_BYTES_LIT("text"), NULL, 0);
}

static void deep_answers_do_no_harm(void **state)
{
    (void)state;
    ut_buf text;
    ut_buf_init(&text, 1 << 20);
    for (int i = 0; i < 100000; i++)
        ut_buf_add_z(&text, i == 0 ? "{\"a\":" : "[");
    char message_z[MESSAGE_MAX];
    int64_t rejected;
    ut_otlp_response_read(UT_OTLP_JSON, ut_buf_bytes(&text), &rejected, message_z,
                          sizeof message_z);
    assert_int_equal(rejected, 0);
    ut_otlp_status_read(ut_buf_bytes(&text), message_z, sizeof message_z);
    assert_int_equal(strlen(message_z), MESSAGE_MAX - 1);
    ut_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_success_is_an_empty_message),
        cmocka_unit_test(partial_success_has_number_and_reason),
        cmocka_unit_test(a_status_has_code_and_message),
        cmocka_unit_test(what_we_write_we_read),
        cmocka_unit_test(partial_success_is_read_in_every_spelling),
        cmocka_unit_test(what_does_not_parse_is_full_success),
        cmocka_unit_test(an_error_body_of_any_kind_gives_a_message),
        cmocka_unit_test(messages_are_cut_to_their_room),
        cmocka_unit_test(deep_answers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
