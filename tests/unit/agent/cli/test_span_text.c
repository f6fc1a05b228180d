// Spans as text for people: costs.
#include "agent/cli/span_text.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_have_as_many_digits_as_they_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
