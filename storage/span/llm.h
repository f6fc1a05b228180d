// Calls of language models: which spans are one, and what they say of model, tokens and cost, in
// the spellings that are about (OpenTelemetry gen_ai old and new, OpenInference, OpenLLMetry, the
// Vercel AI SDK, LangSmith, Untrace). Pure functions.
#ifndef UT_STORAGE_SPAN_LLM_H
#define UT_STORAGE_SPAN_LLM_H

#include "storage/span/span.h"

typedef struct {
    ut_bytes model; // the response's, else the request's; empty when unknown. Borrowed
    ut_bytes provider;
    ut_bytes operation;
    bool has_tokens;
    uint64_t input_tokens;
    uint64_t output_tokens;
    uint64_t total_tokens;  // as stated, else the sum
    uint64_t cached_tokens; // input read from a cache; what was written to one is not in it
    uint64_t reasoning_tokens;
    bool has_cost;
    double cost_usd; // total, else the sum of its parts
} ut_llm_call;

// attributes: a raw map of a span. False when the span is no call of a model; *call is then empty.
//
// A span is a call when it states an operation, a model, tokens or a cost, and its operation or
// span kind is none of those that go on around calls (agent, chain, tool, retrieval, ...): those
// often repeat the sums of the calls below them. Where one thing is said in several spellings, the
// newer convention counts. Numbers may stand as integer, double or decimal text; negative ones, and
// those that are none, are passed over. Damaged bytes end the reading: what stood before counts.
// Costs about 3 ns an attribute where there is none of a model.
bool ut_llm_read(ut_bytes attributes, ut_llm_call *call);

#endif
