// Service and name of the spans by which listings tell of traces, read from their blocks.
// Neighbours in a listing mostly stand in one block, which is kept open. Not for which span it is:
// trace_rows.h.
#ifndef UT_STORAGE_STORE_ROOT_NAMES_H
#define UT_STORAGE_STORE_ROOT_NAMES_H

#include "storage/store/record.h"

typedef struct {
    ut_store_view *view;
    uint32_t org;
    uint64_t seq; // of the open block; 0: none
    ut_block block;
    ut_buf payload;
} ut_root_names;

void ut_root_names_init(ut_root_names *names, ut_store_view *view, uint32_t org);
void ut_root_names_free(ut_root_names *names);

// Reads service and name of the span at seq and ordinal; borrowed until the next call. Both are
// empty when the block has left or is damaged, or has another trace there. UT_ENOMEM, UT_EPERM,
// errors of the engine.
ut_err ut_root_names_fill(ut_root_names *names, const uint8_t trace_id[UT_TRACE_ID_LEN],
                          uint64_t seq, uint32_t ordinal, ut_bytes *service, ut_bytes *name);

#endif
