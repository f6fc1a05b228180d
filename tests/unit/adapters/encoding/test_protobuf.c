// Tests of adapters/encoding/protobuf.
#include "adapters/encoding/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint8_t *read_field(const char *bytes, size_t len, ut_pb_field *field)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return ut_pb_read_field(at, at + len, field);
}

#define READ(lit, field) read_field(lit, sizeof(lit) - 1, field)

static void varints_of_every_length_come_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t value = ((uint64_t)1 << bit) + (uint64_t)(int64_t)delta;
            uint8_t bytes[UT_PB_VARINT_LEN_MAX];
            uint8_t *end = ut_pb_write_varint(bytes, value);
            assert_int_equal(end - bytes, ut_pb_varint_len(value));
            uint64_t read = 0;
            assert_ptr_equal(ut_pb_read_varint(bytes, end, &read), end);
            assert_true(read == value);
            // Cut anywhere, it does not decode.
            for (const uint8_t *cut = bytes; cut < end; cut++)
                assert_null(ut_pb_read_varint(bytes, cut, &read));
        }
    }
}

static void a_varint_ends_after_ten_bytes(void **state)
{
    (void)state;
    static const uint8_t ten[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                     0x80, 0x80, 0x80, 0x80, 0x01};
    uint64_t value = 0;
    assert_non_null(ut_pb_read_varint(ten, ten + sizeof ten, &value));
    assert_true(value == UINT64_MAX);
    assert_null(ut_pb_read_varint(eleven, eleven + sizeof eleven, &value));
}

static void every_wire_type_is_read(void **state)
{
    (void)state;
    ut_pb_field field;
    assert_non_null(READ("\x08\x96\x01", &field));
    assert_int_equal(field.tag, UT_PB_TAG(1, UT_PB_VARINT));
    assert_int_equal(field.value, 150);
    assert_non_null(READ("\x11\x01\x02\x03\x04\x05\x06\x07\x08", &field));
    assert_int_equal(field.tag, UT_PB_TAG(2, UT_PB_I64));
    assert_true(field.value == UINT64_C(0x0807060504030201));
    assert_non_null(READ("\x1d\x01\x02\x03\x04", &field));
    assert_int_equal(field.value, 0x04030201);
    assert_non_null(READ("\x22\x03xyz", &field));
    assert_int_equal(field.tag, UT_PB_TAG(4, UT_PB_LEN));
    assert_int_equal(field.bytes.len, 3);
    assert_memory_equal(field.bytes.data, "xyz", 3);
    assert_non_null(READ("\x85\x01\x01\x01\x00\x00", &field));
    assert_int_equal(field.tag, UT_PB_TAG(16, UT_PB_I32));
    assert_int_equal(field.value, 257);
}

static void lengths_are_read_in_one_two_and_more_bytes(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 127, 128, 300, 16383, 16384, 70000};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        ut_buf content, out;
        ut_buf_init(&content, 1 << 20);
        ut_buf_init(&out, 1 << 20);
        for (size_t n = 0; n < lens[i]; n++)
            ut_buf_add_byte(&content, (uint8_t)n);
        ut_pb_put_bytes(&out, 9, ut_buf_bytes(&content));
        ut_pb_field field;
        const uint8_t *end = out.data + out.len;
        assert_ptr_equal(ut_pb_read_field(out.data, end, &field), end);
        assert_int_equal(field.tag, UT_PB_TAG(9, UT_PB_LEN));
        assert_true(ut_bytes_equal(field.bytes, ut_buf_bytes(&content)));
        assert_null(ut_pb_read_field(out.data, end - 1, &field));
        ut_buf_free(&content);
        ut_buf_free(&out);
    }
}

static void what_is_no_field_does_not_decode(void **state)
{
    (void)state;
    ut_pb_field field;
    assert_null(READ("\x02\x00", &field));                     // field number 0
    assert_null(READ("\x00\x00", &field));                     // likewise
    assert_null(READ("\x0e\x00", &field));                     // wire type 6
    assert_null(READ("\x0f\x00", &field));                     // wire type 7
    assert_null(READ("\x0c", &field));                         // end of a group not open
    assert_null(READ("\x80\x80\x80\x80\x80\x01\x00", &field)); // a tag above 32 bits
    assert_null(READ("\x0a\x05"
                     "abcd",
                     &field));                                                 // runs past the end
    assert_null(READ("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &field)); // by far
    assert_null(READ("\x09\x01\x02\x03", &field));                             // cut
    assert_null(READ("\x0d\x01\x02\x03", &field));                             // cut
    assert_null(READ("\x08", &field));                                         // no value
    assert_null(READ("\x0a", &field));                                         // no length
}

static void groups_are_passed_whole(void **state)
{
    (void)state;
    ut_pb_field field;
    const char bytes[] = "\x0b\x10\x05\x1a\x02hi\x23\x24\x0c\x55";
    const uint8_t *next = read_field(bytes, sizeof bytes - 1, &field);
    assert_int_equal((const char *)next - bytes, sizeof bytes - 2);
    assert_int_equal(field.tag, UT_PB_TAG(1, UT_PB_GROUP));
    assert_null(READ("\x0b\x10\x05", &field)); // not ended
    assert_null(READ("\x0b\x14", &field));     // another group's end
    assert_null(READ("\x0b\x12\x05"
                     "a\x0c",
                     &field));                     // a length that runs past the end
    assert_null(READ("\x0b\x11\x01\x0c", &field)); // cut
    assert_null(READ("\x0b\x15\x01\x0c", &field)); // cut
    assert_null(READ("\x0b\x10\x80", &field));     // cut
    assert_null(READ("\x0b\x16\x0c", &field));     // wire type 6
    assert_null(READ("\x0b\x13\x0c\x14", &field)); // crossed
}

static void groups_nest_to_a_limit(void **state)
{
    (void)state;
    uint8_t bytes[2 * UT_PB_GROUP_DEPTH_MAX + 2] = {0};
    ut_pb_field field;
    memset(bytes, 0x0b, UT_PB_GROUP_DEPTH_MAX);
    memset(bytes + UT_PB_GROUP_DEPTH_MAX, 0x0c, UT_PB_GROUP_DEPTH_MAX);
    assert_non_null(ut_pb_read_field(bytes, bytes + 2 * UT_PB_GROUP_DEPTH_MAX, &field));
    memset(bytes, 0x0b, UT_PB_GROUP_DEPTH_MAX + 1);
    memset(bytes + UT_PB_GROUP_DEPTH_MAX + 1, 0x0c, UT_PB_GROUP_DEPTH_MAX + 1);
    assert_null(ut_pb_read_field(bytes, bytes + sizeof bytes, &field));
}

static void a_fault_is_told_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *wanted_z;
    } cases[] = {
        {"\x0a\x84\x07xx", 5, "length 900 runs past the end"},
        {"\x02\x00", 2, "field number 0 is not valid"},
        {"\x0e", 1, "wire type 6 does not exist"},
        {"\x0c", 1, "the end of a group that was not opened"},
        {"\x0b\x08\x01", 3, "a group that does not end, or is nested too deep"},
        {"\x80", 1, "the bytes end within a tag"},
        {"\x08\x80", 2, "the bytes end within a varint"},
        {"\x0a", 1, "the bytes end within a varint"},
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 12, "a varint of more than 10 bytes"},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11, "a tag of more than 10 bytes"},
        {"\x09\x01", 2, "the bytes end within a fixed-width value"},
        {"\x0d\x01", 2, "the bytes end within a fixed-width value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reason_z[UT_PB_REASON_MAX];
        const uint8_t *at = (const uint8_t *)cases[i].bytes;
        ut_pb_field field;
        assert_null(ut_pb_read_field(at, at + cases[i].len, &field));
        ut_pb_explain(at, at + cases[i].len, reason_z);
        assert_string_equal(reason_z, cases[i].wanted_z);
    }
}

static void a_slot_with_a_wrong_guess_still_gives_the_shortest_length(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 127, 128, 16383, 16384, 100000};
    static const size_t guesses[] = {0, 127, 128, 16384, 1 << 21};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        for (size_t j = 0; j < sizeof guesses / sizeof *guesses; j++) {
            ut_buf out, wanted;
            ut_buf_init(&out, 1 << 20);
            ut_buf_init(&wanted, 1 << 20);
            ut_pb_put_varint(&out, 1, 1);
            ut_pb_slot outer = ut_pb_open(&out, 2, guesses[j]);
            ut_pb_slot inner = ut_pb_open(&out, 16, guesses[j]);
            for (size_t n = 0; n < lens[i]; n++)
                ut_buf_add_byte(&out, (uint8_t)n);
            ut_pb_close(&out, inner);
            ut_pb_close(&out, outer);

            ut_buf content, nested;
            ut_buf_init(&content, 1 << 20);
            ut_buf_init(&nested, 1 << 20);
            for (size_t n = 0; n < lens[i]; n++)
                ut_buf_add_byte(&content, (uint8_t)n);
            ut_pb_put_bytes(&nested, 16, ut_buf_bytes(&content));
            ut_pb_put_varint(&wanted, 1, 1);
            ut_pb_put_bytes(&wanted, 2, ut_buf_bytes(&nested));
            assert_int_equal(out.len, wanted.len);
            assert_memory_equal(out.data, wanted.data, out.len);
            ut_buf_free(&content);
            ut_buf_free(&nested);
            ut_buf_free(&wanted);
            ut_buf_free(&out);
        }
    }
}

static void a_full_buffer_is_an_error_and_never_a_crash(void **state)
{
    (void)state;
    for (size_t max = 1; max < 200; max++) {
        ut_buf out;
        ut_buf_init(&out, max);
        ut_pb_slot outer = ut_pb_open(&out, 1, 0);
        ut_pb_put_varint(&out, 2, UINT64_MAX);
        ut_pb_put_i64(&out, 3, 1);
        ut_pb_slot inner = ut_pb_open(&out, 4, 0);
        ut_pb_put_i32(&out, 5, 1);
        for (int i = 0; i < 20; i++)
            ut_pb_put_bytes(&out, 6, UT_BYTES_LIT("text"));
        ut_pb_close(&out, inner);
        ut_pb_close(&out, outer);
        assert_true(out.err == UT_OK || out.err == UT_ELIMIT);
        assert_true(out.err == UT_OK || max < 180);
        ut_buf_free(&out);
    }
}

static const uint8_t three_fields[] = {0x08, 0x01, 0x12, 0x01, 'a', 0x08, 0x02};

static void a_walk_meets_every_field_with_its_place(void **state)
{
    (void)state;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(ut_bytes_of(three_fields, sizeof three_fields));
    static const size_t places[] = {0, 2, 5, 7};
    for (size_t i = 0; i < 3; i++) {
        assert_true(ut_pb_next(&walk, &field));
        assert_ptr_equal(walk.at, three_fields + places[i]);
        assert_ptr_equal(walk.next, three_fields + places[i + 1]);
    }
    assert_int_equal(field.value, 2);
    assert_false(ut_pb_next(&walk, &field));
    assert_false(ut_pb_failed(&walk));
}

static void a_walk_may_pass_all_fields_but_those_of_one_tag(void **state)
{
    (void)state;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(ut_bytes_of(three_fields, sizeof three_fields));
    assert_true(ut_pb_next_of(&walk, UT_PB_TAG(1, UT_PB_VARINT), &field));
    assert_int_equal(field.value, 1);
    assert_true(ut_pb_next_of(&walk, UT_PB_TAG(1, UT_PB_VARINT), &field));
    assert_int_equal(field.value, 2);
    assert_false(ut_pb_next_of(&walk, UT_PB_TAG(1, UT_PB_VARINT), &field));
    assert_false(ut_pb_failed(&walk));
}

static void a_walk_fails_at_the_field_that_does_not_decode(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < sizeof three_fields; cut++) {
        ut_pb_field field;
        ut_pb_walk walk = ut_pb_walk_of(ut_bytes_of(three_fields, cut));
        while (ut_pb_next(&walk, &field))
            assert_true(walk.next <= three_fields + cut);
        const bool whole = cut == 2 || cut == 5;
        assert_int_equal(ut_pb_failed(&walk), !whole);
        if (!whole)
            assert_ptr_equal(walk.at, three_fields + (cut < 2 ? 0 : cut < 5 ? 2 : 5));
    }
}

static void a_walk_over_nothing_ends_and_does_not_fail(void **state)
{
    (void)state;
    ut_pb_field field;
    ut_pb_walk walk = ut_pb_walk_of(UT_BYTES_NONE);
    assert_false(ut_pb_next(&walk, &field));
    assert_false(ut_pb_failed(&walk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_of_every_length_come_back),
        cmocka_unit_test(a_varint_ends_after_ten_bytes),
        cmocka_unit_test(every_wire_type_is_read),
        cmocka_unit_test(lengths_are_read_in_one_two_and_more_bytes),
        cmocka_unit_test(what_is_no_field_does_not_decode),
        cmocka_unit_test(groups_are_passed_whole),
        cmocka_unit_test(groups_nest_to_a_limit),
        cmocka_unit_test(a_fault_is_told_in_words),
        cmocka_unit_test(a_walk_meets_every_field_with_its_place),
        cmocka_unit_test(a_walk_may_pass_all_fields_but_those_of_one_tag),
        cmocka_unit_test(a_walk_fails_at_the_field_that_does_not_decode),
        cmocka_unit_test(a_walk_over_nothing_ends_and_does_not_fail),
        cmocka_unit_test(a_slot_with_a_wrong_guess_still_gives_the_shortest_length),
        cmocka_unit_test(a_full_buffer_is_an_error_and_never_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
