// Tests of storage/store/record: the values of index records, whole, cut and made up.
#include "storage/store/ordinal_list.h"
#include "storage/store/record.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

// One value of each kind, and a reader that takes any bytes.
typedef ut_err (*reader)(ut_bytes value);

static ut_err read_version(ut_bytes value)
{
    uint64_t version;
    return ut_record_read_version(value, &version);
}
static ut_err read_state(ut_bytes value)
{
    ut_record_state record;
    return ut_record_read_state(value, &record);
}
static ut_err read_destination(ut_bytes value)
{
    ut_store_destination record;
    return ut_record_read_destination(value, &record);
}
static ut_err read_trace(ut_bytes value)
{
    ut_record_trace record;
    ut_err err = ut_record_read_trace(value, &record);
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    while (err == UT_OK && ut_ordinal_list_next(&record.ordinals, &last, &ordinal))
        assert_true(ordinal < UT_BLOCK_SPANS_MAX);
    return err;
}
static ut_err read_root(ut_bytes value)
{
    ut_record_root record;
    return ut_record_read_root(value, &record);
}
static ut_err read_summary(ut_bytes value)
{
    ut_record_summary record;
    return ut_record_read_summary(value, &record);
}
static ut_err read_delivery(ut_bytes value)
{
    ut_delivery record;
    return ut_record_read_delivery(value, &record);
}

static const ut_record_state state_sample = {.next_seq = 70000,
                                             .counts = {1, 200, 3, 4, UINT64_MAX, 6},
                                             .clock = {.wall_ns = 1700000000000000000,
                                                       .up_ms = 5000,
                                                       .boot = UINT64_MAX,
                                                       .ahead_ns = -77,
                                                       .drift_ns = 12,
                                                       .jump_seq = 69999,
                                                       .jump_ns = 1600000000000000000}};
static const ut_store_destination destination_sample = {
    .name_z = "central", .active = true, .counts = {100, 50, 20, 10, 5}};
static const ut_record_root root_sample = {.seq = 12,
                                           .ordinal = 300,
                                           .has_root = true,
                                           .start_ns = 12345678901,
                                           .duration_ns = 5000000,
                                           .status = UT_STATUS_ERROR,
                                           .service = UT_BYTES_LIT("checkout"),
                                           .name = UT_BYTES_LIT("GET /cart")};
static const ut_record_summary summary_sample = {.span_count = 512,
                                                 .payload_len = 262144,
                                                 .sealed_len = 60000,
                                                 .expiry_hour = 480000,
                                                 .received_ns = UINT64_MAX,
                                                 .start_ns = 5,
                                                 .end_ns = 9,
                                                 .status_count = {400, 100, 12},
                                                 .latest_start_ns = 8,
                                                 .bloom = UT_BYTES_LIT("bits")};
static const ut_delivery delivery_sample = {.state = UT_DELIVERY_DELIVERED,
                                            .spans = 512,
                                            .attempts = 7,
                                            .next_try_ns = 1,
                                            .updated_ns = 2,
                                            .spans_dead = 3,
                                            .http_status = 503,
                                            .reason_z = "busy"};

static void write_trace_sample(ut_buf *out)
{
    static const uint8_t ids[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    ut_buf ordinals;
    uint32_t last = UINT32_MAX;
    ut_buf_init(&ordinals, 100);
    ut_ordinal_list_put(&ordinals, &last, 0);
    ut_ordinal_list_put(&ordinals, &last, 1);
    ut_ordinal_list_put(&ordinals, &last, 400);
    ut_record_trace trace = {.status = UT_STATUS_OK,
                             .has_root = true,
                             .has_root_key = true,
                             .root_known = true,
                             .start_ns = 1000,
                             .length_ns = 77,
                             .ordinals = ut_buf_bytes(&ordinals),
                             .span_ids = {ids, sizeof ids},
                             .root_seen_ns = 990};
    ut_record_write_trace(out, &trace);
    ut_buf_free(&ordinals);
}

static void write_sample(unsigned kind, ut_buf *out)
{
    switch (kind) {
    case 0:
        ut_record_write_version(out, UT_STORE_FORMAT_VERSION);
        break;
    case 1:
        ut_record_write_state(out, &state_sample);
        break;
    case 2:
        ut_record_write_destination(out, &destination_sample);
        break;
    case 3:
        write_trace_sample(out);
        break;
    case 4:
        ut_record_write_root(out, &root_sample);
        break;
    case 5:
        ut_record_write_summary(out, &summary_sample);
        break;
    default:
        ut_record_write_delivery(out, &delivery_sample);
        break;
    }
}

static const reader readers[] = {read_version, read_state,   read_destination, read_trace,
                                 read_root,    read_summary, read_delivery};
enum { KINDS = sizeof readers / sizeof *readers };

static void what_is_written_is_read(void **unused)
{
    (void)unused;
    ut_buf out;
    ut_buf_init(&out, 10000);
    write_sample(1, &out);
    ut_record_state state = {0};
    assert_int_equal(ut_record_read_state(ut_buf_bytes(&out), &state), UT_OK);
    assert_memory_equal(&state, &state_sample, sizeof state);

    ut_buf_reset(&out, SIZE_MAX);
    write_sample(2, &out);
    ut_store_destination destination = {0};
    assert_int_equal(ut_record_read_destination(ut_buf_bytes(&out), &destination), UT_OK);
    assert_string_equal(destination.name_z, "central");
    assert_true(destination.active);
    assert_memory_equal(&destination.counts, &destination_sample.counts, sizeof destination.counts);

    ut_buf_reset(&out, SIZE_MAX);
    write_sample(3, &out);
    ut_record_trace trace;
    assert_int_equal(ut_record_read_trace(ut_buf_bytes(&out), &trace), UT_OK);
    assert_int_equal(trace.count, 3);
    assert_int_equal(trace.status, UT_STATUS_OK);
    assert_true(trace.has_root && trace.has_root_key && trace.root_known);
    assert_int_equal(trace.start_ns, 1000);
    assert_int_equal(trace.length_ns, 77);
    assert_int_equal(trace.root_seen_ns, 990);
    uint32_t last = UINT32_MAX;
    uint32_t ordinal;
    static const uint32_t expected[3] = {0, 1, 400};
    for (unsigned i = 0; i < 3; i++) {
        assert_true(ut_ordinal_list_next(&trace.ordinals, &last, &ordinal));
        assert_int_equal(ordinal, expected[i]);
    }
    assert_false(ut_ordinal_list_next(&trace.ordinals, &last, &ordinal));

    ut_buf_reset(&out, SIZE_MAX);
    write_sample(4, &out);
    ut_record_root root;
    assert_int_equal(ut_record_read_root(ut_buf_bytes(&out), &root), UT_OK);
    assert_int_equal(root.seq, 12);
    assert_int_equal(root.ordinal, 300);
    assert_true(root.has_root);
    assert_int_equal(root.start_ns, 12345678901);
    assert_int_equal(root.duration_ns, 5000000);
    assert_int_equal(root.status, UT_STATUS_ERROR);
    assert_true(ut_bytes_equal(root.service, root_sample.service));
    assert_true(ut_bytes_equal(root.name, root_sample.name));

    ut_buf_reset(&out, SIZE_MAX);
    write_sample(5, &out);
    ut_record_summary summary = {0};
    assert_int_equal(ut_record_read_summary(ut_buf_bytes(&out), &summary), UT_OK);
    assert_true(ut_bytes_equal(summary.bloom, summary_sample.bloom));
    summary.bloom = summary_sample.bloom;
    assert_memory_equal(&summary, &summary_sample, sizeof summary);

    ut_buf_reset(&out, SIZE_MAX);
    write_sample(6, &out);
    ut_delivery delivery;
    assert_int_equal(ut_record_read_delivery(ut_buf_bytes(&out), &delivery), UT_OK);
    assert_memory_equal(&delivery, &delivery_sample, sizeof delivery);
    ut_buf_free(&out);
}

static void a_summary_of_an_older_version_says_less(void **unused)
{
    (void)unused;
    ut_buf out;
    ut_buf_init(&out, 10000);
    ut_record_write_summary(&out, &summary_sample);
    out.data[0] -= 2; // elements that it did not have
    ut_record_summary summary;
    assert_int_equal(ut_record_read_summary(ut_buf_bytes(&out), &summary), UT_OK);
    assert_int_equal(summary.end_ns, 9);
    assert_int_equal(summary.status_count[2], 12);
    assert_true(summary.latest_start_ns == UINT64_MAX);
    assert_int_equal(summary.bloom.len, 0);
    ut_buf_free(&out);
}

static void a_fresh_delivery_is_a_few_bytes(void **unused)
{
    (void)unused;
    ut_buf out;
    ut_buf_init(&out, 10000);
    ut_record_write_delivery(&out, &(ut_delivery){.spans = 512});
    assert_int_equal(out.len, 5);
    ut_delivery delivery;
    assert_int_equal(ut_record_read_delivery(ut_buf_bytes(&out), &delivery), UT_OK);
    assert_int_equal(delivery.spans, 512);
    assert_int_equal(delivery.state, UT_DELIVERY_PENDING);
    ut_buf_free(&out);
}

static void names_are_cut_between_characters(void **unused)
{
    (void)unused;
    ut_buf out;
    char name_z[300];
    ut_buf_init(&out, 10000);
    for (size_t i = 0; i < sizeof name_z; i++) // two bytes each
        name_z[i] = (char)(i % 2 == 0 ? 0xc3 : 0xa9);
    for (size_t shift = 0; shift < 2; shift++) {
        ut_record_root root = {.seq = 1,
                               .name = {(const uint8_t *)name_z, sizeof name_z},
                               .service = {(const uint8_t *)name_z, sizeof name_z}};
        if (shift == 1)
            name_z[0] = 'x', name_z[1] = (char)0xc3;
        for (size_t i = 2; shift == 1 && i < sizeof name_z; i++)
            name_z[i] = (char)(i % 2 == 0 ? 0xa9 : 0xc3);
        ut_buf_reset(&out, SIZE_MAX);
        ut_record_write_root(&out, &root);
        assert_int_equal(ut_record_read_root(ut_buf_bytes(&out), &root), UT_OK);
        assert_int_equal(root.name.len, UT_RECORD_NAME_MAX - shift);
        assert_int_equal(root.service.len, UT_RECORD_SERVICE_MAX - shift);
    }
    // Not UTF-8 at all: cut all the same.
    memset(name_z, 0x80, sizeof name_z);
    ut_record_root root = {.seq = 1, .name = {(const uint8_t *)name_z, sizeof name_z}};
    ut_buf_reset(&out, SIZE_MAX);
    ut_record_write_root(&out, &root);
    assert_int_equal(ut_record_read_root(ut_buf_bytes(&out), &root), UT_OK);
    assert_int_equal(root.name.len, UT_RECORD_NAME_MAX);
    ut_buf_free(&out);
}

static void a_reader_passes_what_a_later_version_appends(void **unused)
{
    (void)unused;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        ut_buf out;
        ut_buf_init(&out, 10000);
        write_sample(kind, &out);
        assert_true((out.data[0] & 0xf0) == 0x90 && out.data[0] < 0x9f);
        out.data[0] += 1; // one element more
        ut_mp_put_str(&out, UT_BYTES_LIT("new"));
        assert_int_equal(readers[kind](ut_buf_bytes(&out)), UT_OK);
        ut_buf_free(&out);
    }
}

static void cut_values_are_damage(void **unused)
{
    (void)unused;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        ut_buf out;
        ut_buf_init(&out, 10000);
        write_sample(kind, &out);
        for (size_t len = 0; len < out.len; len++) {
            uint8_t *exact = malloc(len + 1); // so that a sanitizer sees a read behind the end
            memcpy(exact, out.data, len);
            assert_int_equal(readers[kind]((ut_bytes){exact, len}), UT_ECORRUPT);
            free(exact);
        }
        ut_buf_free(&out);
    }
}

static void changed_values_are_read_or_refused(void **unused)
{
    (void)unused;
    ut_random random = {4};
    for (unsigned round = 0; round < 20000; round++) {
        unsigned kind = round % KINDS;
        ut_buf out;
        ut_buf_init(&out, 10000);
        write_sample(kind, &out);
        for (unsigned i = 0; i < 1 + round % 4; i++)
            out.data[ut_random_below(&random, (uint32_t)out.len)] =
                (uint8_t)ut_random_next(&random);
        ut_err err = readers[kind](ut_buf_bytes(&out));
        assert_true(err == UT_OK || err == UT_ECORRUPT || (kind == 0 && err == UT_EVERSION));
        ut_buf_free(&out);
    }
}

static void ordinals_of_every_size_come_back(void **unused)
{
    (void)unused;
    ut_buf out;
    ut_buf_init(&out, 10000);
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < UT_BLOCK_SPANS_MAX; i += i < 10 ? 1 : i / 3)
        ut_ordinal_list_put(&out, &last, i);
    ut_bytes list = ut_buf_bytes(&out);
    uint32_t ordinal;
    last = UINT32_MAX;
    for (uint32_t i = 0; i < UT_BLOCK_SPANS_MAX; i += i < 10 ? 1 : i / 3) {
        assert_true(ut_ordinal_list_next(&list, &last, &ordinal));
        assert_int_equal(ordinal, i);
    }
    assert_false(ut_ordinal_list_next(&list, &last, &ordinal));
    // Damage: a number that never ends, and one behind the last span of a block.
    list = UT_BYTES_LIT("\xff\xff\xff\xff\xff\xff");
    last = UINT32_MAX;
    assert_false(ut_ordinal_list_next(&list, &last, &ordinal));
    list = UT_BYTES_LIT("\xff\x7f");
    last = UINT32_MAX;
    assert_false(ut_ordinal_list_next(&list, &last, &ordinal));
    ut_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_summary_of_an_older_version_says_less),
        cmocka_unit_test(a_fresh_delivery_is_a_few_bytes),
        cmocka_unit_test(names_are_cut_between_characters),
        cmocka_unit_test(a_reader_passes_what_a_later_version_appends),
        cmocka_unit_test(cut_values_are_damage),
        cmocka_unit_test(changed_values_are_read_or_refused),
        cmocka_unit_test(ordinals_of_every_size_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
