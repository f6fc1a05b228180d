// What the summary of a block says to a filter: that no span of the block can match. Never says so
// wrongly. ut_block_summary_put (store_core.h) writes summaries.
#ifndef UT_STORAGE_BLOCK_SUMMARY_H
#define UT_STORAGE_BLOCK_SUMMARY_H

#include "storage/store/bloom.h"
#include "storage/store/record.h"

// A filter as it is held against many summaries; borrows the filter.
typedef struct {
    const ut_filter *filter;
    ut_bloom_question bloom;
} ut_block_summary_question;

// seed: of the Bloom filters, as the writer has it.
void ut_block_summary_ask(const ut_filter *filter, uint64_t seed,
                          ut_block_summary_question *question);

// value: of a Z record. False also when it is damaged.
bool ut_block_summary_excludes(const ut_block_summary_question *question, ut_bytes value);

#endif
