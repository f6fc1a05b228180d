// Files of OTLP requests: how they are told apart, and that what is wrong with one request does not
// hide those behind it.
#include "agent/files/span_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static char path_z[] = "/tmp/untrace-span-file-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path_z);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path_z);
}

static void write_file(const void *data, size_t len)
{
    FILE *file = fopen(path_z, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static ut_span_file *open_bytes(const void *data, size_t len, ut_span_file_format format)
{
    ut_span_file *file = NULL;
    ut_fault fault = {UT_OK, ""};
    write_file(data, len);
    const ut_err err = ut_span_file_open(path_z, format, &file, &fault);
    if (err != UT_OK)
        fail_msg("%s", fault.text_z);
    return file;
}

static void expect_next(ut_span_file *file, ut_otlp_encoding encoding, const void *data, size_t len)
{
    ut_bytes message;
    ut_otlp_encoding found;
    bool more = false;
    ut_fault fault = {UT_OK, ""};
    assert_int_equal(ut_span_file_next(file, &message, &found, &more, &fault), UT_OK);
    assert_true(more);
    assert_int_equal(found, encoding);
    assert_int_equal(message.len, len);
    assert_memory_equal(message.data, data, len);
}

static void expect_end(ut_span_file *file)
{
    ut_bytes message;
    ut_otlp_encoding encoding;
    bool more = true;
    ut_fault fault = {UT_OK, ""};
    assert_int_equal(ut_span_file_next(file, &message, &encoding, &more, &fault), UT_OK);
    assert_false(more);
    ut_span_file_close(file);
}

static void expect_error(ut_span_file *file, ut_err expected, const char *text_z)
{
    ut_bytes message;
    ut_otlp_encoding encoding;
    bool more = false;
    ut_fault fault = {UT_OK, ""};
    assert_int_equal(ut_span_file_next(file, &message, &encoding, &more, &fault), expected);
    if (strstr(fault.text_z, text_z) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text_z, fault.text_z);
}

static void expect_place(const ut_span_file *file, const char *behind_path_z)
{
    char place_z[UT_SPAN_FILE_PLACE_MAX];
    char expected_z[UT_SPAN_FILE_PLACE_MAX];
    ut_span_file_place(file, place_z);
    (void)snprintf(expected_z, sizeof(expected_z), "%s%s", path_z, behind_path_z);
    assert_string_equal(place_z, expected_z);
}

#define OPEN(lit)           open_bytes((lit), sizeof(lit) - 1, UT_SPAN_FILE_DETECT)
#define NEXT_JSON(f, lit)   expect_next((f), UT_OTLP_JSON, (lit), sizeof(lit) - 1)
#define NEXT_BINARY(f, lit) expect_next((f), UT_OTLP_PROTOBUF, (lit), sizeof(lit) - 1)

static void lines_are_given_one_by_one_with_their_numbers(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("\n{\"a\":1}\n\n{\"b\":\"}{\\\"\"}\r\n{\"c\":2}");
    NEXT_JSON(file, "{\"a\":1}");
    expect_place(file, ":2");
    NEXT_JSON(file, "{\"b\":\"}{\\\"\"}\r");
    expect_place(file, ":4");
    NEXT_JSON(file, "{\"c\":2}");
    expect_place(file, ":5");
    expect_end(file);
}

static void a_document_over_several_lines_is_one_request(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("{\n  \"resourceSpans\": [\n  ]\n}\n");
    NEXT_JSON(file, "{\n  \"resourceSpans\": [\n  ]\n}\n");
    expect_end(file);
}

static void a_cut_first_line_does_not_swallow_the_others(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("{\"resourceSpans\":[\n{\"a\":1}\n");
    NEXT_JSON(file, "{\"resourceSpans\":[");
    NEXT_JSON(file, "{\"a\":1}");
    expect_end(file);
}

static void messages_stand_behind_their_lengths(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("\0\0\0\3\x0a\1x\0\0\0\0\0\0\0\2\x0a\0");
    NEXT_BINARY(file, "\x0a\1x");
    expect_place(file, ": message 1 (byte 0)");
    NEXT_BINARY(file, "");
    NEXT_BINARY(file, "\x0a\0");
    expect_place(file, ": message 3 (byte 11)");
    expect_end(file);
}

static void one_message_is_told_from_lines_though_it_begins_with_a_newline(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("\x0a\x7b\x0a\x10 and so on");
    NEXT_BINARY(file, "\x0a\x7b\x0a\x10 and so on");
    expect_end(file);
}

static void an_empty_file_holds_nothing(void **state)
{
    (void)state;
    expect_end(OPEN(""));
    expect_end(OPEN(" \n\n"));
}

static void a_message_that_is_cut_is_named_and_ends_the_file(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("\0\0\0\1x\0\0\0\5abc");
    NEXT_BINARY(file, "x");
    expect_error(file, UT_EFORMAT, "has 5 bytes, but the file ends after 3");
    expect_place(file, ": message 2 (byte 5)");
    expect_end(file);
    file = OPEN("\0\0\0\1x\0\0");
    NEXT_BINARY(file, "x");
    expect_error(file, UT_EFORMAT, "in the middle of a length");
    expect_end(file);
}

static void a_length_over_the_limit_is_refused_without_reading_so_much(void **state)
{
    (void)state;
    ut_span_file *file = OPEN("\4\0\0\1x");
    expect_error(file, UT_ELIMIT, "at most 64 MiB");
    expect_end(file);
}

static void what_is_neither_is_refused(void **state)
{
    (void)state;
    ut_span_file *file = NULL;
    ut_fault fault = {UT_OK, ""};
    write_file("hello", 5);
    assert_int_equal(ut_span_file_open(path_z, UT_SPAN_FILE_DETECT, &file, &fault), UT_EFORMAT);
    write_file("\x1f\x8b\x08 not gzip", 12);
    assert_int_equal(ut_span_file_open(path_z, UT_SPAN_FILE_DETECT, &file, &fault), UT_EFORMAT);
    assert_int_equal(ut_span_file_open("/nowhere/at/all", UT_SPAN_FILE_DETECT, &file, &fault),
                     UT_ENOTFOUND);
    // Told what it is, it is read, so that the decoder says what is wrong.
    file = open_bytes("hello", 5, UT_SPAN_FILE_JSON);
    NEXT_JSON(file, "hello");
    expect_end(file);
}

static void requests_longer_than_one_read_come_whole(void **state)
{
    (void)state;
    enum { LONG = 700 * 1000, LINES = 5 };
    char *text = malloc(LINES * (LONG + 1));
    assert_non_null(text);
    for (int i = 0; i < LINES; i++) {
        char *line = text + (size_t)i * (LONG + 1);
        memset(line, 'a' + i, LONG);
        line[0] = '{';
        line[1] = '"';
        line[LONG - 2] = '"';
        line[LONG - 1] = '}';
        line[LONG] = '\n';
    }
    ut_span_file *file = open_bytes(text, LINES * (LONG + 1), UT_SPAN_FILE_DETECT);
    for (int i = 0; i < LINES; i++)
        expect_next(file, UT_OTLP_JSON, text + (size_t)i * (LONG + 1), LONG);
    uint64_t size = 0;
    assert_int_equal(ut_span_file_progress(file, &size), LINES * (LONG + 1));
    assert_int_equal(size, LINES * (LONG + 1));
    expect_end(file);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_given_one_by_one_with_their_numbers),
        cmocka_unit_test(a_document_over_several_lines_is_one_request),
        cmocka_unit_test(a_cut_first_line_does_not_swallow_the_others),
        cmocka_unit_test(messages_stand_behind_their_lengths),
        cmocka_unit_test(one_message_is_told_from_lines_though_it_begins_with_a_newline),
        cmocka_unit_test(an_empty_file_holds_nothing),
        cmocka_unit_test(a_message_that_is_cut_is_named_and_ends_the_file),
        cmocka_unit_test(a_length_over_the_limit_is_refused_without_reading_so_much),
        cmocka_unit_test(what_is_neither_is_refused),
        cmocka_unit_test(requests_longer_than_one_read_come_whole),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
