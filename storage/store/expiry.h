// The hours in which the spans of a commit expire: by what the request says, else by rule, else by
// the store's default. Not for removing blocks that have expired: retention.h.
#ifndef UT_STORAGE_STORE_EXPIRY_H
#define UT_STORAGE_STORE_EXPIRY_H

#include "storage/store/store_core.h"

// Spans that share blocks: those of one organisation that expire in the same hour.
typedef struct {
    uint32_t org;
    uint32_t hour; // 0: never
} ut_expiry_class;

// The hour, rounded up, in which a span expires that is stored at the age now_ns (age_clock.h) and
// lives for ttl_ms. 0: never, for ttl_ms 0 and UT_STORE_TTL_NONE, and while the clock is not set.
uint32_t ut_expiry_hour(uint64_t ttl_ms, uint64_t now_ns);

// Finds the class of every span of the plan that stands in store->index. UT_ENOMEM.
ut_err ut_expiry_plan(ut_store *store, const ut_store_append *appends, size_t count,
                      uint64_t now_ns);

// The classes that ut_expiry_plan found: store->class_count.
static inline const ut_expiry_class *ut_expiry_classes(const ut_store *store)
{
    return (const ut_expiry_class *)(const void *)store->classes.data;
}

// False: no span of the append expires in this hour. *hours: out; NULL: all its spans do; else the
// hour of each span of the plan, and the caller compares.
bool ut_expiry_is_of(const ut_store *store, const ut_store_append *append, uint64_t now_ns,
                     uint32_t hour, const uint32_t **hours);

#endif
