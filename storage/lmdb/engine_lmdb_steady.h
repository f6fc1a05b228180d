// store.steady, which versions before this one kept beside a data file whose commits they did not
// sync one by one (durability: interval). After a power cut that file may be any mix of pages
// behind its last sync; store.steady holds the meta page of that sync, whose pages were not
// overwritten. This module ends such a time. Nothing writes a store.steady any more. Only for
// engine_lmdb*.c.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_STEADY_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_STEADY_H

#include "port/base/err.h"

#include <stdbool.h>

// Before the file at data_z is opened, with store.lock held unless read_only. Where dir_z has no
// store.steady nothing is done. Otherwise, when the machine was started again since, data_z is
// taken back to its last sync; when it was not, the system still has all pages, and data_z is
// synced. Then store.steady is removed. read_only: nothing is written, and what would have to be
// taken back is a fault (UT_ECORRUPT). UT_EIO, UT_ENOSPC, UT_EPERM: store.steady stays, and data_z
// must not be opened.
ut_err ut_lmdb_steady_end(const char *dir_z, const char *data_z, bool read_only, ut_fault *fault);

#endif
