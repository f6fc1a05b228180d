// Tests of adapters/otlp/otlp_json_name: every name is found, and no other text is.
#include "adapters/otlp/otlp_json_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void every_name_is_found(void **state)
{
    (void)state;
    for (unsigned i = UT_NAME_UNKNOWN + 1; i < UT_NAME_COUNT; i++) {
        const ut_otlp_name_text *name = &ut_otlp_name_texts[i];
        assert_int_equal(strlen(name->text_z), name->len);
        assert_int_equal(ut_otlp_name_of(ut_bytes_of(name->text_z, name->len)), i);
    }
}

static void a_text_that_differs_in_one_byte_is_unknown(void **state)
{
    (void)state;
    for (unsigned i = UT_NAME_UNKNOWN + 1; i < UT_NAME_COUNT; i++) {
        const ut_otlp_name_text *name = &ut_otlp_name_texts[i];
        uint8_t text[UT_OTLP_NAME_ROOM + 1] = {0};
        memcpy(text, name->text_z, name->len);
        for (size_t at = 0; at < name->len; at++) {
            text[at] ^= 0x80;
            assert_int_equal(ut_otlp_name_of(ut_bytes_of(text, name->len)), UT_NAME_UNKNOWN);
            text[at] ^= 0x80;
        }
        assert_int_equal(ut_otlp_name_of(ut_bytes_of(text, name->len + 1u)), UT_NAME_UNKNOWN);
    }
}

static void a_text_of_any_other_length_is_unknown(void **state)
{
    (void)state;
    uint8_t text[300] = {0};
    for (size_t len = 0; len <= sizeof text; len++)
        assert_int_equal(ut_otlp_name_of(ut_bytes_of(text, len)), UT_NAME_UNKNOWN);
    assert_int_equal(ut_otlp_name_of(UT_BYTES_NONE), UT_NAME_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found),
        cmocka_unit_test(a_text_that_differs_in_one_byte_is_unknown),
        cmocka_unit_test(a_text_of_any_other_length_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
