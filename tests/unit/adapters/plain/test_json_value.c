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

static void json_of_damaged_values_ends(void **state)
{
    (void)state;
    static const uint8_t cut[] = {0x92, 0x01}; // an array of two with one value
    ut_buf json;
    ut_buf_init(&json, 1024);
    ut_json_value(&json, ut_bytes_of(cut, sizeof(cut)));
    assert_int_equal(json.err, UT_OK);
    ut_buf_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values_cover_every_type),
        cmocka_unit_test(json_of_damaged_values_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
