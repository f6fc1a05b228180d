// Tests of adapters/plain/csv_row: numbers and words of a row are those of the JSON of its span.
#include "adapters/plain/csv_row.h"
#include "adapters/plain/span_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void expect_part(const ut_buf *text, const char *part_z)
{
    if (strstr((const char *)text->data, part_z) == NULL)
        fail_msg("%s is not in %s", part_z, (const char *)text->data);
}

static void a_row_says_what_json_says(void **state)
{
    (void)state;
    static const struct {
        uint64_t start_ns;
        uint64_t end_ns;
        int32_t kind;
        int32_t status;
        const char *csv_z;  // end, duration, status
        const char *json_z; // duration
        const char *kind_z;
    } cases[] = {
        {5, 15, 2, 2, ",15,10,error,", "\"duration_ns\":10,", "server"},
        {15, 10, 3, 1, ",10,0,ok,", "\"duration_ns\":0,", "client"},
        {15, 0, 1, 0, ",0,0,unset,", "\"duration_ns\":0,", "internal"},
        {0, UINT64_MAX, 9, 7, ",18446744073709551615,18446744073709551615,unset,",
         "\"duration_ns\":18446744073709551615,", "unspecified"},
        {1, (UINT64_C(1) << 63) + 1, -1, -1, ",9223372036854775809,9223372036854775808,unset,",
         "\"duration_ns\":9223372036854775808,", "unspecified"},
        {UINT64_MAX, UINT64_MAX - 1, 0, 0, ",18446744073709551614,0,unset,", "\"duration_ns\":0,",
         "unspecified"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const ut_trace_span row = {.span = {.start_ns = cases[i].start_ns,
                                            .end_ns = cases[i].end_ns,
                                            .kind = cases[i].kind,
                                            .status_code = cases[i].status}};
        char word_z[64];
        ut_buf scratch;
        ut_buf csv;
        ut_buf json;
        ut_buf_init(&scratch, 4096);
        ut_buf_init(&csv, 4096);
        ut_buf_init(&json, 4096);
        ut_json_writer writer = ut_json_writer_of(&json);
        assert_int_equal(ut_csv_row(&csv, &scratch, &row, (ut_csv_form){false, false}), UT_OK);
        ut_json_write_object(&writer, NULL);
        ut_span_json(&writer, &row.span, UT_BYTES_NONE, UT_BYTES_NONE);
        ut_json_write_close(&writer);
        ut_buf_add_byte(&csv, 0);
        ut_buf_add_byte(&json, 0);
        expect_part(&csv, cases[i].csv_z);
        expect_part(&json, cases[i].json_z);
        (void)snprintf(word_z, sizeof(word_z), ",%s,", cases[i].kind_z);
        expect_part(&csv, word_z);
        (void)snprintf(word_z, sizeof(word_z), "\"kind\":\"%s\",", cases[i].kind_z);
        expect_part(&json, word_z);
        ut_buf_free(&scratch);
        ut_buf_free(&csv);
        ut_buf_free(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_says_what_json_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
