// Counts what happens again and again by kind, and logs it: one line a kind and minute, with how
// often it happened and with whom it happened last. For events that the network can cause at any
// rate. Not for several threads.
#ifndef UT_AGENT_PROCESS_TALLY_H
#define UT_AGENT_PROCESS_TALLY_H

#include "port/base/log.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    UT_TALLY_KINDS_MAX = 20,
    UT_TALLY_PAUSE_MS = 60 * 1000, // between two lines about one kind
    UT_TALLY_WHO_MAX = 48,
    UT_TALLY_DETAIL_MAX = 200,
};

// A line reads "<who> <before><detail><after> (<count> <unit> in the last minute)".
typedef struct {
    const char *name_z; // in reports, such as "content_type"
    const char *unit_z; // of several, such as "requests"
    const char *before_z;
    const char *after_z;
    const char *group_z; // of its counter in reports, such as "refused"; NULL: in none
} ut_tally_kind;

typedef struct {
    uint64_t count; // since the start
    uint64_t told;  // of these, in lines that were written
    uint64_t quiet_until_ms;
    char who_z[UT_TALLY_WHO_MAX];       // the last one
    char detail_z[UT_TALLY_DETAIL_MAX]; // the last one
} ut_tally_entry;

typedef struct {
    const ut_tally_kind *kinds; // kind_count of them; they outlive the tally
    size_t kind_count;
    const ut_log *log;
    const char *area_z; // of the lines
    bool waits;         // an entry has more to tell than it has told
    ut_tally_entry entries[UT_TALLY_KINDS_MAX];
} ut_tally;

// Starts at zero. kinds: at most UT_TALLY_KINDS_MAX.
void ut_tally_init(ut_tally *tally, const ut_tally_kind *kinds, size_t kind_count,
                   const ut_log *log, const char *area_z);

// Counts events of a kind, and logs them unless the kind is quiet. who_z, detail_z: cut to fit.
// Bytes of detail_z that are not printable ASCII are logged as '?'.
void ut_tally_add(ut_tally *tally, size_t kind, uint64_t count, const char *who_z,
                  const char *detail_z, uint64_t now_ms);

// Logs what was counted while its kind was quiet. *next_ms is lowered to when to call again.
void ut_tally_step(ut_tally *tally, uint64_t now_ms, uint64_t *next_ms);

// The sum of a group.
uint64_t ut_tally_sum(const ut_tally *tally, const char *group_z);

// The next kind from `kind` on that is of a group and has happened; kind_count: there is none.
size_t ut_tally_next(const ut_tally *tally, const char *group_z, size_t kind);

#endif
