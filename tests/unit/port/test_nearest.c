// The nearest name: slips of the fingers find it, other words find none.
#include "port/base/nearest.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *nearest(const char *typed_z)
{
    static const char *const names[] = {"max_size", "max_spans", "evict", "ttl",
                                        "service",  "services",  "run"};
    ut_nearest search = ut_nearest_of(typed_z, strlen(typed_z));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ut_nearest_try(&search, names[i]);
    return search.found_z;
}

static void a_slip_finds_the_name(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"sevice", "service"},     {"services", "services"}, {"max-size", "max_size"},
        {"MAX_SIZE", "max_size"},  {"max", "max_size"},      {"evcit", "evict"},
        {"servce", "service"},     {"serv", "service"},      {"runn", "run"},
        {"max_span", "max_spans"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_non_null(nearest(table[i][0]));
        assert_string_equal(nearest(table[i][0]), table[i][1]);
    }
}

static void another_word_finds_none(void **state)
{
    (void)state;
    static const char *const words[] = {
        "", "x", "tag", "rat", "colour", "a word that is longer than any name of ours may ever be"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_null(nearest(words[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_finds_the_name),
        cmocka_unit_test(another_word_finds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
