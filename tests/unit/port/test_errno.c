// The system's error numbers as codes of the program.
#include "port/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

static void each_reason_has_the_code_that_fits(void **state)
{
    (void)state;
    static const struct {
        int reason;
        ut_err code;
    } rows[] = {
        {0, UT_OK},         {ENOENT, UT_ENOTFOUND}, {ENOTDIR, UT_ENOTFOUND}, {EACCES, UT_EPERM},
        {EPERM, UT_EPERM},  {EROFS, UT_EPERM},      {ENOSPC, UT_ENOSPC},     {EDQUOT, UT_ENOSPC},
        {EFBIG, UT_ENOSPC}, {EMFILE, UT_ELIMIT},    {ENFILE, UT_ELIMIT},     {ENOMEM, UT_ENOMEM},
        {EIO, UT_EIO},      {EINTR, UT_EIO},        {ELOOP, UT_EIO},         {ENXIO, UT_EIO},
        {1 << 20, UT_EIO},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ut_err_of_errno(rows[i].reason) != rows[i].code)
            fail_msg("errno %d became %s", rows[i].reason,
                     ut_err_name(ut_err_of_errno(rows[i].reason)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_reason_has_the_code_that_fits)};
    return cmocka_run_group_tests_name("errno", tests, NULL, NULL);
}
