// One trace by the beginning of its id, as a person types it. Where several fit, says which.
#ifndef UT_AGENT_CLI_TRACE_PICK_H
#define UT_AGENT_CLI_TRACE_PICK_H

#include "agent/cli/cli.h"
#include "storage/query/query.h"

enum { UT_TRACE_PICK_CANDIDATES_MAX = 10 };

// Otherwise than UT_OK the reason is on standard error, with up to UT_TRACE_PICK_CANDIDATES_MAX
// candidates for UT_EEXIST. UT_ENOTFOUND, UT_EEXIST, UT_EFORMAT; errors of the store.
ut_err ut_trace_pick(ut_store_view *view, uint32_t org, const char *id_z,
                     uint8_t trace_id[UT_TRACE_ID_LEN]);

// The exit code for what ut_trace_pick returned.
int ut_trace_pick_exit_code(ut_err err);

#endif
