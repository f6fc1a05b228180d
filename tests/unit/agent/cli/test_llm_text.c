// What was said to language models, convention by convention: each text once, with who said it.
#include "agent/cli/llm_text.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PAIRS_MAX = 24, BYTES_MAX = 64 * 1024 };

typedef struct {
    const char *key_z; // NULL: behind the last
    const char *value_z;
} pair;

// A span: its attributes, and one event, if it has a name.
typedef struct {
    pair attributes[PAIRS_MAX];
    const char *event_z;
    pair event[PAIRS_MAX];
    const char *expected_z; // "label: text" a line
} spoken;

static void put_pairs(ut_buf *out, const pair *pairs)
{
    uint32_t count = 0;
    while (count < PAIRS_MAX && pairs[count].key_z != NULL)
        count++;
    ut_mp_put_map(out, count);
    for (uint32_t i = 0; i < count; i++) {
        ut_mp_put_str(out, ut_bytes_of_z(pairs[i].key_z));
        ut_mp_put_str(out, ut_bytes_of_z(pairs[i].value_z));
    }
}

static void collect(void *context, ut_bytes label, ut_bytes text)
{
    ut_buf *out = context;
    ut_buf_add_bytes(out, label);
    ut_buf_add_z(out, ": ");
    ut_buf_add_bytes(out, text);
    ut_buf_add_byte(out, '\n');
}

static void expect(const spoken *given)
{
    ut_buf attributes;
    ut_buf events;
    ut_buf out;
    ut_buf_init(&attributes, BYTES_MAX);
    ut_buf_init(&events, BYTES_MAX);
    ut_buf_init(&out, BYTES_MAX);
    put_pairs(&attributes, given->attributes);
    ut_mp_put_array(&events, given->event_z == NULL ? 0 : 1);
    if (given->event_z != NULL) {
        const ut_event event = {.name = ut_bytes_of_z(given->event_z)};
        ut_event_write_head(&events, 0, &event);
        put_pairs(&events, given->event);
        ut_event_write_tail(&events, &event);
    }
    ut_llm_texts(ut_buf_bytes(&attributes), ut_buf_bytes(&events), collect, &out);
    ut_buf_add_byte(&out, '\0');
    assert_int_equal(out.err, UT_OK);
    assert_string_equal((const char *)out.data, given->expected_z);
    ut_buf_free(&attributes);
    ut_buf_free(&events);
    ut_buf_free(&out);
}

static void current_gen_ai_messages_have_roles_parts_and_tools(void **state)
{
    (void)state;
    expect(&(spoken){
        {{"gen_ai.system_instructions", "[{\"type\":\"text\",\"content\":\"Be brief.\"}]"},
         {"gen_ai.input.messages",
          "[{\"role\": \"user\", \"parts\": [{\"type\": \"text\", \"content\": \"Weather in Paris? "
          "\\ud83d\\ude00\"}]},"
          "{\"role\":\"assistant\",\"parts\":[{\"type\":\"tool_call\",\"id\":\"c1\",\"name\":"
          "\"get_weather\",\"arguments\":{\"city\":\"Paris\"}}]},"
          "{\"role\":\"tool\",\"parts\":[{\"type\":\"tool_call_response\",\"id\":\"c1\","
          "\"response\":"
          "{\"sky\":\"sunny\",\"c\":22}}]}]"},
         {"gen_ai.output.messages",
          "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"reasoning\",\"content\":\"hm\"},"
          "{\"type\":\"text\",\"content\":\"Sunny, 22C\"},{\"type\":\"uri\",\"uri\":\"x\"}],"
          "\"finish_reason\":\"stop\"}]"}},
        .expected_z = "system: Be brief.\n"
                      "user: Weather in Paris? \xf0\x9f\x98\x80\n"
                      "calls: get_weather({\"city\":\"Paris\"})\n"
                      "result: {\"sky\":\"sunny\",\"c\":22}\n"
                      "reasoning: hm\n"
                      "answer: Sunny, 22C\n"
                      "answer: (uri)\n"});
}

static void events_say_it_as_attributes_do(void **state)
{
    (void)state;
    expect(&(spoken){{{NULL, NULL}},
                     "gen_ai.client.inference.operation.details",
                     {{"gen_ai.input.messages",
                       "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"Hi\"}]}]"},
                      {"gen_ai.output.messages",
                       "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"content\":"
                       "\"Ahoy\"}]}]"}},
                     "user: Hi\nanswer: Ahoy\n"});
    expect(
        &(spoken){{{NULL, NULL}},
                  "gen_ai.choice",
                  {{"index", "0"},
                   {"finish_reason", "tool_calls"},
                   {"message", "{\"role\":\"assistant\",\"content\":\"Sunny, 22C\",\"tool_calls\":"
                               "[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                               "\"arguments\":\"{\\\"a\\\":1}\"}}]}"}},
                  "answer: Sunny, 22C\ncalls: f({\"a\":1})\n"});
    expect(&(spoken){{{NULL, NULL}},
                     "gen_ai.choice",
                     {{"index", "0"}, {"message", "plain"}},
                     "answer: plain\n"});
    expect(&(spoken){{{NULL, NULL}},
                     "gen_ai.user.message",
                     {{"content", "Hi"}, {"gen_ai.system", "acme"}},
                     "user: Hi\n"});
    expect(&(spoken){{{NULL, NULL}},
                     "gen_ai.assistant.message",
                     {{"content", "First answer"}},
                     "assistant: First answer\n"});
    expect(&(spoken){{{NULL, NULL}},
                     "gen_ai.content.prompt",
                     {{"gen_ai.prompt", "[{\"role\":\"user\",\"content\":\"Hi\"}]"}},
                     "user: Hi\n"});
    expect(&(spoken){
        {{NULL, NULL}}, "agent.prompt", {{"rendered_prompt", "Do it"}}, "prompt: Do it\n"});
}

static void openllmetry_has_roles_and_tool_calls(void **state)
{
    (void)state;
    expect(&(spoken){{{"gen_ai.prompt.0.role", "system"},
                      {"gen_ai.prompt.0.content", "Be brief."},
                      {"gen_ai.prompt.1.role", "assistant"},
                      {"gen_ai.prompt.1.content", "First answer"},
                      {"gen_ai.prompt.2.role", "user"},
                      {"gen_ai.prompt.2.content", "[{\"type\":\"text\",\"text\":\"And now?\"},"
                                                  "{\"type\":\"image_url\"}]"},
                      {"gen_ai.completion.0.role", "assistant"},
                      {"gen_ai.completion.0.finish_reason", "tool_calls"},
                      {"gen_ai.completion.0.tool_calls.0.name", "get_weather"},
                      {"gen_ai.completion.0.tool_calls.0.arguments", "{\"city\":\"Rome\"}"},
                      {"gen_ai.completion.0.tool_calls.1.name", "now"},
                      {"traceloop.entity.input", "again"},
                      {"traceloop.entity.output", "again"}},
                     .expected_z = "system: Be brief.\nassistant: First answer\nuser: And now?\n"
                                   "user: (image_url)\ncalls: get_weather({\"city\":\"Rome\"})\n"
                                   "calls: now()\n"});
    // JSON that was said is not taken apart.
    expect(&(spoken){{{"gen_ai.prompt.0.content", "{\"content\":\"x\"}"}},
                     .expected_z = "prompt: {\"content\":\"x\"}\n"});
}

static void openinference_is_shown_once(void **state)
{
    (void)state;
    expect(&(spoken){
        {{"openinference.span.kind", "LLM"},
         {"llm.input_messages.0.message.role", "user"},
         {"llm.input_messages.0.message.content", "Say ahoy"},
         {"llm.input_messages.1.message.role", "user"},
         {"llm.input_messages.1.message.contents.0.message_content.type", "text"},
         {"llm.input_messages.1.message.contents.0.message_content.text", "now"},
         {"llm.output_messages.0.message.role", "assistant"},
         {"llm.output_messages.0.message.content", "Ahoy!"},
         {"llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "bow"},
         {"llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", "{}"},
         {"input.value", "{\"messages\":[]}"},
         {"output.value", "Ahoy!"}},
        .expected_z = "user: Say ahoy\nuser: now\nanswer: Ahoy!\ncalls: bow({})\n"});
    expect(&(spoken){{{"input.value", "{\"question\":\"why\"}"}, {"output.value", "so"}},
                     .expected_z = "prompt: {\"question\":\"why\"}\nanswer: so\n"});
    expect(&(spoken){{{"input.value", "query"},
                      {"retrieval.documents.0.document.content", "one"},
                      {"retrieval.documents.1.document.content", "two"}},
                     .expected_z = "prompt: query\ndocument: one\ndocument: two\n"});
    expect(&(spoken){{{"embedding.embeddings.0.embedding.text", "hello"}},
                     .expected_z = "input: hello\n"});
}

static void the_vercel_ai_sdk_is_read(void **state)
{
    (void)state;
    expect(&(spoken){
        {{"ai.prompt.messages",
          "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":[{\"type\":"
          "\"text\",\"text\":\"Hi\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool-"
          "call\","
          "\"toolCallId\":\"1\",\"toolName\":\"f\",\"input\":{\"a\":1}}]},{\"role\":\"tool\","
          "\"content\":[{\"type\":\"tool-result\",\"toolName\":\"f\",\"output\":{\"b\":2}}]}]"},
         {"ai.response.text", "Ahoy"},
         {"ai.response.toolCalls",
          "[{\"toolCallId\":\"2\",\"toolName\":\"g\",\"args\":{\"c\":3}}]"}},
        .expected_z = "system: S\nuser: Hi\ncalls: f({\"a\":1})\nresult: {\"b\":2}\nanswer: Ahoy\n"
                      "calls: g({\"c\":3})\n"});
    expect(&(spoken){{{"ai.prompt", "{\"system\":\"S\",\"prompt\":\"Hi\"}"},
                      {"ai.response.object", "{\"x\":1}"}},
                     .expected_z = "system: S\nprompt: Hi\nanswer: {\"x\":1}\n"});
    expect(&(spoken){{{"ai.toolCall.name", "f"},
                      {"ai.toolCall.args", "{\"a\":1}"},
                      {"ai.toolCall.result", "\"ok\""}},
                     .expected_z = "calls: f({\"a\":1})\nresult: \"ok\"\n"});
}

static void tools_and_langsmith_are_read(void **state)
{
    (void)state;
    expect(&(spoken){{{"gen_ai.tool.name", "f"},
                      {"gen_ai.tool.call.arguments", "{\"a\":1}"},
                      {"gen_ai.tool.call.result", "done"},
                      {"input.value", "again"},
                      {"output.value", "again"}},
                     .expected_z = "calls: f({\"a\":1})\nresult: done\n"});
    expect(&(spoken){
        {{"gen_ai.prompt",
          "{\"messages\":[[{\"lc\":1,\"type\":\"constructor\",\"kwargs\":{\"content\":"
          "\"Hi\",\"type\":\"human\"}}]]}"},
         {"gen_ai.completion",
          "{\"generations\":[[{\"text\":\"Ahoy\",\"message\":{\"kwargs\":{\"content\":\"Ahoy\","
          "\"type\":\"ai\"}}}]]}"}},
        .expected_z = "user: Hi\nanswer: Ahoy\n"});
    expect(
        &(spoken){{{"llm.choices", "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                                   "\"content\":\"Ahoy\"}}]}"}},
                  .expected_z = "answer: Ahoy\n"});
}

static void what_is_broken_is_shown_as_it_is(void **state)
{
    (void)state;
    expect(
        &(spoken){{{"gen_ai.input.messages", "[{\"role\":"}}, .expected_z = "user: [{\"role\":\n"});
    expect(
        &(spoken){{{"gen_ai.input.messages", "[1,null,{}]"}}, .expected_z = "user: [1,null,{}]\n"});
    static char deep[4096];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    static char expected[4200];
    (void)snprintf(expected, sizeof(expected), "user: %s\n", deep);
    expect(&(spoken){{{"gen_ai.input.messages", deep}}, .expected_z = expected});
    expect(&(spoken){{{"http.method", "GET"}}, .expected_z = ""});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(current_gen_ai_messages_have_roles_parts_and_tools),
        cmocka_unit_test(events_say_it_as_attributes_do),
        cmocka_unit_test(openllmetry_has_roles_and_tool_calls),
        cmocka_unit_test(openinference_is_shown_once),
        cmocka_unit_test(the_vercel_ai_sdk_is_read),
        cmocka_unit_test(tools_and_langsmith_are_read),
        cmocka_unit_test(what_is_broken_is_shown_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
