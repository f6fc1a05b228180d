// Names that a store holds, for completion: trace ids, services, names of spans. Only the newest
// ones, because a shell waits for them.
#ifndef UT_AGENT_COMMANDS_STORE_WORDS_H
#define UT_AGENT_COMMANDS_STORE_WORDS_H

#include "port/base/bytes.h"

typedef enum {
    UT_STORE_WORDS_TRACES,
    UT_STORE_WORDS_SERVICES,
    UT_STORE_WORDS_NAMES
} ut_store_words;

typedef void (*ut_store_word_visit)(void *context, ut_bytes word);

// Visits each word once, the newest first. data_dir_z, config_z: as for ut_reader_open. What cannot
// be read is nothing: a shell has no place for a fault.
void ut_store_words_visit(ut_store_words kind, const char *data_dir_z, const char *config_z,
                          ut_store_word_visit visit, void *context);

#endif
