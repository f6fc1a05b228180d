// Tests of adapters/otlp/otlp_protobuf_decode: spans that are rejected one by one, and bodies that
// are refused whole, each with its reason.
#include "tests/support/otlp_blocks.h"
#include "tests/support/pb_body.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static void assert_refused(ut_pb_body *b, const char *wanted_z)
{
    ut_batch batch;
    ut_fault fault = {0};
    ut_pb_body_close_all(b);
    assert_int_equal(ut_pb_body_decode_bytes(ut_buf_bytes(&b->out), &batch, &fault), UT_EFORMAT);
    assert_int_equal(fault.code, UT_EFORMAT);
    assert_string_equal(fault.text_z, wanted_z);
    ut_batch_free(&batch);
    ut_buf_free(&b->out);
}

// ---- spans that are rejected ----

static void put_span_with_ids(ut_pb_body *b, ut_bytes trace, ut_bytes span, ut_bytes parent)
{
    ut_pb_body_open(b, UT_SCOPE_SPANS_SPANS);
    ut_pb_put_bytes(&b->out, UT_SPAN_TRACE_ID, trace);
    ut_pb_put_bytes(&b->out, UT_SPAN_SPAN_ID, span);
    ut_pb_put_bytes(&b->out, UT_SPAN_PARENT_SPAN_ID, parent);
    ut_pb_body_put_text(b, UT_SPAN_NAME, "span");
    ut_pb_body_close(b);
}

static void spans_with_invalid_ids_are_rejected_one_by_one(void **state)
{
    (void)state;
    static const uint8_t zeros[16] = {0};
    const ut_bytes trace = {ut_pb_body_trace_id, 16};
    const ut_bytes span = {ut_pb_body_span_id, 8};
    const struct {
        ut_bytes trace, span, parent;
        const char *reason_z;
    } cases[] = {
        {{ut_pb_body_trace_id, 15}, span, UT_BYTES_NONE, "trace_id has 15 bytes, expected 16"},
        {UT_BYTES_NONE, span, UT_BYTES_NONE, "trace_id is missing"},
        {{zeros, 16}, span, UT_BYTES_NONE, "trace_id is all zeros"},
        {trace, {ut_pb_body_span_id, 7}, UT_BYTES_NONE, "span_id has 7 bytes, expected 8"},
        {trace, {ut_pb_body_trace_id, 16}, UT_BYTES_NONE, "span_id has 16 bytes, expected 8"},
        {trace, {zeros, 8}, UT_BYTES_NONE, "span_id is all zeros"},
        {trace, span, {ut_pb_body_span_id, 3}, "parent_span_id has 3 bytes, expected none or 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ut_pb_body b = ut_pb_body_new();
        ut_batch batch;
        ut_pb_body_open(&b, UT_REQUEST_RESOURCE_SPANS);
        ut_pb_body_close(&b);
        ut_pb_body_open_scope_spans(&b);
        put_span_with_ids(&b, trace, span, UT_BYTES_NONE);
        put_span_with_ids(&b, cases[i].trace, cases[i].span, cases[i].parent);
        put_span_with_ids(&b, trace, span, span);
        ut_pb_body_decode(&b, &batch);
        assert_int_equal(batch.span_count, 2);
        assert_int_equal(batch.rejected_count, 1);
        const ut_batch_span *entries = ut_batch_spans(&batch);
        assert_int_equal(entries[1].offset, entries[0].len); // nothing of it is left between
        assert_int_equal(batch.span_bytes.len, entries[0].len + entries[1].len);
        char wanted_z[UT_BATCH_REASON_MAX] = "resource_spans[1].scope_spans[0].spans[1].";
        strcat(wanted_z, cases[i].reason_z);
        assert_string_equal(batch.reject_reason_z, wanted_z);
        assert_true(ut_bytes_equal(ut_pb_body_span(&batch, 0).name, UT_BYTES_LIT("span")));
        assert_int_equal(ut_pb_body_span(&batch, 1).parent_span_id.len, 8);
        ut_batch_free(&batch);
    }
}

static void a_parent_of_zeros_is_kept_and_makes_a_root(void **state)
{
    (void)state;
    static const uint8_t zeros[8] = {0};
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_pb_body_open_scope_spans(&b);
    put_span_with_ids(&b, ut_bytes_of(ut_pb_body_trace_id, 16), ut_bytes_of(ut_pb_body_span_id, 8),
                      ut_bytes_of(zeros, 8));
    ut_pb_body_decode(&b, &batch);
    assert_true(ut_batch_spans(&batch)[0].root);
    assert_int_equal(ut_pb_body_span(&batch, 0).parent_span_id.len, 8);
    ut_batch_free(&batch);
}

static void a_rejected_span_still_has_to_decode(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open(&b, UT_SCOPE_SPANS_SPANS);
    ut_pb_body_put_text(&b, UT_SPAN_TRACE_ID, "short");
    ut_pb_put_bytes(&b.out, UT_SPAN_ATTRIBUTES, UT_BYTES_LIT("\x0a\x09k"));
    assert_refused(&b, "resource_spans[0].scope_spans[0].spans[0].attributes[0].key: "
                       "length 9 runs past the end at byte 15");
}

static void link_ids_are_kept_up_to_a_length(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 65; len++) {
        uint8_t id[65];
        memset(id, 7, sizeof id);
        ut_pb_body b = ut_pb_body_new();
        ut_batch batch;
        ut_pb_body_open_scope_spans(&b);
        ut_pb_body_open_span(&b);
        ut_pb_body_open(&b, UT_SPAN_LINKS);
        ut_pb_put_bytes(&b.out, UT_LINK_TRACE_ID, ut_bytes_of(id, len));
        ut_pb_put_bytes(&b.out, UT_LINK_SPAN_ID, ut_bytes_of(id, 8));
        ut_pb_body_decode(&b, &batch);
        if (len <= 64) {
            ut_span span = ut_pb_body_span(&batch, 0);
            ut_mp_reader reader = ut_mp_reader_of(span.links);
            ut_link link;
            assert_int_equal(ut_mp_get_array(&reader), 1);
            assert_int_equal(ut_link_read(&reader, &link), UT_OK);
            assert_true(ut_bytes_equal(link.trace_id, ut_bytes_of(id, len)));
        } else {
            assert_int_equal(batch.span_count, 0);
            assert_int_equal(batch.rejected_count, 1);
            assert_string_equal(batch.reject_reason_z,
                                "resource_spans[0].scope_spans[0].spans[0].links: "
                                "an id has 65 bytes, expected whole bytes and at most 64");
        }
        ut_batch_free(&batch);
    }
}

// ---- what is refused ----

static void a_fault_names_its_place(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    for (int i = 0; i < 2; i++) {
        ut_pb_body_open(&b, UT_REQUEST_RESOURCE_SPANS);
        ut_pb_body_close(&b);
    }
    ut_pb_body_open_scope_spans(&b);
    for (int i = 0; i < 14; i++) {
        ut_pb_body_open_span(&b);
        ut_pb_body_close(&b);
    }
    ut_pb_body_open_span(&b);
    ut_pb_body_put_attribute(&b, UT_SPAN_ATTRIBUTES, "k", UT_BYTES_LIT("\x18\x01"));
    ut_buf_add(&b.out, "\x4a\x84\x07zz", 5);
    size_t at = b.out.len - 5; // less what the lengths around do not take
    ut_pb_body_close_all(&b);
    char wanted_z[200];
    // The two outer messages take two bytes of length instead of one guessed.
    (void)snprintf(wanted_z, sizeof wanted_z,
                   "resource_spans[2].scope_spans[0].spans[14].attributes[1]: length 900 runs past "
                   "the end at byte %zu",
                   at + 2);
    assert_refused(&b, wanted_z);

    b = ut_pb_body_new();
    ut_buf_add(&b.out, "\x0a\x03\x0a\x05x", 5);
    assert_refused(&b, "resource_spans[0].resource: length 5 runs past the end at byte 2");

    b = ut_pb_body_new();
    ut_buf_add(&b.out, "\x07", 1);
    assert_refused(&b, "field number 0 is not valid at byte 0");

    b = ut_pb_body_new();
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open_span(&b);
    ut_pb_body_open(&b, UT_SPAN_EVENTS);
    ut_buf_add(&b.out, "\x0e", 1);
    assert_refused(&b, "resource_spans[0].scope_spans[0].spans[0].events[0].time_unix_nano: wire "
                       "type 6 does not exist at byte 36");

    b = ut_pb_body_new();
    ut_pb_body_open_scope_spans(&b);
    ut_pb_body_open_span(&b);
    ut_pb_body_put_attribute(&b, UT_SPAN_ATTRIBUTES, "k",
                             UT_BYTES_LIT("\x32\x08\x0a\x06\x12\x04\x2a\x02\x0a\x09"));
    assert_refused(&b,
                   "resource_spans[0].scope_spans[0].spans[0].attributes[0].value.kvlist_value."
                   "values[0].value.array_value.values[0]: length 9 runs past the end at byte 49");
}

static void pairs_whose_lengths_disagree_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        size_t len;
    } cases[] = {
        {"\x0a\x01k\x12\x03\x0a\x05hello", 12}, // the text is longer than its value
        {"\x0a\x01k\x12\x07\x0a\x06hello", 12}, // and than its pair
        {"\x0a\x01k\x12\x08\x0a\x05hello", 12},
        {"\x0a\x01k\x12\x07\x0a\x03hello", 12}, // something else behind it
        {"\x0a\x01k\x12\x02\x18\x80", 7},
        {"\x0a\x01k\x12\x03\x18\x05", 7},
        {"\x0a\x09k\x12\x02\x18\x05", 7},
        {"\x0a\x01k\x12\x81\x80\x80", 7},
        {"\x0a\x01k\x12\x02\x0a\x80", 7},
        {"\x0a\x80k\x12\x02\x18\x05", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ut_pb_body b = ut_pb_body_new();
        ut_batch batch;
        ut_fault fault = {0};
        ut_pb_body_open_scope_spans(&b);
        ut_pb_body_open_span(&b);
        ut_pb_put_bytes(&b.out, UT_SPAN_ATTRIBUTES, ut_bytes_of(cases[i].pair, cases[i].len));
        ut_pb_body_close_all(&b);
        if (ut_pb_body_decode_bytes(ut_buf_bytes(&b.out), &batch, &fault) != UT_EFORMAT)
            fail_msg("case %zu was accepted", i);
        ut_batch_free(&batch);
        ut_buf_free(&b.out);
    }
}

// A value of `depth` arrays, one in the other, around a number.
static ut_buf nested_arrays(size_t depth)
{
    ut_buf inner, outer;
    ut_buf_init(&inner, UT_PB_BODY_BYTES_MAX);
    ut_buf_add(&inner, "\x18\x05", 2);
    for (size_t i = 0; i < depth; i++) {
        ut_buf_init(&outer, UT_PB_BODY_BYTES_MAX);
        ut_pb_slot list = ut_pb_open(&outer, i % 2 == 0 ? UT_ANY_ARRAY : UT_ANY_KVLIST, inner.len);
        ut_pb_slot value = ut_pb_open(&outer, UT_ARRAY_VALUES, inner.len);
        if (i % 2 == 0)
            ut_buf_add_bytes(&outer, ut_buf_bytes(&inner));
        else
            ut_pb_put_bytes(&outer, UT_KEY_VALUE_VALUE, ut_buf_bytes(&inner));
        ut_pb_close(&outer, value);
        ut_pb_close(&outer, list);
        ut_buf_free(&inner);
        inner = outer;
    }
    return inner;
}

static void values_nest_to_the_limit_and_no_deeper(void **state)
{
    (void)state;
    static const size_t depths[] = {UT_OTLP_DEPTH_MAX, UT_OTLP_DEPTH_MAX + 1, 1000, 6000};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        ut_buf any = nested_arrays(depths[i]);
        ut_pb_body b = ut_pb_body_new();
        ut_batch batch;
        ut_fault fault = {0};
        ut_pb_body_open_scope_spans(&b);
        ut_pb_body_open_span(&b);
        ut_pb_body_put_attribute(&b, UT_SPAN_ATTRIBUTES, "k", ut_buf_bytes(&any));
        ut_pb_body_close_all(&b);
        ut_err err = ut_pb_body_decode_bytes(ut_buf_bytes(&b.out), &batch, &fault);
        if (depths[i] <= UT_OTLP_DEPTH_MAX) {
            assert_int_equal(err, UT_OK);
        } else {
            assert_int_equal(err, UT_EFORMAT);
            assert_non_null(strstr(fault.text_z, "nested deeper than 32 levels at byte "));
            assert_non_null(strstr(fault.text_z, "spans[0].attributes[0].value."));
        }
        ut_batch_free(&batch);
        ut_buf_free(&b.out);
        ut_buf_free(&any);
    }
}

static void every_cut_of_a_body_is_a_fault_or_a_clean_beginning(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_batch_init(&whole, UT_PB_BODY_BYTES_MAX);
    ut_buf_init(&bytes, UT_PB_BODY_BYTES_MAX);
    ut_random_batch(11, 6, UT_RANDOM_UNKNOWN, &whole);
    ut_encode_batch(&whole, &ut_otlp_protobuf_encoder, &bytes);
    uint32_t clean = 0;
    uint32_t count = whole.span_count;
    for (size_t len = 0; len <= bytes.len; len++) {
        ut_fault fault = {0};
        ut_err err = ut_pb_body_decode_bytes(ut_bytes_of(bytes.data, len), &part, &fault);
        if (err == UT_OK) {
            // Only between two ResourceSpans.
            clean++;
            assert_true(part.span_count <= count);
            whole.span_count = part.span_count;
            uint32_t index;
            assert_null(ut_batch_difference(&whole, &part, &index));
            whole.span_count = count;
        } else {
            assert_int_equal(err, UT_EFORMAT);
            assert_non_null(strstr(fault.text_z, " at byte "));
        }
        ut_batch_free(&part);
    }
    assert_in_range(clean, 2, 5);
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

static void changed_bytes_never_crash(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_random random = {5};
    ut_batch_init(&whole, UT_PB_BODY_BYTES_MAX);
    ut_buf_init(&bytes, UT_PB_BODY_BYTES_MAX);
    ut_random_batch(12, 4, UT_RANDOM_ANY_BYTES | UT_RANDOM_UNKNOWN, &whole);
    ut_encode_batch(&whole, &ut_otlp_protobuf_encoder, &bytes);
    for (int i = 0; i < 5000; i++) {
        uint8_t *at = &bytes.data[ut_random_below(&random, (uint32_t)bytes.len)];
        uint8_t before = *at;
        *at = (uint8_t)ut_random_next(&random);
        ut_fault fault = {0};
        ut_err err = ut_pb_body_decode_bytes(ut_buf_bytes(&bytes), &part, &fault);
        assert_true(err == UT_OK || err == UT_EFORMAT);
        *at = before;
        ut_batch_free(&part);
    }
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

static void a_batch_that_is_full_refuses_the_body(void **state)
{
    (void)state;
    ut_batch whole, part;
    ut_buf bytes;
    ut_batch_init(&whole, UT_PB_BODY_BYTES_MAX);
    ut_buf_init(&bytes, UT_PB_BODY_BYTES_MAX);
    ut_random_batch(13, 5, UT_RANDOM_ANY_BYTES | UT_RANDOM_UNKNOWN, &whole);
    ut_encode_batch(&whole, &ut_otlp_protobuf_encoder, &bytes);
    bool fitted = false;
    for (size_t max = 1; max < 200000 && !fitted; max += 1 + max / 20) {
        ut_fault fault = {0};
        ut_batch_init(&part, max);
        ut_err err = ut_otlp_protobuf_decode(ut_buf_bytes(&bytes), &part, &fault);
        fitted = err == UT_OK;
        if (!fitted) {
            assert_int_equal(err, UT_ELIMIT);
            assert_non_null(strstr(fault.text_z, "limits of one batch"));
        }
        ut_batch_free(&part);
    }
    assert_true(fitted);
    ut_buf_free(&bytes);
    ut_batch_free(&whole);
}

static void more_scopes_than_a_batch_takes_are_refused(void **state)
{
    (void)state;
    ut_pb_body b = ut_pb_body_new();
    ut_batch batch;
    ut_fault fault = {0};
    ut_pb_body_open(&b, UT_REQUEST_RESOURCE_SPANS);
    for (uint32_t i = 0; i <= UT_BATCH_SCOPES_MAX; i++) {
        ut_pb_body_open(&b, UT_RESOURCE_SPANS_SCOPE_SPANS);
        ut_pb_body_open_span(&b);
        ut_pb_body_close(&b);
        ut_pb_body_close(&b);
    }
    ut_pb_body_close_all(&b);
    assert_int_equal(ut_pb_body_decode_bytes(ut_buf_bytes(&b.out), &batch, &fault), UT_ELIMIT);
    assert_non_null(strstr(fault.text_z, "65536 scopes"));
    ut_batch_free(&batch);
    ut_buf_free(&b.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_with_invalid_ids_are_rejected_one_by_one),
        cmocka_unit_test(a_parent_of_zeros_is_kept_and_makes_a_root),
        cmocka_unit_test(a_rejected_span_still_has_to_decode),
        cmocka_unit_test(link_ids_are_kept_up_to_a_length),
        cmocka_unit_test(a_fault_names_its_place),
        cmocka_unit_test(pairs_whose_lengths_disagree_are_refused),
        cmocka_unit_test(values_nest_to_the_limit_and_no_deeper),
        cmocka_unit_test(every_cut_of_a_body_is_a_fault_or_a_clean_beginning),
        cmocka_unit_test(changed_bytes_never_crash),
        cmocka_unit_test(a_batch_that_is_full_refuses_the_body),
        cmocka_unit_test(more_scopes_than_a_batch_takes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
