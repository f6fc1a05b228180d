// Long work on a store for a command: an operation (storage/upkeep/operation.h) that the agent of
// the directory runs, or, where none runs, this process. Shows how far it is; Ctrl-C cancels it.
// What the operation does and what is printed at its end are the command's.
#ifndef UT_AGENT_COMMANDS_STORE_WORK_H
#define UT_AGENT_COMMANDS_STORE_WORK_H

#include "port/base/buf.h"
#include "agent/query/reader.h"
#include "storage/upkeep/operation.h"

enum {
    UT_STORE_WORK_GRACE_MS = 1000, // for an answer of the agent, after Ctrl-C
    UT_STORE_WORK_POLL_MS = 100,   // between two questions to the agent
    UT_STORE_WORK_AGAIN_MS = 50,   // before the next slice when one could do nothing
    UT_STORE_WORK_WAIT_MS = 10000  // in a row; then something holds the store up
};

typedef struct {
    const char *name_z;                                            // for messages: "cleanup"
    const char *path_z;                                            // of the request to the agent
    ut_bytes request;                                              // its body: JSON
    const char *unit_z;                                            // of progress.done
    ut_err (*make)(const void *context, ut_operation **operation); // where no agent runs
    const void *context;
} ut_store_work;

typedef struct {
    bool by_agent;
    bool cancelled;
    ut_operation_progress progress;
} ut_store_work_result;

// Does it and waits for its end. data_dir_z and config_z as for ut_reader_open. Returns the exit
// code: 0, 128 + signal when it was cancelled (result is set in both cases), or that of the fault,
// which is then printed. Blocks SIGINT and SIGTERM for the calling thread until it returns.
int ut_store_work_run(const ut_store_work *work, const char *data_dir_z, const char *config_z,
                      ut_store_work_result *result);

// Appends
// {"name":...,"state":"done"|"cancelled","by_agent":...,"dry_run":...,"blocks":...,"spans":...,
// "bytes":...,"pending":...} and a line end.
void ut_store_work_json(const ut_store_work *work, const ut_store_work_result *result, bool dry_run,
                        ut_buf *out);

#endif
