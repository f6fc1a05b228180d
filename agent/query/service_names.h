// The services of a store, as far as a hint needs them. Costs some tens of milliseconds at most.
#ifndef UT_AGENT_QUERY_SERVICE_NAMES_H
#define UT_AGENT_QUERY_SERVICE_NAMES_H

#include "agent/query/reader.h"

enum { UT_SERVICE_NAMES_MAX = 64, UT_SERVICE_NAME_BYTES_MAX = 64 };

typedef struct {
    uint8_t len; // longer names are cut
    uint8_t text[UT_SERVICE_NAME_BYTES_MAX];
} ut_service_name;

typedef struct {
    uint32_t count;
    bool more; // than there is room for
    ut_service_name names[UT_SERVICE_NAMES_MAX];
} ut_service_names;

// Whether no span of the store has a service that fits the pattern; false also where a bounded
// search does not tell. Ends the view of the reader.
bool ut_service_names_lack(ut_reader *reader, ut_bytes glob);

// The services of the newest spans, those that begin as `like` does first, then by their bytes.
// After an error those found until then. Ends the view of the reader.
void ut_service_names_read(ut_reader *reader, ut_bytes like, ut_service_names *names);

#endif
