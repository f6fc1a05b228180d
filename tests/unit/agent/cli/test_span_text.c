// Spans as text for people and programs: words, costs, kinds of errors, JSON, and what was said to a
// language model.
#include "agent/cli/llm_text.h"
#include "agent/cli/span_text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

// Raw MessagePack of a map of texts: key, value, key, value, NULL.
static ut_bytes map_of(ut_buf *buf, const char *const *pairs)
{
    uint32_t count = 0;
    while (pairs[2 * count] != NULL)
        count++;
    ut_buf_init(buf, 4096);
    ut_mp_put_map(buf, count);
    for (uint32_t i = 0; i < 2 * count; i++)
        ut_mp_put_str(buf, ut_bytes_of_z(pairs[i]));
    assert_int_equal(buf->err, UT_OK);
    return ut_buf_bytes(buf);
}
#define MAP(buf, ...) map_of((buf), (const char *const[]){__VA_ARGS__, NULL})

// Raw MessagePack of one event with these attributes.
static ut_bytes event_of(ut_buf *buf, const char *name_z, ut_bytes attributes)
{
    const ut_event event = {.time_ns = 5, .name = ut_bytes_of_z(name_z)};
    ut_buf_init(buf, 4096);
    ut_mp_put_array(buf, 1);
    ut_event_write_head(buf, 0, &event);
    ut_buf_add_bytes(buf, attributes);
    ut_event_write_tail(buf, &event);
    assert_int_equal(buf->err, UT_OK);
    return ut_buf_bytes(buf);
}

static void costs_have_as_many_digits_as_they_need(void **state)
{
    (void)state;
    static const struct {
        double usd;
        const char *text_z;
    } costs[] = {{0, "$0.000000"}, {0.000042, "$0.000042"}, {0.0187, "$0.0187"},
                 {1.5, "$1.5000"}, {123.456, "$123.46"},    {1e15, "$1000000000000000.00"}};
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        char text_z[UT_SPAN_COST_MAX];
        ut_span_cost(costs[i].usd, text_z);
        assert_string_equal(text_z, costs[i].text_z);
    }
    char text_z[UT_SPAN_COST_MAX];
    ut_span_cost(1e300, text_z); // cut, but no more than that
    assert_true(strlen(text_z) < UT_SPAN_COST_MAX);
}

static void the_kind_of_an_error_is_of_the_span_before_its_events(void **state)
{
    (void)state;
    ut_buf own;
    ut_buf inner;
    ut_buf events;
    const ut_bytes thrown = MAP(&inner, "exception.type", "Timeout");
    ut_span span = {.attributes = MAP(&own, "error.type", "500"),
                    .events = event_of(&events, "exception", thrown)};
    assert_true(ut_bytes_equal(ut_span_error_type(&span), UT_BYTES_LIT("500")));
    span.attributes = UT_BYTES_NONE;
    assert_true(ut_bytes_equal(ut_span_error_type(&span), UT_BYTES_LIT("Timeout")));
    span.events.len -= 3; // cut short: no type, and nothing worse
    (void)ut_span_error_type(&span);
    span.events = UT_BYTES_NONE;
    assert_int_equal(ut_span_error_type(&span).len, 0);
    ut_buf_free(&own);
    ut_buf_free(&inner);
    ut_buf_free(&events);
}

static void a_span_without_anything_is_still_json(void **state)
{
    (void)state;
    ut_buf out;
    ut_buf_init(&out, 4096);
    const ut_span span = {.start_ns = 9, .end_ns = 4, .kind = 77, .status_code = -3};
    ut_span_json(&out, &span, UT_BYTES_NONE, UT_BYTES_NONE);
    ut_buf_add_byte(&out, 0);
    assert_string_equal(
        (const char *)out.data,
        "\"trace_id\":\"\",\"span_id\":\"\",\"parent_span_id\":null,\"name\":\"\","
        "\"service\":\"\",\"scope\":\"\",\"kind\":\"unspecified\",\"start_ns\":9,"
        "\"end_ns\":4,\"duration_ns\":0,\"status\":\"unset\",\"status_message\":\"\","
        "\"attributes\":{},\"resource\":{},\"events\":[]");
    ut_buf_free(&out);
}

static void note(void *context, const char *label_z, ut_bytes value)
{
    ut_buf *out = context;
    ut_mp_reader reader = ut_mp_reader_of(value);
    ut_buf_printf(out, "%s=", label_z);
    ut_buf_add_bytes(out, ut_mp_get_str(&reader));
    ut_buf_add_byte(out, ';');
}

static void what_was_said_is_found_in_every_spelling(void **state)
{
    (void)state;
    ut_buf own;
    ut_buf inner;
    ut_buf events;
    ut_buf out;
    ut_buf_init(&out, 4096);
    const ut_bytes attributes =
        MAP(&own, "gen_ai.prompt.0.content", "a", "gen_ai.prompt.x.content", "no",
            "gen_ai.prompt..content", "no", "gen_ai.prompt.12.content.more", "no",
            "llm.output_messages.3.message.content", "b", "gen_ai.system_instructions", "c",
            "input.value", "d", "llm.model", "no");
    const ut_bytes asked = MAP(&inner, "other", "no", "prompt", "e");
    ut_llm_texts(attributes, event_of(&events, "agent.prompt", asked), note, &out);
    ut_buf_add_byte(&out, 0);
    assert_string_equal((const char *)out.data, "prompt=a;answer=b;system=c;prompt=d;prompt=e;");
    ut_buf_free(&own);
    ut_buf_free(&inner);
    ut_buf_free(&events);
    ut_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_have_as_many_digits_as_they_need),
        cmocka_unit_test(the_kind_of_an_error_is_of_the_span_before_its_events),
        cmocka_unit_test(a_span_without_anything_is_still_json),
        cmocka_unit_test(what_was_said_is_found_in_every_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
