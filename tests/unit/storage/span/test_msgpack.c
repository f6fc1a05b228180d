// Tests of storage/span/msgpack.
#include "storage/span/msgpack.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { BUF_MAX = 1 << 20 };

// Moves bytes into memory that ends exactly where they do, so that the address sanitizer sees a
// read behind it. Returns that memory, to be freed.
static uint8_t *move_to_exact(ut_bytes *bytes)
{
    uint8_t *copy = malloc(bytes->len == 0 ? 1 : bytes->len);
    assert_non_null(copy);
    if (bytes->len > 0)
        memcpy(copy, bytes->data, bytes->len);
    bytes->data = copy;
    return copy;
}

static void assert_bytes(const ut_buf *buf, const char *expected, size_t len)
{
    assert_int_equal(buf->err, UT_OK);
    assert_int_equal(buf->len, len);
    assert_memory_equal(buf->data, expected, len);
}

#define ASSERT_BYTES(buf, literal) assert_bytes((buf), (literal), sizeof(literal) - 1)

static void integers_take_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *bytes;
        size_t len;
    } rows[] = {
        {0, "\x00", 1},
        {127, "\x7f", 1},
        {128, "\xcc\x80", 2},
        {255, "\xcc\xff", 2},
        {256, "\xcd\x01\x00", 3},
        {65535, "\xcd\xff\xff", 3},
        {65536, "\xce\x00\x01\x00\x00", 5},
        {4294967295, "\xce\xff\xff\xff\xff", 5},
        {4294967296, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {INT64_MAX, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9},
        {-1, "\xff", 1},
        {-32, "\xe0", 1},
        {-33, "\xd0\xdf", 2},
        {-128, "\xd0\x80", 2},
        {-129, "\xd1\xff\x7f", 3},
        {-32768, "\xd1\x80\x00", 3},
        {-32769, "\xd2\xff\xff\x7f\xff", 5},
        {INT32_MIN, "\xd2\x80\x00\x00\x00", 5},
        {(int64_t)INT32_MIN - 1, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", 9},
        {INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9},
    };
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ut_buf_reset(&buf, BUF_MAX);
        ut_mp_put_int(&buf, rows[i].value);
        assert_bytes(&buf, rows[i].bytes, rows[i].len);
        ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
        assert_int_equal(ut_mp_peek(&reader), rows[i].value < 0 ? UT_MP_INT : UT_MP_UINT);
        assert_true(ut_mp_get_int(&reader) == rows[i].value);
        assert_int_equal(reader.err, UT_OK);
        assert_ptr_equal(reader.at, reader.end);
    }
    ut_buf_reset(&buf, BUF_MAX);
    ut_mp_put_uint(&buf, UINT64_MAX);
    ASSERT_BYTES(&buf, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    ut_buf_free(&buf);
}

static void other_writers_integers_are_read(void **state)
{
    (void)state;
    // Not the shortest, signed where unsigned would do, and float 32: allowed by the specification.
    static const uint8_t signed_five[][9] = {
        {0xd0, 5},
        {0xd1, 0, 5},
        {0xd2, 0, 0, 0, 5},
        {0xd3, 0, 0, 0, 0, 0, 0, 0, 5},
        {0xcf, 0, 0, 0, 0, 0, 0, 0, 5},
    };
    static const size_t lengths[] = {2, 3, 5, 9, 9};
    for (size_t i = 0; i < 5; i++) {
        ut_mp_reader reader = ut_mp_reader_of((ut_bytes){signed_five[i], lengths[i]});
        assert_int_equal(ut_mp_peek(&reader), UT_MP_UINT);
        assert_int_equal(ut_mp_get_uint(&reader), 5);
        assert_int_equal(reader.err, UT_OK);
        assert_ptr_equal(reader.at, reader.end);
    }
    ut_mp_reader reader = ut_mp_reader_of(UT_BYTES_LIT("\xca\x3f\xc0\x00\x00"));
    assert_int_equal(ut_mp_peek(&reader), UT_MP_DOUBLE);
    assert_true(ut_mp_get_double(&reader) == 1.5);
    assert_int_equal(reader.err, UT_OK);
}

static void an_integer_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    ut_mp_reader reader = ut_mp_reader_of(UT_BYTES_LIT("\xff"));
    assert_int_equal(ut_mp_get_uint(&reader), 0);
    assert_int_equal(reader.err, UT_EFORMAT);
    reader = ut_mp_reader_of(UT_BYTES_LIT("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
    assert_int_equal(ut_mp_get_int(&reader), 0);
    assert_int_equal(reader.err, UT_EFORMAT);
}

static void doubles_keep_every_bit(void **state)
{
    (void)state;
    static const uint64_t rows[] = {0,
                                    UINT64_C(0x8000000000000000),
                                    UINT64_C(0x7ff0000000000000),
                                    UINT64_C(0x7ff8000000000000),
                                    UINT64_C(0xfff8000000000123),
                                    UINT64_C(1),
                                    UINT64_C(0x3fb999999999999a)};
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double value;
        memcpy(&value, &rows[i], sizeof value);
        ut_buf_reset(&buf, BUF_MAX);
        ut_mp_put_double(&buf, value);
        ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
        double back = ut_mp_get_double(&reader);
        assert_int_equal(reader.err, UT_OK);
        assert_memory_equal(&back, &rows[i], sizeof back);
    }
    ut_buf_free(&buf);
}

static void text_and_bytes_come_back_at_every_border_of_length(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,   1,   2,   3,     4,     5,     7,    8,   9,
                                     15,  16,  17,  30,    31,    32,    33,   254, 255,
                                     256, 257, 300, 65534, 65535, 65536, 70000};
    ut_random random = {1};
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    uint8_t *data = malloc(70000);
    assert_non_null(data);
    for (size_t i = 0; i < 70000; i++)
        data[i] = (uint8_t)ut_random_next(&random);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ut_bytes value = {data, lengths[i]};
        ut_buf_reset(&buf, BUF_MAX);
        ut_mp_put_str(&buf, value);
        ut_mp_put_bin(&buf, value);
        ut_bytes copy = ut_buf_bytes(&buf);
        uint8_t *bytes = move_to_exact(&copy);
        ut_mp_reader reader = ut_mp_reader_of(copy);
        assert_int_equal(ut_mp_peek(&reader), UT_MP_STR);
        assert_true(ut_bytes_equal(ut_mp_get_str(&reader), value));
        assert_int_equal(ut_mp_peek(&reader), UT_MP_BIN);
        assert_true(ut_bytes_equal(ut_mp_get_bin(&reader), value));
        assert_int_equal(reader.err, UT_OK);
        assert_ptr_equal(reader.at, reader.end);
        free(bytes);
    }
    free(data);
    ut_buf_free(&buf);
}

static void counts_take_the_shortest_form(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536, 70000};
    static const size_t heads[] = {1, 1, 1, 3, 3, 5, 5};
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (int map = 0; map < 2; map++) {
            ut_buf_reset(&buf, BUF_MAX);
            if (map)
                ut_mp_put_map(&buf, counts[i]);
            else
                ut_mp_put_array(&buf, counts[i]);
            assert_int_equal(buf.len, heads[i]);
            for (uint32_t n = counts[i] * (map ? 2u : 1u); n > 0; n--)
                ut_mp_put_nil(&buf);
            ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
            assert_int_equal(ut_mp_peek(&reader), map ? UT_MP_MAP : UT_MP_ARRAY);
            assert_int_equal(map ? ut_mp_get_map(&reader) : ut_mp_get_array(&reader), counts[i]);
            assert_int_equal(reader.err, UT_OK);
        }
    }
    ut_buf_free(&buf);
}

static void an_open_array_gets_its_count_later(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    ut_mp_put_bool(&buf, true);
    size_t at = ut_mp_put_array_open(&buf);
    ut_mp_put_nil(&buf);
    ut_mp_put_bool(&buf, false);
    ut_mp_set_array_count(&buf, at, 2);
    ASSERT_BYTES(&buf, "\xc3\xdd\x00\x00\x00\x02\xc0\xc2");
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    assert_true(ut_mp_get_bool(&reader));
    assert_int_equal(ut_mp_get_array(&reader), 2);
    ut_mp_get_nil(&reader);
    assert_false(ut_mp_get_bool(&reader));
    assert_int_equal(reader.err, UT_OK);
    ut_buf_free(&buf);
}

static void a_count_set_later_takes_the_shortest_form(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 15, 16, UINT16_MAX, UINT16_MAX + 1u, UINT32_MAX};
    for (size_t i = 0; i < 2 * sizeof counts / sizeof counts[0]; i++) {
        void (*const put)(ut_buf *, uint32_t) = i % 2 == 0 ? ut_mp_put_map : ut_mp_put_array;
        ut_buf at_once;
        ut_buf later;
        ut_buf_init(&at_once, 64);
        ut_buf_init(&later, 64);
        ut_mp_put_uint(&at_once, 7);
        put(&at_once, counts[i / 2]);
        ut_mp_put_str(&at_once, UT_BYTES_LIT("content"));
        ut_mp_put_uint(&later, 7);
        put(&later, 0);
        ut_mp_put_str(&later, UT_BYTES_LIT("content"));
        ut_mp_set_count(&later, 1, counts[i / 2]);
        assert_true(ut_bytes_equal(ut_buf_bytes(&later), ut_buf_bytes(&at_once)));
        ut_buf_free(&at_once);
        ut_buf_free(&later);
    }
}

static void a_full_buffer_keeps_its_error(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, 16);
    size_t at = 0;
    for (int i = 0; i < 4; i++)
        at = ut_mp_put_array_open(&buf);
    assert_int_equal(buf.err, UT_ELIMIT);
    ut_mp_set_array_count(&buf, at, 1); // nothing was written there
    ut_mp_put_str(&buf, UT_BYTES_LIT("x"));
    ut_mp_put_int(&buf, -1);
    ut_mp_put_double(&buf, 1);
    ut_mp_put_map(&buf, 1);
    assert_int_equal(buf.err, UT_ELIMIT);
    assert_in_range(buf.len, 0, 16);
    ut_buf_free(&buf);
}

static void text_beyond_32_bits_is_refused(void **state)
{
    (void)state;
    if (sizeof(size_t) < 8)
        skip();
    ut_buf buf;
    ut_buf_init(&buf, SIZE_MAX);
    uint8_t one = 0;
    ut_mp_put_str(&buf, (ut_bytes){&one, (size_t)((uint64_t)1 << 32)}); // never read
    assert_int_equal(buf.err, UT_ELIMIT);
    ut_buf_reset(&buf, 0);
    ut_mp_put_bin(&buf, (ut_bytes){&one, (size_t)((uint64_t)1 << 32)});
    assert_int_equal(buf.err, UT_ELIMIT);
    ut_buf_free(&buf);
}

// Calls the reader of one type on bytes; returns the error.
static ut_err get(ut_mp_reader *reader, ut_mp_type type)
{
    switch (type) {
    case UT_MP_NIL:
        ut_mp_get_nil(reader);
        break;
    case UT_MP_BOOL:
        (void)ut_mp_get_bool(reader);
        break;
    case UT_MP_UINT:
        (void)ut_mp_get_uint(reader);
        break;
    case UT_MP_INT:
        (void)ut_mp_get_int(reader);
        break;
    case UT_MP_DOUBLE:
        (void)ut_mp_get_double(reader);
        break;
    case UT_MP_STR:
        (void)ut_mp_get_str(reader);
        break;
    case UT_MP_BIN:
        (void)ut_mp_get_bin(reader);
        break;
    case UT_MP_ARRAY:
        (void)ut_mp_get_array(reader);
        break;
    case UT_MP_MAP:
        (void)ut_mp_get_map(reader);
        break;
    case UT_MP_INVALID:
        break;
    }
    return reader->err;
}

static void each_reader_takes_only_its_own_type(void **state)
{
    (void)state;
    // Every tag, followed by zeros: lengths and counts are zero, numbers positive, one value is
    // whole.
    for (unsigned tag = 0; tag < 256; tag++) {
        uint8_t data[72] = {(uint8_t)tag};
        ut_mp_reader reader = ut_mp_reader_of((ut_bytes){data, sizeof data});
        ut_mp_type actual = ut_mp_peek(&reader);
        for (int type = UT_MP_NIL; type < UT_MP_INVALID; type++) {
            reader = ut_mp_reader_of((ut_bytes){data, sizeof data});
            bool fits = (int)actual == type || (actual == UT_MP_UINT && type == UT_MP_INT);
            ut_err err = get(&reader, (ut_mp_type)type);
            if ((err == UT_OK) != fits)
                fail_msg("tag %02x read as type %d gives %d", tag, type, (int)err);
            if (err != UT_OK)
                assert_ptr_equal(reader.at, reader.end);
        }
        reader = ut_mp_reader_of((ut_bytes){data, sizeof data});
        (void)ut_mp_skip(&reader);
        assert_int_equal(reader.err, actual == UT_MP_INVALID ? UT_EFORMAT : UT_OK);
    }
}

static void a_reader_that_failed_reads_nothing_more(void **state)
{
    (void)state;
    ut_mp_reader reader = ut_mp_reader_of(UT_BYTES_LIT("\x01\x02\xa1x"));
    (void)ut_mp_get_str(&reader);
    assert_int_equal(reader.err, UT_EFORMAT);
    assert_int_equal(ut_mp_peek(&reader), UT_MP_INVALID);
    assert_int_equal(ut_mp_get_uint(&reader), 0);
    assert_int_equal(ut_mp_get_array(&reader), 0);
    assert_int_equal(ut_mp_get_str(&reader).len, 0);
    assert_int_equal(ut_mp_skip(&reader).len, 0);
    assert_int_equal(reader.err, UT_EFORMAT);
}

static void every_cut_value_is_refused(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    static const uint8_t text[300] = "some text";
    for (int kind = 0; kind < 13; kind++) {
        ut_buf_reset(&buf, BUF_MAX);
        switch (kind) {
        case 0:
            ut_mp_put_nil(&buf);
            break;
        case 1:
            ut_mp_put_bool(&buf, true);
            break;
        case 2:
            ut_mp_put_uint(&buf, 200);
            break;
        case 3:
            ut_mp_put_uint(&buf, 40000);
            break;
        case 4:
            ut_mp_put_uint(&buf, 3000000000);
            break;
        case 5:
            ut_mp_put_int(&buf, INT64_MIN);
            break;
        case 6:
            ut_mp_put_double(&buf, 0.1);
            break;
        case 7:
            ut_mp_put_str(&buf, (ut_bytes){text, 9});
            break;
        case 8:
            ut_mp_put_str(&buf, (ut_bytes){text, 300});
            break;
        case 9:
            ut_mp_put_bin(&buf, (ut_bytes){text, 40});
            break;
        case 10:
            ut_mp_put_array(&buf, 20);
            for (int i = 0; i < 20; i++)
                ut_mp_put_int(&buf, -200);
            break;
        case 11:
            ut_mp_put_map(&buf, 17);
            for (int i = 0; i < 34; i++)
                ut_mp_put_bool(&buf, false);
            break;
        default:
            for (int i = 0; i < 40; i++)
                ut_mp_put_array(&buf, 1);
            ut_mp_put_nil(&buf);
            break;
        }
        ut_mp_reader whole = ut_mp_reader_of(ut_buf_bytes(&buf));
        ut_mp_type type = ut_mp_peek(&whole);
        assert_int_equal(ut_mp_skip(&whole).len, buf.len);
        assert_int_equal(whole.err, UT_OK);
        for (size_t len = 0; len < buf.len; len++) {
            ut_bytes copy = {buf.data, len};
            uint8_t *bytes = move_to_exact(&copy);
            ut_mp_reader reader = ut_mp_reader_of(copy);
            assert_int_equal(ut_mp_skip(&reader).len, 0);
            assert_int_equal(reader.err, UT_EFORMAT);
            reader = ut_mp_reader_of(copy);
            // A container's head may be whole while its content is cut; but no count exceeds what
            // is left.
            if (type != UT_MP_ARRAY && type != UT_MP_MAP)
                assert_int_equal(get(&reader, type), UT_EFORMAT);
            free(bytes);
        }
    }
    ut_buf_free(&buf);
}

static void counts_beyond_the_input_are_refused(void **state)
{
    (void)state;
    static const ut_bytes rows[] = {
        UT_BYTES_LIT("\xdd\xff\xff\xff\xff\xc0\xc0"),
        UT_BYTES_LIT("\xdf\xff\xff\xff\xff\xc0\xc0"),
        UT_BYTES_LIT("\xdf\x80\x00\x00\x00\xc0\xc0"),
        UT_BYTES_LIT("\xdc\x00\x03\xc0\xc0"),
        UT_BYTES_LIT("\xde\x00\x02\xc0\xc0\xc0"),
        UT_BYTES_LIT("\x93\xc0\xc0"),
        UT_BYTES_LIT("\x82\xc0\xc0\xc0"),
        UT_BYTES_LIT("\xdb\xff\xff\xff\xffx"),
        UT_BYTES_LIT("\xc6\xff\xff\xff\xffx"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ut_bytes copy = rows[i];
        uint8_t *bytes = move_to_exact(&copy);
        ut_mp_reader reader = ut_mp_reader_of(copy);
        ut_mp_type type = ut_mp_peek(&reader);
        assert_int_equal(get(&reader, type), UT_EFORMAT);
        reader = ut_mp_reader_of(copy);
        (void)ut_mp_skip(&reader);
        assert_int_equal(reader.err, UT_EFORMAT);
        free(bytes);
    }
}

static void skip_follows_nesting_up_to_its_limit(void **state)
{
    (void)state;
    ut_buf buf;
    ut_buf_init(&buf, BUF_MAX);
    for (unsigned depth = UT_MP_DEPTH_MAX - 1; depth <= UT_MP_DEPTH_MAX + 1; depth++) {
        for (int kind = 0; kind < 3; kind++) {
            ut_buf_reset(&buf, BUF_MAX);
            for (unsigned i = 1; i < depth; i++) {
                if (kind == 0) {
                    ut_mp_put_array(&buf, 1);
                } else {
                    ut_mp_put_map(&buf, 1);
                    ut_mp_put_nil(&buf);
                }
            }
            ut_mp_put_array(
                &buf, kind == 2 ? 0 : 1); // the innermost may be empty: it is a level all the same
            if (kind != 2)
                ut_mp_put_nil(&buf);
            ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
            ut_bytes raw = ut_mp_skip(&reader);
            assert_int_equal(reader.err, depth <= UT_MP_DEPTH_MAX ? UT_OK : UT_EFORMAT);
            assert_int_equal(raw.len, depth <= UT_MP_DEPTH_MAX ? buf.len : 0);
        }
    }
    // Far beyond it no stack is used up.
    ut_buf_reset(&buf, BUF_MAX);
    for (int i = 0; i < 500000; i++)
        ut_mp_put_array(&buf, 1);
    ut_mp_put_nil(&buf);
    ut_mp_reader reader = ut_mp_reader_of(ut_buf_bytes(&buf));
    (void)ut_mp_skip(&reader);
    assert_int_equal(reader.err, UT_EFORMAT);
    ut_buf_free(&buf);
}

static void skip_passes_exactly_one_value(void **state)
{
    (void)state;
    // The parts of random span records, passed one by one, end where the record ends.
    for (uint64_t seed = 1; seed <= 50; seed++) {
        ut_batch batch;
        ut_batch_init(&batch, 1 << 26);
        ut_random_batch(seed, 20, UT_RANDOM_ALL, &batch);
        assert_int_equal(ut_batch_error(&batch), UT_OK);
        for (uint32_t i = 0; i < batch.span_count; i++) {
            const ut_batch_span *entry = &ut_batch_spans(&batch)[i];
            ut_bytes record = {batch.span_bytes.data + entry->offset, entry->len};
            ut_mp_reader reader = ut_mp_reader_of(record);
            ut_bytes raw = ut_mp_skip(&reader);
            if (raw.len != record.len || reader.err != UT_OK)
                fail_msg("seed %u, span %u", (unsigned)seed, (unsigned)i);
            reader = ut_mp_reader_of(record);
            size_t total = 1;
            for (uint32_t n = ut_mp_get_array(&reader); n > 0; n--)
                total += ut_mp_skip(&reader).len;
            assert_int_equal(total, record.len);
            assert_int_equal(reader.err, UT_OK);
        }
        ut_batch_free(&batch);
    }
}

static void empty_input_is_refused(void **state)
{
    (void)state;
    for (int type = UT_MP_NIL; type < UT_MP_INVALID; type++) {
        ut_mp_reader reader = ut_mp_reader_of(UT_BYTES_NONE);
        assert_int_equal(ut_mp_peek(&reader), UT_MP_INVALID);
        assert_int_equal(get(&reader, (ut_mp_type)type), UT_EFORMAT);
    }
    ut_mp_reader reader = ut_mp_reader_of(UT_BYTES_NONE);
    assert_int_equal(ut_mp_skip(&reader).len, 0);
    assert_int_equal(reader.err, UT_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_the_shortest_form),
        cmocka_unit_test(other_writers_integers_are_read),
        cmocka_unit_test(an_integer_that_does_not_fit_is_refused),
        cmocka_unit_test(doubles_keep_every_bit),
        cmocka_unit_test(text_and_bytes_come_back_at_every_border_of_length),
        cmocka_unit_test(counts_take_the_shortest_form),
        cmocka_unit_test(an_open_array_gets_its_count_later),
        cmocka_unit_test(a_count_set_later_takes_the_shortest_form),
        cmocka_unit_test(a_full_buffer_keeps_its_error),
        cmocka_unit_test(text_beyond_32_bits_is_refused),
        cmocka_unit_test(each_reader_takes_only_its_own_type),
        cmocka_unit_test(a_reader_that_failed_reads_nothing_more),
        cmocka_unit_test(every_cut_value_is_refused),
        cmocka_unit_test(counts_beyond_the_input_are_refused),
        cmocka_unit_test(skip_follows_nesting_up_to_its_limit),
        cmocka_unit_test(skip_passes_exactly_one_value),
        cmocka_unit_test(empty_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
