// Tests of adapters/encoding/json_write.
#include "adapters/encoding/json_write.h"

#include "adapters/encoding/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void assert_string(ut_bytes text, const char *wanted_z)
{
    ut_buf out;
    ut_buf_init(&out, 1 << 16);
    ut_json_put_string(&out, text);
    assert_int_equal(out.len, strlen(wanted_z));
    assert_memory_equal(out.data, wanted_z, out.len);
    ut_buf_free(&out);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    assert_string(UT_BYTES_LIT(""), "\"\"");
    assert_string(UT_BYTES_LIT("plain text of more than eight bytes"),
                  "\"plain text of more than eight bytes\"");
    assert_string(UT_BYTES_LIT("a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_string(UT_BYTES_LIT("\n\r\t\b\0\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\"");
    assert_string(UT_BYTES_LIT("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x9a\x80"),
                  "\"gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x9a\x80\"");
    assert_string(UT_BYTES_LIT("a\xff"
                               "b\xc3"),
                  "\"a\xef\xbf\xbd"
                  "b\xef\xbf\xbd\"");
    assert_string(UT_BYTES_LIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    assert_string(UT_BYTES_LIT("\xe2\x80\xae\xef\xbb\xbf\xf3\xa0\x81\x81\xf0\x9f\x98\x80"),
                  "\"\\u202e\\ufeff\\udb40\\udc41\xf0\x9f\x98\x80\"");
    assert_string(UT_BYTES_LIT("q\" b\\ n\n z\0 u\xc3\xa4 x\xff \xc2\x9b"),
                  "\"q\\\" b\\\\ n\\n z\\u0000 u\xc3\xa4 x\xef\xbf\xbd \\u009b\"");
}

// Each byte at each place of a word of eight, so that the fast scan is compared with yyjson's
// reader.
static void every_byte_at_every_place_gives_valid_json(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 20; place++) {
            uint8_t text[20];
            memset(text, 'x', sizeof text);
            text[place] = (uint8_t)byte;
            ut_buf out;
            ut_buf_init(&out, 1 << 10);
            ut_json_put_string(&out, ut_bytes_of(text, sizeof text));
            ut_json json;
            assert_int_equal(ut_json_read(&json, ut_buf_bytes(&out), NULL), UT_OK);
            yyjson_val *root = yyjson_doc_get_root(json.doc);
            if (byte < 0x80) {
                assert_int_equal(yyjson_get_len(root), sizeof text);
                assert_memory_equal(yyjson_get_str(root), text, sizeof text);
            }
            ut_json_free(&json);
            ut_buf_free(&out);
        }
    }
}

static void doubles_are_written_so_that_they_come_back(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double value;
        memcpy(&value, &seed, sizeof value);
        if (!isfinite(value))
            continue;
        ut_buf out;
        ut_buf_init(&out, 100);
        ut_json_put_double(&out, value);
        double back = 0;
        assert_int_equal(ut_json_double(ut_buf_bytes(&out), &back), UT_JSON_NUMBER_OK);
        assert_true(bits_of(back) == bits_of(value));
        ut_buf_free(&out);
    }
}

static void assert_double(double value, const char *wanted_z)
{
    ut_buf out;
    ut_buf_init(&out, 100);
    ut_json_put_double(&out, value);
    assert_true(ut_bytes_equal(ut_buf_bytes(&out), ut_bytes_of_z(wanted_z)));
    ut_buf_free(&out);
}

static void odd_doubles_have_names(void **state)
{
    (void)state;
    assert_double((double)NAN, "\"NaN\"");
    assert_double((double)INFINITY, "\"Infinity\"");
    assert_double((double)-INFINITY, "\"-Infinity\"");
    assert_double(-0.0, "-0.0");
    assert_double(0.1, "0.1");
}

static void integers_are_written_to_the_ends_of_their_range(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 200);
    ut_json_put_int(&out, INT64_MIN);
    ut_buf_add_byte(&out, ' ');
    ut_json_put_int(&out, INT64_MAX);
    ut_buf_add_byte(&out, ' ');
    ut_json_put_uint(&out, UINT64_MAX);
    ut_buf_add_byte(&out, ' ');
    ut_json_put_int(&out, 0);
    assert_true(ut_bytes_equal(
        ut_buf_bytes(&out),
        UT_BYTES_LIT("-9223372036854775808 9223372036854775807 18446744073709551615 0")));
    ut_buf_free(&out);
}

// ---- the writer ----

static void assert_written(ut_buf *out, const char *wanted_z)
{
    ut_buf_add_byte(out, 0);
    assert_int_equal(out->err, UT_OK);
    assert_string_equal((const char *)out->data, wanted_z);
    ut_buf_free(out);
}

static void commas_stand_between_members_and_nowhere_else(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 1 << 10);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_json_write_array(&json, "none");
    ut_json_write_close(&json);
    ut_json_write_array(&json, "list");
    ut_json_write_object(&json, NULL);
    ut_json_write_close(&json);
    ut_json_write_object(&json, NULL);
    ut_json_write_uint(&json, "a", 1);
    ut_json_write_bool(&json, "b", false);
    ut_json_write_close(&json);
    ut_json_write_null(&json, NULL);
    ut_json_write_close(&json);
    ut_json_write_int(&json, "last", -2);
    ut_json_write_close(&json);
    ut_json_write_line(&json);
    assert_written(&out, "{\"none\":[],\"list\":[{},{\"a\":1,\"b\":false},null],\"last\":-2}\n");
}

static void each_kind_of_value_is_written(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 1 << 10);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_array(&json, NULL);
    ut_json_write_text(&json, NULL, UT_BYTES_LIT("a\xff\n"));
    ut_json_write_text_z(&json, NULL, "\"");
    ut_json_write_hex(&json, NULL, UT_BYTES_LIT("\x00\xfe"));
    ut_json_write_uint(&json, NULL, UINT64_MAX);
    ut_json_write_int(&json, NULL, INT64_MIN);
    ut_json_write_double(&json, NULL, 0.1);
    ut_json_write_double(&json, NULL, (double)NAN);
    ut_json_write_bool(&json, NULL, true);
    ut_json_write_null(&json, NULL);
    ut_buf_add_z(ut_json_write_raw(&json, NULL), "{\"raw\":0}");
    ut_json_write_close(&json);
    assert_written(&out, "[\"a\xef\xbf\xbd\\n\",\"\\\"\",\"00fe\",18446744073709551615,"
                         "-9223372036854775808,0.1,\"NaN\",true,null,{\"raw\":0}]");
}

static void keys_are_escaped_and_may_stand_apart_from_their_value(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 1 << 10);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_json_write_uint(&json, "a\"b", 1);
    ut_json_write_key(&json, UT_BYTES_LIT("c\n"));
    ut_json_write_array(&json, NULL);
    ut_json_write_uint(&json, NULL, 2);
    ut_json_write_close(&json);
    ut_buf_add_z(ut_json_write_raw(&json, "d"), "3");
    ut_json_write_close(&json);
    assert_written(&out, "{\"a\\\"b\":1,\"c\\n\":[2],\"d\":3}");
}

// A command writes its output piece by piece and empties the buffer between them.
static void an_emptied_buffer_changes_no_comma(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf whole;
    ut_buf_init(&out, 1 << 10);
    ut_buf_init(&whole, 1 << 10);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_array(&json, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        ut_buf_add_bytes(&whole, ut_buf_bytes(&out));
        ut_buf_reset(&out, 0);
        ut_json_write_uint(&json, NULL, i);
    }
    ut_json_write_close(&json);
    ut_buf_add_bytes(&whole, ut_buf_bytes(&out));
    ut_buf_free(&out);
    assert_written(&whole, "[0,1,2]");
}

static void lines_of_json_have_no_commas_between_them(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 1 << 10);
    ut_json_writer json = ut_json_writer_of(&out);
    for (uint64_t i = 0; i < 2; i++) {
        ut_json_write_object(&json, NULL);
        ut_json_write_uint(&json, "i", i);
        ut_json_write_close(&json);
        ut_json_write_line(&json);
    }
    assert_written(&out, "{\"i\":0}\n{\"i\":1}\n");
}

// Objects and arrays in turn, each with something before and behind the nested one.
static void nesting_is_remembered_down_to_the_bound(void **state)
{
    (void)state;
    ut_buf out;
    ut_json read;
    ut_fault fault = {UT_OK, ""};
    ut_buf_init(&out, 1 << 16);
    ut_json_writer json = ut_json_writer_of(&out);
    for (uint32_t i = 0; i < UT_JSON_WRITE_DEPTH_MAX; i++) {
        const bool inside_object = i % 2 == 1;
        if (i > 0)
            ut_json_write_uint(&json, inside_object ? "before" : NULL, i);
        if (i % 2 == 0)
            ut_json_write_object(&json, inside_object ? "in" : NULL);
        else
            ut_json_write_array(&json, inside_object ? "in" : NULL);
    }
    for (uint32_t i = UT_JSON_WRITE_DEPTH_MAX; i > 0; i--) {
        ut_json_write_uint(&json, i % 2 == 1 ? "behind" : NULL, i);
        ut_json_write_close(&json);
    }
    assert_int_equal(json.depth, 0);
    assert_int_equal(ut_json_read(&read, ut_buf_bytes(&out), &fault), UT_OK);
    ut_json_free(&read);
    ut_buf_free(&out);
}

static void an_error_of_the_buffer_stays(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 8);
    ut_json_writer json = ut_json_writer_of(&out);
    ut_json_write_object(&json, NULL);
    ut_json_write_text_z(&json, "key", "longer than the buffer may be");
    ut_json_write_uint(&json, "k", 1);
    ut_json_write_close(&json);
    assert_int_equal(out.err, UT_ELIMIT);
    assert_true(out.len <= 8);
    ut_buf_free(&out);
}

// ---- what the writer refuses ----

static void open_too_deep(ut_json_writer *json)
{
    for (uint32_t i = 0; i <= UT_JSON_WRITE_DEPTH_MAX; i++)
        ut_json_write_array(json, NULL);
}

static void leave_out_a_key(ut_json_writer *json)
{
    ut_json_write_object(json, NULL);
    ut_json_write_uint(json, NULL, 1);
}

static void name_an_element(ut_json_writer *json)
{
    ut_json_write_array(json, NULL);
    ut_json_write_uint(json, "key", 1);
}

static void leave_out_a_value(ut_json_writer *json)
{
    ut_json_write_object(json, NULL);
    ut_json_write_key(json, UT_BYTES_LIT("key"));
    ut_json_write_close(json);
}

static void close_twice(ut_json_writer *json)
{
    ut_json_write_array(json, NULL);
    ut_json_write_close(json);
    ut_json_write_close(json);
}

static void mistakes_of_ours_are_assertions(void **state)
{
    (void)state;
    static void (*const mistakes[])(ut_json_writer *) = {
        open_too_deep, leave_out_a_key, name_an_element, leave_out_a_value, close_twice};
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            ut_buf out;
            ut_buf_init(&out, 1 << 16);
            ut_json_writer json = ut_json_writer_of(&out);
            (void)close(STDERR_FILENO); // the assertion's line is expected
            (void)signal(SIGABRT, SIG_DFL);
            mistakes[i](&json);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(every_byte_at_every_place_gives_valid_json),
        cmocka_unit_test(doubles_are_written_so_that_they_come_back),
        cmocka_unit_test(odd_doubles_have_names),
        cmocka_unit_test(integers_are_written_to_the_ends_of_their_range),
        cmocka_unit_test(commas_stand_between_members_and_nowhere_else),
        cmocka_unit_test(each_kind_of_value_is_written),
        cmocka_unit_test(keys_are_escaped_and_may_stand_apart_from_their_value),
        cmocka_unit_test(an_emptied_buffer_changes_no_comma),
        cmocka_unit_test(lines_of_json_have_no_commas_between_them),
        cmocka_unit_test(nesting_is_remembered_down_to_the_bound),
        cmocka_unit_test(an_error_of_the_buffer_stays),
        cmocka_unit_test(mistakes_of_ours_are_assertions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
