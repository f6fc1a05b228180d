// Spans in the order of their commits, for readers that poll; see query.h.
// Not for storing where a reader has got to: consumer.c.
#include "storage/query/query.h"

#include "storage/store/key.h"
#include "storage/store/record.h"
#include "storage/store/store_view.h"

ut_err ut_query_pull(ut_store_view *view, uint32_t org, ut_query_cursor *cursor, uint32_t spans_max,
                     uint32_t *damaged, ut_trace_span_visitor visitor)
{
    ut_filter all = ut_filter_all();
    // Each block gives a span, so spans_max bounds the work; damaged blocks are bounded by the
    // limit on blocks.
    ut_search search = {.org = org,
                        .filter = &all,
                        .oldest_first = true,
                        .spans_max = spans_max,
                        .blocks_max = UT_QUERY_PULL_BLOCKS};
    ut_search_work work = {0};
    bool more;
    ut_err err = ut_query_spans(view, &search, cursor, &work, &more, visitor);
    *damaged = (uint32_t)work.blocks_damaged;
    return err;
}

ut_err ut_query_consumer(ut_store_view *view, uint32_t org, const char *name_z,
                         ut_query_cursor *cursor)
{
    ut_bytes name = ut_bytes_of_z(name_z);
    if (name.len == 0 || name.len > UT_STORE_CONSUMER_NAME_MAX)
        return UT_ENOTFOUND;
    ut_key key = ut_key_consumer(org, name);
    ut_bytes value;
    ut_record_consumer consumer;
    ut_err err = ut_txn_get(ut_store_view_txn(view), ut_key_bytes(&key), &value);
    if (err == UT_OK)
        err = ut_record_read_consumer(value, &consumer);
    if (err == UT_OK)
        *cursor =
            (ut_query_cursor){.begun = true, .seq = consumer.seq, .ordinal = consumer.ordinal};
    return err;
}
