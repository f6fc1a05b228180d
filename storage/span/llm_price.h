// What calls of language models cost that state tokens but no cost: prices that a user gives. None
// are built in: they change, and differ between contracts.
#ifndef UT_STORAGE_SPAN_LLM_PRICE_H
#define UT_STORAGE_SPAN_LLM_PRICE_H

#include "storage/span/llm.h"

enum { UT_LLM_PRICES_MAX = 32, UT_LLM_PRICE_MODEL_MAX = 63 };

// Dollars for a million tokens.
typedef struct {
    char model_z[UT_LLM_PRICE_MODEL_MAX + 1]; // a glob where it holds * or ?, else exact
    double input_usd;
    double output_usd;
    double cached_usd; // of input read from a cache
} ut_llm_price;

typedef struct {
    ut_llm_price items[UT_LLM_PRICES_MAX]; // the first that fits counts
    uint32_t count;
} ut_llm_prices;

// Sets the cost of a call that states tokens but none. prices: NULL for none. Tokens that are said
// only in sum cost what input does.
void ut_llm_price_call(const ut_llm_prices *prices, ut_llm_call *call);

#endif
