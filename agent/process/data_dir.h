// The data directory as a place: making it, the lock of the process that works on it, and opening
// its store for writing. Shared by the agent and by commands that work without one. Not for reading
// beside an agent: agent/query/reader.h.
#ifndef UT_AGENT_PROCESS_DATA_DIR_H
#define UT_AGENT_PROCESS_DATA_DIR_H

#include "agent/config/config.h"
#include "storage/store/store.h"

// All of these return an exit code (sysexits); when it is not 0, fault says what a person needs to
// know.

// Makes dir_z and the directories that are missing above it, for this user only.
int ut_data_dir_make(const char *dir_z, ut_fault *fault);

// Whether a start could use dir_z: makes what is missing and removes it again; looks whether this
// user may write it and whether another process holds its lock (EX_TEMPFAIL). Warns in log as
// taking the lock does. Leaves no trace.
int ut_data_dir_try(const char *dir_z, const ut_log *log, ut_fault *fault);

// EX_NOINPUT: there is no store in it.
int ut_data_dir_find_store(const char *dir_z, ut_fault *fault);

// Takes the lock of the directory for this process, without waiting. It lives as long as *lock_fd,
// so a crash leaves none behind. EX_TEMPFAIL: another process holds it; the fault names it.
// EX_NOPERM: a link, or something that is no plain file, stands under the lock's name and is left
// alone.
int ut_data_dir_lock(const char *dir_z, const ut_log *log, int *lock_fd, ut_fault *fault);

// Takes the lock for a command: a directory of another user is left as it is, since files made
// there would be this user's and keep its agent out. EX_NOPERM; the fault says who to run as.
int ut_data_dir_lock_own(const char *dir_z, const ut_log *log, int *lock_fd, ut_fault *fault);

// Opens or makes the store of config->data_dir_z for writing, with the budget and the times of the
// configuration; no destination is active then. The lock must be held.
int ut_data_dir_open_store(const ut_config *config, const ut_log *log, ut_store **store,
                           ut_fault *fault);

// Opens the store for a command that works without an agent. A store that is not there is not made.
// Its budget stays and is written to config->storage.bytes_max; its destinations stay active or
// not, as they are.
int ut_data_dir_open_existing(ut_config *config, const ut_log *log, ut_store **store,
                              ut_fault *fault);

// Says what to do about a fault of ut_engine_lmdb_open for reading: where there is no store, and
// where this user may not read it. Other faults stay as they are.
void ut_data_dir_explain(const char *dir_z, ut_fault *fault);

// Adds the place and the remedy to a fault of ut_store_open, which knows neither.
void ut_data_dir_name_fault(const char *data_dir_z, ut_fault *fault);

#endif
