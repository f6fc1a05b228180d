// The trace of an assistant, as OTLP protobuf; see sample_assistant.h.
#include "agent/commands/sample_assistant.h"

#include "adapters/encoding/protobuf.h"
#include "adapters/otlp/otlp_fields.h"

enum { KIND_SERVER = 2, KIND_CLIENT = 3, MS = 1000 * 1000, ROOT_MS = 1800, BEFORE_MS = 3800 };

const uint8_t ut_sample_assistant_id[16] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                            0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};

typedef struct {
    const char *name_z;
    uint32_t start_ms; // from the start of the root
    uint32_t end_ms;
    const char *model_z;
    uint32_t input_tokens;
    uint32_t output_tokens;
    double cost;
    const char *prompt_z;
    const char *answer_z;
    const char *patch_z; // what it changes of the state
} step;

static const step steps[] = {
    {"plan", 20, 500, "model-small", 812, 64, 0.0004, "Which orders of customer 4711 are late?",
     "Look them up.", "[{\"op\":\"add\",\"path\":\"/plan\",\"value\":[\"orders\"]}]"},
    {"write", 600, 1750, "model-large", 2140, 391, 0.0187, "Tell the customer about order 17.",
     "Dear customer, ...",
     "[{\"op\":\"add\",\"path\":\"/answer\",\"value\":\"sent\"},"
     "{\"op\":\"remove\",\"path\":\"/plan\"}]"},
};

// Opens an attribute; field: the number of `attributes` in the message around. The caller closes
// any, then pair.
static void open_value(ut_buf *out, uint32_t field, const char *key_z, ut_pb_slot *pair,
                       ut_pb_slot *any)
{
    *pair = ut_pb_open(out, field, 0);
    ut_pb_put_bytes(out, UT_KEY_VALUE_KEY, ut_bytes_of_z(key_z));
    *any = ut_pb_open(out, UT_KEY_VALUE_VALUE, 0);
}

static void put_text(ut_buf *out, uint32_t field, const char *key_z, const char *value_z)
{
    ut_pb_slot pair;
    ut_pb_slot any;
    open_value(out, field, key_z, &pair, &any);
    ut_pb_put_bytes(out, UT_ANY_STRING, ut_bytes_of_z(value_z));
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
}

static void put_number(ut_buf *out, const char *key_z, uint64_t value)
{
    ut_pb_slot pair;
    ut_pb_slot any;
    open_value(out, UT_SPAN_ATTRIBUTES, key_z, &pair, &any);
    ut_pb_put_varint(out, UT_ANY_INT, value);
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
}

static void put_double(ut_buf *out, const char *key_z, double value)
{
    ut_pb_slot pair;
    ut_pb_slot any;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    open_value(out, UT_SPAN_ATTRIBUTES, key_z, &pair, &any);
    ut_pb_put_i64(out, UT_ANY_DOUBLE, bits);
    ut_pb_close(out, any);
    ut_pb_close(out, pair);
}

// number: of the span; 0 is the root. The caller closes it.
static ut_pb_slot open_span(ut_buf *out, uint64_t seed, uint64_t number, const char *name_z,
                            uint32_t kind, uint64_t start_ns, uint64_t end_ns)
{
    // An odd factor keeps the ids of a seed apart; all zero would be no id.
    const uint64_t root = seed * 2 + 1;
    const uint64_t id = root + number * UINT64_C(0x9e3779b97f4a7c15);
    const ut_pb_slot slot = ut_pb_open(out, UT_SCOPE_SPANS_SPANS, 0);
    ut_pb_put_bytes(out, UT_SPAN_TRACE_ID, ut_bytes_of(ut_sample_assistant_id, 16));
    ut_pb_put_bytes(out, UT_SPAN_SPAN_ID, ut_bytes_of((const uint8_t *)&id, sizeof(id)));
    if (number > 0)
        ut_pb_put_bytes(out, UT_SPAN_PARENT_SPAN_ID,
                        ut_bytes_of((const uint8_t *)&root, sizeof(root)));
    ut_pb_put_bytes(out, UT_SPAN_NAME, ut_bytes_of_z(name_z));
    ut_pb_put_varint(out, UT_SPAN_KIND, kind);
    ut_pb_put_i64(out, UT_SPAN_START_TIME, start_ns);
    ut_pb_put_i64(out, UT_SPAN_END_TIME, end_ns);
    return slot;
}

static void put_step(ut_buf *out, uint64_t seed, uint64_t number, uint64_t begin_ns)
{
    const step *const s = &steps[number - 1];
    const uint64_t end_ns = begin_ns + (uint64_t)s->end_ms * MS;
    const ut_pb_slot slot = open_span(out, seed, number, s->name_z, KIND_CLIENT,
                                      begin_ns + (uint64_t)s->start_ms * MS, end_ns);
    put_text(out, UT_SPAN_ATTRIBUTES, "gen_ai.operation.name", "chat");
    put_text(out, UT_SPAN_ATTRIBUTES, "gen_ai.provider.name", "acme");
    put_text(out, UT_SPAN_ATTRIBUTES, "gen_ai.request.model", s->model_z);
    put_number(out, "gen_ai.usage.input_tokens", s->input_tokens);
    put_number(out, "gen_ai.usage.output_tokens", s->output_tokens);
    put_double(out, "llm.cost.total", s->cost);
    put_text(out, UT_SPAN_ATTRIBUTES, "gen_ai.prompt.0.content", s->prompt_z);
    put_text(out, UT_SPAN_ATTRIBUTES, "gen_ai.completion.0.content", s->answer_z);
    const ut_pb_slot event = ut_pb_open(out, UT_SPAN_EVENTS, 0);
    ut_pb_put_i64(out, UT_EVENT_TIME, end_ns);
    ut_pb_put_bytes(out, UT_EVENT_NAME, UT_BYTES_LIT("set_state"));
    put_text(out, UT_EVENT_ATTRIBUTES, "state.patch", s->patch_z);
    ut_pb_close(out, event);
    ut_pb_close(out, slot);
}

ut_err ut_sample_assistant(uint64_t seed, uint64_t end_ns, ut_buf *out)
{
    const uint64_t begin_ns = end_ns - (uint64_t)BEFORE_MS * MS;
    const ut_pb_slot resource_spans = ut_pb_open(out, UT_REQUEST_RESOURCE_SPANS, 0);
    const ut_pb_slot resource = ut_pb_open(out, UT_RESOURCE_SPANS_RESOURCE, 0);
    put_text(out, UT_RESOURCE_ATTRIBUTES, "service.name", "assistant");
    ut_pb_close(out, resource);
    const ut_pb_slot scope_spans = ut_pb_open(out, UT_RESOURCE_SPANS_SCOPE_SPANS, 0);
    ut_pb_close(out, open_span(out, seed, 0, "answer", KIND_SERVER, begin_ns,
                               begin_ns + (uint64_t)ROOT_MS * MS));
    for (uint64_t number = 1; number < UT_SAMPLE_ASSISTANT_SPANS; number++)
        put_step(out, seed, number, begin_ns);
    ut_pb_close(out, scope_spans);
    ut_pb_close(out, resource_spans);
    return out->err;
}
