// The trace of the assistant decodes, has its id and one root, and other span ids each time.
#include "agent/commands/sample_assistant.h"

#include "adapters/otlp/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 20 };

static const uint64_t end_ns = 1760000000000000000u;

static void it_is_one_trace_of_calls_of_language_models(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {0, 1, 2, UINT64_MAX / 2, UINT64_MAX};
    uint8_t roots[5][8];
    for (size_t i = 0; i < 5; i++) {
        ut_buf body;
        ut_batch batch;
        ut_fault fault = {0};
        uint32_t root_count = 0;
        ut_buf_init(&body, BYTES_MAX);
        ut_batch_init(&batch, BYTES_MAX);
        assert_int_equal(ut_sample_assistant(seeds[i], end_ns, &body), UT_OK);
        if (ut_otlp_protobuf_decode(ut_buf_bytes(&body), &batch, &fault) != UT_OK)
            fail_msg("%s", fault.text_z);
        assert_int_equal(batch.span_count, UT_SAMPLE_ASSISTANT_SPANS);
        assert_int_equal(batch.rejected_count, 0);
        for (uint32_t k = 0; k < batch.span_count; k++) {
            const ut_batch_span *span = &ut_batch_spans(&batch)[k];
            assert_memory_equal(span->trace_id, ut_sample_assistant_id, 16);
            assert_true(span->start_ns < span->end_ns && span->end_ns < end_ns);
            root_count += span->root ? 1 : 0;
            if (span->root)
                memcpy(roots[i], span->span_id, sizeof(roots[i]));
        }
        assert_int_equal(root_count, 1);
        ut_batch_free(&batch);
        ut_buf_free(&body);
    }
    assert_memory_not_equal(roots[0], roots[1], 8);
    assert_memory_not_equal(roots[1], roots[2], 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_one_trace_of_calls_of_language_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
