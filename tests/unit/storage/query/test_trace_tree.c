// Trees from parent links: order, and every shape that should not exist but does.
#include "storage/query/trace_tree.h"
#include "tests/support/random_span.h"

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

// ---- critical path, skew, repeated ids ----

typedef struct {
    uint32_t id;     // 1 to 255
    uint32_t parent; // 0: none
    uint64_t start_ns;
    uint64_t end_ns;
    int32_t kind;
    int32_t status;
    const char *service_z; // NULL: "s"
} given;

static ut_tree *build(const given *spans, size_t count)
{
    ut_tree *tree = make();
    for (size_t i = 0; i < count; i++) {
        const uint8_t span_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)spans[i].id};
        const uint8_t parent_id[UT_SPAN_ID_LEN] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)spans[i].parent};
        const char name = (char)('a' + spans[i].id - 1);
        ut_buf resource;
        ut_buf_init(&resource, 1024);
        ut_mp_put_map(&resource, 1);
        ut_mp_put_str(&resource, UT_BYTES_LIT("service.name"));
        ut_mp_put_str(&resource,
                      ut_bytes_of_z(spans[i].service_z == NULL ? "s" : spans[i].service_z));
        ut_trace_span span = {0};
        span.span.span_id = ut_bytes_of(span_id, sizeof(span_id));
        span.span.parent_span_id =
            ut_bytes_of(parent_id, spans[i].parent == 0 ? 0 : sizeof(parent_id));
        span.span.name = ut_bytes_of(&name, 1);
        span.span.start_ns = spans[i].start_ns;
        span.span.end_ns = spans[i].end_ns;
        span.span.kind = spans[i].kind;
        span.span.status_code = spans[i].status;
        span.resource.attributes = ut_buf_bytes(&resource);
        assert_int_equal(ut_tree_add(tree, &span), UT_OK);
        ut_buf_free(&resource);
    }
    assert_int_equal(ut_tree_build(tree), UT_OK);
    return tree;
}

// The spans on the critical path, depth first, each with its own time: "a3 b5".
static void expect_critical(const given *spans, size_t count, const char *expected_z)
{
    char text[512] = "";
    size_t len = 0;
    uint32_t rows_count = 0;
    ut_tree *tree = build(spans, count);
    const ut_tree_row *rows = ut_tree_rows(tree, &rows_count);
    for (uint32_t i = 0; i < rows_count; i++) {
        if (rows[i].critical)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%llu", len == 0 ? "" : " ",
                                    rows[i].name.data[0], (unsigned long long)rows[i].critical_ns);
        else
            assert_true(rows[i].critical_ns == 0);
    }
    assert_string_equal(text, expected_z);
    ut_tree_free(tree);
}

#define EXPECT_CRITICAL(spans, expected_z) \
    expect_critical(spans, sizeof(spans) / sizeof((spans)[0]), expected_z)

static void children_one_after_the_other_are_all_on_the_path(void **state)
{
    (void)state;
    // a 0..100: 10 before b, 5 between, 15 after c
    const given spans[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                           {.id = 2, .parent = 1, .start_ns = 10, .end_ns = 40},
                           {.id = 3, .parent = 1, .start_ns = 45, .end_ns = 85}};
    EXPECT_CRITICAL(spans, "a30 b30 c40");
    const given touching[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                              {.id = 2, .parent = 1, .start_ns = 0, .end_ns = 40},
                              {.id = 3, .parent = 1, .start_ns = 40, .end_ns = 100}};
    EXPECT_CRITICAL(touching, "a0 b40 c60");
}

static void of_parallel_children_the_last_to_finish_is_on_the_path(void **state)
{
    (void)state;
    // b 10..90 is inside c's time only in part: c ends last; before c began at 20 nothing had
    // ended.
    const given spans[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                           {.id = 2, .parent = 1, .start_ns = 10, .end_ns = 90},
                           {.id = 3, .parent = 1, .start_ns = 20, .end_ns = 95},
                           {.id = 4, .parent = 2, .start_ns = 30, .end_ns = 80}};
    EXPECT_CRITICAL(spans, "a25 c75");
    // d ended before c began, so it is on the path before c.
    const given before[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                            {.id = 2, .parent = 1, .start_ns = 10, .end_ns = 90},
                            {.id = 3, .parent = 1, .start_ns = 20, .end_ns = 95},
                            {.id = 4, .parent = 1, .start_ns = 5, .end_ns = 18}};
    EXPECT_CRITICAL(before, "a12 d13 c75");
    // Both end together: the one that began first.
    const given tied[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                          {.id = 2, .parent = 1, .start_ns = 50, .end_ns = 90},
                          {.id = 3, .parent = 1, .start_ns = 20, .end_ns = 90}};
    EXPECT_CRITICAL(tied, "a30 c70");
    // Both were there all the time: the one that really finished last, whichever began first.
    const given longer[] = {{.id = 1, .start_ns = 100, .end_ns = 200},
                            {.id = 2, .parent = 1, .start_ns = 50, .end_ns = 400},
                            {.id = 3, .parent = 1, .start_ns = 60, .end_ns = 300},
                            {.id = 4, .parent = 1, .start_ns = 40, .end_ns = 350}};
    EXPECT_CRITICAL(longer, "a0 b100");
    // And finished together, too: the one that really began first.
    const given around[] = {{.id = 1, .start_ns = 100, .end_ns = 200},
                            {.id = 2, .parent = 1, .start_ns = 60, .end_ns = 300},
                            {.id = 3, .parent = 1, .start_ns = 50, .end_ns = 300},
                            {.id = 4, .parent = 1, .start_ns = 70, .end_ns = 300}};
    EXPECT_CRITICAL(around, "a0 c100");
}

static void the_path_goes_down_into_the_children(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                           {.id = 2, .parent = 1, .start_ns = 10, .end_ns = 90},
                           {.id = 3, .parent = 2, .start_ns = 20, .end_ns = 50},
                           {.id = 4, .parent = 2, .start_ns = 60, .end_ns = 85},
                           {.id = 5, .parent = 4, .start_ns = 60, .end_ns = 85}};
    EXPECT_CRITICAL(spans, "a20 b25 c30 d0 e25");
}

static void a_child_that_outlives_its_parent_counts_as_far_as_the_parent_goes(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                           {.id = 2, .parent = 1, .start_ns = 60, .end_ns = 500},
                           {.id = 3, .parent = 2, .start_ns = 70, .end_ns = 90},
                           {.id = 4, .parent = 2, .start_ns = 95, .end_ns = 400}};
    EXPECT_CRITICAL(spans, "a60 b15 c20 d5");
    // One that begins when the parent is over, or ended before it began, is not on it.
    const given outside[] = {{.id = 1, .start_ns = 50, .end_ns = 100},
                             {.id = 2, .parent = 1, .start_ns = 100, .end_ns = 500},
                             {.id = 3, .parent = 1, .start_ns = 10, .end_ns = 50},
                             {.id = 4, .parent = 1, .start_ns = 20, .end_ns = 60}};
    EXPECT_CRITICAL(outside, "a40 d10");
}

static void spans_that_took_no_time_are_not_on_the_path(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 0, .end_ns = 100},
                           {.id = 2, .parent = 1, .start_ns = 100, .end_ns = 100},
                           {.id = 3, .parent = 1, .start_ns = 50, .end_ns = 50},
                           {.id = 4, .parent = 1, .start_ns = 80, .end_ns = 20}, // ends before
                           {.id = 5, .parent = 1, .start_ns = 30, .end_ns = 60}};
    EXPECT_CRITICAL(spans, "a70 e30");
    const given nothing[] = {{.id = 1, .start_ns = 7, .end_ns = 7},
                             {.id = 2, .parent = 1, .start_ns = 7, .end_ns = 7}};
    EXPECT_CRITICAL(nothing, "");
}

static void several_roots_are_one_path(void **state)
{
    (void)state;
    // c hangs on a span that is not here and ends last; a ended before c began; d beside a.
    const given spans[] = {{.id = 1, .start_ns = 0, .end_ns = 40},
                           {.id = 2, .parent = 1, .start_ns = 10, .end_ns = 30},
                           {.id = 3, .parent = 99, .start_ns = 50, .end_ns = 90},
                           {.id = 4, .start_ns = 5, .end_ns = 35}};
    EXPECT_CRITICAL(spans, "a20 b20 c40");
    const given cycle[] = {{.id = 1, .parent = 2, .start_ns = 0, .end_ns = 40},
                           {.id = 2, .parent = 1, .start_ns = 10, .end_ns = 30}};
    EXPECT_CRITICAL(cycle, "a20 b20");
}

static void the_times_on_the_path_add_up_to_the_root(void **state)
{
    (void)state;
    ut_random random = {11};
    for (int round = 0; round < 300; round++) {
        enum { SPANS = 60 };
        given spans[SPANS] = {{.id = 1, .start_ns = 1000, .end_ns = 2000}};
        for (uint32_t i = 1; i < SPANS; i++) {
            const uint64_t start_ns = 900 + ut_random_below(&random, 1200);
            spans[i] = (given){.id = i + 1,
                               .parent = 1 + ut_random_below(&random, i),
                               .start_ns = start_ns,
                               .end_ns = start_ns + ut_random_below(&random, 400)};
        }
        ut_tree *tree = build(spans, SPANS);
        uint32_t count = 0;
        uint64_t sum = 0;
        const ut_tree_row *rows = ut_tree_rows(tree, &count);
        for (uint32_t i = 0; i < count; i++) {
            sum += rows[i].critical_ns;
            assert_true(!rows[i].critical || i == 0 || rows[rows[i].parent].critical);
        }
        assert_int_equal(sum, 1000);
        ut_tree_free(tree);
    }
}

typedef struct {
    given parent;
    given child;
    int64_t skew_ns;
} skew_case;

static void clocks_that_disagree_are_flagged(void **state)
{
    (void)state;
    enum { INTERNAL = 1, SERVER, CLIENT, PRODUCER, CONSUMER };
    static const skew_case cases[] = {
        // inside its parent
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 100, 200, SERVER, 0, "b"}, 0},
        // a parent that ends before it begins took no time: the child took longer
        {{1, 0, 100, 90, CLIENT, 0, "a"}, {2, 1, 100, 1100, SERVER, 0, "b"}, 0},
        // a child that ends before it begins, behind its parent
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 300, 250, SERVER, 0, "b"}, -100},
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 300, 10, SERVER, 0, "b"}, -100},
        // both end before they begin
        {{1, 0, 100, 90, CLIENT, 0, "a"}, {2, 1, 120, 110, SERVER, 0, "b"}, -20},
        // begins before: always
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 90, 150, SERVER, 0, "b"}, 10},
        {{1, 0, 100, 200, INTERNAL, 0, "a"}, {2, 1, 99, 150, INTERNAL, 0, "a"}, 1},
        {{1, 0, 100, 200, PRODUCER, 0, "a"}, {2, 1, 40, 50, CONSUMER, 0, "b"}, 60},
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 90, 900, SERVER, 0, "b"}, 10},
        // ends after: where the parent waited, on another clock
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 150, 230, SERVER, 0, "b"}, -30},
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 150, 230, SERVER, 0, "a"}, 0}, // one clock
        {{1, 0, 100, 200, CLIENT, 2, "a"}, {2, 1, 150, 230, SERVER, 0, "b"}, 0}, // gave up
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 150, 251, SERVER, 0, "b"}, 0}, // took longer
        {{1, 0, 100, 200, PRODUCER, 0, "a"}, {2, 1, 150, 230, CONSUMER, 0, "b"}, 0},
        {{1, 0, 100, 200, SERVER, 0, "a"}, {2, 1, 150, 230, SERVER, 0, "b"}, 0},
        {{1, 0, 100, 200, CLIENT, 0, "a"}, {2, 1, 150, 230, INTERNAL, 0, "b"}, 0},
        // an end before the beginning: it took no time
        {{1, 0, 100, 90, CLIENT, 0, "a"}, {2, 1, 100, 1100, SERVER, 0, "b"}, 0},
        {{1, 0, 0, 100, CLIENT, 0, "a"}, {2, 1, 200, 150, SERVER, 0, "b"}, -100},
        {{1, 0, 0, 100, CLIENT, 0, "a"}, {2, 1, 200, 50, SERVER, 0, "b"}, -100},
        // of any size
        {{1, 0, UINT64_MAX, UINT64_MAX, CLIENT, 0, "a"}, {2, 1, 0, 0, SERVER, 0, "b"}, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const given spans[] = {cases[i].child, cases[i].parent};
        ut_tree *tree = build(spans, 2);
        uint32_t count = 0;
        const ut_tree_row *rows = ut_tree_rows(tree, &count);
        assert_false(rows[0].skewed);
        if (rows[1].skew_ns != cases[i].skew_ns || rows[1].skewed != (cases[i].skew_ns != 0))
            fail_msg("case %u: skewed by %lld", (unsigned)i, (long long)rows[1].skew_ns);
        ut_tree_free(tree);
    }
}

static void repeated_ids_are_flagged_and_the_first_is_the_parent(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 20, .end_ns = 30},
                           {.id = 1, .start_ns = 10, .end_ns = 15},
                           {.id = 2, .parent = 1, .start_ns = 22, .end_ns = 25},
                           {.id = 1, .start_ns = 40, .end_ns = 50}};
    ut_tree *tree = build(spans, 4);
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, 4);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(rows[i].duplicate_id, rows[i].name.data[0] == 'a');
    assert_int_equal(rows[2].name.data[0], 'b');
    assert_int_equal(rows[2].parent, 1);
    assert_int_equal(rows[1].start_ns, 20);
    ut_tree_free(tree);
}

// The rows of the tree and the replaced records behind them, each as name, start and end:
// "a10-20 | a10-0".
static void expect_records(const given *spans, size_t count, const char *expected_z)
{
    char text[512] = "";
    size_t len = 0;
    uint32_t shown = 0;
    uint32_t all = 0;
    ut_tree *tree = build(spans, count);
    (void)ut_tree_rows(tree, &shown);
    const ut_tree_row *rows = ut_tree_all_rows(tree, &all);
    assert_int_equal(all, count);
    for (uint32_t i = 0; i < all; i++) {
        assert_int_equal(rows[i].replaced, i >= shown);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%u-%u",
                                i == 0       ? ""
                                : i == shown ? " | "
                                             : " ",
                                rows[i].name.data[0], (unsigned)rows[i].start_ns,
                                (unsigned)rows[i].end_ns);
    }
    ut_tree_free(tree);
    assert_string_equal(text, expected_z);
}

static void a_record_that_has_ended_replaces_open_ones(void **state)
{
    (void)state;
    const given earlier[] = {{.id = 1, .start_ns = 10}, {.id = 1, .start_ns = 10, .end_ns = 20}};
    expect_records(earlier, 2, "a10-20 | a10-0");
    const given later[] = {{.id = 1, .start_ns = 10, .end_ns = 20},
                           {.id = 1, .start_ns = 10, .end_ns = 10}};
    expect_records(later, 2, "a10-20 | a10-10");
    const given several[] = {{.id = 1, .start_ns = 10, .end_ns = 9},
                             {.id = 2, .parent = 1, .start_ns = 11, .end_ns = 15},
                             {.id = 1, .start_ns = 10, .end_ns = 10},
                             {.id = 1, .start_ns = 10, .end_ns = 20}};
    expect_records(several, 4, "a10-20 b11-15 | a10-9 a10-10");
}

static void of_open_records_the_last_is_in_the_tree(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 10, .end_ns = 1},
                           {.id = 1, .start_ns = 10, .end_ns = 3},
                           {.id = 1, .start_ns = 10, .end_ns = 2}};
    expect_records(spans, 3, "a10-2 | a10-1 a10-3");
}

static void spans_that_only_share_an_id_replace_none(void **state)
{
    (void)state;
    // Zipkin's client and server; another start; two that have ended; another id.
    const given kinds[] = {{.id = 1, .kind = 3, .start_ns = 10},
                           {.id = 1, .kind = 2, .start_ns = 10, .end_ns = 20}};
    expect_records(kinds, 2, "a10-0 a10-20");
    const given starts[] = {{.id = 1, .start_ns = 10}, {.id = 1, .start_ns = 11, .end_ns = 20}};
    expect_records(starts, 2, "a10-0 a11-20");
    const given ended[] = {{.id = 1, .start_ns = 10, .end_ns = 19},
                           {.id = 1, .start_ns = 10, .end_ns = 20}};
    expect_records(ended, 2, "a10-19 a10-20");
    const given ids[] = {{.id = 1, .start_ns = 10}, {.id = 2, .start_ns = 10, .end_ns = 20}};
    expect_records(ids, 2, "a10-0 b10-20");
}

static void a_replaced_record_keeps_its_place_and_has_no_children(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 10, .end_ns = 50},
                           {.id = 2, .parent = 1, .start_ns = 20},
                           {.id = 3, .parent = 2, .start_ns = 21, .end_ns = 22},
                           {.id = 2, .parent = 1, .start_ns = 20, .end_ns = 30}};
    uint32_t count = 0;
    ut_tree *tree = build(spans, 4);
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, 3);
    assert_int_equal(rows[1].end_ns, 30);
    assert_int_equal(rows[2].parent, 1);
    assert_false(rows[1].duplicate_id); // the other record is of the same span
    assert_int_equal(rows[3].depth, 1);
    assert_int_equal(rows[3].place, UT_TREE_CHILD);
    assert_int_equal(rows[3].parent, 0);
    assert_false(rows[3].critical);
    ut_tree_free(tree);
}

static void many_records_of_one_id_take_no_time(void **state)
{
    (void)state;
    enum { SPANS = 200 * 1000 };
    static const uint8_t id[UT_SPAN_ID_LEN] = {1};
    ut_tree *tree = make();
    uint32_t count = 0;
    for (uint32_t i = 0; i < SPANS; i++) {
        ut_trace_span span = {0};
        span.span.span_id = ut_bytes_of(id, sizeof(id));
        span.span.start_ns = 10 + i % 2;
        span.span.kind = (int32_t)(i % 5) - 2;
        assert_int_equal(ut_tree_add(tree, &span), UT_OK);
    }
    assert_int_equal(ut_tree_build(tree), UT_OK);
    (void)ut_tree_rows(tree, &count);
    assert_int_equal(count, 10);
    (void)ut_tree_all_rows(tree, &count);
    assert_int_equal(count, SPANS);
    ut_tree_free(tree);
}

static void rows_keep_what_came_with_their_spans(void **state)
{
    (void)state;
    enum { SERVICES = 40 }; // more than are kept at a time
    given spans[2 * SERVICES];
    char names[SERVICES][8];
    for (int i = 0; i < 2 * SERVICES; i++) {
        (void)snprintf(names[i % SERVICES], sizeof(names[0]), "s%d", i % SERVICES);
        spans[i] = (given){.id = (uint32_t)i + 1,
                           .start_ns = (uint64_t)i,
                           .end_ns = 1000,
                           .kind = i % 6,
                           .service_z = names[i % SERVICES],
                           .status = i % 3};
    }
    ut_tree *tree = build(spans, 2 * SERVICES);
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, 2 * SERVICES);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(ut_bytes_equal(rows[i].service, ut_bytes_of_z(names[i % SERVICES])));
        assert_int_equal(rows[i].span_id[7], i + 1);
        assert_int_equal(rows[i].kind, (int)i % 6);
        assert_int_equal(rows[i].status_code, (int)i % 3);
        assert_true(rows[i].start_ns == i && rows[i].end_ns == 1000);
        assert_true(rows[i].resource_attributes.len > 14);
    }
    ut_tree_free(tree);
}

static void self_time_is_what_no_child_was_running_in(void **state)
{
    (void)state;
    const given spans[] = {{.id = 1, .start_ns = 100, .end_ns = 200},
                           {.id = 2, .parent = 1, .start_ns = 90, .end_ns = 110},  // 10 inside
                           {.id = 3, .parent = 1, .start_ns = 120, .end_ns = 160}, // 40
                           {.id = 4, .parent = 1, .start_ns = 130, .end_ns = 140}, // within it
                           {.id = 5, .parent = 1, .start_ns = 150, .end_ns = 170}, // 10 more
                           {.id = 6, .parent = 1, .start_ns = 190, .end_ns = 500}, // 10
                           {.id = 7, .parent = 1, .start_ns = 180, .end_ns = 20},  // nothing
                           {.id = 8, .parent = 3, .start_ns = 120, .end_ns = 160}};
    ut_tree *tree = build(spans, sizeof(spans) / sizeof(spans[0]));
    uint32_t count = 0;
    const ut_tree_row *rows = ut_tree_rows(tree, &count);
    assert_int_equal(count, 8);
    assert_int_equal(rows[0].self_ns, 30);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].name.data[0] == 'c')
            assert_int_equal(rows[i].self_ns, 0);
        if (rows[i].name.data[0] == 'f')
            assert_int_equal(rows[i].self_ns, 310);
        if (rows[i].name.data[0] == 'g')
            assert_int_equal(rows[i].self_ns, 0);
    }
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
        cmocka_unit_test(children_one_after_the_other_are_all_on_the_path),
        cmocka_unit_test(of_parallel_children_the_last_to_finish_is_on_the_path),
        cmocka_unit_test(the_path_goes_down_into_the_children),
        cmocka_unit_test(a_child_that_outlives_its_parent_counts_as_far_as_the_parent_goes),
        cmocka_unit_test(spans_that_took_no_time_are_not_on_the_path),
        cmocka_unit_test(several_roots_are_one_path),
        cmocka_unit_test(the_times_on_the_path_add_up_to_the_root),
        cmocka_unit_test(clocks_that_disagree_are_flagged),
        cmocka_unit_test(repeated_ids_are_flagged_and_the_first_is_the_parent),
        cmocka_unit_test(a_record_that_has_ended_replaces_open_ones),
        cmocka_unit_test(of_open_records_the_last_is_in_the_tree),
        cmocka_unit_test(spans_that_only_share_an_id_replace_none),
        cmocka_unit_test(a_replaced_record_keeps_its_place_and_has_no_children),
        cmocka_unit_test(many_records_of_one_id_take_no_time),
        cmocka_unit_test(rows_keep_what_came_with_their_spans),
        cmocka_unit_test(self_time_is_what_no_child_was_running_in),
        cmocka_unit_test(an_empty_trace_has_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
