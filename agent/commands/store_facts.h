// The facts of a store, read for `untrace store info`: sizes, counts, a census of its records,
// and whether an agent runs on it. Not for how that is printed (cmd_store_info.c).
#ifndef UT_AGENT_COMMANDS_STORE_FACTS_H
#define UT_AGENT_COMMANDS_STORE_FACTS_H

#include "agent/query/reader.h"
#include "storage/upkeep/census.h"

typedef struct {
    char *dir_z;        // the data directory, "" where it is not known
    uint64_t agent_pid; // 0: no agent runs on it
    ut_engine_room room;
    uint32_t data_keys; // 0: the store is not encrypted
    ut_store_counts counts;
    ut_store_destination destinations[UT_STORE_DESTINATIONS_MAX];
    size_t destination_count;
    ut_census census;
    ut_census_org all; // the sums over all organisations
} ut_store_facts;

// Reads every key of the store, in slices between which nothing is held; shows how far it is on
// standard error. data_dir_z and config_z as for ut_reader_open. *facts: out, for
// ut_store_facts_free. Errors, with fault set: those of ut_reader_open and ut_census_step.
ut_err ut_store_facts_read(const char *data_dir_z, const char *config_z, ut_store_facts **facts,
                           ut_fault *fault);
void ut_store_facts_free(ut_store_facts *facts); // NULL is ignored

#endif
