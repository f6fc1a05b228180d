// A view for the files of storage/: its transaction, by which they read other records. For others
// store.h has all there is.
#ifndef UT_STORAGE_STORE_STORE_VIEW_H
#define UT_STORAGE_STORE_STORE_VIEW_H

#include "storage/store/record.h"

// The transaction of a view that has begun; ends with it.
ut_txn *ut_store_view_txn(ut_store_view *view);

// The seed of the Bloom filter over block seq; see ut_keyring_filter_seed.
uint64_t ut_store_view_filter_seed(const ut_store_view *view, uint64_t seq);

#endif
