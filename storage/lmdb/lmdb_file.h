// Looks at an LMDB data file with plain reads, before anything maps it: a file that is cut, foreign
// or of another kind of machine becomes a clear fault instead of a bus error. Not for reading
// records: engine_lmdb.c does that through LMDB.
#ifndef UT_STORAGE_LMDB_LMDB_FILE_H
#define UT_STORAGE_LMDB_LMDB_FILE_H

#include "port/base/bytes.h"
#include "port/base/err.h"
#include "storage/lmdb/lmdb_page.h"

enum { UT_LMDB_DATA_VERSION = 1 }; // of LMDB 0.9

// Where the number of its transaction stands in a meta page, and how much of the page is used.
enum {
    UT_LMDB_META_TXN_AT = UT_LMDB_PAGE_HEADER_LEN + 24 + 13 * sizeof(size_t),
    UT_LMDB_META_LEN = UT_LMDB_META_TXN_AT + sizeof(size_t),
};

// Checks both meta pages, the roots and the counts of pages of the newer one, and that every page
// in use lies within the file. (LMDB does not write pages that were allocated and freed in one
// transaction, so that a healthy file may end before its last page.) May run beside a writer.
// UT_ENOTFOUND (no file, or an empty one), UT_EPERM, UT_EIO, UT_ECORRUPT, UT_EVERSION, UT_ENOMEM;
// the fault names the file.
ut_err ut_lmdb_file_check(const char *path_z, ut_fault *fault);

#endif
