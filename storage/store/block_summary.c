// Writing the summary of a block and asking it; see block_summary.h.
#include "storage/store/block_summary.h"

#include "storage/store/bloom_build.h"
#include "storage/store/key.h"
#include "storage/store/store_core.h"

ut_err ut_block_summary_put(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns,
                            uint32_t hour)
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
        if (span->start_ns > summary.latest_start_ns)
            summary.latest_start_ns = span->start_ns;
        if (span->end_ns > summary.end_ns)
            summary.end_ns = span->end_ns;
    }
    summary.bloom = ut_bloom_build(store->bloom, store->builder,
                                   ut_keyring_filter_seed(store->engine->keyring, seq));
    ut_buf_reset(&store->value, UT_TRACE_MEMORY_KEEP);
    ut_record_write_summary(&store->value, &summary);
    if (store->value.err != UT_OK)
        return store->value.err;
    ut_key key = ut_key_summary(org, seq);
    return ut_txn_put(store->txn, ut_key_bytes(&key), ut_buf_bytes(&store->value));
}

// ---- asking ----

void ut_block_summary_ask(const ut_filter *filter, uint64_t seed,
                          ut_block_summary_question *question)
{
    question->filter = filter;
    ut_bloom_ask(filter, seed, &question->bloom);
}

// True when no span that is counted by status is wanted.
static bool excludes_statuses(const ut_filter *filter, const ut_record_summary *summary)
{
    if (filter->statuses == 0)
        return false;
    for (unsigned status = UT_STATUS_UNSET; status <= UT_STATUS_ERROR; status++) {
        if ((filter->statuses & 1U << status) != 0 && summary->status_count[status] > 0)
            return false;
    }
    return true;
}

bool ut_block_summary_excludes(const ut_block_summary_question *question, ut_bytes value)
{
    const ut_filter *filter = question->filter;
    ut_record_summary summary;
    if (ut_record_read_summary(value, &summary) != UT_OK)
        return false; // the block itself tells
    if (summary.latest_start_ns < filter->start_ns)
        return true;
    if (summary.start_ns >= filter->end_ns && filter->end_ns != UINT64_MAX)
        return true;
    return excludes_statuses(filter, &summary) ||
           ut_bloom_excludes(&question->bloom, summary.bloom);
}
