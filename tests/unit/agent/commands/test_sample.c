// The requests of agent/commands/sample are what a busy shop would send, and decode without a
// complaint.
#include "adapters/otlp/otlp.h"
#include "agent/commands/sample.h"
#include "tests/support/random_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { BYTES_MAX = 1 << 28 };

static const uint64_t end_ns = 1760000000000000000u;

static void make(ut_sample *sample, uint32_t spans, ut_buf *body, ut_batch *batch)
{
    ut_fault fault = {0};
    ut_buf_reset(body, SIZE_MAX);
    assert_int_equal(ut_sample_request(sample, spans, end_ns, body), UT_OK);
    ut_batch_reset(batch, SIZE_MAX);
    if (ut_otlp_protobuf_decode(ut_buf_bytes(body), batch, &fault) != UT_OK)
        fail_msg("%s", fault.text_z);
    assert_int_equal(batch->rejected_count, 0);
    assert_int_equal(batch->span_count, spans);
}

static void any_number_of_spans_is_made_exactly(void **state)
{
    (void)state;
    ut_sample sample;
    ut_buf body;
    ut_batch batch;
    ut_sample_init(&sample, 1);
    ut_buf_init(&body, BYTES_MAX);
    ut_batch_init(&batch, BYTES_MAX);
    for (uint32_t spans = 1; spans < 200; spans++)
        make(&sample, spans, &body, &batch);
    make(&sample, 20000, &body, &batch);
    ut_batch_free(&batch);
    ut_buf_free(&body);
    ut_sample_free(&sample);
}

static void spans_have_the_size_that_figures_are_given_for(void **state)
{
    (void)state;
    ut_sample sample;
    ut_buf body;
    ut_batch batch;
    ut_sample_init(&sample, 2);
    ut_buf_init(&body, BYTES_MAX);
    ut_batch_init(&batch, BYTES_MAX);
    size_t bytes = 0;
    for (int i = 0; i < 50; i++) {
        make(&sample, 100, &body, &batch);
        bytes += body.len;
    }
    assert_in_range(bytes / 5000, 640, 700);
    ut_batch_free(&batch);
    ut_buf_free(&body);
    ut_sample_free(&sample);
}

static int by_trace(const void *a, const void *b)
{
    return memcmp(a, b, UT_TRACE_ID_LEN); // which comes first in an entry
}

static const ut_batch_span *find(const ut_batch_span *spans, uint32_t count, ut_bytes id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(spans[i].span_id, id.data, UT_SPAN_ID_LEN) == 0)
            return &spans[i];
    }
    return NULL;
}

static void traces_are_complete_trees(void **state)
{
    (void)state;
    ut_sample sample;
    ut_buf body;
    ut_batch batch;
    ut_sample_init(&sample, 3);
    ut_buf_init(&body, BYTES_MAX);
    ut_batch_init(&batch, BYTES_MAX);
    make(&sample, 1000, &body, &batch);
    uint32_t trace_count;
    const ut_sample_trace *traces = ut_sample_traces(&sample, &trace_count);
    ut_batch_span *spans = malloc(1000 * sizeof(*spans));
    assert_non_null(spans);
    memcpy(spans, ut_batch_spans(&batch), 1000 * sizeof(*spans));
    qsort(spans, 1000, sizeof(*spans), by_trace);
    uint32_t counted = 0;
    uint32_t found = 0;
    for (uint32_t first = 0; first < 1000; first += counted, found++) {
        uint32_t roots = 0;
        for (counted = 0;
             first + counted < 1000 && by_trace(&spans[first], &spans[first + counted]) == 0;
             counted++)
            roots += spans[first + counted].root;
        assert_int_equal(roots, 1);
        assert_in_range(counted, 1, UT_SAMPLE_TRACE_SPANS_MAX);
        bool told = false;
        for (uint32_t i = 0; i < trace_count; i++)
            told = told || (memcmp(traces[i].trace_id, spans[first].trace_id, 16) == 0 &&
                            traces[i].spans == counted);
        assert_true(told);
    }
    assert_int_equal(found, trace_count);

    // Each parent is there, and around its child in time.
    for (uint32_t i = 0; i < batch.span_count; i++) {
        ut_span span;
        ut_scope scope;
        ut_resource resource;
        ut_bytes service;
        ut_batch_read(&batch, i, &span, &scope, &resource);
        assert_true(span.start_ns < span.end_ns && span.end_ns <= end_ns);
        assert_true(
            ut_attributes_find_str(resource.attributes, UT_BYTES_LIT("service.name"), &service));
        if (span.parent_span_id.len == 0)
            continue;
        const ut_batch_span *parent =
            find(ut_batch_spans(&batch), batch.span_count, span.parent_span_id);
        assert_non_null(parent);
        assert_memory_equal(parent->trace_id, span.trace_id.data, 16);
        assert_true(parent->start_ns <= span.start_ns && span.end_ns <= parent->end_ns);
    }
    free(spans);
    ut_batch_free(&batch);
    ut_buf_free(&body);
    ut_sample_free(&sample);
}

static void a_seed_gives_its_own_requests_and_each_has_fresh_ids(void **state)
{
    (void)state;
    ut_sample a, b, c;
    ut_buf from_a, from_b, from_c;
    ut_sample_init(&a, 7);
    ut_sample_init(&b, 7);
    ut_sample_init(&c, 8);
    ut_buf_init(&from_a, BYTES_MAX);
    ut_buf_init(&from_b, BYTES_MAX);
    ut_buf_init(&from_c, BYTES_MAX);
    assert_int_equal(ut_sample_request(&a, 50, end_ns, &from_a), UT_OK);
    assert_int_equal(ut_sample_request(&b, 50, end_ns, &from_b), UT_OK);
    assert_int_equal(ut_sample_request(&c, 50, end_ns, &from_c), UT_OK);
    assert_true(ut_bytes_equal(ut_buf_bytes(&from_a), ut_buf_bytes(&from_b)));
    assert_false(ut_bytes_equal(ut_buf_bytes(&from_a), ut_buf_bytes(&from_c)));
    ut_buf_reset(&from_b, SIZE_MAX);
    assert_int_equal(ut_sample_request(&b, 50, end_ns, &from_b), UT_OK);
    uint32_t count_a, count_b;
    const ut_sample_trace *traces_a = ut_sample_traces(&a, &count_a);
    const ut_sample_trace *traces_b = ut_sample_traces(&b, &count_b);
    for (uint32_t i = 0; i < count_a; i++) {
        for (uint32_t j = 0; j < count_b; j++)
            assert_memory_not_equal(traces_a[i].trace_id, traces_b[j].trace_id, 16);
    }
    ut_buf_free(&from_c);
    ut_buf_free(&from_b);
    ut_buf_free(&from_a);
    ut_sample_free(&c);
    ut_sample_free(&b);
    ut_sample_free(&a);
}

static void some_traces_fail_and_say_why(void **state)
{
    (void)state;
    ut_sample sample;
    ut_buf body;
    ut_batch batch;
    ut_sample_init(&sample, 9);
    ut_buf_init(&body, BYTES_MAX);
    ut_batch_init(&batch, BYTES_MAX);
    make(&sample, 5000, &body, &batch);
    uint32_t errors = 0;
    for (uint32_t i = 0; i < batch.span_count; i++)
        errors += ut_batch_spans(&batch)[i].status == UT_STATUS_ERROR;
    assert_in_range(errors, 50, 1000);
    ut_batch_free(&batch);
    ut_buf_free(&body);
    ut_sample_free(&sample);
}

static void a_full_buffer_is_an_error(void **state)
{
    (void)state;
    ut_sample sample;
    ut_buf body;
    ut_sample_init(&sample, 4);
    ut_buf_init(&body, 5000);
    assert_int_equal(ut_sample_request(&sample, 100, end_ns, &body), UT_ELIMIT);
    ut_buf_free(&body);
    ut_sample_free(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_spans_is_made_exactly),
        cmocka_unit_test(spans_have_the_size_that_figures_are_given_for),
        cmocka_unit_test(traces_are_complete_trees),
        cmocka_unit_test(a_seed_gives_its_own_requests_and_each_has_fresh_ids),
        cmocka_unit_test(some_traces_fail_and_say_why),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
