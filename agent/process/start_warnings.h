// What a start warns of: settings that are allowed and may not be meant. The agent logs it, and
// `untrace check` prints it.
#ifndef UT_AGENT_PROCESS_START_WARNINGS_H
#define UT_AGENT_PROCESS_START_WARNINGS_H

#include "agent/config/config.h"
#include "storage/store/store.h"

// Warns of what stands in the configuration.
void ut_warn_of_config(const ut_config *config, const ut_log *log);

// Warns of spans that wait for a destination that the configuration does not name.
void ut_warn_of_waiting(const ut_config *config, const ut_store *store, const ut_log *log);

// Raises the limit of open files to what the connections need, and warns where it stays lower.
void ut_raise_descriptors(const ut_config *config, const ut_log *log);

#endif
