// Heads of traces, by which listings tell of them: they pass on when their block leaves. Those of
// new blocks are chosen by trace_index.h.
#ifndef UT_STORAGE_STORE_TRACE_HEADS_H
#define UT_STORAGE_STORE_TRACE_HEADS_H

#include "storage/store/trace_index.h"

// The most traces of one call.
enum { UT_TRACE_HEADS_MAX = 20 };

// Gives traces that lose a head a new one: the first of their blocks with a root span, or else the
// first, of the oldest that are left. The block with the old head has left already. ids: count ids,
// UT_TRACE_HEADS_MAX at most, rising. *touched counts touches (demand.h). Errors of the engine;
// UT_ENOMEM.
ut_err ut_trace_heads_pass(ut_trace_index *index, ut_cursor *cursor, uint32_t org,
                           const uint8_t *ids, uint32_t count, uint32_t *touched);

#endif
