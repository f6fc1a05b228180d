// Tests of adapters/encoding/gzip.
#include "adapters/encoding/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { BYTES_MAX = 64 << 20 };

// "hello\n" as gzip(1) writes it with a name, and as a member with every optional field.
static const uint8_t named[] = {0x1f, 0x8b, 0x08, 0x08, 0,    0,    0,    0,    0x00, 0x03, 'a',
                                '.',  't',  'x',  't',  0,    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7,
                                0x02, 0x00, 0x20, 0x30, 0x3a, 0x36, 0x06, 0,    0,    0};
static const uint8_t all_fields[] = {0x1f, 0x8b, 0x08, 0x1e, 0,    0,    0,    0,    0x00,
                                     0x03, 2,    0,    'x',  'y',  'n',  0,    'c',  0,
                                     0xaa, 0xbb, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0x02,
                                     0x00, 0x20, 0x30, 0x3a, 0x36, 0x06, 0,    0,    0};

typedef struct {
    ut_gzip *gzip;
    ut_buf out;
    ut_fault fault;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->gzip = ut_gzip_new();
    ut_buf_init(&f->out, BYTES_MAX);
    *state = f;
    return f->gzip == NULL;
}

static int teardown(void **state)
{
    fixture *f = *state;
    ut_gzip_free(f->gzip);
    ut_buf_free(&f->out);
    free(f);
    return 0;
}

// Bytes that compress somewhat.
static ut_buf some_bytes(size_t len)
{
    ut_buf out;
    ut_buf_init(&out, BYTES_MAX);
    uint32_t seed = 1;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        ut_buf_add_byte(&out, (uint8_t)(i % 64 < 40 ? 'a' + i % 7 : seed >> 24));
    }
    return out;
}

static ut_err expand(fixture *f, ut_bytes in)
{
    // Its own memory of exactly this size, so that a sanitizer sees a read past the end.
    uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
    assert_non_null(copy);
    if (in.len > 0)
        memcpy(copy, in.data, in.len);
    ut_buf_reset(&f->out, SIZE_MAX);
    ut_err err = ut_gzip_expand(f->gzip, ut_bytes_of(copy, in.len), &f->out, &f->fault);
    free(copy);
    return err;
}

static void every_level_and_size_comes_back(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {0, 1, 100, 70000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int level = 1; level <= 9; level += 4) {
            ut_buf bytes = some_bytes(sizes[i]);
            ut_buf packed;
            ut_buf_init(&packed, BYTES_MAX);
            assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&bytes), level, &packed),
                             UT_OK);
            assert_int_equal(expand(f, ut_buf_bytes(&packed)), UT_OK);
            assert_true(ut_bytes_equal(ut_buf_bytes(&f->out), ut_buf_bytes(&bytes)));
            ut_buf_free(&packed);
            ut_buf_free(&bytes);
        }
    }
}

static void both_ways_append(void **state)
{
    fixture *f = *state;
    ut_buf packed;
    ut_buf_init(&packed, BYTES_MAX);
    ut_buf_add_z(&packed, "before");
    assert_int_equal(ut_gzip_compress(f->gzip, UT_BYTES_LIT("text"), 1, &packed), UT_OK);
    assert_memory_equal(packed.data, "before", 6);
    ut_buf_add_z(&f->out, "also ");
    assert_int_equal(
        ut_gzip_expand(f->gzip, ut_bytes_of(packed.data + 6, packed.len - 6), &f->out, &f->fault),
        UT_OK);
    assert_true(ut_bytes_equal(ut_buf_bytes(&f->out), UT_BYTES_LIT("also text")));
    ut_buf_free(&packed);
}

static void optional_header_fields_are_passed(void **state)
{
    fixture *f = *state;
    assert_int_equal(expand(f, ut_bytes_of(named, sizeof named)), UT_OK);
    assert_true(ut_bytes_equal(ut_buf_bytes(&f->out), UT_BYTES_LIT("hello\n")));
    assert_int_equal(expand(f, ut_bytes_of(all_fields, sizeof all_fields)), UT_OK);
    assert_true(ut_bytes_equal(ut_buf_bytes(&f->out), UT_BYTES_LIT("hello\n")));
}

static void several_members_are_joined(void **state)
{
    fixture *f = *state;
    ut_buf packed;
    ut_buf_init(&packed, BYTES_MAX);
    ut_buf large = some_bytes(200000);
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&large), 6, &packed), UT_OK);
    ut_buf_add(&packed, named, sizeof named);
    ut_buf_add(&packed, all_fields, sizeof all_fields);
    assert_int_equal(expand(f, ut_buf_bytes(&packed)), UT_OK);
    assert_int_equal(f->out.len, large.len + 12);
    assert_memory_equal(f->out.data, large.data, large.len);
    assert_memory_equal(f->out.data + large.len, "hello\nhello\n", 12);
    ut_buf_free(&large);
    ut_buf_free(&packed);
}

static void a_cut_at_any_byte_is_refused(void **state)
{
    fixture *f = *state;
    for (size_t len = 0; len < sizeof all_fields; len++)
        assert_int_equal(expand(f, ut_bytes_of(all_fields, len)), UT_EFORMAT);
    ut_buf bytes = some_bytes(5000);
    ut_buf packed;
    ut_buf_init(&packed, BYTES_MAX);
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&bytes), 1, &packed), UT_OK);
    for (size_t len = 0; len < packed.len; len++)
        assert_int_equal(expand(f, ut_bytes_of(packed.data, len)), UT_EFORMAT);
    ut_buf_free(&packed);
    ut_buf_free(&bytes);
}

static void assert_fault(fixture *f, size_t at, uint8_t byte, const char *wanted_z)
{
    uint8_t changed[sizeof all_fields];
    memcpy(changed, all_fields, sizeof changed);
    changed[at] = byte;
    assert_int_equal(expand(f, ut_bytes_of(changed, sizeof changed)), UT_EFORMAT);
    assert_string_equal(f->fault.text_z, wanted_z);
}

static void a_fault_says_what_and_where(void **state)
{
    fixture *f = *state;
    assert_fault(f, 0, 'P', "not valid gzip: no gzip header at byte 0");
    assert_fault(f, 2, 9, "not valid gzip: unknown compression method at byte 2");
    assert_fault(f, 3, 0xe0, "not valid gzip: reserved flags are set at byte 3");
    assert_fault(f, 10, 200, "not valid gzip: the header is cut off at byte 0");
    assert_fault(f, 20, 0xff,
                 "not valid gzip: the compressed data is damaged or cut off at byte 20");
    assert_fault(f, 28, 0, "not valid gzip: the checksum is wrong at byte 28");
    assert_fault(f, 32, 7, "not valid gzip: the size is wrong at byte 32");
    assert_int_equal(expand(f, ut_bytes_of(all_fields, sizeof all_fields - 5)), UT_EFORMAT);
    assert_string_equal(f->fault.text_z, "not valid gzip: the checksum is cut off at byte 28");
    ut_buf two;
    ut_buf_init(&two, 1000);
    ut_buf_add(&two, named, sizeof named);
    ut_buf_add_z(&two, "tail");
    assert_int_equal(expand(f, ut_buf_bytes(&two)), UT_EFORMAT);
    assert_string_equal(f->fault.text_z, "not valid gzip: bytes behind the last member at byte 32");
    two.len = sizeof named + 1;
    two.data[sizeof named] = 0;
    ut_buf_add_z(&two, "t");
    assert_int_equal(expand(f, ut_buf_bytes(&two)), UT_EFORMAT);
    ut_buf_free(&two);
}

static void zeros_behind_the_last_member_are_passed(void **state)
{
    fixture *f = *state;
    ut_buf padded;
    ut_buf_init(&padded, 1000);
    ut_buf_add(&padded, named, sizeof named);
    for (int i = 0; i < 5; i++) {
        ut_buf_add_byte(&padded, 0);
        assert_int_equal(expand(f, ut_buf_bytes(&padded)), UT_OK);
    }
    ut_buf_free(&padded);
}

static void a_size_that_lies_is_found_out(void **state)
{
    fixture *f = *state;
    ut_buf bytes = some_bytes(100000);
    ut_buf packed;
    ut_buf_init(&packed, BYTES_MAX);
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&bytes), 1, &packed), UT_OK);
    static const uint32_t lies[] = {0, 1, 99999, 100001, UINT32_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        ut_put_le32(packed.data + packed.len - 4, lies[i]);
        assert_int_equal(expand(f, ut_buf_bytes(&packed)), UT_EFORMAT);
        assert_non_null(strstr(f->fault.text_z, "the size is wrong"));
        assert_true(lies[i] == UINT32_MAX ||
                    f->out.cap < 1000000); // grown as needed, far from its ceiling
        ut_buf_free(&f->out);
    }
    ut_buf_free(&packed);
    ut_buf_free(&bytes);
}

// 48 MiB of zeros, which take some 50 KB: the size at the end is true or says nothing of them.
static void a_bomb_is_refused_at_the_ceiling(void **state)
{
    fixture *f = *state;
    enum { CEILING = 1 << 20 };
    ut_buf zeros, packed;
    ut_buf_init(&zeros, BYTES_MAX);
    ut_buf_init(&packed, BYTES_MAX);
    uint8_t *at = ut_buf_reserve(&zeros, 48 << 20);
    assert_non_null(at);
    memset(at, 0, 48 << 20);
    zeros.len = 48 << 20;
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&zeros), 9, &packed), UT_OK);
    for (int lie = 0; lie < 2; lie++) {
        if (lie == 1)
            ut_put_le32(packed.data + packed.len - 4, 10);
        ut_buf out;
        ut_buf_init(&out, CEILING);
        assert_int_equal(ut_gzip_expand(f->gzip, ut_buf_bytes(&packed), &out, &f->fault),
                         UT_ELIMIT);
        assert_non_null(strstr(f->fault.text_z, "limit of 1048576 bytes"));
        assert_true(out.cap <= CEILING);
        ut_buf_free(&out);
    }
    ut_buf_free(&packed);
    ut_buf_free(&zeros);
}

static void the_ceiling_itself_may_be_reached(void **state)
{
    fixture *f = *state;
    ut_buf bytes = some_bytes(5000);
    ut_buf packed;
    ut_buf_init(&packed, BYTES_MAX);
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&bytes), 1, &packed), UT_OK);
    ut_buf out;
    ut_buf_init(&out, 5000);
    assert_int_equal(ut_gzip_expand(f->gzip, ut_buf_bytes(&packed), &out, &f->fault), UT_OK);
    ut_buf_free(&out);
    ut_buf_init(&out, 4999);
    assert_int_equal(ut_gzip_expand(f->gzip, ut_buf_bytes(&packed), &out, &f->fault), UT_ELIMIT);
    ut_buf_free(&out);
    // Likewise on the way out, where the worst case is more than what comes out.
    ut_buf_init(&out, packed.len);
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&bytes), 1, &out), UT_OK);
    ut_buf_free(&out);
    ut_buf_init(&out, packed.len - 1);
    assert_int_equal(ut_gzip_compress(f->gzip, ut_buf_bytes(&bytes), 1, &out), UT_ELIMIT);
    ut_buf_free(&out);
    ut_buf_free(&packed);
    ut_buf_free(&bytes);
}

static void members_that_are_empty_do_not_end_in_trouble(void **state)
{
    fixture *f = *state;
    ut_buf packed;
    ut_buf_init(&packed, BYTES_MAX);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ut_gzip_compress(f->gzip, UT_BYTES_NONE, 1, &packed), UT_OK);
    assert_int_equal(expand(f, ut_buf_bytes(&packed)), UT_OK);
    assert_int_equal(f->out.len, 0);
    ut_buf_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_level_and_size_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(both_ways_append, setup, teardown),
        cmocka_unit_test_setup_teardown(optional_header_fields_are_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(several_members_are_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cut_at_any_byte_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fault_says_what_and_where, setup, teardown),
        cmocka_unit_test_setup_teardown(zeros_behind_the_last_member_are_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_size_that_lies_is_found_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bomb_is_refused_at_the_ceiling, setup, teardown),
        cmocka_unit_test_setup_teardown(the_ceiling_itself_may_be_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(members_that_are_empty_do_not_end_in_trouble, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
