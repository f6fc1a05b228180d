// A data directory opened for reading, whether or not an agent is running on it.
#ifndef UT_AGENT_QUERY_READER_H
#define UT_AGENT_QUERY_READER_H

#include "storage/query/query.h"

typedef struct {
    ut_store *store;
    ut_store_view *view; // begun
} ut_reader;

// data_dir_z: from the option, or NULL: from the configuration (config_z as for ut_config_find). The
// key of an encrypted store comes from the file that UNTRACE_KEY_FILE names, else from where the
// configuration says.
ut_err ut_reader_open(const char *data_dir_z, const char *config_z, ut_reader *reader,
                      ut_fault *fault);
void ut_reader_close(ut_reader *reader);

#endif
