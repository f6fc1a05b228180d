// What a view gives to the files of storage/ beside what store.h says: its transaction, for other
// records.
#ifndef UT_STORAGE_STORE_VIEW_H
#define UT_STORAGE_STORE_VIEW_H

#include "storage/record.h"

// The transaction of a view that has begun; ends with it.
ut_txn *ut_store_view_txn(ut_store_view *view);

#endif
