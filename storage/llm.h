// Calls of language models: which spans are one, and what they say of model, tokens and cost, in
// every spelling that is about (OpenTelemetry gen_ai old and new, OpenInference, OpenLLMetry,
// Untrace). Pure functions.
#ifndef UT_STORAGE_LLM_H
#define UT_STORAGE_LLM_H

#include "storage/span.h"

typedef struct {
    ut_bytes model; // the response's, else the request's; empty when unknown. Borrowed
    ut_bytes provider;
    ut_bytes operation;
    bool has_tokens;
    uint64_t input_tokens;
    uint64_t output_tokens;
    uint64_t total_tokens; // as stated, else the sum
    uint64_t cached_tokens;
    uint64_t reasoning_tokens;
    bool has_cost;
    double cost_usd; // total, else the sum of its parts
} ut_llm_call;

// attributes: a raw map of a span. False when the span is no call of a model; *call is then empty.
bool ut_llm_read(ut_bytes attributes, ut_llm_call *call);

#endif
