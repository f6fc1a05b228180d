// Tells the log what people have to know of removals: spans that left undelivered, and a disk that
// is full, each at most once a minute. Not for what is removed: retention.h.
#ifndef UT_STORAGE_STORE_RETENTION_LOG_H
#define UT_STORAGE_STORE_RETENTION_LOG_H

#include "storage/store/store_core.h"

// Tells what is due at now_ns. Outside of a transaction; the store's thread only.
void ut_retention_tell(ut_store *store, uint64_t now_ns);

#endif
