// An engine in memory, for tests: transactions, snapshots for readers, a budget, and borrowed bytes
// that really die at the next call, so that a sanitizer sees who keeps them. And a wrapper that
// makes any engine fail at the Nth fallible call. Not for speed: a write transaction copies the
// table of records.
#ifndef UT_TESTS_SUPPORT_ENGINE_MEMORY_H
#define UT_TESTS_SUPPORT_ENGINE_MEMORY_H

#include "storage/engine.h"

// bytes_max: puts beyond it are UT_EFULL. Stops the program without memory.
ut_engine *ut_engine_memory_open(uint64_t bytes_max);

// A copy of all records, so that a test can close an engine and open what was committed (as after a
// kill).
ut_engine *ut_engine_memory_clone(const ut_engine *engine);

// Wraps an engine, which it takes over: counts calls that may fail (begin, commit, get, put, del,
// cursor_open, seek, step, room, compact) and makes the chosen one fail. A commit that fails stores
// nothing.
typedef struct {
    uint64_t calls;   // made so far
    uint64_t fail_at; // the call with this number fails (the first is 1); 0: none
    bool fail_after;  // and all later ones
    bool in_doubt;    // a commit that fails has stored everything all the same
    ut_err err;       // what it fails with
} ut_faults;

// faults: read and counted up with each call; outlives the engine.
ut_engine *ut_engine_faulty_wrap(ut_engine *inner, ut_faults *faults);

// All records of an engine in one buffer (lengths and bytes), to compare two states. *data is to be
// freed with free.
void ut_engine_dump(ut_engine *engine, uint8_t **data, size_t *len);

#endif
