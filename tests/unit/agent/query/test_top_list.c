// The greatest of many, against sorting all of them.
#include "agent/query/top_list.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

enum { MANY = 3000 };

static void add(ut_top_list *list, uint64_t rank, uint16_t number)
{
    uint8_t place[UT_TOP_PLACE_LEN] = {(uint8_t)(number >> 8), (uint8_t)number};
    ut_top_list_add(list, rank, place);
}

static uint16_t number_of(const ut_top_entry *entry)
{
    return (uint16_t)(entry->place[0] << 8 | entry->place[1]);
}

typedef struct {
    uint64_t rank;
    uint16_t number;
} thing;

static int compare_things(const void *a, const void *b)
{
    const thing *left = a;
    const thing *right = b;
    if (left->rank != right->rank)
        return left->rank > right->rank ? -1 : 1;
    return left->number < right->number ? -1 : 1; // the one that came first
}

static void the_greatest_come_in_order(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 2, 3, 7, 100, MANY - 1, MANY, MANY + 1};
    static thing things[MANY];
    uint64_t seed = 88172645463325252;
    for (uint16_t i = 0; i < MANY; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        things[i] = (thing){seed % 500, i}; // many are equal
    }
    for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
        thing sorted[MANY];
        ut_top_list list;
        assert_int_equal(ut_top_list_open(&list, limits[k]), UT_OK);
        for (uint16_t i = 0; i < MANY; i++)
            add(&list, things[i].rank, things[i].number);
        ut_top_list_sort(&list);
        memcpy(sorted, things, sizeof(sorted));
        qsort(sorted, MANY, sizeof(sorted[0]), compare_things);
        assert_int_equal(list.seen, MANY);
        assert_int_equal(list.count, limits[k] < MANY ? limits[k] : MANY);
        for (uint32_t i = 0; i < list.count; i++) {
            assert_true(list.entries[i].rank == sorted[i].rank);
            assert_int_equal(number_of(&list.entries[i]), sorted[i].number);
        }
        ut_top_list_close(&list);
    }
}

static void an_empty_list_stays_empty(void **state)
{
    (void)state;
    ut_top_list list;
    assert_int_equal(ut_top_list_open(&list, UT_TOP_LIST_MAX), UT_OK);
    ut_top_list_sort(&list);
    assert_int_equal(list.count, 0);
    ut_top_list_close(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_come_in_order),
        cmocka_unit_test(an_empty_list_stays_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
