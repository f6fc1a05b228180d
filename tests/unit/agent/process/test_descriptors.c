// The limit of open files: raised where it may be, told where it may not.
#include "agent/process/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>

static struct rlimit limit_now(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit;
}

static void set_limit(rlim_t soft, rlim_t hard)
{
    const struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_low_limit_is_raised_to_the_need(void **state)
{
    (void)state;
    set_limit(64, limit_now().rlim_max);
    uint64_t most = 0;
    assert_true(ut_descriptors_raise(128, &most));
    assert_int_equal(limit_now().rlim_cur, 128);
}

static void a_high_limit_stays(void **state)
{
    (void)state;
    set_limit(128, limit_now().rlim_max);
    uint64_t most = 7;
    assert_true(ut_descriptors_raise(100, &most));
    assert_true(ut_descriptors_raise(128, &most));
    assert_int_equal(limit_now().rlim_cur, 128);
    assert_int_equal(most, 7);
}

// The last test: without privileges the hard limit does not rise again.
static void a_need_beyond_the_hard_limit_gets_what_there_is(void **state)
{
    (void)state;
    set_limit(64, 200);
    uint64_t most = 0;
    assert_false(ut_descriptors_raise(201, &most));
    assert_int_equal(most, 200);
    assert_int_equal(limit_now().rlim_cur, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_low_limit_is_raised_to_the_need),
        cmocka_unit_test(a_high_limit_stays),
        cmocka_unit_test(a_need_beyond_the_hard_limit_gets_what_there_is),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
