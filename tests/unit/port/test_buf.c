// The growing buffer: ceiling, sticky error, memory that is not there.
#include "port/base/buf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

// Memory that no machine has makes realloc fail for real; the sanitizers shall let it return NULL.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void a_new_buffer_owns_nothing(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 10);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, 0);
    assert_int_equal(ut_buf_bytes(&buf).len, 0);
    ut_buf_free(&buf);
}

static void what_is_added_stands_in_order(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 1000);
    ut_buf_add(&buf, "ab", 2);
    ut_buf_add_byte(&buf, 'c');
    ut_buf_add_z(&buf, "de");
    ut_buf_add_bytes(&buf, UT_BYTES_LIT("f"));
    ut_buf_add_bytes(&buf, UT_BYTES_NONE);
    ut_buf_printf(&buf, "%d%s", 42, "!");
    ut_buf_printf(&buf, "%s", "");
    assert_int_equal(buf.err, UT_OK);
    assert_true(ut_bytes_equal(ut_buf_bytes(&buf), UT_BYTES_LIT("abcdef42!")));
    ut_buf_free(&buf);
}

static void content_survives_every_growth(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 100000);
    for (unsigned i = 0; i < 100000; i++)
        ut_buf_add_byte(&buf, (uint8_t)(i * 7));
    assert_int_equal(buf.err, UT_OK);
    assert_int_equal(buf.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], (uint8_t)(i * 7));
    ut_buf_free(&buf);
}

static void every_ceiling_is_filled_exactly_and_never_passed(void **state)
{
    (void)state;
    for (size_t max = 1; max <= 200; max++) {
        ut_buf buf;
        ut_buf_init(&buf, max);
        for (size_t i = 0; i < max; i++)
            ut_buf_add_byte(&buf, 'x');
        assert_int_equal(buf.err, UT_OK);
        assert_int_equal(buf.len, max);
        assert_true(buf.cap <= max);
        ut_buf_add_byte(&buf, 'y');
        assert_int_equal(buf.err, UT_ELIMIT);
        assert_int_equal(buf.len, max);
        ut_buf_free(&buf);
    }
}

static void text_may_fill_the_buffer_to_the_ceiling(void **state)
{
    (void)state;
    for (size_t max = 1; max <= 130; max++) {
        char text_z[132];
        memset(text_z, 'a', max);
        text_z[max] = '\0';
        ut_buf buf;
        ut_buf_init(&buf, max);
        ut_buf_printf(&buf, "%s", text_z);
        assert_int_equal(buf.err, UT_OK);
        assert_int_equal(buf.len, max);
        assert_memory_equal(buf.data, text_z, max);
        ut_buf_printf(&buf, "b");
        assert_int_equal(buf.err, UT_ELIMIT);
        assert_int_equal(buf.len, max);
        ut_buf_free(&buf);

        text_z[max] = 'a';
        text_z[max + 1] = '\0';
        ut_buf_init(&buf, max);
        ut_buf_printf(&buf, "%s", text_z);
        assert_int_equal(buf.err, UT_ELIMIT);
        assert_int_equal(buf.len, 0); // all or nothing
        ut_buf_free(&buf);
    }
}

static void after_an_error_nothing_is_written_until_the_reset(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 4);
    ut_buf_add_z(&buf, "abc");
    ut_buf_add_z(&buf, "de"); // does not fit
    assert_int_equal(buf.err, UT_ELIMIT);
    ut_buf_add_byte(&buf, 'd'); // would fit
    ut_buf_printf(&buf, "d");
    assert_null(ut_buf_reserve(&buf, 0));
    assert_true(ut_bytes_equal(ut_buf_bytes(&buf), UT_BYTES_LIT("abc")));
    ut_buf_reset(&buf, 100);
    assert_int_equal(buf.err, UT_OK);
    assert_int_equal(buf.len, 0);
    ut_buf_add_z(&buf, "abcd");
    assert_true(ut_bytes_equal(ut_buf_bytes(&buf), UT_BYTES_LIT("abcd")));
    ut_buf_free(&buf);
}

static void reserve_gives_room_and_leaves_the_length(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 100);
    assert_non_null(ut_buf_reserve(&buf, 0));
    uint8_t *at = ut_buf_reserve(&buf, 100);
    assert_non_null(at);
    memset(at, 'z', 100);
    assert_int_equal(buf.len, 0);
    buf.len = 100;
    assert_ptr_equal(ut_buf_reserve(&buf, 0), buf.data + 100);
    assert_null(ut_buf_reserve(&buf, 1));
    ut_buf_free(&buf);
}

static void lengths_that_would_wrap_around_are_refused(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 100);
    ut_buf_add_z(&buf, "abc");
    assert_null(ut_buf_reserve(&buf, SIZE_MAX));
    assert_int_equal(buf.err, UT_ELIMIT);
    ut_buf_free(&buf);

    ut_buf_init(&buf, SIZE_MAX);
    ut_buf_add_z(&buf, "abc");
    assert_null(ut_buf_reserve(&buf, SIZE_MAX - 2));
    assert_int_equal(buf.err, UT_ELIMIT);
    ut_buf_reset(&buf, 100);
    assert_null(ut_buf_reserve(&buf, SIZE_MAX));
    assert_int_equal(buf.err, UT_ENOMEM);
    ut_buf_free(&buf);
}

static void without_memory_the_content_stays(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, SIZE_MAX);
    ut_buf_add_z(&buf, "abc");
    assert_null(ut_buf_reserve(&buf, SIZE_MAX / 2 - 100));
    assert_int_equal(buf.err, UT_ENOMEM);
    ut_buf_add_z(&buf, "d");
    assert_true(ut_bytes_equal(ut_buf_bytes(&buf), UT_BYTES_LIT("abc")));
    ut_buf_reset(&buf, 1000);
    ut_buf_add_z(&buf, "d");
    assert_true(ut_bytes_equal(ut_buf_bytes(&buf), UT_BYTES_LIT("d")));
    ut_buf_free(&buf);
}

static void without_memory_the_first_write_fails_too(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, SIZE_MAX);
    assert_null(ut_buf_reserve(&buf, SIZE_MAX / 2 - 100));
    assert_int_equal(buf.err, UT_ENOMEM);
    assert_null(buf.data);
    ut_buf_free(&buf);
}

static void reset_keeps_small_memory_and_returns_large(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 100000);
    ut_buf_add_z(&buf, "abc");
    uint8_t *data = buf.data;
    ut_buf_reset(&buf, 1000);
    assert_ptr_equal(buf.data, data);
    assert_non_null(ut_buf_reserve(&buf, 5000));
    ut_buf_reset(&buf, 1000);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
    assert_int_equal(buf.max, 100000);
    ut_buf_add_z(&buf, "abc");
    ut_buf_free(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.max, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_owns_nothing),
        cmocka_unit_test(what_is_added_stands_in_order),
        cmocka_unit_test(content_survives_every_growth),
        cmocka_unit_test(every_ceiling_is_filled_exactly_and_never_passed),
        cmocka_unit_test(text_may_fill_the_buffer_to_the_ceiling),
        cmocka_unit_test(after_an_error_nothing_is_written_until_the_reset),
        cmocka_unit_test(reserve_gives_room_and_leaves_the_length),
        cmocka_unit_test(lengths_that_would_wrap_around_are_refused),
        cmocka_unit_test(without_memory_the_content_stays),
        cmocka_unit_test(without_memory_the_first_write_fails_too),
        cmocka_unit_test(reset_keeps_small_memory_and_returns_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
