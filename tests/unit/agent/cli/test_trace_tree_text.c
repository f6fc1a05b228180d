// The lines of a trace's tree: branches, bars, and texts below a span that fit the terminal.
#include "agent/cli/trace_tree_text.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const ut_term usual = {.width = 80};

// Adds a span named after its id; parent 0: none.
static void add(ut_tree *tree, uint8_t id, uint8_t parent, uint64_t start_ms, uint64_t end_ms)
{
    const uint8_t span_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, id};
    const uint8_t parent_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, parent};
    const char name = (char)('a' + (id - 1) % 26);
    ut_trace_span span = {0};
    span.span.span_id = ut_bytes_of(span_id, sizeof(span_id));
    span.span.parent_span_id = ut_bytes_of(parent_id, parent == 0 ? 0 : sizeof(parent_id));
    span.span.name = ut_bytes_of(&name, 1);
    span.span.start_ns = start_ms * 1000000;
    span.span.end_ns = end_ms * 1000000;
    assert_int_equal(ut_tree_add(tree, &span), UT_OK);
}

// a over b and c, b over d.
static ut_tree *make_four(void)
{
    ut_tree *tree = NULL;
    assert_int_equal(ut_tree_new(&tree), UT_OK);
    add(tree, 1, 0, 0, 80);
    add(tree, 2, 1, 0, 40);
    add(tree, 4, 2, 10, 20);
    add(tree, 3, 1, 40, 80);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    return tree;
}

static ut_trace_cut cut;

// Begins text with all spans of the tree.
static void begin(ut_tree_text *text, const ut_tree *tree, const ut_term *term)
{
    static const ut_trace_cut_options all = {.all = true};
    assert_int_equal(ut_trace_cut_make(&cut, tree, &all), UT_OK);
    ut_tree_text_init(text, tree, &cut, term);
}

static void expect(ut_tree_text *text, const char *expected_z)
{
    assert_int_equal(text->err, UT_OK);
    ut_buf_add_byte(&text->out, '\0');
    assert_int_equal(text->out.err, UT_OK);
    assert_string_equal((const char *)text->out.data, expected_z);
    ut_tree_text_free(text);
    ut_trace_cut_free(&cut);
}

static void rows_stand_under_their_parents_with_bars_on_one_time_line(void **state)
{
    (void)state;
    ut_tree *tree = make_four();
    ut_tree_text text;
    begin(&text, tree, &usual);
    for (uint32_t i = 0; i < text.row_count; i++)
        ut_tree_text_row(&text, i);
    expect(&text,
           "a                         -                 80.0 ms *  █████████████████████████\n"
           "├─ b                      -                 40.0 ms *  █████████████\n"
           "│  └─ d                   -                 10.0 ms *     ███\n"
           "└─ c                      -                 40.0 ms *              █████████████\n");
    ut_tree_free(tree);
}

static void texts_below_a_row_keep_the_branches_and_wrap_at_words(void **state)
{
    (void)state;
    ut_tree *tree = make_four();
    ut_tree_text text;
    begin(&text, tree, &usual);
    ut_tree_text_below(&text, 1, "error: ",
                       UT_BYTES_LIT("one two three four five six seven eight nine ten eleven "
                                    "twelve thirteen\nline"),
                       UT_COLOUR_RED);
    ut_tree_text_below(&text, 3, "", UT_BYTES_LIT("last\033[31m"), UT_COLOUR_NONE);
    expect(&text, "│  │   error: one two three four five six seven eight nine ten eleven twelve\n"
                  "│  │          thirteen\n"
                  "│  │          line\n"
                  "       last?[31m\n");
    ut_tree_free(tree);
}

static void a_preview_is_cut_and_on_running_lines(void **state)
{
    (void)state;
    ut_tree *tree = make_four();
    ut_tree_text text;
    begin(&text, tree, &usual);
    ut_tree_text_preview(&text, 3, "prompt: ", UT_BYTES_LIT("one\ntwo\tthree"), 9);
    ut_tree_text_preview(&text, 3, "prompt: ", UT_BYTES_LIT("one\ntwo"), 9);
    ut_tree_text_preview(&text, 3, "prompt: ", UT_BYTES_LIT("one\ntwo"), -1);
    expect(&text, "       prompt: one two t…\n"
                  "       prompt: one two\n"
                  "       prompt: one\n"
                  "               two\n");
    ut_tree_free(tree);
}

static void a_row_too_deep_to_draw_tells_its_depth(void **state)
{
    (void)state;
    enum { DEPTH = 100 };
    ut_tree *tree = NULL;
    ut_tree_text text;
    assert_int_equal(ut_tree_new(&tree), UT_OK);
    for (uint8_t id = 1; id <= DEPTH; id++)
        add(tree, id, (uint8_t)(id - 1), 0, 80);
    assert_int_equal(ut_tree_build(tree), UT_OK);
    begin(&text, tree, &usual);
    ut_tree_text_row(&text, DEPTH - 1);
    ut_buf_add_byte(&text.out, '\0');
    assert_memory_equal(text.out.data, "[99] ", 5);
    ut_tree_text_free(&text);
    ut_trace_cut_free(&cut);
    ut_tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stand_under_their_parents_with_bars_on_one_time_line),
        cmocka_unit_test(texts_below_a_row_keep_the_branches_and_wrap_at_words),
        cmocka_unit_test(a_preview_is_cut_and_on_running_lines),
        cmocka_unit_test(a_row_too_deep_to_draw_tells_its_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
