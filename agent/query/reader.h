// A data directory opened for reading, whether or not an agent is running on it.
#ifndef UT_AGENT_QUERY_READER_H
#define UT_AGENT_QUERY_READER_H

#include "agent/config/config.h"
#include "storage/query/query.h"

typedef struct {
    ut_store *store;
    ut_store_view *view;      // begun
    bool damaged;             // a search met blocks that cannot be read; stays when it is closed
    ut_llm_prices llm_prices; // of the configuration, where it was read
} ut_reader;

// Opens a store for reading and begins a view of it. data_dir_z: from the option; NULL: the one of
// the configuration (config_z as for ut_config_find). The key of an encrypted store comes from the
// file that UNTRACE_KEY_FILE names, else from the place that the configuration gives. Nothing is to
// be closed after an error. UT_ENOTFOUND: there is no store; UT_EPERM: the key is missing or wrong;
// errors of ut_engine_lmdb_open and ut_store_open.
ut_err ut_reader_open(const char *data_dir_z, const char *config_z, ut_reader *reader,
                      ut_fault *fault);
// The same for the data directory and the key of a configuration that has been read.
ut_err ut_reader_open_config(const ut_config *config, ut_reader *reader, ut_fault *fault);
void ut_reader_close(ut_reader *reader);

#endif
