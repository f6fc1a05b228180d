// Asking the Bloom filter in the summary of a block, so that a search can pass the block. The
// filter may say of something that is not there that it may be; never the reverse. docs/FORMAT.md
// states the bytes. Not for making one: bloom_build.h.
//
// A filter tells what it was asked about to everybody who knows the seed. With a secret seed it
// tells nothing to others; the reader must know the same one.
#ifndef UT_STORAGE_STORE_BLOOM_H
#define UT_STORAGE_STORE_BLOOM_H

#include "storage/span/filter.h"

// A condition of a filter as hashes: a block whose Bloom filter has none of them has no such span.
typedef struct {
    uint64_t key;
    uint64_t wide;
    uint64_t text;
    uint64_t number;
    bool equals;
    bool is_number;
    bool or_next; // a block that meets the next term instead will do
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
