// What the log is told of removals; see retention_log.h.
#include "storage/store/retention_log.h"

#include "port/base/time_units.h"

// Seconds between two lines about lost spans, or about the disk.
enum { TELL_EVERY_S = 60 };

// Whether a line of the log may be written of which the last one was at told_ns; 0: there was none.
static bool may_tell(uint64_t told_ns, uint64_t now_ns)
{
    return told_ns == 0 || now_ns < told_ns || now_ns - told_ns >= TELL_EVERY_S * UT_NS_PER_S;
}

// Tells of the spans that a committed transaction has removed undelivered.
static void tell_lost(ut_store *store, uint64_t now_ns)
{
    ut_retention *retention = &store->retention;
    if (retention->lost_spans > 0 && may_tell(retention->lost_told_ns, now_ns)) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "the budget is used up: %llu spans were removed before they were delivered",
                     (unsigned long long)retention->lost_spans);
        retention->lost_spans = 0;
        retention->lost_told_ns = now_ns;
    }
    if (retention->late_spans > 0 && may_tell(retention->late_told_ns, now_ns)) {
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "%llu spans were removed before they were delivered: their time to live was "
                     "over",
                     (unsigned long long)retention->late_spans);
        retention->late_spans = 0;
        retention->late_told_ns = now_ns;
    }
}

// A disk that is nearly full is so now and then: it is told at most once in a while.
static void tell_disk(ut_store *store, uint64_t now_ns)
{
    if (store->retention.disk_full == store->retention.disk_told ||
        !may_tell(store->retention.disk_told_ns, now_ns))
        return;
    if (store->retention.disk_full)
        ut_log_write(store->log, UT_LOG_WARN, "storage",
                     "no space is left on the disk: the store keeps to the %llu KiB that it has, "
                     "and old spans leave for new ones",
                     (unsigned long long)(store->retention.disk_bytes / 1024));
    else
        ut_log_write(store->log, UT_LOG_INFO, "storage",
                     "the disk has room again: the store grows up to its max_size");
    store->retention.disk_told = store->retention.disk_full;
    store->retention.disk_told_ns = now_ns;
}

void ut_retention_tell(ut_store *store, uint64_t now_ns)
{
    tell_lost(store, now_ns);
    tell_disk(store, now_ns);
}
