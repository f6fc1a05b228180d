// The head of a request: fields found, targets split, a raw head seen as one.
#include "transport/http/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_bytes(ut_bytes bytes, const char *text_z)
{
    assert_int_equal(bytes.len, strlen(text_z));
    assert_memory_equal(bytes.len > 0 ? bytes.data : (const uint8_t *)"", text_z, bytes.len);
}

static void a_field_is_found_in_any_case_and_the_first_one_is_told(void **state)
{
    (void)state;
    const ut_http_field fields[] = {
        {UT_BYTES_LIT("Host"), UT_BYTES_LIT("a")},
        {UT_BYTES_LIT("X-Two"), UT_BYTES_LIT("first")},
        {UT_BYTES_LIT("x-two"), UT_BYTES_LIT("second")},
    };
    const ut_http_head head = {.fields = fields, .field_count = 3};
    ut_bytes value = UT_BYTES_LIT("untouched");
    assert_int_equal(ut_http_head_find(&head, "x-tw", &value), 0);
    assert_bytes(value, "untouched");
    assert_int_equal(ut_http_head_find(&head, "host", &value), 1);
    assert_bytes(value, "a");
    assert_int_equal(ut_http_head_find(&head, "X-TWO", &value), 2);
    assert_bytes(value, "first");
}

static void a_target_splits_into_path_and_query(void **state)
{
    (void)state;
    static const struct {
        const char *target_z;
        const char *path_z;
        const char *query_z;
    } cases[] = {
        {"/", "/", ""},
        {"/v1/traces", "/v1/traces", ""},
        {"/v1?a=b?c", "/v1", "a=b?c"},
        {"/v1?", "/v1", ""},
        {"?a", "/", "a"},
        {"", "/", ""},
        {"*", "*", ""},
        {"http://host:1/v1?a", "/v1", "a"},
        {"HTTPS://host/v1", "/v1", ""},
        {"http://host", "/", ""},
        {"http://host?a", "/", "a"},
        {"http://", "http://", ""}, // too short for a host: taken as it is
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ut_http_head head = {0};
        ut_http_head_split_target(&head, ut_bytes_of_z(cases[i].target_z));
        assert_bytes(head.path, cases[i].path_z);
        assert_bytes(head.query, cases[i].query_z);
    }
}

static void a_raw_head_is_seen_as_it_arrived(void **state)
{
    (void)state;
    ut_http_raw_head raw = {
        .target_len = 6,
        .field_count = 2,
        .fields = {{6, 4, 10, 1}, {11, 1, 12, 0}},
    };
    ut_buf_init(&raw.bytes, 64);
    ut_buf_add_z(&raw.bytes, "/p?q=1HosthX");
    ut_http_field fields[UT_HTTP_SERVER_FIELDS_MAX];
    ut_http_head head = {0};
    ut_http_raw_head_view(&raw, fields, &head);
    assert_bytes(head.path, "/p");
    assert_bytes(head.query, "q=1");
    assert_int_equal(head.field_count, 2);
    assert_bytes(head.fields[0].name, "Host");
    assert_bytes(head.fields[0].value, "h");
    assert_bytes(head.fields[1].name, "X");
    assert_bytes(head.fields[1].value, "");
    ut_buf_free(&raw.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_found_in_any_case_and_the_first_one_is_told),
        cmocka_unit_test(a_target_splits_into_path_and_query),
        cmocka_unit_test(a_raw_head_is_seen_as_it_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
