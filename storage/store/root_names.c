// Names of root spans out of their blocks; see root_names.h.
// Not for listing: query.c.
#include "storage/store/root_names.h"

void ut_root_names_init(ut_root_names *names, ut_store_view *view, uint32_t org)
{
    *names = (ut_root_names){.view = view, .org = org};
    ut_buf_init(&names->payload, UT_BLOCK_PAYLOAD_MAX + 1);
}

void ut_root_names_free(ut_root_names *names)
{
    ut_buf_free(&names->payload);
}

// Reads the span at ordinal and the resource that it hangs on. UT_ENOTFOUND, UT_ECORRUPT.
static ut_err find_span(const ut_block *block, uint32_t ordinal, ut_span *span,
                        ut_resource *resource)
{
    ut_block_cursor cursor;
    bool more = true;
    ut_block_walk(block, &cursor);
    for (;;) {
        ut_err err = ut_block_next_group(&cursor, &more);
        if (err != UT_OK || !more)
            return err != UT_OK ? err : UT_ENOTFOUND;
        while (more && cursor.ordinal < ordinal && err == UT_OK) {
            ut_bytes raw;
            err = ut_block_skip_span(&cursor, &raw, &more);
        }
        if (err == UT_OK && more)
            err = ut_block_next_span(&cursor, span, &more);
        if (err != UT_OK)
            return err;
        if (!more)
            continue; // the next group
        ut_scope scope;
        uint32_t index;
        err = ut_block_scope(block, cursor.scope_index, &scope, &index);
        return err == UT_OK ? ut_block_resource(block, index, resource) : err;
    }
}

ut_err ut_root_names_fill(ut_root_names *names, const uint8_t trace_id[UT_TRACE_ID_LEN],
                          uint64_t seq, uint32_t ordinal, ut_bytes *service, ut_bytes *name)
{
    ut_err err = UT_OK;
    *service = UT_BYTES_NONE;
    *name = UT_BYTES_NONE;
    if (names->seq != seq) {
        names->seq = 0;
        err = ut_store_read_block(names->view, names->org, seq, &names->payload, &names->block);
        if (err == UT_OK)
            names->seq = seq;
    }
    ut_span span;
    ut_resource resource;
    if (err == UT_OK)
        err = find_span(&names->block, ordinal, &span, &resource);
    if (err == UT_OK && memcmp(span.trace_id.data, trace_id, UT_TRACE_ID_LEN) == 0) {
        *name = span.name;
        *service = ut_span_service(resource.attributes);
    }
    return err == UT_ENOTFOUND || err == UT_ECORRUPT || err == UT_EVERSION ? UT_OK : err;
}
