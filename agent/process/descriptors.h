// How many files and sockets the process may have open.
#ifndef UT_AGENT_PROCESS_DESCRIPTORS_H
#define UT_AGENT_PROCESS_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

// Raises the limit to need where it is lower, as far as this user may. False: it stays below need,
// and *most says where. A limit that cannot be read counts as high enough.
bool ut_descriptors_raise(uint64_t need, uint64_t *most);

#endif
