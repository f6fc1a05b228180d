// Service and name of the spans by which listings tell of traces, read from their blocks.
// Neighbours in a listing mostly stand in one block, which is kept open. Not for root records that
// tell them, as plain stores of format version 1 have: record.h.
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

// Fills in root->service and root->name; borrowed until the next call. Both stay empty when the
// block has left or is damaged. UT_ENOMEM, UT_EPERM, errors of the engine.
ut_err ut_root_names_fill(ut_root_names *names, const uint8_t trace_id[UT_TRACE_ID_LEN],
                          ut_record_root *root);

#endif
