// The summary of a block, by which a search passes the block: it says that no span of the block can
// match a filter, and never says so wrongly. Not for the bytes of the record: record.h.
#ifndef UT_STORAGE_STORE_BLOCK_SUMMARY_H
#define UT_STORAGE_STORE_BLOCK_SUMMARY_H

#include "storage/store/bloom.h"
#include "storage/store/record.h"

// Writes the summary of the block that stands in store->builder and store->sealed. Inside a write
// transaction. UT_ENOMEM, errors of the engine.
ut_err ut_block_summary_put(ut_store *store, uint32_t org, uint64_t seq, uint64_t now_ns,
                            uint32_t hour);

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
