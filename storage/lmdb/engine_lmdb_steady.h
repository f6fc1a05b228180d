// The steady state of an LMDB file whose commits are not synced one by one. A power cut may leave
// any mix of pages behind the last sync: then the file is brought back to the state of that sync,
// whose meta page is kept in a file beside it, and whose pages nobody may overwrite before the next
// sync. Not needed after a kill: the system still has the pages. Only for engine_lmdb.c.
#ifndef UT_STORAGE_ENGINE_LMDB_STEADY_H
#define UT_STORAGE_ENGINE_LMDB_STEADY_H

#include "port/base/bytes.h"
#include "port/base/err.h"

typedef struct {
    const char *path_z; // of the note; must stay
    int fd;             // -1: not open
    uint32_t turn;      // notes written, each to the other place than the one before
} ut_lmdb_steady;

// Before the file at data_z is opened: brings it back when the machine has been started again since
// the last note. Returns UT_OK also when there is nothing to do. read_only: what would have to be
// brought back is a fault (UT_ECORRUPT) instead. UT_EIO, UT_ENOSPC, UT_EPERM.
ut_err ut_lmdb_steady_recover(const ut_lmdb_steady *steady, const char *data_z, bool read_only,
                              ut_fault *fault);

// Notes the state of transaction txn_id, which has been synced. UT_EIO, UT_ENOSPC, UT_EPERM.
ut_err ut_lmdb_steady_note(ut_lmdb_steady *steady, int data_fd, size_t page_bytes, uint64_t txn_id);

// Everything is synced: there is nothing to bring back any more. When this fails no commit may
// follow: the next start could bring back an old state. UT_EIO, UT_EPERM.
ut_err ut_lmdb_steady_forget(ut_lmdb_steady *steady, ut_fault *fault);

// Closes the note, and leaves it.
void ut_lmdb_steady_close(ut_lmdb_steady *steady);

#endif
