// Calls of language models in every spelling; attributes are built by hand.
#include "storage/span/llm_price.h"
#include "tests/support/random_span.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES_MAX = 1 << 20 };

typedef struct {
    ut_buf pairs;
    ut_buf map;
    uint32_t count;
} attributes;

static attributes begin(void)
{
    attributes made = {.count = 0};
    ut_buf_init(&made.pairs, BYTES_MAX);
    ut_buf_init(&made.map, BYTES_MAX);
    return made;
}

static void add_text(attributes *to, const char *key_z, const char *value_z)
{
    ut_mp_put_str(&to->pairs, ut_bytes_of_z(key_z));
    ut_mp_put_str(&to->pairs, ut_bytes_of_z(value_z));
    to->count++;
}

static void add_int(attributes *to, const char *key_z, int64_t value)
{
    ut_mp_put_str(&to->pairs, ut_bytes_of_z(key_z));
    ut_mp_put_int(&to->pairs, value);
    to->count++;
}

static void add_double(attributes *to, const char *key_z, double value)
{
    ut_mp_put_str(&to->pairs, ut_bytes_of_z(key_z));
    ut_mp_put_double(&to->pairs, value);
    to->count++;
}

// Reads what was added, and begins anew.
static bool read_call(attributes *from, ut_llm_call *call)
{
    ut_buf_reset(&from->map, BYTES_MAX);
    ut_mp_put_map(&from->map, from->count);
    ut_buf_add_bytes(&from->map, ut_buf_bytes(&from->pairs));
    ut_buf_reset(&from->pairs, BYTES_MAX);
    from->count = 0;
    return ut_llm_read(ut_buf_bytes(&from->map), call);
}

static void end(attributes *made)
{
    ut_buf_free(&made->pairs);
    ut_buf_free(&made->map);
}

static void assert_text(ut_bytes text, const char *expected_z)
{
    assert_int_equal(text.len, strlen(expected_z));
    assert_memory_equal(text.data, expected_z, text.len);
}

static void every_spelling_of_text_is_read(void **state)
{
    (void)state;
    static const char *const models[] = {
        "gen_ai.response.model",   "gen_ai.request.model",
        "llm.model_name",          "llm.request.model_name",
        "llm.response.model_name", "llm.model",
        "llm.request.model",       "llm.response.model",
        "embedding.model_name",    "ai.model.id",
        "ai.response.model",       "langsmith.metadata.ls_model_name"};
    static const char *const providers[] = {
        "gen_ai.provider.name", "gen_ai.system",     "llm.provider",
        "llm.system",           "ai.model.provider", "langsmith.metadata.ls_provider"};
    static const char *const operations[] = {"gen_ai.operation.name", "llm.request.type",
                                             "llm.operation.type", "llm.operation"};
    attributes made = begin();
    ut_llm_call call;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        add_text(&made, models[i], "gpt-x");
        assert_true(read_call(&made, &call));
        assert_text(call.model, "gpt-x");
        assert_false(call.has_tokens);
        assert_false(call.has_cost);
    }
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        add_text(&made, providers[i], "openai");
        add_text(&made, "llm.model", "m");
        assert_true(read_call(&made, &call));
        assert_text(call.provider, "openai");
    }
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        add_text(&made, operations[i], "chat");
        assert_true(read_call(&made, &call));
        assert_text(call.operation, "chat");
    }
    add_text(&made, "openinference.span.kind", "LLM");
    assert_true(read_call(&made, &call));
    assert_text(call.operation, "LLM");
    end(&made);
}

typedef struct {
    const char *key_z;
    size_t field; // offset in ut_llm_call
} number_key;

static void every_spelling_of_tokens_is_read(void **state)
{
    (void)state;
    static const size_t in = offsetof(ut_llm_call, input_tokens);
    static const size_t out = offsetof(ut_llm_call, output_tokens);
    static const size_t total = offsetof(ut_llm_call, total_tokens);
    static const size_t cached = offsetof(ut_llm_call, cached_tokens);
    static const size_t reasoning = offsetof(ut_llm_call, reasoning_tokens);
    const number_key keys[] = {
        {"gen_ai.usage.input_tokens", in},
        {"ai.usage.inputTokens", in},
        {"ai.usage.promptTokens", in},
        {"ai.usage.tokens", in},
        {"ai.usage.outputTokens", out},
        {"ai.usage.completionTokens", out},
        {"ai.usage.totalTokens", total},
        {"ai.usage.cachedInputTokens", cached},
        {"ai.usage.reasoningTokens", reasoning},
        {"gen_ai.usage.prompt_tokens", in},
        {"llm.token_count.prompt", in},
        {"llm.prompt.tokens", in},
        {"llm.prompt_tokens", in},
        {"llm.usage.prompt_tokens", in},
        {"llm.usage.input_tokens", in},
        {"llm.input_tokens", in},
        {"gen_ai.usage.output_tokens", out},
        {"gen_ai.usage.completion_tokens", out},
        {"llm.token_count.completion", out},
        {"llm.completion.tokens", out},
        {"llm.completion_tokens", out},
        {"llm.usage.completion_tokens", out},
        {"llm.usage.output_tokens", out},
        {"llm.output_tokens", out},
        {"gen_ai.usage.total_tokens", total},
        {"llm.token_count.total", total},
        {"llm.usage.total_tokens", total},
        {"llm.total.tokens", total},
        {"llm.total_tokens", total},
        {"gen_ai.usage.cache_read.input_tokens", cached},
        {"gen_ai.usage.cache_read_input_tokens", cached},
        {"llm.usage.cache_read_input_tokens", cached},
        {"llm.token_count.prompt_details.cache_read", cached},
        {"gen_ai.usage.reasoning.output_tokens", reasoning},
        {"gen_ai.usage.reasoning_tokens", reasoning},
        {"llm.token_count.completion_details.reasoning", reasoning},
    };
    attributes made = begin();
    ut_llm_call call;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        uint64_t value = 0;
        for (int form = 0; form < 3; form++) {
            if (form == 0)
                add_int(&made, keys[i].key_z, 1234);
            else if (form == 1)
                add_double(&made, keys[i].key_z, 1234.0);
            else
                add_text(&made, keys[i].key_z, "1234");
            add_text(&made, "llm.model", "m");
            assert_true(read_call(&made, &call));
            memcpy(&value, (const char *)&call + keys[i].field, sizeof(value));
            if (value != 1234)
                fail_msg("%s, form %d: %llu", keys[i].key_z, form, (unsigned long long)value);
            assert_int_equal(call.has_tokens,
                             keys[i].field == in || keys[i].field == out || keys[i].field == total);
        }
    }
    end(&made);
}

static void every_spelling_of_cost_is_read(void **state)
{
    (void)state;
    static const char *const totals[] = {"llm.cost.total", "llm.cost_total", "llm.cost",
                                         "gen_ai.usage.cost"};
    static const char *const parts[][2] = {{"llm.cost.prompt", "llm.cost.completion"},
                                           {"llm.cost_prompt", "llm.cost_completion"}};
    attributes made = begin();
    ut_llm_call call;
    for (size_t i = 0; i < 4; i++) {
        add_double(&made, totals[i], 0.25);
        assert_true(read_call(&made, &call));
        assert_true(call.has_cost && fabs(call.cost_usd - 0.25) < 1e-12);
        add_text(&made, totals[i], "2.5e-1");
        assert_true(read_call(&made, &call));
        assert_true(call.has_cost && fabs(call.cost_usd - 0.25) < 1e-12);
    }
    for (size_t i = 0; i < 2; i++) {
        add_double(&made, parts[i][0], 0.25);
        add_int(&made, parts[i][1], 2);
        assert_true(read_call(&made, &call));
        assert_true(call.has_cost && fabs(call.cost_usd - 2.25) < 1e-12);
    }
    end(&made);
}

static void a_total_is_as_stated_and_otherwise_the_sum(void **state)
{
    (void)state;
    attributes made = begin();
    ut_llm_call call;
    add_int(&made, "gen_ai.usage.input_tokens", 10);
    add_int(&made, "gen_ai.usage.output_tokens", 5);
    assert_true(read_call(&made, &call));
    assert_int_equal(call.total_tokens, 15);
    add_int(&made, "gen_ai.usage.input_tokens", 10);
    add_int(&made, "gen_ai.usage.output_tokens", 5);
    add_int(&made, "llm.usage.total_tokens", 40);
    add_double(&made, "llm.cost.prompt", 1);
    add_double(&made, "llm.cost.total", 4);
    assert_true(read_call(&made, &call));
    assert_int_equal(call.total_tokens, 40);
    assert_true(fabs(call.cost_usd - 4) < 1e-12);
    add_text(&made, "gen_ai.usage.input_tokens", "18446744073709551600");
    add_int(&made, "gen_ai.usage.output_tokens", 500);
    assert_true(read_call(&made, &call));
    assert_true(call.total_tokens == UINT64_MAX);
    end(&made);
}

static void the_newer_convention_counts_in_either_order(void **state)
{
    (void)state;
    attributes made = begin();
    ut_llm_call call;
    for (int order = 0; order < 2; order++) {
        if (order == 0)
            add_int(&made, "gen_ai.usage.prompt_tokens", 7);
        add_int(&made, "gen_ai.usage.input_tokens", 8);
        if (order == 1)
            add_int(&made, "gen_ai.usage.prompt_tokens", 7);
        assert_true(read_call(&made, &call));
        assert_int_equal(call.input_tokens, 8);
    }
    add_text(&made, "gen_ai.request.model", "asked");
    add_text(&made, "llm.response.model", "answered");
    assert_true(read_call(&made, &call));
    assert_text(call.model, "answered");
    end(&made);
}

static void what_goes_on_around_a_call_is_none(void **state)
{
    (void)state;
    static const char *const kinds[][2] = {
        {"gen_ai.operation.name", "invoke_agent"}, {"gen_ai.operation.name", "execute_tool"},
        {"openinference.span.kind", "CHAIN"},      {"openinference.span.kind", "AGENT"},
        {"traceloop.span.kind", "workflow"},       {"traceloop.span.kind", "tool"}};
    attributes made = begin();
    ut_llm_call call;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        add_text(&made, kinds[i][0], kinds[i][1]);
        add_text(&made, "gen_ai.request.model", "m");
        add_int(&made, "gen_ai.usage.input_tokens", 8);
        assert_false(read_call(&made, &call));
        assert_int_equal(call.input_tokens, 0);
        assert_int_equal(call.model.len, 0);
    }
    add_text(&made, "gen_ai.system", "openai"); // a provider alone says nothing of a call
    assert_false(read_call(&made, &call));
    assert_int_equal(call.provider.len, 0);
    add_text(&made, "traceloop.span.kind", "unknown");
    assert_false(read_call(&made, &call));
    add_text(&made, "http.route", "/");
    add_text(&made, "gen_ai.other", "m");
    add_text(&made, "llm.costs", "1");
    assert_false(read_call(&made, &call));
    assert_false(read_call(&made, &call)); // an empty map
    assert_false(ut_llm_read(UT_BYTES_NONE, &call));
    end(&made);
}

static void the_call_of_the_vercel_sdk_is_the_inner_span(void **state)
{
    (void)state;
    attributes made = begin();
    ut_llm_call call;
    static const char *const outer[] = {"ai.generateText", "ai.streamObject", "ai.embedMany",
                                        "ai.toolCall"};
    for (size_t i = 0; i < sizeof(outer) / sizeof(outer[0]); i++) {
        add_text(&made, "ai.operationId", outer[i]);
        add_text(&made, "ai.model.id", "m");
        add_int(&made, "ai.usage.promptTokens", 5);
        assert_false(read_call(&made, &call));
    }
    add_text(&made, "ai.operationId", "ai.generateText.doGenerate");
    add_text(&made, "ai.model.id", "m");
    add_int(&made, "ai.usage.promptTokens", 5);
    assert_true(read_call(&made, &call));
    assert_text(call.model, "m");
    assert_text(call.operation, "ai.generateText.doGenerate");
    add_text(&made, "langsmith.span.kind", "chain");
    add_text(&made, "gen_ai.request.model", "m");
    assert_false(read_call(&made, &call));
    add_text(&made, "langsmith.span.kind", "llm");
    assert_true(read_call(&made, &call));
    end(&made);
}

static void a_price_counts_where_a_call_states_tokens_and_no_cost(void **state)
{
    (void)state;
    static const ut_llm_prices prices = {.items = {{"exact", 1, 10, 0.5}, {"gpt-*", 2, 20, 2}},
                                         .count = 2};
    ut_llm_call call = {.model = UT_BYTES_LIT("exact"),
                        .has_tokens = true,
                        .input_tokens = 1000000,
                        .output_tokens = 200000,
                        .total_tokens = 1200000,
                        .cached_tokens = 400000};
    ut_llm_price_call(NULL, &call);
    assert_false(call.has_cost);
    ut_llm_price_call(&prices, &call);
    assert_true(call.has_cost && fabs(call.cost_usd - 2.8) < 1e-9);
    call.has_cost = false;
    call.model = UT_BYTES_LIT("gpt-9");
    ut_llm_price_call(&prices, &call);
    assert_true(fabs(call.cost_usd - 6) < 1e-9);
    call.cost_usd = 1; // as stated
    ut_llm_price_call(&prices, &call);
    assert_true(fabs(call.cost_usd - 1) < 1e-9);
    call.has_cost = false;
    call.model = UT_BYTES_LIT("exactly");
    ut_llm_price_call(&prices, &call);
    assert_false(call.has_cost);
    call = (ut_llm_call){.model = UT_BYTES_LIT("exact")};
    ut_llm_price_call(&prices, &call);
    assert_false(call.has_cost);
    call = (ut_llm_call){.model = UT_BYTES_LIT("exact"), .has_tokens = true, .total_tokens = 1000};
    ut_llm_price_call(&prices, &call);
    assert_true(fabs(call.cost_usd - 0.001) < 1e-9);
}

static void what_is_no_number_is_passed_over(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "12a",
                                      " 1",
                                      "0x10",
                                      "nan",
                                      "-5",
                                      "1e9999",
                                      "inf",
                                      "1.2.3",
                                      "11111111111111111111111111111111111111111111111"};
    attributes made = begin();
    ut_llm_call call;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        add_text(&made, "llm.prompt.tokens", bad[i]);
        add_text(&made, "llm.cost", bad[i]);
        add_int(&made, "llm.completion.tokens", 3);
        assert_true(read_call(&made, &call));
        assert_int_equal(call.input_tokens, 0);
        assert_int_equal(call.total_tokens, 3);
        assert_false(call.has_cost);
    }
    add_int(&made, "llm.prompt.tokens", -5);
    add_double(&made, "llm.completion.tokens", NAN);
    add_double(&made, "llm.total.tokens", 1e30);
    add_double(&made, "llm.cost", -0.5);
    assert_false(read_call(&made, &call));
    end(&made);
}

static void damaged_and_random_attributes_do_no_harm(void **state)
{
    (void)state;
    attributes made = begin();
    ut_llm_call call;
    add_text(&made, "gen_ai.request.model", "model");
    add_int(&made, "gen_ai.usage.input_tokens", 70000);
    add_text(&made, "llm.cost", "0.5");
    assert_true(read_call(&made, &call));
    const ut_bytes whole = ut_buf_bytes(&made.map);
    for (size_t len = 0; len < whole.len; len++)
        (void)ut_llm_read(ut_bytes_of(whole.data, len), &call); // any answer, no harm
    ut_random random = {7};
    for (int round = 0; round < 20000; round++) {
        uint8_t copy[256];
        assert_true(whole.len <= sizeof(copy));
        memcpy(copy, whole.data, whole.len);
        for (int flips = 0; flips < 3; flips++)
            copy[ut_random_below(&random, (uint32_t)whole.len)] ^=
                (uint8_t)(1u << ut_random_below(&random, 8));
        (void)ut_llm_read(ut_bytes_of(copy, whole.len), &call); // likewise
    }
    end(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_text_is_read),
        cmocka_unit_test(every_spelling_of_tokens_is_read),
        cmocka_unit_test(every_spelling_of_cost_is_read),
        cmocka_unit_test(a_total_is_as_stated_and_otherwise_the_sum),
        cmocka_unit_test(the_newer_convention_counts_in_either_order),
        cmocka_unit_test(what_goes_on_around_a_call_is_none),
        cmocka_unit_test(a_price_counts_where_a_call_states_tokens_and_no_cost),
        cmocka_unit_test(the_call_of_the_vercel_sdk_is_the_inner_span),
        cmocka_unit_test(what_is_no_number_is_passed_over),
        cmocka_unit_test(damaged_and_random_attributes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
