// Batches and the recount for tests of storage; see store_check.h.
#include "tests/support/store_check.h"

#include "tests/support/random_span.h"

#include <stdio.h>
#include <stdlib.h>

void ut_test_trace_id(uint32_t trace, uint8_t id[UT_TRACE_ID_LEN])
{
    ut_random random = {UINT64_C(1000003) * trace + 17};
    ut_put_be64(id, ut_random_next(&random));
    ut_put_be64(id + 8, ut_random_next(&random));
}

void ut_test_span_id(uint32_t trace, uint32_t span, uint8_t id[UT_SPAN_ID_LEN])
{
    ut_random random = {((uint64_t)trace << 32 | span) + 99};
    ut_put_be64(id, ut_random_next(&random));
}

static void add_span(ut_batch *batch, uint32_t scope, const ut_test_span *from)
{
    uint8_t trace_id[UT_TRACE_ID_LEN];
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint8_t parent_id[UT_SPAN_ID_LEN];
    ut_test_trace_id(from->trace, trace_id);
    ut_test_span_id(from->trace, from->span, span_id);
    ut_test_span_id(from->trace, from->parent, parent_id);
    ut_span span = {
        .trace_id = {trace_id, sizeof trace_id},
        .span_id = {span_id, sizeof span_id},
        .parent_span_id = {parent_id, from->parent != 0 ? sizeof parent_id : 0},
        .name = ut_bytes_of_z(from->name_z != NULL ? from->name_z : "work"),
        .start_ns = from->start_ns,
        .end_ns = from->end_ns,
        .status_code = from->status,
    };
    ut_buf *out = &batch->span_bytes;
    size_t begin = out->len;
    ut_span_write_head(out, &span);
    if (from->filler > 0) {
        uint8_t *bytes = malloc(from->filler);
        ut_random random = {(uint64_t)from->trace * 31 + from->span};
        UT_ASSERT(bytes != NULL);
        for (uint32_t i = 0; i < from->filler; i++)
            bytes[i] = (uint8_t)ut_random_next(&random);
        ut_mp_put_map(out, 1);
        ut_mp_put_str(out, UT_BYTES_LIT("filler"));
        ut_mp_put_bin(out, (ut_bytes){bytes, from->filler});
        free(bytes);
    } else {
        ut_mp_put_map(out, 0);
    }
    ut_mp_put_array(out, 0);
    ut_mp_put_array(out, 0);
    ut_span_write_rare(out, &span);
    ut_batch_end_span(batch, begin, scope, &span);
}

void ut_test_batch(ut_batch *batch, const ut_test_span *spans, size_t count)
{
    size_t begin = batch->resource_bytes.len;
    const char *service_z = count > 0 && spans[0].service_z != NULL ? spans[0].service_z : "shop";
    ut_resource_write_head(&batch->resource_bytes);
    ut_mp_put_map(&batch->resource_bytes, 1);
    ut_mp_put_str(&batch->resource_bytes, UT_BYTES_LIT("service.name"));
    ut_mp_put_str(&batch->resource_bytes, ut_bytes_of_z(service_z));
    ut_resource_write_tail(&batch->resource_bytes, &(ut_resource){0});
    uint32_t resource = ut_batch_end_resource(batch, begin);
    begin = batch->scope_bytes.len;
    ut_scope_write_head(&batch->scope_bytes, &(ut_scope){.name = UT_BYTES_LIT("test")});
    ut_mp_put_map(&batch->scope_bytes, 0);
    ut_scope_write_tail(&batch->scope_bytes, &(ut_scope){0});
    uint32_t scope = ut_batch_end_scope(batch, begin, resource);
    for (size_t i = 0; i < count; i++)
        add_span(batch, scope, &spans[i]);
    UT_ASSERT(ut_batch_error(batch) == UT_OK);
}

static void tell(void *context, const char *text_z)
{
    (void)context;
    (void)fprintf(stderr, "store: %s\n", text_z);
}

ut_verify_report ut_store_check(ut_engine *engine)
{
    ut_store_view *view;
    ut_verify_report report;
    UT_ASSERT(ut_store_view_open(engine, &view) == UT_OK);
    UT_ASSERT(ut_store_view_begin(view) == UT_OK);
    UT_ASSERT(ut_store_verify(view, &report, tell, NULL) == UT_OK);
    ut_store_view_close(view);
    UT_ASSERT(report.problems == 0);
    return report;
}
