// One table from our errors to exit codes; see exit_code.h.
#include "agent/process/exit_code.h"

int ut_exit_code(ut_err err)
{
    switch (err) {
    case UT_OK:
        return EX_OK;
    case UT_EFORMAT:
    case UT_EINVAL:
        return EX_CONFIG;
    case UT_ECORRUPT:
    case UT_EVERSION:
        return EX_DATAERR;
    case UT_ENOTFOUND:
        return EX_NOINPUT;
    case UT_EPERM:
        return EX_NOPERM;
    case UT_EBUSY:
    case UT_ECONNECT:
    case UT_ERESOLVE:
    case UT_ETLS:
        return EX_UNAVAILABLE;
    case UT_EIO:
    case UT_ENOSPC:
    case UT_EFULL:
        return EX_IOERR;
    case UT_ETIMEOUT:
    case UT_EAGAIN:
        return EX_TEMPFAIL;
    case UT_EPROTO:
    case UT_ECLOSED:
        return EX_PROTOCOL;
    case UT_ENOMEM:
    case UT_ELIMIT:
        return EX_OSERR;
    case UT_EEXIST:
    case UT_ECANCELED:
        return EX_SOFTWARE;
    }
    return EX_SOFTWARE;
}
