// Tests of storage/store/key.
#include "storage/store/key.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint8_t trace_id[UT_TRACE_ID_LEN] = {0xa0, 1, 2,  3,  4,  5,  6,  7,
                                                  8,    9, 10, 11, 12, 13, 14, 0xaf};

static void assert_key(ut_key key, const char *expected, size_t len)
{
    assert_int_equal(key.len, len);
    assert_memory_equal(key.data, expected, len);
}

#define ASSERT_KEY(key, literal) assert_key((key), (literal), sizeof(literal) - 1)

static void keys_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    uint64_t seq = UINT64_C(0x0102030405060708);
    ASSERT_KEY(ut_key_meta("version"), "Mversion");
    ASSERT_KEY(ut_key_org(1), "O\0\0\0\1");
    ASSERT_KEY(ut_key_destination(1, 2), "P\0\0\0\1\0\0\0\2");
    ASSERT_KEY(ut_key_piece(0x11223344, seq, 0x1234),
               "B\x11\x22\x33\x44\1\2\3\4\5\6\7\x08\x12\x34");
    ASSERT_KEY(ut_key_trace_part(1, trace_id, seq, 0xfe),
               "T\0\0\0\1\xa0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\xaf"
               "\1\2\3\4\5\6\7\x08\xfe");
    const ut_key entry = ut_key_trace(1, trace_id, seq);
    const ut_key part = ut_key_trace_part(1, trace_id, seq, 0);
    assert_true(ut_bytes_equal(ut_key_bytes(&part), ut_key_bytes(&entry)));
    ASSERT_KEY(ut_key_trace(1, trace_id, seq),
               "T\0\0\0\1\xa0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\xaf\1\2\3\4\5\6\7\x08");
    ASSERT_KEY(ut_key_root(1, seq, trace_id),
               "R\0\0\0\1\1\2\3\4\5\6\7\x08\xa0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\xaf");
    ASSERT_KEY(ut_key_summary(1, seq), "Z\0\0\0\1\1\2\3\4\5\6\7\x08");
    ASSERT_KEY(ut_key_delivery(1, 2, seq), "D\0\0\0\1\0\0\0\2\1\2\3\4\5\6\7\x08");
    ASSERT_KEY(ut_key_dead(1, 2, seq), "L\0\0\0\1\0\0\0\2\1\2\3\4\5\6\7\x08");
    ASSERT_KEY(ut_key_expiry(3, 1, seq), "X\0\0\0\3\0\0\0\1\1\2\3\4\5\6\7\x08");
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    ut_random random = {7};
    for (int i = 0; i < 1000; i++) {
        uint32_t org = (uint32_t)ut_random_next(&random);
        uint32_t dest = (uint32_t)ut_random_next(&random);
        uint32_t hour = (uint32_t)ut_random_next(&random);
        uint64_t seq = ut_random_next(&random);
        uint32_t got_org, got_dest, got_hour;
        uint64_t got_seq;
        uint8_t got_id[UT_TRACE_ID_LEN];

        uint32_t piece = dest % UT_KEY_PIECES_MAX;
        uint32_t got_piece;
        ut_key key = ut_key_piece(org, seq, piece);
        assert_true(ut_key_read_piece(ut_key_bytes(&key), &got_org, &got_seq, &got_piece));
        assert_true(got_org == org && got_seq == seq && got_piece == piece);
        key = ut_key_summary(org, seq);
        assert_true(ut_key_read_summary(ut_key_bytes(&key), &got_org, &got_seq));
        assert_true(got_org == org && got_seq == seq);
        key = ut_key_trace(org, trace_id, seq);
        assert_true(ut_key_read_trace(ut_key_bytes(&key), &got_org, got_id, &got_seq));
        assert_true(got_org == org && got_seq == seq);
        assert_memory_equal(got_id, trace_id, sizeof got_id);
        key = ut_key_root(org, seq, trace_id);
        memset(got_id, 0, sizeof got_id);
        assert_true(ut_key_read_root(ut_key_bytes(&key), &got_org, &got_seq, got_id));
        assert_true(got_org == org && got_seq == seq);
        assert_memory_equal(got_id, trace_id, sizeof got_id);
        key = ut_key_destination(org, dest);
        assert_true(ut_key_read_destination(ut_key_bytes(&key), &got_org, &got_dest));
        assert_true(got_org == org && got_dest == dest);
        key = ut_key_delivery(org, dest, seq);
        assert_true(ut_key_read_delivery(ut_key_bytes(&key), &got_org, &got_dest, &got_seq));
        assert_true(got_org == org && got_dest == dest && got_seq == seq);
        key = ut_key_dead(org, dest, seq);
        assert_true(ut_key_read_delivery(ut_key_bytes(&key), &got_org, &got_dest, &got_seq));
        assert_true(got_org == org && got_dest == dest && got_seq == seq);
        key = ut_key_expiry(hour, org, seq);
        assert_true(ut_key_read_expiry(ut_key_bytes(&key), &got_hour, &got_org, &got_seq));
        assert_true(got_org == org && got_hour == hour && got_seq == seq);
    }
}

static bool reader_takes(ut_bytes bytes, char kind)
{
    uint32_t a, b;
    uint64_t seq;
    uint8_t id[UT_TRACE_ID_LEN];
    switch (kind) {
    case 'P':
        return ut_key_read_destination(bytes, &a, &b);
    case 'B':
        return ut_key_read_piece(bytes, &a, &seq, &b);
    case 'Z':
        return ut_key_read_summary(bytes, &a, &seq);
    case 'T':
        return ut_key_read_trace(bytes, &a, id, &seq);
    case 'R':
        return ut_key_read_root(bytes, &a, &seq, id);
    case 'D':
        return ut_key_read_delivery(bytes, &a, &b, &seq);
    default:
        return ut_key_read_expiry(bytes, &a, &b, &seq);
    }
}

static void a_reader_refuses_other_kinds_and_lengths(void **state)
{
    (void)state;
    static const char readers[] = "PBZTRDX";
    const ut_key keys[] = {ut_key_meta("seq"),          ut_key_org(1),
                           ut_key_destination(1, 2),    ut_key_piece(1, 2, 3),
                           ut_key_summary(1, 2),        ut_key_trace(1, trace_id, 2),
                           ut_key_root(1, 2, trace_id), ut_key_delivery(1, 2, 3),
                           ut_key_dead(1, 2, 3),        ut_key_expiry(1, 2, 3)};
    static const char reader_of[] = "  PBZTRDDX";
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        for (const char *reader = readers; *reader != '\0'; reader++) {
            for (size_t len = 0; len <= UT_KEY_MAX; len++) {
                bool taken = reader_takes((ut_bytes){len == 0 ? NULL : keys[i].data, len}, *reader);
                bool expected = len == keys[i].len && *reader == reader_of[i];
                if (taken != expected)
                    fail_msg("key %c of %u bytes, reader %c", keys[i].data[0], (unsigned)len,
                             *reader);
            }
        }
    }
}

static int compare(ut_key a, ut_key b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static void order_of_keys_is_order_of_numbers(void **state)
{
    (void)state;
    ut_random random = {9};
    for (int i = 0; i < 10000; i++) {
        uint64_t a = ut_random_next(&random) >> ut_random_below(&random, 64);
        uint64_t b = ut_random_next(&random) >> ut_random_below(&random, 64);
        if (a == b)
            continue;
        bool less = a < b;
        assert_int_equal(compare(ut_key_piece(1, a, 9), ut_key_piece(1, b, 1)) < 0, less);
        assert_int_equal(compare(ut_key_root(1, a, trace_id), ut_key_root(1, b, trace_id)) < 0,
                         less);
        assert_int_equal(compare(ut_key_delivery(1, 2, a), ut_key_delivery(1, 2, b)) < 0, less);
        uint32_t x = (uint32_t)a, y = (uint32_t)b;
        if (x != y) {
            // An hour weighs more than an organisation, an organisation more than a sequence
            // number.
            assert_int_equal(compare(ut_key_expiry(x, 9, a), ut_key_expiry(y, 1, b)) < 0, x < y);
            assert_int_equal(compare(ut_key_piece(x, a, 9), ut_key_piece(y, b, 1)) < 0, x < y);
        }
    }
}

// Entry, its parts, then the entry of the next block; a piece of one block, then one of the next.
static void parts_and_pieces_stand_behind_what_they_belong_to(void **state)
{
    (void)state;
    const ut_key entry = ut_key_trace(1, trace_id, 7);
    const ut_key part = ut_key_trace_part(1, trace_id, 7, 1);
    const ut_key behind = ut_key_trace_part(1, trace_id, 7, UINT8_MAX);
    assert_true(compare(entry, part) < 0 && compare(part, behind) < 0);
    assert_true(compare(behind, ut_key_trace(1, trace_id, 8)) < 0);
    assert_true(ut_key_begins_with(ut_key_bytes(&part), &entry));
    assert_false(ut_key_begins_with(ut_key_bytes(&entry), &part));
    assert_true(compare(ut_key_piece(1, 7, 1), ut_key_piece(1, 7, 256)) < 0);
    assert_true(compare(ut_key_piece(1, 7, UT_KEY_PIECES_MAX - 1), ut_key_piece(1, 8, 0)) < 0);

    uint32_t org;
    uint8_t id[UT_TRACE_ID_LEN];
    uint64_t seq = 0;
    assert_true(ut_key_read_entry(ut_key_bytes(&part), &org, id, &seq));
    assert_true(org == 1 && seq == 7);
    assert_memory_equal(id, trace_id, sizeof id);
    assert_false(ut_key_read_trace(ut_key_bytes(&part), &org, id, &seq));
    ut_key longer = part;
    longer.data[longer.len++] = 1;
    assert_false(ut_key_read_entry(ut_key_bytes(&longer), &org, id, &seq));
}

static void a_prefix_is_the_start_of_its_keys_and_no_others(void **state)
{
    (void)state;
    ut_key org = ut_key_prefix(ut_key_piece(5, 77, 0), UT_KEY_PREFIX_ORG);
    ASSERT_KEY(org, "B\0\0\0\5");
    ut_key trace = ut_key_prefix(ut_key_trace(5, trace_id, 77), UT_KEY_PREFIX_TRACE);
    assert_int_equal(trace.len, 1 + 4 + 16);
    assert_memory_equal(trace.data + 5, trace_id, sizeof trace_id);
    ut_key dest = ut_key_prefix(ut_key_dead(5, 6, 77), UT_KEY_PREFIX_DESTINATION);
    ASSERT_KEY(dest, "L\0\0\0\5\0\0\0\6");
    ut_key other = ut_key_piece(6, 77, 0);
    assert_int_not_equal(memcmp(other.data, org.data, org.len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_bytes_of_the_format),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_reader_refuses_other_kinds_and_lengths),
        cmocka_unit_test(order_of_keys_is_order_of_numbers),
        cmocka_unit_test(parts_and_pieces_stand_behind_what_they_belong_to),
        cmocka_unit_test(a_prefix_is_the_start_of_its_keys_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
