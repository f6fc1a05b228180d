// Making the Bloom filter of a block: which services, names and attributes stand in it. Not for
// asking: bloom.h.
#ifndef UT_STORAGE_STORE_BLOOM_BUILD_H
#define UT_STORAGE_STORE_BLOOM_BUILD_H

#include "storage/span/block.h"
#include "storage/store/bloom_bits.h"

typedef struct ut_bloom_builder ut_bloom_builder;

// spans_max: 1..UT_BLOCK_SPANS_MAX. NULL without memory.
ut_bloom_builder *ut_bloom_builder_new(uint32_t spans_max);
void ut_bloom_builder_free(ut_bloom_builder *builder); // NULL is ignored

// The filter of the spans in block; borrowed until the next call with builder. Empty when a record
// cannot be read.
ut_bytes ut_bloom_build(ut_bloom_builder *builder, const ut_block_builder *block, uint64_t seed);

#endif
