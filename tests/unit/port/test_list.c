// port/base/list.h: the order of a queue whose items carry their own link.
#include "port/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct node node;
struct node {
    node *next;
    node *next_late; // in another list at the same time
    char letter;
};

UT_LIST_DEFINE(node_list, node, next);
UT_LIST_DEFINE(late_list, node, next_late);

// What the list holds, from the first to the last, and that its ends agree with each other.
static void holds(const node_list *list, const char *letters_z)
{
    char found_z[16] = "";
    const node *last = NULL;
    size_t count = 0;
    for (const node *at = list->first; at != NULL; at = at->next) {
        assert_true(count < sizeof(found_z) - 1);
        found_z[count++] = at->letter;
        last = at;
    }
    assert_string_equal(found_z, letters_z);
    assert_ptr_equal(list->last, last);
    assert_int_equal(list->count, count);
    assert_int_equal(node_list_empty(list), letters_z[0] == '\0');
}

static void items_leave_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    node a = {.letter = 'a'};
    node b = {.letter = 'b'};
    node c = {.letter = 'c'};
    node_list list = {0};
    holds(&list, "");
    assert_null(node_list_pop(&list));
    node_list_push(&list, &a);
    node_list_push(&list, &b);
    node_list_push(&list, &c);
    holds(&list, "abc");
    assert_ptr_equal(node_list_pop(&list), &a);
    holds(&list, "bc");
    assert_ptr_equal(node_list_pop(&list), &b);
    assert_ptr_equal(node_list_pop(&list), &c);
    holds(&list, "");
    node_list_push(&list, &b);
    holds(&list, "b");
}

static void an_item_pushed_to_the_front_leaves_first(void **state)
{
    (void)state;
    node a = {.letter = 'a'};
    node b = {.letter = 'b'};
    node c = {.letter = 'c'};
    node_list list = {0};
    node_list_push_front(&list, &b);
    holds(&list, "b");
    node_list_push_front(&list, &a);
    node_list_push(&list, &c);
    holds(&list, "abc");
}

static void an_item_that_was_taken_out_keeps_no_link(void **state)
{
    (void)state;
    node a = {.letter = 'a'};
    node b = {.letter = 'b'};
    node_list list = {0};
    node_list_push(&list, &a);
    node_list_push(&list, &b);
    assert_ptr_equal(node_list_pop(&list), &a);
    assert_null(a.next);
    a.next = &b; // a link that was left behind does no harm
    node_list_push(&list, &a);
    holds(&list, "ba");
}

static void an_item_leaves_from_behind_any_other(void **state)
{
    (void)state;
    node a = {.letter = 'a'};
    node b = {.letter = 'b'};
    node c = {.letter = 'c'};
    node_list list = {0};
    node_list_push(&list, &a);
    node_list_push(&list, &b);
    node_list_push(&list, &c);
    assert_null(node_list_pop_behind(&list, &c));
    holds(&list, "abc");
    assert_ptr_equal(node_list_pop_behind(&list, &a), &b);
    holds(&list, "ac");
    assert_ptr_equal(node_list_pop_behind(&list, &a), &c); // the last one
    holds(&list, "a");
    node_list_push(&list, &b);
    holds(&list, "ab");
    assert_ptr_equal(node_list_pop_behind(&list, NULL), &a);
    assert_ptr_equal(node_list_pop_behind(&list, NULL), &b);
    holds(&list, "");
}

static void a_list_takes_all_of_another(void **state)
{
    (void)state;
    node a = {.letter = 'a'};
    node b = {.letter = 'b'};
    node c = {.letter = 'c'};
    node d = {.letter = 'd'};
    node_list list = {0};
    node_list other = {0};
    node_list_append(&list, &other);
    holds(&list, "");
    node_list_push(&other, &a);
    node_list_push(&other, &b);
    node_list_append(&list, &other);
    holds(&list, "ab");
    holds(&other, "");
    node_list_push(&other, &c);
    node_list_append(&list, &other);
    holds(&list, "abc");
    node_list_append(&list, &other);
    node_list_push(&list, &d);
    holds(&list, "abcd");
}

static void an_item_is_in_two_lists_by_two_links(void **state)
{
    (void)state;
    node a = {.letter = 'a'};
    node b = {.letter = 'b'};
    node_list list = {0};
    late_list late = {0};
    node_list_push(&list, &a);
    node_list_push(&list, &b);
    late_list_push(&late, &b);
    late_list_push(&late, &a);
    assert_ptr_equal(node_list_pop(&list), &a);
    assert_ptr_equal(late_list_pop(&late), &b);
    assert_ptr_equal(late_list_pop(&late), &a);
    assert_true(late_list_empty(&late));
    holds(&list, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(an_item_pushed_to_the_front_leaves_first),
        cmocka_unit_test(an_item_that_was_taken_out_keeps_no_link),
        cmocka_unit_test(an_item_leaves_from_behind_any_other),
        cmocka_unit_test(a_list_takes_all_of_another),
        cmocka_unit_test(an_item_is_in_two_lists_by_two_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
