// The state of a workflow along a trace: events that carry changes of it as JSON patches are listed
// in order, and replayed to the state at any time: ut_state_new, ut_state_add for each span,
// ut_state_build once, then ut_state_changes and ut_state_at. One thread at a time. Not for what a
// patch does to a document: json_patch.h.
#ifndef UT_ADAPTERS_STATE_STATE_PATCH_H
#define UT_ADAPTERS_STATE_STATE_PATCH_H

#include "storage/span/span.h"

enum {
    UT_STATE_CHANGES_MAX = 100 * 1000,          // of one trace; more are counted only
    UT_STATE_TEXT_BYTES_MAX = 64 * 1024 * 1024, // of all their texts; more are counted only
    UT_STATE_STORES_MAX = 256,                  // states side by side; changes of more fail
    // Of all states together, about as JSON; a change that would pass it fails.
    UT_STATE_BYTES_MAX = 4 * 1024 * 1024,
    // Of one replay, in steps of json_patch.h (a few seconds); the changes behind it fail.
    UT_STATE_WORK_MAX = 200 * 1000 * 1000,
    UT_STATE_KEPT_BYTES_MAX = 64 * 1024 * 1024, // of states kept to begin a replay at
    UT_STATE_NAME_MAX = 255,                    // bytes of a configured name
};

// Which events carry changes, and where. All empty: the usual ones. Texts are borrowed for the call
// of ut_state_new.
typedef struct {
    ut_bytes event_name; // empty: "set_state"
    // The event's attribute that holds the patch as JSON text; empty: the first that is there of
    // "state.patch", "state_patch", "state.json_patch", "junjo.state_json_patch".
    ut_bytes patch_key;
} ut_state_options;

typedef enum {
    UT_STATE_NONE,  // the text is no change, or could not be used for its size
    UT_STATE_START, // a whole state, from a span's attribute; at the start of the span
    UT_STATE_PATCH, // RFC 6902: an array of operations
    UT_STATE_MERGE, // RFC 7396: an object
} ut_state_form;

// One change; bytes are borrowed from the ut_state.
typedef struct {
    uint64_t time_ns;
    uint8_t span_id[UT_SPAN_ID_LEN]; // of the span with the event
    // Which of several states it is about: the event's "state.id" or "junjo.store.id"; else empty.
    ut_bytes store;
    ut_bytes action; // the action: "state.action" or "junjo.store.action"; else empty
    ut_state_form form;
    ut_bytes text;   // JSON as it came; not checked where the change failed
    ut_bytes reason; // empty: it was applied. Else why it failed: the state is as before it
} ut_state_change;

typedef struct ut_state ut_state;

// options: NULL for the usual ones. Errors: UT_ENOMEM, UT_ELIMIT (a name is longer than
// UT_STATE_NAME_MAX).
ut_err ut_state_new(const ut_state_options *options, ut_state **state);
void ut_state_free(ut_state *state); // NULL is ignored

// Takes the changes out of one span: its events of that name; and a state to start from, where its
// attributes have one ("state.start" for the store in "state.id"; "junjo.workflow.state.start" for
// "junjo.workflow.store.id"; "junjo.agent.state.start" for "junjo.agent.store.id"). Copies.
// UT_ENOMEM; UT_EFORMAT: damaged events, of which those before the damage count.
ut_err ut_state_add(ut_state *state, const ut_span *span);

// Orders the changes by time (equal times: as added, a span's start before its events) and replays
// all of them once. Every state begins as {}. A change that fails does nothing, and says why; the
// others go on. Call once, after the last add. UT_ENOMEM.
ut_err ut_state_build(ut_state *state);

// The changes in that order, count of them. *left_out: those beyond the limits. Valid until
// ut_state_free.
const ut_state_change *ut_state_changes(const ut_state *state, uint32_t *count, uint32_t *left_out);

// Appends to out the state after all changes up to time_ns (with it), as compact JSON with control
// characters escaped: {} before the first. Where the changes of the trace name more than one store
// (or some name one and others none), an object with the state of each that has begun, under its
// name ("" without one). *done: how many changes that are, failed ones too, so that equal numbers
// mean equal states. A call for a later time than the last costs the changes between them; for an
// earlier one those since a kept state, of which there is one after each 16 changes, or fewer where
// they are large. After ut_state_build. UT_ENOMEM, UT_ELIMIT: out is full.
ut_err ut_state_at(ut_state *state, uint64_t time_ns, uint32_t *done, ut_buf *out);

#endif
