// Long work on a store that is done in slices, between the commits of an agent or alone: cleanup,
// giving new times to live, compaction. A step machine like the store: it starts no thread and is
// told the time. Its slices run on the store thread.
#ifndef UT_STORAGE_UPKEEP_OPERATION_H
#define UT_STORAGE_UPKEEP_OPERATION_H

#include "storage/store/store.h"

typedef struct {
    uint64_t done;   // in units of the operation
    uint64_t total;  // 0: not known
    uint64_t blocks; // these four: done so far, or with dry_run what would be done
    uint64_t spans;
    uint64_t bytes;   // sealed bytes removed; compaction: bytes that the file has become smaller
    uint64_t pending; // spans among them that a destination had not got
} ut_operation_progress;

typedef struct ut_operation ut_operation;

typedef struct {
    const char *name_z;
    // One slice of bounded time (about 10 ms). *more: false when all is done. After an error
    // nothing of the slice has happened; UT_EAGAIN: try again later, anything else ends the
    // operation. What earlier slices did stays.
    ut_err (*step)(ut_operation *operation, ut_store *store, uint64_t now_ns, bool *more,
                   ut_fault *fault);
    void (*free)(ut_operation *operation); // also in the middle: undoes what is not finished
} ut_operation_class;

struct ut_operation {
    const ut_operation_class *class;
    ut_operation_progress progress;
    bool dry_run; // it only counts what it would do
};

static inline ut_err ut_operation_step(ut_operation *operation, ut_store *store, uint64_t now_ns,
                                       bool *more, ut_fault *fault)
{
    return operation->class->step(operation, store, now_ns, more, fault);
}

// ---- cleanup.c: removes blocks by an operator's wish ----

typedef struct {
    uint32_t org;
    uint64_t older_than_ns; // blocks received before; counted as expired where still pending
    char service_z[UT_STORE_NAME_MAX * 4]; // only spans of this service; empty: all. See below
    bool delivered_only;                   // only what no destination waits for
    bool dry_run;                          // counts only
} ut_cleanup_options;

// A block may hold spans of several services. With service_z, a block goes when all of its spans
// are of that service. Otherwise the spans of the others stay: they are written anew under a new
// number, with the time they came at, their hour and what each destination knows of them; for
// eviction and for readers that poll they are then new. What leaves counts as expired.
// delivered_only asks for blocks that no destination waits for. UT_ENOMEM.
ut_err ut_cleanup_new(const ut_cleanup_options *options, ut_operation **operation);

// ---- ttl_change.c: gives what is there the times to live that the configuration says now ----
// By block: its new hour is that of the span of it that is kept longest. UT_ENOMEM.
ut_err ut_ttl_change_new(uint32_t org, bool dry_run, ut_operation **operation);

// ---- compaction.c: rewrites the file without its free pages, while the store is in use ----
// UT_ENOMEM. Its first step fails with UT_ENOSPC where the disk has no room for a second file, and
// with UT_EINVAL where the engine cannot compact.
ut_err ut_compaction_new(ut_operation **operation);

// ---- rekey.c: another master key for an encrypted store; see ut_store_rekey ----
// UT_CIPHER_KEY_LEN bytes; copied, and overwritten when the operation is freed. UT_ENOMEM.
ut_err ut_rekey_new(const uint8_t *master_key, ut_operation **operation);

#endif
