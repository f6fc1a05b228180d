// Spans as text for people: costs, and what was said to a language model.
#include "agent/cli/llm_text.h"
#include "agent/cli/span_text.h"
#include "tests/support/span_parts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

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
        UT_MAP_OF(&own, "gen_ai.prompt.0.content", "a", "gen_ai.prompt.x.content", "no",
                  "gen_ai.prompt..content", "no", "gen_ai.prompt.12.content.more", "no",
                  "llm.output_messages.3.message.content", "b", "gen_ai.system_instructions", "c",
                  "input.value", "d", "llm.model", "no");
    const ut_bytes asked = UT_MAP_OF(&inner, "other", "no", "prompt", "e");
    ut_llm_texts(attributes, ut_event_of(&events, "agent.prompt", asked), note, &out);
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
        cmocka_unit_test(what_was_said_is_found_in_every_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
