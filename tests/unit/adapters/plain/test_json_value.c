// Tests of adapters/plain/json_value.
#include "adapters/plain/json_value.h"

#include "storage/span/msgpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

static void expect(ut_buf *buf, const char *expected_z)
{
    ut_buf_add_byte(buf, 0);
    assert_int_equal(buf->err, UT_OK);
    assert_string_equal((const char *)buf->data, expected_z);
    ut_buf_free(buf);
}

static void json_values_cover_every_type(void **state)
{
    (void)state;
    ut_buf value;
    ut_buf json;
    ut_buf_init(&value, 1024);
    ut_buf_init(&json, 1024);
    ut_mp_put_map(&value, 3);
    ut_mp_put_str(&value, UT_BYTES_LIT("list"));
    ut_mp_put_array(&value, 7);
    ut_mp_put_nil(&value);
    ut_mp_put_bool(&value, true);
    ut_mp_put_uint(&value, UINT64_MAX);
    ut_mp_put_int(&value, INT64_MIN);
    ut_mp_put_double(&value, 0.1);
    ut_mp_put_double(&value, (double)NAN);
    ut_mp_put_bin(&value, UT_BYTES_LIT("\x00\xff"));
    ut_mp_put_str(&value, UT_BYTES_LIT("empty"));
    ut_mp_put_map(&value, 0);
    ut_mp_put_str(&value, UT_BYTES_LIT("text"));
    ut_mp_put_str(&value, UT_BYTES_LIT("x"));
    ut_json_value(&json, ut_buf_bytes(&value));
    ut_buf_free(&value);
    expect(&json,
           "{\"list\":[null,true,18446744073709551615,-9223372036854775808,0.1,null,\"00ff\"],"
           "\"empty\":{},\"text\":\"x\"}");
}

// The first of them, as everywhere; also in a map within, and among many.
static void a_repeated_key_stands_once(void **state)
{
    (void)state;
    for (uint32_t others = 0; others < 300; others += 149) {
        ut_buf value;
        ut_buf json;
        ut_buf_init(&value, 65536);
        ut_buf_init(&json, 65536);
        ut_mp_put_map(&value, 4 + others);
        ut_mp_put_str(&value, UT_BYTES_LIT("a"));
        ut_mp_put_uint(&value, 1);
        ut_mp_put_str(&value, UT_BYTES_LIT("ab"));
        ut_mp_put_uint(&value, 2);
        ut_mp_put_str(&value, UT_BYTES_LIT("a"));
        ut_mp_put_array(&value, 1);
        ut_mp_put_uint(&value, 3);
        ut_mp_put_str(&value, UT_BYTES_LIT("m"));
        ut_mp_put_map(&value, 2);
        ut_mp_put_str(&value, UT_BYTES_NONE);
        ut_mp_put_uint(&value, 4);
        ut_mp_put_str(&value, UT_BYTES_NONE);
        ut_mp_put_uint(&value, 5);
        for (uint32_t i = 0; i < others; i++) {
            ut_mp_put_str(&value, i % 2 == 0 ? UT_BYTES_LIT("ab") : UT_BYTES_LIT("m"));
            ut_mp_put_uint(&value, i);
        }
        ut_json_value(&json, ut_buf_bytes(&value));
        ut_buf_free(&value);
        expect(&json, "{\"a\":1,\"ab\":2,\"m\":{\"\":4}}");
    }
}

static void json_of_damaged_values_ends(void **state)
{
    (void)state;
    static const uint8_t cut[] = {0x92, 0x01}; // an array of two with one value
    static const uint8_t many[] = {0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a', 0x01}; // a map of 2^32
    const ut_bytes damaged[] = {ut_bytes_of(cut, sizeof(cut)), ut_bytes_of(many, sizeof(many))};
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        ut_buf json;
        ut_buf_init(&json, 1024);
        ut_json_value(&json, damaged[i]);
        assert_int_equal(json.err, UT_OK);
        ut_buf_free(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values_cover_every_type),
        cmocka_unit_test(a_repeated_key_stands_once),
        cmocka_unit_test(json_of_damaged_values_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
