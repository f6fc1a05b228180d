// The states that a trace went through, as `untrace trace --state` shows them: which changes a span
// made, and what the state was when. Over adapters/state/state_patch.h, which finds and replays
// them.
#ifndef UT_AGENT_CLI_TRACE_STATE_H
#define UT_AGENT_CLI_TRACE_STATE_H

#include "adapters/state/state_patch.h"
#include "storage/query/trace_tree.h"

typedef struct ut_trace_state ut_trace_state;

// state: built, borrowed until ut_trace_state_free. UT_ENOMEM.
ut_err ut_trace_state_new(ut_state *state, ut_trace_state **view);
void ut_trace_state_free(ut_trace_state *view); // NULL is ignored

// The changes made by the span of that id, by time: *first and the next *count of them in
// ut_trace_state_change.
void ut_trace_state_of_span(const ut_trace_state *view, const uint8_t span_id[UT_SPAN_ID_LEN],
                            uint32_t *first, uint32_t *count);
const ut_state_change *ut_trace_state_change(const ut_trace_state *view, uint32_t index);

// As ut_state_at; out is emptied first.
ut_err ut_trace_state_at(ut_trace_state *view, uint64_t time_ns, uint32_t *done, ut_buf *out);

// How many changes there are, how many of them failed, how many more there were.
void ut_trace_state_counts(const ut_trace_state *view, uint32_t *changes, uint32_t *failed,
                           uint32_t *left_out);

// Prints all changes, the states that spans begin or end with, each once and by its number, and for
// every span the numbers of its two, as one JSON object. UT_ENOMEM, UT_ELIMIT, and as
// ut_term_write.
ut_err ut_trace_state_print_json(ut_trace_state *view, const ut_tree *tree,
                                 const uint8_t trace_id[UT_TRACE_ID_LEN]);

#endif
