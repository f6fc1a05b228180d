// The tables of a block; see block_tables.h.
// Not for what is in the records: span.h reads them.
#include "storage/span/block_tables.h"

ut_err ut_block_tables_read(const ut_block *block, ut_block_tables *tables)
{
    enum { SCOPE_FIELDS = 2 };
    if (block->resource_count > UT_BLOCK_SPANS_MAX || block->scope_count > UT_BLOCK_SPANS_MAX)
        return UT_ECORRUPT;
    tables->resource_count = block->resource_count;
    tables->scope_count = block->scope_count;
    ut_mp_reader reader = ut_mp_reader_of(block->resources);
    for (uint32_t i = 0; i < block->resource_count; i++)
        tables->resources[i] = ut_mp_skip(&reader);
    if (reader.err != UT_OK)
        return UT_ECORRUPT;
    reader = ut_mp_reader_of(block->scopes);
    for (uint32_t i = 0; i < block->scope_count; i++) {
        if (ut_mp_get_array(&reader) != SCOPE_FIELDS)
            return UT_ECORRUPT;
        uint64_t resource = ut_mp_get_uint(&reader);
        if (resource >= block->resource_count)
            return UT_ECORRUPT;
        tables->resource_of[i] = (uint32_t)resource;
        tables->scopes[i] = ut_mp_skip(&reader);
    }
    return reader.err == UT_OK ? UT_OK : UT_ECORRUPT;
}
