// The Bloom filter in the summary of a block: which services, names and attributes stand in the
// block, so that a search can pass it. docs/FORMAT.md states the bytes. It may say of something that
// is not there that it may be; never the reverse.
//
// The filter tells what it was asked about to whoever knows the seed. With a secret seed it tells
// nothing to others; the reader must know the same one.
#ifndef UT_STORAGE_BLOOM_H
#define UT_STORAGE_BLOOM_H

#include "storage/span/block.h"
#include "storage/span/filter.h"

enum {
    UT_BLOOM_BYTES_MAX = 1024,   // of one filter, and at most
    UT_BLOOM_BYTES_A_SPAN = 3,   // so many for each span
    UT_BLOOM_BYTES_MIN = 32,     // but so many are always allowed
    UT_BLOOM_VALUES_MAX = 24,    // different values of one key in a block; more are not told apart
    UT_BLOOM_VALUE_LEN_MAX = 128 // bytes; longer texts are not told apart
};

// ---- building ----

typedef struct ut_bloom_builder ut_bloom_builder;

// spans_max: 1..UT_BLOCK_SPANS_MAX. NULL without memory.
ut_bloom_builder *ut_bloom_builder_new(uint32_t spans_max);
void ut_bloom_builder_free(ut_bloom_builder *builder); // NULL is ignored

// The filter of the spans in block; borrowed until the next call with builder. Empty when a record
// cannot be read.
ut_bytes ut_bloom_build(ut_bloom_builder *builder, const ut_block_builder *block, uint64_t seed);

// ---- asking ----

// What a filter of spans needs to find in a block, as hashes.
typedef struct {
    uint64_t key;
    uint64_t wide;
    uint64_t text;
    uint64_t number;
    bool equals;
    bool is_number;
    bool or_next; // what the next one asks for does as well
} ut_bloom_term;

typedef struct {
    bool seeded; // the seed is not 0
    bool has_service;
    bool has_failed; // only errors of the service are wanted
    bool has_name;
    uint64_t service;
    uint64_t failed;
    uint64_t name;
    ut_bloom_term terms[2 * UT_FILTER_TERMS_MAX];
    uint32_t term_count;
} ut_bloom_question;

void ut_bloom_ask(const ut_filter *filter, uint64_t seed, ut_bloom_question *question);

// True when no span of the block can match. bloom: as built, or damaged. One that was built with a
// seed says nothing to a question without, and the reverse.
bool ut_bloom_excludes(const ut_bloom_question *question, ut_bytes bloom);

#endif
