// Messages of language models in JSON; see llm_message.h. Each member that may hold messages is
// tried by its name, whatever convention it is of: the conventions borrow from one another.
#include "adapters/plain/llm_message.h"

#include "adapters/encoding/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = 16, TEXT_BYTES_MAX = 16 * 1024 * 1024, MEMORY_MAX = 64 * 1024 * 1024 };

typedef struct {
    ut_llm_message_visit visit;
    void *context;
    uint32_t visited;
} reading;

static void read_value(reading *r, yyjson_val *value, ut_bytes role, uint32_t depth);
static bool read_text(reading *r, ut_bytes text, ut_bytes role, uint32_t depth);

static ut_bytes text_of(yyjson_val *value)
{
    return yyjson_is_str(value) ? ut_bytes_of(yyjson_get_str(value), yyjson_get_len(value))
                                : UT_BYTES_NONE;
}

// The first of the members that is there; NULL. names_z: ended by NULL.
static yyjson_val *member(yyjson_val *object, const char *const *names_z)
{
    for (; *names_z != NULL; names_z++) {
        yyjson_val *value = yyjson_obj_get(object, *names_z);
        if (value != NULL && !yyjson_is_null(value))
            return value;
    }
    return NULL;
}

static void say(reading *r, ut_bytes role, ut_bytes text)
{
    if (text.len == 0)
        return;
    r->visited++;
    r->visit(r->context, role, text);
}

// Appends a value: text as it is, anything else as JSON.
static void add_value(ut_buf *out, yyjson_val *value)
{
    size_t len = 0;
    if (yyjson_is_str(value)) {
        ut_buf_add_bytes(out, text_of(value));
        return;
    }
    char *text = value == NULL ? NULL : yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &len);
    ut_buf_add(out, text == NULL ? "" : text, len);
    free(text);
}

static void say_value(reading *r, ut_bytes role, yyjson_val *value)
{
    ut_buf text;
    ut_buf_init(&text, TEXT_BYTES_MAX);
    add_value(&text, value);
    if (text.err == UT_OK)
        say(r, role, ut_buf_bytes(&text));
    ut_buf_free(&text);
}

void ut_llm_tool_call(ut_buf *out, ut_bytes name, ut_bytes arguments)
{
    ut_buf_add_bytes(out, name.len == 0 ? UT_BYTES_LIT("(unnamed)") : name);
    ut_buf_add_byte(out, '(');
    ut_buf_add_bytes(out, arguments);
    ut_buf_add_byte(out, ')');
}

static const char *const argument_names[] = {"arguments", "args", "input", NULL};

// A call of a tool, in any of the forms.
static void say_call(reading *r, yyjson_val *call)
{
    static const char *const names[] = {"name", "toolName", NULL};
    ut_buf text;
    ut_buf arguments;
    yyjson_val *function = yyjson_obj_get(call, "function");
    yyjson_val *from = yyjson_is_obj(function) ? function : call;
    ut_buf_init(&text, TEXT_BYTES_MAX);
    ut_buf_init(&arguments, TEXT_BYTES_MAX);
    add_value(&arguments, member(from, argument_names));
    ut_llm_tool_call(&text, text_of(member(from, names)), ut_buf_bytes(&arguments));
    if (text.err == UT_OK && arguments.err == UT_OK)
        say(r, UT_BYTES_LIT("calls"), ut_buf_bytes(&text));
    ut_buf_free(&text);
    ut_buf_free(&arguments);
}

static bool is_any(ut_bytes text, const char *const *words_z)
{
    for (; *words_z != NULL; words_z++) {
        if (ut_bytes_equal(text, ut_bytes_of_z(*words_z)))
            return true;
    }
    return false;
}

// A part of a message, or a content block. False: it is none that is known.
static bool read_part(reading *r, yyjson_val *part, ut_bytes role, uint32_t depth)
{
    static const char *const texts[] = {"text", "input_text", "output_text", NULL};
    static const char *const thoughts[] = {"reasoning", "thinking", NULL};
    static const char *const calls[] = {"tool_call", "tool-call", "tool_use", "function_call",
                                        NULL};
    static const char *const results[] = {"tool_call_response", "tool-result", "tool_result",
                                          "function_call_output", NULL};
    static const char *const media[] = {"blob",  "uri",       "file",        "image",
                                        "audio", "image_url", "input_image", NULL};
    static const char *const text_names[] = {"content", "text", "thinking", NULL};
    static const char *const result_names[] = {"response", "result", "output", "content", NULL};
    const ut_bytes type = text_of(yyjson_obj_get(part, "type"));
    if (is_any(type, texts)) {
        say(r, role, text_of(member(part, text_names)));
    } else if (is_any(type, thoughts)) {
        say(r, UT_BYTES_LIT("reasoning"), text_of(member(part, text_names)));
    } else if (is_any(type, calls)) {
        say_call(r, part);
    } else if (is_any(type, results)) {
        yyjson_val *result = member(part, result_names);
        if (yyjson_is_arr(result))
            read_value(r, result, UT_BYTES_LIT("result"), depth + 1);
        else
            say_value(r, UT_BYTES_LIT("result"), result);
    } else if (is_any(type, media)) {
        char text_z[32];
        const int len = snprintf(text_z, sizeof(text_z), "(%.*s)", (int)type.len,
                                 type.data == NULL ? "" : (const char *)type.data);
        say(r, role, ut_bytes_of(text_z, (size_t)len));
    } else {
        return false;
    }
    return true;
}

// LangChain names roles its own way.
static ut_bytes role_of(yyjson_val *message, ut_bytes role)
{
    const ut_bytes own = text_of(yyjson_obj_get(message, "role"));
    const ut_bytes type = text_of(yyjson_obj_get(message, "type"));
    if (own.len > 0)
        return own;
    if (ut_bytes_equal(type, UT_BYTES_LIT("human")))
        return UT_BYTES_LIT("user");
    if (ut_bytes_equal(type, UT_BYTES_LIT("ai")))
        return UT_BYTES_LIT("assistant");
    if (ut_bytes_equal(type, UT_BYTES_LIT("system")) || ut_bytes_equal(type, UT_BYTES_LIT("tool")))
        return type;
    return role;
}

// Whether the text of a member is what was said, and not just a member of any object.
static bool is_said(yyjson_val *object, const char *name_z)
{
    return strcmp(name_z, "prompt") == 0 ||
           (strcmp(name_z, "message") == 0 && (yyjson_obj_get(object, "finish_reason") != NULL ||
                                               yyjson_obj_get(object, "index") != NULL));
}

static void read_object(reading *r, yyjson_val *object, ut_bytes role, uint32_t depth)
{
    // What holds messages, in the order in which it is said.
    static const char *const holders[] = {
        "messages", "message",     "kwargs", "choices",
        "parts",    "generations", "prompt", "gen_ai.event.content"};
    static const char *const call_lists[] = {"tool_calls", "toolCalls", NULL};
    if (read_part(r, object, role, depth))
        return;
    const uint32_t before = r->visited;
    role = role_of(object, role);
    if (yyjson_obj_get(object, "messages") != NULL || yyjson_obj_get(object, "prompt") != NULL)
        say(r, UT_BYTES_LIT("system"), text_of(yyjson_obj_get(object, "system")));
    yyjson_val *content = yyjson_obj_get(object, "content");
    if (yyjson_is_str(content))
        say(r, role, text_of(content)); // also where it is JSON itself
    else
        read_value(r, content, role, depth + 1);
    for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++) {
        yyjson_val *held = yyjson_obj_get(object, holders[i]);
        const ut_bytes text = text_of(held);
        if (yyjson_is_ctn(held))
            read_value(r, held, role, depth + 1);
        else if (text.len > 0 && !read_text(r, text, role, depth + 1) &&
                 is_said(object, holders[i]))
            say(r, role, text);
    }
    yyjson_val *list = member(object, call_lists);
    size_t index;
    size_t count;
    yyjson_val *call;
    if (yyjson_is_arr(list)) {
        yyjson_arr_foreach(list, index, count, call) say_call(r, call);
    }
    if (r->visited == before && depth > 1)
        say(r, role, text_of(yyjson_obj_get(object, "text")));
    if (r->visited == before && yyjson_obj_get(object, "toolName") != NULL)
        say_call(r, object);
}

static void read_value(reading *r, yyjson_val *value, ut_bytes role, uint32_t depth)
{
    if (depth > NESTING_MAX)
        return;
    if (yyjson_is_obj(value)) {
        read_object(r, value, role, depth);
    } else if (yyjson_is_arr(value)) {
        size_t index;
        size_t count;
        yyjson_val *element;
        yyjson_arr_foreach(value, index, count, element)
        {
            if (yyjson_is_str(element))
                say(r, role, text_of(element));
            else
                read_value(r, element, role, depth + 1);
        }
    }
}

// JSON, or a text that holds some. False: it is none, or nothing in it is known.
static bool read_text(reading *r, ut_bytes text, ut_bytes role, uint32_t depth)
{
    ut_json json;
    ut_fault fault;
    size_t at = 0;
    while (at < text.len && strchr(" \t\r\n", text.data[at]) != NULL && text.data[at] != 0)
        at++;
    if (depth > NESTING_MAX || at == text.len || (text.data[at] != '{' && text.data[at] != '['))
        return false;
    if (ut_json_read_within(&json, text, MEMORY_MAX, &fault) != UT_OK)
        return false;
    const uint32_t before = r->visited;
    read_value(r, yyjson_doc_get_root(json.doc), role, depth + 1);
    ut_json_free(&json);
    return r->visited > before;
}

bool ut_llm_messages(ut_bytes json, ut_bytes role, ut_llm_message_visit visit, void *context)
{
    reading r = {.visit = visit, .context = context};
    return read_text(&r, json, role, 0);
}
