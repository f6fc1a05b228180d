// What was said to language models; see llm_text.h. Of what several conventions say, the first of a
// list counts.
#include "agent/cli/llm_text.h"

#include "adapters/plain/json_value.h"
#include "adapters/plain/llm_message.h"

#include <stdio.h>

enum {
    VALUE_BYTES_MAX = 16 * 1024 * 1024,
    MESSAGES_MAX = 512, // of a list that is spread over numbered attributes
    CALLS_MAX = 64,     // of tools in one of these, and parts
    KEY_BYTES_MAX = 128,
};

typedef struct {
    ut_bytes attributes;
    ut_bytes events;
    ut_llm_text_visit visit;
    void *context;
    bool output; // the side that is looked for: what came out
    uint32_t visited;
} search;

static void say(search *s, ut_bytes label, ut_bytes text)
{
    if (text.len == 0)
        return;
    s->visited++;
    s->visit(s->context, label, text);
}

// A message: what the model says now is its answer; earlier ones were assistant's.
static void take_message(void *context, ut_bytes role, ut_bytes text)
{
    search *s = context;
    const bool answer = s->output && (ut_bytes_equal(role, UT_BYTES_LIT("assistant")) ||
                                      ut_bytes_equal(role, UT_BYTES_LIT("model")));
    say(s, answer ? UT_BYTES_LIT("answer") : role, text);
}

static ut_bytes default_label(const search *s)
{
    return s->output ? UT_BYTES_LIT("answer") : UT_BYTES_LIT("prompt");
}

// The raw value of a key; empty: it is not there.
static ut_bytes find(ut_bytes attributes, const char *key_z)
{
    const ut_bytes wanted = ut_bytes_of_z(key_z);
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK; left--) {
        const ut_bytes key = ut_mp_get_str(&reader);
        const ut_bytes value = ut_mp_skip(&reader);
        if (reader.err == UT_OK && ut_bytes_equal(key, wanted))
            return value;
    }
    return UT_BYTES_NONE;
}

// A value as text, which is JSON unless it is a text; in `made` when it had to be made.
static ut_bytes text_of(ut_bytes value, ut_buf *made)
{
    ut_mp_reader reader = ut_mp_reader_of(value);
    ut_buf_reset(made, VALUE_BYTES_MAX);
    if (value.len == 0)
        return UT_BYTES_NONE;
    if (ut_mp_peek(&reader) == UT_MP_STR)
        return ut_mp_get_str(&reader);
    ut_json_value(made, value);
    return made->err == UT_OK ? ut_buf_bytes(made) : UT_BYTES_LIT("(too long)");
}

// Takes a value: its messages if it holds some, else it itself.
static void take_value(search *s, ut_bytes value, ut_bytes label)
{
    ut_buf made;
    ut_buf_init(&made, VALUE_BYTES_MAX);
    const ut_bytes text = text_of(value, &made);
    if (text.len > 0 && !ut_llm_messages(text, label, take_message, s))
        say(s, label, text);
    ut_buf_free(&made);
}

// Takes the values of all keys of a list that ends with NULL. False: none is there.
static bool take_keys(search *s, ut_bytes attributes, const char *const *keys_z, ut_bytes label)
{
    const uint32_t before = s->visited;
    for (; *keys_z != NULL; keys_z++)
        take_value(s, find(attributes, *keys_z), label);
    return s->visited > before;
}

static bool take_first(search *s, ut_bytes attributes, const char *const *keys_z, ut_bytes label)
{
    for (; *keys_z != NULL; keys_z++) {
        const char *const one[] = {*keys_z, NULL};
        if (take_keys(s, attributes, one, label))
            return true;
    }
    return false;
}

// ---- lists that are spread over numbered attributes ----

// One convention of them: PREFIX N ROLE, and so on; %u is a number.
typedef struct {
    const char *role_z;
    const char *content_z;
    const char *part_z; // with a second number
    const char *call_name_z;
    const char *call_arguments_z;
} numbered;

static const numbered numbered_input[] = {
    {"gen_ai.prompt.%u.role", "gen_ai.prompt.%u.content", NULL,
     "gen_ai.prompt.%u.tool_calls.%u.name", "gen_ai.prompt.%u.tool_calls.%u.arguments"},
    {"llm.input_messages.%u.message.role", "llm.input_messages.%u.message.content",
     "llm.input_messages.%u.message.contents.%u.message_content.text",
     "llm.input_messages.%u.message.tool_calls.%u.tool_call.function.name",
     "llm.input_messages.%u.message.tool_calls.%u.tool_call.function.arguments"},
};
static const numbered numbered_output[] = {
    {"gen_ai.completion.%u.role", "gen_ai.completion.%u.content", NULL,
     "gen_ai.completion.%u.tool_calls.%u.name", "gen_ai.completion.%u.tool_calls.%u.arguments"},
    {"llm.output_messages.%u.message.role", "llm.output_messages.%u.message.content",
     "llm.output_messages.%u.message.contents.%u.message_content.text",
     "llm.output_messages.%u.message.tool_calls.%u.tool_call.function.name",
     "llm.output_messages.%u.message.tool_calls.%u.tool_call.function.arguments"},
};
static const char *const numbered_documents[] = {
    "retrieval.documents.%u.document.content",
    "reranker.output_documents.%u.document.content",
};
static const char embedded_z[] = "embedding.embeddings.%u.embedding.text";

static ut_bytes find_numbered(const search *s, const char *pattern_z, uint32_t first,
                              uint32_t second)
{
    char key_z[KEY_BYTES_MAX];
    size_t len = 0;
    // Not snprintf: the pattern is no literal.
    for (const char *at = pattern_z; *at != '\0' && len + 12 < sizeof(key_z); at++) {
        if (at[0] == '%' && at[1] == 'u') {
            len += (size_t)snprintf(key_z + len, sizeof(key_z) - len, "%u", (unsigned)first);
            first = second;
            at++;
        } else {
            key_z[len++] = *at;
        }
    }
    key_z[len] = '\0';
    return find(s->attributes, key_z);
}

static void take_calls(search *s, const numbered *from, uint32_t message)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        ut_buf name_made;
        ut_buf arguments_made;
        ut_buf text;
        ut_buf_init(&name_made, VALUE_BYTES_MAX);
        ut_buf_init(&arguments_made, VALUE_BYTES_MAX);
        ut_buf_init(&text, VALUE_BYTES_MAX);
        const ut_bytes name = text_of(find_numbered(s, from->call_name_z, message, i), &name_made);
        const ut_bytes arguments =
            text_of(find_numbered(s, from->call_arguments_z, message, i), &arguments_made);
        const bool found = name.len > 0 || arguments.len > 0;
        ut_llm_tool_call(&text, name, arguments);
        if (found && text.err == UT_OK)
            say(s, UT_BYTES_LIT("calls"), ut_buf_bytes(&text));
        ut_buf_free(&name_made);
        ut_buf_free(&arguments_made);
        ut_buf_free(&text);
        if (!found)
            return;
    }
}

static bool take_numbered(search *s, const numbered *from)
{
    const uint32_t before = s->visited;
    for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
        const uint32_t said = s->visited;
        ut_buf made;
        ut_buf_init(&made, 1024);
        ut_bytes role = text_of(find_numbered(s, from->role_z, i, 0), &made);
        const bool has_role = role.len > 0;
        if (!has_role)
            role = default_label(s);
        const ut_bytes content = find_numbered(s, from->content_z, i, 0);
        ut_buf value;
        ut_buf_init(&value, VALUE_BYTES_MAX);
        const ut_bytes text = text_of(content, &value);
        // Content blocks are a list; any other JSON is what was said.
        if (text.len > 0 && !(text.data[0] == '[' && ut_llm_messages(text, role, take_message, s)))
            take_message(s, role, text);
        ut_buf_free(&value);
        for (uint32_t part = 0; from->part_z != NULL && content.len == 0 && part < CALLS_MAX;
             part++) {
            ut_buf_init(&value, VALUE_BYTES_MAX);
            const ut_bytes part_text = text_of(find_numbered(s, from->part_z, i, part), &value);
            if (part_text.len > 0)
                take_message(s, role, part_text);
            ut_buf_free(&value);
            if (part_text.len == 0)
                break;
        }
        take_calls(s, from, i);
        ut_buf_free(&made);
        if (s->visited == said && !has_role)
            break;
    }
    return s->visited > before;
}

static bool take_list(search *s, const char *pattern_z, ut_bytes label)
{
    const uint32_t before = s->visited;
    for (uint32_t i = 0; i < MESSAGES_MAX; i++) {
        ut_buf made;
        ut_buf_init(&made, VALUE_BYTES_MAX);
        const ut_bytes text = text_of(find_numbered(s, pattern_z, i, 0), &made);
        say(s, label, text);
        ut_buf_free(&made);
        if (text.len == 0)
            break;
    }
    return s->visited > before;
}

// ---- events ----

typedef struct {
    const char *name_z;
    const char *role_z; // NULL: as the side has it
    bool output;
} event_kind;

// A message each, or several events that are one side together.
static const event_kind message_events[] = {
    {"gen_ai.system.message", "system", false},
    {"gen_ai.user.message", "user", false},
    {"gen_ai.assistant.message", "assistant", false},
    {"gen_ai.tool.message", "tool", false},
    {"gen_ai.choice", "assistant", true},
};
static const event_kind text_events[] = {
    {"agent.prompt", NULL, false},
    {"agent.response", NULL, true},
    {"gen_ai.content.prompt", NULL, false},
    {"gen_ai.content.completion", NULL, true},
};
static const char *const event_texts[] = {"gen_ai.prompt",
                                          "gen_ai.completion",
                                          "agent.prompt",
                                          "prompt",
                                          "content",
                                          "rendered_prompt",
                                          NULL};

static const char *const current_input[] = {"gen_ai.input.messages", NULL};
static const char *const current_system[] = {"gen_ai.system_instructions", NULL};
static const char *const current_output[] = {"gen_ai.output.messages", NULL};

static bool take_current(search *s, ut_bytes attributes)
{
    if (s->output)
        return take_keys(s, attributes, current_output, UT_BYTES_LIT("assistant"));
    const bool system = take_keys(s, attributes, current_system, UT_BYTES_LIT("system"));
    return take_keys(s, attributes, current_input, UT_BYTES_LIT("user")) || system;
}

static void take_event_of(search *s, const ut_event *event, const event_kind *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kinds[i].output != s->output ||
            !ut_bytes_equal(event->name, ut_bytes_of_z(kinds[i].name_z)))
            continue;
        if (kinds[i].role_z == NULL)
            (void)take_first(s, event->attributes, event_texts, default_label(s));
        else // all of it is one message
            take_value(s, event->attributes, ut_bytes_of_z(kinds[i].role_z));
        return;
    }
}

typedef enum { DETAILS, MESSAGES, TEXTS } event_form;

static bool take_events(search *s, event_form form)
{
    const uint32_t before = s->visited;
    ut_mp_reader reader = ut_mp_reader_of(s->events);
    for (uint32_t left = s->events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && reader.err == UT_OK; left--) {
        ut_event event;
        if (ut_event_read(&reader, 0, &event) != UT_OK || event.attributes.len == 0)
            continue;
        if (form == DETAILS) {
            if (ut_bytes_equal(event.name,
                               UT_BYTES_LIT("gen_ai.client.inference.operation.details")))
                (void)take_current(s, event.attributes);
        } else if (form == MESSAGES) {
            take_event_of(s, &event, message_events,
                          sizeof(message_events) / sizeof(message_events[0]));
        } else {
            take_event_of(s, &event, text_events, sizeof(text_events) / sizeof(text_events[0]));
        }
    }
    return s->visited > before;
}

// ---- the order in which the conventions are asked ----

static bool take_tool(search *s)
{
    static const struct {
        const char *name_z;
        const char *arguments_z;
        const char *result_z;
    } tools[] = {
        {"gen_ai.tool.name", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"},
        {"ai.toolCall.name", "ai.toolCall.args", "ai.toolCall.result"},
    };
    const uint32_t before = s->visited;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]) && s->visited == before; i++) {
        ut_buf name_made;
        ut_buf made;
        ut_buf text;
        ut_buf_init(&name_made, VALUE_BYTES_MAX);
        ut_buf_init(&made, VALUE_BYTES_MAX);
        ut_buf_init(&text, VALUE_BYTES_MAX);
        const ut_bytes name = text_of(find(s->attributes, tools[i].name_z), &name_made);
        const ut_bytes arguments = text_of(find(s->attributes, tools[i].arguments_z), &made);
        ut_llm_tool_call(&text, name, arguments);
        if ((name.len > 0 || arguments.len > 0) && text.err == UT_OK)
            say(s, UT_BYTES_LIT("calls"), ut_buf_bytes(&text));
        say(s, UT_BYTES_LIT("result"), text_of(find(s->attributes, tools[i].result_z), &made));
        ut_buf_free(&name_made);
        ut_buf_free(&made);
        ut_buf_free(&text);
    }
    return s->visited > before;
}

static bool take_input(search *s)
{
    static const char *const messages[] = {
        "ai.prompt.messages", "gen_ai.prompt", "ai.prompt", "llm.request.messages",
        "llm.messages",       "llm.prompt",    NULL};
    static const char *const values[] = {"ai.value", "ai.values", "gen_ai.retrieval.query.text",
                                         NULL};
    s->output = false;
    if (take_current(s, s->attributes) || take_events(s, DETAILS) || take_events(s, MESSAGES))
        return true;
    for (size_t i = 0; i < sizeof(numbered_input) / sizeof(numbered_input[0]); i++) {
        if (take_numbered(s, &numbered_input[i]))
            return true;
    }
    return take_first(s, s->attributes, messages, default_label(s)) || take_events(s, TEXTS) ||
           take_list(s, embedded_z, UT_BYTES_LIT("input")) ||
           take_first(s, s->attributes, values, UT_BYTES_LIT("input"));
}

static bool take_output(search *s)
{
    static const char *const vercel[] = {"ai.response.text", "ai.response.toolCalls",
                                         "ai.response.object", NULL};
    static const char *const texts[] = {"gen_ai.completion", "llm.choices", "llm.response.content",
                                        NULL};
    static const char *const found[] = {"gen_ai.retrieval.documents", NULL};
    s->output = true;
    if (take_current(s, s->attributes) || take_events(s, DETAILS) || take_events(s, MESSAGES))
        return true;
    for (size_t i = 0; i < sizeof(numbered_output) / sizeof(numbered_output[0]); i++) {
        if (take_numbered(s, &numbered_output[i]))
            return true;
    }
    if (take_keys(s, s->attributes, vercel, default_label(s)) ||
        take_first(s, s->attributes, texts, default_label(s)) || take_events(s, TEXTS))
        return true;
    for (size_t i = 0; i < sizeof(numbered_documents) / sizeof(numbered_documents[0]); i++) {
        if (take_list(s, numbered_documents[i], UT_BYTES_LIT("document")))
            return true;
    }
    return take_keys(s, s->attributes, found, UT_BYTES_LIT("document"));
}

// What stands in for messages where there are none: the input and output of whatever the span is.
static void take_rest(search *s, bool output)
{
    static const char *const inputs[] = {"traceloop.entity.input", "input.value", NULL};
    static const char *const outputs[] = {"traceloop.entity.output", "output.value", NULL};
    s->output = output;
    (void)take_first(s, s->attributes, output ? outputs : inputs, default_label(s));
}

void ut_llm_texts(ut_bytes attributes, ut_bytes events, ut_llm_text_visit visit, void *context)
{
    search s = {.attributes = attributes, .events = events, .visit = visit, .context = context};
    const bool tool = take_tool(&s);
    if (!take_input(&s) && !tool)
        take_rest(&s, false);
    if (!take_output(&s) && !tool)
        take_rest(&s, true);
}
