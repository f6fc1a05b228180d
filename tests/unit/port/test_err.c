// Error codes, faults and the panic.
#include "port/base/err.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static void every_code_has_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    static const ut_err codes[] = {
#define X(name, value, text) UT_##name,
        UT_ERR_MAP(X)
#undef X
    };
    enum { CODES = sizeof(codes) / sizeof(codes[0]) };
    for (size_t i = 0; i < CODES; i++) {
        assert_true(codes[i] <= 0);
        assert_true(strlen(ut_err_name(codes[i])) >= 2);
        assert_true(strlen(ut_err_text(codes[i])) >= 2);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(codes[i], codes[k]);
            assert_string_not_equal(ut_err_name(codes[i]), ut_err_name(codes[k]));
            assert_string_not_equal(ut_err_text(codes[i]), ut_err_text(codes[k]));
        }
    }
    assert_string_equal(ut_err_name(UT_EIO), "EIO");
    assert_string_equal(ut_err_text(UT_EIO), "input or output error");
}

static void an_unknown_code_still_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(ut_err_name((ut_err)-9999), "EUNKNOWN");
    assert_string_equal(ut_err_text((ut_err)-9999), "unknown error");
}

static void a_fault_holds_code_and_text(void **state)
{
    (void)state;
    ut_fault fault;
    assert_int_equal(ut_fault_set(&fault, UT_EFORMAT, "line %d: %s", 7, "no such key"), UT_EFORMAT);
    assert_int_equal(fault.code, UT_EFORMAT);
    assert_string_equal(fault.text_z, "line 7: no such key");
}

static void a_fault_nobody_wants_returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(ut_fault_set(NULL, UT_EIO, "%s", "unread"), UT_EIO);
}

static void a_long_fault_is_cut_at_its_limit(void **state)
{
    (void)state;
    char long_z[2 * UT_FAULT_TEXT_MAX];
    memset(long_z, 'x', sizeof(long_z) - 1);
    long_z[sizeof(long_z) - 1] = '\0';
    ut_fault fault;
    (void)ut_fault_set(&fault, UT_EIO, "%s", long_z);
    assert_int_equal(strlen(fault.text_z), UT_FAULT_TEXT_MAX - 1);
    assert_memory_equal(fault.text_z, long_z, UT_FAULT_TEXT_MAX - 1);
}

static void a_fault_may_wrap_its_own_text(void **state)
{
    (void)state;
    ut_fault fault;
    (void)ut_fault_set(&fault, UT_ENOTFOUND, "no such file");
    (void)ut_fault_set(&fault, fault.code, "cannot open ca.pem: %s", fault.text_z);
    assert_string_equal(fault.text_z, "cannot open ca.pem: no such file");
    assert_int_equal(fault.code, UT_ENOTFOUND);
}

static void a_broken_assertion_says_where_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        ut_panic("storage/span/block.c", 42, "len <= cap");
    }
    (void)close(ends[1]);
    char text_z[256] = "";
    size_t len = 0;
    ssize_t got;
    while (len < sizeof(text_z) - 1 &&
           (got = read(ends[0], text_z + len, sizeof(text_z) - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text_z, "storage/span/block.c:42"));
    assert_non_null(strstr(text_z, "len <= cap"));
}

static void an_assertion_that_holds_does_nothing(void **state)
{
    (void)state;
    int count = 0;
    UT_ASSERT(++count == 1);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_a_text_of_its_own),
        cmocka_unit_test(an_unknown_code_still_has_a_text),
        cmocka_unit_test(a_fault_holds_code_and_text),
        cmocka_unit_test(a_fault_nobody_wants_returns_the_code),
        cmocka_unit_test(a_long_fault_is_cut_at_its_limit),
        cmocka_unit_test(a_fault_may_wrap_its_own_text),
        cmocka_unit_test(a_broken_assertion_says_where_and_aborts),
        cmocka_unit_test(an_assertion_that_holds_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
