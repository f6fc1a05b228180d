// The meaning of statuses and failures, each of them.
#include "transport/deliver/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void every_status_has_the_outcome_that_the_rules_give(void **state)
{
    (void)state;
    static const struct {
        int from;
        int to;
        ut_outcome outcome;
    } rules[] = {
        {200, 299, UT_OUTCOME_DELIVERED}, {300, 399, UT_OUTCOME_MISCONFIGURED},
        {400, 400, UT_OUTCOME_REFUSED},   {401, 405, UT_OUTCOME_MISCONFIGURED},
        {406, 406, UT_OUTCOME_REFUSED},   {407, 407, UT_OUTCOME_MISCONFIGURED},
        {408, 409, UT_OUTCOME_REFUSED},   {410, 410, UT_OUTCOME_MISCONFIGURED},
        {411, 412, UT_OUTCOME_REFUSED},   {413, 413, UT_OUTCOME_TOO_LARGE},
        {414, 414, UT_OUTCOME_REFUSED},   {415, 415, UT_OUTCOME_MISCONFIGURED},
        {416, 420, UT_OUTCOME_REFUSED},   {421, 421, UT_OUTCOME_MISCONFIGURED},
        {422, 425, UT_OUTCOME_REFUSED},   {426, 426, UT_OUTCOME_MISCONFIGURED},
        {427, 428, UT_OUTCOME_REFUSED},   {429, 429, UT_OUTCOME_RETRY},
        {430, 501, UT_OUTCOME_REFUSED},   {502, 504, UT_OUTCOME_RETRY},
        {505, 519, UT_OUTCOME_REFUSED},   {520, 530, UT_OUTCOME_RETRY},
        {531, 599, UT_OUTCOME_REFUSED},
    };
    int next = 200;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        assert_int_equal(rules[i].from, next); // no status is left out
        for (int status = rules[i].from; status <= rules[i].to; status++) {
            if (ut_outcome_of_status(status) != rules[i].outcome)
                fail_msg("status %d has outcome %d", status, (int)ut_outcome_of_status(status));
        }
        next = rules[i].to + 1;
    }
    assert_int_equal(next, 600);
}

static void a_web_page_is_no_success(void **state)
{
    (void)state;
    static const char *const pages[] = {"text/html", "text/html; charset=utf-8", "Text/HTML ;x"};
    static const char *const others[] = {
        "", "text/htm", "text/html5", "application/json", "application/x-protobuf", "text/plain"};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        const ut_bytes type = ut_bytes_of_z(pages[i]);
        assert_int_equal(ut_outcome_of_answer(200, type), UT_OUTCOME_RETRY);
        assert_int_equal(ut_outcome_of_answer(204, type), UT_OUTCOME_RETRY);
        assert_int_equal(ut_outcome_of_answer(400, type), UT_OUTCOME_REFUSED);
        assert_int_equal(ut_outcome_of_answer(302, type), UT_OUTCOME_MISCONFIGURED);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(ut_outcome_of_answer(200, ut_bytes_of_z(others[i])), UT_OUTCOME_DELIVERED);
}

static void what_breaks_on_the_way_is_tried_again(void **state)
{
    (void)state;
    static const ut_err errors[] = {UT_ERESOLVE, UT_ECONNECT, UT_ETLS,   UT_ETIMEOUT,
                                    UT_ECLOSED,  UT_EPROTO,   UT_ENOMEM, UT_EIO};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        assert_int_equal(ut_outcome_of_failure(errors[i]), UT_OUTCOME_RETRY);
}

static void an_answer_over_the_limit_is_not_tried_again(void **state)
{
    (void)state;
    assert_int_equal(ut_outcome_of_failure(UT_ELIMIT), UT_OUTCOME_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_the_outcome_that_the_rules_give),
        cmocka_unit_test(a_web_page_is_no_success),
        cmocka_unit_test(what_breaks_on_the_way_is_tried_again),
        cmocka_unit_test(an_answer_over_the_limit_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
