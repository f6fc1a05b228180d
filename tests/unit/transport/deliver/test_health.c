// The health of a destination: what counts as one failure, what ends a wait, and when that is told.
#include "transport/deliver/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct {
    ut_destination_config destination;
    ut_log log;
    int lines;
    ut_log_level level; // of the last line
    ut_health health;
} fixture;

static void count_line(void *context, ut_log_level level, const char *line, size_t len)
{
    (void)line;
    (void)len;
    fixture *f = context;
    f->lines++;
    f->level = level;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->destination = (ut_destination_config){
        .name_z = "somewhere",
        .connections = 2,
        .retry_initial_ms = 1000,
        .retry_max_ms = 60000,
        .retry_multiplier = 2,
    };
    f->log = (ut_log){.level = UT_LOG_DEBUG, .write = count_line, .context = f};
    ut_health_init(&f->health, &f->destination, &f->log);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void requests_that_fail_together_count_once(void **state)
{
    fixture *f = *state;
    ut_health_succeeded(&f->health, 0);
    ut_health_seen seen = ut_health_look(&f->health);
    for (int i = 0; i < 4; i++)
        ut_health_failed(&f->health, seen, 5000, false);
    assert_int_equal(f->health.failures, 1);
    assert_int_equal(f->lines, 1);
    ut_health_failed(&f->health, ut_health_look(&f->health), 6000, false);
    assert_int_equal(f->health.failures, 2);
    assert_false(f->health.proven);
}

static void failures_are_told_ever_less_often_and_the_recovery_once(void **state)
{
    fixture *f = *state;
    for (uint64_t i = 1; i <= 100; i++)
        ut_health_failed(&f->health, ut_health_look(&f->health), i * 1000, false);
    assert_int_equal(f->lines, 7); // 1, 2, 4 ... 64
    assert_int_equal(f->level, UT_LOG_WARN);
    ut_health_reached(&f->health, 200000);
    ut_health_reached(&f->health, 200000);
    assert_int_equal(f->lines, 8);
    assert_int_equal(f->level, UT_LOG_INFO);
}

static void a_failure_of_another_kind_is_told_at_once(void **state)
{
    fixture *f = *state;
    for (uint64_t i = 1; i <= 6; i++)
        ut_health_failed(&f->health, ut_health_look(&f->health), i * 1000, false);
    assert_int_equal(f->lines, 3);
    ut_health_failed(&f->health, ut_health_look(&f->health), 7000, true);
    assert_int_equal(f->lines, 4);
    assert_int_equal(f->level, UT_LOG_ERROR);
    assert_true(ut_health_open_at_ms(&f->health) >= 7000 + 60000);
}

static void an_answer_ends_the_back_off_but_not_the_wait_that_was_asked_for(void **state)
{
    fixture *f = *state;
    ut_health_failed(&f->health, ut_health_look(&f->health), 1000, true);
    assert_int_equal(ut_health_open_at_ms(&f->health), 61000);
    ut_health_ask_to_wait(&f->health, 30000);
    assert_int_equal(ut_health_open_at_ms(&f->health), 61000);
    ut_health_succeeded(&f->health, 2000);
    assert_int_equal(ut_health_open_at_ms(&f->health), 30000);
    ut_health_ask_to_wait(&f->health, 20000); // a shorter one does not shorten it
    assert_int_equal(ut_health_open_at_ms(&f->health), 30000);
    assert_int_equal(f->health.successes, 1);
}

static void refusals_without_end_slow_down_and_one_success_forgets_them(void **state)
{
    fixture *f = *state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < UT_HEALTH_REFUSALS_MAX * 2; i++) {
            assert_true(ut_health_refused(&f->health, ut_health_look(&f->health), 1000));
            assert_int_equal(ut_health_open_at_ms(&f->health), 0);
        }
        ut_health_seen seen = ut_health_look(&f->health);
        assert_false(ut_health_refused(&f->health, seen, 1000));
        assert_false(ut_health_refused(&f->health, seen, 1000)); // was under way with it
        assert_int_equal(f->health.waits, 1);
        assert_false(f->health.proven);
        assert_in_range(ut_health_open_at_ms(&f->health), 1000, 2000);
        assert_int_equal(f->lines, round + 1);
        ut_health_succeeded(&f->health, 3000);
        assert_true(f->health.proven);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_that_fail_together_count_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_are_told_ever_less_often_and_the_recovery_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_of_another_kind_is_told_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            an_answer_ends_the_back_off_but_not_the_wait_that_was_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_without_end_slow_down_and_one_success_forgets_them,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
