// Tests of the OTLP encoders on blocks: ranges, grouping, what is left out, and damaged blocks.
// Values and their round trip are in test_otlp_round_trip.c.
#include "adapters/encoding/json.h"
#include "adapters/otlp/otlp.h"
#include "adapters/otlp/otlp_fields.h"
#include "adapters/encoding/protobuf.h"
#include "tests/support/otlp_blocks.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

enum { BYTES_MAX = 1 << 28 };

static const ut_otlp_encoder *const encoders[] = {&ut_otlp_protobuf_encoder, &ut_otlp_json_encoder};

static void decode(const ut_otlp_encoder *encoder, ut_bytes bytes, ut_batch *batch)
{
    ut_fault fault = {0};
    ut_batch_init(batch, BYTES_MAX);
    ut_err err = encoder == &ut_otlp_json_encoder ? ut_otlp_json_decode(bytes, batch, &fault)
                                                  : ut_otlp_protobuf_decode(bytes, batch, &fault);
    if (err != UT_OK)
        fail_msg("%s", fault.text_z);
}

// Makes a batch with `scopes` scopes, each in a resource of its own unless shared, and `spans`
// spans that take turns.
static void make_batch(ut_batch *batch, uint32_t scopes, bool shared, uint32_t spans)
{
    ut_batch_init(batch, BYTES_MAX);
    uint32_t resource = 0;
    for (uint32_t i = 0; i < scopes; i++) {
        char name_z[16];
        (void)snprintf(name_z, sizeof name_z, "%u", (unsigned)i);
        if (i == 0 || !shared) {
            size_t begin = batch->resource_bytes.len;
            ut_resource record = {.dropped_attributes = i};
            ut_resource_write_head(&batch->resource_bytes);
            ut_mp_put_map(&batch->resource_bytes, 0);
            ut_resource_write_tail(&batch->resource_bytes, &record);
            resource = ut_batch_end_resource(batch, begin);
        }
        size_t begin = batch->scope_bytes.len;
        ut_scope record = {.name = ut_bytes_of_z(name_z)};
        ut_scope_write_head(&batch->scope_bytes, &record);
        ut_mp_put_map(&batch->scope_bytes, 0);
        ut_scope_write_tail(&batch->scope_bytes, &record);
        (void)ut_batch_end_scope(batch, begin, resource);
    }
    for (uint32_t i = 0; i < spans; i++) {
        uint8_t id[16] = {1, (uint8_t)i, (uint8_t)(i >> 8), 9, 9, 9, 9, 9, 9};
        ut_span span = {.trace_id = {id, 16}, .span_id = {id, 8}, .start_ns = 1, .end_ns = 2};
        size_t begin = batch->span_bytes.len;
        ut_span_write_head(&batch->span_bytes, &span);
        ut_mp_put_map(&batch->span_bytes, 0);
        ut_mp_put_array(&batch->span_bytes, 0);
        ut_mp_put_array(&batch->span_bytes, 0);
        ut_span_write_rare(&batch->span_bytes, &span);
        ut_batch_end_span(batch, begin, i % scopes, &span);
    }
    assert_int_equal(ut_batch_error(batch), UT_OK);
}

static void assert_bytes(ut_bytes got, const char *wanted, size_t len)
{
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, wanted, len);
}

static void the_smallest_request_has_these_bytes(void **state)
{
    (void)state;
    static const char protobuf[] = "\x0a\x39" // resource_spans
                                   "\x0a\x00" // resource
                                   "\x12\x35" // scope_spans
                                   "\x0a\x03\x0a\x01"
                                   "0"        // scope
                                   "\x12\x2e" // span
                                   "\x0a\x10\x01\0\0\x09\x09\x09\x09\x09\x09\0\0\0\0\0\0\0"
                                   "\x12\x08\x01\0\0\x09\x09\x09\x09\x09"
                                   "\x39\x01\0\0\0\0\0\0\0"
                                   "\x41\x02\0\0\0\0\0\0\0";
    static const char json[] =
        "{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"scope\":{\"name\":\"0\"},"
        "\"spans\":[{"
        "\"traceId\":\"01000009090909090900000000000000\",\"spanId\":\"0100000909090909\","
        "\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"status\":{}}]}]}]}";
    ut_batch batch;
    make_batch(&batch, 1, true, 1);
    for (size_t i = 0; i < 2; i++) {
        ut_buf out;
        ut_buf_init(&out, BYTES_MAX);
        ut_encode_batch(&batch, encoders[i], &out);
        if (i == 0)
            assert_bytes(ut_buf_bytes(&out), protobuf, sizeof protobuf - 1);
        else
            assert_bytes(ut_buf_bytes(&out), json, sizeof json - 1);
        ut_buf_free(&out);
    }
    ut_batch_free(&batch);
}

// Every string of every field, as protobuf's strict decoders (Go, Rust, Java) check it.
static void all_strings_of_protobuf_are_utf8(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        ut_batch before;
        ut_batch after;
        ut_buf bytes;
        ut_buf again;
        ut_batch_init(&before, BYTES_MAX);
        ut_buf_init(&bytes, BYTES_MAX);
        ut_buf_init(&again, BYTES_MAX);
        ut_random_batch(seed, 50, UT_RANDOM_ANY_BYTES, &before);
        ut_encode_batch(&before, &ut_otlp_protobuf_encoder, &bytes);
        decode(&ut_otlp_protobuf_encoder, ut_buf_bytes(&bytes), &after);
        assert_int_equal(after.span_count, before.span_count);
        // JSON replaces what is not UTF-8. Where nothing is replaced any more, both agree.
        ut_batch from_json;
        uint32_t index = 0;
        ut_encode_batch(&after, &ut_otlp_json_encoder, &again);
        decode(&ut_otlp_json_encoder, ut_buf_bytes(&again), &from_json);
        const char *what_z = ut_batch_difference(&after, &from_json, &index);
        if (what_z != NULL)
            fail_msg("seed %u, span %u: %s", (unsigned)seed, (unsigned)index, what_z);
        ut_batch_free(&from_json);
        ut_batch_free(&after);
        ut_batch_free(&before);
        ut_buf_free(&again);
        ut_buf_free(&bytes);
    }
}

static void negative_enumerations_take_ten_bytes(void **state)
{
    (void)state;
    // As protobuf writes every negative number of 32 bits.
    static const char body[] = "\x0a\x2b\x12\x29\x12\x27"
                               "\x0a\x10"
                               "0123456789abcdef"
                               "\x12\x08"
                               "01234567"
                               "\x30\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    ut_batch batch;
    ut_buf out;
    ut_buf_init(&out, BYTES_MAX);
    decode(&ut_otlp_protobuf_encoder, ut_bytes_of(body, sizeof body - 1), &batch);
    ut_encode_batch(&batch, &ut_otlp_protobuf_encoder, &out);
    assert_memory_equal(out.data + out.len - 11, body + sizeof body - 1 - 11, 11);
    ut_buf_free(&out);
    ut_batch_free(&batch);
}

static void nothing_added_is_an_empty_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        ut_buf out;
        ut_buf_init(&out, BYTES_MAX);
        encoders[i]->begin(&out);
        encoders[i]->end(&out);
        assert_bytes(ut_buf_bytes(&out), i == 0 ? "" : "{\"resourceSpans\":[]}", i == 0 ? 0 : 20);
        ut_buf_free(&out);
    }
}

// Every range of a block, cut at every place: the two parts together are the whole.
static void a_range_holds_exactly_its_spans(void **state)
{
    (void)state;
    ut_batch batch;
    ut_buf payload;
    ut_block block;
    ut_batch_init(&batch, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    ut_random_batch(31, 24, UT_RANDOM_WIRE, &batch);
    assert_int_equal(ut_make_block(&batch, 0, 24, &payload, &block), 24);
    for (size_t e = 0; e < 2; e++) {
        for (uint32_t from = 0; from <= 24; from++) {
            for (uint32_t to = from; to <= 25; to += 3) {
                ut_buf out;
                ut_batch part;
                ut_buf_init(&out, BYTES_MAX);
                encoders[e]->begin(&out);
                assert_int_equal(encoders[e]->add(&out, &block, from, to), UT_OK);
                encoders[e]->end(&out);
                decode(encoders[e], ut_buf_bytes(&out), &part);
                uint32_t last = to < 24 ? to : 24;
                assert_int_equal(part.span_count, last - from);
                for (uint32_t i = 0; i < part.span_count; i++)
                    assert_memory_equal(ut_batch_spans(&part)[i].trace_id,
                                        ut_batch_spans(&batch)[from + i].trace_id, 16);
                ut_batch_free(&part);
                ut_buf_free(&out);
            }
        }
    }
    ut_buf_free(&payload);
    ut_batch_free(&batch);
}

static uint32_t count_fields(ut_bytes message, uint32_t number)
{
    uint32_t count = 0;
    const uint8_t *end = message.data + message.len;
    for (const uint8_t *at = message.data; at < end;) {
        ut_pb_field field;
        at = ut_pb_read_field(at, end, &field);
        assert_non_null(at);
        count += UT_PB_NUMBER(field.tag) == number;
    }
    return count;
}

static void groups_of_one_resource_share_its_envelope(void **state)
{
    (void)state;
    ut_batch batch;
    ut_buf out;
    ut_buf_init(&out, BYTES_MAX);
    make_batch(&batch, 5, true, 20);
    ut_encode_batch(&batch, &ut_otlp_protobuf_encoder, &out);
    assert_int_equal(count_fields(ut_buf_bytes(&out), UT_REQUEST_RESOURCE_SPANS), 1);
    ut_pb_field field;
    assert_non_null(ut_pb_read_field(out.data, out.data + out.len, &field));
    assert_int_equal(count_fields(field.bytes, UT_RESOURCE_SPANS_RESOURCE), 1);
    assert_in_range(count_fields(field.bytes, UT_RESOURCE_SPANS_SCOPE_SPANS), 5, 20);
    ut_batch_free(&batch);
    ut_buf_free(&out);
}

static void groups_that_are_passed_leave_no_envelope(void **state)
{
    (void)state;
    ut_batch batch;
    ut_buf payload, out;
    ut_block block;
    ut_buf_init(&payload, BYTES_MAX);
    ut_buf_init(&out, BYTES_MAX);
    make_batch(&batch, 6, false, 6);
    assert_int_equal(ut_make_block(&batch, 0, 6, &payload, &block), 6);
    assert_int_equal(ut_otlp_protobuf_encoder.add(&out, &block, 2, 4), UT_OK);
    assert_int_equal(count_fields(ut_buf_bytes(&out), UT_REQUEST_RESOURCE_SPANS), 2);
    ut_buf_free(&out);
    ut_buf_free(&payload);
    ut_batch_free(&batch);
}

static void as_many_scopes_as_spans_find_their_resources(void **state)
{
    (void)state;
    ut_batch batch, after;
    ut_buf out;
    ut_buf_init(&out, BYTES_MAX);
    make_batch(&batch, UT_BLOCK_SPANS_MAX, false, UT_BLOCK_SPANS_MAX);
    for (size_t e = 0; e < 2; e++) {
        ut_buf_reset(&out, SIZE_MAX);
        ut_encode_batch(&batch, encoders[e], &out);
        decode(encoders[e], ut_buf_bytes(&out), &after);
        uint32_t index;
        assert_null(ut_batch_difference(&batch, &after, &index));
        ut_batch_free(&after);
    }
    ut_buf_free(&out);
    ut_batch_free(&batch);
}

static void several_blocks_make_one_request(void **state)
{
    (void)state;
    for (size_t e = 0; e < 2; e++) {
        ut_batch first, second, after;
        ut_buf payload_a, payload_b, out;
        ut_block a, b;
        ut_batch_init(&first, BYTES_MAX);
        ut_batch_init(&second, BYTES_MAX);
        ut_buf_init(&payload_a, BYTES_MAX);
        ut_buf_init(&payload_b, BYTES_MAX);
        ut_buf_init(&out, BYTES_MAX);
        ut_random_batch(41, 10, UT_RANDOM_WIRE, &first);
        ut_random_batch(42, 12, UT_RANDOM_WIRE, &second);
        ut_make_block(&first, 0, 10, &payload_a, &a);
        ut_make_block(&second, 0, 12, &payload_b, &b);
        encoders[e]->begin(&out);
        assert_int_equal(encoders[e]->add(&out, &a, 0, 10), UT_OK);
        assert_int_equal(encoders[e]->add(&out, &b, 5, 5), UT_OK); // nothing
        assert_int_equal(encoders[e]->add(&out, &b, 0, 12), UT_OK);
        encoders[e]->end(&out);
        decode(encoders[e], ut_buf_bytes(&out), &after);
        assert_int_equal(after.span_count, 22);
        ut_batch_free(&after);
        ut_buf_free(&out);
        ut_buf_free(&payload_b);
        ut_buf_free(&payload_a);
        ut_batch_free(&second);
        ut_batch_free(&first);
    }
}

static void a_full_buffer_is_an_error_and_never_a_crash(void **state)
{
    (void)state;
    ut_batch batch;
    ut_buf payload;
    ut_block block;
    ut_batch_init(&batch, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    ut_random_batch(51, 5, UT_RANDOM_WIRE, &batch);
    ut_make_block(&batch, 0, 5, &payload, &block);
    for (size_t e = 0; e < 2; e++) {
        bool fitted = false;
        for (size_t max = 1; max < 200000 && !fitted; max += 1 + max / 100) {
            ut_buf out;
            ut_buf_init(&out, max);
            encoders[e]->begin(&out);
            ut_err err = encoders[e]->add(&out, &block, 0, 5);
            encoders[e]->end(&out);
            fitted = err == UT_OK;
            assert_true(fitted || err == UT_ELIMIT);
            ut_buf_free(&out);
        }
        assert_true(fitted);
    }
    ut_buf_free(&payload);
    ut_batch_free(&batch);
}

// Each byte of a payload changed in turn, behind the checksum's back, gives an error or other
// spans, but never a crash, and JSON that parses whenever there was no error.
static void a_damaged_payload_never_crashes(void **state)
{
    (void)state;
    ut_batch batch;
    ut_buf payload;
    ut_block block;
    ut_random random = {9};
    ut_batch_init(&batch, BYTES_MAX);
    ut_buf_init(&payload, BYTES_MAX);
    ut_random_batch(61, 2, UT_RANDOM_WIRE, &batch);
    ut_make_block(&batch, 0, 2, &payload, &block);
    uint32_t errors = 0;
    for (size_t at = 0; at < payload.len; at++) {
        for (int turn = 0; turn < 3; turn++) {
            uint8_t before = payload.data[at];
            payload.data[at] = (uint8_t)ut_random_next(&random);
            for (size_t e = 0; e < 2; e++) {
                ut_buf out;
                ut_buf_init(&out, BYTES_MAX);
                encoders[e]->begin(&out);
                ut_err err = encoders[e]->add(&out, &block, 0, 2);
                encoders[e]->end(&out);
                assert_true(err == UT_OK || err == UT_ECORRUPT);
                errors += err != UT_OK;
                if (err == UT_OK && e == 1) {
                    ut_json json;
                    ut_fault fault;
                    if (ut_json_read(&json, ut_buf_bytes(&out), &fault) != UT_OK)
                        fail_msg("%s", fault.text_z);
                    ut_json_free(&json);
                }
                ut_buf_free(&out);
            }
            payload.data[at] = before;
        }
    }
    assert_true(errors > 100);
    ut_buf_free(&payload);
    ut_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_request_has_these_bytes),
        cmocka_unit_test(all_strings_of_protobuf_are_utf8),
        cmocka_unit_test(negative_enumerations_take_ten_bytes),
        cmocka_unit_test(nothing_added_is_an_empty_request),
        cmocka_unit_test(a_range_holds_exactly_its_spans),
        cmocka_unit_test(groups_of_one_resource_share_its_envelope),
        cmocka_unit_test(groups_that_are_passed_leave_no_envelope),
        cmocka_unit_test(as_many_scopes_as_spans_find_their_resources),
        cmocka_unit_test(several_blocks_make_one_request),
        cmocka_unit_test(a_full_buffer_is_an_error_and_never_a_crash),
        cmocka_unit_test(a_damaged_payload_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
