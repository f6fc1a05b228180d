// The summary of a block: what a query has to know to pass the block without opening it.
#include "storage/store_core.h"

#include "storage/key.h"

ut_err ut_summary_put(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns, uint32_t hour)
{
    ut_block_info info;
    ut_err err = ut_block_peek(ut_buf_bytes(&store->sealed), &info);
    if (err != UT_OK)
        return err;
    ut_record_summary summary = {
        .span_count = info.span_count,
        .payload_len = info.payload_len,
        .sealed_len = (uint32_t)store->sealed.len,
        .expiry_hour = hour,
        .received_ns = now_ns,
        .start_ns = UINT64_MAX,
    };
    store->payload_bytes += info.payload_len;
    for (uint32_t i = 0; i < info.span_count; i++) {
        const ut_batch_span *span = ut_block_builder_span(store->builder, i);
        summary.status_count[span->status] += 1;
        if (span->start_ns < summary.start_ns)
            summary.start_ns = span->start_ns;
        if (span->end_ns > summary.end_ns)
            summary.end_ns = span->end_ns;
    }
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_summary(&store->value, &summary);
    if (store->value.err != UT_OK)
        return store->value.err;
    ut_key key = ut_key_summary(org, seq);
    return ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}
