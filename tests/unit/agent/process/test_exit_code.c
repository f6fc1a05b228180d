// Exit codes: one for each error, all of them in the manual page. Run from the root of the tree.
#include "agent/process/exit_code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    ut_err err;
    int code;
} rows[] = {
    {UT_OK, EX_OK},
    {UT_EAGAIN, EX_TEMPFAIL},
    {UT_ENOMEM, EX_OSERR},
    {UT_ELIMIT, EX_OSERR},
    {UT_EFULL, EX_IOERR},
    {UT_ENOSPC, EX_IOERR},
    {UT_EIO, EX_IOERR},
    {UT_ECORRUPT, EX_DATAERR},
    {UT_EFORMAT, EX_CONFIG},
    {UT_EVERSION, EX_DATAERR},
    {UT_EBUSY, EX_UNAVAILABLE},
    {UT_ENOTFOUND, EX_NOINPUT},
    {UT_EEXIST, EX_SOFTWARE},
    {UT_EINVAL, EX_CONFIG},
    {UT_ECLOSED, EX_PROTOCOL},
    {UT_ETIMEOUT, EX_TEMPFAIL},
    {UT_ECONNECT, EX_UNAVAILABLE},
    {UT_ERESOLVE, EX_UNAVAILABLE},
    {UT_ETLS, EX_UNAVAILABLE},
    {UT_EPERM, EX_NOPERM},
    {UT_EPROTO, EX_PROTOCOL},
    {UT_ECANCELED, EX_SOFTWARE},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void each_error_has_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        if (ut_exit_code(rows[i].err) != rows[i].code)
            fail_msg("%s ends with %d, not %d", ut_err_name(rows[i].err), ut_exit_code(rows[i].err),
                     rows[i].code);
    }
}

// A new error has to choose its exit code, and to say so above.
static void no_error_is_left_out(void **state)
{
    (void)state;
    static const ut_err all[] = {
#define X(name, value, text) UT_##name,
        UT_ERR_MAP(X)
#undef X
    };
    assert_int_equal(sizeof(all) / sizeof(all[0]), ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        size_t found = 0;
        for (size_t k = 0; k < ROWS; k++)
            found += rows[k].err == all[i];
        assert_int_equal(found, 1);
        assert_int_equal(ut_exit_code(all[i]) == EX_OK, all[i] == UT_OK);
    }
}

static void read_manual(char *out_z, size_t cap)
{
    FILE *file = fopen("docs/untrace.1", "r");
    if (file == NULL)
        fail_msg("docs/untrace.1 cannot be read from here");
    const size_t len = fread(out_z, 1, cap - 1, file);
    assert_true(len > 0 && len < cap - 1);
    out_z[len] = '\0';
    assert_int_equal(fclose(file), 0);
}

static void the_manual_page_lists_each_code_once(void **state)
{
    (void)state;
    static char manual_z[256 * 1024];
    read_manual(manual_z, sizeof(manual_z));
    const char *const begin = strstr(manual_z, "\n.Sh EXIT STATUS\n");
    assert_non_null(begin);
    char *const end = strstr(begin + 1, "\n.Sh ");
    assert_non_null(end);
    end[1] = '\0';
    for (size_t i = 0; i < ROWS; i++) {
        char item_z[32];
        (void)snprintf(item_z, sizeof(item_z), "\n.It %d\n", rows[i].code);
        const char *const at = strstr(begin, item_z);
        if (at == NULL)
            fail_msg("docs/untrace.1 does not list %d, of %s", rows[i].code,
                     ut_err_name(rows[i].err));
        assert_null(strstr(at + 1, item_z));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_code),
        cmocka_unit_test(no_error_is_left_out),
        cmocka_unit_test(the_manual_page_lists_each_code_once),
    };
    return cmocka_run_group_tests_name("exit_code", tests, NULL, NULL);
}
