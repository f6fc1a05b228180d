// The report of the agent's work; see stop_report.h.
#include "agent/daemon/stop_report.h"

#include <stdarg.h>
#include <stdio.h>

// The place of a destination of the store in the configuration; destinations->count: not there.
static size_t place_of(const ut_config_destinations *destinations, uint32_t dest)
{
    size_t place = 0;
    while (place < destinations->count && destinations->items[place].dest != dest)
        place++;
    return place;
}

typedef struct {
    char text_z[UT_LOG_LINE_MAX];
    size_t len;
} report_line;

// What does not fit is cut.
__attribute__((format(printf, 2, 3))) static void add(report_line *line, const char *format_z, ...)
{
    const size_t room = sizeof(line->text_z) - line->len;
    va_list args;
    va_start(args, format_z);
    const int len = vsnprintf(line->text_z + line->len, room, format_z, args);
    va_end(args);
    if (len > 0)
        line->len += (size_t)len < room ? (size_t)len : room - 1;
}

// Adds " refused=3 (metrics=1 body=2)".
static void add_refusals(report_line *line, const ut_tally *refusals, const char *group_z)
{
    add(line, " %s=%llu", group_z, (unsigned long long)ut_tally_sum(refusals, group_z));
    const char *before_z = " (";
    for (size_t kind = 0; (kind = ut_tally_next(refusals, group_z, kind)) < refusals->kind_count;
         kind++) {
        add(line, "%s%s=%llu", before_z, refusals->kinds[kind].name_z,
            (unsigned long long)refusals->entries[kind].count);
        before_z = " ";
    }
    add(line, "%s", before_z[1] == '(' ? "" : ")");
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
    report_line line = {.len = 0};
    ut_tally none = {.kind_count = 0};
    const ut_tally *refusals = &none;
    ut_receiver_otlp_http_stats stats = {0};
    if (receiver != NULL) {
        ut_receiver_otlp_http_get_stats(receiver, &stats);
        refusals = ut_receiver_otlp_http_refusals(receiver);
    }
    add(&line, "stopped: accepted=%llu duplicates=%llu", (unsigned long long)stats.accepted,
        (unsigned long long)stats.duplicates);
    add_refusals(&line, refusals, "rejected");
    add_refusals(&line, refusals, "refused");
    ut_store_destination all[UT_STORE_DESTINATIONS_MAX];
    const size_t count = ut_store_get_destinations(store, all, UT_STORE_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        const size_t place = place_of(destinations, all[i].dest);
        if (place == destinations->count)
            continue;
        const ut_store_destination_counts *const now = &all[i].counts;
        const ut_store_destination_counts *const before = &report->before[place];
        add(&line, "; %s: delivered=%llu pending=%llu dead=%llu expired=%llu evicted=%llu",
            all[i].name_z, (unsigned long long)(now->delivered - before->delivered),
            (unsigned long long)ut_store_pending(now),
            (unsigned long long)(now->dead - before->dead),
            (unsigned long long)(now->expired - before->expired),
            (unsigned long long)(now->evicted - before->evicted));
    }
    ut_log_write(log, UT_LOG_INFO, "agent", "%s", line.text_z);
}
