// Which spans a tree shows: folds, conditions, the limit, and that every span is counted once.
#include "agent/cli/trace_cut.h"
#include "tests/support/random_span.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MS = 1000000 };

// A span with an id of its own, in ms.
static void add(ut_tree *tree, uint32_t id, uint32_t parent, const char *name_z, uint64_t start_ms,
                uint64_t end_ms, bool error)
{
    uint8_t span_id[UT_SPAN_ID_LEN];
    uint8_t parent_id[UT_SPAN_ID_LEN];
    ut_trace_span span = {0};
    ut_put_be64(span_id, id);
    ut_put_be64(parent_id, parent);
    span.span.span_id = ut_bytes_of(span_id, sizeof(span_id));
    span.span.parent_span_id = ut_bytes_of(parent_id, parent == 0 ? 0 : sizeof(parent_id));
    span.span.name = ut_bytes_of_z(name_z);
    span.span.start_ns = start_ms * MS;
    span.span.end_ns = end_ms * MS;
    span.span.status_code = error ? UT_STATUS_ERROR : UT_STATUS_UNSET;
    span.span.status_message = error ? UT_BYTES_LIT("bad") : UT_BYTES_NONE;
    assert_int_equal(ut_tree_add(tree, &span), UT_OK);
}

static ut_tree *make(void)
{
    ut_tree *tree = NULL;
    assert_int_equal(ut_tree_new(&tree), UT_OK);
    return tree;
}

// Builds the tree, and compares its rows as "name[xCOUNT][/BELOW][!ERRORS]", with > for depth and )
// for the last child.
static void expect(ut_tree *tree, const ut_trace_cut_options *options, const char *expected_z)
{
    char text[1024] = "";
    size_t len = 0;
    ut_trace_cut cut;
    assert_int_equal(ut_trace_cut_make(&cut, tree, options), UT_OK);
    for (uint32_t i = 0; i < cut.count; i++) {
        const ut_tree_row *row = &cut.rows[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s%.*s", i == 0 ? "" : " ",
                                (int)row->depth, ">>>>>>>>", (int)row->name.len,
                                (const char *)row->name.data);
        if (cut.folds[i].count > 1)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "x%u/%u!%u", cut.folds[i].count,
                                    cut.folds[i].below, cut.folds[i].errors);
        if (row->depth > 0 && row->last_child)
            len += (size_t)snprintf(text + len, sizeof(text) - len, ")");
    }
    if (cut.left_out + cut.more > 0)
        (void)snprintf(text + len, sizeof(text) - len, " -%u!%u +%u!%u", cut.left_out,
                       cut.left_out_errors, cut.more, cut.more_errors);
    assert_string_equal(text, expected_z);
    ut_trace_cut_free(&cut);
}

static void runs_of_equal_siblings_become_one_row(void **state)
{
    (void)state;
    const ut_trace_cut_options usual = {0};
    const ut_trace_cut_options all = {.all = true};
    ut_tree *tree = make();
    add(tree, 1, 0, "root", 0, 100, false);
    for (uint32_t i = 0; i < 4; i++)
        add(tree, 10 + i, 1, "four", i, i + 1, false);
    for (uint32_t i = 0; i < 5; i++)
        add(tree, 20 + i, 1, "five", 10 + i, 12 + i, i == 3);
    add(tree, 30, 1, "last", 50, 60, false);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    expect(tree, &usual, "root >four >four >four >four >fivex5/0!1 >last)");
    expect(tree, &all, "root >four >four >four >four >five >five >five >five >five >last)");
    ut_trace_cut cut;
    assert_int_equal(ut_trace_cut_make(&cut, tree, &usual), UT_OK);
    assert_true(cut.folds[5].sum_ns == UINT64_C(10) * MS);
    assert_true(cut.folds[5].min_ns == UINT64_C(2) * MS && cut.folds[5].max_ns == 2 * MS);
    assert_true(cut.rows[5].start_ns == 10 * MS && cut.rows[5].end_ns == UINT64_C(16) * MS);
    assert_int_equal(cut.rows[5].status_code, UT_STATUS_ERROR);
    assert_int_equal(cut.folded, 5);
    ut_trace_cut_free(&cut);
    ut_tree_free(tree);
}

static void siblings_are_equal_only_over_equal_spans(void **state)
{
    (void)state;
    const ut_trace_cut_options usual = {0};
    ut_tree *tree = make();
    add(tree, 1, 0, "root", 0, 100, false);
    for (uint32_t i = 0; i < 12; i++) {
        add(tree, 10 + i, 1, "call", i * 5, i * 5 + 4, false);
        add(tree, 30 + i, 10 + i, i < 6 ? "serve" : "other", i * 5, i * 5 + 2, false);
        add(tree, 50 + i, 30 + i, "query", i * 5, i * 5 + 1, i == 2);
    }
    assert_int_equal(ut_tree_build(tree), UT_OK);
    expect(tree, &usual, "root >callx6/2!1 >callx6/2!0)");
    ut_tree_free(tree);
}

static void calls_of_models_do_not_fold(void **state)
{
    (void)state;
    const ut_trace_cut_options usual = {0};
    ut_tree *tree = make();
    add(tree, 1, 0, "root", 0, 100, false);
    // {"gen_ai.operation.name": "chat"}
    static const char attributes[] = "\x81\xb5gen_ai.operation.name\xa4"
                                     "chat";
    for (uint32_t i = 0; i < 5; i++) {
        uint8_t span_id[UT_SPAN_ID_LEN] = {1, 0, 0, 0, 0, 0, 0, (uint8_t)i};
        const uint8_t parent_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, 1};
        ut_trace_span span = {
            .span = {.span_id = ut_bytes_of(span_id, sizeof(span_id)),
                     .parent_span_id = ut_bytes_of(parent_id, sizeof(parent_id)),
                     .name = UT_BYTES_LIT("c"),
                     .attributes = ut_bytes_of(attributes, sizeof(attributes) - 1)}};
        assert_int_equal(ut_tree_add(tree, &span), UT_OK);
    }
    assert_int_equal(ut_tree_build(tree), UT_OK);
    ut_trace_cut cut;
    assert_int_equal(ut_trace_cut_make(&cut, tree, &usual), UT_OK);
    assert_int_equal(cut.count, 6);
    ut_trace_cut_free(&cut);
    ut_tree_free(tree);
}

static void conditions_keep_the_way_to_what_meets_them(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 0, "root", 0, 100, false);
    add(tree, 2, 1, "a", 0, 10, false);
    add(tree, 3, 2, "b", 0, 10, true);
    add(tree, 4, 1, "c", 20, 90, false);
    add(tree, 5, 4, "d", 20, 21, true);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    expect(tree, &(ut_trace_cut_options){.errors = true}, "root >a >>b) >c) >>d)");
    expect(tree, &(ut_trace_cut_options){.min_duration_ns = UINT64_C(50) * MS},
           "root >c) -3!2 +0!0");
    expect(tree, &(ut_trace_cut_options){.depth = 2}, "root >a >c) -2!2 +0!0");
    expect(tree, &(ut_trace_cut_options){.errors = true, .min_duration_ns = UINT64_C(5) * MS},
           "root >a) >>b) -2!1 +0!0");
    expect(tree, &(ut_trace_cut_options){.errors = true, .depth = 1}, " -5!2 +0!0");
    ut_tree_free(tree);
}

static void no_more_rows_than_the_limit_unless_all_are_wanted(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 0, "root", 0, 100, false);
    for (uint32_t i = 0; i < 2 * UT_TRACE_ROWS_SHOWN; i++)
        add(tree, 10 + i, 1, i % 2 == 0 ? "a" : "b", i, i + 1, i == 300);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    ut_trace_cut cut;
    assert_int_equal(ut_trace_cut_make(&cut, tree, &(ut_trace_cut_options){0}), UT_OK);
    assert_int_equal(cut.count, UT_TRACE_ROWS_SHOWN);
    assert_int_equal(cut.more, 1 + UT_TRACE_ROWS_SHOWN);
    assert_int_equal(cut.more_errors, 1);
    ut_trace_cut_free(&cut);
    assert_int_equal(ut_trace_cut_make(&cut, tree, &(ut_trace_cut_options){.all = true}), UT_OK);
    assert_int_equal(cut.count, 1 + 2 * UT_TRACE_ROWS_SHOWN);
    ut_trace_cut_free(&cut);
    ut_tree_free(tree);
}

static void every_span_is_counted_once(void **state)
{
    (void)state;
    ut_random random = {7};
    for (int round = 0; round < 300; round++) {
        static const char *const names[] = {"a", "b"};
        const uint32_t spans = 1 + ut_random_below(&random, 600);
        ut_tree *tree = make();
        for (uint32_t i = 0; i < spans; i++)
            add(tree, i + 1, ut_random_below(&random, i / 8 + 1),
                names[ut_random_below(&random, 8) == 0], ut_random_below(&random, 100),
                ut_random_below(&random, 200), ut_random_below(&random, 10) == 0);
        assert_int_equal(ut_tree_build(tree), UT_OK);
        const ut_trace_cut_options options = {
            .all = ut_random_below(&random, 4) == 0,
            .errors = ut_random_below(&random, 4) == 0,
            .critical = ut_random_below(&random, 4) == 0,
            .depth = ut_random_below(&random, 2) == 0 ? 0 : ut_random_below(&random, 5),
            .min_duration_ns = ut_random_below(&random, 4) == 0 ? UINT64_C(30) * MS : 0,
        };
        ut_trace_cut cut;
        assert_int_equal(ut_trace_cut_make(&cut, tree, &options), UT_OK);
        uint32_t single = 0;
        for (uint32_t i = 0; i < cut.count; i++) {
            single += cut.folds[i].count == 1;
            const uint32_t parent = cut.rows[i].parent;
            assert_true(parent == UINT32_MAX ||
                        (parent < i && cut.rows[parent].depth + 1 == cut.rows[i].depth));
        }
        assert_int_equal(single + cut.folded + cut.left_out + cut.more, spans);
        ut_trace_cut_free(&cut);
        ut_tree_free(tree);
    }
}

static void shares_sum_by_name_and_service_the_largest_first(void **state)
{
    (void)state;
    ut_tree *tree = make();
    add(tree, 1, 0, "GET /list", 0, 330, false);
    for (uint32_t i = 0; i < 30; i++)
        add(tree, 10 + i, 1, "SELECT items", 10 * i, 10 * i + 9, false);
    add(tree, 100, 1, "tail", 310, 311, false);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    ut_trace_share shares[2];
    uint32_t count = 0;
    assert_int_equal(ut_trace_shares(tree, shares, 2, &count), UT_OK);
    assert_int_equal(count, 2);
    assert_true(ut_bytes_equal(shares[0].name, UT_BYTES_LIT("SELECT items")));
    assert_true(shares[0].critical_ns == UINT64_C(270) * MS && shares[0].count == 30);
    assert_true(ut_bytes_equal(shares[1].name, UT_BYTES_LIT("GET /list")));
    assert_true(shares[1].critical_ns == UINT64_C(59) * MS && shares[1].count == 1);
    ut_tree_free(tree);
}

static void a_chain_of_a_hundred_thousand_spans_needs_no_stack(void **state)
{
    (void)state;
    enum { SPANS = 100000 };
    ut_tree *tree = make();
    for (uint32_t i = 1; i <= SPANS; i++)
        add(tree, i, i - 1, "deep", 0, 100, false);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    ut_trace_cut cut;
    assert_int_equal(ut_trace_cut_make(&cut, tree, &(ut_trace_cut_options){0}), UT_OK);
    assert_int_equal(cut.count + cut.more, SPANS);
    ut_trace_cut_free(&cut);
    ut_tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_equal_siblings_become_one_row),
        cmocka_unit_test(siblings_are_equal_only_over_equal_spans),
        cmocka_unit_test(calls_of_models_do_not_fold),
        cmocka_unit_test(conditions_keep_the_way_to_what_meets_them),
        cmocka_unit_test(no_more_rows_than_the_limit_unless_all_are_wanted),
        cmocka_unit_test(every_span_is_counted_once),
        cmocka_unit_test(shares_sum_by_name_and_service_the_largest_first),
        cmocka_unit_test(a_chain_of_a_hundred_thousand_spans_needs_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
