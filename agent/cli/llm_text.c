// Prompts and answers of language models; see llm_text.h.
#include "agent/cli/llm_text.h"

typedef struct {
    const char *key_z; // whole; with a * for a number in it
    const char *label_z;
} spelling;

static const spelling spellings[] = {
    {"gen_ai.system_instructions", "system"},
    {"gen_ai.input.messages", "prompt"},
    {"gen_ai.output.messages", "answer"},
    {"gen_ai.prompt", "prompt"},
    {"gen_ai.completion", "answer"},
    {"gen_ai.prompt.*.content", "prompt"},
    {"gen_ai.completion.*.content", "answer"},
    {"llm.input_messages.*.message.content", "prompt"},
    {"llm.output_messages.*.message.content", "answer"},
    {"input.value", "prompt"},
    {"output.value", "answer"},
    {"traceloop.entity.input", "prompt"},
    {"traceloop.entity.output", "answer"},
    {"llm.messages", "prompt"},
    {"llm.prompt", "prompt"},
    {"llm.request.messages", "prompt"},
    {"llm.choices", "answer"},
    {"llm.response.content", "answer"},
};

// In events: the event, and the attribute that holds the text; the first that is there.
static const char *const event_keys[] = {"prompt",  "agent.prompt",      "gen_ai.prompt",
                                         "content", "gen_ai.completion", "rendered_prompt"};
static const spelling events_named[] = {
    {"agent.prompt", "prompt"},
    {"agent.response", "answer"},
    {"gen_ai.content.prompt", "prompt"},
    {"gen_ai.content.completion", "answer"},
    {"gen_ai.system.message", "system"},
    {"gen_ai.user.message", "prompt"},
    {"gen_ai.assistant.message", "answer"},
    {"gen_ai.choice", "answer"},
};

// True when key is the spelling; * stands for digits.
static bool spells(ut_bytes key, const char *spelling_z)
{
    size_t at = 0;
    for (const char *s = spelling_z; *s != 0; s++) {
        if (*s == '*') {
            const size_t begin = at;
            while (at < key.len && key.data[at] >= '0' && key.data[at] <= '9')
                at++;
            if (at == begin)
                return false;
        } else if (at == key.len || key.data[at++] != (uint8_t)*s) {
            return false;
        }
    }
    return at == key.len;
}

static const char *label_of(ut_bytes key, const spelling *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (spells(key, table[i].key_z))
            return table[i].label_z;
    }
    return NULL;
}

static void visit_event(const ut_event *event, ut_llm_text_visit visit, void *context)
{
    const char *label_z =
        label_of(event->name, events_named, sizeof(events_named) / sizeof(events_named[0]));
    if (label_z == NULL || event->attributes.len == 0)
        return;
    for (size_t i = 0; i < sizeof(event_keys) / sizeof(event_keys[0]); i++) {
        ut_mp_reader reader = ut_mp_reader_of(event->attributes);
        for (uint32_t left = ut_mp_get_map(&reader); left > 0 && reader.err == UT_OK; left--) {
            const ut_bytes key = ut_mp_get_str(&reader);
            const ut_bytes value = ut_mp_skip(&reader);
            if (reader.err == UT_OK && ut_bytes_equal(key, ut_bytes_of_z(event_keys[i]))) {
                visit(context, label_z, value);
                return;
            }
        }
    }
}

void ut_llm_texts(ut_bytes attributes, ut_bytes events, ut_llm_text_visit visit, void *context)
{
    ut_mp_reader reader = ut_mp_reader_of(attributes);
    for (uint32_t left = attributes.len == 0 ? 0 : ut_mp_get_map(&reader);
         left > 0 && reader.err == UT_OK; left--) {
        const ut_bytes key = ut_mp_get_str(&reader);
        const ut_bytes value = ut_mp_skip(&reader);
        const char *label_z = label_of(key, spellings, sizeof(spellings) / sizeof(spellings[0]));
        if (reader.err == UT_OK && label_z != NULL)
            visit(context, label_z, value);
    }
    reader = ut_mp_reader_of(events);
    for (uint32_t left = events.len == 0 ? 0 : ut_mp_get_array(&reader);
         left > 0 && reader.err == UT_OK; left--) {
        ut_event event;
        if (ut_event_read(&reader, 0, &event) == UT_OK)
            visit_event(&event, visit, context);
    }
}
