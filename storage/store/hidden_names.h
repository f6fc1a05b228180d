// Service and name of root spans whose records do not tell them, because the store is encrypted:
// they are read from the block. Neighbours in a listing mostly stand in one block, which is kept
// open. Not for records that tell: record.h.
#ifndef UT_STORAGE_STORE_HIDDEN_NAMES_H
#define UT_STORAGE_STORE_HIDDEN_NAMES_H

#include "storage/store/record.h"

typedef struct {
    ut_store_view *view;
    uint32_t org;
    uint64_t seq; // of the open block; 0: none
    ut_block block;
    ut_buf payload;
} ut_hidden_names;

void ut_hidden_names_init(ut_hidden_names *names, ut_store_view *view, uint32_t org);
void ut_hidden_names_free(ut_hidden_names *names);

// Fills in root->service and root->name; borrowed until the next call. Both stay empty when the
// block has left or is damaged. UT_ENOMEM, UT_EPERM, errors of the engine.
ut_err ut_hidden_names_fill(ut_hidden_names *names, const uint8_t trace_id[UT_TRACE_ID_LEN],
                            ut_record_root *root);

#endif
