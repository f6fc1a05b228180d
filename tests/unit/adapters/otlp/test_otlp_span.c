// Tests of adapters/otlp/otlp_span.
#include "adapters/otlp/otlp_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { BYTES_MAX = 1 << 20 };

static const uint8_t bytes[UT_TRACE_ID_LEN + 1] = {1, 2, 3};
static const uint8_t zeros[UT_TRACE_ID_LEN];

#define ID(len)    ((ut_bytes){bytes, (len)})
#define NO_ID(len) ((ut_bytes){zeros, (len)})

static void each_id_has_its_rule(void **state)
{
    (void)state;
    const struct {
        ut_bytes trace_id;
        ut_bytes span_id;
        ut_bytes parent_span_id;
        ut_reject found;
    } cases[] = {
        {ID(16), ID(8), ID(8), UT_REJECT_COUNT},
        {ID(16), ID(8), UT_BYTES_NONE, UT_REJECT_COUNT},
        {ID(16), ID(8), NO_ID(8), UT_REJECT_COUNT}, // a root, as some senders write it
        {UT_BYTES_NONE, ID(8), ID(8), UT_REJECT_TRACE_ID},
        {ID(15), ID(8), ID(8), UT_REJECT_TRACE_ID},
        {ID(17), ID(8), ID(8), UT_REJECT_TRACE_ID},
        {NO_ID(16), ID(8), ID(8), UT_REJECT_TRACE_ID},
        {ID(16), UT_BYTES_NONE, ID(8), UT_REJECT_SPAN_ID},
        {ID(16), ID(7), ID(8), UT_REJECT_SPAN_ID},
        {ID(16), NO_ID(8), ID(8), UT_REJECT_SPAN_ID},
        {ID(16), ID(8), ID(7), UT_REJECT_PARENT_SPAN_ID},
        {ID(16), ID(8), ID(16), UT_REJECT_PARENT_SPAN_ID},
        {ID(3), ID(3), ID(3), UT_REJECT_TRACE_ID}, // the first of several
        // A length that nobody may read.
        {{NULL, SIZE_MAX}, ID(8), ID(8), UT_REJECT_TRACE_ID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ut_span span = {.trace_id = cases[i].trace_id,
                        .span_id = cases[i].span_id,
                        .parent_span_id = cases[i].parent_span_id};
        assert_int_equal(ut_otlp_span_check_ids(&span), cases[i].found);
        // A record can hold what is there now, and ids that fit are as they were.
        assert_int_equal(span.trace_id.len, UT_TRACE_ID_LEN);
        assert_int_equal(span.span_id.len, UT_SPAN_ID_LEN);
        if (cases[i].found == UT_REJECT_COUNT) {
            assert_ptr_equal(span.trace_id.data, cases[i].trace_id.data);
            assert_ptr_equal(span.span_id.data, cases[i].span_id.data);
            assert_int_equal(span.parent_span_id.len, cases[i].parent_span_id.len);
        } else {
            assert_true(ut_bytes_all_zero(span.trace_id));
            assert_int_equal(span.parent_span_id.len, 0);
        }
    }
}

// ---- parts ----

static ut_otlp_part write_resource(ut_batch *batch)
{
    const ut_otlp_part part = ut_otlp_part_begin(&batch->resource_bytes);
    const ut_resource resource = {.dropped_attributes = 1};
    ut_resource_write_head(&batch->resource_bytes);
    ut_mp_put_map(&batch->resource_bytes, 0);
    ut_resource_write_tail(&batch->resource_bytes, &resource);
    return part;
}

static ut_otlp_part write_scope(ut_batch *batch)
{
    const ut_otlp_part part = ut_otlp_part_begin(&batch->scope_bytes);
    const ut_scope scope = {.name = UT_BYTES_LIT("s")};
    ut_scope_write_head(&batch->scope_bytes, &scope);
    ut_mp_put_map(&batch->scope_bytes, 0);
    ut_scope_write_tail(&batch->scope_bytes, &scope);
    return part;
}

static void write_span(ut_batch *batch, bool fits, ut_otlp_part *resource, ut_otlp_part *scope)
{
    const size_t begin = batch->span_bytes.len;
    const ut_span span = {.trace_id = ID(UT_TRACE_ID_LEN), .span_id = ID(UT_SPAN_ID_LEN)};
    ut_span_write_head(&batch->span_bytes, &span);
    ut_mp_put_map(&batch->span_bytes, 0);
    ut_mp_put_array(&batch->span_bytes, 0);
    ut_mp_put_array(&batch->span_bytes, 0);
    ut_span_write_rare(&batch->span_bytes, &span);
    ut_otlp_span_end(batch, begin, fits, resource, scope, &span);
}

static void scope_and_resource_enter_with_their_first_span_only(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    ut_otlp_part resource = write_resource(&batch);
    ut_otlp_part scopes[2];
    for (size_t i = 0; i < 2; i++) {
        scopes[i] = write_scope(&batch);
        for (size_t spans = 0; spans < 3; spans++)
            write_span(&batch, true, &resource, &scopes[i]);
        ut_otlp_part_end(&scopes[i], &batch.scope_bytes);
    }
    ut_otlp_part_end(&resource, &batch.resource_bytes);
    assert_int_equal(batch.span_count, 6);
    assert_int_equal(batch.scope_count, 2);
    assert_int_equal(batch.resource_count, 1);
    assert_int_equal(ut_batch_spans(&batch)[5].scope, 1);
    assert_int_equal(ut_batch_scopes(&batch)[1].resource, 0);
    assert_true(batch.scope_bytes.len > 0 && batch.resource_bytes.len > 0);
    ut_batch_free(&batch);
}

static void parts_without_a_span_leave_nothing(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    ut_otlp_part resource = write_resource(&batch);
    ut_otlp_part scope = write_scope(&batch);
    write_span(&batch, false, &resource, &scope); // rejected: it is taken back
    ut_otlp_part_end(&scope, &batch.scope_bytes);
    ut_otlp_part_end(&resource, &batch.resource_bytes);
    assert_int_equal(batch.span_count + batch.scope_count + batch.resource_count, 0);
    assert_int_equal(batch.span_bytes.len, 0);
    assert_int_equal(batch.scope_bytes.len, 0);
    assert_int_equal(batch.resource_bytes.len, 0);
    ut_batch_free(&batch);
}

static void a_full_batch_takes_nothing_more_and_says_so(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, 100); // one record of a span
    ut_otlp_part resource = write_resource(&batch);
    ut_otlp_part scope = write_scope(&batch);
    for (size_t i = 0; i < 3; i++)
        write_span(&batch, i != 1, &resource, &scope);
    assert_int_equal(ut_batch_error(&batch), UT_ELIMIT);
    assert_true(batch.span_count <= 1);
    ut_fault fault = {0};
    assert_int_equal(ut_otlp_batch_fault(&batch, 7, UT_ELIMIT, &fault), UT_ELIMIT);
    assert_non_null(strstr(fault.text_z, "100 bytes"));
    assert_int_equal(ut_otlp_batch_fault(&batch, 7, UT_ENOMEM, &fault), UT_ENOMEM);
    assert_non_null(strstr(fault.text_z, "a request of 7 bytes"));
    ut_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_id_has_its_rule),
        cmocka_unit_test(scope_and_resource_enter_with_their_first_span_only),
        cmocka_unit_test(parts_without_a_span_leave_nothing),
        cmocka_unit_test(a_full_batch_takes_nothing_more_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
