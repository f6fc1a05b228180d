// A list of marks: its copies, its limit, and what leaves from its front.
#include "agent/threads/mark_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { MARKS_MAX = 4 };

static void add(ut_mark_list *list, uint64_t seq, const uint16_t *ordinals, uint32_t dead)
{
    const ut_delivery mark = {
        .seq = seq, .state = UT_DELIVERY_DELIVERED, .spans_dead = dead, .dead_ordinals = ordinals};
    ut_mark_copy copy;
    assert_int_equal(ut_mark_copy_make(&copy, &mark), UT_OK);
    assert_true(ut_mark_list_add(list, &copy));
}

static void a_mark_is_copied_with_its_ordinals(void **state)
{
    (void)state;
    ut_mark_list list;
    assert_int_equal(ut_mark_list_init(&list, MARKS_MAX), UT_OK);
    uint16_t ordinals[] = {3, 4};
    add(&list, 1, ordinals, 2);
    add(&list, 2, NULL, 0);
    memset(ordinals, 0xff, sizeof(ordinals));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].dead_ordinals[0], 3);
    assert_int_equal(list.items[0].dead_ordinals[1], 4);
    assert_null(list.items[1].dead_ordinals);
    ut_mark_list_free(&list);
}

static void a_full_list_takes_no_more(void **state)
{
    (void)state;
    ut_mark_list list;
    assert_int_equal(ut_mark_list_init(&list, MARKS_MAX), UT_OK);
    const uint16_t ordinals[] = {1};
    for (uint64_t i = 0; i < MARKS_MAX; i++)
        add(&list, i, ordinals, 1);
    const ut_delivery mark = {.spans_dead = 1, .dead_ordinals = ordinals};
    ut_mark_copy copy;
    assert_int_equal(ut_mark_copy_make(&copy, &mark), UT_OK);
    assert_false(ut_mark_list_add(&list, &copy));
    ut_mark_list_clear(&list);
    assert_int_equal(list.count, 0);
    assert_true(ut_mark_list_add(&list, &copy));
    ut_mark_list_free(&list);
}

static void marks_that_leave_from_the_front_leave_the_others(void **state)
{
    (void)state;
    ut_mark_list list;
    assert_int_equal(ut_mark_list_init(&list, MARKS_MAX), UT_OK);
    for (uint16_t i = 0; i < MARKS_MAX; i++)
        add(&list, i, &i, 1);
    ut_mark_list_drop_first(&list, 0);
    ut_mark_list_drop_first(&list, 3);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].seq, 3);
    assert_int_equal(list.items[0].dead_ordinals[0], 3);
    ut_mark_list_free(&list);
}

static void a_copy_that_no_list_took_is_dropped(void **state)
{
    (void)state;
    const uint16_t ordinals[] = {1, 2};
    const ut_delivery mark = {.spans_dead = 2, .dead_ordinals = ordinals};
    ut_mark_copy copy;
    assert_int_equal(ut_mark_copy_make(&copy, &mark), UT_OK);
    assert_ptr_not_equal(copy.ordinals, ordinals);
    ut_mark_copy_drop(&copy);
    assert_null(copy.ordinals);
}

static bool add_for(ut_mark_list *list, uint64_t seq, uint32_t dest, ut_delivery_state state,
                    uint32_t attempts)
{
    const ut_delivery mark = {.seq = seq, .dest = dest, .state = state, .attempts = attempts};
    ut_mark_copy copy;
    assert_int_equal(ut_mark_copy_make(&copy, &mark), UT_OK);
    return ut_mark_list_add(list, &copy);
}

static void a_mark_takes_the_place_of_a_failed_try_of_its_block(void **state)
{
    (void)state;
    ut_mark_list list;
    assert_int_equal(ut_mark_list_init(&list, MARKS_MAX), UT_OK);
    assert_true(add_for(&list, 1, 1, UT_DELIVERY_PENDING, 1));
    assert_true(add_for(&list, 2, 1, UT_DELIVERY_PENDING, 1));
    assert_true(add_for(&list, 1, 2, UT_DELIVERY_PENDING, 1)); // at another destination
    assert_true(add_for(&list, 3, 1, UT_DELIVERY_DELIVERED, 1));
    assert_int_equal(list.tries, 3);
    for (uint32_t attempts = 2; attempts < 100; attempts++)
        assert_true(add_for(&list, 1, 1, UT_DELIVERY_PENDING, attempts)); // though it is full
    assert_true(add_for(&list, 2, 1, UT_DELIVERY_DELIVERED, 2));
    assert_int_equal(list.count, MARKS_MAX);
    assert_int_equal(list.tries, 2);
    assert_int_equal(list.items[0].attempts, 99);
    assert_int_equal(list.items[1].state, UT_DELIVERY_DELIVERED);
    assert_int_equal(list.items[2].attempts, 1);
    assert_false(add_for(&list, 3, 1, UT_DELIVERY_DELIVERED, 1)); // only tries are replaced
    assert_false(add_for(&list, 4, 1, UT_DELIVERY_PENDING, 1));
    ut_mark_list_drop_first(&list, 1);
    assert_int_equal(list.tries, 1);
    ut_mark_list_clear(&list);
    assert_int_equal(list.tries, 0);
    ut_mark_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_is_copied_with_its_ordinals),
        cmocka_unit_test(a_full_list_takes_no_more),
        cmocka_unit_test(marks_that_leave_from_the_front_leave_the_others),
        cmocka_unit_test(a_mark_takes_the_place_of_a_failed_try_of_its_block),
        cmocka_unit_test(a_copy_that_no_list_took_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
