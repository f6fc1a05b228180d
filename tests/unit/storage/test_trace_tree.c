// Trees from parent links: order, and every shape that should not exist but does.
#include "storage/trace_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

// Adds a span named after its id; parent 0: none.
static void add(ut_tree *tree, uint8_t id, uint8_t parent, uint64_t start_ns)
{
    const uint8_t span_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, id};
    const uint8_t parent_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, parent};
    const char name = (char)('a' + id - 1);
    ut_trace_span span = {0};
    span.span.span_id = ut_bytes_of(span_id, sizeof(span_id));
    span.span.parent_span_id = ut_bytes_of(parent_id, parent == 0 ? 0 : sizeof(parent_id));
    span.span.name = ut_bytes_of(&name, 1);
    span.span.start_ns = start_ns;
    span.span.end_ns = start_ns + 10;
    assert_int_equal(ut_tree_add(tree, &span), UT_OK);
}

// The names depth first, each with its depth: "a0 b1 c1".
static void expect(ut_tree *tree, const char *expected_z)
{
    char text[512] = "";
    size_t len = 0;
    uint32_t count = 0;
    assert_int_equal(ut_tree_build(tree), UT_OK);
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].name.len, 1);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%u", i == 0 ? "" : " ",
                                rows[i].name.data[0], rows[i].depth);
    }
    assert_string_equal(text, expected_z);
    ut_tree_free(tree);
}

static ut_tree *make(void)
{
    ut_tree *tree = NULL;
    assert_int_equal(ut_tree_new(&tree), UT_OK);
    return tree;
}

static void children_stand_under_their_parent_by_start(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 4, 2, 25);
    add(tree, 3, 1, 30);
    add(tree, 2, 1, 20);
    add(tree, 1, 0, 10);
    expect(tree, "a0 b1 d2 c1");
}

static void several_roots_come_by_start(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 2, 0, 20);
    add(tree, 1, 0, 10);
    add(tree, 3, 2, 21);
    expect(tree, "a0 b0 c1");
}

static void a_missing_parent_makes_a_root_that_says_so(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 9, 10);
    add(tree, 2, 1, 11);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].place, UT_TREE_PARENT_MISSING);
    assert_int_equal(rows[1].place, UT_TREE_CHILD);
    assert_int_equal(rows[1].parent, 0);
    ut_tree_free(tree);
}

static void a_cycle_is_cut_once_and_loses_no_span(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 3, 10);
    add(tree, 2, 1, 11);
    add(tree, 3, 2, 12);
    add(tree, 4, 2, 13); // hangs on the cycle
    assert_int_equal(ut_tree_build(tree), UT_OK);
    uint32_t count = 0;
    uint32_t cut = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, 4);
    for (uint32_t i = 0; i < count; i++)
        cut += rows[i].place == UT_TREE_CYCLE;
    assert_int_equal(cut, 1);
    ut_tree_free(tree);
}

static void a_span_that_is_its_own_parent_is_a_root(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 1, 10);
    add(tree, 2, 1, 11);
    expect(tree, "a0 b1");
}

static void repeated_ids_are_all_kept(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 0, 10);
    add(tree, 1, 0, 11);
    add(tree, 2, 1, 12);
    expect(tree, "a0 b1 a0");
}

static void a_chain_of_a_hundred_thousand_spans_needs_no_stack(void **state)
{
    (void)state;
    enum { SPANS = 100 * 1000 };
    ut_tree *tree = make();
    for (uint32_t i = 1; i <= SPANS; i++) {
        uint8_t id[UT_SPAN_ID_LEN];
        uint8_t parent[UT_SPAN_ID_LEN];
        ut_put_be64(id, i);
        ut_put_be64(parent, i - 1);
        ut_trace_span span = {0};
        span.span.span_id = ut_bytes_of(id, sizeof(id));
        span.span.parent_span_id = ut_bytes_of(parent, sizeof(parent));
        assert_int_equal(ut_tree_add(tree, &span), UT_OK);
    }
    assert_int_equal(ut_tree_build(tree), UT_OK);
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, SPANS);
    assert_int_equal(rows[SPANS - 1].depth, SPANS - 1);
    ut_tree_free(tree);
}

static void an_empty_trace_has_no_rows(void **state)
{
    (void)state;
    expect(make(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_stand_under_their_parent_by_start),
        cmocka_unit_test(several_roots_come_by_start),
        cmocka_unit_test(a_missing_parent_makes_a_root_that_says_so),
        cmocka_unit_test(a_cycle_is_cut_once_and_loses_no_span),
        cmocka_unit_test(a_span_that_is_its_own_parent_is_a_root),
        cmocka_unit_test(repeated_ids_are_all_kept),
        cmocka_unit_test(a_chain_of_a_hundred_thousand_spans_needs_no_stack),
        cmocka_unit_test(an_empty_trace_has_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
