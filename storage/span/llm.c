// The spellings of what is said about calls of language models, in one table; see llm.h. Not for
// the messages that were exchanged.
#include "storage/span/llm.h"

#include <stdlib.h>

typedef enum {
    OPERATION,
    KIND, // the sort of span; only some sorts make it a call
    RESPONSE_MODEL,
    REQUEST_MODEL,
    PROVIDER,
    INPUT,
    OUTPUT,
    TOTAL,
    CACHED,
    REASONING,
    COST_TOTAL,
    COST_INPUT,
    COST_OUTPUT,
    FIELDS,
} field;

enum { FIRST_NUMBER = INPUT, NUMBERS = FIELDS - INPUT };

typedef struct {
    const char *key_z;
    uint8_t len;
    uint8_t field;
} spelling;

#define KEY(text, field)              \
    {                                 \
        text, sizeof(text) - 1, field \
    }

// For each field the preferred spelling first.
static const spelling spellings[] = {
    // OpenTelemetry gen_ai, current
    KEY("gen_ai.operation.name", OPERATION),
    KEY("gen_ai.response.model", RESPONSE_MODEL),
    KEY("gen_ai.request.model", REQUEST_MODEL),
    KEY("gen_ai.provider.name", PROVIDER),
    KEY("gen_ai.usage.input_tokens", INPUT),
    KEY("gen_ai.usage.output_tokens", OUTPUT),
    KEY("gen_ai.usage.cache_read.input_tokens", CACHED),
    KEY("gen_ai.usage.reasoning.output_tokens", REASONING),
    // OpenTelemetry gen_ai, deprecated, and what was written beside it
    KEY("gen_ai.system", PROVIDER),
    KEY("gen_ai.usage.prompt_tokens", INPUT),
    KEY("gen_ai.usage.completion_tokens", OUTPUT),
    KEY("gen_ai.usage.total_tokens", TOTAL),
    KEY("gen_ai.usage.cache_read_input_tokens", CACHED),
    KEY("gen_ai.usage.reasoning_tokens", REASONING),
    KEY("gen_ai.usage.cost", COST_TOTAL),
    // OpenInference
    KEY("openinference.span.kind", KIND),
    KEY("llm.model_name", REQUEST_MODEL),
    KEY("embedding.model_name", REQUEST_MODEL),
    KEY("llm.request.model_name", REQUEST_MODEL),
    KEY("llm.response.model_name", RESPONSE_MODEL),
    KEY("llm.provider", PROVIDER),
    KEY("llm.system", PROVIDER),
    KEY("llm.token_count.prompt", INPUT),
    KEY("llm.token_count.completion", OUTPUT),
    KEY("llm.token_count.total", TOTAL),
    KEY("llm.token_count.prompt_details.cache_read", CACHED),
    KEY("llm.token_count.completion_details.reasoning", REASONING),
    KEY("llm.cost.total", COST_TOTAL),
    KEY("llm.cost.prompt", COST_INPUT),
    KEY("llm.cost.completion", COST_OUTPUT),
    // OpenLLMetry
    KEY("llm.request.type", OPERATION),
    KEY("traceloop.span.kind", KIND),
    KEY("llm.usage.total_tokens", TOTAL),
    KEY("llm.usage.prompt_tokens", INPUT),
    KEY("llm.usage.completion_tokens", OUTPUT),
    KEY("llm.usage.input_tokens", INPUT),
    KEY("llm.usage.output_tokens", OUTPUT),
    KEY("llm.usage.cache_read_input_tokens", CACHED),
    // Untrace: JavaScript and Python, then Rust and C#
    KEY("llm.operation.type", OPERATION),
    KEY("llm.model", REQUEST_MODEL),
    KEY("llm.request.model", REQUEST_MODEL),
    KEY("llm.response.model", RESPONSE_MODEL),
    KEY("llm.prompt.tokens", INPUT),
    KEY("llm.completion.tokens", OUTPUT),
    KEY("llm.total.tokens", TOTAL),
    KEY("llm.operation", OPERATION),
    KEY("llm.prompt_tokens", INPUT),
    KEY("llm.completion_tokens", OUTPUT),
    KEY("llm.total_tokens", TOTAL),
    KEY("llm.input_tokens", INPUT),
    KEY("llm.output_tokens", OUTPUT),
    KEY("llm.cost_total", COST_TOTAL),
    KEY("llm.cost_prompt", COST_INPUT),
    KEY("llm.cost_completion", COST_OUTPUT),
    KEY("llm.cost", COST_TOTAL),
    // Vercel AI SDK
    KEY("ai.operationId", KIND),
    KEY("ai.response.model", RESPONSE_MODEL),
    KEY("ai.model.id", REQUEST_MODEL),
    KEY("ai.model.provider", PROVIDER),
    KEY("ai.usage.inputTokens", INPUT),
    KEY("ai.usage.promptTokens", INPUT),
    KEY("ai.usage.tokens", INPUT),
    KEY("ai.usage.outputTokens", OUTPUT),
    KEY("ai.usage.completionTokens", OUTPUT),
    KEY("ai.usage.totalTokens", TOTAL),
    KEY("ai.usage.cachedInputTokens", CACHED),
    KEY("ai.usage.reasoningTokens", REASONING),
    // LangSmith
    KEY("langsmith.span.kind", KIND),
    KEY("langsmith.metadata.ls_model_name", REQUEST_MODEL),
    KEY("langsmith.metadata.ls_provider", PROVIDER),
};

enum { SPELLINGS = sizeof(spellings) / sizeof(spellings[0]), NONE = SPELLINGS };

// Of the table above: what is shorter or longer is none of them.
enum { KEY_LEN_MIN = sizeof("llm.cost") - 1, KEY_LEN_MAX = 44 };

// Operations and kinds of spans around calls, in lower case. The Vercel AI SDK makes a span such as
// ai.generateText around ai.generateText.doGenerate, which is the call.
static const char *const around[] = {
    "ai.embed",
    "ai.embedmany",
    "ai.generateobject",
    "ai.generatetext",
    "ai.streamobject",
    "ai.streamtext",
    "ai.toolcall",
    "parser",
    "agent",
    "chain",
    "create_agent",
    "evaluator",
    "execute_tool",
    "guardrail",
    "invoke_agent",
    "invoke_skill",
    "invoke_workflow",
    "prompt",
    "reranker",
    "retrieval",
    "retriever",
    "task",
    "tool",
    "workflow",
};

// Kinds that are a call by themselves.
static const char *const calls[] = {"llm", "embedding"};

// The findings for each field: the rank of its spelling, or NONE.
typedef struct {
    uint8_t rank[FIELDS];
    ut_bytes text[FIRST_NUMBER];
    double number[NUMBERS];
    uint64_t whole[NUMBERS];
} findings;

// By the first byte: of ai, embedding, gen_ai, langsmith and llm, openinference, traceloop.
static inline bool may_be_spelling(uint8_t first)
{
    return first == 'g' || first == 'l' || first == 'o' || first == 't' || first == 'a' ||
           first == 'e';
}

static uint32_t find_spelling(ut_bytes key)
{
    if (key.len < KEY_LEN_MIN || key.len > KEY_LEN_MAX)
        return NONE;
    if (!may_be_spelling(key.data[0]))
        return NONE;
    for (uint32_t i = 0; i < SPELLINGS; i++) {
        if (spellings[i].len == key.len && memcmp(spellings[i].key_z, key.data, key.len) == 0)
            return i;
    }
    return NONE;
}

// ASCII letters in any case; word_z is in lower case.
static bool is_word(ut_bytes text, const char *word_z)
{
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t byte = text.data[i];
        const uint8_t lower = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
        if (word_z[i] == '\0' || lower != (uint8_t)word_z[i])
            return false;
    }
    return word_z[text.len] == '\0';
}

static bool is_one_of(ut_bytes text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_word(text, words[i]))
            return true;
    }
    return false;
}

// Decimal text, at most as long as any number needs to be.
static bool number_of_text(ut_bytes text, double *number, uint64_t *whole)
{
    enum { LEN_MAX = 40 };
    char copy_z[LEN_MAX + 1];
    uint64_t integer = 0;
    bool digits_only = true;
    if (text.len == 0 || text.len > LEN_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t byte = text.data[i];
        const bool digit = byte >= '0' && byte <= '9';
        if (!digit && (byte == 0 || strchr("+-.eE", byte) == NULL))
            return false; // nor "0x1", "nan", " 1"
        digits_only = digits_only && digit && integer <= (UINT64_MAX - 9) / 10;
        integer = digits_only ? integer * 10 + (uint64_t)(byte - '0') : 0;
    }
    memcpy(copy_z, text.data, text.len);
    copy_z[text.len] = '\0';
    char *end = NULL;
    *number = strtod(copy_z, &end);
    *whole = digits_only ? integer : 0;
    return end == copy_z + text.len;
}

// Takes the next value as a number that is not negative and fits 64 bits: *whole is the same
// without its fraction.
static bool take_number(ut_mp_reader *reader, double *number, uint64_t *whole)
{
    *whole = 0;
    switch (ut_mp_peek(reader)) {
    case UT_MP_UINT:
        *whole = ut_mp_get_uint(reader);
        *number = (double)*whole;
        return reader->err == UT_OK;
    case UT_MP_DOUBLE:
        *number = ut_mp_get_double(reader);
        break;
    case UT_MP_STR:
        if (!number_of_text(ut_mp_get_str(reader), number, whole))
            return false;
        break;
    default:
        (void)ut_mp_skip(reader); // no number; an error stays in the reader
        return false;
    }
    if (reader->err == UT_OK && *whole > 0)
        return true; // exact, also where the double next to it is 2^64
    if (reader->err != UT_OK || !(*number >= 0 && *number < 18446744073709551616.0))
        return false; // NaN too
    *whole = (uint64_t)*number;
    return true;
}

// Takes the next value for the spelling; it counts unless a preferred one was seen.
static void take(ut_mp_reader *reader, uint32_t rank, findings *found)
{
    const uint32_t which = spellings[rank].field;
    if (which >= FIRST_NUMBER) {
        double number = 0;
        uint64_t whole = 0;
        if (take_number(reader, &number, &whole) && rank < found->rank[which]) {
            found->rank[which] = (uint8_t)rank;
            found->number[which - FIRST_NUMBER] = number;
            found->whole[which - FIRST_NUMBER] = whole;
        }
        return;
    }
    if (ut_mp_peek(reader) != UT_MP_STR) {
        (void)ut_mp_skip(reader); // an error stays in the reader
        return;
    }
    const ut_bytes text = ut_mp_get_str(reader);
    if (text.len > 0 && rank < found->rank[which]) {
        found->rank[which] = (uint8_t)rank;
        found->text[which] = text;
    }
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

// Turns the findings into a call. False when the span is none.
static bool conclude(const findings *found, ut_llm_call *call)
{
    enum { AROUND = sizeof(around) / sizeof(around[0]), CALLS = sizeof(calls) / sizeof(calls[0]) };
    const uint8_t *rank = found->rank;
    const uint64_t *whole = found->whole;
    const bool named = is_one_of(found->text[KIND], calls, CALLS);
    if (!named && (is_one_of(found->text[KIND], around, AROUND) ||
                   is_one_of(found->text[OPERATION], around, AROUND)))
        return false;

    call->operation = found->text[rank[OPERATION] != NONE ? OPERATION : KIND];
    call->provider = found->text[PROVIDER];
    call->model = found->text[rank[RESPONSE_MODEL] != NONE ? RESPONSE_MODEL : REQUEST_MODEL];
    call->has_tokens = rank[INPUT] != NONE || rank[OUTPUT] != NONE || rank[TOTAL] != NONE;
    call->input_tokens = whole[INPUT - FIRST_NUMBER];
    call->output_tokens = whole[OUTPUT - FIRST_NUMBER];
    call->total_tokens = rank[TOTAL] != NONE ? whole[TOTAL - FIRST_NUMBER]
                                             : sum(call->input_tokens, call->output_tokens);
    call->cached_tokens = whole[CACHED - FIRST_NUMBER];
    call->reasoning_tokens = whole[REASONING - FIRST_NUMBER];
    call->has_cost =
        rank[COST_TOTAL] != NONE || rank[COST_INPUT] != NONE || rank[COST_OUTPUT] != NONE;
    call->cost_usd = rank[COST_TOTAL] != NONE ? found->number[COST_TOTAL - FIRST_NUMBER]
                                              : found->number[COST_INPUT - FIRST_NUMBER] +
                                                    found->number[COST_OUTPUT - FIRST_NUMBER];
    if (named || rank[OPERATION] != NONE || call->model.len > 0 || call->has_tokens ||
        call->has_cost)
        return true;
    *call = (ut_llm_call){0};
    return false;
}

// Reads on from the value of the first key that is a spelling: left pairs with it.
static bool read_from(ut_mp_reader *reader, uint32_t left, uint32_t rank, ut_llm_call *call)
{
    findings found = {0};
    memset(found.rank, NONE, sizeof(found.rank));
    for (;;) {
        if (rank == NONE)
            (void)ut_mp_skip(reader); // an error stays in the reader
        else
            take(reader, rank, &found);
        if (--left == 0 || reader->err != UT_OK)
            return conclude(&found, call);
        rank = find_spelling(ut_mp_get_str(reader));
    }
}

// Passes the next value; the common short ones without a call.
static inline void pass(ut_mp_reader *reader)
{
    const size_t left = (size_t)(reader->end - reader->at);
    const uint8_t tag = left < 2 ? 0xc1 : *reader->at;
    const size_t len = tag < 0x80                   ? 1
                       : (tag & 0xe0) == 0xa0       ? 1 + (size_t)(tag & 0x1f)
                       : tag == 0xd9                ? 2 + (size_t)reader->at[1]
                       : tag == 0xcd                ? 3
                       : tag == 0xce                ? 5
                       : tag == 0xcf || tag == 0xcb ? 9
                                                    : SIZE_MAX;
    if (len <= left)
        reader->at += len;
    else
        (void)ut_mp_skip(reader); // an error stays in the reader
}

bool ut_llm_read(ut_bytes attributes, ut_llm_call *call)
{
    *call = (ut_llm_call){0};
    if (attributes.len == 0)
        return false;
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = ut_mp_get_map(&reader); left > 0 && reader.err == UT_OK; left--) {
        // Most keys are short texts that begin otherwise, and most spans never leave this loop.
        if (reader.end - reader.at > 1 && (*reader.at & 0xe0) == 0xa0 &&
            !may_be_spelling(reader.at[1])) {
            pass(&reader);
            pass(&reader);
            continue;
        }
        const uint32_t rank = find_spelling(ut_mp_get_str(&reader));
        if (rank != NONE)
            return read_from(&reader, left, rank, call);
        pass(&reader);
    }
    return false;
}
