// Tests of storage/span/batch.
#include "storage/span/batch.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 28 };

static const uint8_t trace_id[UT_TRACE_ID_LEN] = {1, 2, 3};
static const uint8_t span_id[UT_SPAN_ID_LEN] = {4, 5, 6};
static const uint8_t zero_id[UT_SPAN_ID_LEN] = {0};

static uint32_t add_resource(ut_batch *batch)
{
    size_t begin = batch->resource_bytes.len;
    ut_resource resource = {0};
    ut_resource_write_head(&batch->resource_bytes);
    ut_mp_put_map(&batch->resource_bytes, 0);
    ut_resource_write_tail(&batch->resource_bytes, &resource);
    return ut_batch_end_resource(batch, begin);
}

static uint32_t add_scope(ut_batch *batch, uint32_t resource)
{
    size_t begin = batch->scope_bytes.len;
    ut_scope scope = {.name = UT_BYTES_LIT("s")};
    ut_scope_write_head(&batch->scope_bytes, &scope);
    ut_mp_put_map(&batch->scope_bytes, 0);
    ut_scope_write_tail(&batch->scope_bytes, &scope);
    return ut_batch_end_scope(batch, begin, resource);
}

static void add_span(ut_batch *batch, uint32_t scope, ut_bytes parent, int32_t status)
{
    size_t begin = batch->span_bytes.len;
    ut_span span = {.trace_id = {trace_id, sizeof trace_id},
                    .span_id = {span_id, sizeof span_id},
                    .parent_span_id = parent,
                    .start_ns = 10,
                    .end_ns = 30,
                    .status_code = status};
    ut_span_write_head(&batch->span_bytes, &span);
    ut_mp_put_map(&batch->span_bytes, 0);
    ut_mp_put_array(&batch->span_bytes, 0);
    ut_mp_put_array(&batch->span_bytes, 0);
    ut_span_write_rare(&batch->span_bytes, &span);
    ut_batch_end_span(batch, begin, scope, &span);
}

static void an_entry_has_the_size_that_its_header_says(void **state)
{
    (void)state;
    assert_int_equal(sizeof(ut_batch_span), 56);
}

static void the_index_says_what_is_in_the_records(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    ut_random_batch(42, 300, UT_RANDOM_ALL, &batch);
    assert_int_equal(ut_batch_error(&batch), UT_OK);
    assert_int_equal(batch.span_count, 300);
    size_t offset = 0;
    for (uint32_t i = 0; i < batch.span_count; i++) {
        const ut_batch_span *entry = &ut_batch_spans(&batch)[i];
        assert_int_equal(entry->offset, offset);
        offset += entry->len;
        ut_span span;
        ut_scope scope;
        ut_resource resource;
        ut_batch_read(&batch, i, &span, &scope, &resource);
        assert_memory_equal(entry->trace_id, span.trace_id.data, UT_TRACE_ID_LEN);
        assert_memory_equal(entry->span_id, span.span_id.data, UT_SPAN_ID_LEN);
        assert_true(entry->start_ns == span.start_ns && entry->end_ns == span.end_ns);
        assert_int_equal(entry->root, span.parent_span_id.len == 0);
        assert_int_equal(entry->status, span.status_code >= 0 && span.status_code <= 2
                                            ? span.status_code
                                            : UT_STATUS_UNSET);
    }
    assert_int_equal(offset, batch.span_bytes.len);
    assert_true(ut_batch_memory(&batch) >= offset);
    ut_batch_free(&batch);
    assert_int_equal(ut_batch_memory(&batch), 0);
}

static void a_span_without_parent_is_a_root(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    uint32_t scope = add_scope(&batch, add_resource(&batch));
    add_span(&batch, scope, UT_BYTES_NONE, 0);
    add_span(&batch, scope, (ut_bytes){zero_id, sizeof zero_id}, 0);
    add_span(&batch, scope, (ut_bytes){span_id, sizeof span_id}, 0);
    assert_true(ut_batch_spans(&batch)[0].root);
    assert_true(ut_batch_spans(&batch)[1].root);
    assert_false(ut_batch_spans(&batch)[2].root);
    ut_batch_free(&batch);
}

static void an_unknown_status_counts_as_unset(void **state)
{
    (void)state;
    static const int32_t codes[] = {0, 1, 2, 3, -1, INT32_MIN, INT32_MAX, 257};
    static const uint8_t wanted[] = {0, 1, 2, 0, 0, 0, 0, 0};
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    uint32_t scope = add_scope(&batch, add_resource(&batch));
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        add_span(&batch, scope, UT_BYTES_NONE, codes[i]);
        assert_int_equal(ut_batch_spans(&batch)[i].status, wanted[i]);
    }
    ut_batch_free(&batch);
}

static void more_parts_than_the_limit_are_refused(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    for (uint32_t i = 0; i < UT_BATCH_SCOPES_MAX; i++)
        assert_int_equal(add_resource(&batch), i);
    assert_int_equal(ut_batch_error(&batch), UT_OK);
    assert_int_equal(add_resource(&batch), UINT32_MAX);
    assert_int_equal(batch.resource_bytes.err, UT_ELIMIT);
    assert_int_equal(ut_batch_error(&batch), UT_ELIMIT);

    ut_batch_reset(&batch, 0);
    assert_int_equal(ut_batch_error(&batch), UT_OK);
    uint32_t resource = add_resource(&batch);
    for (uint32_t i = 0; i < UT_BATCH_SCOPES_MAX; i++)
        assert_int_equal(add_scope(&batch, resource), i);
    assert_int_equal(add_scope(&batch, resource), UINT32_MAX);
    assert_int_equal(batch.scope_bytes.err, UT_ELIMIT);
    ut_batch_free(&batch);
}

static void a_full_index_is_an_error_of_the_records_too(void **state)
{
    (void)state;
    // A resource record of 8 bytes is shorter than its entry, so that the entries run out of room
    // first.
    ut_batch batch;
    ut_batch_init(&batch, 100);
    uint32_t count = 0;
    while (add_resource(&batch) != UINT32_MAX)
        count++;
    assert_int_equal(count, 100 / sizeof(ut_batch_part));
    assert_int_equal(batch.resource_bytes.err, UT_ELIMIT);
    assert_int_equal(batch.resource_count, count);
    ut_batch_free(&batch);
}

static void more_spans_than_the_limit_are_refused(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    uint32_t scope = add_scope(&batch, add_resource(&batch));
    for (uint32_t i = 0; i < UT_BATCH_SPANS_MAX; i++)
        add_span(&batch, scope, UT_BYTES_NONE, 0);
    assert_int_equal(ut_batch_error(&batch), UT_OK);
    assert_int_equal(batch.span_count, UT_BATCH_SPANS_MAX);
    add_span(&batch, scope, UT_BYTES_NONE, 0);
    assert_int_equal(ut_batch_error(&batch), UT_ELIMIT);
    assert_int_equal(batch.span_count, UT_BATCH_SPANS_MAX);
    ut_batch_free(&batch);
}

static void every_ceiling_is_an_error_and_never_a_crash(void **state)
{
    (void)state;
    // The bytes run out at another place each time; the counts never speak of more than the indexes
    // hold.
    for (size_t bytes_max = 1; bytes_max < 20000; bytes_max += 37) {
        ut_batch batch;
        ut_batch_init(&batch, bytes_max);
        ut_random_batch(3, 40, UT_RANDOM_ALL, &batch);
        ut_err err = ut_batch_error(&batch);
        assert_true(err == UT_OK || err == UT_ELIMIT);
        assert_true(batch.span_count * sizeof(ut_batch_span) <= batch.span_index.len);
        assert_true(batch.scope_count * sizeof(ut_batch_part) <= batch.scope_parts.len);
        assert_true(batch.resource_count * sizeof(ut_batch_part) <= batch.resource_parts.len);
        assert_true(ut_batch_memory(&batch) <= 6 * bytes_max);
        ut_batch_free(&batch);
    }
}

static void the_first_reason_is_kept_and_all_are_counted(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    assert_string_equal(batch.reject_reason_z, "");
    ut_batch_reject(&batch, UT_REJECT_TRACE_ID, "span %u: trace_id has %d bytes, not 16", 4u, 3);
    ut_batch_reject(&batch, UT_REJECT_LINK_ID, "another");
    assert_int_equal(batch.rejected_count, 2);
    assert_int_equal(batch.rejected[UT_REJECT_TRACE_ID], 1);
    assert_int_equal(batch.rejected[UT_REJECT_LINK_ID], 1);
    assert_string_equal(batch.reject_reason_z, "span 4: trace_id has 3 bytes, not 16");
    ut_batch_reset(&batch, 0);
    assert_int_equal(batch.rejected_count, 0);
    assert_int_equal(batch.rejected[UT_REJECT_TRACE_ID], 0);
    assert_string_equal(batch.reject_reason_z, "");
    char long_z[400];
    memset(long_z, 'x', sizeof long_z - 1);
    long_z[sizeof long_z - 1] = '\0';
    ut_batch_reject(&batch, UT_REJECT_SPAN_ID, "%s", long_z);
    assert_int_equal(strlen(batch.reject_reason_z), UT_BATCH_REASON_MAX - 1);
    ut_batch_free(&batch);
}

static void reset_empties_and_gives_memory_back(void **state)
{
    (void)state;
    ut_batch batch;
    ut_batch_init(&batch, BYTES_MAX);
    ut_random_batch(5, 500, UT_RANDOM_ALL, &batch);
    assert_true(ut_batch_memory(&batch) > 6 * 1024);
    ut_batch_reset(&batch, 1024);
    assert_int_equal(batch.span_count + batch.scope_count + batch.resource_count, 0);
    assert_true(ut_batch_memory(&batch) <= 6 * 1024);
    // It works on as a new one would.
    ut_batch other;
    ut_batch_init(&other, BYTES_MAX);
    ut_random_batch(6, 50, UT_RANDOM_ALL, &batch);
    ut_random_batch(6, 50, UT_RANDOM_ALL, &other);
    uint32_t index;
    assert_null(ut_batch_difference(&batch, &other, &index));
    ut_batch_free(&batch);
    ut_batch_free(&other);
}

static void compare_helper_sees_a_difference(void **state)
{
    (void)state;
    ut_batch a, b;
    ut_batch_init(&a, BYTES_MAX);
    ut_batch_init(&b, BYTES_MAX);
    uint32_t scope = add_scope(&a, add_resource(&a));
    add_span(&a, scope, UT_BYTES_NONE, 0);
    add_span(&a, scope, UT_BYTES_NONE, 0);
    scope = add_scope(&b, add_resource(&b));
    add_span(&b, scope, UT_BYTES_NONE, 0);
    uint32_t index;
    assert_string_equal(ut_batch_difference(&a, &b, &index), "span_count");
    add_span(&b, scope, UT_BYTES_NONE, 2);
    assert_string_equal(ut_batch_difference(&a, &b, &index), "status_code");
    assert_int_equal(index, 1);
    ut_batch_free(&a);
    ut_batch_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_has_the_size_that_its_header_says),
        cmocka_unit_test(the_index_says_what_is_in_the_records),
        cmocka_unit_test(a_span_without_parent_is_a_root),
        cmocka_unit_test(an_unknown_status_counts_as_unset),
        cmocka_unit_test(more_parts_than_the_limit_are_refused),
        cmocka_unit_test(a_full_index_is_an_error_of_the_records_too),
        cmocka_unit_test(more_spans_than_the_limit_are_refused),
        cmocka_unit_test(every_ceiling_is_an_error_and_never_a_crash),
        cmocka_unit_test(the_first_reason_is_kept_and_all_are_counted),
        cmocka_unit_test(reset_empties_and_gives_memory_back),
        cmocka_unit_test(compare_helper_sees_a_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
