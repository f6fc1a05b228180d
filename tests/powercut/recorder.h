// Hears the calls that change files below one directory, and tells a disk (disk.h) of them. The
// linker leads the calls of the program and of LMDB here (see the Makefile). Syncs are not done:
// the disk that matters is the one in memory.
#ifndef UT_TESTS_POWERCUT_RECORDER_H
#define UT_TESTS_POWERCUT_RECORDER_H

#include "tests/powercut/disk.h"

// What has just happened to the disk.
typedef enum {
    UT_RECORDED_WRITE,
    UT_RECORDED_SYNC,
    UT_RECORDED_SYNC_NAMES,
    UT_RECORDED_NAME, // made, removed, moved
    UT_RECORDED_LENGTH,
    UT_RECORDED_KINDS
} ut_recorded;

// May end the process; it may not change files below the directory.
typedef void (*ut_recorder_hear)(void *context, ut_recorded kind);

// From here on the calls below root_z (borrowed) are told to disk; descriptors that are open are
// no longer heard. random_seed: what the kernel's random numbers are replaced by.
void ut_recorder_begin(ut_disk *disk, const char *root_z, uint64_t random_seed,
                       ut_recorder_hear hear, void *context);
// Hears nothing any more, and closes the descriptors that were heard: their locks end.
void ut_recorder_end(void);
// The same, in a process that was split off. Memory that it shares with the files of its parent
// becomes its own: the C library would link the mutexes of a new lock file to those in the old one,
// and so write into the parent's.
void ut_recorder_detach(void);

// A number that is made of all that was heard: kinds, names, places and lengths.
uint64_t ut_recorder_sum(void);

#endif
