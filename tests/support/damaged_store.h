// A store file that a test damages, the list of the blocks in it, and children that use it in every
// way and leave their answers. All functions fail the test when the file cannot be made or written.
// Not for the damage itself, and not for judging the answers.
#ifndef UT_TESTS_SUPPORT_DAMAGED_STORE_H
#define UT_TESTS_SUPPORT_DAMAGED_STORE_H

#include "storage/engine.h"
#include "storage/span/span.h"
#include "tests/support/temp_dir.h"

enum {
    UT_DAMAGED_BUDGET = 16 * 1024 * 1024,
    UT_DAMAGED_PAGE = 4096,      // bytes of a page
    UT_DAMAGED_BLOCKS = 60,      // with the numbers 1 to 60
    UT_DAMAGED_BLOCKS_LEFT = 45, // those that have not expired
    UT_DAMAGED_SPANS = 100,      // of each block
};

// The answers to questions about one opened store.
typedef struct {
    bool opened;                         // false: the file was refused, with its name
    unsigned errors;                     // calls that failed, and problems that were counted
    unsigned traces_listed;              // by ut_query_traces
    unsigned strangers;                  // spans that the healthy store does not have at that place
    unsigned spans[2];                   // found by a search, [1]: oldest first
    bool block_whole[UT_DAMAGED_BLOCKS]; // the two searches together found each span of the block
    bool trace_whole[UT_DAMAGED_BLOCKS]; // ut_query_trace gave its trace with all spans
} ut_damaged_answers;

// A block of the healthy store, and one of its traces.
typedef struct {
    bool left; // not expired
    uint8_t span_ids[UT_DAMAGED_SPANS][UT_SPAN_ID_LEN];
    uint8_t trace_id[UT_TRACE_ID_LEN];
    unsigned trace_spans;
} ut_damaged_block;

typedef struct {
    char dir_z[UT_TEMP_PATH_MAX];
    char path_z[UT_TEMP_PATH_MAX];
    uint8_t *data; // of the healthy file
    size_t len;
    ut_damaged_block blocks[UT_DAMAGED_BLOCKS]; // [seq - 1]
    unsigned traces;                            // of the healthy store
    ut_damaged_answers *answers; // shared with the children; [1]: the store was opened read-only
} ut_damaged_store;

// Makes a store as it is after some time: with free pages, lists of them, and a value of many
// pages. Ends with ut_damaged_store_free.
ut_damaged_store *ut_damaged_store_new(void);
void ut_damaged_store_free(ut_damaged_store *damaged);

// Replaces the file by len bytes.
void ut_damaged_store_write(const ut_damaged_store *damaged, const uint8_t *data, size_t len);

ut_err ut_damaged_store_open(const ut_damaged_store *damaged, bool read_only, ut_engine **engine,
                             ut_fault *fault);

// Reads, searches, verifies and changes the store in a child, and leaves the answers in
// damaged->answers. Returns 0 when there was no error and 7 when there were some; any other number
// is a fault of the program, and -N the signal N.
int ut_damaged_store_use(const ut_damaged_store *damaged);

// Runs job in a child, which ends with _exit; returns as ut_damaged_store_use.
int ut_damaged_store_run(const ut_damaged_store *damaged,
                         void (*job)(const ut_damaged_store *damaged));

#endif
