// Prices of language models; see llm_price.h.
#include "storage/span/llm_price.h"

#include "storage/span/filter.h"

static bool fits(const ut_llm_price *price, ut_bytes model)
{
    const ut_bytes pattern = ut_bytes_of_z(price->model_z);
    return ut_filter_is_glob(pattern) ? ut_filter_glob(pattern, model)
                                      : ut_bytes_equal(pattern, model);
}

void ut_llm_price_call(const ut_llm_prices *prices, ut_llm_call *call)
{
    const double per_token = 1e-6;
    if (prices == NULL || call->has_cost || !call->has_tokens)
        return;
    for (uint32_t i = 0; i < prices->count; i++) {
        const ut_llm_price *price = &prices->items[i];
        if (!fits(price, call->model))
            continue;
        const bool split = call->input_tokens > 0 || call->output_tokens > 0;
        const uint64_t input = split ? call->input_tokens : call->total_tokens;
        const uint64_t cached = call->cached_tokens < input ? call->cached_tokens : input;
        call->has_cost = true;
        call->cost_usd = per_token * ((double)(input - cached) * price->input_usd +
                                      (double)cached * price->cached_usd +
                                      (double)call->output_tokens * price->output_usd);
        return;
    }
}
