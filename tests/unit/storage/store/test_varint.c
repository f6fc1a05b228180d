// Tests of storage/store/varint.
#include "storage/store/varint.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

// Bytes on the heap, so that a sanitizer sees a read behind them.
static bool get_exactly(const uint8_t *bytes, size_t len, uint64_t *value, size_t *left)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    ut_bytes rest = {copy, len};
    const bool got = ut_varint_get(&rest, value);
    *left = rest.len;
    free(copy);
    return got;
}

static void assert_round_trip(uint64_t value, size_t len)
{
    ut_buf buf;
    uint64_t got = 0;
    size_t left;
    ut_buf_init(&buf, 64);
    ut_varint_put(&buf, value);
    assert_int_equal(buf.err, UT_OK);
    if (len > 0)
        assert_int_equal(buf.len, len);
    assert_true(get_exactly(buf.data, buf.len, &got, &left));
    assert_true(got == value);
    assert_int_equal(left, 0);
    for (size_t cut = 0; cut < buf.len; cut++)
        assert_false(get_exactly(buf.data, cut, &got, &left));
    ut_buf_free(&buf);
}

static void every_length_comes_back_and_no_cut_one_does(void **state)
{
    (void)state;
    assert_round_trip(0, 1);
    for (unsigned bits = 1; bits <= 64; bits++) {
        const uint64_t top = UINT64_C(1) << (bits - 1);
        const size_t len = (bits + 6) / 7;
        assert_round_trip(top, len);
        assert_round_trip(top | (top - 1), len);
    }
}

static void random_numbers_come_back_one_after_the_other(void **state)
{
    enum { NUMBERS = 2000 };
    uint64_t numbers[NUMBERS];
    ut_random random = {7};
    ut_buf buf;
    (void)state;
    ut_buf_init(&buf, (size_t)NUMBERS * UT_VARINT_LEN_MAX);
    for (size_t i = 0; i < NUMBERS; i++) {
        numbers[i] = ut_random_next(&random) >> ut_random_below(&random, 64);
        ut_varint_put(&buf, numbers[i]);
    }
    ut_bytes rest = ut_buf_bytes(&buf);
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t got;
        assert_true(ut_varint_get(&rest, &got));
        assert_true(got == numbers[i]);
    }
    assert_int_equal(rest.len, 0);
    ut_buf_free(&buf);
}

static void more_than_64_bits_are_refused(void **state)
{
    static const uint8_t too_high[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    static const uint8_t highest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                       0x80, 0x80, 0x80, 0x80, 0};
    uint64_t value = 0;
    size_t left;
    (void)state;
    assert_false(get_exactly(too_high, sizeof(too_high), &value, &left));
    assert_false(get_exactly(too_long, sizeof(too_long), &value, &left));
    assert_true(get_exactly(highest, sizeof(highest), &value, &left));
    assert_true(value == UINT64_MAX);
}

static void garbage_is_read_to_its_end_at_most(void **state)
{
    ut_random random = {8};
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[24];
        const size_t len = ut_random_below(&random, sizeof(bytes) + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] =
                (uint8_t)(ut_random_next(&random) | (ut_random_below(&random, 4) > 0 ? 0x80U : 0U));
        uint64_t value;
        size_t left;
        (void)get_exactly(bytes, len, &value, &left);
        assert_true(left <= len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_back_and_no_cut_one_does),
        cmocka_unit_test(random_numbers_come_back_one_after_the_other),
        cmocka_unit_test(more_than_64_bits_are_refused),
        cmocka_unit_test(garbage_is_read_to_its_end_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
