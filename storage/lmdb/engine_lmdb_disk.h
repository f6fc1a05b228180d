// The disk that is reserved for the data file of LMDB, ahead of its end: so a store whose disk is
// full still has the room that a removal takes, and knows before a commit fails how large the file
// can be. Not for budgets: retention.c keeps them.
#ifndef UT_STORAGE_LMDB_ENGINE_LMDB_DISK_H
#define UT_STORAGE_LMDB_ENGINE_LMDB_DISK_H

#include <stdbool.h>
#include <stdint.h>

// All zeros: nothing is known of the file.
typedef struct {
    uint64_t held;   // the file can grow to this length
    uint64_t ask_ms; // when more is asked for again
    bool full;       // held is all that there is
} ut_lmdb_disk;

// Reserves `ahead` bytes of disk behind the first file_bytes of the file, as far as bytes_max.
// Returns how long the file can be: bytes_max, or less when the disk is full. A file system that
// cannot reserve counts as one with room until a commit fails.
uint64_t ut_lmdb_disk_hold(ut_lmdb_disk *disk, int file, uint64_t file_bytes, uint64_t ahead,
                           uint64_t bytes_max);

// Reserves disk for a lock file that this process has not open: it is written through a mapping,
// where a full disk is a fault of memory. As far as the file system can; an empty file of btrfs is
// also told to keep its place on the disk, or each write would need another one.
void ut_lmdb_disk_hold_lock(const char *lock_z);

// A commit met a full disk.
void ut_lmdb_disk_met_end(ut_lmdb_disk *disk);

#endif
