// Which values of Content-Type name a media type.
#include "transport/http/media_type.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static bool is_json(const char *value_z)
{
    return ut_media_type_is(ut_bytes_of_z(value_z), "application/json");
}

static void case_and_parameters_do_not_matter(void **state)
{
    (void)state;
    assert_true(is_json("application/json"));
    assert_true(is_json("Application/JSON"));
    assert_true(is_json("application/json;charset=utf-8"));
    assert_true(is_json("application/json \t; charset=utf-8"));
    assert_true(is_json("application/json "));
    assert_true(is_json("application/json;a=\"x, text/html\""));
}

static void another_type_that_begins_alike_is_another_type(void **state)
{
    (void)state;
    assert_false(is_json(""));
    assert_false(is_json("application/jso"));
    assert_false(is_json("application/json-patch+json"));
    assert_false(is_json("application/json x"));
    assert_false(is_json("text/html"));
}

static void one_type_may_stand_there_twice(void **state)
{
    (void)state;
    assert_true(is_json("application/json, application/json"));
    assert_true(is_json("application/json;charset=utf-8 ,Application/JSON"));
    assert_false(is_json("application/json, text/html"));
    assert_false(is_json("application/json,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_and_parameters_do_not_matter),
        cmocka_unit_test(one_type_may_stand_there_twice),
        cmocka_unit_test(another_type_that_begins_alike_is_another_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
