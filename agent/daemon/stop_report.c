// The report of the agent's work; see stop_report.h.
#include "agent/daemon/stop_report.h"

#include <stdio.h>

// The place of a destination of the store in the configuration; destinations->count: not there.
static size_t place_of(const ut_config_destinations *destinations, uint32_t dest)
{
    size_t place = 0;
    while (place < destinations->count && destinations->items[place].dest != dest)
        place++;
    return place;
}

void ut_stop_report_begin(ut_stop_report *report, const ut_store *store,
                          const ut_config_destinations *destinations)
{
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        const size_t place = place_of(destinations, all[i].dest);
        if (place < destinations->count)
            report->before[place] = all[i].counts;
    }
}

void ut_stop_report_write(const ut_stop_report *report, const ut_store *store,
                          const ut_config_destinations *destinations,
                          const ut_receiver_otlp_http *receiver, const ut_log *log)
{
    char line[UT_LOG_LINE_MAX];
    ut_receiver_otlp_http_stats stats = {0};
    if (receiver != NULL)
        ut_receiver_otlp_http_get_stats(receiver, &stats);
    size_t used =
        (size_t)snprintf(line, sizeof(line), "stopped: accepted=%llu duplicates=%llu rejected=%llu",
                         (unsigned long long)stats.accepted, (unsigned long long)stats.duplicates,
                         (unsigned long long)stats.rejected);
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count && used < sizeof(line); i++) {
        const size_t place = place_of(destinations, all[i].dest);
        if (place == destinations->count)
            continue;
        const ut_store_destination_counts *const now = &all[i].counts;
        const ut_store_destination_counts *const before = &report->before[place];
        const int more =
            snprintf(line + used, sizeof(line) - used,
                     "; %s: delivered=%llu pending=%llu dead=%llu expired=%llu evicted=%llu",
                     all[i].name_z, (unsigned long long)(now->delivered - before->delivered),
                     (unsigned long long)ut_store_pending(now),
                     (unsigned long long)(now->dead - before->dead),
                     (unsigned long long)(now->expired - before->expired),
                     (unsigned long long)(now->evicted - before->evicted));
        used += more > 0 ? (size_t)more : 0;
    }
    ut_log_write(log, UT_LOG_INFO, "agent", "%s", line);
}
