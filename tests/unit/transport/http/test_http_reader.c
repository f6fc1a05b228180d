// Answers of HTTP/1.x peers, good, odd and hostile, whole and in pieces.
#include "transport/http/http_reader.h"

#include "adapters/encoding/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

// Feeds text in pieces of `step` bytes; ends: the stream ends behind it.
static ut_err read_pieces(ut_http_reader *reader, ut_bytes text, size_t step, bool ends,
                          ut_fault *fault)
{
    ut_err err = UT_EAGAIN;
    for (size_t at = 0; at < text.len && err == UT_EAGAIN; at += step) {
        size_t len = text.len - at < step ? text.len - at : step;
        uint8_t *piece = malloc(len); // a sanitizer sees reads beyond the piece
        memcpy(piece, text.data + at, len);
        err = ut_http_reader_feed(reader, ut_bytes_of(piece, len), fault);
        free(piece);
    }
    if (err == UT_EAGAIN && ends)
        err = ut_http_reader_finish(reader, fault);
    return err;
}

// The answers that every way of cutting must read alike.
static const struct {
    const char *name_z;
    const char *text_z;
    bool ends; // with the stream
    int status;
    bool keep_alive;
    const char *body_z;
} answers[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, true, "hello"},
    {"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, true, ""},
    {"no content", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, true, ""},
    {"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200, true, ""},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
     false, 200, true, "hello"},
    {"trailers",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nRetry-After: 9\r\n"
     "Content-Encoding: gzip\r\n\r\n",
     false, 200, true, "hello"},
    {"until the end", "HTTP/1.1 200 OK\r\n\r\nhello", true, 200, false, "hello"},
    {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, false, "hello"},
    {"1.0 until the end", "HTTP/1.0 503 Busy\r\n\r\nhello", true, 503, false, "hello"},
    {"1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
     false, 200, true, "hello"},
    {"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, 200,
     false, "hello"},
    {"continue first",
     "HTTP/1.1 100 Continue\r\nRetry-After: 5\r\nContent-Encoding: gzip\r\n\r\nHTTP/1.1 103 Early "
     "Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello",
     false, 413, true, "hello"},
    {"foreign coding", "HTTP/1.1 400 Bad\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello",
     false, 400, true, ""},
    {"not gzip after all",
     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", false, 200,
     true, ""},
};

static void answers_are_read_alike_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ut_bytes text = ut_bytes_of_z(answers[i].text_z);
        for (size_t step = 1; step <= text.len; step++) {
            ut_http_reader reader;
            ut_http_reader_init(&reader);
            ut_fault fault = {0};
            ut_err err = read_pieces(&reader, text, step, answers[i].ends, &fault);
            if (err != UT_OK)
                fail_msg("%s in pieces of %zu: %s %s", answers[i].name_z, step, ut_err_name(err),
                         fault.text_z);
            assert_int_equal(reader.status, answers[i].status);
            assert_int_equal(reader.keep_alive, answers[i].keep_alive);
            assert_int_equal(reader.body.len, strlen(answers[i].body_z));
            assert_memory_equal(reader.body.data, answers[i].body_z, reader.body.len);
            assert_string_equal(reader.retry_after_z, "");
            ut_http_reader_free(&reader);
        }
    }
}

static void an_answer_cut_at_any_byte_is_not_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ut_bytes text = ut_bytes_of_z(answers[i].text_z);
        for (size_t len = 0; len < text.len; len++) {
            ut_http_reader reader;
            ut_http_reader_init(&reader);
            ut_fault fault = {0};
            assert_int_equal(read_pieces(&reader, ut_bytes_of(text.data, len), len, false, &fault),
                             UT_EAGAIN);
            assert_int_equal(ut_http_reader_begun(&reader), len > 0);
            // A body that only the end of the stream ends looks whole wherever it is cut.
            bool whole = ut_http_reader_ends_with_stream(&reader);
            assert_int_equal(whole, answers[i].ends && strstr(answers[i].text_z, "\r\n\r\n") + 4 <=
                                                           answers[i].text_z + len);
            ut_err err = ut_http_reader_finish(&reader, &fault);
            if (err != (whole ? UT_OK : UT_ECLOSED))
                fail_msg("%s cut at %zu: %s", answers[i].name_z, len, ut_err_name(err));
            ut_http_reader_free(&reader);
        }
    }
}

static void fields_are_found_in_any_case_and_trimmed(void **state)
{
    (void)state;
    ut_http_reader reader;
    ut_http_reader_init(&reader);
    assert_int_equal(read_pieces(&reader,
                                 UT_BYTES_LIT("HTTP/1.1 429 Slow\r\nX:\r\nrEtRy-aFtEr:   17 \t \r\n"
                                              "dATE: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                              "CONTENT-TYPE: application/json; charset=utf-8\r\n"
                                              "retry-after-not: 5\r\ncontent-length: 0\r\n\r\n"),
                                 1, false, NULL),
                     UT_OK);
    assert_string_equal(reader.retry_after_z, "17");
    assert_string_equal(reader.date_z, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(reader.content_type_z, "application/json; charset=utf-8");
    ut_http_reader_free(&reader);
}

static void a_long_field_is_cut_and_harms_nothing(void **state)
{
    (void)state;
    char text_z[4096];
    char long_z[2001];
    memset(long_z, 'v', sizeof long_z - 1);
    long_z[sizeof long_z - 1] = '\0';
    int len = snprintf(text_z, sizeof text_z,
                       "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s: x\r\nContent-Length: 0\r\n\r\n",
                       long_z, long_z);
    for (size_t step = 1; step <= (size_t)len; step += 97) {
        ut_http_reader reader;
        ut_http_reader_init(&reader);
        assert_int_equal(read_pieces(&reader, ut_bytes_of(text_z, (size_t)len), step, false, NULL),
                         UT_OK);
        assert_int_equal(strlen(reader.content_type_z), UT_HTTP_READER_VALUE_MAX - 1);
        ut_http_reader_free(&reader);
    }
}

static void what_is_not_http_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const texts_z[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01\x00\x02\x02\x32",
        "HTTP/2 200\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 600 High\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: "
         "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "<html>",
    };
    for (size_t i = 0; i < sizeof texts_z / sizeof texts_z[0]; i++) {
        ut_http_reader reader;
        ut_http_reader_init(&reader);
        ut_fault fault = {0};
        ut_err err = read_pieces(&reader, ut_bytes_of_z(texts_z[i]), 1000, false, &fault);
        if (err != UT_EPROTO || fault.text_z[0] == '\0')
            fail_msg("'%s' gives %s '%s'", texts_z[i], ut_err_name(err), fault.text_z);
        ut_http_reader_free(&reader);
    }
}

static void other_protocols_are_told_in_plain_words(void **state)
{
    (void)state;
    static const struct {
        ut_bytes bytes;
        const char *words_z;
    } rows[] = {
        {UT_BYTES_LIT("\x15\x03\x01\x00\x02\x02\x46"), "a TLS port"},
        {UT_BYTES_LIT("\x16\x03\x03\x00\x10"), "a TLS port"},
        // The first frame of an HTTP/2 server, as gRPC sends it.
        {UT_BYTES_LIT("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"),
         "the peer speaks HTTP/2; is it a gRPC port? use its HTTP port, usually 4318"},
        {UT_BYTES_LIT("SSH-2.0-OpenSSH_9.2\r\n"), "another service"},
        {UT_BYTES_LIT("220 mail.example ESMTP\r\n"), "another service"},
        {UT_BYTES_LIT("RTSP/1.0 200 OK\r\n\r\n"), "another service"},
        {UT_BYTES_LIT("HTTP/1.1 2x0 OK\r\n\r\n"), "broken HTTP"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = 1; piece < 1000; piece += 998) {
            ut_http_reader reader;
            ut_http_reader_init(&reader);
            ut_fault fault = {0};
            assert_int_equal(read_pieces(&reader, rows[i].bytes, piece, false, &fault), UT_EPROTO);
            if (strstr(fault.text_z, rows[i].words_z) == NULL ||
                strstr(fault.text_z, "RTSP") != NULL)
                fail_msg("row %zu: %s", i, fault.text_z);
            ut_http_reader_free(&reader);
        }
    }
}

static void bytes_behind_an_answer_end_the_connection(void **state)
{
    (void)state;
    ut_http_reader reader;
    ut_http_reader_init(&reader);
    assert_int_equal(ut_http_reader_feed(
                         &reader,
                         UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500"),
                         NULL),
                     UT_OK);
    assert_int_equal(reader.status, 200);
    assert_int_equal(reader.body.len, 2);
    assert_false(reader.keep_alive);
    ut_http_reader_free(&reader);
}

static void a_head_over_the_limit_is_refused(void **state)
{
    (void)state;
    // Each of these goes on for as long as anybody reads.
    static const struct {
        const char *begin_z;
        const char *again_z;
    } heads[] = {
        {"HTTP/1.1 200 OK\r\n", "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"},
        {"HTTP/1.1 200 OK\r\nA:", "                                "},
        {"HTTP/1.1 200 ", "reason reason reason reason reason"},
        {"", "HTTP/1.1 100 Continue\r\n\r\n"},
        {"", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        ut_http_reader reader;
        ut_http_reader_init(&reader);
        ut_err err = ut_http_reader_feed(&reader, ut_bytes_of_z(heads[i].begin_z), NULL);
        size_t fed = strlen(heads[i].begin_z);
        while (err == UT_EAGAIN) {
            err = ut_http_reader_feed(&reader, ut_bytes_of_z(heads[i].again_z), NULL);
            fed += strlen(heads[i].again_z);
            assert_in_range(fed, 0, UT_HTTP_ANSWER_HEAD_MAX + 100);
        }
        assert_int_equal(err, UT_EPROTO);
        ut_http_reader_free(&reader);
    }
}

static void a_body_at_the_limit_is_taken_and_beyond_refused(void **state)
{
    (void)state;
    enum { PIECE = 65536 };
    static uint8_t piece[PIECE];
    for (size_t over = 0; over < 2; over++) {
        ut_http_reader reader;
        ut_http_reader_init(&reader);
        ut_fault fault = {0};
        ut_err err = ut_http_reader_feed(&reader, UT_BYTES_LIT("HTTP/1.1 200 OK\r\n\r\n"), &fault);
        size_t left = UT_HTTP_ANSWER_BYTES_MAX + over;
        while (err == UT_EAGAIN && left > 0) {
            size_t len = left < PIECE ? left : PIECE;
            err = ut_http_reader_feed(&reader, ut_bytes_of(piece, len), &fault);
            left -= len;
        }
        if (err == UT_EAGAIN)
            err = ut_http_reader_finish(&reader, &fault);
        assert_int_equal(err, over == 0 ? UT_OK : UT_ELIMIT);
        if (over == 0)
            assert_int_equal(reader.body.len, UT_HTTP_ANSWER_BYTES_MAX);
        else
            assert_non_null(strstr(fault.text_z, "4 MiB"));
        ut_http_reader_free(&reader);
    }
}

static void a_length_over_the_limit_is_refused_at_once(void **state)
{
    (void)state;
    ut_http_reader reader;
    ut_http_reader_init(&reader);
    assert_int_equal(
        ut_http_reader_feed(
            &reader, UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n"), NULL),
        UT_ELIMIT);
    ut_http_reader_free(&reader);
}

static void a_failure_with_too_large_a_body_is_known_by_its_status(void **state)
{
    (void)state;
    static const char *const heads_z[] = {
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4194305\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    };
    static char piece_z[65537];
    memset(piece_z, 'y', sizeof piece_z - 1);
    for (size_t k = 0; k < sizeof heads_z / sizeof heads_z[0]; k++) {
        ut_http_reader reader;
        ut_http_reader_init(&reader);
        ut_err err = ut_http_reader_feed(&reader, ut_bytes_of_z(heads_z[k]), NULL);
        for (int i = 0; err == UT_EAGAIN && i < 1000; i++)
            err = ut_http_reader_feed(&reader, ut_bytes_of_z(piece_z), NULL);
        assert_int_equal(err, UT_OK);
        assert_int_equal(reader.status, 503);
        assert_string_equal(reader.retry_after_z, "7");
        assert_int_equal(reader.body.len, 0);
        assert_false(reader.keep_alive);
        ut_http_reader_free(&reader);
    }
}

static void chunks_of_nothing_but_overhead_end(void **state)
{
    (void)state;
    ut_http_reader reader;
    ut_http_reader_init(&reader);
    ut_err err = ut_http_reader_feed(
        &reader, UT_BYTES_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"), NULL);
    static char extension_z[65537] = ";x=";
    memset(extension_z + 3, 'y', sizeof extension_z - 4);
    for (int i = 0; err == UT_EAGAIN && i < 1000; i++)
        err = ut_http_reader_feed(&reader, ut_bytes_of_z(extension_z), NULL);
    assert_true(err == UT_ELIMIT || err == UT_EPROTO);
    ut_http_reader_free(&reader);
}

// An answer whose body is `size` zero bytes, compressed.
static void make_gzip_answer(size_t size, ut_buf *answer)
{
    ut_gzip *gzip = ut_gzip_new();
    ut_buf body;
    ut_buf_init(&body, 1 << 20);
    uint8_t *zeros = calloc(1, size);
    assert_int_equal(ut_gzip_compress(gzip, ut_bytes_of(zeros, size), 6, &body), UT_OK);
    free(zeros);
    ut_gzip_free(gzip);
    ut_buf_printf(answer,
                  "HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\nContent-Length: %zu\r\n\r\n",
                  body.len);
    ut_buf_add_bytes(answer, ut_buf_bytes(&body));
    ut_buf_free(&body);
}

static void gzip_is_expanded_up_to_the_limit_and_no_further(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        ut_buf answer;
        ut_buf_init(&answer, 1 << 20);
        make_gzip_answer(UT_HTTP_ANSWER_BYTES_MAX + over, &answer);
        ut_http_reader reader;
        ut_http_reader_init(&reader);
        ut_err err = ut_http_reader_feed(&reader, ut_buf_bytes(&answer), NULL);
        assert_int_equal(err, over == 0 ? UT_OK : UT_ELIMIT);
        if (over == 0)
            assert_int_equal(reader.body.len, UT_HTTP_ANSWER_BYTES_MAX);
        ut_http_reader_free(&reader);
        ut_buf_free(&answer);
    }
}

static void a_reader_is_as_new_after_a_reset(void **state)
{
    (void)state;
    ut_http_reader reader;
    ut_http_reader_init(&reader);
    ut_buf answer;
    ut_buf_init(&answer, 1 << 20);
    make_gzip_answer(1000, &answer);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(ut_http_reader_feed(&reader, ut_buf_bytes(&answer), NULL), UT_OK);
        assert_int_equal(reader.body.len, 1000);
        ut_http_reader_reset(&reader);
        assert_int_equal(
            ut_http_reader_feed(
                &reader,
                UT_BYTES_LIT("HTTP/1.1 503 No\r\nRetry-After: 3\r\nContent-Length: 1\r\n\r\nx"),
                NULL),
            UT_OK);
        assert_int_equal(reader.body.len, 1);
        assert_string_equal(reader.retry_after_z, "3");
        ut_http_reader_reset(&reader);
        assert_int_equal(
            ut_http_reader_feed(&reader,
                                UT_BYTES_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), NULL),
            UT_OK);
        assert_string_equal(reader.retry_after_z, "");
        ut_http_reader_reset(&reader);
    }
    ut_buf_free(&answer);
    ut_http_reader_free(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read_alike_in_pieces_of_any_size),
        cmocka_unit_test(an_answer_cut_at_any_byte_is_not_whole),
        cmocka_unit_test(fields_are_found_in_any_case_and_trimmed),
        cmocka_unit_test(a_long_field_is_cut_and_harms_nothing),
        cmocka_unit_test(what_is_not_http_is_refused_with_a_reason),
        cmocka_unit_test(other_protocols_are_told_in_plain_words),
        cmocka_unit_test(bytes_behind_an_answer_end_the_connection),
        cmocka_unit_test(a_head_over_the_limit_is_refused),
        cmocka_unit_test(a_body_at_the_limit_is_taken_and_beyond_refused),
        cmocka_unit_test(a_length_over_the_limit_is_refused_at_once),
        cmocka_unit_test(a_failure_with_too_large_a_body_is_known_by_its_status),
        cmocka_unit_test(chunks_of_nothing_but_overhead_end),
        cmocka_unit_test(gzip_is_expanded_up_to_the_limit_and_no_further),
        cmocka_unit_test(a_reader_is_as_new_after_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
