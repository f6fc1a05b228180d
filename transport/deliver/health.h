// How one destination does: its failures in a row, when it may be asked again, whether several
// requests at once are allowed. Writes a line to the log when that changes. Not for deciding what
// becomes of a batch (exporter.c).
#ifndef UT_TRANSPORT_DELIVER_HEALTH_H
#define UT_TRANSPORT_DELIVER_HEALTH_H

#include "port/base/log.h"
#include "storage/store/store.h"
#include "transport/deliver/destination.h"

enum {
    // Requests in a row and per connection that refuse their spans, with none accepted between
    // them, before a refused batch is no longer taken apart to find the bad spans in it: such a
    // destination refuses everything.
    UT_HEALTH_REFUSALS_MAX = 64,
};

typedef struct {
    const ut_destination_config *destination;
    const ut_log *log;
    bool proven; // the last answer was no failure: several requests at once are allowed
    bool misconfigured;
    uint32_t failures; // in a row
    uint64_t failing_since_ms;
    uint64_t not_before_ms;    // by the back-off
    uint64_t asked_to_wait_ms; // by Retry-After: no success of another request ends that
    uint64_t successes;        // in all
    uint32_t refusals;         // in a row
    uint32_t waits;            // in a row, of a destination that refuses everything
    uint16_t http_status;      // of the last failure, 0: no answer
    char reason_z[UT_STORE_REASON_MAX];
} ut_health;

// The health that a request saw when it began. Requests that were under way together fail together
// and count once: four connections are not four attempts.
typedef struct {
    uint32_t failures;
    uint32_t waits;
} ut_health_seen;

void ut_health_init(ut_health *health, const ut_destination_config *destination, const ut_log *log);
ut_health_seen ut_health_look(const ut_health *health);

// Keeps what is told of a failure; before one of the calls below.
void ut_health_keep_reason(ut_health *health, uint16_t http_status, const char *reason_z);

// The spans of a request were taken.
void ut_health_succeeded(ut_health *health, uint64_t now_ms);
// An answer came that judged the spans, whatever it said: the destination is there.
void ut_health_reached(ut_health *health, uint64_t now_ms);
// A request failed in a way that allows another try.
void ut_health_failed(ut_health *health, ut_health_seen seen, uint64_t now_ms, bool misconfigured);
// The spans of a request were refused. False: the destination refuses everything, perhaps only for
// a while, and the next batch waits, so that the backlog does not become dead letters at the speed
// of the line.
bool ut_health_refused(ut_health *health, ut_health_seen seen, uint64_t now_ms);
// The destination asked for a wait until at_ms.
void ut_health_ask_to_wait(ut_health *health, uint64_t at_ms);

// When it may be asked again.
uint64_t ut_health_open_at_ms(const ut_health *health);
// A wait with jitter after so many failures (>= 1) in a row.
uint64_t ut_health_delay_ms(const ut_health *health, uint32_t failures);

// True for 1, 2, 4, 8, ...: how often something that repeats is logged.
static inline bool ut_health_worth_a_line(uint64_t count)
{
    return (count & (count - 1)) == 0;
}

#endif
