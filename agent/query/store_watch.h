// Waiting until a store may have changed, whoever changes it, without asking it again and again:
// Linux tells of each write to a file of the data directory.
#ifndef UT_AGENT_QUERY_STORE_WATCH_H
#define UT_AGENT_QUERY_STORE_WATCH_H

#include "port/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    const char *dir_z;
    int notices;      // a descriptor of inotify, or -1 where there is none
    uint64_t woke_ms; // when the last wait ended
    bool known;       // file and device are those of a store that is there
    dev_t device;
    ino_t file;
} ut_store_watch;

enum {
    // Waits end at most so often, however fast the store is written.
    UT_STORE_WATCH_INTERVAL_MS = 100,
    // A store on a file system of another machine is written without a word; this is how often one
    // has to look. Without inotify it is how often one looks at all.
    UT_STORE_WATCH_LONGEST_MS = 5000,
    UT_STORE_WATCH_BLIND_MS = 1000,
};

// Notes which file is the store now. A reader that is opened behind it sees this file or a later
// one. dir_z: borrowed until the end.
ut_store_watch ut_store_watch_of(const char *dir_z);

// From here on each write ends a wait.
void ut_store_watch_begin(ut_store_watch *watch);
void ut_store_watch_end(ut_store_watch *watch);

// Waits until something was written, or timeout_ms are over, whichever is first. UT_ECLOSED: nobody
// reads standard output any more.
ut_err ut_store_watch_wait(ut_store_watch *watch, uint64_t timeout_ms);

// The file of the store is another one than when this was last asked: a compaction has replaced it,
// or a new store was made. False also while there is none.
bool ut_store_watch_replaced(ut_store_watch *watch);

#endif
