// Tests of adapters/otlp/otlp_json_member: members by type, and faults that name their place.
#include "adapters/otlp/otlp_json_member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static ut_json json;
static ut_fault fault;

// The value of a JSON text; it lives until drop.
static yyjson_val *value_of(const char *text_z)
{
    fault = (ut_fault){0};
    assert_int_equal(ut_json_read(&json, ut_bytes_of_z(text_z), NULL), UT_OK);
    return yyjson_doc_get_root(json.doc);
}

static void drop(void)
{
    ut_json_free(&json);
}

static void a_fault_names_its_place(void **state)
{
    (void)state;
    ut_bytes text = UT_BYTES_NONE;
    const ut_otlp_place *spans = UT_OTLP_MEMBER(UT_OTLP_ELEMENT(UT_OTLP_MEMBER(NULL, "a"), 3), "b");
    assert_false(ut_otlp_get_text(&fault, value_of("[]"), spans, &text));
    assert_int_equal(fault.code, UT_EFORMAT);
    assert_string_equal(fault.text_z, "a[3].b: expected a string, found an array");
    assert_false(ut_otlp_bad(&fault, NULL, "why"));
    assert_string_equal(fault.text_z, "why"); // the whole body has no path
    drop();
}

static void an_absent_member_leaves_the_default(void **state)
{
    (void)state;
    const ut_otlp_place *at = UT_OTLP_MEMBER(NULL, "a");
    ut_bytes text = UT_BYTES_LIT("before");
    uint64_t ns = 7;
    uint32_t number = 8;
    int32_t code = -9;
    assert_true(ut_otlp_get_text(&fault, NULL, at, &text));
    assert_true(ut_otlp_get_time(&fault, NULL, at, &ns));
    assert_true(ut_otlp_get_count(&fault, NULL, at, &number));
    assert_true(ut_otlp_get_flags(&fault, NULL, at, &number));
    assert_true(ut_otlp_get_enum(&fault, NULL, at, &ut_otlp_span_kinds, &code));
    assert_true(ut_otlp_is_object(&fault, NULL, at));
    assert_true(ut_bytes_equal(text, UT_BYTES_LIT("before")));
    assert_int_equal(ns, 7);
    assert_int_equal(number, 8);
    assert_int_equal(code, -9);
    number = 1;
    assert_true(ut_otlp_get_objects(&fault, NULL, at, &number));
    assert_int_equal(number, 0);
}

static void null_members_are_passed(void **state)
{
    (void)state;
    const ut_otlp_place *at = UT_OTLP_MEMBER(NULL, "a");
    ut_otlp_members of =
        ut_otlp_members_of(value_of("{\"key\":null,\"value\":true,\"x\":1,\"name\":null}"), at);
    assert_true(ut_otlp_next_member(&of));
    assert_int_equal(of.name, UT_NAME_VALUE);
    assert_true(yyjson_is_true(of.value));
    assert_string_equal(of.place.name_z, "value");
    assert_ptr_equal(of.place.around, at);
    assert_true(ut_otlp_next_member(&of));
    assert_int_equal(of.name, UT_NAME_UNKNOWN);
    assert_false(ut_otlp_next_member(&of));
    drop();
}

static void integers_are_read_to_their_bounds_and_no_further(void **state)
{
    (void)state;
    static const struct {
        const char *json_z;
        int64_t min;
        uint64_t max;
        bool text_too;
        bool good;
        uint64_t bits;
    } cases[] = {
        {"18446744073709551615", 0, UINT64_MAX, true, true, UINT64_MAX},
        {"\"18446744073709551615\"", 0, UINT64_MAX, true, true, UINT64_MAX},
        {"\"5\"", 0, UINT64_MAX, false, false, 0},
        {"18446744073709551616", 0, UINT64_MAX, true, false, 0},
        {"-1", 0, UINT64_MAX, true, false, 0},
        {"-0", 0, UINT64_MAX, true, true, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, true, UINT64_C(1) << 63},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, true, false, 0},
        {"9223372036854775808", INT64_MIN, INT64_MAX, true, false, 0},
        {"-3", -2, 2, true, false, 0},
        {"3", -2, 2, true, false, 0},
        {"0.5", 0, 9, true, false, 0},
        {"true", 0, 9, true, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bits = 0;
        assert_int_equal(ut_otlp_get_integer(&fault, value_of(cases[i].json_z), NULL, cases[i].min,
                                             cases[i].max, cases[i].text_too, &bits),
                         cases[i].good);
        assert_true(bits == cases[i].bits);
        assert_int_equal(fault.code, cases[i].good ? UT_OK : UT_EFORMAT);
        drop();
    }
}

static void an_enumeration_is_a_number_or_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *json_z;
        const ut_otlp_enum_names *names;
        bool good;
        int32_t code;
    } cases[] = {
        {"-2", &ut_otlp_span_kinds, true, -2},
        {"\"2\"", &ut_otlp_span_kinds, true, 2},
        {"\"SPAN_KIND_SERVER\"", &ut_otlp_span_kinds, true, 2},
        {"\"Consumer\"", &ut_otlp_span_kinds, true, 5},
        {"\"STATUS_CODE_UNSET\"", &ut_otlp_status_codes, true, 0},
        {"\"Ok\"", &ut_otlp_status_codes, true, 1},
        {"\"STATUS_CODE_ERROR\"", &ut_otlp_status_codes, true, 2},
        {"\"SPAN_KIND_SERVER\"", &ut_otlp_status_codes, false, 0},
        {"\"SPAN_KIND_\"", &ut_otlp_span_kinds, false, 0},
        {"\"2x\"", &ut_otlp_span_kinds, false, 0},
        {"2147483648", &ut_otlp_span_kinds, false, 0},
        {"true", &ut_otlp_span_kinds, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t code = 0;
        assert_int_equal(
            ut_otlp_get_enum(&fault, value_of(cases[i].json_z), NULL, cases[i].names, &code),
            cases[i].good);
        assert_int_equal(code, cases[i].code);
        drop();
    }
}

static void counts_and_flags_out_of_range_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *json_z;
        uint32_t count;
        uint32_t flags;
    } cases[] = {
        {"3", 3, 3},
        {"\"257\"", 257, 257},
        {"-1", 0, UINT32_MAX},
        {"-2147483391", 0, 0x80000101},
        {"4294967295", UINT32_MAX, UINT32_MAX},
        {"4294967297", UINT32_MAX, 1},
        {"18446744073709551615", 0, UINT32_MAX}, // -1 of 64 bits
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t count = 9;
        uint32_t flags = 9;
        yyjson_val *value = value_of(cases[i].json_z);
        assert_true(ut_otlp_get_count(&fault, value, NULL, &count));
        assert_true(ut_otlp_get_flags(&fault, value, NULL, &flags));
        assert_int_equal(count, cases[i].count);
        assert_int_equal(flags, cases[i].flags);
        drop();
    }
}

static void ids_are_stored_where_their_digits_fit(void **state)
{
    (void)state;
    uint8_t id[3] = {0};
    size_t digits = 99;
    assert_true(ut_otlp_get_id(&fault, value_of("\"0aBc\""), NULL, id, 2, &digits));
    assert_int_equal(digits, 4);
    assert_memory_equal(id, "\x0a\xbc\x00", 3);
    drop();
    assert_true(ut_otlp_get_id(&fault, value_of("\"\""), NULL, id, 2, &digits));
    assert_int_equal(digits, 0);
    drop();
    // Too many digits, or an odd number: nothing is stored.
    memset(id, 7, sizeof id);
    assert_true(ut_otlp_get_id(&fault, value_of("\"010203\""), NULL, id, 2, &digits));
    assert_int_equal(digits, 6);
    drop();
    assert_true(ut_otlp_get_id(&fault, value_of("\"012\""), NULL, id, 2, &digits));
    assert_int_equal(digits, 3);
    assert_memory_equal(id, "\x07\x07\x07", 3);
    drop();
    static const char *const bad_z[] = {"\"0g\"", "\"0102 3\"", "\"g\"", "12"};
    for (size_t i = 0; i < sizeof bad_z / sizeof bad_z[0]; i++) {
        assert_false(ut_otlp_get_id(&fault, value_of(bad_z[i]), NULL, id, 2, &digits));
        drop();
    }
}

static void an_array_of_objects_is_counted_and_another_element_named(void **state)
{
    (void)state;
    uint32_t count = 0;
    const ut_otlp_place *at = UT_OTLP_MEMBER(NULL, "spans");
    assert_true(ut_otlp_get_objects(&fault, value_of("[{},{}]"), at, &count));
    assert_int_equal(count, 2);
    drop();
    assert_false(ut_otlp_get_objects(&fault, value_of("[{},1]"), at, &count));
    assert_non_null(strstr(fault.text_z, "spans[1]: expected an object"));
    drop();
    assert_false(ut_otlp_get_objects(&fault, value_of("{}"), at, &count));
    assert_non_null(strstr(fault.text_z, "spans: expected an array"));
    drop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_names_its_place),
        cmocka_unit_test(an_absent_member_leaves_the_default),
        cmocka_unit_test(null_members_are_passed),
        cmocka_unit_test(integers_are_read_to_their_bounds_and_no_further),
        cmocka_unit_test(an_enumeration_is_a_number_or_a_name),
        cmocka_unit_test(counts_and_flags_out_of_range_are_taken),
        cmocka_unit_test(ids_are_stored_where_their_digits_fit),
        cmocka_unit_test(an_array_of_objects_is_counted_and_another_element_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
