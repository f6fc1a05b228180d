// Waits for traces to come to rest; see quiet_traces.h. The traces stand in a ring, in the order of
// their first spans; a table of places finds one by its id.
#include "agent/query/quiet_traces.h"

#include "port/base/order.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES = 2 * UT_QUIET_TRACES_MAX, FREE = 0 };

typedef struct {
    uint8_t id[UT_TRACE_ID_LEN];
    uint64_t first_ms;
    uint64_t last_ms;
    bool waits; // else it has been taken out
} entry;

struct ut_quiet_traces {
    entry ring[UT_QUIET_TRACES_MAX]; // trace n stands at n % UT_QUIET_TRACES_MAX
    uint64_t begin;                  // number of the oldest trace in the ring
    uint64_t end;
    uint64_t waiting_from;   // none before it waits
    uint16_t places[PLACES]; // place in the ring and 1, or FREE
};
_Static_assert(UT_QUIET_TRACES_MAX < UINT16_MAX, "a place fits 16 bits");

ut_err ut_quiet_traces_new(ut_quiet_traces **traces)
{
    *traces = calloc(1, sizeof(**traces));
    return *traces == NULL ? UT_ENOMEM : UT_OK;
}

void ut_quiet_traces_free(ut_quiet_traces *traces)
{
    free(traces);
}

static uint32_t home_of(const uint8_t id[UT_TRACE_ID_LEN])
{
    // FNV-1a: ids need not be random.
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < UT_TRACE_ID_LEN; i++)
        hash = (hash ^ id[i]) * UINT64_C(1099511628211);
    return (uint32_t)(hash >> 32) % PLACES;
}

static entry *entry_at(ut_quiet_traces *traces, uint64_t number)
{
    return &traces->ring[number % UT_QUIET_TRACES_MAX];
}

// The place of an id, or the free one where it belongs.
static uint32_t find(const ut_quiet_traces *traces, const uint8_t id[UT_TRACE_ID_LEN])
{
    uint32_t at = home_of(id);
    while (traces->places[at] != FREE &&
           memcmp(traces->ring[traces->places[at] - 1].id, id, UT_TRACE_ID_LEN) != 0)
        at = (at + 1) % PLACES;
    return at;
}

// Frees the place of the oldest trace, and closes the gap, so that what collided is still found.
static void forget_oldest(ut_quiet_traces *traces)
{
    uint32_t gap = find(traces, entry_at(traces, traces->begin)->id);
    for (uint32_t at = (gap + 1) % PLACES; traces->places[at] != FREE; at = (at + 1) % PLACES) {
        const uint32_t home = home_of(traces->ring[traces->places[at] - 1].id);
        // Moves back unless its home lies behind the gap.
        if ((at - home + PLACES) % PLACES < (at - gap + PLACES) % PLACES)
            continue;
        traces->places[gap] = traces->places[at];
        gap = at;
    }
    traces->places[gap] = FREE;
    traces->begin++;
    if (traces->waiting_from < traces->begin)
        traces->waiting_from = traces->begin;
}

void ut_quiet_traces_add(ut_quiet_traces *traces, ut_bytes trace_id, uint64_t now_ms)
{
    UT_ASSERT(trace_id.len == UT_TRACE_ID_LEN);
    uint32_t at = find(traces, trace_id.data);
    if (traces->places[at] != FREE) {
        traces->ring[traces->places[at] - 1].last_ms = now_ms;
        return;
    }
    if (traces->end - traces->begin == UT_QUIET_TRACES_MAX) {
        forget_oldest(traces);
        at = find(traces, trace_id.data); // the places have moved
    }
    entry *to = entry_at(traces, traces->end);
    *to = (entry){.first_ms = now_ms, .last_ms = now_ms, .waits = true};
    memcpy(to->id, trace_id.data, UT_TRACE_ID_LEN);
    traces->places[at] = (uint16_t)(traces->end % UT_QUIET_TRACES_MAX + 1);
    traces->end++;
}

bool ut_quiet_traces_are_full(const ut_quiet_traces *traces)
{
    return traces->end - traces->begin == UT_QUIET_TRACES_MAX &&
           traces->ring[traces->begin % UT_QUIET_TRACES_MAX].waits;
}

// When it is at rest.
static uint64_t due_ms(const entry *at)
{
    return ut_min_u64(at->last_ms + UT_QUIET_MS, at->first_ms + UT_QUIET_LONGEST_MS);
}

bool ut_quiet_traces_take(ut_quiet_traces *traces, uint64_t now_ms,
                          uint8_t trace_id[UT_TRACE_ID_LEN], uint64_t *wait_ms)
{
    const bool full = ut_quiet_traces_are_full(traces); // then the oldest may not wait any more
    uint64_t next_ms = UINT64_MAX;
    while (traces->waiting_from < traces->end && !entry_at(traces, traces->waiting_from)->waits)
        traces->waiting_from++;
    for (uint64_t i = traces->waiting_from; i < traces->end; i++) {
        entry *at = entry_at(traces, i);
        if (!at->waits)
            continue;
        if (due_ms(at) <= now_ms || (full && i == traces->begin)) {
            at->waits = false;
            memcpy(trace_id, at->id, UT_TRACE_ID_LEN);
            return true;
        }
        next_ms = ut_min_u64(next_ms, due_ms(at));
    }
    *wait_ms = next_ms == UINT64_MAX ? UINT64_MAX : next_ms - now_ms;
    return false;
}
