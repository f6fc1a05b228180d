// Tests of the root records that commits write: one for each trace, and which span it tells of.
#include "tests/unit/storage/store/store/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

static void a_root_that_comes_late_takes_the_place_of_its_stand_in(void **state)
{
    ut_rig *f = *state;
    ut_test_span child = {.trace = 1,
                          .span = 2,
                          .parent = 1,
                          .start_ns = now_ns + 5,
                          .end_ns = now_ns + 8,
                          .name_z = "child"};
    (void)ut_rig_commit_spans(f, &child, 1);
    ut_rig_listing l = ut_rig_list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_false(l.last.has_root);
    assert_string_equal(l.name_z, "child");
    assert_int_equal(l.last.start_ns, now_ns + 5);
    assert_int_equal(l.last.duration_ns, 3);

    // Without a root the earliest span gives the name, whichever came first.
    ut_test_span early = {.trace = 1,
                          .span = 3,
                          .parent = 1,
                          .start_ns = now_ns + 2,
                          .end_ns = now_ns + 9,
                          .status = UT_STATUS_ERROR,
                          .name_z = "early"};
    (void)ut_rig_commit_spans(f, &early, 1);
    l = ut_rig_list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "early");
    assert_int_equal(l.last.span_count, 2);
    assert_int_equal(l.last.status, UT_STATUS_ERROR);
    assert_int_equal(l.last.duration_ns, 7);
    (void)ut_store_check(f->memory);

    ut_test_span root = {
        .trace = 1, .span = 1, .start_ns = now_ns, .end_ns = now_ns + 20, .name_z = "root"};
    (void)ut_rig_commit_spans(f, &root, 1);
    l = ut_rig_list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_true(l.last.has_root);
    assert_string_equal(l.name_z, "root");
    assert_int_equal(l.last.start_ns, now_ns);
    assert_int_equal(l.last.duration_ns, 20);
    assert_int_equal(l.last.span_count, 3);
    (void)ut_store_check(f->memory);

    // The first root stays.
    ut_test_span second = {.trace = 1, .span = 9, .start_ns = now_ns - 5, .name_z = "second"};
    (void)ut_rig_commit_spans(f, &second, 1);
    l = ut_rig_list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "root");
    (void)ut_store_check(f->memory);
}

static void of_several_roots_the_first_counts(void **state)
{
    ut_rig *f = *state;
    ut_test_span spans[3] = {{.trace = 1, .span = 1, .parent = 3, .name_z = "child"},
                             {.trace = 1, .span = 2, .name_z = "first"},
                             {.trace = 1, .span = 3, .start_ns = 1, .name_z = "second"}};
    (void)ut_rig_commit_spans(f, spans, 3);
    ut_rig_listing l = ut_rig_list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "first");
}

static void a_root_in_a_later_block_of_its_group_is_found(void **state)
{
    ut_rig *f = *state;
    enum { SPANS = 900 };
    ut_test_span *spans = calloc(SPANS, sizeof *spans);
    for (uint32_t i = 0; i < SPANS; i++)
        spans[i] = (ut_test_span){.trace = 1, .span = i + 2, .parent = 1, .start_ns = now_ns + i};
    spans[800] = (ut_test_span){.trace = 1, .span = 1, .start_ns = now_ns + 1000, .name_z = "root"};
    (void)ut_rig_commit_spans(f, spans, SPANS);
    ut_rig_listing l = ut_rig_list(f->memory);
    assert_int_equal(l.rows, 1);
    assert_string_equal(l.name_z, "root");
    assert_int_equal(l.last.span_count, SPANS);
    (void)ut_store_check(f->memory);
    free(spans);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ut_rig_set_up, ut_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_root_that_comes_late_takes_the_place_of_its_stand_in),
        TEST(of_several_roots_the_first_counts),
        TEST(a_root_in_a_later_block_of_its_group_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
