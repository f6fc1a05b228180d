// The resources and scopes of an opened block by their indexes, read once: for walks that look at
// every span. Not for finding one of them: ut_block_scope and ut_block_resource do.
#ifndef UT_STORAGE_SPAN_BLOCK_TABLES_H
#define UT_STORAGE_SPAN_BLOCK_TABLES_H

#include "storage/span/block.h"

// Records are borrowed from the payload of the block. Large: not for the stack.
typedef struct {
    uint32_t resource_count;
    uint32_t scope_count;
    ut_bytes resources[UT_BLOCK_SPANS_MAX];
    ut_bytes scopes[UT_BLOCK_SPANS_MAX];
    uint32_t resource_of[UT_BLOCK_SPANS_MAX]; // by scope; less than resource_count
} ut_block_tables;

// UT_ECORRUPT.
ut_err ut_block_tables_read(const ut_block *block, ut_block_tables *tables);

#endif
