// A disk with a cache that a power cut empties: which bytes and which names are safe, and which
// are only in the cache. It holds small directories of small files in memory. Not for calls of the
// system: recorder.h hears them and tells the disk.
//
// The rules are the weakest that POSIX leaves to a file system:
//  - a sync of a file makes its bytes and its length safe; a sync of a directory, its names;
//  - a sector of 512 bytes is written whole or not at all, each for itself and in any order; of two
//    writes to one sector the later one may be missing, but does not come to stand below;
//  - a length that grew may be safe before the bytes are: they are then zeros, or what stood on the
//    disk before;
//  - names that were made, moved and removed since the last sync of their directory may be so or
//    not, each of these operations for itself.
#ifndef UT_TESTS_POWERCUT_DISK_H
#define UT_TESTS_POWERCUT_DISK_H

#include "tests/support/random_span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UT_DISK_SECTOR_BYTES = 512,
    UT_DISK_NAME_MAX = 64, // longest name with its directory, the final zero included
};

typedef struct ut_disk ut_disk;

// What a power cut met.
typedef struct {
    uint32_t sectors_lost; // of writes that no sync had followed
    uint32_t sectors_kept; // likewise
    uint32_t names_open;   // operations on names that no sync had followed
    uint32_t names_lost;   // of them
} ut_disk_loss;

// An empty directory, which is safe: file 0, whose name is "". Stops the program without memory,
// as all functions here do.
ut_disk *ut_disk_new(void);
void ut_disk_free(ut_disk *disk); // NULL is ignored

// Names are relative to the directory: "data", "data/store.mdb". Files have numbers.
int ut_disk_find(const ut_disk *disk, const char *name_z); // -1: there is none
int ut_disk_create(ut_disk *disk, const char *name_z, bool directory);
void ut_disk_unlink(ut_disk *disk, const char *name_z);
void ut_disk_rename(ut_disk *disk, const char *from_z, const char *to_z); // in one directory
void ut_disk_link(ut_disk *disk, const char *from_z, const char *to_z);   // likewise

void ut_disk_write(ut_disk *disk, int file, uint64_t offset, const void *data, size_t len);
void ut_disk_resize(ut_disk *disk, int file, uint64_t len);
// The file is written through memory from now on: its bytes are not known, and a power cut leaves
// any.
void ut_disk_map(ut_disk *disk, int file);
// A file, or the names in a directory.
void ut_disk_sync(ut_disk *disk, int file);
// The sectors of a range of a file, as a write with O_DSYNC does.
void ut_disk_sync_range(ut_disk *disk, int file, uint64_t offset, size_t len);

// Cuts the power: from here on the disk holds what it may hold after that, and all of it is safe.
ut_disk_loss ut_disk_cut(ut_disk *disk, ut_random *random);

// Writes the files as a program sees them into dir_z, an existing empty directory.
void ut_disk_write_out(const ut_disk *disk, const char *dir_z);
// Compares the files as a program sees them with those in dir_z, except mapped ones. NULL: equal;
// otherwise a sentence, valid until the next call.
const char *ut_disk_difference(const ut_disk *disk, const char *dir_z);

#endif
