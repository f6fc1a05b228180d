// What a view gives to the files of storage/ beside what store.h says: its transaction, for other
// records.
#ifndef UT_STORAGE_STORE_VIEW_H
#define UT_STORAGE_STORE_VIEW_H

#include "storage/store/record.h"

// The transaction of a view that has begun; ends with it.
ut_txn *ut_store_view_txn(ut_store_view *view);

// What the filters over block seq are seeded with; see ut_keyring_filter_seed.
uint64_t ut_store_view_filter_seed(const ut_store_view *view, uint64_t seq);

#endif
