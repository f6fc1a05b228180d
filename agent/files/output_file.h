// The output of a command: standard output, or a file that is there whole or not at all. Not for
// the files that an agent keeps.
#ifndef UT_AGENT_FILES_OUTPUT_FILE_H
#define UT_AGENT_FILES_OUTPUT_FILE_H

#include "port/base/bytes.h"
#include "port/base/err.h"

#include <limits.h>
#include <signal.h>

typedef struct {
    int fd;
    bool temporary;        // the bytes go to temporary_z first
    char path_z[PATH_MAX]; // the name in faults; "standard output" where it is that
    char temporary_z[PATH_MAX];
    sigset_t signals_before;
} ut_output_file;

// path_z: NULL or "-" is standard output. A file is written as PATH.tmp and takes the place of PATH
// in ut_output_file_commit; a PATH that is no plain file (a pipe, /dev/null) is written to at once.
// A new file is for this user only; one that is replaced hands down its owner and mode. While a
// file is written, SIGINT, SIGTERM, SIGHUP and SIGPIPE wait (ut_output_file_interrupted). Main
// thread. UT_EBUSY: another process writes PATH.tmp, or it is not a plain file of this user.
// UT_EPERM, UT_ENOTFOUND, UT_EIO.
ut_err ut_output_file_open(ut_output_file *file, const char *path_z, ut_fault *fault);

// Writes all bytes. UT_ENOSPC, UT_EIO.
ut_err ut_output_file_write(ut_output_file *file, ut_bytes bytes, ut_fault *fault);

// Returns the signal that asks to stop, or 0. Always 0 for standard output: there the signal ends
// the process.
int ut_output_file_interrupted(const ut_output_file *file);

// Makes the written bytes durable and puts the file in its place. After an error the file is as if
// abandoned, unless only the directory could not be synced.
ut_err ut_output_file_commit(ut_output_file *file, ut_fault *fault);

// Removes the written bytes; a file of that name is as it was before.
void ut_output_file_abandon(ut_output_file *file);

#endif
