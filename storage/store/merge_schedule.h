// When the index of traces is merged: with each commit one step, as large as the commit asks for,
// and steps between commits, when there is a pause. Not for a step itself: trace_merge.h.
#ifndef UT_STORAGE_STORE_MERGE_SCHEDULE_H
#define UT_STORAGE_STORE_MERGE_SCHEDULE_H

#include "storage/store/store_core.h"

// The postings that a step may take with the commit that is planned in store->index, and in a
// pause.
uint32_t ut_merge_schedule_postings(const ut_store *store);
uint32_t ut_merge_schedule_pause_postings(const ut_store *store);

// One step in the organisations of the commit under way. UT_ENOMEM, errors of the engine.
ut_err ut_merge_schedule_in_commit(ut_store *store);

// One step in the first organisation that has work, inside a write transaction. *touched counts
// touches; 0: nothing was written. *more: there is work left. UT_ENOMEM, errors of the engine.
ut_err ut_merge_schedule_in_pause(ut_store *store, ut_cursor *cursor, uint32_t *touched,
                                  bool *more);

#endif
