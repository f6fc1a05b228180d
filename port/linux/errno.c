// From the system's error numbers to the codes of the program.
#include "port/port.h"

#include <errno.h>

ut_err ut_err_of_errno(int reason)
{
    switch (reason) {
    case 0:
        return UT_OK;
    case ENOENT:
    case ENOTDIR:
        return UT_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return UT_EPERM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return UT_ENOSPC;
    case EMFILE:
    case ENFILE:
        return UT_ELIMIT;
    case ENOMEM:
        return UT_ENOMEM;
    default:
        return UT_EIO;
    }
}
