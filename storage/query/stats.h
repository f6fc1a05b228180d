// Numbers over spans: how many, how long, how many failed, what models cost, in groups. Takes spans
// one by one, from any search; holds no span. Memory is bounded by the number of groups.
#ifndef UT_STORAGE_QUERY_STATS_H
#define UT_STORAGE_QUERY_STATS_H

#include "storage/query/query.h"
#include "storage/span/llm_price.h"

enum {
    UT_STATS_GROUPS_MAX = 10000, // further groups are counted in one, "(other)"
    UT_STATS_LABEL_MAX = 256,    // bytes; longer ones are cut
    UT_STATS_KEYS_MAX = 3,       // keys of a grouping
    UT_STATS_LABELS_MAX = 4,     // of a group: one a key, UT_STATS_BY_ERROR has two
};

typedef enum {
    UT_STATS_BY_NOTHING, // one group for all
    UT_STATS_BY_NAME,
    UT_STATS_BY_SERVICE,
    UT_STATS_BY_STATUS,    // "unset", "ok", "error"
    UT_STATS_BY_KIND,      // "unspecified", "internal", "server", "client", "producer", "consumer"
    UT_STATS_BY_ATTRIBUTE, // of the span, else of its resource
    UT_STATS_BY_HOUR,      // of the start, UTC; label "2026-11-20T18"
    UT_STATS_BY_MODEL,     // calls of language models only
    UT_STATS_BY_ERROR,     // failed spans only: two labels, the name and the status message
} ut_stats_by;

// By what the groups are sorted, the greatest first.
typedef enum {
    UT_STATS_SORT_USUAL, // by count; hours and status by their order
    UT_STATS_SORT_COUNT,
    UT_STATS_SORT_ERRORS,
    UT_STATS_SORT_RATE, // of errors
    UT_STATS_SORT_MEAN,
    UT_STATS_SORT_P50,
    UT_STATS_SORT_P90,
    UT_STATS_SORT_P99,
    UT_STATS_SORT_MAX,
    UT_STATS_SORT_TOKENS,
    UT_STATS_SORT_COST,
    UT_STATS_SORT_LABEL, // by the labels, the smallest first
} ut_stats_sort;

typedef struct {
    ut_stats_by by;
    ut_bytes attribute; // for UT_STATS_BY_ATTRIBUTE
} ut_stats_key;

typedef struct ut_stats ut_stats;

typedef struct {
    // Borrowed from the stats, in the order of the keys; empty for a span without the attribute.
    ut_bytes labels[UT_STATS_LABELS_MAX];
    double rank; // what it is sorted by
    bool other;  // the group of those beyond UT_STATS_GROUPS_MAX
    uint64_t count;
    uint64_t errors;
    uint64_t duration_sum_ns; // stays at 2^64 - 1 where it would pass it
    uint64_t duration_min_ns;
    uint64_t duration_max_ns;
    uint64_t p50_ns; // within 1 % of the true value (nearest rank)
    uint64_t p90_ns;
    uint64_t p99_ns;
    uint64_t first_start_ns; // earliest and latest start
    uint64_t last_start_ns;
    uint8_t last_trace_id[UT_TRACE_ID_LEN]; // of the latest start: an example to look at
    uint64_t input_tokens;                  // of calls of language models (llm.h)
    uint64_t output_tokens;
    uint64_t total_tokens;
    uint64_t cached_tokens;
    uint64_t reasoning_tokens;
    uint64_t call_count;  // spans that are a call
    uint64_t token_count; // of these, those that state tokens
    double cost_usd;
    uint64_t cost_count; // of these, those that state a cost
} ut_stats_row;

// attribute: for UT_STATS_BY_ATTRIBUTE, copied. UT_ENOMEM.
ut_err ut_stats_new(ut_stats_by by, ut_bytes attribute, ut_stats **stats);
// Groups by several keys, 1 to UT_STATS_KEYS_MAX, of which one at most is UT_STATS_BY_ERROR; a span
// that one of them leaves out is in no group.
ut_err ut_stats_new_keys(const ut_stats_key *keys, uint32_t count, ut_stats **stats);
// Prices for calls that state no cost; borrowed until ut_stats_free.
void ut_stats_set_prices(ut_stats *stats, const ut_llm_prices *prices);
void ut_stats_free(ut_stats *stats); // NULL is ignored

// Counts one span. A span that ends before it starts took no time. Fits ut_trace_span_visit with
// the stats as context. Costs about 0.1 us. UT_ENOMEM: the numbers may be short of this span.
ut_err ut_stats_add(void *stats, const ut_trace_span *span);

// Sorts and returns the groups, equal ones by their labels; "(other)" is last. Valid until the next
// call with stats. total: of all spans that were added, also of those that are in no group (not
// failed, no call of a model); its percentiles too.
const ut_stats_row *ut_stats_rows(ut_stats *stats, ut_stats_sort sort, uint32_t *count,
                                  ut_stats_row *total);

#endif
