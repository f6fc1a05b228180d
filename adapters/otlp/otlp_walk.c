// Walks the spans of a block with ordinals in a range; see otlp_walk.h.
#include "adapters/otlp/otlp_walk.h"

static bool find_elements(ut_bytes elements, uint32_t count, uint32_t offsets[UT_BLOCK_SPANS_MAX])
{
    if (count > UT_BLOCK_SPANS_MAX || elements.len > UINT32_MAX)
        return false;
    ut_mp_reader reader = ut_mp_reader_of(elements);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = (uint32_t)(reader.at - elements.data);
        (void)ut_mp_skip(&reader); // the error is sticky
    }
    return reader.err == UT_OK;
}

static ut_mp_reader element(ut_bytes elements, uint32_t offset)
{
    return ut_mp_reader_of(ut_bytes_of(elements.data + offset, elements.len - offset));
}

ut_err ut_otlp_walk_begin(ut_otlp_walk *walk, const ut_block *block, uint32_t from, uint32_t to)
{
    walk->block = block;
    walk->from = from;
    walk->to = to;
    ut_block_walk(block, &walk->cursor);
    return find_elements(block->scopes, block->scope_count, walk->scopes) &&
                   find_elements(block->resources, block->resource_count, walk->resources)
               ? UT_OK
               : UT_ECORRUPT;
}

static ut_err read_group(const ut_otlp_walk *walk, ut_otlp_group *group)
{
    const ut_block *block = walk->block;
    uint32_t scope = walk->cursor.scope_index;
    if (scope >= block->scope_count)
        return UT_ECORRUPT;
    ut_mp_reader reader = element(block->scopes, walk->scopes[scope]);
    if (ut_mp_get_array(&reader) != 2)
        return UT_ECORRUPT;
    uint64_t resource = ut_mp_get_uint(&reader);
    if (ut_scope_read(&reader, &group->scope) != UT_OK || resource >= block->resource_count)
        return UT_ECORRUPT;
    group->resource_index = (uint32_t)resource;
    reader = element(block->resources, walk->resources[resource]);
    return ut_resource_read(&reader, &group->resource) == UT_OK ? UT_OK : UT_ECORRUPT;
}

ut_err ut_otlp_walk_group(ut_otlp_walk *walk, ut_otlp_group *group, bool *more)
{
    ut_block_cursor *cursor = &walk->cursor;
    for (;;) {
        *more = false;
        if (walk->from >= walk->to || cursor->ordinal >= walk->to)
            return UT_OK;
        ut_err err = ut_block_next_group(cursor, more);
        if (err != UT_OK || !*more)
            return err;
        // Spans before the range are passed unread.
        while (cursor->ordinal < walk->from && cursor->spans_left > 0) {
            ut_bytes raw;
            bool passed;
            err = ut_block_skip_span(cursor, &raw, &passed);
            if (err != UT_OK)
                return err;
        }
        if (cursor->spans_left > 0 && cursor->ordinal < walk->to)
            return read_group(walk, group);
    }
}

ut_err ut_otlp_walk_span(ut_otlp_walk *walk, ut_span *span, bool *more)
{
    *more = false;
    if (walk->cursor.ordinal >= walk->to)
        return UT_OK;
    return ut_block_next_span(&walk->cursor, span, more);
}
