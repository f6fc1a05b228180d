// Takes OTLP requests into the store of a data directory: through the agent that runs on it, over
// its control socket, or, where none runs, by opening the store itself. Spans that are stored
// already are left out and counted. Not for files (span_file.h).
#ifndef UT_AGENT_FILES_SPAN_IMPORT_H
#define UT_AGENT_FILES_SPAN_IMPORT_H

#include "adapters/otlp/otlp.h"
#include "agent/config/config.h"

enum {
    UT_SPAN_IMPORT_GROUP_MAX = 64,                // requests that one commit stores
    UT_SPAN_IMPORT_GROUP_BYTES = 4 * 1024 * 1024, // bytes of them; a single request may pass it
    UT_SPAN_IMPORT_TRY_FOR_MS = 60 * 1000,        // while the agent says that it is busy
};

typedef struct {
    uint64_t requests; // taken
    uint64_t stored;
    uint64_t duplicates;
    uint64_t rejected;                         // spans with invalid ids
    char reject_reason_z[UT_BATCH_REASON_MAX]; // of the first
} ut_span_import_counts;

typedef struct ut_span_import ut_span_import;

// config: was read, and its data_dir_z is set; borrowed until ut_span_import_close. A store that is
// missing is made as an agent would make it, with the destinations of the configuration. Returns an
// exit code; when it is not 0, fault holds why.
int ut_span_import_open(ut_config *config, const ut_log *log, ut_span_import **import,
                        ut_fault *fault);

// Takes one request; its bytes are borrowed for the call. UT_EFORMAT, UT_ELIMIT: it does not
// decode, and nothing of it is taken. After another error the import is over.
ut_err ut_span_import_add(ut_span_import *import, ut_otlp_encoding encoding, ut_bytes request,
                          ut_fault *fault);

// Stores the requests that were taken since the last time; durable on return.
ut_err ut_span_import_flush(ut_span_import *import, ut_fault *fault);

void ut_span_import_get_counts(const ut_span_import *import, ut_span_import_counts *counts);
bool ut_span_import_through_agent(const ut_span_import *import);

// Requests that were not flushed are lost.
void ut_span_import_close(ut_span_import *import);

#endif
