// LMDB's codes and values as ours. Not for what to do about an error.
#ifndef UT_STORAGE_LMDB_LMDB_CODE_H
#define UT_STORAGE_LMDB_LMDB_CODE_H

#include "port/base/bytes.h"
#include "port/base/err.h"

#include <lmdb.h>

// The code for one of LMDB's, or for an errno.
ut_err ut_lmdb_translate(int code);

// Borrows; LMDB only reads through it, though its pointer is not const.
static inline MDB_val ut_lmdb_val_of(ut_bytes bytes)
{
    union {
        const uint8_t *in;
        void *out;
    } pointer = {.in = bytes.data};
    return (MDB_val){bytes.len, pointer.out};
}

static inline ut_bytes ut_lmdb_bytes_of(MDB_val val)
{
    return (ut_bytes){val.mv_data, val.mv_size};
}

#endif
