// LMDB's codes as ours; see lmdb_code.h.
#include "storage/lmdb/lmdb_code.h"

#include "port/port.h"

#include <errno.h>

ut_err ut_lmdb_translate(int code)
{
    switch (code) {
    case MDB_NOTFOUND:
        return UT_ENOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return UT_EFULL;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE:
        return UT_ECORRUPT;
    case MDB_VERSION_MISMATCH:
        return UT_EVERSION;
    case MDB_READERS_FULL:
    case MDB_TLS_FULL:
        return UT_ELIMIT;
    case MDB_BAD_VALSIZE:
    case EINVAL: // LMDB's own, for a call that makes no sense
        return UT_EINVAL;
    default:
        return ut_err_of_errno(code); // UT_EIO for MDB_PANIC and MDB_BAD_TXN
    }
}
